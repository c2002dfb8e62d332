/* SPDX-License-Identifier: Apache-2.0 */
/* The periods of limits and their windows: fixed, aligned to the calendar in UTC. Plain functions of
 * the time; any thread. */
#pragma once

#include "core/base/slice.h"

/* From the shortest to the longest; each one's windows lie within those of the next. */
enum period {
    PERIOD_SECOND,
    PERIOD_MINUTE,
    PERIOD_HOUR,
    PERIOD_DAY,
    PERIOD_MONTH,
    PERIOD_YEAR,
    PERIOD_COUNT
};

struct period_window {
    uint64_t start_ms; /* since 1970 */
    uint32_t number; /* windows of this period since 1970 */
    uint64_t ends_s; /* not before the window's end: up to three days late for months, one for years */
};

extern const struct slice period_names[PERIOD_COUNT]; /* "second" ... */

/* Kong's lengths: a month is 30 days, a year 365. */
uint32_t period_length_s(enum period period);

struct period_window period_window_at(enum period period, uint64_t wall_ms);

/* Seconds until the window is over by Kong's lengths, at least 1. */
uint32_t period_reset_s(enum period period, const struct period_window *window, uint64_t wall_ms);
