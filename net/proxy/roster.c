/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/roster.h"

#include <stdlib.h>

enum { FIRST_ENTRIES = 4 };

struct roster *roster_open(struct slice key, uint64_t version)
{
    struct roster *roster = calloc(1, sizeof(*roster));
    if (roster == NULL)
        return NULL;
    arena_init(&roster->arena, NULL, 0, SIZE_MAX);
    roster->holder_count = 1;
    roster->version = version;
    roster->key = arena_copy(&roster->arena, key);
    if (roster->key.data)
        return roster;
    roster_release(roster);
    return NULL;
}

static bool is_full(uint32_t count)
{
    return count == 0 || (count >= FIRST_ENTRIES && (count & (count - 1)) == 0);
}

bool roster_add(struct roster *roster, const struct roster_entry *entry)
{
    if (is_full(roster->count)) { /* at each power of two */
        uint32_t capacity = roster->count ? roster->count * 2 : FIRST_ENTRIES;
        struct roster_entry *entries = arena_array(&roster->arena, capacity, sizeof(*entries));
        if (entries == NULL)
            return false;
        if (roster->count)
            memcpy(entries, roster->entries, roster->count * sizeof(*entries));
        roster->entries = entries;
    }
    struct roster_entry *added = &roster->entries[roster->count];
    *added = *entry;
    added->host = arena_copy(&roster->arena, entry->host);
    roster->count += added->host.data != NULL;
    return added->host.data != NULL;
}

struct roster *roster_take(struct roster *roster)
{
    __atomic_add_fetch(&roster->holder_count, 1, __ATOMIC_RELAXED);
    return roster;
}

void roster_release(struct roster *roster)
{
    if (roster == NULL || __atomic_sub_fetch(&roster->holder_count, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    arena_deinit(&roster->arena);
    free(roster);
}
