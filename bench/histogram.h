/* SPDX-License-Identifier: Apache-2.0 */
/* Latency histogram with logarithmic buckets: any value is kept with an error
 * below 1/128. Values are nanoseconds. One owner, one thread. */
#pragma once

#include <stdint.h>

enum {
    HISTOGRAM_SUB_BITS = 7,
    HISTOGRAM_BUCKETS = (64 - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS,
};

struct histogram {
    uint64_t count;
    uint64_t max;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t value_ns);

/* Value below which `quantile` (0..1) of all values lie; 0 if empty. */
uint64_t histogram_quantile(const struct histogram *histogram, double quantile);
