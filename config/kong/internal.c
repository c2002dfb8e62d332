/* SPDX-License-Identifier: Apache-2.0 */
/* Entities that Kong keeps for itself or that only exist in other editions: checked, so that a file is judged
 * as Kong judges it, and not taken into the model. */
#include "config/kong/index.h"

struct kong_filter_chain {
    struct entity entity;
    struct kong_common common;
    bool enabled;
    struct service *service;
    struct route *route;
};

static const struct field chain_fields[] = {
    { "name", FIELD_STRING, offsetof(struct kong_filter_chain, entity.name), .check = kong_check_name },
    { "enabled", FIELD_BOOLEAN, offsetof(struct kong_filter_chain, enabled), .fallback = "true" },
    KONG_COMMON_FIELDS(struct kong_filter_chain, entity),
};
static const char *const chain_others[] = { "route", "service", "filters", "_comment", "_ignore", NULL };
static const struct schema chain_schema = { "filter_chains", chain_fields, COUNT_OF(chain_fields),
                                            sizeof(struct kong_filter_chain), .others = chain_others };

struct filter {
    struct slice name;
    bool enabled;
};

static const struct field filter_fields[] = {
    { "name", FIELD_STRING, offsetof(struct filter, name), .flags = FIELD_REQUIRED },
    { "enabled", FIELD_BOOLEAN, offsetof(struct filter, enabled), .fallback = "true" },
};
static const char *const filter_others[] = { "config", NULL };
static const struct schema filter_schema = { "filters", filter_fields, COUNT_OF(filter_fields),
                                             sizeof(struct filter), .others = filter_others };

static void read_filter(struct kong_reader *reader, const struct node *node, const struct config_place *place,
                        const struct kong_parent *parent)
{
    struct filter filter;
    (void)reader, (void)parent;
    schema_read(&filter_schema, node, place, &filter);
}

static void check_owner(const struct kong_parent *parent, const struct node *node,
                        const struct config_place *place)
{
    bool service = parent->service != NULL || kong_is_given(node, "service");
    bool route = parent->route != NULL || kong_is_given(node, "route");
    if (service && route)
        schema_error(place, node, "", "only one or none of these fields must be set: 'service', 'route'");
    if (!service && !route)
        schema_error(place, node, "", "at least one of these fields must be non-empty: 'service', 'route'");
}

void kong_read_filter_chain(struct kong_reader *reader, const struct node *node,
                            const struct config_place *place, const struct kong_parent *parent)
{
    struct kong_filter_chain *chain = kong_take(reader, &reader->scratch, sizeof(*chain));
    struct kong_parent none = { 0 };
    if (chain == NULL)
        return;
    schema_read(&chain_schema, node, place, chain);
    const struct node *filters = node_find(node, "filters");
    struct config_place deeper = kong_place(reader, place, "filters");
    if (filters == NULL || filters->kind == NODE_NULL)
        schema_error(place, node, "filters", "required field missing");
    else if (filters->kind == NODE_SEQUENCE && filters->count == 0)
        schema_error(place, node, "filters", "length must be at least 1");
    kong_read_array(reader, filters, &deeper, read_filter, &none);
    chain->service = parent->service;
    chain->route = parent->route;
    struct kong_foreign service = { &reader->services, "service", &chain->service };
    struct kong_foreign route = { &reader->routes, "route", &chain->route };
    check_owner(parent, node, place);
    kong_refer(reader, &service, node, place);
    kong_refer(reader, &route, node, place);
    const struct kong_key_part parts[] = {
        { "route", parent->route ? &parent->route->entity : NULL },
        { "service", parent->service ? &parent->service->entity : NULL },
    };
    struct kong_identity identity = {
        &reader->filter_chains, &chain->entity, &chain->common,
        kong_composite_key(reader, "filter_chains", node, parts, COUNT_OF(parts)), "name"
    };
    kong_identify(reader, &identity, node, place);
    schema_error(place, node, "", "WebAssembly filters: not supported yet");
}

struct kong_workspace {
    struct entity entity;
    struct kong_common common;
    struct slice comment;
};

static const struct field workspace_fields[] = {
    { "name", FIELD_STRING, offsetof(struct kong_workspace, entity.name), .flags = FIELD_REQUIRED,
      .check = kong_check_name },
    { "comment", FIELD_STRING, offsetof(struct kong_workspace, comment), .flags = FIELD_EMPTY },
    KONG_COMMON_FIELDS(struct kong_workspace, entity),
};
static const char *const workspace_others[] = { "meta", "config", "_comment", "_ignore", NULL };
static const struct schema workspace_schema = { "workspaces", workspace_fields, COUNT_OF(workspace_fields),
                                                sizeof(struct kong_workspace), .others = workspace_others };

void kong_read_workspace(struct kong_reader *reader, const struct node *node,
                         const struct config_place *place, const struct kong_parent *parent)
{
    struct kong_workspace *workspace = kong_take(reader, &reader->scratch, sizeof(*workspace));
    static const char *const records[] = { "meta", "config" };
    (void)parent;
    if (workspace == NULL)
        return;
    schema_read(&workspace_schema, node, place, workspace);
    for (size_t i = 0; i < COUNT_OF(records); i++)
        if (kong_is_given(node, records[i]) && node_find(node, records[i])->kind != NODE_MAPPING)
            schema_error(place, node, records[i], "expected a record");
    struct slice name = workspace->entity.name;
    if (name.data != NULL && !slice_equal(name, SLICE("default")))
        schema_error(place, node, "name", "'%.*s': there is only the workspace 'default'",
                     SLICE_FORMAT(name));
    const struct kong_key_part parts[] = { { "name", NULL } };
    struct kong_identity identity = { &reader->workspaces, &workspace->entity, &workspace->common,
                                      kong_composite_key(reader, "workspaces", node, parts, COUNT_OF(parts)),
                                      "name" };
    kong_identify(reader, &identity, node, place);
}

struct parameter {
    struct slice key, value;
    int64_t created_at;
};

static const struct field parameter_fields[] = {
    { "key", FIELD_STRING, offsetof(struct parameter, key), .flags = FIELD_REQUIRED },
    { "value", FIELD_STRING, offsetof(struct parameter, value), .flags = FIELD_REQUIRED | FIELD_EMPTY },
    { "created_at", FIELD_INTEGER, offsetof(struct parameter, created_at) },
};
static const char *const parameter_others[] = { "_comment", "_ignore", NULL };
static const struct schema parameter_schema = { "parameters", parameter_fields, COUNT_OF(parameter_fields),
                                                sizeof(struct parameter), .others = parameter_others };

/* Exports of Kong hold one with the id of its cluster. */
void kong_read_parameter(struct kong_reader *reader, const struct node *node,
                         const struct config_place *place, const struct kong_parent *parent)
{
    struct parameter parameter;
    (void)reader, (void)parent;
    if (schema_read(&parameter_schema, node, place, &parameter))
        report_add(place->report, REPORT_WARNING, &node->position, place->path, "has no effect here");
}
