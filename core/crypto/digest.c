/* SPDX-License-Identifier: Apache-2.0 */
#include "core/crypto/digest.h"

#include <openssl/evp.h>

static const EVP_MD *method_of(enum digest_kind kind)
{
    switch (kind) {
    case DIGEST_MD5: return EVP_md5();
    case DIGEST_SHA1: return EVP_sha1();
    case DIGEST_SHA256: return EVP_sha256();
    case DIGEST_SHA384: return EVP_sha384();
    case DIGEST_SHA512: return EVP_sha512();
    }
    return NULL;
}

size_t digest_size(enum digest_kind kind)
{
    static const size_t sizes[] = { 16, 20, 32, 48, 64 };
    return sizes[kind];
}

bool digest_of(enum digest_kind kind, struct slice bytes, unsigned char *out)
{
    const EVP_MD *method = method_of(kind);
    return method != NULL && EVP_Digest(bytes.data, bytes.size, out, NULL, method, NULL) == 1;
}

bool digest_hex(enum digest_kind kind, struct slice bytes, char *out)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char raw[DIGEST_MAX];
    if (!digest_of(kind, bytes, raw))
        return false;
    size_t size = digest_size(kind);
    for (size_t i = 0; i < size; i++) {
        out[2 * i] = digits[raw[i] >> 4];
        out[2 * i + 1] = digits[raw[i] & 15];
    }
    out[2 * size] = '\0';
    return true;
}
