/* SPDX-License-Identifier: Apache-2.0 */
/* Whom the gateway takes for the client: trusted peers, lists, ports, IPv6. */
#include "net/proxy/client_address.h"

#include "net/proxy/client.h"

#include <criterion/criterion.h>

static struct proxy_options options;
static struct proxy proxy = { .options = &options };
static struct client client;
static struct caller caller = { .client = &client };
static struct exchange exchange;
static struct address_range trusted[2];

static void start(void)
{
    memset(&exchange, 0, sizeof(exchange));
    exchange.proxy = &proxy;
    exchange.caller = &caller;
    arena_init(&exchange.arena, exchange.page, sizeof(exchange.page), 1 << 20);
    message_init(&exchange.request, &exchange.arena);
    cr_assert(address_parse_range(SLICE("10.0.0.0/8"), &trusted[0]));
    cr_assert(address_parse_range(SLICE("2001:db8:aaaa::/48"), &trusted[1]));
    options = (struct proxy_options){ .trusted = { trusted, COUNT_OF(trusted) },
                                      .real_ip_header = SLICE("X-Forwarded-For") };
}

static void end(void)
{
    arena_deinit(&exchange.arena);
}

TestSuite(client_address, .init = start, .fini = end);

static void restart(void)
{
    end();
    start();
}

static void set_peer(const char *text)
{
    cr_assert(address_parse(slice_of(text), 1234, &client.peer));
    client.peer_text_size = (uint8_t)address_text(&client.peer, client.peer_text);
}

static void add(const char *name, const char *value)
{
    if (value)
        cr_assert(message_add(&exchange.request, slice_of(name), slice_of(value)));
}

static void check(const char *expected, const char *list)
{
    char text[ADDRESS_TEXT_SIZE];
    client_address_determine(&exchange);
    address_text(&exchange.client_address, text);
    cr_expect(slice_equal(exchange.client_ip, slice_of(expected)), "%.*s for %s",
              SLICE_FORMAT(exchange.client_ip), list ? list : "(absent)");
    cr_expect_str_eq(text, expected);
}

Test(client_address, lists)
{
    static const struct {
        const char *list, *last, *recursive;
    } cases[] = {
        { NULL, "10.0.0.1", "10.0.0.1" },
        { "", "10.0.0.1", "10.0.0.1" },
        { "192.0.2.7", "192.0.2.7", "192.0.2.7" },
        { " 192.0.2.7\t", "192.0.2.7", "192.0.2.7" },
        { "198.51.100.1, 192.0.2.7", "192.0.2.7", "192.0.2.7" },
        { "198.51.100.1, 192.0.2.7, 10.1.1.1", "10.1.1.1", "192.0.2.7" },
        { "198.51.100.1,192.0.2.7,10.1.1.1,10.2.2.2", "10.2.2.2", "192.0.2.7" },
        { "10.3.3.3, 10.2.2.2", "10.2.2.2", "10.3.3.3" },
        { "192.0.2.7, unknown", "10.0.0.1", "10.0.0.1" },
        { "unknown, 192.0.2.7", "192.0.2.7", "192.0.2.7" },
        { "192.0.2.7, unknown, 10.2.2.2", "10.2.2.2", "10.2.2.2" },
        { "192.0.2.7,", "192.0.2.7", "192.0.2.7" },
        { "192.0.2.7, , 10.2.2.2 ,", "10.2.2.2", "192.0.2.7" },
        { ", ,", "10.0.0.1", "10.0.0.1" },
        { "192.0.2.7:8080", "192.0.2.7", "192.0.2.7" },
        { "192.0.2.7:", "192.0.2.7", "192.0.2.7" },
        { "2001:db8::1", "2001:db8::1", "2001:db8::1" },
        { "[2001:db8::1]", "2001:db8::1", "2001:db8::1" },
        { "[2001:db8::1]:443", "2001:db8::1", "2001:db8::1" },
        { "2001:DB8:0::1, 2001:db8:aaaa::5", "2001:db8:aaaa::5", "2001:db8::1" },
        { "::ffff:192.0.2.7, ::ffff:10.1.1.1", "10.1.1.1", "192.0.2.7" },
        { "192.0.2.300", "10.0.0.1", "10.0.0.1" },
        { ":80", "10.0.0.1", "10.0.0.1" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        for (int recursive = 0; recursive < 2; recursive++) {
            restart();
            set_peer("10.0.0.1");
            options.real_ip_recursive = recursive;
            add("x-forwarded-for", cases[i].list);
            check(recursive ? cases[i].recursive : cases[i].last, cases[i].list);
            cr_expect_eq(exchange.trust, PEER_TRUSTED);
            cr_expect(slice_equal(exchange.peer_ip, SLICE("10.0.0.1")));
        }
}

Test(client_address, only_trusted_peers_are_believed)
{
    static const struct {
        const char *peer;
        bool is_trusted;
    } cases[] = {
        { "10.0.0.1", true },         { "11.0.0.1", false },        { "::ffff:10.0.0.1", true },
        { "::ffff:11.0.0.1", false }, { "2001:db8:aaaa::1", true }, { "2001:db8:aaab::1", false },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        restart();
        set_peer(cases[i].peer);
        add("X-Forwarded-For", "192.0.2.7");
        check(cases[i].is_trusted ? "192.0.2.7" : client.peer_text, cases[i].peer);
        cr_expect_eq(exchange.trust, cases[i].is_trusted ? PEER_TRUSTED : PEER_UNTRUSTED);
    }
}

Test(client_address, nobody_is_trusted_by_default)
{
    set_peer("10.0.0.1");
    options.trusted.count = 0;
    add("X-Forwarded-For", "192.0.2.7");
    check("10.0.0.1", "192.0.2.7");
    cr_assert_eq(exchange.trust, PEER_UNTRUSTED);
}

Test(client_address, several_headers_are_one_list)
{
    set_peer("10.0.0.1");
    options.real_ip_recursive = true;
    add("X-Forwarded-For", "198.51.100.1, 192.0.2.7");
    add("X-Real-IP", "198.51.100.9");
    add("X-FORWARDED-FOR", "10.2.2.2, 10.3.3.3");
    check("192.0.2.7", "two lines");
}

Test(client_address, another_header_may_be_asked_for)
{
    set_peer("10.0.0.1");
    options.real_ip_header = SLICE("X-Real-IP");
    add("X-Forwarded-For", "198.51.100.1");
    add("x-real-ip", "192.0.2.7");
    check("192.0.2.7", "X-Real-IP");
}

/* As nginx: the header of the connection counts when its peer is trusted and the setting says so. */
Test(client_address, may_be_told_by_a_preamble)
{
    static const struct {
        const char *peer, *setting, *expected;
    } cases[] = {
        { "10.0.0.1", "proxy_protocol", "192.0.2.7" },
        { "192.0.2.1", "proxy_protocol", "192.0.2.1" },
        { "10.0.0.1", "X-Real-IP", "198.51.100.9" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        restart();
        set_peer(cases[i].peer);
        options.real_ip_header = slice_of(cases[i].setting);
        add("X-Real-IP", "198.51.100.9");
        cr_assert(address_parse(SLICE("192.0.2.7"), 77, &client.told.source));
        check(cases[i].expected, cases[i].setting);
        cr_expect_eq(address_port(&exchange.client_address), i == 0 ? 77 : i == 1 ? 1234 : 0);
    }
}

Test(client_address, is_the_peer_when_a_preamble_tells_none)
{
    set_peer("10.0.0.1");
    options.real_ip_header = SLICE("proxy_protocol");
    add("proxy_protocol", "198.51.100.9");
    client.told = (struct proxy_protocol){ .version = 2 };
    check("10.0.0.1", "LOCAL");
}
