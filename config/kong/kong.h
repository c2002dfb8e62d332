/* SPDX-License-Identifier: Apache-2.0 */
/* The front-end for Kong's declarative file: checks it as Kong does, with Kong's messages, and builds the
 * model. What is known to Kong and not supported here is an error that says so. Control thread only. */
#pragma once

#include "config/model.h"

/* A mapping with `_format_version`. */
bool kong_recognise(const struct node *document);

/* Adds one document to the model. `plugins` ends with NULL. False when something was reported; the model is
 * then only good for model_close. */
bool kong_read(const struct node *document, const struct plugin_kind *const *plugins, struct model *model,
               struct report *report);

/* Several documents as one configuration: names must be unique over all, references go over all. */
bool kong_read_all(const struct documents *documents, const struct plugin_kind *const *plugins,
                   struct model *model, struct report *report);

/* The entities for the generated reference, ends with NULL. */
extern const struct schema *const kong_schemas[];
