/* SPDX-License-Identifier: Apache-2.0 */
/* The little HTTP/1.1 that the benchmark tools need: reading a head and
 * skipping a body. Independent of the gateway on purpose, so that a mistake
 * there is not repeated here. Pure functions; the caller owns all memory. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum wire_framing {
    WIRE_EMPTY,
    WIRE_LENGTH,
    WIRE_CHUNKED,
    WIRE_UNTIL_CLOSE,
};

struct wire_head {
    const char *start_line;
    size_t start_line_bytes; /* without line end */
    size_t size_bytes;       /* whole head, with the empty line */
    enum wire_framing framing;
    uint64_t length;
    bool has_framing;
    bool close;
};

enum wire_step {
    WIRE_CHUNK_SIZE,
    WIRE_CHUNK_EXTENSION,
    WIRE_CHUNK_DATA,
    WIRE_CHUNK_END,
    WIRE_TRAILER_START,
    WIRE_TRAILER_LINE,
};

struct wire_body {
    enum wire_framing framing;
    enum wire_step step;
    uint64_t remaining;
    bool done;
};

/* Reads one head. 1 = complete, 0 = more bytes needed, -1 = not HTTP/1.x. */
int wire_head_read(const char *data, size_t size, struct wire_head *head);

/* Status code 100..999 of a response head, 0 if it is none. */
unsigned wire_head_status(const struct wire_head *head);

void wire_body_begin(struct wire_body *body, enum wire_framing framing, uint64_t length);

/* Skips body bytes and sets `done` at the end of the message.
 * Returns the bytes consumed, -1 on bad chunk framing. */
ssize_t wire_body_skip(struct wire_body *body, const char *data, size_t size);

/* Monotonic time in nanoseconds. */
uint64_t wire_now_ns(void);
