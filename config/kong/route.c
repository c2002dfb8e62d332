/* SPDX-License-Identifier: Apache-2.0 */
#include "config/kong/index.h"
#include "config/kong/match.h"
#include "config/kong/route_checks.h"

struct kong_route {
    struct route route;
    struct kong_common common;
};

#define AT(member) offsetof(struct kong_route, member)

static const char *check_range(struct slice text)
{
    struct match_range range;
    return match_range_parse(text, &range) ? "invalid ip or cidr range: '{}'" : NULL;
}

static const char *const path_handlings[] = { "v0", "v1", NULL };

static const struct field fields[] = {
    { "name", FIELD_STRING, AT(route.entity.name), .check = kong_check_name, .help = "unique" },
    { "protocols", FIELD_CHOICES, AT(route.protocols), .min = 1, .fallback = "http,https",
      .choices = kong_protocol_choices,
      .help = "http and https, or grpc and grpcs, or tcp, tls and udp, or tls_passthrough" },
    { "methods", FIELD_STRINGS, AT(route.methods), .check = kong_check_method },
    { "hosts", FIELD_STRINGS, AT(route.hosts), .check = kong_check_route_host,
      .help = "names, or *.name or name.*, each with an optional :port" },
    { "paths", FIELD_STRINGS, AT(route.paths), .flags = FIELD_EMPTY,
      .help = "prefixes beginning with /, or regular expressions beginning with ~/" },
    { "headers", FIELD_MAP, AT(route.headers), .check = kong_check_header_name,
      .help = "name to values; a value beginning with ~* is a regular expression" },
    { "snis", FIELD_STRINGS, AT(route.snis), .check = kong_check_sni },
    { "expression", FIELD_STRING, AT(route.expression),
      .help = "instead of the fields above, with router_flavor expressions" },
    { "priority", FIELD_INTEGER, AT(route.priority), .max = 70368744177663, .fallback = "0",
      .help = "of the expression: the highest is tried first" },
    { "https_redirect_status_code", FIELD_INTEGER, AT(route.https_redirect_status_code), .fallback = "426",
      .help = "426, 301, 302, 307 or 308: the answer to http on a route for https only" },
    { "regex_priority", FIELD_INTEGER, AT(route.regex_priority), .fallback = "0",
      .help = "among regular expressions the highest is tried first" },
    { "strip_path", FIELD_BOOLEAN, AT(route.strip_path), .fallback = "true",
      .help = "take the matched prefix off the upstream's path; never done for grpc" },
    { "preserve_host", FIELD_BOOLEAN, AT(route.preserve_host), .fallback = "false",
      .help = "send the client's Host to the upstream" },
    { "request_buffering", FIELD_BOOLEAN, AT(route.request_buffering), .fallback = "true" },
    { "response_buffering", FIELD_BOOLEAN, AT(route.response_buffering), .fallback = "true" },
    { "path_handling", FIELD_CHOICE, AT(route.path_handling), .fallback = "v0", .choices = path_handlings },
    KONG_COMMON_FIELDS(struct kong_route, route.entity),
};

/* An element of `sources` and `destinations`. */
struct kong_endpoint {
    struct slice ip;
    int64_t port;
};

static const struct field endpoint_fields[] = {
    { "ip", FIELD_STRING, offsetof(struct kong_endpoint, ip), .check = check_range,
      .help = "an address or a CIDR" },
    { "port", FIELD_INTEGER, offsetof(struct kong_endpoint, port), .max = 65535 },
};

static const struct schema endpoint_schema = {
    .name = "sources and destinations",
    .fields = endpoint_fields,
    .field_count = COUNT_OF(endpoint_fields),
    .struct_size = sizeof(struct kong_endpoint),
};

static const char *const others[] = {
    "service", "sources", "destinations", "plugins", "filter_chains", "_comment", "_ignore", NULL,
};

const struct schema kong_route_schema = {
    .name = "routes",
    .fields = fields,
    .field_count = COUNT_OF(fields),
    .struct_size = sizeof(struct kong_route),
    .others = others,
};

#define HTTP_BITS (PROTOCOL_BIT(PROTOCOL_HTTP) | PROTOCOL_BIT(PROTOCOL_HTTPS))
#define GRPC_BITS (PROTOCOL_BIT(PROTOCOL_GRPC) | PROTOCOL_BIT(PROTOCOL_GRPCS))

static void read_paths(struct kong_reader *reader, struct route *route, const struct node *node,
                       const struct config_place *place)
{
    const struct node *list = node_find(node, "paths");
    for (uint32_t i = 0; list && i < route->paths.count; i++) {
        const struct node *item = list->entries[i].value;
        if (item->kind != NODE_STRING)
            continue; /* was reported */
        struct config_place deeper = kong_element(reader, place, ".paths", i);
        route->paths.items[i] = kong_route_path(reader, item, &deeper);
    }
}

static void read_endpoint(struct kong_reader *reader, const struct node *item,
                          const struct config_place *place, struct route_endpoint *endpoint)
{
    struct kong_endpoint wide;
    (void)reader;
    if (item->kind != NODE_MAPPING) {
        report_add(place->report, REPORT_ERROR, &item->position, place->path, "expected a record");
        return;
    }
    if (schema_read(&endpoint_schema, item, place, &wide) && wide.ip.size == 0 && wide.port == INTEGER_NULL)
        schema_error(place, item, "", "at least one of these fields must be non-empty: 'ip', 'port'");
    *endpoint = (struct route_endpoint){ wide.ip, wide.port };
}

/* sources and destinations: sets of {ip, port}. */
static void read_endpoints(struct kong_reader *reader, const struct node *around,
                           const struct config_place *place, const char *name,
                           struct route_endpoints *endpoints)
{
    const struct node *node = node_find(around, name);
    *endpoints = (struct route_endpoints){ NULL, 0 };
    if (node == NULL || node->kind == NODE_NULL)
        return;
    const struct config_place list = kong_place(reader, place, name);
    if (node->kind != NODE_SEQUENCE) {
        report_add(list.report, REPORT_ERROR, &node->position, list.path, "expected a set");
        return;
    }
    endpoints->items =
        kong_take(reader, &reader->model->arena, (node->count + 1u) * sizeof(*endpoints->items));
    for (uint32_t i = 0; endpoints->items && i < node->count; i++) {
        struct config_place deeper = kong_element(reader, &list, "", i);
        read_endpoint(reader, node->entries[i].value, &deeper, &endpoints->items[endpoints->count++]);
    }
}

static void finish(struct kong_reader *reader, struct route *route, const struct node *node,
                   const struct config_place *place)
{
    route->protocols = kong_protocol_bits(route->protocols);
    read_paths(reader, route, node, place);
    read_endpoints(reader, node, place, "sources", &route->sources);
    read_endpoints(reader, node, place, "destinations", &route->destinations);
    kong_check_route(reader, route, node, place);
}

void kong_read_route(struct kong_reader *reader, const struct node *node, const struct config_place *place,
                     const struct kong_parent *parent)
{
    struct model *model = reader->model;
    struct kong_route *wide = kong_take(reader, &model->arena, sizeof(*wide));
    struct route **items =
        model_reserve(model, model->routes.items, model->routes.count, &model->routes.capacity);
    if (wide == NULL || items == NULL) {
        kong_fail_memory(reader);
        return;
    }
    struct route *route = &wide->route;
    schema_read(&kong_route_schema, node, place, wide);
    finish(reader, route, node, place);
    route->created_at = wide->common.created_at == INTEGER_NULL ? reader->now_s : wide->common.created_at;
    model->routes.items = items;
    route->entity.index = model->routes.count;
    items[model->routes.count++] = route;

    route->service = parent->service;
    struct kong_foreign foreign = { &reader->services, "service", &route->service };
    kong_refer(reader, &foreign, node, place);
    struct kong_identity identity = { &reader->routes, &route->entity, &wide->common, route->entity.name,
                                      "name" };
    kong_identify(reader, &identity, node, place);

    struct kong_parent inner = { .route = route };
    struct config_place deeper = kong_place(reader, place, "plugins");
    kong_read_array(reader, node_find(node, "plugins"), &deeper, kong_read_plugin, &inner);
    deeper = kong_place(reader, place, "filter_chains");
    kong_refuse_collection(reader, node_find(node, "filter_chains"), &deeper);
}

void kong_check_routes(struct kong_reader *reader)
{
    if (reader->report->error_count == 0 && !reader->out_of_memory)
        kong_match_compile(reader->model, reader->report);
}
