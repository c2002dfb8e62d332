/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/origin.h"

#include "net/proxy/action.h"
#include "net/proxy/balancer_circuit.h"
#include "net/proxy/exchange_events.h"
#include "net/proxy/forward.h"
#include "net/proxy/tls_profiles.h"
#include "net/transport/connection.h"

#include <stdio.h>
#include <stdlib.h>

static const struct stream_events connection_events;
static const struct origin_ops http1_ops;

enum {
    LOOKED_AT = 64, /* idle connections, for one that fits */
    LINE_BYTES = 512,
    NAME_SIZE = 256
};

/* By what rules a connection was opened with TLS: one that was opened by others is never used. */
struct tls_rules {
    unsigned char id[32]; /* struct tls_upstream */
    char name[NAME_SIZE]; /* of the server, lower case: asked for, and checked if that is asked for */
};

/* A connection of HTTP/1. */
struct http1_origin {
    struct origin origin; /* first: origins are recovered from it */
    struct connection connection;
    struct tls_rules *rules; /* NULL: in the clear */
    struct list_node node; /* endpoint->idle */
    struct list_node age_node; /* proxy->idle_origins, longest idle first */
    struct http1_parser parser;
    uint32_t request_count;
    bool closing;
};

static struct http1_origin *of_stream(struct stream *stream)
{
    return stream->owner;
}

static struct http1_origin *of_origin(struct origin *origin)
{
    return (struct http1_origin *)origin;
}

/* --- idle ones ------------------------------------------------------------------------------------------ */

static void leave_pool(struct http1_origin *http1)
{
    list_remove(&http1->node);
    list_remove(&http1->age_node);
    http1->origin.endpoint->idle_count--;
    if (http1->origin.endpoint->balancer)
        http1->origin.endpoint->balancer->idle_count--;
    metric_add(&http1->origin.proxy->shard->metrics, METRIC_UPSTREAM_IDLE, -1);
}

/* --- connections ---------------------------------------------------------------------------------------- */

static void close_now(struct http1_origin *http1)
{
    if (http1->closing)
        return;
    http1->closing = true;
    timer_disarm(&http1->origin.proxy->shard->timers, &http1->origin.timer);
    stream_close(http1->connection.stream);
}

static void close_idle(struct http1_origin *http1)
{
    leave_pool(http1);
    close_now(http1);
}

void origin_close_all_idle(struct proxy *proxy)
{
    while (!list_is_empty(&proxy->idle_origins))
        close_idle(CONTAINER_OF(proxy->idle_origins.next, struct http1_origin, age_node));
}

void origin_close_idle(struct endpoint *endpoint)
{
    while (origin_close_oldest(endpoint))
        continue;
}

bool origin_close_oldest(struct endpoint *endpoint)
{
    if (list_is_empty(&endpoint->idle))
        return false;
    close_idle(CONTAINER_OF(endpoint->idle.previous, struct http1_origin, node));
    return true;
}

static void on_timer(struct timer *timer)
{
    struct http1_origin *http1 = CONTAINER_OF(timer, struct http1_origin, origin.timer);
    struct exchange *exchange = http1->origin.exchange;
    if (exchange == NULL) {
        if (!http1->closing)
            leave_pool(http1);
        close_now(http1);
        return;
    }
    exchange_origin_failed(exchange, ERROR_TIMEOUT);
}

static enum error connect_to(struct http1_origin *http1, const struct endpoint *endpoint,
                             const struct tls_upstream *tls)
{
    const struct connection_owner owner = { &connection_events, http1 };
    struct shard *shard = http1->origin.proxy->shard;
    struct address numeric;
    if (tls == NULL)
        return connection_connect(&http1->connection, shard, &owner, &endpoint->address, NULL);
    const char *name = http1->rules->name;
    bool asked = !address_parse(slice_of(name), 0, &numeric); /* RFC 6066: addresses are not */
    struct tls_target target = { tls->client, asked ? name : NULL, name };
    return connection_connect(&http1->connection, shard, &owner, &endpoint->address, &target);
}

static bool keep_rules(struct http1_origin *http1, const struct tls_rules *rules)
{
    if (rules == NULL)
        return true;
    http1->rules = malloc(sizeof(*rules));
    if (http1->rules)
        *http1->rules = *rules;
    return http1->rules != NULL;
}

static struct http1_origin *open_new(struct exchange *exchange, const struct tls_rules *rules)
{
    struct proxy *proxy = exchange->proxy;
    struct endpoint *endpoint = exchange->endpoint;
    struct http1_origin *http1 = malloc(sizeof(*http1));
    if (http1 == NULL)
        return NULL;
    *http1 = (struct http1_origin){ .origin = { .ops = &http1_ops, .proxy = proxy, .endpoint = endpoint } };
    if (!keep_rules(http1, rules) || connect_to(http1, endpoint, exchange->service->tls) != ERROR_OK) {
        free(http1->rules);
        free(http1);
        return NULL;
    }
    list_init(&http1->node);
    list_init(&http1->age_node);
    timer_init(&http1->origin.timer, on_timer);
    http1_parser_init(&http1->parser, HTTP1_RESPONSE, &proxy->options->limits);
    endpoint->open_count++;
    if (endpoint->balancer)
        endpoint->balancer->connections++;
    proxy->origin_count++;
    metric_add(&proxy->shard->metrics, METRIC_UPSTREAM_CONNECTS, 1);
    metric_add(&proxy->shard->metrics, METRIC_UPSTREAM_ACTIVE, 1);
    return http1;
}

static void join_exchange(struct http1_origin *http1, struct exchange *exchange)
{
    http1->origin.exchange = exchange;
    http1->origin.head_seen = false;
    http1->request_count++;
    exchange->origin = &http1->origin;
}

/* The server is asked for by the Host that it will be sent, without the port; so does Kong. */
static bool find_rules(const struct exchange *exchange, struct tls_rules *rules)
{
    struct slice host = forward_upstream_host(exchange).host;
    bool bracketed = host.size > 0 && host.data[0] == '[';
    const char *end = host.size ? memrchr(host.data, bracketed ? ']' : ':', host.size) : NULL;
    if (end && (bracketed || memchr(host.data, ':', host.size) == end)) /* more than one: a bare address */
        host.size = (size_t)(end - host.data);
    if (bracketed)
        host = slice_from(host, 1);
    if (host.size == 0 || host.size >= NAME_SIZE)
        return false;
    memcpy(rules->id, exchange->service->tls->id, sizeof(rules->id));
    for (size_t i = 0; i < host.size; i++) {
        char c = rules->name[i] = slice_lower(host.data[i]);
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && (c == '\0' || !strchr(".-_:", c)))
            return false; /* it may have come from a client */
    }
    rules->name[host.size] = '\0';
    return true;
}

static bool follows(const struct http1_origin *http1, const struct tls_rules *rules)
{
    if (http1->rules == NULL || rules == NULL)
        return http1->rules == NULL && rules == NULL;
    return memcmp(http1->rules->id, rules->id, sizeof(rules->id)) == 0 &&
           strcmp(http1->rules->name, rules->name) == 0;
}

/* Mostly the first one fits: services that connect to one address by different rules are few. */
static struct http1_origin *find_kept(struct endpoint *endpoint, const struct tls_rules *rules)
{
    struct list_node *node = endpoint->idle.next;
    for (uint32_t i = 0; i < LOOKED_AT && node != &endpoint->idle; i++, node = node->next) {
        struct http1_origin *kept = CONTAINER_OF(node, struct http1_origin, node);
        if (follows(kept, rules))
            return kept;
    }
    return NULL;
}

enum error origin_take(struct exchange *exchange)
{
    struct proxy *proxy = exchange->proxy;
    struct endpoint *endpoint = exchange->endpoint;
    struct tls_rules wanted, *rules = exchange->service->tls ? &wanted : NULL;
    if (rules && !find_rules(exchange, rules))
        return ERROR_TLS;
    struct http1_origin *kept = find_kept(endpoint, rules);
    if (kept) {
        leave_pool(kept);
        kept->origin.reused = true;
        metric_add(&proxy->shard->metrics, METRIC_UPSTREAM_REUSES, 1);
        join_exchange(kept, exchange);
        return ERROR_OK;
    }
    if (proxy->origin_count >= proxy->options->upstreams_max && !list_is_empty(&proxy->idle_origins)) {
        close_idle(CONTAINER_OF(proxy->idle_origins.next, struct http1_origin, age_node));
    } else if (proxy->origin_count >= proxy->options->upstreams_max) {
        metric_add(&proxy->shard->metrics, METRIC_UPSTREAM_REFUSED, 1);
        return ERROR_LIMIT;
    }
    struct http1_origin *http1 = open_new(exchange, rules);
    if (http1 == NULL)
        return ERROR_MEMORY;
    join_exchange(http1, exchange);
    return ERROR_OK;
}

static void expect_response(struct http1_origin *http1)
{
    struct exchange *exchange = http1->origin.exchange;
    http1_parser_begin(&http1->parser, &exchange->response, &exchange->arena);
    bool head = slice_equal(action_method(exchange), SLICE("HEAD"));
    http1_parser_expect(&http1->parser, head ? HTTP1_TO_HEAD : HTTP1_TO_ANY);
}

void origin_detach(struct origin *origin, enum origin_fate fate)
{
    origin->exchange->origin = NULL;
    origin->exchange = NULL;
    origin->ops->leave(origin, fate);
}

void origin_limit_time(struct origin *origin, uint64_t timeout_ms)
{
    struct shard *shard = origin->proxy->shard;
    if (timeout_ms == 0)
        timer_disarm(&shard->timers, &origin->timer);
    else
        timer_arm(&shard->timers, &origin->timer, shard->now_ms + timeout_ms);
}

/* --- for the exchange ----------------------------------------------------------------------------------- */

static bool send_chunk(struct http1_origin *http1, struct chunk chunk)
{
    if (chunk.block == NULL)
        return false;
    stream_send(http1->connection.stream, chunk);
    return true;
}

static bool send_head(struct origin *origin)
{
    struct http1_origin *http1 = of_origin(origin);
    struct chunk head = forward_request_head(origin->exchange, FORWARD_HTTP1);
    if (head.block == NULL)
        return false;
    expect_response(http1);
    return send_chunk(http1, head);
}

static bool send_body(struct origin *origin, struct chunk chunk)
{
    struct http1_origin *http1 = of_origin(origin);
    struct exchange *exchange = origin->exchange;
    if (!exchange->upstream_chunked)
        return send_chunk(http1, chunk);
    if (!send_chunk(http1, forward_chunk_line(exchange, chunk.size))) {
        chunk_release(&chunk);
        return false;
    }
    return send_chunk(http1, chunk) && send_chunk(http1, forward_text(exchange, SLICE("\r\n")));
}

static bool send_end(struct origin *origin)
{
    struct exchange *exchange = origin->exchange;
    return !exchange->upstream_chunked ||
           send_chunk(of_origin(origin), forward_last_chunk(exchange, NULL, 0));
}

static enum backlog backlog(const struct origin *origin)
{
    const struct http1_origin *http1 = (const struct http1_origin *)origin;
    return backlog_of_stream(http1->connection.stream, origin->proxy->options->stream_bytes);
}

static void control_reading(struct origin *origin, enum origin_reading reading)
{
    struct stream *stream = of_origin(origin)->connection.stream;
    if (reading == ORIGIN_PAUSE)
        stream_pause(stream);
    else
        stream_resume(stream);
}

static void leave(struct origin *origin, enum origin_fate fate)
{
    struct http1_origin *http1 = of_origin(origin);
    struct proxy *proxy = origin->proxy;
    struct endpoint *endpoint = origin->endpoint;
    const struct proxy_options *options = proxy->options;
    bool keep = fate == ORIGIN_REUSE && !http1->closing && origin->open && !proxy->draining &&
                http1->connection.stream->queued_bytes == 0 && endpoint->balancer &&
                (options->pool_requests == 0 || http1->request_count < options->pool_requests) &&
                endpoint->idle_count < options->pool_size;
    if (!keep) {
        close_now(http1);
        return;
    }
    origin_resume(origin);
    list_prepend(&endpoint->idle, &http1->node);
    list_append(&proxy->idle_origins, &http1->age_node);
    endpoint->idle_count++;
    endpoint->balancer->idle_count++;
    balancer_connection_freed(endpoint->balancer);
    metric_add(&proxy->shard->metrics, METRIC_UPSTREAM_IDLE, 1);
    origin_limit_time(origin, options->pool_idle_ms);
}

static const struct origin_ops http1_ops = {
    .send_head = send_head,
    .send_body = send_body,
    .send_end = send_end,
    .backlog = backlog,
    .read = control_reading,
    .leave = leave,
};

/* --- events --------------------------------------------------------------------------------------------- */

/* Whose certificate is refused, or who refuses us, is to be seen by whoever runs this. */
static void tell_failure(struct http1_origin *http1, const struct tls_stream *tls)
{
    struct tls_failure failure = tls_stream_failure(tls);
    char line[LINE_BYTES], address[ADDRESS_TEXT_SIZE];
    address_text(&http1->origin.endpoint->address, address);
    snprintf(line, sizeof(line),
             "TLS to an upstream failed server_name=%s address=%s port=%u reason=\"%s\" alert=%s",
             http1->rules->name, address, address_port(&http1->origin.endpoint->address),
             failure.reason ? failure.reason : "unknown",
             failure.alert_received != TLS_ALERT_NONE ? tls_alert_text(failure.alert_received) : "none");
    if (http1->origin.proxy->tell)
        http1->origin.proxy->tell(http1->origin.proxy, line);
}

static void note_handshake(struct http1_origin *http1, enum error error)
{
    struct metrics *metrics = &http1->origin.proxy->shard->metrics;
    const struct tls_stream *tls = http1->connection.tls;
    if (tls == NULL || (error != ERROR_OK && error != ERROR_TLS && error != ERROR_TRUNCATED))
        return;
    metric_add(metrics, error == ERROR_OK ? METRIC_UPSTREAM_TLS : METRIC_UPSTREAM_TLS_FAILED, 1);
    if (error != ERROR_OK)
        tell_failure(http1, tls);
}

static void on_opened(struct stream *stream, enum error error)
{
    struct http1_origin *http1 = of_stream(stream);
    http1->origin.open = error == ERROR_OK;
    note_handshake(http1, error);
    if (http1->origin.exchange)
        exchange_origin_opened(http1->origin.exchange, error);
    else
        close_now(http1);
}

/* Gives one event to the exchange; false: this connection is no longer its upstream, or failed. */
static bool handle(struct http1_origin *http1, enum http1_event event, const struct chunk *chunk,
                   struct slice body)
{
    struct exchange *exchange = http1->origin.exchange;
    int status = exchange->response.status;
    switch (event) {
    case HTTP1_MORE: return false;
    case HTTP1_REFUSED: exchange_origin_failed(exchange, ERROR_PROTOCOL); return false;
    case HTTP1_HEAD:
        if (status < 200)
            exchange_response_interim(exchange);
        else
            exchange_response_head(exchange);
        break;
    case HTTP1_BODY: {
        uint32_t offset = (uint32_t)(body.data - chunk_slice(chunk).data);
        exchange_response_body(exchange, chunk_part(chunk, offset, (uint32_t)body.size));
        break;
    }
    case HTTP1_END:
        if (status >= 200) {
            exchange_response_end(exchange, http1->parser.trailers, http1->parser.trailer_count);
            return false;
        }
        expect_response(http1);
        break;
    }
    return http1->origin.exchange == exchange;
}

static void on_received(struct stream *stream, struct chunk chunk)
{
    struct http1_origin *http1 = of_stream(stream);
    bool unasked = http1->origin.exchange == NULL || !http1->origin.exchange->upstream_sent ||
                   (!http1->origin.head_seen && connection_is_unsent(&http1->connection));
    if (unasked) {
        /* Nothing was asked: a close, or bytes that must not become somebody's answer. */
        chunk_release(&chunk);
        if (http1->origin.exchange)
            exchange_origin_failed(http1->origin.exchange, ERROR_CLOSED);
        else if (!http1->closing)
            close_idle(http1);
        return;
    }
    if (chunk.size == 0) {
        enum http1_event event = http1_parse_eof(&http1->parser);
        if (event == HTTP1_END) {
            http1->origin.open = false; /* of no more use */
            exchange_response_end(http1->origin.exchange, NULL, 0);
        } else {
            exchange_origin_failed(http1->origin.exchange, ERROR_CLOSED);
        }
        return;
    }
    http1->origin.head_seen = true;
    struct slice rest = chunk_slice(&chunk), body;
    bool more = true;
    while (more) {
        size_t consumed = 0;
        enum http1_event event = http1_parse(&http1->parser, rest.data, rest.size, &consumed, &body);
        rest = slice_from(rest, consumed);
        if (event == HTTP1_END && rest.size > 0)
            http1->origin.open =
                http1->origin.exchange->response.status < 200; /* surplus: never used again */
        more = handle(http1, event, &chunk, body);
    }
    chunk_release(&chunk);
}

static void on_writable(struct stream *stream)
{
    struct http1_origin *http1 = of_stream(stream);
    if (http1->origin.exchange)
        exchange_origin_writable(http1->origin.exchange);
}

static void on_failed(struct stream *stream, enum error error)
{
    struct http1_origin *http1 = of_stream(stream);
    if (http1->origin.exchange) {
        exchange_origin_failed(http1->origin.exchange, error);
        return;
    }
    if (!http1->closing)
        leave_pool(http1);
    close_now(http1);
}

static void on_closed(struct stream *stream)
{
    struct http1_origin *http1 = of_stream(stream);
    struct endpoint *endpoint = http1->origin.endpoint;
    CHECK(http1->origin.exchange == NULL);
    endpoint->open_count--;
    if (endpoint->balancer) {
        endpoint->balancer->connections--;
        balancer_connection_freed(endpoint->balancer);
    } else {
        endpoint_release(endpoint);
    }
    http1->origin.proxy->origin_count--;
    metric_add(&http1->origin.proxy->shard->metrics, METRIC_UPSTREAM_ACTIVE, -1);
    connection_deinit(&http1->connection);
    free(http1->rules);
    free(http1);
}

static const struct stream_events connection_events = {
    .opened = on_opened,
    .received = on_received,
    .writable = on_writable,
    .failed = on_failed,
    .closed = on_closed,
};
