/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/proxy_cache_control.h"

#include "core/base/check.h"

#include <criterion/criterion.h>

#define NOW_MS UINT64_C(1795348830000) /* Sun, 22 Nov 2026 12:00:30 GMT */

static struct arena arena;
static struct message message;

static void start(void)
{
    arena_init(&arena, NULL, 0, 1024 * 1024);
    message_init(&message, &arena);
}

static void stop(void)
{
    arena_deinit(&arena);
}

TestSuite(proxy_cache_control, .init = start, .fini = stop);

static void field(const char *name, const char *value)
{
    cr_assert(message_add(&message, slice_of(name), slice_of(value)));
}

static struct control read_one(const char *value)
{
    message_init(&message, &arena);
    field("cache-control", value);
    return control_read(&message);
}

static const struct {
    const char *text;
    int64_t max_age_s;
} max_ages[] = {
    { "max-age=5", 5 },
    { "MAX-AGE=5", 5 },
    { "max-age=\"5\"", 5 },
    { " , ,max-age=5", 5 },
    { "public, max-age=5, x=y", 5 },
    { "max-age=5;x", 0 },
    { "max-age=5, max-age=9", 5 },
    { "x=\"a, max-age=9\", max-age=5", 5 },
    { "x=\"a\\\", max-age=9\", max-age=5", 5 },
    { "max-age=99999999999999999999999", CONTROL_SECONDS_MAX },
    { "max-age=-1", 0 },
    { "max-age=5.5", 0 },
    { "max-age='5'", 0 },
    { "max-age", 0 },
    { "max-age=", 0 },
    { "max-age =5", 0 },
    { "max-age= 5", 0 },
    { "x-max-age=5", -1 },
    { "max-age-x=5", -1 },
    { "", -1 },
    { "\"max-age=5\"", -1 },
    { "x=\"max-age=5", -1 },
};

Test(proxy_cache_control, numbers)
{
    for (size_t i = 0; i < COUNT_OF(max_ages); i++)
        cr_assert_eq(read_one(max_ages[i].text).max_age_s, max_ages[i].max_age_s, "%s: %lld",
                     max_ages[i].text, (long long)read_one(max_ages[i].text).max_age_s);
}

Test(proxy_cache_control, flags)
{
    struct control all = read_one("no-store, no-cache, private, public, must-revalidate, only-if-cached");
    cr_assert_eq(all.flags, 63);
    cr_assert_eq(read_one("no-cache=\"set-cookie\", Private=\"a,b\"").flags,
                 CONTROL_NO_CACHE | CONTROL_PRIVATE);
    cr_assert_eq(read_one("proxy-revalidate").flags, CONTROL_MUST_REVALIDATE);
    struct control stale = read_one("max-stale, min-fresh=3, stale-if-error=4, stale-while-revalidate=5");
    cr_assert(stale.flags == CONTROL_MAX_STALE && stale.max_stale_s == -1 && stale.min_fresh_s == 3);
    cr_assert(stale.if_error_s == 4 && stale.while_revalidate_s == 5);
    cr_assert_eq(read_one("max-stale=7").max_stale_s, 7);
}

Test(proxy_cache_control, several_lines)
{
    field("Cache-Control", "private");
    field("Cache-control", "s-maxage=3");
    struct control control = control_read(&message);
    cr_assert(control.flags == CONTROL_PRIVATE && control.s_maxage_s == 3);
}

static const struct {
    const char *control, *expires, *date, *age; /* NULL: absent */
    int64_t lifetime_s, age_s;
} rows[] = {
    { "", NULL, NULL, NULL, -1, 0 },
    { "max-age=10", NULL, NULL, NULL, 10, 0 },
    { "max-age=10, s-maxage=20", "Fri, 01 Jan 2100 00:00:00 GMT", NULL, NULL, 20, 0 },
    { "max-age=10", "Fri, 01 Jan 2100 00:00:00 GMT", NULL, NULL, 10, 0 },
    { "", "Sun, 22 Nov 2026 12:01:30 GMT", NULL, NULL, 60, 0 },
    { "", "Sun, 22 Nov 2026 12:01:30 GMT", "Sun, 22 Nov 2026 12:01:00 GMT", NULL, 30, 0 },
    { "", "Sun, 22 Nov 2026 12:01:30 GMT", "Sun, 22 Nov 2026 12:00:00 GMT", NULL, 90, 30 },
    { "", "0", NULL, NULL, 0, 0 },
    { "", "Sun, 22 Nov 2020 12:01:30 GMT", NULL, NULL, 0, 0 },
    { "max-age=10", NULL, "Sun, 22 Nov 2026 12:00:20 GMT", NULL, 10, 10 },
    { "max-age=10", NULL, "Sun, 22 Nov 2026 12:00:20 GMT", "7", 10, 10 },
    { "max-age=10", NULL, "Sun, 22 Nov 2026 12:00:25 GMT", "7", 10, 7 },
    { "max-age=10", NULL, "nonsense", "7, 9", 10, 7 },
    { "max-age=10", NULL, NULL, "-7", 10, 0 },
    { "max-age=10", NULL, NULL, "7x", 10, 0 },
};

Test(proxy_cache_control, freshness)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct control control = read_one(rows[i].control);
        if (rows[i].expires)
            field("Expires", rows[i].expires);
        if (rows[i].date)
            field("Date", rows[i].date);
        if (rows[i].age)
            field("Age", rows[i].age);
        struct freshness got = freshness_read(&message, &control, NOW_MS, NOW_MS);
        cr_assert_eq(got.lifetime_s, rows[i].lifetime_s, "row %zu: %lld", i, (long long)got.lifetime_s);
        cr_assert_eq(got.age_s, rows[i].age_s, "row %zu: %lld", i, (long long)got.age_s);
    }
}

Test(proxy_cache_control, the_time_on_the_way_counts)
{
    struct control control = read_one("max-age=10");
    cr_assert_eq(freshness_read(&message, &control, NOW_MS - 3500, NOW_MS).age_s, 3);
}

Test(proxy_cache_control, entity_tags)
{
    static const struct {
        const char *list, *etag;
        bool matches;
    } tags[] = {
        { "\"a\"", "\"a\"", true },
        { "W/\"a\"", "\"a\"", true },
        { "\"a\"", "W/\"a\"", true },
        { "\"b\", \"a\"", "\"a\"", true },
        { "\"b\",\"a\"", "\"a\"", true },
        { "*", "\"a\"", true },
        { " \"a\" ", "\"a\"", true },
        { "\"b,\"a\"", "\"a\"", false },
        { "\"x, y\", \"a\"", "\"a\"", true },
        { "\"a", "\"a\"", false },
        { "a", "\"a\"", false },
        { "a", "a", true },
        { "", "\"a\"", false },
        { ",,", "\"a\"", false },
        { "\"\"", "\"\"", true },
        { "W/", "\"a\"", false },
        { "\"aa\"", "\"a\"", false },
    };
    for (size_t i = 0; i < COUNT_OF(tags); i++)
        cr_assert_eq(etag_list_matches(slice_of(tags[i].list), slice_of(tags[i].etag)), tags[i].matches, "%s",
                     tags[i].list);
    cr_assert(etag_is_same(SLICE("\"a\""), SLICE("\"a\"")));
    cr_assert_not(etag_is_same(SLICE("W/\"a\""), SLICE("W/\"a\"")));
    cr_assert_not(etag_is_same(SLICE(""), SLICE("")));
}
