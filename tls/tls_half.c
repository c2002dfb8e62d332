/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/tls_half.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

enum { TAG_BYTES = 16, EXPLICIT_BYTES = 8, SALT_BYTES = 4, ASSOCIATED_MAX = 13 };

/* --- keys ----------------------------------------------------------------------------------------------- */

static bool is_gcm(const struct stream_crypto *crypto)
{
    return crypto->cipher != STREAM_CHACHA20_POLY1305;
}

static size_t key_bytes(enum stream_cipher cipher)
{
    return cipher == STREAM_AES_128_GCM ? 16 : 32;
}

static const EVP_CIPHER *cipher_of(enum stream_cipher cipher)
{
    switch (cipher) {
    case STREAM_AES_128_GCM: return EVP_aes_128_gcm();
    case STREAM_AES_256_GCM: return EVP_aes_256_gcm();
    default: return EVP_chacha20_poly1305();
    }
}

static bool schedule(struct tls_half *half)
{
    if (half->cipher == NULL)
        half->cipher = EVP_CIPHER_CTX_new();
    return half->cipher != NULL && EVP_CipherInit_ex(half->cipher, cipher_of(half->crypto.cipher), NULL,
                                                     half->crypto.key, NULL, 1) == 1;
}

static bool derive(const struct tls_half *half, struct slice label, unsigned char *out, size_t size)
{
    struct tls_label whole = { SLICE("tls13 "), label, { "", 0 } };
    enum tls_hash hash = half->secret_size == 48 ? TLS_SHA384 : TLS_SHA256;
    return tls_secret_expand(hash, (struct slice){ (const char *)half->secret, half->secret_size }, &whole,
                             out, size);
}

static bool derive_keys(struct tls_half *half)
{
    return derive(half, SLICE("key"), half->crypto.key, key_bytes(half->crypto.cipher)) &&
           derive(half, SLICE("iv"), half->crypto.iv, STREAM_IV_BYTES) && schedule(half);
}

bool tls_half_open_1_3(struct tls_half *half, enum stream_cipher cipher, struct slice secret,
                       uint64_t sequence)
{
    *half = (struct tls_half){ 0 };
    if (secret.size != tls_secret_size(cipher == STREAM_AES_256_GCM ? TLS_SHA384 : TLS_SHA256))
        return false;
    half->crypto.version = STREAM_TLS_1_3;
    half->crypto.cipher = (uint8_t)cipher;
    half->crypto.sequence = sequence;
    half->secret_size = (uint8_t)secret.size;
    memcpy(half->secret, secret.data, secret.size);
    return derive_keys(half);
}

bool tls_half_open_1_2(struct tls_half *half, const struct stream_crypto *crypto)
{
    *half = (struct tls_half){ .crypto = *crypto };
    return schedule(half);
}

void tls_half_close(struct tls_half *half)
{
    EVP_CIPHER_CTX_free(half->cipher);
    OPENSSL_cleanse(half, sizeof(*half));
}

void tls_half_hand_over(struct tls_half *half)
{
    EVP_CIPHER_CTX_free(half->cipher);
    half->cipher = NULL;
    OPENSSL_cleanse(half->crypto.key, sizeof(half->crypto.key));
    OPENSSL_cleanse(half->crypto.iv, sizeof(half->crypto.iv));
}

bool tls_half_update(struct tls_half *half)
{
    unsigned char next[TLS_SECRET_MAX];
    if (!derive(half, SLICE("traffic upd"), next, half->secret_size))
        return false;
    memcpy(half->secret, next, half->secret_size);
    OPENSSL_cleanse(next, sizeof(next));
    half->crypto.sequence = 0;
    return derive_keys(half);
}

/* --- nonces and what is authenticated ------------------------------------------------------------------- */

static void put_u64(unsigned char *out, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        out[i] = (unsigned char)(value >> (56 - 8 * i));
}

static void put_u16(unsigned char *out, size_t value)
{
    out[0] = (unsigned char)(value >> 8);
    out[1] = (unsigned char)value;
}

/* TLS 1.2 with AES-GCM sends half of the nonce in front of each record; the other kinds count. */
static bool is_explicit(const struct stream_crypto *crypto)
{
    return crypto->version == STREAM_TLS_1_2 && is_gcm(crypto);
}

static void nonce_of(const struct stream_crypto *crypto, const unsigned char *explicit_part,
                     unsigned char nonce[STREAM_IV_BYTES])
{
    unsigned char count[8];
    memcpy(nonce, crypto->iv, STREAM_IV_BYTES);
    if (is_explicit(crypto)) {
        memcpy(nonce + SALT_BYTES, explicit_part, EXPLICIT_BYTES);
        return;
    }
    put_u64(count, crypto->sequence);
    for (size_t i = 0; i < sizeof(count); i++)
        nonce[STREAM_IV_BYTES - sizeof(count) + i] ^= count[i];
}

/* `header` is the record's; `plain_size` what it holds. */
static int associate(const struct stream_crypto *crypto, const unsigned char *header, size_t plain_size,
                     unsigned char out[ASSOCIATED_MAX])
{
    if (crypto->version == STREAM_TLS_1_3) {
        memcpy(out, header, TLS_HEADER_BYTES);
        return TLS_HEADER_BYTES;
    }
    put_u64(out, crypto->sequence);
    memcpy(out + 8, header, 3);
    put_u16(out + 11, plain_size);
    return ASSOCIATED_MAX;
}

static bool begin(struct tls_half *half, const unsigned char *explicit_part, const unsigned char *header,
                  size_t plain_size, int encrypts)
{
    unsigned char nonce[STREAM_IV_BYTES], associated[ASSOCIATED_MAX];
    int size = associate(&half->crypto, header, plain_size, associated);
    nonce_of(&half->crypto, explicit_part, nonce);
    return half->crypto.sequence != UINT64_MAX &&
           EVP_CipherInit_ex(half->cipher, NULL, NULL, NULL, nonce, encrypts) == 1 &&
           EVP_CipherUpdate(half->cipher, NULL, &size, associated, size) == 1;
}

/* --- records -------------------------------------------------------------------------------------------- */

static bool update(struct tls_half *half, unsigned char **out, const void *in, size_t size)
{
    int written = 0;
    if (size > 0 && EVP_CipherUpdate(half->cipher, *out, &written, in, (int)size) != 1)
        return false;
    *out += written;
    return true;
}

static size_t size_of(const struct slices *parts)
{
    size_t size = 0;
    for (uint32_t i = 0; i < parts->count; i++)
        size += parts->items[i].size;
    return size;
}

uint32_t tls_half_seal(struct tls_half *half, enum tls_type type, const struct slices *parts,
                       unsigned char *out)
{
    bool inner = half->crypto.version == STREAM_TLS_1_3;
    size_t plain = size_of(parts), before = is_explicit(&half->crypto) ? EXPLICIT_BYTES : 0;
    size_t body = before + plain + inner + TAG_BYTES;
    unsigned char *next = out + TLS_HEADER_BYTES, inner_type = (unsigned char)type;
    CHECK(plain <= TLS_PLAIN_MAX);
    out[0] = inner ? TLS_DATA : (unsigned char)type;
    put_u16(out + 1, 0x0303);
    put_u16(out + 3, body);
    if (before)
        put_u64(next, half->crypto.sequence);
    next += before;
    bool good = begin(half, out + TLS_HEADER_BYTES, out, plain, 1);
    for (uint32_t i = 0; good && i < parts->count; i++)
        good = update(half, &next, parts->items[i].data, parts->items[i].size);
    good = good && (!inner || update(half, &next, &inner_type, 1));
    int rest = 0;
    if (!good || EVP_CipherFinal_ex(half->cipher, next, &rest) != 1 ||
        EVP_CIPHER_CTX_ctrl(half->cipher, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, next) != 1)
        return 0;
    half->crypto.sequence++;
    return (uint32_t)(TLS_HEADER_BYTES + body);
}

/* The type is the last byte that is not zero; zeros behind it are padding. */
static enum tls_alert strip_padding(const unsigned char *plain, struct tls_opened *opened)
{
    while (opened->size > 0 && plain[opened->size - 1] == 0)
        opened->size--;
    if (opened->size == 0)
        return TLS_UNEXPECTED_MESSAGE;
    opened->size--;
    opened->type = plain[opened->size];
    return TLS_ALERT_NONE;
}

enum tls_alert tls_half_unseal(struct tls_half *half, unsigned char *record, uint32_t size,
                               struct tls_opened *opened)
{
    bool inner = half->crypto.version == STREAM_TLS_1_3;
    uint32_t before = is_explicit(&half->crypto) ? EXPLICIT_BYTES : 0;
    uint32_t around = TLS_HEADER_BYTES + before + TAG_BYTES;
    if (size < around + inner || (inner && record[0] != TLS_DATA))
        return inner ? TLS_UNEXPECTED_MESSAGE : TLS_BAD_RECORD_MAC;
    opened->type = record[0];
    opened->offset = TLS_HEADER_BYTES + before;
    opened->size = size - around;
    unsigned char *plain = record + opened->offset, *next = plain, *tag = plain + opened->size;
    int rest = 0;
    if (!begin(half, record + TLS_HEADER_BYTES, record, opened->size, 0) ||
        !update(half, &next, plain, opened->size) ||
        EVP_CIPHER_CTX_ctrl(half->cipher, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, tag) != 1 ||
        EVP_CipherFinal_ex(half->cipher, next, &rest) != 1)
        return TLS_BAD_RECORD_MAC;
    half->crypto.sequence++;
    enum tls_alert alert = inner ? strip_padding(plain, opened) : TLS_ALERT_NONE;
    return alert == TLS_ALERT_NONE && opened->size > TLS_PLAIN_MAX ? TLS_RECORD_OVERFLOW : alert;
}
