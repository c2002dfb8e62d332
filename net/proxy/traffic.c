/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/traffic.h"

enum { OCTAVE_BITS = 2, OCTAVE_BUCKETS = 1 << OCTAVE_BITS };

static uint64_t seen(const uint64_t *value)
{
    return __atomic_load_n(value, __ATOMIC_RELAXED);
}

static void add(uint64_t *value, uint64_t amount)
{
    __atomic_store_n(value, *value + amount, __ATOMIC_RELAXED);
}

/* Values below OCTAVE_BUCKETS have a bucket each, as the first octaves would have less than one. */
static unsigned bucket_of(uint64_t value_us)
{
    if (value_us < OCTAVE_BUCKETS)
        return (unsigned)value_us;
    unsigned octave = 63 - (unsigned)__builtin_clzll(value_us);
    unsigned part = (unsigned)(value_us >> (octave - OCTAVE_BITS)) & (OCTAVE_BUCKETS - 1);
    unsigned bucket = (octave - OCTAVE_BITS + 1) * OCTAVE_BUCKETS + part;
    return bucket < TRAFFIC_BUCKETS ? bucket : TRAFFIC_BUCKETS - 1;
}

uint64_t traffic_bucket_end_us(unsigned bucket)
{
    if (bucket < OCTAVE_BUCKETS)
        return bucket + 1;
    unsigned octave = bucket / OCTAVE_BUCKETS - 1, part = bucket % OCTAVE_BUCKETS;
    return (uint64_t)(OCTAVE_BUCKETS + part + 1) << octave;
}

void traffic_count(struct traffic *traffic, struct traffic_route *route, int status, uint64_t latency_us)
{
    add(&traffic->latency_counts[bucket_of(latency_us)], 1);
    if (route == NULL)
        return;
    add(&route->requests, 1);
    add(&route->latency_us, latency_us);
    if (status >= 500)
        add(&route->failed, 1);
    else if (status >= 400)
        add(&route->refused, 1);
}

void traffic_add_counts(uint64_t sums[TRAFFIC_BUCKETS], const struct traffic *traffic)
{
    for (unsigned i = 0; i < TRAFFIC_BUCKETS; i++)
        sums[i] += seen(&traffic->latency_counts[i]);
}

void traffic_add_route(struct traffic_route *sum, const struct traffic_route *route)
{
    sum->requests += seen(&route->requests);
    sum->refused += seen(&route->refused);
    sum->failed += seen(&route->failed);
    sum->latency_us += seen(&route->latency_us);
}
