/* SPDX-License-Identifier: Apache-2.0 */
/* A store in the place of the Kong files: what is loaded when entities are kept in it. Control thread. */
#pragma once

#include "config/load.h"
#include "core/app/store.h"

/* To be freed is the text. */
struct stored_text {
    char *text;
    struct config_text item;
    struct config_kong_texts texts;
};

/* Has the sources read the store's entities, as long as `stored` lives. False: they could not be read. */
bool stored_read(struct store *store, struct stored_text *stored, struct config_sources *sources) MUST_CHECK;

/* Opens the store that the settings name, if they do, and loads the model from it. An empty one takes over
 * what was loaded from files; from then on the store counts. False: it was reported why not. */
bool stored_begin(const struct config_sources *sources, struct loaded *loaded, struct store **store,
                  struct report *report) MUST_CHECK;
