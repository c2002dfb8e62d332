/* SPDX-License-Identifier: Apache-2.0 */
#include "core/app/journal.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

static enum journal_level started_level = JOURNAL_NOTICE; /* written by journal_start alone */
static int changed_level; /* these two atomically */
static int64_t changed_until_s; /* 0: as it was started */

void journal_start(enum journal_level least)
{
    started_level = least;
}

void journal_change(enum journal_level least, uint64_t seconds)
{
    int64_t now_s = (int64_t)time(NULL);
    int64_t until_s = seconds == 0 || seconds > INT32_MAX ? INT64_MAX : now_s + (int64_t)seconds;
    __atomic_store_n(&changed_level, (int)least, __ATOMIC_RELAXED);
    __atomic_store_n(&changed_until_s, until_s, __ATOMIC_RELEASE);
}

enum journal_level journal_level(void)
{
    int64_t until_s = __atomic_load_n(&changed_until_s, __ATOMIC_ACQUIRE);
    if (until_s == 0 || (int64_t)time(NULL) >= until_s)
        return started_level;
    return (enum journal_level)__atomic_load_n(&changed_level, __ATOMIC_RELAXED);
}

void journal(enum journal_level level, const char *format, ...)
{
    static const char *const names[] = {
        "debug", "info", "notice", "warn", "error", "crit", "alert", "emerg"
    };
    char text[1024], stamp[32];
    if (level < journal_level())
        return;
    time_t now = time(NULL);
    struct tm parts;
    gmtime_r(&now, &parts);
    strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%SZ", &parts);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    fprintf(stderr, "%s %s %s\n", stamp, names[level], text);
}
