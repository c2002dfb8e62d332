/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/origin.h"

#include "net/proxy/action.h"
#include "net/proxy/balancer_circuit.h"
#include "net/proxy/exchange_events.h"
#include "net/proxy/forward.h"
#include "net/proxy/http2_origin.h"
#include "net/proxy/origin_link.h"
#include "net/proxy/origin_preamble.h"
#include "net/proxy/tunnel.h"

#include <stdlib.h>

static const struct stream_events connection_events;
static const struct origin_ops http1_ops;

enum { LOOKED_AT = 64 /* idle connections, for one that fits */ };

/* A connection of HTTP/1. */
struct http1_origin {
    struct origin origin; /* first: origins are recovered from it */
    struct origin_link link;
    struct http1_parser parser;
    bool raw; /* what arrives goes to the exchange's tunnel */
};

static struct http1_origin *of_stream(struct stream *stream)
{
    return stream->owner;
}

static struct http1_origin *of_origin(struct origin *origin)
{
    return (struct http1_origin *)origin;
}

/* --- idle ones ------------------------------------------------------------------------------------------ */

static void leave_pool(struct http1_origin *http1)
{
    struct endpoint *endpoint = http1->origin.endpoint;
    origin_link_wake(&http1->link);
    endpoint->idle_count--;
    if (endpoint->balancer)
        endpoint->balancer->idle_count--;
}

/* --- connections ---------------------------------------------------------------------------------------- */

static void close_now(struct http1_origin *http1)
{
    if (http1->link.closing)
        return;
    http1->link.closing = true;
    timer_disarm(&http1->origin.proxy->shard->timers, &http1->origin.timer);
    stream_close(http1->link.connection.stream);
}

static void close_idle(struct origin_link *link)
{
    struct http1_origin *http1 = CONTAINER_OF(link, struct http1_origin, link);
    leave_pool(http1);
    close_now(http1);
}

static void on_timer(struct timer *timer)
{
    struct http1_origin *http1 = CONTAINER_OF(timer, struct http1_origin, origin.timer);
    struct exchange *exchange = http1->origin.exchange;
    if (exchange == NULL) {
        if (!http1->link.closing)
            leave_pool(http1);
        close_now(http1);
        return;
    }
    exchange_origin_failed(exchange, ERROR_TIMEOUT);
}

/* It speaks for one client: never kept, and no kept one will do. */
static bool is_private(const struct exchange *exchange)
{
    return exchange->is_stream || origin_preamble_kind(exchange) != PREAMBLE_NONE;
}

static struct http1_origin *open_new(struct exchange *exchange, const struct origin_tls_rules *rules)
{
    struct proxy *proxy = exchange->proxy;
    struct http1_origin *http1 = malloc(sizeof(*http1));
    if (http1 == NULL)
        return NULL;
    const struct connection_owner owner = { &connection_events, http1 };
    *http1 = (struct http1_origin){
        .origin = { .ops = &http1_ops, .proxy = proxy, .endpoint = exchange->endpoint },
        .link = { .close = close_idle, .is_private = is_private(exchange) }
    };
    if (!origin_link_open(&http1->link, exchange, rules, &owner)) {
        free(http1);
        return NULL;
    }
    timer_init(&http1->origin.timer, on_timer);
    http1_parser_init(&http1->parser, HTTP1_RESPONSE, &proxy->options->limits);
    return http1;
}

static void join_exchange(struct http1_origin *http1, struct exchange *exchange)
{
    http1->origin.exchange = exchange;
    http1->origin.head_seen = false;
    http1->link.request_count++;
    exchange->origin = &http1->origin;
}

/* Mostly the first one fits: services that connect to one address by different rules are few. */
static struct http1_origin *find_kept(struct endpoint *endpoint, const struct origin_tls_rules *rules)
{
    struct list_node *node = endpoint->idle.next;
    for (uint32_t i = 0; i < LOOKED_AT && node != &endpoint->idle; i++, node = node->next) {
        struct origin_link *kept = CONTAINER_OF(node, struct origin_link, node);
        if (!kept->http2 && origin_link_follows(kept, rules))
            return CONTAINER_OF(kept, struct http1_origin, link);
    }
    return NULL;
}

static enum error take_http1(struct exchange *exchange, const struct origin_tls_rules *rules)
{
    struct proxy *proxy = exchange->proxy;
    struct http1_origin *kept = is_private(exchange) ? NULL : find_kept(exchange->endpoint, rules);
    if (kept) {
        leave_pool(kept);
        kept->origin.reused = true;
        metric_add(&proxy->shard->metrics, METRIC_UPSTREAM_REUSES, 1);
        join_exchange(kept, exchange);
        return ERROR_OK;
    }
    if (!origin_link_room(proxy))
        return ERROR_LIMIT;
    struct http1_origin *http1 = open_new(exchange, rules);
    if (http1 == NULL)
        return ERROR_MEMORY;
    join_exchange(http1, exchange);
    return ERROR_OK;
}

enum error origin_take(struct exchange *exchange)
{
    struct origin_tls_rules wanted, *rules = exchange->service->tls ? &wanted : NULL;
    if (!origin_link_rules(exchange, &wanted))
        return ERROR_TLS;
    if (!exchange->is_stream && origin_speaks_http2(exchange->service->service))
        return http2_origin_take(exchange, rules);
    return take_http1(exchange, rules);
}

static void expect_response(struct http1_origin *http1)
{
    struct exchange *exchange = http1->origin.exchange;
    http1_parser_begin(&http1->parser, &exchange->response, &exchange->arena);
    bool head = slice_equal(action_method(exchange), SLICE("HEAD"));
    http1_parser_expect(&http1->parser, head ? HTTP1_TO_HEAD : HTTP1_TO_ANY);
}

void origin_detach(struct origin *origin, enum origin_fate fate)
{
    origin->exchange->origin = NULL;
    origin->exchange = NULL;
    origin->ops->leave(origin, fate);
}

void origin_limit_time(struct origin *origin, uint64_t timeout_ms)
{
    struct shard *shard = origin->proxy->shard;
    if (timeout_ms == 0)
        timer_disarm(&shard->timers, &origin->timer);
    else
        timer_arm(&shard->timers, &origin->timer, shard->now_ms + timeout_ms);
}

/* --- for the exchange ----------------------------------------------------------------------------------- */

static bool send_chunk(struct http1_origin *http1, struct chunk chunk)
{
    if (chunk.block == NULL)
        return false;
    stream_send(http1->link.connection.stream, chunk);
    return true;
}

static bool send_head(struct origin *origin)
{
    struct http1_origin *http1 = of_origin(origin);
    struct chunk head = forward_request_head(origin->exchange, FORWARD_HTTP1);
    if (head.block == NULL)
        return false;
    expect_response(http1);
    return send_chunk(http1, head);
}

static bool send_body(struct origin *origin, struct chunk chunk)
{
    struct http1_origin *http1 = of_origin(origin);
    struct exchange *exchange = origin->exchange;
    if (!exchange->upstream_chunked)
        return send_chunk(http1, chunk);
    if (!send_chunk(http1, forward_chunk_line(exchange, chunk.size))) {
        chunk_release(&chunk);
        return false;
    }
    return send_chunk(http1, chunk) && send_chunk(http1, forward_text(exchange, SLICE("\r\n")));
}

static bool send_end(struct origin *origin)
{
    struct exchange *exchange = origin->exchange;
    return !exchange->upstream_chunked ||
           send_chunk(of_origin(origin), forward_last_chunk(exchange, NULL, 0));
}

static enum backlog backlog(const struct origin *origin)
{
    const struct http1_origin *http1 = (const struct http1_origin *)origin;
    return backlog_of_stream(http1->link.connection.stream, origin->proxy->options->stream_bytes);
}

static void control_reading(struct origin *origin, enum origin_reading reading)
{
    struct stream *stream = of_origin(origin)->link.connection.stream;
    if (reading == ORIGIN_PAUSE)
        stream_pause(stream);
    else
        stream_resume(stream);
}

static void leave(struct origin *origin, enum origin_fate fate)
{
    struct http1_origin *http1 = of_origin(origin);
    struct proxy *proxy = origin->proxy;
    struct endpoint *endpoint = origin->endpoint;
    const struct proxy_options *options = proxy->options;
    bool keep = fate == ORIGIN_REUSE && !http1->link.closing && !http1->link.is_private && origin->open &&
                !proxy->draining && http1->link.connection.stream->queued_bytes == 0 && endpoint->balancer &&
                (options->pool_requests == 0 || http1->link.request_count < options->pool_requests) &&
                endpoint->idle_count < options->pool_size;
    if (fate == ORIGIN_CUT)
        tcp_stream_close_resets(&http1->link.connection.tcp);
    if (!keep) {
        close_now(http1);
        return;
    }
    origin_resume(origin);
    origin_link_rest(&http1->link);
    endpoint->idle_count++;
    endpoint->balancer->idle_count++;
    balancer_connection_freed(endpoint->balancer);
    origin_limit_time(origin, options->pool_idle_ms);
}

static struct stream *open_raw(struct origin *origin)
{
    struct http1_origin *http1 = of_origin(origin);
    http1->raw = true;
    return http1->link.connection.stream;
}

static const struct origin_ops http1_ops = {
    .send_head = send_head,
    .send_body = send_body,
    .send_end = send_end,
    .backlog = backlog,
    .read = control_reading,
    .open_raw = open_raw,
    .leave = leave,
};

/* --- events --------------------------------------------------------------------------------------------- */

static void on_opened(struct stream *stream, enum error error)
{
    struct http1_origin *http1 = of_stream(stream);
    http1->origin.open = error == ERROR_OK;
    origin_link_opened(&http1->link, error);
    if (http1->origin.exchange)
        exchange_origin_opened(http1->origin.exchange, error);
    else
        close_now(http1);
}

/* Gives one event to the exchange; false: this connection is no longer its upstream, or failed. */
static bool handle(struct http1_origin *http1, enum http1_event event, const struct chunk *chunk,
                   struct slice body)
{
    struct exchange *exchange = http1->origin.exchange;
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
            exchange_response_end(exchange, http1->parser.trailers, http1->parser.trailer_count);
            return false;
        }
        expect_response(http1);
        break;
    }
    return http1->origin.exchange == exchange;
}

/* Whatever came behind the head of a 101 is the tunnel's. */
static void pass_rest(struct http1_origin *http1, const struct chunk *chunk, struct slice rest)
{
    uint32_t offset = (uint32_t)(rest.data - chunk_slice(chunk).data);
    if (http1->raw && http1->origin.exchange && rest.size > 0)
        tunnel_received(http1->origin.exchange->tunnel, TUNNEL_UPSTREAM,
                        chunk_part(chunk, offset, (uint32_t)rest.size));
}

static void on_received(struct stream *stream, struct chunk chunk)
{
    struct http1_origin *http1 = of_stream(stream);
    if (http1->raw && http1->origin.exchange) {
        tunnel_received(http1->origin.exchange->tunnel, TUNNEL_UPSTREAM, chunk);
        return;
    }
    bool unasked = http1->origin.exchange == NULL || !http1->origin.exchange->upstream_sent ||
                   (!http1->origin.head_seen && connection_is_unsent(&http1->link.connection));
    if (unasked) {
        /* Nothing was asked: a close, or bytes that must not become somebody's answer. */
        chunk_release(&chunk);
        if (http1->origin.exchange)
            exchange_origin_failed(http1->origin.exchange, ERROR_CLOSED);
        else if (!http1->link.closing)
            close_idle(&http1->link);
        return;
    }
    if (chunk.size == 0) {
        enum http1_event event = http1_parse_eof(&http1->parser);
        if (event == HTTP1_END) {
            http1->origin.open = false; /* of no more use */
            exchange_response_end(http1->origin.exchange, NULL, 0);
        } else {
            exchange_origin_failed(http1->origin.exchange, ERROR_CLOSED);
        }
        return;
    }
    http1->origin.head_seen = true;
    struct slice rest = chunk_slice(&chunk), body;
    bool more = true;
    while (more) {
        size_t consumed = 0;
        enum http1_event event = http1_parse(&http1->parser, rest.data, rest.size, &consumed, &body);
        rest = slice_from(rest, consumed);
        if (event == HTTP1_END && rest.size > 0)
            http1->origin.open =
                http1->origin.exchange->response.status < 200; /* surplus: never used again */
        more = handle(http1, event, &chunk, body) && !http1->raw;
    }
    pass_rest(http1, &chunk, rest);
    chunk_release(&chunk);
}

static void on_writable(struct stream *stream)
{
    struct http1_origin *http1 = of_stream(stream);
    if (http1->origin.exchange && http1->raw)
        tunnel_writable(http1->origin.exchange->tunnel, TUNNEL_UPSTREAM);
    else if (http1->origin.exchange)
        exchange_origin_writable(http1->origin.exchange);
}

/* What HTTP was upgraded to says itself where it ends, as WebSocket does: many servers close TLS without
 * close_notify behind that. A raw stream that is cut is passed on as cut. */
static bool is_mere_end(const struct http1_origin *http1, enum error error)
{
    const struct exchange *exchange = http1->origin.exchange;
    return error == ERROR_TRUNCATED && http1->raw && !exchange->is_stream && tunnel_is_open(exchange->tunnel);
}

static void on_failed(struct stream *stream, enum error error)
{
    struct http1_origin *http1 = of_stream(stream);
    if (http1->origin.exchange) {
        if (is_mere_end(http1, error)) {
            tunnel_lost(http1->origin.exchange->tunnel, TUNNEL_UPSTREAM);
            return;
        }
        exchange_origin_failed(http1->origin.exchange, error);
        return;
    }
    if (!http1->link.closing)
        leave_pool(http1);
    close_now(http1);
}

static void on_closed(struct stream *stream)
{
    struct http1_origin *http1 = of_stream(stream);
    CHECK(http1->origin.exchange == NULL);
    origin_link_deinit(&http1->link);
    free(http1);
}

static const struct stream_events connection_events = {
    .opened = on_opened,
    .received = on_received,
    .writable = on_writable,
    .failed = on_failed,
    .closed = on_closed,
};
