/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of the expression parser only. */
#pragma once

#include "config/kong/expression.h"

struct kong_parser {
    const struct kong_expression_source *source;
    struct kong_expression_error *error;
    size_t at;
    unsigned depth;
    bool failed; /* the error is set */
};

enum kong_literal_kind { KONG_TEXT, KONG_NUMBER, KONG_ADDRESS, KONG_RANGE };

struct kong_literal {
    enum kong_literal_kind kind;
    struct slice text; /* KONG_TEXT, without escapes */
    int64_t number;
    struct match_range range; /* KONG_ADDRESS, KONG_RANGE */
};

/* expression_text.c. What fails has set the error, at `at`. */
bool kong_parse_fail(struct kong_parser *parser, size_t at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool kong_parse_no_memory(struct kong_parser *parser);
void kong_parse_space(struct kong_parser *parser);
/* Steps over the token when it stands there; a word must end there too. */
bool kong_parse_token(struct kong_parser *parser, const char *token);
struct slice kong_parse_name(struct kong_parser *parser); /* of a field or function; empty: none */
bool kong_parse_literal(struct kong_parser *parser, struct kong_literal *literal);

/* expression_field.c: false when there is no such field. */
bool kong_parse_field(struct kong_parser *parser, size_t at, struct slice name,
                      struct match_condition *condition);
