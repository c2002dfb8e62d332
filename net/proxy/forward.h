/* SPDX-License-Identifier: Apache-2.0 */
/* Heads written afresh: the request toward the upstream and the response toward the client, from what was
 * parsed and what the gateway adds (Kong's forwarding rules; RFC 9110 section 7.6). Received head bytes
 * are never relayed. The functions return a chunk, empty when memory is short. */
#pragma once

#include "net/proxy/exchange_state.h"

/* What goes into the request line before the query. False: out of memory. */
bool forward_path(struct exchange *exchange, struct slice *path);

/* The Host field of this try's request: the host, and behind it the port with its colon, absent when the
 * scheme implies it. `host` may hold a port itself. */
struct forward_host {
    struct slice host, port;
};
struct forward_host forward_upstream_host(const struct exchange *exchange);

/* Uses upstream_chunked, body_bytes and the decisions of the exchange. */
struct chunk forward_request_head(struct exchange *exchange);

/* The upstream's response; sets client_framing and client_closes before it writes. */
struct chunk forward_response_head(struct exchange *exchange);

/* A 1xx of the upstream. */
struct chunk forward_interim_head(struct exchange *exchange);

/* The gateway's own answer, head and body. */
struct chunk forward_answer(struct exchange *exchange);

/* Around the data of a chunked body: the size line before it, a text (CRLF) behind it, and the end of the
 * body with its trailers (may be none). */
struct chunk forward_chunk_line(struct exchange *exchange, uint64_t size_bytes);
struct chunk forward_text(struct exchange *exchange, struct slice text);
struct chunk forward_last_chunk(struct exchange *exchange, const struct header *trailers, uint32_t count);
