/* SPDX-License-Identifier: Apache-2.0 */
/* From the routes of a model to alternatives in their final order: one per path of a route. */
#include "net/proxy/router_index.h"

#include <stdlib.h>

struct build {
    struct router *router;
    struct arena *arena;
    struct report *report;
    const struct route *route; /* the one at hand */
    enum error error;
};

/* Never NULL for a count of 0; sets the error when it is NULL. */
static void *array_of(struct build *build, size_t count, size_t size)
{
    void *memory = arena_array(build->arena, count ? count : 1, size);
    if (!memory)
        build->error = ERROR_MEMORY;
    return memory;
}

static bool is_routed(const struct route *route)
{
    const uint64_t http = PROTOCOL_BIT(PROTOCOL_HTTP) | PROTOCOL_BIT(PROTOCOL_HTTPS) |
                          PROTOCOL_BIT(PROTOCOL_GRPC) | PROTOCOL_BIT(PROTOCOL_GRPCS);
    return (route->protocols & http) != 0 && (!route->service || route->service->enabled);
}

static bool is_regex_path(struct slice path)
{
    return path.size && path.data[0] == '~';
}

static bool is_regex_value(struct slice value)
{
    return slice_starts_with(value, SLICE("~*"));
}

static void count_route(const struct route *route, uint32_t *alternatives, uint32_t *regexes)
{
    *alternatives += route->paths.count ? route->paths.count : 1;
    for (uint32_t i = 0; i < route->paths.count; i++)
        *regexes += is_regex_path(route->paths.items[i]);
    for (uint32_t i = 0; i < route->headers.count; i++)
        for (uint32_t j = 0; j < route->headers.entries[i].values.count; j++)
            *regexes += is_regex_value(route->headers.entries[i].values.items[j]);
}

static const struct regex *add_regex(struct build *build, struct slice pattern, enum regex_anchor anchor,
                                     const char *field)
{
    char reason[REGEX_REASON_SIZE] = "";
    struct regex *regex = &build->router->regexes[build->router->regex_count];
    enum error error = regex_compile(regex, pattern, anchor, reason, sizeof reason);
    if (error == ERROR_OK) {
        build->router->regex_count++;
        return regex;
    }
    report_add(build->report, REPORT_ERROR, &build->route->entity.position, field, "invalid regex '%.*s': %s",
               SLICE_FORMAT(pattern), reason);
    if (build->error == ERROR_OK)
        build->error = error;
    return NULL;
}

static struct router_host parse_host(struct slice text)
{
    struct router_host host = { .text = text };
    const char *colon = memrchr(text.data, ':', text.size);
    uint64_t port;
    if (colon && slice_to_u64(slice_from(text, (size_t)(colon - text.data) + 1), &port) &&
        port <= UINT16_MAX) {
        host.has_port = true;
        host.port = (uint16_t)port;
        host.text.size = (size_t)(colon - text.data);
    }
    if (host.text.size && host.text.data[0] == '*') {
        host.wildcard = WILDCARD_LEFT;
        host.text = slice_from(host.text, 1);
    } else if (host.text.size && host.text.data[host.text.size - 1] == '*') {
        host.wildcard = WILDCARD_RIGHT;
        host.text.size--;
    }
    return host;
}

static void add_hosts(struct build *build, struct router_rules *rules)
{
    struct slices hosts = build->route->hosts;
    rules->hosts = array_of(build, hosts.count, sizeof *rules->hosts);
    for (uint32_t i = 0; rules->hosts && i < hosts.count; i++) {
        struct router_host host = parse_host(hosts.items[i]);
        if (host.text.data && host.text.size)
            rules->hosts[rules->host_count++] = host;
    }
}

static void add_values(struct build *build, struct router_header *header, struct slices values)
{
    header->values = array_of(build, values.count, sizeof *header->values);
    for (uint32_t i = 0; header->values && i < values.count; i++) {
        struct router_value *value = &header->values[header->value_count++];
        *value = (struct router_value){ .text = values.items[i] };
        if (is_regex_value(value->text))
            value->regex = add_regex(build, slice_from(value->text, 2), REGEX_ANYWHERE, "headers");
    }
}

static void add_headers(struct build *build, struct router_rules *rules)
{
    struct schema_map headers = build->route->headers;
    rules->headers = array_of(build, headers.count, sizeof *rules->headers);
    for (uint32_t i = 0; rules->headers && i < headers.count; i++) {
        struct router_header *header = &rules->headers[rules->header_count++];
        struct slice name = headers.entries[i].name;
        *header = (struct router_header){ .name = name, .id = message_header_id(name) };
        add_values(build, header, headers.entries[i].values);
    }
}

static void add_alternative(struct build *build, const struct router_rules *rules, uint32_t path_number)
{
    struct router *router = build->router;
    const struct route *route = build->route;
    struct router_alternative *alternative = &router->alternatives[router->alternative_count++];
    *alternative = (struct router_alternative){ .route = route, .rules = rules, .path_number = path_number };
    alternative->checks =
        (uint8_t)((route->methods.count ? CHECK_METHOD : 0) | (route->snis.count ? CHECK_SNI : 0) |
                  (rules->header_count ? CHECK_HEADERS : 0));
    if (route->paths.count)
        alternative->path = route->paths.items[path_number];
    else
        alternative->checks |= NO_PATH;
    bool regex = is_regex_path(alternative->path);
    if (regex) {
        alternative->checks |= CHECK_REGEX;
        alternative->path = slice_from(alternative->path, 1);
        alternative->regex = add_regex(build, alternative->path, REGEX_AT_START, "paths");
    }
    alternative->priority = router_priority(router->flavor, rules, alternative->path, regex);
}

static void add_route(struct build *build, const struct route *route)
{
    struct router_rules *rules = array_of(build, 1, sizeof *rules);
    if (!rules)
        return;
    build->route = rules->route = route;
    add_hosts(build, rules);
    add_headers(build, rules);
    uint32_t count = route->paths.count ? route->paths.count : 1;
    for (uint32_t i = 0; i < count; i++)
        add_alternative(build, rules, i);
}

/* What is equal in priority: a negative regex_priority counts as 0 there, and is told apart here. */
static int compare_regex_priority(const struct router_alternative *a, const struct router_alternative *b)
{
    if (!a->regex || !b->regex || a->route->regex_priority == b->route->regex_priority)
        return 0;
    return a->route->regex_priority > b->route->regex_priority ? -1 : 1;
}

static int compare_compatible(const void *left, const void *right)
{
    const struct router_alternative *a = left, *b = right;
    if (a->priority != b->priority)
        return a->priority > b->priority ? -1 : 1;
    int order = compare_regex_priority(a, b);
    if (order == 0)
        order = strcmp(b->route->entity.id, a->route->entity.id);
    if (order == 0)
        order = a->path_number < b->path_number ? -1 : a->path_number > b->path_number;
    return order;
}

static int compare_traditional(const void *left, const void *right)
{
    const struct router_alternative *a = left, *b = right;
    if (a->priority == b->priority && compare_regex_priority(a, b) == 0) {
        if (a->route->created_at != b->route->created_at)
            return a->route->created_at < b->route->created_at ? -1 : 1;
        if (a->route->entity.index != b->route->entity.index)
            return a->route->entity.index < b->route->entity.index ? -1 : 1;
    }
    return compare_compatible(left, right);
}

static void reserve(struct build *build, const struct router_source *source)
{
    uint32_t alternatives = 0, regexes = 0;
    for (uint32_t i = 0; i < source->count; i++)
        if (is_routed(source->routes[i]))
            count_route(source->routes[i], &alternatives, &regexes);
    struct router *router = build->router;
    router->alternatives = array_of(build, alternatives, sizeof *router->alternatives);
    router->ranked = array_of(build, alternatives, sizeof(const struct route *));
    router->regexes = array_of(build, regexes, sizeof *router->regexes);
}

static enum error build_all(struct build *build, const struct router_source *source)
{
    struct router *router = build->router;
    reserve(build, source);
    for (uint32_t i = 0; build->error != ERROR_MEMORY && i < source->count; i++)
        if (is_routed(source->routes[i]))
            add_route(build, source->routes[i]);
    if (build->error != ERROR_OK)
        return build->error;
    qsort(router->alternatives, router->alternative_count, sizeof *router->alternatives,
          router->flavor == ROUTER_TRADITIONAL ? compare_traditional : compare_compatible);
    for (uint32_t i = 0; i < router->alternative_count; i++)
        router->ranked[i] = router->alternatives[i].route;
    return router_index_build(router, build->arena);
}

enum error router_build(struct router *router, struct arena *arena, const struct router_source *source,
                        struct report *report)
{
    *router = (struct router){ .flavor = source->flavor };
    if (source->flavor == ROUTER_EXPRESSIONS) {
        static const struct node_position nowhere;
        report_add(report, REPORT_ERROR, &nowhere, "router_flavor", "'expressions' is not supported");
        return ERROR_INVALID;
    }
    struct build build = { .router = router, .arena = arena, .report = report, .error = ERROR_OK };
    enum error error = build_all(&build, source);
    if (error != ERROR_OK)
        router_close(router);
    return error;
}
