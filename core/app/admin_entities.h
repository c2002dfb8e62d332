/* SPDX-License-Identifier: Apache-2.0 */
/* Paths of entities taken apart, and entities found by them. On the admin thread. */
#pragma once

#include "core/app/admin_api.h"

/* What a path is about: /KIND, /KIND/{name}, /PARENT/{name}/KIND[/{name}], or (upward) what /CHILD/{name}
 * refers to in one of its fields. */
struct admin_target {
    const struct kong_entity_kind *kind; /* of what is asked for */
    const struct kong_entity_kind *parent; /* the kind in front of it; NULL: none */
    const struct kong_relation *relation; /* by which they are related */
    struct slice name, parent_name; /* as in the path; absent: the whole collection */
    bool upward;
};

/* False: no such path. */
bool admin_target_of(const struct admin_call *call, struct admin_target *target);

/* By id, or what else it may be named by; NULL: there is none. */
const struct catalog_row *admin_find(const struct catalog *catalog, const struct kong_entity_kind *kind,
                                     struct slice name);

/* The one entity that a path names, if it is related to its parent. `*parent` (may be NULL as an argument) is
 * set to that one. */
const struct catalog_row *admin_find_target(const struct catalog *catalog, const struct admin_target *target,
                                            const struct catalog_row **parent);

/* The document as it is stored, and as it is shown. */
json_t *admin_document(const struct catalog_row *row);
json_t *admin_show(const struct admin_node *node, const struct catalog *catalog,
                   const struct kong_entity_kind *kind, const struct catalog_row *row);

/* The id in a field of a document, absent when there is none. */
struct slice admin_reference(const json_t *document, const char *field);

/* admin_list.c: a page of a collection; `parent` NULL: the whole kind. */
void admin_list(struct admin_call *call, const struct catalog *catalog, const struct admin_target *target,
                const struct catalog_row *parent);

/* admin_write.c: POST, PUT, PATCH and DELETE. */
void admin_write(struct admin_call *call, const struct admin_target *target);
