/* SPDX-License-Identifier: Apache-2.0 */
#include "net/transport/address_set.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static struct arena arena;

static void start(void)
{
    arena_init(&arena, NULL, 0, 64u * 1024 * 1024);
}

static void stop(void)
{
    arena_deinit(&arena);
}

TestSuite(address_set, .init = start, .fini = stop);

static struct address_set build(const char *const *texts, uint32_t count)
{
    struct address_range *items = arena_array(&arena, count + 1, sizeof(*items));
    cr_assert_not_null(items);
    for (uint32_t i = 0; i < count; i++)
        cr_assert(address_parse_range(slice_of(texts[i]), &items[i]), "%s", texts[i]);
    struct address_ranges ranges = { items, count };
    struct address_set set;
    cr_assert(address_set_build(&set, &ranges, &arena));
    return set;
}

static bool has(const struct address_set *set, const char *text)
{
    struct address address;
    cr_assert(address_parse(slice_of(text), 0, &address), "%s", text);
    return address_set_has(set, &address);
}

Test(address_set, nothing_is_in_an_empty_one)
{
    struct address_set set = build(NULL, 0);
    cr_assert_not(has(&set, "0.0.0.0") || has(&set, "::"));
}

Test(address_set, both_families)
{
    static const char *const texts[] = { "10.0.0.0/8", "192.168.1.7", "192.168.1.9/32", "2001:db8::/33",
                                         "::1" };
    struct address_set set = build(texts, COUNT_OF(texts));
    cr_assert(has(&set, "10.0.0.0") && has(&set, "10.255.255.255") && has(&set, "::ffff:10.1.2.3"));
    cr_assert_not(has(&set, "9.255.255.255") || has(&set, "11.0.0.0") || has(&set, "::10.0.0.1"));
    cr_assert(has(&set, "192.168.1.7") && has(&set, "192.168.1.9"));
    cr_assert_not(has(&set, "192.168.1.6") || has(&set, "192.168.1.8") || has(&set, "192.168.1.10"));
    cr_assert(has(&set, "2001:db8::") && has(&set, "2001:db8:7fff:ffff:ffff:ffff:ffff:ffff"));
    cr_assert_not(has(&set, "2001:db8:8000::") || has(&set, "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff"));
    cr_assert(has(&set, "::1"));
    cr_assert_not(has(&set, "::") || has(&set, "::2") || has(&set, "0.0.0.1"));
}

Test(address_set, everything)
{
    static const char *const v4[] = { "1.2.3.4/0" }, *const v6[] = { "::/0" };
    struct address_set set = build(v4, 1);
    cr_assert(has(&set, "0.0.0.0") && has(&set, "255.255.255.255") && !has(&set, "::"));
    set = build(v6, 1);
    cr_assert(has(&set, "::") && has(&set, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff") &&
              !has(&set, "1.2.3.4"));
}

Test(address_set, what_touches_becomes_one)
{
    static const char *const texts[] = { "10.0.1.0/24",       "10.0.0.0/24",    "10.0.0.128/25",
                                         "10.0.3.0/24",       "10.0.0.77",      "2001:db8::/64",
                                         "2001:db8:0:1::/64", "255.255.255.255" };
    struct address_set set = build(texts, COUNT_OF(texts));
    cr_assert_eq(set.v4.count, 3);
    cr_assert_eq(set.v6.count, 1);
    cr_assert(has(&set, "10.0.1.255") && !has(&set, "10.0.2.0") && has(&set, "10.0.3.0"));
}

/* The same answers as looking at one range after the other. */
Test(address_set, random_ranges)
{
    srandom(20240229);
    for (unsigned round = 0; round < 200; round++) {
        struct address_range items[40];
        struct address_ranges ranges = { items, (uint32_t)random() % COUNT_OF(items) };
        for (uint32_t i = 0; i < ranges.count; i++) {
            items[i] = (struct address_range){ .is_v6 = random() % 2 == 0 };
            items[i].prefix_bits = (uint8_t)((uint32_t)random() % (items[i].is_v6 ? 129u : 33u));
            for (size_t j = 0; j < (items[i].is_v6 ? 16u : 4u); j++)
                items[i].bytes[j] = (uint8_t)(random() % 3 ? 0 : random() & 255);
        }
        struct address_set set;
        cr_assert(address_set_build(&set, &ranges, &arena));
        for (unsigned i = 0; i < 200; i++) {
            struct address address = { .v6 = { .sin6_family = AF_INET6 }, .size = sizeof(address.v6) };
            for (size_t j = 0; j < 16; j++)
                address.v6.sin6_addr.s6_addr[j] = random() % 3 ? 0 : (uint8_t)random();
            if (random() % 2)
                address =
                    (struct address){ .v4 = { .sin_family = AF_INET, .sin_addr.s_addr = (uint32_t)random() },
                                      .size = sizeof(address.v4) };
            cr_assert_eq(address_set_has(&set, &address), address_in_ranges(&address, &ranges));
        }
    }
}

/* Many, some close together and some far apart, asked for at their edges. */
Test(address_set, many_ranges)
{
    enum { COUNT = 3000 };
    struct address_range *items = arena_array(&arena, COUNT, sizeof(*items));
    struct address_ranges ranges = { items, COUNT };
    struct address_set set;
    cr_assert_not_null(items);
    srandom(20240301);
    for (uint32_t i = 0; i < COUNT; i++) {
        items[i] = (struct address_range){ .is_v6 = i % 2,
                                           .prefix_bits = (uint8_t)(i % 2 ? 62 + i % 67 : 20 + i % 13) };
        for (size_t j = 0; j < (i % 2 ? 16u : 4u); j++)
            items[i].bytes[j] = (uint8_t)random();
        memcpy(items[i].bytes, i % 2 ? "\x20\x01\x0d" : "\x0a", i % 3 ? i % 2 ? 3 : 1 : 0);
    }
    cr_assert(address_set_build(&set, &ranges, &arena));
    for (uint32_t i = 0; i < COUNT; i++)
        for (int edge = -1; edge <= 1; edge++) {
            struct address address = { .v4 = { .sin_family = AF_INET }, .size = sizeof(address.v4) };
            if (items[i].is_v6) {
                address = (struct address){ .v6 = { .sin6_family = AF_INET6 }, .size = sizeof(address.v6) };
                memcpy(&address.v6.sin6_addr, items[i].bytes, 16);
                address.v6.sin6_addr.s6_addr[7] = (uint8_t)(address.v6.sin6_addr.s6_addr[7] + edge);
            } else {
                memcpy(&address.v4.sin_addr, items[i].bytes, 4);
                address.v4.sin_addr.s_addr += htonl((uint32_t)edge * 4096u);
            }
            cr_assert_eq(address_set_has(&set, &address), address_in_ranges(&address, &ranges));
        }
}

Test(address_set, memory)
{
    struct arena small;
    struct address_range items[1000] = { { .prefix_bits = 32 } };
    struct address_ranges ranges = { items, COUNT_OF(items) };
    struct address_set set;
    arena_init(&small, NULL, 0, 1024);
    cr_assert_not(address_set_build(&set, &ranges, &small));
    arena_deinit(&small);
}
