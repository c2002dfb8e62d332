/* SPDX-License-Identifier: Apache-2.0 */
/* A TCP connection as a stream: one multishot receive into the shard's blocks, one send in flight, everything
 * sent within a loop turn leaving together at its end. Embedded in the connection that owns it; its memory is
 * free again after the `closed` event, when no operation is armed any more. One shard. */
#pragma once

#include "core/io/chunk_queue.h"
#include "core/io/shard.h"
#include "core/io/stream.h"

#include <sys/socket.h>

/* What is received now: as much as comes, nothing, or a number of bytes and then nothing. */
enum tcp_intake { TCP_INTAKE_ALL, TCP_INTAKE_NOTHING, TCP_INTAKE_EXACTLY };

struct tcp_kernel; /* net/transport/tcp_stream_parts.h */
struct tcp_splice; /* net/transport/tcp_splice.h */

struct tcp_stream {
    struct stream stream; /* first: streams are recovered from it */
    int fd;
    bool reading, paused;
    bool finishing, finished; /* half-close asked for; done */
    bool closing, closed, failed;
    bool connecting;
    uint8_t failure; /* enum error to tell the owner in the next task */
    uint8_t intake; /* enum tcp_intake */
    uint8_t record_bytes; /* of a record that waits behind the queue */
    bool seals; /* the kernel protects what is sent */
    struct op receive_op, send_op, other_op;
    struct shard_task task;
    struct list_node starved_node;
    struct chunk_queue queue;
    uint32_t sending_count; /* the first chunks of the queue, while a send is in flight */
    struct send_vector *vector; /* while more than one chunk is sent at once */
    uint64_t progress_bytes; /* see tcp_stream_progressed */
    struct tcp_kernel *kernel; /* NULL as long as nobody asked for an offload */
    struct tcp_splice *taken_by; /* what arrives; NULL: it is received */
    struct tcp_splice *fed_by; /* what is sent; NULL: what the queue has */
};

/* An accepted socket; starts receiving. */
void tcp_stream_accepted(struct tcp_stream *tcp, struct shard *shard, const struct stream_events *events,
                         int fd);

/* Starts a connect; `opened` tells its end, then it is receiving. `address` must live until then. After a
 * failed connect the owner calls stream_close like after any other failure. */
void tcp_stream_connect(struct tcp_stream *tcp, struct shard *shard, const struct stream_events *events,
                        const struct sockaddr *address, socklen_t size);

/* After the shard's ring is gone, and before its blocks are: gives back what was not sent. Legal for one
 * that was zeroed and never opened. */
void tcp_stream_abandon(struct tcp_stream *tcp);

/* Nothing of what is queued has been given to the kernel yet. */
static inline bool tcp_stream_is_unsent(const struct tcp_stream *tcp)
{
    return tcp->queue.count > 0 && !tcp->send_op.armed && !list_is_empty(&tcp->task.node);
}

/* Whenever it is closed, that will be with a reset: the peer must not take what it has for the whole. */
void tcp_stream_close_resets(struct tcp_stream *tcp);

/* Has the peer's kernel acknowledged anything of what is queued since the last call? For send time limits. */
bool tcp_stream_progressed(struct tcp_stream *tcp);

/* Have bytes arrived that nobody has received yet? */
bool tcp_stream_has_unread(const struct tcp_stream *tcp);
