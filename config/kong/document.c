/* SPDX-License-Identifier: Apache-2.0 */
#include "config/kong/document.h"

#include "config/kong/error_tree.h"
#include "config/kong/kong.h"
#include "config/model.h"

#include <jansson.h>
#include <stdlib.h>

static const size_t check_limit_bytes = (size_t)1024 * 1024 * 1024;

const struct plugin_kind *kong_find_plugin(const struct plugin_kind *const *plugins, struct slice name)
{
    for (; *plugins; plugins++)
        if (slice_equal(name, slice_of((*plugins)->name)))
            return *plugins;
    return NULL;
}

static const struct credential_kind *find_credential(const struct plugin_kind *const *plugins,
                                                     const char *name)
{
    for (; *plugins; plugins++)
        if ((*plugins)->credentials && strcmp((*plugins)->credentials->name, name) == 0)
            return (*plugins)->credentials;
    return NULL;
}

const struct schema *kong_document_schema(const struct kong_entity_kind *kind,
                                          const struct plugin_kind *const *plugins)
{
    const struct credential_kind *credential = find_credential(plugins, kind->name);
    return kind->schema ? kind->schema : credential ? credential->schema : NULL;
}

/* --- showing -------------------------------------------------------------------------------------------- */

static json_t *show_config(const json_t *given, const struct plugin_kind *const *plugins,
                           enum schema_showing how)
{
    const json_t *name = json_object_get(given, "name"), *config = json_object_get(given, "config");
    struct slice text = { json_string_value(name), json_string_length(name) };
    const struct plugin_kind *plugin = text.data ? kong_find_plugin(plugins, text) : NULL;
    if (plugin == NULL)
        return config ? json_incref((json_t *)(uintptr_t)config) : json_object();
    return schema_show(&plugin->config, config, how);
}

static void show_one(const struct schema *schema, const char *name, const json_t *given, json_t *shown)
{
    const struct field *field = schema ? schema_find(schema, slice_of(name)) : NULL;
    json_t *value = json_object_get(given, name);
    json_t *one = field ? schema_show_field(field, value, SCHEMA_AS_KONG) : NULL;
    json_object_set_new(shown, name, one ? one : value ? json_incref(value) : json_null());
}

static void show_credential(const struct schema *schema, const json_t *given, json_t *shown)
{
    static const char *const common[] = { "id", "created_at", "consumer", "tags" };
    for (size_t i = 0; i < COUNT_OF(common); i++)
        show_one(NULL, common[i], given, shown);
    for (size_t i = 0; schema && i < schema->field_count; i++) {
        const struct field *field = &schema->fields[i];
        if (!(field->flags & (FIELD_UNSUPPORTED | FIELD_OWN)) || json_object_get(given, field->name))
            show_one(schema, field->name, given, shown);
    }
}

json_t *kong_document_show(const struct kong_entity_kind *kind, const json_t *given,
                           const struct plugin_kind *const *plugins, enum schema_showing how)
{
    const struct schema *schema = kong_document_schema(kind, plugins);
    json_t *shown = json_object();
    const char *name;
    json_t *value;
    bool is_plugin = strcmp(kind->name, "plugins") == 0;
    for (const char *const *field = kind->fields; field && *field; field++) {
        if (is_plugin && strcmp(*field, "config") == 0)
            json_object_set_new(shown, *field, show_config(given, plugins, how));
        else
            show_one(schema, *field, given, shown);
    }
    if (kind->fields == NULL)
        show_credential(schema, given, shown);
    json_object_foreach((json_t *)(uintptr_t)given, name, value)
    {
        bool hidden = kind->fields == NULL && strcmp(name, "updated_at") == 0;
        if (!json_object_get(shown, name) && !hidden)
            json_object_set(shown, name, value);
    }
    return shown;
}

/* --- describing ----------------------------------------------------------------------------------------- */

static json_t *describe_reference(const struct kong_relation *relation)
{
    json_t *object = json_pack("{s:s, s:s, s:b}", "type", "foreign", "reference", relation->target,
                               "required", relation->required);
    if (relation->on_delete == KONG_CASCADE)
        json_object_set_new(object, "on_delete", json_string("cascade"));
    return object;
}

/* What is in no table. */
static json_t *describe_other(const char *name)
{
    static const char *const texts[][2] = {
        { "id", "{\"type\":\"string\",\"uuid\":true,\"auto\":true}" },
        { "created_at", "{\"type\":\"integer\",\"timestamp\":true,\"auto\":true}" },
        { "updated_at", "{\"type\":\"integer\",\"timestamp\":true,\"auto\":true}" },
        { "tags", "{\"type\":\"set\",\"elements\":{\"type\":\"string\",\"required\":true}}" },
        { "ca_certificates", "{\"type\":\"array\",\"elements\":{\"type\":\"string\",\"uuid\":true}}" },
        { "snis", "{\"type\":\"set\",\"elements\":{\"type\":\"string\"}}" },
        { "config", "{\"type\":\"record\",\"abstract\":true}" },
        { "sources", "{\"type\":\"set\",\"elements\":{\"type\":\"record\",\"fields\":[{\"ip\":{\"type\":"
                     "\"string\"}},{\"port\":{\"type\":\"integer\",\"between\":[0,65535]}}]}}" },
        { "destinations", "{\"type\":\"set\",\"elements\":{\"type\":\"record\",\"fields\":[{\"ip\":{\"type\":"
                          "\"string\"}},{\"port\":{\"type\":\"integer\",\"between\":[0,65535]}}]}}" },
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        if (strcmp(name, texts[i][0]) == 0)
            return json_loads(texts[i][1], 0, NULL);
    return NULL;
}

static void describe_one(const struct kong_entity_kind *kind, const struct schema *schema, const char *name,
                         json_t *list)
{
    const struct kong_relation *relation = kong_find_relation(slice_of(kind->name), slice_of(name));
    const struct field *field = schema ? schema_find(schema, slice_of(name)) : NULL;
    json_t *one = relation ? describe_reference(relation) : describe_other(name);
    if (one == NULL && field)
        one = schema_describe_field(field, SCHEMA_AS_KONG);
    if (one)
        json_array_append_new(list, json_pack("{s:o}", name, one));
}

json_t *kong_document_describe(const struct kong_entity_kind *kind, const struct plugin_kind *const *plugins,
                               enum schema_showing how)
{
    static const char *const common[] = { "id", "created_at", "consumer", NULL };
    const struct schema *schema = kong_document_schema(kind, plugins);
    json_t *list = json_array();
    for (const char *const *name = kind->fields ? kind->fields : common; *name; name++)
        describe_one(kind, schema, *name, list);
    for (size_t i = 0; schema && i < schema->field_count; i++) {
        const struct field *field = &schema->fields[i];
        bool listed = false;
        for (const char *const *name = kind->fields; name && *name; name++)
            listed = listed || strcmp(*name, field->name) == 0;
        bool hidden = field->flags & FIELD_UNSUPPORTED || (kind->fields && how == SCHEMA_AS_KONG);
        if (!listed && !hidden)
            describe_one(kind, schema, field->name, list);
    }
    if (kind->fields == NULL)
        describe_one(kind, schema, "tags", list);
    return json_pack("{s:o}", "fields", list);
}

json_t *kong_document_describe_plugin(const struct plugin_kind *plugin, enum schema_showing how)
{
    static const char protocols[] =
        "{\"protocols\":{\"type\":\"set\",\"required\":true,\"default\":[\"grpc\",\"grpcs\",\"http\","
        "\"https\"],\"elements\":{\"type\":\"string\",\"one_of\":[\"grpc\",\"grpcs\",\"http\",\"https\"]}}}";
    json_t *list = json_array();
    if (plugin->forbids_consumer || plugin->described_without_consumer)
        json_array_append_new(list, json_pack("{s:{s:s, s:s, s:n}}", "consumer", "type", "foreign",
                                              "reference", "consumers", "eq"));
    json_array_append_new(list, json_loads(protocols, 0, NULL));
    json_array_append_new(list, json_pack("{s:{s:s, s:b, s:o}}", "config", "type", "record", "required", 1,
                                          "fields", schema_describe(&plugin->config, how)));
    return json_pack("{s:o}", "fields", list);
}

/* --- forms ---------------------------------------------------------------------------------------------- */

/* A reference may be given as service.id=..., or in one text. */
static void infer_references(const struct kong_entity_kind *kind, json_t *given)
{
    const struct kong_relation *relation;
    for (size_t i = 0; (relation = kong_relation_at(i)) != NULL; i++) {
        json_t *value = json_object_get(given, relation->field);
        if (strcmp(relation->kind, kind->name) == 0 && json_is_string(value) &&
            json_string_length(value) == 0)
            json_object_set_new(given, relation->field, json_null());
    }
}

void kong_document_infer(const struct kong_entity_kind *kind, json_t *given,
                         const struct plugin_kind *const *plugins)
{
    static const struct field tags = { .name = "tags", .type = FIELD_STRINGS };
    static const struct schema tag_schema = { .fields = &tags, .field_count = 1 };
    const struct schema *schema = kong_document_schema(kind, plugins);
    const json_t *name = json_object_get(given, "name");
    json_t *config = json_object_get(given, "config");
    if (schema)
        schema_infer(schema, given);
    schema_infer(&tag_schema, given);
    infer_references(kind, given);
    struct slice text = { json_string_value(name), json_string_length(name) };
    const struct plugin_kind *plugin = text.data ? kong_find_plugin(plugins, text) : NULL;
    if (plugin && config && strcmp(kind->name, "plugins") == 0)
        schema_infer(&plugin->config, config);
}

/* --- checking ------------------------------------------------------------------------------------------- */

/* The errors of the one element. A message about it as a whole is a rule of it. */
static json_t *errors_of(json_t *fields, const char *kind)
{
    json_t *list = json_object_get(fields, kind);
    json_t *one = json_is_array(list) ? json_array_get(list, 0) : NULL;
    if (json_is_string(one))
        return json_pack("{s:[O]}", "@entity", one);
    if (json_is_object(one))
        return json_object_size(one) ? json_incref(one) : NULL;
    return json_object_size(fields) ? json_incref(fields) : NULL;
}

static json_t *check_text(const struct kong_entity_kind *kind, struct slice text,
                          const struct plugin_kind *const *plugins, struct arena *arena)
{
    struct report report;
    struct documents documents = { 0 };
    struct model *model = model_open();
    json_t *errors = NULL;
    report_init(&report);
    struct document_reading reading = { &document_default_limits, arena, &report };
    bool good = model && document_read_text(text, "entity.json", &reading, &documents) &&
                kong_read_all(&documents, plugins, model, &report);
    if (!good) {
        for (uint32_t i = 0; i < report.count; i++)
            if (report.entries[i].shape == REPORT_DANGLING)
                report.entries[i].kind = REPORT_WARNING;
        struct kong_error_source source = { &report, &documents };
        struct kong_error_tree tree = kong_error_tree(&source, KONG_ERRORS_FLATTENED);
        errors = errors_of(tree.fields, kind->name);
        json_decref(tree.fields);
        json_decref(tree.ids);
    }
    model_close(model);
    report_deinit(&report);
    return errors;
}

json_t *kong_document_check(const struct kong_entity_kind *kind, const json_t *given,
                            const struct plugin_kind *const *plugins)
{
    json_t *document = json_pack("{s:s, s:[O]}", "_format_version", "3.0", kind->name, given);
    char *text = document ? json_dumps(document, JSON_COMPACT) : NULL;
    json_t *errors = NULL;
    struct arena arena;
    arena_init(&arena, NULL, 0, check_limit_bytes);
    if (text)
        errors = check_text(kind, slice_of(text), plugins, &arena);
    else
        errors = json_pack("{s:[s]}", "@entity", "out of memory");
    arena_deinit(&arena);
    free(text);
    json_decref(document);
    return errors;
}
