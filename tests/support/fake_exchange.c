/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/fake_exchange.h"

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

const struct route *exchange_route(const struct exchange *exchange)
{
    return exchange->route;
}

const struct service *exchange_service(const struct exchange *exchange)
{
    return exchange->service;
}

struct arrival exchange_arrival(const struct exchange *exchange)
{
    return exchange->arrival;
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
    return grant(exchange) && message_set(&exchange->response, name, value);
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
