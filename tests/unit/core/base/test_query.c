/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/query.h"

#include <criterion/criterion.h>

static struct arena arena;

static void start(void)
{
    arena_init(&arena, NULL, 0, (size_t)1024 * 1024);
}

static void stop(void)
{
    arena_deinit(&arena);
}

TestSuite(query, .init = start, .fini = stop);

static const struct {
    const char *escaped, *text;
} texts[] = {
    { "", "" },     { "abc", "abc" }, { "%61%62", "ab" }, { "a+b", "a b" },     { "%2B", "+" },
    { "%", "%" },   { "%4", "%4" },   { "%4g", "%4g" },   { "%%41", "%A" },     { "%c3%A9", "\xc3\xa9" },
    { "%2", "%2" }, { "+", " " },     { "a%3Db", "a=b" }, { "%zz%20", "%zz " },
};

Test(query, escapes)
{
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct slice plain = query_unescape(&arena, slice_of(texts[i].escaped));
        cr_assert(slice_equal(plain, slice_of(texts[i].text)), "%s", texts[i].escaped);
        cr_assert_not_null(plain.data);
        cr_assert(query_names(slice_of(texts[i].escaped), slice_of(texts[i].text)), "%s", texts[i].escaped);
        cr_assert_not(query_names(slice_of(texts[i].escaped), SLICE("other")));
    }
    cr_assert_not(query_names(SLICE("ab"), SLICE("a")));
    cr_assert_not(query_names(SLICE("a"), SLICE("ab")));
}

Test(query, what_is_not_escaped_is_not_copied)
{
    struct slice text = SLICE("plain");
    cr_assert_eq(query_unescape(&arena, text).data, text.data);
}

static const struct {
    const char *query, *left;
} removals[] = {
    { "k=1", "" },
    { "k", "" },
    { "", "" },
    { "a=1&k=2&b=3", "a=1&b=3" },
    { "k=1&a=1&k=2", "a=1" },
    { "a=k&kk=1&K=2", "a=k&kk=1&K=2" },
    { "a&&b", "a&&b" },
    { "%6b=1&a=2", "%6b=1&a=2" },
};

Test(query, parameters_are_taken_out)
{
    for (size_t i = 0; i < COUNT_OF(removals); i++) {
        struct slice left = query_without(&arena, slice_of(removals[i].query), SLICE("k"));
        cr_assert(slice_equal(left, slice_of(removals[i].left)), "%s", removals[i].query);
        cr_assert_not_null(left.data);
    }
}

Test(query, without_memory)
{
    struct arena none;
    arena_init(&none, NULL, 0, 0);
    cr_assert_null(query_unescape(&none, SLICE("%41")).data);
    cr_assert_null(query_without(&none, SLICE("a=1"), SLICE("k")).data);
    arena_deinit(&none);
}
