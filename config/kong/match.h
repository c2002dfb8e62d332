/* SPDX-License-Identifier: Apache-2.0 */
/* From Kong's routes to the model's match rules, in the flavor the model was given: one rule per path of a
 * route, ranked as Kong's router ranks them. Control thread only. */
#pragma once

#include "config/model.h"
#include "config/report.h"

/* Compiles all routes of the model but those of disabled services. False: it was reported. */
bool kong_match_compile(struct model *model, struct report *report);

/* What Kong's priority of an alternative is computed from. */
struct kong_rank {
    const struct route *route;
    struct slice path; /* without `~`; absent: the route has none */
    bool is_regex;
};

uint64_t kong_match_priority(enum router_flavor flavor, const struct kong_rank *rank);

extern const struct match_dialect kong_match_dialects[]; /* by enum router_flavor */
