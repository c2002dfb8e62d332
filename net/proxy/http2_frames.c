/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/http2_frames.h"

#include <nghttp2/nghttp2.h>
#include <string.h>

/* --- frames --------------------------------------------------------------------------------------------- */

static uint32_t read_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

void http2_frames_init(struct http2_frames *frames)
{
    *frames = (struct http2_frames){ .skip = NGHTTP2_CLIENT_MAGIC_LEN };
}

/* The bytes up to the next head are gone. */
static void end_payload(struct http2_frames *frames)
{
    bool of_head = frames->type == NGHTTP2_HEADERS || frames->type == NGHTTP2_CONTINUATION;
    if (frames->in_head && of_head && frames->flags & NGHTTP2_FLAG_END_HEADERS)
        frames->in_head = false;
}

static bool has_dependency(const uint8_t *head)
{
    return head[3] == NGHTTP2_PRIORITY && (read_u32(head) >> 8) >= HTTP2_DEPENDENCY_BYTES;
}

static void take_head(struct http2_frames *frames)
{
    const uint8_t *head = frames->head;
    uint32_t extra = frames->head_used - (uint32_t)HTTP2_FRAME_HEAD_BYTES;
    frames->length = read_u32(head) >> 8;
    frames->type = head[3];
    frames->flags = head[4];
    frames->stream = read_u32(head + 5) & INT32_MAX;
    frames->dependency = extra ? read_u32(head + HTTP2_FRAME_HEAD_BYTES) & INT32_MAX : 0;
    frames->skip = frames->length - extra;
    frames->head_used = 0;
    frames->in_head |= frames->type == NGHTTP2_HEADERS;
    if (frames->skip == 0)
        end_payload(frames);
}

static size_t skip(struct http2_frames *frames, size_t size)
{
    size_t part = size < frames->skip ? size : frames->skip;
    frames->skip -= (uint32_t)part;
    if (part > 0 && frames->skip == 0)
        end_payload(frames);
    return part;
}

static size_t fill(struct http2_frames *frames, const uint8_t *data, size_t size, size_t wanted)
{
    size_t room = wanted - frames->head_used;
    size_t part = size < room ? size : room;
    memcpy(frames->head + frames->head_used, data, part);
    frames->head_used += (uint8_t)part;
    return part;
}

bool http2_frames_next(struct http2_frames *frames, const void *data, size_t size, size_t *consumed)
{
    const uint8_t *bytes = data;
    size_t at = skip(frames, size), wanted = HTTP2_FRAME_HEAD_BYTES;
    if (at < size && frames->head_used < wanted)
        at += fill(frames, bytes + at, size - at, wanted);
    if (frames->head_used >= wanted && has_dependency(frames->head)) {
        wanted += HTTP2_DEPENDENCY_BYTES;
        if (at < size)
            at += fill(frames, bytes + at, size - at, wanted);
    }
    *consumed = at;
    if (frames->head_used < wanted)
        return false;
    take_head(frames);
    return true;
}

/* --- streams that are over ------------------------------------------------------------------------------ */

void http2_closed_add(struct http2_closed *closed, uint32_t stream, bool by_client)
{
    uint32_t at = closed->count++ % HTTP2_CLOSED_KEPT;
    if (closed->last[at].stream > closed->forgotten)
        closed->forgotten = closed->last[at].stream;
    closed->last[at].stream = stream;
    closed->last[at].by_client = by_client;
}

enum http2_closing http2_closed_how(const struct http2_closed *closed, uint32_t stream)
{
    for (uint32_t i = 1; i <= HTTP2_CLOSED_KEPT; i++) { /* the latest word counts */
        uint32_t at = (closed->count - i) % HTTP2_CLOSED_KEPT;
        if (closed->last[at].stream == stream)
            return closed->last[at].by_client ? HTTP2_CLOSED_BY_CLIENT : HTTP2_CLOSED_BY_US;
    }
    return stream > closed->forgotten ? HTTP2_CLOSED_NEVER_OPEN : HTTP2_CLOSED_UNKNOWN;
}
