/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this front-end share while objects are read. Private to config/gateway_api; control
 * thread only. */
#pragma once

#include "config/gateway_api/gateway_api.h"

/* Which namespaces' routes a listener takes. */
enum gateway_from { GATEWAY_SAME, GATEWAY_ALL, GATEWAY_SELECTOR, GATEWAY_NONE };

struct gateway_listener {
    const struct kube_object *gateway;
    struct slice name, hostname; /* lower case; absent: any */
    int64_t port;
    int from; /* enum gateway_from */
    struct schema_map selector;
    bool takes_http_routes;
};

struct gateway_parent {
    struct slice namespace, name, section;
    int64_t port; /* INTEGER_NULL: any */
};

/* One condition over a header or a query argument. */
struct gateway_condition {
    struct slice name, value;
    const struct regex *regex; /* NULL: equality */
};
struct gateway_conditions {
    struct gateway_condition *items;
    uint32_t count;
};

struct gateway_match {
    struct match_path path;
    uint32_t path_size; /* characters, as the order counts them */
    struct slice method;
    struct gateway_conditions headers, query;
};

struct gateway_rule {
    const struct route *route;
    struct gateway_match *matches;
    uint32_t match_count;
};

struct gateway_route {
    const struct kube_object *object;
    struct slices hostnames;
    struct gateway_parent *parents;
    struct gateway_rule *rules;
    uint32_t parent_count, rule_count;
};

struct gateway_reader {
    struct kube_reader *kube;
    const struct kube_cluster *cluster;
    MODEL_VECTOR(gateway_listener, listeners);
    MODEL_VECTOR(gateway_route, routes);
};

/* The elements of a list of records, one after the other. */
struct gateway_list {
    const struct node *list;
    struct config_place place;
    uint32_t next;
};

/* A missing or wrong list has no elements; the latter is reported. */
struct gateway_list gateway_list_open(const struct node *record, const char *field,
                                      const struct config_place *place);
uint32_t gateway_list_count(const struct gateway_list *list);

/* The next record and its place; NULL: there is none. */
const struct node *gateway_list_next(struct gateway_list *list, struct config_place *place);

bool gateway_is_given(const struct node *record, const char *field);

/* gateway.c: GatewayClass and Gateway. */
void gateway_read_gateways(struct gateway_reader *reader);

/* route.c: HTTPRoute. */
void gateway_read_routes(struct gateway_reader *reader);

/* match.c: the matches of a rule. */
void gateway_read_matches(struct gateway_reader *reader, const struct node *node,
                          const struct config_place *place, struct gateway_rule *rule);

/* filter.c: what the filters of a rule do, into the action; all but RequestMirror. */
void gateway_read_filters(struct gateway_reader *reader, const struct node *node,
                          const struct config_place *place, struct action *action);

/* mirror.c: an instance of request-mirror on the route of a rule, when it has such a filter. */
void gateway_read_mirror(struct gateway_reader *reader, const struct kube_object *object,
                         const struct node *rule, const struct config_place *place, struct route *route);

/* The header modifiers among the filters of a backend; others are reported. */
void gateway_read_backend_filters(struct gateway_reader *reader, const struct node *node,
                                  const struct config_place *place, struct backend *backend);

/* backend.c: where a rule sends requests. */
void gateway_read_backends(struct gateway_reader *reader, const struct kube_object *object,
                           const struct node *node, const struct config_place *place, struct action *action);

/* The one of a RequestMirror, whose reference is the spot's node. NULL: it was reported. */
struct service *gateway_mirror_service(struct gateway_reader *reader, const struct kube_object *object,
                                       const struct kube_spot *spot);

/* attach.c: match rules for all routes on all listeners that take them. */
void gateway_compile(struct gateway_reader *reader);
