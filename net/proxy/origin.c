/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/origin.h"

#include "net/proxy/action.h"
#include "net/proxy/balancer_circuit.h"
#include "net/proxy/exchange_events.h"
#include "net/proxy/forward.h"
#include "net/proxy/tls_profiles.h"

#include <stdio.h>
#include <stdlib.h>

static const struct stream_events origin_events;

enum { LOOKED_AT = 64 /* idle connections, for one that fits */, LINE_BYTES = 512 };

static struct origin *origin_of(struct stream *stream)
{
    return stream->owner;
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
    stream_close(origin->connection.stream);
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

static enum error connect_to(struct origin *origin, const struct endpoint *endpoint,
                             const struct tls_upstream *tls)
{
    const struct connection_owner owner = { &origin_events, origin };
    struct shard *shard = origin->proxy->shard;
    struct address numeric;
    if (tls == NULL)
        return connection_connect(&origin->connection, shard, &owner, &endpoint->address, NULL);
    const char *name = origin->rules->name;
    bool asked = !address_parse(slice_of(name), 0, &numeric); /* RFC 6066: addresses are not */
    struct tls_target target = { tls->client, asked ? name : NULL, name };
    return connection_connect(&origin->connection, shard, &owner, &endpoint->address, &target);
}

static bool keep_rules(struct origin *origin, const struct origin_rules *rules)
{
    if (rules == NULL)
        return true;
    origin->rules = malloc(sizeof(*rules));
    if (origin->rules)
        *origin->rules = *rules;
    return origin->rules != NULL;
}

static struct origin *open_new(struct exchange *exchange, const struct origin_rules *rules)
{
    struct proxy *proxy = exchange->proxy;
    struct endpoint *endpoint = exchange->endpoint;
    struct origin *origin = malloc(sizeof(*origin));
    if (origin == NULL)
        return NULL;
    *origin = (struct origin){ .proxy = proxy, .endpoint = endpoint };
    if (!keep_rules(origin, rules) || connect_to(origin, endpoint, exchange->service->tls) != ERROR_OK) {
        free(origin->rules);
        free(origin);
        return NULL;
    }
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
    return origin;
}

static void join_exchange(struct origin *origin, struct exchange *exchange)
{
    origin->exchange = exchange;
    origin->head_seen = false;
    origin->request_count++;
    exchange->origin = origin;
}

/* The server is asked for by the Host that it will be sent, without the port; so does Kong. */
static bool find_rules(const struct exchange *exchange, struct origin_rules *rules)
{
    struct slice host = forward_upstream_host(exchange).host;
    bool bracketed = host.size > 0 && host.data[0] == '[';
    const char *end = host.size ? memrchr(host.data, bracketed ? ']' : ':', host.size) : NULL;
    if (end && (bracketed || memchr(host.data, ':', host.size) == end)) /* more than one: a bare address */
        host.size = (size_t)(end - host.data);
    if (bracketed)
        host = slice_from(host, 1);
    if (host.size == 0 || host.size >= ORIGIN_NAME_SIZE)
        return false;
    memcpy(rules->id, exchange->service->tls->id, sizeof(rules->id));
    for (size_t i = 0; i < host.size; i++) {
        char c = rules->name[i] = slice_lower(host.data[i]);
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && (c == '\0' || !strchr(".-_:", c)))
            return false; /* it may have come from a client */
    }
    rules->name[host.size] = '\0';
    return true;
}

static bool follows(const struct origin *origin, const struct origin_rules *rules)
{
    if (origin->rules == NULL || rules == NULL)
        return origin->rules == NULL && rules == NULL;
    return memcmp(origin->rules->id, rules->id, sizeof(rules->id)) == 0 &&
           strcmp(origin->rules->name, rules->name) == 0;
}

/* Mostly the first one fits: services that connect to one address by different rules are few. */
static struct origin *find_kept(struct endpoint *endpoint, const struct origin_rules *rules)
{
    struct list_node *node = endpoint->idle.next;
    for (uint32_t i = 0; i < LOOKED_AT && node != &endpoint->idle; i++, node = node->next) {
        struct origin *kept = CONTAINER_OF(node, struct origin, node);
        if (follows(kept, rules))
            return kept;
    }
    return NULL;
}

enum error origin_take(struct exchange *exchange)
{
    struct proxy *proxy = exchange->proxy;
    struct endpoint *endpoint = exchange->endpoint;
    struct origin_rules wanted, *rules = exchange->service->tls ? &wanted : NULL;
    if (rules && !find_rules(exchange, rules))
        return ERROR_TLS;
    struct origin *kept = find_kept(endpoint, rules);
    if (kept) {
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
    struct origin *origin = open_new(exchange, rules);
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
    stream_send(origin->connection.stream, chunk);
}

bool origin_is_congested(const struct origin *origin)
{
    const struct stream *stream = origin->connection.stream;
    return stream->queued_bytes > origin->proxy->options->stream_bytes ||
           stream->queued_chunks > STREAM_CHUNKS_MAX;
}

void origin_pause(struct origin *origin)
{
    if (!origin->paused)
        stream_pause(origin->connection.stream);
    origin->paused = true;
}

void origin_resume(struct origin *origin)
{
    if (origin->paused)
        stream_resume(origin->connection.stream);
    origin->paused = false;
}

/* --- events --------------------------------------------------------------------------------------------- */

/* Whose certificate is refused, or who refuses us, is to be seen by whoever runs this. */
static void tell_failure(struct origin *origin, const struct tls_stream *tls)
{
    struct tls_failure failure = tls_stream_failure(tls);
    char line[LINE_BYTES], address[ADDRESS_TEXT_SIZE];
    address_text(&origin->endpoint->address, address);
    snprintf(line, sizeof(line),
             "TLS to an upstream failed server_name=%s address=%s port=%u reason=\"%s\" alert=%s",
             origin->rules->name, address, address_port(&origin->endpoint->address),
             failure.reason ? failure.reason : "unknown",
             failure.alert_received != TLS_ALERT_NONE ? tls_alert_text(failure.alert_received) : "none");
    if (origin->proxy->tell)
        origin->proxy->tell(origin->proxy, line);
}

static void note_handshake(struct origin *origin, enum error error)
{
    struct metrics *metrics = &origin->proxy->shard->metrics;
    const struct tls_stream *tls = origin->connection.tls;
    if (tls == NULL || (error != ERROR_OK && error != ERROR_TLS && error != ERROR_TRUNCATED))
        return;
    metric_add(metrics, error == ERROR_OK ? METRIC_UPSTREAM_TLS : METRIC_UPSTREAM_TLS_FAILED, 1);
    if (error != ERROR_OK)
        tell_failure(origin, tls);
}

static void on_opened(struct stream *stream, enum error error)
{
    struct origin *origin = origin_of(stream);
    origin->open = error == ERROR_OK;
    note_handshake(origin, error);
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
                   (!origin->head_seen && connection_is_unsent(&origin->connection));
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
    connection_deinit(&origin->connection);
    free(origin->rules);
    free(origin);
}

static const struct stream_events origin_events = {
    .opened = on_opened,
    .received = on_received,
    .writable = on_writable,
    .failed = on_failed,
    .closed = on_closed,
};
