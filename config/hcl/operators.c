/* SPDX-License-Identifier: Apache-2.0 */
#include "config/hcl/operators.h"

#include <math.h>

enum { SAME_DEPTH_MAX = 64 };

static bool same(const struct node *a, const struct node *b, int depth)
{
    if (a->kind != b->kind || depth > SAME_DEPTH_MAX)
        return false;
    switch (a->kind) {
    case NODE_NULL: return true;
    case NODE_BOOLEAN: return a->boolean == b->boolean;
    case NODE_NUMBER:
        return a->is_integer && b->is_integer ? a->integer == b->integer
                                              : !(a->number < b->number) && !(a->number > b->number);
    case NODE_STRING: return slice_equal(a->text, b->text);
    case NODE_SEQUENCE:
    case NODE_MAPPING: break;
    }
    if (a->count != b->count)
        return false;
    for (uint32_t i = 0; i < a->count; i++) {
        const struct node *other =
            a->kind == NODE_SEQUENCE ? b->entries[i].value : hcl_part(b, a->entries[i].key);
        if (other == NULL || !same(a->entries[i].value, other, depth + 1))
            return false;
    }
    return true;
}

bool hcl_same(const struct node *a, const struct node *b)
{
    return same(a, b, 0);
}

struct operation {
    struct hcl_evaluation *evaluation;
    const struct hcl_expression *expression;
    struct slice mark;
};

static const struct node *truth(const struct operation *operation, bool value)
{
    return hcl_make_boolean(operation->evaluation, &operation->expression->position, value);
}

/* The second operand is looked at only when the first does not settle it. */
static const struct node *operate_logic(const struct operation *operation)
{
    const struct hcl_expression *part = operation->expression->first;
    bool settling = slice_equal(operation->mark, SLICE("||"));
    for (; part; part = part->next) {
        const struct node *value = hcl_evaluate(operation->evaluation, part);
        if (value == NULL)
            return NULL;
        if (value->kind != NODE_BOOLEAN)
            return hcl_refuse(operation->evaluation, &part->position, "'%.*s' expects true or false",
                              SLICE_FORMAT(operation->mark));
        if (value->boolean == settling)
            return truth(operation, settling);
    }
    return truth(operation, !settling);
}

static const struct node *operate_numbers(const struct operation *operation, double a, double b)
{
    struct hcl_evaluation *evaluation = operation->evaluation;
    const struct node_position *position = &operation->expression->position;
    char mark = operation->mark.data[0];
    bool or_equal = operation->mark.size == 2;
    switch (mark) {
    case '<': return truth(operation, or_equal ? a <= b : a < b);
    case '>': return truth(operation, or_equal ? a >= b : a > b);
    case '+': return hcl_make_number(evaluation, position, a + b);
    case '-': return hcl_make_number(evaluation, position, a - b);
    case '*': return hcl_make_number(evaluation, position, a * b);
    default: break;
    }
    if (fpclassify(b) == FP_ZERO)
        return hcl_refuse(evaluation, position, "a division by zero");
    return hcl_make_number(evaluation, position, mark == '/' ? a / b : fmod(a, b));
}

static const struct node *operate_two(const struct operation *operation)
{
    const struct hcl_expression *first = operation->expression->first;
    const struct node *a = hcl_evaluate(operation->evaluation, first);
    const struct node *b = a ? hcl_evaluate(operation->evaluation, first->next) : NULL;
    if (b == NULL)
        return NULL;
    if (slice_equal(operation->mark, SLICE("==")) || slice_equal(operation->mark, SLICE("!=")))
        return truth(operation, hcl_same(a, b) == (operation->mark.data[0] == '='));
    if (a->kind != NODE_NUMBER || b->kind != NODE_NUMBER)
        return hcl_refuse(operation->evaluation, &operation->expression->position, "'%.*s' expects numbers",
                          SLICE_FORMAT(operation->mark));
    return operate_numbers(operation, a->number, b->number);
}

static const struct node *operate_one(const struct operation *operation)
{
    const struct node *value = hcl_evaluate(operation->evaluation, operation->expression->first);
    bool negate = operation->mark.data[0] == '-';
    if (value == NULL)
        return NULL;
    if (value->kind != (negate ? NODE_NUMBER : NODE_BOOLEAN))
        return hcl_refuse(operation->evaluation, &operation->expression->position, "'%.*s' expects %s",
                          SLICE_FORMAT(operation->mark), negate ? "a number" : "true or false");
    return negate ? hcl_make_number(operation->evaluation, &operation->expression->position, -value->number)
                  : truth(operation, !value->boolean);
}

const struct node *hcl_operate(struct hcl_evaluation *evaluation, const struct hcl_expression *expression)
{
    struct operation operation = { evaluation, expression, expression->text };
    if (expression->kind == HCL_UNARY)
        return operate_one(&operation);
    bool logic = slice_equal(expression->text, SLICE("||")) || slice_equal(expression->text, SLICE("&&"));
    return logic ? operate_logic(&operation) : operate_two(&operation);
}
