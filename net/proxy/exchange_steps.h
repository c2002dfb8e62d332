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

/* The same for a body beyond exchange_limit_body. */
enum step_result exchange_answer_long_body(struct exchange *exchange);

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

/* A phase that cannot change the walk, for all plugins of the chain. */
void exchange_run_late_phase(struct exchange *exchange, enum phase phase);
