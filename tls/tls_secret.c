/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/tls_secret.h"

#include "core/crypto/hmac.h"

#include <openssl/crypto.h>

enum { INFO_MAX = 2 + 1 + 255 + 1 + 255 + 1 };

static enum hmac_kind kind_of(enum tls_hash hash)
{
    return hash == TLS_SHA256 ? HMAC_SHA256 : HMAC_SHA384;
}

void tls_secret_extract(enum tls_hash hash, struct slice salt, struct slice secret, unsigned char *out)
{
    struct hmac_key key;
    hmac_key_init(&key, kind_of(hash), salt);
    hmac_sign(&key, secret, out);
    OPENSSL_cleanse(&key, sizeof(key));
}

static size_t append(unsigned char *info, size_t size, struct slice part)
{
    if (part.size > 0)
        memcpy(info + size, part.data, part.size);
    return size + part.size;
}

bool tls_secret_expand(enum tls_hash hash, struct slice secret, const struct tls_label *label,
                       unsigned char *out, size_t size)
{
    unsigned char info[INFO_MAX], block[HMAC_MAX];
    size_t used = 0, label_size = label->prefix.size + label->label.size;
    if (size > tls_secret_size(hash) || label_size > 255 || label->context.size > 255)
        return false;
    info[used++] = 0;
    info[used++] = (unsigned char)size;
    info[used++] = (unsigned char)label_size;
    used = append(info, used, label->prefix);
    used = append(info, used, label->label);
    info[used++] = (unsigned char)label->context.size;
    used = append(info, used, label->context);
    info[used++] = 1; /* the first and only block */
    struct hmac_key key;
    hmac_key_init(&key, kind_of(hash), secret);
    hmac_sign(&key, (struct slice){ (const char *)info, used }, block);
    memcpy(out, block, size);
    OPENSSL_cleanse(&key, sizeof(key));
    OPENSSL_cleanse(block, sizeof(block));
    return true;
}
