/* SPDX-License-Identifier: Apache-2.0 */
/* Unary and binary operators of HCL. Used by config/hcl/evaluate.c alone. */
#pragma once

#include "config/hcl/evaluate.h"

const struct node *hcl_operate(struct hcl_evaluation *evaluation, const struct hcl_expression *expression);
