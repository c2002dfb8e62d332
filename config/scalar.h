/* SPDX-License-Identifier: Apache-2.0 */
/* What a plain scalar means: the core schema of YAML 1.2, in which yes and no are strings. Control thread. */
#pragma once

#include "config/document.h"

/* Sets kind and value from node->text, which must end with a NUL. */
void scalar_resolve(struct node *node);

/* The same for a text that must be a number; false when it is none. */
bool scalar_number(struct node *node);
