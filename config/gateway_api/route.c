/* SPDX-License-Identifier: Apache-2.0 */
/* HTTPRoutes: whose they want to be, and what their rules do. */
#include "config/gateway_api/reader.h"

struct route_record {
    struct slices hostnames;
};
static const struct field route_fields[] = {
    { "hostnames", FIELD_STRINGS, offsetof(struct route_record, hostnames), .max = 16 },
};
static const char *const route_others[] = { "parentRefs", "rules", NULL };
static const struct schema route_schema = {
    "HTTPRoute", route_fields, COUNT_OF(route_fields), sizeof(struct route_record), NULL, route_others
};

struct parent_record {
    struct slice group, kind, namespace, name, section;
    int64_t port;
};
static const struct field parent_fields[] = {
    { "group", FIELD_STRING, offsetof(struct parent_record, group), .flags = FIELD_EMPTY,
      .fallback = "gateway.networking.k8s.io" },
    { "kind", FIELD_STRING, offsetof(struct parent_record, kind), .fallback = "Gateway" },
    { "namespace", FIELD_STRING, offsetof(struct parent_record, namespace) },
    { "name", FIELD_STRING, offsetof(struct parent_record, name), .flags = FIELD_REQUIRED },
    { "sectionName", FIELD_STRING, offsetof(struct parent_record, section) },
    { "port", FIELD_INTEGER, offsetof(struct parent_record, port), .min = 1, .max = 65535 },
};
static const struct schema parent_schema = { "parentRefs", parent_fields, COUNT_OF(parent_fields),
                                             sizeof(struct parent_record) };

struct timeouts_record {
    struct slice request, backend;
};
struct retry_record {
    struct schema_integers codes;
    int64_t attempts;
};
struct rule_record {
    struct slice name;
    struct timeouts_record timeouts;
    struct retry_record retry;
};
static const struct field timeouts_fields[] = {
    { "request", FIELD_STRING, offsetof(struct timeouts_record, request), .help = "a duration; 0s: none" },
    { "backendRequest", FIELD_STRING, offsetof(struct timeouts_record, backend) },
};
static const struct schema timeouts_schema = { "timeouts", timeouts_fields, COUNT_OF(timeouts_fields),
                                               sizeof(struct timeouts_record) };
static const struct field retry_fields[] = {
    { "codes", FIELD_INTEGERS, offsetof(struct retry_record, codes), .min = 400, .max = 599 },
    { "attempts", FIELD_INTEGER, offsetof(struct retry_record, attempts), .max = 1000, .fallback = "1" },
    { "backoff", FIELD_STRING, 0, .flags = FIELD_UNSUPPORTED },
};
static const struct schema retry_schema = { "retry", retry_fields, COUNT_OF(retry_fields),
                                            sizeof(struct retry_record) };
static const struct field rule_fields[] = {
    { "name", FIELD_STRING, offsetof(struct rule_record, name) },
    { "timeouts", FIELD_RECORD, offsetof(struct rule_record, timeouts), .record = &timeouts_schema },
    { "retry", FIELD_RECORD, offsetof(struct rule_record, retry), .record = &retry_schema },
    { "sessionPersistence", FIELD_STRING, 0, .flags = FIELD_UNSUPPORTED },
};
static const char *const rule_others[] = { "backendRefs", "filters", "matches", NULL };
static const struct schema rule_schema = {
    "rules", rule_fields, COUNT_OF(rule_fields), sizeof(struct rule_record), NULL, rule_others
};

/* --- parents ---------------------------------------------------------------------------------------- */

static void read_parents(struct gateway_reader *reader, struct gateway_route *route,
                         const struct config_place *place)
{
    const struct kube_object *object = route->object;
    struct gateway_list list = gateway_list_open(object->spec, "parentRefs", place);
    struct config_place deeper;
    const struct node *node;
    route->parents = kube_take(reader->kube, (gateway_list_count(&list) + 1u) * sizeof(*route->parents));
    while (route->parents && (node = gateway_list_next(&list, &deeper)) != NULL) {
        struct parent_record read;
        if (!schema_read(&parent_schema, node, &deeper, &read))
            continue;
        if (!slice_equal(read.kind, SLICE("Gateway")) ||
            !slice_equal(read.group, SLICE("gateway.networking.k8s.io"))) {
            schema_error(&deeper, node, "kind", "%.*s: not supported yet", SLICE_FORMAT(read.kind));
            continue;
        }
        route->parents[route->parent_count++] =
            (struct gateway_parent){ read.namespace.data ? read.namespace : object->namespace, read.name,
                                     read.section, read.port };
    }
    if (gateway_list_count(&list) == 0)
        kube_complain(reader->kube, object, REPORT_WARNING, "no parentRefs: no Gateway takes this route");
}

/* --- rules ------------------------------------------------------------------------------------------ */

static int64_t read_duration(struct slice text, const struct node *node, const char *name,
                             const struct config_place *place)
{
    int64_t ms = 0;
    if (text.data && !kube_duration(text, &ms))
        schema_error(place, node, name, "expected a duration like 1h2m3s4ms");
    return ms;
}

static void set_times(struct gateway_reader *reader, const struct rule_record *read, const struct node *node,
                      const struct config_place *place, struct action *action)
{
    struct config_place deeper = schema_place(place, "timeouts");
    const struct node *timeouts = node_find(node, "timeouts");
    bool retries = gateway_is_given(node, "retry");
    int64_t request_ms = 0, backend_ms = 0;
    if (gateway_is_given(node, "timeouts")) {
        request_ms = read_duration(read->timeouts.request, timeouts, "request", &deeper);
        backend_ms = read_duration(read->timeouts.backend, timeouts, "backendRequest", &deeper);
    }
    if (request_ms > 0 && backend_ms > request_ms)
        schema_error(&deeper, timeouts, "backendRequest", "is longer than request");
    action->timeout_ms = request_ms;
    if (!retries && backend_ms == 0)
        return;
    struct retry_policy *policy = kube_take(reader->kube, sizeof(*policy));
    uint32_t count = retries ? read->retry.codes.count : 0;
    int *statuses = kube_take(reader->kube, (count + 1u) * sizeof(*statuses));
    if (!policy || !statuses)
        return;
    for (uint32_t i = 0; i < count; i++)
        statuses[i] = (int)read->retry.codes.items[i];
    *policy = (struct retry_policy){ .on = retries ? RETRY_ON_CONNECT_FAILURE | RETRY_ON_RESET : 0,
                                     .retries = retries ? (uint32_t)read->retry.attempts : 0,
                                     .per_try_ms = backend_ms,
                                     .statuses = statuses,
                                     .status_count = count };
    action->retry = policy;
}

/* What replaces a prefix needs to know which. */
static void check_prefix(const struct gateway_rule *rule, const struct action *action,
                         const struct node *node, const struct config_place *place)
{
    bool replaces = action->path.kind == PATH_EDIT_SEGMENTS ||
                    (action->redirect && action->redirect->path.kind == PATH_EDIT_SEGMENTS);
    bool one = rule->match_count == 1 && rule->matches[0].path.kind == MATCH_PATH_SEGMENTS;
    if (replaces && !one)
        schema_error(place, node, "filters", "ReplacePrefixMatch needs exactly one match, of PathPrefix");
}

static void read_rule(struct gateway_reader *reader, struct gateway_route *route, const struct node *node,
                      const struct config_place *place)
{
    struct rule_record read;
    struct gateway_rule *rule = &route->rules[route->rule_count];
    struct action *action = kube_take(reader->kube, sizeof(*action));
    struct slice part = arena_format(&reader->kube->scratch, "%u", route->rule_count);
    if (!action || !part.data || !schema_read(&rule_schema, node, place, &read))
        return;
    *action = (struct action){ .style = ANSWER_STYLE_ENVOY,
                               .path = { .kind = PATH_EDIT_KEEP },
                               .host = { .kind = HOST_EDIT_KEEP } };
    gateway_read_matches(reader, node, place, rule);
    gateway_read_filters(reader, node, place, action);
    gateway_read_backends(reader, route->object, node, place, action);
    set_times(reader, &read, node, place, action);
    check_prefix(rule, action, node, place);
    struct route *made = kube_add_route(reader->kube, route->object, part);
    if (made == NULL)
        return;
    made->action = action;
    for (uint32_t i = 0; i < action->backend_count && !made->service; i++)
        made->service = action->backends[i].service;
    if (!action->redirect)
        gateway_read_mirror(reader, route->object, node, place, made);
    rule->route = made;
    route->rule_count++;
}

static void read_route(struct gateway_reader *reader, const struct kube_object *object)
{
    struct route_record read;
    struct config_place place = kube_place(reader->kube, object, "spec"), deeper;
    struct gateway_route *route = kube_take(reader->kube, sizeof(*route));
    struct gateway_route **items = model_reserve(reader->kube->model, reader->routes.items,
                                                 reader->routes.count, &reader->routes.capacity);
    if (!route || !items || !schema_read(&route_schema, object->spec, &place, &read))
        return;
    route->object = object;
    route->hostnames = read.hostnames;
    for (uint32_t i = 0; i < read.hostnames.count; i++)
        route->hostnames.items[i] = kube_lower(reader->kube, read.hostnames.items[i]);
    read_parents(reader, route, &place);
    struct gateway_list list = gateway_list_open(object->spec, "rules", &place);
    const struct node *node;
    route->rules = kube_take(reader->kube, (gateway_list_count(&list) + 1u) * sizeof(*route->rules));
    if (gateway_list_count(&list) > 16)
        schema_error(&place, object->spec, "rules", "length must be at most 16");
    while (route->rules && (node = gateway_list_next(&list, &deeper)) != NULL)
        read_rule(reader, route, node, &deeper);
    reader->routes.items = items;
    items[reader->routes.count++] = route;
}

void gateway_read_routes(struct gateway_reader *reader)
{
    struct kube_reader *kube = reader->kube;
    for (uint32_t i = 0; i < kube->object_count && !kube->out_of_memory; i++)
        if (kube_is(kube->objects[i], KUBE_GATEWAY_API, "HTTPRoute"))
            read_route(reader, kube->objects[i]);
}
