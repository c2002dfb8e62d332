/* SPDX-License-Identifier: Apache-2.0 */
#include "net/transport/address.h"

#include "core/base/check.h"

#include <criterion/criterion.h>

Test(address, parses_and_prints)
{
    static const struct {
        const char *text;
        const char *printed; /* NULL: not an address */
    } cases[] = {
        { "127.0.0.1", "127.0.0.1" },
        { "0.0.0.0", "0.0.0.0" },
        { "255.255.255.255", "255.255.255.255" },
        { "::", "::" },
        { "::1", "::1" },
        { "[::1]", "::1" },
        { "2001:DB8:0:0::1", "2001:db8::1" },
        { "::ffff:1.2.3.4", "1.2.3.4" },
        { "[::ffff:1.2.3.4]", "1.2.3.4" },
        { "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
        { "", NULL },
        { "[]", NULL },
        { "[::1", NULL },
        { "::1]", NULL },
        { "1.2.3", NULL },
        { "1.2.3.4.5", NULL },
        { "1.2.3.256", NULL },
        { "1.2.3.4 ", NULL },
        { " 1.2.3.4", NULL },
        { "1.2.3.4:80", NULL },
        { "[::1]:80", NULL },
        { "::1%lo", NULL },
        { "1:2:3:4:5:6:7:8:9", NULL },
        { "localhost", NULL },
        { "10", NULL },
        { "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.2555", NULL },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct address address;
        char text[ADDRESS_TEXT_SIZE];
        bool good = address_parse(slice_of(cases[i].text), 8080, &address);
        cr_expect_eq(good, cases[i].printed != NULL, "%s", cases[i].text);
        if (!good)
            continue;
        cr_expect_eq(address_text(&address, text), strlen(text));
        cr_expect_str_eq(text, cases[i].printed);
        cr_expect_eq(address_port(&address), 8080);
    }
}

Test(address, a_nul_inside_is_no_address)
{
    struct address address;
    cr_assert_not(address_parse(SLICE("1.2.3.4\0"), 0, &address));
    cr_assert_not(address_parse(SLICE("1.2.3.4\0x"), 0, &address));
    cr_assert_not(address_parse((struct slice){ NULL, 0 }, 0, &address));
}

Test(address, equality_includes_the_port)
{
    static const struct {
        const char *a, *b;
        uint16_t port_a, port_b;
        bool equal;
    } cases[] = {
        { "1.2.3.4", "1.2.3.4", 1, 1, true },  { "1.2.3.4", "1.2.3.4", 1, 2, false },
        { "1.2.3.4", "1.2.3.5", 1, 1, false }, { "::1", "[::1]", 1, 1, true },
        { "::1", "::2", 1, 1, false },         { "0.0.0.0", "::", 1, 1, false },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct address a, b;
        cr_assert(address_parse(slice_of(cases[i].a), cases[i].port_a, &a));
        cr_assert(address_parse(slice_of(cases[i].b), cases[i].port_b, &b));
        cr_expect_eq(address_equal(&a, &b), cases[i].equal, "%zu", i);
    }
}

Test(address, ranges)
{
    static const struct {
        const char *range, *in, *out;
    } cases[] = {
        { "10.0.0.0/8", "10.255.255.255", "11.0.0.0" },
        { "10.1.2.3/8", "10.9.9.9", "9.255.255.255" },
        { "192.168.1.128/25", "192.168.1.255", "192.168.1.127" },
        { "192.168.1.4/30", "192.168.1.7", "192.168.1.8" },
        { "1.2.3.4", "1.2.3.4", "1.2.3.5" },
        { "1.2.3.4/32", "::ffff:1.2.3.4", "::1" },
        { "0.0.0.0/0", "255.1.2.3", "::1" },
        { "::/0", "fe80::1", "1.2.3.4" },
        { "2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1" },
        { "2001:db8::1", "2001:db8::1", "2001:db8::2" },
        { "fe80::/10", "febf::1", "fec0::1" },
        { "::ffff:10.0.0.0/8", "10.1.1.1", "11.1.1.1" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct address_range range;
        struct address_ranges ranges = { &range, 1 };
        struct address in, out;
        cr_assert(address_parse_range(slice_of(cases[i].range), &range), "%s", cases[i].range);
        cr_assert(address_parse(slice_of(cases[i].in), 1, &in));
        cr_assert(address_parse(slice_of(cases[i].out), 1, &out));
        cr_expect(address_in_ranges(&in, &ranges), "%s in %s", cases[i].in, cases[i].range);
        cr_expect_not(address_in_ranges(&out, &ranges), "%s in %s", cases[i].out, cases[i].range);
        ranges.count = 0;
        cr_expect_not(address_in_ranges(&in, &ranges));
    }
}

Test(address, bad_ranges)
{
    static const char *const cases[] = {
        "",
        "/",
        "/8",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/-1",
        "10.0.0.0/8/8",
        "::/129",
        "host/8",
        "10.0.0.0/8 ",
        "10.0.0.0/18446744073709551617",
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct address_range range;
        cr_expect_not(address_parse_range(slice_of(cases[i]), &range), "%s", cases[i]);
    }
}
