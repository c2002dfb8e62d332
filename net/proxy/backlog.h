/* SPDX-License-Identifier: Apache-2.0 */
/* How much is queued toward a peer, as far as it decides anything: whether the other side is paused, and when
 * it goes on. */
#pragma once

#include "core/io/stream.h"

/* Chunks queued toward one peer before the other is paused: each may hold a whole receive block. */
enum { STREAM_CHUNKS_MAX = 24 };

enum backlog {
    BACKLOG_NONE,
    BACKLOG_LOW, /* little enough to read on where reading was paused */
    BACKLOG_MIDDLE,
    BACKLOG_HIGH, /* the other side is to be paused */
};

static inline enum backlog backlog_of(uint64_t bytes, uint32_t chunks, uint64_t limit_bytes)
{
    if (bytes == 0)
        return BACKLOG_NONE;
    if (bytes > limit_bytes || chunks > STREAM_CHUNKS_MAX)
        return BACKLOG_HIGH;
    return bytes * 2 > limit_bytes ? BACKLOG_MIDDLE : BACKLOG_LOW;
}

static inline enum backlog backlog_of_stream(const struct stream *stream, uint64_t limit_bytes)
{
    return backlog_of(stream->queued_bytes, stream->queued_chunks, limit_bytes);
}
