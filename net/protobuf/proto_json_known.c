/* SPDX-License-Identifier: Apache-2.0 */
#include "net/protobuf/proto_json_known.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define FIRST_SECOND (-62135596800) /* of the year 1 */
#define LAST_SECOND 253402300799 /* of the year 9999 */
#define LONGEST_DURATION 315576000000 /* seconds: 10 000 years */

/* --- numbers -------------------------------------------------------------------------------------------- */

static bool take_digits(struct slice *text, size_t count, int64_t *number)
{
    *number = 0;
    if (text->size < count)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!slice_is_digit(text->data[i]))
            return false;
        *number = *number * 10 + (text->data[i] - '0');
    }
    *text = slice_from(*text, count);
    return true;
}

static bool take(struct slice *text, const char *any)
{
    if (text->size == 0 || text->data[0] == '\0' || !strchr(any, text->data[0]))
        return false;
    *text = slice_from(*text, 1);
    return true;
}

/* Up to nine digits behind a dot, if there is one. */
static bool take_fraction(struct slice *text, int32_t *nanos)
{
    int32_t scale = 100000000;
    *nanos = 0;
    if (!take(text, "."))
        return true;
    size_t digits = 0;
    for (; text->size > 0 && slice_is_digit(text->data[0]) && digits < 9; digits++, scale /= 10) {
        *nanos += (text->data[0] - '0') * scale;
        *text = slice_from(*text, 1);
    }
    return digits > 0;
}

/* Days since 1970-01-01 in the Gregorian calendar, by eras of 400 years that begin in March. */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400, year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

struct date {
    int64_t year, month, day;
};

static struct date date_of(int64_t days)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097, day_of_era = days - era * 146097;
    int64_t year = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * day_of_year + 2) / 153;
    struct date date = { year + era * 400, month + (month < 10 ? 3 : -9),
                         day_of_year - (153 * month + 2) / 5 + 1 };
    date.year += date.month <= 2;
    return date;
}

/* --- timestamps ----------------------------------------------------------------------------------------- */

static bool take_date(struct slice *text, int64_t *days)
{
    struct date date;
    if (!take_digits(text, 4, &date.year) || !take(text, "-") || !take_digits(text, 2, &date.month) ||
        !take(text, "-") || !take_digits(text, 2, &date.day))
        return false;
    if (date.month < 1 || date.month > 12 || date.day < 1)
        return false;
    *days = days_of(date.year, date.month, date.day);
    return date_of(*days).day == date.day; /* no 30th of February */
}

static bool take_clock(struct slice *text, int64_t *seconds)
{
    int64_t hour, minute, second;
    if (!take_digits(text, 2, &hour) || !take(text, ":") || !take_digits(text, 2, &minute) ||
        !take(text, ":") || !take_digits(text, 2, &second))
        return false;
    *seconds = hour * 3600 + minute * 60 + second;
    return hour < 24 && minute < 60 && second < 60;
}

static bool take_zone(struct slice *text, int64_t *offset)
{
    int64_t hour, minute;
    *offset = 0;
    if (take(text, "Zz"))
        return true;
    bool west = text->size > 0 && text->data[0] == '-';
    if (!take(text, "+-") || !take_digits(text, 2, &hour) || !take(text, ":") ||
        !take_digits(text, 2, &minute))
        return false;
    *offset = (hour * 3600 + minute * 60) * (west ? -1 : 1);
    return hour < 24 && minute < 60;
}

bool proto_read_timestamp(struct slice text, struct proto_time *time)
{
    int64_t days, clock, offset;
    if (!take_date(&text, &days) || !take(&text, "Tt ") || !take_clock(&text, &clock) ||
        !take_fraction(&text, &time->nanos) || !take_zone(&text, &offset) || text.size > 0)
        return false;
    time->seconds = days * 86400 + clock - offset;
    return time->seconds >= FIRST_SECOND && time->seconds <= LAST_SECOND;
}

/* ".5", ".500000001": as few digits of 3, 6 and 9 as will do. */
static size_t write_fraction(char *out, size_t room, int32_t nanos)
{
    int digits = nanos % 1000 ? 9 : nanos % 1000000 ? 6 : 3;
    int32_t shown = digits == 9 ? nanos : digits == 6 ? nanos / 1000 : nanos / 1000000;
    return nanos ? (size_t)snprintf(out, room, ".%0*" PRId32, digits, shown) : 0;
}

size_t proto_write_timestamp(struct proto_time time, char out[PROTO_TIME_SIZE])
{
    if (time.seconds < FIRST_SECOND || time.seconds > LAST_SECOND || time.nanos < 0 || time.nanos > 999999999)
        return 0;
    int64_t days = time.seconds / 86400, clock = time.seconds % 86400;
    if (clock < 0) {
        days--;
        clock += 86400;
    }
    struct date date = date_of(days);
    int size =
        snprintf(out, PROTO_TIME_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d", (int)date.year, (int)date.month,
                 (int)date.day, (int)(clock / 3600), (int)(clock / 60 % 60), (int)(clock % 60));
    size_t end = (size_t)size + write_fraction(out + size, PROTO_TIME_SIZE - (size_t)size, time.nanos);
    out[end] = 'Z';
    return end + 1;
}

/* --- durations ------------------------------------------------------------------------------------------ */

bool proto_read_duration(struct slice text, struct proto_time *time)
{
    bool negative = take(&text, "-");
    int64_t seconds = 0, digit;
    size_t digits = 0;
    for (; digits < 12 && take_digits(&text, 1, &digit); digits++)
        seconds = seconds * 10 + digit;
    if (digits == 0 || !take_fraction(&text, &time->nanos) || !take(&text, "s") || text.size > 0)
        return false;
    time->seconds = negative ? -seconds : seconds;
    time->nanos = negative ? -time->nanos : time->nanos;
    return seconds <= LONGEST_DURATION;
}

size_t proto_write_duration(struct proto_time time, char out[PROTO_TIME_SIZE])
{
    bool mixed = (time.seconds < 0 && time.nanos > 0) || (time.seconds > 0 && time.nanos < 0);
    if (time.seconds < -LONGEST_DURATION || time.seconds > LONGEST_DURATION || time.nanos < -999999999 ||
        time.nanos > 999999999 || mixed)
        return 0;
    const char *sign = time.seconds < 0 || time.nanos < 0 ? "-" : "";
    int size = snprintf(out, PROTO_TIME_SIZE, "%s%lld", sign, llabs((long long)time.seconds));
    size_t end = (size_t)size + write_fraction(out + size, PROTO_TIME_SIZE - (size_t)size, abs(time.nanos));
    out[end] = 's';
    return end + 1;
}

/* --- masks ---------------------------------------------------------------------------------------------- */

size_t proto_snake_case(struct slice text, char *out)
{
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (c == '_')
            return SIZE_MAX;
        if (c >= 'A' && c <= 'Z')
            out[size++] = '_';
        out[size++] = slice_lower(c);
    }
    return size;
}

size_t proto_camel_case(struct slice text, char *out)
{
    size_t size = 0;
    bool upper = false;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        bool small = c >= 'a' && c <= 'z';
        if ((c >= 'A' && c <= 'Z') || (upper && !small))
            return SIZE_MAX; /* would not come back the same */
        if (c != '_')
            out[size++] = upper ? (char)(c - 'a' + 'A') : c;
        upper = c == '_';
    }
    return upper ? SIZE_MAX : size;
}
