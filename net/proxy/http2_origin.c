/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/http2_origin.h"

#include "net/proxy/balancer_circuit.h"
#include "net/proxy/exchange_events.h"

#include <stdlib.h>

enum {
    LOOKED_AT = 64, /* connections, for one that fits */
    CONNECTION_WINDOW = 16 * 1024 * 1024, /* what is received is given back at once, streams are held back */
    PING_ANSWER_MS = 10000
};

static const struct stream_events link_events;

static struct http2_link *link_of(struct stream *stream)
{
    return stream->owner;
}

/* --- who can take a request ----------------------------------------------------------------------------- */

static uint32_t streams_max(const struct http2_link *link)
{
    uint32_t ours = link->link.proxy->options->http2_streams;
    uint32_t theirs = ours;
    if (link->session)
        theirs = nghttp2_session_get_remote_settings(link->session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    return theirs < ours ? theirs : ours;
}

/* A connection with room stands among the usable ones, and counts as one that waits. */
void http2_link_recount(struct http2_link *link)
{
    struct endpoint *endpoint = link->link.endpoint;
    bool roomy = !link->link.closing && !link->leaving && link->count < streams_max(link);
    if (roomy == link->roomy)
        return;
    link->roomy = roomy;
    uint32_t change = roomy ? 1 : UINT32_MAX;
    endpoint->idle_count += change;
    if (endpoint->balancer)
        endpoint->balancer->idle_count += change;
    if (!roomy) {
        list_remove(&link->usable_node);
        return;
    }
    list_append(&endpoint->http2, &link->usable_node);
    if (endpoint->balancer)
        balancer_connection_freed(endpoint->balancer);
}

static void arm(struct http2_link *link, uint64_t timeout_ms)
{
    struct shard *shard = link->link.proxy->shard;
    if (timeout_ms == 0)
        timer_disarm(&shard->timers, &link->timer);
    else
        timer_arm(&shard->timers, &link->timer, shard->now_ms + timeout_ms);
}

static void wake(struct http2_link *link)
{
    if (!link->idle)
        return;
    link->idle = false;
    origin_link_wake(&link->link);
    arm(link, link->link.proxy->options->http2_ping_ms);
}

static void close_now(struct http2_link *link)
{
    if (link->link.closing)
        return;
    link->link.closing = true;
    http2_link_recount(link);
    arm(link, 0);
    stream_close(link->link.connection.stream);
}

static void close_idle(struct origin_link *origin_link)
{
    struct http2_link *link = (struct http2_link *)origin_link;
    wake(link);
    close_now(link);
}

/* Without a request it waits, if it is of any more use. */
static void settle(struct http2_link *link)
{
    const struct proxy *proxy = link->link.proxy;
    if (link->link.closing || link->idle || link->count > 0)
        return;
    if (!link->open || link->leaving || proxy->draining || proxy->options->pool_size == 0 ||
        link->link.endpoint->balancer == NULL) {
        close_now(link);
        return;
    }
    link->idle = true;
    origin_link_rest(&link->link);
    arm(link, proxy->options->pool_idle_ms);
}

/* Requests of which nothing can come any more. Those that are tried again find another connection. */
static void fail(struct http2_link *link, enum error error)
{
    wake(link);
    close_now(link);
    while (!list_is_empty(&link->requests)) {
        struct http2_request *request = CONTAINER_OF(link->requests.next, struct http2_request, node);
        if (request->origin.exchange)
            exchange_origin_failed(request->origin.exchange, error);
        else
            http2_request_free(request);
    }
}

/* --- sending -------------------------------------------------------------------------------------------- */

void http2_link_push(struct http2_link *link)
{
    struct block *block = link->out;
    link->out = NULL;
    if (block && block->used > 0)
        stream_send(link->link.connection.stream, (struct chunk){ block, 0, block->used });
    else if (block)
        block_release(block);
}

bool http2_link_put(struct http2_link *link, const void *data, size_t size)
{
    const char *from = data;
    while (size > 0) {
        if (link->out && link->out->used == link->out->capacity)
            http2_link_push(link);
        if (link->out == NULL)
            link->out = block_open(link->link.proxy->shard->blocks, BLOCK_SMALL_BYTES);
        if (link->out == NULL)
            return false;
        size_t room = link->out->capacity - link->out->used, part = size < room ? size : room;
        memcpy(link->out->data + link->out->used, from, part);
        link->out->used += (uint32_t)part;
        from += part;
        size -= part;
    }
    return true;
}

static bool is_congested(const struct http2_link *link)
{
    const struct stream *stream = link->link.connection.stream;
    return backlog_of_stream(stream, link->link.proxy->options->stream_bytes) == BACKLOG_HIGH;
}

static enum error write_frames(struct http2_link *link)
{
    while (!is_congested(link)) {
        const uint8_t *data;
        ssize_t size = nghttp2_session_mem_send(link->session, &data);
        if (size < 0)
            return ERROR_PROTOCOL;
        if (size == 0)
            break;
        if (!http2_link_put(link, data, (size_t)size))
            return ERROR_MEMORY;
    }
    http2_link_push(link);
    return ERROR_OK;
}

static bool is_over(const struct http2_link *link)
{
    return !nghttp2_session_want_read(link->session) && !nghttp2_session_want_write(link->session);
}

static void flush(struct http2_link *link)
{
    if (link->link.closing)
        return;
    if (!link->open) {
        settle(link);
        return;
    }
    enum error error = write_frames(link);
    if (error != ERROR_OK) {
        fail(link, error);
        return;
    }
    if (is_over(link)) { /* its last words, if they fit, were a GOAWAY about what the upstream has sent */
        fail(link, ERROR_PROTOCOL);
        return;
    }
    while (!list_is_empty(&link->drained)) {
        struct http2_request *request = CONTAINER_OF(link->drained.next, struct http2_request, drained_node);
        list_remove(&request->drained_node);
        if (request->origin.exchange)
            exchange_origin_writable(request->origin.exchange);
    }
    http2_link_recount(link);
    settle(link);
}

static void run_flush(struct shard_task *task)
{
    flush(CONTAINER_OF(task, struct http2_link, flush));
}

void http2_link_schedule(struct http2_link *link)
{
    shard_defer(link->link.proxy->shard, &link->flush);
}

/* --- opening -------------------------------------------------------------------------------------------- */

static void look_for_life(struct http2_link *link)
{
    const struct proxy *proxy = link->link.proxy;
    uint64_t silent_ms = proxy->shard->now_ms - link->received_ms,
             interval_ms = proxy->options->http2_ping_ms;
    if (link->pinged) {
        fail(link, ERROR_TIMEOUT);
    } else if (silent_ms < interval_ms || !link->open) {
        arm(link, silent_ms < interval_ms ? interval_ms - silent_ms : interval_ms);
    } else if (nghttp2_submit_ping(link->session, NGHTTP2_FLAG_NONE, NULL) == 0) {
        link->pinged = true;
        http2_link_schedule(link);
        arm(link, PING_ANSWER_MS);
    }
}

static void on_timer(struct timer *timer)
{
    struct http2_link *link = CONTAINER_OF(timer, struct http2_link, timer);
    if (link->idle)
        close_idle(&link->link);
    else
        look_for_life(link);
}

static struct http2_link *open_new(struct exchange *exchange, const struct origin_tls_rules *rules)
{
    struct http2_link *link = calloc(1, sizeof(*link));
    if (link == NULL)
        return NULL;
    const struct connection_owner owner = { &link_events, link };
    link->link.close = close_idle;
    link->link.http2 = true;
    list_init(&link->requests);
    list_init(&link->drained);
    list_init(&link->usable_node);
    shard_task_init(&link->flush, run_flush);
    timer_init(&link->timer, on_timer);
    if (!origin_link_open(&link->link, exchange, rules, &owner)) {
        free(link);
        return NULL;
    }
    link->received_ms = exchange->proxy->shard->now_ms;
    arm(link, exchange->proxy->options->http2_ping_ms);
    http2_link_recount(link);
    return link;
}

static struct http2_link *find_usable(struct endpoint *endpoint, const struct origin_tls_rules *rules)
{
    struct list_node *node = endpoint->http2.next;
    for (uint32_t i = 0; i < LOOKED_AT && node != &endpoint->http2; i++, node = node->next) {
        struct http2_link *link = CONTAINER_OF(node, struct http2_link, usable_node);
        if (origin_link_follows(&link->link, rules))
            return link;
    }
    return NULL;
}

enum error http2_origin_take(struct exchange *exchange, const struct origin_tls_rules *rules)
{
    struct proxy *proxy = exchange->proxy;
    struct http2_link *link = find_usable(exchange->endpoint, rules);
    if (link)
        metric_add(&proxy->shard->metrics, METRIC_UPSTREAM_REUSES, 1);
    else if (!origin_link_room(proxy))
        return ERROR_LIMIT;
    else
        link = open_new(exchange, rules);
    if (link == NULL)
        return ERROR_MEMORY;
    wake(link);
    struct http2_request *request = http2_request_open(link, exchange);
    if (request == NULL) {
        settle(link);
        return ERROR_MEMORY;
    }
    uint32_t most = proxy->options->pool_requests;
    link->leaving |= ++link->link.request_count >= most && most > 0;
    http2_link_recount(link);
    return ERROR_OK;
}

static bool begin_session(struct http2_link *link)
{
    const struct proxy_options *options = link->link.proxy->options;
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;
    const nghttp2_settings_entry settings[] = {
        { NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
        { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, options->http2_window },
        { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)options->limits.head_bytes },
    };
    bool good = nghttp2_session_callbacks_new(&callbacks) == 0 && nghttp2_option_new(&option) == 0 &&
                http2_request_callbacks(callbacks);
    if (good) {
        nghttp2_option_set_no_auto_window_update(option, 1);
        good = nghttp2_session_client_new2(&link->session, callbacks, link, option) == 0;
    }
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(option);
    return good &&
           nghttp2_submit_settings(link->session, NGHTTP2_FLAG_NONE, settings, COUNT_OF(settings)) == 0 &&
           nghttp2_session_set_local_window_size(link->session, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW) == 0;
}

/* --- events --------------------------------------------------------------------------------------------- */

/* Those beyond `most` find another connection, which is no try: nothing was sent. */
static void tell_opened(struct http2_link *link, uint32_t most)
{
    struct list_node waiting;
    uint32_t count = 0;
    list_init(&waiting);
    /* Each may leave while it is told; those that come meanwhile are told already, or wait for SETTINGS. */
    while (!list_is_empty(&link->requests)) {
        struct list_node *first = link->requests.next;
        list_remove(first);
        list_append(&waiting, first);
    }
    while (!list_is_empty(&waiting)) {
        struct http2_request *request = CONTAINER_OF(waiting.next, struct http2_request, node);
        list_remove(&request->node);
        list_append(&link->requests, &request->node);
        bool fits = request->origin.open || count < most;
        count += fits;
        if (request->origin.open || request->origin.exchange == NULL || (!fits && !link->known))
            continue;
        request->origin.open = fits;
        request->origin.reused |= !fits;
        if (fits)
            exchange_origin_opened(request->origin.exchange, ERROR_OK);
        else
            exchange_origin_failed(request->origin.exchange, ERROR_REFUSED);
    }
}

void http2_link_settings(struct http2_link *link)
{
    if (link->known)
        return;
    link->known = true;
    uint32_t most = streams_max(link);
    bool queue = most == 0 || (link->count > most && !origin_link_room(link->link.proxy));
    http2_link_recount(link);
    tell_opened(link, queue ? UINT32_MAX : most);
}

static void on_opened(struct stream *stream, enum error error)
{
    struct http2_link *link = link_of(stream);
    origin_link_opened(&link->link, error);
    if (link->link.closing)
        return;
    if (error == ERROR_OK && !begin_session(link))
        error = ERROR_MEMORY;
    if (error != ERROR_OK) {
        fail(link, error);
        return;
    }
    link->open = true;
    tell_opened(link, 1);
    http2_link_schedule(link);
}

static void on_received(struct stream *stream, struct chunk chunk)
{
    struct http2_link *link = link_of(stream);
    if (link->link.closing || !link->open || chunk.size == 0) {
        bool ended = chunk.size == 0;
        chunk_release(&chunk);
        if (!link->link.closing)
            fail(link, ended ? ERROR_CLOSED : ERROR_PROTOCOL);
        return;
    }
    struct slice text = chunk_slice(&chunk);
    link->received_ms = link->link.proxy->shard->now_ms;
    link->received = chunk;
    ssize_t used = nghttp2_session_mem_recv(link->session, (const uint8_t *)text.data, text.size);
    link->received = (struct chunk){ 0 };
    chunk_release(&chunk);
    if (link->link.closing)
        return;
    if (used < 0 || is_over(link)) {
        fail(link, used == NGHTTP2_ERR_NOMEM ? ERROR_MEMORY : used < 0 ? ERROR_PROTOCOL : ERROR_CLOSED);
        return;
    }
    http2_link_recount(link);
    http2_link_schedule(link);
}

static void on_writable(struct stream *stream)
{
    struct http2_link *link = link_of(stream);
    if (link->open && !link->link.closing && nghttp2_session_want_write(link->session))
        flush(link);
}

static void on_failed(struct stream *stream, enum error error)
{
    struct http2_link *link = link_of(stream);
    if (!link->link.closing)
        fail(link, error);
}

static void on_closed(struct stream *stream)
{
    struct http2_link *link = link_of(stream);
    CHECK(list_is_empty(&link->requests));
    list_remove(&link->flush.node);
    nghttp2_session_del(link->session);
    if (link->out)
        block_release(link->out);
    origin_link_deinit(&link->link);
    free(link);
}

static const struct stream_events link_events = {
    .opened = on_opened,
    .received = on_received,
    .writable = on_writable,
    .failed = on_failed,
    .closed = on_closed,
};
