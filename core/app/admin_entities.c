/* SPDX-License-Identifier: Apache-2.0 */
#include "core/app/admin_entities.h"

#include "core/crypto/uuid.h"

#include <stdio.h>

/* --- paths ---------------------------------------------------------------------------------------------- */

static bool is_hidden(const struct kong_entity_kind *kind)
{
    return kind == NULL || strcmp(kind->name, "targets") == 0;
}

static const struct kong_relation *find_nested(const struct kong_entity_kind *parent, struct slice name)
{
    const struct kong_relation *relation;
    for (size_t i = 0; (relation = kong_relation_at(i)) != NULL; i++)
        if (strcmp(relation->target, parent->name) == 0 && relation->nested &&
            slice_equal(name, slice_of(relation->nested)))
            return relation;
    return NULL;
}

static bool set_below(const struct admin_call *call, struct admin_target *target)
{
    const struct kong_entity_kind *kind = target->kind;
    struct slice word = call->segments[2];
    const struct kong_relation *upward = kong_find_relation(slice_of(kind->name), word);
    const struct kong_relation *nested = find_nested(kind, word);
    target->parent = kind;
    target->parent_name = call->segments[1];
    target->name = (struct slice){ NULL, 0 };
    if (nested && call->segment_count <= 4) {
        target->relation = nested;
        target->kind = kong_find_entity_kind(slice_of(nested->kind));
        if (call->segment_count == 4)
            target->name = call->segments[3];
        return target->kind != NULL;
    }
    if (upward == NULL || !upward->upward || call->segment_count != 3)
        return false;
    target->relation = upward;
    target->upward = true;
    target->kind = kong_find_entity_kind(slice_of(upward->target));
    return target->kind != NULL;
}

bool admin_target_of(const struct admin_call *call, struct admin_target *target)
{
    *target = (struct admin_target){ 0 };
    if (call->segment_count == 0)
        return false;
    target->kind = kong_find_kind_of_path(call->segments[0]);
    if (is_hidden(target->kind))
        return false;
    if (call->segment_count >= 2)
        target->name = call->segments[1];
    return call->segment_count <= 2 || set_below(call, target);
}

bool admin_entities_methods(const struct admin_call *call, unsigned *methods)
{
    struct admin_target target;
    if (!admin_target_of(call, &target))
        return false;
    if (target.upward)
        *methods = ADMIN_GET | ADMIN_PUT | ADMIN_PATCH;
    else if (target.name.data)
        *methods = ADMIN_GET | ADMIN_PUT | ADMIN_PATCH | ADMIN_DELETE;
    else
        *methods = ADMIN_GET | ADMIN_POST;
    return true;
}

/* --- documents ------------------------------------------------------------------------------------------ */

json_t *admin_document(const struct catalog_row *row)
{
    return json_loadb(row->text.data, row->text.size, 0, NULL);
}

struct slice admin_reference(const json_t *document, const char *field)
{
    const json_t *id = json_object_get(json_object_get(document, field), "id");
    return (struct slice){ json_string_value(id), json_string_length(id) };
}

/* The names for which a certificate stands. */
static json_t *names_of_certificate(const struct catalog *catalog, const char *id)
{
    uint32_t count;
    const struct catalog_row *snis = catalog_of_kind(catalog, "snis", &count);
    json_t *names = json_array();
    for (uint32_t i = 0; i < count; i++)
        if (catalog_refers(&snis[i], "certificate", id))
            json_array_append_new(names, json_stringn(snis[i].key.data, snis[i].key.size));
    return names;
}

json_t *admin_show(const struct admin_node *node, const struct catalog *catalog,
                   const struct kong_entity_kind *kind, const struct catalog_row *row)
{
    json_t *given = admin_document(row);
    json_t *shown = kong_document_show(kind, given, node->source.plugins, SCHEMA_AS_KONG);
    if (strcmp(kind->name, "certificates") == 0)
        json_object_set_new(shown, "snis", names_of_certificate(catalog, row->id));
    json_decref(given);
    return shown;
}

/* --- finding -------------------------------------------------------------------------------------------- */

static bool field_is(const struct catalog_row *row, const char *field, struct slice text)
{
    json_t *document = admin_document(row);
    const json_t *value = json_object_get(document, field);
    bool same = json_is_string(value) &&
                slice_equal(text, (struct slice){ json_string_value(value), json_string_length(value) });
    json_decref(document);
    return same;
}

/* Some have no name of their own, but one below their parent. */
static const struct catalog_row *find_below(const struct catalog *catalog, const struct admin_target *target,
                                            const struct catalog_row *parent)
{
    static const char *const names[][2] = { { "targets", "target" }, { "acls", "group" } };
    uint32_t count;
    const struct catalog_row *rows = catalog_of_kind(catalog, target->kind->name, &count);
    for (size_t i = 0; i < COUNT_OF(names); i++)
        for (uint32_t k = 0; strcmp(names[i][0], target->kind->name) == 0 && k < count; k++)
            if (catalog_refers(&rows[k], target->relation->field, parent->id) &&
                field_is(&rows[k], names[i][1], target->name))
                return &rows[k];
    return NULL;
}

const struct catalog_row *admin_find(const struct catalog *catalog, const struct kong_entity_kind *kind,
                                     struct slice name)
{
    const struct catalog_row *row = catalog_find(catalog, kind->name, name);
    if (row || strcmp(kind->name, "certificates") != 0)
        return row;
    const struct catalog_row *sni = catalog_find(catalog, "snis", name);
    json_t *document = sni ? admin_document(sni) : NULL;
    struct slice id = admin_reference(document, "certificate");
    row = id.data ? catalog_find(catalog, kind->name, id) : NULL;
    json_decref(document);
    return row;
}

static const struct catalog_row *find_upward(const struct catalog *catalog, const struct admin_target *target,
                                             const struct catalog_row *child)
{
    json_t *document = admin_document(child);
    struct slice id = admin_reference(document, target->relation->field);
    const struct catalog_row *row = id.data ? catalog_find(catalog, target->kind->name, id) : NULL;
    json_decref(document);
    return row;
}

const struct catalog_row *admin_find_target(const struct catalog *catalog, const struct admin_target *target,
                                            const struct catalog_row **parent)
{
    const struct catalog_row *around =
        target->parent ? admin_find(catalog, target->parent, target->parent_name) : NULL;
    if (parent)
        *parent = around;
    if (target->parent == NULL)
        return admin_find(catalog, target->kind, target->name);
    if (around == NULL)
        return NULL;
    if (target->upward)
        return find_upward(catalog, target, around);
    const struct catalog_row *row = admin_find(catalog, target->kind, target->name);
    if (row && catalog_refers(row, target->relation->field, around->id))
        return row;
    return find_below(catalog, target, around);
}

/* --- answers -------------------------------------------------------------------------------------------- */

static void answer_one(struct admin_call *call, const struct catalog *catalog,
                       const struct admin_target *target)
{
    const struct catalog_row *row = admin_find_target(catalog, target, NULL);
    if (row)
        admin_json(call->answer, 200, admin_show(call->node, catalog, target->kind, row));
    else
        admin_not_found(call);
}

static void answer_list(struct admin_call *call, const struct catalog *catalog,
                        const struct admin_target *target)
{
    const struct catalog_row *parent = NULL;
    if (target->parent)
        parent = admin_find(catalog, target->parent, target->parent_name);
    if (target->parent && parent == NULL)
        admin_not_found(call);
    else
        admin_list(call, catalog, target, parent);
}

void admin_entities_answer(struct admin_call *call)
{
    const struct admin_source *source = &call->node->source;
    struct admin_target target;
    if (!admin_target_of(call, &target)) {
        admin_not_found(call);
        return;
    }
    if (call->method != ADMIN_GET) {
        admin_write(call, &target);
        return;
    }
    const struct catalog *catalog = in_force_open_catalog(source->in_force);
    if (catalog == NULL)
        admin_not_found(call);
    else if (target.name.data || target.upward)
        answer_one(call, catalog, &target);
    else
        answer_list(call, catalog, &target);
    in_force_close(source->in_force);
}
