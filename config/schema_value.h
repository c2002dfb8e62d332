/* SPDX-License-Identifier: Apache-2.0 */
/* The parts that reading a node and reading a text have in common: checks, choices and their messages. Used
 * by config/schema*.c alone, on the control thread. */
#pragma once

#include "config/schema.h"

enum { VALUE_REASON_SIZE = 512 };

/* NULL when the text may stand in that field, else why not. */
const char *value_check_text(const struct field *field, struct slice text);

/* The reason of a check with `{}` replaced by the text, in a buffer of VALUE_REASON_SIZE, or as it is. */
const char *value_reason(const char *reason, struct slice text, char *buffer);

/* False when it may not, with the reason in a buffer of VALUE_REASON_SIZE. */
bool value_check_range(const struct field *field, double number, char *reason);

int value_find_choice(const struct field *field, struct slice text); /* -1: none of them */
const char *value_choices_text(const struct field *field, char *reason); /* "expected one of: a, b" */
