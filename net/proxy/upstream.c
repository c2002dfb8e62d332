/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/upstream.h"

#include "core/base/hash.h"

#include <stdio.h>
#include <stdlib.h>

enum { POOL_BUCKETS = 1024 };

static const struct stream_events upstream_events;

static struct upstream *upstream_of(struct stream *stream)
{
    return CONTAINER_OF(stream, struct upstream, tcp.stream);
}

/* --- pools ---------------------------------------------------------------------------------------------- */

enum error upstream_pools_open(struct proxy *proxy)
{
    proxy->pools = calloc(POOL_BUCKETS, sizeof(*proxy->pools));
    return proxy->pools ? ERROR_OK : ERROR_MEMORY;
}

void upstream_pools_close(struct proxy *proxy)
{
    for (unsigned i = 0; proxy->pools && i < POOL_BUCKETS; i++) {
        while (proxy->pools[i]) {
            struct upstream_pool *next = proxy->pools[i]->next;
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

static struct upstream_pool *pool_of(struct proxy *proxy, const struct address *address)
{
    struct upstream_pool **bucket = &proxy->pools[bucket_of(address)];
    for (struct upstream_pool *pool = *bucket; pool; pool = pool->next)
        if (address_equal(&pool->address, address))
            return pool;
    struct upstream_pool *pool = calloc(1, sizeof(*pool));
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

static void leave_pool(struct upstream *upstream)
{
    list_remove(&upstream->node);
    list_remove(&upstream->age_node);
    upstream->pool->idle_count--;
    metric_add(&upstream->proxy->shard->metrics, METRIC_UPSTREAM_IDLE, -1);
}

/* --- connections ---------------------------------------------------------------------------------------- */

static void close_now(struct upstream *upstream)
{
    if (upstream->closing)
        return;
    upstream->closing = true;
    timer_disarm(&upstream->proxy->shard->timers, &upstream->timer);
    stream_close(&upstream->tcp.stream);
}

static void on_timer(struct timer *timer)
{
    struct upstream *upstream = CONTAINER_OF(timer, struct upstream, timer);
    struct exchange *exchange = upstream->exchange;
    if (exchange == NULL) {
        if (!upstream->closing)
            leave_pool(upstream);
        close_now(upstream);
        return;
    }
    exchange_upstream_failed(exchange, ERROR_TIMEOUT);
}

static struct upstream *open_new(struct exchange *exchange, struct upstream_pool *pool)
{
    struct proxy *proxy = exchange->proxy;
    struct upstream *upstream = malloc(sizeof(*upstream));
    if (upstream == NULL)
        return NULL;
    *upstream = (struct upstream){ .proxy = proxy, .pool = pool };
    list_init(&upstream->node);
    list_init(&upstream->age_node);
    timer_init(&upstream->timer, on_timer);
    http1_parser_init(&upstream->parser, HTTP1_RESPONSE, &proxy->options->limits);
    pool->open_count++;
    proxy->upstream_count++;
    metric_add(&proxy->shard->metrics, METRIC_UPSTREAM_CONNECTS, 1);
    metric_add(&proxy->shard->metrics, METRIC_UPSTREAM_ACTIVE, 1);
    tcp_stream_connect(&upstream->tcp, proxy->shard, &upstream_events, &pool->address.any,
                       pool->address.size);
    return upstream;
}

static void join_exchange(struct upstream *upstream, struct exchange *exchange)
{
    upstream->exchange = exchange;
    upstream->head_seen = false;
    upstream->request_count++;
    exchange->upstream = upstream;
}

enum error upstream_take(struct exchange *exchange, const struct address *address)
{
    struct proxy *proxy = exchange->proxy;
    struct upstream_pool *pool = pool_of(proxy, address);
    if (pool == NULL)
        return ERROR_MEMORY;
    if (!list_is_empty(&pool->idle)) {
        struct upstream *kept = CONTAINER_OF(pool->idle.next, struct upstream, node);
        leave_pool(kept);
        kept->reused = true;
        metric_add(&proxy->shard->metrics, METRIC_UPSTREAM_REUSES, 1);
        join_exchange(kept, exchange);
        return ERROR_OK;
    }
    if (proxy->upstream_count >= proxy->options->upstreams_max && !list_is_empty(&proxy->idle_upstreams)) {
        struct upstream *oldest = CONTAINER_OF(proxy->idle_upstreams.next, struct upstream, age_node);
        leave_pool(oldest);
        close_now(oldest);
    } else if (proxy->upstream_count >= proxy->options->upstreams_max) {
        metric_add(&proxy->shard->metrics, METRIC_UPSTREAM_REFUSED, 1);
        return ERROR_LIMIT;
    }
    struct upstream *upstream = open_new(exchange, pool);
    if (upstream == NULL)
        return ERROR_MEMORY;
    join_exchange(upstream, exchange);
    return ERROR_OK;
}

void upstream_expect_response(struct upstream *upstream)
{
    struct exchange *exchange = upstream->exchange;
    http1_parser_begin(&upstream->parser, &exchange->response, &exchange->arena);
    bool head = slice_equal(exchange->request.method, SLICE("HEAD"));
    http1_parser_expect(&upstream->parser, head ? HTTP1_TO_HEAD : HTTP1_TO_ANY);
}

void upstream_detach(struct upstream *upstream, enum upstream_fate fate)
{
    struct proxy *proxy = upstream->proxy;
    const struct proxy_options *options = proxy->options;
    upstream->exchange->upstream = NULL;
    upstream->exchange = NULL;
    bool keep = fate == UPSTREAM_REUSE && !upstream->closing && upstream->open && !proxy->draining &&
                (options->pool_requests == 0 || upstream->request_count < options->pool_requests) &&
                upstream->pool->idle_count < options->pool_size;
    if (!keep) {
        close_now(upstream);
        return;
    }
    upstream_resume(upstream);
    list_prepend(&upstream->pool->idle, &upstream->node);
    list_append(&proxy->idle_upstreams, &upstream->age_node);
    upstream->pool->idle_count++;
    metric_add(&proxy->shard->metrics, METRIC_UPSTREAM_IDLE, 1);
    upstream_limit_time(upstream, options->pool_idle_ms);
}

void upstream_limit_time(struct upstream *upstream, uint64_t timeout_ms)
{
    struct shard *shard = upstream->proxy->shard;
    if (timeout_ms == 0)
        timer_disarm(&shard->timers, &upstream->timer);
    else
        timer_arm(&shard->timers, &upstream->timer, shard->now_ms + timeout_ms);
}

void upstream_send(struct upstream *upstream, struct chunk chunk)
{
    stream_send(&upstream->tcp.stream, chunk);
}

bool upstream_is_congested(const struct upstream *upstream)
{
    const struct stream *stream = &upstream->tcp.stream;
    return stream->queued_bytes > upstream->proxy->options->stream_bytes ||
           stream->queued_chunks > STREAM_CHUNKS_MAX;
}

void upstream_pause(struct upstream *upstream)
{
    if (!upstream->paused)
        stream_pause(&upstream->tcp.stream);
    upstream->paused = true;
}

void upstream_resume(struct upstream *upstream)
{
    if (upstream->paused)
        stream_resume(&upstream->tcp.stream);
    upstream->paused = false;
}

void upstream_pools_drain(struct proxy *proxy)
{
    for (unsigned i = 0; i < POOL_BUCKETS; i++) {
        for (struct upstream_pool *pool = proxy->pools[i]; pool; pool = pool->next) {
            while (!list_is_empty(&pool->idle)) {
                struct upstream *upstream = CONTAINER_OF(pool->idle.next, struct upstream, node);
                leave_pool(upstream);
                close_now(upstream);
            }
        }
    }
}

/* --- events --------------------------------------------------------------------------------------------- */

static void on_opened(struct stream *stream, enum error error)
{
    struct upstream *upstream = upstream_of(stream);
    upstream->open = error == ERROR_OK;
    if (upstream->exchange)
        exchange_upstream_opened(upstream->exchange, error);
    else
        close_now(upstream);
}

/* Gives one event to the exchange; false: this connection is no longer its upstream, or failed. */
static bool handle(struct upstream *upstream, enum http1_event event, const struct chunk *chunk,
                   struct slice body)
{
    struct exchange *exchange = upstream->exchange;
    int status = exchange->response.status;
    switch (event) {
    case HTTP1_MORE: return false;
    case HTTP1_REFUSED: exchange_upstream_failed(exchange, ERROR_PROTOCOL); return false;
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
            exchange_response_end(exchange, upstream->parser.trailers, upstream->parser.trailer_count);
            return false;
        }
        upstream_expect_response(upstream);
        break;
    }
    return upstream->exchange == exchange;
}

static void on_received(struct stream *stream, struct chunk chunk)
{
    struct upstream *upstream = upstream_of(stream);
    bool unasked = upstream->exchange == NULL || !upstream->exchange->upstream_sent ||
                   (!upstream->head_seen && tcp_stream_is_unsent(&upstream->tcp));
    if (unasked) {
        /* Nothing was asked: a close, or bytes that must not become somebody's answer. */
        chunk_release(&chunk);
        if (upstream->exchange)
            exchange_upstream_failed(upstream->exchange, ERROR_CLOSED);
        else if (!upstream->closing) {
            leave_pool(upstream);
            close_now(upstream);
        }
        return;
    }
    if (chunk.size == 0) {
        enum http1_event event = http1_parse_eof(&upstream->parser);
        if (event == HTTP1_END) {
            upstream->open = false; /* of no more use */
            exchange_response_end(upstream->exchange, NULL, 0);
        } else {
            exchange_upstream_failed(upstream->exchange, ERROR_CLOSED);
        }
        return;
    }
    upstream->head_seen = true;
    struct slice rest = chunk_slice(&chunk), body;
    bool more = true;
    while (more) {
        size_t consumed = 0;
        enum http1_event event = http1_parse(&upstream->parser, rest.data, rest.size, &consumed, &body);
        rest = slice_from(rest, consumed);
        if (event == HTTP1_END && rest.size > 0)
            upstream->open = upstream->exchange->response.status < 200; /* surplus: never used again */
        more = handle(upstream, event, &chunk, body);
    }
    chunk_release(&chunk);
}

static void on_writable(struct stream *stream)
{
    struct upstream *upstream = upstream_of(stream);
    if (upstream->exchange)
        exchange_upstream_writable(upstream->exchange);
}

static void on_failed(struct stream *stream, enum error error)
{
    struct upstream *upstream = upstream_of(stream);
    if (upstream->exchange) {
        exchange_upstream_failed(upstream->exchange, error);
        return;
    }
    if (!upstream->closing)
        leave_pool(upstream);
    close_now(upstream);
}

static void on_closed(struct stream *stream)
{
    struct upstream *upstream = upstream_of(stream);
    CHECK(upstream->exchange == NULL);
    upstream->pool->open_count--;
    upstream->proxy->upstream_count--;
    metric_add(&upstream->proxy->shard->metrics, METRIC_UPSTREAM_ACTIVE, -1);
    free(upstream);
}

static const struct stream_events upstream_events = {
    .opened = on_opened,
    .received = on_received,
    .writable = on_writable,
    .failed = on_failed,
    .closed = on_closed,
};
