/* SPDX-License-Identifier: Apache-2.0 */
/* What an ACME client computes (RFC 8555): the account's key, what it signs, requests for certificates. Any
 * thread; making a large RSA key takes seconds. */
#pragma once

#include "core/base/arena.h"
#include "core/base/slice.h"

struct evp_pkey_st; /* libcrypto's EVP_PKEY */

/* Of an account: P-256. NULL: no such key in the text, or no memory. */
struct evp_pkey_st *tls_acme_key_make(void) MUST_CHECK;
struct evp_pkey_st *tls_acme_key_read(struct slice pem) MUST_CHECK;
void tls_acme_key_free(struct evp_pkey_st *key); /* legal for NULL */

/* All in the arena; absent: no memory, or the library fails. */
struct slice tls_acme_key_pem(struct evp_pkey_st *key, struct arena *arena); /* secret */
struct slice tls_acme_key_jwk(struct evp_pkey_st *key,
                              struct arena *arena); /* its members in the order of RFC 7638 */
struct slice tls_acme_sign(struct evp_pkey_st *key, struct slice message,
                           struct arena *arena); /* ES256, base64url */

/* A new key and a request for a certificate by it. */
struct tls_acme_request {
    struct slice key_pem; /* secret */
    struct slice der;
};

/* `rsa_bits` 0: a P-256 key. False as above. */
bool tls_acme_request_make(struct slice name, int rsa_bits, struct arena *arena,
                           struct tls_acme_request *request) MUST_CHECK;
