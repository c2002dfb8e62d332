/* SPDX-License-Identifier: Apache-2.0 */
#include "core/app/kinds.h"

enum { KINDS_MAX = 128 };

const struct plugin_kind *const *app_plugin_kinds(void)
{
    static const struct plugin_kind *kinds[KINDS_MAX + 1];
    for (size_t i = 0; plugin_registry[i]; i++) {
        CHECK(i < KINDS_MAX);
        kinds[i] = &plugin_registry[i]->kind;
    }
    return kinds;
}
