/* SPDX-License-Identifier: Apache-2.0 */
/* The computations of handshakes that libcrypto does faster than a wolfSSL without assembler; plain bytes in
 * and out, because the headers of the two libraries cannot be included together. Scratch state is the
 * thread's own. */
#pragma once

#include "core/base/check.h"
#include "core/base/slice.h"

enum { TLS_GCM_IV_BYTES = 12, TLS_GCM_TAG_BYTES = 16, TLS_P256_BYTES = 32 };

struct tls_gcm {
    struct slice key; /* 16 or 32 bytes */
    const unsigned char *iv;
    struct slice associated, in;
    unsigned char *out; /* as long as `in`, and may be `in` */
    unsigned char *tag; /* written when encrypting */
};

/* False: out of memory. */
bool tls_compute_seal(const struct tls_gcm *job) MUST_CHECK;

enum tls_gcm_answer { TLS_GCM_OK, TLS_GCM_FORGED, TLS_GCM_FAILED };

enum tls_gcm_answer tls_compute_open(const struct tls_gcm *job) MUST_CHECK;

struct tls_p256 {
    unsigned char d[TLS_P256_BYTES], x[TLS_P256_BYTES], y[TLS_P256_BYTES];
};

bool tls_compute_p256_make(struct tls_p256 *key) MUST_CHECK;

/* Of our d and the peer's x and y; false for a point that is not on the curve. */
bool tls_compute_p256_agree(const struct tls_p256 *key, unsigned char *out) MUST_CHECK;

/* An ECDSA signature in DER by a public point (X9.62, uncompressed). */
struct tls_signed {
    const char *group; /* "prime256v1", "secp384r1" */
    struct slice point, signature, hash;
};

/* False: could not be computed; else *good tells. */
bool tls_compute_verify(const struct tls_signed *signed_hash, bool *good) MUST_CHECK;

/* Before a thread ends that has called any of these. */
void tls_compute_leave_thread(void);
