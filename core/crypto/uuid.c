/* SPDX-License-Identifier: Apache-2.0 */
#include "core/crypto/uuid.h"

#include "core/crypto/digest.h"

#include <openssl/evp.h>

/* Stands a dash before this byte? */
static bool dash_before(size_t index)
{
    return index == 4 || index == 6 || index == 8 || index == 10;
}

static void mark(unsigned char bytes[UUID_BYTES], unsigned version)
{
    bytes[6] = (unsigned char)((bytes[6] & 0x0f) | version << 4);
    bytes[8] = (unsigned char)((bytes[8] & 0x3f) | 0x80);
}

void uuid_random(struct random_pool *pool, char text[UUID_TEXT_SIZE])
{
    unsigned char bytes[UUID_BYTES];
    if (pool)
        random_draw(pool, bytes, sizeof(bytes));
    else
        random_bytes(bytes, sizeof(bytes));
    mark(bytes, 4);
    uuid_write(bytes, text);
}

bool uuid_of_name(const unsigned char space[UUID_BYTES], struct slice name, unsigned char out[UUID_BYTES])
{
    unsigned char digest[DIGEST_MAX];
    EVP_MD_CTX *state = EVP_MD_CTX_new();
    bool done = state != NULL && EVP_DigestInit_ex(state, EVP_sha1(), NULL) == 1 &&
                EVP_DigestUpdate(state, space, UUID_BYTES) == 1 &&
                EVP_DigestUpdate(state, name.data, name.size) == 1 &&
                EVP_DigestFinal_ex(state, digest, NULL) == 1;
    EVP_MD_CTX_free(state);
    if (!done)
        return false;
    memcpy(out, digest, UUID_BYTES);
    mark(out, 5);
    return true;
}

void uuid_write(const unsigned char bytes[UUID_BYTES], char text[UUID_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    char *to = text;
    for (size_t i = 0; i < UUID_BYTES; i++) {
        if (dash_before(i))
            *to++ = '-';
        *to++ = digits[bytes[i] >> 4];
        *to++ = digits[bytes[i] & 15];
    }
    *to = '\0';
}

bool uuid_read(struct slice text, unsigned char bytes[UUID_BYTES])
{
    if (text.size != UUID_TEXT_SIZE - 1)
        return false;
    const char *from = text.data;
    for (size_t i = 0; i < UUID_BYTES; i++) {
        if (dash_before(i) && *from++ != '-')
            return false;
        int high = slice_hex_value(from[0]), low = slice_hex_value(from[1]);
        if (high < 0 || low < 0)
            return false;
        bytes[i] = (unsigned char)(high << 4 | low);
        from += 2;
    }
    return true;
}
