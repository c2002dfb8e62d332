/* SPDX-License-Identifier: Apache-2.0 */
/* What wolfSSL has others compute during handshakes. Debian's wolfSSL is built without AES-NI and assembler;
 * there, AES-GCM, P-256, signatures and verification go to libcrypto through its callbacks
 * (SLUICE_TLS_CRYPTO). The TLS 1.3 key schedule always does, for the traffic secrets are learnt from it. */
#pragma once

#include "core/base/error.h"
#include "tls/tls_secret.h"

struct WOLFSSL;
struct WOLFSSL_CTX;
struct tls_key;

/* What a handshake's key schedule yields (RFC 8446 section 7.1); nothing in TLS 1.2. */
struct tls_secrets {
    uint8_t size; /* of a secret; 0: none seen */
    unsigned char client[TLS_SECRET_MAX], server[TLS_SECRET_MAX];
};

/* Once per process, before other threads begin, and after they have ended. */
enum error tls_crypto_start(void) MUST_CHECK;
void tls_crypto_stop(void);

/* Library, version and who computes: for `sluice version`. */
const char *tls_crypto_text(void);

/* Before a thread ends that has made handshakes. */
void tls_crypto_leave_thread(void);

/* Installs the callbacks. */
void tls_crypto_attach(struct WOLFSSL_CTX *ctx);

/* The key that signs this handshake; it must live as long as the handshake. */
void tls_crypto_bind(struct WOLFSSL *ssl, struct tls_key *key);

/* The secrets of what the thread computes from now on go there; NULL: nowhere. */
void tls_crypto_capture(struct tls_secrets *secrets);
