/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/style.h"

#include "config/action.h"

enum { UUID_SIZE = 36, AWS_ID_BYTES = 11, AWS_ID_SIZE = 16 };

/* --- what both need ------------------------------------------------------------------------------------- */

/* The request's id in the form of a random UUID (RFC 9562 section 5.4). */
static void write_uuid(const struct exchange *exchange, struct writer *out)
{
    const char *id = exchange->request_id;
    char text[UUID_SIZE];
    for (unsigned i = 0, from = 0; i < UUID_SIZE; i++)
        text[i] = i == 8 || i == 13 || i == 18 || i == 23 ? '-' : id[from++];
    text[14] = '4';
    text[19] = "89ab"[text[19] & 3];
    writer_header(out, SLICE("x-request-id"), (struct slice){ text, UUID_SIZE });
}

static bool begins_nocase(struct slice name, struct slice with)
{
    return name.size >= with.size && slice_equal_nocase((struct slice){ name.data, with.size }, with);
}

static uint64_t upstream_ms(const struct exchange *exchange)
{
    return exchange->upstream_head_ns ? (exchange->upstream_head_ns - exchange->upstream_start_ns) / 1000000u
                                      : 0;
}

/* --- Envoy ---------------------------------------------------------------------------------------------- */

/* Whose X-Forwarded-For would be believed: addresses of private networks (RFC 1918, RFC 4193) and
 * loopback. */
static bool is_internal(const struct exchange *exchange)
{
    static const char *const ranges[] = { "10.", "127.", "192.168.", "::1", "fc", "fd" };
    struct slice ip = exchange->client_ip;
    uint64_t second;
    for (size_t i = 0; i < COUNT_OF(ranges); i++)
        if (slice_starts_with(ip, slice_of(ranges[i])))
            return true;
    struct slice rest, part = slice_starts_with(ip, SLICE("172."))
                                  ? slice_split(slice_from(ip, 4), '.', &rest)
                                  : (struct slice){ NULL, 0 };
    return part.data && slice_to_u64(part, &second) && second >= 16 && second <= 31;
}

static void write_forwarded_for(const struct exchange *exchange, struct writer *out)
{
    const struct message *request = &exchange->request;
    writer_text(out, "x-forwarded-for: ");
    for (uint32_t i = 0; i < request->header_count; i++) {
        if (request->headers[i].id != HEADER_X_FORWARDED_FOR || request->headers[i].name.data == NULL)
            continue;
        writer_slice(out, request->headers[i].value);
        writer_byte(out, ',');
    }
    writer_slice(out, exchange->peer_ip);
    writer_text(out, "\r\n");
}

static void envoy_write_request(const struct exchange *exchange, struct writer *out)
{
    const struct action *action = exchange->match.route->action;
    struct slice scheme = exchange->tls ? SLICE("https") : SLICE("http");
    if (exchange->trust == PEER_TRUSTED && message_has(&exchange->request, HEADER_X_FORWARDED_PROTO))
        scheme = message_find(&exchange->request, HEADER_X_FORWARDED_PROTO);
    write_forwarded_for(exchange, out);
    writer_header(out, SLICE("x-forwarded-proto"), scheme);
    if (is_internal(exchange))
        writer_text(out, "x-envoy-internal: true\r\n");
    else
        writer_header(out, SLICE("x-envoy-external-address"), exchange->client_ip);
    write_uuid(exchange, out);
    if (action && action->timeout_ms > 0)
        writer_header_u64(out, SLICE("x-envoy-expected-rq-timeout-ms"), (uint64_t)action->timeout_ms);
    if (action && action->path.kind != PATH_EDIT_KEEP && action->path.kind != PATH_EDIT_JOIN)
        writer_header(out, SLICE("x-envoy-original-path"), exchange->request.origin_form);
}

/* What stands behind Envoy's "reset reason: ". */
static const char *reset_reason(enum error error)
{
    switch (error) {
    case ERROR_REFUSED:
    case ERROR_NAME:
    case ERROR_KERNEL: return "connection failure";
    case ERROR_TIMEOUT: return "connection timeout";
    case ERROR_PROTOCOL: return "protocol error";
    case ERROR_LIMIT: return "overflow";
    default: return "connection termination";
    }
}

static void envoy_answer_error(struct exchange *exchange, int status, struct slice message)
{
    struct slice body = SLICE("");
    bool waited = exchange->upstream_sent;
    if (status == 504 && (waited || exchange->deadline_passed)) {
        body = SLICE("upstream request timeout");
    } else if (status >= 502 && status <= 504 && exchange->tries > 0) {
        status = exchange->failure == ERROR_PROTOCOL ? 502 : 503;
        body = arena_format(&exchange->arena,
                            "upstream connect error or disconnect/reset before headers. reset reason: %s",
                            reset_reason(exchange->failure));
    } else if (status == 503 && slice_starts_with(message, SLICE("the upstream has too many"))) {
        body = SLICE("upstream connect error or disconnect/reset before headers. reset reason: overflow");
        (void)!exchange_set_response_header(exchange, SLICE("x-envoy-overloaded"), SLICE("true"));
    } else if (status == 503 && message.data) {
        body = SLICE("no healthy upstream");
    } else if (status == 413) {
        body = SLICE("Payload Too Large");
    } else if (status == 408) {
        body = SLICE("request timeout");
    } else if (status != 404 && status != 400 && message.data) {
        body = message;
    }
    exchange->answer = (struct answer){ status, body.size ? SLICE("text/plain") : SLICE(""), body };
}

/* --- AWS ------------------------------------------------------------------------------------------------ */

static uint8_t hex_byte(const char *text)
{
    return (uint8_t)((unsigned)slice_hex_value(text[0]) << 4 | (unsigned)slice_hex_value(text[1]));
}

/* 16 characters of base64url with the padding at their end, like "JJDhXj8UoAMEPHg=". */
static void aws_write_id(const struct exchange *exchange, struct writer *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint8_t bytes[AWS_ID_BYTES + 1] = { 0 };
    char text[AWS_ID_SIZE];
    for (unsigned i = 0; i < AWS_ID_BYTES; i++)
        bytes[i] = hex_byte(exchange->request_id + (size_t)2 * i);
    for (unsigned i = 0; i < AWS_ID_SIZE; i++) {
        const uint8_t *group = bytes + (size_t)i / 4 * 3;
        uint32_t word = (uint32_t)group[0] << 16 | (uint32_t)group[1] << 8 | group[2];
        text[i] = digits[word >> (18 - 6 * (i % 4)) & 63];
    }
    text[AWS_ID_SIZE - 1] = '=';
    writer_header(out, SLICE("apigw-requestid"), (struct slice){ text, AWS_ID_SIZE });
}

static void aws_write_request(const struct exchange *exchange, struct writer *out)
{
    writer_text(out, "forwarded: for=");
    bool six = memchr(exchange->client_ip.data, ':', exchange->client_ip.size) != NULL;
    if (six)
        writer_text(out, "\"[");
    writer_slice(out, exchange->client_ip);
    if (six)
        writer_text(out, "]\"");
    writer_text(out, ";host=\"");
    writer_slice(out, message_find(&exchange->request, HEADER_HOST));
    writer_text(out, "\";proto=");
    writer_slice(out, exchange->tls ? SLICE("https") : SLICE("http"));
    writer_text(out, "\r\nvia: HTTP/1.1 AmazonAPIGateway\r\n");
}

static void aws_answer_error(struct exchange *exchange, int status)
{
    static const struct {
        int status;
        const char *body;
    } bodies[] = {
        { 400, "{\"message\":\"Bad Request\"}" },
        { 401, "{\"message\":\"Unauthorized\"}" },
        { 403, "{\"message\":\"Forbidden\"}" },
        { 404, "{\"message\":\"Not Found\"}" },
        { 405, "{\"message\":\"Method Not Allowed\"}" },
        { 408, "{\"message\":\"Request Timeout\"}" },
        { 413, "{\"message\":\"Request Entity Too Large\"}" },
        { 414, "{\"message\":\"URI Too Long\"}" },
        { 429, "{\"message\":\"Too Many Requests\"}" },
        { 431, "{\"message\":\"Request Header Fields Too Large\"}" },
        { 500, "{\"message\":\"Internal Server Error\"}" },
        { 503, "{\"message\":\"Service Unavailable\"}" },
    };
    if (status == 502 || status == 504)
        status = 503;
    struct slice body = SLICE("{\"message\":null}");
    for (size_t i = 0; i < COUNT_OF(bodies); i++)
        if (bodies[i].status == status)
            body = slice_of(bodies[i].body);
    exchange->answer = (struct answer){ status, SLICE("application/json"), body };
}

/* --- by style ------------------------------------------------------------------------------------------- */

bool style_drops_request_field(const struct exchange *exchange, const struct header *header)
{
    if (header->id == HEADER_X_FORWARDED_FOR || header->id == HEADER_X_FORWARDED_PROTO)
        return true;
    if (exchange->style == ANSWER_STYLE_AWS)
        return header->id == HEADER_FORWARDED || header->id == HEADER_VIA ||
               header->id == HEADER_X_FORWARDED_HOST || header->id == HEADER_X_FORWARDED_PORT ||
               header->id == HEADER_X_REAL_IP;
    return header->id == HEADER_OTHER && slice_lower(header->name.data[0]) == 'x' &&
           (begins_nocase(header->name, SLICE("x-envoy-")) ||
            slice_equal_nocase(header->name, SLICE("x-request-id")));
}

void style_write_request(struct exchange *exchange, struct writer *out)
{
    if (exchange->style == ANSWER_STYLE_AWS)
        aws_write_request(exchange, out);
    else
        envoy_write_request(exchange, out);
}

bool style_drops_response_field(const struct exchange *exchange, const struct header *header)
{
    if (exchange->style == ANSWER_STYLE_AWS)
        return header->id == HEADER_OTHER && slice_equal_nocase(header->name, SLICE("apigw-requestid"));
    return header->id == HEADER_SERVER ||
           (header->id == HEADER_OTHER && begins_nocase(header->name, SLICE("x-envoy-")));
}

void style_write_response(struct exchange *exchange, enum style_response kind, struct writer *out)
{
    if (exchange->style == ANSWER_STYLE_AWS) {
        aws_write_id(exchange, out);
        return;
    }
    if (exchange->proxy->options->headers & PROXY_HEADER_SERVER)
        writer_header(out, SLICE("server"), SLICE("sluice/" SLUICE_VERSION));
    if (kind == STYLE_PROXIED)
        writer_header_u64(out, SLICE("x-envoy-upstream-service-time"), upstream_ms(exchange));
}

void style_answer_error(struct exchange *exchange, int status, struct slice message)
{
    if (exchange->style == ANSWER_STYLE_AWS)
        aws_answer_error(exchange, status);
    else
        envoy_answer_error(exchange, status, message);
}
