/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/roster.h"

#include "core/crypto/uuid.h"

#include <stdlib.h>

/* There is one per upstream, and most have one entry: no arena with its pages. */
struct roster *roster_open(struct slice key, uint64_t version)
{
    CHECK(key.size < MODEL_ID_SIZE);
    struct roster *roster = calloc(1, sizeof(*roster));
    if (roster == NULL)
        return NULL;
    roster->holder_count = 1;
    roster->version = version;
    memcpy(roster->id, key.data, key.size);
    roster->key = slice_of(roster->id);
    return roster;
}

/* The entries grow at each power of two. */
static bool make_room(struct roster *roster)
{
    uint32_t count = roster->count;
    if (count > 0 && (count & (count - 1)) != 0)
        return true;
    size_t capacity = count ? (size_t)count * 2 : 1;
    struct roster_entry *entries = reallocarray(roster->entries, capacity, sizeof(*entries));
    if (entries)
        roster->entries = entries;
    return entries != NULL;
}

bool roster_add(struct roster *roster, const struct roster_entry *entry)
{
    char *host = malloc(entry->host.size + 1);
    if (host == NULL || !make_room(roster)) {
        free(host);
        return false;
    }
    if (entry->host.size)
        memcpy(host, entry->host.data, entry->host.size);
    host[entry->host.size] = '\0';
    struct roster_entry *added = &roster->entries[roster->count++];
    *added = *entry;
    added->host = (struct slice){ host, entry->host.size };
    return true;
}

bool roster_host_id(struct slice name, char id[MODEL_ID_SIZE])
{
    static const unsigned char space[UUID_BYTES] = { 1 };
    unsigned char bytes[UUID_BYTES];
    _Static_assert((int)MODEL_ID_SIZE >= (int)UUID_TEXT_SIZE, "an id is a UUID");
    if (!uuid_of_name(space, name, bytes))
        return false;
    uuid_write(bytes, id);
    return true;
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
    for (uint32_t i = 0; i < roster->count; i++)
        free((char *)(uintptr_t)roster->entries[i].host.data);
    free(roster->entries);
    free(roster);
}
