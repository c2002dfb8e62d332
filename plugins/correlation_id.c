/* SPDX-License-Identifier: Apache-2.0 */
/* Kong's correlation-id: a header that names the request, made up when the client sent none. */
#include "config/kong/checks.h"
#include "core/crypto/uuid.h"
#include "core/io/shard.h"
#include "net/proxy/exchange.h"
#include "plugins/plugins.h"

#include <unistd.h>

enum generator { GENERATOR_UUID, GENERATOR_COUNTER, GENERATOR_TRACKER };

struct correlation_id_config {
    struct slice header_name;
    int generator; /* enum generator */
    bool echo_downstream;
};

/* `uuid` names the shard; with a count behind it, every one of its requests. */
struct correlation_id_shard {
    struct random_pool random;
    char uuid[UUID_TEXT_SIZE];
    uint64_t count;
};

struct correlation_id_exchange {
    struct slice id; /* absent: not decided yet */
};

static const char *const generator_names[] = { "uuid", "uuid#counter", "tracker", NULL };

#define OFFSET(member) offsetof(struct correlation_id_config, member)

static const struct field fields[] = {
    { "header_name", FIELD_STRING, OFFSET(header_name), .fallback = "Kong-Request-ID",
      .check = kong_check_header_text, .help = "the header" },
    { "generator", FIELD_CHOICE, OFFSET(generator), .fallback = "uuid#counter", .choices = generator_names,
      .help = "what a missing one is made of" },
    { "echo_downstream", FIELD_BOOLEAN, OFFSET(echo_downstream), .fallback = "false",
      .help = "set it on the response too" },
};

static struct slice tracker(struct exchange *exchange)
{
    struct arrival arrival = exchange_arrival(exchange);
    char address[ADDRESS_TEXT_SIZE] = "";
    uint64_t wall_ms = exchange_shard(exchange)->wall_ms;
    if (arrival.address.size > 0)
        address_text(&arrival.address, address);
    return arena_format(exchange_arena(exchange), "%s-%u-%d-%u-%u-%llu.%03u", address,
                        arrival.address.size > 0 ? address_port(&arrival.address) : 0, (int)getpid(),
                        arrival.connection, arrival.request, (unsigned long long)(wall_ms / 1000),
                        (unsigned)(wall_ms % 1000));
}

/* By hand: formatting would cost half of all that the plugin does. */
static struct slice counted(struct correlation_id_shard *shard, struct arena *arena)
{
    char text[UUID_TEXT_SIZE + SLICE_U64_SIZE];
    memcpy(text, shard->uuid, UUID_TEXT_SIZE - 1);
    text[UUID_TEXT_SIZE - 1] = '#';
    char *end = slice_write_u64(text + UUID_TEXT_SIZE, ++shard->count);
    return arena_copy(arena, (struct slice){ text, (size_t)(end - text) });
}

/* Absent when memory is exhausted. */
static struct slice generate(const struct plugin_call *call)
{
    const struct correlation_id_config *config = call->config;
    struct correlation_id_shard *shard = call->shard_state;
    struct arena *arena = exchange_arena(call->exchange);
    if (config->generator == GENERATOR_TRACKER)
        return tracker(call->exchange);
    if (config->generator == GENERATOR_COUNTER)
        return counted(shard, arena);
    char text[UUID_TEXT_SIZE];
    uuid_random(&shard->random, text);
    return arena_copy(arena, slice_of(text));
}

static enum verdict on_access(const struct plugin_call *call)
{
    const struct correlation_id_config *config = call->config;
    struct correlation_id_exchange *state = call->exchange_state;
    struct slice id = message_find_name(exchange_request(call->exchange), config->header_name);
    if (id.size == 0) {
        id = generate(call);
        if (id.data == NULL || !exchange_set_upstream_header(call->exchange, config->header_name, id))
            return exchange_respond_failure(call->exchange);
    }
    state->id = id;
    return VERDICT_CONTINUE;
}

/* Requests that never came to the access phase get one too. */
static enum verdict on_response_head(const struct plugin_call *call)
{
    const struct correlation_id_config *config = call->config;
    struct correlation_id_exchange *state = call->exchange_state;
    if (!config->echo_downstream)
        return VERDICT_CONTINUE;
    if (state->id.data == NULL)
        state->id = message_find_name(exchange_request(call->exchange), config->header_name);
    if (state->id.size == 0)
        state->id = generate(call);
    /* The response matters more than its name. */
    if (state->id.data)
        (void)!exchange_set_response_header(call->exchange, config->header_name, state->id);
    return VERDICT_CONTINUE;
}

static enum error shard_state_open(struct shard *shard, void *process_state, void *shard_state)
{
    struct correlation_id_shard *state = shard_state;
    (void)shard;
    (void)process_state;
    uuid_random(&state->random, state->uuid);
    return ERROR_OK;
}

const struct plugin correlation_id_plugin = {
    .kind = { .name = "correlation-id",
              .priority = 100001,
              .config = { .name = "correlation-id",
                          .fields = fields,
                          .field_count = COUNT_OF(fields),
                          .struct_size = sizeof(struct correlation_id_config) } },
    .on = { [PHASE_ACCESS] = on_access, [PHASE_RESPONSE_HEAD] = on_response_head },
    .shard_state_size = sizeof(struct correlation_id_shard),
    .exchange_state_size = sizeof(struct correlation_id_exchange),
    .shard_open = shard_state_open,
};
