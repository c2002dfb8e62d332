/* SPDX-License-Identifier: Apache-2.0 */
/* Everything a start or a reload reads: files and directories told apart by content, the environment, the
 * command line; out come settings and one model. Control thread only. */
#pragma once

#include "config/model.h"
#include "config/settings.h"

/* What a file without any mark is taken for. */
enum config_dialect { CONFIG_BY_CONTENT, CONFIG_KONG };

/* The Kong documents as they were read, in their order, for whoever answers with parts of them. */
struct config_texts {
    struct arena arena; /* the caller's: initialised before, freed after */
    struct documents kong;
};

/* A text with the name that messages call it by. */
struct config_text {
    struct slice text;
    const char *name;
};

/* Kong documents that take the place of those in the files: what was posted, or is kept in a store. */
struct config_kong_texts {
    const struct config_text *items;
    uint32_t count;
};

struct config_sources {
    const char *const *paths;       /* files or directories, ends with NULL; may be NULL */
    struct slice text;              /* one more file in memory, e.g. the demo's; may be absent */
    const char *text_name;          /* what messages call it */
    const char *const *environment; /* NAME=VALUE, ends with NULL; may be NULL */
    const char *const *overrides;   /* KEY=VALUE of --set, ends with NULL; may be NULL */
    unsigned cores;                 /* for profiles; 0: those this process may use */
    const struct plugin_kind *const *plugins; /* ends with NULL */
    enum config_dialect dialect;
    struct config_texts *texts; /* NULL: texts are freed as soon as they were read */
    const struct config_kong_texts *kong; /* NULL: the files' own count */
    const struct catalog
        *unchanged; /* what the first of those was written from, see config/catalog.h; or NULL */
    bool catalogued; /* the model gets a catalog if the settings name an admin listener or a store */
};

struct loaded {
    struct settings settings;
    struct model *model; /* the caller may take it, and sets NULL then */
};

/* Reads all, however many errors there are; they and the warnings end up sorted in the report. False when
 * there were errors. config_unload is due in both cases. */
bool config_load(const struct config_sources *sources, struct loaded *loaded, struct report *report);
void config_unload(struct loaded *loaded);
