/* SPDX-License-Identifier: Apache-2.0 */
/* The entities of a configuration as documents, for those who administer it: what was given, completed by its
 * id, times and references, without defaults. Built on the control thread in the arena of its model, then
 * only read. */
#pragma once

#include "core/base/map.h"

struct catalog_row {
    const char *kind; /* "services"; one text per kind */
    const char *id; /* a UUID, lower case */
    struct slice key; /* the unique name within its kind; absent: it has none */
    struct slice text; /* a JSON object, compact */
};

/* What the documents that are read first were written from, one entity after the other in its order: those of
 * them that say the same are taken over as they are. */
struct catalog_source {
    const struct catalog *catalog; /* NULL: nothing is known */
    uint32_t document_count;
    uint32_t next; /* row */
};

struct catalog {
    struct arena *arena;
    struct catalog_source source; /* while it is built */
    struct catalog_row *rows; /* after catalog_finish by kind and id */
    uint32_t count, capacity;
    struct map keys; /* "kind:key" -> row */
};

void catalog_init(struct catalog *catalog, struct arena *arena);

/* The row of the source with that kind and id; NULL: there is none. */
const struct catalog_row *catalog_source_find(struct catalog_source *source, const char *kind,
                                              const char *id);

/* Copies id, key and text; false when memory is exhausted. */
bool catalog_add(struct catalog *catalog, const struct catalog_row *row) MUST_CHECK;
bool catalog_finish(struct catalog *catalog) MUST_CHECK;

/* The rows of a kind are one behind the other: the first, and how many. */
const struct catalog_row *catalog_of_kind(const struct catalog *catalog, const char *kind, uint32_t *count);

/* By id in either case, else by key; NULL: there is none. */
const struct catalog_row *catalog_find(const struct catalog *catalog, const char *kind, struct slice name);

/* Does the document's field refer to that id? */
bool catalog_refers(const struct catalog_row *row, const char *field, const char *id);
