/* SPDX-License-Identifier: Apache-2.0 */
/* What plugins change about a request on its way to the upstream and about the response on its way back,
 * beyond the few setters of net/proxy/exchange.h. Texts must live as long as the exchange; names and values
 * must be what may stand in a head (config/action.h has the checks). Its shard's. */
#pragma once

#include "net/proxy/exchange.h"

struct header_edit;

/* --- the request, until PHASE_UPSTREAM_REQUEST ends ----------------------------------------------------- */

/* One more field of that name. */
bool exchange_add_upstream_header(struct exchange *exchange, struct slice name,
                                  struct slice value) MUST_CHECK;
void exchange_set_upstream_method(struct exchange *exchange, struct slice method);
/* Without query and as it is written on the wire, instead of what route and service make of the client's. */
void exchange_set_upstream_path(struct exchange *exchange, struct slice path);
/* What would be sent now; absent: out of memory, or no service. */
struct slice exchange_upstream_path(struct exchange *exchange);
/* The Host field, whatever the route and the upstream say. */
void exchange_set_upstream_host(struct exchange *exchange, struct slice host);
/* Another service of the model instead of the route's, with its upstream, path and timeouts; the chain of
 * plugins stays. Until the end of PHASE_ACCESS. */
void exchange_set_service(struct exchange *exchange, const struct service *service);
/* Can a request be sent to one of its addresses now, as far as this shard knows? */
bool exchange_can_reach(const struct exchange *exchange, const struct service *service);

/* --- the response, in PHASE_RESPONSE_HEAD ----------------------------------------------------------------
 * As it will go out: the upstream's, or the gateway's own answer, with all edits so far. exchange_respond_*
 * replaces it; plugins with lower priorities still run. Content-Length and Transfer-Encoding are the
 * gateway's own to write, edits of them are without effect. */

int exchange_response_status(const struct exchange *exchange);
void exchange_set_response_status(struct exchange *exchange, int status); /* 200-599 */

/* Made by the gateway, not by the upstream; then this is its body. */
bool exchange_response_is_own(const struct exchange *exchange);
struct slice exchange_own_body(const struct exchange *exchange);

/* The first of that name in any case, or absent. */
struct slice exchange_response_header(const struct exchange *exchange, struct slice name);

/* One after the other, *cursor starting from 0. False: no more. Fields that only concern the connection to
 * the upstream are among them. Edits in between may be seen or not. */
bool exchange_next_response_header(const struct exchange *exchange, uint32_t *cursor, struct header *header);

/* One more, beside the upstream's; nothing of that name. (exchange_set_response_header: nothing but this.)
 * Legal in every phase before the response has begun. */
bool exchange_add_response_header(struct exchange *exchange, struct slice name,
                                  struct slice value) MUST_CHECK;
bool exchange_remove_response_header(struct exchange *exchange, struct slice name) MUST_CHECK;

/* exchange_set_response_header for several at once, all of kind HEADER_EDIT_SET. The names differ, none of
 * them frames the body, and all their bits (message_name_bit) are in `bits`. */
bool exchange_set_response_headers(struct exchange *exchange, const struct header_edit *edits, uint32_t count,
                                   uint64_t bits) MUST_CHECK;
