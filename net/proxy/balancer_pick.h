/* SPDX-License-Identifier: Apache-2.0 */
/* Who is next: the algorithms over a balancer's usable endpoints. Its shard's thread only. */
#pragma once

#include "net/proxy/balancer.h"

/* What a request brings along. */
struct balancer_choice {
    bool has_key; /* else maglev draws, and a ring takes the empty text's place */
    uint32_t hash; /* of the key */
    uint64_t sticky_id; /* from the cookie; 0: none */
    uint32_t *failed; /* serials of endpoints that have failed this exchange */
    uint32_t failed_count;
};

/* The endpoint for the next try: one that has not failed this exchange, as long as there is one. NULL: none
 * is usable, or too few are. */
struct endpoint *balancer_pick(struct balancer *balancer, const struct balancer_choice *choice);

static inline bool balancer_choice_avoids(const struct balancer_choice *choice,
                                          const struct endpoint *endpoint)
{
    for (uint32_t i = 0; i < choice->failed_count; i++)
        if (choice->failed[i] == endpoint->serial)
            return true;
    return false;
}

/* --- latency -------------------------------------------------------------------------------------------- */

/* One answer's time from connecting to its head. A slow one counts at once, quick ones let it fall. */
void balancer_note_latency(struct endpoint *endpoint, uint64_t latency_ns);
double balancer_mean_latency(const struct balancer *balancer); /* 0: nothing measured */

/* --- parts of the picker -------------------------------------------------------------------------------- */

/* Each makes its part anew; false when memory is short, and the part is empty then. */
bool balancer_build_wheel(struct balancer *balancer) MUST_CHECK;
bool balancer_build_ring(struct balancer *balancer, enum balancer_change change) MUST_CHECK;
bool balancer_build_maglev(struct balancer *balancer) MUST_CHECK;
void balancer_picker_close(struct picker *picker);

/* NULL when no endpoint is left that the choice does not avoid. */
struct endpoint *balancer_pick_ring(const struct balancer *balancer, const struct balancer_choice *choice);
struct endpoint *balancer_pick_maglev(struct balancer *balancer, const struct balancer_choice *choice);

/* What a cookie names the endpoint by: the same on every shard, node and start; not 0. */
uint64_t balancer_sticky_id(const struct balancer *balancer, const struct endpoint *endpoint);
