/* SPDX-License-Identifier: Apache-2.0 */
#include "core/app/journal.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

static enum journal_level least_level = JOURNAL_NOTICE; /* written by journal_start alone */

void journal_start(enum journal_level least)
{
    least_level = least;
}

void journal(enum journal_level level, const char *format, ...)
{
    static const char *const names[] = { "debug", "info", "notice", "warn", "error" };
    char text[1024], stamp[32];
    if (level < least_level)
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
