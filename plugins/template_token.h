/* SPDX-License-Identifier: Apache-2.0 */
/* The words of an expression, for template_parse.c: template_token.c splits the text into them. */
#pragma once

#include "plugins/template_tree.h"

enum token_kind { TOKEN_END, TOKEN_NAME, TOKEN_NUMBER, TOKEN_STRING, TOKEN_SYMBOL, TOKEN_BAD };

struct token {
    enum token_kind kind;
    size_t at;
    struct slice text; /* a string: what it stands for */
    double number;
};

struct local {
    struct slice name;
    uint32_t slot;
};

struct parser {
    struct tree_parse *parse;
    struct token token; /* the one to come */
    struct local locals[TEMPLATE_SLOTS_MAX];
    uint32_t local_count, slot_count, depth;
    bool in_function;
};

/* The first error counts. Return NULL. */
void *tree_fail_at(struct parser *parser, size_t at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void *tree_fail(struct parser *parser, const char *reason); /* at the token */

/* Reads the next token; a bad one is an error that was told. */
void tree_next_token(struct parser *parser);

/* Is the token this name or symbol? */
bool tree_is_word(const struct parser *parser, const char *word);
bool tree_is_keyword(struct slice name);

/* Takes the word if it is the token; expect: it is an error when it is not. */
bool tree_skip_word(struct parser *parser, const char *word);
bool tree_expect(struct parser *parser, const char *word);
