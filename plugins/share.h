/* SPDX-License-Identifier: Apache-2.0 */
/* Which share of all requests a request belongs to: drawn from its id, which is random, so that plugins need
 * no generator, and the same question gets the same answer at any time of one exchange. Any shard. */
#pragma once

#include "net/proxy/exchange.h"

/* Each has digits of the id for itself, and so is independent of the others. */
enum share { SHARE_CSRF_FILTER, SHARE_CSRF_SHADOW, SHARE_CANARY, SHARE_COUNT };

/* Percent: at least 0, less than 100. */
double share_draw(const struct exchange *exchange, enum share share);
