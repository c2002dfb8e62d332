/* SPDX-License-Identifier: Apache-2.0 */
/* Which route a stream takes: by protocol, addresses, ports, and the name a TLS client asks for. Its shard's
 * thread only. */
#pragma once

#include "net/proxy/exchange_state.h"

/* Finds exchange->match; false: none. */
bool stream_route_match(struct exchange *exchange);

/* Does a route want this client's TLS passed on as it is? `name`: that the client asks for; absent: none. */
struct client;
bool stream_route_passes_tls(struct client *client, struct slice name);

/* For logs: TCP, TLS, UDP. */
struct slice stream_route_protocol(const struct exchange *exchange);
