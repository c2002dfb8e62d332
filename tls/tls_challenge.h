/* SPDX-License-Identifier: Apache-2.0 */
/* How an ACME server is convinced by tls-alpn-01 (RFC 8737): who offers the protocol "acme-tls/1" alone,
 * for the domain that is being confirmed, is shown a certificate made for that. One domain at a time for the
 * whole process; any thread. Whoever asks in any other way costs nothing here. */
#pragma once

#include "tls/tls_server.h"

/* In place of the one before. False: out of memory. */
bool tls_challenge_set(struct slice domain, struct slice authorization) MUST_CHECK;
void tls_challenge_clear(void);

/* What answers such a client, with a reference for the caller and one set of contexts; NULL: it is not one,
 * or nothing is being confirmed by that name. */
struct tls_server *tls_challenge_take(const struct tls_hello *hello);
