/* SPDX-License-Identifier: Apache-2.0 */
/* Entities as the Admin API shows and describes them. `plugins`, which ends with NULL, are those there are.
 * Any thread; the caller owns the values. */
#pragma once

#include "config/kong/entity_kinds.h"
#include "config/plugin_kind.h"
#include "config/schema_json.h"

/* The document of a catalog with its defaults; `given` is an object. */
struct json_t *kong_document_show(const struct kong_entity_kind *kind, const struct json_t *given,
                                  const struct plugin_kind *const *plugins, enum schema_showing how);

/* {"fields": [...]} */
struct json_t *kong_document_describe(const struct kong_entity_kind *kind,
                                      const struct plugin_kind *const *plugins, enum schema_showing how);
struct json_t *kong_document_describe_plugin(const struct plugin_kind *plugin, enum schema_showing how);

/* The table of an entity's own fields, a credential's included; NULL: there is none. */
const struct schema *kong_document_schema(const struct kong_entity_kind *kind,
                                          const struct plugin_kind *const *plugins);

const struct plugin_kind *kong_find_plugin(const struct plugin_kind *const *plugins, struct slice name);

/* Changes a form's texts into values. */
void kong_document_infer(const struct kong_entity_kind *kind, struct json_t *given,
                         const struct plugin_kind *const *plugins);

/* What is wrong with one entity that stands alone, as {"field": message}; references are not followed. NULL:
 * nothing is. */
struct json_t *kong_document_check(const struct kong_entity_kind *kind, const struct json_t *given,
                                   const struct plugin_kind *const *plugins);
