/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/histogram.h"

#include <stddef.h>

/* Values below 256 are exact; above, the top 8 bits select the bucket. */
static size_t bucket_of(uint64_t value)
{
    if (value < (2u << HISTOGRAM_SUB_BITS))
        return (size_t)value;
    unsigned shift = 63 - (unsigned)__builtin_clzll(value) - HISTOGRAM_SUB_BITS;
    return ((size_t)shift << HISTOGRAM_SUB_BITS) + (size_t)(value >> shift);
}

static uint64_t bucket_middle(size_t bucket)
{
    if (bucket < (2u << HISTOGRAM_SUB_BITS))
        return bucket;
    unsigned shift = (unsigned)(bucket >> HISTOGRAM_SUB_BITS) - 1;
    uint64_t top = bucket - ((size_t)shift << HISTOGRAM_SUB_BITS);
    return (top << shift) + ((uint64_t)1 << shift) / 2;
}

void histogram_add(struct histogram *histogram, uint64_t value_ns)
{
    histogram->buckets[bucket_of(value_ns)]++;
    histogram->count++;
    if (value_ns > histogram->max)
        histogram->max = value_ns;
}

uint64_t histogram_quantile(const struct histogram *histogram, double quantile)
{
    uint64_t wanted = (uint64_t)((double)histogram->count * quantile);
    uint64_t seen = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (histogram->buckets[i] > 0 && seen > wanted)
            return bucket_middle(i) < histogram->max ? bucket_middle(i) : histogram->max;
    }
    return histogram->max;
}
