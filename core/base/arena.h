/* SPDX-License-Identifier: Apache-2.0 */
/* Bump memory with a limit: everything allocated dies together. It may start in memory of its owner (an
 * exchange's inline page) and grows by malloc. Under ASan what was given back or not yet given out is
 * poisoned. One owner, one thread at a time. */
#pragma once

#include "core/base/check.h"
#include "core/base/poison.h"
#include "core/base/slice.h"

struct arena_page;
struct arena_closer;

struct arena {
    char *next;
    char *end;
    struct arena_page *pages; /* grown ones, newest first */
    struct arena_closer *closers; /* newest first */
    char *first;              /* the owner's memory, or NULL */
    size_t first_size;
    size_t used_bytes; /* in grown pages */
    size_t limit_bytes;
};

/* `first` (may be NULL) stays the owner's. limit_bytes bounds what is grown beyond it. */
void arena_init(struct arena *arena, void *first, size_t first_size, size_t limit_bytes);
void arena_reset(struct arena *arena);  /* forgets everything, keeps the first page */
void arena_deinit(struct arena *arena); /* gives all grown pages back */

/* Aligned to 8 bytes, not zeroed; NULL when the limit or memory is exhausted. */
void *arena_grow(struct arena *arena, size_t size) MUST_CHECK;

static inline void *arena_alloc(struct arena *arena, size_t size)
{
    size_t rounded = (size + 7u) & ~(size_t)7u;
#if !defined(POISON_WORKS)
    if (__builtin_expect(rounded >= size && (size_t)(arena->end - arena->next) >= rounded, 1)) {
        void *memory = arena->next;
        arena->next += rounded;
        return memory;
    }
#endif
    return rounded < size ? NULL : arena_grow(arena, rounded);
}

void *arena_alloc_zero(struct arena *arena, size_t size) MUST_CHECK;

/* count * size with overflow checked. */
void *arena_array(struct arena *arena, size_t count, size_t size) MUST_CHECK;

/* A copy with a terminating NUL; absent stays absent; data == NULL also when memory is exhausted. */
struct slice arena_copy(struct arena *arena, struct slice text) MUST_CHECK;

/* printf into the arena; absent when memory is exhausted. */
struct slice arena_format(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Calls close(pointer) when the arena is reset or deinitialised, before its memory goes, the newest first:
 * for what lives in the arena and owns something outside of it. False when memory is exhausted (nothing is
 * called). */
bool arena_on_close(struct arena *arena, void (*close)(void *pointer), void *pointer) MUST_CHECK;
