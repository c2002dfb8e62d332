/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of the router: the index over hosts and beginnings of paths, and the conditions. Only router*.c
 * include this. Built on the control thread, then only read. */
#pragma once

#include "core/base/map.h"
#include "net/proxy/prefix_tree.h"
#include "net/proxy/router.h"

/* What an entry of the tree still has to be asked. */
enum router_check {
    CHECK_HOST = 1, /* filed under any host although it asks for some */
    CHECK_PATH = 2, /* more than that it begins like the entry */
    CHECK_CONDITIONS = 4,
    CHECK_EXPRESSION = 8,
    CHECK_ANY = 15,
    NO_PATH = 16 /* not a check: no prefix is matched */
};

/* Buckets by host: the whole name, `.x` that it ends with, `x.` that it begins with -> struct prefix_node.
 * Longer texts than the longest keys need no look. */
struct router_hosts {
    struct map whole, ends, starts;
    size_t whole_max, ends_max, starts_max;
};

struct router_index {
    struct router_hosts sent, folded; /* hosts compared as sent, and in lower case */
    struct prefix_node *any; /* rules filed under no host; NULL: none */
};

/* Where a rule is filed: a host, or any, and the bytes its paths begin with. */
struct router_hint {
    struct slice host;
    enum match_wildcard wildcard;
    bool any_host, fold_host;
    struct slice path;
};

enum { ROUTER_HINTS_MAX = 64 };

struct router_hints {
    struct router_hint items[ROUTER_HINTS_MAX];
    uint32_t count;
};

/* router_hints.c: what every request must have that makes the expression true: one of the hints. None: it is
 * never true. False: out of memory. */
bool router_hints_of(const struct match_node *node, struct arena *arena, struct router_hints *hints);

/* Can this text be looked up at the dots of a name? */
bool router_is_label_bound(struct slice text, enum match_wildcard wildcard);

/* The bytes that any path which a rule's regex matches begins with; absent without memory. */
struct slice router_regex_start(struct arena *arena, const struct regex *regex, struct slice pattern);

/* A request's host split up once. */
struct router_subject {
    const struct router_request *request;
    struct slice host; /* without port */
    uint64_t port, scheme_port, written_port; /* the Host's; else the listener's, the scheme's, 0 */
    uint32_t overruns; /* of the scratch when the search began */
};

struct router_subject router_subject_of(const struct router_request *request);

static inline uint64_t router_port(const struct router_subject *subject, enum match_port port_of)
{
    if (port_of == MATCH_PORT_WRITTEN)
        return subject->written_port;
    return port_of == MATCH_PORT_OF_SCHEME ? subject->scheme_port : subject->port;
}

/* router_condition.c: the conditions one by one. Those over paths set match->prefix and the captures when
 * they hold. */
bool router_host_matches(const struct match_rule *rule, const struct router_subject *subject);
bool router_path_matches(const struct match_path *path, const struct router_subject *subject,
                         struct router_match *match);
bool router_condition_holds(const struct match_condition *condition, const struct router_subject *subject,
                            struct router_match *match);
bool router_node_holds(const struct match_node *node, const struct router_subject *subject,
                       struct router_match *match);
/* NULL: all of them hold. */
const struct match_condition *router_failing_condition(const struct match_rule *rule,
                                                       const struct router_subject *subject);

/* router_field.c: the values of a text field, one after the other. */
struct router_values {
    const struct match_condition *condition;
    const struct router_subject *subject;
    uint32_t next; /* of headers; others: 0 or 1 */
    struct slice rest; /* of the query */
};
bool router_values_next(struct router_values *values, struct slice *value);
bool router_number_of(const struct match_condition *condition, const struct router_subject *subject,
                      int64_t *number);
struct slice router_lower(struct arena *arena, struct slice text); /* itself when it is, or memory is short */

/* Files all rules, which are in their final order. ERROR_MEMORY. */
enum error router_index_build(struct router *router, struct arena *arena) MUST_CHECK;
