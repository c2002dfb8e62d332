/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/hash.h"

#include "core/base/check.h"

#include <criterion/criterion.h>

/* Until hash_start the key is zero: values of another SipHash-1-3 with that key, CPython's with
 * PYTHONHASHSEED=0. */
Test(hash, is_siphash_1_3)
{
    const struct {
        struct slice bytes;
        uint64_t hash;
    } cases[] = {
        { SLICE("a"), 0x407448d2b89b1813u },
        { SLICE("abcdefg"), 0x6db12aae9070f506u },
        { SLICE("abcdefgh"), 0x3f7b849c0b8e35eau },
        { SLICE("abcdefghi"), 0xf89b34a3d11eb6e5u },
        { SLICE("\0"), 0x68a914128e01e473u },
        { SLICE("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"),
          0x8a3b21076fce3dc4u },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        cr_expect_eq(hash_of(cases[i].bytes), cases[i].hash, "%zu", i);
}

Test(hash, depends_on_the_bytes_and_their_number)
{
    const struct slice texts[] = {
        SLICE(""),
        SLICE("\0"),
        SLICE("\0\0"),
        SLICE("\0\0\0\0\0\0\0"),
        SLICE("\0\0\0\0\0\0\0\0"),
        SLICE("a"),
        SLICE("b"),
        SLICE("abcdefg"),
        SLICE("abcdefgh"),
        SLICE("abcdefghi"),
        SLICE("abcdefgh\0"),
        SLICE("ABCDEFGH"),
        SLICE("\xFF"),
        SLICE("\x7F"),
    };
    hash_start();
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        cr_expect_eq(hash_of(texts[i]), hash_of(texts[i]));
        for (size_t j = 0; j < i; j++)
            cr_expect_neq(hash_of(texts[i]), hash_of(texts[j]), "%zu %zu", i, j);
    }
}

Test(hash, does_not_depend_on_the_place)
{
    char memory[64];
    hash_start();
    uint64_t expected = hash_of(SLICE("0123456789abcdef012"));
    for (size_t offset = 0; offset < 16; offset++) {
        memcpy(memory + offset, "0123456789abcdef012", 19);
        cr_expect_eq(hash_of((struct slice){ memory + offset, 19 }), expected);
    }
}

Test(hash, each_start_draws_a_key)
{
    hash_start();
    uint64_t before = hash_of(SLICE("key"));
    hash_start();
    cr_assert_neq(hash_of(SLICE("key")), before);
}

/* Each bit of the input moves about half of the output. */
Test(hash, one_bit_changes_many)
{
    unsigned changed = 0;
    char text[24] = { 0 };
    hash_start();
    uint64_t base = hash_of((struct slice){ text, sizeof(text) });
    for (size_t bit = 0; bit < sizeof(text) * 8; bit++) {
        text[bit / 8] = (char)(text[bit / 8] ^ 1 << bit % 8);
        unsigned distance =
            (unsigned)__builtin_popcountll(base ^ hash_of((struct slice){ text, sizeof(text) }));
        text[bit / 8] = (char)(text[bit / 8] ^ 1 << bit % 8);
        cr_expect(distance > 8 && distance < 56, "bit %zu: %u", bit, distance);
        changed += distance;
    }
    cr_expect(changed > sizeof(text) * 8 * 28 && changed < sizeof(text) * 8 * 36, "%u", changed);
}
