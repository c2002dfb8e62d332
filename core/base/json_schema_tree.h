/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a compiled schema, for json_schema*.c. Lives in the arena of the schema. */
#pragma once

#include "core/base/json_schema.h"
#include "core/base/map.h"

struct json_schema;

struct schema_list {
    const struct json_schema **items;
    uint32_t count;
};

struct schema_member {
    struct slice name;
    const struct json_schema *schema; /* NULL: `names` */
    struct slices names; /* of dependencies */
};

struct schema_members {
    struct schema_member *items;
    uint32_t count;
};

struct schema_pattern {
    struct regex regex;
    struct slice text;
    const struct json_schema *schema; /* NULL: `pattern` of a string */
};

struct schema_patterns {
    struct schema_pattern *items;
    uint32_t count;
};

enum schema_flag {
    SCHEMA_NEVER = 1, /* `false` */
    SCHEMA_EXCLUSIVE_MINIMUM = 2,
    SCHEMA_EXCLUSIVE_MAXIMUM = 4,
    SCHEMA_UNIQUE = 8,
    SCHEMA_HAS_MINIMUM = 16,
    SCHEMA_HAS_MAXIMUM = 32,
    SCHEMA_HAS_MULTIPLE = 64,
    SCHEMA_STRICT_INTEGER = 128, /* draft 4: 1.0 is no integer */
    SCHEMA_HAS_LENGTHS = 256, /* any limit of a size */
};

struct json_schema {
    unsigned flags;
    unsigned types; /* bits of enum json_schema_type; 0: any */
    const struct json_node *choices; /* enum: an array */
    const struct json_node *constant;
    double minimum, maximum, multiple;
    uint64_t min_length, max_length, min_items, max_items, min_members, max_members;
    uint64_t min_contains, max_contains;
    struct schema_pattern *pattern;
    struct slice lua_pattern, not_lua_pattern; /* absent: none */
    int format; /* json_format_find; 0: none */
    struct schema_list prefix; /* the first items, one by one */
    const struct json_schema *items; /* the others; NULL: any */
    const struct json_schema *contains;
    struct schema_members members; /* properties */
    struct map by_name; /* of members, when there are many; capacity 0: not */
    struct schema_patterns patterns;
    const struct json_schema *other_members, *member_names;
    struct slices required;
    struct schema_members dependencies;
    struct schema_list all_of, any_of, one_of;
    const struct json_schema * not, *condition, *then, *otherwise;
    const struct json_schema *reference;
};

/* json_schema_format.c: the number of a format that is checked, 0: not known. */
int json_format_find(struct slice name);
bool json_format_check(int format, struct slice text);
const char *json_format_name(int format);

/* json_schema_reference.c: where every subschema stands, by its address. */
struct schema_addresses {
    struct arena *arena;
    const struct json_node *root;
    enum json_schema_draft draft;
    struct schema_address *items;
    uint32_t count, capacity;
    bool failed; /* memory */
};

struct schema_address {
    struct slice uri; /* absolute as far as the document says, without an empty fragment */
    const struct json_node *node;
};

/* Collects the identifiers of all objects below the root. */
void schema_addresses_collect(struct schema_addresses *addresses);

/* The schema that `reference`, written in `from`, stands for; NULL: not in this document. */
const struct json_node *schema_addresses_find(struct schema_addresses *addresses,
                                              const struct json_node *from, struct slice reference);

/* An ECMA-262 pattern in PCRE2's spelling; absent: out of memory. */
struct slice schema_pattern_text(struct arena *arena, struct slice pattern);
