/* SPDX-License-Identifier: Apache-2.0 */
/* What the two connections of an exchange tell it; net/proxy only. Each may end the exchange before it
 * returns. From the loop of its shard, never from inside a step. */
#pragma once

#include "net/proxy/exchange_state.h"

/* From the client: a part of the body (takes the reference), its end with its trailers (in the exchange's
 * arena; those that may not pass are taken out), and its vanishing. */
void exchange_request_body(struct exchange *exchange, struct chunk chunk);
void exchange_request_end(struct exchange *exchange, struct header *trailers, uint32_t trailer_count);
void exchange_client_gone(struct exchange *exchange);
void exchange_client_writable(struct exchange *exchange);

/* The client's message turned out to be bad: answers with `status` when nothing was sent yet. */
void exchange_refuse(struct exchange *exchange, int status, struct slice message);

/* From the upstream: connected or not; a head (final or 1xx) in exchange->response; a part of the body
 * (takes the reference); the end with its trailers; failure before that. */
void exchange_origin_opened(struct exchange *exchange, enum error error);
void exchange_response_head(struct exchange *exchange);
void exchange_response_interim(struct exchange *exchange);
void exchange_response_body(struct exchange *exchange, struct chunk chunk);
void exchange_response_end(struct exchange *exchange, const struct header *trailers, uint32_t trailer_count);
void exchange_origin_failed(struct exchange *exchange, enum error error);
void exchange_origin_writable(struct exchange *exchange);

/* After the shard's last turn: gives up those whose plugins will not tell them any more. */
void exchange_abandon_waiting(struct proxy *proxy);
