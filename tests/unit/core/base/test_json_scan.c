/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/json_scan.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define TEXT(literal) { literal, sizeof(literal) - 1 } /* SLICE is no constant in ISO C */

static bool scan(struct slice text, struct json_member *wanted, size_t count, enum json_kind *root)
{
    /* Memory of exactly this size, so that a sanitizer sees a read behind it. */
    char *copy = malloc(text.size ? text.size : 1);
    if (text.size)
        memcpy(copy, text.data, text.size);
    bool good = json_scan((struct slice){ copy, text.size }, wanted, count, root);
    for (size_t i = 0; i < count; i++)
        if (wanted[i].value.text.data) /* views move to the text that stays */
            wanted[i].value.text.data = text.data + (wanted[i].value.text.data - copy);
    free(copy);
    return good;
}

static const struct slice good[] = {
    TEXT("{}"),
    TEXT(" { } "),
    TEXT("[]"),
    TEXT("[ ]"),
    TEXT("\t\r\n1 "),
    TEXT("0"),
    TEXT("-0"),
    TEXT("-0.0e-0"),
    TEXT("1e5"),
    TEXT("1E+5"),
    TEXT("12.25"),
    TEXT("123456789012345678901234567890"),
    TEXT("\"\""),
    TEXT("true"),
    TEXT("false"),
    TEXT("null"),
    TEXT("[1,2,[3,{\"a\":[]}]]"),
    TEXT("{\"a\":1,\"b\":{\"a\":1,\"a\":2}}"),
    TEXT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\uDE00\""),
    TEXT("\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""),
    TEXT("\"\\u0000\""),
    TEXT("\"\x7f\""),
    TEXT("\"\xf4\x8f\xbf\xbf\""),
    TEXT("\"\xed\x9f\xbf\""),
};

static const struct slice bad[] = {
    TEXT(""),
    TEXT(" "),
    TEXT("{"),
    TEXT("}"),
    TEXT("["),
    TEXT("]"),
    TEXT("{]"),
    TEXT("[}"),
    TEXT("{,}"),
    TEXT("[,]"),
    TEXT("[1,]"),
    TEXT("[1 2]"),
    TEXT("{\"a\":1,}"),
    TEXT("{\"a\"}"),
    TEXT("{\"a\":}"),
    TEXT("{\"a\" 1}"),
    TEXT("{a:1}"),
    TEXT("{1:1}"),
    TEXT("{'a':1}"),
    TEXT("{}{}"),
    TEXT("{} x"),
    TEXT("1 2"),
    TEXT("01"),
    TEXT("-"),
    TEXT("+1"),
    TEXT(".5"),
    TEXT("5."),
    TEXT("1e"),
    TEXT("1e+"),
    TEXT("0x10"),
    TEXT("NaN"),
    TEXT("Infinity"),
    TEXT("-Infinity"),
    TEXT("nul"),
    TEXT("nulll"),
    TEXT("True"),
    TEXT("\""),
    TEXT("\"a"),
    TEXT("\"\\"),
    TEXT("\"\\\""),
    TEXT("\"\\x\""),
    TEXT("\"\\\0\""),
    TEXT("\"\\u12\""),
    TEXT("\"\\u12g4\""),
    TEXT("\"\n\""),
    TEXT("\"\0\""),
    TEXT("\0"),
    TEXT("1\0"),
    TEXT("\"\\ud800\""),
    TEXT("\"\\udc00\""),
    TEXT("\"\\ud800\\ud800\""),
    TEXT("\"\\ud800x\""),
    TEXT("\"\\ud800\\n\""),
    TEXT("\"\\ud800\\u"),
    TEXT("\"\x80\""),
    TEXT("\"\xc0\x80\""),
    TEXT("\"\xc1\xbf\""),
    TEXT("\"\xe0\x9f\xbf\""),
    TEXT("\"\xed\xa0\x80\""),
    TEXT("\"\xf0\x8f\xbf\xbf\""),
    TEXT("\"\xf4\x90\x80\x80\""),
    TEXT("\"\xf5\x80\x80\x80\""),
    TEXT("\"\xff\""),
    TEXT("\"\xc3\""),
    TEXT("\"\xe2\x82\""),
    TEXT("\"\xe2\x28\xa1\""),
    TEXT("\xef\xbb\xbf{}"),
    TEXT("/**/1"),
    TEXT("{\"a\":1,\"a\":1}"),
    TEXT("{\"a\":1,\"b\":2,\"\\u0061\":1}"),
    TEXT("{\"\":1,\"\":1}"),
    TEXT("{\"\\u00e9\":1,\"\xc3\xa9\":1}"),
};

Test(json_scan, accepts_what_is_json)
{
    enum json_kind root;
    for (size_t i = 0; i < COUNT_OF(good); i++)
        cr_assert(scan(good[i], NULL, 0, &root), "%zu: %s", i, good[i].data);
}

Test(json_scan, refuses_all_else)
{
    enum json_kind root;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        cr_assert_not(scan(bad[i], NULL, 0, &root), "%zu: %s", i, bad[i].data);
}

Test(json_scan, no_beginning_of_an_object_is_whole)
{
    struct slice text =
        SLICE("{\"a\":[1.5e3,true,null,{\"b\":\"\\u00e9\\ud83d\\ude00\xc3\xa9\"}],\"c\":\"d\"}");
    enum json_kind root;
    for (size_t size = 0; size < text.size; size++)
        cr_assert_not(scan((struct slice){ text.data, size }, NULL, 0, &root), "%zu", size);
    cr_assert(scan(text, NULL, 0, &root));
}

static void check_member(const struct json_member *member, enum json_kind kind, const char *text)
{
    cr_assert_eq(member->value.kind, kind, "%s", member->name.data);
    cr_assert(kind == JSON_ABSENT || slice_equal(member->value.text, slice_of(text)), "%s",
              member->name.data);
}

Test(json_scan, finds_members)
{
    struct json_member wanted[] = { { SLICE("iss") },  { SLICE("exp") }, { SLICE("no") }, { SLICE("deep") },
                                    { SLICE("list") }, { SLICE("nil") }, { SLICE("") },   { SLICE("b") } };
    struct slice text =
        SLICE(" {\"x\": {\"exp\": 7, \"no\": 1}, \"\\u0069ss\" : \"a\\nb\", \"exp\":-1.5e3 ,"
              "\"deep\":{ \"iss\":1 }, \"list\":[ {\"no\":2} ],\"nil\":null,\"\":true, \"b\":false}");
    enum json_kind root;
    cr_assert(scan(text, wanted, COUNT_OF(wanted), &root));
    cr_assert_eq(root, JSON_OBJECT);
    check_member(&wanted[0], JSON_STRING, "a\\nb");
    cr_assert(wanted[0].value.escaped);
    check_member(&wanted[1], JSON_NUMBER, "-1.5e3");
    check_member(&wanted[2], JSON_ABSENT, NULL);
    check_member(&wanted[3], JSON_OBJECT, "{ \"iss\":1 }");
    check_member(&wanted[4], JSON_ARRAY, "[ {\"no\":2} ]");
    check_member(&wanted[5], JSON_NULL, "null");
    check_member(&wanted[6], JSON_TRUE, "true");
    check_member(&wanted[7], JSON_FALSE, "false");
}

Test(json_scan, what_is_no_object_has_no_members)
{
    struct json_member wanted[] = { { SLICE("a") } };
    enum json_kind root;
    cr_assert(scan(SLICE("[{\"a\":1}]"), wanted, 1, &root));
    cr_assert_eq(root, JSON_ARRAY);
    check_member(&wanted[0], JSON_ABSENT, NULL);
    cr_assert(scan(SLICE("\"a\""), wanted, 1, &root));
    cr_assert_eq(root, JSON_STRING);
}

/* `depth` arrays within each other. */
static bool scan_nested(size_t depth)
{
    char text[1000];
    enum json_kind root;
    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    return scan((struct slice){ text, 2 * depth }, NULL, 0, &root);
}

Test(json_scan, depth_has_a_limit)
{
    cr_assert(scan_nested(JSON_SCAN_DEPTH_MAX));
    cr_assert_not(scan_nested(JSON_SCAN_DEPTH_MAX + 1));
    cr_assert_not(scan_nested(400));
}

static bool scan_members(unsigned count, const char *name_format)
{
    char text[16000] = "{";
    size_t size = 1;
    enum json_kind root;
    for (unsigned i = 0; i < count; i++) {
        text[size++] = '"';
        size += (size_t)snprintf(text + size, sizeof(text) - size, name_format, i);
        size += (size_t)snprintf(text + size, sizeof(text) - size, "\":0,");
    }
    text[size - 1] = '}';
    return scan((struct slice){ text, size }, NULL, 0, &root);
}

Test(json_scan, members_have_a_limit)
{
    cr_assert(scan_members(JSON_SCAN_MEMBERS_MAX, "%u"));
    cr_assert_not(scan_members(JSON_SCAN_MEMBERS_MAX + 1, "%u"));
}

Test(json_scan, escaped_names_have_a_limit)
{
    cr_assert(scan_members(50, "\\u00%02x"));
    cr_assert_not(scan_members(60, "\\u00%02xabcdefghijk"));
}

static const struct {
    struct slice escaped, plain;
} texts[] = {
    { TEXT(""), TEXT("") },
    { TEXT("plain"), TEXT("plain") },
    { TEXT("\\\"\\\\\\/\\b\\f\\n\\r\\t"), TEXT("\"\\/\b\f\n\r\t") },
    { TEXT("a\\u0000b\\u007F"), TEXT("a\0b\x7f") },
    { TEXT("\\u00e9\\u07ff\\u20AC\\uffff"), TEXT("\xc3\xa9\xdf\xbf\xe2\x82\xac\xef\xbf\xbf") },
    { TEXT("\\ud83d\\ude00\\uDBFF\\uDFFF"), TEXT("\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf") },
};

Test(json_scan, unescapes_in_place)
{
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        char copy[64];
        memcpy(copy, texts[i].escaped.data, texts[i].escaped.size);
        size_t size = json_unescape((struct slice){ copy, texts[i].escaped.size }, copy);
        cr_assert(slice_equal((struct slice){ copy, size }, texts[i].plain), "%zu", i);
    }
}

Test(json_scan, numbers)
{
    cr_assert_eq(json_number(SLICE("0")), 0);
    cr_assert_eq(json_number(SLICE("4102444800")), 4102444800.0);
    cr_assert_eq(json_number(SLICE("4102444800.5")), 4102444800.5);
    cr_assert_eq(json_number(SLICE("-1.5e3")), -1500);
    cr_assert_eq(json_number(SLICE("999999999999999")), 999999999999999.0);
    cr_assert_eq(json_number(SLICE("9007199254740993")), 9007199254740992.0);
    cr_assert_eq(json_number(SLICE("9223372036854775808")), 9223372036854775808.0);
    cr_assert(isinf(json_number(SLICE("1e400"))));
    cr_assert(isinf(json_number(SLICE("-1e400"))));
    cr_assert(isinf(json_number(SLICE("11111111112222222222333333333344444444445555555555666666666677777"))));
}

/* Names and values one after the other; "!" at the end of what is no object. */
static const struct {
    const char *text, *members;
} objects[] = {
    { "{}", "" },
    { " { } ", "" },
    { "{\"a\":1}", "a=1;" },
    { " {\"a\" : [1, {\"b\":2}] , \"a\":\"x\\n\" } ", "a=[1, {\"b\":2}];a=x\\n;" },
    { "{\"a\":1,}", "a=1;!" },
    { "{\"a\":1", "a=1;!" },
    { "{\"a\":1}x", "a=1;!" },
    { "{\"a\":1{\"b\":2}", "a=1;!" },
    { "{\"a\":}", "!" },
    { "{,", "!" },
    { "}", "!" },
    { ",\"a\":1}", "!" },
    { "[1]", "!" },
    { "", "!" },
    { "{", "!" },
};

Test(json_scan, members_one_after_the_other)
{
    for (size_t i = 0; i < COUNT_OF(objects); i++) {
        struct json_object object = { .rest = slice_of(objects[i].text) };
        struct json_value name, value;
        char members[128] = "";
        while (json_object_next(&object, &name, &value))
            snprintf(members + strlen(members), sizeof(members) - strlen(members), "%.*s=%.*s;",
                     SLICE_FORMAT(name.text), SLICE_FORMAT(value.text));
        cr_expect(!json_object_next(&object, &name, &value));
        if (object.broken)
            snprintf(members + strlen(members), sizeof(members) - strlen(members), "!");
        cr_expect_str_eq(members, objects[i].members, "%s", objects[i].text);
    }
}

Test(json_scan, escapes)
{
    static const char plain[] = "a\"\\/\b\t\n\v\f\r\x01\x1f\x7f\xc3\xa9";
    char out[sizeof(plain) * JSON_ESCAPED_MAX], back[sizeof(out)];
    size_t size = json_escape((struct slice){ plain, sizeof(plain) }, out);
    cr_assert(slice_equal((struct slice){ out, size },
                          SLICE("a\\\"\\\\/\\b\\t\\n\\u000b\\f\\r\\u0001\\u001f\x7f\xc3\xa9\\u0000")));
    size = json_unescape((struct slice){ out, size }, back);
    cr_assert(slice_equal((struct slice){ back, size }, (struct slice){ plain, sizeof(plain) }));
}
