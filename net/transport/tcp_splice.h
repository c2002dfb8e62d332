/* SPDX-License-Identifier: Apache-2.0 */
/* What arrives at one TCP connection goes to another inside the kernel, through a pipe, and is never copied
 * to here. One direction; both may be spliced. It lasts until one of the two is closed, until whoever began
 * it ends it, or until the stream is better off with copying: at the end of what is received, which is told
 * as always, without a pipe, and when only small pieces come. One shard, whose thread has SIGPIPE blocked. */
#pragma once

#include "core/io/stream.h"
#include "net/transport/pipe_pool.h"

struct tcp_splice;

/* Whoever began it. */
struct tcp_splice_watch {
    struct tcp_splice *splice; /* NULL: it is not on, or not any more */
    /* So many bytes have come from the one, or 0: some have left to the other. Must not call either. */
    void (*moved)(struct tcp_splice_watch *watch, uint64_t came_bytes);
};

/* From now on, that is: behind what has come already and what is queued on `to`, to which nothing else is
 * sent meanwhile. Bytes on their way are told as `received` until it begins. False: one of them is no plain
 * TCP connection, or not open both ways, or there is no memory; nothing has changed. */
bool tcp_splice_begin(struct tcp_splice_watch *watch, struct stream *from, struct stream *to,
                      struct pipe_pool *pipes);

/* `from` is received from as before; what is in the pipe still goes to `to`, before anything that is sent to
 * it. Legal when it is not on. */
void tcp_splice_end(struct tcp_splice_watch *watch);
