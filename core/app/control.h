/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that may block: it starts the shards and the monitor, takes signals, reloads, and ends the
 * process in order. */
#pragma once

#include "config/load.h"
#include "core/app/worker.h"

struct control;

/* Takes the model of what was loaded. Runs until the process is asked to end; the exit status. `demo`
 * prints what to try. */
enum control_greeting { CONTROL_PLAIN, CONTROL_DEMO };
int control_run(const struct config_sources *sources, struct loaded *loaded, enum control_greeting greeting);
