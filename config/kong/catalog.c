/* SPDX-License-Identifier: Apache-2.0 */
/* The entities that were read, as documents: flat, with ids for references, and with what reading has worked
 * out (a url in its parts, drawn keys, hashed passwords). Defaults are left out. */
#include "config/kong/entity_kinds.h"
#include "config/kong/error_tree.h"
#include "config/kong/index.h"

#include <jansson.h>
#include <stdlib.h>

struct cataloguing {
    struct kong_reader *reader;
    struct catalog *catalog;
    struct catalog_source source; /* of the document */
    bool transform, old_format; /* of the document */
    bool good;
};

struct placed {
    const struct kong_entity_kind *kind;
    const struct node *node;
    const char *parent_field, *parent_id; /* NULL: stands at the top */
};

static void walk_entity(struct cataloguing *out, const struct placed *placed);

static struct entity *entity_of(const struct cataloguing *out, const struct node *node)
{
    return map_find(&out->reader->identified, (struct slice){ (const char *)&node, sizeof(node) });
}

static const struct kong_index *index_of(struct kong_reader *reader, const char *kind)
{
    const struct {
        const char *kind;
        const struct kong_index *index;
    } rows[] = {
        { "services", &reader->services },   { "routes", &reader->routes },
        { "consumers", &reader->consumers }, { "consumer_groups", &reader->consumer_groups },
        { "upstreams", &reader->upstreams }, { "certificates", &reader->certificates },
        { "key_sets", &reader->key_sets },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (strcmp(rows[i].kind, kind) == 0)
            return rows[i].index;
    return NULL;
}

static json_t *reference(struct kong_reader *reader, const char *target, const struct node *value)
{
    struct slice text = kong_reference_text(value);
    const struct kong_index *index = index_of(reader, target);
    const struct entity *entity = index && text.data ? kong_look_up(index, text) : NULL;
    return entity ? json_pack("{s:s}", "id", entity->id) : NULL;
}

/* The kind of the elements when `entry` is a collection below an entity of that kind; NULL: it is a value. */
static const struct kong_entity_kind *child_kind(struct kong_reader *reader,
                                                 const struct kong_entity_kind *parent,
                                                 const struct node_entry *entry)
{
    struct kong_credential_kind *credential = kong_find_credential(reader, entry->key);
    struct slice name = credential ? slice_of(credential->kind->name) : entry->key;
    if (parent->as_parent == NULL || entry->value->kind != NODE_SEQUENCE)
        return NULL;
    const struct kong_relation *relation = kong_find_relation(name, slice_of(parent->as_parent));
    return relation && strcmp(relation->target, parent->name) == 0 ? kong_find_entity_kind(name) : NULL;
}

static bool is_elsewhere(const struct kong_entity_kind *kind, struct slice key)
{
    static const char *const memberships[] = { "groups", "consumers", "consumer_group_consumers",
                                               "consumer_group_plugins" };
    if (slice_equal(key, SLICE("_comment")) || slice_equal(key, SLICE("_ignore")))
        return true;
    for (size_t i = 0; i < COUNT_OF(memberships); i++)
        if (slice_equal(key, slice_of(memberships[i])) && strncmp(kind->name, "consumer", 8) == 0)
            return true;
    return false;
}

/* --- what reading has worked out ------------------------------------------------------------------------ */

static void set_text(json_t *object, const char *name, struct slice text)
{
    if (text.data)
        json_object_set_new(object, name, kong_error_text(text.data));
}

static const char *protocol_text(int protocol)
{
    for (int i = 0; kong_protocol_choices[i]; i++)
        if ((int)kong_protocol_of(i) == protocol)
            return kong_protocol_choices[i];
    return NULL;
}

static void refine_service(const struct cataloguing *out, const struct entity *entity, json_t *object)
{
    const struct service *service = (const void *)entity;
    const char *protocol = protocol_text(service->protocol);
    (void)out;
    if (json_object_del(object, "url") != 0)
        return;
    if (protocol)
        json_object_set_new(object, "protocol", json_string(protocol));
    set_text(object, "host", service->host);
    json_object_set_new(object, "port", json_integer(service->port));
    set_text(object, "path", service->path);
}

static void refine_route(const struct cataloguing *out, const struct entity *entity, json_t *object)
{
    const struct route *route = (const void *)entity;
    uint64_t grpc = PROTOCOL_BIT(PROTOCOL_GRPC) | PROTOCOL_BIT(PROTOCOL_GRPCS);
    if (route->protocols & grpc && !json_object_get(object, "strip_path"))
        json_object_set_new(object, "strip_path", json_false());
    if (!out->old_format || route->paths.count == 0)
        return;
    json_t *paths = json_array();
    for (uint32_t i = 0; i < route->paths.count; i++)
        json_array_append_new(paths, kong_error_text(route->paths.items[i].data));
    json_object_set_new(object, "paths", paths);
}

static void refine_target(const struct cataloguing *out, const struct entity *entity, json_t *object)
{
    (void)out;
    set_text(object, "target", entity->name);
}

/* Kong's coupling of hash_on and the algorithm. */
static void refine_upstream(const struct cataloguing *out, const struct entity *entity, json_t *object)
{
    const struct upstream *upstream = (const void *)entity;
    (void)out;
    if (upstream->balance == BALANCE_CONSISTENT_HASHING)
        json_object_set_new(object, "algorithm", json_string("consistent-hashing"));
    else if (upstream->balance == BALANCE_ROUND_ROBIN)
        json_object_del(object, "algorithm");
    if (upstream->balance == BALANCE_LEAST_CONNECTIONS || upstream->balance == BALANCE_LATENCY)
        json_object_del(object, "hash_on");
}

static void refine_authority(const struct cataloguing *out, const struct entity *entity, json_t *object)
{
    const struct ca_certificate *authority = (const void *)entity;
    (void)out;
    json_object_set_new(object, "cert_digest", json_string(authority->digest));
}

/* Drawn keys, and secrets as they are stored; references to vaults stay as they are written. */
static void refine_credential(const struct cataloguing *out, const struct credential *credential,
                              json_t *object)
{
    const struct credential_kind *kind = credential->kind;
    for (size_t i = 0; i < kind->schema->field_count; i++) {
        const struct field *field = &kind->schema->fields[i];
        if (field->type != FIELD_STRING || field->flags & FIELD_UNSUPPORTED)
            continue;
        struct slice text = *(const struct slice *)(const void *)((const char *)credential + field->offset);
        bool given = json_object_get(object, field->name) != NULL;
        bool stored = kind->complete && out->transform && field->flags & FIELD_SECRET;
        if (!given || stored)
            set_text(object, field->name, text);
    }
}

static void refine(const struct cataloguing *out, const char *kind, const struct entity *entity,
                   json_t *object)
{
    static const struct {
        const char *kind;
        void (*refine)(const struct cataloguing *out, const struct entity *entity, json_t *object);
    } rows[] = {
        { "services", refine_service },
        { "routes", refine_route },
        { "targets", refine_target },
        { "upstreams", refine_upstream },
        { "ca_certificates", refine_authority },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (strcmp(kind, rows[i].kind) == 0)
            rows[i].refine(out, entity, object);
    if (kong_find_credential(out->reader, slice_of(kind)))
        refine_credential(out, (const void *)entity, object);
}

/* --- documents ------------------------------------------------------------------------------------------ */

static void set_times(const char *kind, const struct entity *entity, json_t *object)
{
    const char *const names[] = { "created_at", "updated_at" };
    const int64_t times_ms[] = { entity->created_at_ms, entity->updated_at_ms };
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (json_object_get(object, names[i]))
            continue;
        bool fraction = strcmp(kind, "targets") == 0 && times_ms[i] % 1000 != 0;
        json_object_set_new(object, names[i],
                            fraction ? json_real((double)times_ms[i] / 1000)
                                     : json_integer(times_ms[i] / 1000));
    }
}

static json_t *document_of(struct cataloguing *out, const struct placed *placed, const struct entity *entity)
{
    json_t *object = json_object();
    for (uint32_t i = 0; i < placed->node->count; i++) {
        const struct node_entry *entry = &placed->node->entries[i];
        const struct kong_relation *relation = kong_find_relation(slice_of(placed->kind->name), entry->key);
        if (entry->value->kind == NODE_NULL || is_elsewhere(placed->kind, entry->key) ||
            child_kind(out->reader, placed->kind, entry))
            continue;
        json_t *value =
            relation ? reference(out->reader, relation->target, entry->value) : kong_node_json(entry->value);
        if (value)
            json_object_set_new(object, entry->key.data, value);
    }
    if (placed->parent_field)
        json_object_set_new(object, placed->parent_field, json_pack("{s:s}", "id", placed->parent_id));
    json_object_set_new(object, "id", json_string(entity->id));
    set_times(placed->kind->name, entity, object);
    refine(out, placed->kind->name, entity, object);
    return object;
}

static void add_document(struct cataloguing *out, const struct placed *placed, const struct entity *entity)
{
    json_t *object = document_of(out, placed, entity);
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    const json_t *key = placed->kind->key ? json_object_get(object, placed->kind->key) : NULL;
    struct catalog_row row = { .kind = placed->kind->name,
                               .id = entity->id,
                               .key = { json_string_value(key), json_string_length(key) },
                               .text = slice_of(text) };
    out->good = out->good && text && catalog_add(out->catalog, &row);
    free(text);
    json_decref(object);
}

/* False: it is to be described anew. */
static bool take_over(struct cataloguing *out, const struct placed *placed, const struct entity *entity)
{
    const struct catalog_row *row = catalog_source_find(&out->source, placed->kind->name, entity->id);
    if (row)
        out->good = out->good && catalog_add(out->catalog, row);
    return row != NULL;
}

static void walk_list(struct cataloguing *out, const struct node *list, const struct placed *like)
{
    for (uint32_t i = 0; list->kind == NODE_SEQUENCE && i < list->count && out->good; i++) {
        struct placed placed = *like;
        placed.node = list->entries[i].value;
        walk_entity(out, &placed);
    }
}

static void walk_entity(struct cataloguing *out, const struct placed *placed)
{
    const struct entity *entity = entity_of(out, placed->node);
    if (entity == NULL || take_over(out, placed, entity))
        return;
    add_document(out, placed, entity);
    for (uint32_t i = 0; i < placed->node->count && out->good; i++) {
        const struct node_entry *entry = &placed->node->entries[i];
        const struct kong_entity_kind *kind = child_kind(out->reader, placed->kind, entry);
        if (kind)
            walk_list(out, entry->value, &(struct placed){ kind, NULL, placed->kind->as_parent, entity->id });
    }
}

static bool begins_with(const struct node *version, const char *text)
{
    return version && version->kind == NODE_STRING && slice_starts_with(version->text, slice_of(text));
}

bool kong_catalogue(struct kong_reader *reader, const struct documents *documents)
{
    struct cataloguing out = { .reader = reader, .catalog = reader->model->catalog, .good = true };
    for (uint32_t i = 0; i < documents->count; i++) {
        const struct node *document = documents->items[i];
        const struct node *version = node_find(document, "_format_version");
        struct catalog_source *source = &out.catalog->source;
        out.source = i < source->document_count ? *source : (struct catalog_source){ 0 };
        const struct node *transform = node_find(document, "_transform");
        out.old_format = begins_with(version, "1.") || begins_with(version, "2.");
        out.transform = transform == NULL || transform->kind != NODE_BOOLEAN || transform->boolean;
        for (uint32_t k = 0; document->kind == NODE_MAPPING && k < document->count && out.good; k++) {
            const struct kong_entity_kind *kind = kong_find_entity_kind(document->entries[k].key);
            if (kind)
                walk_list(&out, document->entries[k].value, &(struct placed){ .kind = kind });
        }
    }
    out.catalog->source = (struct catalog_source){ 0 };
    return out.good && catalog_finish(out.catalog);
}
