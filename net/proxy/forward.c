/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/forward.h"

#include "core/base/path.h"
#include "net/proxy/action.h"
#include "net/proxy/exchange_steps.h"
#include "net/proxy/style.h"
#include "net/proxy/upgrade.h"

#include <time.h>

enum { HEAD_EXTRA_BYTES = 1536 }; /* what the gateway adds, but for values taken from the request */

#define BIT(id) (UINT64_C(1) << HEADER_##id)

/* Written by the gateway itself, or meant for one hop only. */
static const uint64_t hop_dropped = BIT(HOST) | BIT(CONNECTION) | BIT(KEEP_ALIVE) | BIT(PROXY) |
                                    BIT(PROXY_CONNECTION) | BIT(TRANSFER_ENCODING) | BIT(CONTENT_LENGTH) |
                                    BIT(EXPECT) | BIT(UPGRADE) | BIT(HTTP2_SETTINGS) | BIT(TE);

/* What Kong's manner writes beside these. */
static const uint64_t request_dropped = hop_dropped | BIT(VIA) | BIT(X_FORWARDED_FOR) |
                                        BIT(X_FORWARDED_HOST) | BIT(X_FORWARDED_PATH) |
                                        BIT(X_FORWARDED_PORT) | BIT(X_FORWARDED_PREFIX) |
                                        BIT(X_FORWARDED_PROTO) | BIT(X_REAL_IP) | BIT(X_KONG_REQUEST_ID);

static const uint64_t response_dropped = BIT(CONNECTION) | BIT(KEEP_ALIVE) | BIT(PROXY_CONNECTION) |
                                         BIT(TRANSFER_ENCODING) | BIT(CONTENT_LENGTH) | BIT(UPGRADE) |
                                         BIT(X_KONG_REQUEST_ID);

/* --- common --------------------------------------------------------------------------------------------- */

/* extra_bytes: of values that are not the message's. */
static struct block *head_block(struct exchange *exchange, const struct message *message, size_t extra_bytes,
                                struct writer *out)
{
    size_t size = HEAD_EXTRA_BYTES + extra_bytes + message->method.size + message->reason.size;
    for (uint32_t i = 0; i < message->header_count; i++) {
        size += message->headers[i].name.size + message->headers[i].value.size + 4;
        if (message->headers[i].id == HEADER_CONTENT_TYPE)
            size += exchange->proxy->options->charset.size + 16;
    }
    for (uint32_t i = 0; i < exchange->edit_count; i++)
        size += exchange->edits[i].name.size + exchange->edits[i].value.size + 4;
    /* Values that may be written twice: forwarded from the request, path and prefix escaped. */
    size += exchange->path.size * 3 + exchange->query.size * 2 + exchange->raw_path.size * 2 +
            exchange->host.size * 2;
    if (exchange->style != ANSWER_STYLE_KONG) /* with fragment and port */
        size += exchange->request.origin_form.size + message_find(&exchange->request, HEADER_HOST).size;
    if (exchange->service)
        size += exchange->service->service->upstream->host_header.size;
    if (exchange->match.route && exchange->match.route->action)
        size += exchange->match.route->action->host.text.size + exchange->match.route->action->query.size +
                exchange->match.route->action->method.size;
    size += exchange->upstream_method.size + exchange->upstream_host.size;
    if (exchange->endpoint)
        size += exchange->endpoint->authority_size + exchange->cookie.size;
    struct block *block = block_open(exchange->proxy->shard->blocks, size);
    if (block)
        *out = writer_of(block->data, block->capacity);
    return block;
}

static struct chunk finish_block(struct block *block, const struct writer *out)
{
    if (out->overflow) { /* the size was computed from everything that is written, or this is a bug */
        block_release(block);
        return (struct chunk){ 0 };
    }
    block->used = (uint32_t)(out->next - block->data);
    return (struct chunk){ block, 0, block->used };
}

static void end_head(enum forward_form form, struct writer *out)
{
    if (form == FORWARD_HTTP1)
        writer_text(out, "\r\n");
}

static struct slice product(void)
{
    return SLICE("sluice/" SLUICE_VERSION);
}

/* All received values, then `last`. */
static void write_appended(struct writer *out, const struct message *message, enum header_id id,
                           struct slice name, struct slice last)
{
    writer_slice(out, name);
    writer_text(out, ": ");
    if (message_has(message, id)) {
        for (uint32_t i = 0; i < message->header_count; i++) {
            if (message->headers[i].id != id || message->headers[i].name.data == NULL)
                continue;
            writer_slice(out, message->headers[i].value);
            writer_text(out, ", ");
        }
    }
    writer_slice(out, last);
    writer_text(out, "\r\n");
}

/* RFC 9110 section 6.6.1: a response without Date gets one. The text is made once a second. */
static void write_date(struct proxy *proxy, struct writer *out)
{
    uint64_t seconds = proxy->shard->wall_ms / 1000;
    if (proxy->date_s != seconds) {
        time_t now = (time_t)seconds;
        struct tm parts;
        gmtime_r(&now, &parts);
        proxy->date_size =
            (uint8_t)strftime(proxy->date, sizeof(proxy->date), "%a, %d %b %Y %H:%M:%S GMT", &parts);
        proxy->date_s = seconds;
    }
    writer_header(out, SLICE("Date"), (struct slice){ proxy->date, proxy->date_size });
}

/* --- request -------------------------------------------------------------------------------------------- */

static struct slice trusted_or(const struct exchange *exchange, enum header_id id, struct slice otherwise)
{
    if (exchange->trust == PEER_TRUSTED && message_has(&exchange->request, id))
        return message_find(&exchange->request, id);
    return otherwise;
}

static void write_forwarded(struct exchange *exchange, struct writer *out)
{
    const struct message *request = &exchange->request;
    const struct route *route = exchange->match.route;
    if (message_has(request, HEADER_X_FORWARDED_FOR))
        write_appended(out, request, HEADER_X_FORWARDED_FOR, SLICE("X-Forwarded-For"), exchange->peer_ip);
    else
        writer_header(out, SLICE("X-Forwarded-For"), exchange->client_ip);
    struct slice scheme = exchange->tls ? SLICE("https") : SLICE("http");
    writer_header(out, SLICE("X-Forwarded-Proto"), trusted_or(exchange, HEADER_X_FORWARDED_PROTO, scheme));
    writer_header(out, SLICE("X-Forwarded-Host"),
                  trusted_or(exchange, HEADER_X_FORWARDED_HOST, exchange->host));
    struct slice none = { NULL, 0 };
    struct slice port = trusted_or(exchange, HEADER_X_FORWARDED_PORT, none);
    if (port.data)
        writer_header(out, SLICE("X-Forwarded-Port"), port);
    else
        writer_header_u64(out, SLICE("X-Forwarded-Port"), exchange->port);
    writer_header(out, SLICE("X-Forwarded-Path"),
                  trusted_or(exchange, HEADER_X_FORWARDED_PATH, exchange->raw_path));
    struct slice prefix = trusted_or(exchange, HEADER_X_FORWARDED_PREFIX, none);
    if (prefix.data == NULL && route->strip_path && exchange->match.prefix.size > 0 &&
        !slice_equal(exchange->match.prefix, SLICE("/")) &&
        path_escape(&exchange->arena, exchange->match.prefix, &prefix) != ERROR_OK)
        prefix = none;
    if (prefix.data)
        writer_header(out, SLICE("X-Forwarded-Prefix"), prefix);
    writer_header(out, SLICE("X-Real-IP"), exchange->client_ip);
}

static void write_request_framing(const struct exchange *exchange, enum forward_form form, struct writer *out)
{
    const struct message *request = &exchange->request;
    if (request->framing == BODY_NONE || (exchange->upstream_chunked && form == FORWARD_HTTP2))
        return;
    if (exchange->upstream_chunked)
        writer_text(out, "Transfer-Encoding: chunked\r\n");
    else
        writer_header_u64(out, SLICE("Content-Length"),
                          request->framing == BODY_LENGTH ? request->body_bytes : exchange->body_bytes);
}

bool forward_path(struct exchange *exchange, struct slice *path)
{
    const struct route *route = exchange->match.route;
    *path = exchange->upstream_path;
    if (path->data)
        return true;
    struct path_join join = { .base = exchange->service->service->path,
                              .path = exchange->path,
                              .prefix = exchange->match.prefix,
                              .strip = route->strip_path,
                              .style = (enum path_join_style)route->path_handling };
    *path = exchange->path;
    if (slice_equal(*path, SLICE("*")))
        return true;
    bool joined = route->action && route->action->path.kind != PATH_EDIT_JOIN
                      ? action_path(exchange, path)
                      : path_join_upstream(&exchange->arena, &join, path) == ERROR_OK;
    return joined && path_escape(&exchange->arena, *path, path) == ERROR_OK;
}

static void write_target(const struct exchange *exchange, struct slice path, struct writer *out)
{
    const struct action *action = exchange->match.route->action;
    struct slice before = action ? action->query : (struct slice){ NULL, 0 };
    writer_slice(out, path);
    if (before.data || exchange->query.data)
        writer_byte(out, '?');
    writer_slice(out, before);
    if (before.size > 0 && exchange->query.size > 0)
        writer_byte(out, '&');
    writer_slice(out, exchange->query);
}

static void write_upgrade(struct slice protocol, struct slice connection, struct writer *out)
{
    if (protocol.data == NULL) {
        writer_text(out, "Connection: keep-alive\r\n");
        return;
    }
    writer_header(out, SLICE("Connection"), connection);
    writer_header(out, SLICE("Upgrade"), protocol);
}

static void write_request_line(const struct exchange *exchange, struct slice path, struct writer *out)
{
    writer_slice(out, action_method(exchange));
    writer_byte(out, ' ');
    write_target(exchange, path, out);
    writer_text(out, " HTTP/1.1\r\n");
}

static void write_request_headers(struct exchange *exchange, struct writer *out)
{
    const struct message *request = &exchange->request;
    uint64_t dropped = exchange->style == ANSWER_STYLE_KONG ? request_dropped : hop_dropped;
    for (uint32_t i = 0; i < request->header_count; i++) {
        const struct header *header = &request->headers[i];
        if (header->name.data == NULL || (header->id && (dropped >> header->id & 1)))
            continue;
        if (exchange->style == ANSWER_STYLE_KONG || !style_drops_request_field(exchange, header))
            writer_header(out, header->name, header->value);
    }
}

/* Kong's rules: the client's own, the upstream's, or the name of the target, with a port that its scheme does
 * not imply - also behind the upstream's. Each try has its own. */
struct forward_host forward_upstream_host(const struct exchange *exchange)
{
    const struct message *request = &exchange->request;
    const struct service *service = exchange->service->service;
    const struct endpoint *endpoint = exchange->endpoint;
    const struct action *action = exchange->match.route->action;
    if (exchange->upstream_host.data)
        return (struct forward_host){ .host = exchange->upstream_host };
    bool keep = action ? action->host.kind == HOST_EDIT_KEEP : exchange->match.route->preserve_host;
    if (keep && message_has(request, HEADER_HOST))
        return (struct forward_host){ .host = message_find(request, HEADER_HOST) };
    if (action && action->host.kind == HOST_EDIT_TEXT)
        return (struct forward_host){ .host = action->host.text };
    struct slice port = { endpoint->authority + endpoint->host_size,
                          (size_t)endpoint->authority_size - endpoint->host_size }; /* ":80" */
    bool tls = service->protocol == PROTOCOL_HTTPS || service->protocol == PROTOCOL_GRPCS;
    if (slice_equal(port, tls ? SLICE(":443") : SLICE(":80")))
        port = (struct slice){ NULL, 0 };
    struct slice host = service->upstream->host_header;
    if (host.data == NULL)
        host = (struct slice){ endpoint->authority, endpoint->host_size };
    return (struct forward_host){ host, port };
}

static void write_host(const struct exchange *exchange, struct slice name, struct writer *out)
{
    struct forward_host host = forward_upstream_host(exchange);
    writer_slice(out, name);
    writer_text(out, ": ");
    writer_slice(out, host.host);
    writer_slice(out, host.port);
    writer_text(out, "\r\n");
}

/* RFC 9113 section 8.3.1 */
static void write_pseudo_fields(const struct exchange *exchange, struct slice path, struct writer *out)
{
    writer_header(out, SLICE(":method"), action_method(exchange));
    writer_header(out, SLICE(":scheme"), exchange->service->tls ? SLICE("https") : SLICE("http"));
    write_host(exchange, SLICE(":authority"), out);
    writer_text(out, ":path: ");
    write_target(exchange, path, out);
    writer_text(out, "\r\n");
}

static void write_kong_request(struct exchange *exchange, struct writer *out)
{
    const struct message *request = &exchange->request;
    struct slice via = request->http2                ? SLICE("2 sluice/" SLUICE_VERSION)
                       : request->version_minor == 0 ? SLICE("1.0 sluice/" SLUICE_VERSION)
                                                     : SLICE("1.1 sluice/" SLUICE_VERSION);
    write_forwarded(exchange, out);
    write_appended(out, request, HEADER_VIA, SLICE("Via"), via);
    if (exchange->proxy->options->request_id_upstream)
        writer_header(out, SLICE("X-Kong-Request-Id"),
                      (struct slice){ exchange->request_id, REQUEST_ID_SIZE });
}

struct chunk forward_request_head(struct exchange *exchange, enum forward_form form)
{
    const struct message *request = &exchange->request;
    struct slice path;
    struct writer out;
    if (!forward_path(exchange, &path))
        return (struct chunk){ 0 };
    struct block *block = head_block(exchange, request, path.size, &out);
    if (block == NULL)
        return (struct chunk){ 0 };
    if (form == FORWARD_HTTP1) {
        write_request_line(exchange, path, &out);
        write_host(exchange, SLICE("Host"), &out);
        write_upgrade(upgrade_named(exchange), SLICE("keep-alive, Upgrade"), &out);
    } else {
        write_pseudo_fields(exchange, path, &out);
    }
    write_request_headers(exchange, &out);
    write_request_framing(exchange, form, &out);
    if (exchange->style == ANSWER_STYLE_KONG)
        write_kong_request(exchange, &out);
    else
        style_write_request(exchange, &out);
    if (message_has(request, HEADER_TE) &&
        message_list_has(message_find(request, HEADER_TE), SLICE("trailers")))
        writer_text(&out, "TE: trailers\r\n");
    end_head(form, &out);
    return finish_block(block, &out);
}

/* --- response ------------------------------------------------------------------------------------------- */

static void write_status(int status, struct slice reason, enum forward_form form, struct writer *out)
{
    if (form == FORWARD_HTTP1)
        http1_write_status_line(out, status, reason);
    else /* the other protocol begins behind a 200 (RFC 8441 section 5) */
        writer_header_u64(out, SLICE(":status"), status == 101 ? 200 : (uint64_t)status);
}

static void write_edits(const struct exchange *exchange, struct writer *out)
{
    for (uint32_t i = 0; i < exchange->edit_count; i++)
        if (exchange->edits[i].kind != HEADER_EDIT_REMOVE)
            writer_header(out, exchange->edits[i].name, exchange->edits[i].value);
}

/* nginx' `charset UTF-8`: text types that say no charset get it. */
static bool lacks_charset(struct slice type)
{
    static const char *const types[] = {
        "text/html",          "text/plain", "text/xml", "text/vnd.wap.wml", "application/javascript",
        "application/rss+xml"
    };
    for (size_t i = 0; i < COUNT_OF(types); i++)
        if (slice_equal_nocase(type, slice_of(types[i])))
            return true;
    return false;
}

static void write_content_type(const struct exchange *exchange, struct slice name, struct slice value,
                               struct writer *out)
{
    struct slice charset = exchange->proxy->options->charset;
    writer_slice(out, name);
    writer_text(out, ": ");
    writer_slice(out, value);
    if (charset.data && lacks_charset(value)) {
        writer_text(out, "; charset=");
        writer_slice(out, charset);
    }
    writer_text(out, "\r\n");
}

static void write_response_headers(struct exchange *exchange, struct writer *out)
{
    const struct message *response = &exchange->response;
    bool names = message_connection_names_fields(response);
    uint64_t dropped = response_dropped;
    unsigned added = exchange->style == ANSWER_STYLE_KONG ? exchange->proxy->options->headers : 0;
    if (added & PROXY_HEADER_VIA)
        dropped |= BIT(VIA);
    bool te = message_has(&exchange->request, HEADER_TE);
    if (!te)
        dropped |= BIT(TRAILER);
    for (uint32_t i = 0; i < response->header_count; i++) {
        const struct header *header = &response->headers[i];
        if (header->name.data == NULL || (header->id && (dropped >> header->id & 1)))
            continue;
        if (names && message_is_named_by_connection(response, header->name))
            continue;
        if ((exchange->edited & message_name_bit(header->name)) &&
            exchange_hides_header(exchange, header->name))
            continue;
        if (exchange->style != ANSWER_STYLE_KONG && style_drops_response_field(exchange, header))
            continue;
        /* The latencies are the gateway's own to tell. */
        if (header->name.size > 14 && (added & PROXY_HEADER_UPSTREAM_LATENCY) &&
            (slice_equal_nocase(header->name, SLICE("X-Kong-Upstream-Latency")) ||
             slice_equal_nocase(header->name, SLICE("X-Kong-Proxy-Latency"))))
            continue;
        if (header->id == HEADER_CONTENT_TYPE && exchange->style == ANSWER_STYLE_KONG)
            write_content_type(exchange, header->name, header->value, out);
        else
            writer_header(out, header->name, header->value);
    }
}

/* RFC 9110 sections 15.2, 15.3.5, 15.4.5. */
static bool has_body(int status)
{
    return status >= 200 && status != 204 && status != 304;
}

static void decide_framing(struct exchange *exchange)
{
    const struct message *request = &exchange->request, *response = &exchange->response;
    bool no_body =
        !has_body(response->status) || response->status == 205 || slice_equal(request->method, SLICE("HEAD"));
    bool changes = exchange_body_changes(exchange);
    if (no_body || (response->framing == BODY_NONE && !changes))
        exchange->client_framing = BODY_NONE;
    else if (response->framing == BODY_LENGTH && !changes)
        exchange->client_framing = BODY_LENGTH;
    else
        exchange->client_framing = request->version_minor >= 1 ? BODY_CHUNKED : BODY_UNTIL_CLOSE;
    if (exchange->client_framing == BODY_UNTIL_CLOSE || !exchange->request_complete)
        exchange->client_closes = true;
}

static void write_connection(const struct exchange *exchange, struct writer *out)
{
    if (exchange->answer.status == 0 && exchange->response.status == 101)
        write_upgrade(upgrade_named(exchange), SLICE("Upgrade"), out);
    else if (exchange->client_closes)
        writer_text(out, "Connection: close\r\n");
    else if (exchange->request.version_minor == 0)
        writer_text(out, "Connection: keep-alive\r\n");
}

/* What follows decides, not the field: that one may have been edited, or be the answer to another method. */
static void write_response_framing(const struct exchange *exchange, enum forward_form form,
                                   struct writer *out)
{
    const struct message *response = &exchange->response;
    bool tells_only = response->status == 304 || slice_equal(exchange->request.method, SLICE("HEAD"));
    if (response->status == 205)
        writer_text(out, "Content-Length: 0\r\n");
    else if (exchange->client_framing == BODY_CHUNKED && form == FORWARD_HTTP1)
        writer_text(out, "Transfer-Encoding: chunked\r\n");
    else if (tells_only && exchange_body_changes(exchange))
        return;
    else if (tells_only && response->status != 204 && message_has(response, HEADER_CONTENT_LENGTH))
        writer_header(out, SLICE("Content-Length"), message_find(response, HEADER_CONTENT_LENGTH));
    else if (exchange->client_framing == BODY_LENGTH)
        writer_header_u64(out, SLICE("Content-Length"), response->body_bytes);
    else if (exchange->client_framing == BODY_NONE && !tells_only && has_body(response->status))
        writer_text(out, "Content-Length: 0\r\n");
}

static void write_request_id(const struct exchange *exchange, struct writer *out)
{
    if (exchange->proxy->options->headers & PROXY_HEADER_REQUEST_ID)
        writer_header(out, SLICE("X-Kong-Request-Id"),
                      (struct slice){ exchange->request_id, REQUEST_ID_SIZE });
}

static void write_proxied_latencies(const struct exchange *exchange, struct writer *out)
{
    unsigned added = exchange->proxy->options->headers;
    if (added & PROXY_HEADER_UPSTREAM_LATENCY)
        writer_header_u64(out, SLICE("X-Kong-Upstream-Latency"),
                          (exchange->upstream_head_ns - exchange->upstream_start_ns) / 1000000u);
    if (added & PROXY_HEADER_PROXY_LATENCY)
        writer_header_u64(out, SLICE("X-Kong-Proxy-Latency"),
                          (exchange->upstream_start_ns - exchange->start_ns) / 1000000u);
}

static void write_kong_response(const struct exchange *exchange, struct writer *out)
{
    const struct message *response = &exchange->response;
    unsigned added = exchange->proxy->options->headers;
    if ((added & PROXY_HEADER_SERVER) && !message_has(response, HEADER_SERVER))
        writer_header(out, SLICE("Server"), product());
    if (added & PROXY_HEADER_VIA)
        write_appended(out, response, HEADER_VIA, SLICE("Via"), SLICE("1.1 sluice/" SLUICE_VERSION));
    write_proxied_latencies(exchange, out);
    if (added & PROXY_HEADER_UPSTREAM_STATUS)
        writer_header_u64(out, SLICE("X-Kong-Upstream-Status"), (uint64_t)response->status);
    write_request_id(exchange, out);
}

struct chunk forward_response_head(struct exchange *exchange, enum forward_form form)
{
    const struct message *response = &exchange->response;
    struct writer out;
    struct block *block = head_block(exchange, response, 0, &out);
    if (block == NULL)
        return (struct chunk){ 0 };
    decide_framing(exchange);
    write_status(response->status, response->reason, form, &out);
    write_response_headers(exchange, &out);
    write_edits(exchange, &out);
    if (exchange->cookie.data)
        writer_header(&out, SLICE("Set-Cookie"), exchange->cookie);
    if (!message_has(response, HEADER_DATE))
        write_date(exchange->proxy, &out);
    write_response_framing(exchange, form, &out);
    if (form == FORWARD_HTTP1)
        write_connection(exchange, &out);
    if (exchange->style == ANSWER_STYLE_KONG)
        write_kong_response(exchange, &out);
    else
        style_write_response(exchange, STYLE_PROXIED, &out);
    end_head(form, &out);
    return finish_block(block, &out);
}

struct chunk forward_interim_head(struct exchange *exchange, enum forward_form form)
{
    const struct message *response = &exchange->response;
    struct writer out;
    struct block *block = head_block(exchange, response, 0, &out);
    if (block == NULL)
        return (struct chunk){ 0 };
    write_status(response->status, response->reason, form, &out);
    for (uint32_t i = 0; i < response->header_count; i++)
        if (response->headers[i].id == HEADER_OTHER || !(response_dropped >> response->headers[i].id & 1))
            writer_header(&out, response->headers[i].name, response->headers[i].value);
    end_head(form, &out);
    return finish_block(block, &out);
}

static void write_kong_answer(struct exchange *exchange, struct writer *out)
{
    unsigned added = exchange->proxy->options->headers;
    if (added & PROXY_HEADER_SERVER)
        writer_header(out, SLICE("Server"), product());
    if (exchange->tries > 0) { /* an upstream was chosen: Kong tells these like for a proxied response */
        if (added & PROXY_HEADER_VIA)
            writer_header(out, SLICE("Via"), SLICE("1.1 sluice/" SLUICE_VERSION));
        exchange->upstream_head_ns = exchange->proxy->shard->now_ns;
        write_proxied_latencies(exchange, out);
    } else if (added & PROXY_HEADER_RESPONSE_LATENCY) {
        writer_header_u64(out, SLICE("X-Kong-Response-Latency"),
                          (exchange->proxy->shard->now_ns - exchange->start_ns) / 1000000u);
    }
    write_request_id(exchange, out);
}

bool forward_answer_has_body(const struct exchange *exchange)
{
    return !slice_equal(exchange->request.method, SLICE("HEAD")) && has_body(exchange->answer.status);
}

struct chunk forward_answer(struct exchange *exchange, enum forward_form form)
{
    const struct answer *answer = &exchange->answer;
    struct writer out;
    exchange->response.header_count = 0; /* whatever an upstream had begun to say */
    size_t edits = 0;
    for (uint32_t i = 0; i < exchange->edit_count; i++)
        edits += exchange->edits[i].name.size + exchange->edits[i].value.size + 4;
    struct block *block =
        block_open(exchange->proxy->shard->blocks,
                   HEAD_EXTRA_BYTES + edits + answer->content_type.size + answer->body.size);
    if (block == NULL)
        return (struct chunk){ 0 };
    out = writer_of(block->data, block->capacity);
    write_status(answer->status, (struct slice){ NULL, 0 }, form, &out);
    write_date(exchange->proxy, &out);
    if (answer->content_type.size && !exchange_hides_header(exchange, SLICE("Content-Type"))) {
        if (exchange->style == ANSWER_STYLE_KONG)
            write_content_type(exchange, SLICE("Content-Type"), answer->content_type, &out);
        else
            writer_header(&out, SLICE("Content-Type"), answer->content_type);
    }
    if (has_body(answer->status))
        writer_header_u64(&out, SLICE("Content-Length"), answer->body.size);
    if (form == FORWARD_HTTP1)
        write_connection(exchange, &out);
    write_edits(exchange, &out);
    if (exchange->style == ANSWER_STYLE_KONG)
        write_kong_answer(exchange, &out);
    else
        style_write_response(exchange, STYLE_OWN, &out);
    end_head(form, &out);
    if (form == FORWARD_HTTP1 && forward_answer_has_body(exchange))
        writer_slice(&out, answer->body);
    return finish_block(block, &out);
}
