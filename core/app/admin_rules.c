/* SPDX-License-Identifier: Apache-2.0 */
/* What forbids a change, in the words of Kong's errors. */
#include "core/app/admin_change.h"
#include "core/crypto/uuid.h"

#include <stdio.h>
#include <stdlib.h>

/* --- the entity by itself ------------------------------------------------------------------------------- */

/* A plugin that there is not has no fields that could be wrong. */
static void keep_unknown_plugin(const struct kong_entity_kind *kind, json_t *errors)
{
    const char *text = json_string_value(json_object_get(errors, "name"));
    if (strcmp(kind->name, "plugins") != 0 || text == NULL || strncmp(text, "plugin '", 8) != 0)
        return;
    json_t *kept = json_incref(json_object_get(errors, "name"));
    json_object_clear(errors);
    json_object_set_new(errors, "name", kept);
}

bool admin_breaks_schema(struct admin_writing *writing)
{
    json_t *errors =
        kong_document_check(writing->kind, writing->document, writing->call->node->source.plugins);
    if (errors == NULL)
        return false;
    keep_unknown_plugin(writing->kind, errors);
    admin_schema_violation(writing->call->answer, errors);
    return true;
}

/* --- references ----------------------------------------------------------------------------------------- */

/* {id="x"}: a Lua table on one line. */
static void write_table(FILE *out, const json_t *object)
{
    const char *name, *comma = "";
    json_t *value;
    fputc('{', out);
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        fprintf(out, "%s%s=", comma, name);
        comma = ",";
        if (json_is_string(value))
            fprintf(out, "\"%s\"", json_string_value(value));
        else if (json_is_object(value))
            write_table(out, value);
        else
            fputs("null", out);
    }
    fputc('}', out);
}

static char *table_text(const json_t *object)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (out) {
        write_table(out, object);
        fclose(out);
    }
    return text;
}

static void answer_with_table(struct admin_call *call, enum admin_error error, const char *format,
                              const json_t *table)
{
    char *text = table_text(table), *message = NULL;
    if (asprintf(&message, format, text ? text : "") < 0)
        message = NULL;
    admin_error(call->answer, error, message ? message : "", json_incref((json_t *)(uintptr_t)table));
    free(message);
    free(text);
}

bool admin_breaks_references(struct admin_writing *writing)
{
    const json_t *dangling = writing->dangling;
    if (dangling == NULL)
        return false;
    const char *field = json_string_value(json_object_get(dangling, "field"));
    const char *target = json_string_value(json_object_get(dangling, "target"));
    char *value = table_text(json_object_get(dangling, "value")), *message = NULL;
    if (asprintf(&message, "the foreign key '%s' does not reference an existing '%s' entity.",
                 value ? value : "", target) < 0)
        message = NULL;
    admin_error(writing->call->answer, ADMIN_ERROR_FOREIGN_KEY, message ? message : "",
                json_pack("{s:O}", field, json_object_get(dangling, "value")));
    free(message);
    free(value);
    return true;
}

/* --- uniqueness ----------------------------------------------------------------------------------------- */

static bool same_values(const json_t *a, const json_t *b, const char *const *fields)
{
    for (; *fields; fields++) {
        const json_t *left = json_object_get(a, *fields), *right = json_object_get(b, *fields);
        if (left == NULL && right == NULL)
            continue;
        if (left == NULL || right == NULL || !json_equal(left, right))
            return false;
    }
    return true;
}

static json_t *values_of(const json_t *document, const char *const *fields)
{
    json_t *values = json_object();
    for (; *fields; fields++) {
        json_t *value = json_object_get(document, *fields);
        json_object_set_new(values, *fields, value ? json_incref(value) : json_null());
    }
    return values;
}

static bool is_taken(const struct admin_writing *writing, const struct catalog *catalog,
                     const char *const *fields)
{
    uint32_t count;
    const struct catalog_row *rows = catalog_of_kind(catalog, writing->kind->name, &count);
    bool taken = false;
    for (uint32_t i = 0; i < count && !taken; i++) {
        json_t *other = strcmp(rows[i].id, writing->id) == 0 ? NULL : admin_document(&rows[i]);
        taken = other && same_values(writing->document, other, fields);
        json_decref(other);
    }
    return taken;
}

static bool refuse_taken(struct admin_writing *writing, const char *const *fields)
{
    json_t *values = values_of(writing->document, fields);
    answer_with_table(writing->call, ADMIN_ERROR_UNIQUE, "UNIQUE violation detected on '%s'", values);
    json_decref(values);
    return true;
}

static bool breaks_key(struct admin_writing *writing, const struct catalog *catalog)
{
    const char *field = writing->kind->key;
    const json_t *value = field ? json_object_get(writing->document, field) : NULL;
    if (!json_is_string(value))
        return false;
    /* A name that looks like an id may be one of another entity. */
    const struct catalog_row *row = catalog_find(
        catalog, writing->kind->name, (struct slice){ json_string_value(value), json_string_length(value) });
    if (row == NULL || strcmp(row->id, writing->id) == 0)
        return false;
    return refuse_taken(writing, (const char *const[]){ field, NULL });
}

static bool breaks_id(struct admin_writing *writing, const struct catalog *catalog)
{
    if (writing->exists || catalog_find(catalog, writing->kind->name, slice_of(writing->id)) == NULL)
        return false;
    json_t *id = json_pack("{s:s}", "id", writing->id);
    answer_with_table(writing->call, ADMIN_ERROR_PRIMARY_KEY, "primary key violation on key '%s'", id);
    json_decref(id);
    return true;
}

bool admin_breaks_uniqueness(struct admin_writing *writing, const struct catalog *catalog)
{
    const struct kong_uniqueness *rule;
    if (breaks_id(writing, catalog) || breaks_key(writing, catalog))
        return true;
    for (size_t i = 0; (rule = kong_uniqueness_at(i)) != NULL; i++)
        if (strcmp(rule->kind, writing->kind->name) == 0 &&
            json_object_get(writing->document, rule->fields[0]) && is_taken(writing, catalog, rule->fields))
            return refuse_taken(writing, rule->fields);
    return false;
}

/* --- removals ------------------------------------------------------------------------------------------- */

static bool refuse_referenced(struct admin_call *call, const char *by, const char *kind)
{
    char message[160];
    snprintf(message, sizeof(message), "an existing '%s' entity references this '%s' entity", by, kind);
    admin_error(call->answer, ADMIN_ERROR_FOREIGN_KEY, message, json_pack("{s:s}", "@referenced_by", by));
    return true;
}

/* With everything that goes with it. */
bool admin_breaks_removal(struct admin_writing *writing, const struct catalog *catalog,
                          const struct catalog_row *row)
{
    const struct kong_relation *relation;
    if (!admin_list_id(writing->call, &writing->removals, row->kind, row->id)) {
        admin_message(writing->call->answer, 503, "out of memory");
        return true;
    }
    for (size_t i = 0; (relation = kong_relation_at(i)) != NULL; i++) {
        uint32_t count = 0;
        const struct catalog_row *rows = NULL;
        if (strcmp(relation->target, row->kind) == 0)
            rows = catalog_of_kind(catalog, relation->kind, &count);
        for (uint32_t k = 0; k < count; k++) {
            if (!catalog_refers(&rows[k], relation->field, row->id))
                continue;
            if (relation->on_delete == KONG_RESTRICT)
                return refuse_referenced(writing->call, relation->kind, row->kind);
            if (admin_breaks_removal(writing, catalog, &rows[k]))
                return true;
        }
    }
    return false;
}
