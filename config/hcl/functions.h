/* SPDX-License-Identifier: Apache-2.0 */
/* The functions of Terraform that are known, in two tables. Used by config/hcl/functions*.c alone. */
#pragma once

#include "config/hcl/evaluate.h"

enum { HCL_ANY_NUMBER = 255 };

struct hcl_function {
    const char *name;
    uint8_t least, most; /* arguments */
    const struct node *(*run)(const struct hcl_call *call);
};

extern const struct hcl_function hcl_text_functions[], hcl_collection_functions[]; /* end with no name */

/* An argument of that kind; NULL (reported) when it is another. */
const struct node *hcl_argument(const struct hcl_call *call, uint32_t number, enum node_kind kind);

/* An argument that is a text, number or boolean, as text; absent (reported) when it is none. */
struct slice hcl_text_argument(const struct hcl_call *call, uint32_t number);
