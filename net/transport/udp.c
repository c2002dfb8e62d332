/* SPDX-License-Identifier: Apache-2.0 */
#include "net/transport/udp.h"

#include <errno.h>
#include <unistd.h>

/* NAME_BYTES has room for any source, and keeps what follows it aligned. */
enum { CONTROL_BYTES = 64, NAME_BYTES = 32, RETRY_MS = 5, RECEIVE_BUFFER_BYTES = 4 << 20 };
enum { PREFIX_BYTES = sizeof(struct io_uring_recvmsg_out) + NAME_BYTES + CONTROL_BYTES };
_Static_assert(NAME_BYTES >= sizeof(struct sockaddr_in6) &&
                   (PREFIX_BYTES - CONTROL_BYTES) % _Alignof(struct cmsghdr) == 0,
               "what came beside a datagram is aligned");

/* --- the socket of clients ------------------------------------------------------------------------------ */

/* Which of its addresses a client has sent to is told with each datagram: replies come from there. */
static int prepare(int fd, const struct address *address)
{
    int on = 1, size = RECEIVE_BUFFER_BYTES;
    bool is_v6 = address->any.sa_family == AF_INET6;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)); /* as much as the system allows */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0)
        return -1;
    if (is_v6 && setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on)) != 0)
        return -1;
    if (!is_v6 && setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)) != 0)
        return -1;
    return bind(fd, &address->any, address->size);
}

enum error udp_bind(const struct address *address, int *fd, const char **reason)
{
    *fd = socket(address->any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (*fd >= 0 && prepare(*fd, address) == 0)
        return ERROR_OK;
    int failure = errno;
    *reason = strerror(failure);
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    return error_from_errno(failure);
}

static struct address destination_of(struct udp_listener *listener, struct io_uring_recvmsg_out *out)
{
    struct address found = { 0 };
    struct cmsghdr *item = io_uring_recvmsg_cmsg_firsthdr(out, &listener->shape);
    for (; item; item = io_uring_recvmsg_cmsg_nexthdr(out, &listener->shape, item)) {
        if (item->cmsg_level == IPPROTO_IP && item->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(item), sizeof(info));
            found = (struct address){ .v4 = { .sin_family = AF_INET, .sin_addr = info.ipi_addr } };
            found.size = sizeof(found.v4);
        } else if (item->cmsg_level == IPPROTO_IPV6 && item->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(item), sizeof(info));
            found = (struct address){ .v6 = { .sin6_family = AF_INET6, .sin6_addr = info.ipi6_addr } };
            found.size = sizeof(found.v6);
        }
    }
    if (found.size)
        address_set_port(&found, listener->port);
    return found;
}

/* What the kernel has written: its own header, the source, what came beside, and the payload; behind other
 * datagrams in the block, and so at any address: what is read as a struct is copied. False: not all of the
 * datagram. */
static bool take_apart(struct udp_listener *listener, struct chunk chunk, struct udp_datagram *datagram)
{
    _Alignas(struct cmsghdr) char prefix[PREFIX_BYTES];
    if (chunk.size < sizeof(prefix))
        return false;
    memcpy(prefix, chunk.block->data + chunk.offset, sizeof(prefix));
    struct io_uring_recvmsg_out *out = io_uring_recvmsg_validate(prefix, (int)chunk.size, &listener->shape);
    if (out == NULL || out->flags & MSG_TRUNC || out->namelen > sizeof(datagram->source.v6))
        return false;
    *datagram = (struct udp_datagram){ .payload = chunk };
    memcpy(&datagram->source.any, io_uring_recvmsg_name(out), out->namelen);
    datagram->source.size = (socklen_t)out->namelen;
    datagram->destination = destination_of(listener, out);
    datagram->payload.size = chunk.size - PREFIX_BYTES;
    datagram->payload.offset = chunk.offset + PREFIX_BYTES;
    return true;
}

static void receive_start(struct udp_listener *listener);

static void receive_again(struct timer *timer)
{
    struct udp_listener *listener = CONTAINER_OF(timer, struct udp_listener, retry_timer);
    if (!listener->op.armed && !listener->stopped)
        receive_start(listener);
}

static void receive_done(struct op *op, int32_t result, uint32_t cqe_flags)
{
    struct udp_listener *listener = CONTAINER_OF(op, struct udp_listener, op);
    struct shard *shard = listener->shard;
    struct udp_datagram datagram;
    struct chunk chunk = { 0 };
    if (cqe_flags & IORING_CQE_F_BUFFER)
        chunk = block_store_received(shard->blocks, cqe_flags, result > 0 ? (uint32_t)result : 0);
    if (chunk.size > 0 && !listener->stopped && take_apart(listener, chunk, &datagram)) {
        listener->received(listener, &datagram);
    } else {
        metric_add(&shard->metrics, METRIC_UDP_DROPPED, chunk.size > 0);
        chunk_release(&chunk);
    }
    if (op->armed)
        return;
    if (listener->stopped) {
        udp_listener_close(listener);
        return;
    }
    if (result >= 0) {
        receive_start(listener);
        return;
    }
    if (result == -ENOBUFS) {
        metric_add(&shard->metrics, METRIC_BLOCKS_DRY, 1);
        block_store_widen(shard->blocks);
    }
    timer_arm(&shard->timers, &listener->retry_timer, shard->now_ms + RETRY_MS);
}

static void receive_start(struct udp_listener *listener)
{
    struct io_uring_sqe *sqe = ring_prepare(&listener->shard->ring);
    io_uring_prep_recvmsg_multishot(sqe, listener->fd, &listener->shape, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = BLOCK_GROUP;
    ring_arm(sqe, &listener->op, receive_done);
}

void udp_listener_start(struct udp_listener *listener, struct shard *shard, int fd,
                        const struct listener_options *options)
{
    struct address address = { .size = sizeof(address.v6) };
    listener->shard = shard;
    listener->fd = fd;
    listener->options = options;
    listener->shape = (struct msghdr){ .msg_namelen = NAME_BYTES, .msg_controllen = CONTROL_BYTES };
    if (getsockname(fd, &address.any, &address.size) == 0)
        listener->port = address_port(&address);
    timer_init(&listener->retry_timer, receive_again);
    receive_start(listener);
}

void udp_listener_stop(struct udp_listener *listener)
{
    if (listener->stopped)
        return;
    listener->stopped = true;
    timer_disarm(&listener->shard->timers, &listener->retry_timer);
    if (listener->op.armed)
        ring_cancel(&listener->shard->ring, &listener->op);
}

void udp_listener_close(struct udp_listener *listener)
{
    if (listener->fd >= 0)
        close(listener->fd);
    listener->fd = -1;
}

/* Where the reply comes from, as data beside it. */
static void write_source(struct msghdr *message, const struct address *from, bool is_v6)
{
    struct cmsghdr *item = CMSG_FIRSTHDR(message);
    if (is_v6) {
        struct in6_pktinfo info = { .ipi6_addr = from->v6.sin6_addr };
        *item = (struct cmsghdr){ CMSG_LEN(sizeof(info)), IPPROTO_IPV6, IPV6_PKTINFO };
        memcpy(CMSG_DATA(item), &info, sizeof(info));
        message->msg_controllen = CMSG_SPACE(sizeof(info));
        return;
    }
    struct in_pktinfo info = { .ipi_spec_dst = from->v4.sin_addr };
    *item = (struct cmsghdr){ CMSG_LEN(sizeof(info)), IPPROTO_IP, IP_PKTINFO };
    memcpy(CMSG_DATA(item), &info, sizeof(info));
    message->msg_controllen = CMSG_SPACE(sizeof(info));
}

bool udp_reply(const struct udp_listener *listener, const struct address *to, const struct address *from,
               struct slice payload)
{
    _Alignas(struct cmsghdr) char control[CONTROL_BYTES] = { 0 };
    struct iovec piece = { (void *)(uintptr_t)payload.data, payload.size };
    struct msghdr message = {
        .msg_name = (void *)(uintptr_t)&to->any, .msg_namelen = to->size, .msg_iov = &piece, .msg_iovlen = 1
    };
    if (from->size) {
        message.msg_control = control;
        message.msg_controllen = sizeof(control);
        write_source(&message, from, from->any.sa_family == AF_INET6);
    }
    return sendmsg(listener->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

/* --- a connected socket --------------------------------------------------------------------------------- */

static void peer_receive(struct udp_peer *peer);

static void peer_done(struct udp_peer *peer)
{
    if (peer->fd >= 0)
        close(peer->fd);
    peer->fd = -1;
    peer->events->closed(peer);
}

static void peer_received(struct op *op, int32_t result, uint32_t cqe_flags)
{
    struct udp_peer *peer = CONTAINER_OF(op, struct udp_peer, op);
    struct shard *shard = peer->shard;
    struct chunk chunk = { 0 };
    if (cqe_flags & IORING_CQE_F_BUFFER)
        chunk = block_store_received(shard->blocks, cqe_flags, result > 0 ? (uint32_t)result : 0);
    if (peer->closing) {
        chunk_release(&chunk);
        if (!op->armed)
            peer_done(peer);
        return;
    }
    if (!op->armed && (result >= 0 || result == -ENOBUFS))
        shard_defer(shard, &peer->task);
    if (result == -ENOBUFS)
        block_store_widen(shard->blocks);
    else if (result < 0)
        peer->events->failed(peer, error_from_errno(-result));
    if (result >= 0)
        peer->events->received(peer, chunk);
}

static void peer_receive(struct udp_peer *peer)
{
    struct io_uring_sqe *sqe = ring_prepare(&peer->shard->ring);
    io_uring_prep_recv_multishot(sqe, peer->fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = BLOCK_GROUP;
    ring_arm(sqe, &peer->op, peer_received);
}

/* Receives again, or tells the end when nothing was armed that would. */
static void peer_task(struct shard_task *task)
{
    struct udp_peer *peer = CONTAINER_OF(task, struct udp_peer, task);
    if (peer->op.armed)
        return;
    if (peer->closing)
        peer_done(peer);
    else
        peer_receive(peer);
}

enum error udp_peer_open(struct udp_peer *peer, struct shard *shard, const struct udp_peer_events *events,
                         const struct address *address)
{
    *peer = (struct udp_peer){ .shard = shard, .events = events, .fd = -1 };
    int fd = socket(address->any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, &address->any, address->size) != 0) {
        int failure = errno;
        if (fd >= 0)
            close(fd);
        return error_from_errno(failure);
    }
    peer->fd = fd;
    shard_task_init(&peer->task, peer_task);
    peer_receive(peer);
    return ERROR_OK;
}

bool udp_peer_send(struct udp_peer *peer, struct slice payload)
{
    return !peer->closing && send(peer->fd, payload.data, payload.size, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

void udp_peer_close(struct udp_peer *peer)
{
    if (peer->closing)
        return;
    peer->closing = true;
    if (peer->op.armed)
        ring_cancel(&peer->shard->ring, &peer->op);
    else
        shard_defer(peer->shard, &peer->task);
}
