/* SPDX-License-Identifier: Apache-2.0 */
#include "config/emissary/parts.h"

static const char *const protocols[] = { "HTTP", "HTTPS", "HTTPPROXY", "HTTPSPROXY", "TCP", "TLS", NULL };
enum { HTTP, HTTPS };
static const char *const securities[] = { "XFP", "SECURE", "INSECURE", NULL };
static const char *const froms[] = { "SELF", "ALL", NULL };

struct binding_record {
    struct {
        int from;
    } namespace;
    struct {
        struct schema_map labels;
    } selector;
};

struct listener_record {
    int64_t port, depth;
    int protocol, security;
    struct slices stack;
    struct binding_record binding;
};

static const struct field namespace_fields[] = {
    { "from", FIELD_CHOICE, 0, .choices = froms, .fallback = "SELF" },
};
static const struct schema namespace_schema = { "namespace", namespace_fields, COUNT_OF(namespace_fields),
                                                sizeof(int) };
static const struct field selector_fields[] = {
    { "matchLabels", FIELD_MAP, 0, .flags = FIELD_SINGLE | FIELD_EMPTY },
};
static const struct schema selector_schema = { "selector", selector_fields, COUNT_OF(selector_fields),
                                               sizeof(struct schema_map) };
static const struct field binding_fields[] = {
    { "namespace", FIELD_RECORD, offsetof(struct binding_record, namespace), .record = &namespace_schema },
    { "selector", FIELD_RECORD, offsetof(struct binding_record, selector), .record = &selector_schema },
};
static const struct schema binding_schema = { "hostBinding", binding_fields, COUNT_OF(binding_fields),
                                              sizeof(struct binding_record) };

static const struct field listener_fields[] = {
    { "port", FIELD_INTEGER, offsetof(struct listener_record, port), .flags = FIELD_REQUIRED, .min = 1,
      .max = 65535 },
    { "protocol", FIELD_CHOICE, offsetof(struct listener_record, protocol), .choices = protocols },
    { "protocolStack", FIELD_STRINGS, offsetof(struct listener_record, stack) },
    { "securityModel", FIELD_CHOICE, offsetof(struct listener_record, security), .flags = FIELD_REQUIRED,
      .choices = securities },
    { "l7Depth", FIELD_INTEGER, offsetof(struct listener_record, depth), .fallback = "0" },
    { "hostBinding", FIELD_RECORD, offsetof(struct listener_record, binding), .flags = FIELD_REQUIRED,
      .record = &binding_schema },
};

static const struct emissary_refused refused[] = {
    { "statsPrefix", NULL },
    { "http2MaxConcurrentStreams", NULL },
    { NULL, NULL },
};
static const char *const others[] = { "ambassador_id", "ambassadorId", NULL };

const struct schema emissary_listener_schema = {
    .name = "Listener",
    .fields = listener_fields,
    .field_count = COUNT_OF(listener_fields),
    .struct_size = sizeof(struct listener_record),
    .others = others,
};

/* The protocol that a stack spells, -1: it was reported. */
static int protocol_of_stack(struct slices stack, const struct node *spec, const struct config_place *place)
{
    if (stack.count == 2 && slice_equal(stack.items[0], SLICE("HTTP")) &&
        slice_equal(stack.items[1], SLICE("TCP")))
        return HTTP;
    if (stack.count == 3 && slice_equal(stack.items[0], SLICE("TLS")) &&
        slice_equal(stack.items[1], SLICE("HTTP")) && slice_equal(stack.items[2], SLICE("TCP")))
        return HTTPS;
    schema_error(place, spec, "protocolStack", "this stack: not supported yet");
    return -1;
}

static void check_protocol(struct listener_record *read, const struct node *spec,
                           const struct config_place *place)
{
    bool stacked = emissary_is_given(spec, "protocolStack");
    if (!stacked && read->protocol < 0) {
        schema_error(place, spec, "protocol", "one of protocol and protocolStack is needed");
        return;
    }
    if (stacked && read->protocol >= 0)
        schema_error(place, spec, "protocol", "stands beside protocolStack");
    if (stacked)
        read->protocol = protocol_of_stack(read->stack, spec, place);
    else if (read->protocol > HTTPS)
        schema_error(place, spec, "protocol", "%s: not supported yet", protocols[read->protocol]);
    if (read->protocol != HTTPS)
        return;
    struct config_place deeper = schema_place(place, stacked ? "protocolStack" : "protocol");
    report_add(place->report, REPORT_WARNING, &spec->position, deeper.path,
               "TLS: not supported yet, cleartext is served here as no Host has a certificate");
}

static void check_binding(const struct node *spec, const struct config_place *place)
{
    const struct node *binding = node_find(spec, "hostBinding"), *selector = node_find(binding, "selector");
    struct config_place deeper = schema_place(place, "hostBinding");
    if (!emissary_is_given(binding, "namespace") && !emissary_is_given(binding, "selector"))
        schema_error(place, spec, "hostBinding", "needs namespace, selector or both");
    if (emissary_is_given(selector, "matchExpressions"))
        schema_error(&deeper, binding, "selector", "matchExpressions: not supported yet");
}

static void check_twice(struct emissary_reader *reader, const struct emissary_listener *listener,
                        const struct config_place *place)
{
    for (uint32_t i = 0; i < reader->listeners.count; i++)
        if (reader->listeners.items[i]->port == listener->port)
            schema_error(place, listener->object->spec, "port", "already taken by %s",
                         reader->listeners.items[i]->object->path);
}

static void read_listener(struct emissary_reader *reader, const struct kube_object *object)
{
    struct listener_record read;
    struct config_place place = kube_place(reader->kube, object, "spec");
    struct schema schema = emissary_listener_schema;
    schema.others = emissary_others(reader->kube, object, refused, others);
    emissary_refuse(refused, object->spec, &place);
    struct emissary_listener *listener = kube_take(reader->kube, sizeof(*listener));
    struct emissary_listener **items = model_reserve(reader->kube->model, reader->listeners.items,
                                                     reader->listeners.count, &reader->listeners.capacity);
    if (!listener || !items || !schema.others || !schema_read(&schema, object->spec, &place, &read))
        return;
    check_protocol(&read, object->spec, &place);
    check_binding(object->spec, &place);
    if (read.depth != 0)
        schema_error(&place, object->spec, "l7Depth", "not supported yet");
    *listener = (struct emissary_listener){ .object = object,
                                            .port = read.port,
                                            .security = read.security,
                                            .from = read.binding.namespace.from,
                                            .labels = read.binding.selector.labels };
    check_twice(reader, listener, &place);
    reader->listeners.items = items;
    items[reader->listeners.count++] = listener;
}

void emissary_read_listeners(struct emissary_reader *reader)
{
    struct kube_reader *kube = reader->kube;
    for (uint32_t i = 0; i < kube->object_count && !kube->out_of_memory; i++)
        if (kube_is(kube->objects[i], KUBE_EMISSARY, "Listener") &&
            emissary_is_ours(reader, kube->objects[i]))
            read_listener(reader, kube->objects[i]);
}
