/* SPDX-License-Identifier: Apache-2.0 */
/* The PROXY header that a connection to an upstream begins with, where its service or the settings ask for
 * one. Its shard's thread only. */
#pragma once

#include "net/proxy/exchange_state.h"

enum preamble_kind origin_preamble_kind(const struct exchange *exchange);

/* Leaves the chunk empty when there is to be none. False: out of memory. */
bool origin_write_preamble(const struct exchange *exchange, struct chunk *chunk) MUST_CHECK;
