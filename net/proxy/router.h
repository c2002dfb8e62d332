/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the route of an HTTP request, as Kong does, at a cost that does not grow with the number of routes.
 * Built on the control thread, owned by the snapshot, only read afterwards: any shard matches without a
 * lock. */
#pragma once

#include "config/model.h"
#include "core/base/regex.h"
#include "net/http/message.h"

struct router_alternative;
struct router_index;

struct router_source {
    struct route *const *routes; /* they must outlive the router */
    uint32_t count;
    enum router_flavor flavor;
};

struct router {
    struct router_alternative *alternatives; /* best first; one per path, or per route without paths */
    const struct route **ranked; /* the route of each alternative: all that most matches touch of them */
    uint32_t alternative_count;
    struct router_index *index;
    struct regex *regexes; /* to be closed */
    uint32_t regex_count;
    enum router_flavor flavor;
};

struct router_request {
    struct slice method;
    struct slice host; /* as received, with its port if any; absent when there is none */
    struct slice path; /* normalised, without query */
    struct slice sni; /* absent on cleartext or when the client sent none */
    uint16_t port; /* the listener's, or what it is mapped to: for a Host without port */
    bool tls;
    const struct message *message; /* its headers */
    struct regex_scratch *scratch; /* the shard's */
    struct arena *arena; /* the exchange's: captures, lower-cased header values */
};

struct router_match {
    const struct route *route;
    struct slice
        prefix; /* what the path of the route matched, a view of the request's; absent: it has no path */
    struct slice
        *captures; /* by group number, [0] is the prefix; NULL without groups or when memory is short */
    uint32_t capture_count;
    const struct regex *regex; /* knows the names of the groups; NULL without captures */
};

/* Routes of disabled services and of stream protocols are left out. A bad regex or a flavor without support
 * is reported and gives ERROR_INVALID; ERROR_MEMORY. After a failure nothing needs closing. */
enum error router_build(struct router *router, struct arena *arena, const struct router_source *source,
                        struct report *report) MUST_CHECK;
void router_close(struct router *router); /* the memory in the arena stays */

/* False: no route. Kong 3.2. */
bool router_match(const struct router *router, const struct router_request *request,
                  struct router_match *match);

/* The capture of a named group, absent when there is none. */
struct slice router_capture(const struct router_match *match, struct slice name);

struct router_candidate {
    const struct route *route;
    struct slice path; /* the path of the route this line is about, absent when it has none */
    uint64_t
        priority; /* higher wins; equal ones are ordered by the route's id, or its age in `traditional` */
    bool matched;
    const char
        *reason; /* static: "matches", or the first kind of condition that fails, e.g. "host differs" */
};

/* Asks every alternative, best first: for `sluice explain`, slow. The count, or UINT32_MAX without memory. */
uint32_t router_explain(const struct router *router, const struct router_request *request,
                        struct router_candidate **candidates);
