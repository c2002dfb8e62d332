/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/rate_limiting.h"

#include "net/proxy/exchange_edit.h"
#include "plugins/plugins.h"

#include <math.h>

/* --- what is counted ------------------------------------------------------------------------------------ */

struct limit_subject rate_limiting_subject(const struct rate_limiting_pass *pass)
{
    return (struct limit_subject){ .exchange = pass->exchange,
                                   .instance = pass->instance,
                                   .by = (enum limit_by)pass->config->limit_by,
                                   .header_name = pass->config->header_name,
                                   .path = pass->config->path,
                                   .scope_hash = pass->config->scope_hash };
}

struct slice rate_limiting_key(const struct rate_limiting_pass *pass, struct slice identifier, unsigned index)
{
    static const char word[] = "ratelimit:";
    struct slice period = period_names[pass->config->periods[index]];
    size_t most = sizeof(word) + LIMIT_PREFIX_SIZE + identifier.size + 1 + SLICE_U64_SIZE + 1 + period.size;
    char *key = arena_alloc(exchange_arena(pass->exchange), most);
    if (key == NULL)
        return (struct slice){ NULL, 0 };
    memcpy(key, word, sizeof(word) - 1);
    char *end = limit_write_prefix(pass->instance, key + sizeof(word) - 1);
    memcpy(end, identifier.data, identifier.size);
    end += identifier.size;
    *end++ = ':';
    end = slice_write_u64(end, pass->windows[index].start_ms);
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

static const struct slice summary_names[] = { NAME("RateLimit-Limit"), NAME("RateLimit-Remaining"),
                                              NAME("RateLimit-Reset"), NAME("Retry-After") };

enum { SUMMARY_LIMIT, SUMMARY_REMAINING, SUMMARY_RESET, SUMMARY_RETRY, SUMMARY_COUNT };
enum { HEADERS_MAX = 2 * PERIOD_COUNT + SUMMARY_COUNT };

bool rate_limiting_prepare(struct rate_limiting_config *config, struct arena *arena)
{
    unsigned count = 2 * config->period_count + SUMMARY_COUNT;
    struct header_edit *told = arena_array(arena, count, sizeof(*told));
    config->told = told;
    config->told_bits = 0;
    if (told == NULL)
        return false;
    for (unsigned i = 0; i < config->period_count; i++) {
        enum period period = config->periods[i];
        *told++ = (struct header_edit){ HEADER_EDIT_SET, limit_names[period], config->limit_texts[period] };
        *told++ = (struct header_edit){ .kind = HEADER_EDIT_SET, .name = remaining_names[period] };
    }
    for (unsigned i = 0; i < SUMMARY_COUNT; i++)
        *told++ = (struct header_edit){ .kind = HEADER_EDIT_SET, .name = summary_names[i] };
    for (unsigned i = 0; i < count; i++)
        config->told_bits |= message_name_bit(config->told[i].name);
    return true;
}

/* Which period has least left, of several the longest; false: out of memory. */
static bool tell_remaining(const struct rate_limiting_pass *pass, struct header_edit *told,
                           unsigned *tightest)
{
    double least = INFINITY;
    for (unsigned i = 0; i < pass->config->period_count; i++) {
        double remaining = pass->remaining[i] > 0 ? pass->remaining[i] : 0;
        struct slice text = limit_number_text(exchange_arena(pass->exchange), remaining);
        if (text.data == NULL)
            return false;
        told[2 * i + 1].value = text;
        if (remaining > least)
            continue;
        least = remaining;
        *tightest = i;
    }
    return true;
}

static bool set_headers(const struct rate_limiting_pass *pass)
{
    const struct rate_limiting_config *config = pass->config;
    struct header_edit told[HEADERS_MAX];
    struct header_edit *summary = told + (size_t)2 * config->period_count;
    unsigned count = 2 * config->period_count + (pass->rejected ? SUMMARY_COUNT : SUMMARY_RETRY), of = 0;
    memcpy(told, config->told, count * sizeof(*told));
    if (!tell_remaining(pass, told, &of))
        return false;
    uint32_t reset_s = period_reset_s(config->periods[of], &pass->windows[of], pass->wall_ms);
    struct slice reset = limit_number_text(exchange_arena(pass->exchange), reset_s);
    summary[SUMMARY_LIMIT].value = told[2 * of].value;
    summary[SUMMARY_REMAINING].value = told[2 * of + 1].value;
    summary[SUMMARY_RESET].value = summary[SUMMARY_RETRY].value = reset;
    return reset.data && exchange_set_response_headers(pass->exchange, told, count, config->told_bits);
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
    struct rate_limiting_pass pass; /* windows and remaining: as many as there are periods */
    pass.exchange = call->exchange;
    pass.config = call->config;
    pass.instance = call->instance;
    pass.shard = shard;
    pass.wall_ms = shard->limits.redis.shard->wall_ms;
    pass.rejected = false;
    for (unsigned i = 0; i < pass.config->period_count; i++)
        pass.windows[i] = period_window_at(pass.config->periods[i], pass.wall_ms);
    if (pass.config->policy == LIMIT_POLICY_LOCAL)
        return rate_limiting_local(&pass);
    if (pass.config->sync_rate_s > 0)
        return rate_limiting_synced(&pass);
    return rate_limiting_redis(&pass);
}

/* --- states --------------------------------------------------------------------------------------------- */

static enum error shard_state_open(struct shard *shard, void *process_state, void *shard_state)
{
    struct rate_limiting_shard *state = shard_state;
    return limit_shard_open(&state->limits, shard, process_state);
}

static void shard_state_close(void *shard_state)
{
    struct rate_limiting_shard *state = shard_state;
    if (state->sync)
        rate_limiting_sync_close(state->sync);
    limit_shard_close(&state->limits);
}

static uint32_t hosts_of(const void *config, struct slice *hosts)
{
    const struct rate_limiting_config *limits = config;
    return limits->policy == LIMIT_POLICY_REDIS ? redis_config_hosts(&limits->redis, hosts) : 0;
}

static bool link_scope(struct model *model, struct plugin_instance *instance, struct report *report)
{
    struct rate_limiting_config *config = instance->config;
    (void)model;
    (void)report;
    config->scope_hash = limit_scope_hash(instance);
    return true;
}

const struct plugin rate_limiting_plugin = {
    .kind = { .name = "rate-limiting",
              .priority = 910,
              .config = { .name = "rate-limiting",
                          .fields = rate_limiting_fields,
                          .field_count = RATE_LIMITING_FIELD_COUNT,
                          .struct_size = sizeof(struct rate_limiting_config),
                          .check = rate_limiting_check },
              .hosts_of = hosts_of,
              .link = link_scope },
    .on = { [PHASE_ACCESS] = rate_limiting_access },
    .shard_state_size = sizeof(struct rate_limiting_shard),
    .process_open = limit_process_open,
    .process_close = limit_process_close,
    .shard_open = shard_state_open,
    .shard_close = shard_state_close,
};
