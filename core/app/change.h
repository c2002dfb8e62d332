/* SPDX-License-Identifier: Apache-2.0 */
/* A new configuration that somebody who administers asks for: handed by the admin thread to the control
 * thread, which loads it as a whole, and puts it in force for all shards or leaves everything as it was. */
#pragma once

#include "config/load.h"

enum change_result {
    CHANGE_DONE, /* in force on every shard */
    CHANGE_INVALID, /* `refused` was told why */
    CHANGE_FAILED, /* `commit` said no, or memory is exhausted */
    CHANGE_CLOSED /* the process is about to end, or to hand over */
};

struct watch;

/* What a task may use. */
struct change_tools {
    struct watch *watch;
    const struct model *model; /* in force */
    uint64_t generation; /* of its snapshot */
};

struct change {
    const struct config_kong_texts *kong; /* NULL: what the files, or the store, hold now */
    /* Of the configuration whose catalog the first of these texts was written from; 0: of none. */
    uint64_t generation;
    void *argument; /* of the functions, which are called on the control thread while the asker waits */
    void (*refused)(void *argument, const struct report *report, const struct documents *documents);
    /* It is valid and about to be put in force; NULL: nothing to do. */
    bool (*commit)(void *argument, const struct catalog *catalog);
    const char *what; /* for the journal */
    /* Instead of all that: done on the control thread, which alone may ask the monitor. NULL: none. */
    void (*task)(void *argument, const struct change_tools *tools);
};
