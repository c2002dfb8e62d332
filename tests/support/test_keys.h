/* SPDX-License-Identifier: Apache-2.0 */
/* Private keys for tests of signatures: made when asked for, and signing as a JSON Web Signature does. One
 * thread. */
#pragma once

#include "core/crypto/signature.h"

struct test_key;

/* `type`: "RSA1024" (any size), "P-256", "P-384", "P-521", "ED25519", "ED448". */
struct test_key *test_key_make(const char *type);
void test_key_free(struct test_key *key);

/* The public half as PEM. It lives as long as the key. */
struct slice test_key_pem(const struct test_key *key);

enum { TEST_SIGNATURE_MAX = 1024 };

/* Returns the size of the signature: r and s one after the other with ECDSA. */
size_t test_key_sign(const struct test_key *key, enum signature_algorithm algorithm, struct slice message,
                     unsigned char out[TEST_SIGNATURE_MAX]);
