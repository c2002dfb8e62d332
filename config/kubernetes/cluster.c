/* SPDX-License-Identifier: Apache-2.0 */
#include "config/kubernetes/cluster.h"

#include <inttypes.h>

/* --- services --------------------------------------------------------------------------------------- */

struct service_spec {
    struct slice type, external_name, cluster_ip;
};

static const struct field service_fields[] = {
    { "type", FIELD_STRING, offsetof(struct service_spec, type), .fallback = "ClusterIP" },
    { "externalName", FIELD_STRING, offsetof(struct service_spec, external_name) },
    { "clusterIP", FIELD_STRING, offsetof(struct service_spec, cluster_ip), .flags = FIELD_EMPTY },
};

/* The cluster's own business. */
static const char *const service_others[] = {
    "allocateLoadBalancerNodePorts",
    "clusterIPs",
    "externalIPs",
    "externalTrafficPolicy",
    "healthCheckNodePort",
    "internalTrafficPolicy",
    "ipFamilies",
    "ipFamilyPolicy",
    "loadBalancerClass",
    "loadBalancerIP",
    "loadBalancerSourceRanges",
    "ports",
    "publishNotReadyAddresses",
    "selector",
    "sessionAffinity",
    "sessionAffinityConfig",
    "trafficDistribution",
    NULL,
};

static const struct schema service_schema = {
    .name = "Service",
    .fields = service_fields,
    .field_count = COUNT_OF(service_fields),
    .struct_size = sizeof(struct service_spec),
    .others = service_others,
};

static const struct field port_fields[] = {
    { "name", FIELD_STRING, offsetof(struct kube_port, name), .flags = FIELD_EMPTY, .fallback = "" },
    { "port", FIELD_INTEGER, offsetof(struct kube_port, number), .flags = FIELD_REQUIRED, .min = 1,
      .max = 65535 },
    { "protocol", FIELD_STRING, offsetof(struct kube_port, protocol) },
    { "appProtocol", FIELD_STRING, offsetof(struct kube_port, app_protocol), .flags = FIELD_EMPTY },
};
static const char *const port_others[] = { "targetPort", "nodePort", NULL };

static const struct schema port_schema = {
    .name = "ports",
    .fields = port_fields,
    .field_count = COUNT_OF(port_fields),
    .struct_size = sizeof(struct kube_port),
    .others = port_others,
};

/* A record in a list, or NULL when it was reported that it is none. */
static const struct node *record_at(const struct node *list, uint32_t index, const struct config_place *place)
{
    const struct node *node = list->entries[index].value;
    if (node->kind == NODE_MAPPING)
        return node;
    report_add(place->report, REPORT_ERROR, &node->position, place->path, "expected a record");
    return NULL;
}

/* The number of elements of the list `field`; 0 also when it was reported that it is none. */
static uint32_t list_count(const struct node *record, const char *field, const struct config_place *place)
{
    const struct node *list = node_find(record, field);
    if (list == NULL || list->kind == NODE_NULL)
        return 0;
    if (list->kind == NODE_SEQUENCE)
        return list->count;
    schema_error(place, record, field, "expected an array");
    return 0;
}

static void read_ports(struct kube_reader *reader, struct kube_service *service,
                       const struct config_place *place)
{
    const struct node *spec = service->object->spec, *list = node_find(spec, "ports");
    uint32_t count = list_count(spec, "ports", place);
    struct config_place ports = schema_place(place, "ports");
    service->ports = kube_take(reader, (count + 1u) * sizeof(*service->ports));
    for (uint32_t i = 0; service->ports && i < count; i++) {
        struct config_place deeper = schema_element(&ports, i);
        const struct node *node = record_at(list, i, &deeper);
        struct kube_port *port = &service->ports[service->port_count];
        const struct node *target = node_find(node, "targetPort");
        if (node == NULL || !schema_read(&port_schema, node, &deeper, port))
            continue;
        if (target && (target->kind == NODE_STRING || target->kind == NODE_NUMBER))
            port->target = arena_copy(place->arena, target->text);
        service->port_count++;
    }
}

static struct slice service_key(struct kube_reader *reader, struct slice namespace, struct slice name)
{
    struct slice key =
        arena_format(&reader->scratch, "%.*s/%.*s", SLICE_FORMAT(namespace), SLICE_FORMAT(name));
    if (key.data == NULL)
        kube_fail_memory(reader);
    return key;
}

static void read_service(struct kube_reader *reader, struct kube_cluster *cluster,
                         const struct kube_object *object)
{
    struct config_place place = kube_place(reader, object, "spec");
    struct service_spec spec;
    struct kube_service *service = kube_take(reader, sizeof(*service));
    struct slice key = service_key(reader, object->namespace, object->name);
    if (!service || !key.data || !schema_read(&service_schema, object->spec, &place, &spec))
        return;
    service->object = object;
    service->headless = slice_equal(spec.cluster_ip, SLICE("None"));
    if (slice_equal(spec.type, SLICE("ExternalName")))
        service->external_name = spec.external_name;
    read_ports(reader, service, &place);
    if (!map_add(&cluster->services, key, service, NULL))
        kube_fail_memory(reader);
}

/* --- where the pods are ----------------------------------------------------------------------------- */

/* A list of pods and one of ports, whose product it is: a slice, or a subset of Endpoints. */
struct endpoint_set {
    struct kube_service *service;
    const struct node *ports;
};

struct endpoint_port {
    struct slice name, protocol, app_protocol;
    int64_t port;
};

static const struct field endpoint_port_fields[] = {
    { "name", FIELD_STRING, offsetof(struct endpoint_port, name), .flags = FIELD_EMPTY, .fallback = "" },
    { "port", FIELD_INTEGER, offsetof(struct endpoint_port, port), .flags = FIELD_REQUIRED, .min = 1,
      .max = 65535 },
    { "protocol", FIELD_STRING, offsetof(struct endpoint_port, protocol) },
    { "appProtocol", FIELD_STRING, offsetof(struct endpoint_port, app_protocol), .flags = FIELD_EMPTY },
};

static const struct schema endpoint_port_schema = {
    .name = "ports",
    .fields = endpoint_port_fields,
    .field_count = COUNT_OF(endpoint_port_fields),
    .struct_size = sizeof(struct endpoint_port),
};

static void add_endpoint(struct kube_reader *reader, struct kube_service *service,
                         const struct endpoint_port *port, struct slice address)
{
    struct kube_endpoint **end = &service->endpoints;
    for (; *end; end = &(*end)->next)
        if ((*end)->port == port->port && slice_equal((*end)->address, address) &&
            slice_equal((*end)->port_name, port->name))
            return;
    struct kube_endpoint *one = kube_take(reader, sizeof(*one));
    if (one == NULL)
        return;
    *one = (struct kube_endpoint){ NULL, port->name, address, (uint16_t)port->port };
    *end = one;
}

static void add_address(struct kube_reader *reader, const struct endpoint_set *set,
                        const struct node *address, const struct config_place *place)
{
    struct match_range range;
    if (address->kind != NODE_STRING || match_range_parse(address->text, &range) != NULL ||
        memchr(address->text.data, '/', address->text.size)) {
        report_add(place->report, REPORT_ERROR, &address->position, place->path, "expected an IP address");
        return;
    }
    struct slice text = arena_copy(place->arena, address->text);
    struct config_place ports = schema_place(place, "ports");
    uint32_t count = set->ports && set->ports->kind == NODE_SEQUENCE ? set->ports->count : 0;
    for (uint32_t i = 0; text.data && i < count; i++) {
        struct endpoint_port port;
        struct config_place deeper = schema_element(&ports, i);
        const struct node *node = record_at(set->ports, i, &deeper);
        if (node && schema_read(&endpoint_port_schema, node, &deeper, &port))
            add_endpoint(reader, set->service, &port, text);
    }
    if (text.data == NULL)
        kube_fail_memory(reader);
}

static bool is_ready(const struct node *endpoint)
{
    const struct node *ready = node_find(node_find(endpoint, "conditions"), "ready");
    return ready == NULL || ready->kind != NODE_BOOLEAN || ready->boolean;
}

static void read_slice(struct kube_reader *reader, struct kube_cluster *cluster,
                       const struct kube_object *object)
{
    struct slice name = kube_label(&object->labels, SLICE("kubernetes.io/service-name"));
    struct slice key = service_key(reader, object->namespace, name);
    struct kube_service *service = name.size && key.data ? map_find(&cluster->services, key) : NULL;
    const struct node *type = node_find(object->node, "addressType");
    if (service == NULL) {
        kube_complain(reader, object, REPORT_WARNING, "belongs to no Service that is declared");
        return;
    }
    service->has_endpoints = true;
    if (type && type->kind == NODE_STRING && slice_equal(type->text, SLICE("FQDN"))) {
        kube_complain(reader, object, REPORT_WARNING, "addressType FQDN: not read");
        return;
    }
    struct config_place place = kube_place(reader, object, "endpoints");
    struct config_place around = kube_place(reader, object, "");
    struct endpoint_set set = { service, node_find(object->node, "ports") };
    const struct node *list = node_find(object->node, "endpoints");
    uint32_t count = list_count(object->node, "endpoints", &around);
    for (uint32_t i = 0; i < count; i++) {
        struct config_place deeper = schema_element(&place, i);
        const struct node *endpoint = record_at(list, i, &deeper);
        const struct node *addresses = node_find(endpoint, "addresses");
        uint32_t address_count = endpoint ? list_count(endpoint, "addresses", &deeper) : 0;
        for (uint32_t j = 0; j < address_count && is_ready(endpoint); j++)
            add_address(reader, &set, addresses->entries[j].value, &deeper);
    }
}

static void read_endpoints(struct kube_reader *reader, struct kube_cluster *cluster,
                           const struct kube_object *object)
{
    struct slice key = service_key(reader, object->namespace, object->name);
    struct kube_service *service = key.data ? map_find(&cluster->services, key) : NULL;
    if (service == NULL) {
        kube_complain(reader, object, REPORT_WARNING, "belongs to no Service that is declared");
        return;
    }
    struct config_place place = kube_place(reader, object, "subsets");
    struct config_place around = kube_place(reader, object, "");
    const struct node *list = node_find(object->node, "subsets");
    uint32_t count = list_count(object->node, "subsets", &around);
    service->has_endpoints = true;
    for (uint32_t i = 0; i < count; i++) {
        struct config_place deeper = schema_element(&place, i);
        const struct node *subset = record_at(list, i, &deeper);
        const struct node *addresses = node_find(subset, "addresses");
        struct endpoint_set set = { service, node_find(subset, "ports") };
        uint32_t address_count = subset ? list_count(subset, "addresses", &deeper) : 0;
        for (uint32_t j = 0; j < address_count; j++) {
            const struct node *address = node_find(addresses->entries[j].value, "ip");
            if (address)
                add_address(reader, &set, address, &deeper);
        }
    }
}

/* --- all -------------------------------------------------------------------------------------------- */

static void each(struct kube_reader *reader, struct kube_cluster *cluster, enum kube_group group,
                 const char *kind,
                 void (*read)(struct kube_reader *, struct kube_cluster *, const struct kube_object *))
{
    for (uint32_t i = 0; i < reader->object_count && !reader->out_of_memory; i++)
        if (kube_is(reader->objects[i], group, kind))
            read(reader, cluster, reader->objects[i]);
}

static void read_namespace(struct kube_reader *reader, struct kube_cluster *cluster,
                           const struct kube_object *object)
{
    struct kube_object *found = kube_find(reader, KUBE_CORE, "Namespace", object->namespace, object->name);
    if (found && !map_add(&cluster->namespaces, object->name, found, NULL))
        kube_fail_memory(reader);
}

void kube_cluster_read(struct kube_reader *reader, struct kube_cluster *cluster)
{
    map_init(&cluster->services, &reader->scratch);
    map_init(&cluster->namespaces, &reader->scratch);
    each(reader, cluster, KUBE_CORE, "Namespace", read_namespace);
    each(reader, cluster, KUBE_CORE, "Service", read_service);
    each(reader, cluster, KUBE_DISCOVERY, "EndpointSlice", read_slice);
    each(reader, cluster, KUBE_CORE, "Endpoints", read_endpoints);
}

const struct kube_service *kube_cluster_service(struct kube_reader *reader,
                                                const struct kube_cluster *cluster, struct slice namespace,
                                                struct slice name)
{
    struct slice key = service_key(reader, namespace, name);
    return key.data ? map_find(&cluster->services, key) : NULL;
}

const struct kube_port *kube_service_port(const struct kube_service *service, struct slice text)
{
    uint64_t number;
    if (text.data == NULL)
        return service->port_count == 1 ? &service->ports[0] : NULL;
    bool by_number = slice_to_u64(text, &number);
    for (uint32_t i = 0; i < service->port_count; i++) {
        const struct kube_port *port = &service->ports[i];
        if (by_number ? (uint64_t)port->number == number : slice_equal(port->name, text))
            return port;
    }
    return NULL;
}

static void fill_addresses(struct kube_reader *reader, const struct kube_service *service,
                           const struct kube_port *port, struct kube_destination *destination)
{
    uint32_t count = 0;
    for (const struct kube_endpoint *one = service->endpoints; one; one = one->next)
        count++;
    struct target *targets = kube_take_scratch(reader, (count + 1u) * sizeof(*targets));
    destination->targets = targets;
    destination->listed = true;
    for (const struct kube_endpoint *one = service->endpoints; targets && one; one = one->next)
        if (slice_equal(one->port_name, port->name))
            targets[destination->target_count++] =
                (struct target){ .host = one->address, .port = one->port, .weight = 100 };
}

bool kube_service_destination(struct kube_reader *reader, const struct kube_service *service,
                              const struct kube_port *port, struct kube_destination *destination)
{
    const struct kube_object *object = service->object;
    uint64_t target = 0;
    destination->port = port->number;
    destination->host = service->external_name;
    if (service->headless && port->target.data && slice_to_u64(port->target, &target) && target <= 65535)
        destination->port = (int64_t)target;
    if (destination->host.size == 0)
        destination->host = arena_format(&reader->model->arena, "%.*s.%.*s.svc", SLICE_FORMAT(object->name),
                                         SLICE_FORMAT(object->namespace));
    destination->key =
        arena_format(&reader->scratch, "%.*s:%" PRId64, SLICE_FORMAT(destination->host), port->number);
    if (service->has_endpoints && service->external_name.size == 0)
        fill_addresses(reader, service, port, destination);
    return (destination->host.data && destination->key.data) || kube_fail_memory(reader);
}

struct schema_map kube_namespace_labels(struct kube_reader *reader, const struct kube_cluster *cluster,
                                        struct slice namespace)
{
    const struct kube_object *object = map_find(&cluster->namespaces, namespace);
    uint32_t count = object ? object->labels.count : 0;
    struct schema_map labels = { kube_take_scratch(reader, (count + 1u) * sizeof(*labels.entries)), 0 };
    struct slice *name = kube_take_scratch(reader, sizeof(*name));
    if (!labels.entries || !name)
        return (struct schema_map){ 0 };
    *name = namespace;
    for (uint32_t i = 0; i < count; i++)
        labels.entries[labels.count++] = object->labels.entries[i];
    labels.entries[labels.count++] =
        (struct schema_map_entry){ SLICE("kubernetes.io/metadata.name"), { name, 1 } };
    return labels;
}
