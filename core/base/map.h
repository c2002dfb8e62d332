/* SPDX-License-Identifier: Apache-2.0 */
/* A hash table from byte strings to pointers, under a secret hash. It is built once (its memory comes from
 * an arena) and then read by anybody: snapshots hold routes, consumers and credentials in it. Keys are not
 * copied. */
#pragma once

#include "core/base/arena.h"

struct map_entry {
    struct slice key;
    uint64_t hash;
    void *value;
};

struct map {
    struct map_entry *entries; /* a power of two, at most half full */
    uint32_t capacity;
    uint32_t count;
    struct arena *arena;
};

void map_init(struct map *map, struct arena *arena);

/* False when memory is exhausted. A key that is there already keeps its value and *existing gets it (may be
 * NULL when the caller does not care). value must not be NULL. */
bool map_add(struct map *map, struct slice key, void *value, void **existing) MUST_CHECK;

void *map_find(const struct map *map, struct slice key);
