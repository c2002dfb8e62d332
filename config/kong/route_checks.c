/* SPDX-License-Identifier: Apache-2.0 */
#include "config/kong/route_checks.h"

#include "config/kong/expression.h"

#include <stdio.h>

#define HTTP_BITS (PROTOCOL_BIT(PROTOCOL_HTTP) | PROTOCOL_BIT(PROTOCOL_HTTPS))
#define GRPC_BITS (PROTOCOL_BIT(PROTOCOL_GRPC) | PROTOCOL_BIT(PROTOCOL_GRPCS))
#define STREAM_BITS (PROTOCOL_BIT(PROTOCOL_TCP) | PROTOCOL_BIT(PROTOCOL_TLS) | PROTOCOL_BIT(PROTOCOL_UDP))
#define PASSTHROUGH_BIT PROTOCOL_BIT(PROTOCOL_TLS_PASSTHROUGH)

/* The route at hand. */
struct check {
    struct kong_reader *reader;
    struct route *route;
    const struct node *node;
    const struct config_place *place;
};

static const struct {
    uint64_t bits;
    const char *text;
} families[] = {
    { HTTP_BITS, "('http', 'https')" },
    { STREAM_BITS, "('tcp', 'tls', 'udp')" },
    { PASSTHROUGH_BIT, "('tls_passthrough')" },
    { GRPC_BITS, "('grpc', 'grpcs')" },
};

/* Members of one family only; true when they are. */
static bool check_families(const struct check *check)
{
    char text[128] = "";
    size_t count = 0, used = 0;
    for (size_t i = 0; i < COUNT_OF(families); i++) {
        if (!(check->route->protocols & families[i].bits))
            continue;
        int wrote = snprintf(text + used, sizeof(text) - used, "%s%s", count++ ? ", " : "", families[i].text);
        used += (size_t)wrote;
    }
    if (count <= 1)
        return true;
    schema_error(check->place, check->node, "protocols", "these sets are mutually exclusive: %s", text);
    return false;
}

static bool is_given(const struct check *check, const char *name)
{
    const struct node *value = node_find(check->node, name);
    return value != NULL && value->kind != NODE_NULL &&
           ((value->kind != NODE_SEQUENCE && value->kind != NODE_MAPPING) || value->count > 0);
}

static bool is_any_given(const struct check *check, const char *const *names)
{
    for (; *names; names++)
        if (is_given(check, *names))
            return true;
    return false;
}

/* Fields that routes of such protocols do not have; `protocols` stands in the message. */
static void forbid(const struct check *check, const char *const *names, const char *protocols)
{
    for (; *names; names++)
        if (is_given(check, *names))
            schema_error(check->place, check->node, *names, "cannot set '%s' when 'protocols' is %s", *names,
                         protocols);
}

static void check_snis(const struct check *check)
{
    const uint64_t secure = PROTOCOL_BIT(PROTOCOL_HTTPS) | PROTOCOL_BIT(PROTOCOL_GRPCS) |
                            PROTOCOL_BIT(PROTOCOL_TLS) | PASSTHROUGH_BIT;
    const struct slices *snis = &check->route->snis;
    if (is_given(check, "snis") && !(check->route->protocols & secure)) {
        schema_error(check->place, check->node, "snis", "length must be 0");
        schema_error(
            check->place, check->node, "",
            "'snis' can only be set when 'protocols' is 'grpcs', 'https', 'tls' or 'tls_passthrough'");
    }
    if (check->reader->model->kong_flavor != ROUTER_TRADITIONAL)
        return;
    for (uint32_t i = 0; i < snis->count; i++)
        if (snis->items[i].data && memchr(snis->items[i].data, '*', snis->items[i].size))
            schema_error(check->place, check->node, "snis",
                         "wildcards need another router flavor than 'traditional'");
}

/* --- by protocol ---------------------------------------------------------------------------------------- */

static const char *const endpoints[] = { "sources", "destinations", NULL };
static bool has_expressions(const struct check *check)
{
    return check->reader->model->kong_flavor == ROUTER_EXPRESSIONS;
}

static void check_http(const struct check *check)
{
    static const char *const matchers[] = { "methods", "hosts", "headers", "paths", NULL };
    bool https = check->route->protocols & PROTOCOL_BIT(PROTOCOL_HTTPS);
    if (!has_expressions(check))
        forbid(check, endpoints, "'http' or 'https'");
    if (check->route->expression.data || is_any_given(check, matchers) ||
        (https && is_given(check, "snis")) || (has_expressions(check) && is_any_given(check, endpoints)))
        return;
    schema_error(check->place, check->node, "",
                 "must set one of 'methods', 'hosts', 'headers', 'paths'%s when 'protocols' is '%s'",
                 https ? ", 'snis'" : "", https ? "https" : "http");
}

/* The method of a gRPC call is always POST, and its path names what is called. */
static void check_grpc(const struct check *check)
{
    static const char *const matchers[] = { "hosts", "headers", "paths", NULL };
    static const char *const forbidden[] = { "methods", NULL };
    bool secure = check->route->protocols & PROTOCOL_BIT(PROTOCOL_GRPCS);
    forbid(check, forbidden, "'grpc' or 'grpcs'");
    if (!has_expressions(check))
        forbid(check, endpoints, "'grpc' or 'grpcs'");
    if (check->route->strip_path && is_given(check, "strip_path"))
        schema_error(check->place, check->node, "strip_path",
                     "cannot set 'strip_path' when 'protocols' is 'grpc' or 'grpcs'");
    check->route->strip_path = false;
    if (check->route->expression.data || is_any_given(check, matchers) ||
        (secure && is_given(check, "snis")) || (has_expressions(check) && is_any_given(check, endpoints)))
        return;
    schema_error(check->place, check->node, "",
                 "must set one of 'hosts', 'headers', 'paths'%s when 'protocols' is '%s'",
                 secure ? ", 'snis'" : "", secure ? "grpcs" : "grpc");
}

static void check_stream(const struct check *check)
{
    static const char *const matchers[] = { "sources", "destinations", "snis", NULL };
    static const char *const forbidden[] = { "methods", "hosts", "paths", "headers", NULL };
    bool passthrough = check->route->protocols & PASSTHROUGH_BIT;
    forbid(check, forbidden, "'tcp', 'tls', 'tls_passthrough' or 'udp'");
    if (check->route->expression.data || (passthrough && is_given(check, "snis")) ||
        (!passthrough && is_any_given(check, matchers)))
        return;
    if (passthrough)
        schema_error(check->place, check->node, "", "must set snis when 'protocols' is 'tls_passthrough'");
    else
        schema_error(check->place, check->node, "",
                     "must set one of 'sources', 'destinations', 'snis' when 'protocols' is 'tcp', 'tls' "
                     "or 'udp'");
}

/* --- expressions ---------------------------------------------------------------------------------------- */

/* A rule over the whole route, shown where `field` stands. */
static void refuse_expression(const struct check *check, const char *field, const char *reason)
{
    const struct node *value = node_find(check->node, field);
    struct report_place at = { .report = check->place->report,
                               .position = value ? &value->position : &check->node->position,
                               .path = check->place->path,
                               .shape = REPORT_RULE };
    report_write(&at, "Router Expression failed validation: %s", reason);
}

static void compile_expression(const struct check *check)
{
    struct kong_expression_error error;
    struct kong_expression_source source = {
        .text = check->route->expression,
        .traffic = check->route->protocols & (HTTP_BITS | GRPC_BITS) ? MATCH_HTTP : MATCH_STREAM,
        .arena = &check->reader->model->arena,
    };
    check->route->condition = kong_expression_parse(&source, &error);
    if (check->route->condition != NULL)
        return;
    struct slice reason = arena_format(&check->reader->scratch, "%.*s at %u:%u of the expression",
                                       SLICE_FORMAT(error.reason), error.line, error.column);
    if (error.reason.data == NULL || reason.data == NULL)
        kong_fail_memory(check->reader);
    else
        refuse_expression(check, "expression", reason.data);
}

static void check_expression(const struct check *check)
{
    static const char *const classic[] = { "methods", "hosts",   "paths",        "headers",
                                           "snis",    "sources", "destinations", NULL };
    const char *others = "'methods', 'hosts', 'paths', 'headers', 'snis', 'sources' or 'destinations'";
    bool has_others = is_any_given(check, classic);
    struct route *route = check->route;
    struct arena *scratch = &check->reader->scratch;
    if (route->expression.data && has_others)
        refuse_expression(
            check, "expression",
            arena_format(scratch, "cannot set 'expression' with %s simultaneously", others).data);
    else if (route->expression.data && route->regex_priority != 0)
        refuse_expression(check, "regex_priority",
                          "cannot set 'regex_priority' with 'expression' simultaneously");
    else if (has_others && route->priority != 0)
        refuse_expression(check, "priority",
                          arena_format(scratch, "cannot set 'priority' with %s simultaneously", others).data);
    else if (route->expression.data)
        compile_expression(check);
}

/* These two exist in one flavor only. */
static void refuse_expressions(const struct check *check)
{
    static const char *const names[] = { "expression", "priority" };
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (is_given(check, names[i]))
            schema_error(check->place, check->node, names[i],
                         "unknown field (it belongs to router_flavor 'expressions')");
}

/* --- all ------------------------------------------------------------------------------------------------ */

static void check_redirect(const struct check *check)
{
    static const int64_t good[] = { 426, 301, 302, 307, 308 };
    for (size_t i = 0; i < COUNT_OF(good); i++)
        if (check->route->https_redirect_status_code == good[i])
            return;
    schema_error(check->place, check->node, "https_redirect_status_code",
                 "expected one of: 426, 301, 302, 307, 308");
}

/* Values of headers beginning with `~*`. */
static void check_header_regexes(const struct check *check)
{
    const struct schema_map *headers = &check->route->headers;
    const struct node *map = node_find(check->node, "headers");
    for (uint32_t i = 0; map && i < headers->count; i++) {
        const struct schema_map_entry *header = &headers->entries[i];
        for (uint32_t j = 0; j < header->values.count; j++) {
            if (!slice_starts_with(header->values.items[j], SLICE("~*")))
                continue;
            struct config_place deeper = *check->place;
            deeper.path = arena_format(&check->reader->scratch, "%s.headers.%.*s[%u]", check->place->path,
                                       SLICE_FORMAT(header->name), j)
                              .data;
            kong_check_regex(check->reader, slice_from(header->values.items[j], 2), map, &deeper);
        }
    }
}

void kong_check_route(struct kong_reader *reader, struct route *route, const struct node *node,
                      const struct config_place *place)
{
    struct check check = { reader, route, node, place };
    check_redirect(&check);
    check_header_regexes(&check);
    if (!check_families(&check))
        return;
    check_snis(&check);
    if (has_expressions(&check))
        check_expression(&check);
    else
        refuse_expressions(&check);
    if (route->protocols & HTTP_BITS)
        check_http(&check);
    if (route->protocols & GRPC_BITS)
        check_grpc(&check);
    if (route->protocols & (STREAM_BITS | PASSTHROUGH_BIT))
        check_stream(&check);
}
