/* SPDX-License-Identifier: Apache-2.0 */
/* Heads written afresh: the request toward the upstream and the response toward the client, from what was
 * parsed and what the gateway adds (Kong's forwarding rules; RFC 9110 section 7.6). Received head bytes
 * are never relayed. The functions return a chunk, empty when memory is short.
 *
 * For HTTP/2 a head is lines as well, `name: value` and CRLF each: pseudo header fields first, nothing that
 * belongs to one connection, no start line and no empty line. Its writer takes the lines apart again, so that
 * no rule of forwarding is written twice. */
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

enum forward_form { FORWARD_HTTP1, FORWARD_HTTP2 };

/* Uses upstream_chunked, body_bytes and the decisions of the exchange. */
struct chunk forward_request_head(struct exchange *exchange, enum forward_form form);

/* The upstream's response; sets client_framing and client_closes before it writes. */
struct chunk forward_response_head(struct exchange *exchange, enum forward_form form);

/* A 1xx of the upstream. */
struct chunk forward_interim_head(struct exchange *exchange, enum forward_form form);

/* The gateway's own answer: its head, and for HTTP/1 its body behind it. */
struct chunk forward_answer(struct exchange *exchange, enum forward_form form);
/* Not to HEAD, not with a 204 ... */
bool forward_answer_has_body(const struct exchange *exchange);

/* HTTP/1, around the data of a chunked body: the size line before it, a text (CRLF) behind it, and the end of
 * the body with its trailers (may be none). */
struct chunk forward_chunk_line(struct exchange *exchange, uint64_t size_bytes);
struct chunk forward_text(struct exchange *exchange, struct slice text);
struct chunk forward_last_chunk(struct exchange *exchange, const struct header *trailers, uint32_t count);

/* HTTP/2: trailers as lines. */
struct chunk forward_trailers(struct exchange *exchange, const struct header *trailers, uint32_t count);
