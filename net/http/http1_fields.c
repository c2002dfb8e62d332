/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http/http1_fields.h"

#include <llhttp.h>
#include <pthread.h>

#include "net/http/token.h"

struct reader {
    struct message *message;
    bool complete;
    bool bad;
};

/* --- llhttp --------------------------------------------------------------------------------------------- */

static int on_name(llhttp_t *llhttp, const char *at, size_t size)
{
    struct reader *reader = llhttp->data;
    struct slice name = { at, size };
    enum header_id id = message_header_id(name);
    /* The scan has seen to it that a line stands around this name. */
    if (at[-1] != '\n' || at[size] != ':' || (id == HEADER_OTHER && !token_is(name)))
        reader->bad = true;
    struct message *message = reader->message;
    if (reader->bad || message->header_count == message->header_capacity) {
        reader->bad = true;
        return HPE_USER;
    }
    /* There is room: nothing is allocated. */
    return message_add_id(message, id, name, (struct slice){ at + size + 1, 0 }) ? 0 : HPE_USER;
}

static struct slice trim_end(struct slice value)
{
    while (value.size > 0 && (value.data[value.size - 1] == ' ' || value.data[value.size - 1] == '\t'))
        value.size--;
    return value;
}

static int on_value(llhttp_t *llhttp, const char *at, size_t size)
{
    struct reader *reader = llhttp->data;
    struct message *message = reader->message;
    struct header *header = &message->headers[message->header_count - 1];
    if (header->value.size != 0) {
        reader->bad = true; /* one line has one value */
        return HPE_USER;
    }
    if (size != 0)
        header->value = trim_end((struct slice){ at, size });
    return 0;
}

static int on_complete(llhttp_t *llhttp)
{
    struct reader *reader = llhttp->data;
    reader->complete = true;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_header_field = on_name,
    .on_header_value = on_value,
    .on_headers_complete = on_complete,
};

/* llhttp behind a first line: start lines are judged elsewhere, and better. Written once, by
 * http1_fields_start. */
static llhttp_t behind_first_line;

static void prepare(void)
{
    static const char line[] = "POST / HTTP/1.1\r\n";
    llhttp_init(&behind_first_line, HTTP_REQUEST, &settings);
    CHECK(llhttp_execute(&behind_first_line, line, sizeof(line) - 1) == HPE_OK);
}

void http1_fields_start(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    CHECK(pthread_once(&once, prepare) == 0);
}

static enum http1_refusal refusal_of(llhttp_errno_t error)
{
    switch (error) {
    case HPE_INVALID_CONTENT_LENGTH: return HTTP1_REFUSED_LENGTH;
    case HPE_UNEXPECTED_CONTENT_LENGTH: return HTTP1_REFUSED_LENGTH_TWICE;
    case HPE_INVALID_TRANSFER_ENCODING: return HTTP1_REFUSED_CODING;
    default: return HTTP1_REFUSED_FIELD;
    }
}

enum http1_refusal http1_fields_head(struct message *message, struct slice text, uint32_t lines)
{
    uint32_t capacity = lines + HTTP1_SPARE_HEADERS;
    message->headers = arena_alloc(message->arena, capacity * sizeof(struct header));
    if (message->headers == NULL)
        return HTTP1_REFUSED_MEMORY;
    message->header_capacity = capacity;
    struct reader reader = { .message = message };
    llhttp_t llhttp = behind_first_line;
    llhttp.data = &reader;
    llhttp_errno_t error = llhttp_execute(&llhttp, text.data, text.size);
    if (reader.bad)
        return HTTP1_REFUSED_FIELD;
    if (error != HPE_PAUSED || !reader.complete)
        return refusal_of(error);
    return message->header_count == lines ? HTTP1_REFUSED_NONE : HTTP1_REFUSED_FIELD;
}

/* --- trailers ------------------------------------------------------------------------------------------- */

/* Fields that steer framing, routing, authentication or how the message is handled. All names with an id are
 * of these kinds, or make no sense behind a body. */
bool http1_fields_may_trail(struct slice name)
{
    static const struct slice names[] = {
        { "age", 3 },
        { "cache-control", 13 },
        { "content-encoding", 16 },
        { "content-range", 13 },
        { "expires", 7 },
        { "location", 8 },
        { "max-forwards", 12 },
        { "pragma", 6 },
        { "proxy-authenticate", 18 },
        { "proxy-authorization", 19 },
        { "range", 5 },
        { "retry-after", 11 },
        { "set-cookie", 10 },
        { "vary", 4 },
        { "warning", 7 },
        { "www-authenticate", 16 },
    };
    static const struct slice prefixes[] = {
        { "if-", 3 },           { "x-consumer-", 11 }, { "x-credential-", 13 },
        { "x-forwarded-", 12 }, { "x-kong-", 7 },
    };
    if (message_header_id(name) != HEADER_OTHER)
        return false;
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (slice_equal_nocase(name, names[i]))
            return false;
    for (size_t i = 0; i < COUNT_OF(prefixes); i++)
        if (name.size >= prefixes[i].size &&
            slice_equal_nocase((struct slice){ name.data, prefixes[i].size }, prefixes[i]))
            return false;
    return true;
}

enum http1_refusal http1_fields_trailers(struct message *message, struct slice text)
{
    while (text.size > 2) {
        struct slice rest;
        struct slice line = slice_split(text, '\n', &rest);
        CHECK(rest.data != NULL); /* scanned: each line ends in CRLF */
        line.size--;
        struct slice value, name = slice_split(line, ':', &value);
        if (value.data == NULL || !token_is(name))
            return HTTP1_REFUSED_FIELD;
        if (http1_fields_may_trail(name) && !message_add_id(message, HEADER_OTHER, name, slice_trim(value)))
            return HTTP1_REFUSED_MEMORY;
        text = rest;
    }
    return HTTP1_REFUSED_NONE;
}
