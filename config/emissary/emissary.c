/* SPDX-License-Identifier: Apache-2.0 */
#include "config/emissary/parts.h"

const struct schema *const emissary_schemas[] = {
    &emissary_listener_schema, &emissary_host_schema, &emissary_mapping_schema, &emissary_module_schema, NULL,
};

void emissary_read(struct kube_reader *kube, const struct kube_cluster *cluster)
{
    struct emissary_reader reader = { .kube = kube, .cluster = cluster };
    bool any = false;
    for (uint32_t i = 0; i < kube->object_count; i++)
        any = any || kube->objects[i]->group == KUBE_EMISSARY;
    if (!any)
        return;
    uint32_t before = kube->report->error_count;
    emissary_read_module(&reader);
    emissary_read_listeners(&reader);
    emissary_read_hosts(&reader);
    emissary_read_mappings(&reader);
    emissary_read_policies(&reader);
    emissary_group_mappings(&reader);
    if (kube->report->error_count == before)
        emissary_compile(&reader);
}
