/* SPDX-License-Identifier: Apache-2.0 */
/* Sealed texts: what the gateway hands to a client to keep, and nobody else can read or change (AES-256-GCM,
 * a random nonce in front). A key seals fewer than 2^32 texts in its life (NIST SP 800-38D section 8.3). Any
 * thread. */
#pragma once

#include "core/base/check.h"
#include "core/base/slice.h"

enum { SEAL_KEY_BYTES = 32, SEAL_OVERHEAD_BYTES = 12 + 16 };

struct seal_key {
    unsigned char bytes[SEAL_KEY_BYTES];
};

/* The key for one purpose out of a secret of any size (HKDF-SHA256, RFC 5869, the purpose as its info). */
void seal_key_init(struct seal_key *key, struct slice secret, struct slice purpose);

/* Writes text.size + SEAL_OVERHEAD_BYTES to `out`, which may not overlap. `bound` is not in it, but must be
 * the same when it is opened. False: the library has no memory. */
bool seal_close(const struct seal_key *key, struct slice text, struct slice bound,
                unsigned char *out) MUST_CHECK;

/* Writes sealed.size - SEAL_OVERHEAD_BYTES to `out`, which may not overlap and holds nothing of use when this
 * is false: it is not what was sealed with this key and bound. */
bool seal_open(const struct seal_key *key, struct slice sealed, struct slice bound,
               unsigned char *out) MUST_CHECK;
