/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of entities that a Kong file may hold, supported or not, and how they name each other. Constant;
 * any thread. */
#pragma once

#include "core/base/slice.h"

struct kong_entity_kind {
    const char *name; /* of the collection: "services" */
    const char *key; /* the unique field an entity may be named by; NULL: the id only */
    const char *as_parent; /* the field in which entities below name it: "service"; NULL: there are none */
};

/* NULL: no such kind. */
const struct kong_entity_kind *kong_find_entity_kind(struct slice name);

/* The kind that a field called `name` refers to, NULL when it refers to none. */
const struct kong_entity_kind *kong_find_foreign_kind(struct slice field);
