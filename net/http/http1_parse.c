/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http/http1_parse.h"

#include "net/http/http1_fields.h"
#include "net/http/http1_plain.h"
#include "net/http/http1_rules.h"
#include "net/http/start_line.h"

enum phase {
    PHASE_START, /* before a message */
    PHASE_HEAD,
    PHASE_LENGTH,
    PHASE_UNTIL_CLOSE,
    PHASE_CHUNKED,
    PHASE_TRAILERS,
    PHASE_END, /* complete, but HTTP1_END not said yet */
    PHASE_DONE,
    PHASE_REFUSED,
};

enum { EMPTY_LINES_MAX = 2, FIRST_TEXT_BYTES = 1024 };

const struct http1_limits http1_default_limits = {
    .head_bytes = 32 * 1024,
    .line_bytes = 16 * 1024,
    .header_fields = 100,
    .target_bytes = 8 * 1024,
    .chunk_extension_bytes = 4 * 1024,
    .trailer_bytes = 8 * 1024,
};

/* --- refusals ------------------------------------------------------------------------------------------- */

static const struct {
    int status;
    const char *text;
} refusals[HTTP1_REFUSAL_COUNT] = {
#define R(id, status, text) [HTTP1_REFUSED_##id] = { status, text },
    HTTP1_REFUSAL_LIST(R)
#undef R
};

int http1_parser_status(const struct http1_parser *parser)
{
    return parser->role == HTTP1_RESPONSE ? 502 : refusals[parser->refusal].status;
}

int http1_refusal_status(enum http1_refusal refusal)
{
    CHECK(refusal < HTTP1_REFUSAL_COUNT);
    return refusals[refusal].status;
}

const char *http1_refusal_text(enum http1_refusal refusal)
{
    CHECK(refusal < HTTP1_REFUSAL_COUNT);
    return refusals[refusal].text;
}

static enum http1_event refuse(struct http1_parser *parser, enum http1_refusal refusal)
{
    parser->refusal = (uint8_t)refusal;
    parser->phase = PHASE_REFUSED;
    return HTTP1_REFUSED;
}

static enum http1_refusal refusal_of_scan(enum http1_scan_result result)
{
    switch (result) {
    case HTTP1_SCAN_LINE_END: return HTTP1_REFUSED_LINE_END;
    case HTTP1_SCAN_FOLDED: return HTTP1_REFUSED_FOLDED;
    case HTTP1_SCAN_CHARACTER: return HTTP1_REFUSED_CHARACTER;
    case HTTP1_SCAN_LINE_LONG: return HTTP1_REFUSED_FIELD_LONG;
    case HTTP1_SCAN_LONG: return HTTP1_REFUSED_HEAD_LONG;
    case HTTP1_SCAN_LINES_MANY: return HTTP1_REFUSED_FIELDS_MANY;
    default: return HTTP1_REFUSED_NONE;
    }
}

/* --- one parser, one message after the other ------------------------------------------------------------ */

void http1_parser_init(struct http1_parser *parser, enum http1_role role, const struct http1_limits *limits)
{
    http1_fields_start();
    *parser = (struct http1_parser){ .limits = limits, .role = (uint8_t)role };
}

void http1_parser_begin(struct http1_parser *parser, struct message *message, struct arena *arena)
{
    *parser = (struct http1_parser){
        .limits = parser->limits, .role = parser->role, .message = message, .arena = arena
    };
    message_init(message, arena);
}

void http1_parser_expect(struct http1_parser *parser, enum http1_answer_to answer_to)
{
    CHECK(parser->role == HTTP1_RESPONSE);
    parser->answer_to = (uint8_t)answer_to;
}

bool http1_parser_is_idle(const struct http1_parser *parser)
{
    return parser->phase == PHASE_START;
}

/* --- lines kept until they are complete ----------------------------------------------------------------- */

/* Appends to the text; it moves when it grows. */
static bool keep(struct http1_parser *parser, const char *data, size_t size)
{
    size_t need = parser->text_bytes + size;
    if (need > parser->text_capacity) {
        size_t capacity = parser->text_bytes == 0 && size >= FIRST_TEXT_BYTES ? size : FIRST_TEXT_BYTES;
        while (capacity < need)
            capacity *= 2;
        char *text = arena_alloc(parser->arena, capacity);
        if (text == NULL)
            return false;
        if (parser->text_bytes)
            memcpy(text, parser->text, parser->text_bytes);
        parser->text = text;
        parser->text_capacity = (uint32_t)capacity;
    }
    if (size)
        memcpy(parser->text + parser->text_bytes, data, size);
    parser->text_bytes = (uint32_t)need;
    return true;
}

/* As keep, but nothing more will follow: whole heads take the room they need and no more. */
static bool keep_last(struct http1_parser *parser, const char *data, size_t size)
{
    if (parser->text_bytes)
        return keep(parser, data, size);
    parser->text = arena_alloc(parser->arena, size + HTTP1_PLAIN_PADDING);
    if (parser->text == NULL)
        return false;
    memcpy(parser->text, data, size);
    parser->text_bytes = (uint32_t)size;
    return true;
}

/* All lines up to the end, or as far as data goes. */
static enum http1_scan_result scan_lines(struct http1_parser *parser, struct slice data, size_t *at)
{
    const struct http1_limits *limits = parser->limits;
    bool head = parser->phase == PHASE_HEAD;
    struct http1_scan_limits bounds = {
        .bytes = (head ? limits->head_bytes : limits->trailer_bytes) - parser->text_bytes,
        .line_bytes = limits->line_bytes,
        .lines = limits->header_fields + head,
    };
    for (;;) {
        enum http1_scan_result result = http1_scan_line(&parser->scan, data, at, &bounds);
        if (parser->first_line_bytes == 0 && head && parser->scan.lines == 1)
            parser->first_line_bytes = (uint32_t)(parser->text_bytes + *at - 2);
        if (result != HTTP1_SCAN_LINE)
            return result;
    }
}

/* --- heads ---------------------------------------------------------------------------------------------- */

/* The first line, or what is there of it, in the kept text. */
static enum http1_refusal judge_first_line(struct http1_parser *parser, struct slice *authority)
{
    enum http1_role role = (enum http1_role)parser->role;
    *authority = (struct slice){ NULL, 0 };
    if (parser->scan.lines == 0)
        return start_line_prefix(parser->message, role, (struct slice){ parser->text, parser->text_bytes });
    struct slice line = { parser->text, parser->first_line_bytes };
    parser->line_judged = true;
    if (role == HTTP1_RESPONSE)
        return start_line_status(parser->message, line);
    return start_line_request(parser->message, line, parser->limits->target_bytes, authority);
}

/* A first line that is too long has no field to blame. */
static enum http1_refusal refusal_in_head(const struct http1_parser *parser, enum http1_scan_result result)
{
    if (parser->scan.lines > 0 || (result != HTTP1_SCAN_LINE_LONG && result != HTTP1_SCAN_LONG))
        return refusal_of_scan(result);
    return parser->role == HTTP1_REQUEST ? HTTP1_REFUSED_TARGET_LONG : HTTP1_REFUSED_STATUS_LINE;
}

/* The head does not end here: more has to come, or the scan found something. The first line is judged before
 * the scan's finding, because its bytes came first; and the bytes are kept first, because a refused message
 * is still looked at for an answer and the log. */
static enum http1_event leave_head(struct http1_parser *parser, struct slice data, size_t at,
                                   enum http1_scan_result result)
{
    struct slice authority;
    bool refused = result != HTTP1_SCAN_MORE;
    if (!keep(parser, data.data, at + (refused && at < data.size)))
        return refuse(parser, HTTP1_REFUSED_MEMORY);
    enum http1_refusal refusal = HTTP1_REFUSED_NONE;
    if (!parser->line_judged || refused)
        refusal = judge_first_line(parser, &authority);
    if (refusal == HTTP1_REFUSED_NONE)
        refusal = refusal_in_head(parser, result);
    return refusal == HTTP1_REFUSED_NONE ? HTTP1_MORE : refuse(parser, refusal);
}

/* The head is in the text as a whole; plain: NULL if it was not found to be. */
static enum http1_refusal judge_head(struct http1_parser *parser, const struct http1_plain *plain)
{
    struct slice authority;
    enum http1_refusal refusal = judge_first_line(parser, &authority);
    if (refusal != HTTP1_REFUSED_NONE)
        return refusal;
    struct slice text = { parser->text, parser->text_bytes };
    struct message *message = parser->message;
    if (plain == NULL || !http1_plain_fields(message, parser->text, plain))
        refusal = http1_fields_head(message, slice_from(text, parser->first_line_bytes + 2),
                                    parser->scan.lines - 1);
    if (refusal != HTTP1_REFUSED_NONE)
        return refusal;
    if (parser->role == HTTP1_REQUEST)
        return http1_rules_request(message, authority);
    return http1_rules_response(message, (enum http1_answer_to)parser->answer_to);
}

static enum phase phase_of_body(const struct message *message)
{
    switch (message->framing) {
    case BODY_LENGTH: return message->body_bytes ? PHASE_LENGTH : PHASE_END;
    case BODY_CHUNKED: return PHASE_CHUNKED;
    case BODY_UNTIL_CLOSE: return PHASE_UNTIL_CLOSE;
    default: return PHASE_END;
    }
}

static void forget_text(struct http1_parser *parser)
{
    parser->text = NULL;
    parser->text_bytes = parser->text_capacity = 0;
    parser->scan = (struct http1_scan){ 0 };
}

static enum http1_event parse_head(struct http1_parser *parser, struct slice data, size_t *at)
{
    struct slice rest = slice_from(data, *at);
    struct http1_plain plain;
    size_t taken = 0;
    bool is_plain = parser->scan.lines == 0 && parser->scan.line_bytes == 0 && parser->scan.state == 0 &&
                    http1_plain_find(rest, parser->limits, &plain);
    if (is_plain) {
        taken = plain.size;
        parser->scan.lines = plain.line_count;
        parser->first_line_bytes = plain.ends[0];
    } else {
        enum http1_scan_result result = scan_lines(parser, rest, &taken);
        if (result != HTTP1_SCAN_END) {
            *at += taken;
            return leave_head(parser, rest, taken, result);
        }
    }
    *at += taken;
    if (!keep_last(parser, rest.data, taken))
        return refuse(parser, HTTP1_REFUSED_MEMORY);
    enum http1_refusal refusal = judge_head(parser, is_plain ? &plain : NULL);
    if (refusal != HTTP1_REFUSED_NONE)
        return refuse(parser, refusal);
    parser->phase = (uint8_t)phase_of_body(parser->message);
    parser->body_left = parser->message->body_bytes;
    forget_text(parser);
    return HTTP1_HEAD;
}

/* Empty lines in front of a request (RFC 9112 section 2.2). HTTP1_HEAD: it begins at *at. */
static enum http1_event parse_start(struct http1_parser *parser, struct slice data, size_t *at)
{
    for (; *at < data.size; ++*at) {
        char c = data.data[*at];
        if (parser->after_cr ? c != '\n' : c == '\n')
            return refuse(parser, HTTP1_REFUSED_LINE_END);
        if (!parser->after_cr && (c != '\r' || parser->role == HTTP1_RESPONSE)) {
            parser->phase = PHASE_HEAD;
            return HTTP1_HEAD;
        }
        if (c == '\r' && parser->empty_lines++ == EMPTY_LINES_MAX)
            return refuse(parser, HTTP1_REFUSED_EMPTY_LINES);
        parser->after_cr = c == '\r';
    }
    return HTTP1_MORE;
}

/* --- bodies --------------------------------------------------------------------------------------------- */

static enum http1_event parse_length(struct http1_parser *parser, struct slice data, size_t *at,
                                     struct slice *body)
{
    size_t size = data.size - *at;
    if (size == 0)
        return HTTP1_MORE;
    if (size > parser->body_left)
        size = (size_t)parser->body_left;
    *body = (struct slice){ data.data + *at, size };
    *at += size;
    parser->body_left -= size;
    if (parser->body_left == 0)
        parser->phase = PHASE_END;
    return HTTP1_BODY;
}

static enum http1_event parse_until_close(struct slice data, size_t *at, struct slice *body)
{
    if (*at == data.size)
        return HTTP1_MORE;
    *body = slice_from(data, *at);
    *at = data.size;
    return HTTP1_BODY;
}

static enum http1_event finish(struct http1_parser *parser)
{
    parser->phase = PHASE_DONE;
    return HTTP1_END;
}

static enum http1_event parse_trailers(struct http1_parser *parser, struct slice data, size_t *at)
{
    struct slice rest = slice_from(data, *at);
    size_t taken = 0;
    enum http1_scan_result result = scan_lines(parser, rest, &taken);
    *at += taken;
    if (result == HTTP1_SCAN_MORE)
        return keep(parser, rest.data, taken) ? HTTP1_MORE : refuse(parser, HTTP1_REFUSED_MEMORY);
    if (result != HTTP1_SCAN_END)
        return refuse(parser, refusal_of_scan(result));
    if (parser->scan.lines == 0)
        return finish(parser);
    if (!keep_last(parser, rest.data, taken))
        return refuse(parser, HTTP1_REFUSED_MEMORY);
    struct message trailers;
    message_init(&trailers, parser->arena);
    struct slice text = { parser->text, parser->text_bytes };
    enum http1_refusal refusal = http1_fields_trailers(&trailers, text);
    if (refusal != HTTP1_REFUSED_NONE)
        return refuse(parser, refusal);
    parser->trailers = trailers.headers;
    parser->trailer_count = trailers.header_count;
    return finish(parser);
}

static enum http1_event parse_chunked(struct http1_parser *parser, struct slice data, size_t *at,
                                      struct slice *body)
{
    switch (chunked_read(&parser->chunked, data, at, parser->limits->chunk_extension_bytes, body)) {
    case CHUNKED_MORE: return HTTP1_MORE;
    case CHUNKED_DATA: return HTTP1_BODY;
    case CHUNKED_BAD_SIZE: return refuse(parser, HTTP1_REFUSED_CHUNK_SIZE);
    case CHUNKED_BAD_EXTENSION: return refuse(parser, HTTP1_REFUSED_CHUNK_EXTENSION);
    case CHUNKED_BAD_END: return refuse(parser, HTTP1_REFUSED_CHUNK_END);
    case CHUNKED_LAST: break;
    }
    parser->phase = PHASE_TRAILERS;
    return parse_trailers(parser, data, at);
}

/* --- the interface -------------------------------------------------------------------------------------- */

enum http1_event http1_parse(struct http1_parser *parser, const char *data, size_t size, size_t *consumed,
                             struct slice *body)
{
    struct slice bytes = { data, size };
    *consumed = 0;
    *body = (struct slice){ NULL, 0 };
    CHECK(parser->message != NULL);
    switch ((enum phase)parser->phase) {
    case PHASE_START: {
        enum http1_event event = parse_start(parser, bytes, consumed);
        return event == HTTP1_HEAD ? parse_head(parser, bytes, consumed) : event;
    }
    case PHASE_HEAD: return parse_head(parser, bytes, consumed);
    case PHASE_LENGTH: return parse_length(parser, bytes, consumed, body);
    case PHASE_UNTIL_CLOSE: return parse_until_close(bytes, consumed, body);
    case PHASE_CHUNKED: return parse_chunked(parser, bytes, consumed, body);
    case PHASE_TRAILERS: return parse_trailers(parser, bytes, consumed);
    case PHASE_END: return finish(parser);
    case PHASE_REFUSED: return HTTP1_REFUSED;
    case PHASE_DONE: break;
    }
    CHECK(parser->phase != PHASE_DONE); /* http1_parser_begin was forgotten */
    return HTTP1_REFUSED;
}

enum http1_event http1_parse_eof(struct http1_parser *parser)
{
    switch ((enum phase)parser->phase) {
    case PHASE_START:
    case PHASE_DONE: return HTTP1_MORE;
    case PHASE_UNTIL_CLOSE:
    case PHASE_END: return finish(parser);
    case PHASE_REFUSED: return HTTP1_REFUSED;
    default: return refuse(parser, HTTP1_REFUSED_TRUNCATED);
    }
}
