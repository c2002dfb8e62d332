/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/map.h"

#include "core/base/hash.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct arena arena;
static struct map map;

static void start(void)
{
    hash_start();
    arena_init(&arena, NULL, 0, 16u << 20);
    map_init(&map, &arena);
}

static void end(void)
{
    arena_deinit(&arena);
}

TestSuite(map, .init = start, .fini = end);

Test(map, an_empty_one_finds_nothing)
{
    cr_assert_null(map_find(&map, SLICE("a")));
    cr_assert_null(map_find(&map, SLICE("")));
}

Test(map, the_first_value_of_a_key_stays)
{
    int first = 1, second = 2;
    void *existing = &second;
    cr_assert(map_add(&map, SLICE("key"), &first, &existing));
    cr_assert_null(existing);
    cr_assert(map_add(&map, SLICE("key"), &second, &existing));
    cr_assert_eq(existing, &first);
    cr_assert(map_add(&map, SLICE("key"), &second, NULL));
    cr_assert_eq(map_find(&map, SLICE("key")), &first);
    cr_assert_eq(map.count, 1);
}

Test(map, keys_are_bytes)
{
    struct slice keys[] = { SLICE(""),     SLICE("\0"), SLICE("\0\0"), SLICE("a\0b"),
                            SLICE("a\0c"), SLICE("a"),  SLICE("A") };
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        cr_assert(map_add(&map, keys[i], &keys[i], NULL));
    cr_assert_eq(map.count, COUNT_OF(keys));
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        cr_assert_eq(map_find(&map, keys[i]), &keys[i]);
    cr_assert_null(map_find(&map, SLICE("\0\0\0")));
}

Test(map, grows_and_keeps_all)
{
    enum { COUNT = 20000 };
    for (uint32_t i = 0; i < COUNT; i++) {
        struct slice *value = arena_alloc(&arena, sizeof(*value));
        cr_assert_not_null(value);
        *value = arena_format(&arena, "key-%u", i);
        cr_assert(map_add(&map, *value, value, NULL));
        cr_assert_leq(map.count * 2, map.capacity + 1);
    }
    cr_assert_eq(map.count, COUNT);
    for (uint32_t i = 0; i < 2 * COUNT; i++) {
        char key[32];
        int size = snprintf(key, sizeof(key), "key-%u", i);
        const struct slice *value = map_find(&map, (struct slice){ key, (size_t)size });
        cr_assert_eq(value != NULL, i < COUNT, "%u", i);
        cr_assert(value == NULL || slice_equal(*value, slice_of(key)));
    }
}

Test(map, says_when_memory_is_exhausted)
{
    struct arena small;
    struct map full;
    arena_init(&small, NULL, 0, 1024);
    map_init(&full, &small);
    static char names[100][4];
    uint32_t added = 0;
    for (uint32_t i = 0; i < COUNT_OF(names); i++) {
        snprintf(names[i], sizeof(names[i]), "%u", i);
        added += map_add(&full, slice_of(names[i]), names[i], NULL);
    }
    cr_assert(added > 0 && added < COUNT_OF(names));
    for (uint32_t i = 0; i < COUNT_OF(names); i++)
        cr_assert_eq(map_find(&full, slice_of(names[i])), i < added ? names[i] : NULL);
    arena_deinit(&small);
}
