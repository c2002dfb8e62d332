/* SPDX-License-Identifier: Apache-2.0 */
#include "config/kong/index.h"
#include "config/kong/match.h"

struct kong_route {
    struct route route;
    struct kong_common common;
};

#define AT(member) offsetof(struct kong_route, member)

static const char *const path_handlings[] = { "v0", "v1", NULL };

static const struct field fields[] = {
    { "name", FIELD_STRING, AT(route.entity.name), .check = kong_check_name, .help = "unique" },
    { "protocols", FIELD_CHOICES, AT(route.protocols), .min = 1, .fallback = "http,https",
      .choices = kong_protocol_choices,
      .help = "http and https, or grpc and grpcs; the others are not supported yet" },
    { "methods", FIELD_STRINGS, AT(route.methods), .check = kong_check_method },
    { "hosts", FIELD_STRINGS, AT(route.hosts), .check = kong_check_route_host,
      .help = "names, or *.name or name.*, each with an optional :port" },
    { "paths", FIELD_STRINGS, AT(route.paths), .flags = FIELD_EMPTY,
      .help = "prefixes beginning with /, or regular expressions beginning with ~/" },
    { "headers", FIELD_MAP, AT(route.headers), .check = kong_check_header_name,
      .help = "name to values; a value beginning with ~* is a regular expression" },
    { "snis", FIELD_STRINGS, AT(route.snis), .check = kong_check_sni },
    { "sources", FIELD_STRINGS, .flags = FIELD_UNSUPPORTED },
    { "destinations", FIELD_STRINGS, .flags = FIELD_UNSUPPORTED },
    { "expression", FIELD_STRING, .flags = FIELD_UNSUPPORTED },
    { "priority", FIELD_INTEGER, .flags = FIELD_UNSUPPORTED },
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

static const char *const others[] = {
    "service", "plugins", "filter_chains", "_comment", "_ignore", NULL,
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

static const struct {
    uint64_t bits;
    const char *text;
} families[] = {
    { HTTP_BITS, "('http', 'https')" },
    { PROTOCOL_BIT(PROTOCOL_TCP) | PROTOCOL_BIT(PROTOCOL_TLS) | PROTOCOL_BIT(PROTOCOL_UDP),
      "('tcp', 'tls', 'udp')" },
    { PROTOCOL_BIT(PROTOCOL_TLS_PASSTHROUGH), "('tls_passthrough')" },
    { GRPC_BITS, "('grpc', 'grpcs')" },
};

/* Members of one family only; true when they are. */
static bool check_families(uint64_t protocols, const struct node *node, const struct config_place *place)
{
    char text[128] = "";
    size_t count = 0, used = 0;
    for (size_t i = 0; i < COUNT_OF(families); i++) {
        if (!(protocols & families[i].bits))
            continue;
        int wrote = snprintf(text + used, sizeof(text) - used, "%s%s", count++ ? ", " : "", families[i].text);
        used += (size_t)wrote;
    }
    if (count <= 1)
        return true;
    schema_error(place, node, "protocols", "these sets are mutually exclusive: %s", text);
    return false;
}

static void refuse_protocols(const struct node *node, const struct config_place *place)
{
    const struct node *list = node_find(node, "protocols");
    struct config_place deeper = schema_place(place, "protocols");
    for (uint32_t i = 0; list && i < list->count; i++) {
        const struct node *item = list->entries[i].value;
        int choice = 0;
        while (kong_protocol_choices[choice] &&
               !slice_equal(item->text, slice_of(kong_protocol_choices[choice])))
            choice++;
        /* What is no protocol at all was reported. */
        if (kong_protocol_choices[choice] == NULL ||
            (PROTOCOL_BIT(kong_protocol_of(choice)) & (HTTP_BITS | GRPC_BITS)))
            continue;
        report_add(place->report, REPORT_ERROR, &item->position, schema_element(&deeper, i).path,
                   "'%.*s': not supported yet", SLICE_FORMAT(item->text));
    }
}

static bool is_given(const struct node *node, const char *name)
{
    const struct node *value = node_find(node, name);
    return value != NULL && value->kind != NODE_NULL &&
           ((value->kind != NODE_SEQUENCE && value->kind != NODE_MAPPING) || value->count > 0);
}

static void check_snis(const struct route *route, const struct node *node, const struct config_place *place)
{
    const uint64_t secure = PROTOCOL_BIT(PROTOCOL_HTTPS) | PROTOCOL_BIT(PROTOCOL_GRPCS);
    if (is_given(node, "snis") && !(route->protocols & secure))
        schema_error(
            place, node, "snis",
            "'snis' can only be set when 'protocols' is 'grpcs', 'https', 'tls' or 'tls_passthrough'");
}

static void check_matchers(const struct route *route, const struct node *node,
                           const struct config_place *place)
{
    bool https = route->protocols & PROTOCOL_BIT(PROTOCOL_HTTPS);
    bool any = is_given(node, "methods") || is_given(node, "hosts") || is_given(node, "headers") ||
               is_given(node, "paths");
    check_snis(route, node, place);
    if (any || (https && is_given(node, "snis")))
        return;
    schema_error(place, node, "",
                 "must set one of 'methods', 'hosts', 'headers', 'paths'%s when 'protocols' is '%s'",
                 https ? ", 'snis'" : "", https ? "https" : "http");
}

/* The method of a gRPC call is always POST, and its path names what is called. */
static void check_grpc(struct route *route, const struct node *node, const struct config_place *place)
{
    bool secure = route->protocols & PROTOCOL_BIT(PROTOCOL_GRPCS);
    bool any = is_given(node, "hosts") || is_given(node, "headers") || is_given(node, "paths");
    check_snis(route, node, place);
    if (is_given(node, "methods"))
        schema_error(place, node, "methods", "cannot set 'methods' when 'protocols' is 'grpc' or 'grpcs'");
    if (route->strip_path && is_given(node, "strip_path"))
        schema_error(place, node, "strip_path",
                     "cannot set 'strip_path' when 'protocols' is 'grpc' or 'grpcs'");
    route->strip_path = false;
    if (!any && !(secure && is_given(node, "snis")))
        schema_error(place, node, "",
                     "must set one of 'hosts', 'headers', 'paths'%s when 'protocols' is '%s'",
                     secure ? ", 'snis'" : "", secure ? "grpcs" : "grpc");
}

static void check_redirect(int64_t status, const struct node *node, const struct config_place *place)
{
    static const int64_t good[] = { 426, 301, 302, 307, 308 };
    for (size_t i = 0; i < COUNT_OF(good); i++)
        if (status == good[i])
            return;
    schema_error(place, node, "https_redirect_status_code", "expected one of: 426, 301, 302, 307, 308");
}

static void check_paths(struct kong_reader *reader, struct route *route, const struct node *node,
                        const struct config_place *place)
{
    const struct node *list = node_find(node, "paths");
    for (uint32_t i = 0; list && i < route->paths.count; i++) {
        const struct node *item = list->entries[i].value;
        if (item->kind != NODE_STRING)
            continue; /* was reported */
        struct config_place deeper = *place;
        deeper.path = arena_format(&reader->scratch, "%s.paths[%u]", place->path, i).data;
        route->paths.items[i] = kong_route_path(reader, item, &deeper);
    }
}

static void finish(struct kong_reader *reader, struct route *route, const struct node *node,
                   const struct config_place *place)
{
    uint64_t chosen = kong_protocol_bits(route->protocols);
    route->protocols = chosen;
    check_paths(reader, route, node, place);
    check_redirect(route->https_redirect_status_code, node, place);
    if (!check_families(chosen, node, place))
        return;
    refuse_protocols(node, place);
    if (chosen & HTTP_BITS)
        check_matchers(route, node, place);
    if (chosen & GRPC_BITS)
        check_grpc(route, node, place);
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
    for (uint32_t i = 0; i < reader->model->routes.count; i++) {
        const struct route *route = reader->model->routes.items[i];
        if (route->service == NULL || !(route->protocols & HTTP_BITS) ||
            !(PROTOCOL_BIT(route->service->protocol) & GRPC_BITS))
            continue;
        report_add(reader->report, REPORT_ERROR, &route->entity.position, "routes",
                   "a service of protocol 'grpc' or 'grpcs' behind a route for 'http' or 'https': "
                   "not supported yet");
    }
    if (reader->report->error_count == 0 && !reader->out_of_memory)
        kong_match_compile(reader->model, reader->report);
}
