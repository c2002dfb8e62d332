/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http/http_date.h"

#include <time.h>

static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
static const char *const days[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
static const char *const long_days[] = { "Sunday",   "Monday", "Tuesday", "Wednesday",
                                         "Thursday", "Friday", "Saturday" };

/* What is left to read; `good` says that everything so far was as it must be. */
struct cursor {
    struct slice rest;
    bool good;
};

static void expect(struct cursor *in, struct slice text)
{
    in->good = in->good && in->rest.size >= text.size &&
               slice_equal_nocase((struct slice){ in->rest.data, text.size }, text);
    if (in->good)
        in->rest = slice_from(in->rest, text.size);
}

static int number(struct cursor *in, size_t digits)
{
    int value = 0;
    in->good = in->good && in->rest.size >= digits;
    for (size_t i = 0; in->good && i < digits; i++) {
        char c = in->rest.data[i];
        in->good = c >= '0' && c <= '9';
        value = value * 10 + (c - '0');
    }
    if (in->good)
        in->rest = slice_from(in->rest, digits);
    return value;
}

/* The index of the name that comes now. */
static int name(struct cursor *in, const char *const *names, size_t count)
{
    for (size_t i = 0; in->good && i < count; i++) {
        struct cursor after = *in;
        expect(&after, slice_of(names[i]));
        if (!after.good)
            continue;
        *in = after;
        return (int)i;
    }
    in->good = false;
    return 0;
}

static void clock_time(struct cursor *in, struct tm *date)
{
    date->tm_hour = number(in, 2);
    expect(in, SLICE(":"));
    date->tm_min = number(in, 2);
    expect(in, SLICE(":"));
    date->tm_sec = number(in, 2);
}

/* Sun, 06 Nov 1994 08:49:37 GMT */
static bool read_fixed(struct slice text, struct tm *date)
{
    struct cursor in = { text, true };
    (void)name(&in, days, 7);
    expect(&in, SLICE(", "));
    date->tm_mday = number(&in, 2);
    expect(&in, SLICE(" "));
    date->tm_mon = name(&in, months, 12);
    expect(&in, SLICE(" "));
    date->tm_year = number(&in, 4) - 1900;
    expect(&in, SLICE(" "));
    clock_time(&in, date);
    expect(&in, SLICE(" GMT"));
    return in.good && in.rest.size == 0;
}

/* Sunday, 06-Nov-94 08:49:37 GMT */
static bool read_rfc850(struct slice text, int64_t now_s, struct tm *date)
{
    struct cursor in = { text, true };
    (void)name(&in, long_days, 7);
    expect(&in, SLICE(", "));
    date->tm_mday = number(&in, 2);
    expect(&in, SLICE("-"));
    date->tm_mon = name(&in, months, 12);
    expect(&in, SLICE("-"));
    int year = number(&in, 2);
    expect(&in, SLICE(" "));
    clock_time(&in, date);
    expect(&in, SLICE(" GMT"));
    time_t now = (time_t)now_s;
    struct tm today;
    gmtime_r(&now, &today);
    year += today.tm_year / 100 * 100;
    date->tm_year = year > today.tm_year + 50 ? year - 100 : year;
    return in.good && in.rest.size == 0;
}

/* Sun Nov  6 08:49:37 1994 */
static bool read_asctime(struct slice text, struct tm *date)
{
    struct cursor in = { text, true };
    (void)name(&in, days, 7);
    expect(&in, SLICE(" "));
    date->tm_mon = name(&in, months, 12);
    expect(&in, SLICE(" "));
    bool one_digit = in.good && slice_starts_with(in.rest, SLICE(" "));
    if (one_digit)
        expect(&in, SLICE(" "));
    date->tm_mday = number(&in, one_digit ? 1 : 2);
    expect(&in, SLICE(" "));
    clock_time(&in, date);
    expect(&in, SLICE(" "));
    date->tm_year = number(&in, 4) - 1900;
    return in.good && in.rest.size == 0;
}

bool http_date_parse(struct slice text, int64_t now_s, int64_t *seconds)
{
    struct tm date = { 0 };
    if (!read_fixed(text, &date) && !read_rfc850(text, now_s, &date) && !read_asctime(text, &date))
        return false;
    if (date.tm_mday < 1 || date.tm_mday > 31 || date.tm_hour > 23 || date.tm_min > 59 || date.tm_sec > 60)
        return false;
    *seconds = (int64_t)timegm(&date);
    return true;
}
