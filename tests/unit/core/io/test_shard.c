/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/shard_setup.h"

#include <criterion/criterion.h>
#include <pthread.h>

static struct shard shard;

static void start(void)
{
    shard_setup_open(&shard);
}

static void end(void)
{
    shard_setup_close(&shard);
}

TestSuite(shard, .init = start, .fini = end);

struct work {
    struct shard_task task;
    unsigned run;
    struct work *next;       /* deferred when this one runs */
    struct shard_task *drop; /* taken out of the queue when this one runs */
};

static void run(struct shard_task *task)
{
    struct work *work = CONTAINER_OF(task, struct work, task);
    work->run++;
    if (work->next && work->next->run == 0)
        shard_defer(&shard, &work->next->task);
    if (work->drop)
        list_remove(&work->drop->node);
}

static void make(struct work *work)
{
    *work = (struct work){ .run = 0 };
    shard_task_init(&work->task, run);
}

/* A turn that has something to wait for. */
static void turn(void)
{
    shard_setup_turn_for(&shard, 1);
}

Test(shard, a_task_runs_once_however_often_it_is_deferred)
{
    struct work work;
    make(&work);
    turn();
    cr_assert_eq(work.run, 0);
    for (int i = 0; i < 3; i++)
        shard_defer(&shard, &work.task);
    turn();
    cr_assert_eq(work.run, 1);
    turn();
    cr_assert_eq(work.run, 1);
    shard_defer(&shard, &work.task);
    turn();
    cr_assert_eq(work.run, 2);
}

Test(shard, tasks_of_tasks_run_in_the_same_turn)
{
    struct work first, second;
    make(&first);
    make(&second);
    first.next = &second;
    shard_defer(&shard, &first.task);
    uint64_t before = shard.ring.enter_count;
    struct io_uring_sqe *sqe = ring_prepare(&shard.ring);
    io_uring_prep_nop(sqe);
    io_uring_sqe_set_data(sqe, NULL);
    shard_turn(&shard);
    cr_assert_eq(shard.ring.enter_count, before + 1);
    cr_assert_eq(first.run, 1);
    cr_assert_eq(second.run, 1);
}

Test(shard, a_task_may_take_another_out)
{
    struct work first, second;
    make(&first);
    make(&second);
    first.drop = &second.task;
    shard_defer(&shard, &first.task);
    shard_defer(&shard, &second.task);
    turn();
    cr_assert_eq(first.run, 1);
    cr_assert_eq(second.run, 0);
}

struct alarm {
    struct timer timer;
    unsigned fired;
    uint64_t fired_ms;
};

static void fire(struct timer *timer)
{
    struct alarm *alarm = CONTAINER_OF(timer, struct alarm, timer);
    alarm->fired++;
    alarm->fired_ms = shard.now_ms;
}

static bool has_fired(void *pointer)
{
    return ((struct alarm *)pointer)->fired > 0;
}

Test(shard, timers_wake_the_turn)
{
    static const uint64_t after_ms[] = { 1, 5, 30 };
    for (size_t i = 0; i < COUNT_OF(after_ms); i++) {
        struct alarm alarm = { .fired = 0 };
        timer_init(&alarm.timer, fire);
        shard_update_clock(&shard);
        uint64_t due_ms = shard.now_ms + after_ms[i];
        timer_arm(&shard.timers, &alarm.timer, due_ms);
        cr_assert(shard_setup_turn_until(&shard, has_fired, &alarm));
        cr_assert_eq(alarm.fired, 1);
        cr_assert_geq(alarm.fired_ms, due_ms);
        cr_assert_lt(alarm.fired_ms, due_ms + 5000);
    }
}

Test(shard, clocks_agree)
{
    uint64_t before_ns = shard.now_ns;
    turn();
    cr_assert_gt(shard.now_ns, before_ns);
    cr_assert_eq(shard.now_ms, shard.now_ns / 1000000);
    cr_assert_gt(shard.wall_ms, 1600000000000u);
}

static void stop(struct shard *to, const struct mail *mail)
{
    *(unsigned *)mail->pointer += 1;
    to->stopping = true;
}

struct run {
    struct shard shard;
    pthread_t thread;
    unsigned stopped;
    pthread_barrier_t *all_stopped;
};

static void *run_shard(void *argument)
{
    struct run *own = argument;
    struct block_limits limits = { 8, 4096, 16, 1 << 20 };
    struct shard_options options = { .count = 1, .cpu = 0, .ring_entries = 64, .blocks = limits };
    CHECK(shard_open(&own->shard, &options) == ERROR_OK);
    mailbox_listen(&own->shard.mailbox, &own->shard, stop);
    shard_run(&own->shard);
    metric_add(&own->shard.metrics, METRIC_REQUESTS, 7);
    pthread_barrier_wait(own->all_stopped);
    shard_disconnect(&own->shard);
    shard_close(&own->shard);
    return NULL;
}

/* A shard's life: opened, run and closed by its own thread, ended by a message; counters read from outside.
 * No ring is closed before all are open: ThreadSanitizer does not see that liburing unmaps memory, and would
 * take a ring at the address of an older one for the same. */
Test(shard, runs_on_a_thread_until_told, .timeout = 60)
{
    static struct run runs[3];
    pthread_barrier_t all_stopped;
    pthread_barrier_init(&all_stopped, NULL, COUNT_OF(runs));
    for (size_t i = 0; i < COUNT_OF(runs); i++) {
        runs[i].all_stopped = &all_stopped;
        cr_assert_eq(mailbox_open(&runs[i].shard.mailbox), ERROR_OK);
        cr_assert_eq(pthread_create(&runs[i].thread, NULL, run_shard, &runs[i]), 0);
    }
    for (size_t i = 0; i < COUNT_OF(runs); i++) {
        cr_assert_eq(mailbox_post(&runs[i].shard.mailbox, 0, &runs[i].stopped), ERROR_OK);
        uint64_t count = metric_read(&runs[i].shard.metrics, METRIC_REQUESTS);
        cr_assert(count == 0 || count == 7);
    }
    for (size_t i = 0; i < COUNT_OF(runs); i++) {
        pthread_join(runs[i].thread, NULL);
        cr_assert_eq(runs[i].stopped, 1);
        cr_assert_eq(metric_read(&runs[i].shard.metrics, METRIC_REQUESTS), 7);
        mailbox_close(&runs[i].shard.mailbox);
    }
    pthread_barrier_destroy(&all_stopped);
}
