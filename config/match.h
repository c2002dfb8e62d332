/* SPDX-License-Identifier: Apache-2.0 */
/* What leads a request to a route, in nobody's dialect: a front-end compiles each of its routes into match
 * rules, the router sorts them by priority and asks them. Part of the model: built by the control thread in
 * the model's arena, then only read. */
#pragma once

#include "config/match_range.h"
#include "core/base/regex.h"

struct match_rule;
struct route;

enum match_traffic { MATCH_HTTP, MATCH_STREAM };

/* What a condition looks at. */
enum match_field {
    MATCH_METHOD,
    MATCH_HOST, /* without port, as received */
    MATCH_AUTHORITY, /* with port, as received */
    MATCH_PATH, /* in normal form */
    MATCH_SEGMENTS, /* segments first..last of the path, joined by `/`; missing when there are fewer */
    MATCH_HEADER, /* several values */
    MATCH_QUERY, /* decoded; several values; an argument without `=` is the empty text */
    MATCH_RAW_QUERY, /* as received */
    MATCH_SNI, /* without a dot at its end */
    MATCH_PROTOCOL, /* http, https, tcp, tls, udp */
    MATCH_SEGMENT_COUNT, /* numbers, from here on; empty segments at the end do not count */
    MATCH_SOURCE_PORT,
    MATCH_DESTINATION_PORT, /* the Host's, else the listener's */
    MATCH_LISTENER_PORT, /* the one connected to, or what it is mapped to, whatever the Host says */
    MATCH_DRAW, /* 0..99 at random, drawn once for a request: a share of all requests */
    MATCH_SOURCE, /* addresses with ports, from here on */
    MATCH_DESTINATION
};

enum match_test {
    MATCH_PRESENT,
    MATCH_EQUAL,
    MATCH_NOT_EQUAL,
    MATCH_STARTS,
    MATCH_ENDS,
    MATCH_CONTAINS,
    MATCH_REGEX,
    MATCH_LESS,
    MATCH_LESS_EQUAL,
    MATCH_GREATER,
    MATCH_GREATER_EQUAL,
    MATCH_IN,    /* the range, and the port if there is one */
    MATCH_NOT_IN /* the range */
};

struct match_value {
    enum match_test test;
    struct slice text; /* of a regex its pattern */
    const struct regex *regex; /* with MATCH_REGEX */
    int64_t number; /* number fields; MATCH_IN: the port, negative: any */
    struct match_range range; /* MATCH_IN, MATCH_NOT_IN */
};

/* A field with several values: which of them must pass. */
enum match_repeat { MATCH_ANY_VALUE, MATCH_EVERY_VALUE, MATCH_FIRST_VALUE, MATCH_JOINED_VALUES };

/* Passes when a value of the field passes one of the tests. A missing field passes none. */
struct match_condition {
    enum match_field field;
    enum match_repeat repeat;
    struct slice name; /* of a header, with `-` and `_` alike when `loose_name`; of a query argument */
    uint32_t first, last; /* segments, from 0 */
    const struct match_value *values;
    uint32_t value_count;
    bool loose_name;
    bool fold_case; /* the request's text is lower-cased first */
    bool only_tls; /* not asked of requests over cleartext */
    bool inverted; /* of the whole answer: a missing field passes */
};

enum match_node_kind { MATCH_ALL_OF, MATCH_ONE_OF, MATCH_NOT, MATCH_LEAF };

/* Conditions under and, or, not. What a true MATCH_PATH leaf with MATCH_STARTS or MATCH_REGEX has matched is
 * the prefix (with its captures) that the route takes off. */
struct match_node {
    enum match_node_kind kind;
    struct match_node *first, *next; /* the first part, the next one of the whole around */
    struct match_condition condition; /* of a leaf */
    struct slice text; /* as written */
};

enum match_wildcard { MATCH_HOST_WHOLE, MATCH_HOST_ENDS, MATCH_HOST_STARTS };

/* The port a host asks for is compared with the one in the request's Host; without one there, with ...
 * MATCH_PORT_WRITTEN: 0, so that port 0 asks for a Host without port. */
enum match_port { MATCH_PORT_ANY, MATCH_PORT_OF_LISTENER, MATCH_PORT_OF_SCHEME, MATCH_PORT_WRITTEN };

struct match_host {
    struct slice text; /* `*.x` is kept as `.x`, `x.*` as `x.`; lower case with fold_case */
    enum match_wildcard wildcard;
    enum match_port port_of;
    uint16_t port;
    bool fold_case;
};

enum match_path_kind {
    MATCH_PATH_ANY,
    MATCH_PATH_PREFIX, /* byte by byte */
    MATCH_PATH_SEGMENTS, /* `/a` for /a, /a/ and /a/b, not for /ab; kept without a slash at its end */
    MATCH_PATH_EXACT,
    MATCH_PATH_REGEX
};

struct match_path {
    enum match_path_kind kind;
    struct slice text; /* of a regex its pattern */
    const struct regex *regex;
    bool fold_case; /* not of a regex; the text is lower case */
};

/* Who made a rule, for people who ask. */
struct match_dialect {
    const char *name;
    /* What its priority is made of; the text is in the arena, absent without memory. */
    struct slice (*explain_priority)(const struct match_rule *rule, struct arena *arena);
};

/* The base of a dialect's priorities: of two rules that match, Kong's (1 << 61 and above) come first. */
#define MATCH_BASE_EMISSARY (UINT64_C(1) << 60)
#define MATCH_BASE_GATEWAY_API (UINT64_C(1) << 59)
#define MATCH_BASE_AWS (UINT64_C(1) << 58)

/* All of its parts must pass. */
struct match_rule {
    const struct route *route;
    const struct match_dialect *dialect;
    uint64_t priority; /* the highest wins */
    uint64_t order; /* among equal priorities the lowest wins */
    const struct match_host *hosts; /* one of them; none: any host */
    struct match_path path;
    const struct match_condition *conditions;
    const struct match_node *expression; /* NULL: none */
    uint32_t host_count, condition_count;
    enum match_traffic traffic;
};

/* A regex that lives as long as the arena. NULL: *error is ERROR_INVALID, with a reason, or ERROR_MEMORY. */
struct match_regex_request {
    struct slice pattern;
    enum regex_anchor anchor;
    char *reason; /* REGEX_REASON_SIZE bytes */
    enum error *error;
};
const struct regex *match_regex(struct arena *arena, const struct match_regex_request *request) MUST_CHECK;
