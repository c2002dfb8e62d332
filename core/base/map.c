/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/map.h"

#include "core/base/hash.h"

void map_init(struct map *map, struct arena *arena)
{
    *map = (struct map){ .arena = arena };
}

static struct map_entry *slot_of(const struct map *map, struct slice key, uint64_t hash)
{
    uint32_t mask = map->capacity - 1;
    for (uint32_t i = (uint32_t)hash & mask;; i = (i + 1) & mask) {
        struct map_entry *entry = &map->entries[i];
        if (entry->value == NULL || (entry->hash == hash && slice_equal(entry->key, key)))
            return entry;
    }
}

static bool grow(struct map *map)
{
    struct map bigger = { .capacity = map->capacity ? map->capacity * 2 : 8, .count = map->count };
    bigger.arena = map->arena;
    bigger.entries = arena_array(map->arena, bigger.capacity, sizeof(struct map_entry));
    if (bigger.entries == NULL || bigger.capacity <= map->capacity)
        return false;
    for (uint32_t i = 0; i < map->capacity; i++)
        if (map->entries[i].value)
            *slot_of(&bigger, map->entries[i].key, map->entries[i].hash) = map->entries[i];
    *map = bigger;
    return true;
}

bool map_add(struct map *map, struct slice key, void *value, void **existing)
{
    CHECK(value != NULL);
    if (map->count * 2 >= map->capacity && !grow(map))
        return false;
    uint64_t hash = hash_of(key);
    struct map_entry *entry = slot_of(map, key, hash);
    if (existing)
        *existing = entry->value;
    if (entry->value)
        return true;
    *entry = (struct map_entry){ .key = key, .hash = hash, .value = value };
    map->count++;
    return true;
}

void *map_find(const struct map *map, struct slice key)
{
    if (map->count == 0)
        return NULL;
    return slot_of(map, key, hash_of(key))->value;
}
