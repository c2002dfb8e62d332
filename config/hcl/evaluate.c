/* SPDX-License-Identifier: Apache-2.0 */
#include "config/hcl/evaluate.h"

#include "config/hcl/operators.h"
#include "config/scalar.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

const struct node *hcl_refuse(struct hcl_evaluation *evaluation, const struct node_position *position,
                              const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    report_add(evaluation->report, REPORT_ERROR, position, evaluation->subject ? evaluation->subject : "",
               "%s", text);
    return NULL;
}

/* --- nodes ---------------------------------------------------------------------------------------------- */

static bool spend(struct hcl_evaluation *evaluation, const struct node_position *position, size_t bytes)
{
    evaluation->bytes += bytes;
    if (evaluation->bytes <= HCL_BYTES_MAX)
        return true;
    hcl_refuse(evaluation, position, "too large: more than %u MiB of values",
               (unsigned)(HCL_BYTES_MAX >> 20));
    return false;
}

struct node *hcl_make(struct hcl_evaluation *evaluation, enum node_kind kind,
                      const struct node_position *position)
{
    if (!spend(evaluation, position, sizeof(struct node)))
        return NULL;
    struct node *node = arena_alloc_zero(evaluation->arena, sizeof(*node));
    if (node == NULL) {
        hcl_refuse(evaluation, position, "out of memory");
        return NULL;
    }
    node->kind = kind;
    node->position = *position;
    return node;
}

struct node *hcl_make_text(struct hcl_evaluation *evaluation, const struct node_position *position,
                           struct slice text)
{
    struct node *node = hcl_make(evaluation, NODE_STRING, position);
    if (node == NULL || !spend(evaluation, position, text.size))
        return NULL;
    node->text = arena_copy(evaluation->arena, text.data ? text : SLICE(""));
    if (node->text.data == NULL)
        hcl_refuse(evaluation, position, "out of memory");
    return node->text.data ? node : NULL;
}

struct node *hcl_make_number(struct hcl_evaluation *evaluation, const struct node_position *position,
                             double number)
{
    char text[40];
    snprintf(text, sizeof(text), "%.15g", number);
    if (!isfinite(number)) {
        hcl_refuse(evaluation, position, "the result is no finite number");
        return NULL;
    }
    struct node *node = hcl_make_text(evaluation, position, slice_of(text));
    if (node)
        scalar_number(node);
    return node;
}

struct node *hcl_make_boolean(struct hcl_evaluation *evaluation, const struct node_position *position,
                              bool value)
{
    struct node *node = hcl_make_text(evaluation, position, value ? SLICE("true") : SLICE("false"));
    if (node == NULL)
        return NULL;
    node->kind = NODE_BOOLEAN;
    node->boolean = value;
    return node;
}

/* A value may stand in many places: what walks over all of it must not take for ever. */
static bool weigh(struct hcl_builder *builder, const struct node *value)
{
    struct node *node = builder->node;
    node->integer += 1 + (value->count ? value->integer : 0);
    if (node->integer <= HCL_WEIGHT_MAX)
        return true;
    hcl_refuse(builder->evaluation, &node->position, "too large: more than %d values", HCL_WEIGHT_MAX);
    return false;
}

static bool add_entry(struct hcl_builder *builder, struct node_entry entry)
{
    struct node *node = builder->node;
    struct hcl_evaluation *evaluation = builder->evaluation;
    if (!weigh(builder, entry.value))
        return false;
    if (node->count == builder->capacity) {
        uint32_t larger = builder->capacity ? builder->capacity * 2 : 8;
        if (!spend(evaluation, &node->position, larger * sizeof(struct node_entry)))
            return false;
        struct node_entry *entries = arena_array(evaluation->arena, larger, sizeof(*entries));
        if (entries == NULL)
            return hcl_refuse(evaluation, &node->position, "out of memory") != NULL;
        if (node->count)
            memcpy(entries, node->entries, node->count * sizeof(*entries));
        node->entries = entries;
        builder->capacity = larger;
    }
    node->entries[node->count++] = entry;
    return true;
}

/* Nodes are only read once they are made. */
static struct node *unconst(const struct node *node)
{
    return (struct node *)(uintptr_t)node;
}

bool hcl_append(struct hcl_builder *builder, const struct node *value)
{
    return add_entry(builder, (struct node_entry){ .value = unconst(value) });
}

bool hcl_set(struct hcl_builder *builder, struct slice key, const struct node *value)
{
    struct node *node = builder->node;
    for (uint32_t i = 0; i < node->count; i++) {
        if (!slice_equal(node->entries[i].key, key))
            continue;
        node->entries[i].value = unconst(value);
        return weigh(builder, value);
    }
    builder->evaluation->steps += node->count; /* the search is what large ones cost */
    return add_entry(builder, (struct node_entry){ key, value->position, unconst(value) });
}

const struct node *hcl_part(const struct node *node, struct slice name)
{
    uint64_t index;
    if (node->kind == NODE_SEQUENCE)
        return slice_to_u64(name, &index) && index < node->count ? node->entries[index].value : NULL;
    for (uint32_t i = 0; node->kind == NODE_MAPPING && i < node->count; i++)
        if (slice_equal(node->entries[i].key, name))
            return node->entries[i].value;
    return NULL;
}

struct slice hcl_text_of(struct hcl_evaluation *evaluation, const struct node *node)
{
    if (node->kind == NODE_STRING || node->kind == NODE_NUMBER || node->kind == NODE_BOOLEAN)
        return node->text;
    hcl_refuse(evaluation, &node->position, "expected a text, not %s", node_kind_name(node->kind));
    return (struct slice){ NULL, 0 };
}

/* --- references ----------------------------------------------------------------------------------------- */

static const struct node *take_part(struct hcl_evaluation *evaluation, const struct node *of,
                                    struct slice name, const struct node_position *position)
{
    const struct node *part = hcl_part(of, name);
    if (part)
        return part;
    return hcl_refuse(evaluation, position, "%s has no element '%.*s'", node_kind_name(of->kind),
                      SLICE_FORMAT(name));
}

static const struct node *find_binding(const struct hcl_evaluation *evaluation, struct slice name)
{
    for (const struct hcl_binding *one = evaluation->bindings; one; one = one->outer)
        if (slice_equal(one->name, name))
            return one->value;
    return NULL;
}

/* Writes the names from the first one on; false when it is no path of names, or (reported) has no value.
 * *is_path says which. */
static bool gather_path(struct hcl_evaluation *evaluation, const struct hcl_expression *expression,
                        struct hcl_path *path, bool *is_path)
{
    if (expression->kind == HCL_NAME) {
        path->names[path->count++] = expression->text;
        return true;
    }
    if (expression->kind != HCL_ATTRIBUTE && expression->kind != HCL_INDEX)
        return *is_path = false;
    if (!gather_path(evaluation, expression->first, path, is_path))
        return false;
    struct slice name = expression->text;
    if (expression->kind == HCL_INDEX) {
        const struct node *index = hcl_evaluate(evaluation, expression->first->next);
        name = index ? hcl_text_of(evaluation, index) : (struct slice){ NULL, 0 };
    }
    if (path->count == HCL_PATH_MAX)
        hcl_refuse(evaluation, &expression->position, "a reference of more than %d names", HCL_PATH_MAX);
    if (name.data == NULL || path->count == HCL_PATH_MAX)
        return false;
    path->names[path->count++] = name;
    return true;
}

static const struct node *evaluate_path(struct hcl_evaluation *evaluation, struct hcl_path *path)
{
    const struct node *value = find_binding(evaluation, path->names[0]);
    path->used = 1;
    if (value == NULL)
        value = evaluation->resolve(evaluation, path);
    for (uint32_t i = path->used; value && i < path->count; i++)
        value = take_part(evaluation, value, path->names[i], &path->position);
    return value;
}

static bool starts_with_name(const struct hcl_expression *expression)
{
    uint32_t steps = 0;
    while ((expression->kind == HCL_ATTRIBUTE || expression->kind == HCL_INDEX) && steps++ < HCL_DEPTH_MAX)
        expression = expression->first;
    return expression->kind == HCL_NAME;
}

static const struct node *evaluate_step(struct hcl_evaluation *evaluation,
                                        const struct hcl_expression *expression)
{
    if (starts_with_name(expression)) {
        struct hcl_path path = { .position = expression->position };
        bool is_path = true;
        return gather_path(evaluation, expression, &path, &is_path) ? evaluate_path(evaluation, &path) : NULL;
    }
    const struct node *of = hcl_evaluate(evaluation, expression->first);
    const struct node *index = NULL;
    struct slice name = expression->text;
    if (of && expression->kind == HCL_INDEX) {
        index = hcl_evaluate(evaluation, expression->first->next);
        name = index ? hcl_text_of(evaluation, index) : (struct slice){ NULL, 0 };
    }
    return of && name.data ? take_part(evaluation, of, name, &expression->position) : NULL;
}

/* --- texts and collections ------------------------------------------------------------------------------ */

static const struct node *evaluate_template(struct hcl_evaluation *evaluation,
                                            const struct hcl_expression *expression)
{
    struct slice text = SLICE("");
    for (const struct hcl_expression *part = expression->first; part; part = part->next) {
        const struct node *value = hcl_evaluate(evaluation, part);
        struct slice piece = value ? hcl_text_of(evaluation, value) : (struct slice){ NULL, 0 };
        if (piece.data == NULL || !spend(evaluation, &part->position, text.size + piece.size))
            return NULL;
        text = arena_format(evaluation->arena, "%.*s%.*s", SLICE_FORMAT(text), SLICE_FORMAT(piece));
        if (text.data == NULL)
            return hcl_refuse(evaluation, &part->position, "out of memory");
    }
    return hcl_make_text(evaluation, &expression->position, text);
}

static const struct node *evaluate_tuple(struct hcl_evaluation *evaluation,
                                         const struct hcl_expression *expression)
{
    struct hcl_builder tuple = { evaluation, hcl_make(evaluation, NODE_SEQUENCE, &expression->position), 0 };
    bool good = tuple.node != NULL;
    for (const struct hcl_expression *part = expression->first; part; part = part->next) {
        const struct node *value = good ? hcl_evaluate(evaluation, part) : NULL;
        good = value && hcl_append(&tuple, value);
    }
    return good ? tuple.node : NULL;
}

static const struct node *evaluate_object(struct hcl_evaluation *evaluation,
                                          const struct hcl_expression *expression)
{
    struct hcl_builder object = { evaluation, hcl_make(evaluation, NODE_MAPPING, &expression->position), 0 };
    bool good = object.node != NULL;
    for (const struct hcl_expression *part = expression->first; part; part = part->next->next) {
        const struct node *key = good ? hcl_evaluate(evaluation, part) : NULL;
        const struct node *value = key ? hcl_evaluate(evaluation, part->next) : NULL;
        struct slice name = value ? hcl_text_of(evaluation, key) : (struct slice){ NULL, 0 };
        good = name.data && hcl_set(&object, name, value);
    }
    return good ? object.node : NULL;
}

/* --- loops ---------------------------------------------------------------------------------------------- */

struct loop {
    struct hcl_evaluation *evaluation;
    const struct hcl_expression *of;
    const struct hcl_expression *key, *value, *condition; /* NULL: none */
    struct hcl_builder out;
};

/* Of `k => v...` the values of one key are a list. */
static bool add_to_group(struct loop *loop, struct slice key, const struct node *value)
{
    const struct node *known = hcl_part(loop->out.node, key);
    struct hcl_builder group = { loop->evaluation, NULL, 0 };
    group.node = hcl_make(loop->evaluation, NODE_SEQUENCE, &value->position);
    bool good = group.node != NULL;
    for (uint32_t i = 0; good && known && i < known->count; i++)
        good = hcl_append(&group, known->entries[i].value);
    return good && hcl_append(&group, value) && hcl_set(&loop->out, key, group.node);
}

static bool run_once(struct loop *loop)
{
    struct hcl_evaluation *evaluation = loop->evaluation;
    if (loop->condition) {
        const struct node *holds = hcl_evaluate(evaluation, loop->condition);
        if (holds == NULL || holds->kind != NODE_BOOLEAN)
            return holds && hcl_refuse(evaluation, &holds->position, "expected true or false");
        if (!holds->boolean)
            return true;
    }
    const struct node *key = loop->key ? hcl_evaluate(evaluation, loop->key) : NULL;
    if (loop->key && key == NULL)
        return false;
    const struct node *value = hcl_evaluate(evaluation, loop->value);
    if (value == NULL || loop->key == NULL)
        return value && hcl_append(&loop->out, value);
    struct slice name = hcl_text_of(evaluation, key);
    if (name.data == NULL)
        return false;
    return loop->of->expands ? add_to_group(loop, name, value) : hcl_set(&loop->out, name, value);
}

static bool run_loop(struct loop *loop, const struct node *collection)
{
    struct hcl_evaluation *evaluation = loop->evaluation;
    const struct hcl_binding *outer = evaluation->bindings;
    bool two = loop->of->second_text.data != NULL, good = true;
    for (uint32_t i = 0; good && i < collection->count; i++) {
        const struct node_entry *entry = &collection->entries[i];
        const struct node *key = collection->kind == NODE_MAPPING
                                     ? hcl_make_text(evaluation, &entry->value->position, entry->key)
                                     : hcl_make_number(evaluation, &entry->value->position, (double)i);
        struct hcl_binding first = { loop->of->text, two ? key : entry->value, outer };
        struct hcl_binding second = { loop->of->second_text, entry->value, &first };
        evaluation->bindings = two ? &second : &first;
        good = key && run_once(loop);
    }
    evaluation->bindings = outer;
    return good;
}

static const struct node *evaluate_for(struct hcl_evaluation *evaluation,
                                       const struct hcl_expression *expression)
{
    const struct hcl_expression *part = expression->first->next;
    struct loop loop = { .evaluation = evaluation, .of = expression };
    if (expression->has_key) {
        loop.key = part;
        part = part->next;
    }
    loop.value = part;
    loop.condition = expression->has_condition ? part->next : NULL;
    const struct node *collection = hcl_evaluate(evaluation, expression->first);
    if (collection == NULL)
        return NULL;
    if (collection->kind != NODE_SEQUENCE && collection->kind != NODE_MAPPING)
        return hcl_refuse(evaluation, &collection->position, "expected a list or an object");
    loop.out.evaluation = evaluation;
    loop.out.node = hcl_make(evaluation, loop.key ? NODE_MAPPING : NODE_SEQUENCE, &expression->position);
    return loop.out.node && run_loop(&loop, collection) ? loop.out.node : NULL;
}

static const struct node *evaluate_splat(struct hcl_evaluation *evaluation,
                                         const struct hcl_expression *expression)
{
    const struct node *of = hcl_evaluate(evaluation, expression->first);
    const struct node *outer = evaluation->item;
    struct hcl_builder out = { evaluation, NULL, 0 };
    out.node = of ? hcl_make(evaluation, NODE_SEQUENCE, &expression->position) : NULL;
    bool good = out.node != NULL, single = of && of->kind != NODE_SEQUENCE;
    uint32_t count = !good || of->kind == NODE_NULL ? 0 : single ? 1 : of->count;
    for (uint32_t i = 0; good && i < count; i++) {
        evaluation->item = single ? of : of->entries[i].value;
        const struct node *value = hcl_evaluate(evaluation, expression->first->next);
        good = value && hcl_append(&out, value);
    }
    evaluation->item = outer;
    return good ? out.node : NULL;
}

/* --- calls ---------------------------------------------------------------------------------------------- */

enum { ARGUMENTS_MAX = 256 };

static const struct node *evaluate_call(struct hcl_evaluation *evaluation,
                                        const struct hcl_expression *expression)
{
    const struct node *arguments[ARGUMENTS_MAX];
    struct hcl_call call = { evaluation, expression->text, &expression->position, arguments, 0 };
    for (const struct hcl_expression *part = expression->first; part; part = part->next) {
        const struct node *value = hcl_evaluate(evaluation, part);
        bool list = value && expression->expands && part->next == NULL;
        if (value == NULL)
            return NULL;
        if (list && value->kind != NODE_SEQUENCE)
            return hcl_refuse(evaluation, &part->position, "'...' expects a list");
        uint32_t count = list ? value->count : 1;
        if (count > ARGUMENTS_MAX - call.count)
            return hcl_refuse(evaluation, &part->position, "more than %d arguments", ARGUMENTS_MAX);
        for (uint32_t i = 0; i < count; i++)
            arguments[call.count++] = list ? value->entries[i].value : value;
    }
    return hcl_call_function(&call);
}

static const struct node *evaluate_condition(struct hcl_evaluation *evaluation,
                                             const struct hcl_expression *expression)
{
    const struct node *condition = hcl_evaluate(evaluation, expression->first);
    if (condition == NULL)
        return NULL;
    if (condition->kind != NODE_BOOLEAN)
        return hcl_refuse(evaluation, &expression->position, "expected true or false before '?'");
    const struct hcl_expression *yes = expression->first->next;
    return hcl_evaluate(evaluation, condition->boolean ? yes : yes->next);
}

static const struct node *evaluate_kind(struct hcl_evaluation *evaluation,
                                        const struct hcl_expression *expression)
{
    switch (expression->kind) {
    case HCL_VALUE: return expression->value;
    case HCL_ITEM: return evaluation->item;
    case HCL_TEMPLATE: return evaluate_template(evaluation, expression);
    case HCL_NAME:
    case HCL_ATTRIBUTE:
    case HCL_INDEX: return evaluate_step(evaluation, expression);
    case HCL_SPLAT: return evaluate_splat(evaluation, expression);
    case HCL_CALL: return evaluate_call(evaluation, expression);
    case HCL_TUPLE: return evaluate_tuple(evaluation, expression);
    case HCL_OBJECT: return evaluate_object(evaluation, expression);
    case HCL_FOR: return evaluate_for(evaluation, expression);
    case HCL_CONDITION: return evaluate_condition(evaluation, expression);
    case HCL_UNKNOWN:
        return hcl_refuse(evaluation, &expression->position, "%.*s: not supported yet",
                          SLICE_FORMAT(expression->text));
    case HCL_UNARY:
    case HCL_BINARY: return hcl_operate(evaluation, expression);
    }
    return NULL;
}

const struct node *hcl_evaluate(struct hcl_evaluation *evaluation, const struct hcl_expression *expression)
{
    if (evaluation->depth >= HCL_DEPTH_MAX)
        return hcl_refuse(evaluation, &expression->position, "nested deeper than %d levels", HCL_DEPTH_MAX);
    if (++evaluation->steps > HCL_STEPS_MAX)
        return hcl_refuse(evaluation, &expression->position, "more than %u steps to evaluate",
                          (unsigned)HCL_STEPS_MAX);
    evaluation->depth++;
    const struct node *value = evaluate_kind(evaluation, expression);
    evaluation->depth--;
    return value;
}
