/* SPDX-License-Identifier: Apache-2.0 */
/* Whose certificates are believed: CA certificates, revocation lists, depth. The chain of a peer is judged by
 * libcrypto, not by wolfSSL, whose Debian version lacks later corrections of chain building and name
 * constraints. Immutable, counted, shared by all threads; made on the control thread. */
#pragma once

#include "core/base/arena.h"
#include "core/base/check.h"
#include "core/base/slice.h"

struct tls_trust;

struct tls_trust_options {
    struct slice authorities_pem; /* absent: none; then nobody is believed */
    bool system_authorities; /* the system's too */
    struct slice revocations_pem; /* absent: no revocation is asked about; else of every certificate */
    int depth; /* certificates between the peer's and a trusted one; -1: the library's limit */
    bool whole_chain; /* up to a root among the authorities; else any of them will do */
};

enum tls_peer_role { TLS_PEER_CLIENT, TLS_PEER_SERVER };

/* What a peer has sent. */
struct tls_chain {
    const struct slice *certificates; /* DER, its own first */
    uint32_t count;
    enum tls_peer_role role;
    const char *name; /* the host name or address that its certificate must be for; NULL: any */
};

/* NULL with a `reason` (TLS_REASON_SIZE bytes of tls_key.h). */
struct tls_trust *tls_trust_make(const struct tls_trust_options *options, char *reason) MUST_CHECK;
/* The same authorities to another depth; NULL: out of memory. */
struct tls_trust *tls_trust_at_depth(const struct tls_trust *trust, int depth) MUST_CHECK;

void tls_trust_take(struct tls_trust *trust); /* any thread */
void tls_trust_release(struct tls_trust *trust); /* any thread; legal for NULL */

/* NULL when the chain is good; else why not, a text that lives for ever. */
const char *tls_trust_refuses(const struct tls_trust *trust, const struct tls_chain *chain);

/* The same, and how the chain goes on behind the peer's certificate. */
struct tls_verified {
    const char *refusal; /* NULL: it is good, and the rest tells more */
    struct slices certificates; /* DER: the peer's own, its issuer, ... an authority; in the arena */
};

/* False: out of memory. */
bool tls_trust_verify(const struct tls_trust *trust, const struct tls_chain *chain, struct arena *arena,
                      struct tls_verified *verified) MUST_CHECK;

/* The SHA-256 of the first certificate of a PEM text, in lower-case hexadecimal (65 bytes with its NUL). */
bool tls_trust_digest(struct slice pem, char *digest, char *reason) MUST_CHECK;
