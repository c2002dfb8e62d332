/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of the walk and what they share; net/proxy only. A step does its part and says what follows:
 * the next one, a wait for an event, or a jump forward. */
#pragma once

#include "net/proxy/exchange_state.h"

#define STEP(id, name) enum step_result step_##name(struct exchange *exchange);
EXCHANGE_STEPS(STEP)
#undef STEP

enum step_result exchange_jump(struct exchange *exchange, enum exchange_step step);

/* Drops the upstream, if any, and goes to the response with an error of the gateway's own. */
enum step_result exchange_answer_from_below(struct exchange *exchange, int status, struct slice message);
/* The same with the usual message, because of an error of the upstream, which the access log tells. */
enum step_result exchange_answer_upstream_error(struct exchange *exchange, int status, enum error error);

/* The same for a body beyond exchange_limit_body. */
enum step_result exchange_answer_long_body(struct exchange *exchange);

/* Does an edit of the response stand for all received fields of that name? */
bool exchange_hides_header(const struct exchange *exchange, struct slice name);

/* Will a filter change the length of the response's body? */
static inline bool exchange_body_changes(const struct exchange *exchange)
{
    for (const struct body_filter *filter = exchange->filters; filter; filter = filter->next)
        if (filter->kind == BODY_FILTER_CHANGES)
            return true;
    return false;
}

/* Is more of the body here than a plugin allows? */
static inline bool exchange_body_is_too_long(const struct exchange *exchange)
{
    return exchange->body_limit_message.data && exchange->body_bytes > exchange->body_limit_bytes;
}

/* Of a stream: finds its route. */
enum step_result exchange_route_stream(struct exchange *exchange);

/* Joins the two sides for good, behind a 101 or at the beginning of a stream. */
enum step_result exchange_open_tunnel(struct exchange *exchange);
void exchange_close_tunnel(struct exchange *exchange); /* keeps what it has counted */

void exchange_log_stream(struct exchange *exchange);

/* Gives everything back. */
void exchange_close(struct exchange *exchange);

/* Another try after a failure, or the answer that ends it. */
enum step_result exchange_try_again(struct exchange *exchange, enum error error);

/* Does the action's retry policy refuse the status that has come? Then another try has begun. */
bool exchange_wants_other_answer(struct exchange *exchange);

/* A time limit of this try, no longer than what is left of the service's limit for a whole try; 0: none. */
uint64_t exchange_try_time(const struct exchange *exchange, uint64_t timeout_ms);

/* Sends what of the request body has arrived to the upstream. */
bool exchange_flush_body(struct exchange *exchange);

/* More of a body that a plugin reads has come, or its end. */
void exchange_body_arrives(struct exchange *exchange);

/* The client waits to be told before it sends its body: it is wanted now. */
void exchange_send_continue(struct exchange *exchange);

/* Tells the filters that the body has ended; has them change the gateway's own answer; closes them. False:
 * they cannot. */
bool exchange_end_filters(struct exchange *exchange);
bool exchange_filter_answer(struct exchange *exchange);
void exchange_close_filters(struct exchange *exchange);

/* A late phase, for all plugins of the chain. */
void exchange_run_late_phase(struct exchange *exchange, enum phase phase);
