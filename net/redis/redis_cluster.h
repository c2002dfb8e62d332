/* SPDX-License-Identifier: Apache-2.0 */
/* A Redis Cluster: a pipelined connection per node, and which of them serves each slot. Each command of a
 * request goes to its key's node as an errand of its own, which follows MOVED and ASK; the map is read at
 * first use, and again whenever a node says or shows that it has changed. Owned by a store; one shard. */
#pragma once

#include "net/redis/redis_client.h"
#include "net/redis/redis_slots.h"

enum {
    REDIS_NODES_MAX = 256, /* slots of further ones have no node */
    REDIS_REFRESH_MS = 100, /* between two readings of the map */
    REDIS_TRY_AGAIN_MS = 5,
    REDIS_ERRANDS_MAX = 16384 /* under way at once; further ones fail with LIMIT */
};

struct redis_cluster {
    struct shard *shard;
    redis_connect_fn *connect;
    struct redis_target target; /* the store's */
    struct redis_client *nodes[REDIS_NODES_MAX]; /* the configured ones first: they stay */
    bool listed[REDIS_NODES_MAX]; /* in the map that is being read, or was last */
    uint32_t node_count, configured_count;
    struct redis_client *slots[REDIS_SLOT_COUNT]; /* NULL: nobody serves it, as far as is known */
    bool is_mapped; /* a map was read */
    struct redis_client *asked; /* the node that is asked for the map; NULL: none is */
    uint32_t asked_first, asked_count;
    uint64_t refreshed_ms; /* when a reading began last */
    bool is_stale, is_broken, is_garbled, gives_up; /* the last: who waits is told so in the next turn */
    struct redis_request request;
    struct redis_slots_reader reader;
    struct redis_client *fresh[REDIS_SLOT_COUNT]; /* the map that is being read */
    struct timer timer;
    struct list_node waiting; /* errands without a map, or for a moment */
    struct list_node under_way, spare;
    uint32_t errand_count;
};

/* NULL: out of memory. Connects at first use. */
struct redis_cluster *redis_cluster_open(struct shard *shard, const struct redis_target *target,
                                         redis_connect_fn *connect);
/* After the shard's last turn. */
void redis_cluster_close(struct redis_cluster *cluster);

/* As redis_send; the second word of each command is its key. */
enum error redis_cluster_send(struct redis_cluster *cluster, struct redis_request *request,
                              const struct redis_command *commands, unsigned command_count) MUST_CHECK;

/* Nobody could be asked for the map, and there is none. */
bool redis_cluster_is_down(const struct redis_cluster *cluster);
