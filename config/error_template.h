/* SPDX-License-Identifier: Apache-2.0 */
/* The body of an error as an operator wants it, from a file (Kong's error_template_* settings): text with two
 * `%s`, for the message and for the request's id, and `%%` for a percent sign. Control thread. */
#pragma once

#include "core/base/arena.h"

enum { ERROR_TEMPLATE_BYTES_MAX = 256 * 1024 };

enum error_template_kind {
    ERROR_TEMPLATE_HTML,
    ERROR_TEMPLATE_JSON,
    ERROR_TEMPLATE_XML,
    ERROR_TEMPLATE_PLAIN,
    ERROR_TEMPLATE_COUNT
};

/* Absent when parts[0].data is NULL: the built-in body. */
struct error_template {
    struct slice parts[3]; /* before the message, between, behind the id */
};

/* NULL when it was good, else the reason: static text. */
const char *error_template_parse(struct slice text, struct arena *arena, struct error_template *out);

/* The same of a file, at most ERROR_TEMPLATE_BYTES_MAX. */
const char *error_template_read(const char *path, struct arena *arena, struct error_template *out);
