/* SPDX-License-Identifier: Apache-2.0 */
/* The entity that a request to write makes: what was sent, merged with what is there. */
#include "core/app/admin_change.h"
#include "core/crypto/certificate.h"
#include "core/crypto/uuid.h"

#include <stdlib.h>
#include <time.h>

bool admin_list_id(struct admin_call *call, struct id_list *list, const char *kind, const char *id)
{
    if (list->count == list->capacity) {
        uint32_t capacity = list->capacity ? list->capacity * 2 : 16;
        struct store_id *items = arena_array(call->arena, capacity, sizeof(*items));
        if (items == NULL)
            return false;
        if (list->count)
            memcpy(items, list->items, list->count * sizeof(*items));
        list->items = items;
        list->capacity = capacity;
    }
    struct store_id *one = &list->items[list->count++];
    *one = (struct store_id){ .kind = kind };
    memcpy(one->id, id, strnlen(id, sizeof(one->id) - 1));
    return true;
}

/* --- merging -------------------------------------------------------------------------------------------- */

static const struct schema *schema_below(const struct schema *schema, const char *name)
{
    const struct field *field = schema ? schema_find(schema, slice_of(name)) : NULL;
    return field && field->type == FIELD_RECORD ? field->record : NULL;
}

/* Records are merged, everything else is replaced, null resets. */
static void merge(json_t *into, const json_t *given, const struct schema *schema)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)given, name, value)
    {
        json_t *there = json_object_get(into, name);
        const struct schema *record = schema_below(schema, name);
        if (json_is_null(value))
            json_object_del(into, name);
        else if (record && json_is_object(value) && json_is_object(there))
            merge(there, value, record);
        else
            json_object_set(into, name, value);
    }
}

static const struct schema *config_schema(const struct admin_writing *writing, const json_t *document)
{
    const json_t *name = json_object_get(document, "name");
    if (strcmp(writing->kind->name, "plugins") != 0 || !json_is_string(name))
        return NULL;
    const struct plugin_kind *plugin =
        kong_find_plugin(writing->call->node->source.plugins, slice_of(json_string_value(name)));
    return plugin ? &plugin->config : NULL;
}

/* What stands beside the parts of a url gives way to it. */
static void patch(struct admin_writing *writing, json_t *document, json_t *given)
{
    static const char *const parts[] = { "protocol", "host", "port", "path" };
    json_t *config = json_object_get(given, "config"), *there = json_object_get(document, "config");
    const struct schema *schema = config_schema(writing, document);
    for (size_t i = 0; json_object_get(given, "url") && i < COUNT_OF(parts); i++)
        json_object_del(document, parts[i]);
    if (schema && json_is_object(config) && json_is_object(there)) {
        merge(there, config, schema);
        json_object_del(given, "config");
    }
    merge(document, given, kong_document_schema(writing->kind, writing->call->node->source.plugins));
}

static void drop_nulls(json_t *document)
{
    const char *name;
    json_t *value;
    void *next;
    json_object_foreach_safe(document, next, name, value)
    {
        if (json_is_null(value))
            json_object_del(document, name);
    }
}

/* --- references ----------------------------------------------------------------------------------------- */

static const struct catalog_row *find_reference(const struct catalog *catalog, const char *target,
                                                const json_t *value)
{
    static const char *const names[] = { "id", "name", "username" };
    const struct kong_entity_kind *kind = kong_find_entity_kind(slice_of(target));
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        const json_t *text = json_object_get(value, names[i]);
        if (json_is_string(text))
            return admin_find(catalog, kind,
                              (struct slice){ json_string_value(text), json_string_length(text) });
    }
    return NULL;
}

/* By ids, whatever they were given by. */
static void resolve(struct admin_writing *writing, const struct catalog *catalog)
{
    const struct kong_relation *relation;
    for (size_t i = 0; (relation = kong_relation_at(i)) != NULL; i++) {
        json_t *value = json_object_get(writing->document, relation->field);
        if (strcmp(relation->kind, writing->kind->name) != 0 || !json_is_object(value))
            continue;
        const struct catalog_row *row = find_reference(catalog, relation->target, value);
        if (row)
            json_object_set_new(writing->document, relation->field, json_pack("{s:s}", "id", row->id));
        else if (writing->dangling == NULL)
            writing->dangling = json_pack("{s:s, s:s, s:O}", "field", relation->field, "target",
                                          relation->target, "value", value);
    }
}

/* --- what comes with it --------------------------------------------------------------------------------- */

/* The field by which the path names it. */
static const char *name_field(const struct kong_entity_kind *kind)
{
    if (strcmp(kind->name, "targets") == 0)
        return "target";
    return strcmp(kind->name, "acls") == 0 ? "group" : kind->key;
}

static void set_identity(struct admin_writing *writing, const struct catalog_row *row)
{
    json_t *document = writing->document;
    struct slice name = writing->target->upward ? (struct slice){ NULL, 0 } : writing->target->name;
    const json_t *given = json_object_get(document, "id");
    unsigned char bytes[UUID_BYTES];
    struct random_pool pool = { 0 };
    writing->exists = row != NULL;
    if (row)
        memcpy(writing->id, row->id, sizeof(writing->id));
    else if (name.data && uuid_read(name, bytes))
        uuid_write(bytes, writing->id);
    else if (json_is_string(given) && uuid_read(slice_of(json_string_value(given)), bytes))
        uuid_write(bytes, writing->id);
    else
        uuid_random(&pool, writing->id);
    bool bad_id = given && !(json_is_string(given) && uuid_read(slice_of(json_string_value(given)), bytes));
    if (!bad_id || row)
        json_object_set_new(document, "id", json_string(writing->id));
    const char *field = name_field(writing->kind);
    if (field && name.data && !uuid_read(name, bytes) && !json_object_get(document, field))
        json_object_set_new(document, field, json_stringn(name.data, name.size));
}

static void set_times(struct admin_writing *writing, const json_t *before)
{
    json_t *document = writing->document, *created = json_object_get(before, "created_at");
    bool fraction = strcmp(writing->kind->name, "targets") == 0;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    if (created && !json_object_get(document, "created_at"))
        json_object_set(document, "created_at", created);
    const char *const names[] = { "created_at", "updated_at" };
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (i == 1 || !json_object_get(document, names[i]))
            json_object_set_new(document, names[i],
                                fraction ? json_real((double)now_ms / 1000) : json_integer(now_ms / 1000));
}

static void set_parent(struct admin_writing *writing, const struct catalog *catalog)
{
    const struct admin_target *target = writing->target;
    const struct catalog_row *parent =
        target->parent && !target->upward ? admin_find(catalog, target->parent, target->parent_name) : NULL;
    if (parent)
        json_object_set_new(writing->document, target->relation->field, json_pack("{s:s}", "id", parent->id));
}

/* Of an authority that comes without one, or with that of the certificate before. */
static void set_digest(struct admin_writing *writing, const json_t *given)
{
    char reason[CERTIFICATE_REASON_SIZE];
    struct certificate_facts facts;
    const json_t *cert = json_object_get(writing->document, "cert");
    if (strcmp(writing->kind->name, "ca_certificates") != 0 ||
        json_is_string(json_object_get(given, "cert_digest")))
        return;
    struct slice pem = { json_string_value(cert), json_string_length(cert) };
    if (pem.data && certificate_read(pem, &facts, reason))
        json_object_set_new(writing->document, "cert_digest", json_string(facts.digest));
    else
        json_object_del(writing->document, "cert_digest");
}

void admin_build_document(struct admin_writing *writing, json_t *given, const struct catalog *catalog,
                          const struct catalog_row *row)
{
    json_t *before = row ? admin_document(row) : NULL;
    if (writing->call->method == ADMIN_PATCH && before) {
        writing->document = json_deep_copy(before);
        writing->hashed = !json_object_get(given, "password");
        patch(writing, writing->document, given);
    } else {
        writing->document = json_incref(given);
    }
    drop_nulls(writing->document);
    set_parent(writing, catalog);
    set_identity(writing, row);
    set_times(writing, before);
    set_digest(writing, given);
    resolve(writing, catalog);
    json_decref(before);
}
