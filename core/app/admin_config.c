/* SPDX-License-Identifier: Apache-2.0 */
/* The whole configuration at once: POST /config puts a new one in force, GET /config shows what there is. */
#include "config/kong/error_tree.h"
#include "core/app/admin_entities.h"
#include "core/app/admin_yaml.h"
#include "core/crypto/digest.h"

#include <stdlib.h>

enum { RETRY_AFTER_S = 1 };

/* --- what was posted ------------------------------------------------------------------------------------ */

static bool is_type(struct slice type, const char *name)
{
    struct slice rest;
    return slice_equal_nocase(slice_trim(slice_split(type, ';', &rest)), slice_of(name));
}

/* A member `config` that is a text, else the body itself. Absent: it was answered why not. */
static struct slice text_of_object(struct admin_call *call)
{
    bool form;
    json_t *object = admin_body(call, &form);
    if (object == NULL)
        return (struct slice){ NULL, 0 };
    const json_t *config = json_object_get(object, "config");
    struct slice text = call->request->body;
    if (json_is_string(config))
        text =
            arena_copy(call->arena, (struct slice){ json_string_value(config), json_string_length(config) });
    json_decref(object);
    if (text.data == NULL)
        admin_message(call->answer, 503, "out of memory");
    return text;
}

static struct slice posted_text(struct admin_call *call)
{
    struct slice type = message_find(call->request->message, HEADER_CONTENT_TYPE);
    if (is_type(type, "application/json") || is_type(type, "application/x-www-form-urlencoded") ||
        is_type(type, "multipart/form-data"))
        return text_of_object(call);
    return call->request->body.data ? call->request->body : SLICE("");
}

static bool is_set(const struct admin_call *call, const char *name)
{
    struct slice value = admin_parameter(call, name);
    return slice_equal(value, SLICE("1")) || slice_equal(value, SLICE("true"));
}

static bool is_in_force(const struct admin_call *call, struct slice text)
{
    char hash[33], hex[DIGEST_HEX_MAX];
    const struct admin_source *source = &call->node->source;
    in_force_hash(source->in_force, hash);
    return digest_hex(DIGEST_MD5, text, hex) && strcmp(hash, hex) == 0;
}

/* --- what is in force ----------------------------------------------------------------------------------- */

/* {"services": {ID: document}, ...} */
static json_t *loaded_entities(const struct admin_node *node, const struct catalog *catalog)
{
    json_t *kinds = json_object();
    for (uint32_t i = 0; i < catalog->count; i++) {
        const struct catalog_row *row = &catalog->rows[i];
        const struct kong_entity_kind *kind = kong_find_entity_kind(slice_of(row->kind));
        json_t *of_kind = json_object_get(kinds, row->kind), *given = admin_document(row);
        if (of_kind == NULL) {
            of_kind = json_object();
            json_object_set_new(kinds, row->kind, of_kind);
        }
        json_object_set_new(of_kind, row->id,
                            kong_document_show(kind, given, node->source.plugins, SCHEMA_NEWEST));
        json_decref(given);
    }
    return kinds;
}

static void answer_loaded(struct admin_call *call)
{
    const struct admin_source *source = &call->node->source;
    const struct catalog *catalog = in_force_open_catalog(source->in_force);
    json_t *value = catalog ? loaded_entities(call->node, catalog) : json_object();
    in_force_close(source->in_force);
    admin_json(call->answer, 201, value);
}

/* --- posting -------------------------------------------------------------------------------------------- */

struct posting {
    struct admin_call *call;
    enum kong_error_form form;
};

static void answer_refused(void *argument, const struct report *report, const struct documents *documents)
{
    struct posting *posting = argument;
    const struct kong_error_source source = { report, documents };
    admin_json(posting->call->answer, 400, kong_error_answer(&source, posting->form));
}

static void post_config(struct admin_call *call)
{
    const struct admin_source *source = &call->node->source;
    struct slice text = posted_text(call);
    if (text.data == NULL)
        return;
    if (is_set(call, "check_hash") && is_in_force(call, text)) {
        admin_empty(call->answer, 304);
        return;
    }
    struct posting posting = { call,
                               is_set(call, "flatten_errors") ? KONG_ERRORS_FLATTENED : KONG_ERRORS_NESTED };
    const struct config_text posted = { text, "config" };
    const struct config_kong_texts texts = { &posted, 1 };
    const struct change change = {
        .kong = &texts, .argument = &posting, .refused = answer_refused, .what = "POST /config"
    };
    switch (source->change(source->owner, &change)) {
    case CHANGE_DONE: answer_loaded(call); break;
    case CHANGE_INVALID: break;
    case CHANGE_FAILED: admin_message(call->answer, 500, "An unexpected error occurred"); break;
    case CHANGE_CLOSED:
        admin_message(call->answer, 503, "shutting down");
        call->answer->retry_after_s = RETRY_AFTER_S;
        break;
    }
}

/* References as ids alone. */
static void shorten_references(json_t *document, const char *kind)
{
    const struct kong_relation *relation;
    for (size_t i = 0; (relation = kong_relation_at(i)) != NULL; i++) {
        json_t *value = json_object_get(document, relation->field);
        json_t *id = strcmp(relation->kind, kind) == 0 ? json_object_get(value, "id") : NULL;
        if (id)
            json_object_set(document, relation->field, id);
    }
}

static json_t *whole_configuration(const struct catalog *catalog)
{
    json_t *all = json_pack("{s:s, s:b}", "_format_version", "3.0", "_transform", 0);
    for (uint32_t i = 0; catalog && i < catalog->count; i++) {
        const struct catalog_row *row = &catalog->rows[i];
        json_t *list = json_object_get(all, row->kind), *document = admin_document(row);
        if (list == NULL) {
            list = json_array();
            json_object_set_new(all, row->kind, list);
        }
        shorten_references(document, row->kind);
        json_array_append_new(list, document);
    }
    return all;
}

static void get_config(struct admin_call *call)
{
    const struct admin_source *source = &call->node->source;
    const struct catalog *catalog = in_force_open_catalog(source->in_force);
    json_t *all = whole_configuration(catalog);
    in_force_close(source->in_force);
    char *text = admin_yaml(all);
    json_decref(all);
    if (text)
        admin_json(call->answer, 200, json_pack("{s:s}", "config", text));
    else
        admin_message(call->answer, 503, "out of memory");
    free(text);
}

static void handle_config(struct admin_call *call)
{
    if (call->node->source.store)
        admin_message(call->answer, 400,
                      "this endpoint is only available when Kong is configured to not use a database");
    else if (call->method == ADMIN_POST)
        post_config(call);
    else
        get_config(call);
}

const struct admin_endpoint admin_config_endpoints[] = {
    { "/config", ADMIN_GET | ADMIN_POST, handle_config, false },
    { 0 },
};
