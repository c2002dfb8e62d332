/* SPDX-License-Identifier: Apache-2.0 */
/* Targets and how they are. */
#include "core/app/admin_entities.h"

/* Every target of an upstream is listed as it is: there is no history. */
static void handle_all_targets(struct admin_call *call)
{
    const struct admin_source *source = &call->node->source;
    struct admin_target target = { .kind = kong_find_entity_kind(SLICE("targets")),
                                   .parent = kong_find_entity_kind(SLICE("upstreams")),
                                   .relation = kong_find_relation(SLICE("targets"), SLICE("upstream")) };
    const struct catalog *catalog = source->open_catalog(source->owner);
    const struct catalog_row *parent = catalog ? admin_find(catalog, target.parent, call->segments[1]) : NULL;
    if (parent)
        admin_list(call, catalog, &target, parent);
    else
        admin_not_found(call);
    source->close_catalog(source->owner);
}

const struct admin_endpoint admin_health_endpoints[] = {
    { "/upstreams/{}/targets/all", ADMIN_GET, handle_all_targets, false },
    { 0 },
};
