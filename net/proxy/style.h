/* SPDX-License-Identifier: Apache-2.0 */
/* How the gateway shows itself to clients and upstreams of routes that are not Kong's: the fields it adds
 * and the bodies of its own errors, as Envoy's (Emissary, Gateway API) and AWS API Gateway's users know
 * them. Kong's own manner stands in forward.c and answer.c. On the exchange's shard. */
#pragma once

#include "net/proxy/answer.h"

/* Fields of the client's request that do not go on because this style writes them itself. */
bool style_drops_request_field(const struct exchange *exchange, const struct header *header);

/* Behind the client's fields: who asks, and how. */
void style_write_request(struct exchange *exchange, struct writer *out);

/* The upstream's fields that this style replaces. */
bool style_drops_response_field(const struct exchange *exchange, const struct header *header);

/* Behind the fields of a response from upstream, or of the gateway's own. */
enum style_response { STYLE_PROXIED, STYLE_OWN };
void style_write_response(struct exchange *exchange, enum style_response kind, struct writer *out);

/* Most bytes that the two write together. */
enum { STYLE_BYTES_MAX = 1024 };

/* Fills in exchange->answer, maybe with another status. message: as Kong words it, or absent. */
void style_answer_error(struct exchange *exchange, int status, struct slice message);
