/* SPDX-License-Identifier: Apache-2.0 */
/* The certificate of the other side, kept for plugins and headers after a handshake. Owned by its stream;
 * texts are made when they are asked for. */
#pragma once

#include "core/base/arena.h"
#include "core/base/slice.h"

struct tls_peer {
    uint32_t count; /* of the chain as it was sent, the peer's own first */
    unsigned char digest[32]; /* SHA-256 of the chain */
    struct slice chain[]; /* DER, behind this struct */
};

struct tls_peer_facts {
    struct slice subject, issuer; /* RFC 2253: "CN=a,O=b" */
    struct slice serial; /* hexadecimal */
    struct slice sha1, sha256; /* fingerprints of the DER form, hexadecimal, lower case */
    struct slice dns_names; /* of the subject's alternative names: "a.test,b.test"; absent: none */
    struct slice emails, uris, addresses; /* the same for these kinds */
    int64_t not_before_s, not_after_s;
};

/* NULL: out of memory, or nothing in it. */
struct tls_peer *tls_peer_copy(const struct slice *chain, uint32_t count);
void tls_peer_free(struct tls_peer *peer);

/* False: out of memory, or the certificate cannot be read. Everything is in the arena. */
bool tls_peer_read(const struct tls_peer *peer, struct arena *arena, struct tls_peer_facts *facts);

/* What a client is called: its alternative names in their order (names of hosts, addresses, e-mail, URIs).
 * Texts that could not be told from others (with control characters) are left out. */
struct tls_peer_names {
    struct slices alternative;
    bool has_alternative; /* the extension is there, whatever is in it */
    struct slice common, subject; /* the first common name; absent: none. RFC 2253 */
};

/* False as above. Everything is in the arena. */
bool tls_peer_read_names(const struct tls_peer *peer, struct arena *arena, struct tls_peer_names *names);

enum tls_peer_part { TLS_PEER_CERTIFICATE, TLS_PEER_CHAIN };

/* PEM; absent when memory is exhausted. */
struct slice tls_peer_pem(const struct tls_peer *peer, struct arena *arena, enum tls_peer_part part);
