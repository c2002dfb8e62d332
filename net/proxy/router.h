/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the route of a request by the model's match rules, whoever wrote them, at a cost that does not grow
 * with their number. Built on the control thread, owned by the snapshot, only read afterwards: any shard
 * matches without a lock. The model must outlive it. */
#pragma once

#include "config/match.h"
#include "net/http/message.h"
#include "net/transport/address.h"

struct router_index;

struct router_source {
    struct match_rule *const *rules;
    uint32_t count;
    enum match_traffic traffic; /* rules for other traffic are left out */
};

struct router {
    const struct match_rule **rules; /* best first: by priority, then order, then as given */
    const struct route **ranked; /* the route of each rule: all that most matches touch of them */
    uint32_t rule_count;
    bool asks_destination; /* a rule wants to know the address that the client has connected to */
    struct router_index *index;
};

struct router_request {
    struct slice method;
    struct slice host; /* as received, with its port if any; absent when there is none */
    struct slice path; /* normalised, without query */
    struct slice query; /* absent without `?` */
    struct slice sni; /* absent on cleartext or when the client sent none */
    struct slice protocol; /* tcp, tls, udp; absent: http or https, as `tls` says */
    const struct address *source, *destination; /* NULL: not known */
    uint16_t port; /* the listener's, or what it is mapped to: for a Host without port */
    uint8_t draw; /* 0..99 at random: the same for all that is asked about one request */
    bool tls;
    const struct message *message; /* its headers */
    struct regex_scratch *scratch; /* the shard's */
    struct arena *arena; /* the exchange's: captures, lower-cased texts */
};

struct router_match {
    const struct route *route;
    struct slice prefix; /* as much of the request's path as was matched; absent: no path was asked for */
    struct slice
        *captures; /* by group number, [0] is what matched; NULL without groups or when memory is short */
    uint32_t capture_count;
    const struct regex *regex; /* knows the names of the groups; NULL without captures */
};

/* ERROR_MEMORY. All it takes is in the arena. */
enum error router_build(struct router *router, struct arena *arena,
                        const struct router_source *source) MUST_CHECK;

/* False: no route. A regex that overruns its limits does not match; after ROUTER_OVERRUNS_MAX of them in one
 * request no further one is asked. request->scratch counts them. */
enum { ROUTER_OVERRUNS_MAX = 3 };
bool router_match(const struct router *router, const struct router_request *request,
                  struct router_match *match);

/* The capture of a named group, absent when there is none. */
struct slice router_capture(const struct router_match *match, struct slice name);

struct router_candidate {
    const struct match_rule *rule;
    bool matched;
    bool scanned; /* neither a host nor a path files it: it is asked for every request that gets this far */
    struct slice
        reason; /* "matches", or the first condition that fails: "host differs", "header x differs" */
};

/* Asks every rule, best first: for `sluice explain`, slow. The count, or UINT32_MAX without memory. */
uint32_t router_explain(const struct router *router, const struct router_request *request,
                        struct router_candidate **candidates);
