/* SPDX-License-Identifier: Apache-2.0 */
/* What the requests of a shard were like: how long they took, and how they ended by route. Always counted,
 * for whoever looks at a running gateway; what a configuration asks to be told is a matter of plugins. One
 * writer, the shard; readers of other threads see whole values, a moment late. Routes are counted per
 * snapshot, so from zero after a reload. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Four buckets per octave of microseconds, the last one without end. */
enum { TRAFFIC_BUCKETS = 108 };

struct traffic {
    uint64_t latency_counts[TRAFFIC_BUCKETS];
};

struct traffic_route {
    uint64_t requests, refused, failed; /* all; with status 4xx; with 5xx */
    uint64_t latency_us; /* of all together */
};

/* `route` may be NULL: none has matched. */
void traffic_count(struct traffic *traffic, struct traffic_route *route, int status, uint64_t latency_us);

/* The first value above the bucket, in microseconds. */
uint64_t traffic_bucket_end_us(unsigned bucket);

/* Adds what a shard has counted, from any thread. */
void traffic_add_counts(uint64_t sums[TRAFFIC_BUCKETS], const struct traffic *traffic);
void traffic_add_route(struct traffic_route *sum, const struct traffic_route *route);
