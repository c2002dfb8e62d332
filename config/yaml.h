/* SPDX-License-Identifier: Apache-2.0 */
/* The YAML reader: libyaml's events into a builder. Used by config/document.c alone, on the control
 * thread. */
#pragma once

#include "config/builder.h"

/* Adds the documents of `text` to `out`. False when the text is no YAML, which is reported. */
bool yaml_read(struct builder *builder, struct slice text, struct documents *out);
