/* SPDX-License-Identifier: Apache-2.0 */
/* The dashboard: its files, and what it remembers between two questions of its pages, the counts from which
 * rates are made. Owned by the admin listener; on its thread. */
#pragma once

#include "core/base/slice.h"
#include "net/proxy/traffic.h"

/* A part of the program; the table, which the build makes, ends with one without a name. */
struct ui_file {
    const char *name;
    size_t size;
    const unsigned char *bytes;
};

extern const struct ui_file ui_files[];

/* A path without its query leads to one of them. They are the same for everybody, and are shown before a
 * token is: the page asks for it. */
bool admin_ui_is_file(struct slice path);

struct ui_sample {
    uint64_t ms; /* wall clock */
    struct traffic_route *routes; /* by entity index; NULL: none was taken */
};

struct admin_ui {
    uint64_t started_ms; /* wall clock */
    uint64_t generation; /* of the snapshot whose routes were counted */
    struct ui_sample older, newer; /* rates are from the older one on, or, if there is none, the newer */
};

/* NULL: out of memory. */
struct admin_ui *admin_ui_open(void);
void admin_ui_free(struct admin_ui *ui);
