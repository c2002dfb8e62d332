/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/slice.h"

#include "core/base/check.h"

#include <criterion/criterion.h>

static int sign(int value)
{
    return (value > 0) - (value < 0);
}

Test(slice, absent_differs_from_empty)
{
    cr_assert_null(slice_of(NULL).data);
    cr_assert_eq(slice_of(NULL).size, 0);
    cr_assert_not_null(slice_of("").data);
    cr_assert(slice_equal(slice_of(NULL), SLICE("")));
    cr_assert_eq(SLICE("a\0b").size, 3);
}

Test(slice, compares)
{
    static const struct {
        const char *a, *b;
        int order;
        bool same_nocase, starts, ends;
    } cases[] = {
        { "", "", 0, true, true, true },
        { "a", "", 1, false, true, true },
        { "", "a", -1, false, false, false },
        { "abc", "abc", 0, true, true, true },
        { "abc", "ab", 1, false, true, false },
        { "abc", "bc", -1, false, false, true },
        { "ABC", "abc", -1, true, false, false },
        { "a-[`{z", "A-[`{Z", 1, true, false, false },
        { "@", "`", -1, false, false, false },
        { "\xC4", "\xE4", -1, false, false, false },
        { "\x7f", "\x80", -1, false, false, false },
        { "ABCDEFGH", "abcdefgh", -1, true, false, false },
        { "X-Ab[cdefgh", "x-aB[CdEFGH", -1, true, false, false },
        { "abcdefg@", "abcdefg`", -1, false, false, false },
        { "[bcdefghi", "{bcdefghi", -1, false, false, false },
        { "Zbcdefgh\xC4", "zbcdefgh\xE4", -1, false, false, false },
        { "abcdefgh\xC4zz", "abcdefgh\xC4ZZ", 1, true, false, false },
        { "abcdefghi", "abcdefghj", -1, false, false, false },
        { "abcdefghijklmnopq", "abcdefghIjklmnoPq", 1, true, false, false },
        { "abcdefghijklmnopq", "abcdefgh_jklmnopq", 1, false, false, false },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct slice a = slice_of(cases[i].a), b = slice_of(cases[i].b);
        cr_expect_eq(sign(slice_compare(a, b)), cases[i].order, "%zu", i);
        cr_expect_eq(sign(slice_compare(b, a)), -cases[i].order, "%zu", i);
        cr_expect_eq(slice_equal(a, b), cases[i].order == 0, "%zu", i);
        cr_expect_eq(slice_equal_constant_time(a, b), cases[i].order == 0, "%zu", i);
        cr_expect_eq(slice_equal_nocase(a, b), cases[i].same_nocase, "%zu", i);
        cr_expect_eq(slice_starts_with(a, b), cases[i].starts, "%zu", i);
        cr_expect_eq(slice_ends_with(a, b), cases[i].ends, "%zu", i);
    }
}

Test(slice, trims_spaces_and_tabs_only)
{
    static const struct {
        const char *text, *trimmed;
    } cases[] = {
        { "", "" },         { " \t ", "" },        { "a", "a" },
        { " a b ", "a b" }, { "\t a\n\t", "a\n" }, { "\r a", "\r a" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        cr_expect(slice_equal(slice_trim(slice_of(cases[i].text)), slice_of(cases[i].trimmed)), "%zu", i);
}

Test(slice, splits)
{
    static const struct {
        const char *text, *first, *rest;
    } cases[] = {
        { "", "", NULL }, { "a", "a", NULL }, { "a,", "a", "" }, { ",", "", "" }, { ",a,b", "", "a,b" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct slice rest, first = slice_split(slice_of(cases[i].text), ',', &rest);
        cr_expect(slice_equal(first, slice_of(cases[i].first)), "%zu", i);
        cr_expect(slice_equal(rest, slice_of(cases[i].rest)), "%zu", i);
        cr_expect_eq(rest.data == NULL, cases[i].rest == NULL, "%zu", i);
    }
}

Test(slice, a_list_ends_when_the_rest_is_absent)
{
    struct slice rest = SLICE("a,,b,");
    unsigned count = 0;
    while (rest.data) {
        slice_split(rest, ',', &rest);
        count++;
    }
    cr_assert_eq(count, 4);
    cr_assert_null(slice_split((struct slice){ NULL, 0 }, ',', &rest).data);
    cr_assert_null(rest.data);
}

Test(slice, finds_texts_and_words)
{
    struct slice items[] = { SLICE("gold"), SLICE(""), SLICE("Staff") };
    struct slices texts = { items, 3 };
    cr_expect(slices_hold(texts, SLICE("gold")) && slices_hold(texts, SLICE("")));
    cr_expect(!slices_hold(texts, SLICE("staff")) && !slices_hold(texts, SLICE("gol")));
    cr_expect(!slices_hold((struct slices){ NULL, 0 }, SLICE("")));
    cr_expect(slice_has_word(SLICE("read write"), SLICE("write")));
    cr_expect(slice_has_word(SLICE("read"), SLICE("read")));
    cr_expect(!slice_has_word(SLICE("read writer"), SLICE("write")));
    cr_expect(!slice_has_word((struct slice){ NULL, 0 }, SLICE("")));
}

Test(slice, reads_decimal_numbers)
{
    static const struct {
        const char *text;
        bool good;
        uint64_t value;
    } cases[] = {
        { "0", true, 0 },
        { "007", true, 7 },
        { "18446744073709551615", true, UINT64_MAX },
        { "18446744073709551616", false, 0 },
        { "99999999999999999999", false, 0 },
        { "", false, 0 },
        { "-1", false, 0 },
        { "+1", false, 0 },
        { " 1", false, 0 },
        { "1 ", false, 0 },
        { "0x1", false, 0 },
        { "1:", false, 0 },
        { "1/", false, 0 },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        uint64_t value = 42;
        cr_expect_eq(slice_to_u64(slice_of(cases[i].text), &value), cases[i].good, "%s", cases[i].text);
        cr_expect_eq(value, cases[i].good ? cases[i].value : 42, "%s", cases[i].text);
    }
}

Test(slice, knows_digits)
{
    static const char digits[] = "0123456789abcdef";
    for (int c = -128; c < 128; c++) {
        const char *lower = c > 0 ? strchr(digits, c >= 'A' && c <= 'F' ? c | 0x20 : c) : NULL;
        cr_expect_eq(slice_hex_value((char)c), lower ? (int)(lower - digits) : -1, "%d", c);
        cr_expect_eq(slice_is_digit((char)c), lower != NULL && lower < digits + 10, "%d", c);
    }
}

Test(slice, writes_numbers)
{
    static const struct {
        uint64_t number;
        const char *text;
    } cases[] = {
        { 0, "0" }, { 9, "9" }, { 10, "10" }, { 1234567, "1234567" }, { UINT64_MAX, "18446744073709551615" }
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char text[SLICE_U64_SIZE];
        struct slice written = { text, (size_t)(slice_write_u64(text, cases[i].number) - text) };
        cr_expect(slice_equal(written, slice_of(cases[i].text)), "%s", cases[i].text);
    }
}
