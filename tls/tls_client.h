/* SPDX-License-Identifier: Apache-2.0 */
/* How this gateway connects to others by TLS: whom it believes, its own certificate, versions, suites and
 * protocols. Made on the control thread, immutable, counted. Two connections with the same profile, server
 * name and checked name are interchangeable. */
#pragma once

#include "tls/tls_context.h"
#include "tls/tls_trust.h"

struct tls_client_options {
    struct tls_trust *trust; /* NULL: anybody is believed */
    bool any_name; /* the certificate need not be for the name that is connected to; only with a trust */
    struct tls_key *key; /* shown when the server asks; NULL: none */
    struct tls_suite_choice suites;
    struct slices protocols; /* ALPN, the most wanted first; none: not spoken */
    uint32_t set_count; /* of contexts: one per shard saves a lock each */
};

struct tls_client;

/* Takes its own references of key and trust. NULL with a reason (TLS_REASON_SIZE). */
struct tls_client *tls_client_make(const struct tls_client_options *options, char *reason) MUST_CHECK;
void tls_client_take(struct tls_client *client); /* any thread */
void tls_client_release(struct tls_client *client); /* any thread; legal for NULL */

struct WOLFSSL_CTX *tls_client_context(const struct tls_client *client, uint32_t set);
struct tls_key *tls_client_key(const struct tls_client *client);
const struct tls_trust *tls_client_trust(const struct tls_client *client);
bool tls_client_checks_name(const struct tls_client *client);
const char *tls_client_protocols(const struct tls_client *client); /* "h2,http/1.1"; NULL: none */
