/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/tls_acme.h"

#include "core/crypto/base64.h"
#include "tls/tls_key.h"
#include "tls/tls_pem.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>

enum { COORDINATE_BYTES = 32 };

EVP_PKEY *tls_acme_key_make(void)
{
    return EVP_EC_gen("P-256");
}

EVP_PKEY *tls_acme_key_read(struct slice pem)
{
    char reason[TLS_REASON_SIZE], group[32] = "";
    EVP_PKEY *key = tls_pem_private_key(pem, reason);
    if (key && EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
        EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) == 1 && strcmp(group, "prime256v1") == 0)
        return key;
    EVP_PKEY_free(key);
    return NULL;
}

void tls_acme_key_free(EVP_PKEY *key)
{
    EVP_PKEY_free(key);
}

static struct slice copy_bio(BIO *bio, struct arena *arena)
{
    char *data = NULL;
    long size = bio ? BIO_get_mem_data(bio, &data) : 0;
    return size > 0 ? arena_copy(arena, (struct slice){ data, (size_t)size }) : (struct slice){ NULL, 0 };
}

struct slice tls_acme_key_pem(EVP_PKEY *key, struct arena *arena)
{
    BIO *bio = BIO_new(BIO_s_secmem());
    struct slice pem = { NULL, 0 };
    if (bio && PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1)
        pem = copy_bio(bio, arena);
    BIO_free(bio);
    return pem;
}

static struct slice encode(struct slice bytes, struct arena *arena)
{
    char *text = arena_alloc(arena, base64_encoded_size(BASE64_URL, bytes.size) + 1);
    return (struct slice){ text, text ? base64_encode(BASE64_URL, bytes, text) : 0 };
}

static struct slice coordinate(EVP_PKEY *key, const char *name, struct arena *arena)
{
    unsigned char bytes[COORDINATE_BYTES];
    BIGNUM *number = NULL;
    struct slice text = { NULL, 0 };
    if (EVP_PKEY_get_bn_param(key, name, &number) == 1 &&
        BN_bn2binpad(number, bytes, sizeof(bytes)) == COORDINATE_BYTES)
        text = encode((struct slice){ (const char *)bytes, sizeof(bytes) }, arena);
    BN_free(number);
    return text;
}

struct slice tls_acme_key_jwk(EVP_PKEY *key, struct arena *arena)
{
    struct slice x = coordinate(key, OSSL_PKEY_PARAM_EC_PUB_X, arena);
    struct slice y = coordinate(key, OSSL_PKEY_PARAM_EC_PUB_Y, arena);
    if (x.data == NULL || y.data == NULL)
        return (struct slice){ NULL, 0 };
    return arena_format(arena, "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"%.*s\",\"y\":\"%.*s\"}",
                        SLICE_FORMAT(x), SLICE_FORMAT(y));
}

/* From the library's DER to r and s behind each other (RFC 7518 section 3.4). */
static struct slice join_halves(const unsigned char *der, size_t size, struct arena *arena)
{
    unsigned char both[2 * COORDINATE_BYTES];
    struct slice text = { NULL, 0 };
    ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &der, (long)size);
    if (signature && BN_bn2binpad(ECDSA_SIG_get0_r(signature), both, COORDINATE_BYTES) == COORDINATE_BYTES &&
        BN_bn2binpad(ECDSA_SIG_get0_s(signature), both + COORDINATE_BYTES, COORDINATE_BYTES) ==
            COORDINATE_BYTES)
        text = encode((struct slice){ (const char *)both, sizeof(both) }, arena);
    ECDSA_SIG_free(signature);
    return text;
}

struct slice tls_acme_sign(EVP_PKEY *key, struct slice message, struct arena *arena)
{
    unsigned char der[128];
    size_t size = sizeof(der);
    EVP_MD_CTX *work = EVP_MD_CTX_new();
    struct slice text = { NULL, 0 };
    if (work && EVP_DigestSignInit(work, NULL, EVP_sha256(), NULL, key) == 1 &&
        EVP_DigestSign(work, der, &size, (const unsigned char *)message.data, message.size) == 1)
        text = join_halves(der, size, arena);
    EVP_MD_CTX_free(work);
    ERR_clear_error();
    return text;
}

/* --- requests for certificates -------------------------------------------------------------------------- */

static bool add_name(X509_REQ *request, struct slice name)
{
    char text[300];
    if (name.size > sizeof(text) - 8)
        return false;
    snprintf(text, sizeof(text), "DNS:%.*s", SLICE_FORMAT(name));
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, text);
    STACK_OF(X509_EXTENSION) *list = extension ? sk_X509_EXTENSION_new_null() : NULL;
    bool good = list && sk_X509_EXTENSION_push(list, extension) > 0;
    if (good)
        good = X509_REQ_add_extensions(request, list) == 1;
    sk_X509_EXTENSION_free(list);
    X509_EXTENSION_free(extension);
    return good;
}

static struct slice request_der(EVP_PKEY *key, struct slice name, struct arena *arena)
{
    X509_REQ *request = X509_REQ_new();
    struct slice der = { NULL, 0 };
    unsigned char *bytes = NULL;
    if (request && X509_REQ_set_pubkey(request, key) == 1 && add_name(request, name) &&
        X509_REQ_sign(request, key, EVP_sha256()) > 0) {
        int size = i2d_X509_REQ(request, &bytes);
        if (size > 0)
            der = arena_copy(arena, (struct slice){ (const char *)bytes, (size_t)size });
    }
    OPENSSL_free(bytes);
    X509_REQ_free(request);
    return der;
}

bool tls_acme_request_make(struct slice name, int rsa_bits, struct arena *arena,
                           struct tls_acme_request *request)
{
    EVP_PKEY *key = rsa_bits ? EVP_RSA_gen((unsigned)rsa_bits) : EVP_EC_gen("P-256");
    *request = (struct tls_acme_request){ { NULL, 0 }, { NULL, 0 } };
    if (key) {
        request->key_pem = tls_acme_key_pem(key, arena);
        request->der = request_der(key, name, arena);
    }
    EVP_PKEY_free(key);
    ERR_clear_error();
    return request->key_pem.data != NULL && request->der.data != NULL;
}
