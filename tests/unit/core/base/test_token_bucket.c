/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/hash.h"
#include "core/base/token_bucket.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>

enum { THREADS_MAX = 8, TRIES = 20000 };

static const uint64_t start_ns = 5000000000; /* some uptime */

static struct token_bucket *find(struct token_buckets *buckets, const char *name)
{
    return token_bucket_find(buckets, slice_of(name), hash_of(slice_of(name)));
}

static uint32_t take_many(struct token_bucket *bucket, const struct token_rate *rate, uint64_t now_ns,
                          uint32_t tries)
{
    uint32_t taken = 0;
    for (uint32_t i = 0; i < tries; i++)
        taken += token_bucket_take(bucket, rate, now_ns);
    return taken;
}

Test(token_bucket, burst_then_rate)
{
    struct token_buckets *buckets = token_buckets_open(10);
    struct token_bucket *bucket = find(buckets, "a");
    struct token_rate rate = token_rate_of(10, 5);
    cr_assert_eq(take_many(bucket, &rate, start_ns, 100), 5);
    cr_assert_eq(take_many(bucket, &rate, start_ns + 99999999, 100), 0);
    cr_assert_eq(take_many(bucket, &rate, start_ns + 100000000, 100), 1);
    cr_assert_eq(take_many(bucket, &rate, start_ns + 350000000, 100), 2);
    cr_assert_eq(take_many(bucket, &rate, start_ns + 400000000, 100), 1); /* the half token was kept */
    cr_assert_eq(take_many(bucket, &rate, start_ns + 9000000000, 100), 5); /* never more than full */
    token_buckets_close(buckets);
}

Test(token_bucket, odd_rates_lose_nothing)
{
    static const double rates[] = { 0.5, 1, 3, 7, 333, 1000, 12345.678, 1e6 };
    struct token_buckets *buckets = token_buckets_open(10);
    for (size_t i = 0; i < COUNT_OF(rates); i++) {
        char name[32];
        snprintf(name, sizeof(name), "%zu", i);
        struct token_bucket *bucket = find(buckets, name);
        struct token_rate rate = token_rate_of(rates[i], 1);
        double seconds = 2000 / rates[i];
        uint32_t taken = 0;
        for (uint64_t step = 0; step <= 200000; step++)
            taken += token_bucket_take(bucket, &rate,
                                       start_ns + (uint64_t)(seconds * 1e9 * (double)step / 200000));
        cr_assert(taken >= 1980 && taken <= 2001, "rate %g: %u", rates[i], taken);
    }
    token_buckets_close(buckets);
}

Test(token_bucket, nothing_and_much)
{
    struct token_buckets *buckets = token_buckets_open(10);
    struct token_rate none = token_rate_of(0, 10), empty = token_rate_of(10, 0);
    struct token_rate slow = token_rate_of(1e-12, 1e6), fast = token_rate_of(1e12, 1);
    cr_assert_eq(take_many(find(buckets, "none"), &none, start_ns, 10), 0);
    cr_assert_eq(take_many(find(buckets, "empty"), &empty, start_ns, 10), 0);
    cr_assert_eq(take_many(find(buckets, "slow"), &slow, start_ns, 10), 1);
    cr_assert_eq(take_many(find(buckets, "fast"), &fast, start_ns, 10), 1);
    cr_assert_eq(take_many(find(buckets, "fast"), &fast, start_ns + 1, 10), 1);
    token_buckets_close(buckets);
}

Test(token_bucket, a_clock_behind_gives_no_more)
{
    struct token_buckets *buckets = token_buckets_open(10);
    struct token_rate rate = token_rate_of(10, 5);
    cr_assert_eq(take_many(find(buckets, "a"), &rate, start_ns, 100), 5);
    cr_assert_eq(take_many(find(buckets, "a"), &rate, start_ns - 1000000, 100), 0);
    token_buckets_close(buckets);
}

Test(token_bucket, found_by_name_and_bounded)
{
    struct token_buckets *buckets = token_buckets_open(2);
    struct token_bucket *a = find(buckets, "a");
    cr_assert(a && find(buckets, "b") && find(buckets, "b") != a);
    cr_assert_eq(find(buckets, "a"), a);
    cr_assert_null(find(buckets, "c"));
    cr_assert_eq(find(buckets, "a"), a);
    token_buckets_close(buckets);
}

struct worker {
    struct token_buckets *buckets;
    struct token_rate rate;
    uint64_t now_ns;
    uint32_t taken;
};

static void *work(void *pointer)
{
    struct worker *worker = pointer;
    for (int i = 0; i < TRIES; i++)
        worker->taken += token_bucket_take(find(worker->buckets, "shared"), &worker->rate, worker->now_ns);
    return NULL;
}

/* What all take together at one time is the burst, and a second later exactly the rate. */
static void check_threads(unsigned count, uint32_t burst)
{
    pthread_t threads[THREADS_MAX];
    struct worker workers[THREADS_MAX];
    struct token_buckets *buckets = token_buckets_open(10);
    for (uint64_t second = 0; second < 2; second++) {
        uint32_t taken = 0, wanted = second ? 500 : burst;
        for (unsigned i = 0; i < count; i++) {
            workers[i] = (struct worker){ buckets, token_rate_of(500, burst), 0, 0 };
            workers[i].now_ns = start_ns + second * 1000000000;
            cr_assert_eq(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
        }
        for (unsigned i = 0; i < count; i++) {
            pthread_join(threads[i], NULL);
            taken += workers[i].taken;
        }
        cr_assert_eq(taken, wanted, "%u threads: %u of %u", count, taken, wanted);
    }
    token_buckets_close(buckets);
}

Test(token_bucket, exact_over_threads)
{
    hash_start();
    check_threads(1, 7777);
    check_threads(2, 7777);
    check_threads(8, 7777);
}
