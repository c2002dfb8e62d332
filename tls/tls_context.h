/* SPDX-License-Identifier: Apache-2.0 */
/* wolfSSL's contexts, made alike for servers and clients: versions, suites, groups, a key, what is asked
 * of the peer. Internal to this folder; control thread. */
#pragma once

#include "tls/tls_key.h"
#include "tls/tls_suites.h"

struct WOLFSSL_CTX;

enum tls_side { TLS_SIDE_SERVER, TLS_SIDE_CLIENT };

enum tls_client_policy {
    TLS_CLIENT_NONE,
    TLS_CLIENT_OPTIONAL,
    TLS_CLIENT_REQUIRED,
    TLS_CLIENT_UNVERIFIED /* asked for; whose it is is judged later, by plugins */
};

struct tls_context_options {
    enum tls_side side;
    struct tls_suite_choice suites; /* with the versions */
    struct tls_key *key; /* NULL: none, for clients */
    enum tls_client_policy policy; /* of servers; a client always looks at its server */
    uint32_t ticket_lifetime_s; /* 0: no tickets */
    struct slice issuer; /* DER, of the key's certificate, which is needed to staple; absent: nothing is */
};

/* NULL with a reason (TLS_REASON_SIZE). */
struct WOLFSSL_CTX *tls_context_make(const struct tls_context_options *options, char *reason) MUST_CHECK;
void tls_context_free(struct WOLFSSL_CTX *ctx); /* legal for NULL, and under a living handshake */
