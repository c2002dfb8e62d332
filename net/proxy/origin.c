/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/origin.h"

#include "core/base/hash.h"

#include <stdio.h>
#include <stdlib.h>

enum { POOL_BUCKETS = 1024 };

static const struct stream_events origin_events;

static struct origin *origin_of(struct stream *stream)
{
    return CONTAINER_OF(stream, struct origin, tcp.stream);
}

/* --- pools ---------------------------------------------------------------------------------------------- */

enum error origin_pools_open(struct proxy *proxy)
{
    proxy->pools = calloc(POOL_BUCKETS, sizeof(*proxy->pools));
    return proxy->pools ? ERROR_OK : ERROR_MEMORY;
}

void origin_pools_close(struct proxy *proxy)
{
    for (unsigned i = 0; proxy->pools && i < POOL_BUCKETS; i++) {
        while (proxy->pools[i]) {
            struct origin_pool *next = proxy->pools[i]->next;
            free(proxy->pools[i]);
            proxy->pools[i] = next;
        }
    }
    free(proxy->pools);
    proxy->pools = NULL;
}

static uint32_t bucket_of(const struct address *address)
{
    if (address->any.sa_family == AF_INET)
        return (address->v4.sin_addr.s_addr * 2654435761u ^ address->v4.sin_port * 40503u) >> 8 &
               (POOL_BUCKETS - 1);
    struct slice bytes = { (const char *)&address->v6.sin6_addr, sizeof(address->v6.sin6_addr) };
    return (uint32_t)(hash_of(bytes) ^ address->v6.sin6_port) & (POOL_BUCKETS - 1);
}

static struct origin_pool *pool_of(struct proxy *proxy, const struct address *address)
{
    struct origin_pool **bucket = &proxy->pools[bucket_of(address)];
    for (struct origin_pool *pool = *bucket; pool; pool = pool->next)
        if (address_equal(&pool->address, address))
            return pool;
    struct origin_pool *pool = calloc(1, sizeof(*pool));
    if (pool == NULL)
        return NULL;
    char text[ADDRESS_TEXT_SIZE];
    address_text(address, text);
    snprintf(pool->text, sizeof(pool->text), "%s:%u", text, address_port(address));
    pool->address = *address;
    list_init(&pool->idle);
    pool->next = *bucket;
    *bucket = pool;
    return pool;
}

static void leave_pool(struct origin *origin)
{
    list_remove(&origin->node);
    list_remove(&origin->age_node);
    origin->pool->idle_count--;
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

static struct origin *open_new(struct exchange *exchange, struct origin_pool *pool)
{
    struct proxy *proxy = exchange->proxy;
    struct origin *origin = malloc(sizeof(*origin));
    if (origin == NULL)
        return NULL;
    *origin = (struct origin){ .proxy = proxy, .pool = pool };
    list_init(&origin->node);
    list_init(&origin->age_node);
    timer_init(&origin->timer, on_timer);
    http1_parser_init(&origin->parser, HTTP1_RESPONSE, &proxy->options->limits);
    pool->open_count++;
    proxy->origin_count++;
    metric_add(&proxy->shard->metrics, METRIC_UPSTREAM_CONNECTS, 1);
    metric_add(&proxy->shard->metrics, METRIC_UPSTREAM_ACTIVE, 1);
    tcp_stream_connect(&origin->tcp, proxy->shard, &origin_events, &pool->address.any, pool->address.size);
    return origin;
}

static void join_exchange(struct origin *origin, struct exchange *exchange)
{
    origin->exchange = exchange;
    origin->head_seen = false;
    origin->request_count++;
    exchange->origin = origin;
}

enum error origin_take(struct exchange *exchange, const struct address *address)
{
    struct proxy *proxy = exchange->proxy;
    struct origin_pool *pool = pool_of(proxy, address);
    if (pool == NULL)
        return ERROR_MEMORY;
    if (!list_is_empty(&pool->idle)) {
        struct origin *kept = CONTAINER_OF(pool->idle.next, struct origin, node);
        leave_pool(kept);
        kept->reused = true;
        metric_add(&proxy->shard->metrics, METRIC_UPSTREAM_REUSES, 1);
        join_exchange(kept, exchange);
        return ERROR_OK;
    }
    if (proxy->origin_count >= proxy->options->upstreams_max && !list_is_empty(&proxy->idle_origins)) {
        struct origin *oldest = CONTAINER_OF(proxy->idle_origins.next, struct origin, age_node);
        leave_pool(oldest);
        close_now(oldest);
    } else if (proxy->origin_count >= proxy->options->upstreams_max) {
        metric_add(&proxy->shard->metrics, METRIC_UPSTREAM_REFUSED, 1);
        return ERROR_LIMIT;
    }
    struct origin *origin = open_new(exchange, pool);
    if (origin == NULL)
        return ERROR_MEMORY;
    join_exchange(origin, exchange);
    return ERROR_OK;
}

void origin_expect_response(struct origin *origin)
{
    struct exchange *exchange = origin->exchange;
    http1_parser_begin(&origin->parser, &exchange->response, &exchange->arena);
    bool head = slice_equal(exchange->request.method, SLICE("HEAD"));
    http1_parser_expect(&origin->parser, head ? HTTP1_TO_HEAD : HTTP1_TO_ANY);
}

void origin_detach(struct origin *origin, enum origin_fate fate)
{
    struct proxy *proxy = origin->proxy;
    const struct proxy_options *options = proxy->options;
    origin->exchange->origin = NULL;
    origin->exchange = NULL;
    bool keep = fate == ORIGIN_REUSE && !origin->closing && origin->open && !proxy->draining &&
                (options->pool_requests == 0 || origin->request_count < options->pool_requests) &&
                origin->pool->idle_count < options->pool_size;
    if (!keep) {
        close_now(origin);
        return;
    }
    origin_resume(origin);
    list_prepend(&origin->pool->idle, &origin->node);
    list_append(&proxy->idle_origins, &origin->age_node);
    origin->pool->idle_count++;
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

void origin_pools_drain(struct proxy *proxy)
{
    for (unsigned i = 0; i < POOL_BUCKETS; i++) {
        for (struct origin_pool *pool = proxy->pools[i]; pool; pool = pool->next) {
            while (!list_is_empty(&pool->idle)) {
                struct origin *origin = CONTAINER_OF(pool->idle.next, struct origin, node);
                leave_pool(origin);
                close_now(origin);
            }
        }
    }
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
        else if (!origin->closing) {
            leave_pool(origin);
            close_now(origin);
        }
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
    CHECK(origin->exchange == NULL);
    origin->pool->open_count--;
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
