/* SPDX-License-Identifier: Apache-2.0 */
/* The connections over which a shard makes its own HTTP calls (fetch.h): kept by address, port and the
 * parameters of TLS, so many at most, idle ones for so long at most. Who finds no room waits in line. In the
 * proxy of each shard; one shard. */
#pragma once

#include "net/fetch/fetch.h"

struct fetch_options {
    uint32_t connections_max, idle_max;
    uint64_t idle_ms;
};

struct fetch_pool {
    struct shard *shard;
    struct fetch_options options;
    struct resolver *resolver;
    struct list_node connections; /* all */
    struct list_node idle; /* the longest idle last */
    struct list_node line; /* fetches that wait for a connection */
    struct list_node busy; /* all other fetches that are under way */
    uint32_t connection_count, idle_count, line_count;
    struct shard_task task; /* looks after the line */
    bool closing;
};

/* The resolver outlives it. */
void fetch_pool_open(struct fetch_pool *pool, struct shard *shard, struct resolver *resolver,
                     const struct fetch_options *options);

/* All that is under way fails with ERROR_CANCELLED, and so does what is started from now on; the shard turns
 * on until fetch_pool_is_empty. */
void fetch_pool_abort(struct fetch_pool *pool);
bool fetch_pool_is_empty(const struct fetch_pool *pool);

/* After shard_disconnect, before the fetches' owners close; legal for a zeroed one. */
void fetch_pool_close(struct fetch_pool *pool);
