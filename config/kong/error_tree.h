/* SPDX-License-Identifier: Apache-2.0 */
/* What Kong's POST /config says of a configuration that it refuses, made from a report: the tree of messages
 * in the shape of the input, or a list of the entities that hold errors. Control thread; the caller owns the
 * values. Memory that runs out shows as a missing part, or as NULL for the whole. */
#pragma once

#include "config/document.h"

struct json_t;

/* Several documents count as one: the collections of a later one go on behind those before it. */
struct kong_error_source {
    const struct report *report;
    const struct documents *documents;
};

/* FLATTENED: as for `flatten_errors=1`. */
enum kong_error_form { KONG_ERRORS_NESTED, KONG_ERRORS_FLATTENED };

/* {"code": 14, "name", "message", "fields"[, "flattened_errors"]}. */
struct json_t *kong_error_answer(const struct kong_error_source *source, enum kong_error_form form);

/* error_tree.c: the tree, and the ids of entities that stand twice by their path. */
struct kong_error_tree {
    struct json_t *fields, *ids;
};
struct kong_error_tree kong_error_tree(const struct kong_error_source *source, enum kong_error_form form);

/* The text as JSON, with U+FFFD for what is no UTF-8. */
struct json_t *kong_error_text(const char *text);

/* Element `index` of the collections called `name` of all documents, or NULL. */
const struct node *kong_error_element(const struct documents *documents, const char *name, size_t index);

/* A node and all below it as JSON, with kong_error_text for what JSON cannot hold. */
struct json_t *kong_node_json(const struct node *node);

/* error_flatten.c: takes the errors of entities out of the tree and returns their list. */
struct json_t *kong_error_flatten(const struct documents *documents, struct kong_error_tree *tree);

/* error_text.c: a value as a Lua literal, which is how Kong prints the tree in its message. The caller frees
 * it; NULL when memory is exhausted. */
char *kong_error_literal(const struct json_t *value);
