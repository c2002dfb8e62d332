/* SPDX-License-Identifier: Apache-2.0 */
#include "net/transport/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <unistd.h>

enum { RETRY_MS = 50 };

enum error listener_bind(const struct address *address, int backlog, int *fd, const char **reason)
{
    int on = 1;
    *fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (*fd < 0) {
        *reason = strerror(errno);
        return error_from_errno(errno);
    }
    /* TCP_NODELAY is inherited by the accepted sockets. */
    if (setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        setsockopt(*fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0 ||
        setsockopt(*fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0 ||
        bind(*fd, &address->any, address->size) != 0 || listen(*fd, backlog) != 0) {
        *reason = strerror(errno);
        int failure = errno;
        close(*fd);
        *fd = -1;
        return error_from_errno(failure);
    }
    return ERROR_OK;
}

static void accept_start(struct listener *listener);

static void accept_done(struct op *op, int32_t result, uint32_t cqe_flags)
{
    (void)cqe_flags;
    struct listener *listener = CONTAINER_OF(op, struct listener, accept_op);
    struct shard *shard = listener->shard;
    if (result >= 0) {
        metric_add(&shard->metrics, METRIC_CONNECTIONS_ACCEPTED, 1);
        listener->accepted(listener, result);
    } else if (result != -ECANCELED) {
        metric_add(&shard->metrics, METRIC_ACCEPT_ERRORS, 1);
    }
    if (op->armed || listener->stopped || listener->paused)
        return;
    /* Out of descriptors or memory: the backlog holds the clients until something has been given back. */
    if (result < 0 && result != -ECANCELED && result != -ECONNABORTED)
        timer_arm(&shard->timers, &listener->retry_timer, shard->now_ms + RETRY_MS);
    else
        accept_start(listener);
}

static void accept_start(struct listener *listener)
{
    struct io_uring_sqe *sqe = ring_prepare(&listener->shard->ring);
    io_uring_prep_multishot_accept(sqe, listener->fd, NULL, NULL, SOCK_CLOEXEC);
    ring_arm(sqe, &listener->accept_op, accept_done);
}

static void retry(struct timer *timer)
{
    struct listener *listener = CONTAINER_OF(timer, struct listener, retry_timer);
    if (!listener->accept_op.armed && !listener->stopped && !listener->paused)
        accept_start(listener);
}

void listener_start(struct listener *listener, struct shard *shard, int fd,
                    const struct listener_options *options)
{
    listener->shard = shard;
    listener->fd = fd;
    listener->options = options;
    timer_init(&listener->retry_timer, retry);
    accept_start(listener);
}

void listener_pause(struct listener *listener)
{
    if (listener->paused || listener->stopped)
        return;
    listener->paused = true;
    metric_add(&listener->shard->metrics, METRIC_CONNECTIONS_SHED, 1);
    if (listener->accept_op.armed)
        ring_cancel(&listener->shard->ring, &listener->accept_op);
}

void listener_resume(struct listener *listener)
{
    if (!listener->paused || listener->stopped)
        return;
    listener->paused = false;
    if (!listener->accept_op.armed)
        accept_start(listener);
}

/* Who is in the backlog has been told that the connection stands: closing the socket would reset it. */
static void take_backlog(struct listener *listener)
{
    int flags = fcntl(listener->fd, F_GETFL), fd = -1;
    if (flags < 0 || fcntl(listener->fd, F_SETFL, flags | O_NONBLOCK) != 0)
        return;
    while (!listener->paused && (fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        metric_add(&listener->shard->metrics, METRIC_CONNECTIONS_ACCEPTED, 1);
        listener->accepted(listener, fd);
    }
}

void listener_stop(struct listener *listener, enum listener_backlog backlog)
{
    if (listener->stopped)
        return;
    if (backlog == LISTENER_TAKE_BACKLOG)
        take_backlog(listener);
    listener->stopped = true;
    timer_disarm(&listener->shard->timers, &listener->retry_timer);
    if (listener->accept_op.armed)
        ring_cancel(&listener->shard->ring, &listener->accept_op);
    close(listener->fd);
}
