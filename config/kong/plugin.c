/* SPDX-License-Identifier: Apache-2.0 */
#include "config/kong/index.h"

struct kong_plugin {
    struct plugin_instance instance;
    struct kong_common common;
    struct slice name;
};

#define AT(member) offsetof(struct kong_plugin, member)

/* The first ones of kong_protocol_choices: what all plugins are for. */
static const char *const http_protocols[] = { "grpc", "grpcs", "http", "https", NULL };

#define PLUGIN_FIELDS(names)                                                                 \
    { "name", FIELD_STRING, AT(name), .flags = FIELD_REQUIRED, .help = "the plugin" },       \
        { "instance_name", FIELD_STRING, AT(instance.entity.name), .check = kong_check_name, \
          .help = "unique" },                                                                \
        { "protocols",                                                                       \
          FIELD_CHOICES,                                                                     \
          AT(instance.protocols),                                                            \
          .min = 1,                                                                          \
          .fallback = "grpc,grpcs,http,https",                                               \
          .choices = names },                                                                \
        { "enabled", FIELD_BOOLEAN, AT(instance.enabled), .fallback = "true",                \
          .help = "false: as if it were not there" },                                        \
        { "ordering", FIELD_STRING, .flags = FIELD_UNSUPPORTED },                            \
        KONG_COMMON_FIELDS(struct kong_plugin, instance.entity),

static const struct field fields[] = { PLUGIN_FIELDS(http_protocols) };
static const struct field stream_fields[] = { PLUGIN_FIELDS(kong_protocol_choices) };

static const char *const others[] = {
    "config", "route", "service", "consumer", "consumer_group", "_comment", "_ignore", NULL,
};

const struct schema kong_plugin_schema = {
    .name = "plugins",
    .fields = fields,
    .field_count = COUNT_OF(fields),
    .struct_size = sizeof(struct kong_plugin),
    .others = others,
};

/* Of plugins that can be for streams. */
static const struct schema stream_plugin_schema = {
    .name = "plugins",
    .fields = stream_fields,
    .field_count = COUNT_OF(stream_fields),
    .struct_size = sizeof(struct kong_plugin),
    .others = others,
};

static const struct plugin_kind *find_kind(const struct kong_reader *reader, struct slice name)
{
    for (const struct plugin_kind *const *kind = reader->plugins; *kind; kind++)
        if (slice_equal(name, slice_of((*kind)->name)))
            return *kind;
    return NULL;
}

/* The fields that all plugins have. */
static void read_common(struct kong_reader *reader, struct kong_plugin *wide, const struct node *node,
                        const struct config_place *place)
{
    struct plugin_instance *instance = &wide->instance;
    const struct node *name = node_find(node, "name");
    if (name != NULL && name->kind == NODE_STRING)
        instance->kind = find_kind(reader, name->text);
    bool streams = instance->kind && instance->kind->serves_streams;
    schema_read(streams ? &stream_plugin_schema : &kong_plugin_schema, node, place, wide);
    instance->protocols = kong_protocol_bits(instance->protocols);
    if (streams && !kong_is_given(node, "protocols"))
        instance->protocols |= instance->kind->default_streams;
}

static void read_config(struct kong_reader *reader, struct plugin_instance *instance, const struct node *node,
                        const struct config_place *place)
{
    const struct schema *schema = &instance->kind->config;
    instance->config = kong_take(reader, &reader->model->arena, schema->struct_size);
    if (instance->config == NULL)
        return;
    struct config_place deeper = kong_place(reader, place, "config");
    deeper.position = &node->position;
    schema_read(schema, node_find(node, "config"), &deeper, instance->config);
}

/* Groups are no part of it in Kong without them. */
static struct slice id_key(struct kong_reader *reader, const struct node *node,
                           const struct kong_parent *parent)
{
    const struct kong_key_part parts[] = {
        { "name", NULL },
        { "route", parent->route ? &parent->route->entity : NULL },
        { "service", parent->service ? &parent->service->entity : NULL },
        { "consumer", parent->consumer ? &parent->consumer->entity : NULL },
        { "consumer_group", parent->group ? &parent->group->entity : NULL },
    };
    bool grouped = parent->group || kong_is_given(node, "consumer_group");
    return kong_composite_key(reader, "plugins", node, parts, COUNT_OF(parts) - !grouped);
}

/* Returns how many references there are. */
static unsigned refer(struct kong_reader *reader, struct plugin_instance *instance, const struct node *node,
                      const struct config_place *place)
{
    const struct kong_foreign foreign[] = {
        { &reader->routes, "route", &instance->route },
        { &reader->services, "service", &instance->service },
        { &reader->consumers, "consumer", &instance->consumer },
        { &reader->consumer_groups, "consumer_group", &instance->consumer_group },
    };
    unsigned count = 0;
    for (size_t i = 0; i < COUNT_OF(foreign); i++) {
        const struct node *value = node_find(node, foreign[i].field);
        kong_refer(reader, &foreign[i], node, place);
        count += value != NULL && value->kind != NODE_NULL;
    }
    return count;
}

static void add_to_model(struct kong_reader *reader, struct plugin_instance *instance,
                         const struct kong_scoped *scoped)
{
    struct model *model = reader->model;
    struct plugin_instance **items =
        model_reserve(model, model->plugins.items, model->plugins.count, &model->plugins.capacity);
    struct kong_scoped *one = kong_take(reader, &reader->scratch, sizeof(*one));
    if (items == NULL || one == NULL) {
        kong_fail_memory(reader);
        return;
    }
    *one = *scoped;
    *reader->scoped_end = one;
    reader->scoped_end = &one->next;
    model->plugins.items = items;
    instance->entity.index = model->plugins.count;
    items[model->plugins.count++] = instance;
}

void kong_read_plugin(struct kong_reader *reader, const struct node *node, const struct config_place *place,
                      const struct kong_parent *parent)
{
    struct kong_plugin *wide = kong_take(reader, &reader->model->arena, sizeof(*wide));
    if (wide == NULL)
        return;
    struct plugin_instance *instance = &wide->instance;
    read_common(reader, wide, node, place);
    instance->route = parent->route;
    instance->service = parent->service;
    instance->consumer = parent->consumer;
    instance->consumer_group = parent->group;
    struct kong_scoped scoped = { NULL, instance, place->path, refer(reader, instance, node, place) };
    scoped.scope_count += parent->route || parent->service || parent->consumer || parent->group;
    struct kong_identity identity = { &reader->plugin_index, &instance->entity, &wide->common,
                                      id_key(reader, node, parent), "instance_name" };
    identity.shares_id = wide->common.id.data == NULL;
    kong_identify(reader, &identity, node, place);
    if (instance->kind != NULL) {
        read_config(reader, instance, node, place);
        add_to_model(reader, instance, &scoped);
    } else if (wide->name.data != NULL) {
        schema_error(place, node, "name",
                     "plugin '%.*s' not enabled; add it to the 'plugins' configuration property",
                     SLICE_FORMAT(wide->name));
    }
}

/* `field` may be NULL: about the plugin as a whole. */
static struct report_place place_of(struct kong_reader *reader, const struct kong_scoped *scoped,
                                    const char *field)
{
    struct slice path = field ? report_join(&reader->scratch, scoped->path, field) : slice_of(scoped->path);
    return (struct report_place){ .report = reader->report,
                                  .position = &scoped->instance->entity.position,
                                  .path = path.data ? path.data : scoped->path,
                                  .shape = field ? REPORT_FIELD : REPORT_RULE };
}

/* Kong knows them by their ids, which say the same when they were derived. */
static void report_twice(struct kong_reader *reader, const struct kong_scoped *scoped,
                         const struct plugin_instance *first, struct slice key)
{
    const struct plugin_instance *instance = scoped->instance;
    bool same_id = strcmp(first->entity.id, instance->entity.id) == 0;
    struct report_place at = place_of(reader, scoped, "name");
    at.shape = REPORT_TWICE;
    at.id = instance->entity.id;
    report_write(&at, "uniqueness violation: 'plugins' entity with %s set to '%.*s' already declared",
                 same_id                    ? "primary key"
                 : instance->consumer_group ? "name, route, service, consumer, consumer_group"
                                            : "name, route, service, consumer",
                 SLICE_FORMAT(same_id ? slice_of(instance->entity.id) : key));
}

static void check_unique(struct kong_reader *reader, struct map *seen, const struct kong_scoped *scoped)
{
    const struct plugin_instance *instance = scoped->instance;
    const char *route = instance->route ? instance->route->entity.id : "";
    const char *service = instance->service ? instance->service->entity.id : "";
    const char *consumer = instance->consumer ? instance->consumer->entity.id : "";
    const char *group = instance->consumer_group ? instance->consumer_group->entity.id : "";
    struct slice key = arena_format(&reader->scratch, "%s:%s:%s:%s%s%s", instance->kind->name, route, service,
                                    consumer, group[0] ? ":" : "", group);
    void *existing;
    if (key.data == NULL || !map_add(seen, key, scoped->instance, &existing)) {
        kong_fail_memory(reader);
    } else if (existing != NULL) {
        report_twice(reader, scoped, existing, key);
    }
}

/* The protocols of all routes of each service, by its index; NULL when memory is exhausted. */
static const uint64_t *protocols_of_services(struct kong_reader *reader)
{
    const struct model *model = reader->model;
    uint64_t *bits = kong_take(reader, &reader->scratch, (model->services.count + 1u) * sizeof(*bits));
    for (uint32_t i = 0; bits && i < model->routes.count; i++)
        if (model->routes.items[i]->service)
            bits[model->routes.items[i]->service->entity.index] |= model->routes.items[i]->protocols;
    return bits;
}

static void check_protocols(struct kong_reader *reader, const struct kong_scoped *scoped,
                            const uint64_t *of_services)
{
    const struct plugin_instance *instance = scoped->instance;
    uint64_t attached = 0;
    if (instance->route)
        attached = instance->route->protocols;
    else if (instance->service)
        attached = of_services[instance->service->entity.index];
    if (attached == 0 || instance->protocols == 0 || (attached & instance->protocols))
        return;
    struct report_place at = place_of(reader, scoped, "protocols");
    report_write(&at, "%s",
                 instance->route
                     ? "must match the associated route's protocols"
                     : "must match the protocols of at least one route pointing to this Plugin's service");
}

static unsigned scope_count(const struct plugin_instance *instance)
{
    unsigned count = instance->route != NULL;
    count += instance->service != NULL;
    count += instance->consumer != NULL;
    count += instance->consumer_group != NULL;
    return count;
}

static void check_consumer(struct kong_reader *reader, const struct kong_scoped *scoped)
{
    const struct plugin_instance *instance = scoped->instance;
    struct report_place at = place_of(reader, scoped, NULL);
    if (instance->consumer && instance->consumer_group)
        report_write(&at, "only one or none of these fields must be set: 'consumer', 'consumer_group'");
    at.kind = REPORT_WARNING;
    if ((instance->consumer || instance->consumer_group) && instance->kind->forbids_consumer)
        report_write(&at, "has no effect: this plugin runs before the consumer is known");
}

void kong_check_plugins(struct kong_reader *reader)
{
    struct map seen;
    const uint64_t *of_services = protocols_of_services(reader);
    map_init(&seen, &reader->scratch);
    for (const struct kong_scoped *scoped = reader->scoped; of_services && scoped; scoped = scoped->next) {
        if (scope_count(scoped->instance) < scoped->scope_count)
            continue;
        check_unique(reader, &seen, scoped);
        check_protocols(reader, scoped, of_services);
        check_consumer(reader, scoped);
    }
}
