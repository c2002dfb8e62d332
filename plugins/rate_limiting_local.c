/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/rate_limiting.h"

static void make_windows(const struct rate_limiting_pass *pass, struct quota_window windows[PERIOD_COUNT])
{
    const struct rate_limiting_config *config = pass->config;
    struct limit_subject subject = rate_limiting_subject(pass);
    uint64_t hash = limit_hash(&subject);
    for (unsigned i = 0; i < config->period_count; i++)
        windows[i] = (struct quota_window){ .key = limit_period_key(hash, config->periods[i]),
                                            .number = pass->windows[i].number,
                                            .limit = config->whole_limits[config->periods[i]],
                                            .ends_s = pass->windows[i].ends_s };
}

/* What the header says: of a limit of 1.5 two requests pass, with 0.5 and 0 left. */
static void note_remaining(struct rate_limiting_pass *pass, unsigned index, const struct quota_view *view)
{
    enum period period = pass->config->periods[index];
    double rounding = pass->config->whole_limits[period] - pass->config->limits[period];
    pass->remaining[index] = view->remaining - rounding;
}

/* Looking first keeps a request that is refused by one period from passing through the others' counters. */
static bool all_have_room(struct rate_limiting_pass *pass, const struct quota_window windows[PERIOD_COUNT])
{
    bool room = true;
    for (unsigned i = 0; i < pass->config->period_count; i++) {
        struct quota_view view;
        room = quota_peek(pass->shard->limits.quota, &windows[i], &view) == QUOTA_TAKEN && room;
        note_remaining(pass, i, &view);
    }
    return room;
}

/* The longest period first; what was taken goes back when a shorter one has nothing left. */
static bool take_all(struct rate_limiting_pass *pass, const struct quota_window windows[PERIOD_COUNT])
{
    struct quota *quota = pass->shard->limits.quota;
    struct shard *shard = pass->shard->limits.redis.shard;
    struct quota_clock clock = { .now_s = pass->wall_ms / 1000, .now_ns = shard->now_ns };
    unsigned count = pass->config->period_count;
    for (unsigned i = count; i-- > 0;) {
        struct quota_view view;
        enum quota_result result = quota_take(quota, shard->index, &windows[i], &clock, &view);
        note_remaining(pass, i, &view);
        if (result == QUOTA_TAKEN)
            continue;
        for (unsigned j = i + 1; j < count; j++) {
            quota_return(quota, shard->index, &windows[j]);
            pass->remaining[j] += 1;
        }
        return false;
    }
    return true;
}

enum verdict rate_limiting_local(struct rate_limiting_pass *pass)
{
    struct quota_window windows[PERIOD_COUNT];
    make_windows(pass, windows);
    bool room = pass->config->period_count == 1 || all_have_room(pass, windows);
    pass->rejected = !room || !take_all(pass, windows);
    return rate_limiting_answer(pass);
}
