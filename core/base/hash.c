/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/hash.h"

#include "core/base/check.h"

#include <sys/random.h>

static uint64_t key[2]; /* written by hash_start alone, before any other thread */

void hash_start(void)
{
    CHECK(getrandom(key, sizeof(key), 0) == (ssize_t)sizeof(key));
}

static inline uint64_t rotate(uint64_t value, int bits)
{
    return value << bits | value >> (64 - bits);
}

static inline void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);
    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

/* The bytes behind the last whole word, the first of them lowest. */
static inline uint64_t tail_of(struct slice bytes)
{
    unsigned count = (unsigned)(bytes.size % 8);
    uint64_t tail = 0;
    if (count == 0)
        return 0;
    if (bytes.size > 8 && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__) { /* the end of the last eight */
        memcpy(&tail, bytes.data + bytes.size - 8, sizeof(tail));
        return tail >> (8 * (8 - count));
    }
    for (unsigned i = 0; i < count; i++)
        tail |= (uint64_t)(unsigned char)bytes.data[bytes.size - count + i] << (8 * i);
    return tail;
}

static inline void take_word(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
}

#define BEGIN_STATE                                                                             \
    { key[0] ^ 0x736f6d6570736575u, key[1] ^ 0x646f72616e646f6du, key[0] ^ 0x6c7967656e657261u, \
      key[1] ^ 0x7465646279746573u }

/* `size`: of all that is hashed. */
static inline uint64_t finish(uint64_t v[4], struct slice bytes, size_t size)
{
    for (size_t i = 0; i < bytes.size / 8; i++) {
        uint64_t word;
        memcpy(&word, bytes.data + i * 8, sizeof(word));
        take_word(v, word);
    }
    take_word(v, (uint64_t)size << 56 | tail_of(bytes));
    v[2] ^= 0xff;
    sip_round(v);
    sip_round(v);
    sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t hash_of(struct slice bytes)
{
    uint64_t v[4] = BEGIN_STATE;
    return finish(v, bytes, bytes.size);
}

uint64_t hash_behind(uint64_t first, struct slice bytes)
{
    uint64_t v[4] = BEGIN_STATE;
    take_word(v, first);
    return finish(v, bytes, bytes.size + sizeof(first));
}
