/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/answer.h"

#include "config/error_template.h"
#include "net/proxy/style.h"

enum error_format { FORMAT_JSON, FORMAT_HTML, FORMAT_XML, FORMAT_PLAIN, FORMAT_GRPC, FORMAT_COUNT };

static const struct {
    const char *content_type;
    const char *format; /* message, request id */
} formats[FORMAT_COUNT] = {
    [FORMAT_JSON] = { "application/json; charset=utf-8",
                      "{\n  \"message\":\"%.*s\",\n  \"request_id\":\"%.*s\"\n}" },
    [FORMAT_HTML] = { "text/html; charset=utf-8",
                      "<!doctype html>\n<html>\n  <head>\n    <meta charset=\"utf-8\">\n"
                      "    <title>Error</title>\n  </head>\n  <body>\n    <h1>Error</h1>\n"
                      "    <p>%.*s.</p>\n    <p>request_id: %.*s</p>\n  </body>\n</html>\n" },
    [FORMAT_XML] = { "application/xml; charset=utf-8",
                     "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<error>\n  <message>%.*s</message>\n"
                     "  <requestid>%.*s</requestid>\n</error>\n" },
    [FORMAT_PLAIN] = { "text/plain; charset=utf-8", "%.*s\nrequest_id: %.*s\n" },
    [FORMAT_GRPC] = { "application/json; charset=utf-8", "{\"message\":\"%.*s\"}" },
};

/* Media types and the body they get. Names are compared as written: Kong does not fold case. */
static const struct {
    const char *type;
    enum error_format format;
} accepted[] = {
    { "application/json", FORMAT_JSON }, { "application/*", FORMAT_JSON },    { "*/*", FORMAT_JSON },
    { "text/html", FORMAT_HTML },        { "text/plain", FORMAT_PLAIN },      { "text/*", FORMAT_PLAIN },
    { "application/xml", FORMAT_XML },   { "application/grpc", FORMAT_GRPC },
};

static enum error_format format_of(struct slice type, enum error_format otherwise)
{
    for (size_t i = 0; i < COUNT_OF(accepted); i++)
        if (slice_equal(type, slice_of(accepted[i].type)))
            return accepted[i].format;
    return otherwise;
}

/* The q of one element of Accept, in thousandths (RFC 9110 section 12.4.2); 1000 when there is none. */
static int quality_of(struct slice parameters)
{
    while (parameters.data) {
        struct slice rest, one = slice_trim(slice_split(parameters, ';', &rest));
        parameters = rest;
        if (one.size < 3 || slice_lower(one.data[0]) != 'q' || one.data[1] != '=')
            continue;
        int quality = one.data[2] == '1' ? 1000 : 0, unit = 100;
        for (size_t i = 4; i < one.size && i < 7 && one.data[2] == '0'; i++, unit /= 10)
            quality += one.data[i] >= '0' && one.data[i] <= '9' ? (one.data[i] - '0') * unit : 0;
        return quality;
    }
    return 1000;
}

static enum error_format negotiate(struct slice accept)
{
    enum error_format best = FORMAT_COUNT;
    int best_quality = 0;
    while (accept.data) {
        struct slice rest, parameters, one = slice_split(accept, ',', &rest);
        accept = rest;
        struct slice type = slice_trim(slice_split(one, ';', &parameters));
        int quality = quality_of(parameters);
        enum error_format format = format_of(type, FORMAT_COUNT);
        if (format == FORMAT_COUNT || quality <= best_quality)
            continue;
        best = format;
        best_quality = quality;
    }
    return best == FORMAT_COUNT ? FORMAT_JSON : best;
}

static enum error_format choose(const struct exchange *exchange, enum answer_origin origin)
{
    const struct message *request = &exchange->request;
    struct slice accept = message_find(request, HEADER_ACCEPT);
    if (accept.data != NULL)
        return negotiate(accept);
    if (origin == ANSWER_FROM_PLUGIN)
        return FORMAT_JSON;
    struct slice parameters, type = message_find(request, HEADER_CONTENT_TYPE);
    if (type.size == 0)
        return format_of(exchange->proxy->options->default_type, FORMAT_PLAIN);
    if (slice_starts_with(type, SLICE("application/grpc")))
        return FORMAT_GRPC;
    return format_of(slice_trim(slice_split(type, ';', &parameters)), FORMAT_JSON);
}

struct slice answer_message(struct exchange *exchange, int status)
{
    static const struct {
        int status;
        const char *message;
    } messages[] = {
        { 400, "Bad request" },
        { 401, "Unauthorized" },
        { 402, "Payment required" },
        { 403, "Forbidden" },
        { 404, "Not found" },
        { 405, "Method not allowed" },
        { 406, "Not acceptable" },
        { 408, "Request timeout" },
        { 409, "Conflict" },
        { 410, "Gone" },
        { 411, "Length required" },
        { 412, "Precondition failed" },
        { 413, "Payload too large" },
        { 414, "URI too long" },
        { 415, "Unsupported media type" },
        { 416, "Range not satisfiable" },
        { 417, "Expectation failed" },
        { 422, "Unprocessable entity" },
        { 426, "Upgrade required" },
        { 428, "Precondition required" },
        { 429, "Too many requests" },
        { 431, "Request header fields too large" },
        { 500, "An unexpected error occurred" },
        { 501, "Not implemented" },
        { 502, "An invalid response was received from the upstream server" },
        { 503, "The upstream server is currently unavailable" },
        { 504, "The upstream server is timing out" },
        { 505, "HTTP version not supported" },
    };
    for (size_t i = 0; i < COUNT_OF(messages); i++)
        if (messages[i].status == status)
            return slice_of(messages[i].message);
    return arena_format(&exchange->arena, "The upstream server responded with %d", status);
}

/* A message may hold what a plugin was configured with: made safe for the body it goes into. */
static struct slice escaped(struct exchange *exchange, struct slice text, enum error_format format)
{
    size_t at = 0;
    while (at < text.size && text.data[at] != '"' && text.data[at] != '\\' && text.data[at] != '<' &&
           text.data[at] != '&' && (unsigned char)text.data[at] >= 0x20)
        at++;
    char *copy = at == text.size ? NULL : arena_alloc(&exchange->arena, text.size * 6 + 1);
    if (copy == NULL)
        return text;
    bool json = format == FORMAT_JSON || format == FORMAT_GRPC;
    struct writer out = writer_of(copy, text.size * 6 + 1);
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (json && (c == '"' || c == '\\'))
            writer_byte(&out, '\\'), writer_byte(&out, c);
        else if (!json && format != FORMAT_PLAIN && c == '<')
            writer_text(&out, "&lt;");
        else if (!json && format != FORMAT_PLAIN && c == '&')
            writer_text(&out, "&amp;");
        else
            writer_byte(&out, (unsigned char)c < 0x20 ? ' ' : c);
    }
    return (struct slice){ copy, (size_t)(out.next - copy) };
}

/* The operator's body for the format, or nothing. */
static struct slice templated(struct exchange *exchange, enum error_format format, struct slice message)
{
    static const enum error_template_kind kinds[] = {
        [FORMAT_JSON] = ERROR_TEMPLATE_JSON,
        [FORMAT_HTML] = ERROR_TEMPLATE_HTML,
        [FORMAT_XML] = ERROR_TEMPLATE_XML,
        [FORMAT_PLAIN] = ERROR_TEMPLATE_PLAIN,
    };
    const struct error_template *templates = exchange->proxy->options->error_templates;
    if (templates == NULL || format == FORMAT_GRPC || templates[kinds[format]].parts[0].data == NULL)
        return (struct slice){ NULL, 0 };
    const struct slice *parts = templates[kinds[format]].parts;
    return arena_format(&exchange->arena, "%.*s%.*s%.*s%.*s%.*s", SLICE_FORMAT(parts[0]),
                        SLICE_FORMAT(message), SLICE_FORMAT(parts[1]), REQUEST_ID_SIZE, exchange->request_id,
                        SLICE_FORMAT(parts[2]));
}

void answer_error(struct exchange *exchange, int status, struct slice message, enum answer_origin origin)
{
    exchange->reason = message.data ? message : answer_message(exchange, status);
    if (exchange->style != ANSWER_STYLE_KONG) {
        style_answer_error(exchange, status, message);
        return;
    }
    message = exchange->reason;
    enum error_format format = choose(exchange, origin);
    message = escaped(exchange, message, format);
    struct slice id = { exchange->request_id, REQUEST_ID_SIZE };
    exchange->answer.status = status;
    exchange->answer.content_type = slice_of(formats[format].content_type);
    exchange->answer.body = templated(exchange, format, message);
    if (exchange->answer.body.data)
        return;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the formats stand in the table above */
#pragma GCC diagnostic ignored "-Wformat-extra-args"
    exchange->answer.body =
        arena_format(&exchange->arena, formats[format].format, SLICE_FORMAT(message), SLICE_FORMAT(id));
#pragma GCC diagnostic pop
}

/* The text of {"message":"..."}, and of anything else the whole. */
static struct slice message_in(struct slice json)
{
    struct slice text, begin = SLICE("{\"message\":\""), end = SLICE("\"}");
    if (!slice_starts_with(json, begin) || !slice_ends_with(json, end))
        return json;
    text = slice_from(json, begin.size);
    text.size -= end.size;
    return memchr(text.data, '"', text.size) ? json : text;
}

void answer_json(struct exchange *exchange, int status, struct slice json)
{
    if (status >= 400) /* others may hold secrets, tokens for one */
        exchange->reason = message_in(json);
    exchange->answer = (struct answer){ status, SLICE("application/json; charset=utf-8"), json };
}
