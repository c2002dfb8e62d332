/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/quota.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

enum { THREADS_MAX = 8 };

static struct quota *quota_make(unsigned shard_count, uint64_t entries)
{
    struct quota *quota = quota_open(shard_count);
    cr_assert(quota != NULL && quota_make_room(quota, entries));
    return quota;
}

static struct quota_window window_at(uint64_t key, uint32_t number, uint32_t limit)
{
    return (
        struct quota_window){ .key = key, .number = number, .limit = limit, .ends_s = (uint64_t)number + 1 };
}

static struct quota_clock clock_at(uint64_t now_s)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (struct quota_clock){ now_s, (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec };
}

static enum quota_result take(struct quota *quota, unsigned shard, struct quota_window window)
{
    struct quota_view view;
    struct quota_clock clock = clock_at(window.number);
    return quota_take(quota, shard, &window, &clock, &view);
}

/* --- one thread ----------------------------------------------------------------------------------------- */

Test(quota, remaining_falls_to_zero)
{
    struct quota *quota = quota_make(2, 64);
    struct quota_clock clock = clock_at(5);
    struct quota_window window = window_at(7, 5, 3);
    struct quota_view view;
    cr_assert_eq(quota_peek(quota, &window, &view), QUOTA_TAKEN);
    cr_assert_eq(view.remaining, 3);
    for (uint32_t i = 0; i < 3; i++) {
        cr_assert_eq(quota_take(quota, i & 1, &window, &clock, &view), QUOTA_TAKEN);
        cr_assert_eq(view.remaining, 2 - i);
    }
    cr_assert_eq(quota_take(quota, 0, &window, &clock, &view), QUOTA_EXHAUSTED);
    cr_assert_eq(view.remaining, 0);
    cr_assert_eq(quota_peek(quota, &window, &view), QUOTA_EXHAUSTED);
    quota_close(quota);
}

Test(quota, windows_only_move_on)
{
    struct quota *quota = quota_make(1, 64);
    cr_assert_eq(take(quota, 0, window_at(7, 100, 1)), QUOTA_TAKEN);
    cr_assert_eq(take(quota, 0, window_at(7, 101, 1)), QUOTA_TAKEN);
    /* A clock behind does not open the old window again, its request counts in the new one. */
    cr_assert_eq(take(quota, 0, window_at(7, 100, 1)), QUOTA_EXHAUSTED);
    cr_assert_eq(take(quota, 0, window_at(7, 101, 2)), QUOTA_TAKEN);
    cr_assert_eq(take(quota, 0, window_at(7, 102, 1)), QUOTA_TAKEN);
    quota_close(quota);
}

Test(quota, window_numbers_wrap_after_a_long_pause)
{
    struct quota *quota = quota_make(1, 64);
    cr_assert_eq(take(quota, 0, window_at(7, 1000, 1)), QUOTA_TAKEN);
    cr_assert_eq(take(quota, 0, window_at(7, 1000 + (1u << 24), 1)), QUOTA_TAKEN);
    cr_assert_eq(take(quota, 0, window_at(7, 1000 + (1u << 24) + (1u << 23), 1)), QUOTA_TAKEN);
    quota_close(quota);
}

/* One shard gets all the requests, or all take turns: the leases of the others are found. */
static void check_one_thread(unsigned shards, uint32_t limit, unsigned users)
{
    struct quota *quota = quota_make(shards, 64);
    for (uint32_t number = 1; number < 4; number++) {
        uint32_t taken = 0;
        for (uint32_t i = 0; i < limit + 100; i++)
            taken += take(quota, i % users, window_at(9, number, limit)) == QUOTA_TAKEN;
        cr_assert_eq(taken, limit, "%u shards, limit %u: %u", shards, limit, taken);
    }
    quota_close(quota);
}

Test(quota, one_thread_takes_exactly_the_limit)
{
    static const uint32_t limits[] = { 1, 2, 63, 64, 65, 127, 200, 576, 577, 1000, 5000, 20001 };
    for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
        check_one_thread(1, limits[i], 1);
        check_one_thread(8, limits[i], 1);
        check_one_thread(8, limits[i], 8);
        check_one_thread(3, limits[i], 2);
    }
}

Test(quota, a_changed_limit_counts_at_once)
{
    struct quota *quota = quota_make(2, 64);
    for (int i = 0; i < 5; i++)
        cr_assert_eq(take(quota, 0, window_at(7, 1, 10)), QUOTA_TAKEN);
    cr_assert_eq(take(quota, 0, window_at(7, 1, 5)), QUOTA_EXHAUSTED);
    cr_assert_eq(take(quota, 1, window_at(7, 1, 6)), QUOTA_TAKEN);
    cr_assert_eq(take(quota, 1, window_at(7, 1, 6)), QUOTA_EXHAUSTED);
    quota_close(quota);
}

Test(quota, a_lowered_limit_makes_leases_beyond_it_void)
{
    struct quota *quota = quota_make(4, 64);
    for (int i = 0; i < 1000; i++)
        cr_assert_eq(take(quota, (unsigned)i % 4, window_at(7, 1, 100000)), QUOTA_TAKEN);
    for (unsigned i = 0; i < 4; i++)
        cr_assert_eq(take(quota, i, window_at(7, 1, 500)), QUOTA_EXHAUSTED);
    quota_close(quota);
}

Test(quota, what_is_returned_can_be_taken_again)
{
    static const uint32_t limits[] = { 1, 50, 3000 };
    for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
        struct quota *quota = quota_make(2, 64);
        struct quota_window window = window_at(7, 1, limits[i]);
        for (uint32_t j = 0; j < limits[i]; j++) {
            cr_assert_eq(take(quota, 0, window), QUOTA_TAKEN);
            quota_return(quota, 0, &window);
            cr_assert_eq(take(quota, j & 1, window), QUOTA_TAKEN);
        }
        cr_assert_eq(take(quota, 1, window), QUOTA_EXHAUSTED);
        quota_return(quota, 1, &window);
        cr_assert_eq(take(quota, 0, window), QUOTA_TAKEN);
        cr_assert_eq(take(quota, 0, window), QUOTA_EXHAUSTED);
        struct quota_window next = window_at(7, 2, limits[i]);
        quota_return(quota, 1, &next); /* of a window that nobody has opened yet: harmless */
        quota_close(quota);
    }
}

Test(quota, a_full_bucket_forgets_the_window_that_ends_first)
{
    struct quota *quota = quota_make(1, 8);
    for (uint32_t key = 1; key <= 8; key++) {
        struct quota_window window = { .key = key, .number = 1, .limit = 1, .ends_s = 100 + key };
        cr_assert_eq(take(quota, 0, window), QUOTA_TAKEN);
    }
    cr_assert_eq(quota_read_stats(quota, 0).evictions, 0);
    struct quota_window ninth = { .key = 9, .number = 1, .limit = 1, .ends_s = 200 };
    cr_assert_eq(take(quota, 0, ninth), QUOTA_TAKEN);
    cr_assert_eq(quota_read_stats(quota, 0).evictions, 1);
    struct quota_window kept = { .key = 2, .number = 1, .limit = 1, .ends_s = 102 };
    cr_assert_eq(take(quota, 0, kept), QUOTA_EXHAUSTED);
    quota_close(quota);
}

Test(quota, an_ended_window_gives_its_place_up)
{
    struct quota *quota = quota_make(1, 8);
    for (uint32_t key = 1; key <= 1000; key++)
        cr_assert_eq(take(quota, 0, window_at(key, key / 4, 1)), QUOTA_TAKEN);
    cr_assert_eq(quota_read_stats(quota, 0).evictions, 0);
    quota_close(quota);
}

/* --- many threads --------------------------------------------------------------------------------------- */

struct hammer {
    struct quota *quota;
    unsigned threads, index;
    uint32_t limit, key_count, window_count;
    uint32_t requests; /* per key and window */
    bool returns;
    pthread_barrier_t *barrier;
    _Atomic uint32_t *taken; /* per key and window */
};

static void hammer_key(struct hammer *hammer, uint32_t key, uint32_t number, unsigned *seed)
{
    struct quota_window window = window_at(key + 1, number + 1, hammer->limit);
    for (uint32_t i = 0; i < hammer->requests; i++) {
        if (take(hammer->quota, hammer->index, window) != QUOTA_TAKEN)
            continue;
        if (hammer->returns && rand_r(seed) % 4 == 0)
            quota_return(hammer->quota, hammer->index, &window);
        else
            atomic_fetch_add(&hammer->taken[key * hammer->window_count + number], 1);
    }
}

static void *hammer_run(void *argument)
{
    struct hammer *hammer = argument;
    unsigned seed = hammer->index;
    pthread_barrier_wait(hammer->barrier);
    for (uint32_t number = 0; number < hammer->window_count; number++) {
        for (uint32_t key = 0; key < hammer->key_count; key++)
            hammer_key(hammer, key, number, &seed);
        pthread_barrier_wait(hammer->barrier);
    }
    return NULL;
}

static void hammer_all(struct hammer plan)
{
    pthread_t threads[THREADS_MAX];
    struct hammer hammers[THREADS_MAX];
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, plan.threads);
    plan.barrier = &barrier;
    plan.quota = quota_make(plan.threads, 256);
    plan.taken = calloc(plan.key_count * plan.window_count, sizeof(*plan.taken));
    for (unsigned i = 0; i < plan.threads; i++) {
        hammers[i] = plan;
        hammers[i].index = i;
        pthread_create(&threads[i], NULL, hammer_run, &hammers[i]);
    }
    for (unsigned i = 0; i < plan.threads; i++)
        pthread_join(threads[i], NULL);
    for (uint32_t i = 0; i < plan.key_count * plan.window_count; i++) {
        uint32_t taken = atomic_load(&plan.taken[i]);
        cr_assert(plan.returns ? taken <= plan.limit : taken == plan.limit, "%u threads, limit %u: %u",
                  plan.threads, plan.limit, taken);
    }
    free((void *)plan.taken);
    quota_close(plan.quota);
    pthread_barrier_destroy(&barrier);
}

/* Barely more requests than the limit: one token out of sight for a moment would leave the sum short. */
Test(quota, any_number_of_shards_takes_exactly_the_limit, .timeout = 120)
{
    static const uint32_t limits[] = { 1, 7, 64, 100, 513, 577, 1000, 4096, 10007, 100000 };
    static const unsigned threads[] = { 1, 2, 8 };
    for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++)
        for (size_t j = 0; j < sizeof(threads) / sizeof(*threads); j++)
            hammer_all((struct hammer){ .threads = threads[j],
                                        .limit = limits[i],
                                        .key_count = limits[i] > 5000 ? 1 : 3,
                                        .window_count = 3,
                                        .requests = limits[i] / threads[j] + 1 });
}

Test(quota, returning_never_lets_more_than_the_limit_through, .timeout = 120)
{
    for (unsigned threads = 1; threads <= 8; threads *= 2)
        hammer_all((struct hammer){ .threads = threads,
                                    .limit = 600,
                                    .key_count = 4,
                                    .window_count = 4,
                                    .requests = 1500 / threads,
                                    .returns = true });
}

/* Threads whose clocks disagree about the window: each window lets at most the limit through. */
static void *edge_run(void *argument)
{
    struct hammer *hammer = argument;
    unsigned seed = hammer->index + 99;
    pthread_barrier_wait(hammer->barrier);
    for (uint32_t i = 0; i < hammer->requests; i++) {
        uint32_t number = 10 + i * hammer->window_count / hammer->requests + (uint32_t)rand_r(&seed) % 2;
        if (take(hammer->quota, hammer->index, window_at(77, number, hammer->limit)) == QUOTA_TAKEN)
            atomic_fetch_add(hammer->taken, 1);
    }
    return NULL;
}

Test(quota, clocks_may_disagree_at_the_edge, .timeout = 60)
{
    enum { COUNT = 4, WINDOWS = 20, LIMIT = 400 };
    pthread_t threads[COUNT];
    struct hammer hammers[COUNT];
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, COUNT);
    _Atomic uint32_t taken = 0;
    struct quota *quota = quota_make(COUNT, 64);
    for (unsigned i = 0; i < COUNT; i++) {
        hammers[i] = (struct hammer){ .quota = quota,
                                      .index = i,
                                      .limit = LIMIT,
                                      .window_count = WINDOWS,
                                      .requests = 30000,
                                      .barrier = &barrier,
                                      .taken = &taken };
        pthread_create(&threads[i], NULL, edge_run, &hammers[i]);
    }
    for (unsigned i = 0; i < COUNT; i++)
        pthread_join(threads[i], NULL);
    cr_assert_leq(taken, (WINDOWS + 1) * LIMIT);
    quota_close(quota);
    pthread_barrier_destroy(&barrier);
}

/* More keys than places, all of them leased: nothing breaks, and no key gets more than its limit from what
 * was another key's. */
static void *churn_run(void *argument)
{
    struct hammer *hammer = argument;
    unsigned seed = hammer->index;
    pthread_barrier_wait(hammer->barrier);
    for (uint32_t i = 0; i < hammer->requests; i++) {
        uint32_t key = (uint32_t)rand_r(&seed) % hammer->key_count;
        for (int burst = 0; burst < 100; burst++)
            take(hammer->quota, hammer->index, window_at(key + 1, 1, hammer->limit));
    }
    return NULL;
}

Test(quota, keys_replace_each_other, .timeout = 60)
{
    enum { COUNT = 4 };
    pthread_t threads[COUNT];
    struct hammer hammers[COUNT];
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, COUNT);
    struct quota *quota = quota_make(COUNT, 8);
    for (unsigned i = 0; i < COUNT; i++) {
        hammers[i] = (struct hammer){
            .quota = quota, .index = i, .limit = 100000, .key_count = 12, .requests = 500, .barrier = &barrier
        };
        pthread_create(&threads[i], NULL, churn_run, &hammers[i]);
    }
    uint64_t evictions = 0;
    for (unsigned i = 0; i < COUNT; i++) {
        pthread_join(threads[i], NULL);
        evictions += quota_read_stats(quota, i).evictions;
    }
    cr_assert_gt(evictions, 0);
    struct quota_view view;
    struct quota_window window = window_at(1, 2, 300);
    struct quota_clock clock = clock_at(2);
    uint32_t taken = 0;
    for (int i = 0; i < 400; i++)
        taken += quota_take(quota, 0, &window, &clock, &view) == QUOTA_TAKEN;
    cr_assert_eq(taken, 300);
    quota_close(quota);
    pthread_barrier_destroy(&barrier);
}

/* --- counting many at once ------------------------------------------------------------------------------ */

static uint32_t count(struct quota *quota, struct quota_window window, int64_t amount)
{
    struct quota_view view;
    struct quota_clock clock = clock_at(window.number);
    quota_count(quota, &window, &clock, amount);
    (void)quota_peek(quota, &window, &view);
    return view.remaining;
}

Test(quota, amounts_count_as_far_as_the_limit)
{
    static const struct {
        int64_t amount;
        uint32_t remaining;
    } steps[] = { { 3, 7 },  { 0, 7 },     { 6, 1 },         { 2, 0 },         { 1, 0 },
                  { -4, 4 }, { -100, 10 }, { -1, 10 },       { INT64_MAX, 0 }, { INT64_MIN, 10 },
                  { 10, 0 }, { -1, 1 },    { UINT32_MAX, 0 } };
    struct quota *quota = quota_make(2, 64);
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        uint32_t remaining = count(quota, window_at(7, 5, 10), steps[i].amount);
        cr_assert_eq(remaining, steps[i].remaining, "step %zu: %u", i, remaining);
    }
    quota_close(quota);
}

Test(quota, amounts_of_the_largest_limit)
{
    struct quota *quota = quota_make(1, 64);
    cr_assert_eq(count(quota, window_at(7, 5, UINT32_MAX), UINT32_MAX - 1), 1);
    cr_assert_eq(count(quota, window_at(7, 5, UINT32_MAX), UINT32_MAX), 0);
    cr_assert_eq(count(quota, window_at(7, 5, UINT32_MAX), -(int64_t)UINT32_MAX), UINT32_MAX);
    quota_close(quota);
}

Test(quota, amounts_of_windows_and_keys_are_apart)
{
    struct quota *quota = quota_make(1, 64);
    cr_assert_eq(count(quota, window_at(7, 5, 10), 4), 6);
    cr_assert_eq(count(quota, window_at(8, 5, 10), 1), 9);
    cr_assert_eq(count(quota, window_at(7, 6, 10), 1), 9, "the next window starts afresh");
    cr_assert_eq(count(quota, window_at(7, 5, 10), 1), 8, "a clock behind counts in the newer one");
    cr_assert_eq(count(quota, window_at(7, 7, 10), -3), 10, "nothing is given back of an older one");
    cr_assert_eq(count(quota, window_at(7, 7, 2), 5), 0);
    cr_assert_eq(count(quota, window_at(7, 7, 10), 0), 8, "a lower limit has forgotten the rest");
    quota_close(quota);
}

static void *count_run(void *argument)
{
    struct hammer *hammer = argument;
    struct quota_window window = window_at(1, 1, hammer->limit);
    struct quota_clock clock = clock_at(1);
    pthread_barrier_wait(hammer->barrier);
    for (uint32_t i = 0; i < hammer->requests; i++) {
        quota_count(hammer->quota, &window, &clock, 5);
        quota_count(hammer->quota, &window, &clock, -2);
    }
    return NULL;
}

Test(quota, no_amount_is_lost_between_threads, .timeout = 60)
{
    enum { COUNT = 4, REQUESTS = 20000, LIMIT = 1000000 };
    pthread_t threads[COUNT];
    struct hammer hammers[COUNT];
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, COUNT);
    struct quota *quota = quota_make(COUNT, 64);
    for (unsigned i = 0; i < COUNT; i++) {
        hammers[i] = (struct hammer){
            .quota = quota, .index = i, .limit = LIMIT, .requests = REQUESTS, .barrier = &barrier
        };
        pthread_create(&threads[i], NULL, count_run, &hammers[i]);
    }
    for (unsigned i = 0; i < COUNT; i++)
        pthread_join(threads[i], NULL);
    cr_assert_eq(count(quota, window_at(1, 1, LIMIT), 0), LIMIT - COUNT * REQUESTS * 3);
    quota_close(quota);
    pthread_barrier_destroy(&barrier);
}
