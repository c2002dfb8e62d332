/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/load_engine.h"

#include "bench/load_tls.h"
#include "bench/wire.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    EVENT_BATCH = 256,
    SCRATCH_BYTES = 1 << 18,
    HEAD_LIMIT_BYTES = 16384,
    IDLE_OPENING_LIMIT = 64, /* below any sane listen backlog */
    SOURCE_ADDRESSES = 16,
};

/* From this size on a counted body is dropped in the kernel, uncopied. */
#define DISCARD_BYTES ((uint64_t)1 << 15)
#define TICK_NS ((uint64_t)10000000)

enum peer_state {
    PEER_CLOSED,
    PEER_CONNECTING,
    PEER_SHAKING,
    PEER_SENDING,
    PEER_HEAD,
    PEER_BODY,
    PEER_READY,
};

struct peer {
    int fd;
    struct ssl_st *ssl; /* NULL: in the clear */
    enum peer_state state;
    bool is_idle_kind;
    bool queued;      /* waits in the ready queue */
    bool close_after;
    unsigned status;
    size_t request;
    size_t sent_bytes;
    uint64_t intended_ns;
    uint64_t sent_ns;
    struct wire_body body;
    char *partial;    /* a head cut by a packet's end */
    size_t partial_bytes;
};

struct engine {
    const struct load_options *options;
    struct load_result *result;
    struct load_tls *tls; /* NULL: in the clear */
    int epoll_fd;
    struct peer *peers; /* active ones first, then the idle kind */
    size_t peer_count;
    size_t *ready;      /* circular queue of active peers free to send (open loop) */
    size_t ready_first;
    size_t ready_count;
    size_t outstanding;
    size_t idle_next;
    size_t idle_opening;
    size_t next_request;
    unsigned next_source;
    struct schedule schedule; /* not begun while idle connections are opened */
    uint64_t tick_ns;
    bool stopping;      /* closed loop: start nothing more */
    char *scratch;
};

static void request_begin(struct engine *engine, struct peer *peer, uint64_t intended_ns);

static void peer_close(struct peer *peer)
{
    load_tls_free(peer->ssl);
    if (peer->fd >= 0)
        close(peer->fd);
    free(peer->partial);
    peer->fd = -1;
    peer->ssl = NULL;
    peer->partial = NULL;
    peer->partial_bytes = 0;
    peer->state = PEER_CLOSED;
}

static void ready_push(struct engine *engine, struct peer *peer)
{
    if (peer->queued || peer->is_idle_kind)
        return;
    size_t at = (engine->ready_first + engine->ready_count) % engine->options->connections;
    engine->ready[at] = (size_t)(peer - engine->peers);
    engine->ready_count++;
    peer->queued = true;
}

static struct peer *ready_pop(struct engine *engine)
{
    struct peer *peer = &engine->peers[engine->ready[engine->ready_first]];
    engine->ready_first = (engine->ready_first + 1) % engine->options->connections;
    engine->ready_count--;
    peer->queued = false;
    return peer;
}

/* What a peer does once its request ended, well or badly. A failed peer of the
 * closed loop rests until the next tick, so that a dead server is not stormed. */
static void peer_released(struct engine *engine, struct peer *peer, bool well)
{
    if (peer->is_idle_kind) {
        engine->idle_opening--;
        if (well)
            engine->result->idle_opened++;
        else
            engine->result->idle_failed++;
        return;
    }
    engine->outstanding--;
    if (engine->options->rate > 0)
        ready_push(engine, peer);
    else if (well && !engine->stopping)
        request_begin(engine, peer, wire_now_ns());
}

static void request_failed(struct engine *engine, struct peer *peer, uint64_t *counter)
{
    (*counter)++;
    peer_close(peer);
    peer_released(engine, peer, false);
}

static void request_done(struct engine *engine, struct peer *peer)
{
    struct load_result *result = engine->result;
    load_result_status(result, peer->status);
    if (!peer->is_idle_kind)
        load_result_answer(result, &engine->schedule, peer->status, peer->intended_ns, wire_now_ns());
    peer->state = PEER_READY;
    if (peer->close_after || (engine->options->close && !peer->is_idle_kind)) {
        if (!engine->options->close)
            result->reconnects++;
        peer_close(peer);
    }
    peer_released(engine, peer, load_result_is_good(peer->status));
}

/* Many requests, each on its own connection, would run out of the ports of one
 * source address while the old ones are in TIME_WAIT. */
static void choose_source(struct engine *engine, int fd)
{
    struct sockaddr_in source = { .sin_family = AF_INET };
    int on = 1;
    if (!engine->options->close || (ntohl(engine->options->server.sin_addr.s_addr) >> 24) != 127)
        return;
    source.sin_addr.s_addr = htonl(INADDR_LOOPBACK + engine->next_source++ % SOURCE_ADDRESSES);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    (void)bind(fd, (struct sockaddr *)&source, sizeof source);
}

/* Opens the socket. 0, or -1 when it failed at once. */
static int peer_connect(struct engine *engine, struct peer *peer)
{
    int on = 1;
    peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (peer->fd < 0)
        return -1;
    setsockopt(peer->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    choose_source(engine, peer->fd);
    const struct sockaddr_in *server = &engine->options->server;
    int result = connect(peer->fd, (const struct sockaddr *)server, sizeof *server);
    if (result != 0 && errno != EINPROGRESS)
        return -1;
    struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = peer };
    peer->state = PEER_CONNECTING;
    return epoll_ctl(engine->epoll_fd, EPOLL_CTL_ADD, peer->fd, &event);
}

static void peer_send(struct engine *engine, struct peer *peer)
{
    const struct load_request *request = &engine->options->requests[peer->request];
    while (peer->sent_bytes < request->size) {
        const char *rest = request->text + peer->sent_bytes;
        size_t size = request->size - peer->sent_bytes;
        ssize_t sent =
            peer->ssl ? load_tls_send(peer->ssl, rest, size) : send(peer->fd, rest, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN)
            return;
        if (sent < 0) {
            request_failed(engine, peer, &engine->result->errors_reset);
            return;
        }
        peer->sent_bytes += (size_t)sent;
    }
    peer->state = PEER_HEAD;
}

static void request_begin(struct engine *engine, struct peer *peer, uint64_t intended_ns)
{
    peer->request = engine->next_request;
    if (++engine->next_request == engine->options->request_count)
        engine->next_request = 0;
    peer->intended_ns = intended_ns;
    peer->sent_ns = engine->options->rate > 0 || intended_ns == 0 ? wire_now_ns() : intended_ns;
    if (engine->options->rate > 0 && !peer->is_idle_kind && schedule_counts(&engine->schedule, intended_ns))
        histogram_add(&engine->result->lag, peer->sent_ns - intended_ns);
    peer->sent_bytes = 0;
    peer->close_after = false;
    if (peer->is_idle_kind)
        engine->idle_opening++;
    else
        engine->outstanding++;
    if (peer->state == PEER_READY) {
        peer->state = PEER_SENDING;
        peer_send(engine, peer);
    } else if (peer_connect(engine, peer) != 0) {
        request_failed(engine, peer, &engine->result->errors_connect);
    }
}

/* Bytes of `data` that belong to the body. The peer may be done afterwards. */
static void take_body(struct engine *engine, struct peer *peer, const char *data, size_t size)
{
    ssize_t used = peer->body.done ? 0 : wire_body_skip(&peer->body, data, size);
    if (used < 0 || (peer->body.done && (size_t)used != size)) {
        request_failed(engine, peer, &engine->result->errors_protocol);
        return;
    }
    if (peer->body.done)
        request_done(engine, peer);
}

/* Keeps a cut head until its rest arrives. */
static void keep_partial(struct engine *engine, struct peer *peer, const char *data, size_t size)
{
    if (data == peer->partial)
        return;
    char *kept = size < HEAD_LIMIT_BYTES ? malloc(HEAD_LIMIT_BYTES + SCRATCH_BYTES) : NULL;
    if (kept == NULL) {
        request_failed(engine, peer, &engine->result->errors_protocol);
        return;
    }
    memcpy(kept, data, size);
    free(peer->partial);
    peer->partial = kept;
    peer->partial_bytes = size;
}

static void take_head(struct engine *engine, struct peer *peer, const char *data, size_t size)
{
    struct wire_head head;
    int complete = wire_head_read(data, size, &head);
    if (complete == 0 && size < HEAD_LIMIT_BYTES) {
        keep_partial(engine, peer, data, size);
        return;
    }
    unsigned status = complete > 0 ? wire_head_status(&head) : 0;
    if (status == 0) {
        request_failed(engine, peer, &engine->result->errors_protocol);
        return;
    }
    data += head.size_bytes;
    size -= head.size_bytes;
    if (status < 200) {
        take_head(engine, peer, data, size);
        return;
    }
    bool bodiless = status == 204 || status == 304;
    enum wire_framing unframed = bodiless ? WIRE_EMPTY : WIRE_UNTIL_CLOSE;
    wire_body_begin(&peer->body, head.has_framing && !bodiless ? head.framing : unframed, head.length);
    peer->status = status;
    peer->close_after = head.close || peer->body.framing == WIRE_UNTIL_CLOSE;
    peer->state = PEER_BODY;
    char *partial = peer->partial; /* `data` may lie in it, and the peer may be closed below */
    peer->partial = NULL;
    take_body(engine, peer, data, size);
    free(partial);
}

static void take_bytes(struct engine *engine, struct peer *peer, const char *data, size_t size)
{
    if (schedule_counts(&engine->schedule, engine->tick_ns))
        engine->result->bytes += size;
    if (peer->state == PEER_BODY) {
        take_body(engine, peer, data, size);
    } else if (peer->state != PEER_HEAD) {
        request_failed(engine, peer, &engine->result->errors_protocol);
    } else if (peer->partial != NULL) {
        memcpy(peer->partial + peer->partial_bytes, data, size);
        peer->partial_bytes += size;
        take_head(engine, peer, peer->partial, peer->partial_bytes);
    } else {
        take_head(engine, peer, data, size);
    }
}

/* The server ended the connection, or it broke. */
static void peer_ended(struct engine *engine, struct peer *peer, bool broken)
{
    if (peer->state == PEER_READY) {
        if (peer->is_idle_kind)
            engine->result->idle_closed++;
        else
            engine->result->reconnects++;
        peer_close(peer);
    } else if (peer->state == PEER_BODY && peer->body.framing == WIRE_UNTIL_CLOSE && !broken) {
        request_done(engine, peer);
    } else {
        request_failed(engine, peer, &engine->result->errors_reset);
    }
}

/* 1 = there may be more to read. */
static int peer_receive(struct engine *engine, struct peer *peer, bool hangup)
{
    bool discard = peer->ssl == NULL && peer->state == PEER_BODY && peer->body.framing == WIRE_LENGTH &&
                   peer->body.remaining >= DISCARD_BYTES;
    size_t room = SCRATCH_BYTES;
    if (discard && peer->body.remaining < room)
        room = (size_t)peer->body.remaining;
    ssize_t got = peer->ssl ? load_tls_receive(peer->ssl, engine->scratch, room)
                            : recv(peer->fd, engine->scratch, room, discard ? MSG_TRUNC : 0);
    if (got < 0 && errno == EAGAIN)
        return 0;
    if (got <= 0) {
        peer_ended(engine, peer, got < 0);
        return 0;
    }
    take_bytes(engine, peer, engine->scratch, (size_t)got);
    /* A short read drained the socket; what comes later is a new edge. Below
     * PEER_HEAD it may be another socket already. */
    return peer->state >= PEER_HEAD && ((size_t)got == room || hangup || peer->ssl != NULL);
}

static void peer_shake(struct engine *engine, struct peer *peer)
{
    if (load_tls_shake(peer->ssl) != 0) {
        if (errno != EAGAIN)
            request_failed(engine, peer, &engine->result->errors_connect);
        return;
    }
    if (schedule_counts(&engine->schedule, engine->tick_ns)) {
        engine->result->handshakes++;
        engine->result->resumed += load_tls_was_resumed(peer->ssl);
    }
    peer->state = PEER_SENDING;
    peer_send(engine, peer);
}

static void peer_connected(struct engine *engine, struct peer *peer)
{
    int failure = 0;
    socklen_t size = sizeof failure;
    getsockopt(peer->fd, SOL_SOCKET, SO_ERROR, &failure, &size);
    if (failure != 0) {
        request_failed(engine, peer, &engine->result->errors_connect);
        return;
    }
    peer->state = engine->tls ? PEER_SHAKING : PEER_SENDING;
    if (engine->tls == NULL) {
        peer_send(engine, peer);
    } else if ((peer->ssl = load_tls_connect(engine->tls, peer->fd)) != NULL) {
        peer_shake(engine, peer);
    } else {
        request_failed(engine, peer, &engine->result->errors_connect);
    }
}

static void peer_event(struct engine *engine, struct peer *peer, uint32_t events)
{
    if (peer->state == PEER_CONNECTING && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0)
        peer_connected(engine, peer);
    else if (peer->state == PEER_SHAKING)
        peer_shake(engine, peer);
    else if (peer->state == PEER_SENDING && (events & EPOLLOUT) != 0)
        peer_send(engine, peer);
    if (peer->state < PEER_HEAD || (events & ~(uint32_t)EPOLLOUT) == 0)
        return;
    bool hangup = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    while (peer_receive(engine, peer, hangup) > 0)
        continue;
}

static void run_schedule(struct engine *engine)
{
    uint64_t due_ns, now_ns = wire_now_ns();
    while (engine->ready_count > 0 && schedule_take(&engine->schedule, now_ns, &due_ns))
        request_begin(engine, ready_pop(engine), due_ns);
}

/* Timeouts, and the restart of closed-loop peers that failed. */
static void run_tick(struct engine *engine, uint64_t now)
{
    engine->tick_ns = now;
    for (size_t i = 0; i < engine->options->connections; i++) {
        struct peer *peer = &engine->peers[i];
        bool waits = peer->state != PEER_CLOSED && peer->state != PEER_READY;
        if (waits && now > peer->sent_ns && now - peer->sent_ns > engine->options->timeout_ns)
            request_failed(engine, peer, &engine->result->errors_timeout);
        else if (!waits && !peer->queued && engine->options->rate <= 0 && !engine->stopping)
            request_begin(engine, peer, now);
    }
}

/* One turn: wait until `until_ns` at most, handle what happened. */
static int engine_turn(struct engine *engine, uint64_t until_ns)
{
    struct epoll_event events[EVENT_BATCH];
    uint64_t now = wire_now_ns();
    uint64_t wake = until_ns < engine->tick_ns + TICK_NS ? until_ns : engine->tick_ns + TICK_NS;
    if (schedule_is_open(&engine->schedule) && engine->ready_count > 0 &&
        schedule_due_ns(&engine->schedule) < wake)
        wake = schedule_due_ns(&engine->schedule);
    uint64_t wait_ns = wake > now ? wake - now : 0;
    struct timespec timeout = { .tv_sec = (time_t)(wait_ns / 1000000000u),
                                .tv_nsec = (long)(wait_ns % 1000000000u) };
    int count = epoll_pwait2(engine->epoll_fd, events, EVENT_BATCH, &timeout, NULL);
    if (count < 0 && errno != EINTR) {
        perror("load: epoll_pwait2");
        return -1;
    }
    for (int i = 0; i < count; i++)
        peer_event(engine, events[i].data.ptr, events[i].events);
    now = wire_now_ns();
    if (now >= engine->tick_ns + TICK_NS)
        run_tick(engine, now);
    if (schedule_is_open(&engine->schedule))
        run_schedule(engine);
    return 0;
}

static int run_until(struct engine *engine, uint64_t until_ns)
{
    while (wire_now_ns() < until_ns)
        if (engine_turn(engine, until_ns) != 0)
            return -1;
    return 0;
}

/* Opens the idle connections, a few at a time, each with one request. */
static int open_idle(struct engine *engine)
{
    const struct load_options *options = engine->options;
    uint64_t give_up_ns = wire_now_ns() + options->timeout_ns + options->idle * 1000000u;
    bool was_stopping = engine->stopping;
    engine->stopping = true;
    while (engine->idle_next < engine->peer_count || engine->idle_opening > 0) {
        while (engine->idle_next < engine->peer_count && engine->idle_opening < IDLE_OPENING_LIMIT)
            request_begin(engine, &engine->peers[engine->idle_next++], 0);
        uint64_t now = wire_now_ns();
        if (now > give_up_ns) {
            engine->result->idle_failed += engine->peer_count - engine->idle_next + engine->idle_opening;
            break;
        }
        if (engine_turn(engine, now + TICK_NS) != 0)
            return -1;
    }
    engine->stopping = was_stopping;
    return 0;
}

static int engine_open(struct engine *engine)
{
    const struct load_options *options = engine->options;
    engine->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    engine->peer_count = options->connections + options->idle;
    engine->peers = calloc(engine->peer_count, sizeof engine->peers[0]);
    engine->ready = calloc(options->connections, sizeof engine->ready[0]);
    engine->scratch = malloc(SCRATCH_BYTES);
    if (engine->epoll_fd < 0 || engine->peers == NULL || engine->ready == NULL || engine->scratch == NULL) {
        fprintf(stderr, "load: out of memory or descriptors\n");
        return -1;
    }
    if (options->tls != LOAD_CLEAR && (engine->tls = load_tls_open(options->tls == LOAD_TLS_RESUMED)) == NULL)
        return -1;
    for (size_t i = 0; i < engine->peer_count; i++) {
        engine->peers[i].fd = -1;
        engine->peers[i].is_idle_kind = i >= options->connections;
    }
    engine->idle_next = options->connections;
    engine->tick_ns = wire_now_ns();
    /* The default slack of 50 us would show in every latency of the open loop. */
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    return 0;
}

static void engine_close(struct engine *engine)
{
    for (size_t i = 0; engine->peers != NULL && i < engine->peer_count; i++)
        peer_close(&engine->peers[i]);
    free(engine->peers);
    free(engine->ready);
    free(engine->scratch);
    load_tls_close(engine->tls);
    close(engine->epoll_fd);
}

static void start_load(struct engine *engine)
{
    const struct load_options *options = engine->options;
    uint64_t now = wire_now_ns();
    /* Known before it is reached: the open loop sorts requests by intended start. */
    schedule_begin(&engine->schedule, options->rate, now, options->warmup_ns, options->duration_ns);
    engine->tick_ns = now;
    for (size_t i = 0; i < engine->options->connections; i++) {
        if (engine->options->rate > 0)
            ready_push(engine, &engine->peers[i]);
        else
            request_begin(engine, &engine->peers[i], now);
    }
}

/* What was due inside the interval is still sent and waited for. */
static int drain(struct engine *engine)
{
    uint64_t give_up_ns = engine->schedule.interval_end_ns + engine->options->timeout_ns;
    engine->stopping = true;
    if (engine->options->rate <= 0)
        return 0;
    while (wire_now_ns() < give_up_ns && (engine->outstanding > 0 || schedule_owes(&engine->schedule)))
        if (engine_turn(engine, give_up_ns) != 0)
            return -1;
    load_result_unanswered(engine->result, &engine->schedule, engine->outstanding);
    return 0;
}

static int engine_measure(struct engine *engine)
{
    const struct load_options *options = engine->options;
    struct load_result *result = engine->result;
    process_sample_read(&result->before_idle, options->pids, options->pid_count);
    if (open_idle(engine) != 0)
        return -1;
    start_load(engine);
    if (run_until(engine, engine->schedule.interval_start_ns) != 0)
        return -1;
    load_result_begin(result, options->pids, options->pid_count);
    if (run_until(engine, engine->schedule.interval_end_ns) != 0)
        return -1;
    load_result_end(result, options->pids, options->pid_count);
    return drain(engine);
}

int load_run(const struct load_options *options, struct load_result *result)
{
    struct engine engine = { .options = options, .result = result };
    int status = engine_open(&engine);
    if (status == 0)
        status = engine_measure(&engine);
    engine_close(&engine);
    return status;
}
