/* SPDX-License-Identifier: Apache-2.0 */
/* A text in HCL, the language of Terraform, as a tree of bodies and expressions that know their places.
 * Nothing is computed here, see config/hcl/evaluate.h. Control thread only; the tree lives in the arena of
 * the reading. */
#pragma once

#include "config/document.h"

enum hcl_kind {
    HCL_VALUE, /* `value` */
    HCL_TEMPLATE, /* its parts as one text */
    HCL_NAME, /* the first name of a reference: `text` */
    HCL_ITEM, /* in the second part of a splat: the element at hand */
    HCL_ATTRIBUTE, /* `text` of the first part */
    HCL_INDEX, /* the element of the first part that the second one names */
    HCL_SPLAT, /* the second part for each element of the first */
    HCL_CALL, /* the function `text` of its parts; `expands`: the last is a list of further ones */
    HCL_TUPLE,
    HCL_OBJECT, /* parts: key, value, key, value ... */
    HCL_FOR, /* parts: collection, [key,] value, [condition]; names in `text` and `second_text` */
    HCL_CONDITION, /* parts: condition, then, else */
    HCL_UNARY, /* `text` is - or ! */
    HCL_BINARY, /* `text` is the operator */
    HCL_UNKNOWN /* `text` says what has no meaning here, which matters when somebody asks for the value */
};

struct hcl_expression {
    enum hcl_kind kind;
    struct node_position position;
    struct slice text, second_text;
    const struct node *value;
    struct hcl_expression *first, *next; /* the first part; the next one of the whole around */
    bool expands; /* of a call; of a for with a key: values of a key are gathered in a list */
    bool has_key, has_condition; /* of a for */
};

struct hcl_body;

/* name = value, or (value NULL) type "label" ... { body } */
struct hcl_item {
    struct slice name;
    struct node_position position;
    struct hcl_expression *value;
    struct slices labels;
    struct hcl_body *body;
    struct hcl_item *next;
};

struct hcl_body {
    struct hcl_item *first;
    struct node_position position;
};

/* NULL when it was reported why not: at most `limits->nodes` expressions, nested `limits->depth` deep. */
struct hcl_body *hcl_read(struct slice text, const char *file, const struct document_reading *reading);

/* A value of a JSON document in which every text is a template, as in *.tf.json. NULL as above. */
struct hcl_expression *hcl_of_node(const struct node *node, const struct document_reading *reading);

/* The item of that name, or NULL. */
const struct hcl_item *hcl_find(const struct hcl_body *body, const char *name);
