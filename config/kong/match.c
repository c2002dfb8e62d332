/* SPDX-License-Identifier: Apache-2.0 */
/* The conditions of Kong's classic fields (Kong 3.2), and the final order of all rules. */
#include "config/kong/match.h"

#include <stdlib.h>

#define HTTP_BITS                                                                               \
    (PROTOCOL_BIT(PROTOCOL_HTTP) | PROTOCOL_BIT(PROTOCOL_HTTPS) | PROTOCOL_BIT(PROTOCOL_GRPC) | \
     PROTOCOL_BIT(PROTOCOL_GRPCS))

struct alternative {
    struct match_rule *rule;
    uint32_t path_number;
};

struct compile {
    struct model *model;
    struct report *report;
    const struct route *route; /* the one at hand */
    struct alternative *alternatives;
    uint32_t alternative_count;
    bool out_of_memory;
};

static void *take(struct compile *compile, size_t count, size_t size)
{
    void *memory = arena_array(&compile->model->arena, count ? count : 1, size);
    if (memory == NULL)
        compile->out_of_memory = true;
    return memory;
}

static bool is_regex_path(struct slice path)
{
    return path.size && path.data[0] == '~';
}

static const struct regex *add_regex(struct compile *compile, struct slice pattern, enum regex_anchor anchor,
                                     const char *field)
{
    char reason[REGEX_REASON_SIZE] = "";
    enum error error;
    struct match_regex_request request = { pattern, anchor, reason, &error };
    const struct regex *regex = match_regex(&compile->model->arena, &request);
    if (regex == NULL && error == ERROR_INVALID)
        report_add(compile->report, REPORT_ERROR, &compile->route->entity.position, field,
                   "invalid regex '%.*s': %s", SLICE_FORMAT(pattern), reason);
    else if (regex == NULL)
        compile->out_of_memory = true;
    return regex;
}

/* --- conditions ----------------------------------------------------------------------------------------- */

static enum match_wildcard split_wildcard(struct slice *text)
{
    if (text->size && text->data[0] == '*') {
        *text = slice_from(*text, 1);
        return MATCH_HOST_ENDS;
    }
    if (text->size && text->data[text->size - 1] == '*') {
        text->size--;
        return MATCH_HOST_STARTS;
    }
    return MATCH_HOST_WHOLE;
}

static struct match_host compile_host(const struct compile *compile, struct slice text)
{
    struct match_host host = { .text = text };
    const char *colon = text.size ? memrchr(text.data, ':', text.size) : NULL;
    bool bare_v6 = colon && text.data[0] != '[' && memchr(text.data, ':', text.size) != colon;
    uint64_t port;
    if (colon && !bare_v6 && slice_to_u64(slice_from(text, (size_t)(colon - text.data) + 1), &port) &&
        port <= UINT16_MAX) {
        host.port_of =
            compile->model->kong_flavor == ROUTER_TRADITIONAL ? MATCH_PORT_OF_SCHEME : MATCH_PORT_OF_LISTENER;
        host.port = (uint16_t)port;
        host.text.size = (size_t)(colon - text.data);
    }
    host.wildcard = split_wildcard(&host.text);
    return host;
}

static void compile_hosts(struct compile *compile, struct match_rule *rule)
{
    struct slices hosts = compile->route->hosts;
    struct match_host *items = hosts.count ? take(compile, hosts.count, sizeof(*items)) : NULL;
    for (uint32_t i = 0; items && i < hosts.count; i++)
        items[i] = compile_host(compile, hosts.items[i]);
    rule->hosts = items;
    rule->host_count = items ? hosts.count : 0;
}

static struct match_value *take_values(struct compile *compile, uint32_t count)
{
    struct match_value *values = take(compile, count, sizeof(*values));
    if (values)
        memset(values, 0, count * sizeof(*values));
    return values;
}

static void add_texts(struct compile *compile, struct match_condition *condition, struct slices texts)
{
    struct match_value *values = take_values(compile, texts.count);
    for (uint32_t i = 0; values && i < texts.count; i++)
        values[i] = (struct match_value){ .test = MATCH_EQUAL, .text = texts.items[i] };
    condition->values = values;
    condition->value_count = values ? texts.count : 0;
}

/* A name in full may end with a dot; that one is left out on both sides. */
static struct match_value sni_value(struct slice text)
{
    static const enum match_test tests[] = {
        [MATCH_HOST_WHOLE] = MATCH_EQUAL, [MATCH_HOST_ENDS] = MATCH_ENDS, [MATCH_HOST_STARTS] = MATCH_STARTS
    };
    if (text.size > 1 && text.data[text.size - 1] == '.')
        text.size--;
    enum match_wildcard wildcard = split_wildcard(&text);
    return (struct match_value){ .test = tests[wildcard], .text = text };
}

static void add_snis(struct compile *compile, struct match_condition *condition)
{
    struct slices snis = compile->route->snis;
    struct match_value *values = take_values(compile, snis.count);
    for (uint32_t i = 0; values && i < snis.count; i++)
        values[i] = sni_value(snis.items[i]);
    *condition = (struct match_condition){ .field = MATCH_SNI, .values = values, .only_tls = true };
    condition->value_count = values ? snis.count : 0;
}

static struct slice lower_case(struct compile *compile, struct slice text)
{
    char *copy = take(compile, text.size, 1);
    for (size_t i = 0; copy && i < text.size; i++)
        copy[i] = slice_lower(text.data[i]);
    return (struct slice){ copy, copy ? text.size : 0 };
}

static struct match_value header_value(struct compile *compile, struct slice text)
{
    struct match_value value = { .test = MATCH_EQUAL };
    if (!slice_starts_with(text, SLICE("~*"))) {
        value.text = lower_case(compile, text);
        return value;
    }
    value.test = MATCH_REGEX;
    value.text = slice_from(text, 2);
    value.regex = add_regex(compile, value.text, REGEX_ANYWHERE, "headers");
    return value;
}

static void add_header(struct compile *compile, struct match_condition *condition,
                       const struct schema_map_entry *header)
{
    struct match_value *values = take_values(compile, header->values.count);
    for (uint32_t i = 0; values && i < header->values.count; i++)
        values[i] = header_value(compile, header->values.items[i]);
    *condition = (struct match_condition){ .field = MATCH_HEADER,
                                           .name = header->name,
                                           .values = values,
                                           .value_count = values ? header->values.count : 0,
                                           .fold_case = true };
}

static void add_endpoints(struct compile *compile, struct match_condition *condition,
                          const struct route_endpoints *endpoints, enum match_field field)
{
    struct match_value *values = take_values(compile, endpoints->count);
    for (uint32_t i = 0; values && i < endpoints->count; i++) {
        const struct route_endpoint *one = &endpoints->items[i];
        struct match_value *value = &values[i];
        *value = (struct match_value){ .test = one->ip.size ? MATCH_IN : MATCH_PRESENT, .text = one->ip };
        value->number = one->port == INTEGER_NULL ? -1 : one->port;
        const char *reason = one->ip.size ? match_range_parse(one->ip, &value->range) : NULL;
        if (reason)
            report_add(compile->report, REPORT_ERROR, &compile->route->entity.position, "", "'%.*s': %s",
                       SLICE_FORMAT(one->ip), reason);
    }
    *condition = (struct match_condition){ .field = field, .values = values };
    condition->value_count = values ? endpoints->count : 0;
}

/* Kong 3.7: in the flavor `expressions` the protocol is part of the match, unless the route is for HTTPS
 * only: then plain HTTP is told to come back. Streams always ask: what is for TLS or UDP serves nothing
 * else. */
static bool asks_for_protocol(const struct compile *compile)
{
    uint64_t protocols = compile->route->protocols;
    return protocols & PROTOCOL_STREAM_BITS ||
           (compile->model->kong_flavor == ROUTER_EXPRESSIONS && protocols != PROTOCOL_BIT(PROTOCOL_HTTPS));
}

static void add_protocols(struct compile *compile, struct match_condition *condition)
{
    static const char *const names[] = { [PROTOCOL_HTTP] = "http", [PROTOCOL_HTTPS] = "https",
                                         [PROTOCOL_GRPC] = "http", [PROTOCOL_GRPCS] = "https",
                                         [PROTOCOL_TCP] = "tcp",   [PROTOCOL_TLS] = "tls",
                                         [PROTOCOL_UDP] = "udp",   [PROTOCOL_TLS_PASSTHROUGH] = "tls" };
    struct match_value *values = take_values(compile, COUNT_OF(names) + 1);
    uint32_t count = 0;
    for (size_t i = 0; values && i < COUNT_OF(names); i++)
        if (compile->route->protocols >> i & 1)
            values[count++] = (struct match_value){ .test = MATCH_EQUAL, .text = slice_of(names[i]) };
    /* What has been unwrapped by TLS is a TCP stream as well. */
    if (values && compile->route->protocols & PROTOCOL_BIT(PROTOCOL_TCP))
        values[count++] = (struct match_value){ .test = MATCH_EQUAL, .text = SLICE("tls") };
    *condition = (struct match_condition){ .field = MATCH_PROTOCOL, .values = values, .value_count = count };
}

/* All but hosts and path; what most requests fail comes first. */
static void compile_conditions(struct compile *compile, struct match_rule *rule)
{
    const struct route *route = compile->route;
    struct match_condition *list = take(compile, route->headers.count + 5u, sizeof(*list));
    uint32_t count = 0;
    if (list == NULL)
        return;
    if (asks_for_protocol(compile))
        add_protocols(compile, &list[count++]);
    if (route->methods.count) {
        list[count] = (struct match_condition){ .field = MATCH_METHOD };
        add_texts(compile, &list[count++], route->methods);
    }
    if (route->snis.count)
        add_snis(compile, &list[count++]);
    if (route->sources.count)
        add_endpoints(compile, &list[count++], &route->sources, MATCH_SOURCE);
    if (route->destinations.count)
        add_endpoints(compile, &list[count++], &route->destinations, MATCH_DESTINATION);
    for (uint32_t i = 0; i < route->headers.count; i++)
        add_header(compile, &list[count++], &route->headers.entries[i]);
    rule->conditions = list;
    rule->condition_count = count;
}

/* --- rules ---------------------------------------------------------------------------------------------- */

/* The linear flavors ask for `^` and the pattern, so that of `~/a|/b` only /a is held to the beginning. */
static void compile_regex_path(struct compile *compile, struct match_rule *rule, struct slice pattern)
{
    enum regex_anchor anchor = REGEX_AT_START;
    if (compile->model->kong_flavor != ROUTER_TRADITIONAL) {
        pattern = arena_format(&compile->model->arena, "^%.*s", SLICE_FORMAT(pattern));
        compile->out_of_memory |= pattern.data == NULL;
        anchor = REGEX_ANYWHERE;
    }
    rule->path = (struct match_path){ .kind = MATCH_PATH_REGEX, .text = pattern };
    rule->path.regex = pattern.data ? add_regex(compile, pattern, anchor, "paths") : NULL;
}

/* A rule like `shared`, for one path of the route. */
static void add_rule(struct compile *compile, const struct match_rule *shared, uint32_t path_number)
{
    const struct route *route = compile->route;
    struct match_rule *rule = match_rule_add(compile->model);
    if (rule == NULL) {
        compile->out_of_memory = true;
        return;
    }
    *rule = *shared;
    struct kong_rank rank = { .route = route };
    if (route->paths.count) {
        rank.path = route->paths.items[path_number];
        rank.is_regex = is_regex_path(rank.path);
        rule->path = (struct match_path){ .kind = MATCH_PATH_PREFIX, .text = rank.path };
    }
    if (rank.is_regex) {
        rank.path = slice_from(rank.path, 1);
        compile_regex_path(compile, rule, rank.path);
    }
    rule->priority = kong_match_priority(compile->model->kong_flavor, &rank);
    compile->alternatives[compile->alternative_count++] = (struct alternative){ rule, path_number };
}

static void compile_route(struct compile *compile, const struct route *route)
{
    struct match_rule shared = { .route = route, .expression = route->condition };
    compile->route = route;
    shared.dialect = &kong_match_dialects[compile->model->kong_flavor];
    shared.traffic = route->protocols & HTTP_BITS ? MATCH_HTTP : MATCH_STREAM;
    compile_hosts(compile, &shared);
    compile_conditions(compile, &shared);
    uint32_t count = route->paths.count ? route->paths.count : 1;
    for (uint32_t i = 0; i < count && !compile->out_of_memory; i++)
        add_rule(compile, &shared, i);
}

/* --- order ---------------------------------------------------------------------------------------------- */

/* Negative priorities are one in the number. */
static int compare_regex_priority(const struct match_rule *a, const struct match_rule *b)
{
    if (a->path.kind != MATCH_PATH_REGEX || b->path.kind != MATCH_PATH_REGEX ||
        a->route->regex_priority == b->route->regex_priority)
        return 0;
    return a->route->regex_priority > b->route->regex_priority ? -1 : 1;
}

static int compare_compatible(const void *left, const void *right)
{
    const struct alternative *one = left, *two = right;
    const struct match_rule *a = one->rule, *b = two->rule;
    if (a->priority != b->priority)
        return a->priority > b->priority ? -1 : 1;
    int order = compare_regex_priority(a, b);
    if (order == 0)
        order = strcmp(b->route->entity.id, a->route->entity.id);
    if (order == 0)
        order = one->path_number < two->path_number ? -1 : one->path_number > two->path_number;
    return order;
}

static int compare_traditional(const void *left, const void *right)
{
    const struct match_rule *a = ((const struct alternative *)left)->rule;
    const struct match_rule *b = ((const struct alternative *)right)->rule;
    if (a->priority == b->priority && compare_regex_priority(a, b) == 0) {
        if (a->route->created_at != b->route->created_at)
            return a->route->created_at < b->route->created_at ? -1 : 1;
        if (a->route->entity.index != b->route->entity.index)
            return a->route->entity.index < b->route->entity.index ? -1 : 1;
    }
    return compare_compatible(left, right);
}

static bool is_routed(const struct route *route)
{
    return !route->service || route->service->enabled;
}

static size_t count_alternatives(const struct model *model)
{
    size_t count = 0;
    for (uint32_t i = 0; i < model->routes.count; i++) {
        const struct route *route = model->routes.items[i];
        if (is_routed(route))
            count += route->paths.count ? route->paths.count : 1;
    }
    return count;
}

bool kong_match_compile(struct model *model, struct report *report)
{
    uint32_t before = report->error_count;
    struct compile compile = { .model = model, .report = report };
    compile.alternatives = calloc(count_alternatives(model) + 1, sizeof(*compile.alternatives));
    compile.out_of_memory = compile.alternatives == NULL;
    for (uint32_t i = 0; i < model->routes.count && !compile.out_of_memory; i++)
        if (is_routed(model->routes.items[i]))
            compile_route(&compile, model->routes.items[i]);
    if (compile.out_of_memory)
        report_add(report, REPORT_ERROR, NULL, "routes", "out of memory");
    else
        qsort(compile.alternatives, compile.alternative_count, sizeof(*compile.alternatives),
              model->kong_flavor == ROUTER_TRADITIONAL ? compare_traditional : compare_compatible);
    for (uint32_t i = 0; i < compile.alternative_count; i++)
        compile.alternatives[i].rule->order = i;
    free(compile.alternatives);
    return report->error_count == before;
}
