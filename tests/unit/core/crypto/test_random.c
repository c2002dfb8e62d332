/* SPDX-License-Identifier: Apache-2.0 */
#include "core/crypto/random.h"

#include <criterion/criterion.h>
#include <ctype.h>

Test(random, draws_differ_and_leave_nothing_behind)
{
    struct random_pool pool = { .left = 0 };
    unsigned char first[16], second[16];
    random_draw(&pool, first, sizeof(first));
    size_t left = pool.left;
    random_draw(&pool, second, sizeof(second));
    cr_assert_eq(left - pool.left, sizeof(second));
    cr_assert_neq(memcmp(first, second, sizeof(first)), 0);
    for (size_t i = pool.left; i < sizeof(pool.bytes); i++)
        cr_assert_eq(pool.bytes[i], 0);
}

Test(random, a_pool_fills_itself_again)
{
    struct random_pool pool = { .left = 0 };
    unsigned char draw[100], none[100] = { 0 };
    for (int i = 0; i < 100; i++) {
        memset(draw, 0, sizeof(draw));
        random_draw(&pool, draw, sizeof(draw));
        cr_assert_neq(memcmp(draw, none, sizeof(draw)), 0);
    }
}

Test(random, alphanumeric)
{
    char a[33], b[33];
    random_alphanumeric(a, 32);
    random_alphanumeric(b, 32);
    cr_assert_eq(strlen(a), 32);
    cr_assert_str_neq(a, b);
    for (int i = 0; i < 32; i++)
        cr_assert(isalnum((unsigned char)a[i]));
}
