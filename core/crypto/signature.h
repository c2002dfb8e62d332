/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures by private keys, as JSON Web Signatures use them (RFC 7518 section 3, RFC 8037): a public key is
 * read once for one algorithm, so that a token can never choose how it is checked. Keys live in an arena and
 * are given back with it; after reading they are immutable and shared by any threads. */
#pragma once

#include "core/base/arena.h"

enum signature_algorithm {
    SIGNATURE_RS256,
    SIGNATURE_RS384,
    SIGNATURE_RS512,
    SIGNATURE_PS256,
    SIGNATURE_PS384,
    SIGNATURE_PS512,
    SIGNATURE_ES256,
    SIGNATURE_ES384,
    SIGNATURE_ES512,
    SIGNATURE_EDDSA /* Ed25519 or Ed448, as the key says */
};

struct public_key;
struct evp_pkey_st; /* libcrypto's EVP_PKEY */

enum public_key_result {
    PUBLIC_KEY_OK,
    PUBLIC_KEY_MEMORY,
    PUBLIC_KEY_INVALID, /* no PEM public key ("PUBLIC KEY" or "RSA PUBLIC KEY") */
    PUBLIC_KEY_TYPE, /* good, but of another type or curve than the algorithm needs */
    PUBLIC_KEY_SMALL /* RSA below PUBLIC_KEY_RSA_MIN_BITS */
};

/* Smaller ones have been factored. The RFC asks for 2048; whoever reads keys may warn below that. */
enum { PUBLIC_KEY_RSA_MIN_BITS = 1024 };

/* *out is set only with PUBLIC_KEY_OK. */
enum public_key_result public_key_read(struct slice pem, enum signature_algorithm algorithm,
                                       struct arena *arena, struct public_key **out) MUST_CHECK;

/* The same from a key that libcrypto holds; it is taken over, whatever the result. */
enum public_key_result public_key_adopt(struct evp_pkey_st *decoded, enum signature_algorithm algorithm,
                                        struct arena *arena, struct public_key **out) MUST_CHECK;

/* RSA: of the modulus; else of the curve. */
unsigned public_key_bits(const struct public_key *key);

/* False for anything but a signature of exactly this message, lack of memory included. */
bool public_key_verify(const struct public_key *key, struct slice message, struct slice signature) MUST_CHECK;
