/* SPDX-License-Identifier: Apache-2.0 */
/* All the errors of a configuration, each with its place and path, in the order of the file. One report per
 * load; control thread only. Warnings are kept apart: they do not fail a load. */
#pragma once

#include "core/base/arena.h"

#include <stdio.h>

struct node_position;

enum report_kind { REPORT_ERROR, REPORT_WARNING };

/* What an error is about, for answers that are shaped like the input. */
enum report_shape {
    REPORT_FIELD,    /* the value at `path` */
    REPORT_RULE,     /* several fields of the record at `path` */
    REPORT_TWICE,    /* the record around `path`: an equal one stands before it */
    REPORT_DANGLING  /* the record around `path`: it names another one that is not there */
};

struct report_entry {
    enum report_kind kind;
    enum report_shape shape;
    const char *file; /* "" when it is not about a file */
    uint32_t line, column;
    uint32_t order;   /* in which it was reported */
    const char *path; /* "services[0].routes[1].paths[0]", see report_split */
    const char *id; /* of a record that stands twice; NULL: unknown */
    const char *reason;
    const char *meant; /* the name that was probably meant, or NULL */
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
    enum report_shape shape;
    const char *id; /* for REPORT_TWICE; may be NULL */
    const char *meant; /* "(did you mean '...'?)" behind the reason; may be NULL */
};
void report_write(const struct report_place *place, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* report_add(report, kind, position, path, format, ...) */
#define report_add(report, kind, position, path, ...)                                                    \
    report_write(&(const struct report_place){ report, kind, position, path, REPORT_FIELD, NULL, NULL }, \
                 __VA_ARGS__)

void report_sort(struct report *report); /* by file, line, column */

/* Lines `file:line:col: path: reason` (warnings: `file:line:col: warning: path: reason`). */
void report_print(const struct report *report, FILE *out);

/* One step of a path: the name of a field, or (name NULL) the index of an element, from 0. */
struct report_step {
    const char *name;
    uint32_t index;
};

/* Takes a path apart, in place: the steps point into it. Names stand between dots; one that holds any of
 * . [ ] " stands as ["name"], with \ before " and \. Returns the number of steps, at most `room`. */
size_t report_split(char *path, struct report_step *steps, size_t room);

/* Whether a name must be written as ["name"]. */
bool report_needs_quotes(const char *name);

/* The path of a field called `name` below `path`; absent when memory is exhausted. */
struct slice report_join(struct arena *arena, const char *path, const char *name);
