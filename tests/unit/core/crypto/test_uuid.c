/* SPDX-License-Identifier: Apache-2.0 */
#include "core/crypto/uuid.h"

#include <criterion/criterion.h>

Test(uuid, random_ones_have_the_form)
{
    struct random_pool pool = { .left = 0 };
    char a[UUID_TEXT_SIZE], b[UUID_TEXT_SIZE];
    unsigned char bytes[UUID_BYTES];
    uuid_random(&pool, a);
    uuid_random(NULL, b);
    cr_assert_str_neq(a, b);
    cr_assert(uuid_read(slice_of(a), bytes));
    cr_assert(a[14] == '4' && strchr("89ab", a[19]), "%s", a);
    cr_assert(b[14] == '4' && strchr("89ab", b[19]), "%s", b);
}

Test(uuid, of_names)
{
    /* RFC 9562 appendix A.4: the DNS namespace and www.example.com */
    unsigned char space[UUID_BYTES], out[UUID_BYTES];
    char text[UUID_TEXT_SIZE];
    cr_assert(uuid_read(SLICE("6ba7b810-9dad-11d1-80b4-00c04fd430c8"), space));
    cr_assert(uuid_of_name(space, SLICE("www.example.com"), out));
    uuid_write(out, text);
    cr_assert_str_eq(text, "2ed6657d-e927-568b-95e1-2665a8aea6a2");
}

Test(uuid, reads_either_case_and_nothing_else)
{
    unsigned char bytes[UUID_BYTES];
    char text[UUID_TEXT_SIZE];
    cr_assert(uuid_read(SLICE("6BA7B810-9DAD-11D1-80B4-00C04FD430C8"), bytes));
    uuid_write(bytes, text);
    cr_assert_str_eq(text, "6ba7b810-9dad-11d1-80b4-00c04fd430c8");
    static const char *const bad[] = { "",
                                       "6ba7b8109dad11d180b400c04fd430c8",
                                       "6ba7b810-9dad-11d1-80b4-00c04fd430c",
                                       "6ba7b810-9dad-11d1-80b4-00c04fd430c88",
                                       "6ba7b810-9dad-11d1-80b4-00c04fd430cg",
                                       "6ba7b810-9dad-11d1-80b4-00c04fd430-8",
                                       "6ba7b81-09dad-11d1-80b4-00c04fd430c8",
                                       "{ba7b810-9dad-11d1-80b4-00c04fd430c}" };
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        cr_assert_not(uuid_read(slice_of(bad[i]), bytes), "%s", bad[i]);
}
