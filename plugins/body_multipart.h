/* SPDX-License-Identifier: Apache-2.0 */
/* The multipart/form-data kind of plugins/body_arguments.h (RFC 7578, RFC 2046 section 5.1): its own part
 * only. One thread. */
#pragma once

#include "plugins/body_arguments.h"

/* Fills the boundary and the items. False: not multipart as it should be, or see arguments->failed. */
bool body_multipart_read(struct body_arguments *arguments, struct slice content_type,
                         struct slice body) MUST_CHECK;

/* A part from its headers to the end of its content; the bytes written. */
size_t body_multipart_write(char *out, const struct body_argument *argument);

/* Appends one argument; false: too many, or memory, and `failed` is set then. For readers. */
bool body_arguments_keep(struct body_arguments *arguments, struct body_argument argument) MUST_CHECK;
