/* SPDX-License-Identifier: Apache-2.0 */
/* When the requests of a run begin and which of them count: warm-up, then the interval. Open loop: by the
 * clock, the n-th n / rate seconds after the first. Times are CLOCK_MONOTONIC nanoseconds. One owner, one
 * thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct schedule {
    double rate; /* requests per second; 0: closed loop */
    uint64_t started; /* requests that the open loop has begun */
    uint64_t start_ns; /* 0: not begun */
    uint64_t interval_start_ns;
    uint64_t interval_end_ns;
};

static inline void schedule_begin(struct schedule *schedule, double rate, uint64_t now_ns, uint64_t warmup_ns,
                                  uint64_t duration_ns)
{
    *schedule = (struct schedule){ .rate = rate,
                                   .start_ns = now_ns,
                                   .interval_start_ns = now_ns + warmup_ns,
                                   .interval_end_ns = now_ns + warmup_ns + duration_ns };
}

static inline bool schedule_counts(const struct schedule *schedule, uint64_t time_ns)
{
    return schedule->start_ns > 0 && time_ns >= schedule->interval_start_ns &&
           time_ns < schedule->interval_end_ns;
}

static inline bool schedule_is_open(const struct schedule *schedule)
{
    return schedule->rate > 0 && schedule->start_ns > 0;
}

/* Of the next request of an open loop. */
static inline uint64_t schedule_due_ns(const struct schedule *schedule)
{
    return schedule->start_ns + (uint64_t)((double)schedule->started * 1e9 / schedule->rate);
}

/* Whether the open loop has one to begin at `now_ns`; `due_ns` is when it ought to. */
static inline bool schedule_take(struct schedule *schedule, uint64_t now_ns, uint64_t *due_ns)
{
    *due_ns = schedule_due_ns(schedule);
    if (*due_ns > now_ns || *due_ns >= schedule->interval_end_ns)
        return false;
    schedule->started++;
    return true;
}

/* Whether requests of the interval have not begun yet. */
static inline bool schedule_owes(const struct schedule *schedule)
{
    return schedule_is_open(schedule) && schedule_due_ns(schedule) < schedule->interval_end_ns;
}
