/* SPDX-License-Identifier: Apache-2.0 */
/* One direction of an established connection: protects or opens records with libcrypto (AES-GCM,
 * ChaCha20-Poly1305; RFC 8446 section 5.2, RFC 5246 section 6.2.3.3, RFC 7905). With it the 60 KB that
 * wolfSSL holds per connection are free after the handshake, and data is neither copied nor computed
 * slowly. Owned by its stream. */
#pragma once

#include "core/io/stream_crypto.h"
#include "tls/tls_record.h"
#include "tls/tls_secret.h"

struct evp_cipher_ctx_st; /* libcrypto's */

struct tls_half {
    struct stream_crypto crypto;
    struct evp_cipher_ctx_st *cipher;
    uint8_t secret_size; /* of TLS 1.3, else 0 */
    unsigned char secret[TLS_SECRET_MAX];
};

enum {
    TLS_HALF_OVERHEAD = TLS_HEADER_BYTES + 8 + 16, /* the most that sealing adds; TLS 1.3 adds 5 + 1 + 16 */
    TLS_HALF_REKEY_RECORDS = 1 << 24 /* sealed with one key: RFC 8446 section 5.5 */
};

/* TLS 1.3: by the traffic secret. */
bool tls_half_open_1_3(struct tls_half *half, enum stream_cipher cipher, struct slice secret,
                       uint64_t sequence) MUST_CHECK;

/* TLS 1.2: by keys. Takes no ownership of what it copies. */
bool tls_half_open_1_2(struct tls_half *half, const struct stream_crypto *crypto) MUST_CHECK;

/* Wipes it; legal when it is zeroed. */
void tls_half_close(struct tls_half *half);

/* Somebody else protects the records: wipes everything but the secret, from which later keys come. */
void tls_half_hand_over(struct tls_half *half);

/* The next generation of keys (RFC 8446 section 7.2). */
bool tls_half_update(struct tls_half *half) MUST_CHECK;

/* Writes a whole record for the parts, at most TLS_PLAIN_MAX bytes together; the size of it, 0: failed. */
uint32_t tls_half_seal(struct tls_half *half, enum tls_type type, const struct slices *parts,
                       unsigned char *out) MUST_CHECK;

struct tls_opened {
    uint8_t type;
    uint32_t offset, size; /* of the plaintext, in place of the record */
};

/* A whole record, header included, opened where it stands. TLS_ALERT_NONE, or what is wrong. */
enum tls_alert tls_half_unseal(struct tls_half *half, unsigned char *record, uint32_t size,
                               struct tls_opened *opened);
