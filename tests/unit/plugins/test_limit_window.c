/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/limit_window.h"

#include <criterion/criterion.h>
#include <time.h>

static uint64_t at_ms(int year, int month, int day, int second_of_day)
{
    struct tm tm = { .tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day };
    return ((uint64_t)timegm(&tm) + (uint64_t)second_of_day) * 1000;
}

static const struct {
    int date[4]; /* year, month, day, second of the day */
    enum period period;
    int start[4];
} windows[] = {
    { { 1970, 1, 1, 0 }, PERIOD_YEAR, { 1970, 1, 1, 0 } },
    { { 2024, 2, 29, 86399 }, PERIOD_DAY, { 2024, 2, 29, 0 } },
    { { 2024, 2, 29, 86399 }, PERIOD_MONTH, { 2024, 2, 1, 0 } },
    { { 2024, 3, 1, 0 }, PERIOD_MONTH, { 2024, 3, 1, 0 } },
    { { 2024, 12, 31, 86399 }, PERIOD_YEAR, { 2024, 1, 1, 0 } },
    { { 2025, 1, 1, 0 }, PERIOD_YEAR, { 2025, 1, 1, 0 } },
    { { 2025, 1, 31, 86399 }, PERIOD_MONTH, { 2025, 1, 1, 0 } },
    { { 2100, 2, 28, 86399 }, PERIOD_MONTH, { 2100, 2, 1, 0 } },
    { { 2100, 3, 1, 0 }, PERIOD_MONTH, { 2100, 3, 1, 0 } },
    { { 2026, 11, 22, 3725 }, PERIOD_SECOND, { 2026, 11, 22, 3725 } },
    { { 2026, 11, 22, 3725 }, PERIOD_MINUTE, { 2026, 11, 22, 3720 } },
    { { 2026, 11, 22, 3725 }, PERIOD_HOUR, { 2026, 11, 22, 3600 } },
};

Test(limit_window, windows_follow_the_calendar)
{
    for (size_t i = 0; i < sizeof(windows) / sizeof(*windows); i++) {
        const int *date = windows[i].date, *start = windows[i].start;
        uint64_t wall_ms = at_ms(date[0], date[1], date[2], date[3]) + 999;
        struct period_window window = period_window_at(windows[i].period, wall_ms);
        cr_assert_eq(window.start_ms, at_ms(start[0], start[1], start[2], start[3]), "row %zu", i);
        cr_assert_gt(window.ends_s * 1000, wall_ms);
    }
}

/* Against the C library, every day of 140 years: numbers rise by one exactly where the calendar says. */
Test(limit_window, numbers_rise_with_the_calendar)
{
    struct period_window month = period_window_at(PERIOD_MONTH, 0), year = period_window_at(PERIOD_YEAR, 0);
    for (time_t day = 1; day < 140 * 365; day++) {
        time_t now_s = day * 86400;
        struct tm tm;
        gmtime_r(&now_s, &tm);
        struct period_window next_month = period_window_at(PERIOD_MONTH, (uint64_t)now_s * 1000);
        struct period_window next_year = period_window_at(PERIOD_YEAR, (uint64_t)now_s * 1000);
        cr_assert_eq(next_month.number, month.number + (tm.tm_mday == 1));
        cr_assert_eq(next_year.number, year.number + (tm.tm_yday == 0));
        cr_assert_eq(next_month.start_ms, at_ms(tm.tm_year + 1900, tm.tm_mon + 1, 1, 0));
        cr_assert_eq(next_year.start_ms, at_ms(tm.tm_year + 1900, 1, 1, 0));
        month = next_month;
        year = next_year;
    }
}

static const struct {
    enum period period;
    int date[4];
    uint32_t reset_s;
} resets[] = {
    { PERIOD_SECOND, { 2026, 1, 1, 7 }, 1 },     { PERIOD_MINUTE, { 2026, 1, 1, 0 }, 60 },
    { PERIOD_MINUTE, { 2026, 1, 1, 59 }, 1 },    { PERIOD_HOUR, { 2026, 1, 1, 3599 }, 1 },
    { PERIOD_DAY, { 2026, 1, 1, 1 }, 86399 },    { PERIOD_MONTH, { 2026, 1, 1, 0 }, 2592000 },
    { PERIOD_MONTH, { 2026, 1, 30, 86399 }, 1 }, { PERIOD_MONTH, { 2026, 1, 31, 100 }, 1 },
    { PERIOD_YEAR, { 2024, 12, 31, 100 }, 1 },   { PERIOD_YEAR, { 2025, 12, 31, 86390 }, 10 },
};

Test(limit_window, resets_use_the_nominal_length)
{
    for (size_t i = 0; i < sizeof(resets) / sizeof(*resets); i++) {
        const int *date = resets[i].date;
        uint64_t wall_ms = at_ms(date[0], date[1], date[2], date[3]);
        struct period_window window = period_window_at(resets[i].period, wall_ms);
        cr_assert_eq(period_reset_s(resets[i].period, &window, wall_ms), resets[i].reset_s, "row %zu", i);
    }
}
