/* SPDX-License-Identifier: Apache-2.0 */
/* The grammar: `||` binds weaker than `&&`, and only parentheses can be negated. What is judged by the types
 * of both sides has the words of Kong's own parser. */
#include "config/kong/expression_parse.h"

#include "core/base/check.h"

#include <stdlib.h>

enum operand { OPERAND_TEXT, OPERAND_NUMBER, OPERAND_ADDRESS };

struct operator
{
    const char *token;
    enum match_test test;
};

/* No token stands before one that it begins. */
static const struct operator operators[] = {
    { "==", MATCH_EQUAL },
    { "!=", MATCH_NOT_EQUAL },
    { "=^", MATCH_ENDS },
    { "^=", MATCH_STARTS },
    { "~", MATCH_REGEX },
    { ">=", MATCH_GREATER_EQUAL },
    { "<=", MATCH_LESS_EQUAL },
    { ">", MATCH_GREATER },
    { "<", MATCH_LESS },
    { "contains", MATCH_CONTAINS },
    { "in", MATCH_IN },
    { "not", MATCH_NOT_IN },
};

static struct match_node *parse_expression(struct kong_parser *parser);

static struct match_node *take_node(struct kong_parser *parser, enum match_node_kind kind)
{
    struct match_node *node = arena_alloc_zero(parser->source->arena, sizeof(*node));
    if (node == NULL)
        kong_parse_no_memory(parser);
    else
        node->kind = kind;
    return node;
}

/* --- predicates ----------------------------------------------------------------------------------------- */

struct predicate {
    struct match_condition condition;
    size_t field_at, operator_at, literal_at;
    enum match_test test;
    struct kong_literal literal;
};

static bool parse_side(struct kong_parser *parser, struct predicate *predicate, unsigned depth);

/* Behind `lower(` or `any(`. */
static bool parse_inside(struct kong_parser *parser, struct predicate *predicate, unsigned depth)
{
    kong_parse_space(parser);
    if (!parse_side(parser, predicate, depth + 1))
        return false;
    kong_parse_space(parser);
    return kong_parse_token(parser, ")") || kong_parse_fail(parser, parser->at, "expected )");
}

static enum operand operand_of(enum match_field field)
{
    return field < MATCH_SEGMENT_COUNT ? OPERAND_TEXT
           : field < MATCH_SOURCE      ? OPERAND_NUMBER
                                       : OPERAND_ADDRESS;
}

static bool parse_side(struct kong_parser *parser, struct predicate *predicate, unsigned depth)
{
    size_t at = parser->at;
    struct slice name = kong_parse_name(parser);
    if (name.size == 0)
        return kong_parse_fail(parser, at, "expected a field");
    kong_parse_space(parser);
    if (!kong_parse_token(parser, "(")) {
        predicate->field_at = at;
        return kong_parse_field(parser, at, name, &predicate->condition);
    }
    bool lower = slice_equal(name, SLICE("lower"));
    if (!lower && !slice_equal(name, SLICE("any")))
        return kong_parse_fail(parser, at, "unknown function: lower() and any() are known");
    if (depth >= KONG_EXPRESSION_DEPTH_MAX)
        return kong_parse_fail(parser, at, "more than %d levels", KONG_EXPRESSION_DEPTH_MAX);
    if (!parse_inside(parser, predicate, depth))
        return false;
    if (lower && operand_of(predicate->condition.field) != OPERAND_TEXT)
        return kong_parse_fail(parser, at,
                               "lower-case transformation function only supported with String type fields");
    if (lower)
        predicate->condition.fold_case = true;
    else
        predicate->condition.repeat = MATCH_ANY_VALUE;
    return true;
}

static bool parse_operator(struct kong_parser *parser, struct predicate *predicate)
{
    kong_parse_space(parser);
    predicate->operator_at = parser->at;
    for (size_t i = 0; i < COUNT_OF(operators); i++) {
        if (!kong_parse_token(parser, operators[i].token))
            continue;
        predicate->test = operators[i].test;
        if (predicate->test != MATCH_NOT_IN)
            return true;
        kong_parse_space(parser);
        return kong_parse_token(parser, "in") || kong_parse_fail(parser, parser->at, "expected in");
    }
    return kong_parse_fail(parser, parser->at, "expected an operator");
}

/* NULL, or what is wrong with the three together. */
static const char *judge(const struct predicate *predicate)
{
    static const enum kong_literal_kind equals[] = {
        [OPERAND_TEXT] = KONG_TEXT, [OPERAND_NUMBER] = KONG_NUMBER, [OPERAND_ADDRESS] = KONG_ADDRESS
    };
    enum operand operand = operand_of(predicate->condition.field);
    enum kong_literal_kind literal = predicate->literal.kind;
    enum match_test test = predicate->test;
    if (test == MATCH_IN || test == MATCH_NOT_IN)
        return operand == OPERAND_ADDRESS && literal == KONG_RANGE
                   ? NULL
                   : "In/NotIn operators only supports IP in CIDR";
    if (test == MATCH_REGEX && (operand != OPERAND_TEXT || literal != KONG_TEXT))
        return "Regex operators only supports string operands";
    if (literal != equals[operand])
        return "Type mismatch between the LHS and RHS values of predicate";
    if ((test == MATCH_STARTS || test == MATCH_ENDS) && literal != KONG_TEXT)
        return "Regex/Prefix/Postfix operators only supports string operands";
    if (test == MATCH_CONTAINS && literal != KONG_TEXT)
        return "Contains operator only supports string operands";
    if (test >= MATCH_LESS && test <= MATCH_GREATER_EQUAL && literal != KONG_NUMBER)
        return "Greater/GreaterOrEqual/Lesser/LesserOrEqual operators only supports integer operands";
    return NULL;
}

static bool compile_regex(struct kong_parser *parser, const struct predicate *predicate,
                          struct match_value *value)
{
    char reason[REGEX_REASON_SIZE] = "";
    const char *construct;
    enum error error;
    struct match_regex_request request = { value->text, REGEX_ANYWHERE, reason, &error };
    value->regex = match_regex(parser->source->arena, &request);
    if (value->regex == NULL && error == ERROR_MEMORY)
        return kong_parse_no_memory(parser);
    if (value->regex == NULL)
        return kong_parse_fail(parser, predicate->literal_at, "invalid regex: %s", reason);
    if (!regex_is_linear(value->text, &construct))
        return kong_parse_fail(parser, predicate->literal_at, "invalid regex: %s is not supported",
                               construct);
    return true;
}

static bool make_value(struct kong_parser *parser, struct predicate *predicate)
{
    struct match_value *value = arena_alloc_zero(parser->source->arena, sizeof(*value));
    if (value == NULL)
        return kong_parse_no_memory(parser);
    *value = (struct match_value){ .test = predicate->test,
                                   .text = predicate->literal.text,
                                   .number = predicate->literal.number,
                                   .range = predicate->literal.range };
    if (operand_of(predicate->condition.field) == OPERAND_ADDRESS) {
        bool negative = value->test == MATCH_NOT_EQUAL || value->test == MATCH_NOT_IN;
        value->test = negative ? MATCH_NOT_IN : MATCH_IN;
        value->number = -1; /* any port */
    }
    predicate->condition.values = value;
    predicate->condition.value_count = 1;
    return value->test != MATCH_REGEX || compile_regex(parser, predicate, value);
}

static struct match_node *parse_predicate(struct kong_parser *parser)
{
    struct predicate predicate = { 0 };
    if (!parse_side(parser, &predicate, 0) || !parse_operator(parser, &predicate))
        return NULL;
    kong_parse_space(parser);
    predicate.literal_at = parser->at;
    if (!kong_parse_literal(parser, &predicate.literal))
        return NULL;
    const char *reason = judge(&predicate);
    if (reason) {
        kong_parse_fail(parser, predicate.field_at, "%s", reason);
        return NULL;
    }
    struct match_node *node = take_node(parser, MATCH_LEAF);
    if (node == NULL || !make_value(parser, &predicate))
        return NULL;
    node->condition = predicate.condition;
    return node;
}

/* --- wholes --------------------------------------------------------------------------------------------- */

/* Behind the parenthesis. */
static struct match_node *parse_parentheses(struct kong_parser *parser)
{
    if (parser->depth >= KONG_EXPRESSION_DEPTH_MAX) {
        kong_parse_fail(parser, parser->at, "more than %d levels", KONG_EXPRESSION_DEPTH_MAX);
        return NULL;
    }
    parser->depth++;
    struct match_node *node = parse_expression(parser);
    parser->depth--;
    if (node && !kong_parse_token(parser, ")")) {
        kong_parse_fail(parser, parser->at, "expected ), && or ||");
        return NULL;
    }
    return node;
}

static struct match_node *parse_negation(struct kong_parser *parser)
{
    kong_parse_space(parser);
    if (!kong_parse_token(parser, "(")) {
        kong_parse_fail(parser, parser->at, "expected ( behind !");
        return NULL;
    }
    struct match_node *inner = parse_parentheses(parser);
    struct match_node *node = inner ? take_node(parser, MATCH_NOT) : NULL;
    if (node)
        node->first = inner;
    return node;
}

static struct match_node *parse_term(struct kong_parser *parser)
{
    kong_parse_space(parser);
    size_t start = parser->at;
    struct match_node *node = kong_parse_token(parser, "!")   ? parse_negation(parser)
                              : kong_parse_token(parser, "(") ? parse_parentheses(parser)
                                                              : parse_predicate(parser);
    if (node)
        node->text = (struct slice){ parser->source->text.data + start, parser->at - start };
    kong_parse_space(parser);
    return node;
}

/* Terms between one operator; a single one stands for itself. */
static struct match_node *parse_list(struct kong_parser *parser, const char *token,
                                     struct match_node *(*parse_part)(struct kong_parser *parser))
{
    size_t start = parser->at;
    struct match_node *first = parse_part(parser), *whole = first, *last = first;
    while (last && kong_parse_token(parser, token)) {
        struct match_node *next = parse_part(parser);
        if (whole == first)
            whole = next ? take_node(parser, token[0] == '&' ? MATCH_ALL_OF : MATCH_ONE_OF) : NULL;
        if (next == NULL || whole == NULL)
            return NULL;
        last->next = next;
        last = next;
    }
    if (last && whole != first) {
        whole->first = first;
        whole->text = (struct slice){ parser->source->text.data + start, parser->at - start };
    }
    return last ? whole : NULL;
}

static struct match_node *parse_conjunction(struct kong_parser *parser)
{
    return parse_list(parser, "&&", parse_term);
}

static struct match_node *parse_expression(struct kong_parser *parser)
{
    return parse_list(parser, "||", parse_conjunction);
}

const struct match_node *kong_expression_parse(const struct kong_expression_source *source,
                                               struct kong_expression_error *error)
{
    struct kong_parser parser = { .source = source, .error = error };
    *error = (struct kong_expression_error){ .line = 1, .column = 1 };
    struct match_node *node = parse_expression(&parser);
    if (node && parser.at < source->text.size)
        kong_parse_fail(&parser, parser.at, "expected && or ||");
    return parser.failed ? NULL : node;
}
