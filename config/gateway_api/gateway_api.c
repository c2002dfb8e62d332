/* SPDX-License-Identifier: Apache-2.0 */
#include "config/gateway_api/reader.h"

struct gateway_list gateway_list_open(const struct node *record, const char *field,
                                      const struct config_place *place)
{
    struct gateway_list list = { .list = node_find(record, field), .place = schema_place(place, field) };
    if (list.list == NULL || list.list->kind == NODE_NULL) {
        list.list = NULL;
    } else if (list.list->kind != NODE_SEQUENCE) {
        schema_error(place, record, field, "expected an array");
        list.list = NULL;
    }
    return list;
}

uint32_t gateway_list_count(const struct gateway_list *list)
{
    return list->list ? list->list->count : 0;
}

const struct node *gateway_list_next(struct gateway_list *list, struct config_place *place)
{
    while (list->next < gateway_list_count(list)) {
        uint32_t index = list->next++;
        const struct node *node = list->list->entries[index].value;
        *place = schema_element(&list->place, index);
        if (node->kind == NODE_MAPPING)
            return node;
        report_add(place->report, REPORT_ERROR, &node->position, place->path, "expected a record");
    }
    return NULL;
}

bool gateway_is_given(const struct node *record, const char *field)
{
    const struct node *value = node_find(record, field);
    return value != NULL && value->kind != NODE_NULL;
}

void gateway_api_read(struct kube_reader *kube, const struct kube_cluster *cluster)
{
    struct gateway_reader reader = { .kube = kube, .cluster = cluster };
    uint32_t before = kube->report->error_count;
    gateway_read_gateways(&reader);
    gateway_read_routes(&reader);
    if (kube->report->error_count == before && !kube->out_of_memory)
        gateway_compile(&reader);
}
