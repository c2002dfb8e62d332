/* SPDX-License-Identifier: Apache-2.0 */
/* A certificate chain with its private key, in PEM or as libcrypto holds them; immutable once read, shared by
 * all threads, counted. The control thread reads it. */
#pragma once

#include "core/base/check.h"
#include "core/base/slice.h"

enum { TLS_REASON_SIZE = 256 };

enum tls_key_kind { TLS_KEY_RSA, TLS_KEY_EC_P256, TLS_KEY_EC_P384, TLS_KEY_ED25519 };

enum tls_signature { TLS_SIGNATURE_ECDSA, TLS_SIGNATURE_PSS, TLS_SIGNATURE_PKCS1 };

struct tls_key;

/* NULL with what is wrong in `reason` (TLS_REASON_SIZE bytes), which quotes nothing of the text. The chain
 * begins with the key's own certificate. */
struct tls_key *tls_key_read(struct slice chain_pem, struct slice key_pem, char *reason) MUST_CHECK;

/* A new P-256 key with a certificate that it has signed itself, for that common name, "localhost" and the
 * loopback addresses. */
struct tls_key *tls_key_make(const char *name, char *reason) MUST_CHECK;

/* The same for who asks by tls-alpn-01 whether the domain is ours (RFC 8737): for the domain alone, which has
 * been checked, with the digest of that authorization. */
struct tls_key *tls_key_make_challenge(struct slice domain, struct slice authorization,
                                       char *reason) MUST_CHECK;

void tls_key_take(struct tls_key *key); /* any thread */
void tls_key_release(struct tls_key *key); /* any thread; legal for NULL */

enum tls_key_kind tls_key_kind(const struct tls_key *key);
int64_t tls_key_not_after_s(const struct tls_key *key); /* of its own certificate, since 1970 */

/* Valid as long as the key. The last certificate is what issued those before it, if there are several. */
struct slice tls_key_chain_pem(const struct tls_key *key);
struct slice tls_key_last_der(const struct tls_key *key);
uint32_t tls_key_chain_count(const struct tls_key *key);
struct slice tls_key_private_der(const struct tls_key *key); /* secret */

/* A digest, or for PKCS1 a DigestInfo. *size: room in `out`, then what was written. */
bool tls_key_sign(struct tls_key *key, enum tls_signature signature, struct slice in, unsigned char *out,
                  size_t *size) MUST_CHECK;
