/* SPDX-License-Identifier: Apache-2.0 */
/* Data flows as without TLS, by the same multishot receive and the same sends. Only what is no data takes
 * other ways: a received alert ends the receive with EIO and is asked for with recvmsg, once per connection
 * as a rule, and one to be sent goes alone with its type beside it. */
#include "net/transport/tcp_stream_parts.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

enum { RECORD_BYTES = 16 * 1024, RECORD_DATA = 23 };

static struct tcp_stream *tcp_of(struct stream *stream)
{
    return CONTAINER_OF(stream, struct tcp_stream, stream);
}

/* --- taking over ---------------------------------------------------------------------------------------- */

enum error tcp_kernel_protect_sending(struct stream *stream, const struct stream_crypto *crypto)
{
    struct tcp_stream *tcp = tcp_of(stream);
    CHECK(stream->queued_bytes == 0);
    if (tcp->kernel == NULL)
        tcp->kernel = calloc(1, sizeof(*tcp->kernel));
    if (tcp->kernel == NULL)
        return ERROR_MEMORY;
    enum error error = ktls_protect(tcp->fd, KTLS_SEND, crypto);
    tcp->seals |= error == ERROR_OK;
    return error;
}

enum error tcp_kernel_protect_receiving(struct stream *stream, const struct stream_crypto *crypto)
{
    struct tcp_stream *tcp = tcp_of(stream);
    CHECK(!tcp->receive_op.armed);
    enum error error = ktls_protect(tcp->fd, KTLS_RECEIVE, crypto);
    tcp->kernel->opens |= error == ERROR_OK;
    return error;
}

void tcp_kernel_halt(struct stream *stream)
{
    struct tcp_stream *tcp = tcp_of(stream);
    tcp->intake = TCP_INTAKE_NOTHING;
    tcp->kernel->halting = true;
    list_remove(&tcp->starved_node);
    if (tcp->receive_op.armed)
        ring_cancel(&stream->shard->ring, &tcp->receive_op);
    else
        shard_defer(stream->shard, &tcp->task);
}

void tcp_kernel_receive_exactly(struct stream *stream, uint32_t size_bytes)
{
    struct tcp_stream *tcp = tcp_of(stream);
    if (tcp->closing)
        return;
    tcp->intake = TCP_INTAKE_EXACTLY;
    tcp->kernel->exactly = size_bytes;
    tcp_stream_receive(tcp);
}

void tcp_kernel_unhalt(struct stream *stream)
{
    struct tcp_stream *tcp = tcp_of(stream);
    if (tcp->closing)
        return;
    tcp->intake = TCP_INTAKE_ALL;
    tcp_stream_receive(tcp);
}

/* --- receiving ------------------------------------------------------------------------------------------ */

void tcp_kernel_received(struct tcp_stream *tcp, int32_t result)
{
    if (tcp->intake == TCP_INTAKE_EXACTLY && result > 0)
        tcp->intake = TCP_INTAKE_NOTHING;
    if (tcp->kernel->halting)
        shard_defer(tcp->stream.shard, &tcp->task);
}

bool tcp_kernel_tells(struct tcp_stream *tcp)
{
    if (!tcp->kernel->halting || tcp->receive_op.armed)
        return false;
    tcp->kernel->halting = false;
    tcp->stream.events->halted(&tcp->stream);
    return tcp->closing;
}

static int type_of(struct msghdr *header)
{
    struct cmsghdr *control = CMSG_FIRSTHDR(header);
    return control && ktls_is_record_type(control) ? *CMSG_DATA(control) : -1;
}

static void deliver(struct tcp_stream *tcp, struct slice bytes)
{
    struct block *block = block_open(tcp->stream.shard->blocks, bytes.size);
    if (block == NULL) {
        tcp->reading = false;
        tcp_stream_fail(tcp, ERROR_MEMORY);
        return;
    }
    memcpy(block->data, bytes.data, bytes.size);
    block->used = (uint32_t)bytes.size;
    tcp->stream.received_bytes += bytes.size;
    tcp->stream.events->received(&tcp->stream, (struct chunk){ block, 0, block->used });
}

/* The record is there already: the receive has just left it. */
static void take_record(struct tcp_stream *tcp)
{
    char bytes[RECORD_BYTES];
    union {
        struct cmsghdr first; /* for its alignment */
        unsigned char bytes[KTLS_CONTROL_MAX];
    } control;
    struct iovec piece = { bytes, sizeof(bytes) };
    struct msghdr header = {
        .msg_iov = &piece, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
    };
    ssize_t size = recvmsg(tcp->fd, &header, MSG_DONTWAIT);
    int type = size >= 0 ? type_of(&header) : -1;
    if (size < 0 && errno != EAGAIN && errno != EINTR) {
        tcp->reading = false;
        tcp_stream_fail(tcp, error_from_errno(errno));
        return;
    }
    struct slice record = { bytes, size > 0 ? (size_t)size : 0 };
    if (type >= 0 && type != RECORD_DATA)
        tcp->stream.events->record(&tcp->stream, (uint8_t)type, record);
    else if (size > 0)
        deliver(tcp, record);
}

/* Its error is taken off the socket, which an alert can pass then. */
static void refuse(struct tcp_stream *tcp, int errno_value)
{
    int error = 0;
    socklen_t size = sizeof(error);
    (void)getsockopt(tcp->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    tcp->reading = false;
    tcp->stream.events->spoiled(&tcp->stream, errno_value);
}

bool tcp_kernel_explains(struct tcp_stream *tcp, int errno_value)
{
    if (!tcp->kernel->opens)
        return false;
    if (errno_value == EBADMSG || errno_value == EMSGSIZE || errno_value == EINVAL) {
        refuse(tcp, errno_value);
        return true;
    }
    if (errno_value != EIO)
        return false;
    if (tcp->paused)
        return true; /* it is found again */
    take_record(tcp);
    if (!tcp->closing)
        tcp_stream_receive(tcp);
    return true;
}

/* --- sending -------------------------------------------------------------------------------------------- */

void tcp_kernel_queue_record(struct stream *stream, uint8_t type, struct slice bytes)
{
    struct tcp_stream *tcp = tcp_of(stream);
    struct tcp_kernel *kernel = tcp->kernel;
    CHECK(bytes.size > 0);
    CHECK(bytes.size <= TCP_RECORD_MAX);
    CHECK(!tcp->finishing);
    if (tcp->closing || tcp->failed || kernel->recording)
        return;
    memcpy(kernel->record, bytes.data, bytes.size);
    tcp->record_bytes = (uint8_t)bytes.size;
    kernel->piece = (struct iovec){ kernel->record, bytes.size };
    kernel->header = (struct msghdr){ .msg_iov = &kernel->piece,
                                      .msg_iovlen = 1,
                                      .msg_control = kernel->control,
                                      .msg_controllen = ktls_record_type(kernel->control, type) };
    tcp_stream_count(tcp);
    if (!tcp->send_op.armed)
        shard_defer(stream->shard, &tcp->task);
}

static void record_done(struct op *op, int32_t result, uint32_t cqe_flags)
{
    (void)cqe_flags;
    struct tcp_stream *tcp = CONTAINER_OF(op, struct tcp_stream, send_op);
    if (tcp->closing) {
        tcp_stream_close_when_idle(tcp);
        return;
    }
    tcp->kernel->recording = false;
    tcp->record_bytes = 0;
    if (result < 0)
        tcp_stream_fail(tcp, error_from_errno(-result));
    else
        tcp_stream_sent(tcp);
}

static void ready_for_record(struct op *op, int32_t result, uint32_t cqe_flags)
{
    (void)result, (void)cqe_flags; /* what is wrong with the connection, sending tells as well */
    struct tcp_stream *tcp = CONTAINER_OF(op, struct tcp_stream, send_op);
    if (tcp->closing) {
        tcp_stream_close_when_idle(tcp);
        return;
    }
    struct io_uring_sqe *sqe = ring_prepare(&tcp->stream.shard->ring);
    io_uring_prep_sendmsg(sqe, tcp->fd, &tcp->kernel->header, MSG_NOSIGNAL);
    ring_arm(sqe, &tcp->send_op, record_done);
}

/* A send returns when the kernel has sealed everything, and records may wait behind a full window then. A FIN
 * would overtake them: so the last record, which is followed by one, waits until there is room, and takes
 * with it what is left. */
void tcp_kernel_send_record(struct tcp_stream *tcp)
{
    struct io_uring_sqe *sqe = ring_prepare(&tcp->stream.shard->ring);
    tcp->kernel->recording = true;
    io_uring_prep_poll_add(sqe, tcp->fd, POLLOUT);
    ring_arm(sqe, &tcp->send_op, ready_for_record);
}
