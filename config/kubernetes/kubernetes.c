/* SPDX-License-Identifier: Apache-2.0 */
#include "config/kubernetes/kubernetes.h"

#include "config/emissary/emissary.h"
#include "config/gateway_api/gateway_api.h"

bool kubernetes_recognise(const struct node *document)
{
    const struct node *version = node_find(document, "apiVersion");
    return version != NULL && version->kind == NODE_STRING;
}

bool kubernetes_read_all(const struct kubernetes_sources *sources, struct model *model, struct report *report)
{
    uint32_t before = report->error_count;
    struct kube_reader reader = { .model = model, .report = report, .plugins = sources->plugins };
    struct kube_cluster cluster;
    if (sources->documents->count == 0)
        return true;
    reader.options = (struct kube_options){ sources->namespace, sources->ambassador_id, sources->controller };
    kube_open(&reader);
    for (uint32_t i = 0; i < sources->documents->count; i++)
        kube_read(&reader, sources->documents->items[i]);
    kube_cluster_read(&reader, &cluster);
    emissary_read(&reader, &cluster);
    gateway_api_read(&reader, &cluster);
    kube_close(&reader);
    return report->error_count == before;
}
