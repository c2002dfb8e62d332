/* SPDX-License-Identifier: Apache-2.0 */
#include "core/crypto/seal.h"

#include <criterion/criterion.h>

static struct seal_key key;

static void start(void)
{
    seal_key_init(&key, SLICE("secret"), SLICE("test"));
}

TestSuite(seal, .init = start);

/* RFC 5869's construction without salt, computed with another implementation (Python's hmac). */
Test(seal, the_key)
{
    static const unsigned char expected[] = { 0x1a, 0x77, 0x6b, 0x41, 0x85, 0xbd, 0x02, 0xc5,
                                              0xa8, 0xa7, 0xc1, 0xd3, 0xd4, 0x24, 0xcc, 0x06,
                                              0xa6, 0xcc, 0x29, 0xff, 0x6f, 0xec, 0xa4, 0x62,
                                              0x93, 0x6f, 0xcd, 0x08, 0x0d, 0x53, 0x35, 0x8e };
    cr_assert_arr_eq(key.bytes, expected, sizeof(key.bytes));
}

Test(seal, there_and_back)
{
    unsigned char sealed[64], again[64], text[64];
    struct slice message = SLICE("a message"), bound = SLICE("bound");
    size_t size = message.size + SEAL_OVERHEAD_BYTES;
    cr_assert(seal_close(&key, message, bound, sealed));
    cr_assert(seal_close(&key, message, bound, again));
    cr_assert_arr_neq(sealed, again, size);
    cr_assert(seal_open(&key, (struct slice){ (char *)sealed, size }, bound, text));
    cr_assert_arr_eq(text, message.data, message.size);
    cr_assert_not(seal_open(&key, (struct slice){ (char *)sealed, size }, SLICE("Bound"), text));
    for (size_t i = 0; i < size; i++) {
        sealed[i] ^= 1;
        cr_assert_not(seal_open(&key, (struct slice){ (char *)sealed, size }, bound, text), "at %zu", i);
        sealed[i] ^= 1;
        cr_assert_not(seal_open(&key, (struct slice){ (char *)sealed, i }, bound, text), "%zu bytes", i);
    }
}

Test(seal, nothing)
{
    unsigned char sealed[SEAL_OVERHEAD_BYTES], text[1];
    cr_assert(seal_close(&key, SLICE(""), SLICE(""), sealed));
    cr_assert(seal_open(&key, (struct slice){ (char *)sealed, sizeof(sealed) }, SLICE(""), text));
}

Test(seal, another_purpose_is_another_key)
{
    struct seal_key other;
    seal_key_init(&other, SLICE("secret"), SLICE("tests"));
    cr_assert_arr_neq(other.bytes, key.bytes, sizeof(key.bytes));
}
