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

enum { HEADERS_MAX = 2 * PERIOD_COUNT + COUNT_OF(summary_names) };

static uint64_t header_bits(const struct rate_limiting_config *config)
{
    uint64_t bits = 0;
    for (unsigned i = 0; i < config->period_count; i++)
        bits |= message_name_bit(limit_names[config->periods[i]]) |
                message_name_bit(remaining_names[config->periods[i]]);
    for (size_t i = 0; i < COUNT_OF(summary_names); i++)
        bits |= message_name_bit(summary_names[i]);
    return bits;
}

static inline struct header *put(struct header *at, struct slice name, struct slice value)
{
    *at = (struct header){ name, value, HEADER_OTHER };
    return at + 1;
}

/* Of the tightest period; of several the longest. NULL: out of memory. */
static struct header *write_summary(const struct rate_limiting_pass *pass, unsigned tightest,
                                    struct slice remaining, struct header *header)
{
    enum period period = pass->config->periods[tightest];
    struct slice reset = limit_number_text(exchange_arena(pass->exchange),
                                           period_reset_s(period, &pass->windows[tightest], pass->wall_ms));
    header = put(header, summary_names[0], pass->config->limit_texts[period]);
    header = put(header, summary_names[1], remaining);
    header = put(header, summary_names[2], reset);
    if (pass->rejected)
        header = put(header, summary_names[3], reset);
    return reset.data ? header : NULL;
}

/* NULL: out of memory. */
static struct header *write_headers(const struct rate_limiting_pass *pass, struct header *header)
{
    const struct rate_limiting_config *config = pass->config;
    struct slice least_text = { NULL, 0 };
    double least = INFINITY;
    unsigned tightest = 0;
    for (unsigned i = 0; i < config->period_count; i++) {
        enum period period = config->periods[i];
        double remaining = pass->remaining[i] > 0 ? pass->remaining[i] : 0;
        struct slice text = limit_number_text(exchange_arena(pass->exchange), remaining);
        if (text.data == NULL)
            return NULL;
        header = put(header, limit_names[period], config->limit_texts[period]);
        header = put(header, remaining_names[period], text);
        if (remaining > least)
            continue;
        least = remaining;
        least_text = text;
        tightest = i;
    }
    return write_summary(pass, tightest, least_text, header);
}

static bool set_headers(const struct rate_limiting_pass *pass)
{
    struct header headers[HEADERS_MAX];
    const struct header *end = write_headers(pass, headers);
    return end && exchange_set_response_headers(pass->exchange, headers, (uint32_t)(end - headers),
                                                pass->config->header_bits);
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
    config->header_bits = header_bits(config);
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
