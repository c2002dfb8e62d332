/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/tls_compute.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <openssl/params.h>

/* The last key of each direction stays scheduled: records of one handshake come in a row. */
struct gcm {
    EVP_CIPHER_CTX *ctx;
    unsigned char key[32];
    size_t key_size;
};

static _Thread_local struct {
    struct gcm gcm[2]; /* decryption, encryption */
    EC_GROUP *p256;
    BN_CTX *numbers;
} scratch;

void tls_compute_leave_thread(void)
{
    for (unsigned i = 0; i < 2; i++)
        EVP_CIPHER_CTX_free(scratch.gcm[i].ctx);
    EC_GROUP_free(scratch.p256);
    BN_CTX_free(scratch.numbers);
    OPENSSL_cleanse(&scratch, sizeof(scratch));
}

/* --- AES-GCM -------------------------------------------------------------------------------------------- */

static const unsigned char *bytes(struct slice slice)
{
    return (const unsigned char *)slice.data;
}

static bool begin(struct gcm *gcm, const struct tls_gcm *job, int encrypts)
{
    if (gcm->ctx == NULL && (gcm->ctx = EVP_CIPHER_CTX_new()) == NULL)
        return false;
    if (gcm->key_size == job->key.size && CRYPTO_memcmp(gcm->key, job->key.data, gcm->key_size) == 0)
        return EVP_CipherInit_ex(gcm->ctx, NULL, NULL, NULL, job->iv, encrypts) == 1;
    gcm->key_size = 0;
    const EVP_CIPHER *cipher = job->key.size == 16 ? EVP_aes_128_gcm() : EVP_aes_256_gcm();
    if (EVP_CipherInit_ex(gcm->ctx, cipher, NULL, bytes(job->key), job->iv, encrypts) != 1)
        return false;
    memcpy(gcm->key, job->key.data, job->key.size);
    gcm->key_size = job->key.size;
    return true;
}

static bool run(struct gcm *gcm, const struct tls_gcm *job, int encrypts)
{
    int size = 0;
    return begin(gcm, job, encrypts) &&
           EVP_CipherUpdate(gcm->ctx, NULL, &size, bytes(job->associated), (int)job->associated.size) == 1 &&
           EVP_CipherUpdate(gcm->ctx, job->out, &size, bytes(job->in), (int)job->in.size) == 1;
}

bool tls_compute_seal(const struct tls_gcm *job)
{
    struct gcm *gcm = &scratch.gcm[1];
    int size = 0;
    return run(gcm, job, 1) && EVP_CipherFinal_ex(gcm->ctx, job->out + job->in.size, &size) == 1 &&
           EVP_CIPHER_CTX_ctrl(gcm->ctx, EVP_CTRL_AEAD_GET_TAG, TLS_GCM_TAG_BYTES, job->tag) == 1;
}

enum tls_gcm_answer tls_compute_open(const struct tls_gcm *job)
{
    struct gcm *gcm = &scratch.gcm[0];
    int size = 0;
    if (!run(gcm, job, 0) ||
        EVP_CIPHER_CTX_ctrl(gcm->ctx, EVP_CTRL_AEAD_SET_TAG, TLS_GCM_TAG_BYTES, job->tag) != 1)
        return TLS_GCM_FAILED;
    return EVP_CipherFinal_ex(gcm->ctx, job->out + job->in.size, &size) == 1 ? TLS_GCM_OK : TLS_GCM_FORGED;
}

/* --- P-256 ---------------------------------------------------------------------------------------------- */

static bool prepare(void)
{
    if (scratch.p256 == NULL)
        scratch.p256 = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    if (scratch.numbers == NULL)
        scratch.numbers = BN_CTX_new();
    return scratch.p256 != NULL && scratch.numbers != NULL;
}

static bool to_bytes(const BIGNUM *number, unsigned char *out)
{
    return BN_bn2binpad(number, out, TLS_P256_BYTES) == TLS_P256_BYTES;
}

static bool draw_scalar(BIGNUM *d)
{
    do {
        if (BN_priv_rand_range(d, EC_GROUP_get0_order(scratch.p256)) != 1)
            return false;
    } while (BN_is_zero(d));
    BN_set_flags(d, BN_FLG_CONSTTIME);
    return true;
}

bool tls_compute_p256_make(struct tls_p256 *key)
{
    if (!prepare())
        return false;
    BN_CTX *numbers = scratch.numbers;
    BN_CTX_start(numbers);
    BIGNUM *d = BN_CTX_get(numbers), *x = BN_CTX_get(numbers), *y = BN_CTX_get(numbers);
    EC_POINT *point = EC_POINT_new(scratch.p256);
    bool done = y != NULL && point != NULL && draw_scalar(d) &&
                EC_POINT_mul(scratch.p256, point, d, NULL, NULL, numbers) == 1 &&
                EC_POINT_get_affine_coordinates(scratch.p256, point, x, y, numbers) == 1 &&
                to_bytes(d, key->d) && to_bytes(x, key->x) && to_bytes(y, key->y);
    EC_POINT_free(point);
    if (d)
        BN_clear(d);
    BN_CTX_end(numbers);
    return done;
}

bool tls_compute_p256_agree(const struct tls_p256 *key, unsigned char *out)
{
    if (!prepare())
        return false;
    BN_CTX *numbers = scratch.numbers;
    BN_CTX_start(numbers);
    BIGNUM *d = BN_CTX_get(numbers), *x = BN_CTX_get(numbers), *y = BN_CTX_get(numbers);
    EC_POINT *point = EC_POINT_new(scratch.p256), *shared = EC_POINT_new(scratch.p256);
    bool done = y != NULL && point != NULL && shared != NULL &&
                BN_bin2bn(key->d, TLS_P256_BYTES, d) != NULL &&
                BN_bin2bn(key->x, TLS_P256_BYTES, x) != NULL && BN_bin2bn(key->y, TLS_P256_BYTES, y) != NULL;
    if (done)
        BN_set_flags(d, BN_FLG_CONSTTIME);
    /* Setting the coordinates refuses a point that is not on the curve. */
    done = done && EC_POINT_set_affine_coordinates(scratch.p256, point, x, y, numbers) == 1 &&
           EC_POINT_mul(scratch.p256, shared, NULL, point, d, numbers) == 1 &&
           !EC_POINT_is_at_infinity(scratch.p256, shared) &&
           EC_POINT_get_affine_coordinates(scratch.p256, shared, x, NULL, numbers) == 1 && to_bytes(x, out);
    EC_POINT_free(point);
    EC_POINT_clear_free(shared);
    if (y) {
        BN_clear(d);
        BN_clear(x);
    }
    BN_CTX_end(numbers);
    return done;
}

/* --- ECDSA verification --------------------------------------------------------------------------------- */

static EVP_PKEY *public_key(const char *group, struct slice point)
{
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)(uintptr_t)group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)(uintptr_t)point.data, point.size),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    if (ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, parameters) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(ctx);
    return key;
}

bool tls_compute_verify(const struct tls_signed *job, bool *good)
{
    EVP_PKEY *key = public_key(job->group, job->point);
    EVP_PKEY_CTX *ctx = key ? EVP_PKEY_CTX_new(key, NULL) : NULL;
    bool begun = ctx != NULL && EVP_PKEY_verify_init(ctx) == 1;
    if (begun)
        *good = EVP_PKEY_verify(ctx, bytes(job->signature), job->signature.size, bytes(job->hash),
                                job->hash.size) == 1;
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(key);
    return begun;
}
