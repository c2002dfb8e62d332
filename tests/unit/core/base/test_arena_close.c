/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/arena.h"

#include <criterion/criterion.h>

struct log {
    char text[8];
    size_t size;
};

struct noted {
    struct log *log;
    char name;
};

static void note(void *pointer)
{
    struct noted *noted = pointer;
    noted->log->text[noted->log->size++] = noted->name;
}

static void add(struct arena *arena, struct log *log, char name)
{
    struct noted *noted = arena_alloc(arena, sizeof(*noted));
    *noted = (struct noted){ .log = log, .name = name };
    cr_assert(arena_on_close(arena, note, noted));
}

Test(arena_close, newest_first_and_once)
{
    struct arena arena;
    struct log log = { .size = 0 };
    arena_init(&arena, NULL, 0, 100000);
    add(&arena, &log, 'a');
    add(&arena, &log, 'b');
    arena_reset(&arena);
    cr_assert_str_eq(log.text, "ba");
    add(&arena, &log, 'c');
    arena_deinit(&arena);
    arena_deinit(&arena);
    cr_assert_str_eq(log.text, "bac");
}

Test(arena_close, also_in_the_first_memory)
{
    _Alignas(8) char memory[512];
    struct arena arena;
    struct log log = { .size = 0 };
    arena_init(&arena, memory, sizeof(memory), 0);
    add(&arena, &log, 'a');
    arena_reset(&arena);
    cr_assert_str_eq(log.text, "a");
    arena_deinit(&arena);
    cr_assert_str_eq(log.text, "a");
}

Test(arena_close, tells_when_memory_is_exhausted)
{
    struct arena arena;
    struct log log = { .size = 0 };
    struct noted noted = { .log = &log, .name = 'a' };
    arena_init(&arena, NULL, 0, 0);
    cr_assert_not(arena_on_close(&arena, note, &noted));
    arena_deinit(&arena);
    cr_assert_eq(log.size, 0);
}
