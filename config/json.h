/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON reader (RFC 8259, strict): libyaml refuses some valid JSON, for instance surrogate pairs.
 * Used by config/document.c alone, on the control thread. */
#pragma once

#include "config/builder.h"

/* Reads the one value of `text` into the builder. False when the text is no JSON, which is reported. */
bool json_read(struct builder *builder, struct slice text);
