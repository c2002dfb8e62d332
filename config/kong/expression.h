/* SPDX-License-Identifier: Apache-2.0 */
/* Kong's expression language (Kong 3.7): from text to conditions. Built by the control thread in an arena,
 * which owns everything but the text. */
#pragma once

#include "config/match.h"

enum { KONG_EXPRESSION_DEPTH_MAX = 64 }; /* of parentheses */

struct kong_expression_error {
    uint32_t line, column; /* within the expression, from 1 */
    struct slice reason;
};

struct kong_expression_source {
    struct slice text; /* must live as long as the result */
    enum match_traffic traffic; /* streams have no fields of HTTP */
    struct arena *arena;
};

/* NULL: *error says why; without a reason memory is exhausted. */
const struct match_node *kong_expression_parse(const struct kong_expression_source *source,
                                               struct kong_expression_error *error) MUST_CHECK;
