/* SPDX-License-Identifier: Apache-2.0 */
/* What `sluice explain` has found out about one request, as text or JSON. One thread; the arena holds all of
 * it. */
#pragma once

#include "config/load.h"
#include "core/app/explain_request.h"
#include "net/proxy/chain.h"
#include "net/proxy/router.h"

struct explanation {
    struct arena arena;
    const struct loaded *loaded;
    struct explain_request request;
    struct regex_scratch scratch;
    struct router router;
    struct router_request question;
    struct router_candidate *candidates;
    uint32_t candidate_count;
    struct router_match match;
    bool matched;
    bool invalid; /* the path: no route is asked */
};

struct explained_upstream {
    struct slice url, host;
};

struct slice explanation_name(const struct entity *entity); /* or its id */
bool explanation_asks_for_https(const struct explanation *it);

/* These fail when memory is exhausted. */
const struct chain *explanation_chain(struct explanation *it); /* of the match, or of no route */
bool explanation_upstream(struct explanation *it, struct explained_upstream *upstream);
bool explanation_print_json(struct explanation *it);
