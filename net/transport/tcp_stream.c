/* SPDX-License-Identifier: Apache-2.0 */
#include "net/transport/tcp_stream_parts.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
    SEND_CHUNKS = 16 /* given to the kernel at once */
};

struct send_vector {
    struct msghdr header;
    struct iovec pieces[SEND_CHUNKS];
};

static const struct stream_ops tcp_ops;

static struct tcp_stream *tcp_of(struct stream *stream)
{
    return CONTAINER_OF(stream, struct tcp_stream, stream);
}

struct tcp_stream *tcp_stream_of(struct stream *stream)
{
    return stream->ops == &tcp_ops ? tcp_of(stream) : NULL;
}

/* --- closing -------------------------------------------------------------------------------------------- */

static void close_done(struct op *op, int32_t result, uint32_t cqe_flags)
{
    (void)result, (void)cqe_flags;
    struct tcp_stream *tcp = CONTAINER_OF(op, struct tcp_stream, other_op);
    tcp->fd = -1;
    tcp->closed = true;
    tcp->stream.events->closed(&tcp->stream);
}

void tcp_stream_count(struct tcp_stream *tcp)
{
    tcp->stream.queued_bytes =
        tcp->queue.bytes + tcp->record_bytes + (tcp->fed_by ? tcp->fed_by->held_bytes : 0);
    tcp->stream.queued_chunks = tcp->queue.count;
}

static void drop_queue(struct tcp_stream *tcp)
{
    chunk_queue_clear(&tcp->queue);
    tcp_stream_count(tcp);
    free(tcp->vector);
    tcp->vector = NULL;
}

void tcp_stream_abandon(struct tcp_stream *tcp)
{
    if (tcp->stream.ops != &tcp_ops)
        return;
    list_remove(&tcp->task.node);
    list_remove(&tcp->starved_node);
    drop_queue(tcp);
    free(tcp->kernel);
    tcp->kernel = NULL;
}

/* The descriptor is closed when the last armed operation has ended: the kernel sends no FIN before anyway. */
void tcp_stream_close_when_idle(struct tcp_stream *tcp)
{
    if (tcp->receive_op.armed || tcp->send_op.armed || tcp->other_op.armed)
        return;
    drop_queue(tcp);
    free(tcp->kernel);
    tcp->kernel = NULL;
    list_remove(&tcp->task.node);
    struct io_uring_sqe *sqe = ring_prepare(&tcp->stream.shard->ring);
    if (tcp->fd >= 0)
        io_uring_prep_close(sqe, tcp->fd);
    else
        io_uring_prep_nop(sqe);
    ring_arm(sqe, &tcp->other_op, close_done);
}

static void tcp_close(struct stream *stream)
{
    struct tcp_stream *tcp = tcp_of(stream);
    CHECK(!tcp->closing);
    tcp->closing = true;
    tcp_splice_leave(tcp);
    list_remove(&tcp->starved_node);
    if (tcp->receive_op.armed)
        ring_cancel(&stream->shard->ring, &tcp->receive_op);
    if (tcp->send_op.armed)
        ring_cancel(&stream->shard->ring, &tcp->send_op);
    if (tcp->other_op.armed)
        ring_cancel(&stream->shard->ring, &tcp->other_op);
    tcp_stream_close_when_idle(tcp);
}

void tcp_stream_fail(struct tcp_stream *tcp, enum error error)
{
    if (tcp->failed || tcp->closing)
        return;
    tcp->failed = true;
    tcp->stream.events->failed(&tcp->stream, error);
}

/* --- receiving ------------------------------------------------------------------------------------------ */

static bool may_receive(const struct tcp_stream *tcp)
{
    return tcp->reading && !tcp->paused && tcp->intake != TCP_INTAKE_NOTHING;
}

static void receive_starved(struct tcp_stream *tcp)
{
    if (!may_receive(tcp))
        return;
    metric_add(&tcp->stream.shard->metrics, METRIC_BLOCKS_DRY, 1);
    block_store_widen(tcp->stream.shard->blocks);
    list_append(&tcp->stream.shard->starved, &tcp->starved_node);
}

static void receive_done(struct op *op, int32_t result, uint32_t cqe_flags)
{
    struct tcp_stream *tcp = CONTAINER_OF(op, struct tcp_stream, receive_op);
    struct shard *shard = tcp->stream.shard;
    struct chunk chunk = { 0 };
    if (cqe_flags & IORING_CQE_F_BUFFER)
        chunk = block_store_received(shard->blocks, cqe_flags, result > 0 ? (uint32_t)result : 0);
    if (tcp->closing) {
        chunk_release(&chunk);
        if (!op->armed)
            tcp_stream_close_when_idle(tcp);
        return;
    }
    if (result == 0)
        tcp->reading = false; /* the end; an armed operation does not outlive it */
    if (!op->armed) {
        if (tcp->intake != TCP_INTAKE_ALL)
            tcp_kernel_received(tcp, result);
        if (result == -ENOBUFS && !tcp->taken_by)
            receive_starved(tcp);
        else if (result > 0 || result == -ECANCELED || result == -ENOBUFS)
            tcp_stream_receive(tcp);
    }
    if (result > 0) {
        tcp->stream.received_bytes += (uint32_t)result;
        tcp->stream.events->received(&tcp->stream, chunk);
    } else if (result == 0) {
        chunk_release(&chunk);
        tcp->stream.events->received(&tcp->stream, (struct chunk){ 0 });
    } else if (result != -ENOBUFS && result != -ECANCELED) {
        if (tcp->kernel && tcp_kernel_explains(tcp, -result))
            return;
        tcp->reading = false;
        tcp_stream_fail(tcp, error_from_errno(-result));
    }
}

/* A multishot receive takes all that has come, however many blocks that fills; `sparingly`, one. */
static void receive_start(struct tcp_stream *tcp, bool sparingly)
{
    struct io_uring_sqe *sqe = ring_prepare(&tcp->stream.shard->ring);
    if (tcp->intake == TCP_INTAKE_EXACTLY)
        io_uring_prep_recv(sqe, tcp->fd, NULL, tcp->kernel->exactly, 0);
    else if (sparingly)
        io_uring_prep_recv(sqe, tcp->fd, NULL, 0, 0);
    else
        io_uring_prep_recv_multishot(sqe, tcp->fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = BLOCK_GROUP;
    ring_arm(sqe, &tcp->receive_op, receive_done);
}

void tcp_stream_receive(struct tcp_stream *tcp)
{
    struct shard *shard = tcp->stream.shard;
    if (tcp->taken_by)
        tcp_splice_look(tcp->taken_by);
    else if (!may_receive(tcp) || tcp->receive_op.armed)
        return;
    else if (list_is_empty(&shard->starved))
        receive_start(tcp, block_store_is_scarce(shard->blocks));
    else if (list_is_empty(&tcp->starved_node)) /* others have waited longer */
        list_append(&shard->starved, &tcp->starved_node);
}

static bool is_longer(const struct list_node *list, uint32_t count)
{
    const struct list_node *node = list->next;
    while (node != list && count-- > 0)
        node = node->next;
    return node != list;
}

/* Half of what is lent is for those who wait for the kernel alone. If that is not enough for all who starve,
 * each has one block when its turn comes. */
static void feed_starved(struct shard *shard)
{
    uint32_t count = block_store_counts(shard->blocks).lent / 2 + 1;
    bool sparingly = block_store_is_scarce(shard->blocks) || is_longer(&shard->starved, count);
    while (count-- > 0 && !list_is_empty(&shard->starved)) {
        struct tcp_stream *tcp = CONTAINER_OF(shard->starved.next, struct tcp_stream, starved_node);
        list_remove(&tcp->starved_node);
        receive_start(tcp, sparingly);
    }
}

static void tcp_pause(struct stream *stream)
{
    struct tcp_stream *tcp = tcp_of(stream);
    if (tcp->paused || tcp->closing)
        return;
    tcp->paused = true;
    list_remove(&tcp->starved_node);
    if (tcp->receive_op.armed)
        ring_cancel(&stream->shard->ring, &tcp->receive_op);
}

static void tcp_resume(struct stream *stream)
{
    struct tcp_stream *tcp = tcp_of(stream);
    if (!tcp->paused || tcp->closing)
        return;
    tcp->paused = false;
    tcp_stream_receive(tcp);
}

/* --- sending -------------------------------------------------------------------------------------------- */

static void finish_done(struct op *op, int32_t result, uint32_t cqe_flags)
{
    (void)result, (void)cqe_flags; /* a connection that is gone already fails on the receiving side */
    struct tcp_stream *tcp = CONTAINER_OF(op, struct tcp_stream, other_op);
    if (tcp->closing)
        tcp_stream_close_when_idle(tcp);
}

static void finish_when_sent(struct tcp_stream *tcp)
{
    if (!tcp->finishing || tcp->finished || tcp->stream.queued_bytes > 0 || tcp->connecting)
        return;
    tcp->finished = true;
    struct io_uring_sqe *sqe = ring_prepare(&tcp->stream.shard->ring);
    io_uring_prep_shutdown(sqe, tcp->fd, SHUT_WR);
    ring_arm(sqe, &tcp->other_op, finish_done);
}

void tcp_stream_sent(struct tcp_stream *tcp)
{
    tcp_stream_count(tcp);
    tcp_stream_flush(tcp);
    finish_when_sent(tcp);
    if (tcp->fed_by)
        tcp_splice_look(tcp->fed_by);
    tcp->stream.events->writable(&tcp->stream);
}

static void send_done(struct op *op, int32_t result, uint32_t cqe_flags)
{
    (void)cqe_flags;
    struct tcp_stream *tcp = CONTAINER_OF(op, struct tcp_stream, send_op);
    if (tcp->closing) {
        tcp_stream_close_when_idle(tcp);
        return;
    }
    if (result < 0) {
        tcp_stream_fail(tcp, error_from_errno(-result));
        return;
    }
    tcp->stream.sent_bytes += (uint32_t)result;
    tcp->sending_count = 0;
    chunk_queue_consume(&tcp->queue, (uint32_t)result);
    if (tcp->queue.count == 0 && tcp->vector)
        drop_queue(tcp);
    tcp_stream_sent(tcp);
}

static bool prepare_vector(struct tcp_stream *tcp)
{
    if (tcp->vector == NULL)
        tcp->vector = malloc(sizeof(*tcp->vector));
    if (tcp->vector == NULL)
        return false;
    uint32_t count = tcp->queue.count < SEND_CHUNKS ? tcp->queue.count : SEND_CHUNKS;
    for (uint32_t i = 0; i < count; i++) {
        struct slice bytes = chunk_slice(chunk_queue_at(&tcp->queue, i));
        tcp->vector->pieces[i] = (struct iovec){ (void *)(uintptr_t)bytes.data, bytes.size };
    }
    tcp->vector->header = (struct msghdr){ .msg_iov = tcp->vector->pieces, .msg_iovlen = count };
    return true;
}

void tcp_stream_flush(struct tcp_stream *tcp)
{
    if (tcp->send_op.armed || tcp->closing || tcp->failed || tcp->connecting)
        return;
    if (tcp->queue.count == 0) {
        if (tcp->record_bytes > 0)
            tcp_kernel_send_record(tcp);
        return;
    }
    bool vector = tcp->queue.count > 1 && prepare_vector(tcp);
    int flags =
        tcp->seals ? MSG_NOSIGNAL : MSG_NOSIGNAL | MSG_WAITALL; /* Linux 6.1 refuses to wait for TLS */
    struct io_uring_sqe *sqe = ring_prepare(&tcp->stream.shard->ring);
    struct slice first = chunk_slice(chunk_queue_at(&tcp->queue, 0));
    if (vector)
        io_uring_prep_sendmsg(sqe, tcp->fd, &tcp->vector->header, (unsigned)flags);
    else
        io_uring_prep_send(sqe, tcp->fd, first.data, first.size, flags);
    tcp->sending_count = vector ? (uint32_t)tcp->vector->header.msg_iovlen : 1;
    ring_arm(sqe, &tcp->send_op, send_done);
}

static void tcp_send(struct stream *stream, struct chunk chunk)
{
    struct tcp_stream *tcp = tcp_of(stream);
    CHECK(!tcp->finishing);
    if (tcp->closing || tcp->failed || chunk.size == 0) {
        chunk_release(&chunk);
        return;
    }
    if (!chunk_queue_append(&tcp->queue, chunk, stream->shard->blocks, tcp->sending_count))
        tcp->failure = ERROR_MEMORY;
    tcp_stream_count(tcp);
    if (!tcp->send_op.armed)
        shard_defer(stream->shard, &tcp->task);
}

static void tcp_finish(struct stream *stream)
{
    struct tcp_stream *tcp = tcp_of(stream);
    tcp->finishing = true;
    if (!tcp->send_op.armed)
        shard_defer(stream->shard, &tcp->task);
}

static void run_task(struct shard_task *task)
{
    struct tcp_stream *tcp = CONTAINER_OF(task, struct tcp_stream, task);
    if (tcp->closing)
        return;
    if (tcp->kernel && tcp_kernel_tells(tcp))
        return;
    if (tcp->failure != ERROR_OK) {
        enum error failure = (enum error)tcp->failure;
        tcp->failure = ERROR_OK;
        if (tcp->connecting) {
            tcp->connecting = false;
            tcp->failed = true;
            tcp->stream.events->opened(&tcp->stream, failure);
        } else {
            tcp_stream_fail(tcp, failure);
        }
        return;
    }
    tcp_stream_flush(tcp);
    finish_when_sent(tcp);
}

/* --- opening -------------------------------------------------------------------------------------------- */

static void init(struct tcp_stream *tcp, struct shard *shard, const struct stream_events *events)
{
    *tcp = (struct tcp_stream){ .stream = { .ops = &tcp_ops, .events = events, .shard = shard }, .fd = -1 };
    chunk_queue_init(&tcp->queue);
    shard_task_init(&tcp->task, run_task);
    list_init(&tcp->starved_node);
    shard->feed_starved = feed_starved;
}

void tcp_stream_accepted(struct tcp_stream *tcp, struct shard *shard, const struct stream_events *events,
                         int fd)
{
    init(tcp, shard, events);
    tcp->fd = fd;
    tcp->reading = true;
    receive_start(tcp, block_store_is_scarce(shard->blocks));
}

static void connect_done(struct op *op, int32_t result, uint32_t cqe_flags)
{
    (void)cqe_flags;
    struct tcp_stream *tcp = CONTAINER_OF(op, struct tcp_stream, other_op);
    if (tcp->closing) {
        tcp_stream_close_when_idle(tcp);
        return;
    }
    tcp->connecting = false;
    if (result < 0) {
        tcp->failed = true;
        tcp->stream.events->opened(&tcp->stream, error_from_errno(-result));
        return;
    }
    tcp->reading = true;
    tcp_stream_receive(tcp);
    if (tcp->queue.count > 0 || tcp->finishing)
        shard_defer(tcp->stream.shard, &tcp->task);
    tcp->stream.events->opened(&tcp->stream, ERROR_OK);
}

void tcp_stream_connect(struct tcp_stream *tcp, struct shard *shard, const struct stream_events *events,
                        const struct sockaddr *address, socklen_t size)
{
    init(tcp, shard, events);
    tcp->connecting = true;
    tcp->fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (tcp->fd < 0) {
        tcp->failure = (uint8_t)error_from_errno(errno);
        shard_defer(shard, &tcp->task);
        return;
    }
    int on = 1;
    (void)setsockopt(tcp->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    struct io_uring_sqe *sqe = ring_prepare(&shard->ring);
    io_uring_prep_connect(sqe, tcp->fd, address, size);
    ring_arm(sqe, &tcp->other_op, connect_done);
}

void tcp_stream_close_resets(struct tcp_stream *tcp)
{
    struct linger now = { .l_onoff = 1 };
    if (tcp->fd >= 0)
        (void)setsockopt(tcp->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

bool tcp_stream_has_unread(const struct tcp_stream *tcp)
{
    int unread = 0;
    return tcp->fd >= 0 && ioctl(tcp->fd, FIONREAD, &unread) == 0 && unread > 0;
}

bool tcp_stream_progressed(struct tcp_stream *tcp)
{
    int unsent = 0;
    if (tcp->fd < 0 || ioctl(tcp->fd, SIOCOUTQ, &unsent) != 0)
        return false;
    /* Acknowledged = handed over by completed sends or taken by the kernel meanwhile, less what it still
     * holds. */
    uint64_t position = tcp->stream.sent_bytes * 2 - (uint64_t)(unsigned)unsent;
    bool progressed = position != tcp->progress_bytes;
    tcp->progress_bytes = position;
    return progressed;
}

static const struct stream_ops tcp_ops = {
    .send = tcp_send,
    .pause = tcp_pause,
    .resume = tcp_resume,
    .finish = tcp_finish,
    .close = tcp_close,
    .protect_sending = tcp_kernel_protect_sending,
    .protect_receiving = tcp_kernel_protect_receiving,
    .halt = tcp_kernel_halt,
    .receive_exactly = tcp_kernel_receive_exactly,
    .unhalt = tcp_kernel_unhalt,
    .send_record = tcp_kernel_queue_record,
};
