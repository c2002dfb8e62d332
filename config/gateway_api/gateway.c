/* SPDX-License-Identifier: Apache-2.0 */
/* Gateways and their listeners. */
#include "config/gateway_api/reader.h"

/* --- GatewayClass ----------------------------------------------------------------------------------- */

struct class_record {
    struct slice controller;
};
static const struct field class_fields[] = {
    { "controllerName", FIELD_STRING, offsetof(struct class_record, controller), .flags = FIELD_REQUIRED },
    { "parametersRef", FIELD_STRING, 0, .flags = FIELD_UNSUPPORTED },
};
static const char *const class_others[] = { "description", NULL };
static const struct schema class_schema = {
    "GatewayClass", class_fields, COUNT_OF(class_fields), sizeof(struct class_record), NULL, class_others
};

/* A class that no object describes is ours: the files were given to this gateway. */
static bool is_ours(struct gateway_reader *reader, struct slice name)
{
    struct kube_reader *kube = reader->kube;
    struct slice controller;
    for (uint32_t i = 0; i < kube->object_count; i++) {
        const struct kube_object *object = kube->objects[i];
        if (!kube_is(object, KUBE_GATEWAY_API, "GatewayClass") || !slice_equal(object->name, name))
            continue;
        const struct node *value = node_find(object->spec, "controllerName");
        controller = value && value->kind == NODE_STRING ? value->text : SLICE("");
        return kube->options.controller.data == NULL || slice_equal(kube->options.controller, controller);
    }
    return true;
}

static void read_class(struct gateway_reader *reader, const struct kube_object *object)
{
    struct class_record read;
    struct config_place place = kube_place(reader->kube, object, "spec");
    schema_read(&class_schema, object->spec, &place, &read);
}

/* --- Gateway ---------------------------------------------------------------------------------------- */

static const char *const froms[] = { "Same", "All", "Selector", "None", NULL };

struct allowed_record {
    struct {
        int from;
        struct {
            struct schema_map labels;
        } selector;
    } namespaces;
};
struct listener_record {
    struct slice name, hostname, protocol;
    int64_t port;
    struct allowed_record allowed;
};

#define INSIDE(member) (offsetof(struct allowed_record, member) - offsetof(struct allowed_record, namespaces))

static const struct field selector_fields[] = {
    { "matchLabels", FIELD_MAP, 0, .flags = FIELD_SINGLE | FIELD_EMPTY },
    { "matchExpressions", FIELD_STRING, 0, .flags = FIELD_UNSUPPORTED },
};
static const struct schema selector_schema = { "selector", selector_fields, COUNT_OF(selector_fields),
                                               sizeof(struct schema_map) };
static const struct field namespaces_fields[] = {
    { "from", FIELD_CHOICE, INSIDE(namespaces.from), .choices = froms, .fallback = "Same" },
    { "selector", FIELD_RECORD, INSIDE(namespaces.selector), .record = &selector_schema },
};
static const struct schema namespaces_schema = { "namespaces", namespaces_fields, COUNT_OF(namespaces_fields),
                                                 sizeof(((struct allowed_record *)0)->namespaces) };
static const struct field allowed_fields[] = {
    { "namespaces", FIELD_RECORD, 0, .record = &namespaces_schema },
};
static const char *const allowed_others[] = { "kinds", NULL };
static const struct schema allowed_schema = {
    "allowedRoutes", allowed_fields, COUNT_OF(allowed_fields), sizeof(struct allowed_record), NULL,
    allowed_others
};
static const struct field listener_fields[] = {
    { "name", FIELD_STRING, offsetof(struct listener_record, name), .flags = FIELD_REQUIRED },
    { "hostname", FIELD_STRING, offsetof(struct listener_record, hostname), .flags = FIELD_EMPTY },
    { "port", FIELD_INTEGER, offsetof(struct listener_record, port), .flags = FIELD_REQUIRED, .min = 1,
      .max = 65535 },
    { "protocol", FIELD_STRING, offsetof(struct listener_record, protocol), .flags = FIELD_REQUIRED },
    { "tls", FIELD_STRING, 0, .flags = FIELD_UNSUPPORTED },
    { "allowedRoutes", FIELD_RECORD, offsetof(struct listener_record, allowed), .record = &allowed_schema },
};
static const struct schema listener_schema = { "listeners", listener_fields, COUNT_OF(listener_fields),
                                               sizeof(struct listener_record) };

struct gateway_record {
    struct slice class_name;
};
static const struct field gateway_fields[] = {
    { "gatewayClassName", FIELD_STRING, offsetof(struct gateway_record, class_name),
      .flags = FIELD_REQUIRED },
    { "addresses", FIELD_STRING, 0, .flags = FIELD_UNSUPPORTED },
    { "allowedListeners", FIELD_STRING, 0, .flags = FIELD_UNSUPPORTED },
    { "backendTLS", FIELD_STRING, 0, .flags = FIELD_UNSUPPORTED },
    { "tls", FIELD_STRING, 0, .flags = FIELD_UNSUPPORTED },
};
static const char *const gateway_others[] = { "infrastructure", "listeners", NULL };
static const struct schema gateway_schema = {
    "Gateway", gateway_fields, COUNT_OF(gateway_fields), sizeof(struct gateway_record), NULL, gateway_others
};

static bool takes_http_routes(const struct node *node, const struct config_place *place)
{
    const struct node *allowed = node_find(node, "allowedRoutes");
    struct config_place deeper = schema_place(place, "allowedRoutes"), element;
    struct gateway_list kinds = gateway_list_open(allowed, "kinds", &deeper);
    const struct node *kind;
    bool found = gateway_list_count(&kinds) == 0;
    while ((kind = gateway_list_next(&kinds, &element)) != NULL) {
        const struct node *name = node_find(kind, "kind");
        found = found || (name && slice_equal(name->text, SLICE("HTTPRoute")));
    }
    return found;
}

static void check_twice(struct gateway_reader *reader, const struct gateway_listener *listener,
                        const struct node *node, const struct config_place *place)
{
    for (uint32_t i = 0; i < reader->listeners.count; i++) {
        const struct gateway_listener *other = reader->listeners.items[i];
        if (other->gateway != listener->gateway)
            continue;
        if (slice_equal(other->name, listener->name))
            schema_error(place, node, "name", "there is a second listener '%.*s'", SLICE_FORMAT(other->name));
        if (other->port == listener->port && slice_equal(other->hostname, listener->hostname))
            schema_error(place, node, "port", "the listener '%.*s' has the same port and hostname",
                         SLICE_FORMAT(other->name));
    }
}

static void read_listener(struct gateway_reader *reader, const struct kube_object *object,
                          const struct node *node, const struct config_place *place)
{
    struct listener_record read;
    struct gateway_listener *listener = kube_take(reader->kube, sizeof(*listener));
    struct gateway_listener **items = model_reserve(reader->kube->model, reader->listeners.items,
                                                    reader->listeners.count, &reader->listeners.capacity);
    if (!listener || !items || !schema_read(&listener_schema, node, place, &read))
        return;
    if (!slice_equal(read.protocol, SLICE("HTTP"))) {
        schema_error(place, node, "protocol", "%.*s: not supported yet", SLICE_FORMAT(read.protocol));
        return;
    }
    *listener = (struct gateway_listener){ .gateway = object,
                                           .name = read.name,
                                           .port = read.port,
                                           .from = read.allowed.namespaces.from,
                                           .selector = read.allowed.namespaces.selector.labels,
                                           .takes_http_routes = takes_http_routes(node, place) };
    if (read.hostname.size && !slice_equal(read.hostname, SLICE("*")))
        listener->hostname = kube_lower(reader->kube, read.hostname);
    check_twice(reader, listener, node, place);
    reader->listeners.items = items;
    items[reader->listeners.count++] = listener;
    (void)kube_add_port(reader->kube, object, (uint16_t)read.port);
}

static void read_gateway(struct gateway_reader *reader, const struct kube_object *object)
{
    struct gateway_record read;
    struct config_place place = kube_place(reader->kube, object, "spec"), deeper;
    if (!schema_read(&gateway_schema, object->spec, &place, &read))
        return;
    if (!is_ours(reader, read.class_name)) {
        kube_complain(reader->kube, object, REPORT_WARNING, "its GatewayClass is another controller's");
        return;
    }
    struct gateway_list list = gateway_list_open(object->spec, "listeners", &place);
    const struct node *node;
    if (gateway_list_count(&list) == 0)
        schema_error(&place, object->spec, "listeners", "required field missing");
    while ((node = gateway_list_next(&list, &deeper)) != NULL)
        read_listener(reader, object, node, &deeper);
}

void gateway_read_gateways(struct gateway_reader *reader)
{
    struct kube_reader *kube = reader->kube;
    for (uint32_t i = 0; i < kube->object_count && !kube->out_of_memory; i++) {
        if (kube_is(kube->objects[i], KUBE_GATEWAY_API, "GatewayClass"))
            read_class(reader, kube->objects[i]);
        else if (kube_is(kube->objects[i], KUBE_GATEWAY_API, "Gateway"))
            read_gateway(reader, kube->objects[i]);
    }
}
