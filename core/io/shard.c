/* SPDX-License-Identifier: Apache-2.0 */
#include "core/io/shard.h"

#include <sched.h>
#include <time.h>

enum { LONGEST_WAIT_MS = 1000 };

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    CHECK(clock_gettime(clock, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void shard_update_clock(struct shard *shard)
{
    shard->now_ns = clock_ns(CLOCK_MONOTONIC);
    shard->now_ms = shard->now_ns / 1000000u;
    shard->wall_ms = clock_ns(CLOCK_REALTIME) / 1000000u;
}

static void pin(int cpu)
{
    if (cpu < 0)
        return;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    /* Refused where a container forbids it: the shard then floats, which is slower but right. */
    (void)sched_setaffinity(0, sizeof(set), &set);
}

enum error shard_open(struct shard *shard, const struct shard_options *options)
{
    pin(options->cpu);
    shard->index = options->index;
    shard->count = options->count;
    shard->wait = options->wait;
    shard->stopping = false;
    list_init(&shard->tasks);
    list_init(&shard->starved);
    shard_update_clock(shard);
    timer_wheel_init(&shard->timers, shard->now_ms);
    enum error error = ring_open(&shard->ring, options->ring_entries);
    if (error != ERROR_OK)
        return error;
    return block_store_open(&shard->blocks, &shard->ring, &options->blocks);
}

void shard_disconnect(struct shard *shard)
{
    ring_close(&shard->ring);
}

void shard_close(struct shard *shard)
{
    if (shard->blocks)
        block_store_close(shard->blocks);
    shard->blocks = NULL;
}

static void run_tasks(struct shard *shard)
{
    while (!list_is_empty(&shard->tasks)) {
        struct shard_task *task = CONTAINER_OF(shard->tasks.next, struct shard_task, node);
        list_remove(&task->node);
        task->run(task);
    }
}

/* Some wait for blocks to receive into, and there are some. */
static bool can_feed(const struct shard *shard)
{
    return !list_is_empty(&shard->starved) && block_store_counts(shard->blocks).lent > 0;
}

static uint64_t wait_ns(struct shard *shard)
{
    uint64_t next_ms = timer_wheel_next_ms(&shard->timers);
    if (next_ms <= shard->now_ms || can_feed(shard))
        return 0;
    uint64_t wait_ms = next_ms - shard->now_ms;
    return (wait_ms < LONGEST_WAIT_MS ? wait_ms : LONGEST_WAIT_MS) * 1000000u;
}

void shard_turn(struct shard *shard)
{
    run_tasks(shard);
    block_store_refill(shard->blocks, shard->now_ms);
    if (can_feed(shard))
        shard->feed_starved(shard);
    if (shard->wait == RING_WAIT_POLLED)
        ring_poll(&shard->ring, wait_ns(shard));
    else
        ring_wait(&shard->ring, wait_ns(shard));
    shard_update_clock(shard);
    ring_dispatch(&shard->ring);
    timer_wheel_advance(&shard->timers, shard->now_ms);
    metric_set(&shard->metrics, METRIC_RECEIVE_BLOCKS_HELD, block_store_counts(shard->blocks).receive_held);
}

void shard_run(struct shard *shard)
{
    while (!shard->stopping)
        shard_turn(shard);
}
