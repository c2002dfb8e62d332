/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the rate-limiting plugin share: its configuration (in the model's arena, constant), its
 * state on a shard, and the ways of counting. */
#pragma once

#include "config/action.h"
#include "plugins/limit_counter.h"

struct rate_limiting_config {
    double limits[PERIOD_COUNT]; /* NAN: none */
    int limit_by, policy;
    struct slice header_name, path;
    bool fault_tolerant, hide_client_headers;
    int64_t error_code;
    struct slice error_message;
    double sync_rate_s; /* -1: every request asks Redis */
    struct redis_config redis;
    struct redis_config_flat old;
    /* Worked out when the configuration is read. */
    struct slice limit_texts[PERIOD_COUNT];
    uint32_t whole_limits[PERIOD_COUNT]; /* rounded up: so many requests pass; local policy */
    enum period periods[PERIOD_COUNT]; /* the limited ones, shortest first */
    unsigned period_count;
    struct header_edit *told; /* rate_limiting_prepare */
    uint64_t told_bits;
    uint64_t scope_hash; /* linked */
};

extern const struct field rate_limiting_fields[];
enum { RATE_LIMITING_FIELD_COUNT = 25 };
void rate_limiting_check(void *value, const struct node *node, const struct config_place *place);

struct rate_limiting_sync;

struct rate_limiting_shard {
    struct limit_shard limits;
    struct rate_limiting_sync *sync; /* counters with sync_rate; made on first use */
};

/* One request's way through: what to count under, and what came out. By index into config->periods. */
struct rate_limiting_pass {
    struct exchange *exchange;
    const struct rate_limiting_config *config;
    const struct plugin_instance *instance;
    struct rate_limiting_shard *shard;
    uint64_t wall_ms;
    struct period_window windows[PERIOD_COUNT];
    double remaining[PERIOD_COUNT]; /* after this request, may be negative */
    bool rejected;
};

/* The headers that are told, with the values that are the same for all requests: of each period its limit and
 * what remains, then RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset and Retry-After. */
bool rate_limiting_prepare(struct rate_limiting_config *config, struct arena *arena);

struct limit_subject rate_limiting_subject(const struct rate_limiting_pass *pass);

/* Kong's key of that period's counter, in the exchange's arena; absent when memory is exhausted. */
struct slice rate_limiting_key(const struct rate_limiting_pass *pass, struct slice identifier,
                               unsigned index);

/* Fills pass->remaining and ->rejected from what the counters said before this request. */
void rate_limiting_judge(struct rate_limiting_pass *pass, const double used[PERIOD_COUNT]);

/* Sets the headers; CONTINUE, or RESPOND when rejected. */
enum verdict rate_limiting_answer(const struct rate_limiting_pass *pass);

/* The store could not be asked: on as if there were no limit, or 500. */
enum verdict rate_limiting_without_store(const struct rate_limiting_pass *pass);

/* The store of this configuration; NULL: out of memory. */
struct redis_store *rate_limiting_store(const struct rate_limiting_pass *pass);

enum verdict rate_limiting_local(struct rate_limiting_pass *pass);
enum verdict rate_limiting_redis(const struct rate_limiting_pass *pass);
enum verdict rate_limiting_synced(const struct rate_limiting_pass *pass);
void rate_limiting_sync_close(struct rate_limiting_sync *sync);
