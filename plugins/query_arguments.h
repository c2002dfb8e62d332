/* SPDX-License-Identifier: Apache-2.0 */
/* The parameters of a query in order, to be edited and written afresh. Lives in the arena; works on views.
 * Its shard's. (For bodies see body_arguments.h.) */
#pragma once

#include "core/base/arena.h"

struct query_argument {
    struct slice name, value; /* unescaped; value absent: no "=" */
};

struct query_arguments {
    struct arena *arena;
    struct query_argument *items;
    uint32_t count, capacity;
    bool failed; /* out of memory, or too many; nothing else can be relied on then */
};

enum { QUERY_ARGUMENTS_MAX = 10000 };

/* Adds those of the query (absent: none) at the end. */
void query_arguments_read(struct query_arguments *arguments, struct slice query);
/* Everything but unreserved characters is escaped; absent: memory. */
struct slice query_arguments_write(const struct query_arguments *arguments) MUST_CHECK;

void query_arguments_remove(struct query_arguments *arguments, struct slice name);
/* What had the new name gives way; without one of the old name nothing happens. */
void query_arguments_rename(struct query_arguments *arguments, struct slice name, struct slice new_name);
/* The first of that name, if there is one; further ones go. */
void query_arguments_replace(struct query_arguments *arguments, struct slice name, struct slice value);
/* If there is none of that name. */
void query_arguments_add(struct query_arguments *arguments, struct slice name, struct slice value);
/* One more, behind those of that name. */
void query_arguments_append(struct query_arguments *arguments, struct slice name, struct slice value);
