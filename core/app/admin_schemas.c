/* SPDX-License-Identifier: Apache-2.0 */
/* What entities and plugins are made of, and whether one is as it should be. */
#include "config/vault.h"
#include "core/app/admin_entities.h"

#include <stdlib.h>

static const struct plugin_kind *const *plugins_of(const struct admin_call *call)
{
    return call->node->source.plugins;
}

static void answer_unknown(struct admin_call *call, const char *what, struct slice name)
{
    struct slice text = arena_format(call->arena, "No %s named '%.*s'", what, SLICE_FORMAT(name));
    admin_message(call->answer, 404, text.data ? text.data : "Not found");
}

/* With own=1 also what Kong does not know. */
static enum schema_showing showing_of(const struct admin_call *call)
{
    return slice_equal(admin_parameter(call, "own"), SLICE("1")) ? SCHEMA_ALL : SCHEMA_AS_KONG;
}

/* The kind of a name that has a table. */
static const struct kong_entity_kind *find_kind(const struct admin_call *call, struct slice name)
{
    const struct kong_entity_kind *kind = kong_find_entity_kind(name);
    return kind && kong_document_schema(kind, plugins_of(call)) ? kind : NULL;
}

static void handle_entity(struct admin_call *call)
{
    const struct kong_entity_kind *kind = find_kind(call, call->segments[1]);
    if (kind)
        admin_json(call->answer, 200, kong_document_describe(kind, plugins_of(call), showing_of(call)));
    else
        answer_unknown(call, "entity", call->segments[1]);
}

static void handle_plugin(struct admin_call *call)
{
    const struct plugin_kind *plugin = kong_find_plugin(plugins_of(call), call->segments[2]);
    if (plugin)
        admin_json(call->answer, 200, kong_document_describe_plugin(plugin, showing_of(call)));
    else
        answer_unknown(call, "plugin", call->segments[2]);
}

static void handle_vault(struct admin_call *call)
{
    for (int i = 0; vault_kind_names[i]; i++) {
        if (!slice_equal(call->segments[2], slice_of(vault_kind_names[i])))
            continue;
        admin_json(call->answer, 200,
                   json_pack("{s:[{s:{s:s, s:b, s:[{s:{s:s}}]}}]}", "fields", "config", "type", "record",
                             "required", 1, "fields", i == 0 ? "prefix" : "path", "type", "string"));
        return;
    }
    answer_unknown(call, "vault", call->segments[2]);
}

static void handle_validate(struct admin_call *call)
{
    const struct kong_entity_kind *kind = find_kind(call, call->segments[1]);
    bool form;
    json_t *given = kind ? admin_body(call, &form) : NULL;
    if (kind == NULL)
        answer_unknown(call, "entity", call->segments[1]);
    if (given == NULL)
        return;
    if (form)
        kong_document_infer(kind, given, plugins_of(call));
    json_t *errors = kong_document_check(kind, given, plugins_of(call));
    if (errors)
        admin_schema_violation(call->answer, errors);
    else
        admin_message(call->answer, 200, "schema validation successful");
    json_decref(given);
}

const struct admin_endpoint admin_schema_endpoints[] = {
    { "/schemas/{}/validate", ADMIN_POST, handle_validate, false },
    { "/schemas/plugins/{}", ADMIN_GET, handle_plugin, false },
    { "/schemas/vaults/{}", ADMIN_GET, handle_vault, false },
    { "/schemas/{}", ADMIN_GET, handle_entity, false },
    { 0 },
};
