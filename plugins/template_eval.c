/* SPDX-License-Identifier: Apache-2.0 */
/* Walks the tree of an expression. What Lua would raise an error for is TEMPLATE_FAILED. */
#include "plugins/template_tree.h"

#include <math.h>

struct evaluation {
    const struct template_scope *scope;
    struct template_value slots[TEMPLATE_SLOTS_MAX];
    bool returned; /* of the function that runs */
};

static enum template_result evaluate(struct evaluation *run, const struct tree_node *node,
                                     struct template_value *value);

static bool is_true(const struct template_value *value)
{
    return value->kind != TEMPLATE_NIL && value->kind != TEMPLATE_FALSE;
}

static void set_boolean(struct template_value *value, bool truth)
{
    *value = (struct template_value){ .kind = truth ? TEMPLATE_TRUE : TEMPLATE_FALSE };
}

/* --- lookups -------------------------------------------------------------------------------------------- */

static enum template_result look_up(struct evaluation *run, const struct tree_node *node,
                                    struct template_value *value)
{
    struct template_value key, which = { .kind = TEMPLATE_NUMBER, .number = 1 };
    enum template_result result = TEMPLATE_RENDERED;
    if (node->left)
        result = evaluate(run, node->left, &key);
    if (result == TEMPLATE_RENDERED && node->right)
        result = evaluate(run, node->right, &which);
    if (result != TEMPLATE_RENDERED)
        return result;
    *value = (struct template_value){ .kind = TEMPLATE_NIL };
    bool countable = which.kind == TEMPLATE_NUMBER && which.number >= 1 && which.number < 1e6;
    if (!countable || (node->left && key.kind < TEMPLATE_NUMBER))
        return TEMPLATE_RENDERED;
    return run->scope->find(run->scope, node->number, node->left ? &key : NULL, (uint32_t)which.number, value)
               ? TEMPLATE_RENDERED
               : TEMPLATE_OUT_OF_MEMORY;
}

/* --- operators ------------------------------------------------------------------------------------------ */

static enum template_result concatenate(struct arena *arena, struct template_value *left,
                                        struct template_value *right)
{
    enum template_result why;
    if (!tree_to_text(arena, left, &why) || !tree_to_text(arena, right, &why))
        return why;
    size_t size = left->text.size + right->text.size;
    if (size > TEMPLATE_TEXT_BYTES_MAX)
        return TEMPLATE_FAILED;
    char *text = arena_alloc(arena, size + 1);
    if (text == NULL)
        return TEMPLATE_OUT_OF_MEMORY;
    if (left->text.size)
        memcpy(text, left->text.data, left->text.size);
    if (right->text.size)
        memcpy(text + left->text.size, right->text.data, right->text.size);
    left->text = (struct slice){ text, size };
    return TEMPLATE_RENDERED;
}

static bool is_equal(const struct template_value *left, const struct template_value *right)
{
    if (left->kind != right->kind)
        return false;
    if (left->kind == TEMPLATE_NUMBER)
        return !(left->number < right->number) && !(left->number > right->number) && !isnan(left->number) &&
               !isnan(right->number);
    return left->kind != TEMPLATE_STRING || slice_equal(left->text, right->text);
}

/* Numbers with numbers, texts with texts. */
static enum template_result compare(enum tree_kind kind, struct template_value *left,
                                    const struct template_value *right)
{
    if (left->kind != right->kind || left->kind < TEMPLATE_NUMBER)
        return TEMPLATE_FAILED;
    bool less, more;
    if (left->kind == TEMPLATE_NUMBER) {
        less = left->number < right->number;
        more = left->number > right->number;
        if (isnan(left->number) || isnan(right->number)) {
            set_boolean(left, false);
            return TEMPLATE_RENDERED;
        }
    } else {
        int order = slice_compare(left->text, right->text);
        less = order < 0;
        more = order > 0;
    }
    set_boolean(left, kind == TREE_LESS         ? less
                      : kind == TREE_MORE       ? more
                      : kind == TREE_LESS_EQUAL ? !more
                                                : !less);
    return TEMPLATE_RENDERED;
}

static enum template_result calculate(enum tree_kind kind, struct template_value *left,
                                      struct template_value *right)
{
    if (!tree_to_number(left) || !tree_to_number(right))
        return TEMPLATE_FAILED;
    double a = left->number, b = right->number;
    switch (kind) {
    case TREE_ADD: left->number = a + b; break;
    case TREE_SUBTRACT: left->number = a - b; break;
    case TREE_MULTIPLY: left->number = a * b; break;
    case TREE_DIVIDE:
        left->number = b < 0 || b > 0 ? a / b : a > 0 ? INFINITY : a < 0 ? -INFINITY : NAN;
        break;
    case TREE_MODULO: left->number = b < 0 || b > 0 ? a - floor(a / b) * b : NAN; break;
    default: left->number = pow(a, b); break;
    }
    return TEMPLATE_RENDERED;
}

static enum template_result operate(struct evaluation *run, const struct tree_node *node,
                                    struct template_value *value)
{
    struct template_value right;
    enum template_result result = evaluate(run, node->left, value);
    if (result == TEMPLATE_RENDERED)
        result = evaluate(run, node->right, &right);
    if (result != TEMPLATE_RENDERED)
        return result;
    switch (node->kind) {
    case TREE_CONCAT: return concatenate(run->scope->arena, value, &right);
    case TREE_EQUAL:
    case TREE_UNEQUAL:
        set_boolean(value, is_equal(value, &right) == (node->kind == TREE_EQUAL));
        return result;
    case TREE_LESS:
    case TREE_LESS_EQUAL:
    case TREE_MORE:
    case TREE_MORE_EQUAL: return compare(node->kind, value, &right);
    default: return calculate(node->kind, value, &right);
    }
}

static enum template_result call(struct evaluation *run, const struct tree_node *node,
                                 struct template_value *value)
{
    struct template_value arguments[TREE_ARGUMENTS_MAX];
    uint32_t count = 0;
    for (const struct tree_node *argument = node->left; argument; argument = argument->next) {
        enum template_result result = evaluate(run, argument, &arguments[count++]);
        if (result != TEMPLATE_RENDERED)
            return result;
    }
    return tree_call(node->number, run->scope->arena, arguments, count, value);
}

/* --- functions ------------------------------------------------------------------------------------------ */

static enum template_result run_block(struct evaluation *run, const struct tree_statement *statement,
                                      struct template_value *value)
{
    for (; statement && !run->returned; statement = statement->next) {
        struct template_value found = { .kind = TEMPLATE_NIL };
        enum template_result result =
            statement->value ? evaluate(run, statement->value, &found) : TEMPLATE_RENDERED;
        if (result == TEMPLATE_RENDERED && statement->kind == STATEMENT_IF)
            result = run_block(run, is_true(&found) ? statement->then : statement->otherwise, value);
        if (result != TEMPLATE_RENDERED)
            return result;
        if (statement->kind == STATEMENT_SET)
            run->slots[statement->slot] = found;
        if (statement->kind == STATEMENT_RETURN) {
            *value = found;
            run->returned = true;
        }
    }
    return TEMPLATE_RENDERED;
}

static enum template_result run_function(struct evaluation *run, const struct tree_node *node,
                                         struct template_value *value)
{
    run->returned = false;
    *value = (struct template_value){ .kind = TEMPLATE_NIL };
    return run_block(run, node->body, value);
}

static enum template_result apply(struct template_value *value, enum tree_kind kind)
{
    if (kind == TREE_NOT) {
        set_boolean(value, !is_true(value));
        return TEMPLATE_RENDERED;
    }
    if (kind == TREE_SIZE) {
        if (value->kind != TEMPLATE_STRING)
            return TEMPLATE_FAILED;
        *value = (struct template_value){ .kind = TEMPLATE_NUMBER, .number = (double)value->text.size };
        return TEMPLATE_RENDERED;
    }
    if (!tree_to_number(value))
        return TEMPLATE_FAILED;
    value->number = -value->number;
    return TEMPLATE_RENDERED;
}

/* The depth is bounded by TEMPLATE_NODES_MAX. */
static enum template_result evaluate(struct evaluation *run, const struct tree_node *node,
                                     struct template_value *value)
{
    enum template_result result;
    switch (node->kind) {
    case TREE_CONSTANT: *value = node->value; return TEMPLATE_RENDERED;
    case TREE_LOOKUP: return look_up(run, node, value);
    case TREE_LOCAL: *value = run->slots[node->number]; return TEMPLATE_RENDERED;
    case TREE_AND:
    case TREE_OR:
        result = evaluate(run, node->left, value);
        if (result != TEMPLATE_RENDERED || is_true(value) == (node->kind == TREE_OR))
            return result;
        return evaluate(run, node->right, value);
    case TREE_NOT:
    case TREE_NEGATE:
    case TREE_SIZE:
        result = evaluate(run, node->left, value);
        return result == TEMPLATE_RENDERED ? apply(value, node->kind) : result;
    case TREE_CALL: return call(run, node, value);
    case TREE_FUNCTION: return run_function(run, node, value);
    default: return operate(run, node, value);
    }
}

enum template_result tree_evaluate(const struct tree_node *node, const struct template_scope *scope,
                                   struct template_value *value)
{
    struct evaluation run = { .scope = scope };
    return evaluate(&run, node, value);
}
