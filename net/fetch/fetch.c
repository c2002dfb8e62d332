/* SPDX-License-Identifier: Apache-2.0 */
#include "net/fetch/fetch.h"

#include "core/crypto/base64.h"
#include "net/fetch/fetch_connection.h"
#include "net/http/http1_write.h"
#include "net/http/token.h"
#include "net/proxy/proxy.h"

enum {
    FIRST_BODY_BYTES = 4096,
    HEADS_BYTES = 128 * 1024, /* of all heads of one call */
    LINE_MAX = 4096 /* fetches of a shard that wait for a connection */
};

struct fetch_pool *fetch_pool_of(const struct shard *shard)
{
    return &proxy_of(shard)->fetches;
}

/* --- the end -------------------------------------------------------------------------------------------- */

static void leave_lists(struct fetch *fetch)
{
    if (fetch->state == FETCH_LINE) {
        fetch->pool->line_count--;
        metric_add(&fetch->pool->shard->metrics, METRIC_FETCH_WAITING, -1);
    }
    list_remove(&fetch->node);
    list_remove(&fetch->waiter.node);
    list_remove(&fetch->task.node);
    timer_disarm(&fetch->pool->shard->timers, &fetch->timer);
}

static void tell(struct fetch *fetch, enum error error)
{
    leave_lists(fetch);
    fetch->state = FETCH_IDLE;
    fetch->body = error == ERROR_OK && fetch->text ? (struct slice){ fetch->text, fetch->size } : SLICE("");
    fetch->status = error == ERROR_OK ? fetch->response.status : 0;
    if (error != ERROR_OK)
        metric_add(&fetch->pool->shard->metrics, METRIC_FETCH_FAILURES, 1);
    fetch->done(fetch, error);
}

static void finish(struct fetch *fetch, enum error error, enum fetch_fate fate)
{
    if (fetch->connection)
        fetch_connection_release(fetch->connection, fate);
    tell(fetch, error);
}

/* From inside of a call: the loop tells. */
static void fail_later(struct fetch *fetch, enum error error)
{
    leave_lists(fetch);
    list_append(&fetch->pool->busy, &fetch->node);
    fetch->state = FETCH_FAILING;
    fetch->error = error;
    shard_defer(fetch->pool->shard, &fetch->task);
}

static void tell_failure(struct shard_task *task)
{
    struct fetch *fetch = CONTAINER_OF(task, struct fetch, task);
    tell(fetch, fetch->error);
}

void fetch_cancel(struct fetch *fetch)
{
    if (fetch->connection)
        fetch_connection_release(fetch->connection, FETCH_DROP);
    fail_later(fetch, ERROR_CANCELLED);
}

void fetch_forget(struct fetch *fetch)
{
    leave_lists(fetch);
    fetch->connection = NULL;
    fetch->state = FETCH_IDLE;
}

static void on_timer(struct timer *timer)
{
    finish(CONTAINER_OF(timer, struct fetch, timer), ERROR_TIMEOUT, FETCH_DROP);
}

void fetch_close(struct fetch *fetch)
{
    if (fetch->pool == NULL)
        return;
    if (fetch->connection)
        fetch_connection_release(fetch->connection, FETCH_DROP);
    leave_lists(fetch);
    fetch->state = FETCH_IDLE;
    fetch->text = NULL;
    fetch->body = (struct slice){ NULL, 0 };
    arena_deinit(&fetch->arena);
    arena_init(&fetch->arena, NULL, 0, 0);
}

/* --- a way to the host ---------------------------------------------------------------------------------- */

static bool may_repeat(const struct fetch *fetch)
{
    static const char *const methods[] = { "GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE" };
    if (fetch->request.options & FETCH_REPEATABLE)
        return true;
    for (size_t i = 0; i < COUNT_OF(methods); i++)
        if (slice_equal(fetch->request.method, slice_of(methods[i])))
            return true;
    return false;
}

static void enter(struct fetch *fetch, enum fetch_state state)
{
    leave_lists(fetch);
    fetch->state = state;
    list_append(state == FETCH_LINE ? &fetch->pool->line : &fetch->pool->busy, &fetch->node);
    if (state == FETCH_LINE) {
        fetch->pool->line_count++;
        metric_add(&fetch->pool->shard->metrics, METRIC_FETCH_WAITING, 1);
    }
    timer_arm(&fetch->pool->shard->timers, &fetch->timer, fetch->until_ms);
}

static void wait_in_line(struct fetch *fetch)
{
    if (fetch->pool->line_count >= LINE_MAX)
        fail_later(fetch, ERROR_LIMIT);
    else
        enter(fetch, FETCH_LINE);
}

bool fetch_place(struct fetch *fetch)
{
    struct fetch_pool *pool = fetch->pool;
    bool fresh = fetch->repeated || fetch->request.options & FETCH_SINGLE;
    struct fetch_connection *kept = fresh ? NULL : fetch_connection_find(fetch);
    if (kept) {
        enter(fetch, FETCH_BUSY);
        fetch_connection_reuse(kept, fetch);
        return true;
    }
    if (pool->connection_count < pool->options.connections_max) {
        enter(fetch, FETCH_BUSY);
        if (fetch_connection_open(fetch) == NULL)
            fail_later(fetch, ERROR_MEMORY);
        return true;
    }
    if (!list_is_empty(&pool->idle)) /* its place is free when it has closed */
        fetch_connection_close(CONTAINER_OF(pool->idle.previous, struct fetch_connection, idle_node));
    if (fetch->state != FETCH_LINE)
        wait_in_line(fetch);
    return false;
}

static void seek(struct fetch *fetch)
{
    const struct fetch_url *to = fetch->proxy.host.data ? &fetch->proxy : &fetch->url;
    switch (resolver_find(fetch->pool->resolver, to->host, to->port, &fetch->address, &fetch->waiter)) {
    case RESOLVER_FOUND: (void)fetch_place(fetch); break;
    case RESOLVER_WAIT: fetch->state = FETCH_NAME; break;
    case RESOLVER_NONE: fail_later(fetch, ERROR_NAME); break;
    }
}

static void name_told(struct resolver_waiter *waiter)
{
    seek(CONTAINER_OF(waiter, struct fetch, waiter));
}

/* A kept connection that has been closed meanwhile says nothing about the host. */
void fetch_failed(struct fetch *fetch, enum error error)
{
    const struct fetch_connection *connection = fetch->connection;
    bool unsent = connection_is_unsent(&connection->transport);
    bool stale = connection->reused && !connection->answered && !fetch->repeated;
    if (!stale || !(unsent || may_repeat(fetch)) || fetch->pool->closing) {
        finish(fetch, error, FETCH_DROP);
        return;
    }
    fetch_connection_release(fetch->connection, FETCH_DROP);
    fetch->repeated = true;
    (void)fetch_place(fetch);
}

/* --- the request ---------------------------------------------------------------------------------------- */

static bool is_given(const struct fetch *fetch, const char *name)
{
    for (uint32_t i = 0; i < fetch->request.header_count; i++)
        if (slice_equal_nocase(fetch->request.headers[i].name, slice_of(name)))
            return true;
    return false;
}

static size_t head_size(const struct fetch *fetch)
{
    const struct fetch_request *request = &fetch->request;
    size_t size = 256 + request->method.size + fetch->url.target.size + fetch->url.authority.size * 2 +
                  fetch->proxy_authorization.size;
    for (uint32_t i = 0; i < request->header_count; i++)
        size += request->headers[i].name.size + request->headers[i].value.size + 4;
    return size;
}

static void write_head(struct writer *writer, const struct fetch *fetch)
{
    const struct fetch_request *request = &fetch->request;
    writer_slice(writer, request->method);
    writer_byte(writer, ' ');
    if (fetch->proxy.host.data && !fetch->url.tls) {
        writer_text(writer, "http://");
        writer_slice(writer, fetch->url.authority);
    }
    writer_slice(writer, fetch->url.target);
    writer_text(writer, " HTTP/1.1\r\n");
    if (!is_given(fetch, "host"))
        writer_header(writer, SLICE("Host"), fetch->url.authority);
    if (!is_given(fetch, "user-agent"))
        writer_header(writer, SLICE("User-Agent"), SLICE("sluice/" SLUICE_VERSION));
    if (!is_given(fetch, "accept"))
        writer_header(writer, SLICE("Accept"), SLICE("*/*"));
    for (uint32_t i = 0; i < request->header_count; i++)
        writer_header(writer, request->headers[i].name, request->headers[i].value);
    if (request->body.data)
        writer_header_u64(writer, SLICE("Content-Length"), request->body.size);
    if (request->options & FETCH_SINGLE)
        writer_header(writer, SLICE("Connection"), SLICE("close"));
    if (fetch->proxy_authorization.data && !fetch->url.tls)
        writer_header(writer, SLICE("Proxy-Authorization"), fetch->proxy_authorization);
    writer_text(writer, "\r\n");
}

static void expect(struct fetch *fetch)
{
    bool head = slice_equal(fetch->request.method, SLICE("HEAD"));
    http1_parser_begin(&fetch->parser, &fetch->response, &fetch->arena);
    http1_parser_expect(&fetch->parser, head ? HTTP1_TO_HEAD : HTTP1_TO_ANY);
}

void fetch_send(struct fetch *fetch)
{
    size_t size = head_size(fetch) + fetch->request.body.size;
    struct block *block = size <= UINT32_MAX ? block_open(fetch->pool->shard->blocks, size) : NULL;
    if (block == NULL) {
        fetch_connection_release(fetch->connection, FETCH_DROP);
        fail_later(fetch, ERROR_MEMORY);
        return;
    }
    struct writer writer = writer_of(block->data, size);
    write_head(&writer, fetch);
    writer_slice(&writer, fetch->request.body);
    CHECK(!writer.overflow);
    block->used = (uint32_t)(writer.next - block->data);
    expect(fetch);
    stream_send(fetch->connection->transport.stream, (struct chunk){ block, 0, block->used });
}

/* --- the response --------------------------------------------------------------------------------------- */

static bool grow(struct fetch *fetch, size_t wanted)
{
    uint64_t known = fetch->response.framing == BODY_LENGTH ? fetch->response.body_bytes : 0;
    uint64_t capacity = known >= wanted ? known : fetch->capacity ? fetch->capacity : FIRST_BODY_BYTES;
    while (capacity < wanted)
        capacity *= 2;
    char *text = capacity <= UINT32_MAX ? arena_alloc(&fetch->arena, capacity) : NULL;
    if (text == NULL)
        return false;
    if (fetch->size)
        memcpy(text, fetch->text, fetch->size);
    fetch->text = text;
    fetch->capacity = (uint32_t)capacity;
    return true;
}

static enum error keep(struct fetch *fetch, struct slice part)
{
    if (part.size > fetch->request.limit_bytes - fetch->size)
        return ERROR_LIMIT;
    if (!(fetch->request.options & FETCH_DISCARD)) {
        if (fetch->size + part.size > fetch->capacity && !grow(fetch, fetch->size + part.size))
            return ERROR_MEMORY;
        memcpy(fetch->text + fetch->size, part.data, part.size);
    }
    fetch->size += (uint32_t)part.size;
    return ERROR_OK;
}

static enum error take_head(struct fetch *fetch)
{
    const struct message *response = &fetch->response;
    if (response->status == 101)
        return ERROR_PROTOCOL; /* nobody asked for another protocol */
    bool longer = response->framing == BODY_LENGTH && response->body_bytes > fetch->request.limit_bytes;
    return longer && !slice_equal(fetch->request.method, SLICE("HEAD")) ? ERROR_LIMIT : ERROR_OK;
}

static void complete(struct fetch *fetch, enum fetch_fate fate)
{
    if (!fetch->response.keep_alive || fetch->request.options & FETCH_SINGLE)
        fate = FETCH_DROP;
    finish(fetch, ERROR_OK, fate);
}

void fetch_received(struct fetch *fetch, struct slice rest)
{
    struct slice body;
    for (;;) {
        size_t consumed = 0;
        enum error error = ERROR_OK;
        enum http1_event event = http1_parse(&fetch->parser, rest.data, rest.size, &consumed, &body);
        rest = slice_from(rest, consumed);
        switch (event) {
        case HTTP1_MORE: return;
        case HTTP1_HEAD: error = take_head(fetch); break;
        case HTTP1_BODY: error = keep(fetch, body); break;
        case HTTP1_REFUSED: error = ERROR_PROTOCOL; break;
        case HTTP1_END:
            if (fetch->response.status >= 200) {
                complete(fetch, rest.size > 0 ? FETCH_DROP : FETCH_KEEP);
                return;
            }
            expect(fetch);
            break;
        }
        if (error != ERROR_OK) {
            finish(fetch, error, FETCH_DROP);
            return;
        }
    }
}

void fetch_ended(struct fetch *fetch)
{
    bool asked = fetch->connection->stage == FETCH_OPEN;
    if (asked && http1_parse_eof(&fetch->parser) == HTTP1_END)
        complete(fetch, FETCH_DROP);
    else
        fetch_failed(fetch, ERROR_CLOSED);
}

/* --- the beginning -------------------------------------------------------------------------------------- */

static bool is_field_value(struct slice value)
{
    for (size_t i = 0; i < value.size; i++)
        if (((unsigned char)value.data[i] < ' ' && value.data[i] != '\t') || value.data[i] == 0x7f)
            return false;
    return true;
}

static enum error check_headers(const struct fetch_request *request)
{
    for (uint32_t i = 0; i < request->header_count; i++) {
        const struct header *header = &request->headers[i];
        if (!token_is(header->name) || !is_field_value(header->value))
            return ERROR_INVALID;
        switch (message_header_id(header->name)) {
        case HEADER_CONNECTION:
        case HEADER_CONTENT_LENGTH:
        case HEADER_TRANSFER_ENCODING: return ERROR_INVALID;
        default: break;
        }
    }
    return ERROR_OK;
}

/* RFC 7617; the user information of the proxy's URL as it stands there. */
static enum error authorize_at_proxy(struct fetch *fetch)
{
    struct slice user = fetch->proxy.user;
    size_t size = base64_encoded_size(BASE64_STANDARD, user.size);
    char *text = user.data && size < HEADS_BYTES / 2 ? arena_alloc(&fetch->arena, size + 6) : NULL;
    if (user.data == NULL)
        return ERROR_OK;
    if (text == NULL)
        return ERROR_MEMORY;
    memcpy(text, "Basic ", 6);
    fetch->proxy_authorization = (struct slice){ text, 6 + base64_encode(BASE64_STANDARD, user, text + 6) };
    return ERROR_OK;
}

static enum error prepare(struct fetch *fetch)
{
    const struct fetch_request *request = &fetch->request;
    fetch->proxy = (struct fetch_url){ 0 };
    fetch->proxy_authorization = (struct slice){ NULL, 0 };
    if (!fetch_url_parse(request->url, &fetch->url) || fetch->url.host.size >= FETCH_HOST_SIZE ||
        !token_is(request->method) || slice_equal(request->method, SLICE("CONNECT")))
        return ERROR_INVALID;
    if (request->proxy_url.data && !fetch_url_parse_proxy(request->proxy_url, &fetch->proxy))
        return ERROR_INVALID;
    if ((fetch->url.tls && fetch_tls(fetch) == NULL) || fetch->proxy.tls)
        return ERROR_UNSUPPORTED;
    if (fetch->pool->closing)
        return ERROR_CANCELLED;
    enum error error = check_headers(request);
    return error == ERROR_OK ? authorize_at_proxy(fetch) : error;
}

void fetch_init(struct fetch *fetch, struct fetch_pool *pool, fetch_done_fn *done)
{
    *fetch = (struct fetch){ .pool = pool, .done = done };
    timer_init(&fetch->timer, on_timer);
    shard_task_init(&fetch->task, tell_failure);
    list_init(&fetch->node);
    list_init(&fetch->waiter.node);
    fetch->waiter.told = name_told;
    arena_init(&fetch->arena, NULL, 0, 0);
}

void fetch_start(struct fetch *fetch, const struct fetch_request *request)
{
    CHECK(fetch->state == FETCH_IDLE);
    arena_deinit(&fetch->arena);
    arena_init(&fetch->arena, NULL, 0, (size_t)request->limit_bytes * 4 + HEADS_BYTES);
    fetch->request = *request;
    if (request->method.data == NULL)
        fetch->request.method = SLICE("GET");
    fetch->response = (struct message){ 0 };
    fetch->text = NULL;
    fetch->size = fetch->capacity = 0;
    fetch->status = 0;
    fetch->repeated = false;
    fetch->until_ms = fetch->pool->shard->now_ms + request->timeout_ms;
    metric_add(&fetch->pool->shard->metrics, METRIC_FETCHES, 1);
    http1_parser_init(&fetch->parser, HTTP1_RESPONSE, &http1_default_limits);
    enum error error = prepare(fetch);
    if (error != ERROR_OK) {
        fail_later(fetch, error);
        return;
    }
    enter(fetch, FETCH_NAME);
    seek(fetch);
}
