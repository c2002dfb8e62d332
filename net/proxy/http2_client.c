/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/http2_client.h"

#include "net/proxy/client_begin.h"
#include "net/proxy/exchange_events.h"
#include "net/proxy/http2_raw.h"

#include <stdlib.h>

enum {
    TICK_MS = 1000, /* while there are streams, or something is to end */
    ENDING_MS = 2000, /* for the client to end the connection itself */
    GOAWAY_MS = 1000, /* between the first GOAWAY and the last, unless a PING comes back before */
    SEND_BYTES = 128 * 1024, /* on their way to the client; more stays with the streams */
    OUTBOUND_ACKS = 1000, /* answers to SETTINGS and PING that wait */
    CONTINUATIONS = 8, /* frames of one head */
    SETTINGS_MAX = 32, /* in one frame */
    OUTBOUND_FRAMES = 10000, /* that wait, of all kinds: a client that takes no answers makes them pile up */
    INPUT_CHUNKS = 4, /* received and not yet looked at, before no more are asked for */
    HEAD_PART_BYTES = 8192, /* of a head, at a time: HPACK is what costs most for the fewest bytes */
    LATE_BYTES = 65536, /* read after the last word, so that a reset does not eat it */
    NO_RFC7540_PRIORITIES = 9 /* RFC 9218 */
};

static const struct stream_events http2_events;

static struct http2_client *of_stream(struct stream *stream)
{
    struct client *client = stream->owner;
    return client->http2;
}

static struct shard *shard_of(const struct http2_client *connection)
{
    return connection->client->proxy->shard;
}

static struct stream *bytes_of(const struct http2_client *connection)
{
    return connection->client->connection.stream;
}

/* --- sending -------------------------------------------------------------------------------------------- */

void http2_push(struct http2_client *connection)
{
    struct block *block = connection->out;
    if (block == NULL)
        return;
    connection->out = NULL;
    stream_send(bytes_of(connection), (struct chunk){ block, 0, block->used });
}

bool http2_put(struct http2_client *connection, const void *data, size_t size)
{
    const char *next = data;
    while (size > 0) {
        if (connection->out && connection->out->used == connection->out->capacity)
            http2_push(connection);
        if (connection->out == NULL)
            connection->out = block_open(shard_of(connection)->blocks, BLOCK_LARGE_BYTES);
        struct block *block = connection->out;
        if (block == NULL)
            return false;
        size_t room = block->capacity - block->used;
        size_t part = size < room ? size : room;
        memcpy(block->data + block->used, next, part);
        block->used += (uint32_t)part;
        next += part;
        size -= part;
    }
    return true;
}

void http2_schedule(struct http2_client *connection)
{
    shard_defer(shard_of(connection), &connection->flush);
}

static void abort_streams(struct http2_client *connection)
{
    for (struct list_node *node = connection->streams.next; node != &connection->streams; node = node->next)
        http2_stream_abort(CONTAINER_OF(node, struct http2_stream, node));
}

static void close_now(struct http2_client *connection)
{
    if (connection->client->state == CLIENT_CLOSING)
        return;
    list_remove(&connection->input_task.node);
    timer_disarm(&shard_of(connection)->timers, &connection->again);
    client_close(connection->client);
    abort_streams(connection);
}

/* Nothing more is to be said: what is queued still goes out. */
static void end(struct http2_client *connection)
{
    connection->ending = true;
    abort_streams(connection);
    stream_finish(bytes_of(connection));
    struct shard *shard = shard_of(connection);
    timer_arm(&shard->timers, &connection->client->timer, shard->now_ms + ENDING_MS);
}

static void tell_drained(struct http2_client *connection)
{
    while (!list_is_empty(&connection->drained)) {
        struct http2_stream *stream =
            CONTAINER_OF(connection->drained.next, struct http2_stream, drained_node);
        list_remove(&stream->drained_node);
        if (http2_raw_is_used(stream))
            http2_raw_drained(stream);
        else if (stream->caller.exchange)
            exchange_client_writable(stream->caller.exchange);
    }
}

static bool send_frames(struct http2_client *connection)
{
    const struct stream *stream = bytes_of(connection);
    while (stream->queued_bytes < SEND_BYTES) {
        const uint8_t *data;
        ssize_t size = nghttp2_session_mem_send(connection->session, &data);
        if (size < 0 || !http2_put(connection, data, (size_t)size))
            return false;
        if (size == 0)
            break;
    }
    http2_push(connection);
    return true;
}

static void flush(struct shard_task *task)
{
    struct http2_client *connection = CONTAINER_OF(task, struct http2_client, flush);
    if (connection->client->state == CLIENT_CLOSING || connection->ending)
        return;
    if (bytes_of(connection)->queued_bytes == 0)
        connection->progress_ms = shard_of(connection)->now_ms;
    if (connection->draining && !connection->last_said && connection->drain_ms == 0) {
        connection->last_said = true;
        (void)nghttp2_submit_goaway(connection->session, NGHTTP2_FLAG_NONE,
                                    nghttp2_session_get_last_proc_stream_id(connection->session),
                                    NGHTTP2_NO_ERROR, NULL, 0);
    }
    if (!send_frames(connection)) {
        close_now(connection);
        return;
    }
    tell_drained(connection);
    if (!nghttp2_session_want_read(connection->session) && !nghttp2_session_want_write(connection->session) &&
        connection->closed_count == 0)
        end(connection);
}

static void set_timer(struct http2_client *connection);

void http2_close_calmly(struct http2_client *connection)
{
    if (connection->failed)
        return;
    connection->failed = true;
    metric_add(&shard_of(connection)->metrics, METRIC_HTTP2_FLOODS, 1);
    (void)nghttp2_session_terminate_session(connection->session, NGHTTP2_ENHANCE_YOUR_CALM);
    http2_schedule(connection);
    connection->ticking = false;
    set_timer(connection);
}

/* --- time ----------------------------------------------------------------------------------------------- */

static void set_timer(struct http2_client *connection)
{
    struct shard *shard = shard_of(connection);
    const struct proxy_options *options = connection->client->proxy->options;
    if (connection->ending || connection->client->state == CLIENT_CLOSING)
        return;
    bool busy = connection->stream_count > 0 || connection->head_ms || connection->draining ||
                connection->failed || bytes_of(connection)->queued_bytes > 0;
    if (busy && connection->ticking)
        return;
    connection->ticking = busy;
    uint64_t idle_ms =
        connection->client->request_count ? options->keepalive_timeout_ms : options->header_timeout_ms;
    timer_arm(&shard->timers, &connection->client->timer, shard->now_ms + (busy ? TICK_MS : idle_ms));
}

static bool drips(const struct http2_stream *stream, uint64_t now_ms)
{
    const struct proxy_options *options = stream->caller.client->proxy->options;
    uint64_t elapsed_ms = now_ms - stream->body_begin_ms;
    return options->body_rate_bytes > 0 && elapsed_ms >= options->body_rate_grace_ms &&
           stream->body_bytes * 1000 < options->body_rate_bytes * elapsed_ms;
}

static void judge_stream(struct http2_stream *stream, uint64_t now_ms)
{
    const struct proxy_options *options = stream->caller.client->proxy->options;
    struct exchange *exchange = stream->caller.exchange;
    struct metrics *metrics = &shard_of(stream->connection)->metrics;
    bool late =
        !stream->raw && (now_ms - stream->received_ms >= options->body_timeout_ms || drips(stream, now_ms));
    if (http2_raw_is_used(stream)) /* a tunnel has its own */
        return;
    if (stream->out.bytes > 0 && now_ms - stream->sent_ms >= options->send_timeout_ms) {
        metric_add(metrics, METRIC_TIMEOUTS_CLIENT, 1);
        http2_reset(stream, NGHTTP2_CANCEL);
        http2_stream_abort(stream);
    } else if (exchange && !stream->remote_ended && !stream->paused && late) {
        metric_add(metrics, METRIC_TIMEOUTS_CLIENT, 1);
        exchange_refuse(exchange, 408, (struct slice){ NULL, 0 });
    }
}

static void finish_calmly(struct http2_client *connection, uint32_t reason)
{
    (void)nghttp2_session_terminate_session(connection->session, reason);
    http2_schedule(connection);
}

static void on_timer(struct timer *timer)
{
    struct client *client = CONTAINER_OF(timer, struct client, timer);
    struct http2_client *connection = client->http2;
    const struct proxy_options *options = client->proxy->options;
    uint64_t now_ms = shard_of(connection)->now_ms;
    connection->ticking = false;
    bool overdue = connection->failed_ms > 0 && now_ms - connection->failed_ms >= ENDING_MS;
    if (connection->ending || overdue) { /* whether or not the last word was taken */
        close_now(connection);
        return;
    }
    if (connection->failed && connection->failed_ms == 0)
        connection->failed_ms = now_ms;
    if (bytes_of(connection)->queued_bytes > 0 &&
        now_ms - connection->progress_ms >= options->send_timeout_ms) {
        metric_add(&shard_of(connection)->metrics, METRIC_TIMEOUTS_CLIENT, 1);
        close_now(connection);
        return;
    }
    for (struct list_node *node = connection->streams.next; node != &connection->streams;) {
        struct http2_stream *stream = CONTAINER_OF(node, struct http2_stream, node);
        node = node->next;
        judge_stream(stream, now_ms);
    }
    bool idle = connection->stream_count == 0 && !connection->draining;
    uint64_t idle_ms = client->request_count ? options->keepalive_timeout_ms : options->header_timeout_ms;
    if (connection->head_ms && now_ms - connection->head_ms >= options->header_timeout_ms)
        finish_calmly(connection, NGHTTP2_ENHANCE_YOUR_CALM);
    else if (idle && now_ms - connection->idle_ms >= idle_ms)
        finish_calmly(connection, NGHTTP2_NO_ERROR);
    else if (connection->draining && !connection->last_said && now_ms - connection->drain_ms >= GOAWAY_MS)
        connection->drain_ms = 0, http2_schedule(connection);
    set_timer(connection);
}

/* --- receiving ------------------------------------------------------------------------------------------ */

static void begin_walks(struct http2_client *connection)
{
    while (!list_is_empty(&connection->fresh)) {
        struct http2_stream *stream = CONTAINER_OF(connection->fresh.next, struct http2_stream, fresh_node);
        list_remove(&stream->fresh_node);
        struct exchange *exchange = stream->caller.exchange;
        if (exchange == NULL)
            continue;
        enum http1_refusal refusal = (enum http1_refusal)stream->head.refusal;
        int status = http1_refusal_status(refusal);
        if (refusal == HTTP1_REFUSED_NONE)
            exchange_run(exchange);
        else if (status == 431) /* what Kong's users see: nginx' 494 */
            exchange_refuse(exchange, 400, SLICE("Request header or cookie too large"));
        else
            exchange_refuse(exchange, status, (struct slice){ NULL, 0 });
    }
}

static bool feed(struct http2_client *connection, const char *data, size_t size)
{
    ssize_t taken = size > 0 ? nghttp2_session_mem_recv(connection->session, (const uint8_t *)data, size) : 0;
    if (taken == NGHTTP2_ERR_FLOODED || taken == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS)
        http2_close_calmly(connection);
    else if (taken < 0)
        finish_calmly(connection, NGHTTP2_PROTOCOL_ERROR), connection->failed = true;
    return taken >= 0;
}

/* Judges the frames, and has nghttp2 take them; those before a fault too. Returns how many bytes that were:
 * it stops when the connection has cost enough. */
static size_t take_frames(struct http2_client *connection, struct slice bytes)
{
    size_t at = 0, fed = 0, part = 0;
    struct http2_frames *frames = &connection->frames;
    bool enough = false;
    while (!enough && http2_frames_next(frames, bytes.data + at, bytes.size - at, &part)) {
        at += part;
        size_t begin = at > HTTP2_FRAME_HEAD_BYTES ? at - HTTP2_FRAME_HEAD_BYTES : 0;
        if (http2_frame_needs_stream(frames) && begin > fed) {
            if (!feed(connection, bytes.data + fed, begin - fed))
                return bytes.size;
            fed = begin;
        }
        if (!http2_judge_frame(connection))
            return bytes.size;
        enough = connection->turn_cost >= HTTP2_TURN_COST;
    }
    size_t end = enough ? at : bytes.size;
    (void)feed(connection, bytes.data + fed, end - fed);
    return end;
}

static void take_chunk(struct http2_client *connection)
{
    struct chunk_queue *input = &connection->client->input;
    struct chunk *first = chunk_queue_at(input, 0);
    uint32_t size = first->size;
    if (connection->frames.in_head) {
        size = size < HEAD_PART_BYTES ? size : HEAD_PART_BYTES;
        connection->turn_cost += size / HTTP2_HEAD_BYTES_PER_COST;
    }
    connection->received = chunk_part(first, 0, size);
    size_t taken = take_frames(connection, chunk_slice(&connection->received));
    chunk_release(&connection->received);
    if (input->count > 0) /* the connection has not been closed meanwhile */
        chunk_queue_consume(input, taken);
}

static bool takes_input(const struct http2_client *connection)
{
    return !connection->failed && !connection->ending && connection->client->state != CLIENT_CLOSING;
}

/* What is left waits for the next turn, in which the others have theirs before. */
static void look_after_input(struct http2_client *connection)
{
    struct shard *shard = shard_of(connection);
    struct chunk_queue *input = &connection->client->input;
    if (!takes_input(connection))
        chunk_queue_clear(input);
    if (input->count > 0) {
        metric_add(&shard->metrics, METRIC_HTTP2_DEFERRED, 1);
        timer_arm(&shard->timers, &connection->again, shard->now_ms);
    }
    if (input->count > INPUT_CHUNKS && !connection->stopped) {
        connection->stopped = true;
        stream_pause(bytes_of(connection));
    } else if (input->count == 0 && connection->stopped && takes_input(connection)) {
        connection->stopped = false;
        stream_resume(bytes_of(connection));
    }
}

static void take_input(struct http2_client *connection)
{
    struct chunk_queue *input = &connection->client->input;
    while (takes_input(connection) && input->count > 0 && connection->turn_cost < HTTP2_TURN_COST)
        take_chunk(connection);
    if (connection->client->state == CLIENT_CLOSING)
        return;
    if (nghttp2_session_get_outbound_queue_size(connection->session) > OUTBOUND_FRAMES)
        http2_close_calmly(connection);
    if (!connection->frames.in_head)
        connection->head_ms = 0;
    else if (connection->head_ms == 0)
        connection->head_ms = shard_of(connection)->now_ms;
    begin_walks(connection);
    if (connection->client->state == CLIENT_CLOSING)
        return;
    http2_schedule(connection);
    set_timer(connection);
    look_after_input(connection);
}

static void on_next_turn(struct timer *timer)
{
    struct http2_client *connection = CONTAINER_OF(timer, struct http2_client, again);
    shard_defer(shard_of(connection), &connection->input_task);
}

static void run_input(struct shard_task *task)
{
    struct http2_client *connection = CONTAINER_OF(task, struct http2_client, input_task);
    connection->turn_cost = 0;
    take_input(connection);
}

static bool waits_for_turn(const struct http2_client *connection)
{
    return timer_is_armed(&connection->again) || !list_is_empty(&connection->input_task.node);
}

/* Whoever floods goes on for a while: that is read no further than it has to be. */
static void drop_late(struct http2_client *connection, struct chunk chunk)
{
    connection->late_bytes += chunk.size;
    chunk_release(&chunk);
    if (connection->late_bytes <= LATE_BYTES || connection->stopped ||
        connection->client->state == CLIENT_CLOSING)
        return;
    connection->stopped = true;
    stream_pause(bytes_of(connection));
}

static void on_received(struct stream *stream, struct chunk chunk)
{
    struct http2_client *connection = of_stream(stream);
    if (chunk.size == 0) {
        chunk_release(&chunk);
        close_now(connection);
    } else if (!takes_input(connection)) {
        drop_late(connection, chunk);
    } else if (!chunk_queue_push(&connection->client->input, chunk)) {
        metric_add(&shard_of(connection)->metrics, METRIC_MEMORY_FAILURES, 1);
        close_now(connection);
    } else if (!waits_for_turn(connection)) {
        uint64_t now_ns = shard_of(connection)->now_ns;
        if (connection->turn_ns != now_ns)
            connection->turn_cost = 0;
        connection->turn_ns = now_ns;
        take_input(connection);
    }
}

static void on_writable(struct stream *stream)
{
    struct http2_client *connection = of_stream(stream);
    connection->progress_ms = shard_of(connection)->now_ms;
    if (!connection->ending && nghttp2_session_want_write(connection->session))
        http2_schedule(connection);
}

static void on_failed(struct stream *stream, enum error error)
{
    (void)error;
    close_now(of_stream(stream));
}

/* --- life ----------------------------------------------------------------------------------------------- */

static void on_closed(struct stream *stream)
{
    struct http2_client *connection = of_stream(stream);
    struct client *client = connection->client;
    list_remove(&connection->flush.node);
    list_remove(&connection->input_task.node);
    timer_disarm(&shard_of(connection)->timers, &connection->again);
    while (!list_is_empty(&connection->streams))
        http2_stream_free(CONTAINER_OF(connection->streams.next, struct http2_stream, node));
    nghttp2_session_del(connection->session);
    if (connection->out)
        block_release(connection->out);
    metric_add(&shard_of(connection)->metrics, METRIC_HTTP2_CONNECTIONS, -1);
    free(connection);
    client->http2 = NULL;
    client_closed(stream);
}

static bool open_session(struct http2_client *connection)
{
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;
    bool good = nghttp2_session_callbacks_new(&callbacks) == 0 && nghttp2_option_new(&option) == 0;
    if (good) {
        http2_stream_callbacks(callbacks);
        nghttp2_option_set_no_auto_window_update(option, 1);
        nghttp2_option_set_no_closed_streams(option, 1);
        nghttp2_option_set_max_outbound_ack(option, OUTBOUND_ACKS);
        nghttp2_option_set_max_settings(option, SETTINGS_MAX);
        nghttp2_option_set_max_continuations(option, CONTINUATIONS);
        good = nghttp2_session_server_new2(&connection->session, callbacks, connection, option) == 0;
    }
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    return good;
}

static bool say_settings(struct http2_client *connection)
{
    const struct proxy_options *options = connection->client->proxy->options;
    const struct http2_limits *limits = &options->http2;
    const nghttp2_settings_entry settings[] = {
        { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits->streams },
        { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, limits->stream_window },
        { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, options->limits.head_bytes },
        { NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1 },
        { NO_RFC7540_PRIORITIES, 1 },
    };
    nghttp2_session *session = connection->session;
    return nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, COUNT_OF(settings)) == 0 &&
           nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0,
                                                 (int32_t)limits->connection_window) == 0;
}

static struct http2_client *open_connection(struct client *client)
{
    struct http2_client *connection = calloc(1, sizeof(*connection));
    if (connection == NULL)
        return NULL;
    connection->client = client;
    connection->idle_ms = connection->progress_ms = client->proxy->shard->now_ms;
    list_init(&connection->streams);
    list_init(&connection->fresh);
    list_init(&connection->drained);
    shard_task_init(&connection->flush, flush);
    shard_task_init(&connection->input_task, run_input);
    timer_init(&connection->again, on_next_turn);
    http2_frames_init(&connection->frames);
    if (open_session(connection) && say_settings(connection))
        return connection;
    nghttp2_session_del(connection->session);
    free(connection);
    return NULL;
}

void http2_client_begin(struct client *client)
{
    struct shard *shard = client->proxy->shard;
    struct http2_client *connection = open_connection(client);
    if (connection == NULL) {
        metric_add(&shard->metrics, METRIC_MEMORY_FAILURES, 1);
        client_close(client);
        return;
    }
    metric_add(&shard->metrics, METRIC_HTTP2_CONNECTIONS, 1);
    client->http2 = connection;
    client->state = CLIENT_BUSY;
    client->connection.stream->events = &http2_events;
    timer_disarm(&shard->timers, &client->timer);
    timer_init(&client->timer, on_timer);
    if (client->proxy->draining)
        http2_client_drain(client);
    http2_schedule(connection);
    set_timer(connection);
    take_input(connection);
}

/* Two GOAWAYs, so that no request that is on its way is lost (RFC 9113 section 6.8). */
void http2_client_drain(struct client *client)
{
    struct http2_client *connection = client->http2;
    if (connection->draining || client->state == CLIENT_CLOSING || connection->ending)
        return;
    connection->draining = true;
    connection->drain_ms = shard_of(connection)->now_ms;
    (void)nghttp2_submit_shutdown_notice(connection->session);
    http2_schedule(connection);
    connection->ticking = false;
    set_timer(connection);
}

void http2_client_abort(struct client *client)
{
    close_now(client->http2);
}

enum http2_guess http2_guess(struct chunk_queue *input)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n";
    size_t seen = 0;
    for (uint32_t i = 0; i < input->count; i++) {
        struct slice bytes = chunk_slice(chunk_queue_at(input, i));
        for (size_t j = 0; j < bytes.size && seen < sizeof(preface) - 1; j++)
            if (bytes.data[j] != preface[seen++])
                return HTTP2_NO;
    }
    return seen == sizeof(preface) - 1 ? HTTP2_YES : HTTP2_MAYBE;
}

bool http2_is_broken_preface(const struct client *client)
{
    return client->listener->http2 && !client->tls && client->request_count == 0 &&
           client->parser.refusal == HTTP1_REFUSED_VERSION;
}

static const struct stream_events http2_events = {
    .received = on_received,
    .writable = on_writable,
    .failed = on_failed,
    .closed = on_closed,
};
