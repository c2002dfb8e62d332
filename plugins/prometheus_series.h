/* SPDX-License-Identifier: Apache-2.0 */
/* What the prometheus plugin counts, by service and route, and by consumer where that is wanted. Labels are
 * registered once per process, under a lock; the numbers lie in cells of each shard, which alone writes them,
 * plainly, and readers add the shards' cells up. Series are never taken away while the process runs, so there
 * is a limit to them. */
#pragma once

#include "net/proxy/plugin.h"

enum {
    PROMETHEUS_KONG_BUCKETS = 17,
    PROMETHEUS_UPSTREAM_BUCKETS = 13,
    PROMETHEUS_REQUEST_BUCKETS = 13,
    PROMETHEUS_CODES = 8, /* of a block */
    PROMETHEUS_PAGE = 1024, /* series of a page */
    PROMETHEUS_PAGES = 16384
};

/* Upper bounds in milliseconds; one more bucket takes the rest. */
extern const uint32_t prometheus_kong_bounds[PROMETHEUS_KONG_BUCKETS];
extern const uint32_t prometheus_upstream_bounds[PROMETHEUS_UPSTREAM_BUCKETS];

struct prometheus_histograms {
    uint64_t kong[PROMETHEUS_KONG_BUCKETS + 1], upstream[PROMETHEUS_UPSTREAM_BUCKETS + 1],
        request[PROMETHEUS_REQUEST_BUCKETS + 1]; /* not cumulative */
    uint64_t kong_sum, upstream_sum, request_sum;
};

/* `key` is status * 2, and one more when the upstream answered; 0: free. */
struct prometheus_codes {
    struct prometheus_codes *next;
    struct {
        uint64_t key, count;
    } items[PROMETHEUS_CODES];
};

struct prometheus_cells {
    uint64_t ingress, egress;
    struct prometheus_codes *codes; /* NULL: none counted */
    struct prometheus_histograms *histograms; /* NULL: none counted */
};

struct prometheus_labels {
    uint64_t hash;
    struct slice front; /* service="x",route="y", escaped */
    struct slice consumer; /* escaped; empty: of none */
};

struct prometheus_page {
    struct prometheus_cells *cells[PROMETHEUS_PAGE];
};

struct prometheus_series; /* of the process */

struct prometheus_series *prometheus_series_open(unsigned shard_count);
void prometheus_series_close(struct prometheus_series *series); /* after all shards and readers */

struct prometheus_names {
    struct slice service, route, consumer; /* as they are; consumer empty: of none */
};

/* By a shard: its cells of these labels, from now on for as long as the process. NULL: `most` series are
 * there already, or no memory. */
struct prometheus_cells *prometheus_cells_of(struct prometheus_series *series, unsigned shard,
                                             const struct prometheus_names *names, uint32_t most);

/* By the shard that owns the cells. False: no memory. */
bool prometheus_count_code(struct prometheus_cells *cells, uint64_t key);
struct prometheus_histograms *prometheus_histograms_of(struct prometheus_cells *cells);
void prometheus_observe(uint64_t *buckets, const uint32_t *bounds, unsigned count, uint64_t value_ms);

/* A label's value, escaped. */
struct text;
void prometheus_add_label(struct text *text, struct slice value);

static inline void prometheus_add(uint64_t *cell, uint64_t amount)
{
    __atomic_store_n(cell, *cell + amount, __ATOMIC_RELAXED);
}

/* By any thread. Labels and cells stay; cells may be NULL. */
uint32_t prometheus_series_count(const struct prometheus_series *series);
unsigned prometheus_shard_count(const struct prometheus_series *series);
const struct prometheus_labels *prometheus_labels_at(const struct prometheus_series *series, uint32_t id);
const struct prometheus_cells *prometheus_cells_at(const struct prometheus_series *series, unsigned shard,
                                                   uint32_t id);
