/* SPDX-License-Identifier: Apache-2.0 */
/* Loads what a command line names, for the commands that only look. Control thread. */
#pragma once

#include "config/load.h"
#include "core/app/commands.h"
#include "core/base/check.h"

/* Reads paths, environment and overrides. Errors and warnings go to stderr; false when there were errors.
 * config_unload is due in both cases. */
bool command_load(const struct command_options *options, struct loaded *loaded) MUST_CHECK;

/* The same without printing: everything goes into `report`, and with `texts` (or NULL) the documents stay
 * there and any mapping without a mark is taken for Kong's. */
struct command_loading {
    struct report *report;
    struct config_texts *texts;
};
bool command_load_into(const struct command_options *options, struct loaded *loaded,
                       const struct command_loading *loading);
