/* SPDX-License-Identifier: Apache-2.0 */
/* Where a plugin's requests go instead of where their service would send them: for each service that they may
 * be about, one like it with another host or port. Made when the model is whole (plugin_kind.link) and in its
 * arena; then only read, by any thread. */
#pragma once

#include "config/model.h"

struct detour_entry {
    uint32_t from; /* index of the service */
    const struct service *to;
};

struct detour {
    struct detour_entry *entries; /* sorted by `from` */
    uint32_t count;
};

struct detour_place {
    struct slice host; /* a name, an address or an upstream's name; absent: as it is */
    int64_t port; /* INTEGER_NULL: as it is */
};

/* For all services that requests with this instance may be about. False when memory is exhausted. */
bool detour_build(struct detour *detour, struct model *model, const struct plugin_instance *instance,
                  const struct detour_place *place) MUST_CHECK;

/* NULL: there is none for it. */
const struct service *detour_find(const struct detour *detour, const struct service *from);
