/* SPDX-License-Identifier: Apache-2.0 */
/* Kong's priorities bit by bit, and what they say to people. */
#include "config/kong/match.h"

#include <criterion/criterion.h>

static struct slice one_host[] = { { "a.test", 6 } }, wild_host[] = { { "a.test", 6 }, { "*.x", 3 } },
                    one_method[] = { { "GET", 3 } };
static struct slice prefix[] = { { "/abc", 4 } };
static struct schema_map_entry two_headers[] = { { .name = { "a", 1 } }, { .name = { "b", 1 } } };
static struct route_endpoint address[] = { { { "10.0.0.1", 8 }, INTEGER_NULL } },
                             range_port[] = { { { "10.0.0.0/8", 10 }, 80 } };

#define HOSTS(list) .hosts = { list, COUNT_OF(list) }
#define KINDS(count) ((uint64_t)(count) << 61)

static const struct {
    struct route route;
    struct slice path;
    bool is_regex;
    uint64_t compatible;
} rows[] = {
    { { HOSTS(one_host) }, { NULL, 0 }, false, KINDS(1) | UINT64_C(1) << 60 },
    { { HOSTS(wild_host) }, { NULL, 0 }, false, KINDS(1) },
    { { .paths = { prefix, 1 } }, { "/abc", 4 }, false, KINDS(1) | 4 },
    { { .paths = { prefix, 1 }, .regex_priority = 7 }, { "/abc", 4 }, false, KINDS(1) | 4 },
    { { .paths = { prefix, 1 }, .regex_priority = 7 },
      { "/a.c", 4 },
      true,
      KINDS(1) | UINT64_C(1) << 51 | UINT64_C(7) << 19 },
    { { .methods = { one_method, 1 }, .headers = { two_headers, 2 } },
      { NULL, 0 },
      false,
      KINDS(2) | UINT64_C(2) << 52 },
    { { HOSTS(one_host), .methods = { one_method, 1 }, .snis = { one_host, 1 }, .paths = { prefix, 1 } },
      { "/abc", 4 },
      false,
      KINDS(4) | UINT64_C(1) << 60 | 4 },
    { { .protocols = PROTOCOL_BIT(PROTOCOL_TCP), .sources = { address, 1 } }, { NULL, 0 }, false, 8 << 4 },
    { { .protocols = PROTOCOL_BIT(PROTOCOL_TCP), .destinations = { range_port, 1 } },
      { NULL, 0 },
      false,
      4 | 1 },
    { { .protocols = PROTOCOL_BIT(PROTOCOL_TLS), .snis = { one_host, 1 } },
      { NULL, 0 },
      false,
      UINT64_C(1) << 61 },
    { { .protocols = PROTOCOL_BIT(PROTOCOL_TCP),
        .sources = { address, 1 },
        .destinations = { range_port, 1 } },
      { NULL, 0 },
      false,
      UINT64_C(1) << 61 | 8 << 4 | 4 | 1 },
    { { .expression = { "x", 1 }, .priority = 12345 }, { NULL, 0 }, false, UINT64_C(0xFF) << 56 | 12345 },
};

Test(kong_priority, bits)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct kong_rank rank = { &rows[i].route, rows[i].path, rows[i].is_regex };
        cr_assert_eq(kong_match_priority(ROUTER_TRADITIONAL_COMPATIBLE, &rank), rows[i].compatible, "row %zu",
                     i);
    }
}

/* host > header > path > method > SNI at the same number of kinds */
Test(kong_priority, traditional_ranks_the_kinds)
{
    const struct route ranked[] = { { HOSTS(wild_host) },
                                    { .headers = { two_headers, 1 } },
                                    { .paths = { prefix, 1 } },
                                    { .methods = { one_method, 1 } },
                                    { .snis = { one_host, 1 } } };
    uint64_t before = UINT64_MAX;
    for (size_t i = 0; i < COUNT_OF(ranked); i++) {
        struct kong_rank rank = { &ranked[i], ranked[i].paths.count ? prefix[0] : (struct slice){ 0 },
                                  false };
        uint64_t priority = kong_match_priority(ROUTER_TRADITIONAL, &rank);
        cr_assert_lt(priority, before, "row %zu", i);
        before = priority;
    }
}

Test(kong_priority, is_explained)
{
    static const char *const texts[] = { "kinds 1 (hosts), plain hosts",
                                         "kinds 1 (hosts), hosts with wildcards",
                                         "kinds 1 (paths), prefix of 4 bytes" };
    struct arena arena;
    arena_init(&arena, NULL, 0, 1u << 20);
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct match_rule rule = { .route = &rows[i].route };
        if (rows[i].path.data)
            rule.path = (struct match_path){ .kind = MATCH_PATH_PREFIX, .text = rows[i].path };
        struct slice text = kong_match_dialects[0].explain_priority(&rule, &arena);
        cr_assert(slice_equal(text, slice_of(texts[i])), "%.*s", SLICE_FORMAT(text));
    }
    arena_deinit(&arena);
}
