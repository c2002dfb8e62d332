/* SPDX-License-Identifier: Apache-2.0 */
/* A stream of HTTP/2 that becomes another protocol's (extended CONNECT, RFC 8441): to a tunnel it is a stream
 * of bytes, which frames of data carry both ways. Belongs to its http2_stream, from the head on. What comes
 * before there is a tunnel, or while it takes no more, waits here, never more than the stream's window. Its
 * shard's. */
#pragma once

#include "net/proxy/http2_client.h"

struct http2_raw {
    struct stream stream; /* first; the tunnel's */
    struct http2_stream *of;
    struct shard_task task; /* passes on what waits */
    struct chunk_queue in;
    bool open; /* there is a tunnel, or there was */
    bool ended; /* by the client, in order ... */
    bool end_passed; /* ... and the tunnel knows */
};

/* The head of an extended CONNECT is complete. False: out of memory. */
bool http2_raw_begin(struct http2_stream *stream) MUST_CHECK;
void http2_raw_free(struct http2_stream *stream);

/* From the client: a part of what the stream carries (takes the reference), and its end. */
void http2_raw_received(struct http2_stream *stream, struct chunk chunk);
void http2_raw_ended(struct http2_stream *stream);
void http2_raw_drained(struct http2_stream *stream); /* less is queued toward it than before */

/* nghttp2 closes the stream: both ends have said all in order, but the upstream has yet to take it. */
bool http2_raw_goes_on(const struct http2_stream *stream, uint32_t reason);

/* For http2_caller.c. `leave`: the exchange is over. True: so is the tunnel that it had, and all is done;
 * the stream may be freed. */
struct stream *http2_raw_open(struct caller *caller);
bool http2_raw_leave(struct http2_stream *stream, enum caller_fate fate);

/* Is it a tunnel's now? */
static inline bool http2_raw_is_used(const struct http2_stream *stream)
{
    return stream->raw && stream->raw->open && stream->caller.exchange;
}
