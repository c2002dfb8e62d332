/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/arena.h"

#include <criterion/criterion.h>

enum { LIMIT_BYTES = 1 << 20 };

Test(arena, pieces_are_aligned_and_apart)
{
    struct arena arena;
    _Alignas(8) char first[256];
    arena_init(&arena, first, sizeof(first), LIMIT_BYTES);
    char *last_end = NULL;
    for (size_t size = 1; size < 40; size++) {
        char *piece = arena_alloc(&arena, size);
        cr_assert_not_null(piece);
        cr_assert_eq((uintptr_t)piece % 8, 0);
        if (size == 1)
            cr_assert_eq(piece, first);
        memset(piece, (int)size, size);
        cr_assert(last_end == NULL || piece >= last_end || piece + size <= first + sizeof(first) ||
                  arena.pages != NULL);
        last_end = piece + size;
    }
    cr_assert_not_null(arena.pages);
    arena_deinit(&arena);
}

Test(arena, a_piece_of_no_size_is_not_null)
{
    struct arena arena;
    arena_init(&arena, NULL, 0, LIMIT_BYTES);
    cr_assert_not_null(arena_alloc(&arena, 8));
    cr_assert_not_null(arena_alloc(&arena, 0));
    arena_deinit(&arena);
}

Test(arena, the_limit_bounds_what_is_grown)
{
    static const size_t sizes[] = { 1, 100, 4096, 40000 };
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        struct arena arena;
        size_t got = 0;
        arena_init(&arena, NULL, 0, LIMIT_BYTES);
        while (arena_alloc(&arena, sizes[i]))
            got += sizes[i];
        cr_assert_leq(got, LIMIT_BYTES);
        cr_assert_leq(arena.used_bytes, LIMIT_BYTES);
        if (sizes[i] >= 100)
            cr_assert_geq(got, LIMIT_BYTES / 2, "%zu of pieces of %zu", got, sizes[i]);
        arena_reset(&arena);
        cr_assert_eq(arena.used_bytes, 0);
        cr_assert_not_null(arena_alloc(&arena, sizes[i]));
        arena_deinit(&arena);
    }
}

Test(arena, impossible_sizes_are_refused)
{
    struct arena arena;
    arena_init(&arena, NULL, 0, SIZE_MAX);
    cr_assert_null(arena_alloc(&arena, SIZE_MAX));
    cr_assert_null(arena_alloc(&arena, SIZE_MAX - 7));
    cr_assert_null(arena_array(&arena, SIZE_MAX / 2, 3));
    cr_assert_null(arena_array(&arena, (size_t)1 << 33, (size_t)1 << 33));
    cr_assert_null(arena_copy(&arena, (struct slice){ "", SIZE_MAX }).data);
    arena_deinit(&arena);
    arena_init(&arena, NULL, 0, LIMIT_BYTES);
    cr_assert_null(arena_alloc(&arena, LIMIT_BYTES + 1));
    cr_assert_not_null(arena_alloc(&arena, LIMIT_BYTES / 2));
    arena_deinit(&arena);
}

Test(arena, reset_begins_at_the_first_memory_again)
{
    struct arena arena;
    _Alignas(8) char first[64];
    arena_init(&arena, first, sizeof(first), LIMIT_BYTES);
    for (int round = 0; round < 3; round++) {
        cr_assert_eq((void *)arena_alloc(&arena, 16), (void *)first);
        cr_assert_not_null(arena_alloc(&arena, 5000));
        arena_reset(&arena);
    }
    arena_deinit(&arena);
    memset(first, 1, sizeof(first)); /* the owner's again */
}

Test(arena, arrays_are_zeroed_even_in_used_memory)
{
    struct arena arena;
    _Alignas(8) char first[128];
    memset(first, 7, sizeof(first));
    arena_init(&arena, first, sizeof(first), LIMIT_BYTES);
    uint32_t *numbers = arena_array(&arena, 10, sizeof(*numbers));
    cr_assert_not_null(numbers);
    for (int i = 0; i < 10; i++)
        cr_assert_eq(numbers[i], 0);
    arena_deinit(&arena);
}

Test(arena, copies_end_with_nul_and_absent_stays_absent)
{
    struct arena arena;
    arena_init(&arena, NULL, 0, LIMIT_BYTES);
    struct slice copy = arena_copy(&arena, (struct slice){ "abcdef", 3 });
    cr_assert_str_eq(copy.data, "abc");
    cr_assert_eq(copy.size, 3);
    cr_assert_not_null(arena_copy(&arena, SLICE("")).data);
    cr_assert_null(arena_copy(&arena, (struct slice){ NULL, 0 }).data);
    arena_deinit(&arena);
}

Test(arena, formats)
{
    struct arena arena;
    arena_init(&arena, NULL, 0, 64 * 1024);
    struct slice text = arena_format(&arena, "%d-%.*s", 12, SLICE_FORMAT(SLICE("xyz")));
    cr_assert_str_eq(text.data, "12-xyz");
    cr_assert_eq(text.size, 6);
    text = arena_format(&arena, "%s", "");
    cr_assert_not_null(text.data);
    cr_assert_eq(text.size, 0);
    cr_assert_null(arena_format(&arena, "%*d", 70000, 1).data);
    arena_deinit(&arena);
}
