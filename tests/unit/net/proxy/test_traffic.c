/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/traffic.h"

#include <criterion/criterion.h>
#include <string.h>

static unsigned bucket_that_counted(uint64_t latency_us)
{
    struct traffic traffic = { 0 };
    traffic_count(&traffic, NULL, 200, latency_us);
    unsigned bucket = 0;
    while (bucket < TRAFFIC_BUCKETS && traffic.latency_counts[bucket] == 0)
        bucket++;
    return bucket;
}

Test(traffic, each_value_is_in_the_bucket_that_ends_above_it)
{
    unsigned last = 0;
    for (uint64_t value = 0; value < UINT64_C(1) << 40; value += value / 7 + 1) {
        unsigned bucket = bucket_that_counted(value);
        cr_assert_lt(bucket, TRAFFIC_BUCKETS);
        cr_assert_geq(bucket, last);
        last = bucket;
        if (bucket == TRAFFIC_BUCKETS - 1)
            continue;
        cr_assert_lt(value, traffic_bucket_end_us(bucket));
        cr_assert(bucket == 0 || value >= traffic_bucket_end_us(bucket - 1), "%lu in %u", value, bucket);
    }
    cr_assert_gt(traffic_bucket_end_us(TRAFFIC_BUCKETS - 2), UINT64_C(100000000)); /* beyond any time limit */
}

Test(traffic, a_bucket_is_a_quarter_of_its_octave_wide)
{
    for (unsigned bucket = 8; bucket < TRAFFIC_BUCKETS; bucket++) {
        double begin = (double)traffic_bucket_end_us(bucket - 1), end = (double)traffic_bucket_end_us(bucket);
        cr_assert_leq(end / begin, 1.25);
    }
}

Test(traffic, routes_are_told_apart_by_how_requests_ended)
{
    struct traffic traffic = { 0 };
    struct traffic_route route = { 0 }, sum = { .requests = 1 };
    traffic_count(&traffic, &route, 200, 10);
    traffic_count(&traffic, &route, 404, 20);
    traffic_count(&traffic, &route, 503, 30);
    traffic_count(&traffic, &route, 0, 40); /* the client went away before an answer */
    traffic_add_route(&sum, &route);
    cr_assert_eq(sum.requests, 5);
    cr_assert_eq(sum.refused, 1);
    cr_assert_eq(sum.failed, 1);
    cr_assert_eq(sum.latency_us, 100);
    uint64_t sums[TRAFFIC_BUCKETS] = { 0 }, total = 0;
    traffic_add_counts(sums, &traffic);
    for (unsigned i = 0; i < TRAFFIC_BUCKETS; i++)
        total += sums[i];
    cr_assert_eq(total, 4);
}
