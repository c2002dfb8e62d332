/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP/1 parser: bytes in, one event per call out; no I/O. It belongs to its connection (one shard) and
 * keeps nothing of the caller's bytes: a head is copied once, into the arena of its message. The start line,
 * line ends, characters, limits, framing and chunks are judged here; field lines go through llhttp and what
 * it found is checked again. Refusals depend on the bytes alone, not on how they were cut into pieces. */
#pragma once

#include "net/http/chunked.h"
#include "net/http/http1_scan.h"
#include "net/http/message.h"

enum http1_role { HTTP1_REQUEST, HTTP1_RESPONSE };

enum http1_event {
    HTTP1_MORE,    /* all of data consumed, needs more */
    HTTP1_HEAD,    /* the message is filled in */
    HTTP1_BODY,    /* *body is a part of data */
    HTTP1_END,     /* the message is complete, parser->trailers included */
    HTTP1_REFUSED, /* see parser->refusal; the message holds what was understood until then */
};

/* id, status for a request, text. For a response each of them is a 502. */
#define HTTP1_REFUSAL_LIST(R)                                         \
    R(NONE, 0, "not refused")                                         \
    R(EMPTY_LINES, 400, "too many empty lines before the request")    \
    R(METHOD, 400, "invalid method")                                  \
    R(METHOD_FORBIDDEN, 405, "method not served")                     \
    R(TARGET, 400, "invalid request target")                          \
    R(TARGET_LONG, 414, "request target too long")                    \
    R(VERSION, 400, "invalid HTTP version")                           \
    R(VERSION_UNSUPPORTED, 505, "HTTP version not supported")         \
    R(STATUS_LINE, 400, "invalid status line")                        \
    R(LINE_END, 400, "CR or LF alone")                                \
    R(CHARACTER, 400, "control character in a header field")          \
    R(FOLDED, 400, "folded header field")                             \
    R(FIELD, 400, "malformed header field")                           \
    R(FIELD_LONG, 431, "header field too long")                       \
    R(FIELDS_MANY, 431, "too many header fields")                     \
    R(HEAD_LONG, 431, "header too long")                              \
    R(HOST_MISSING, 400, "no Host")                                   \
    R(HOST_TWICE, 400, "more than one Host")                          \
    R(HOST, 400, "invalid Host")                                      \
    R(AUTHORIZATION_TWICE, 400, "more than one Authorization")        \
    R(LENGTH, 400, "invalid Content-Length")                          \
    R(LENGTH_TWICE, 400, "more than one Content-Length")              \
    R(LENGTH_AND_CODING, 400, "Content-Length and Transfer-Encoding") \
    R(CODING, 400, "invalid Transfer-Encoding")                       \
    R(CODING_UNKNOWN, 501, "unknown transfer coding")                 \
    R(CODING_VERSION, 400, "Transfer-Encoding in HTTP/1.0")           \
    R(EXPECTATION, 417, "unknown expectation")                        \
    R(CHUNK_SIZE, 400, "invalid chunk size")                          \
    R(CHUNK_EXTENSION, 400, "invalid or too long chunk extension")    \
    R(CHUNK_END, 400, "chunk longer than its size")                   \
    R(TRUNCATED, 400, "ends in the middle of a message")              \
    R(MEMORY, 503, "no memory for a message")

enum http1_refusal {
#define R(id, status, text) HTTP1_REFUSED_##id,
    HTTP1_REFUSAL_LIST(R)
#undef R
        HTTP1_REFUSAL_COUNT
};

struct http1_limits {
    uint32_t head_bytes; /* start line and fields with their line ends */
    uint32_t line_bytes; /* each of these lines without its CRLF; 431, or 414 for the first */
    uint32_t header_fields; /* also for trailers, counted apart */
    uint32_t target_bytes; /* 414 */
    uint32_t chunk_extension_bytes; /* all of a message */
    uint32_t trailer_bytes;
};

/* 32 KiB, 16 KiB, 100, 8 KiB, 4 KiB, 8 KiB. */
extern const struct http1_limits http1_default_limits;

/* What the request was, as far as it decides how the response is framed. */
enum http1_answer_to { HTTP1_TO_ANY, HTTP1_TO_HEAD };

/* All but `refusal` and the trailers are the parser's own. */
struct http1_parser {
    const struct http1_limits *limits;
    struct message *message;
    struct arena *arena;
    char *text; /* in the arena: a head (or trailers), as much of it as is there */
    uint32_t text_bytes, text_capacity;
    struct http1_scan scan;
    uint32_t first_line_bytes; /* of the head */
    struct header *trailers; /* after HTTP1_END: in the arena; those that must not be trailers are dropped */
    uint32_t trailer_count;
    uint8_t role, phase, answer_to, empty_lines;
    uint64_t body_left; /* with BODY_LENGTH */
    struct chunked chunked;
    uint8_t refusal; /* enum http1_refusal */
    bool after_cr, line_judged;
};

_Static_assert(sizeof(struct http1_parser) <= 128, "a parser sits in every idle connection");

/* limits must outlive the parser. */
void http1_parser_init(struct http1_parser *parser, enum http1_role role, const struct http1_limits *limits);

/* Before the first byte of each message, 1xx responses included: where its head goes. Initialises *message;
 * it and the arena stay the caller's. May be called late, when bytes are there. */
void http1_parser_begin(struct http1_parser *parser, struct message *message, struct arena *arena);

/* After begin, responses only; HTTP1_TO_ANY otherwise. */
void http1_parser_expect(struct http1_parser *parser, enum http1_answer_to answer_to);

/* Takes data from its beginning; *consumed says how much, *body is set with HTTP1_BODY (never empty). Call
 * again with the rest, even when nothing is left, until HTTP1_MORE; after HTTP1_END begin the next message
 * first. HTTP1_HEAD always comes apart from what follows, and a message without a body (1xx too) still has
 * its HTTP1_END. */
enum http1_event http1_parse(struct http1_parser *parser, const char *data, size_t size, size_t *consumed,
                             struct slice *body) MUST_CHECK;

/* The peer has finished sending: HTTP1_END completes a BODY_UNTIL_CLOSE, HTTP1_MORE means that no message was
 * under way, anything else is HTTP1_REFUSED_TRUNCATED. */
enum http1_event http1_parse_eof(struct http1_parser *parser) MUST_CHECK;

/* No byte of a message seen since begin or init (empty lines in front of one do not count). */
bool http1_parser_is_idle(const struct http1_parser *parser);

/* Status and reason of a refusal, for an answer and the log. */
int http1_parser_status(const struct http1_parser *parser);
int http1_refusal_status(enum http1_refusal refusal); /* for a request */
const char *http1_refusal_text(enum http1_refusal refusal);
