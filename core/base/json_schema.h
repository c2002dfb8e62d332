/* SPDX-License-Identifier: Apache-2.0 */
/* JSON Schema: draft 4, 6, 7, 2019-09 and 2020-12 but for what only makes sense between documents. A schema
 * is compiled once, when a configuration is read, and then read-only: any thread validates with it, each with
 * its own scratch. References go into the same document only. Patterns are those of ECMA-262 as far as PCRE2
 * knows them, and have its limits. */
#pragma once

#include "core/base/json_tree.h"
#include "core/base/regex.h"

enum json_schema_draft {
    JSON_SCHEMA_DRAFT_4,
    JSON_SCHEMA_DRAFT_6,
    JSON_SCHEMA_DRAFT_7,
    JSON_SCHEMA_DRAFT_2019_09,
    JSON_SCHEMA_DRAFT_2020_12
};

enum {
    JSON_SCHEMA_NODES_MAX = 100000, /* of a schema's text */
    JSON_SCHEMA_DEPTH_MAX = 128, /* schemas applied within each other, when compiled and when validating */
    JSON_SCHEMA_STEPS_MAX = 2000000, /* of one validation: values and keywords looked at */
    JSON_SCHEMA_REASON_SIZE = 256
};

struct json_schema;

struct json_schema_options {
    enum json_schema_draft draft; /* unless $schema names another */
    bool checks_formats; /* `format` is a rule; false: a remark */
    bool knows_lua_patterns; /* "luaPattern", "notLuaPattern": Kong's own schemas come with these */
};

/* NULL: `reason` says why not, with the place as a JSON pointer. The text must live as long as the arena. */
const struct json_schema *json_schema_compile(struct arena *arena, struct slice text,
                                              const struct json_schema_options *options,
                                              char reason[JSON_SCHEMA_REASON_SIZE]) MUST_CHECK;

enum json_schema_result {
    JSON_SCHEMA_VALID,
    JSON_SCHEMA_WRONG,
    JSON_SCHEMA_TOO_COMPLEX, /* a limit was reached: not to be taken for valid */
    JSON_SCHEMA_NO_MEMORY
};

/* Where a value fails first, and why. */
struct json_schema_fault {
    char place[128]; /* JSON pointer, "" for the whole; cut when it is longer */
    char reason[JSON_SCHEMA_REASON_SIZE];
};

enum json_schema_result json_schema_validate(const struct json_schema *schema, const struct json_node *value,
                                             struct arena *arena, struct regex_scratch *scratch,
                                             struct json_schema_fault *fault);

/* What type the schema wants at the top, as bits of 1 << enum json_schema_type; 0: any. For those who have to
 * make a value from a text. */
enum json_schema_type {
    JSON_TYPE_NULL,
    JSON_TYPE_BOOLEAN,
    JSON_TYPE_INTEGER,
    JSON_TYPE_NUMBER,
    JSON_TYPE_STRING,
    JSON_TYPE_ARRAY,
    JSON_TYPE_OBJECT,
    JSON_TYPE_COUNT
};
unsigned json_schema_types(const struct json_schema *schema);
const struct json_schema *json_schema_of_items(const struct json_schema *schema); /* NULL: any */
const struct json_schema *json_schema_of_member(const struct json_schema *schema, struct slice name);
