/* SPDX-License-Identifier: Apache-2.0 */
/* A cheap HTTP/1.1 origin for benchmarks: one thread, edge-triggered epoll.
 * The last path segments `/bytes/N` select the size of the answer's body
 * (up to 1 GiB), anything else gives 128 bytes. Request bodies are read and
 * discarded. Prints the port it listens on as its only line on stdout. */
#include "bench/answer.h"
#include "bench/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    INPUT_BYTES = 16384,
    PATTERN_BYTES = 1 << 20,
    EVENT_BATCH = 256,
};

enum conn_state {
    CONN_HEAD,
    CONN_BODY,
    CONN_DELAYED,
    CONN_WRITING,
};

struct conn {
    int fd;
    enum conn_state state;
    bool readable; /* an edge was seen and not yet drained */
    bool hangup;   /* the peer's end is somewhere behind the unread bytes */
    bool close_after;
    bool is_head_request;
    bool prepared_close;
    size_t in_start;
    size_t in_end;
    struct wire_body body;
    size_t head_size;
    size_t head_sent;
    uint64_t body_left;
    uint64_t answer_bytes;
    uint64_t prepared_bytes;
    uint64_t due_ns;
    struct conn *delayed_next;
    char head[ANSWER_HEAD_MAX];
    char in[INPUT_BYTES];
};

struct origin {
    int epoll_fd;
    int listen_fd;
    uint64_t delay_ns;
    bool close_always;
    struct conn *delayed_first; /* due in order, because the delay is constant */
    struct conn *delayed_last;
    char *pattern;
};

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "origin: %s: %s\n", what, strerror(errno));
    exit(3);
}

static void conn_close(struct conn *conn)
{
    close(conn->fd);
    free(conn);
}

/* A connection mostly asks for one size: its last head is kept. */
static void conn_prepare_answer(struct conn *conn)
{
    conn->head_sent = 0;
    conn->body_left = conn->is_head_request ? 0 : conn->answer_bytes;
    bool same = conn->prepared_bytes == conn->answer_bytes && conn->prepared_close == conn->close_after;
    if (conn->head_size > 0 && same)
        return;
    conn->head_size = answer_head(conn->head, conn->answer_bytes, conn->close_after);
    conn->prepared_bytes = conn->answer_bytes;
    conn->prepared_close = conn->close_after;
}

/* 1 = all written, 0 = the socket is full, -1 = connection lost. */
static int conn_write(const struct origin *origin, struct conn *conn)
{
    while (conn->head_sent < conn->head_size || conn->body_left > 0) {
        size_t body_part = conn->body_left < PATTERN_BYTES ? (size_t)conn->body_left : PATTERN_BYTES;
        size_t head_part = conn->head_size - conn->head_sent;
        struct iovec parts[2] = {
            { .iov_base = conn->head + conn->head_sent, .iov_len = head_part },
            { .iov_base = origin->pattern, .iov_len = body_part },
        };
        struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
        ssize_t sent = sendmsg(conn->fd, &message, MSG_NOSIGNAL);
        if (sent < 0)
            return errno == EAGAIN ? 0 : -1;
        size_t sent_head = (size_t)sent < head_part ? (size_t)sent : head_part;
        conn->head_sent += sent_head;
        conn->body_left -= (size_t)sent - sent_head;
    }
    return 1;
}

/* 1 = some bytes, 0 = nothing there, -1 = closed or buffer full. */
static int conn_receive(struct conn *conn)
{
    if (!conn->readable)
        return 0;
    if (conn->in_start > 0) {
        memmove(conn->in, conn->in + conn->in_start, conn->in_end - conn->in_start);
        conn->in_end -= conn->in_start;
        conn->in_start = 0;
    }
    size_t room = INPUT_BYTES - conn->in_end;
    if (room == 0)
        return -1;
    ssize_t got = recv(conn->fd, conn->in + conn->in_end, room, 0);
    if (got < 0 && errno == EAGAIN) {
        conn->readable = false;
        return 0;
    }
    if (got <= 0)
        return -1;
    /* A short read has drained the socket; what comes later is a new edge. */
    if ((size_t)got < room && !conn->hangup)
        conn->readable = false;
    conn->in_end += (size_t)got;
    return 1;
}

/* 1 = a head was taken, 0 = more bytes needed, -1 = unusable. */
static int conn_read_head(const struct origin *origin, struct conn *conn)
{
    struct wire_head head;
    int result = wire_head_read(conn->in + conn->in_start, conn->in_end - conn->in_start, &head);
    if (result <= 0)
        return result;
    conn->close_after = head.close || origin->close_always;
    conn->is_head_request = memcmp(head.start_line, "HEAD ", 5) == 0;
    conn->answer_bytes = answer_body_bytes(&head);
    wire_body_begin(&conn->body, head.framing, head.length);
    conn->in_start += head.size_bytes;
    conn->state = CONN_BODY;
    return 1;
}

static int conn_read_body(struct conn *conn)
{
    ssize_t used = wire_body_skip(&conn->body, conn->in + conn->in_start, conn->in_end - conn->in_start);
    if (used < 0)
        return -1;
    conn->in_start += (size_t)used;
    return conn->body.done ? 1 : 0;
}

static void delay_append(struct origin *origin, struct conn *conn)
{
    conn->state = CONN_DELAYED;
    conn->due_ns = wire_now_ns() + origin->delay_ns;
    conn->delayed_next = NULL;
    if (origin->delayed_last != NULL)
        origin->delayed_last->delayed_next = conn;
    else
        origin->delayed_first = conn;
    origin->delayed_last = conn;
}

/* 1 = go on with the state machine, 0 = wait, -1 = close. */
static int conn_step(struct origin *origin, struct conn *conn)
{
    int result = 0;
    switch (conn->state) {
    case CONN_HEAD:
        result = conn->in_end > conn->in_start ? conn_read_head(origin, conn) : 0;
        return result != 0 ? result : conn_receive(conn);
    case CONN_BODY:
        result = conn_read_body(conn);
        if (result == 0)
            return conn_receive(conn);
        if (result < 0)
            return -1;
        conn_prepare_answer(conn);
        conn->state = CONN_WRITING;
        if (origin->delay_ns == 0)
            return 1;
        delay_append(origin, conn);
        return 0;
    case CONN_DELAYED: return 0;
    case CONN_WRITING:
        result = conn_write(origin, conn);
        if (result <= 0)
            return result;
        conn->state = CONN_HEAD;
        return conn->close_after ? -1 : 1;
    }
    return -1;
}

static void conn_advance(struct origin *origin, struct conn *conn)
{
    int result;
    do
        result = conn_step(origin, conn);
    while (result > 0);
    if (result < 0)
        conn_close(conn);
}

static void run_delayed(struct origin *origin)
{
    uint64_t now = wire_now_ns();
    while (origin->delayed_first != NULL && origin->delayed_first->due_ns <= now) {
        struct conn *conn = origin->delayed_first;
        origin->delayed_first = conn->delayed_next;
        if (origin->delayed_first == NULL)
            origin->delayed_last = NULL;
        conn->state = CONN_WRITING;
        conn_advance(origin, conn);
    }
}

static void accept_all(struct origin *origin)
{
    for (;;) {
        int fd = accept4(origin->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        struct conn *conn = calloc(1, sizeof *conn);
        if (conn == NULL)
            die("out of memory");
        conn->fd = fd;
        struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = conn };
        if (epoll_ctl(origin->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
            die("epoll_ctl");
    }
}

static void origin_loop(struct origin *origin)
{
    struct epoll_event events[EVENT_BATCH];
    for (;;) {
        int timeout_ms = -1;
        if (origin->delayed_first != NULL) {
            uint64_t now = wire_now_ns();
            uint64_t due = origin->delayed_first->due_ns;
            timeout_ms = due > now ? (int)((due - now + 999999) / 1000000) : 0;
        }
        int count = epoll_wait(origin->epoll_fd, events, EVENT_BATCH, timeout_ms);
        if (count < 0 && errno != EINTR)
            die("epoll_wait");
        for (int i = 0; i < count; i++) {
            struct conn *conn = events[i].data.ptr;
            if (conn == NULL) {
                accept_all(origin);
                continue;
            }
            if ((events[i].events & ~(uint32_t)EPOLLOUT) != 0)
                conn->readable = true;
            if ((events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
                conn->hangup = true;
            conn_advance(origin, conn);
        }
        run_delayed(origin);
    }
}

static void origin_listen(struct origin *origin, uint16_t port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
    socklen_t size = sizeof address;
    int on = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    origin->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (origin->listen_fd < 0)
        die("socket");
    setsockopt(origin->listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    /* Accepted sockets inherit it: without it small answers would wait for acknowledgements. */
    setsockopt(origin->listen_fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (bind(origin->listen_fd, (struct sockaddr *)&address, sizeof address) != 0)
        die("bind");
    if (listen(origin->listen_fd, 4096) != 0)
        die("listen");
    origin->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = { .events = EPOLLIN };
    if (origin->epoll_fd < 0 || epoll_ctl(origin->epoll_fd, EPOLL_CTL_ADD, origin->listen_fd, &event) != 0)
        die("epoll");
    getsockname(origin->listen_fd, (struct sockaddr *)&address, &size);
    printf("%u\n", (unsigned)ntohs(address.sin_port));
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "port", required_argument, NULL, 'p' },
        { "delay-ms", required_argument, NULL, 'd' },
        { "close", no_argument, NULL, 'c' },
        { NULL, 0, NULL, 0 },
    };
    struct origin origin = { .delay_ns = 0 };
    uint16_t port = 0;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'p')
            port = (uint16_t)strtoul(optarg, NULL, 10);
        else if (option == 'd')
            origin.delay_ns = strtoull(optarg, NULL, 10) * 1000000;
        else if (option == 'c')
            origin.close_always = true;
        else
            return 2;
    }
    origin.pattern = malloc(PATTERN_BYTES);
    if (origin.pattern == NULL)
        die("out of memory");
    for (size_t i = 0; i < PATTERN_BYTES; i++)
        origin.pattern[i] = (char)('a' + i % 26);
    origin_listen(&origin, port);
    origin_loop(&origin);
    return 0;
}
