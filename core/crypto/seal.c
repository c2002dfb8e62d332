/* SPDX-License-Identifier: Apache-2.0 */
#include "core/crypto/seal.h"

#include "core/crypto/hmac.h"
#include "core/crypto/random.h"

#include <limits.h>
#include <openssl/evp.h>

enum { NONCE_BYTES = 12, TAG_BYTES = 16 };

void seal_key_init(struct seal_key *key, struct slice secret, struct slice purpose)
{
    enum { INFO_MAX = 256 };
    struct hmac_key mac;
    unsigned char middle[HMAC_MAX];
    char info[INFO_MAX + 1];
    CHECK(purpose.size <= INFO_MAX);
    hmac_key_init(&mac, HMAC_SHA256, (struct slice){ NULL, 0 });
    hmac_sign(&mac, secret, middle);
    hmac_key_init(&mac, HMAC_SHA256, (struct slice){ (const char *)middle, hmac_size(HMAC_SHA256) });
    memcpy(info, purpose.data, purpose.size);
    info[purpose.size] = 1; /* the only block */
    hmac_sign(&mac, (struct slice){ info, purpose.size + 1 }, key->bytes);
    explicit_bzero(middle, sizeof(middle));
    explicit_bzero(&mac, sizeof(mac));
}

static const unsigned char *bytes_of(struct slice text)
{
    return (const unsigned char *)text.data;
}

static bool encrypt(EVP_CIPHER_CTX *cipher, struct slice text, struct slice bound, unsigned char *out)
{
    int size = 0;
    return EVP_EncryptUpdate(cipher, NULL, &size, bytes_of(bound), (int)bound.size) == 1 &&
           EVP_EncryptUpdate(cipher, out, &size, bytes_of(text), (int)text.size) == 1 &&
           EVP_EncryptFinal_ex(cipher, out + text.size, &size) == 1 &&
           EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, out + text.size) == 1;
}

bool seal_close(const struct seal_key *key, struct slice text, struct slice bound, unsigned char *out)
{
    if (text.size > INT_MAX || bound.size > INT_MAX)
        return false;
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    random_bytes(out, NONCE_BYTES);
    bool good = cipher && EVP_EncryptInit_ex(cipher, EVP_aes_256_gcm(), NULL, key->bytes, out) == 1 &&
                encrypt(cipher, text, bound, out + NONCE_BYTES);
    EVP_CIPHER_CTX_free(cipher);
    return good;
}

static bool decrypt(EVP_CIPHER_CTX *cipher, struct slice text, struct slice bound, unsigned char *out)
{
    int size = 0;
    unsigned char tag[TAG_BYTES];
    memcpy(tag, text.data + text.size, TAG_BYTES);
    return EVP_DecryptUpdate(cipher, NULL, &size, bytes_of(bound), (int)bound.size) == 1 &&
           EVP_DecryptUpdate(cipher, out, &size, bytes_of(text), (int)text.size) == 1 &&
           EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, tag) == 1 &&
           EVP_DecryptFinal_ex(cipher, out + text.size, &size) == 1;
}

bool seal_open(const struct seal_key *key, struct slice sealed, struct slice bound, unsigned char *out)
{
    if (sealed.size < SEAL_OVERHEAD_BYTES || sealed.size > INT_MAX || bound.size > INT_MAX)
        return false;
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    struct slice text = { sealed.data + NONCE_BYTES, sealed.size - SEAL_OVERHEAD_BYTES };
    bool good = cipher &&
                EVP_DecryptInit_ex(cipher, EVP_aes_256_gcm(), NULL, key->bytes, bytes_of(sealed)) == 1 &&
                decrypt(cipher, text, bound, out);
    EVP_CIPHER_CTX_free(cipher);
    return good;
}
