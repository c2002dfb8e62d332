/* SPDX-License-Identifier: Apache-2.0 */
/* Texts with $(...) in them, as Kong's transformers know: what stands inside is a Lua expression. There is no
 * Lua in this gateway: the expressions that are in use (names of tables, `or`, `..`, comparisons, string
 * functions, a function called at once) are compiled to a tree when the configuration is read, and anything
 * else is refused there. A template is read-only and shared by all threads. */
#pragma once

#include "core/base/arena.h"

enum {
    TEMPLATE_NODES_MAX = 512, /* of one template: bounds the depth of the walk, too */
    TEMPLATE_DEPTH_MAX = 64, /* parentheses, operators and blocks within each other */
    TEMPLATE_SLOTS_MAX = 16, /* local variables */
    TEMPLATE_TEXT_BYTES_MAX = 64 * 1024, /* of any text that an expression makes */
    TEMPLATE_REASON_SIZE = 160
};

enum template_kind { TEMPLATE_NIL, TEMPLATE_FALSE, TEMPLATE_TRUE, TEMPLATE_NUMBER, TEMPLATE_STRING };

struct template_value {
    enum template_kind kind;
    double number;
    struct slice text;
};

/* A name that expressions may use: a table (name.key, name["key"], name[1]) or a value of its own. The list
 * ends with name NULL. */
struct template_root {
    const char *name;
    bool is_table;
};

struct template_error {
    size_t offset; /* in the text */
    char reason[TEMPLATE_REASON_SIZE];
};

struct template;

/* NULL: *error says why not. Views of the text are kept. */
const struct template *template_compile(struct arena *arena, struct slice text,
                                        const struct template_root *roots,
                                        struct template_error *error) MUST_CHECK;

/* The text when there is no $(...) in it, else absent. */
struct slice template_constant(const struct template *template);

struct template_scope;

/* The value of `key` (NULL: of the root itself, one that is no table); of several the one with number `nth`,
 * from 1. What is not there is NIL. False: out of memory. */
typedef bool template_find_fn(const struct template_scope *scope, uint32_t root,
                              const struct template_value *key, uint32_t nth, struct template_value *value);

/* What the expressions see; embedded in the caller's own struct. */
struct template_scope {
    struct arena *arena; /* of the results */
    template_find_fn *find;
};

enum template_result {
    TEMPLATE_RENDERED,
    TEMPLATE_FAILED, /* the expression makes no sense for these values, e.g. nil .. "x" */
    TEMPLATE_OUT_OF_MEMORY
};

/* nil and false become the empty text. */
enum template_result template_render(const struct template *template, const struct template_scope *scope,
                                     struct slice *text);
