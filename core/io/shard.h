/* SPDX-License-Identifier: Apache-2.0 */
/* One shard: a pinned thread that owns a ring, its receive blocks, a timer wheel, cached clocks and counters.
 * Nothing here is shared with other shards but mailboxes. Fields are read on the shard's own thread. */
#pragma once

#include "core/io/metrics.h"
#include "core/io/ring.h"
#include "core/io/timer.h"

struct mailbox;

/* Work that runs once at the end of a loop turn, before the ring is entered again. */
struct shard_task {
    struct list_node node;
    void (*run)(struct shard_task *task);
};

struct shard {
    unsigned index, count;
    struct ring ring;
    struct block_store *blocks;
    struct timer_wheel timers;
    uint64_t now_ns;        /* monotonic, of this loop turn */
    uint64_t now_ms;        /* monotonic */
    uint64_t wall_ms;       /* since 1970, UTC */
    struct list_node tasks; /* shard_task */
    struct metrics metrics;
    struct mailbox *mailbox;
    void *proxy; /* struct proxy of net/proxy, set by whoever starts the shard */
    bool stopping;
};

static inline void shard_defer(struct shard *shard, struct shard_task *task)
{
    if (list_is_empty(&task->node))
        list_append(&shard->tasks, &task->node);
}

/* Reads the clocks again; for steps that took long. */
void shard_update_clock(struct shard *shard);
