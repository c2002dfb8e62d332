/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/fake_exchange.h"

#include "config/action.h"

#include <stdlib.h>

enum { ARENA_LIMIT_BYTES = 1024 * 1024 };

struct exchange *fake_exchange_open(const char *method, const char *target)
{
    struct exchange *exchange = calloc(1, sizeof(*exchange));
    CHECK(exchange != NULL);
    arena_init(&exchange->arena, NULL, 0, ARENA_LIMIT_BYTES);
    message_init(&exchange->request, &exchange->arena);
    message_init(&exchange->upstream, &exchange->arena);
    message_init(&exchange->response, &exchange->arena);
    message_init(&exchange->removed, &exchange->arena);
    message_init(&exchange->received, &exchange->arena);
    message_init(&exchange->trailers, &exchange->arena);
    exchange->request.method = slice_of(method);
    exchange->request.target = slice_of(target);
    exchange->path = slice_split(exchange->request.target, '?', &exchange->query);
    exchange->client_ip = SLICE("127.0.0.1");
    exchange->request_id = SLICE("0123456789abcdef0123456789abcdef");
    exchange->grants_left = -1;
    return exchange;
}

void fake_exchange_close(struct exchange *exchange)
{
    for (; exchange->filters; exchange->filters = exchange->filters->next)
        if (exchange->filters->ops->close)
            exchange->filters->ops->close(exchange->filters);
    arena_deinit(&exchange->arena);
    free(exchange);
}

void fake_exchange_header(struct exchange *exchange, const char *name, struct slice value)
{
    CHECK(message_add(&exchange->request, slice_of(name), value));
}

enum verdict fake_exchange_run(struct exchange *exchange, const struct plugin *plugin, enum phase phase,
                               const void *config, void *shard_state)
{
    struct plugin_instance instance = { .kind = &plugin->kind, .config = NULL, .enabled = true };
    struct plugin_call call = {
        .exchange = exchange, .instance = &instance, .config = config, .shard_state = shard_state
    };
    if (plugin->exchange_state_size > 0) {
        call.exchange_state = arena_alloc_zero(&exchange->arena, plugin->exchange_state_size);
        CHECK(call.exchange_state != NULL);
    }
    return plugin->on[phase](&call);
}

struct slice fake_exchange_response_header(const struct exchange *exchange, const char *name)
{
    return message_find_name(&exchange->response, slice_of(name));
}

struct slice fake_exchange_upstream_header(const struct exchange *exchange, const char *name)
{
    return message_find_name(&exchange->upstream, slice_of(name));
}

/* --- net/proxy/exchange.h ------------------------------------------------------------------------------- */

static bool grant(struct exchange *exchange)
{
    if (exchange->grants_left == 0)
        return false;
    if (exchange->grants_left > 0)
        exchange->grants_left--;
    return true;
}

const struct message *exchange_request(const struct exchange *exchange)
{
    return &exchange->request;
}

struct arena *exchange_arena(struct exchange *exchange)
{
    return &exchange->arena;
}

struct shard *exchange_shard(const struct exchange *exchange)
{
    return exchange->shard;
}

const struct model *exchange_model(const struct exchange *exchange)
{
    return exchange->model;
}

struct slice exchange_path(const struct exchange *exchange)
{
    return exchange->path;
}

struct slice exchange_query(const struct exchange *exchange)
{
    return exchange->query;
}

struct slice exchange_client_ip(const struct exchange *exchange)
{
    return exchange->client_ip;
}

struct slice exchange_request_id(const struct exchange *exchange)
{
    return exchange->request_id;
}

bool exchange_is_https(const struct exchange *exchange)
{
    return exchange->arrival.tls;
}

const struct route *exchange_route(const struct exchange *exchange)
{
    return exchange->route;
}

struct slice exchange_uri_capture(const struct exchange *exchange, uint32_t number)
{
    return number < COUNT_OF(exchange->captures) ? exchange->captures[number] : (struct slice){ NULL, 0 };
}

struct slice exchange_uri_capture_named(const struct exchange *exchange, struct slice name)
{
    return slice_equal(name, SLICE("name")) ? exchange->captures[2] : (struct slice){ NULL, 0 };
}

const struct service *exchange_service(const struct exchange *exchange)
{
    return exchange->service;
}

bool exchange_tls(const struct exchange *exchange, struct tls_info *info)
{
    (void)exchange, (void)info;
    return false;
}

struct arrival exchange_arrival(const struct exchange *exchange)
{
    return exchange->arrival;
}

struct slices exchange_groups(const struct exchange *exchange)
{
    return exchange->groups;
}

void exchange_set_groups(struct exchange *exchange, struct slices groups)
{
    exchange->groups = groups;
}

const struct consumer *exchange_consumer(const struct exchange *exchange)
{
    return exchange->consumer;
}

const struct credential *exchange_credential(const struct exchange *exchange)
{
    return exchange->credential;
}

bool exchange_authenticate(struct exchange *exchange, const struct consumer *consumer,
                           const struct credential *credential, struct slice identifier)
{
    if (!grant(exchange))
        return false;
    exchange->consumer = consumer;
    exchange->credential = credential;
    exchange->identifier = identifier;
    exchange->authenticate_count++;
    return true;
}

bool exchange_set_upstream_header(struct exchange *exchange, struct slice name, struct slice value)
{
    return grant(exchange) && message_set(&exchange->upstream, name, value);
}

void exchange_remove_upstream_header(struct exchange *exchange, struct slice name)
{
    message_remove(&exchange->upstream, name);
}

void exchange_set_upstream_query(struct exchange *exchange, struct slice query)
{
    exchange->query = query;
}

bool exchange_set_response_header(struct exchange *exchange, struct slice name, struct slice value)
{
    message_remove(&exchange->removed, name);
    return grant(exchange) && message_set(&exchange->response, name, value) &&
           message_set(&exchange->removed, name, SLICE(""));
}

bool exchange_set_response_headers(struct exchange *exchange, const struct header_edit *edits, uint32_t count,
                                   uint64_t bits)
{
    for (uint32_t i = 0; i < count; i++)
        if (!exchange_set_response_header(exchange, edits[i].name, edits[i].value))
            return false;
    (void)bits;
    return true;
}

bool exchange_limit_body(struct exchange *exchange, uint64_t bytes, struct slice message)
{
    exchange->body_limit_bytes = bytes;
    exchange->body_limit_message = message;
    return exchange->body_bytes <= bytes;
}

static enum verdict respond(struct exchange *exchange, enum fake_body kind, int status, struct slice body)
{
    exchange->body_kind = kind;
    exchange->status = status;
    exchange->body = body;
    exchange->respond_count++;
    return VERDICT_RESPOND;
}

enum verdict exchange_respond_error(struct exchange *exchange, int status, struct slice message)
{
    return respond(exchange, FAKE_BODY_ERROR, status, message);
}

enum verdict exchange_respond_json(struct exchange *exchange, int status, struct slice json)
{
    return respond(exchange, FAKE_BODY_JSON, status, json);
}

enum verdict exchange_respond_body(struct exchange *exchange, int status, struct slice content_type,
                                   struct slice body)
{
    exchange->content_type = content_type;
    return respond(exchange, FAKE_BODY_PLAIN, status, body);
}

enum verdict exchange_respond_failure(struct exchange *exchange)
{
    return respond(exchange, FAKE_BODY_FAILURE, 500, SLICE("An unexpected error occurred"));
}

void exchange_resume(struct exchange *exchange, enum verdict verdict)
{
    exchange->resume_count++;
    exchange->resumed = verdict;
}

/* --- net/proxy/exchange_edit.h -------------------------------------------------------------------------- */

bool exchange_add_upstream_header(struct exchange *exchange, struct slice name, struct slice value)
{
    return grant(exchange) && message_add(&exchange->upstream, name, value);
}

void exchange_set_upstream_method(struct exchange *exchange, struct slice method)
{
    exchange->upstream_method = method;
}

void exchange_set_upstream_path(struct exchange *exchange, struct slice path)
{
    exchange->upstream_path = path;
}

struct slice exchange_upstream_path(struct exchange *exchange)
{
    return exchange->upstream_path.data ? exchange->upstream_path : exchange->path;
}

void exchange_set_upstream_host(struct exchange *exchange, struct slice host)
{
    exchange->upstream_host = host;
}

void exchange_set_service(struct exchange *exchange, const struct service *service)
{
    exchange->chosen = service;
}

bool exchange_can_reach(const struct exchange *exchange, const struct service *service)
{
    return service != exchange->unreachable;
}

int exchange_response_status(const struct exchange *exchange)
{
    return exchange->received.status ? exchange->received.status : exchange->status;
}

void exchange_set_response_status(struct exchange *exchange, int status)
{
    *(exchange->received.status ? &exchange->received.status : &exchange->status) = status;
}

bool exchange_response_is_own(const struct exchange *exchange)
{
    return exchange->received.status == 0;
}

struct slice exchange_own_body(const struct exchange *exchange)
{
    return exchange->body;
}

static bool hides(const struct exchange *exchange, struct slice name)
{
    return message_find_name(&exchange->removed, name).data != NULL;
}

bool exchange_next_response_header(const struct exchange *exchange, uint32_t *cursor, struct header *header)
{
    const struct message *received = &exchange->received, *edits = &exchange->response;
    for (; *cursor < received->header_count + edits->header_count; ++*cursor) {
        bool old = *cursor < received->header_count;
        *header = old ? received->headers[*cursor] : edits->headers[*cursor - received->header_count];
        if (header->name.data == NULL || (old && hides(exchange, header->name)))
            continue;
        ++*cursor;
        return true;
    }
    return false;
}

bool exchange_next_response_trailer(const struct exchange *exchange, uint32_t *cursor, struct header *header)
{
    if (*cursor >= exchange->trailers.header_count)
        return false;
    *header = exchange->trailers.headers[(*cursor)++];
    return true;
}

struct slice exchange_response_header(const struct exchange *exchange, struct slice name)
{
    struct header header;
    for (uint32_t cursor = 0; exchange_next_response_header(exchange, &cursor, &header);)
        if (slice_equal_nocase(header.name, name))
            return header.value;
    return (struct slice){ NULL, 0 };
}

bool exchange_add_response_header(struct exchange *exchange, struct slice name, struct slice value)
{
    return grant(exchange) && message_add(&exchange->response, name, value);
}

bool exchange_remove_response_header(struct exchange *exchange, struct slice name)
{
    message_remove(&exchange->response, name);
    return grant(exchange) && message_set(&exchange->removed, name, SLICE(""));
}

/* --- net/proxy/exchange_body.h -------------------------------------------------------------------------- */

enum body_reading exchange_read_body(struct exchange *exchange, uint64_t limit_bytes, struct slice *body)
{
    if (exchange->request_body.size > limit_bytes)
        return BODY_TOO_LONG;
    if (exchange->body_is_late)
        return BODY_LATER;
    *body = exchange->request_body.data ? exchange->request_body : SLICE("");
    return grant(exchange) ? BODY_READ : BODY_FAILED;
}

bool exchange_set_body(struct exchange *exchange, struct slice body)
{
    exchange->sent_body = arena_copy(&exchange->arena, body);
    return grant(exchange) && (exchange->sent_body.data || body.size == 0);
}

void exchange_filter_response(struct exchange *exchange, struct body_filter *filter)
{
    struct body_filter **last = &exchange->filters;
    while (*last)
        last = &(*last)->next;
    filter->exchange = exchange;
    filter->next = NULL;
    *last = filter;
}

/* --- net/proxy/exchange_replay.h ------------------------------------------------------------------------ */

const struct message *exchange_upstream_response(const struct exchange *exchange)
{
    return exchange->received.status ? &exchange->received : NULL;
}

void exchange_watch_upstream(struct exchange *exchange, struct body_filter *filter)
{
    filter->exchange = exchange;
    filter->next = exchange->filters;
    exchange->filters = filter;
}

enum verdict exchange_replay(struct exchange *exchange, const struct replay *replay)
{
    exchange->replayed = *replay;
    return respond(exchange, FAKE_BODY_REPLAYED, replay->status, arena_copy(&exchange->arena, replay->body));
}

enum verdict exchange_respond_unavailable(struct exchange *exchange, int status)
{
    return respond(exchange, FAKE_BODY_ERROR, status, SLICE(""));
}

/* --- passing on ----------------------------------------------------------------------------------------- */

bool body_filter_pass(struct body_filter *filter, struct chunk chunk)
{
    struct exchange *exchange = filter->exchange;
    if (filter->next)
        return filter->next->ops->write(filter->next, chunk);
    struct slice piece = chunk_slice(&chunk);
    char *passed = arena_alloc(&exchange->arena, exchange->passed.size + piece.size);
    if (passed && exchange->passed.size > 0)
        memcpy(passed, exchange->passed.data, exchange->passed.size);
    if (passed && piece.size > 0)
        memcpy(passed + exchange->passed.size, piece.data, piece.size);
    exchange->passed = (struct slice){ passed, exchange->passed.size + piece.size };
    chunk_release(&chunk);
    return grant(exchange) && passed;
}

/* A chunk of a block that belongs to nobody: it is never given back. */
static struct chunk chunk_of(struct exchange *exchange, struct slice text)
{
    struct block *block = arena_alloc_zero(&exchange->arena, sizeof(*block));
    CHECK(block != NULL);
    block->data = (char *)(uintptr_t)arena_copy(&exchange->arena, text).data;
    block->capacity = block->used = (uint32_t)text.size;
    block->references = UINT32_MAX / 2;
    return (struct chunk){ block, 0, (uint32_t)text.size };
}

bool body_filter_pass_text(struct body_filter *filter, struct slice text)
{
    return text.size == 0 || body_filter_pass(filter, chunk_of(filter->exchange, text));
}

bool fake_exchange_filter(struct exchange *exchange, struct slice body, size_t piece_bytes)
{
    struct body_filter *first = exchange->filters;
    while (first && body.size > 0) {
        struct slice piece = { body.data, body.size < piece_bytes ? body.size : piece_bytes };
        body = slice_from(body, piece.size);
        if (!first->ops->write(first, chunk_of(exchange, piece)))
            return false;
    }
    for (struct body_filter *filter = first; filter; filter = filter->next)
        if (filter->ops->end && !filter->ops->end(filter))
            return false;
    return true;
}

/* --- the record ----------------------------------------------------------------------------------------- */

int exchange_status(const struct exchange *exchange)
{
    return exchange->record.status ? exchange->record.status : exchange_response_status(exchange);
}

void exchange_record_of(struct exchange *exchange, struct exchange_record *record)
{
    *record = exchange->record;
    record->status = exchange_status(exchange);
}

struct slice exchange_upstream_uri(struct exchange *exchange)
{
    return exchange->upstream_path.data ? exchange->upstream_path : SLICE("");
}

uint64_t exchange_generation(const struct exchange *exchange)
{
    return exchange->generation;
}

void exchange_trace(struct exchange *exchange)
{
    exchange->traced = true;
}
