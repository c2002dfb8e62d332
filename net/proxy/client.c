/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/client.h"

#include "net/proxy/client_begin.h"
#include "net/proxy/client_stream.h"
#include "net/proxy/exchange_events.h"
#include "net/proxy/http2_client.h"

#include <stdlib.h>
#include <unistd.h>

enum {
    SPARE_CLIENTS = 1024,
    INPUT_CHUNKS = 8,       /* pipelined input held back before reading stops */
    DRAIN_FIRST_MS = 1000,   /* how long a new connection may take to ask something when all are to end */
    LINGER_MS = 2000,        /* how long the client's last bytes are drained ... */
    LINGER_BYTES = 1 << 20   /* ... and how many of them, so that a reset does not eat the answer */
};

static const struct stream_events client_events;

static struct client *client_of(struct stream *stream)
{
    return stream->owner;
}

/* --- opening and closing -------------------------------------------------------------------------------- */

static void update_listeners(struct proxy *proxy)
{
    bool full = proxy->client_count >= proxy->options->connections_max;
    for (uint32_t i = 0; i < proxy->listener_count; i++) {
        if (full)
            listener_pause(&proxy->listeners[i]);
        else if (proxy->client_count + proxy->client_count / 32 < proxy->options->connections_max)
            listener_resume(&proxy->listeners[i]);
    }
}

static void leave(struct client *client)
{
    if (client->state == CLIENT_HELLO && client->connection.tls)
        client_count_handshakes(client, -1);
    client->state = CLIENT_CLOSING;
    list_remove(&client->task.node);
    preamble_deinit(&client->preamble);
    timer_disarm(&client->proxy->shard->timers, &client->timer);
    chunk_queue_clear(&client->input);
}

static void close_now(struct client *client)
{
    if (client->state == CLIENT_CLOSING)
        return;
    leave(client);
    stream_close(client->connection.stream);
}

/* The peer must not take what it has for the whole of a body that ends with the connection. */
static void close_with_reset(struct client *client)
{
    leave(client);
    connection_reset(&client->connection);
}

void client_close(struct client *client)
{
    close_now(client);
}

static void abort_exchange(struct client *client)
{
    struct exchange *exchange = client->caller.exchange;
    client->caller.exchange = NULL;
    close_now(client);
    if (exchange)
        exchange_client_gone(exchange);
}

static uint64_t limit_ms(const struct client *client)
{
    const struct proxy_options *options = client->proxy->options;
    const struct exchange *exchange = client->caller.exchange;
    if (client->connection.stream->queued_bytes > 0 && client->state != CLIENT_HEAD &&
        client->state > CLIENT_HELLO && client->state != CLIENT_CLOSING && client->state != CLIENT_RAW)
        return options->send_timeout_ms;
    switch ((enum client_state)client->state) {
    case CLIENT_PREAMBLE:
    case CLIENT_HELLO:
        if (client->proxy->draining && options->handshake_timeout_ms > DRAIN_FIRST_MS)
            return DRAIN_FIRST_MS;
        return options->handshake_timeout_ms;
    case CLIENT_IDLE:
        if (client->proxy->draining)
            return DRAIN_FIRST_MS;
        return client->request_count ? options->keepalive_timeout_ms : options->header_timeout_ms;
    case CLIENT_HEAD: return options->header_timeout_ms;
    case CLIENT_LINGERING: return LINGER_MS;
    case CLIENT_RAW: /* the upstream has limits of its own, and then the tunnel has */
    case CLIENT_CLOSING: return 0;
    case CLIENT_BUSY: break;
    }
    if (exchange && !exchange->request_complete && !client->paused)
        return options->body_timeout_ms;
    return 0; /* waiting for the upstream, which has its own limits */
}

void client_timer_update(struct client *client)
{
    struct shard *shard = client->proxy->shard;
    uint64_t timeout_ms = limit_ms(client);
    if (timeout_ms)
        timer_arm(&shard->timers, &client->timer, shard->now_ms + timeout_ms);
    else
        timer_rest(&client->timer);
}

/* An upload slower than the floor after its grace is ended, however regularly it drips. */
static bool drips(const struct client *client)
{
    const struct proxy_options *options = client->proxy->options;
    uint64_t elapsed_ms = client->proxy->shard->now_ms - client->body_begin_ms;
    if (options->body_rate_bytes == 0 || elapsed_ms < options->body_rate_grace_ms)
        return false;
    uint64_t bytes = client->connection.stream->received_bytes - client->body_begin_bytes;
    return bytes * 1000 < options->body_rate_bytes * elapsed_ms;
}

static void linger(struct client *client);

static void on_timer(struct timer *timer)
{
    struct client *client = CONTAINER_OF(timer, struct client, timer);
    struct exchange *exchange = client->caller.exchange;
    metric_add(&client->proxy->shard->metrics, METRIC_TIMEOUTS_CLIENT, client->state != CLIENT_IDLE);
    if (client->state != CLIENT_HEAD && client->state > CLIENT_HELLO &&
        client->connection.stream->queued_bytes > 0) {
        if (tcp_stream_progressed(&client->connection.tcp))
            client_timer_update(client);
        else
            abort_exchange(client);
        return;
    }
    if (client->state == CLIENT_IDLE && client->tls) { /* the end is said, as TLS wants it */
        linger(client);
        return;
    }
    bool request_late = client->state == CLIENT_HEAD || (client->state == CLIENT_BUSY && exchange);
    if (request_late && exchange && !exchange->request_complete)
        exchange_refuse(exchange, 408, (struct slice){ NULL, 0 });
    else
        abort_exchange(client);
}

static void parse_on(struct shard_task *task);
static void update_reading(struct client *client);

static enum client_state state_of(const struct listener_options *listener)
{
    return listener->proxy_protocol ? CLIENT_PREAMBLE : listener->tls ? CLIENT_HELLO : CLIENT_IDLE;
}

void client_accepted(struct listener *listener, int fd)
{
    struct proxy *proxy = listener->owner;
    bool room = proxy->client_count < proxy->options->connections_max;
    struct client *client = room ? proxy->spare_clients : NULL;
    if (client) {
        proxy->spare_clients = client->next_spare;
        proxy->spare_client_count--;
    } else if (room) {
        client = malloc(sizeof(*client));
    }
    if (client == NULL) { /* the accepts of one batch may go past the limit */
        metric_add(&proxy->shard->metrics, METRIC_CONNECTIONS_SHED, 1);
        close(fd);
        return;
    }
    *client = (struct client){ .proxy = proxy,
                               .caller = { &http1_caller_ops, client, NULL },
                               .listener = listener->options,
                               .state = (uint8_t)state_of(listener->options) };
    client->peer.size = sizeof(client->peer.v6);
    if (getpeername(fd, &client->peer.any, &client->peer.size) != 0)
        client->peer = (struct address){ .v4 = { .sin_family = AF_INET }, .size = sizeof(client->peer.v4) };
    client->peer_text_size = (uint8_t)address_text(&client->peer, client->peer_text);
    chunk_queue_init(&client->input);
    timer_init(&client->timer, on_timer);
    shard_task_init(&client->task, parse_on);
    http1_parser_init(&client->parser, HTTP1_REQUEST, &proxy->options->limits);
    list_append(&proxy->clients, &client->node);
    proxy->client_count++;
    metric_add(&proxy->shard->metrics, METRIC_CONNECTIONS_ACTIVE, 1);
    struct connection_owner owner = { &client_events, client };
    connection_accepted(&client->connection, proxy->shard, &owner, fd);
    client_timer_update(client);
    update_listeners(proxy);
    if (client->state == CLIENT_IDLE && client->listener->streams)
        client_stream_begin(client);
}

void client_closed(struct stream *stream)
{
    struct client *client = client_of(stream);
    struct proxy *proxy = client->proxy;
    CHECK(client->caller.exchange == NULL);
    connection_deinit(&client->connection);
    list_remove(&client->node);
    proxy->client_count--;
    metric_add(&proxy->shard->metrics, METRIC_CONNECTIONS_ACTIVE, -1);
    if (proxy->spare_client_count < SPARE_CLIENTS) {
        client->next_spare = proxy->spare_clients;
        proxy->spare_clients = client;
        proxy->spare_client_count++;
    } else {
        free(client);
    }
    update_listeners(proxy);
}

/* --- input ---------------------------------------------------------------------------------------------- */

/* The last word is said: half-close, then drain, so that the kernel does not answer late bytes with a
 * reset. */
static void linger(struct client *client)
{
    if (client->ended && client->connection.stream->queued_bytes == 0 && !client->tls) {
        close_now(client);
        return;
    }
    client->state = CLIENT_LINGERING;
    client->body_begin_bytes = client->connection.stream->received_bytes;
    chunk_queue_clear(&client->input);
    stream_finish(client->connection.stream);
    client_resume(client);
    client_timer_update(client);
}

/* Refuses what cannot become an exchange at all. */
static void refuse_without_exchange(struct client *client)
{
    metric_add(&client->proxy->shard->metrics, METRIC_MEMORY_FAILURES, 1);
    close_now(client);
}

static bool begin_exchange(struct client *client)
{
    client->caller.exchange = exchange_open(client->proxy, &client->caller);
    if (client->caller.exchange == NULL) {
        refuse_without_exchange(client);
        return false;
    }
    http1_parser_begin(&client->parser, &client->caller.exchange->request, &client->caller.exchange->arena);
    client->state = CLIENT_HEAD;
    client_timer_update(client);
    return true;
}

static void refuse(struct client *client)
{
    struct exchange *exchange = client->caller.exchange;
    metric_add(&client->proxy->shard->metrics, METRIC_REQUESTS_REFUSED, 1);
    client->ended = false;
    chunk_queue_clear(&client->input);
    if (http2_is_broken_preface(client)) {
        abort_exchange(client);
        return;
    }
    struct slice message = { NULL, 0 };
    int status = http1_parser_status(&client->parser);
    if (status == 431) { /* what Kong's users see: nginx' 494 */
        status = 400;
        message = SLICE("Request header or cookie too large");
    }
    exchange_refuse(exchange, status, message);
}

/* As nginx words it. */
static void refuse_cleartext(struct client *client)
{
    chunk_queue_clear(&client->input);
    exchange_refuse(client->caller.exchange, 400, SLICE("The plain HTTP request was sent to HTTPS port"));
}

/* Then its end is next, which nothing that is still to come would bring up: a pause must not hold it back. */
static bool has_all_of_body(const struct exchange *exchange)
{
    return exchange->request.framing == BODY_LENGTH && exchange->body_bytes == exchange->request.body_bytes;
}

/* Parses one event out of the first chunk, or out of nothing: an end needs no more bytes. False: nothing
 * more to do now. */
static bool parse_some(struct client *client, bool *begun)
{
    struct chunk none = { 0 };
    struct chunk *chunk = client->input.count ? chunk_queue_at(&client->input, 0) : &none;
    struct slice data = chunk_slice(chunk), body;
    size_t consumed = 0;
    enum http1_event event = http1_parse(&client->parser, data.data, data.size, &consumed, &body);
    struct exchange *exchange = client->caller.exchange;
    struct chunk part = { 0 };
    if (event == HTTP1_BODY)
        part = chunk_part(chunk, (uint32_t)(body.data - data.data), (uint32_t)body.size);
    chunk_queue_consume(&client->input, consumed);
    switch (event) {
    case HTTP1_MORE: return client->input.count > 0;
    case HTTP1_HEAD:
        client->state = CLIENT_BUSY;
        client->request_count++;
        client->body_begin_ms = client->proxy->shard->now_ms;
        client->body_begin_bytes = client->connection.stream->received_bytes;
        *begun = true;
        if (client->misdirected)
            refuse_cleartext(client);
        return !client->misdirected;
    case HTTP1_BODY:
        exchange_request_body(exchange, part);
        return client->caller.exchange == exchange && (!client->paused || has_all_of_body(exchange));
    case HTTP1_END:
        exchange_request_end(exchange, client->parser.trailers, client->parser.trailer_count);
        return false;
    case HTTP1_REFUSED: refuse(client); return false;
    }
    return false;
}

static bool can_parse(const struct client *client)
{
    if (client->state != CLIENT_IDLE && client->state != CLIENT_HEAD && client->state != CLIENT_BUSY)
        return false;
    if (client->input.count == 0)
        return false;
    if (client->caller.exchange == NULL) /* a client that does not read its answers gets no further ones */
        return !client_is_congested(client);
    return !client->caller.exchange->request_complete && !client->paused;
}

static void on_end(struct client *client);

static void client_process(struct client *client)
{
    if (client->processing)
        return;
    client->processing = true;
    while (can_parse(client)) {
        bool begun = false;
        if (client->caller.exchange == NULL && !begin_exchange(client))
            break;
        struct exchange *exchange = client->caller.exchange;
        while (parse_some(client, &begun))
            continue;
        /* What came along with the head is there when the walk begins: a small body leaves with its head. */
        if (begun && client->caller.exchange == exchange)
            exchange_run(exchange);
        if (client->caller.exchange == exchange && !exchange->request_complete)
            break;
    }
    client->processing = false;
    update_reading(client);
    if (client->ended && client->input.count == 0 && client->caller.exchange &&
        !client->caller.exchange->request_complete)
        on_end(client);
}

static void parse_on(struct shard_task *task)
{
    struct client *client = CONTAINER_OF(task, struct client, task);
    if (client->state == CLIENT_RAW)
        client_stream_flow(client);
    else if (client->state != CLIENT_CLOSING && client->state != CLIENT_LINGERING)
        client_process(client);
}

/* What is queued still goes out, and with TLS the last word itself. */
static void linger_or_close(struct client *client)
{
    if (client->connection.stream->queued_bytes > 0 || client->tls)
        linger(client);
    else
        close_now(client);
}

static void on_end(struct client *client)
{
    struct exchange *exchange = client->caller.exchange;
    client->ended = true;
    if (exchange && exchange->request_complete)
        return; /* a half-close after the request is not an abort: the answer still goes out */
    if (exchange && client->state == CLIENT_HEAD && !http1_parser_is_idle(&client->parser)) {
        exchange_refuse(exchange, 400, (struct slice){ NULL, 0 });
        return;
    }
    if (exchange)
        abort_exchange(client);
    else
        linger_or_close(client);
}

/* --- events of the stream ------------------------------------------------------------------------------- */

/* Prior knowledge (RFC 9113 section 3.3): the first bytes tell. True: they are not, or not yet, HTTP/1's. */
static bool may_be_http2(struct client *client)
{
    if (client->tls || client->request_count > 0 || client->state != CLIENT_IDLE || client->misdirected)
        return false;
    enum http2_guess guess = http2_guess(&client->input);
    if (guess == HTTP2_YES)
        http2_client_begin(client);
    return guess != HTTP2_NO;
}

static void on_received(struct stream *stream, struct chunk chunk)
{
    struct client *client = client_of(stream);
    if (client->state <= CLIENT_HELLO) {
        client_begin(client, chunk);
        return;
    }
    if (client->state == CLIENT_RAW) {
        client_stream_received(client, chunk);
        return;
    }
    if (client->state == CLIENT_LINGERING) {
        bool enough = chunk.size == 0 || stream->received_bytes - client->body_begin_bytes > LINGER_BYTES;
        client->ended |= enough;
        chunk_release(&chunk);
        if (enough && stream->queued_bytes == 0)
            close_now(client);
        else if (enough)
            client_pause(client);
        return;
    }
    if (chunk.size == 0) {
        if (client->input.count == 0)
            on_end(client);
        else
            client->ended = true;
        return;
    }
    if (!chunk_queue_push(&client->input, chunk)) {
        abort_exchange(client);
        return;
    }
    if (client->listener->http2 && may_be_http2(client))
        return;
    client_process(client);
    if (client->state == CLIENT_CLOSING || client->state == CLIENT_LINGERING)
        return;
    if (client->state == CLIENT_BUSY)
        client_timer_update(client);
    if (client->state == CLIENT_BUSY && client->caller.exchange &&
        !client->caller.exchange->request_complete && drips(client))
        exchange_refuse(client->caller.exchange, 408, (struct slice){ NULL, 0 });
}

/* --- output --------------------------------------------------------------------------------------------- */

void client_send(struct client *client, struct chunk chunk)
{
    stream_send(client->connection.stream, chunk);
}

bool client_is_congested(const struct client *client)
{
    return backlog_of_stream(client->connection.stream, client->proxy->options->stream_bytes) == BACKLOG_HIGH;
}

/* Reads on only when everything that was read is parsed: each time the kernel hands over all it has. */
static void update_reading(struct client *client)
{
    if (client->state == CLIENT_CLOSING)
        return;
    bool stop = client->paused || client->input.count > INPUT_CHUNKS;
    if (stop && !client->stopped) {
        client->stopped = true;
        stream_pause(client->connection.stream);
    } else if (!stop && client->stopped && client->input.count == 0) {
        client->stopped = false;
        stream_resume(client->connection.stream);
    }
}

void client_pause(struct client *client)
{
    client->paused = true;
    update_reading(client);
}

void client_resume(struct client *client)
{
    if (client->paused) { /* the pause was not the client's */
        client->body_begin_ms = client->proxy->shard->now_ms;
        client->body_begin_bytes = client->connection.stream->received_bytes;
    }
    client->paused = false;
    if (client->input.count > 0)
        shard_defer(client->proxy->shard, &client->task);
    else
        update_reading(client);
}

static void on_writable(struct stream *stream)
{
    struct client *client = client_of(stream);
    if (client->state == CLIENT_LINGERING) {
        if (client->ended && stream->queued_bytes == 0)
            close_now(client);
        else
            client_timer_update(client);
        return;
    }
    if (client->state == CLIENT_RAW)
        client_stream_writable(client);
    else if (client->caller.exchange)
        exchange_client_writable(client->caller.exchange);
    else if (client->input.count > 0 && !client_is_congested(client))
        client_process(client);
    if (client->state == CLIENT_BUSY || client->state == CLIENT_IDLE)
        client_timer_update(client);
}

static void on_failed(struct stream *stream, enum error error)
{
    (void)error;
    abort_exchange(client_of(stream));
}

void client_exchange_done(struct client *client, enum caller_fate fate)
{
    client->caller.exchange = NULL;
    if (client->state == CLIENT_CLOSING)
        return;
    if (fate == CALLER_CUT) {
        close_with_reset(client);
        return;
    }
    if (client->state == CLIENT_RAW && client->ended && client->connection.stream->queued_bytes == 0) {
        close_now(client); /* the tunnel has passed everything on, and the end */
        return;
    }
    if (fate == CALLER_CLOSE || client->proxy->draining) {
        linger(client);
        return;
    }
    client->state = CLIENT_IDLE;
    if (client->input.count == 0) {
        if (client->ended) {
            linger(client);
            return;
        }
    } else if (!client->processing) {
        client_process(client);
    }
    if (client->state == CLIENT_CLOSING || client->state == CLIENT_LINGERING)
        return;
    client_timer_update(client);
    client_resume(client);
}

/* One that has just been opened, or whose next request has already arrived, is served once more. */
void client_drain(struct client *client)
{
    if (client->http2) {
        http2_client_drain(client);
        return;
    }
    if (client->state <= CLIENT_HELLO)
        client_timer_update(client);
    if (client->state != CLIENT_IDLE)
        return;
    if (client->request_count == 0 || tcp_stream_has_unread(&client->connection.tcp))
        client_timer_update(client);
    else
        linger_or_close(client);
}

bool client_find_local(const struct client *client, struct address *local)
{
    local->size = sizeof(local->v6);
    if (!client->listener->datagrams)
        return getsockname(client->connection.tcp.fd, &local->any, &local->size) == 0;
    *local = client->told.destination;
    return local->size > 0;
}

void client_abort(struct client *client)
{
    if (client->http2)
        http2_client_abort(client);
    else if (client->state != CLIENT_CLOSING)
        abort_exchange(client);
}

static const struct stream_events client_events = {
    .opened = client_shaken,
    .received = on_received,
    .writable = on_writable,
    .failed = on_failed,
    .closed = client_closed,
};
