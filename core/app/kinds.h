/* SPDX-License-Identifier: Apache-2.0 */
/* What the front-ends have to know of this build's plugins, taken from the registry. Constant once it was
 * asked for by the control thread, before other threads exist. */
#pragma once

#include "net/proxy/plugin.h"

/* In the order of the registry, ends with NULL. */
const struct plugin_kind *const *app_plugin_kinds(void);
