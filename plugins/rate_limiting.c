/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/rate_limiting.h"

#include "config/settings.h"
#include "net/proxy/proxy.h"
#include "plugins/plugins.h"

#include <math.h>

/* --- what is counted ------------------------------------------------------------------------------------ */

static const char no_id[MODEL_ID_SIZE] = "00000000-0000-0000-0000-000000000000";

void rate_limiting_prefix(const struct plugin_instance *instance, char prefix[RATE_LIMITING_PREFIX_SIZE])
{
    const struct route *route = instance->route;
    const struct service *service = instance->service;
    memcpy(prefix, "ratelimit:", 10);
    prefix += 10;
    memcpy(prefix, route ? route->entity.id : no_id, MODEL_ID_SIZE - 1);
    prefix[MODEL_ID_SIZE - 1] = ':';
    prefix += MODEL_ID_SIZE;
    memcpy(prefix, service ? service->entity.id : no_id, MODEL_ID_SIZE - 1);
    prefix[MODEL_ID_SIZE - 1] = ':';
}

static struct slice id_of(const struct entity *entity)
{
    return (struct slice){ entity->id, MODEL_ID_SIZE - 1 };
}

/* Absent when the request has nothing of the kind asked for. */
static struct slice find_identifier(const struct rate_limiting_pass *pass)
{
    const struct exchange *exchange = pass->exchange;
    const struct consumer *consumer = exchange_consumer(exchange);
    const struct credential *credential = exchange_credential(exchange);
    const struct service *service = exchange_service(exchange);
    switch ((enum limit_by)pass->config->limit_by) {
    case LIMIT_BY_CONSUMER:
        if (consumer)
            return id_of(&consumer->entity);
        return credential ? id_of(&credential->entity) : (struct slice){ NULL, 0 };
    case LIMIT_BY_CREDENTIAL: return credential ? id_of(&credential->entity) : (struct slice){ NULL, 0 };
    case LIMIT_BY_SERVICE: return service ? id_of(&service->entity) : (struct slice){ NULL, 0 };
    case LIMIT_BY_HEADER: return message_find_name(exchange_request(exchange), pass->config->header_name);
    case LIMIT_BY_PATH:
        if (slice_equal(exchange_path(exchange), pass->config->path))
            return pass->config->path;
        break;
    case LIMIT_BY_IP: break;
    }
    return (struct slice){ NULL, 0 };
}

struct slice rate_limiting_identifier(const struct rate_limiting_pass *pass)
{
    struct slice found = find_identifier(pass);
    return found.data ? found : exchange_client_ip(pass->exchange);
}

size_t rate_limiting_write_number(char *out, uint64_t number)
{
    char digits[20];
    size_t size = 0;
    do {
        digits[size++] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    for (size_t i = 0; i < size; i++)
        out[i] = digits[size - 1 - i];
    return size;
}

struct slice rate_limiting_key(const struct rate_limiting_pass *pass, struct slice identifier, unsigned index)
{
    struct slice period = period_names[pass->config->periods[index]];
    size_t most = RATE_LIMITING_PREFIX_SIZE + identifier.size + 1 + 20 + 1 + period.size;
    char *key = arena_alloc(exchange_arena(pass->exchange), most);
    if (key == NULL)
        return (struct slice){ NULL, 0 };
    rate_limiting_prefix(pass->instance, key);
    char *end = key + RATE_LIMITING_PREFIX_SIZE;
    memcpy(end, identifier.data, identifier.size);
    end += identifier.size;
    *end++ = ':';
    end += rate_limiting_write_number(end, pass->windows[index].start_ms);
    *end++ = ':';
    memcpy(end, period.data, period.size);
    return (struct slice){ key, (size_t)(end - key) + period.size };
}

/* --- the answer ----------------------------------------------------------------------------------------- */

void rate_limiting_judge(struct rate_limiting_pass *pass, const double used[PERIOD_COUNT])
{
    const struct rate_limiting_config *config = pass->config;
    pass->rejected = false;
    for (unsigned i = 0; i < config->period_count; i++) {
        pass->remaining[i] = config->limits[config->periods[i]] - used[i];
        pass->rejected |= pass->remaining[i] <= 0;
    }
    for (unsigned i = 0; i < config->period_count && !pass->rejected; i++)
        pass->remaining[i] -= 1;
}

#define NAME(text) { text, sizeof(text) - 1 }

static const struct slice limit_names[PERIOD_COUNT] = {
    NAME("X-RateLimit-Limit-Second"), NAME("X-RateLimit-Limit-Minute"), NAME("X-RateLimit-Limit-Hour"),
    NAME("X-RateLimit-Limit-Day"),    NAME("X-RateLimit-Limit-Month"),  NAME("X-RateLimit-Limit-Year"),
};

static const struct slice remaining_names[PERIOD_COUNT] = {
    NAME("X-RateLimit-Remaining-Second"), NAME("X-RateLimit-Remaining-Minute"),
    NAME("X-RateLimit-Remaining-Hour"),   NAME("X-RateLimit-Remaining-Day"),
    NAME("X-RateLimit-Remaining-Month"),  NAME("X-RateLimit-Remaining-Year"),
};

/* Absent when memory is exhausted. */
static struct slice number_text(struct arena *arena, double number)
{
    if (number != floor(number))
        return arena_format(arena, "%.14g", number);
    char *text = arena_alloc(arena, 20);
    return (struct slice){ text, text ? rate_limiting_write_number(text, (uint64_t)number) : 0 };
}

static bool set_header(struct exchange *exchange, struct slice name, struct slice value)
{
    return value.data && exchange_set_response_header(exchange, name, value);
}

/* Of the tightest period; of several the longest. */
static bool set_summary(const struct rate_limiting_pass *pass, unsigned tightest, struct slice remaining)
{
    struct exchange *exchange = pass->exchange;
    enum period period = pass->config->periods[tightest];
    struct slice reset = number_text(exchange_arena(exchange),
                                     period_reset_s(period, &pass->windows[tightest], pass->wall_ms));
    return set_header(exchange, SLICE("RateLimit-Limit"), pass->config->limit_texts[period]) &&
           set_header(exchange, SLICE("RateLimit-Remaining"), remaining) &&
           set_header(exchange, SLICE("RateLimit-Reset"), reset) &&
           (!pass->rejected || set_header(exchange, SLICE("Retry-After"), reset));
}

static bool set_headers(const struct rate_limiting_pass *pass)
{
    const struct rate_limiting_config *config = pass->config;
    struct slice least_text = { NULL, 0 };
    double least = INFINITY;
    unsigned tightest = 0;
    for (unsigned i = 0; i < config->period_count; i++) {
        enum period period = config->periods[i];
        double remaining = pass->remaining[i] > 0 ? pass->remaining[i] : 0;
        struct slice text = number_text(exchange_arena(pass->exchange), remaining);
        if (!set_header(pass->exchange, limit_names[period], config->limit_texts[period]) ||
            !set_header(pass->exchange, remaining_names[period], text))
            return false;
        if (remaining > least)
            continue;
        least = remaining;
        least_text = text;
        tightest = i;
    }
    return set_summary(pass, tightest, least_text);
}

enum verdict rate_limiting_answer(const struct rate_limiting_pass *pass)
{
    const struct rate_limiting_config *config = pass->config;
    if (!config->hide_client_headers && !set_headers(pass))
        return exchange_respond_failure(pass->exchange);
    if (pass->rejected)
        return exchange_respond_error(pass->exchange, (int)config->error_code, config->error_message);
    return VERDICT_CONTINUE;
}

enum verdict rate_limiting_without_store(const struct rate_limiting_pass *pass)
{
    return pass->config->fault_tolerant ? VERDICT_CONTINUE : exchange_respond_failure(pass->exchange);
}

/* --- phases --------------------------------------------------------------------------------------------- */

static enum verdict rate_limiting_access(const struct plugin_call *call)
{
    struct rate_limiting_shard *shard = call->shard_state;
    struct rate_limiting_pass pass = {
        .exchange = call->exchange,
        .config = call->config,
        .instance = call->instance,
        .shard = shard,
        .wall_ms = shard->shard->wall_ms,
    };
    for (unsigned i = 0; i < pass.config->period_count; i++)
        pass.windows[i] = period_window_at(pass.config->periods[i], pass.wall_ms);
    if (pass.config->policy == LIMIT_POLICY_LOCAL)
        return rate_limiting_local(&pass);
    if (pass.config->sync_rate_s > 0)
        return rate_limiting_synced(&pass);
    return rate_limiting_redis(&pass);
}

/* --- states --------------------------------------------------------------------------------------------- */

static void *process_open(unsigned shard_count)
{
    return quota_open(shard_count);
}

static void process_close(void *process_state)
{
    quota_close(process_state);
}

static enum error shard_state_open(struct shard *shard, void *process_state, void *shard_state)
{
    const struct settings *settings = proxy_settings(shard);
    struct rate_limiting_shard *state = shard_state;
    *state = (struct rate_limiting_shard){
        .shard = shard,
        .quota = process_state,
        .default_host = settings->redis_host,
        .default_port = (uint16_t)settings->redis_port,
        .redis_connect = redis_connect_tcp,
    };
    return quota_make_room(state->quota, (uint64_t)settings->rate_limit_entries) ? ERROR_OK : ERROR_MEMORY;
}

static void shard_state_close(void *shard_state)
{
    struct rate_limiting_shard *state = shard_state;
    if (state->sync)
        rate_limiting_sync_close(state->sync);
    redis_pool_close(&state->redis);
}

static uint32_t hosts_of(const void *config, struct slice *hosts)
{
    const struct rate_limiting_config *limits = config;
    hosts[0] = limits->redis.host;
    return limits->policy == LIMIT_POLICY_REDIS;
}

const struct plugin rate_limiting_plugin = {
    .kind = { .name = "rate-limiting",
              .priority = 910,
              .config = { .name = "rate-limiting",
                          .fields = rate_limiting_fields,
                          .field_count = RATE_LIMITING_FIELD_COUNT,
                          .struct_size = sizeof(struct rate_limiting_config),
                          .check = rate_limiting_check },
              .hosts_of = hosts_of },
    .on = { [PHASE_ACCESS] = rate_limiting_access },
    .shard_state_size = sizeof(struct rate_limiting_shard),
    .process_open = process_open,
    .process_close = process_close,
    .shard_open = shard_state_open,
    .shard_close = shard_state_close,
};
