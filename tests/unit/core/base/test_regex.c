/* SPDX-License-Identifier: Apache-2.0 */
/* Regular expressions: groups, UTF-8 and other bytes, the limits, and the literal beginning of a pattern. */
#include "core/base/regex.h"

#include <criterion/criterion.h>

static struct regex_scratch scratch;

static void start(void)
{
    cr_assert_eq(regex_scratch_init(&scratch), ERROR_OK);
}

static void end(void)
{
    regex_scratch_deinit(&scratch);
}

TestSuite(regex, .init = start, .fini = end);

static bool matches(const char *pattern, enum regex_anchor anchor, struct slice subject)
{
    struct regex regex;
    cr_assert_eq(regex_compile(&regex, slice_of(pattern), anchor, NULL, 0), ERROR_OK, "%s", pattern);
    bool result = regex_match(&regex, subject, &scratch);
    regex_close(&regex);
    return result;
}

Test(regex, anchors_at_the_start_only)
{
    cr_assert(matches("/a", REGEX_AT_START, SLICE("/ab")));
    cr_assert_not(matches("/a", REGEX_AT_START, SLICE("/x/a")));
    cr_assert(matches("/a", REGEX_ANYWHERE, SLICE("/x/a")));
    cr_assert_not(matches("/a$", REGEX_AT_START, SLICE("/ab")));
}

Test(regex, gives_numbered_and_named_groups)
{
    struct regex regex;
    struct slice subject = SLICE("/v12/b");
    cr_assert_eq(regex_compile(&regex, SLICE("/v(?<v>\\d+)/(a)?(b)"), REGEX_AT_START, NULL, 0), ERROR_OK);
    cr_assert_eq(regex.group_count, 3);
    cr_assert(regex_match(&regex, subject, &scratch));
    cr_assert(slice_equal(regex_group(&scratch, subject, 0), subject));
    cr_assert(slice_equal(regex_group(&scratch, subject, 1), SLICE("12")));
    cr_assert_null(regex_group(&scratch, subject, 2).data);
    cr_assert(slice_equal(regex_group(&scratch, subject, 3), SLICE("b")));
    cr_assert_eq(regex_group_number(&regex, SLICE("v")), 1);
    cr_assert_eq(regex_group_number(&regex, SLICE("w")), 0);
    cr_assert(slice_equal(regex_group_name(&regex, 1), SLICE("v")));
    cr_assert_null(regex_group_name(&regex, 3).data);
    regex_close(&regex);
}

Test(regex, takes_characters_in_utf8_and_bytes_elsewhere)
{
    cr_assert(matches("/.$", REGEX_AT_START, SLICE("/\xc3\xa9")));
    cr_assert(matches("/\\w+$", REGEX_AT_START, SLICE("/caf\xc3\xa9")));
    cr_assert(matches("/..$", REGEX_AT_START, SLICE("/\xff\xfe")));
    cr_assert_not(matches("/\\x{263a}$", REGEX_AT_START, SLICE("/\xff")));
    cr_assert(matches("/\xff", REGEX_AT_START, SLICE("/\xff")));
}

Test(regex, reads_malformed_utf8_safely)
{
    static const char *const subjects[] = { "\x80",         "\xc3",
                                            "\xc0\xaf",     "\xe0\x80\x80",
                                            "\xed\xa0\x80", "\xf4\x90\x80\x80",
                                            "\xf0\x9f\x98", "\xf8\x88\x80\x80\x80" };
    for (size_t i = 0; i < COUNT_OF(subjects); i++)
        cr_assert(matches("^.+$", REGEX_ANYWHERE, slice_of(subjects[i])), "%zu", i);
}

Test(regex, says_what_is_wrong)
{
    char reason[REGEX_REASON_SIZE];
    cr_assert_not(regex_check(SLICE("/a("), reason, sizeof reason));
    cr_assert_str_eq(reason, "missing closing parenthesis in \"/a(\"");
    cr_assert(regex_check(SLICE("/a(b)"), reason, sizeof reason));
    char many[300] = "";
    for (int i = 0; i < 64; i++)
        memcpy(many + i * 3, "(a)", 4);
    cr_assert_not(regex_check(slice_of(many), reason, sizeof reason));
    cr_assert_str_eq(reason, "more than 63 groups");
}

Test(regex, gives_up_on_catastrophic_patterns)
{
    char subject[4001];
    memset(subject, 'a', 4000);
    subject[4000] = 'b';
    cr_assert_not(matches("(a+)+$", REGEX_AT_START, (struct slice){ subject, sizeof subject }));
    cr_assert_not(matches("^(?:a|aa)+$", REGEX_AT_START, (struct slice){ subject, sizeof subject }));
}

Test(regex, names_what_a_linear_engine_refuses)
{
    static const char *const linear[] = { "/a(b|c)", "/[(?=]x", "/\\(?=", "/(?<n>x)", "/(?i)a" };
    static const char *const other[] = { "/(?!bad).*", "/(?=a)", "/(?<=a)b", "/(?<!a)b", "/(a)\\1" };
    const char *construct = NULL;
    for (size_t i = 0; i < COUNT_OF(linear); i++)
        cr_assert(regex_is_linear(slice_of(linear[i]), &construct), "%s", linear[i]);
    for (size_t i = 0; i < COUNT_OF(other); i++)
        cr_assert_not(regex_is_linear(slice_of(other[i]), &construct), "%s", other[i]);
    cr_assert_str_eq(construct, "a back-reference");
}

Test(regex, finds_the_literal_beginning)
{
    static const struct {
        const char *pattern, *prefix;
    } rows[] = {
        { "/re/\\d+$", "/re/" },
        { "/abc", "/abc" },
        { "/abc*", "/ab" },
        { "/abc?d", "/ab" },
        { "/abc{0,2}", "/ab" },
        { "/abc+d", "/abc" },
        { "/a\\.b\\-c\\d", "/a.b-c" },
        { "/(alt1|alt2)/z", "/" },
        { "/a|/b", "" },
        { "/a[|]b", "/a" },
        { "/a[]|(]b|c", "" },
        { "/a[[:alpha:](]|c", "" },
        { "/a\\|b", "/a|b" },
        { "/a\\Q(|\\E", "" },
        { "/ci/(?i)abc", "/ci/" },
        { "/caf\xc3\xa9?", "/caf" },
        { "/a^b", "/a" },
        { "", "" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char out[64];
        size_t size = regex_literal_prefix(slice_of(rows[i].pattern), out, sizeof out);
        cr_assert(slice_equal((struct slice){ out, size }, slice_of(rows[i].prefix)), "%s gave %.*s",
                  rows[i].pattern, (int)size, out);
    }
    char out[3];
    cr_assert_eq(regex_literal_prefix(SLICE("/abcdef"), out, sizeof out), 3);
}
