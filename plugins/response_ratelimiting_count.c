/* SPDX-License-Identifier: Apache-2.0 */
/* The counters of response-ratelimiting, in this process or in Redis. */
#include "core/base/hash.h"
#include "plugins/response_ratelimiting.h"

/* --- in this process ------------------------------------------------------------------------------------ */

static uint64_t hash_of_subject(const struct response_pass *pass)
{
    struct limit_subject subject = { .exchange = pass->exchange,
                                     .instance = pass->instance,
                                     .by = (enum limit_by)pass->config->limit_by,
                                     .scope_hash = pass->config->scope_hash };
    return limit_hash(&subject);
}

static struct quota_window window_of(const struct response_pass *pass, const struct response_limit *limit,
                                     uint64_t hash)
{
    uint64_t named = hash ^ hash_of(pass->config->names[limit->name].name);
    const struct period_window *window = &pass->windows[limit->period];
    return (struct quota_window){ .key = limit_period_key(named, limit->period),
                                  .number = window->number,
                                  .limit = limit->whole,
                                  .ends_s = window->ends_s };
}

static void look_here(struct response_pass *pass)
{
    uint64_t hash = hash_of_subject(pass);
    for (uint32_t i = 0; i < pass->config->limit_count; i++) {
        const struct response_limit *limit = &pass->config->limits[i];
        struct quota_window window = window_of(pass, limit, hash);
        struct quota_view view;
        (void)quota_peek(pass->shard->quota, &window, &view);
        pass->remaining[i] = view.remaining - (limit->whole - limit->limit);
    }
}

static void count_here(const struct response_pass *pass, const int64_t *amounts)
{
    const struct shard *shard = pass->shard->redis.shard;
    struct quota_clock clock = { .now_s = shard->wall_ms / 1000, .now_ns = shard->now_ns };
    uint64_t hash = hash_of_subject(pass);
    for (uint32_t i = 0; i < pass->config->limit_count; i++) {
        const struct response_limit *limit = &pass->config->limits[i];
        struct quota_window window = window_of(pass, limit, hash);
        if (amounts[limit->name] != 0)
            quota_count(pass->shard->quota, &window, &clock, amounts[limit->name]);
    }
}

/* --- in Redis ------------------------------------------------------------------------------------------- */

/* Up to REDIS_VALUES_MAX counters that are asked for together. */
struct response_lookup {
    struct redis_request request;
    struct response_look *look;
    uint32_t first; /* limit */
};

/* All lookups of one exchange, in its arena. */
struct response_look {
    struct response_pass *pass;
    uint32_t pending;
    bool failed;
    struct response_lookup lookups[];
};

/* Kong's key, in the exchange's arena; absent when memory is exhausted. */
static struct slice key_of(const struct response_pass *pass, const struct response_limit *limit)
{
    static const char word[] = "response-ratelimit:";
    struct slice parts[] = {
        pass->identifier, { NULL, 0 }, pass->config->names[limit->name].name, period_names[limit->period]
    };
    char number[SLICE_U64_SIZE];
    char *number_end = slice_write_u64(number, pass->windows[limit->period].start_ms);
    parts[1] = (struct slice){ number, (size_t)(number_end - number) };
    size_t size = sizeof(word) - 1 + LIMIT_PREFIX_SIZE;
    for (size_t i = 0; i < COUNT_OF(parts); i++)
        size += parts[i].size + 1;
    char *key = arena_alloc(exchange_arena(pass->exchange), size);
    if (key == NULL)
        return (struct slice){ NULL, 0 };
    memcpy(key, word, sizeof(word) - 1);
    char *end = limit_write_prefix(pass->instance, key + sizeof(word) - 1);
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        memcpy(end, parts[i].data, parts[i].size);
        end += parts[i].size;
        *end++ = ':';
    }
    return (struct slice){ key, size - 1 };
}

static void lookup_done(struct redis_request *request, enum error error)
{
    struct response_lookup *lookup = CONTAINER_OF(request, struct response_lookup, request);
    struct response_look *look = lookup->look;
    struct response_pass *pass = look->pass;
    look->failed |= error != ERROR_OK;
    for (uint32_t i = 0; error == ERROR_OK && i < request->value_count; i++) {
        int64_t used = request->values[i] == REDIS_VALUE_NIL ? 0 : request->values[i];
        pass->remaining[lookup->first + i] = pass->config->limits[lookup->first + i].limit - (double)used;
    }
    if (--look->pending == 0)
        exchange_resume(pass->exchange, response_ratelimiting_known(pass, look->failed));
}

static bool send_lookup(struct response_lookup *lookup, struct redis_store *store)
{
    const struct response_pass *pass = lookup->look->pass;
    struct redis_command commands[REDIS_VALUES_MAX];
    uint32_t left = pass->config->limit_count - lookup->first;
    uint32_t count = left < REDIS_VALUES_MAX ? left : REDIS_VALUES_MAX;
    for (uint32_t i = 0; i < count; i++) {
        struct slice key = key_of(pass, &pass->config->limits[lookup->first + i]);
        if (key.data == NULL)
            return false;
        commands[i] = (struct redis_command){ { SLICE("GET"), key }, 2 };
    }
    lookup->request = (struct redis_request){ .done = lookup_done };
    return redis_store_send(store, &lookup->request, commands, count) == ERROR_OK;
}

/* False: nothing is on its way. */
static bool look_in_redis(struct response_pass *pass)
{
    uint32_t count = (pass->config->limit_count + REDIS_VALUES_MAX - 1) / REDIS_VALUES_MAX;
    struct redis_store *store = redis_config_store(&pass->config->redis, &pass->shard->redis);
    struct response_look *look =
        arena_alloc(exchange_arena(pass->exchange), sizeof(*look) + count * sizeof(look->lookups[0]));
    if (store == NULL || look == NULL)
        return false;
    *look = (struct response_look){ .pass = pass };
    for (uint32_t i = 0; i < count && !look->failed; i++) {
        look->lookups[i].look = look;
        look->lookups[i].first = i * REDIS_VALUES_MAX;
        look->failed = !send_lookup(&look->lookups[i], store);
        look->pending += !look->failed;
    }
    return look->pending > 0;
}

/* Nobody waits for the answers. The end is set each time, for only one of the replies would say that the
 * counter is new; its name holds its window, so that a later end makes no limit wrong. */
static void count_in_redis(const struct response_pass *pass, const int64_t *amounts)
{
    struct redis_store *store = redis_config_store(&pass->config->redis, &pass->shard->redis);
    for (uint32_t i = 0; store && i < pass->config->limit_count; i++) {
        const struct response_limit *limit = &pass->config->limits[i];
        int64_t amount = amounts[limit->name];
        struct slice key = amount != 0 ? key_of(pass, limit) : (struct slice){ NULL, 0 };
        char text[SLICE_U64_SIZE + 1], seconds[SLICE_U64_SIZE];
        if (key.data == NULL)
            continue;
        char *start = text;
        if (amount < 0)
            *start++ = '-';
        char *end = slice_write_u64(start, (uint64_t)(amount < 0 ? -amount : amount));
        char *seconds_end = slice_write_u64(seconds, period_length_s(limit->period));
        struct redis_command commands[] = {
            { { SLICE("INCRBY"), key, { text, (size_t)(end - text) } }, 3 },
            { { SLICE("EXPIRE"), key, { seconds, (size_t)(seconds_end - seconds) } }, 3 },
        };
        (void)!redis_store_send(store, NULL, commands, COUNT_OF(commands));
    }
}

/* --- either --------------------------------------------------------------------------------------------- */

enum verdict response_limits_look(struct response_pass *pass, bool *failed)
{
    *failed = false;
    if (pass->config->policy == LIMIT_POLICY_LOCAL) {
        look_here(pass);
        return VERDICT_CONTINUE;
    }
    *failed = !look_in_redis(pass);
    return *failed ? VERDICT_CONTINUE : VERDICT_WAIT;
}

void response_limits_refresh(struct response_pass *pass)
{
    if (pass->config->policy == LIMIT_POLICY_LOCAL)
        look_here(pass);
}

void response_limits_count(const struct response_pass *pass, const int64_t *amounts)
{
    if (pass->config->policy == LIMIT_POLICY_LOCAL)
        count_here(pass, amounts);
    else
        count_in_redis(pass, amounts);
}
