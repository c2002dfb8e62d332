/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/wire.h"

#include <string.h>
#include <strings.h>
#include <time.h>

uint64_t wire_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static bool name_is(const char *line, size_t size, const char *name, size_t name_bytes)
{
    return size > name_bytes && line[name_bytes] == ':' && strncasecmp(line, name, name_bytes) == 0;
}

static bool value_contains(const char *value, size_t size, const char *word)
{
    size_t word_bytes = strlen(word);
    for (size_t i = 0; i + word_bytes <= size; i++)
        if (strncasecmp(value + i, word, word_bytes) == 0)
            return true;
    return false;
}

static int read_length(const char *value, size_t size, uint64_t *length)
{
    uint64_t number = 0;
    size_t digits = 0;
    for (size_t i = 0; i < size; i++) {
        if (value[i] == ' ' || value[i] == '\r')
            continue;
        if (value[i] < '0' || value[i] > '9' || digits++ > 17)
            return -1;
        number = number * 10 + (uint64_t)(value[i] - '0');
    }
    *length = number;
    return digits > 0 ? 0 : -1;
}

/* Only framing and connection fields matter; both start with C or T. */
static int read_field(const char *line, size_t size, struct wire_head *head)
{
    char first = (char)(line[0] | 0x20);
    if (first != 'c' && first != 't')
        return 0;
    if (name_is(line, size, "content-length", 14)) {
        if (!head->has_framing)
            head->framing = WIRE_LENGTH;
        head->has_framing = true;
        return read_length(line + 15, size - 15, &head->length);
    }
    if (name_is(line, size, "transfer-encoding", 17)) {
        head->framing = WIRE_CHUNKED;
        head->has_framing = true;
        return value_contains(line + 18, size - 18, "chunked") ? 0 : -1;
    }
    if (name_is(line, size, "connection", 10) && value_contains(line + 11, size - 11, "close"))
        head->close = true;
    return 0;
}

int wire_head_read(const char *data, size_t size, struct wire_head *head)
{
    *head = (struct wire_head){ .framing = WIRE_EMPTY };
    size_t at = 0;
    for (;;) {
        const char *line = data + at;
        const char *end = size > at ? memchr(line, '\n', size - at) : NULL;
        if (end == NULL)
            return 0;
        size_t line_bytes = (size_t)(end - line);
        at += line_bytes + 1;
        if (line_bytes > 0 && line[line_bytes - 1] == '\r')
            line_bytes--;
        if (head->start_line == NULL) {
            head->start_line = line;
            head->start_line_bytes = line_bytes;
            if (line_bytes < 12)
                return -1;
        } else if (line_bytes == 0) {
            head->size_bytes = at;
            return 1;
        } else if (read_field(line, line_bytes, head) != 0) {
            return -1;
        }
    }
}

unsigned wire_head_status(const struct wire_head *head)
{
    const char *line = head->start_line;
    if (head->start_line_bytes < 12 || memcmp(line, "HTTP/1.", 7) != 0 || line[8] != ' ')
        return 0;
    unsigned status = 0;
    for (size_t i = 9; i < 12; i++) {
        if (line[i] < '0' || line[i] > '9')
            return 0;
        status = status * 10 + (unsigned)(line[i] - '0');
    }
    return status >= 100 ? status : 0;
}

void wire_body_begin(struct wire_body *body, enum wire_framing framing, uint64_t length)
{
    *body = (struct wire_body){ .framing = framing, .step = WIRE_CHUNK_SIZE };
    if (framing == WIRE_LENGTH)
        body->remaining = length;
    body->done = framing == WIRE_EMPTY || (framing == WIRE_LENGTH && length == 0);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One byte of chunk framing. 0 = fine, -1 = bad. */
static int chunk_byte(struct wire_body *body, char c)
{
    switch (body->step) {
    case WIRE_CHUNK_SIZE:
        if (hex_digit(c) >= 0) {
            if (body->remaining >> 56 != 0)
                return -1;
            body->remaining = body->remaining * 16 + (uint64_t)hex_digit(c);
            return 0;
        }
        if (c != '\r' && c != '\n' && c != ';' && c != ' ')
            return -1;
        body->step = WIRE_CHUNK_EXTENSION;
        return c == '\n' ? chunk_byte(body, c) : 0;
    case WIRE_CHUNK_EXTENSION:
        if (c == '\n')
            body->step = body->remaining > 0 ? WIRE_CHUNK_DATA : WIRE_TRAILER_START;
        return 0;
    case WIRE_CHUNK_END:
        if (c == '\n')
            body->step = WIRE_CHUNK_SIZE;
        return c == '\n' || c == '\r' ? 0 : -1;
    case WIRE_TRAILER_START:
        if (c == '\n')
            body->done = true;
        else if (c != '\r')
            body->step = WIRE_TRAILER_LINE;
        return 0;
    case WIRE_TRAILER_LINE:
        if (c == '\n')
            body->step = WIRE_TRAILER_START;
        return 0;
    default: return -1;
    }
}

static size_t skip_counted(struct wire_body *body, size_t size)
{
    size_t taken = size < body->remaining ? size : (size_t)body->remaining;
    body->remaining -= taken;
    return taken;
}

ssize_t wire_body_skip(struct wire_body *body, const char *data, size_t size)
{
    if (body->framing == WIRE_UNTIL_CLOSE)
        return (ssize_t)size;
    size_t at = 0;
    if (body->framing == WIRE_LENGTH) {
        at = skip_counted(body, size);
        body->done = body->remaining == 0;
        return (ssize_t)at;
    }
    while (at < size && !body->done) {
        if (body->step != WIRE_CHUNK_DATA) {
            if (chunk_byte(body, data[at++]) != 0)
                return -1;
            continue;
        }
        at += skip_counted(body, size - at);
        if (body->remaining == 0)
            body->step = WIRE_CHUNK_END;
    }
    return (ssize_t)at;
}
