/* SPDX-License-Identifier: Apache-2.0 */
/* The frames of a client of HTTP/2 as their heads tell them, before nghttp2 takes them: it ignores some
 * without a word (unknown ones, those of streams that it has forgotten), and they have to be counted and
 * judged like any others. No I/O; one shard. */
#pragma once

#include "core/base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    HTTP2_FRAME_HEAD_BYTES = 9,
    HTTP2_DEPENDENCY_BYTES = 4, /* of a PRIORITY, behind its head */
    HTTP2_CLOSED_KEPT = 64, /* streams */
};

/* Where in its bytes a connection is, and its last frame. */
struct http2_frames {
    uint32_t skip; /* bytes until the next head: of the preface, or of a payload */
    uint32_t length, stream, dependency;
    uint8_t type, flags;
    uint8_t head_used;
    uint8_t head[HTTP2_FRAME_HEAD_BYTES + HTTP2_DEPENDENCY_BYTES];
    bool in_head; /* a block of fields is not complete */
};

void http2_frames_init(struct http2_frames *frames);

/* Takes bytes from the beginning, *consumed of them. True: they end with the head of a frame, which is set
 * (of a PRIORITY with its dependency). False: there are no more bytes. */
bool http2_frames_next(struct http2_frames *frames, const void *data, size_t size,
                       size_t *consumed) MUST_CHECK;

/* The streams that are over. Frames for them are a fault, unless we have ended a stream and the client
 * cannot know yet (RFC 9113 section 5.1). Those that ended long ago get the benefit of the doubt. */
struct http2_closed {
    uint32_t highest; /* stream that the client has begun */
    uint32_t forgotten; /* none above was */
    uint32_t count; /* ever */
    struct {
        uint32_t stream;
        bool by_client;
    } last[HTTP2_CLOSED_KEPT];
};

/* `by_client`: it has said that nothing more will come. */
void http2_closed_add(struct http2_closed *closed, uint32_t stream, bool by_client);

enum http2_closing {
    HTTP2_CLOSED_UNKNOWN, /* long ago */
    HTTP2_CLOSED_NEVER_OPEN, /* skipped */
    HTTP2_CLOSED_BY_US,
    HTTP2_CLOSED_BY_CLIENT,
};

/* Of a stream that is not open, and not above `highest`. */
enum http2_closing http2_closed_how(const struct http2_closed *closed, uint32_t stream);
