/* SPDX-License-Identifier: Apache-2.0 */
/* What gRPC calls are told by the gateway itself: their clients read grpc-status and grpc-message, not
 * bodies. And the time they give a call. Its shard's. */
#pragma once

#include "net/proxy/exchange_state.h"

/* A request of HTTP/2 whose Content-Type is one of gRPC. */
bool answer_is_for_grpc(const struct exchange *exchange);

/* Turns the answer, whoever made it, into one that such a client understands. Out of memory it stays. */
void answer_for_grpc(struct exchange *exchange);

/* A route for grpcs alone was asked in the clear. False: out of memory. */
bool answer_grpc_needs_tls(struct exchange *exchange) MUST_CHECK;

/* What grpc-timeout says, in milliseconds; 0: nothing. */
uint64_t grpc_timeout_of(const struct message *request);
