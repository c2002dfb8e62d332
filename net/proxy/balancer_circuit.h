/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of an endpoint's tries, and what an upstream is spared: limits, waiting for a connection, the
 * budget of retries, passive health and ejection. Its shard's thread only. */
#pragma once

#include "net/proxy/balancer.h"

struct exchange;

/* --- an exchange and its balancer ----------------------------------------------------------------------- */

/* Counts the exchange in; false: the upstream has as many requests as it may. */
bool balancer_enter(struct balancer *balancer, struct exchange *exchange) MUST_CHECK;

/* The endpoint of the next try, instead of the one before. */
void balancer_choose(struct exchange *exchange, struct endpoint *endpoint);

/* Gives back what balancer_enter, _choose, _admit and _allows_retry have taken. Legal at any time. */
void balancer_leave(struct exchange *exchange);

/* May the exchange have a connection to its endpoint now? WAITS: exchange_run comes, or the answer when the
 * time to connect is over. */
enum admission { ADMITTED, ADMISSION_WAITS, ADMISSION_REFUSED };
enum admission balancer_admit(struct exchange *exchange);

/* Those waiting are looked after in this turn: a connection is idle or gone, or more of them are allowed. */
void balancer_connection_freed(struct balancer *balancer);
void balancer_wake(struct shard_task *task);

/* Another try of an exchange whose last one failed, within the budget of its service and the limit of its
 * upstream? Counts it. */
bool balancer_allows_retry(struct exchange *exchange) MUST_CHECK;

/* --- outcomes ------------------------------------------------------------------------------------------- */

/* A try ended with that error before an answer; errors of the gateway's own are passed over. */
void balancer_try_failed(struct endpoint *endpoint, enum error error);

/* The head of an answer has come, so long after the try began. */
void balancer_try_answered(struct endpoint *endpoint, int status, uint64_t latency_ns);

/* Ends ejections whose time is over. */
void balancer_readmit(struct timer *timer);
