/* SPDX-License-Identifier: Apache-2.0 */
/* HMAC (RFC 2104) with SHA-1, SHA-256, -384 or -512 and a key that is prepared once: signing copies the two
 * prepared states and allocates nothing. A struct hmac_key holds secret material; it is read-only after
 * hmac_key_init and then shared by any threads. */
#pragma once

#include "core/crypto/digest.h"

#include <openssl/sha.h>

enum hmac_kind { HMAC_SHA1, HMAC_SHA256, HMAC_SHA384, HMAC_SHA512 };

enum { HMAC_MAX = 64 };

struct hmac_key {
    enum hmac_kind kind;
    union {
        struct {
            SHA_CTX inner, outer;
        } sha1;
        struct {
            SHA256_CTX inner, outer;
        } sha256;
        struct {
            SHA512_CTX inner, outer;
        } sha512; /* SHA-384 too: it is SHA-512 with another start and a shorter result */
    } state;
};

/* Any secret, the empty one included. */
void hmac_key_init(struct hmac_key *key, enum hmac_kind kind, struct slice secret);

/* Bytes of a result: 20, 32, 48 or 64. */
size_t hmac_size(enum hmac_kind kind);

/* Writes hmac_size bytes. */
void hmac_sign(const struct hmac_key *key, struct slice message, unsigned char *out);
/* The same of a message in pieces. */
void hmac_sign_parts(const struct hmac_key *key, const struct slice *parts, size_t count, unsigned char *out);

/* Is `mac` the whole, untruncated HMAC of the message? In time that does not depend on where they differ. */
bool hmac_verify(const struct hmac_key *key, struct slice message, struct slice mac) MUST_CHECK;
