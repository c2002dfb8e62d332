/* SPDX-License-Identifier: Apache-2.0 */
/* Backends of rules: Services, their weights, and who may refer to them. */
#include "config/gateway_api/reader.h"

#include <stdio.h>

struct backend_record {
    struct slice group, kind, namespace, name;
    int64_t port, weight;
};
static const struct field backend_fields[] = {
                                               /* the weight comes last */
    { "group", FIELD_STRING, offsetof(struct backend_record, group), .flags = FIELD_EMPTY, .fallback = "" },
    { "kind", FIELD_STRING, offsetof(struct backend_record, kind), .fallback = "Service" },
    { "namespace", FIELD_STRING, offsetof(struct backend_record, namespace) },
    { "name", FIELD_STRING, offsetof(struct backend_record, name), .flags = FIELD_REQUIRED },
    { "port", FIELD_INTEGER, offsetof(struct backend_record, port), .min = 1, .max = 65535 },
    { "weight", FIELD_INTEGER, offsetof(struct backend_record, weight), .max = 1000000, .fallback = "1" },
};
static const char *const backend_others[] = { "filters", NULL };
static const struct schema backend_schema = {
    "backendRefs", backend_fields, COUNT_OF(backend_fields), sizeof(struct backend_record),
    NULL,          backend_others
};

/* --- ReferenceGrant --------------------------------------------------------------------------------- */

static bool says(const struct node *record, const char *field, struct slice wanted)
{
    const struct node *value = node_find(record, field);
    struct slice text = value && value->kind == NODE_STRING ? value->text : SLICE("");
    return slice_equal(text, wanted);
}

static bool grants_from(const struct kube_object *grant, struct slice namespace)
{
    const struct node *list = node_find(grant->spec, "from");
    for (uint32_t i = 0; list && list->kind == NODE_SEQUENCE && i < list->count; i++) {
        const struct node *one = list->entries[i].value;
        if (says(one, "group", SLICE("gateway.networking.k8s.io")) && says(one, "kind", SLICE("HTTPRoute")) &&
            says(one, "namespace", namespace))
            return true;
    }
    return false;
}

static bool grants_to(const struct kube_object *grant, struct slice name)
{
    const struct node *list = node_find(grant->spec, "to");
    for (uint32_t i = 0; list && list->kind == NODE_SEQUENCE && i < list->count; i++) {
        const struct node *one = list->entries[i].value;
        const struct node *wanted = node_find(one, "name");
        bool any = wanted == NULL || wanted->kind != NODE_STRING || wanted->text.size == 0;
        if (says(one, "group", SLICE("")) && says(one, "kind", SLICE("Service")) &&
            (any || slice_equal(wanted->text, name)))
            return true;
    }
    return false;
}

static bool is_granted(const struct gateway_reader *reader, struct slice from, struct slice to,
                       struct slice name)
{
    const struct kube_reader *kube = reader->kube;
    for (uint32_t i = 0; i < kube->object_count; i++) {
        const struct kube_object *object = kube->objects[i];
        if (kube_is(object, KUBE_GATEWAY_API, "ReferenceGrant") && slice_equal(object->namespace, to) &&
            grants_from(object, from) && grants_to(object, name))
            return true;
    }
    return false;
}

/* --- backends --------------------------------------------------------------------------------------- */

/* NULL: it was reported, or *reason is set: requests for it fail. */
static struct service *find_service(struct gateway_reader *reader, const struct kube_object *object,
                                    const struct backend_record *read, const struct kube_spot *spot,
                                    const char **reason)
{
    struct slice namespace = read->namespace.data ? read->namespace : object->namespace;
    struct kube_destination destination = { 0 };
    char port_text[8];
    snprintf(port_text, sizeof(port_text), "%d", (int)read->port);
    if (read->group.size || !slice_equal(read->kind, SLICE("Service"))) {
        *reason = "InvalidKind: only a Service can be a backend";
        return NULL;
    }
    if (read->port == INTEGER_NULL) {
        schema_error(spot->place, spot->node, "port", "required field missing");
        return NULL;
    }
    if (!slice_equal(namespace, object->namespace) &&
        !is_granted(reader, object->namespace, namespace, read->name)) {
        *reason = "RefNotPermitted: no ReferenceGrant allows it";
        return NULL;
    }
    const struct kube_service *service =
        kube_cluster_service(reader->kube, reader->cluster, namespace, read->name);
    const struct kube_port *port = service ? kube_service_port(service, slice_of(port_text)) : NULL;
    if (port == NULL) {
        *reason = service ? "BackendNotFound: the Service has no such port"
                          : "BackendNotFound: there is no such Service";
        return NULL;
    }
    if (port->app_protocol.size && !slice_equal(port->app_protocol, SLICE("http"))) {
        schema_error(spot->place, spot->node, "port", "appProtocol %.*s of the Service: not supported yet",
                     SLICE_FORMAT(port->app_protocol));
        return NULL;
    }
    if (!kube_service_destination(reader->kube, service, port, &destination))
        return NULL;
    destination.rules.cookie_ttl_s = INTEGER_NULL;
    return kube_add_service(reader->kube, object, &destination);
}

/* What cannot be used is a warning, for the API wants the rest to work. */
static void warn(const struct kube_spot *spot, const char *reason, const char *consequence)
{
    report_add(spot->place->report, REPORT_WARNING, &spot->node->position, spot->place->path, "%s: %s",
               reason, consequence);
}

struct service *gateway_mirror_service(struct gateway_reader *reader, const struct kube_object *object,
                                       const struct kube_spot *spot)
{
    struct schema schema = backend_schema;
    struct backend_record read;
    const char *reason = NULL;
    schema.field_count--; /* its weight */
    schema.others = NULL;
    if (!schema_read(&schema, spot->node, spot->place, &read))
        return NULL;
    struct service *service = find_service(reader, object, &read, spot, &reason);
    if (reason)
        warn(spot, reason, "nothing is copied");
    return service;
}

void gateway_read_backends(struct gateway_reader *reader, const struct kube_object *object,
                           const struct node *node, const struct config_place *place, struct action *action)
{
    struct gateway_list list = gateway_list_open(node, "backendRefs", place);
    struct config_place deeper;
    const struct node *one;
    uint32_t count = 0;
    uint64_t sum = 0;
    struct backend *backends = kube_take(reader->kube, (gateway_list_count(&list) + 1u) * sizeof(*backends));
    while (backends && (one = gateway_list_next(&list, &deeper)) != NULL) {
        struct backend_record read;
        struct backend *backend = &backends[count];
        struct kube_spot spot = { &deeper, one, "name" };
        const char *reason = NULL;
        if (!schema_read(&backend_schema, one, &deeper, &read))
            continue;
        backend->weight = (uint32_t)read.weight;
        backend->service = find_service(reader, object, &read, &spot, &reason);
        if (reason) {
            backend->status = 500;
            warn(&spot, reason, "its share is answered with 500");
        }
        gateway_read_backend_filters(reader, one, &deeper, backend);
        sum += backend->weight;
        count++;
    }
    if (action->redirect && count)
        schema_error(place, node, "backendRefs", "stands beside a RequestRedirect");
    action->backends = backends;
    action->backend_count = sum ? count : 0;
    if (sum == 0 && !action->redirect)
        action->status = 500; /* nobody is left to ask */
}
