/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of the router: what an alternative of a route asks for, and the index over hosts and paths. Only
 * router*.c include this. Built on the control thread, then only read. */
#pragma once

#include "net/proxy/prefix_tree.h"
#include "net/proxy/router.h"

/* What an entry of the tree still has to be asked. */
enum router_check {
    CHECK_METHOD = 1,
    CHECK_SNI = 2,
    CHECK_HEADERS = 4,
    CHECK_REGEX = 8,
    CHECK_ANY = 15,
    NO_PATH = 16 /* not a check: the route has no path, so no prefix was matched */
};

enum router_wildcard { WILDCARD_NONE, WILDCARD_LEFT, WILDCARD_RIGHT };

/* `*.x` is kept as `.x`, `x.*` as `x.` */
struct router_host {
    struct slice text;
    enum router_wildcard wildcard;
    bool has_port;
    uint16_t port;
};

struct router_value {
    struct slice text;
    const struct regex *regex; /* over the lower-cased value; NULL: equality in any case */
};

struct router_header {
    struct slice name;
    enum header_id id;
    struct router_value *values;
    uint32_t value_count;
};

/* What all alternatives of a route share. */
struct router_rules {
    const struct route *route;
    struct router_host *hosts;
    struct router_header *headers;
    uint32_t host_count, header_count;
};

struct router_alternative {
    const struct route *route;
    const struct router_rules *rules;
    struct slice path; /* as configured, without `~`; absent: any */
    const struct regex *regex; /* NULL: the path is a prefix */
    uint64_t priority;
    uint32_t path_number; /* within the route */
    uint8_t checks; /* enum router_check */
};

struct router_index {
    struct map exact, left, right; /* host text -> struct prefix_node */
    size_t exact_max, left_max, right_max; /* longest keys: longer texts need no look */
    struct prefix_node *any; /* alternatives without hosts; NULL: none */
};

/* A request's host split up once. */
struct router_target {
    struct slice host; /* without port */
    uint64_t port;
};

struct router_target router_target_of(const struct router *router, const struct router_request *request);

/* The conditions one by one. router_path_matches sets match->prefix and the captures. */
bool router_host_matches(const struct router_alternative *alternative, const struct router_target *target);
bool router_path_matches(const struct router_alternative *alternative, const struct router_request *request,
                         struct router_match *match);
bool router_regex_matches(const struct router_alternative *alternative, const struct router_request *request,
                          struct router_match *match);
bool router_method_matches(const struct route *route, struct slice method);
bool router_sni_matches(const struct route *route, const struct router_request *request);
bool router_headers_match(const struct router_rules *rules, const struct router_request *request);

/* Kong 3.2: the priority of an alternative in the router's flavor. */
uint64_t router_priority(enum router_flavor flavor, const struct router_rules *rules, struct slice path,
                         bool is_regex);

/* Files all alternatives, which are in their final order. ERROR_MEMORY. */
enum error router_index_build(struct router *router, struct arena *arena) MUST_CHECK;
