/* SPDX-License-Identifier: Apache-2.0 */
/* One setting on its way from a source into the settings. Used by config/settings*.c alone, on the control
 * thread. */
#pragma once

#include "config/settings.h"

struct setting {
    struct slice key, value;
    struct node_position key_position, value_position;
    const char *path;
    struct report *report;
};

/* What references are looked up in is known before what may be one. */
enum settings_turn { SETTINGS_VAULTS, SETTINGS_OTHERS };
bool settings_is_turn(struct slice key, enum settings_turn turn);

/* A setting from a place where only Kong's names are expected; other ones are noticed. */
bool settings_apply_kongs(struct settings *settings, const struct setting *setting);
