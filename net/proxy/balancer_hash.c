/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/balancer_hash.h"

#define PRIME_1 0x9e3779b1u
#define PRIME_2 0x85ebca77u
#define PRIME_3 0xc2b2ae3du
#define PRIME_4 0x27d4eb2fu
#define PRIME_5 0x165667b1u

static uint32_t rotate(uint32_t value, unsigned bits)
{
    return value << bits | value >> (32 - bits);
}

static uint32_t read_u32(const char *at)
{
    const unsigned char *bytes = (const unsigned char *)at;
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static uint32_t mix_lane(uint32_t lane, const char *at)
{
    return rotate(lane + read_u32(at) * PRIME_2, 13) * PRIME_1;
}

uint32_t balancer_hash(struct slice bytes, uint32_t seed)
{
    const char *at = bytes.data;
    size_t left = bytes.size;
    uint32_t hash = seed + PRIME_5;
    if (left >= 16) {
        uint32_t lanes[4] = { seed + PRIME_1 + PRIME_2, seed + PRIME_2, seed, seed - PRIME_1 };
        for (; left >= 16; at += 16, left -= 16)
            for (unsigned i = 0; i < 4; i++)
                lanes[i] = mix_lane(lanes[i], at + (size_t)4 * i);
        hash = rotate(lanes[0], 1) + rotate(lanes[1], 7) + rotate(lanes[2], 12) + rotate(lanes[3], 18);
    }
    hash += (uint32_t)bytes.size;
    for (; left >= 4; at += 4, left -= 4)
        hash = rotate(hash + read_u32(at) * PRIME_3, 17) * PRIME_4;
    for (; left > 0; at++, left--)
        hash = rotate(hash + (unsigned char)*at * PRIME_5, 11) * PRIME_1;
    hash = (hash ^ hash >> 15) * PRIME_2;
    hash = (hash ^ hash >> 13) * PRIME_3;
    return hash ^ hash >> 16;
}
