/* SPDX-License-Identifier: Apache-2.0 */
/* Token buckets shared by all shards, exact among them: a bucket is one word, the time at which it would
 * be full again, and taking a token is one compare-and-swap that moves this time by what a token takes to
 * come back. Buckets are found by name and stay until the table is closed. Any thread, no lock. */
#pragma once

#include "core/base/check.h"
#include "core/base/slice.h"

#include <stdatomic.h>

struct token_bucket {
    _Alignas(64) _Atomic uint64_t full_at; /* monotonic, in 1/256 nanoseconds; in the past: full */
    struct token_bucket *next; /* in its list */
    uint64_t hash;
    size_t size;
    char name[];
};

struct token_buckets;

/* What one token and a full bucket are worth; see token_rate_of. */
struct token_rate {
    uint64_t token, bucket; /* 1/256 nanoseconds; token 0: none is ever let through */
};

/* `per_second` and `burst` of at least 0; a rate of 0 or less than one token of burst lets nothing through. A
 * bucket that takes longer than a year to fill is taken as that. */
struct token_rate token_rate_of(double per_second, double burst);

/* NULL when memory is exhausted. At most `most` buckets. */
struct token_buckets *token_buckets_open(uint32_t most);
void token_buckets_close(struct token_buckets *buckets);

/* The bucket of that name, full when it is new. `hash` is hash_of(name). NULL: memory is exhausted, or there
 * are too many. */
struct token_bucket *token_bucket_find(struct token_buckets *buckets, struct slice name,
                                       uint64_t hash) MUST_CHECK;

/* Takes one token, if there is one. `now_ns` is monotonic; a shard whose clock is behind gets no more for
 * it. */
bool token_bucket_take(struct token_bucket *bucket, const struct token_rate *rate,
                       uint64_t now_ns) MUST_CHECK;
