/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of templates: the tree that template_parse.c makes and template_eval.c walks. Nodes live in the
 * arena of the template and never change. */
#pragma once

#include "plugins/template.h"

enum tree_kind {
    TREE_CONSTANT, /* value */
    TREE_LOOKUP, /* root, left: the key or NULL, right: which of several or NULL */
    TREE_LOCAL, /* slot */
    TREE_AND,
    TREE_OR,
    TREE_NOT,
    TREE_NEGATE,
    TREE_SIZE,
    TREE_CONCAT,
    TREE_EQUAL,
    TREE_UNEQUAL,
    TREE_LESS,
    TREE_LESS_EQUAL,
    TREE_MORE,
    TREE_MORE_EQUAL,
    TREE_ADD,
    TREE_SUBTRACT,
    TREE_MULTIPLY,
    TREE_DIVIDE,
    TREE_MODULO,
    TREE_POWER,
    TREE_CALL, /* function, left: the arguments, linked by `next` */
    TREE_FUNCTION /* body */
};

struct tree_statement;

struct tree_node {
    enum tree_kind kind;
    uint32_t number; /* root, slot or function */
    struct template_value value;
    const struct tree_node *left, *right;
    struct tree_node *next;
    const struct tree_statement *body;
};

enum statement_kind { STATEMENT_SET, STATEMENT_IF, STATEMENT_RETURN };

struct tree_statement {
    enum statement_kind kind;
    uint32_t slot; /* SET */
    const struct tree_node *value; /* RETURN: may be NULL; IF: the condition */
    const struct tree_statement *then, *otherwise;
    struct tree_statement *next;
};

/* A text and an expression by turns. */
struct template_piece {
    struct slice text; /* before the expression */
    const struct tree_node *expression; /* NULL: the last piece */
    struct template_piece *next;
};

struct template
{
    struct template_piece *pieces;
};

/* Reads one expression from *at on, up to what cannot belong to it; NULL: *error says why. */
struct tree_parse {
    struct arena *arena;
    struct slice text;
    size_t at;
    const struct template_root *roots;
    struct template_error *error;
    uint32_t nodes; /* of the whole template so far */
};
const struct tree_node *tree_parse(struct tree_parse *parse) MUST_CHECK;

/* template_eval.c */
enum template_result tree_evaluate(const struct tree_node *node, const struct template_scope *scope,
                                   struct template_value *value) MUST_CHECK;

/* --- template_functions.c ------------------------------------------------------------------------------- */

enum { TREE_ARGUMENTS_MAX = 4 };

/* The number of a function, as a global of this name or as one of `string` and a method of texts;
 * UINT32_MAX: there is none. */
uint32_t tree_function_find(struct slice name, bool of_strings);
bool tree_function_takes(uint32_t function, uint32_t arguments);
/* NULL when the constant arguments are good, else why not: patterns. */
const char *tree_function_check(uint32_t function, const struct tree_node *arguments);

enum template_result tree_call(uint32_t function, struct arena *arena, const struct template_value *arguments,
                               uint32_t count, struct template_value *result) MUST_CHECK;

/* Numbers as texts, texts as numbers, as Lua does where the other is wanted. False: it is neither. */
bool tree_to_text(struct arena *arena, struct template_value *value, enum template_result *why) MUST_CHECK;
bool tree_to_number(struct template_value *value) MUST_CHECK;
