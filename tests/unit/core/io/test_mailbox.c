/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/shard_setup.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>

static struct shard shard;
static unsigned delivered;
static bool in_order;

static void start(void)
{
    shard_setup_open(&shard);
    cr_assert_eq(mailbox_open(&shard.mailbox), ERROR_OK);
    delivered = 0;
    in_order = true;
}

static void end(void)
{
    shard_setup_close(&shard);
    mailbox_close(&shard.mailbox);
    mailbox_close(&shard.mailbox);
}

TestSuite(mailbox, .init = start, .fini = end);

/* Messages are numbered; a pointer goes with each: what the writer wrote there before is seen. */
static void deliver(struct shard *to, const struct mail *mail)
{
    const unsigned *number = mail->pointer;
    in_order = in_order && to == &shard && mail->kind == delivered && *number == delivered;
    delivered++;
}

static bool is_delivered(void *wanted)
{
    return delivered >= *(unsigned *)wanted;
}

static void turn_until_delivered(unsigned wanted)
{
    cr_assert(shard_setup_turn_until(&shard, is_delivered, &wanted));
    cr_assert_eq(delivered, wanted);
    cr_assert(in_order);
}

Test(mailbox, delivers_in_order_across_turns)
{
    unsigned numbers[10];
    mailbox_listen(&shard.mailbox, &shard, deliver);
    for (unsigned i = 0; i < COUNT_OF(numbers); i++) {
        numbers[i] = i;
        cr_assert_eq(mailbox_post(&shard.mailbox, i, &numbers[i]), ERROR_OK);
        if (i % 3 == 2)
            turn_until_delivered(i + 1);
    }
    turn_until_delivered(COUNT_OF(numbers));
}

Test(mailbox, what_came_before_listening_is_not_lost)
{
    unsigned number = 0;
    cr_assert_eq(mailbox_post(&shard.mailbox, 0, &number), ERROR_OK);
    mailbox_listen(&shard.mailbox, &shard, deliver);
    turn_until_delivered(1);
}

Test(mailbox, a_full_box_refuses_and_takes_more_when_read)
{
    unsigned numbers[MAILBOX_SLOTS + 1];
    for (unsigned i = 0; i < COUNT_OF(numbers); i++) {
        numbers[i] = i;
        enum error expected = i < MAILBOX_SLOTS ? ERROR_OK : ERROR_LIMIT;
        cr_assert_eq(mailbox_post(&shard.mailbox, i, &numbers[i]), expected);
    }
    mailbox_listen(&shard.mailbox, &shard, deliver);
    turn_until_delivered(MAILBOX_SLOTS);
    cr_assert_eq(mailbox_post(&shard.mailbox, MAILBOX_SLOTS, &numbers[MAILBOX_SLOTS]), ERROR_OK);
    turn_until_delivered(MAILBOX_SLOTS + 1);
}

enum { MANY = 5000 };

static void *post_many(void *unused)
{
    static unsigned numbers[MANY];
    (void)unused;
    for (unsigned i = 0; i < MANY;) {
        numbers[i] = i;
        if (mailbox_post(&shard.mailbox, i, &numbers[i]) == ERROR_OK)
            i++;
        else
            sched_yield();
    }
    return NULL;
}

/* The writer is another thread, as in life. */
Test(mailbox, two_threads, .timeout = 60)
{
    pthread_t writer;
    mailbox_listen(&shard.mailbox, &shard, deliver);
    cr_assert_eq(pthread_create(&writer, NULL, post_many, NULL), 0);
    turn_until_delivered(MANY);
    pthread_join(writer, NULL);
}
