/* SPDX-License-Identifier: Apache-2.0 */
/* What the table of settings says beyond the schema's own flags, and what becomes of Kong's settings that are
 * not in it. Used by config/settings*.c alone. */
#pragma once

#include "config/settings.h"

/* Kong has the same setting: KONG_<KEY> is read, too. */
#define SETTINGS_KONG (1u << 16)

enum settings_fate {
    SETTINGS_UNKNOWN, /* not one of Kong's */
    SETTINGS_NEEDLESS, /* asks for nothing that is not so anyway */
    SETTINGS_USELESS, /* has no meaning here: accepted with a warning that says why */
    SETTINGS_REFUSED /* asks for what is not there yet */
};

/* What becomes of a setting of Kong that is not in the table; *reason is why, for the last two. */
enum settings_fate settings_judge(struct slice key, struct slice value, const char **reason);

/* The name in the table of a setting that Kong passes on to nginx; absent when it has none. */
struct slice settings_of_nginx(struct slice key);
