/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/shared_cache.h"

#include "core/base/hash.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>

enum { ROOM_BYTES = 65536, THREADS = 4, ROUNDS = 20000 };

static struct shared_cache *cache;

static void start(void)
{
    hash_start();
    cache = shared_cache_open(THREADS);
    cr_assert(cache && shared_cache_make_room(cache, ROOM_BYTES));
}

static void stop(void)
{
    shared_cache_close(cache);
}

TestSuite(shared_cache, .init = start, .fini = stop);

static void name_key(unsigned number, unsigned char key[SHARED_KEY_BYTES])
{
    memset(key, 0, SHARED_KEY_BYTES);
    memcpy(key, &number, sizeof(number));
}

/* The payload: the number in every word. Entries are the same when their first words are. */
static struct shared_entry *make(unsigned key, uint64_t group, unsigned value, size_t size)
{
    struct shared_entry *entry = shared_entry_open(size);
    cr_assert_not_null(entry);
    name_key(key, entry->key);
    entry->group = group;
    for (size_t i = 0; i + sizeof(value) <= size; i += sizeof(value))
        memcpy(entry->payload + i, &value, sizeof(value));
    return entry;
}

static bool is_same(const struct shared_entry *old, const struct shared_entry *entry)
{
    return memcmp(old->payload, entry->payload, sizeof(unsigned)) == 0;
}

static bool any_is_same(const struct shared_entry *old, const struct shared_entry *entry)
{
    (void)old;
    (void)entry;
    return true;
}

static struct shared_change put(unsigned key, uint64_t group, unsigned value, size_t size)
{
    return shared_cache_put(cache, make(key, group, value, size), is_same);
}

static unsigned count_of(unsigned number)
{
    unsigned char key[SHARED_KEY_BYTES];
    unsigned count = 0;
    name_key(number, key);
    shared_cache_enter(cache, 0);
    for (struct shared_entry *e = shared_cache_next(cache, key, NULL); e;
         e = shared_cache_next(cache, key, e))
        count++;
    shared_cache_leave(cache, 0);
    return count;
}

static void use(unsigned number)
{
    unsigned char key[SHARED_KEY_BYTES];
    name_key(number, key);
    shared_cache_enter(cache, 0);
    struct shared_entry *entry = shared_cache_next(cache, key, NULL);
    cr_assert_not_null(entry);
    shared_cache_use(entry);
    shared_cache_leave(cache, 0);
}

Test(shared_cache, what_is_put_is_found_and_replaced)
{
    cr_assert_eq(count_of(1), 0);
    cr_assert_eq(put(1, 0, 7, 100).stored, 1);
    cr_assert_eq(count_of(1), 1);
    struct shared_change change = put(1, 0, 7, 100);
    cr_assert(change.stored == 1 && change.removed == 1 && change.bytes == 0);
    cr_assert_eq(put(1, 0, 8, 100).removed, 0);
    cr_assert_eq(count_of(1), 2);
    cr_assert_eq(count_of(2), 0);
}

Test(shared_cache, the_newest_comes_first)
{
    unsigned char key[SHARED_KEY_BYTES];
    name_key(1, key);
    put(1, 0, 1, 64);
    put(1, 0, 2, 64);
    shared_cache_enter(cache, 0);
    cr_assert_eq(shared_cache_next(cache, key, NULL)->payload[0], 2);
    shared_cache_leave(cache, 0);
}

Test(shared_cache, a_key_has_few_variants)
{
    for (unsigned i = 0; i < SHARED_VARIANTS_MAX * 3; i++)
        cr_assert_eq(put(1, 0, i, 64).stored, 1);
    cr_assert_eq(count_of(1), SHARED_VARIANTS_MAX);
}

Test(shared_cache, what_is_used_stays)
{
    unsigned evicted = 0;
    put(0, 0, 0, 1000);
    for (unsigned i = 1; i < 1000; i++) {
        evicted += put(i, 0, i, 1000).evicted;
        use(0);
    }
    cr_assert_eq(count_of(0), 1);
    cr_assert_eq(count_of(1), 0);
    cr_assert_eq(count_of(999), 1);
    cr_assert_gt(evicted, 900);
}

Test(shared_cache, its_bytes_are_bounded_and_add_up)
{
    int64_t bytes = 0;
    for (unsigned i = 0; i < 3000; i++) {
        bytes += put(i % 700, i % 5, i, (i * 37) % 5000).bytes;
        cr_assert(bytes >= 0 && bytes <= ROOM_BYTES);
    }
    bytes += shared_cache_purge(cache).bytes;
    cr_assert_eq(bytes, 0);
    cr_assert_eq(put(1, 0, 1, ROOM_BYTES).stored, 0, "larger than all the room");
}

Test(shared_cache, removing)
{
    unsigned char key[SHARED_KEY_BYTES];
    put(1, 10, 1, 64);
    put(1, 11, 2, 64);
    put(2, 10, 1, 64);
    put(3, 0, 1, 64);
    cr_assert_eq(shared_cache_remove_group(cache, 10).removed, 2);
    cr_assert(count_of(1) == 1 && count_of(2) == 0 && count_of(3) == 1);
    name_key(1, key);
    cr_assert_eq(shared_cache_remove(cache, key).removed, 1);
    cr_assert_eq(shared_cache_purge(cache).removed, 1);
    cr_assert_eq(count_of(3), 0);
}

Test(shared_cache, a_reader_sees_what_was_removed_until_it_leaves)
{
    unsigned char key[SHARED_KEY_BYTES];
    name_key(1, key);
    int64_t bytes = put(1, 0, 9, 64).bytes;
    shared_cache_enter(cache, 0);
    struct shared_entry *entry = shared_cache_next(cache, key, NULL);
    cr_assert_eq(shared_cache_remove(cache, key).bytes, 0, "not freed while it is looked at");
    cr_assert_eq(entry->payload[0], 9);
    cr_assert_null(shared_cache_next(cache, key, NULL));
    shared_cache_leave(cache, 0);
    cr_assert_eq(shared_cache_purge(cache).bytes, -bytes);
}

Test(shared_cache, what_is_held_lives_on)
{
    unsigned char key[SHARED_KEY_BYTES];
    name_key(1, key);
    int64_t bytes = put(1, 0, 9, 64).bytes;
    shared_cache_enter(cache, 0);
    struct shared_entry *entry = shared_cache_next(cache, key, NULL);
    shared_cache_hold(entry);
    shared_cache_leave(cache, 0);
    cr_assert_eq(shared_cache_purge(cache).bytes, 0);
    cr_assert_eq(entry->payload[0], 9);
    cr_assert_eq(shared_cache_release(cache, entry).bytes, -bytes);
}

Test(shared_cache, a_reader_that_stays_stops_storing_and_nothing_more)
{
    for (unsigned i = 0; i < 200; i++)
        put(i, 0, i, 1000);
    shared_cache_enter(cache, 1);
    unsigned stored = 0;
    for (unsigned i = 200; i < 1000; i++)
        stored += put(i, 0, i, 1000).stored;
    cr_assert_lt(stored, 100);
    shared_cache_leave(cache, 1);
    for (unsigned i = 0; i < 100; i++)
        stored = put(i, 0, i, 1000).stored;
    cr_assert_eq(stored, 1);
}

/* --- threads -------------------------------------------------------------------------------------------- */

static void check_payload(const struct shared_entry *entry)
{
    for (size_t i = sizeof(unsigned); i + sizeof(unsigned) <= entry->size; i += sizeof(unsigned))
        cr_assert_eq(memcmp(entry->payload, entry->payload + i, sizeof(unsigned)), 0);
}

static void *work(void *pointer)
{
    unsigned reader = (unsigned)(uintptr_t)pointer, draw = reader * 7919 + 1;
    unsigned char key[SHARED_KEY_BYTES];
    for (unsigned i = 0; i < ROUNDS; i++) {
        draw = draw * 1664525 + 1013904223;
        unsigned number = draw >> 25;
        name_key(number, key);
        if ((draw >> 8) % 16 == 0)
            (void)shared_cache_put(cache, make(number, number % 4 + 1, draw, 64 + draw % 2000), any_is_same);
        if ((draw >> 12) % 1024 == 0)
            (void)shared_cache_remove_group(cache, number % 4 + 1);
        shared_cache_enter(cache, reader);
        struct shared_entry *entry = shared_cache_next(cache, key, NULL), *held = NULL;
        if (entry) {
            check_payload(entry);
            shared_cache_use(entry);
            held = (draw >> 16) % 64 == 0 ? entry : NULL;
        }
        if (held)
            shared_cache_hold(held);
        shared_cache_leave(cache, reader);
        if (held) {
            check_payload(held);
            (void)shared_cache_release(cache, held);
        }
    }
    return NULL;
}

Test(shared_cache, many_threads, .timeout = 120)
{
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, work, (void *)i), 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    (void)shared_cache_purge(cache);
    for (unsigned i = 0; i < 128; i++)
        cr_assert_eq(count_of(i), 0);
}
