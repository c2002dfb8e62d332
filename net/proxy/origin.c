/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/origin.h"

#include "net/proxy/action.h"
#include "net/proxy/balancer_circuit.h"
#include "net/proxy/exchange_events.h"

#include <stdlib.h>

static const struct stream_events origin_events;

static struct origin *origin_of(struct stream *stream)
{
    return CONTAINER_OF(stream, struct origin, tcp.stream);
}

/* --- idle ones ------------------------------------------------------------------------------------------ */

static void leave_pool(struct origin *origin)
{
    list_remove(&origin->node);
    list_remove(&origin->age_node);
    origin->endpoint->idle_count--;
    if (origin->endpoint->balancer)
        origin->endpoint->balancer->idle_count--;
    metric_add(&origin->proxy->shard->metrics, METRIC_UPSTREAM_IDLE, -1);
}

/* --- connections ---------------------------------------------------------------------------------------- */

static void close_now(struct origin *origin)
{
    if (origin->closing)
        return;
    origin->closing = true;
    timer_disarm(&origin->proxy->shard->timers, &origin->timer);
    stream_close(&origin->tcp.stream);
}

static void close_idle(struct origin *origin)
{
    leave_pool(origin);
    close_now(origin);
}

void origin_close_all_idle(struct proxy *proxy)
{
    while (!list_is_empty(&proxy->idle_origins))
        close_idle(CONTAINER_OF(proxy->idle_origins.next, struct origin, age_node));
}

void origin_close_idle(struct endpoint *endpoint)
{
    while (origin_close_oldest(endpoint))
        continue;
}

bool origin_close_oldest(struct endpoint *endpoint)
{
    if (list_is_empty(&endpoint->idle))
        return false;
    close_idle(CONTAINER_OF(endpoint->idle.previous, struct origin, node));
    return true;
}

static void on_timer(struct timer *timer)
{
    struct origin *origin = CONTAINER_OF(timer, struct origin, timer);
    struct exchange *exchange = origin->exchange;
    if (exchange == NULL) {
        if (!origin->closing)
            leave_pool(origin);
        close_now(origin);
        return;
    }
    exchange_origin_failed(exchange, ERROR_TIMEOUT);
}

static struct origin *open_new(struct exchange *exchange)
{
    struct proxy *proxy = exchange->proxy;
    struct endpoint *endpoint = exchange->endpoint;
    struct origin *origin = malloc(sizeof(*origin));
    if (origin == NULL)
        return NULL;
    *origin = (struct origin){ .proxy = proxy, .endpoint = endpoint };
    list_init(&origin->node);
    list_init(&origin->age_node);
    timer_init(&origin->timer, on_timer);
    http1_parser_init(&origin->parser, HTTP1_RESPONSE, &proxy->options->limits);
    endpoint->open_count++;
    if (endpoint->balancer)
        endpoint->balancer->connections++;
    proxy->origin_count++;
    metric_add(&proxy->shard->metrics, METRIC_UPSTREAM_CONNECTS, 1);
    metric_add(&proxy->shard->metrics, METRIC_UPSTREAM_ACTIVE, 1);
    tcp_stream_connect(&origin->tcp, proxy->shard, &origin_events, &endpoint->address.any,
                       endpoint->address.size);
    return origin;
}

static void join_exchange(struct origin *origin, struct exchange *exchange)
{
    origin->exchange = exchange;
    origin->head_seen = false;
    origin->request_count++;
    exchange->origin = origin;
}

enum error origin_take(struct exchange *exchange)
{
    struct proxy *proxy = exchange->proxy;
    struct endpoint *endpoint = exchange->endpoint;
    if (!list_is_empty(&endpoint->idle)) {
        struct origin *kept = CONTAINER_OF(endpoint->idle.next, struct origin, node);
        leave_pool(kept);
        kept->reused = true;
        metric_add(&proxy->shard->metrics, METRIC_UPSTREAM_REUSES, 1);
        join_exchange(kept, exchange);
        return ERROR_OK;
    }
    if (proxy->origin_count >= proxy->options->upstreams_max && !list_is_empty(&proxy->idle_origins)) {
        close_idle(CONTAINER_OF(proxy->idle_origins.next, struct origin, age_node));
    } else if (proxy->origin_count >= proxy->options->upstreams_max) {
        metric_add(&proxy->shard->metrics, METRIC_UPSTREAM_REFUSED, 1);
        return ERROR_LIMIT;
    }
    struct origin *origin = open_new(exchange);
    if (origin == NULL)
        return ERROR_MEMORY;
    join_exchange(origin, exchange);
    return ERROR_OK;
}

void origin_expect_response(struct origin *origin)
{
    struct exchange *exchange = origin->exchange;
    http1_parser_begin(&origin->parser, &exchange->response, &exchange->arena);
    bool head = slice_equal(action_method(exchange), SLICE("HEAD"));
    http1_parser_expect(&origin->parser, head ? HTTP1_TO_HEAD : HTTP1_TO_ANY);
}

void origin_detach(struct origin *origin, enum origin_fate fate)
{
    struct proxy *proxy = origin->proxy;
    struct endpoint *endpoint = origin->endpoint;
    const struct proxy_options *options = proxy->options;
    origin->exchange->origin = NULL;
    origin->exchange = NULL;
    bool keep = fate == ORIGIN_REUSE && !origin->closing && origin->open && !proxy->draining &&
                endpoint->balancer &&
                (options->pool_requests == 0 || origin->request_count < options->pool_requests) &&
                endpoint->idle_count < options->pool_size;
    if (!keep) {
        close_now(origin);
        return;
    }
    origin_resume(origin);
    list_prepend(&endpoint->idle, &origin->node);
    list_append(&proxy->idle_origins, &origin->age_node);
    endpoint->idle_count++;
    endpoint->balancer->idle_count++;
    balancer_connection_freed(endpoint->balancer);
    metric_add(&proxy->shard->metrics, METRIC_UPSTREAM_IDLE, 1);
    origin_limit_time(origin, options->pool_idle_ms);
}

void origin_limit_time(struct origin *origin, uint64_t timeout_ms)
{
    struct shard *shard = origin->proxy->shard;
    if (timeout_ms == 0)
        timer_disarm(&shard->timers, &origin->timer);
    else
        timer_arm(&shard->timers, &origin->timer, shard->now_ms + timeout_ms);
}

void origin_send(struct origin *origin, struct chunk chunk)
{
    stream_send(&origin->tcp.stream, chunk);
}

bool origin_is_congested(const struct origin *origin)
{
    const struct stream *stream = &origin->tcp.stream;
    return stream->queued_bytes > origin->proxy->options->stream_bytes ||
           stream->queued_chunks > STREAM_CHUNKS_MAX;
}

void origin_pause(struct origin *origin)
{
    if (!origin->paused)
        stream_pause(&origin->tcp.stream);
    origin->paused = true;
}

void origin_resume(struct origin *origin)
{
    if (origin->paused)
        stream_resume(&origin->tcp.stream);
    origin->paused = false;
}

/* --- events --------------------------------------------------------------------------------------------- */

static void on_opened(struct stream *stream, enum error error)
{
    struct origin *origin = origin_of(stream);
    origin->open = error == ERROR_OK;
    if (origin->exchange)
        exchange_origin_opened(origin->exchange, error);
    else
        close_now(origin);
}

/* Gives one event to the exchange; false: this connection is no longer its upstream, or failed. */
static bool handle(struct origin *origin, enum http1_event event, const struct chunk *chunk,
                   struct slice body)
{
    struct exchange *exchange = origin->exchange;
    int status = exchange->response.status;
    switch (event) {
    case HTTP1_MORE: return false;
    case HTTP1_REFUSED: exchange_origin_failed(exchange, ERROR_PROTOCOL); return false;
    case HTTP1_HEAD:
        if (status < 200)
            exchange_response_interim(exchange);
        else
            exchange_response_head(exchange);
        break;
    case HTTP1_BODY: {
        uint32_t offset = (uint32_t)(body.data - chunk_slice(chunk).data);
        exchange_response_body(exchange, chunk_part(chunk, offset, (uint32_t)body.size));
        break;
    }
    case HTTP1_END:
        if (status >= 200) {
            exchange_response_end(exchange, origin->parser.trailers, origin->parser.trailer_count);
            return false;
        }
        origin_expect_response(origin);
        break;
    }
    return origin->exchange == exchange;
}

static void on_received(struct stream *stream, struct chunk chunk)
{
    struct origin *origin = origin_of(stream);
    bool unasked = origin->exchange == NULL || !origin->exchange->upstream_sent ||
                   (!origin->head_seen && tcp_stream_is_unsent(&origin->tcp));
    if (unasked) {
        /* Nothing was asked: a close, or bytes that must not become somebody's answer. */
        chunk_release(&chunk);
        if (origin->exchange)
            exchange_origin_failed(origin->exchange, ERROR_CLOSED);
        else if (!origin->closing)
            close_idle(origin);
        return;
    }
    if (chunk.size == 0) {
        enum http1_event event = http1_parse_eof(&origin->parser);
        if (event == HTTP1_END) {
            origin->open = false; /* of no more use */
            exchange_response_end(origin->exchange, NULL, 0);
        } else {
            exchange_origin_failed(origin->exchange, ERROR_CLOSED);
        }
        return;
    }
    origin->head_seen = true;
    struct slice rest = chunk_slice(&chunk), body;
    bool more = true;
    while (more) {
        size_t consumed = 0;
        enum http1_event event = http1_parse(&origin->parser, rest.data, rest.size, &consumed, &body);
        rest = slice_from(rest, consumed);
        if (event == HTTP1_END && rest.size > 0)
            origin->open = origin->exchange->response.status < 200; /* surplus: never used again */
        more = handle(origin, event, &chunk, body);
    }
    chunk_release(&chunk);
}

static void on_writable(struct stream *stream)
{
    struct origin *origin = origin_of(stream);
    if (origin->exchange)
        exchange_origin_writable(origin->exchange);
}

static void on_failed(struct stream *stream, enum error error)
{
    struct origin *origin = origin_of(stream);
    if (origin->exchange) {
        exchange_origin_failed(origin->exchange, error);
        return;
    }
    if (!origin->closing)
        leave_pool(origin);
    close_now(origin);
}

static void on_closed(struct stream *stream)
{
    struct origin *origin = origin_of(stream);
    struct endpoint *endpoint = origin->endpoint;
    CHECK(origin->exchange == NULL);
    endpoint->open_count--;
    if (endpoint->balancer) {
        endpoint->balancer->connections--;
        balancer_connection_freed(endpoint->balancer);
    } else {
        endpoint_release(endpoint);
    }
    origin->proxy->origin_count--;
    metric_add(&origin->proxy->shard->metrics, METRIC_UPSTREAM_ACTIVE, -1);
    free(origin);
}

static const struct stream_events origin_events = {
    .opened = on_opened,
    .received = on_received,
    .writable = on_writable,
    .failed = on_failed,
    .closed = on_closed,
};
