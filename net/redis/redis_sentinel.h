/* SPDX-License-Identifier: Apache-2.0 */
/* Sentinels that are asked where the master is, whenever its client is about to connect. Owned by a store;
 * one shard. */
#pragma once

#include "net/redis/redis_client.h"

enum { REDIS_SENTINELS_MAX = 32 };

struct redis_sentinel {
    struct redis_locator locator;
    struct redis_request request;
    struct slice master; /* its name; the store's */
    struct redis_client *asker; /* NULL: nobody waits for an answer */
    struct redis_client *sentinels[REDIS_SENTINELS_MAX];
    uint32_t count;
    uint32_t first, tried; /* the one that answered last is asked first; how many were asked since */
    uint32_t item_count; /* of the answer */
    struct redis_server found;
    char host[REDIS_HOST_MAX_BYTES];
};

/* Without connecting yet; false: out of memory, close it. */
bool redis_sentinel_open(struct redis_sentinel *sentinel, struct shard *shard,
                         const struct redis_target *target, redis_connect_fn *connect) MUST_CHECK;
void redis_sentinel_close(struct redis_sentinel *sentinel);
