/* SPDX-License-Identifier: Apache-2.0 */
/* The operational log: one line per event on standard error, "time level message key=value ...". For the
 * control thread and the start of shards; never on the request path. */
#pragma once

enum journal_level { JOURNAL_DEBUG, JOURNAL_INFO, JOURNAL_NOTICE, JOURNAL_WARN, JOURNAL_ERROR };

/* Once, before other threads. */
void journal_start(enum journal_level least);

void journal(enum journal_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
