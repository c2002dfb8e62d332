/* SPDX-License-Identifier: Apache-2.0 */
/* The flattened form: one item per entity that holds errors, with the entity as it was written. */
#include "config/kong/entity_kinds.h"
#include "config/kong/error_tree.h"
#include "core/crypto/uuid.h"

#include <jansson.h>
#include <stdlib.h>

struct flattening {
    json_t *list;
    const json_t *ids; /* of entities that stand twice, by path */
};

/* An entity on its way: its errors are taken out of `errors`, which belongs to the caller. */
struct flat_entity {
    const struct kong_entity_kind *kind;
    const struct node *node;
    json_t *errors;
    const char *path;
    const char *parent_field; /* how it names the entity around it; NULL: it stands at the top */
    struct slice parent_id;   /* absent: not known */
};

json_t *kong_node_json(const struct node *node)
{
    switch (node->kind) {
    case NODE_NULL: return json_null();
    case NODE_BOOLEAN: return json_boolean(node->boolean);
    case NODE_NUMBER: {
        json_t *number = node->is_integer ? json_integer(node->integer) : json_real(node->number);
        return number ? number : kong_error_text(node->text.data); /* JSON knows no infinity */
    }
    case NODE_STRING: return kong_error_text(node->text.data);
    case NODE_SEQUENCE: {
        json_t *array = json_array();
        for (uint32_t i = 0; i < node->count; i++)
            json_array_append_new(array, kong_node_json(node->entries[i].value));
        return array;
    }
    case NODE_MAPPING: {
        json_t *object = json_object();
        for (uint32_t i = 0; i < node->count; i++)
            json_object_set_new(object, node->entries[i].key.data, kong_node_json(node->entries[i].value));
        return object;
    }
    }
    return NULL;
}

static bool is_uuid(struct slice text)
{
    unsigned char bytes[UUID_BYTES];
    return text.data != NULL && uuid_read(text, bytes);
}

/* The id written in a record, absent when it is none. */
static struct slice id_of(const struct node *record)
{
    const struct node *id = node_find(record, "id");
    return id && id->kind == NODE_STRING && is_uuid(id->text) ? id->text : (struct slice){ NULL, 0 };
}

static json_t *reference_to(struct slice id)
{
    json_t *object = json_object();
    json_object_set_new(object, "id", kong_error_text(id.data));
    return object;
}

/* --- the errors of one entity --------------------------------------------------------------------------- */

static void add_error(json_t *list, const char *field, json_t *message)
{
    json_t *error = json_object();
    json_object_set_new(error, "type", json_string(field ? "field" : "entity"));
    if (field)
        json_object_set_new(error, "field", kong_error_text(field));
    json_object_set(error, "message", message);
    json_array_append_new(list, error);
}

static char *join(const char *path, const char *name)
{
    char *text;
    return asprintf(&text, "%s%s%s", path, path[0] ? "." : "", name) < 0 ? NULL : text;
}

static void sort_errors(json_t *list, json_t *errors, const char *path, const struct node *node);

/* Elements count from 1. A list of messages about one value is no list of elements. */
static void sort_elements(json_t *list, json_t *errors, const char *path, const struct node *node)
{
    size_t i;
    json_t *one;
    bool elements = node && node->kind == NODE_SEQUENCE;
    json_array_foreach(errors, i, one)
    {
        char index[32];
        snprintf(index, sizeof(index), "%zu", i + 1);
        char *deeper = join(path, index);
        if (json_is_string(one))
            add_error(list, elements ? deeper : path, one);
        else if (deeper && !json_is_null(one))
            sort_errors(list, one, deeper, elements && i < node->count ? node->entries[i].value : NULL);
        free(deeper);
    }
}

static void sort_errors(json_t *list, json_t *errors, const char *path, const struct node *node)
{
    const char *name;
    json_t *one;
    if (json_is_array(errors)) {
        sort_elements(list, errors, path, node);
        return;
    }
    json_object_foreach(errors, name, one)
    {
        size_t i;
        json_t *rule;
        char *deeper = join(path, name);
        if (strcmp(name, "@entity") == 0)
            json_array_foreach(one, i, rule) add_error(list, NULL, rule);
        else if (json_is_string(one) && deeper)
            add_error(list, deeper, one);
        else if (deeper)
            sort_errors(list, one, deeper, node_find(node, name));
        free(deeper);
    }
}

/* --- entities below entities ---------------------------------------------------------------------------- */

static void flatten(struct flattening *out, const struct flat_entity *entity);

/* A message about an entity as a whole is a rule of it. New reference; NULL: there are none. */
static json_t *open_errors(json_t *errors)
{
    if (json_is_string(errors))
        return json_pack("{s:[O]}", "@entity", errors);
    return json_is_object(errors) && json_object_size(errors) > 0 ? json_incref(errors) : NULL;
}

static void flatten_element(struct flattening *out, const struct flat_entity *element, json_t *errors)
{
    struct flat_entity one = *element;
    one.errors = open_errors(errors);
    if (one.errors)
        flatten(out, &one);
    json_decref(one.errors);
}

/* The collection `entry` of an entity; what is wrong with elements that are no records stays with it. */
static void flatten_children(struct flattening *out, const struct flat_entity *parent,
                             const struct node_entry *entry)
{
    json_t *errors = json_object_get(parent->errors, entry->key.data), *one;
    size_t i;
    bool all = true;
    json_array_foreach(errors, i, one)
    {
        const struct node *node = i < entry->value->count ? entry->value->entries[i].value : NULL;
        char *path;
        if (node == NULL || node->kind != NODE_MAPPING) {
            all = all && json_is_null(one);
            continue;
        }
        if (asprintf(&path, "%s.%s[%zu]", parent->path, entry->key.data, i) < 0)
            return;
        struct flat_entity child = { .kind = kong_find_entity_kind(entry->key),
                                     .node = node,
                                     .path = path,
                                     .parent_field = parent->kind->as_parent,
                                     .parent_id = id_of(parent->node) };
        flatten_element(out, &child, one);
        json_array_set_new(errors, i, json_null());
        free(path);
    }
    if (all && !json_is_string(errors))
        json_object_del(parent->errors, entry->key.data);
}

/* A foreign entity that was written out: here stands its id only. */
static void flatten_foreign(struct flattening *out, const struct flat_entity *entity,
                            const struct node_entry *entry)
{
    struct flat_entity foreign = { .kind = kong_find_foreign_kind(entry->key),
                                   .node = entry->value,
                                   .path = "" };
    json_t *errors = json_object_get(entity->errors, entry->key.data);
    if (!json_is_object(errors))
        return;
    flatten_element(out, &foreign, errors);
    json_object_del(entity->errors, entry->key.data);
}

static bool is_collection(const struct node_entry *entry)
{
    return entry->value->kind == NODE_SEQUENCE && kong_find_entity_kind(entry->key) != NULL &&
           !slice_equal(entry->key, SLICE("ca_certificates")); /* a field of services, with ids */
}

static bool is_foreign(const struct node_entry *entry)
{
    return entry->value->kind == NODE_MAPPING && kong_find_foreign_kind(entry->key) != NULL;
}

/* The entity as it was written, without the entities in it, which have items of their own. */
static json_t *write_entity(const struct flat_entity *entity, const char *id)
{
    json_t *object = json_object();
    for (uint32_t i = 0; i < entity->node->count; i++) {
        const struct node_entry *entry = &entity->node->entries[i];
        if (is_collection(entry))
            continue;
        if (!is_foreign(entry))
            json_object_set_new(object, entry->key.data, kong_node_json(entry->value));
        else if (id_of(entry->value).data)
            json_object_set_new(object, entry->key.data, reference_to(id_of(entry->value)));
    }
    if (entity->parent_field && entity->parent_id.data && !json_object_get(object, entity->parent_field))
        json_object_set_new(object, entity->parent_field, reference_to(entity->parent_id));
    if (id && !json_object_get(object, "id"))
        json_object_set_new(object, "id", json_string(id));
    return object;
}

static bool is_texts(const json_t *list)
{
    size_t i;
    const json_t *one;
    json_array_foreach(list, i, one) if (!json_is_string(one)) return false;
    return json_is_array(list);
}

static void add_item(struct flattening *out, const struct flat_entity *entity, json_t *errors)
{
    const char *id = json_string_value(json_object_get(out->ids, entity->path));
    const char *kind = entity->kind->name;
    size_t size = strlen(kind);
    json_t *item = json_object(), *object = write_entity(entity, id);
    json_t *name = json_object_get(object, "name"), *tags = json_object_get(object, "tags");
    json_t *own_id = json_object_get(object, "id");
    json_object_set_new(item, "entity_type", json_stringn(kind, size - (kind[size - 1] == 's')));
    if (json_string_length(name) > 0)
        json_object_set(item, "entity_name", name);
    if (is_uuid((struct slice){ json_string_value(own_id), json_string_length(own_id) }))
        json_object_set(item, "entity_id", own_id);
    if (is_texts(tags))
        json_object_set(item, "entity_tags", tags);
    json_object_set_new(item, "entity", object);
    json_object_set_new(item, "errors", errors);
    json_array_append_new(out->list, item);
}

static void flatten(struct flattening *out, const struct flat_entity *entity)
{
    for (uint32_t i = 0; i < entity->node->count; i++) {
        const struct node_entry *entry = &entity->node->entries[i];
        if (is_collection(entry))
            flatten_children(out, entity, entry);
        else if (is_foreign(entry))
            flatten_foreign(out, entity, entry);
    }
    if (json_object_size(entity->errors) == 0)
        return;
    json_t *errors = json_array();
    sort_errors(errors, entity->errors, "", entity->node);
    add_item(out, entity, errors);
}

/* True when nothing is left of the collection. */
static bool flatten_collection(struct flattening *out, const struct documents *documents, const char *name,
                               json_t *errors)
{
    size_t i;
    json_t *one;
    bool all = json_is_array(errors);
    json_array_foreach(errors, i, one)
    {
        char path[64];
        struct flat_entity entity = { .kind = kong_find_entity_kind(slice_of(name)), .path = path };
        entity.node = kong_error_element(documents, name, i);
        snprintf(path, sizeof(path), "%s[%zu]", name, i);
        if (entity.kind == NULL || entity.node == NULL || entity.node->kind != NODE_MAPPING) {
            all = all && json_is_null(one);
            continue;
        }
        flatten_element(out, &entity, one);
        json_array_set_new(errors, i, json_null());
    }
    return all;
}

json_t *kong_error_flatten(const struct documents *documents, struct kong_error_tree *tree)
{
    struct flattening out = { json_array(), tree->ids };
    const char *name;
    json_t *errors;
    void *next;
    json_object_foreach_safe(tree->fields, next, name, errors)
    {
        if (flatten_collection(&out, documents, name, errors))
            json_object_del(tree->fields, name);
    }
    /* Kong writes an empty table, which is an object. */
    if (json_array_size(out.list) > 0)
        return out.list;
    json_decref(out.list);
    return json_object();
}
