/* SPDX-License-Identifier: Apache-2.0 */
/* Which of the plugins and vaults there are a configuration may use, as the settings `plugins` and `vaults`
 * say. Control thread only. */
#pragma once

#include "config/plugin_kind.h"
#include "config/settings.h"
#include "config/vault.h"

/* Those of `all` (ends with NULL) that are chosen, in the same order and in the arena; NULL when memory is
 * exhausted. Names of no plugin at all are reported. */
const struct plugin_kind *const *bundled_plugins(const struct plugin_kind *const *all,
                                                 const struct slices *chosen, struct arena *arena,
                                                 struct report *report);

/* What references are looked up in before any vault was configured. */
void bundled_vaults(const struct settings *settings, struct vaults *vaults);
