/* SPDX-License-Identifier: Apache-2.0 */
/* What a listener speaks: certificates by server name, versions, suites, protocols, what is asked of clients.
 * Made on the control thread, immutable, counted: a reload makes another one, handshakes in progress keep
 * theirs. */
#pragma once

#include "tls/tls_context.h"
#include "tls/tls_hello.h"
#include "tls/tls_staple.h"
#include "tls/tls_trust.h"

enum { TLS_SITE_KEYS = 3 /* one each of ECDSA, Ed25519, RSA */ };

/* Names with their certificates. */
struct tls_site_options {
    struct slices names; /* "a.test", "*.test", "a.*", "*"; none: for clients that no other site is for */
    struct {
        struct tls_key *key; /* NULL: no more */
    } pairs[TLS_SITE_KEYS];
    enum tls_client_policy policy;
    struct tls_trust *trust; /* of clients' certificates; NULL with TLS_CLIENT_NONE and _UNVERIFIED */
};

struct tls_server_options {
    const struct tls_site_options *sites;
    uint32_t site_count;
    bool takes_challenges; /* clients that want a domain confirmed are shown that (tls_challenge.h) */
    bool staples; /* what is known of a certificate's status, to clients that ask (tls_staple.h) */
    bool refuses_unknown; /* names of no site, with unrecognized_name; else they get the first site */
    struct tls_suite_choice suites;
    struct slices protocols; /* ALPN, the most wanted first; none: not spoken */
    uint32_t ticket_lifetime_s; /* 0: no resumption; sites that ask for a certificate never have any */
    uint32_t set_count; /* of contexts: one per shard saves a lock each */
};

struct tls_server;

/* Copies what it needs, takes its own references of keys and trusts. NULL with a reason that names the
 * site. */
struct tls_server *tls_server_make(const struct tls_server_options *options, char *reason) MUST_CHECK;
void tls_server_take(struct tls_server *server); /* any thread */
void tls_server_release(struct tls_server *server); /* any thread; legal for NULL */

bool tls_server_takes_challenges(const struct tls_server *server);

/* What suits a client; valid as long as the server. */
struct tls_choice {
    struct WOLFSSL_CTX *ctx;
    struct tls_key *key;
    const struct tls_trust *trust; /* NULL: none is asked for, or whatever comes is taken */
    struct tls_staple *staple; /* NULL: nothing is stapled */
    struct slice protocol; /* absent: none */
};

/* TLS_ALERT_NONE, or why there is nothing for this client. `set` < set_count; with `staples` one thread for
 * each set: contexts that staple are made when one is wanted, and anew for each response. */
enum tls_alert tls_server_choose(const struct tls_server *server, const struct tls_hello *hello, uint32_t set,
                                 struct tls_choice *choice);
