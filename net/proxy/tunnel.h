/* SPDX-License-Identifier: Apache-2.0 */
/* Two streams joined: what arrives on one is sent on the other, and an end is passed on as one, until both
 * have ended. Who sends faster than the other takes is paused, so that what is under way stays bounded. A
 * direction in which much flows is spliced, if both are TCP in the clear.
 * Embedded in the owner of both streams, who passes their events on here and closes them when it is over.
 * Raw TCP and what HTTP was upgraded to. One shard. */
#pragma once

#include "core/io/shard.h"
#include "core/io/stream.h"
#include "net/transport/tcp_splice.h"

enum tunnel_end { TUNNEL_CLIENT, TUNNEL_UPSTREAM, TUNNEL_ENDS };

/* How it came to its end; failures of a stream are the owner's to see. */
enum tunnel_over { TUNNEL_DONE /* both have ended, and all was sent */, TUNNEL_IDLE /* nothing moved */ };

struct tunnel;
typedef void tunnel_over_fn(struct tunnel *tunnel, enum tunnel_over over);

struct tunnel_options {
    struct stream *client, *upstream; /* open */
    tunnel_over_fn *over; /* once, from the loop, never from inside a call to the tunnel */
    void *owner;
    uint64_t queue_bytes; /* toward one end before the other is paused */
    uint64_t idle_ms; /* without a byte either way; 0: for ever */
    struct pipe_pool *pipes; /* NULL: nothing is spliced */
    uint64_t splice_after_bytes; /* one way within a second; 0: never */
};

struct tunnel_side {
    struct stream *stream;
    struct tunnel *tunnel;
    struct tcp_splice_watch watch; /* of what comes from it */
    uint64_t second_ms, second_bytes; /* when one began, and what has come and was copied since */
    uint64_t passed_bytes; /* that came from it */
    bool ended; /* it sends no more */
    bool paused;
    bool lost; /* has failed: nothing is sent to it any more */
};

struct tunnel {
    struct tunnel_side sides[TUNNEL_ENDS];
    struct shard *shard;
    struct shard_task task;
    struct timer timer;
    tunnel_over_fn *over; /* NULL: not open */
    void *owner;
    uint64_t queue_bytes, idle_ms;
    struct pipe_pool *pipes;
    uint64_t splice_after_bytes;
};

void tunnel_open(struct tunnel *tunnel, struct shard *shard, const struct tunnel_options *options);

/* The events `received` and `writable` of the streams; takes the reference. */
void tunnel_received(struct tunnel *tunnel, enum tunnel_end from, struct chunk chunk);
void tunnel_writable(struct tunnel *tunnel, enum tunnel_end to);

/* A stream of an open tunnel has failed, but what came from it is good: that is still passed on, and the
 * end. */
void tunnel_lost(struct tunnel *tunnel, enum tunnel_end from);

/* Passes nothing on any more, and `over` does not come. Legal at any time after tunnel_open, and on zeroed
 * memory. */
void tunnel_close(struct tunnel *tunnel);

static inline bool tunnel_is_open(const struct tunnel *tunnel)
{
    return tunnel->over != NULL;
}
