/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes as opentelemetry-proto 1.x and protobuf's encoding have them. */
#include "plugins/otlp.h"

#include <criterion/criterion.h>

static struct text text;

static void start(void)
{
    text_init(&text, 100000);
}

static void end(void)
{
    text_deinit(&text);
}

TestSuite(otlp, .init = start, .fini = end);

static void expect(const char *hex)
{
    struct text written;
    text_init(&written, 100000);
    text_hex(&written, text_slice(&text));
    cr_expect_not(text.failed);
    cr_expect(slice_equal(text_slice(&written), slice_of(hex)), "%.*s", (int)written.size, written.data);
    text_deinit(&written);
    text_clear(&text);
}

Test(otlp, writes_fields)
{
    otlp_varint(&text, 1, 0);
    otlp_varint(&text, 2, 300);
    otlp_varint(&text, 16, UINT64_MAX);
    expect("0800"
           "10ac02"
           "8001ffffffffffffffffff01");
    otlp_fixed64(&text, 7, 0x0102030405060708);
    otlp_fixed32(&text, 8, 1);
    otlp_bytes(&text, 5, SLICE("ab"));
    expect("390807060504030201"
           "4501000000"
           "2a026162");
}

Test(otlp, writes_attributes)
{
    otlp_string(&text, 9, "k", SLICE("v"));
    expect("4a080a016b12030a0176");
    otlp_string(&text, 9, "k", (struct slice){ NULL, 0 });
    expect("");
    otlp_integer(&text, 1, "k", 5);
    otlp_boolean(&text, 1, "k", true);
    expect("0a070a016b12021805"
           "0a070a016b12021001");
}

Test(otlp, long_messages_have_long_sizes)
{
    static char filler[200];
    size_t begin = otlp_begin(&text, 1);
    otlp_bytes(&text, 2, (struct slice){ filler, sizeof(filler) });
    otlp_end(&text, begin);
    cr_expect_eq(text.size, 1 + 2 + 1 + 2 + 200);
    cr_expect_eq(memcmp(text.data, "\x0a\xcb\x01\x12\xc8\x01", 6), 0);
}

Test(otlp, writes_spans)
{
    struct otlp_span span = { .trace_id = SLICE("0123456789abcdef"),
                              .span_id = SLICE("01234567"),
                              .name = SLICE("n"),
                              .kind = OTLP_CLIENT,
                              .start_ns = 2,
                              .end_ns = 1 };
    otlp_begin_span(&text, &span);
    otlp_fail_span(&text, SLICE("x"));
    expect("0a1030313233343536373839616263646566"
           "12083031323334353637"
           "2a016e"
           "3003"
           "390200000000000000"
           "410200000000000000"
           "7a0512017818"
           "02");
}
