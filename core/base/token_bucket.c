/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/token_bucket.h"

#include <stdlib.h>

enum { LISTS = 1024 }; /* a power of two */
enum { UNITS_PER_NS = 256 };

static const double units_per_s = 1e9 * UNITS_PER_NS;
static const double year_s = 31536000;

struct token_buckets {
    _Atomic(struct token_bucket *) lists[LISTS];
    _Atomic uint32_t count;
    uint32_t most;
};

struct token_rate token_rate_of(double per_second, double burst)
{
    struct token_rate rate = { 0, 0 };
    if (!(per_second > 0) || !(burst >= 1))
        return rate;
    double token = units_per_s / per_second;
    if (token > units_per_s * year_s)
        token = units_per_s * year_s;
    rate.token = token < 1 ? 1 : (uint64_t)(token + 0.5);
    /* Whole tokens, or a part of one would be lost each time the bucket is full. */
    double tokens = burst;
    if (tokens * (double)rate.token > units_per_s * year_s)
        tokens = units_per_s * year_s / (double)rate.token;
    rate.bucket = rate.token * (tokens < 1 ? 1 : (uint64_t)tokens);
    return rate;
}

struct token_buckets *token_buckets_open(uint32_t most)
{
    struct token_buckets *buckets = calloc(1, sizeof(*buckets));
    if (buckets)
        buckets->most = most;
    return buckets;
}

void token_buckets_close(struct token_buckets *buckets)
{
    for (size_t i = 0; buckets && i < LISTS; i++) {
        struct token_bucket *bucket = atomic_load(&buckets->lists[i]);
        while (bucket) {
            struct token_bucket *next = bucket->next;
            free(bucket);
            bucket = next;
        }
    }
    free(buckets);
}

/* From `bucket` up to `end`, which is not looked at. */
static struct token_bucket *search(struct token_bucket *bucket, const struct token_bucket *end,
                                   struct slice name, uint64_t hash)
{
    for (; bucket != end; bucket = bucket->next)
        if (bucket->hash == hash && slice_equal((struct slice){ bucket->name, bucket->size }, name))
            return bucket;
    return NULL;
}

static struct token_bucket *make(struct slice name, uint64_t hash)
{
    size_t size;
    if (__builtin_add_overflow(sizeof(struct token_bucket) + 63, name.size, &size))
        return NULL;
    struct token_bucket *bucket = aligned_alloc(64, size & ~(size_t)63);
    if (bucket == NULL)
        return NULL;
    atomic_init(&bucket->full_at, 0);
    bucket->hash = hash;
    bucket->size = name.size;
    if (name.size)
        memcpy(bucket->name, name.data, name.size);
    return bucket;
}

struct token_bucket *token_bucket_find(struct token_buckets *buckets, struct slice name, uint64_t hash)
{
    _Atomic(struct token_bucket *) *list = &buckets->lists[hash & (LISTS - 1)];
    struct token_bucket *first = atomic_load_explicit(list, memory_order_acquire);
    struct token_bucket *found = search(first, NULL, name, hash);
    if (found)
        return found;
    if (atomic_fetch_add(&buckets->count, 1) >= buckets->most) {
        atomic_fetch_sub(&buckets->count, 1);
        return NULL;
    }
    struct token_bucket *made = make(name, hash);
    while (made) {
        made->next = first;
        struct token_bucket *seen = first;
        if (atomic_compare_exchange_weak_explicit(list, &first, made, memory_order_acq_rel,
                                                  memory_order_acquire))
            return made;
        found = search(first, seen, name, hash); /* only what was put in front since */
        if (found)
            break;
    }
    free(made);
    atomic_fetch_sub(&buckets->count, 1);
    return found;
}

bool token_bucket_take(struct token_bucket *bucket, const struct token_rate *rate, uint64_t now_ns)
{
    uint64_t now = now_ns * UNITS_PER_NS;
    uint64_t full_at = atomic_load_explicit(&bucket->full_at, memory_order_relaxed);
    for (;;) {
        uint64_t after = (full_at > now ? full_at : now) + rate->token;
        if (rate->token == 0 || after - now > rate->bucket)
            return false;
        if (atomic_compare_exchange_weak_explicit(&bucket->full_at, &full_at, after, memory_order_relaxed,
                                                  memory_order_relaxed))
            return true;
    }
}
