/* SPDX-License-Identifier: Apache-2.0 */
#include "net/fetch/fetch.h"

#include "net/proxy/resolver.h"

enum { PORT_HTTP = 80, PORT_HTTPS = 443, FIRST_BODY_BYTES = 4096, HEADS_BYTES = 64 * 1024 };

static const struct stream_events fetch_events;

/* --- the address of a document -------------------------------------------------------------------------- */

static bool split_authority(struct slice authority, struct fetch_url *url)
{
    const char *colon = authority.size ? memrchr(authority.data, ':', authority.size) : NULL;
    const char *bracket = authority.size ? memrchr(authority.data, ']', authority.size) : NULL;
    uint64_t port = url->tls ? PORT_HTTPS : PORT_HTTP;
    url->host = authority;
    if (colon && colon > bracket) {
        url->host.size = (size_t)(colon - authority.data);
        if (!slice_to_u64(slice_from(authority, url->host.size + 1), &port) || port == 0 || port > UINT16_MAX)
            return false;
    }
    if (bracket && url->host.data[0] == '[')
        url->host = (struct slice){ url->host.data + 1, url->host.size - 2 };
    url->port = (uint16_t)port;
    return url->host.size > 0;
}

bool fetch_url_parse(struct slice text, struct fetch_url *url)
{
    static const char forbidden[] = "#@\\\"<>^`{|}";
    *url = (struct fetch_url){ .tls = slice_starts_with(text, SLICE("https://")) };
    if (!url->tls && !slice_starts_with(text, SLICE("http://")))
        return false;
    for (size_t i = 0; i < text.size; i++)
        if ((unsigned char)text.data[i] <= ' ' || (unsigned char)text.data[i] >= 0x7f ||
            strchr(forbidden, text.data[i]))
            return false;
    struct slice rest = slice_from(text, url->tls ? 8 : 7);
    size_t end = 0;
    while (end < rest.size && rest.data[end] != '/' && rest.data[end] != '?')
        end++;
    url->authority = (struct slice){ rest.data, end };
    url->target = end < rest.size ? slice_from(rest, end) : SLICE("/");
    return url->target.data[0] == '/' && split_authority(url->authority, url);
}

/* --- the end -------------------------------------------------------------------------------------------- */

static void tell(struct fetch *fetch)
{
    fetch->body = (struct slice){ fetch->text, fetch->size };
    fetch->done(fetch, fetch->error);
}

static void finish(struct fetch *fetch, enum error error)
{
    if (fetch->closing)
        return;
    fetch->closing = true;
    fetch->error = error;
    timer_disarm(&fetch->shard->timers, &fetch->timer);
    stream_close(&fetch->tcp.stream);
}

static struct fetch *fetch_of(struct stream *stream)
{
    return CONTAINER_OF(stream, struct fetch, tcp.stream);
}

static void on_closed(struct stream *stream)
{
    tell(fetch_of(stream));
}

static void on_failed(struct stream *stream, enum error error)
{
    finish(fetch_of(stream), error);
}

static void on_timer(struct timer *timer)
{
    finish(CONTAINER_OF(timer, struct fetch, timer), ERROR_TIMEOUT);
}

/* --- the answer ----------------------------------------------------------------------------------------- */

static enum error keep(struct fetch *fetch, struct slice part)
{
    if (part.size > fetch->request.limit_bytes - fetch->size)
        return ERROR_LIMIT;
    if (fetch->size + part.size > fetch->capacity) {
        uint32_t capacity = fetch->capacity ? fetch->capacity : FIRST_BODY_BYTES;
        while (capacity < fetch->size + part.size)
            capacity *= 2;
        char *text = arena_alloc(&fetch->arena, capacity);
        if (text == NULL)
            return ERROR_MEMORY;
        if (fetch->size)
            memcpy(text, fetch->text, fetch->size);
        fetch->text = text;
        fetch->capacity = capacity;
    }
    memcpy(fetch->text + fetch->size, part.data, part.size);
    fetch->size += (uint32_t)part.size;
    return ERROR_OK;
}

static void expect(struct fetch *fetch)
{
    http1_parser_begin(&fetch->parser, &fetch->response, &fetch->arena);
    http1_parser_expect(&fetch->parser, HTTP1_TO_ANY);
}

/* False: nothing more is wanted. */
static bool handle(struct fetch *fetch, enum http1_event event, struct slice body)
{
    enum error error = ERROR_OK;
    switch (event) {
    case HTTP1_MORE: return false;
    case HTTP1_HEAD: fetch->status = fetch->response.status; break;
    case HTTP1_BODY: error = keep(fetch, body); break;
    case HTTP1_REFUSED: error = ERROR_PROTOCOL; break;
    case HTTP1_END:
        if (fetch->status < 200) {
            expect(fetch);
            break;
        }
        finish(fetch, ERROR_OK);
        return false;
    }
    if (error != ERROR_OK)
        finish(fetch, error);
    return error == ERROR_OK;
}

static void on_received(struct stream *stream, struct chunk chunk)
{
    struct fetch *fetch = fetch_of(stream);
    struct slice rest = chunk_slice(&chunk), body;
    if (fetch->closing) {
        chunk_release(&chunk);
        return;
    }
    if (chunk.size == 0) {
        finish(fetch, http1_parse_eof(&fetch->parser) == HTTP1_END ? ERROR_OK : ERROR_CLOSED);
        return;
    }
    bool more = true;
    while (more) {
        size_t consumed = 0;
        enum http1_event event = http1_parse(&fetch->parser, rest.data, rest.size, &consumed, &body);
        rest = slice_from(rest, consumed);
        more = handle(fetch, event, body);
    }
    chunk_release(&chunk);
}

static void on_writable(struct stream *stream)
{
    (void)stream;
}

/* --- the request ---------------------------------------------------------------------------------------- */

static void on_opened(struct stream *stream, enum error error)
{
    struct fetch *fetch = fetch_of(stream);
    if (error != ERROR_OK) {
        finish(fetch, error);
        return;
    }
    struct slice head = arena_format(&fetch->arena,
                                     "GET %.*s HTTP/1.1\r\nHost: %.*s\r\nAccept: %.*s\r\n"
                                     "User-Agent: sluice/" SLUICE_VERSION "\r\nConnection: close\r\n\r\n",
                                     SLICE_FORMAT(fetch->url.target), SLICE_FORMAT(fetch->url.authority),
                                     SLICE_FORMAT(fetch->request.accept));
    struct block *block = head.data ? block_open(fetch->shard->blocks, head.size) : NULL;
    if (block == NULL) {
        finish(fetch, ERROR_MEMORY);
        return;
    }
    memcpy(block->data, head.data, head.size);
    stream_send(stream, (struct chunk){ block, 0, (uint32_t)head.size });
}

static enum error resolve(struct fetch *fetch)
{
    struct sockaddr_storage found;
    socklen_t size;
    if (fetch->url.tls)
        return ERROR_UNSUPPORTED;
    if (address_parse(fetch->url.host, fetch->url.port, &fetch->address))
        return ERROR_OK;
    if (!resolver_lookup(fetch->shard, fetch->url.host, fetch->url.port, &found, &size))
        return ERROR_NAME;
    CHECK(size <= sizeof(fetch->address.v6));
    memcpy(&fetch->address.any, &found, size);
    fetch->address.size = size;
    return ERROR_OK;
}

/* A fetch that cannot begin ends from the loop like any other. */
static void tell_failure(struct shard_task *task)
{
    tell(CONTAINER_OF(task, struct fetch, task));
}

void fetch_init(struct fetch *fetch, struct shard *shard, fetch_done_fn *done)
{
    *fetch = (struct fetch){ .shard = shard, .done = done };
    timer_init(&fetch->timer, on_timer);
    shard_task_init(&fetch->task, tell_failure);
    arena_init(&fetch->arena, NULL, 0, 0);
}

void fetch_start(struct fetch *fetch, const struct fetch_request *request)
{
    arena_deinit(&fetch->arena);
    arena_init(&fetch->arena, NULL, 0, (size_t)request->limit_bytes * 4 + HEADS_BYTES);
    fetch->request = *request;
    fetch->text = NULL;
    fetch->size = fetch->capacity = 0;
    fetch->status = 0;
    fetch->closing = false;
    fetch->error = fetch_url_parse(request->url, &fetch->url) ? resolve(fetch) : ERROR_INVALID;
    if (fetch->error != ERROR_OK) {
        shard_defer(fetch->shard, &fetch->task);
        return;
    }
    http1_parser_init(&fetch->parser, HTTP1_RESPONSE, &http1_default_limits);
    expect(fetch);
    timer_arm(&fetch->shard->timers, &fetch->timer, fetch->shard->now_ms + request->timeout_ms);
    tcp_stream_connect(&fetch->tcp, fetch->shard, &fetch_events, &fetch->address.any, fetch->address.size);
}

void fetch_abandon(struct fetch *fetch)
{
    timer_disarm(&fetch->shard->timers, &fetch->timer);
    list_remove(&fetch->task.node);
    arena_deinit(&fetch->arena);
}

static const struct stream_events fetch_events = {
    .opened = on_opened,
    .received = on_received,
    .writable = on_writable,
    .failed = on_failed,
    .closed = on_closed,
};
