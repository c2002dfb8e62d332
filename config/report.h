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

/* What an entry is about; `position` may be NULL, `path` empty. */
struct report_place {
    struct report *report;
    enum report_kind kind;
    const struct node_position *position;
    const char *path;
};
void report_write(const struct report_place *place, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* report_add(report, kind, position, path, format, ...) */
#define report_add(report, kind, position, path, ...) \
    report_write(&(const struct report_place){ report, kind, position, path }, __VA_ARGS__)

void report_sort(struct report *report); /* by file, line, column */

/* Lines `file:line:col: path: reason` (warnings: `file:line:col: warning: path: reason`). */
void report_print(const struct report *report, FILE *out);
