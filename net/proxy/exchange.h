/* SPDX-License-Identifier: Apache-2.0 */
/* One request's way through the gateway, as plugins and steps see it. The exchange belongs to its client
 * connection on one shard; texts given to these functions must live as long as it (static, in its arena,
 * or in the snapshot it holds) unless said otherwise. */
#pragma once

#include "net/http/message.h"
#include "net/proxy/plugin.h"
#include "net/transport/address.h"

/* --- what the client sent ------------------------------------------------------------------------------- */
const struct message *exchange_request(const struct exchange *exchange);
struct arena *exchange_arena(struct exchange *exchange);
struct shard *exchange_shard(const struct exchange *exchange);
const struct model *exchange_model(const struct exchange *exchange);
struct slice exchange_path(const struct exchange *exchange); /* normalised, without query */
struct slice exchange_query(
    const struct exchange *exchange); /* raw, without the '?'; absent when there is none */
struct slice exchange_client_ip(const struct exchange *exchange); /* text, after trusted proxies */
struct slice exchange_request_id(const struct exchange *exchange);
bool exchange_is_https(
    const struct exchange *exchange); /* as the client sees it: a trusted proxy may say so */
const struct route *exchange_route(const struct exchange *exchange); /* NULL: none matched */
const struct service *exchange_service(const struct exchange *exchange); /* NULL: none */
/* What a group of the route's path has caught, by its number (0: all of it) or name; absent: nothing. */
struct slice exchange_uri_capture(const struct exchange *exchange, uint32_t number);
struct slice exchange_uri_capture_named(const struct exchange *exchange, struct slice name);

/* How the request came in: the address it was sent to, the number of its connection (of those open now in
 * this process), and which one on it this request is, from 1. Asks the kernel: not for every request. */
struct arrival {
    struct address address; /* size 0: not known */
    unsigned connection, request;
    bool tls;
};
struct arrival exchange_arrival(const struct exchange *exchange);

/* What the handshake of its connection has settled (tls/tls_stream.h): version and suite, the server name,
 * the client's certificate; valid while the handler runs. False: in the clear, or the client is gone. */
struct tls_info;
bool exchange_tls(const struct exchange *exchange, struct tls_info *info);

/* --- who the client is ---------------------------------------------------------------------------------- */
const struct consumer *exchange_consumer(const struct exchange *exchange); /* NULL: not known */
const struct credential *exchange_credential(const struct exchange *exchange); /* NULL: none */

/* Sets or clears (consumer NULL) the authenticated consumer and the X-Consumer-ID, -Custom-ID, -Username,
 * X-Credential-Identifier and X-Anonymous-Consumer headers sent upstream (Kong's rules). `identifier` is what
 * X-Credential-Identifier says. An anonymous consumer comes with credential NULL. False: out of memory. */
bool exchange_authenticate(struct exchange *exchange, const struct consumer *consumer,
                           const struct credential *credential, struct slice identifier) MUST_CHECK;

/* Groups that a plugin knows of the client from elsewhere (a directory, a token, a session) and not from the
 * configuration; count 0: none. */
struct slices exchange_groups(const struct exchange *exchange);
void exchange_set_groups(struct exchange *exchange, struct slices groups);

/* --- what goes upstream (before PHASE_UPSTREAM_REQUEST ends) -------------------------------------------- */
bool exchange_set_upstream_header(struct exchange *exchange, struct slice name,
                                  struct slice value) MUST_CHECK;
void exchange_remove_upstream_header(struct exchange *exchange, struct slice name);
/* As exchange_query gives it, and will from now on. */
void exchange_set_upstream_query(struct exchange *exchange, struct slice query);

/* A body that turns out longer than `bytes` is refused with 413 and this message while it arrives, as long as
 * no response has begun. False: longer already. */
bool exchange_limit_body(struct exchange *exchange, uint64_t bytes, struct slice message) MUST_CHECK;

/* --- what goes to the client ---------------------------------------------------------------------------- */
/* Added to whatever response the client gets, the gateway's own included; replaces all others of that name.
 * More in net/proxy/exchange_edit.h. */
bool exchange_set_response_header(struct exchange *exchange, struct slice name,
                                  struct slice value) MUST_CHECK;

/* Kong's negotiated error: JSON, HTML, XML or plain text by Accept, with the request id. Returns RESPOND. */
enum verdict exchange_respond_error(struct exchange *exchange, int status, struct slice message);
/* A JSON text as it is, application/json; charset=utf-8. Returns RESPOND. */
enum verdict exchange_respond_json(struct exchange *exchange, int status, struct slice json);
/* A body as it is; content_type absent: no such header. Returns RESPOND. */
enum verdict exchange_respond_body(struct exchange *exchange, int status, struct slice content_type,
                                   struct slice body);
/* 500 "An unexpected error occurred": a plugin could not do its work (memory ...). Returns RESPOND. */
enum verdict exchange_respond_failure(struct exchange *exchange);
/* After one of these: why, for the access log, where the client is told less. No secrets. */
void exchange_explain(struct exchange *exchange, struct slice reason);

/* --- waiting -------------------------------------------------------------------------------------------- */
/* Ends a VERDICT_WAIT with what the handler would have returned (not WAIT). The exchange lives until then
 * even when the client has gone. */
void exchange_resume(struct exchange *exchange, enum verdict verdict);
