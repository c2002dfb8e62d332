/* SPDX-License-Identifier: Apache-2.0 */
/* What the table of settings says beyond the schema's own flags. Used by config/settings*.c alone. */
#pragma once

#include "config/settings.h"

/* Kong has the same setting: KONG_<KEY> is read, too. */
#define SETTINGS_KONG (1u << 16)

/* Settings of Kong that have no meaning here: accepted with a warning. */
bool settings_is_ignored(struct slice key);
