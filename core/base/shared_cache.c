/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/shared_cache.h"

#include "core/base/hash.h"
#include "core/base/pages.h"

#include <sched.h>
#include <stdlib.h>

enum {
    LINE_BYTES = 64,
    BYTES_PER_BUCKET = 1024, /* of room: more entries than buckets are rare */
    BUCKETS_MIN = 64,
    BUCKETS_MAX = 1 << 22,
    OVERHEAD_BYTES = 32, /* of malloc, about */
    LOCK_SPINS = 64,
    LOCK_YIELDS = 64,
    PURGE_BATCH = 256 /* removed under one lock */
};

/* `epoch`: in which the reader came in; 0: it is not looking. */
struct reader {
    _Alignas(LINE_BYTES) _Atomic uint64_t epoch;
};

struct shared_cache {
    unsigned reader_count;
    struct reader *readers;
    uint64_t mask;
    _Atomic(struct shared_entry *) *buckets;
    struct list_node *groups; /* as many; all zero: nothing was ever in it */
    uint64_t room_bytes;
    atomic_flag making;
    /* Read by all, written with each removal. */
    _Alignas(LINE_BYTES) _Atomic uint64_t epoch;
    /* Under the lock. */
    _Alignas(LINE_BYTES) atomic_flag lock;
    struct list_node round; /* all entries; the hand moves from its head to its tail */
    struct shared_entry *retired_first, *retired_last;
    uint64_t bytes; /* of all that is not freed yet */
};

/* --- life ----------------------------------------------------------------------------------------------- */

struct shared_cache *shared_cache_open(unsigned reader_count)
{
    struct shared_cache *cache = aligned_alloc(LINE_BYTES, sizeof(*cache));
    struct reader *readers = aligned_alloc(LINE_BYTES, reader_count * sizeof(*readers));
    if (cache == NULL || readers == NULL) {
        free(cache);
        free(readers);
        return NULL;
    }
    memset(cache, 0, sizeof(*cache));
    memset(readers, 0, reader_count * sizeof(*readers));
    cache->reader_count = reader_count;
    cache->readers = readers;
    atomic_init(&cache->epoch, 1);
    list_init(&cache->round);
    return cache;
}

/* Nothing is written into them: pages that are not used cost nothing. */
static bool make_tables(struct shared_cache *cache, uint64_t bytes)
{
    uint64_t count = BUCKETS_MIN;
    while (count < BUCKETS_MAX && count < bytes / BYTES_PER_BUCKET)
        count *= 2;
    cache->buckets = pages_open(count, sizeof(*cache->buckets));
    cache->groups = pages_open(count, sizeof(*cache->groups));
    if (cache->buckets == NULL || cache->groups == NULL) {
        pages_close(cache->buckets, count, sizeof(*cache->buckets));
        pages_close(cache->groups, count, sizeof(*cache->groups));
        cache->buckets = NULL;
        cache->groups = NULL;
        return false;
    }
    cache->mask = count - 1;
    cache->room_bytes = bytes;
    return true;
}

bool shared_cache_make_room(struct shared_cache *cache, uint64_t bytes)
{
    while (atomic_flag_test_and_set_explicit(&cache->making, memory_order_acquire))
        sched_yield();
    bool made = cache->buckets != NULL || make_tables(cache, bytes);
    atomic_flag_clear_explicit(&cache->making, memory_order_release);
    return made;
}

static size_t cost_of(const struct shared_entry *entry)
{
    return sizeof(*entry) + entry->size + OVERHEAD_BYTES;
}

struct shared_entry *shared_entry_open(size_t size)
{
    struct shared_entry *entry = size < SIZE_MAX / 2 ? malloc(sizeof(*entry) + size) : NULL;
    if (entry == NULL)
        return NULL;
    memset(entry, 0, sizeof(*entry));
    entry->size = size;
    return entry;
}

struct shared_entry *shared_entry_resize(struct shared_entry *entry, size_t size)
{
    struct shared_entry *moved = size < SIZE_MAX / 2 ? realloc(entry, sizeof(*entry) + size) : NULL;
    if (moved)
        moved->size = size;
    return moved;
}

void shared_entry_discard(struct shared_entry *entry)
{
    free(entry);
}

static void free_all(struct shared_entry *entry)
{
    while (entry) {
        struct shared_entry *next = entry->retired_next;
        free(entry);
        entry = next;
    }
}

void shared_cache_close(struct shared_cache *cache)
{
    if (cache == NULL)
        return;
    while (!list_is_empty(&cache->round)) {
        struct shared_entry *entry = CONTAINER_OF(cache->round.next, struct shared_entry, round_node);
        list_remove(&entry->round_node);
        free(entry);
    }
    free_all(cache->retired_first);
    pages_close(cache->buckets, cache->mask + 1, sizeof(*cache->buckets));
    pages_close(cache->groups, cache->mask + 1, sizeof(*cache->groups));
    free(cache->readers);
    free(cache);
}

/* --- reading -------------------------------------------------------------------------------------------- */

/* All of this is in one total order (sequentially consistent): either the writer sees that the reader is in,
 * or the reader sees that the entry has gone. */
void shared_cache_enter(struct shared_cache *cache, unsigned reader)
{
    CHECK(reader < cache->reader_count);
    _Atomic uint64_t *own = &cache->readers[reader].epoch;
    CHECK(atomic_load_explicit(own, memory_order_relaxed) == 0);
    atomic_store(own, atomic_load(&cache->epoch));
}

void shared_cache_leave(struct shared_cache *cache, unsigned reader)
{
    atomic_store_explicit(&cache->readers[reader].epoch, 0, memory_order_release);
}

struct shared_entry *shared_cache_next(struct shared_cache *cache, const unsigned char *key,
                                       const struct shared_entry *previous)
{
    struct shared_entry *entry;
    if (previous) {
        entry = atomic_load(&previous->next);
    } else {
        uint64_t hash = hash_of((struct slice){ (const char *)key, SHARED_KEY_BYTES });
        entry = atomic_load(&cache->buckets[hash & cache->mask]);
    }
    while (entry && memcmp(entry->key, key, SHARED_KEY_BYTES) != 0)
        entry = atomic_load(&entry->next);
    return entry;
}

/* Written once per round of the hand, however often it is used. */
void shared_cache_use(struct shared_entry *entry)
{
    if (!atomic_load_explicit(&entry->used, memory_order_relaxed))
        atomic_store_explicit(&entry->used, true, memory_order_relaxed);
}

void shared_cache_hold(struct shared_entry *entry)
{
    atomic_fetch_add_explicit(&entry->holders, 1, memory_order_relaxed);
}

/* --- the lock ------------------------------------------------------------------------------------------- */

static bool try_lock(struct shared_cache *cache)
{
    for (unsigned i = 0; i < LOCK_SPINS + LOCK_YIELDS; i++) {
        if (!atomic_flag_test_and_set_explicit(&cache->lock, memory_order_acquire))
            return true;
        if (i >= LOCK_SPINS)
            sched_yield();
    }
    return false;
}

static void lock(struct shared_cache *cache)
{
    while (!try_lock(cache))
        ;
}

static void unlock(struct shared_cache *cache)
{
    atomic_flag_clear_explicit(&cache->lock, memory_order_release);
}

/* --- removing, under the lock --------------------------------------------------------------------------- */

/* Those who look at it now walk on by its `next`. */
static void retire(struct shared_cache *cache, struct shared_entry *entry)
{
    _Atomic(struct shared_entry *) *at = &cache->buckets[entry->hash & cache->mask];
    for (;;) {
        struct shared_entry *there = atomic_load_explicit(at, memory_order_relaxed);
        if (there == entry)
            break;
        at = &there->next;
    }
    atomic_store(at, atomic_load_explicit(&entry->next, memory_order_relaxed));
    list_remove(&entry->round_node);
    list_remove(&entry->group_node);
    entry->retired_in = atomic_fetch_add(&cache->epoch, 1);
    entry->retired_next = NULL;
    if (cache->retired_last)
        cache->retired_last->retired_next = entry;
    else
        cache->retired_first = entry;
    cache->retired_last = entry;
}

/* The table's hold is one of them. */
static bool let_go(struct shared_entry *entry)
{
    return atomic_fetch_sub_explicit(&entry->holders, 1, memory_order_acq_rel) == 1;
}

/* Puts what nobody can see any more on the list `freed`. */
static void reclaim(struct shared_cache *cache, struct shared_entry **freed, struct shared_change *change)
{
    uint64_t oldest = UINT64_MAX;
    for (unsigned i = 0; cache->retired_first && i < cache->reader_count; i++) {
        uint64_t epoch = atomic_load(&cache->readers[i].epoch);
        if (epoch && epoch < oldest)
            oldest = epoch;
    }
    while (cache->retired_first && cache->retired_first->retired_in < oldest) {
        struct shared_entry *entry = cache->retired_first;
        cache->retired_first = entry->retired_next;
        if (cache->retired_first == NULL)
            cache->retired_last = NULL;
        if (!let_go(entry))
            continue; /* the last holder frees it */
        cache->bytes -= cost_of(entry);
        change->bytes -= (int64_t)cost_of(entry);
        entry->retired_next = *freed;
        *freed = entry;
    }
}

struct shared_change shared_cache_release(struct shared_cache *cache, struct shared_entry *entry)
{
    struct shared_change change = { 0 };
    if (!let_go(entry))
        return change;
    lock(cache);
    cache->bytes -= cost_of(entry);
    unlock(cache);
    change.bytes = -(int64_t)cost_of(entry);
    free(entry);
    return change;
}

/* --- storing -------------------------------------------------------------------------------------------- */

/* The next one without use since the hand came by; NULL: there is none at all. */
static struct shared_entry *find_victim(struct shared_cache *cache)
{
    while (!list_is_empty(&cache->round)) {
        struct shared_entry *entry = CONTAINER_OF(cache->round.next, struct shared_entry, round_node);
        if (!atomic_exchange_explicit(&entry->used, false, memory_order_relaxed))
            return entry;
        list_remove(&entry->round_node);
        list_append(&cache->round, &entry->round_node);
    }
    return NULL;
}

/* Removes others until `cost` fits. False: it does not, because what was removed is still looked at. */
static bool make_space(struct shared_cache *cache, size_t cost, struct shared_entry **freed,
                       struct shared_change *change)
{
    size_t promised = 0;
    for (;;) {
        if (cache->bytes + cost <= cache->room_bytes)
            return true;
        reclaim(cache, freed, change);
        if (cache->bytes + cost <= cache->room_bytes)
            return true;
        struct shared_entry *victim = promised < cost ? find_victim(cache) : NULL;
        if (victim == NULL)
            return false;
        promised += cost_of(victim);
        retire(cache, victim);
        change->evicted++;
    }
}

/* Takes out what the new one stands for, and the oldest when there are too many of its key. */
static void remove_same(struct shared_cache *cache, const struct shared_entry *entry, shared_same_fn *same,
                        struct shared_change *change)
{
    unsigned count = 0;
    struct shared_entry *last = NULL, *next;
    for (struct shared_entry *old = shared_cache_next(cache, entry->key, NULL); old; old = next) {
        next = shared_cache_next(cache, entry->key, old);
        if (same(old, entry)) {
            retire(cache, old);
            change->removed++;
            continue;
        }
        count++;
        last = old;
    }
    if (count < SHARED_VARIANTS_MAX)
        return;
    retire(cache, last);
    change->evicted++;
}

static struct list_node *group_list(struct shared_cache *cache, uint64_t group)
{
    struct list_node *list = &cache->groups[group & cache->mask];
    if (list->next == NULL)
        list_init(list);
    return list;
}

static void insert(struct shared_cache *cache, struct shared_entry *entry, struct shared_change *change)
{
    _Atomic(struct shared_entry *) *bucket = &cache->buckets[entry->hash & cache->mask];
    atomic_init(&entry->holders, 1);
    atomic_init(&entry->next, atomic_load_explicit(bucket, memory_order_relaxed));
    list_append(&cache->round, &entry->round_node);
    list_init(&entry->group_node);
    if (entry->group)
        list_append(group_list(cache, entry->group), &entry->group_node);
    cache->bytes += cost_of(entry);
    change->bytes += (int64_t)cost_of(entry);
    change->stored = 1;
    atomic_store(bucket, entry);
}

struct shared_change shared_cache_put(struct shared_cache *cache, struct shared_entry *entry,
                                      shared_same_fn *same)
{
    struct shared_change change = { 0 };
    struct shared_entry *freed = NULL;
    size_t cost = cost_of(entry);
    entry->hash = hash_of((struct slice){ (const char *)entry->key, SHARED_KEY_BYTES });
    if (cost > cache->room_bytes || !try_lock(cache)) {
        free(entry);
        return change;
    }
    remove_same(cache, entry, same, &change);
    if (make_space(cache, cost, &freed, &change))
        insert(cache, entry, &change);
    reclaim(cache, &freed, &change);
    unlock(cache);
    free_all(freed);
    if (!change.stored)
        free(entry);
    return change;
}

/* --- removing ------------------------------------------------------------------------------------------- */

struct shared_change shared_cache_remove(struct shared_cache *cache, const unsigned char *key)
{
    struct shared_change change = { 0 };
    struct shared_entry *freed = NULL, *next;
    lock(cache);
    for (struct shared_entry *entry = shared_cache_next(cache, key, NULL); entry; entry = next) {
        next = shared_cache_next(cache, key, entry);
        retire(cache, entry);
        change.removed++;
    }
    reclaim(cache, &freed, &change);
    unlock(cache);
    free_all(freed);
    return change;
}

struct shared_change shared_cache_remove_group(struct shared_cache *cache, uint64_t group)
{
    struct shared_change change = { 0 };
    struct shared_entry *freed = NULL;
    lock(cache);
    struct list_node *head = group_list(cache, group), *next;
    for (struct list_node *node = head->next; node != head; node = next) {
        struct shared_entry *entry = CONTAINER_OF(node, struct shared_entry, group_node);
        next = node->next;
        if (entry->group != group)
            continue;
        retire(cache, entry);
        change.removed++;
    }
    reclaim(cache, &freed, &change);
    unlock(cache);
    free_all(freed);
    return change;
}

/* True: there is more. */
static bool purge_some(struct shared_cache *cache, struct shared_change *change)
{
    struct shared_entry *freed = NULL;
    lock(cache);
    for (unsigned i = 0; i < PURGE_BATCH && !list_is_empty(&cache->round); i++) {
        retire(cache, CONTAINER_OF(cache->round.next, struct shared_entry, round_node));
        change->removed++;
    }
    bool more = !list_is_empty(&cache->round);
    reclaim(cache, &freed, change);
    unlock(cache);
    free_all(freed);
    return more;
}

struct shared_change shared_cache_purge(struct shared_cache *cache)
{
    struct shared_change change = { 0 };
    while (purge_some(cache, &change))
        ;
    return change;
}
