/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/limit_window.h"

enum { DAY_S = 86400 };

const struct slice period_names[PERIOD_COUNT] = { { "second", 6 }, { "minute", 6 }, { "hour", 4 },
                                                  { "day", 3 },    { "month", 5 },  { "year", 4 } };

static const uint32_t lengths_s[PERIOD_COUNT] = { 1, 60, 3600, DAY_S, 30 * DAY_S, 365 * DAY_S };
static const uint32_t longest_s[PERIOD_COUNT] = { 1, 60, 3600, DAY_S, 31 * DAY_S, 366 * DAY_S };

uint32_t period_length_s(enum period period)
{
    return lengths_s[period];
}

struct date {
    uint64_t year;
    unsigned month; /* 0 to 11 */
};

/* Days from 1970-01-01 to the first day of the month. Years begin in March here, so that the leap day is the
 * last of its year and the lengths of the months before it follow (153 m + 2) / 5. */
static uint64_t days_to(struct date date)
{
    uint64_t year = date.month < 2 ? date.year - 1 : date.year;
    uint64_t month = (date.month + 10) % 12; /* from March */
    uint64_t leap_days = year / 4 - year / 100 + year / 400;
    return year * 365 + leap_days + (153 * month + 2) / 5 - 719468;
}

/* The month of a day since 1970-01-01, by the same reckoning backwards: 146097 days are 400 years. */
static struct date date_of(uint64_t days)
{
    uint64_t shifted = days + 719468;
    uint64_t day_of_era = shifted % 146097;
    uint64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    uint64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned month = (unsigned)((5 * day_of_year + 2) / 153); /* from March */
    uint64_t year = shifted / 146097 * 400 + year_of_era + (month >= 10);
    return (struct date){ year, (month + 2) % 12 };
}

struct period_window period_window_at(enum period period, uint64_t wall_ms)
{
    uint64_t now_s = wall_ms / 1000, start_s, number;
    if (period < PERIOD_MONTH) {
        number = now_s / lengths_s[period];
        start_s = number * lengths_s[period];
    } else {
        struct date date = date_of(now_s / DAY_S);
        if (period == PERIOD_YEAR)
            date.month = 0;
        number = period == PERIOD_YEAR ? date.year - 1970 : (date.year - 1970) * 12 + date.month;
        start_s = days_to(date) * DAY_S;
    }
    return (struct period_window){ .start_ms = start_s * 1000,
                                   .number = (uint32_t)number,
                                   .ends_s = start_s + longest_s[period] };
}

uint32_t period_reset_s(enum period period, const struct period_window *window, uint64_t wall_ms)
{
    uint64_t elapsed_s = wall_ms > window->start_ms ? (wall_ms - window->start_ms) / 1000 : 0;
    return elapsed_s < lengths_s[period] ? lengths_s[period] - (uint32_t)elapsed_s : 1;
}
