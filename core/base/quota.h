/* SPDX-License-Identifier: Apache-2.0 */
/* Exact counters of fixed windows, shared by all shards of the process: a limit of L lets exactly L through
 * per window. One table per process; any shard may call, each under its own index from its own thread.
 * Counting takes no lock, and while much is left of a busy key no shard writes memory that another one reads
 * per request. plugins/rate_limiting.md says how it works and why it is exact. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct quota;

/* A key in one of its windows. `number` counts the windows of that period, later ones are larger; it is
 * compared modulo 2^24. The same key must always come with the same period. */
struct quota_window {
    uint64_t key; /* a hash that nobody outside can aim */
    uint32_t number;
    uint32_t limit; /* at least 1 */
    uint64_t ends_s; /* since 1970: when the window is over and its counter may be reused */
};

struct quota_clock {
    uint64_t now_s; /* since 1970, UTC */
    uint64_t now_ns; /* monotonic */
};

enum quota_result { QUOTA_TAKEN, QUOTA_EXHAUSTED };

/* What is left of the window after the call. Exact when little is left; of a busy key with much left it is as
 * of the last 20 microseconds times the number of shards. */
struct quota_view {
    uint32_t remaining;
};

struct quota_stats {
    uint64_t evictions; /* counters forgotten before the end of their window, because the table was full */
    uint64_t uncounted; /* requests let through because their counter could not be made in time */
};

/* Without room yet; NULL when memory is exhausted. */
struct quota *quota_open(unsigned shard_count);
/* Makes room for `entries` keys (rounded up to a power of two, at least 8). Every shard calls it before it
 * counts; the first call decides. False when memory is exhausted. */
bool quota_make_room(struct quota *quota, uint64_t entries);
void quota_close(struct quota *quota);

/* Counts one, if the window has one left. A request for an older window than the key's is counted in the
 * newer. */
enum quota_result quota_take(struct quota *quota, unsigned shard, const struct quota_window *window,
                             const struct quota_clock *clock, struct quota_view *view);

/* Takes nothing: is there one left? */
enum quota_result quota_peek(struct quota *quota, const struct quota_window *window, struct quota_view *view);

/* Counts `amount` at once, as far as the limit goes; a negative one is given back. Only for keys that are
 * never given to quota_take. */
void quota_count(struct quota *quota, const struct quota_window *window, const struct quota_clock *clock,
                 int64_t amount);

/* Gives one back that this shard has just taken from that window (lost when the window has ended). */
void quota_return(struct quota *quota, unsigned shard, const struct quota_window *window);

struct quota_stats quota_read_stats(const struct quota *quota, unsigned shard);
