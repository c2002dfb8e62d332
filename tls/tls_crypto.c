/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/tls_crypto.h"

#include "core/crypto/random.h"
#include "tls/tls_compute.h"
#include "tls/tls_key.h"

#include <wolfssl/options.h>

#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/cryptocb.h>
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/error-crypt.h>

enum {
    DEVICE_ID = 0x51, /* one for all threads: wolfSSL's table has room for eight */
    TLS_1_3_ASSOCIATED_BYTES = 5,
    POINT_MAX = 1 + 2 * 48 /* uncompressed, P-384 */
};

#ifdef SLUICE_TLS_CRYPTO
static const bool uses_libcrypto = true;
#else
static const bool uses_libcrypto = false;
#endif

/* wolfSSL's callback for HKDF labels knows of no connection: the thread remembers whose handshake it is. */
static _Thread_local struct tls_secrets *captured;

void tls_crypto_capture(struct tls_secrets *secrets)
{
    captured = secrets;
}

const char *tls_crypto_text(void)
{
    return uses_libcrypto ? "wolfSSL " LIBWOLFSSL_VERSION_STRING ", its handshakes computed by libcrypto"
                          : "wolfSSL " LIBWOLFSSL_VERSION_STRING;
}

void tls_crypto_leave_thread(void)
{
    tls_compute_leave_thread();
#ifdef FP_ECC
    wc_ecc_fp_free(); /* its table of points is the thread's */
#endif
}

static struct slice slice_from_bytes(const byte *data, word32 size)
{
    return (struct slice){ (const char *)data, size };
}

/* --- the TLS 1.3 key schedule --------------------------------------------------------------------------- */

static bool hash_of(int digest, enum tls_hash *hash)
{
    *hash = digest == WC_HASH_TYPE_SHA384 ? TLS_SHA384 : TLS_SHA256;
    return digest == WC_HASH_TYPE_SHA256 || digest == WC_HASH_TYPE_SHA384;
}

static int extract(byte *prk, const byte *salt, word32 salt_size, byte *ikm, word32 ikm_size, int digest,
                   void *unused)
{
    (void)unused;
    enum tls_hash hash;
    if (!hash_of(digest, &hash))
        return NOT_COMPILED_IN;
    if (ikm_size == 0) { /* none: as many zeros as a digest has; the buffer is made for them */
        ikm_size = (word32)tls_secret_size(hash);
        memset(ikm, 0, ikm_size);
    }
    tls_secret_extract(hash, slice_from_bytes(salt, salt_size), slice_from_bytes(ikm, ikm_size), prk);
    return 0;
}

static void remember(struct slice label, const byte *secret, word32 size)
{
    bool client = slice_equal(label, SLICE("c ap traffic"));
    if (captured == NULL || size > TLS_SECRET_MAX || (!client && !slice_equal(label, SLICE("s ap traffic"))))
        return;
    memcpy(client ? captured->client : captured->server, secret, size);
    captured->size = (uint8_t)size;
}

/* The parameters are wolfSSL's. */
static int expand(byte *okm, word32 okm_size, const byte *prk, word32 prk_size, const byte *protocol,
                  word32 protocol_size, const byte *label, word32 label_size, const byte *info,
                  word32 info_size, int digest, int side)
{
    (void)side;
    enum tls_hash hash;
    struct tls_label whole = { .prefix = slice_from_bytes(protocol, protocol_size),
                               .label = slice_from_bytes(label, label_size),
                               .context = slice_from_bytes(info, info_size) };
    if (!hash_of(digest, &hash) ||
        !tls_secret_expand(hash, slice_from_bytes(prk, prk_size), &whole, okm, okm_size))
        return NOT_COMPILED_IN;
    remember(whole.label, okm, okm_size);
    return 0;
}

/* --- signatures ----------------------------------------------------------------------------------------- */

static int sign(enum tls_signature kind, struct tls_key *key, struct slice in, unsigned char *out,
                word32 *out_size)
{
    size_t size = *out_size;
    if (!tls_key_sign(key, kind, in, out, &size))
        return WC_HW_E;
    *out_size = (word32)size;
    return 0;
}

static int sign_ec(WOLFSSL *ssl, const unsigned char *in, unsigned int in_size, unsigned char *out,
                   word32 *out_size, const unsigned char *der, unsigned int der_size, void *key)
{
    (void)ssl, (void)der, (void)der_size;
    return sign(TLS_SIGNATURE_ECDSA, key, slice_from_bytes(in, in_size), out, out_size);
}

static int sign_pss(WOLFSSL *ssl, const unsigned char *in, unsigned int in_size, unsigned char *out,
                    unsigned int *out_size, int hash, int mgf, const unsigned char *der,
                    unsigned int der_size, void *key)
{
    (void)ssl, (void)hash, (void)mgf, (void)der, (void)der_size;
    return sign(TLS_SIGNATURE_PSS, key, slice_from_bytes(in, in_size), out, out_size);
}

static int sign_pkcs1(WOLFSSL *ssl, const unsigned char *in, unsigned int in_size, unsigned char *out,
                      word32 *out_size, const unsigned char *der, unsigned int der_size, void *key)
{
    (void)ssl, (void)der, (void)der_size;
    return sign(TLS_SIGNATURE_PKCS1, key, slice_from_bytes(in, in_size), out, out_size);
}

void tls_crypto_attach(WOLFSSL_CTX *ctx)
{
    wolfSSL_CTX_SetHKDFExtractCb(ctx, extract);
    wolfSSL_CTX_SetHKDFExpandLabelCb(ctx, expand);
    if (!uses_libcrypto)
        return;
    (void)wolfSSL_CTX_SetDevId(ctx, DEVICE_ID);
    wolfSSL_CTX_SetEccSignCb(ctx, sign_ec);
    wolfSSL_CTX_SetRsaPssSignCb(ctx, sign_pss);
    wolfSSL_CTX_SetRsaSignCb(ctx, sign_pkcs1);
}

void tls_crypto_bind(WOLFSSL *ssl, struct tls_key *key)
{
    wolfSSL_SetEccSignCtx(ssl, key);
    wolfSSL_SetRsaPssSignCtx(ssl, key);
    wolfSSL_SetRsaSignCtx(ssl, key);
}

/* --- the device ----------------------------------------------------------------------------------------- */

static bool gcm_is_ours(const Aes *aes, word32 iv_size, word32 tag_size)
{
    return iv_size == TLS_GCM_IV_BYTES && tag_size == TLS_GCM_TAG_BYTES &&
           (aes->keylen == 16 || aes->keylen == 32);
}

static struct slice key_of(const Aes *aes)
{
    return (struct slice){ (const char *)aes->devKey, (size_t)aes->keylen };
}

static int gcm_encrypt(wc_CryptoInfo *info)
{
    typeof(info->cipher.aesgcm_enc) *enc = &info->cipher.aesgcm_enc;
    struct tls_gcm job = { .key = key_of(enc->aes),
                           .iv = enc->iv,
                           .associated = slice_from_bytes(enc->authIn, enc->authInSz),
                           .in = slice_from_bytes(enc->in, enc->sz),
                           .out = enc->out,
                           .tag = enc->authTag };
    if (!gcm_is_ours(enc->aes, enc->ivSz, enc->authTagSz))
        return CRYPTOCB_UNAVAILABLE;
    return tls_compute_seal(&job) ? 0 : WC_HW_E;
}

static int gcm_decrypt(wc_CryptoInfo *info)
{
    typeof(info->cipher.aesgcm_dec) *dec = &info->cipher.aesgcm_dec;
    unsigned char tag[TLS_GCM_TAG_BYTES];
    struct tls_gcm job = { .key = key_of(dec->aes),
                           .iv = dec->iv,
                           .associated = slice_from_bytes(dec->authIn, dec->authInSz),
                           .in = slice_from_bytes(dec->in, dec->sz),
                           .out = dec->out,
                           .tag = tag };
    /* A TLS 1.3 record always carries its type inside; wolfSSL 5.5.4 would look for it outside of an empty
     * one. */
    if (dec->sz == 0 && dec->authInSz == TLS_1_3_ASSOCIATED_BYTES)
        return AES_GCM_AUTH_E;
    if (!gcm_is_ours(dec->aes, dec->ivSz, dec->authTagSz))
        return CRYPTOCB_UNAVAILABLE;
    memcpy(tag, dec->authTag, sizeof(tag));
    switch (tls_compute_open(&job)) {
    case TLS_GCM_OK: return 0;
    case TLS_GCM_FORGED: return AES_GCM_AUTH_E;
    default: return WC_HW_E;
    }
}

static int ec_make(wc_CryptoInfo *info)
{
    struct tls_p256 key;
    if (info->pk.eckg.curveId != ECC_SECP256R1)
        return CRYPTOCB_UNAVAILABLE;
    if (!tls_compute_p256_make(&key))
        return WC_HW_E;
    int result = wc_ecc_import_unsigned(info->pk.eckg.key, key.x, key.y, key.d, ECC_SECP256R1);
    explicit_bzero(&key, sizeof(key));
    return result;
}

static int ec_agree(wc_CryptoInfo *info)
{
    typeof(info->pk.ecdh) *ecdh = &info->pk.ecdh;
    struct tls_p256 key;
    word32 d = TLS_P256_BYTES, x = TLS_P256_BYTES, y = TLS_P256_BYTES;
    if (ecdh->private_key->dp == NULL || ecdh->private_key->dp->id != ECC_SECP256R1 ||
        *ecdh->outlen < TLS_P256_BYTES)
        return CRYPTOCB_UNAVAILABLE;
    bool done = wc_ecc_export_private_only(ecdh->private_key, key.d, &d) == 0 &&
                wc_ecc_export_public_raw(ecdh->public_key, key.x, &x, key.y, &y) == 0 &&
                d == TLS_P256_BYTES && x == TLS_P256_BYTES && y == TLS_P256_BYTES &&
                tls_compute_p256_agree(&key, ecdh->out);
    explicit_bzero(&key, sizeof(key));
    *ecdh->outlen = TLS_P256_BYTES;
    return done ? 0 : WC_HW_E;
}

static const char *group_of(const ecc_key *key)
{
    switch (key->dp ? key->dp->id : ECC_CURVE_INVALID) {
    case ECC_SECP256R1: return "prime256v1";
    case ECC_SECP384R1: return "secp384r1";
    default: return NULL;
    }
}

static int ec_verify(wc_CryptoInfo *info)
{
    typeof(info->pk.eccverify) *job = &info->pk.eccverify;
    unsigned char point[POINT_MAX];
    word32 size = sizeof(point);
    bool good = false;
    const char *group = group_of(job->key);
    if (group == NULL || wc_ecc_export_x963(job->key, point, &size) != 0)
        return CRYPTOCB_UNAVAILABLE;
    struct tls_signed signed_hash = { group, slice_from_bytes(point, size),
                                      slice_from_bytes(job->sig, job->siglen),
                                      slice_from_bytes(job->hash, job->hashlen) };
    if (!tls_compute_verify(&signed_hash, &good))
        return CRYPTOCB_UNAVAILABLE;
    *job->res = good;
    return 0;
}

static int compute_public_key(wc_CryptoInfo *info)
{
    switch (info->pk.type) {
    case WC_PK_TYPE_EC_KEYGEN: return ec_make(info);
    case WC_PK_TYPE_ECDH: return ec_agree(info);
    case WC_PK_TYPE_ECDSA_VERIFY: return ec_verify(info);
    default: return CRYPTOCB_UNAVAILABLE;
    }
}

static int compute(int device, wc_CryptoInfo *info, void *unused)
{
    (void)device, (void)unused;
    switch (info->algo_type) {
    case WC_ALGO_TYPE_CIPHER:
        if (info->cipher.type != WC_CIPHER_AES_GCM)
            return CRYPTOCB_UNAVAILABLE;
        return info->cipher.enc ? gcm_encrypt(info) : gcm_decrypt(info);
    case WC_ALGO_TYPE_PK: return compute_public_key(info);
    case WC_ALGO_TYPE_SEED: random_bytes(info->seed.seed, info->seed.sz); return 0;
    default: return CRYPTOCB_UNAVAILABLE;
    }
}

/* --- the process ---------------------------------------------------------------------------------------- */

enum error tls_crypto_start(void)
{
    if (wolfSSL_Init() != WOLFSSL_SUCCESS)
        return ERROR_TLS;
    if (uses_libcrypto && wc_CryptoCb_RegisterDevice(DEVICE_ID, compute, NULL) != 0)
        return ERROR_TLS;
    return ERROR_OK;
}

void tls_crypto_stop(void)
{
    tls_crypto_leave_thread();
    if (uses_libcrypto)
        wc_CryptoCb_UnRegisterDevice(DEVICE_ID);
    (void)wolfSSL_Cleanup();
}
