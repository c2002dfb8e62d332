/* SPDX-License-Identifier: Apache-2.0 */
/* Kong's kong.conf: lines of `key = value`, with # before comments and \# for the character itself. Control
 * thread only. */
#pragma once

#include "config/settings.h"

/* Whether a text is of that kind: its first line that says anything is `key = value`. */
bool settings_conf_recognise(struct slice text);

/* Applies every line to settings that were initialised; errors name `file` and the line. */
bool settings_conf_apply(struct settings *settings, struct slice text, const char *file,
                         struct report *report);
