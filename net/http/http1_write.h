/* SPDX-License-Identifier: Apache-2.0 */
/* Appends the parts of an HTTP/1 message to memory of the caller, which is never exceeded: what does not fit
 * is left out as a whole piece and `overflow` stays set, to be looked at once at the end. Values are trusted
 * to hold no line ends: they were parsed, or checked when configured. Any thread. */
#pragma once

#include "core/base/check.h"
#include "core/base/slice.h"

struct writer {
    char *next;
    char *end;
    bool overflow;
};

static inline struct writer writer_of(char *memory, size_t size)
{
    return (struct writer){ memory, memory + size, false };
}

/* Room for `size` more bytes? Otherwise sets overflow, and nothing more is written. */
static inline bool writer_has_room(struct writer *writer, size_t size)
{
    if (__builtin_expect((size_t)(writer->end - writer->next) >= size, 1))
        return true;
    writer->overflow = true;
    writer->end = writer->next;
    return false;
}

/* memcpy of up to WRITER_SHORT bytes without a call: halves may overlap. */
enum { WRITER_SHORT = 32 };
static inline void writer_copy_short(char *to, const char *from, size_t size)
{
    if (size > 16) {
        memcpy(to, from, 16);
        memcpy(to + size - 16, from + size - 16, 16);
    } else if (size >= 8) {
        memcpy(to, from, 8);
        memcpy(to + size - 8, from + size - 8, 8);
    } else if (size >= 4) {
        memcpy(to, from, 4);
        memcpy(to + size - 4, from + size - 4, 4);
    } else {
        for (size_t i = 0; i < size; i++)
            to[i] = from[i];
    }
}

static inline void writer_bytes(struct writer *writer, const char *data, size_t size)
{
    if (!writer_has_room(writer, size) || size == 0)
        return;
    memcpy(writer->next, data, size);
    writer->next += size;
}

static inline void writer_slice(struct writer *writer, struct slice text)
{
    writer_bytes(writer, text.data, text.size);
}

static inline void writer_byte(struct writer *writer, char byte)
{
    if (writer_has_room(writer, 1))
        *writer->next++ = byte;
}

/* A literal: its size is known when compiling, so this is a few moves. */
#define writer_text(writer, literal) writer_bytes((writer), "" literal, sizeof(literal) - 1)

void writer_u64(struct writer *writer, uint64_t value); /* decimal */
void writer_hex(struct writer *writer, uint64_t value); /* lower case, no prefix */

/* "name: value\r\n" */
void writer_long_header(struct writer *writer, struct slice name, struct slice value);
static inline void writer_header(struct writer *writer, struct slice name, struct slice value)
{
    size_t size = name.size + value.size + 4;
    char *next = writer->next;
    if ((name.size | value.size) >= WRITER_SHORT || (size_t)(writer->end - next) < size) {
        writer_long_header(writer, name, value);
        return;
    }
    writer_copy_short(next, name.data, name.size);
    memcpy(next + name.size, ": ", 2);
    writer_copy_short(next + name.size + 2, value.data, value.size);
    memcpy(next + size - 2, "\r\n", 2);
    writer->next = next + size;
}

void writer_header_u64(struct writer *writer, struct slice name, uint64_t value);

/* "HTTP/1.1 200 OK\r\n". status 100-999; an absent reason gives the usual one, an empty one stays empty. */
void http1_write_status_line(struct writer *writer, int status, struct slice reason);

/* "GET /x HTTP/1.1\r\n" */
void http1_write_request_line(struct writer *writer, struct slice method, struct slice target);

/* The line in front of a chunk's data, e.g. "1f4\r\n"; behind the data goes "\r\n", behind the last chunk
 * "0\r\n\r\n". */
enum { HTTP1_CHUNK_LINE_BYTES = 18 };
void http1_write_chunk_line(struct writer *writer, uint64_t size_bytes);

/* RFC 9110 section 15; the empty text when the status has none. */
struct slice http1_reason(int status);
