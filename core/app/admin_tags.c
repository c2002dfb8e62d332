/* SPDX-License-Identifier: Apache-2.0 */
/* What is known across all kinds of entities: their tags, the plugins in use, the paths there are. */
#include "core/app/admin_entities.h"

#include <stdlib.h>

static void list_tags(const struct catalog_row *row, struct slice wanted, json_t *data)
{
    json_t *document = admin_document(row);
    const json_t *tags = json_object_get(document, "tags");
    for (size_t i = 0; i < json_array_size(tags); i++) {
        json_t *tag = json_array_get(tags, i);
        struct slice text = { json_string_value(tag), json_string_length(tag) };
        if (wanted.data == NULL || slice_equal(wanted, text))
            json_array_append_new(data, json_pack("{s:s, s:s, s:O}", "entity_name", row->kind, "entity_id",
                                                  row->id, "tag", tag));
    }
    json_decref(document);
}

static void handle_tags(struct admin_call *call)
{
    const struct admin_source *source = &call->node->source;
    struct slice wanted = call->segment_count > 1 ? call->segments[1] : (struct slice){ NULL, 0 };
    json_t *data = json_array();
    const struct catalog *catalog = in_force_open_catalog(source->in_force);
    for (uint32_t i = 0; catalog && i < catalog->count; i++)
        list_tags(&catalog->rows[i], wanted, data);
    in_force_close(source->in_force);
    admin_json(call->answer, 200, json_pack("{s:o, s:n}", "data", data, "next"));
}

static void handle_enabled(struct admin_call *call)
{
    json_t *names = json_array();
    for (const struct plugin_kind *const *plugin = call->node->source.plugins; *plugin; plugin++)
        json_array_append_new(names, json_string((*plugin)->name));
    admin_json(call->answer, 200, json_pack("{s:o}", "enabled_plugins", names));
}

static void add_path(struct admin_call *call, json_t *data, struct slice path)
{
    (void)call;
    if (path.data)
        json_array_append_new(data, json_stringn(path.data, path.size));
}

static void add_relations(struct admin_call *call, json_t *data)
{
    const struct kong_relation *relation;
    for (size_t i = 0; (relation = kong_relation_at(i)) != NULL; i++) {
        const struct kong_entity_kind *target = kong_find_entity_kind(slice_of(relation->target));
        const struct kong_entity_kind *kind = kong_find_entity_kind(slice_of(relation->kind));
        add_path(call, data,
                 arena_format(call->arena, "/%s/{%s}/%s", target->path, target->name, relation->nested));
        add_path(call, data,
                 arena_format(call->arena, "/%s/{%s}/%s/{%s}", target->path, target->name, relation->nested,
                              kind->name));
        if (relation->upward)
            add_path(call, data,
                     arena_format(call->arena, "/%s/{%s}/%s", kind->path, kind->name, relation->field));
    }
}

static int compare_texts(const void *left, const void *right)
{
    json_t *const *a = left, *const *b = right;
    return strcmp(json_string_value(*a), json_string_value(*b));
}

static json_t *sorted(json_t *list)
{
    size_t count = json_array_size(list);
    json_t **items = calloc(count + 1, sizeof(json_t *)), *out = json_array();
    for (size_t i = 0; items && i < count; i++)
        items[i] = json_array_get(list, i);
    if (items)
        qsort(items, count, sizeof(json_t *), compare_texts);
    for (size_t i = 0; items && i < count; i++)
        json_array_append(out, items[i]);
    free(items);
    json_decref(list);
    return out;
}

static void handle_endpoints(struct admin_call *call)
{
    static const struct admin_endpoint *const tables[] = { admin_node_endpoints,   admin_config_endpoints,
                                                           admin_schema_endpoints, admin_debug_endpoints,
                                                           admin_health_endpoints, admin_tag_endpoints };
    json_t *data = json_array();
    const struct kong_entity_kind *kind;
    for (size_t i = 0; i < COUNT_OF(tables); i++)
        for (const struct admin_endpoint *one = tables[i]; one->path; one++)
            add_path(call, data, slice_of(one->path));
    for (size_t i = 0; (kind = kong_entity_kind_at(i)) != NULL; i++) {
        if (kind->path == NULL || strcmp(kind->name, "targets") == 0)
            continue;
        add_path(call, data, arena_format(call->arena, "/%s", kind->path));
        add_path(call, data, arena_format(call->arena, "/%s/{%s}", kind->path, kind->name));
    }
    add_relations(call, data);
    admin_json(call->answer, 200, json_pack("{s:o}", "data", sorted(data)));
}

const struct admin_endpoint admin_tag_endpoints[] = {
    { "/tags", ADMIN_GET, handle_tags, false },
    { "/tags/{}", ADMIN_GET, handle_tags, false },
    { "/plugins/enabled", ADMIN_GET, handle_enabled, false },
    { "/endpoints", ADMIN_GET, handle_endpoints, false },
    { 0 },
};
