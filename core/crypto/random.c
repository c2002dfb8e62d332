/* SPDX-License-Identifier: Apache-2.0 */
#include "core/crypto/random.h"

#include <errno.h>
#include <sys/random.h>

void random_bytes(void *out, size_t size)
{
    unsigned char *to = out;
    while (size > 0) {
        ssize_t got = getrandom(to, size, 0);
        CHECK(got > 0 || errno == EINTR);
        if (got > 0) {
            to += got;
            size -= (size_t)got;
        }
    }
}

void random_draw(struct random_pool *pool, void *out, size_t size)
{
    CHECK(size <= sizeof(pool->bytes));
    if (pool->left < size) {
        random_bytes(pool->bytes, sizeof(pool->bytes));
        pool->left = sizeof(pool->bytes);
    }
    pool->left -= size;
    memcpy(out, pool->bytes + pool->left, size);
    explicit_bzero(pool->bytes + pool->left, size);
}

void random_alphanumeric(char *out, size_t size)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    struct random_pool pool = { .left = 0 };
    for (size_t i = 0; i < size;) {
        unsigned char byte;
        random_draw(&pool, &byte, 1);
        /* 62 does not divide 256: the rest would make some letters likelier. */
        if (byte < 256 / 62 * 62)
            out[i++] = letters[byte % 62];
    }
    out[size] = '\0';
    explicit_bzero(&pool, sizeof(pool));
}
