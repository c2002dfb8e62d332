/* SPDX-License-Identifier: Apache-2.0 */
#include "net/fetch/fetch_connection.h"

#include <stdio.h>
#include <stdlib.h>

static const struct stream_events fetch_events;

static struct fetch_connection *connection_of(struct stream *stream)
{
    return stream->owner;
}

/* --- kept ones ------------------------------------------------------------------------------------------ */

struct tls_client *fetch_tls(const struct fetch *fetch)
{
    const struct tls_loop *loop = fetch->pool->shard->tls;
    if (!fetch->url.tls || loop == NULL)
        return NULL;
    if (fetch->request.tls)
        return fetch->request.tls;
    return loop->options.own[fetch->request.options & FETCH_UNVERIFIED ? TLS_OWN_BELIEVES : TLS_OWN_VERIFIES];
}

static bool fits(const struct fetch_connection *connection, const struct fetch *fetch)
{
    bool tunnel = fetch->proxy.host.data && fetch->url.tls;
    return address_equal(&connection->address, &fetch->address) &&
           connection->tls_client == fetch_tls(fetch) && connection->tunnel == tunnel &&
           (connection->tls_client == NULL ||
            (connection->port == fetch->url.port &&
             slice_equal_nocase(slice_of(connection->host), fetch->url.host)));
}

struct fetch_connection *fetch_connection_find(const struct fetch *fetch)
{
    const struct list_node *idle = &fetch->pool->idle;
    for (struct list_node *at = idle->next; at != idle; at = at->next) {
        struct fetch_connection *connection = CONTAINER_OF(at, struct fetch_connection, idle_node);
        if (fits(connection, fetch))
            return connection;
    }
    return NULL;
}

static void leave_idle(struct fetch_connection *connection)
{
    if (list_is_empty(&connection->idle_node))
        return;
    list_remove(&connection->idle_node);
    connection->pool->idle_count--;
    timer_disarm(&connection->pool->shard->timers, &connection->timer);
    metric_add(&connection->pool->shard->metrics, METRIC_FETCH_IDLE, -1);
}

void fetch_connection_close(struct fetch_connection *connection)
{
    if (connection->closing)
        return;
    leave_idle(connection);
    connection->closing = true;
    stream_close(connection->transport.stream);
}

static void on_timer(struct timer *timer)
{
    fetch_connection_close(CONTAINER_OF(timer, struct fetch_connection, timer));
}

static void keep(struct fetch_connection *connection, uint32_t keep_ms)
{
    struct fetch_pool *pool = connection->pool;
    uint64_t idle_ms = pool->options.idle_ms;
    if (keep_ms > 0 && keep_ms < idle_ms)
        idle_ms = keep_ms;
    if (pool->idle_count >= pool->options.idle_max && !list_is_empty(&pool->idle))
        fetch_connection_close(CONTAINER_OF(pool->idle.previous, struct fetch_connection, idle_node));
    list_prepend(&pool->idle, &connection->idle_node);
    pool->idle_count++;
    metric_add(&pool->shard->metrics, METRIC_FETCH_IDLE, 1);
    timer_arm(&pool->shard->timers, &connection->timer, pool->shard->now_ms + idle_ms);
}

void fetch_connection_release(struct fetch_connection *connection, enum fetch_fate fate)
{
    struct fetch_pool *pool = connection->pool;
    struct fetch *fetch = connection->fetch;
    connection->fetch = NULL;
    fetch->connection = NULL;
    bool kept = fate == FETCH_KEEP && !pool->closing && !connection->closing &&
                connection->stage == FETCH_OPEN && connection->transport.stream->queued_bytes == 0 &&
                pool->options.idle_max > 0 && pool->options.idle_ms > 0;
    if (kept)
        keep(connection, fetch->request.keep_ms);
    else
        fetch_connection_close(connection);
    if (!list_is_empty(&pool->line))
        shard_defer(pool->shard, &pool->task);
}

void fetch_connection_reuse(struct fetch_connection *connection, struct fetch *fetch)
{
    leave_idle(connection);
    connection->reused = true;
    connection->answered = false;
    connection->fetch = fetch;
    fetch->connection = connection;
    metric_add(&fetch->pool->shard->metrics, METRIC_FETCH_REUSES, 1);
    fetch_send(fetch);
}

/* --- opening -------------------------------------------------------------------------------------------- */

static struct tls_target target_of(const struct fetch_connection *connection)
{
    struct address numeric;
    bool named = !address_parse(slice_of(connection->host), 0, &numeric);
    return (struct tls_target){ .client = connection->tls_client,
                                .server_name = named ? connection->host : NULL,
                                .checked_name = connection->host };
}

struct fetch_connection *fetch_connection_open(struct fetch *fetch)
{
    struct fetch_pool *pool = fetch->pool;
    struct fetch_connection *connection = calloc(1, sizeof(*connection));
    if (connection == NULL)
        return NULL;
    connection->pool = pool;
    connection->fetch = fetch;
    connection->address = fetch->address;
    connection->tls_client = fetch_tls(fetch);
    connection->tunnel = fetch->proxy.host.data && fetch->url.tls;
    connection->port = fetch->url.port;
    memcpy(connection->host, fetch->url.host.data,
           fetch->url.host.size); /* shorter: fetch_start sees to it */
    timer_init(&connection->timer, on_timer);
    list_init(&connection->node);
    list_init(&connection->idle_node);
    struct tls_target target = target_of(connection);
    bool shakes = connection->tls_client && !connection->tunnel;
    struct connection_owner owner = { &fetch_events, connection };
    if (connection_connect(&connection->transport, pool->shard, &owner, &connection->address,
                           shakes ? &target : NULL) != ERROR_OK) {
        free(connection);
        return NULL;
    }
    if (connection->tls_client)
        tls_client_take(connection->tls_client);
    list_append(&pool->connections, &connection->node);
    pool->connection_count++;
    metric_add(&pool->shard->metrics, METRIC_FETCH_CONNECTS, 1);
    metric_add(&pool->shard->metrics, METRIC_FETCH_ACTIVE, 1);
    fetch->connection = connection;
    return connection;
}

/* RFC 9110 section 9.3.6. */
static bool ask_for_tunnel(struct fetch_connection *connection)
{
    struct fetch *fetch = connection->fetch;
    bool v6 = memchr(connection->host, ':', strlen(connection->host)) != NULL;
    char authority[FETCH_HOST_SIZE + 10];
    int size =
        snprintf(authority, sizeof(authority), v6 ? "[%s]:%u" : "%s:%u", connection->host, connection->port);
    struct slice head =
        arena_format(&fetch->arena, "CONNECT %.*s HTTP/1.1\r\nHost: %.*s\r\n%s%.*s%s\r\n", size, authority,
                     size, authority, fetch->proxy_authorization.data ? "Proxy-Authorization: " : "",
                     SLICE_FORMAT(fetch->proxy_authorization), fetch->proxy_authorization.data ? "\r\n" : "");
    struct block *block = head.data ? block_open(fetch->pool->shard->blocks, head.size) : NULL;
    if (block == NULL)
        return false;
    memcpy(block->data, head.data, head.size);
    block->used = (uint32_t)head.size;
    connection->stage = FETCH_TUNNEL;
    http1_parser_begin(&fetch->parser, &fetch->response, &fetch->arena);
    stream_send(connection->transport.stream, (struct chunk){ block, 0, block->used });
    return true;
}

static void tunnel_received(struct fetch_connection *connection, struct slice rest)
{
    struct fetch *fetch = connection->fetch;
    struct slice body;
    for (;;) {
        size_t consumed = 0;
        enum http1_event event = http1_parse(&fetch->parser, rest.data, rest.size, &consumed, &body);
        int status = fetch->response.status;
        rest = slice_from(rest, consumed);
        if (event == HTTP1_MORE)
            return;
        if (event == HTTP1_HEAD && status >= 200 && status < 300 && rest.size == 0)
            break;
        if (event == HTTP1_END && status < 200) {
            http1_parser_begin(&fetch->parser, &fetch->response, &fetch->arena);
        } else if (event != HTTP1_HEAD || status >= 200) {
            bool denied = event == HTTP1_HEAD && status >= 300;
            fetch_failed(fetch, denied ? ERROR_REFUSED : ERROR_PROTOCOL);
            return;
        }
    }
    connection->stage = FETCH_CONNECTING;
    struct tls_target target = target_of(connection);
    if (connection_secure(&connection->transport, &target) != ERROR_OK)
        fetch_failed(fetch, ERROR_MEMORY);
}

/* --- events --------------------------------------------------------------------------------------------- */

static void on_opened(struct stream *stream, enum error error)
{
    struct fetch_connection *connection = connection_of(stream);
    if (connection->fetch == NULL)
        return; /* closing */
    if (error == ERROR_OK && connection->tunnel && connection->transport.tls == NULL) {
        if (ask_for_tunnel(connection))
            return;
        error = ERROR_MEMORY;
    }
    if (error != ERROR_OK) {
        fetch_failed(connection->fetch, error);
        return;
    }
    connection->stage = FETCH_OPEN;
    fetch_send(connection->fetch);
}

/* What comes unasked must not become anybody's answer. */
static void on_received(struct stream *stream, struct chunk chunk)
{
    struct fetch_connection *connection = connection_of(stream);
    if (connection->fetch == NULL) {
        fetch_connection_close(connection);
    } else if (chunk.size == 0) {
        fetch_ended(connection->fetch);
    } else if (connection->stage == FETCH_TUNNEL) {
        tunnel_received(connection, chunk_slice(&chunk));
    } else {
        connection->answered = true;
        fetch_received(connection->fetch, chunk_slice(&chunk));
    }
    chunk_release(&chunk);
}

static void on_writable(struct stream *stream)
{
    (void)stream;
}

static void on_failed(struct stream *stream, enum error error)
{
    struct fetch_connection *connection = connection_of(stream);
    if (connection->fetch)
        fetch_failed(connection->fetch, error);
    else
        fetch_connection_close(connection);
}

static void on_closed(struct stream *stream)
{
    struct fetch_connection *connection = connection_of(stream);
    struct fetch_pool *pool = connection->pool;
    list_remove(&connection->node);
    connection_deinit(&connection->transport);
    tls_client_release(connection->tls_client);
    free(connection);
    pool->connection_count--;
    metric_add(&pool->shard->metrics, METRIC_FETCH_ACTIVE, -1);
    if (!list_is_empty(&pool->line))
        shard_defer(pool->shard, &pool->task);
}

static const struct stream_events fetch_events = {
    .opened = on_opened,
    .received = on_received,
    .writable = on_writable,
    .failed = on_failed,
    .closed = on_closed,
};
