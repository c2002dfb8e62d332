/* SPDX-License-Identifier: Apache-2.0 */
#include "net/dns/dns_answer.h"

#include "tests/support/dns_message.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static struct arena arena;
static struct dns_message message;
static struct dns_answer answer;

static void start(void)
{
    arena_init(&arena, NULL, 0, 1 << 20);
}

static void end(void)
{
    arena_deinit(&arena);
}

TestSuite(dns_answer, .init = start, .fini = end);

static bool read_as(enum dns_type type)
{
    return dns_answer_read(&answer, &arena, dns_message_slice(&message), type);
}

static const char *address_at(uint32_t i)
{
    static char text[ADDRESS_TEXT_SIZE];
    cr_assert_lt(i, answer.count);
    address_text(&answer.records[i].address, text);
    return text;
}

Test(dns_answer, reads_addresses_and_the_shortest_time)
{
    dns_message_begin(&message, 1, "a.test", DNS_TYPE_A, 0);
    dns_message_address(&message, "a.test", 30, "10.0.0.1");
    dns_message_address(&message, "A.Test", 20, "10.0.0.2");
    cr_assert(read_as(DNS_TYPE_A));
    cr_assert_eq(answer.count, 2);
    cr_expect_str_eq(address_at(0), "10.0.0.1");
    cr_expect_str_eq(address_at(1), "10.0.0.2");
    cr_expect_eq(answer.ttl_s, 20);
}

Test(dns_answer, reads_ipv6)
{
    dns_message_begin(&message, 1, "a.test", DNS_TYPE_AAAA, 0);
    dns_message_address(&message, "a.test", 30, "2001:db8::1");
    cr_assert(read_as(DNS_TYPE_AAAA));
    cr_expect_str_eq(address_at(0), "2001:db8::1");
}

Test(dns_answer, follows_aliases_in_any_order)
{
    dns_message_begin(&message, 1, "a.test", DNS_TYPE_A, 0);
    dns_message_address(&message, "c.test", 30, "10.0.0.3");
    dns_message_alias(&message, "b.test", 5, "c.test");
    dns_message_alias(&message, "a.test", 60, "b.test");
    cr_assert(read_as(DNS_TYPE_A));
    cr_assert_eq(answer.count, 1);
    cr_expect_str_eq(address_at(0), "10.0.0.3");
    cr_expect_eq(answer.ttl_s, 5);
}

Test(dns_answer, leaves_out_what_was_not_asked_for)
{
    dns_message_begin(&message, 1, "a.test", DNS_TYPE_A, 0);
    dns_message_address(&message, "other.test", 30, "10.9.9.9");
    dns_message_address(&message, "a.test", 30, "2001:db8::1");
    dns_message_record(&message, "a.test", 16, SLICE("\3txt"));
    cr_assert(read_as(DNS_TYPE_A));
    cr_expect_eq(answer.count, 0);
}

Test(dns_answer, aliases_in_a_circle_end)
{
    dns_message_begin(&message, 1, "a.test", DNS_TYPE_A, 0);
    dns_message_alias(&message, "a.test", 60, "b.test");
    dns_message_alias(&message, "b.test", 60, "a.test");
    cr_assert(read_as(DNS_TYPE_A));
    cr_expect_eq(answer.count, 0);
}

Test(dns_answer, reads_services)
{
    dns_message_begin(&message, 1, "_x._tcp.test", DNS_TYPE_SRV, 0);
    dns_message_service(&message, "_x._tcp.test", 30, "10 5 8080 H1.test");
    dns_message_service(&message, "_x._tcp.test", 30, "20 0 8081 h2.test");
    dns_message_service(&message, "_x._tcp.test", 30, "10 1 9 .");
    cr_assert(read_as(DNS_TYPE_SRV));
    cr_assert_eq(answer.count, 2, "`.` says that there is no such service");
    cr_expect_str_eq(answer.records[0].host.data, "h1.test");
    cr_expect_eq(answer.records[0].priority, 10);
    cr_expect_eq(answer.records[0].weight, 5);
    cr_expect_eq(answer.records[0].port, 8080);
    cr_expect_str_eq(answer.records[1].host.data, "h2.test");
}

Test(dns_answer, reads_an_alias_when_asked_for_one)
{
    dns_message_begin(&message, 1, "a.test", DNS_TYPE_CNAME, 0);
    dns_message_alias(&message, "a.test", 60, "b.test");
    cr_assert(read_as(DNS_TYPE_CNAME));
    cr_assert_eq(answer.count, 1);
    cr_expect_str_eq(answer.records[0].host.data, "b.test");
}

Test(dns_answer, leaves_out_hosts_that_are_no_host_names)
{
    dns_message_begin(&message, 1, "s.test", DNS_TYPE_SRV, 0);
    dns_message_record(&message, "s.test", DNS_TYPE_SRV, SLICE("\0\1\0\1\0\120\3a b\4test\0"));
    dns_message_service(&message, "s.test", 30, "1 1 80 fine.test");
    cr_assert(read_as(DNS_TYPE_SRV));
    cr_assert_eq(answer.count, 1);
    cr_expect_str_eq(answer.records[0].host.data, "fine.test");
}

Test(dns_answer, compression)
{
    static const char bytes[] = "\0\1\x81\x80\0\1\0\1\0\0\0\0"
                                "\1a\4test\0\0\1\0\1"
                                "\300\014\0\1\0\1\0\0\0\012\0\4\012\0\0\7";
    cr_assert(dns_answer_read(&answer, &arena, (struct slice){ bytes, sizeof(bytes) - 1 }, DNS_TYPE_A));
    cr_assert_eq(answer.count, 1);
    cr_expect_str_eq(address_at(0), "10.0.0.7");
}

/* Each is refused whole, wherever it is cut, and read without leaving its bytes (ASan watches). */
Test(dns_answer, refuses_what_is_malformed)
{
    static const struct {
        const char *bytes;
        size_t size;
    } cases[] = {
#define BYTES(literal) { literal, sizeof(literal) - 1 }
        BYTES(""),
        BYTES("\0\1\x81\x80\0\1\0\1\0\0\0"),
        BYTES("\0\1\x01\x80\0\1\0\0\0\0\0\0\1a\0\0\1\0\1"), /* a question */
        BYTES("\0\1\x81\x83\0\1\0\0\0\0\0\0\1a\0\0\1\0\1"), /* no such name */
        BYTES("\0\1\x81\x80\0\2\0\0\0\0\0\0\1a\0\0\1\0\1"), /* two questions */
        BYTES("\0\1\x81\x80\0\1\0\0\0\0\0\0\300\014\0\1\0\1"), /* points to itself */
        BYTES("\0\1\x81\x80\0\1\0\0\0\0\0\0\1a\300\014\0\1\0\1"),
        BYTES("\0\1\x81\x80\0\1\0\0\0\0\0\0\1a\300\377\0\1\0\1"), /* points ahead */
        BYTES("\0\1\x81\x80\0\1\0\0\0\0\0\0\101a\0\0\1\0\1"), /* a reserved kind of label */
        BYTES("\0\1\x81\x80\0\1\0\1\0\0\0\0\1a\0\0\1\0\1\1a\0\0\1\0\1\0\0\0\1\0\3abc"),
        BYTES("\0\1\x81\x80\0\1\0\1\0\0\0\0\1a\0\0\1\0\1\1a\0\0\1\0\1\0\0\0\1\0\5abcd"),
        BYTES("\0\1\x81\x80\0\1\0\2\0\0\0\0\1a\0\0\1\0\1\1a\0\0\1\0\1\0\0\0\1\0\4abcd"), /* one is missing */
#undef BYTES
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char *copy = malloc(cases[i].size + 1); /* its end is the end of the memory */
        memcpy(copy + 1, cases[i].bytes, cases[i].size);
        cr_expect(!dns_answer_read(&answer, &arena, (struct slice){ copy + 1, cases[i].size }, DNS_TYPE_A),
                  "%zu", i);
        free(copy);
    }
}

Test(dns_answer, refuses_every_part_of_a_message)
{
    dns_message_begin(&message, 1, "_x._tcp.test", DNS_TYPE_SRV, 0);
    dns_message_service(&message, "_x._tcp.test", 30, "10 5 8080 h1.test");
    struct slice whole = dns_message_slice(&message);
    for (size_t size = 0; size < whole.size; size++) {
        char *copy = malloc(size + 1);
        memcpy(copy + 1, whole.data, size);
        cr_expect(!dns_answer_read(&answer, &arena, (struct slice){ copy + 1, size }, DNS_TYPE_SRV), "%zu",
                  size);
        free(copy);
    }
    cr_expect(read_as(DNS_TYPE_SRV));
}

Test(dns_answer, a_long_time_is_none)
{
    dns_message_begin(&message, 1, "a.test", DNS_TYPE_A, 0);
    dns_message_address(&message, "a.test", 0x80000000u, "10.0.0.1");
    cr_assert(read_as(DNS_TYPE_A));
    cr_expect_eq(answer.ttl_s, 0, "RFC 2181 section 8");
}

Test(dns_answer, takes_many_records)
{
    dns_message_begin(&message, 1, "a", DNS_TYPE_A, 0);
    for (unsigned i = 0; i < 200; i++) {
        char text[32];
        snprintf(text, sizeof(text), "10.0.0.%u", i);
        dns_message_address(&message, "a", 1, text);
    }
    cr_assert(read_as(DNS_TYPE_A));
    cr_assert_eq(answer.count, 200);
    cr_expect_str_eq(address_at(199), "10.0.0.199");
}
