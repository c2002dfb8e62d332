/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/text.h"

#include <criterion/criterion.h>
#include <stdint.h>

static struct text text;

static void end(void)
{
    text_deinit(&text);
}

TestSuite(text, .fini = end);

static void expect(const char *wanted)
{
    cr_expect_not(text.failed);
    cr_expect(slice_equal(text_slice(&text), slice_of(wanted)), "%.*s", (int)text.size, text.data);
    text_clear(&text);
}

Test(text, writes_numbers)
{
    text_init(&text, 1000);
    text_i64(&text, INT64_MIN);
    text_byte(&text, ' ');
    text_u64(&text, UINT64_MAX);
    text_format(&text, " %d", 7);
    text_hex(&text, SLICE("\x01\xfe"));
    expect("-9223372036854775808 18446744073709551615 701fe");
}

Test(text, escapes_strings)
{
    const struct {
        struct slice string;
        const char *json;
    } cases[] = {
        { SLICE(""), "\"\"" },
        { SLICE("a\"b\\c"), "\"a\\\"b\\\\c\"" },
        { SLICE("\b\f\n\r\t\x01\x7f"), "\"\\b\\f\\n\\r\\t\\u0001\\u007f\"" },
        { SLICE("a\0b"), "\"a\\u0000b\"" },
        { SLICE("caf\xc3\xa9 \xf0\x9f\x90\xa2"), "\"caf\xc3\xa9 \xf0\x9f\x90\xa2\"" },
        { SLICE("\xff\xc3"), "\"\\ufffd\\ufffd\"" },
        { SLICE("\xed\xa0\x80"), "\"\\ufffd\\ufffd\\ufffd\"" },
    };
    text_init(&text, 1000);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        text_quoted(&text, cases[i].string);
        expect(cases[i].json);
    }
}

Test(text, writes_members)
{
    text_init(&text, 1000);
    text_byte(&text, '{');
    text_json_string(&text, "none", (struct slice){ NULL, 0 });
    text_json_string(&text, "a", SLICE("b"));
    text_json_i64(&text, "c", -1);
    text_json_bool(&text, "d", true);
    text_byte(&text, '}');
    expect("{\"a\":\"b\",\"c\":-1,\"d\":true}");
}

Test(text, grows_up_to_its_limit)
{
    text_init(&text, 3000);
    for (int i = 0; i < 3000; i++)
        text_byte(&text, 'x');
    cr_expect_not(text.failed);
    text_add(&text, SLICE("y"));
    cr_expect(text.failed);
    cr_expect_eq(text.size, 3000);
    text_add(&text, SLICE(""));
    cr_expect(text.failed);
    text_clear(&text);
    text_format(&text, "%600d", 1);
    cr_expect(text.failed);
}
