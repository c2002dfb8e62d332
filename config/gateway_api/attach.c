/* SPDX-License-Identifier: Apache-2.0 */
/* Routes on the listeners that take them, and the order in which their matches are asked: the most specific
 * listener takes a request for good, then the order of the API over all routes attached to it. */
#include "config/gateway_api/reader.h"

#include <stdlib.h>

/* One match of one rule under one name of one listener. */
struct candidate {
    const struct gateway_listener *listener;
    struct slice hostname; /* what both listener and route ask for; absent: any */
    const struct gateway_route *route;
    const struct gateway_rule *rule;
    const struct gateway_match *match;
};

struct compiling {
    struct gateway_reader *reader;
    struct candidate *items;
    uint32_t count, capacity;
    uint64_t next_order;
};

/* --- attaching -------------------------------------------------------------------------------------- */

static bool is_wildcard(struct slice name)
{
    return name.size > 1 && name.data[0] == '*';
}

/* *.x takes one or more labels before x. */
static bool covers(struct slice wildcard, struct slice name)
{
    struct slice rest = slice_from(wildcard, 1);
    return name.size > rest.size && slice_ends_with(name, rest);
}

/* The more specific of two names that have something in common; false: they do not. */
static bool intersect(struct slice a, struct slice b, struct slice *out)
{
    *out = a;
    if (b.data == NULL || slice_equal(a, b))
        return true;
    if (a.data == NULL || (is_wildcard(a) && covers(a, b))) {
        *out = b;
        return true;
    }
    return is_wildcard(b) && covers(b, a);
}

static bool permits(struct gateway_reader *reader, const struct gateway_listener *listener,
                    const struct gateway_route *route)
{
    struct slice namespace = route->object->namespace;
    if (!listener->takes_http_routes)
        return false;
    if (listener->from == GATEWAY_SAME)
        return slice_equal(namespace, listener->gateway->namespace);
    if (listener->from == GATEWAY_SELECTOR) {
        struct schema_map labels = kube_namespace_labels(reader->kube, reader->cluster, namespace);
        return kube_selects(&listener->selector, &labels);
    }
    return listener->from == GATEWAY_ALL;
}

static bool is_selected(const struct gateway_listener *listener, const struct gateway_route *route)
{
    for (uint32_t i = 0; i < route->parent_count; i++) {
        const struct gateway_parent *parent = &route->parents[i];
        if (slice_equal(parent->name, listener->gateway->name) &&
            slice_equal(parent->namespace, listener->gateway->namespace) &&
            (parent->section.data == NULL || slice_equal(parent->section, listener->name)) &&
            (parent->port == INTEGER_NULL || parent->port == listener->port))
            return true;
    }
    return false;
}

static bool add_candidate(struct compiling *compiling, const struct candidate *candidate)
{
    if (compiling->count == compiling->capacity) {
        uint32_t larger = compiling->capacity ? compiling->capacity * 2 : 64;
        struct candidate *grown = realloc(compiling->items, larger * sizeof(*grown));
        if (grown == NULL)
            return kube_fail_memory(compiling->reader->kube);
        compiling->items = grown;
        compiling->capacity = larger;
    }
    compiling->items[compiling->count++] = *candidate;
    return true;
}

static void add_rules(struct compiling *compiling, const struct gateway_listener *listener,
                      const struct gateway_route *route, struct slice hostname)
{
    for (uint32_t i = 0; i < route->rule_count; i++)
        for (uint32_t j = 0; j < route->rules[i].match_count; j++) {
            struct candidate one = { listener, hostname, route, &route->rules[i],
                                     &route->rules[i].matches[j] };
            if (!add_candidate(compiling, &one))
                return;
        }
}

/* False: none of the names is one of the listener's. */
static bool attach(struct compiling *compiling, const struct gateway_listener *listener,
                   const struct gateway_route *route)
{
    struct slice hostname;
    bool attached = false;
    if (route->hostnames.count == 0) {
        add_rules(compiling, listener, route, listener->hostname);
        return true;
    }
    for (uint32_t i = 0; i < route->hostnames.count; i++) {
        if (!intersect(listener->hostname, route->hostnames.items[i], &hostname))
            continue;
        add_rules(compiling, listener, route, hostname);
        attached = true;
    }
    return attached;
}

static void attach_route(struct compiling *compiling, const struct gateway_route *route)
{
    struct gateway_reader *reader = compiling->reader;
    const char *reason = "NoMatchingParent: there is no such Gateway or listener";
    bool attached = false;
    for (uint32_t i = 0; i < reader->listeners.count; i++) {
        const struct gateway_listener *listener = reader->listeners.items[i];
        if (!is_selected(listener, route))
            continue;
        if (!permits(reader, listener, route)) {
            reason = "NotAllowedByListeners: the Gateway's listeners do not take it";
            continue;
        }
        reason = "NoMatchingListenerHostname: no listener has one of its hostnames";
        attached = attach(compiling, listener, route) || attached;
    }
    if (!attached && route->parent_count)
        kube_complain(reader->kube, route->object, REPORT_WARNING, "%s", reason);
}

/* --- order ------------------------------------------------------------------------------------------ */

/* Exact names, then wildcards, the longer first, then any. Below 0: `a` first. */
static int compare_names(struct slice a, struct slice b)
{
    int kind_a = a.data == NULL ? 2 : is_wildcard(a), kind_b = b.data == NULL ? 2 : is_wildcard(b);
    if (kind_a != kind_b)
        return kind_a - kind_b;
    if (a.size != b.size)
        return a.size > b.size ? -1 : 1;
    return a.data ? slice_compare(a, b) : 0;
}

static int compare_counts(uint64_t a, uint64_t b)
{
    return a > b ? -1 : a < b;
}

/* Exact paths, then regular expressions, then prefixes. */
static int rank_of(const struct gateway_match *match)
{
    if (match->path.kind == MATCH_PATH_EXACT)
        return 0;
    return match->path.kind == MATCH_PATH_REGEX ? 1 : 2;
}

static int compare_matches(const struct gateway_match *a, const struct gateway_match *b)
{
    int order = rank_of(a) - rank_of(b);
    if (order == 0 && a->path.kind != MATCH_PATH_EXACT)
        order = compare_counts(a->path_size, b->path_size);
    if (order == 0)
        order = compare_counts(a->method.data != NULL, b->method.data != NULL);
    if (order == 0)
        order = compare_counts(a->headers.count, b->headers.count);
    return order ? order : compare_counts(a->query.count, b->query.count);
}

static int compare_age(const struct kube_object *a, const struct kube_object *b)
{
    if (a->created_at_s != b->created_at_s && a->created_at_s && b->created_at_s)
        return a->created_at_s < b->created_at_s ? -1 : 1;
    int order = slice_compare(a->namespace, b->namespace);
    return order ? order : slice_compare(a->name, b->name);
}

static int compare_listeners(const struct candidate *a, const struct candidate *b)
{
    int order = compare_names(a->listener->hostname, b->listener->hostname);
    return order ? order : (a->listener->port > b->listener->port) - (a->listener->port < b->listener->port);
}

static int compare(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;
    int order = compare_listeners(a, b);
    if (order == 0)
        order = compare_names(a->hostname, b->hostname);
    if (order == 0)
        order = compare_matches(a->match, b->match);
    if (order == 0)
        order = compare_age(a->route->object, b->route->object);
    if (order == 0 && a->rule != b->rule)
        order = a->rule < b->rule ? -1 : 1;
    return order ? order : (a->match > b->match) - (a->match < b->match);
}

/* --- rules ------------------------------------------------------------------------------------------ */

static struct slice explain(const struct match_rule *rule, struct arena *arena)
{
    (void)arena;
    return rule->route->action && rule->route->action->status == 404 ? SLICE("what a listener leaves over")
                                                                     : SLICE("HTTPRoutes in their order");
}

static const struct match_dialect dialect = { "Gateway API", explain };

static void set_value(struct kube_reader *kube, struct match_condition *condition,
                      const struct match_value *value)
{
    struct match_value *copy = kube_take(kube, sizeof(*copy));
    if (copy == NULL)
        return;
    *copy = *value;
    condition->values = copy;
    condition->value_count = 1;
}

static void add_values(struct kube_reader *kube, struct match_condition *conditions, uint32_t *count,
                       const struct gateway_conditions *list, const struct match_condition *like)
{
    for (uint32_t i = 0; i < list->count; i++) {
        const struct gateway_condition *one = &list->items[i];
        struct match_condition *condition = &conditions[(*count)++];
        struct match_value value = { .test = one->regex ? MATCH_REGEX : MATCH_EQUAL,
                                     .text = one->value,
                                     .regex = one->regex };
        *condition = *like;
        condition->name = one->name;
        set_value(kube, condition, &value);
    }
}

static void add_conditions(struct kube_reader *kube, struct match_rule *rule, int64_t port,
                           const struct gateway_match *match)
{
    static const struct match_condition header = { .field = MATCH_HEADER, .repeat = MATCH_JOINED_VALUES };
    static const struct match_condition query = { .field = MATCH_QUERY, .repeat = MATCH_FIRST_VALUE };
    uint32_t most = 2 + (match ? match->headers.count + match->query.count : 0), count = 1;
    struct match_condition *conditions = kube_take(kube, most * sizeof(*conditions));
    if (conditions == NULL)
        return;
    conditions[0].field = MATCH_LISTENER_PORT;
    set_value(kube, &conditions[0], &(struct match_value){ .test = MATCH_EQUAL, .number = port });
    if (match && match->method.data) {
        conditions[count].field = MATCH_METHOD;
        set_value(kube, &conditions[count++],
                  &(struct match_value){ .test = MATCH_EQUAL, .text = match->method });
    }
    if (match) {
        add_values(kube, conditions, &count, &match->headers, &header);
        add_values(kube, conditions, &count, &match->query, &query);
    }
    rule->conditions = conditions;
    rule->condition_count = count;
}

static void set_host(struct kube_reader *kube, struct match_rule *rule, struct slice hostname)
{
    struct match_host *host = hostname.data ? kube_take(kube, sizeof(*host)) : NULL;
    if (host == NULL)
        return;
    bool wildcard = is_wildcard(hostname);
    *host = (struct match_host){ .text = wildcard ? slice_from(hostname, 1) : hostname,
                                 .wildcard = wildcard ? MATCH_HOST_ENDS : MATCH_HOST_WHOLE,
                                 .fold_case = true };
    rule->hosts = host;
    rule->host_count = 1;
}

static struct match_rule *add_rule(struct compiling *compiling, const struct route *route)
{
    struct kube_reader *kube = compiling->reader->kube;
    struct match_rule *rule = match_rule_add(kube->model);
    if (rule == NULL) {
        kube_fail_memory(kube);
        return NULL;
    }
    rule->route = route;
    rule->dialect = &dialect;
    rule->traffic = MATCH_HTTP;
    rule->priority = MATCH_BASE_GATEWAY_API;
    rule->order = compiling->next_order++;
    return rule;
}

/* Requests for a listener's name do not fall to another listener. */
static void close_listener(struct compiling *compiling, const struct gateway_listener *listener)
{
    static const struct action nothing = { .style = ANSWER_STYLE_ENVOY, .status = 404 };
    struct kube_reader *kube = compiling->reader->kube;
    if (listener->hostname.data == NULL)
        return;
    struct route *route = kube_add_route(kube, listener->gateway, listener->name);
    struct match_rule *rule = route ? add_rule(compiling, route) : NULL;
    if (rule == NULL)
        return;
    route->action = &nothing;
    set_host(kube, rule, listener->hostname);
    add_conditions(kube, rule, listener->port, NULL);
}

static void emit(struct compiling *compiling, const struct candidate *candidate)
{
    struct kube_reader *kube = compiling->reader->kube;
    if (candidate->match == NULL) {
        close_listener(compiling, candidate->listener);
        return;
    }
    struct match_rule *rule = add_rule(compiling, candidate->rule->route);
    if (rule == NULL)
        return;
    rule->path = candidate->match->path;
    set_host(kube, rule, candidate->hostname);
    add_conditions(kube, rule, candidate->listener->port, candidate->match);
}

/* A listener that no route has is there all the same. */
static void close_all(struct compiling *compiling)
{
    const struct gateway_reader *reader = compiling->reader;
    for (uint32_t i = 0; i < reader->listeners.count; i++) {
        struct candidate rest = { .listener = reader->listeners.items[i] };
        if (!add_candidate(compiling, &rest))
            return;
    }
}

/* Behind all that a listener's routes take. */
static int compare_with_rest(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;
    int order = compare_listeners(a, b);
    if (order == 0 && (a->match == NULL || b->match == NULL))
        return (a->match == NULL) - (b->match == NULL);
    return order ? order : compare(left, right);
}

void gateway_compile(struct gateway_reader *reader)
{
    struct compiling compiling = { .reader = reader };
    for (uint32_t i = 0; i < reader->routes.count && !reader->kube->out_of_memory; i++)
        attach_route(&compiling, reader->routes.items[i]);
    close_all(&compiling);
    if (compiling.count)
        qsort(compiling.items, compiling.count, sizeof(*compiling.items), compare_with_rest);
    for (uint32_t i = 0; i < compiling.count && !reader->kube->out_of_memory; i++)
        emit(&compiling, &compiling.items[i]);
    free(compiling.items);
}
