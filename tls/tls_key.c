/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/tls_key.h"

#include "tls/tls_pem.h"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>

enum { CHAIN_MAX = 9 /* certificates; wolfSSL reads no longer chain either */ };

struct tls_key {
    EVP_PKEY *pkey;
    enum tls_key_kind kind;
    int64_t not_after_s;
    uint32_t references; /* atomic: every profile that uses it holds one */
    uint32_t count;
    BIO *chain_pem;
    struct slice last_der, private_der; /* allocated by libcrypto */
};

static bool kind_of(EVP_PKEY *pkey, enum tls_key_kind *kind)
{
    char group[32] = "";
    switch (EVP_PKEY_get_base_id(pkey)) {
    case EVP_PKEY_RSA: *kind = TLS_KEY_RSA; return EVP_PKEY_get_bits(pkey) >= 2048;
    case EVP_PKEY_ED25519: *kind = TLS_KEY_ED25519; return true;
    case EVP_PKEY_EC:
        (void)EVP_PKEY_get_group_name(pkey, group, sizeof(group), NULL);
        *kind = strcmp(group, "secp384r1") == 0 ? TLS_KEY_EC_P384 : TLS_KEY_EC_P256;
        return *kind == TLS_KEY_EC_P384 || strcmp(group, "prime256v1") == 0;
    default: return false;
    }
}

static bool read_chain(struct tls_key *key, STACK_OF(X509) * chain)
{
    unsigned char *der = NULL;
    struct tm end = { 0 };
    int count = sk_X509_num(chain);
    int size = i2d_X509(sk_X509_value(chain, count - 1), &der);
    if (size <= 0 || ASN1_TIME_to_tm(X509_get0_notAfter(sk_X509_value(chain, 0)), &end) != 1)
        return false;
    key->last_der = (struct slice){ (const char *)der, (size_t)size };
    key->not_after_s = timegm(&end);
    key->count = (uint32_t)count;
    key->chain_pem = BIO_new(BIO_s_mem());
    bool good = key->chain_pem != NULL;
    for (int i = 0; good && i < count; i++)
        good = PEM_write_bio_X509(key->chain_pem, sk_X509_value(chain, i)) == 1;
    return good;
}

static bool read_private(struct tls_key *key)
{
    unsigned char *der = NULL;
    int size = i2d_PrivateKey(key->pkey, &der);
    if (size <= 0)
        return false;
    key->private_der = (struct slice){ (const char *)der, (size_t)size };
    return true;
}

static bool fill(struct tls_key *key, STACK_OF(X509) * chain, char *reason)
{
    const char *wrong = NULL;
    if (!kind_of(key->pkey, &key->kind))
        wrong = "the key must be RSA of at least 2048 bits, EC P-256 or P-384, or Ed25519";
    else if (X509_check_private_key(sk_X509_value(chain, 0), key->pkey) != 1)
        wrong = "certificate does not match key";
    else if (sk_X509_num(chain) > CHAIN_MAX)
        wrong = "more than 9 certificates in the chain";
    else if (!read_chain(key, chain) || !read_private(key))
        wrong = "certificate or key cannot be encoded";
    if (wrong)
        snprintf(reason, TLS_REASON_SIZE, "%s", wrong);
    return wrong == NULL;
}

struct tls_key *tls_key_read(struct slice chain_pem, struct slice key_pem, char *reason)
{
    STACK_OF(X509) *chain = tls_pem_certificates(chain_pem, reason);
    EVP_PKEY *pkey = chain ? tls_pem_private_key(key_pem, reason) : NULL;
    struct tls_key *key = pkey ? calloc(1, sizeof(*key)) : NULL;
    bool good = false;
    if (key) {
        key->references = 1;
        key->pkey = pkey;
        good = fill(key, chain, reason);
    } else {
        EVP_PKEY_free(pkey);
    }
    sk_X509_pop_free(chain, X509_free);
    if (good)
        return key;
    tls_key_release(key);
    return NULL;
}

void tls_key_take(struct tls_key *key)
{
    __atomic_fetch_add(&key->references, 1, __ATOMIC_RELAXED);
}

void tls_key_release(struct tls_key *key)
{
    if (key == NULL || __atomic_sub_fetch(&key->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    BIO_free(key->chain_pem);
    OPENSSL_free((void *)(uintptr_t)key->last_der.data);
    OPENSSL_clear_free((void *)(uintptr_t)key->private_der.data, key->private_der.size);
    EVP_PKEY_free(key->pkey);
    free(key);
}

enum tls_key_kind tls_key_kind(const struct tls_key *key)
{
    return key->kind;
}

int64_t tls_key_not_after_s(const struct tls_key *key)
{
    return key->not_after_s;
}

uint32_t tls_key_chain_count(const struct tls_key *key)
{
    return key->count;
}

struct slice tls_key_chain_pem(const struct tls_key *key)
{
    char *text = NULL;
    long size = BIO_get_mem_data(key->chain_pem, &text);
    return (struct slice){ text, (size_t)size };
}

struct slice tls_key_last_der(const struct tls_key *key)
{
    return key->last_der;
}

struct slice tls_key_private_der(const struct tls_key *key)
{
    return key->private_der;
}

static const EVP_MD *digest_of_size(size_t size)
{
    return size == 32 ? EVP_sha256() : size == 48 ? EVP_sha384() : size == 64 ? EVP_sha512() : NULL;
}

static bool prepare(EVP_PKEY_CTX *ctx, enum tls_signature signature, const EVP_MD *digest)
{
    if (ctx == NULL || EVP_PKEY_sign_init(ctx) != 1)
        return false;
    switch (signature) {
    case TLS_SIGNATURE_PSS:
        return digest != NULL && EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
               EVP_PKEY_CTX_set_signature_md(ctx, digest) == 1 &&
               EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1;
    case TLS_SIGNATURE_PKCS1: return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1;
    default: return true;
    }
}

bool tls_key_sign(struct tls_key *key, enum tls_signature signature, struct slice in, unsigned char *out,
                  size_t *size)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key->pkey, NULL);
    bool done = prepare(ctx, signature, digest_of_size(in.size)) &&
                EVP_PKEY_sign(ctx, out, size, (const unsigned char *)in.data, in.size) == 1;
    EVP_PKEY_CTX_free(ctx);
    return done;
}
