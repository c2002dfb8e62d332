/* SPDX-License-Identifier: Apache-2.0 */
/* A bounded cache of immutable entries that all shards share. Looking up takes no lock and writes only a
 * line of the reader's own; storing and removing take a lock for a few pointers. One per process. Readers are
 * numbered, each is one thread. An entry used since the hand came by last stays, any other makes room.
 *
 * What was removed is freed when no reader can still be looking at it: a reader says in which epoch it came
 * in, each removal begins a new epoch. So a reader stays for one lookup, never for a request. */
#pragma once

#include "core/base/check.h"
#include "core/base/list.h"
#include "core/base/slice.h"

#include <stdatomic.h>

enum { SHARED_KEY_BYTES = 32, SHARED_VARIANTS_MAX = 16 };

struct shared_cache;

/* Made by shared_entry_open and filled by its owner until shared_cache_put; then nobody writes it. */
struct shared_entry {
    unsigned char key[SHARED_KEY_BYTES];
    uint64_t group; /* those of a group can be removed together; 0: of none */
    uint64_t expires_ms; /* of no use from then on */
    size_t size; /* of the payload */

    /* The cache's own. */
    uint64_t hash;
    _Atomic(struct shared_entry *) next; /* in its bucket; still valid when it was removed */
    struct shared_entry *retired_next;
    struct list_node round_node, group_node;
    uint64_t retired_in; /* epoch */
    _Atomic uint32_t holders;
    _Atomic bool used;
    _Alignas(16) char payload[];
};

/* What a call has changed, for counters that sum up over all callers. */
struct shared_change {
    uint32_t stored, removed, evicted;
    int64_t bytes;
};

/* Without room yet; NULL when memory is exhausted. */
struct shared_cache *shared_cache_open(unsigned reader_count);
/* Room for that many bytes. Every reader calls it before it looks; the first call decides. */
bool shared_cache_make_room(struct shared_cache *cache, uint64_t bytes) MUST_CHECK;
/* When nobody reads or holds anything any more. */
void shared_cache_close(struct shared_cache *cache);

/* Around a lookup; whatever it found is copied or held before leaving. */
void shared_cache_enter(struct shared_cache *cache, unsigned reader);
void shared_cache_leave(struct shared_cache *cache, unsigned reader);

/* The entry of that key that was stored last before `previous` (NULL: before now), or NULL. */
struct shared_entry *shared_cache_next(struct shared_cache *cache, const unsigned char *key,
                                       const struct shared_entry *previous);
void shared_cache_use(struct shared_entry *entry);

/* Keeps it beyond leaving, for as long as it takes; once more for each. */
void shared_cache_hold(struct shared_entry *entry);
struct shared_change shared_cache_release(struct shared_cache *cache, struct shared_entry *entry);

/* With room for `size` bytes of payload; NULL when memory is exhausted. Discarded or put. */
struct shared_entry *shared_entry_open(size_t size);
/* Another room for the payload, before it is put; NULL: as it was, memory is exhausted. */
struct shared_entry *shared_entry_resize(struct shared_entry *entry, size_t size);
void shared_entry_discard(struct shared_entry *entry);

/* Does the new entry stand for the same as the old one, which then goes? Both have the same key. */
typedef bool shared_same_fn(const struct shared_entry *old, const struct shared_entry *entry);

/* Takes the entry, which is freed if it cannot be stored (too large, or the cache is busy). Not between enter
 * and leave. */
struct shared_change shared_cache_put(struct shared_cache *cache, struct shared_entry *entry,
                                      shared_same_fn *same);

/* Those of the key, of the group, all. Not between enter and leave. */
struct shared_change shared_cache_remove(struct shared_cache *cache, const unsigned char *key);
struct shared_change shared_cache_remove_group(struct shared_cache *cache, uint64_t group);
struct shared_change shared_cache_purge(struct shared_cache *cache);
