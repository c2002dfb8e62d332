/* SPDX-License-Identifier: Apache-2.0 */
/* Where a plugin's counters are: one Redis, the master behind sentinels, or a cluster, all asked the same
 * way. Stores are opened at first use, shared by all that name the same target, and live as long as the
 * pool. One shard. */
#pragma once

#include "net/redis/redis_client.h"

struct redis_store;

/* All stores of one shard. Zeroed is empty. */
struct redis_pool {
    struct redis_store *first;
};

/* NULL when memory is exhausted. `connect` is redis_connect_tcp but for tests. */
struct redis_store *redis_pool_store(struct redis_pool *pool, struct shard *shard,
                                     const struct redis_target *target, redis_connect_fn *connect);
/* After the shard's last turn: frees all; requests in flight are told nothing. */
void redis_pool_close(struct redis_pool *pool);

/* As redis_send; the second word of each command is its key. Of several commands some may have been done
 * when the request fails. */
enum error redis_store_send(struct redis_store *store, struct redis_request *request,
                            const struct redis_command *commands, unsigned command_count) MUST_CHECK;

/* Requests are refused at once: nothing has answered since the connection failed. */
bool redis_store_is_down(const struct redis_store *store);
