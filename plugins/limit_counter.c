/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/limit_counter.h"

#include "config/settings.h"
#include "core/base/hash.h"
#include "net/proxy/proxy.h"

#include <math.h>

/* --- options -------------------------------------------------------------------------------------------- */

const char *const limit_by_choices[] = { "consumer", "credential", "ip", "service", "header", "path", NULL };
const char *const limit_policy_choices[] = { "local", "redis", "cluster", NULL };
const char *const limit_policy_offered[] = { "local", "redis", NULL };

struct limit_order {
    int shorter, longer; /* enum period */
};

/* At the limit's place, but as an error of the whole configuration: so Kong has it. */
static void refuse_order(const double limits[PERIOD_COUNT], const struct limit_order *order,
                         const struct node *node, const struct config_place *place)
{
    const struct node *limit = node_find(node, period_names[order->longer].data);
    report_add(place->report, REPORT_ERROR, limit ? &limit->position : place->position, place->path,
               "The limit for %s(%.1f) cannot be lower than the limit for %s(%.1f)",
               period_names[order->longer].data, limits[order->longer], period_names[order->shorter].data,
               limits[order->shorter]);
}

bool limit_check_periods(const double limits[PERIOD_COUNT], int policy, const struct node *node,
                         const struct config_place *place)
{
    int shorter = -1;
    for (int i = 0; i < PERIOD_COUNT; i++) {
        if (isnan(limits[i]))
            continue;
        if (shorter >= 0 && limits[i] < limits[shorter])
            refuse_order(limits, &(struct limit_order){ shorter, i }, node, place);
        if (policy == LIMIT_POLICY_LOCAL && limits[i] > UINT32_MAX)
            schema_error(place, node, period_names[i].data,
                         "a limit above %u is not supported by policy local", UINT32_MAX);
        shorter = i;
    }
    return shorter >= 0;
}

void limit_check_policy(int policy, const struct node *node, const struct config_place *place)
{
    if (policy == LIMIT_POLICY_CLUSTER)
        schema_error(place, node, "policy", "cluster is not supported: it needs Postgres");
}

/* --- states --------------------------------------------------------------------------------------------- */

void *limit_process_open(unsigned shard_count)
{
    return quota_open(shard_count);
}

void limit_process_close(void *process_state)
{
    quota_close(process_state);
}

enum error limit_shard_open(struct limit_shard *state, struct shard *shard, void *process_state)
{
    redis_reach_init(&state->redis, shard);
    state->quota = process_state;
    uint64_t entries = (uint64_t)proxy_settings(shard)->rate_limit_entries;
    return quota_make_room(state->quota, entries) ? ERROR_OK : ERROR_MEMORY;
}

void limit_shard_close(struct limit_shard *state)
{
    redis_pool_close(&state->redis.pool);
}

/* --- whom --------------------------------------------------------------------------------------------- */

static struct slice id_of(const struct entity *entity)
{
    return (struct slice){ entity->id, MODEL_ID_SIZE - 1 };
}

/* Absent when the request has nothing of the kind asked for. */
static struct slice find_identifier(const struct limit_subject *subject)
{
    const struct exchange *exchange = subject->exchange;
    const struct consumer *consumer = exchange_consumer(exchange);
    const struct credential *credential = exchange_credential(exchange);
    const struct service *service = exchange_service(exchange);
    switch (subject->by) {
    case LIMIT_BY_CONSUMER:
        if (consumer)
            return id_of(&consumer->entity);
        return credential ? id_of(&credential->entity) : (struct slice){ NULL, 0 };
    case LIMIT_BY_CREDENTIAL: return credential ? id_of(&credential->entity) : (struct slice){ NULL, 0 };
    case LIMIT_BY_SERVICE: return service ? id_of(&service->entity) : (struct slice){ NULL, 0 };
    case LIMIT_BY_HEADER: return message_find_name(exchange_request(exchange), subject->header_name);
    case LIMIT_BY_PATH:
        if (slice_equal(exchange_path(exchange), subject->path))
            return subject->path;
        break;
    case LIMIT_BY_IP: break;
    }
    return (struct slice){ NULL, 0 };
}

struct slice limit_identifier(const struct limit_subject *subject)
{
    struct slice found = find_identifier(subject);
    return found.data ? found : exchange_client_ip(subject->exchange);
}

/* --- names -------------------------------------------------------------------------------------------- */

static char *write_id(const struct entity *entity, char *out)
{
    static const char no_id[MODEL_ID_SIZE] = "00000000-0000-0000-0000-000000000000";
    memcpy(out, entity ? entity->id : no_id, MODEL_ID_SIZE - 1);
    out[MODEL_ID_SIZE - 1] = ':';
    return out + MODEL_ID_SIZE;
}

char *limit_write_prefix(const struct plugin_instance *instance, char *out)
{
    out = write_id(instance->route ? &instance->route->entity : NULL, out);
    return write_id(instance->service ? &instance->service->entity : NULL, out);
}

struct slice limit_number_text(struct arena *arena, double number)
{
    uint64_t whole = (uint64_t)number;
    if ((double)whole != number)
        return arena_format(arena, "%.14g", number);
    char *text = arena_alloc(arena, SLICE_U64_SIZE);
    return (struct slice){ text, text ? (size_t)(slice_write_u64(text, whole) - text) : 0 };
}

/* --- hashes ------------------------------------------------------------------------------------------- */

uint64_t limit_scope_hash(const struct plugin_instance *instance)
{
    char text[LIMIT_PREFIX_SIZE];
    return hash_of((struct slice){ text, (size_t)(limit_write_prefix(instance, text) - text) });
}

uint64_t limit_hash(const struct limit_subject *subject)
{
    return hash_behind(subject->scope_hash, limit_identifier(subject));
}

/* Another key for each period (the finishing steps of splitmix64, a bijection). */
uint64_t limit_period_key(uint64_t hash, unsigned period)
{
    uint64_t key = hash + ((uint64_t)period + 1) * 0x9e3779b97f4a7c15u;
    key = (key ^ key >> 30) * 0xbf58476d1ce4e5b9u;
    key = (key ^ key >> 27) * 0x94d049bb133111ebu;
    return key ^ key >> 31;
}
