/* SPDX-License-Identifier: Apache-2.0 */
/* What plugins that find out who the client is have in common: who counts as authenticated, the consumer that
 * stands for failed authentication, and how a refusal is told. Kong's rules: without `anonymous` every plugin
 * must succeed, with it one is enough. Runs on the exchange's shard. */
#pragma once

#include "net/proxy/exchange.h"

/* A field_check_fn: what ends up in a response header may hold no line end. */
const char *authentication_check_realm(struct slice text);

/* `scheme`, and the realm as a quoted string (RFC 9110 section 11.5) when there is one. Absent when memory is
 * exhausted. */
struct slice authentication_challenge(struct arena *arena, const char *scheme, struct slice realm) MUST_CHECK;

/* A secret of a credential that is absent is drawn at random. False when memory is exhausted. */
bool authentication_draw_secret(struct arena *arena, struct slice *secret) MUST_CHECK;

/* With `anonymous` (absent: not configured), whoever an earlier plugin has authenticated stays so. */
bool authentication_is_done(const struct exchange *exchange, struct slice anonymous);

/* The request is that of the credential's consumer. */
enum verdict authentication_pass(struct exchange *exchange, const struct credential *credential,
                                 struct slice identifier);

/* The request is that of the anonymous consumer; answers 500 when that one does not exist. */
enum verdict authentication_pass_anonymous(struct exchange *exchange, struct slice anonymous);

/* Nobody was recognised: the request goes on as the anonymous consumer's, or is answered with 401. */
struct authentication_refusal {
    struct slice anonymous, challenge, message;
    struct slice reason; /* for the access log; absent: the message */
};
enum verdict authentication_refuse(struct exchange *exchange, const struct authentication_refusal *refusal);

/* What follows the scheme, in any case, and space in a field like Authorization (RFC 9110 section 11.4);
 * absent for any other scheme. */
struct slice authentication_after_scheme(struct slice value, struct slice scheme);

/* A name and a password (RFC 7617 section 2); both absent: none that can be read. */
struct login {
    struct slice username, password;
};

/* From "name:password" in base64, whose padding many clients leave out. False: out of memory. */
bool authentication_read_login(struct arena *arena, struct slice encoded, struct login *login) MUST_CHECK;
