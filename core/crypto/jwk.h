/* SPDX-License-Identifier: Apache-2.0 */
/* A set of public keys as JSON (RFC 7517), read from an untrusted text: RSA, the three NIST curves,
 * Ed25519 and Ed448. Keys of other types, for encryption, or that are no good are left out and counted.
 * Lives in an arena; after reading it is immutable. */
#pragma once

#include "core/base/error.h"
#include "core/crypto/signature.h"

enum { JWK_SET_KEYS_MAX = 128, JWK_SET_BYTES_MAX = 256 * 1024 };

struct jwk {
    struct slice kid; /* absent when it has none */
    struct public_key *by_algorithm[SIGNATURE_EDDSA + 1]; /* NULL: not a key for that one */
};

struct jwk_set {
    struct jwk *keys;
    uint32_t count, skipped_count;
};

/* ERROR_INVALID: no key set, or beyond the limits above; ERROR_MEMORY. */
enum error jwk_set_read(struct slice json, struct arena *arena, struct jwk_set *set) MUST_CHECK;

/* The next key from *from on that fits: with this kid (absent: with any), for this algorithm. *from moves
 * behind it. NULL: no more. */
const struct public_key *jwk_set_next(const struct jwk_set *set, struct slice kid,
                                      enum signature_algorithm algorithm, uint32_t *from);
