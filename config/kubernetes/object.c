/* SPDX-License-Identifier: Apache-2.0 */
#include "config/kubernetes/object.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

static const size_t scratch_limit_bytes = (size_t)4 * 1024 * 1024 * 1024;

/* --- kinds ------------------------------------------------------------------------------------------ */

enum support { READ, NOT_YET };

static const struct {
    enum kube_group group;
    const char *kind;
    enum support support;
} kinds[] = {
    { KUBE_CORE, "Service", READ },
    { KUBE_CORE, "Endpoints", READ },
    { KUBE_CORE, "Namespace", READ },
    { KUBE_CORE, "Secret", READ },
    { KUBE_CORE, "ConfigMap", READ },
    { KUBE_DISCOVERY, "EndpointSlice", READ },
    { KUBE_EMISSARY, "Listener", READ },
    { KUBE_EMISSARY, "Host", READ },
    { KUBE_EMISSARY, "Mapping", READ },
    { KUBE_EMISSARY, "Module", READ },
    { KUBE_EMISSARY, "Filter", READ },
    { KUBE_EMISSARY, "FilterPolicy", READ },
    { KUBE_EMISSARY, "KubernetesServiceResolver", READ },
    { KUBE_EMISSARY, "KubernetesEndpointResolver", READ },
    { KUBE_EMISSARY, "AuthService", NOT_YET },
    { KUBE_EMISSARY, "ConsulResolver", NOT_YET },
    { KUBE_EMISSARY, "DevPortal", NOT_YET },
    { KUBE_EMISSARY, "LogService", NOT_YET },
    { KUBE_EMISSARY, "RateLimit", NOT_YET },
    { KUBE_EMISSARY, "RateLimitService", NOT_YET },
    { KUBE_EMISSARY, "TCPMapping", NOT_YET },
    { KUBE_EMISSARY, "TLSContext", NOT_YET },
    { KUBE_EMISSARY, "TracingService", NOT_YET },
    { KUBE_GATEWAY_API, "GatewayClass", READ },
    { KUBE_GATEWAY_API, "Gateway", READ },
    { KUBE_GATEWAY_API, "HTTPRoute", READ },
    { KUBE_GATEWAY_API, "ReferenceGrant", READ },
    { KUBE_GATEWAY_API, "BackendTLSPolicy", NOT_YET },
    { KUBE_GATEWAY_API, "GRPCRoute", NOT_YET },
    { KUBE_GATEWAY_API, "ListenerSet", NOT_YET },
    { KUBE_GATEWAY_API, "TCPRoute", NOT_YET },
    { KUBE_GATEWAY_API, "TLSRoute", NOT_YET },
    { KUBE_GATEWAY_API, "UDPRoute", NOT_YET },
};

static const struct {
    const char *prefix;
    enum kube_group group;
    const char *versions; /* between spaces */
} groups[] = {
    { "getambassador.io/", KUBE_EMISSARY, " v1 v2 v3alpha1 v3 " },
    { "x.getambassador.io/", KUBE_EMISSARY, " v3alpha1 " },
    { "gateway.networking.k8s.io/", KUBE_GATEWAY_API, " v1 v1beta1 v1alpha2 v1alpha3 " },
    { "discovery.k8s.io/", KUBE_DISCOVERY, " v1 v1beta1 " },
    { "gateway.getambassador.io/", KUBE_EMISSARY, "" },
};

/* --- memory and reports ----------------------------------------------------------------------------- */

bool kube_fail_memory(struct kube_reader *reader)
{
    if (!reader->out_of_memory)
        report_add(reader->report, REPORT_ERROR, NULL, "", "out of memory");
    reader->out_of_memory = true;
    return false;
}

static void *take(struct kube_reader *reader, struct arena *arena, size_t size)
{
    void *memory = arena_alloc_zero(arena, size ? size : 1);
    if (memory == NULL)
        kube_fail_memory(reader);
    return memory;
}

void *kube_take(struct kube_reader *reader, size_t size)
{
    return take(reader, &reader->model->arena, size);
}

void *kube_take_scratch(struct kube_reader *reader, size_t size)
{
    return take(reader, &reader->scratch, size);
}

struct config_place kube_place(struct kube_reader *reader, const struct kube_object *object, const char *name)
{
    struct slice path = slice_of(object->path);
    if (name[0] && !object->flat)
        path = arena_format(&reader->scratch, "%s.%s", object->path, name);
    if (path.data == NULL)
        kube_fail_memory(reader);
    return (struct config_place){ .report = reader->report,
                                  .arena = &reader->model->arena,
                                  .path = path.data ? path.data : "",
                                  .position = &object->node->position,
                                  .unknown = REPORT_WARNING };
}

void kube_complain(struct kube_reader *reader, const struct kube_object *object, enum report_kind kind,
                   const char *format, ...)
{
    char reason[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof(reason), format, arguments);
    va_end(arguments);
    report_add(reader->report, kind, &object->node->position, object->path, "%s", reason);
}

void kube_open(struct kube_reader *reader)
{
    arena_init(&reader->scratch, NULL, 0, scratch_limit_bytes);
    map_init(&reader->by_name, &reader->scratch);
    map_init(&reader->upstreams, &reader->scratch);
    map_init(&reader->services, &reader->scratch);
    if (reader->options.namespace.size == 0)
        reader->options.namespace = SLICE("default");
    if (reader->options.ambassador_id.size == 0)
        reader->options.ambassador_id = SLICE("default");
}

void kube_close(struct kube_reader *reader)
{
    arena_deinit(&reader->scratch);
}

/* --- metadata --------------------------------------------------------------------------------------- */

struct metadata {
    struct slice name, namespace, created_at;
    struct schema_map labels, annotations;
};

static const struct field metadata_fields[] = {
    { "name", FIELD_STRING, offsetof(struct metadata, name), .flags = FIELD_REQUIRED,
      .help = "unique within its kind and namespace" },
    { "namespace", FIELD_STRING, offsetof(struct metadata, namespace) },
    { "creationTimestamp", FIELD_STRING, offsetof(struct metadata, created_at), .flags = FIELD_EMPTY },
    { "labels", FIELD_MAP, offsetof(struct metadata, labels), .flags = FIELD_SINGLE | FIELD_EMPTY },
    { "annotations", FIELD_MAP, offsetof(struct metadata, annotations), .flags = FIELD_SINGLE | FIELD_EMPTY },
};

/* What the API server keeps for itself. */
static const char *const metadata_others[] = {
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "managedFields",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
    NULL,
};

static const struct schema metadata_schema = {
    .name = "metadata",
    .fields = metadata_fields,
    .field_count = COUNT_OF(metadata_fields),
    .struct_size = sizeof(struct metadata),
    .others = metadata_others,
};

static const struct field flat_fields[] = {
    { "name", FIELD_STRING, offsetof(struct metadata, name), .flags = FIELD_REQUIRED },
    { "namespace", FIELD_STRING, offsetof(struct metadata, namespace) },
    { "metadata_labels", FIELD_MAP, offsetof(struct metadata, labels), .flags = FIELD_SINGLE | FIELD_EMPTY },
};

static int64_t read_time(struct slice text)
{
    struct tm tm = { 0 };
    const char *end = text.size ? strptime(text.data, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
    return end ? (int64_t)timegm(&tm) : 0;
}

/* The flat form has its names beside everything else. */
static bool read_flat(const struct kube_object *object, const struct config_place *place,
                      struct metadata *metadata)
{
    struct schema schema = { .name = "object",
                             .fields = flat_fields,
                             .field_count = COUNT_OF(flat_fields),
                             .struct_size = sizeof(*metadata) };
    const char **others = arena_array(place->arena, object->node->count + 1u, sizeof(*others));
    for (uint32_t i = 0; others && i < object->node->count; i++)
        others[i] = object->node->entries[i].key.data;
    if (others)
        others[object->node->count] = NULL;
    schema.others = others;
    return others && schema_read(&schema, object->node, place, metadata);
}

static bool read_metadata(struct kube_reader *reader, struct kube_object *object)
{
    struct metadata metadata = { 0 };
    struct config_place place = kube_place(reader, object, "metadata");
    bool good = object->flat
                    ? read_flat(object, &place, &metadata)
                    : schema_read(&metadata_schema, node_find(object->node, "metadata"), &place, &metadata);
    if (!good || metadata.name.size == 0)
        return false;
    object->name = metadata.name;
    object->namespace = metadata.namespace.size ? metadata.namespace : reader->options.namespace;
    object->labels = metadata.labels;
    object->annotations = metadata.annotations;
    object->created_at_s = read_time(metadata.created_at);
    return true;
}

/* --- one object ------------------------------------------------------------------------------------- */

static void set_path(struct kube_reader *reader, struct kube_object *object)
{
    bool usual = slice_equal(object->namespace, reader->options.namespace);
    struct slice path =
        arena_format(&reader->model->arena, "%.*s/%.*s%s%.*s", SLICE_FORMAT(object->kind),
                     usual ? 0 : (int)object->namespace.size, usual ? "" : object->namespace.data,
                     usual ? "" : "/", SLICE_FORMAT(object->name));
    if (path.data)
        object->path = path.data;
    else
        kube_fail_memory(reader);
}

static struct slice key_of(struct arena *arena, enum kube_group group, struct slice kind,
                           struct slice namespace, struct slice name)
{
    return arena_format(arena, "%d/%.*s/%.*s/%.*s", (int)group, SLICE_FORMAT(kind), SLICE_FORMAT(namespace),
                        SLICE_FORMAT(name));
}

static void keep(struct kube_reader *reader, const struct kube_object *object)
{
    struct kube_object **items = reader->objects;
    if (reader->object_count == reader->object_capacity) {
        uint32_t larger = reader->object_capacity ? reader->object_capacity * 2 : 64;
        items = arena_array(&reader->scratch, larger, sizeof(*items));
        if (items && reader->object_count)
            memcpy(items, reader->objects, reader->object_count * sizeof(*items));
        reader->object_capacity = larger;
    }
    struct kube_object *copy = kube_take(reader, sizeof(*copy));
    struct slice key = key_of(&reader->scratch, object->group, object->kind, object->namespace, object->name);
    void *existing = NULL;
    if (!items || !copy || !key.data || !map_add(&reader->by_name, key, copy, &existing)) {
        kube_fail_memory(reader);
        return;
    }
    reader->objects = items;
    *copy = *object;
    copy->index = reader->object_count;
    if (existing == NULL) {
        items[reader->object_count++] = copy;
        return;
    }
    const struct node_position *first = &((struct kube_object *)existing)->node->position;
    struct config_place place = kube_place(reader, object, "metadata");
    const struct node *named = object->flat ? object->node : node_find(object->node, "metadata");
    schema_error(&place, named, "name", "already declared at %s:%u:%u", first->file, first->line,
                 first->column);
}

static bool refuse(struct kube_reader *reader, const struct kube_object *object, const char *field,
                   const char *reason)
{
    const struct node *value = node_find(object->node, field);
    struct slice path = report_join(&reader->scratch, object->path, field);
    report_add(reader->report, REPORT_ERROR, value ? &value->position : &object->node->position,
               path.data ? path.data : field, "%s", reason);
    return false;
}

static struct slice text_of(const struct node *mapping, const char *key)
{
    const struct node *value = node_find(mapping, key);
    return value && value->kind == NODE_STRING ? value->text : (struct slice){ NULL, 0 };
}

static bool has_version(const char *versions, struct slice version)
{
    char text[32];
    if (version.size == 0 || version.size > 20)
        return false;
    snprintf(text, sizeof(text), " %.*s ", SLICE_FORMAT(version));
    return strstr(versions, text) != NULL;
}

/* False: nobody here reads objects of that group, or it was reported what is wrong with it. */
static bool read_group(struct kube_reader *reader, struct kube_object *object, struct slice api)
{
    if (slice_equal(api, SLICE("v1"))) {
        object->version = api;
        return true;
    }
    for (size_t i = 0; i < COUNT_OF(groups); i++) {
        if (!slice_starts_with(api, slice_of(groups[i].prefix)))
            continue;
        object->group = groups[i].group;
        object->version = slice_from(api, strlen(groups[i].prefix));
        return has_version(groups[i].versions, object->version) ||
               refuse(reader, object, "apiVersion",
                      groups[i].versions[0] ? "unknown version" : "not supported yet");
    }
    report_add(reader->report, REPORT_WARNING, &object->node->position, object->path,
               "no part of routing: not read");
    return false;
}

static bool check_kind(struct kube_reader *reader, const struct kube_object *object)
{
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        if (kinds[i].group == object->group && slice_equal(object->kind, slice_of(kinds[i].kind)))
            return kinds[i].support == READ || refuse(reader, object, "kind", "not supported yet");
    if (object->group != KUBE_CORE)
        return refuse(reader, object, "kind", "unknown kind");
    report_add(reader->report, REPORT_WARNING, &object->node->position, object->path,
               "no part of routing: not read");
    return false;
}

static void check_version(struct kube_reader *reader, const struct kube_object *object)
{
    const struct node *value = node_find(object->node, "apiVersion");
    if (object->group != KUBE_EMISSARY || !slice_equal(object->version, SLICE("v3")))
        return;
    struct slice path = report_join(&reader->scratch, object->path, "apiVersion");
    report_add(reader->report, REPORT_WARNING, &value->position, path.data ? path.data : "",
               "no such version: read as getambassador.io/v3alpha1");
}

/* Before its name is known, an object is called by its kind. */
static void name_provisionally(struct kube_reader *reader, struct kube_object *object)
{
    struct slice name = text_of(node_find(object->node, "metadata"), "name");
    if (name.data == NULL)
        name = text_of(object->node, "name");
    struct slice path = arena_format(&reader->model->arena, "%.*s%s%.*s", SLICE_FORMAT(object->kind),
                                     name.size ? "/" : "", SLICE_FORMAT(name));
    object->path = path.data ? path.data : "";
}

static void check_annotations(struct kube_reader *reader, const struct kube_object *object)
{
    struct slice config = kube_label(&object->annotations, SLICE("getambassador.io/config"));
    struct config_place place = kube_place(reader, object, "metadata");
    const struct node *annotations = node_find(node_find(object->node, "metadata"), "annotations");
    if (config.size)
        schema_error(&place, annotations, "getambassador.io/config", "not supported yet");
}

static void read_object(struct kube_reader *reader, const struct node *node)
{
    struct kube_object object = { .node = node, .file = reader->file, .path = "" };
    struct slice api = text_of(node, "apiVersion");
    object.kind = text_of(node, "kind");
    name_provisionally(reader, &object);
    if (api.size == 0) {
        refuse(reader, &object, "apiVersion", "required field missing");
        return;
    }
    if (object.kind.size == 0) {
        refuse(reader, &object, "kind", "required field missing");
        return;
    }
    if (!read_group(reader, &object, api) || !check_kind(reader, &object))
        return;
    object.spec = node_find(node, "spec");
    object.flat = object.group == KUBE_EMISSARY && !object.spec && !node_find(node, "metadata");
    if (object.flat)
        object.spec = node;
    if (!read_metadata(reader, &object))
        return;
    set_path(reader, &object);
    check_version(reader, &object);
    check_annotations(reader, &object);
    if (!reader->out_of_memory)
        keep(reader, &object);
}

/* Objects outlive the text they were read from, but the name of its file does not. */
static bool keep_file(struct kube_reader *reader, const struct node *document)
{
    if (reader->file && strcmp(reader->file, document->position.file) == 0)
        return true;
    reader->file = arena_copy(&reader->model->arena, slice_of(document->position.file)).data;
    return reader->file != NULL || kube_fail_memory(reader);
}

static bool is_list(const struct node *document)
{
    struct slice kind = text_of(document, "kind");
    const struct node *items = node_find(document, "items");
    return slice_ends_with(kind, SLICE("List")) && items && items->kind == NODE_SEQUENCE;
}

void kube_read(struct kube_reader *reader, const struct node *document)
{
    if (reader->out_of_memory || !keep_file(reader, document))
        return;
    if (!is_list(document)) {
        read_object(reader, document);
        return;
    }
    const struct node *items = node_find(document, "items");
    for (uint32_t i = 0; i < items->count; i++) {
        const struct node *item = items->entries[i].value;
        if (item->kind == NODE_MAPPING)
            read_object(reader, item);
        else
            report_add(reader->report, REPORT_ERROR, &item->position, "items", "expected a record");
    }
}

/* --- finding them ----------------------------------------------------------------------------------- */

bool kube_is(const struct kube_object *object, enum kube_group group, const char *kind)
{
    return object->group == group && slice_equal(object->kind, slice_of(kind));
}

struct kube_object *kube_find(const struct kube_reader *reader, enum kube_group group, const char *kind,
                              struct slice namespace, struct slice name)
{
    char page[1024];
    struct arena arena;
    arena_init(&arena, page, sizeof(page), (size_t)1024 * 1024);
    struct slice key = key_of(&arena, group, slice_of(kind), namespace, name);
    struct kube_object *found = key.data ? map_find(&reader->by_name, key) : NULL;
    arena_deinit(&arena);
    return found;
}

struct slice kube_label(const struct schema_map *labels, struct slice name)
{
    for (uint32_t i = 0; i < labels->count; i++)
        if (slice_equal(labels->entries[i].name, name) && labels->entries[i].values.count)
            return labels->entries[i].values.items[0];
    return (struct slice){ NULL, 0 };
}

bool kube_selects(const struct schema_map *selector, const struct schema_map *labels)
{
    for (uint32_t i = 0; i < selector->count; i++) {
        struct slice found = kube_label(labels, selector->entries[i].name);
        if (!found.data || !slice_equal(found, selector->entries[i].values.items[0]))
            return false;
    }
    return true;
}
