/* SPDX-License-Identifier: Apache-2.0 */
/* The operational log: one line per event on standard error, "time level message key=value ...". For the
 * control and admin threads and the start of shards; never on the request path. */
#pragma once

#include <stdint.h>

/* Nothing is told at the levels above JOURNAL_ERROR: they only keep the others quiet. */
enum journal_level {
    JOURNAL_DEBUG,
    JOURNAL_INFO,
    JOURNAL_NOTICE,
    JOURNAL_WARN,
    JOURNAL_ERROR,
    JOURNAL_CRITICAL,
    JOURNAL_ALERT,
    JOURNAL_EMERGENCY
};

/* Once, before other threads. */
void journal_start(enum journal_level least);

void journal(enum journal_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Any thread. Another level for some seconds (0: for good), after which it is as it was started. */
void journal_change(enum journal_level least, uint64_t seconds);
enum journal_level journal_level(void);
