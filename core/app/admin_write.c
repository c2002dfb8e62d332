/* SPDX-License-Identifier: Apache-2.0 */
/* POST, PUT, PATCH and DELETE of entities. With a configuration in files they are checked as ever, and then
 * refused; with a store they are carried out. */
#include "core/app/admin_change.h"
#include "core/crypto/uuid.h"

#include <stdio.h>
#include <stdlib.h>

static const struct catalog *open_catalog(const struct admin_call *call)
{
    return in_force_open_catalog(call->node->source.in_force);
}

static void close_catalog(const struct admin_call *call)
{
    in_force_close(call->node->source.in_force);
}

/* --- without a store ------------------------------------------------------------------------------------ */

static const char *verb_of(enum admin_method method)
{
    switch (method) {
    case ADMIN_POST: return "create";
    case ADMIN_PUT: return "create or update";
    case ADMIN_PATCH: return "update";
    case ADMIN_DELETE: return "remove";
    case ADMIN_GET: break;
    }
    return "read";
}

static void refuse_without_store(struct admin_call *call, const struct admin_target *target)
{
    char message[192], by[64] = "";
    unsigned char bytes[UUID_BYTES];
    bool named = target->name.data && !uuid_read(target->name, bytes);
    if (named && target->kind->key)
        snprintf(by, sizeof(by), " by '%s'", target->kind->key);
    snprintf(message, sizeof(message), "cannot %s '%s' entities%s when not using a database",
             verb_of(call->method), target->kind->name, by);
    admin_error(call->answer, ADMIN_ERROR_UNSUPPORTED, message, NULL);
}

/* --- certificates come with names ----------------------------------------------------------------------- */

static bool is_named(const json_t *names, struct slice name)
{
    for (size_t i = 0; i < json_array_size(names); i++) {
        const json_t *one = json_array_get(names, i);
        if (slice_equal(name, (struct slice){ json_string_value(one), json_string_length(one) }))
            return true;
    }
    return false;
}

static void remove_other_names(struct admin_writing *writing, const struct catalog *catalog,
                               const json_t *names)
{
    uint32_t count;
    const struct catalog_row *snis = catalog_of_kind(catalog, "snis", &count);
    for (uint32_t i = 0; i < count; i++)
        if (catalog_refers(&snis[i], "certificate", writing->id) && !is_named(names, snis[i].key))
            (void)admin_list_id(writing->call, &writing->removals, "snis", snis[i].id);
}

/* True when the answer says why not. */
static bool add_name(struct admin_writing *writing, const struct catalog *catalog, const json_t *name)
{
    char id[UUID_TEXT_SIZE];
    struct random_pool pool = { 0 };
    const struct catalog_row *row =
        catalog_find(catalog, "snis", (struct slice){ json_string_value(name), json_string_length(name) });
    if (row && catalog_refers(row, "certificate", writing->id))
        return false;
    if (row) {
        char text[512];
        snprintf(text, sizeof(text), "%.200s already associated with existing certificate",
                 json_string_value(name));
        admin_schema_violation(writing->call->answer, json_pack("{s:s}", "snis", text));
        return true;
    }
    uuid_random(&pool, id);
    if (writing->snis == NULL)
        writing->snis = json_array();
    json_array_append_new(writing->snis, json_pack("{s:s, s:O, s:{s:s}}", "id", id, "name", name,
                                                   "certificate", "id", writing->id));
    return !admin_list_id(writing->call, &writing->puts, "snis", id);
}

static bool breaks_names(struct admin_writing *writing, const struct catalog *catalog, const json_t *names)
{
    if (names == NULL)
        return false;
    remove_other_names(writing, catalog, names);
    for (size_t i = 0; i < json_array_size(names); i++)
        if (json_is_string(json_array_get(names, i)) && add_name(writing, catalog, json_array_get(names, i)))
            return true;
    return false;
}

/* --- POST, PUT, PATCH ----------------------------------------------------------------------------------- */

/* False: it was answered. */
static bool build(struct admin_writing *writing, json_t *given)
{
    struct admin_call *call = writing->call;
    const struct admin_target *target = writing->target;
    const struct catalog *catalog = open_catalog(call);
    const struct catalog_row *parent = NULL, *row = NULL;
    if (catalog && (call->method != ADMIN_POST || target->parent)) {
        row = admin_find_target(catalog, target, &parent);
        row = call->method == ADMIN_POST ? NULL : row;
    }
    bool good = catalog && !(target->parent && parent == NULL) &&
                !(row == NULL && (call->method == ADMIN_PATCH || target->upward));
    if (good)
        admin_build_document(writing, given, catalog, row);
    else
        admin_not_found(call);
    close_catalog(call);
    return good;
}

/* False: it was answered. */
static bool prepare(struct admin_writing *writing, const json_t *names, char **others)
{
    const struct catalog *catalog = open_catalog(writing->call);
    bool good = catalog && admin_list_id(writing->call, &writing->puts, writing->kind->name, writing->id) &&
                !admin_breaks_references(writing) && !admin_breaks_uniqueness(writing, catalog) &&
                !breaks_names(writing, catalog, names);
    *others = good ? admin_others(writing, catalog) : NULL;
    close_catalog(writing->call);
    return good;
}

static void answer_written(struct admin_writing *writing)
{
    struct admin_call *call = writing->call;
    const struct catalog *catalog = open_catalog(call);
    const struct catalog_row *row =
        catalog ? catalog_find(catalog, writing->kind->name, slice_of(writing->id)) : NULL;
    if (row)
        admin_json(call->answer, call->method == ADMIN_POST ? 201 : 200,
                   admin_show(call->node, catalog, writing->kind, row));
    else
        admin_not_found(call); /* another change has come in between */
    close_catalog(call);
}

static void carry_out(struct admin_writing *writing, const json_t *names)
{
    char *others = NULL;
    if (prepare(writing, names, &others) && admin_change(writing, others))
        answer_written(writing);
    free(others);
}

static void put(struct admin_writing *writing, json_t *given)
{
    struct admin_call *call = writing->call;
    json_t *names = NULL;
    if (!build(writing, given))
        return;
    if (strcmp(writing->kind->name, "certificates") == 0) {
        names = json_incref(json_object_get(writing->document, "snis"));
        json_object_del(writing->document, "snis");
    }
    if (admin_breaks_schema(writing))
        ;
    else if (call->node->source.store == NULL)
        refuse_without_store(call, writing->target);
    else
        carry_out(writing, names);
    json_decref(names);
}

static void put_body(struct admin_writing *writing)
{
    struct admin_call *call = writing->call;
    bool form;
    json_t *given = admin_body(call, &form);
    if (given == NULL)
        return;
    if (form)
        kong_document_infer(writing->kind, given, call->node->source.plugins);
    put(writing, given);
    json_decref(given);
}

/* --- DELETE --------------------------------------------------------------------------------------------- */

static void remove_entity(struct admin_writing *writing)
{
    struct admin_call *call = writing->call;
    const struct catalog_row *parent = NULL;
    char *others = NULL;
    const struct catalog *catalog = open_catalog(call);
    const struct catalog_row *row = catalog ? admin_find_target(catalog, writing->target, &parent) : NULL;
    bool lost = catalog == NULL || (writing->target->parent && parent == NULL);
    bool broken = row && admin_breaks_removal(writing, catalog, row);
    if (row && !broken)
        others = admin_others(writing, catalog);
    close_catalog(call);
    if (lost)
        admin_not_found(call);
    else if (row == NULL || (!broken && admin_change(writing, others)))
        admin_empty(call->answer, 204);
    free(others);
}

void admin_write(struct admin_call *call, const struct admin_target *target)
{
    struct admin_writing writing = { .call = call, .target = target, .kind = target->kind };
    if (call->method != ADMIN_DELETE)
        put_body(&writing);
    else if (call->node->source.store == NULL)
        refuse_without_store(call, target);
    else
        remove_entity(&writing);
    json_decref(writing.document);
    json_decref(writing.snis);
    json_decref(writing.dangling);
}
