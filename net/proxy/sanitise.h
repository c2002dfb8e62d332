/* SPDX-License-Identifier: Apache-2.0 */
/* What a client may not say to an upstream: fields that it declares to be for this hop only, and names by
 * which this gateway vouches for somebody or something. Done once, before any plugin runs, so that nothing
 * which is set later can be taken away or forged. */
#pragma once

#include "net/proxy/exchange_state.h"

void sanitise_request(struct exchange *exchange);

/* The same for trailers of a request: those that may pass move to the front. Their number. */
uint32_t sanitise_trailers(struct header *trailers, uint32_t count);
