/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/tls_loop.h"

#include "tls/tls_crypto.h"
#include "tls/tls_tickets.h"

#include <time.h>

enum { BUDGET_US = 1000 };

static uint64_t clock_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* What is left waits for the next turn, behind what has completed meanwhile. */
static void run_ready(struct shard_task *task)
{
    struct tls_loop *loop = CONTAINER_OF(task, struct tls_loop, task);
    uint64_t end_us = clock_us() + loop->options.budget_us;
    while (!list_is_empty(&loop->ready)) {
        struct tls_job *job = CONTAINER_OF(loop->ready.next, struct tls_job, node);
        list_remove(&job->node);
        job->run(job);
        if (clock_us() >= end_us)
            break;
    }
    if (!list_is_empty(&loop->ready))
        timer_arm(&loop->shard->timers, &loop->again, loop->shard->now_ms);
}

static void run_again(struct timer *timer)
{
    struct tls_loop *loop = CONTAINER_OF(timer, struct tls_loop, again);
    shard_defer(loop->shard, &loop->task);
}

void tls_loop_open(struct tls_loop *loop, struct shard *shard, const struct tls_loop_options *options)
{
    *loop = (struct tls_loop){ .shard = shard, .options = *options };
    if (loop->options.budget_us == 0)
        loop->options.budget_us = BUDGET_US;
    list_init(&loop->ready);
    shard_task_init(&loop->task, run_ready);
    timer_init(&loop->again, run_again);
}

void tls_loop_close(struct tls_loop *loop)
{
    CHECK(list_is_empty(&loop->ready));
    list_remove(&loop->task.node);
    timer_disarm(&loop->shard->timers, &loop->again);
    tls_loop_use_tickets(loop, NULL);
    tls_crypto_leave_thread();
}

void tls_loop_use_tickets(struct tls_loop *loop, struct tls_tickets *tickets)
{
    if (tickets)
        tls_tickets_take(tickets);
    if (loop->tickets)
        tls_tickets_release(loop->tickets);
    loop->tickets = tickets;
}

void tls_loop_enqueue(struct tls_loop *loop, struct tls_job *job)
{
    if (!list_is_empty(&job->node))
        return;
    list_append(&loop->ready, &job->node);
    if (!timer_is_armed(&loop->again))
        shard_defer(loop->shard, &loop->task);
}
