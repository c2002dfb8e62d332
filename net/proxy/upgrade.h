/* SPDX-License-Identifier: Apache-2.0 */
/* A request that wants its connection to become another protocol's (RFC 9110 section 7.8): whether that is
 * allowed, and whether the upstream has really agreed. Nothing but the request goes upstream before, and
 * everything behind a 101 is bytes. Its shard's thread only. */
#pragma once

#include "net/proxy/exchange_state.h"

/* The protocol to be named to the upstream; absent: none. Kong's routes know WebSocket only, and say so to
 * upstream whatever Connection says. */
struct slice upgrade_named(const struct exchange *exchange);

/* One with a body: who reads what behind it, is not to be found out. */
bool upgrade_is_ambiguous(const struct exchange *exchange);

/* By an extended CONNECT (RFC 8441): nothing else brings the fields of an upgrade over HTTP/2. */
static inline bool upgrade_is_extended(const struct exchange *exchange)
{
    return exchange->request.http2 && exchange->request.upgrade;
}

/* The status for a request to upgrade to what the route does not allow, where clients are told so: by Envoy,
 * and by HTTP/2 (RFC 9220 section 3). Otherwise 0. */
int upgrade_refusal(const struct exchange *exchange);

/* A status that a client of HTTP/2 takes for the other protocol's beginning (RFC 8441 section 4), while it is
 * the end of the attempt. */
static inline bool upgrade_misleads(const struct exchange *exchange, int status)
{
    return upgrade_is_extended(exchange) && status >= 200 && status < 300;
}

/* exchange->response is a 101: is it the answer to what the client has asked for? */
bool upgrade_is_agreed(struct exchange *exchange);
