/* SPDX-License-Identifier: Apache-2.0 */
/* What a request is told apart by, for the algorithms that ask: Kong's hash inputs and the cookies that are
 * issued for them. Its shard's thread only. */
#pragma once

#include "net/proxy/exchange_state.h"

/* Reads the key for exchange->service's upstream into exchange->choice, and makes the cookie when one is
 * wanted and missing. False when memory is exhausted. */
bool balancer_read_key(struct exchange *exchange) MUST_CHECK;

/* With sticky sessions: the client is told the endpoint it is to come back to, unless it knows. */
bool balancer_stick(struct exchange *exchange, const struct endpoint *endpoint) MUST_CHECK;
