/* SPDX-License-Identifier: Apache-2.0 */
/* A whole JSON text as a tree of nodes, for those who have to see all of it. Strings are unescaped only when
 * asked; texts are views of the one that was read. The nodes live in the arena. Any thread. */
#pragma once

#include "core/base/arena.h"
#include "core/base/json_token.h"

struct json_node {
    struct json_value value;
    struct json_value name; /* of a member of an object; else ABSENT */
    struct json_node *parent, *first, *next; /* NULL: none */
    uint32_t count; /* elements or members */
};

struct json_tree_limits {
    uint32_t depth; /* at most JSON_DEPTH_MAX */
    uint32_t nodes;
};

enum json_reading { JSON_READ, JSON_INVALID, JSON_TOO_LARGE, JSON_NO_MEMORY };

/* JSON_TOO_LARGE: too many nodes. Too deep is JSON_INVALID. */
enum json_reading json_tree_read(struct arena *arena, struct slice text,
                                 const struct json_tree_limits *limits, struct json_node **root) MUST_CHECK;

/* The characters of a string or a name: the text itself when nothing is escaped, else a copy. Absent when
 * memory is exhausted. */
struct slice json_text(struct arena *arena, const struct json_value *string) MUST_CHECK;

/* Does the string (or name) stand for `text`? */
bool json_says(const struct json_value *string, struct slice text);

/* The member of that name, the last one when it comes several times; NULL: none. */
const struct json_node *json_member_of(const struct json_node *object, struct slice name);

/* Where it stands, as a JSON pointer (RFC 6901, names as they are written), like snprintf: cut when there is
 * no room, and the size that would have been needed. The depth is that of the text. */
size_t json_place(const struct json_node *node, char *out, size_t size);
