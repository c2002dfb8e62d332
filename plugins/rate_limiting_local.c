/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/hash.h"
#include "plugins/rate_limiting.h"

enum { IDENTIFIER_MAX_BYTES = 256 };

/* The hash of the counter's name, without window and period. A long identifier (a header's value) stands in
 * it by its own hash. */
static uint64_t hash_key(const struct rate_limiting_pass *pass)
{
    char text[RATE_LIMITING_PREFIX_SIZE + IDENTIFIER_MAX_BYTES];
    struct slice identifier = rate_limiting_identifier(pass);
    uint64_t hash;
    if (identifier.size >= IDENTIFIER_MAX_BYTES) {
        hash = hash_of(identifier);
        identifier = (struct slice){ (const char *)&hash, sizeof(hash) };
    }
    rate_limiting_prefix(pass->instance, text);
    memcpy(text + RATE_LIMITING_PREFIX_SIZE, identifier.data, identifier.size);
    return hash_of((struct slice){ text, RATE_LIMITING_PREFIX_SIZE + identifier.size });
}

/* Another key for each period (the finishing steps of splitmix64, a bijection). */
static uint64_t period_key(uint64_t hash, enum period period)
{
    uint64_t key = hash + ((uint64_t)period + 1) * 0x9e3779b97f4a7c15u;
    key = (key ^ key >> 30) * 0xbf58476d1ce4e5b9u;
    key = (key ^ key >> 27) * 0x94d049bb133111ebu;
    return key ^ key >> 31;
}

static void make_windows(const struct rate_limiting_pass *pass, struct quota_window windows[PERIOD_COUNT])
{
    const struct rate_limiting_config *config = pass->config;
    uint64_t hash = hash_key(pass);
    for (unsigned i = 0; i < config->period_count; i++)
        windows[i] = (struct quota_window){ .key = period_key(hash, config->periods[i]),
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
        room = quota_peek(pass->shard->quota, &windows[i], &view) == QUOTA_TAKEN && room;
        note_remaining(pass, i, &view);
    }
    return room;
}

/* The longest period first; what was taken goes back when a shorter one has nothing left. */
static bool take_all(struct rate_limiting_pass *pass, const struct quota_window windows[PERIOD_COUNT])
{
    struct quota *quota = pass->shard->quota;
    struct shard *shard = pass->shard->shard;
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
