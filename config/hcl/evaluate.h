/* SPDX-License-Identifier: Apache-2.0 */
/* Expressions of HCL as nodes. What names stand for is asked of the owner; names of loops are known here. An
 * evaluation is bounded in depth, steps and bytes, and lives as long as the owner's arena. Control thread. */
#pragma once

#include "config/hcl/hcl.h"

struct hcl_evaluation;

/* `a.b["c"]` is the names a, b, c. */
enum { HCL_PATH_MAX = 16 };
struct hcl_path {
    struct slice names[HCL_PATH_MAX];
    uint32_t count;
    uint32_t used; /* set by who resolves it: how many names the value stands for; the rest are its parts */
    struct node_position position;
};

/* NULL when it was reported why there is no value. */
typedef const struct node *hcl_resolve_fn(struct hcl_evaluation *evaluation, struct hcl_path *path);

struct hcl_binding {
    struct slice name;
    const struct node *value;
    const struct hcl_binding *outer;
};

struct hcl_evaluation {
    struct arena *arena;
    struct report *report;
    hcl_resolve_fn *resolve;
    void *owner;
    const char *subject; /* whose expressions: the path in messages */
    const struct hcl_binding *bindings; /* names of loops, each, count */
    const struct node *item; /* of a splat */
    uint32_t depth;
    uint64_t steps, bytes; /* spent */
};

enum { HCL_DEPTH_MAX = 200, HCL_WEIGHT_MAX = 1000000 };
#define HCL_STEPS_MAX UINT64_C(4000000)
#define HCL_BYTES_MAX (UINT64_C(64) * 1024 * 1024)

/* NULL when it was reported why there is none. */
const struct node *hcl_evaluate(struct hcl_evaluation *evaluation, const struct hcl_expression *expression);

/* Reports at the place; always NULL. */
const struct node *hcl_refuse(struct hcl_evaluation *evaluation, const struct node_position *position,
                              const char *format, ...) __attribute__((format(printf, 3, 4)));

/* New nodes, NULL when memory or the bounds are exhausted (reported). */
struct node *hcl_make(struct hcl_evaluation *evaluation, enum node_kind kind,
                      const struct node_position *position);
struct node *hcl_make_text(struct hcl_evaluation *evaluation, const struct node_position *position,
                           struct slice text);
struct node *hcl_make_number(struct hcl_evaluation *evaluation, const struct node_position *position,
                             double number);
struct node *hcl_make_boolean(struct hcl_evaluation *evaluation, const struct node_position *position,
                              bool value);

/* A collection that grows, entries of the same key replaced. False: reported. Its `integer` counts the values
 * in it, each as often as it is reached. */
struct hcl_builder {
    struct hcl_evaluation *evaluation;
    struct node *node;
    uint32_t capacity;
};
bool hcl_append(struct hcl_builder *builder, const struct node *value);
bool hcl_set(struct hcl_builder *builder, struct slice key, const struct node *value);

/* The part of a collection: a key, or an index in decimal digits. NULL (not reported): there is none. */
const struct node *hcl_part(const struct node *node, struct slice name);

/* A number, text or boolean as text; absent (reported) when it is something else. */
struct slice hcl_text_of(struct hcl_evaluation *evaluation, const struct node *node);
bool hcl_same(const struct node *a, const struct node *b);

/* config/hcl/functions.c: the arguments are evaluated already. */
struct hcl_call {
    struct hcl_evaluation *evaluation;
    struct slice name;
    const struct node_position *position;
    const struct node *const *arguments;
    uint32_t count;
};
const struct node *hcl_call_function(const struct hcl_call *call);

/* config/hcl/json_text.c: a value as JSON, as jsonencode writes it: keys sorted, no blanks. */
struct slice hcl_json_text(struct hcl_evaluation *evaluation, const struct node *node);
