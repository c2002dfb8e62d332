/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/check.h"
#include "core/base/lua_pattern.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static const struct {
    const char *text, *pattern, *whole, *first; /* whole NULL: no match; first NULL: no capture */
} rows[] = {
    { "hello", "l+", "ll", NULL },
    { "hello", "^l+", NULL, NULL },
    { "hello", "^h", "h", NULL },
    { "hello", "o$", "o", NULL },
    { "a$b", "a$b", "a$b", NULL },
    { "Bearer abc.def", "^Bearer%s+(.+)$", "Bearer abc.def", "abc.def" },
    { "key = value", "(%w+)%s*=%s*(%w+)", "key = value", "key" },
    { "<a><b>", "<(.-)>", "<a>", "a" },
    { "<a><b>", "<(.*)>", "<a><b>", "a><b" },
    { "x-y_z", "[%-_]", "-", NULL },
    { "abc]", "[]]", "]", NULL },
    { "abc", "[^ab]", "c", NULL },
    { "k7", "[a-f%d]+", "7", NULL },
    { "colour color", "colou?r$", "color", NULL },
    { "f(a(b)c)d", "%b()", "(a(b)c)", NULL },
    { "\"x\" 'y\"'", "([\"'])(.-)%1", "\"x\"", "\"" },
    { "THE (quick) fox", "%f[%a]%a+%f[%A]", "THE", NULL },
    { "ab", "()b", "b", "" },
    { "", ".", NULL, NULL },
    { "", "", "", NULL },
    { "aXb", "%u", "X", NULL },
    { "a\tb", "%c", "\t", NULL },
    { "1f", "%x+$", "1f", NULL },
    { "a.b", "%p", ".", NULL },
    { "a b", "%S+$", "b", NULL },
    { "AA", "%l", NULL, NULL },
};

Test(lua_pattern, matches)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct lua_match match = { .steps_left = LUA_PATTERN_STEPS_MAX };
        enum lua_matching result =
            lua_pattern_match(slice_of(rows[i].text), slice_of(rows[i].pattern), 0, &match);
        cr_assert_eq(result, rows[i].whole ? LUA_MATCHED : LUA_NO_MATCH, "%s", rows[i].pattern);
        cr_assert(lua_pattern_is_good(slice_of(rows[i].pattern)), "%s", rows[i].pattern);
        if (rows[i].whole == NULL)
            continue;
        cr_assert(slice_equal(match.whole, slice_of(rows[i].whole)), "%s", rows[i].pattern);
        cr_assert_eq(match.capture_count > 0, rows[i].first != NULL, "%s", rows[i].pattern);
        if (rows[i].first)
            cr_assert(slice_equal(match.captures[0].text, slice_of(rows[i].first)), "%s", rows[i].pattern);
    }
}

Test(lua_pattern, what_is_malformed)
{
    static const char *const patterns[] = { "%",     "[a", "[",   "[]", "(a",  "a)", "%1",
                                            "(a)%2", "%f", "%fa", "%b", "%b(", "%0" };
    for (size_t i = 0; i < COUNT_OF(patterns); i++) {
        struct lua_match match = { .steps_left = LUA_PATTERN_STEPS_MAX };
        cr_assert_not(lua_pattern_is_good(slice_of(patterns[i])), "%s", patterns[i]);
        cr_assert_neq(lua_pattern_match(SLICE("aaaa"), slice_of(patterns[i]), 0, &match), LUA_GAVE_UP);
    }
}

Test(lua_pattern, a_budget)
{
    char text[4096];
    memset(text, 'a', sizeof(text));
    struct slice subject = { text, sizeof(text) };
    struct lua_match match = { .steps_left = LUA_PATTERN_STEPS_MAX };
    cr_assert_eq(lua_pattern_match(subject, SLICE(".-.-.-.-.-b"), 0, &match), LUA_GAVE_UP);
    cr_assert_eq(match.steps_left, 0);
    match.steps_left = LUA_PATTERN_STEPS_MAX;
    cr_assert_eq(lua_pattern_match(subject, (struct slice){ text, 1000 }, 0, &match), LUA_MATCHED);
    char deep[602];
    for (size_t i = 0; i < sizeof(deep); i++)
        deep[i] = i % 2 ? '?' : 'a';
    match.steps_left = LUA_PATTERN_STEPS_MAX;
    cr_assert_eq(lua_pattern_match(subject, (struct slice){ deep, sizeof(deep) }, 0, &match), LUA_GAVE_UP);
}
