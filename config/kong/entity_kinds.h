/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of entities that a Kong file may hold, supported or not, how they name each other, and what the
 * Admin API makes of them. Constant; any thread. */
#pragma once

#include "config/schema.h"

struct kong_entity_kind {
    const char *name; /* of the collection: "services" */
    const char *key; /* the unique field an entity may be named by; NULL: the id only */
    const char *as_parent; /* the field in which entities below name it: "service"; NULL: there are none */
    const char *path; /* what the Admin API calls the collection: "key-auths"; NULL: it has none */
    const char *const *fields; /* what it always shows, in Kong's order, ends with NULL; NULL: a credential,
                                * and its plugin says it */
    const struct schema *schema; /* of those fields that are no references; NULL with `fields` */
};

/* NULL: no such kind. */
const struct kong_entity_kind *kong_find_entity_kind(struct slice name);
const struct kong_entity_kind *kong_find_kind_of_path(struct slice path);
const struct kong_entity_kind *kong_entity_kind_at(size_t index); /* from 0; NULL: there are no more */

/* The kind that a field called `name` refers to, NULL when it refers to none. */
const struct kong_entity_kind *kong_find_foreign_kind(struct slice field);

enum kong_on_delete { KONG_RESTRICT, KONG_CASCADE };

/* A field of one kind that refers to another. */
struct kong_relation {
    const char *kind, *field, *target;
    const char *nested; /* /TARGETS/{id}/NESTED are those that refer to it; NULL: there is no such path */
    enum kong_on_delete on_delete;
    bool required, upward; /* upward: /KINDS/{id}/FIELD is what it refers to */
};

const struct kong_relation *kong_relation_at(size_t index); /* from 0; NULL: there are no more */
const struct kong_relation *kong_find_relation(struct slice kind, struct slice field); /* NULL: none */

/* Fields, besides the key, that only one entity of a kind may have with the same values. */
struct kong_uniqueness {
    const char *kind;
    const char *fields[5]; /* ends with NULL; references by their id */
};
const struct kong_uniqueness *kong_uniqueness_at(size_t index); /* from 0; NULL: there are no more */
