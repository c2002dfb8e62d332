/* SPDX-License-Identifier: Apache-2.0 */
/* All the errors of a configuration, each with its place and path, in the order of the file. One report per
 * load; control thread only. Warnings are kept apart: they do not fail a load. */
#pragma once

#include "core/base/arena.h"

#include <stdio.h>

struct node_position;

enum report_kind { REPORT_ERROR, REPORT_WARNING };

struct report_entry {
    enum report_kind kind;
    const char *file; /* "" when it is not about a file */
    uint32_t line, column;
    const char *path; /* "services[0].routes[1].paths[0]" */
    const char *reason;
};

struct report {
    struct arena arena;
    struct report_entry *entries;
    uint32_t count, capacity;
    uint32_t error_count;
    uint32_t limit; /* further ones are counted only */
};

void report_init(struct report *report);
void report_deinit(struct report *report);
void report_add(struct report *report, enum report_kind kind, const struct node_position *position,
                const char *path, const char *format, ...) __attribute__((format(printf, 5, 6)));
void report_sort(struct report *report); /* by file, line, column */

/* Lines `file:line:col: path: reason` (warnings: `file:line:col: warning: path: reason`). */
void report_print(const struct report *report, FILE *out);
