/* SPDX-License-Identifier: Apache-2.0 */
/* Tables and values as JSON, for those who administer: what a record holds when defaults count, and what its
 * fields are. Any thread; the caller owns the values. NULL, or a missing part, when memory is exhausted. */
#pragma once

#include "config/schema.h"

struct json_t;

/* Fields that only this product has are shown where they are given; or (ALL) in any case; older names are
 * not shown (NEWEST). */
enum schema_showing { SCHEMA_AS_KONG, SCHEMA_ALL, SCHEMA_NEWEST };

/* The record with every field: its value in `given` (an object, or NULL), else its default, else null.
 * Members of `given` that are no fields are left out. */
struct json_t *schema_show(const struct schema *schema, const struct json_t *given, enum schema_showing how);

/* One field the same way; NULL: it is not shown. */
struct json_t *schema_show_field(const struct field *field, const struct json_t *given,
                                 enum schema_showing how);

/* [{"name": {"type": ...}}, ...], as GET /schemas has it. */
struct json_t *schema_describe(const struct schema *schema, enum schema_showing how);
struct json_t *schema_describe_field(const struct field *field, enum schema_showing how);

/* A form's texts as what the fields are: "5" as 5, "" as null, one text as a list of one. Changes `given`. */
void schema_infer(const struct schema *schema, struct json_t *given);
