/* SPDX-License-Identifier: Apache-2.0 */
/* One shard: a pinned thread that owns a ring, its blocks, a timer wheel, cached clocks and counters. Nothing
 * here is shared with other shards but the mailbox and the counters, which others may read. */
#pragma once

#include "core/io/block_store.h"
#include "core/io/mailbox.h"
#include "core/io/metrics.h"
#include "core/io/ring.h"
#include "core/io/timer.h"

/* Work that runs once before the ring is entered again: flushing what a turn has queued. */
struct shard_task {
    struct list_node node;
    void (*run)(struct shard_task *task);
};

struct tls_loop;

struct shard_options {
    unsigned index, count;
    int cpu; /* pinned to it; -1: not pinned */
    unsigned ring_entries;
    struct block_limits blocks;
    enum ring_wait wait;
};

struct shard {
    struct ring ring;
    struct block_store *blocks;
    uint64_t now_ns; /* monotonic, of this loop turn */
    uint64_t now_ms; /* the same in milliseconds */
    uint64_t wall_ms; /* since 1970, UTC */
    struct list_node tasks; /* shard_task */
    /* Streams that found no receive block, or others before them; core/io knows only the nodes. */
    struct list_node starved;
    void (*feed_starved)(struct shard *shard);
    struct timer_wheel timers;
    struct metrics metrics;
    struct mailbox mailbox;
    unsigned index, count;
    enum ring_wait wait;
    void *proxy; /* struct proxy of net/proxy; core never looks inside */
    struct tls_loop *tls; /* of tls/, nor there; NULL: no TLS on this shard */
    bool stopping;
};

/* On the thread that will run it: pins it, opens the ring, the blocks and the clocks. The mailbox is
 * opened by whoever creates the shard, before. */
enum error shard_open(struct shard *shard, const struct shard_options *options) MUST_CHECK;

/* The ring goes first: after it the kernel touches nothing of the shard, and the owners of streams and
 * operations may free them; the blocks go last. */
void shard_disconnect(struct shard *shard);
void shard_close(struct shard *shard);

/* Turns until `stopping` is set. */
void shard_run(struct shard *shard);

/* One turn: what was deferred, one wait, what has completed, timers. */
void shard_turn(struct shard *shard);

/* Reads the clocks again; every turn does. */
void shard_update_clock(struct shard *shard);

static inline void shard_task_init(struct shard_task *task, void (*run)(struct shard_task *))
{
    list_init(&task->node);
    task->run = run;
}

/* Legal when it is queued already. */
static inline void shard_defer(struct shard *shard, struct shard_task *task)
{
    if (list_is_empty(&task->node))
        list_append(&shard->tasks, &task->node);
}
