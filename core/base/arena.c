/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { PAGE_BYTES = 16 * 1024 };

struct arena_page {
    struct arena_page *older;
    size_t size;
    char data[];
};

struct arena_closer {
    struct arena_closer *older;
    void (*close)(void *pointer);
    void *pointer;
};

static void begin_at(struct arena *arena, char *memory, size_t size)
{
    arena->next = memory;
    arena->end = memory ? memory + size : NULL;
    if (memory)
        POISON(memory, size);
}

void arena_init(struct arena *arena, void *first, size_t first_size, size_t limit_bytes)
{
    *arena = (struct arena){ .first = first, .first_size = first_size, .limit_bytes = limit_bytes };
    begin_at(arena, first, first_size);
}

bool arena_on_close(struct arena *arena, void (*close)(void *pointer), void *pointer)
{
    struct arena_closer *closer = arena_alloc(arena, sizeof(*closer));
    if (closer == NULL)
        return false;
    *closer = (struct arena_closer){ .older = arena->closers, .close = close, .pointer = pointer };
    arena->closers = closer;
    return true;
}

static void call_closers(struct arena *arena)
{
    while (arena->closers) {
        struct arena_closer *closer = arena->closers;
        arena->closers = closer->older;
        closer->close(closer->pointer);
    }
}

void arena_deinit(struct arena *arena)
{
    call_closers(arena);
    struct arena_page *page = arena->pages;
    while (page) {
        struct arena_page *older = page->older;
        UNPOISON(page->data, page->size);
        free(page);
        page = older;
    }
    if (arena->first)
        UNPOISON(arena->first, arena->first_size);
    arena->pages = NULL;
    arena->used_bytes = 0;
    arena->next = arena->end = NULL;
}

void arena_reset(struct arena *arena)
{
    call_closers(arena);
    if (arena->pages)
        arena_deinit(arena);
    begin_at(arena, arena->first, arena->first_size);
}

static bool add_page(struct arena *arena, size_t need)
{
    /* Pages double with use, so that a snapshot of 100 000 routes is a handful of them. */
    size_t size = arena->used_bytes > PAGE_BYTES ? arena->used_bytes : PAGE_BYTES;
    if (size > arena->limit_bytes - arena->used_bytes)
        size = arena->limit_bytes - arena->used_bytes;
    if (size < need)
        size = need;
    if (size > arena->limit_bytes - arena->used_bytes || size > SIZE_MAX - sizeof(struct arena_page))
        return false;
    struct arena_page *page = malloc(sizeof(*page) + size);
    if (page == NULL)
        return false;
    *page = (struct arena_page){ .older = arena->pages, .size = size };
    arena->pages = page;
    arena->used_bytes += size;
    begin_at(arena, page->data, size);
    return true;
}

void *arena_grow(struct arena *arena, size_t size)
{
    size_t gap = 0;
#if defined(POISON_WORKS)
    gap = 8; /* a poisoned gap behind each piece, so that an overrun is seen */
    if (size > SIZE_MAX - gap)
        return NULL;
#endif
    if ((size_t)(arena->end - arena->next) < size + gap && !add_page(arena, size + gap))
        return NULL;
    void *memory = arena->next;
    arena->next += size + gap;
    UNPOISON(memory, size);
    return memory;
}

void *arena_alloc_zero(struct arena *arena, size_t size)
{
    void *memory = arena_alloc(arena, size);
    return memory ? memset(memory, 0, size) : NULL;
}

void *arena_array(struct arena *arena, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        return NULL;
    return arena_alloc_zero(arena, bytes);
}

struct slice arena_copy(struct arena *arena, struct slice text)
{
    if (text.data == NULL || text.size == SIZE_MAX)
        return (struct slice){ NULL, 0 };
    char *copy = arena_alloc(arena, text.size + 1);
    if (copy == NULL)
        return (struct slice){ NULL, 0 };
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    return (struct slice){ copy, text.size };
}

struct slice arena_format(struct arena *arena, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *text = size < 0 ? NULL : arena_alloc(arena, (size_t)size + 1);
    if (text != NULL)
        vsnprintf(text, (size_t)size + 1, format, again);
    va_end(again);
    return (struct slice){ text, text ? (size_t)size : 0 };
}
