/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/test_keys.h"

#include <openssl/bio.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdlib.h>

struct test_key {
    EVP_PKEY *key;
    char pem[2048];
    size_t pem_size;
};

static EVP_PKEY *generate(const char *type)
{
    if (strncmp(type, "RSA", 3) == 0)
        return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)strtoul(type + 3, NULL, 10));
    if (strncmp(type, "P-", 2) == 0)
        return EVP_PKEY_Q_keygen(NULL, NULL, "EC", type);
    return EVP_PKEY_Q_keygen(NULL, NULL, type);
}

struct test_key *test_key_make(const char *type)
{
    struct test_key *key = calloc(1, sizeof(*key));
    CHECK(key != NULL);
    key->key = generate(type);
    CHECK(key->key != NULL);
    BIO *out = BIO_new(BIO_s_mem());
    CHECK(PEM_write_bio_PUBKEY(out, key->key) == 1);
    int size = BIO_read(out, key->pem, sizeof(key->pem));
    BIO_free(out);
    CHECK(size > 0 && (size_t)size < sizeof(key->pem));
    key->pem_size = (size_t)size;
    return key;
}

void test_key_free(struct test_key *key)
{
    EVP_PKEY_free(key->key);
    free(key);
}

struct slice test_key_pem(const struct test_key *key)
{
    return (struct slice){ key->pem, key->pem_size };
}

static size_t raw_ecdsa(const unsigned char *der, size_t size, int half, unsigned char *out)
{
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)size);
    CHECK(pair != NULL);
    CHECK(BN_bn2binpad(ECDSA_SIG_get0_r(pair), out, half) == half);
    CHECK(BN_bn2binpad(ECDSA_SIG_get0_s(pair), out + half, half) == half);
    ECDSA_SIG_free(pair);
    return 2 * (size_t)half;
}

size_t test_key_sign(const struct test_key *key, enum signature_algorithm algorithm, struct slice message,
                     unsigned char out[TEST_SIGNATURE_MAX])
{
    static const char *const digests[] = { "SHA256", "SHA384", "SHA512" };
    bool edwards = algorithm == SIGNATURE_EDDSA;
    unsigned char signature[TEST_SIGNATURE_MAX];
    size_t size = sizeof(signature);
    EVP_PKEY_CTX *options = NULL;
    EVP_MD_CTX *state = EVP_MD_CTX_new();
    CHECK(EVP_DigestSignInit_ex(state, &options, edwards ? NULL : digests[algorithm % 3], NULL, NULL,
                                key->key, NULL) == 1);
    if (algorithm >= SIGNATURE_PS256 && algorithm <= SIGNATURE_PS512) {
        CHECK(EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) > 0);
        CHECK(EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) > 0);
    }
    CHECK(EVP_DigestSign(state, signature, &size, (const unsigned char *)message.data, message.size) == 1);
    EVP_MD_CTX_free(state);
    if (algorithm >= SIGNATURE_ES256 && algorithm <= SIGNATURE_ES512)
        return raw_ecdsa(signature, size, (EVP_PKEY_get_bits(key->key) + 7) / 8, out);
    memcpy(out, signature, size);
    return size;
}
