/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/rate_limiting.h"

/* A request that waits for its counters, in the exchange's arena. */
struct redis_pass {
    struct redis_request request;
    struct rate_limiting_pass pass;
    struct redis_store *store;
    struct slice keys[PERIOD_COUNT];
};

struct redis_store *rate_limiting_store(const struct rate_limiting_pass *pass)
{
    return redis_config_store(&pass->config->redis, &pass->shard->limits.redis);
}

/* A counter that has just begun gets its end, in the same turn. Nobody waits for the answer. */
static void expire_new(const struct redis_pass *waiting)
{
    struct redis_command commands[PERIOD_COUNT];
    char texts[PERIOD_COUNT][SLICE_U64_SIZE];
    unsigned count = 0;
    for (unsigned i = 0; i < waiting->pass.config->period_count; i++) {
        if (waiting->request.values[i] != 1)
            continue;
        char *end = slice_write_u64(texts[count], period_length_s(waiting->pass.config->periods[i]));
        commands[count] = (struct redis_command){
            { SLICE("EXPIRE"), waiting->keys[i], { texts[count], (size_t)(end - texts[count]) } }, 3
        };
        count++;
    }
    /* When it cannot be sent the counter stays, but its name holds its window: no limit is wrong for it. */
    if (count > 0)
        (void)!redis_store_send(waiting->store, NULL, commands, count);
}

static void redis_done(struct redis_request *request, enum error error)
{
    struct redis_pass *waiting = CONTAINER_OF(request, struct redis_pass, request);
    struct rate_limiting_pass *pass = &waiting->pass;
    struct exchange *exchange = pass->exchange;
    if (error != ERROR_OK) {
        exchange_resume(exchange, rate_limiting_without_store(pass));
        return;
    }
    expire_new(waiting);
    double used[PERIOD_COUNT] = { 0 };
    for (unsigned i = 0; i < pass->config->period_count; i++)
        used[i] = (double)(request->values[i] - 1);
    rate_limiting_judge(pass, used);
    exchange_resume(exchange, rate_limiting_answer(pass));
}

/* One INCR per period, sent together: the answers are the usage with this request in it, so that any number
 * of gateways lets exactly the limit through. As in Kong, refused requests count too. */
enum verdict rate_limiting_redis(const struct rate_limiting_pass *pass)
{
    struct redis_pass *waiting = arena_alloc(exchange_arena(pass->exchange), sizeof(*waiting));
    struct redis_store *store = rate_limiting_store(pass);
    if (waiting == NULL || store == NULL)
        return rate_limiting_without_store(pass);
    waiting->pass = *pass;
    waiting->store = store;
    waiting->request = (struct redis_request){ .done = redis_done };
    struct redis_command commands[PERIOD_COUNT];
    struct limit_subject subject = rate_limiting_subject(pass);
    struct slice identifier = limit_identifier(&subject);
    for (unsigned i = 0; i < pass->config->period_count; i++) {
        waiting->keys[i] = rate_limiting_key(pass, identifier, i);
        if (waiting->keys[i].data == NULL)
            return rate_limiting_without_store(pass);
        commands[i] = (struct redis_command){ { SLICE("INCR"), waiting->keys[i] }, 2 };
    }
    if (redis_store_send(store, &waiting->request, commands, pass->config->period_count) != ERROR_OK)
        return rate_limiting_without_store(pass);
    return VERDICT_WAIT;
}
