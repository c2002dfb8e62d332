/* SPDX-License-Identifier: Apache-2.0 */
/* splice(2) itself, when the sockets are ready: the ring's own operation would go to a thread of the kernel
 * each time. Either bytes are waited for (`from` has its poll armed in the place of a receive) or room for
 * those in the pipe (`to` has, in the place of a send), so a slow reader leaves a pipe's bytes in the kernel
 * and no more. Closing finds the polls where it finds the operations of other streams. */
#include "net/transport/tcp_splice.h"

#include "net/transport/tcp_stream_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/time.h>

enum {
    SMALL_BYTES = 16 * 1024, /* copying them costs no more than splicing them */
    SMALL_MOST = 64 /* of them in a row */
};

/* --- beginning and end ---------------------------------------------------------------------------------- */

static bool is_plain(const struct tcp_stream *tcp)
{
    return tcp->kernel == NULL && tcp->intake == TCP_INTAKE_ALL && tcp->reading && !tcp->connecting &&
           !tcp->closing && !tcp->failed && tcp->failure == ERROR_OK;
}

/* Whether a splice of a socket waits says the socket's file, which must not be non-blocking while the ring
 * receives from it (that would fail instead of waiting). It is called only when there are bytes; this is for
 * what a kernel may come up with all the same. */
static void never_wait_for_bytes(int fd)
{
    struct timeval shortest = { .tv_usec = 1 };
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &shortest, sizeof(shortest));
}

bool tcp_splice_begin(struct tcp_splice_watch *watch, struct stream *from, struct stream *to,
                      struct pipe_pool *pipes)
{
    struct tcp_stream *source = tcp_stream_of(from), *target = tcp_stream_of(to);
    if (source == NULL || target == NULL || !is_plain(source) || target->kernel || target->connecting ||
        target->closing || target->failed || target->finishing || source->taken_by || target->fed_by)
        return false;
    struct tcp_splice *flow = malloc(sizeof(*flow));
    if (flow == NULL)
        return false;
    *flow = (struct tcp_splice){ .from = source, .to = target, .watch = watch, .pipes = pipes };
    source->taken_by = target->fed_by = flow;
    watch->splice = flow;
    never_wait_for_bytes(source->fd);
    list_remove(&source->starved_node);
    if (source->receive_op.armed)
        ring_cancel(&from->shard->ring, &source->receive_op);
    else
        tcp_splice_look(flow);
    return true;
}

/* It takes no more, and is gone when it holds none. */
static void detach(struct tcp_splice *flow)
{
    struct tcp_stream *from = flow->from;
    if (flow->watch)
        flow->watch->splice = NULL;
    flow->watch = NULL;
    flow->from = NULL;
    if (flow->held_bytes == 0) {
        flow->to->fed_by = NULL;
        free(flow);
    }
    if (from == NULL)
        return;
    from->taken_by = NULL;
    if (from->closing)
        return;
    if (from->receive_op.armed)
        ring_cancel(&from->stream.shard->ring, &from->receive_op);
    else
        tcp_stream_receive(from);
}

void tcp_splice_end(struct tcp_splice_watch *watch)
{
    if (watch->splice)
        detach(watch->splice);
}

void tcp_splice_leave(struct tcp_stream *tcp)
{
    struct tcp_splice *feeding = tcp->fed_by;
    if (tcp->taken_by)
        detach(tcp->taken_by);
    if (feeding && feeding->held_bytes > 0) {
        pipe_pool_give_back(feeding->pipes, feeding->pipe, false);
        feeding->held_bytes = 0;
    }
    if (feeding)
        detach(feeding);
}

/* --- to the one that sends ------------------------------------------------------------------------------ */

static void room_done(struct op *op, int32_t result, uint32_t cqe_flags);

static void wait_for_room(struct tcp_splice *flow)
{
    struct io_uring_sqe *sqe = ring_prepare(&flow->to->stream.shard->ring);
    io_uring_prep_poll_add(sqe, flow->to->fd, POLLOUT);
    ring_arm(sqe, &flow->to->send_op, room_done);
}

/* The file is non-blocking for as long as it takes: see never_wait_for_bytes. */
static ssize_t splice_out(const struct tcp_splice *flow)
{
    int fd = flow->to->fd, flags = fcntl(fd, F_GETFL);
    (void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    ssize_t size = splice(flow->pipe.out, NULL, fd, NULL, flow->held_bytes, SPLICE_F_NONBLOCK);
    int error = errno;
    (void)fcntl(fd, F_SETFL, flags);
    errno = error;
    return size;
}

/* What the pipe holds goes out. False: it failed, and that was told. */
static bool drain(struct tcp_splice *flow)
{
    struct tcp_stream *to = flow->to;
    ssize_t size = splice_out(flow);
    if (size <= 0 && (size == 0 || (errno != EAGAIN && errno != EINTR))) {
        tcp_stream_fail(to, size == 0 ? ERROR_CLOSED : error_from_errno(errno));
        return false;
    }
    if (size > 0) {
        flow->held_bytes -= (uint32_t)size;
        to->stream.sent_bytes += (uint64_t)size;
        metric_add(&to->stream.shard->metrics, METRIC_SPLICED_BYTES, size);
    }
    tcp_stream_count(to);
    if (flow->held_bytes > 0) {
        wait_for_room(flow);
        return true;
    }
    pipe_pool_give_back(flow->pipes, flow->pipe, true);
    if (flow->from)
        tcp_splice_look(flow);
    else
        detach(flow);
    return true;
}

static void room_done(struct op *op, int32_t result, uint32_t cqe_flags)
{
    (void)result, (void)cqe_flags; /* what is wrong with the connection, the splice tells as well */
    struct tcp_stream *to = CONTAINER_OF(op, struct tcp_stream, send_op);
    if (to->closing) {
        tcp_stream_close_when_idle(to);
        return;
    }
    struct tcp_splice_watch *watch = to->fed_by->watch;
    if (!drain(to->fed_by))
        return;
    if (watch)
        watch->moved(watch, 0);
    if (!to->send_op.armed)
        tcp_stream_sent(to);
}

/* --- from the one that receives ------------------------------------------------------------------------- */

/* 0 is the end, or that urgent data stand in the way; a filter of system calls may forbid it; whatever it is,
 * receiving copes with it. But an error of the connection is told only once. */
static bool is_for_receiving(ssize_t size, int errno_value)
{
    return size == 0 || errno_value == EAGAIN || errno_value == EINTR || errno_value == EINVAL ||
           errno_value == ENOMEM || errno_value == EPERM || errno_value == ENOSYS;
}

static void fail_or_detach(struct tcp_splice *flow, ssize_t size, int errno_value)
{
    struct tcp_stream *from = flow->from;
    if (is_for_receiving(size, errno_value)) {
        detach(flow);
    } else {
        from->reading = false;
        tcp_stream_fail(from, error_from_errno(errno_value));
    }
}

static bool is_clear(const struct tcp_stream *to)
{
    return to->queue.count == 0 && !to->send_op.armed && !to->failed;
}

/* There is something to receive, or an end. */
static void move(struct tcp_splice *flow)
{
    struct tcp_stream *from = flow->from;
    if (from->paused || !is_clear(flow->to))
        return; /* looked at again */
    if (!pipe_pool_take(flow->pipes, &flow->pipe)) {
        detach(flow);
        return;
    }
    ssize_t size = splice(from->fd, NULL, flow->pipe.in, NULL, flow->pipes->pipe_bytes, SPLICE_F_NONBLOCK);
    if (size <= 0) {
        int error = errno;
        pipe_pool_give_back(flow->pipes, flow->pipe, true);
        fail_or_detach(flow, size, error);
        return;
    }
    flow->held_bytes = (uint32_t)size;
    flow->small_count = size < SMALL_BYTES ? flow->small_count + 1 : 0;
    from->stream.received_bytes += (uint64_t)size;
    if (flow->watch)
        flow->watch->moved(flow->watch, (uint64_t)size);
    if (flow->small_count >= SMALL_MOST)
        detach(flow);
    (void)drain(flow);
}

static void came_done(struct op *op, int32_t result, uint32_t cqe_flags)
{
    (void)cqe_flags;
    struct tcp_stream *from = CONTAINER_OF(op, struct tcp_stream, receive_op);
    if (from->closing)
        tcp_stream_close_when_idle(from);
    else if (from->taken_by && result >= 0)
        move(from->taken_by);
    else if (from->taken_by && result != -ECANCELED)
        detach(from->taken_by);
    else
        tcp_stream_receive(from);
}

void tcp_splice_look(struct tcp_splice *flow)
{
    struct tcp_stream *from = flow->from;
    if (flow->held_bytes > 0 || from == NULL || from->receive_op.armed || from->paused || !from->reading ||
        from->closing || from->failed || !is_clear(flow->to))
        return;
    struct io_uring_sqe *sqe = ring_prepare(&from->stream.shard->ring);
    io_uring_prep_poll_add(sqe, from->fd, POLLIN);
    ring_arm(sqe, &from->receive_op, came_done);
}
