/* SPDX-License-Identifier: Apache-2.0 */
#include "config/settings.h"
#include "net/proxy/proxy.h"
#include "plugins/log_queue.h"
#include "tests/support/fake_exchange.h"
#include "tests/support/plugin_setup.h"
#include "tests/support/shard_setup.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static struct settings settings;
static struct proxy_options options;
static struct proxy proxy;
static struct shard shard;
static struct log_queues queues;
static struct log_limits limits;
static struct exchange *exchange;
static struct plugin_instance instance;
static struct plugin_call call;

/* What the sink was given: entries with spaces between them, batches with line ends. */
static char sent[4096];
static enum log_result result;
static bool holds; /* batches stay under way */
static struct log_batch *held[16];
static unsigned held_count, copy_count, close_count, stop_count;

static bool copy(struct log_sender *sender, const void *config)
{
    (void)config;
    sender->limits = limits;
    copy_count++;
    return true;
}

static void send_batch(struct log_batch *batch)
{
    for (const struct log_entry *entry = batch->first; entry; entry = entry->next) {
        strncat(sent, entry->data, entry->size);
        strncat(sent, entry->next ? " " : "\n", 1);
    }
    if (holds)
        held[held_count++] = batch;
    else
        log_batch_done(batch, result);
}

static void stop_batch(struct log_batch *batch)
{
    (void)batch;
    stop_count++;
}

static void close_sender(struct log_sender *sender)
{
    (void)sender;
    close_count++;
}

static const struct log_sink sink = {
    .settings_size = 8, .copy = copy, .send = send_batch, .stop = stop_batch, .close = close_sender
};

static void start(void)
{
    settings.log_queue_bytes = 100000;
    options.settings = &settings;
    proxy.options = &options;
    proxy.shard = &shard;
    shard_setup_open(&shard);
    shard.proxy = &proxy;
    log_queues_open(&queues, &shard, &sink);
    exchange = fake_exchange_open("GET", "/");
    memcpy(instance.entity.id, "356ebaf8-b7af-5cba-99a1-f392e34730ab", MODEL_ID_SIZE);
    call = (struct plugin_call){ .exchange = exchange, .instance = &instance };
    limits = (struct log_limits){ .batch_entries = 2,
                                  .entries = 6,
                                  .delay_ms = 20,
                                  .retry_ms = 60,
                                  .first_retry_ms = 5,
                                  .longest_retry_ms = 10,
                                  .parallel = 1 };
}

static void end(void)
{
    log_queues_close(&queues);
    fake_exchange_close(exchange);
    shard_disconnect(&shard);
    shard_close(&shard);
}

TestSuite(log_queue, .init = start, .fini = end, .timeout = 60);

static struct log_queue *queue_now(void)
{
    struct log_queue *queue = log_queue_of(&queues, &call);
    cr_assert_not_null(queue);
    return queue;
}

static void add(const char *entries)
{
    for (; *entries; entries++)
        log_queue_add(queue_now(), (struct slice){ entries, 1 });
}

static uint64_t count(enum metric metric)
{
    return metric_read(&shard.metrics, metric);
}

static bool is_empty(void *pointer)
{
    (void)pointer;
    return count(METRIC_LOG_ENTRIES_WAITING) == 0;
}

static void turn_until_empty(void)
{
    cr_assert(shard_setup_turn_until(&shard, is_empty, NULL));
    cr_assert_eq(count(METRIC_LOG_BYTES_WAITING), 0);
}

Test(log_queue, full_batches_leave_at_once_others_after_the_delay)
{
    add("abcde");
    turn_until_empty();
    cr_assert_str_eq(sent, "a b\nc d\ne\n");
    cr_assert_eq(count(METRIC_LOG_ENTRIES_SENT), 5);
}

Test(log_queue, without_a_delay_the_turn_decides)
{
    limits.delay_ms = 0;
    limits.batch_entries = 64;
    add("abc");
    cr_assert_str_empty(sent);
    shard_turn(&shard);
    cr_assert_str_eq(sent, "a b c\n");
}

Test(log_queue, the_oldest_makes_room)
{
    holds = true;
    add("ab");
    shard_turn(&shard);
    add("123456");
    cr_assert_eq(count(METRIC_LOG_ENTRIES_DROPPED), 2);
    cr_assert_eq(count(METRIC_LOG_ENTRIES_WAITING), 6);
    holds = false;
    log_batch_done(held[0], LOG_DELIVERED);
    turn_until_empty();
    cr_assert_str_eq(sent, "a b\n3 4\n5 6\n");
}

Test(log_queue, bytes_are_limited)
{
    limits.bytes = 3;
    holds = true;
    add("1234");
    cr_assert_eq(count(METRIC_LOG_ENTRIES_DROPPED), 1);
    settings.log_queue_bytes = 2;
    add("5");
    cr_assert_eq(count(METRIC_LOG_ENTRIES_DROPPED), 3);
    cr_assert_eq(count(METRIC_LOG_BYTES_WAITING), 2);
}

Test(log_queue, what_is_under_way_makes_no_room)
{
    limits.entries = 2;
    holds = true;
    add("ab");
    shard_turn(&shard);
    add("c");
    cr_assert_eq(count(METRIC_LOG_ENTRIES_DROPPED), 1);
    cr_assert_eq(count(METRIC_LOG_ENTRIES_WAITING), 2);
}

Test(log_queue, tries_again_and_gives_up)
{
    result = LOG_FAILED;
    limits.entries = 100;
    limits.retry_ms = 1000; /* a machine may stop for a while */
    add("ab");
    turn_until_empty();
    cr_assert_eq(count(METRIC_LOG_ENTRIES_LOST), 2);
    cr_assert_geq(count(METRIC_LOG_RETRIES), 4);
    cr_assert_eq(strncmp(sent, "a b\na b\n", 8), 0);
}

Test(log_queue, tries_again_and_succeeds)
{
    result = LOG_FAILED;
    add("abc");
    cr_assert(shard_setup_turn_until_count(&shard, &shard.metrics.values[METRIC_LOG_RETRIES], 2));
    result = LOG_DELIVERED;
    turn_until_empty();
    cr_assert_eq(count(METRIC_LOG_ENTRIES_LOST), 0);
    cr_assert(slice_ends_with(slice_of(sent), SLICE("a b\nc\n")));
}

Test(log_queue, lost_is_not_tried_again)
{
    result = LOG_LOST;
    add("ab");
    turn_until_empty();
    cr_assert_eq(count(METRIC_LOG_RETRIES), 0);
    cr_assert_eq(count(METRIC_LOG_ENTRIES_LOST), 2);
}

Test(log_queue, several_may_be_under_way)
{
    limits.parallel = 2;
    holds = true;
    add("abcdef");
    shard_turn(&shard);
    cr_assert_str_eq(sent, "a b\nc d\n");
    log_batch_done(held[1], LOG_DELIVERED);
    shard_turn(&shard);
    cr_assert_str_eq(sent, "a b\nc d\ne f\n");
}

Test(log_queue, a_newer_configuration_counts_from_then_on)
{
    holds = true;
    add("ab");
    shard_turn(&shard);
    exchange->generation = 7;
    limits.batch_entries = 1;
    add("c");
    exchange->generation = 6; /* an older request ends */
    add("d");
    cr_assert_eq(copy_count, 2);
    cr_assert_eq(close_count, 0);
    log_batch_done(held[0], LOG_DELIVERED);
    cr_assert_eq(close_count, 1);
    shard_turn(&shard);
    cr_assert_str_eq(sent, "a b\nc\n");
}

Test(log_queue, instances_do_not_mix)
{
    holds = true;
    add("a");
    instance.entity.id[35] = 'c';
    add("1");
    shard_setup_turn_for(&shard, 60);
    cr_assert_eq(held_count, 2);
}

Test(log_queue, flushing_does_not_wait)
{
    limits.delay_ms = 100000;
    add("a");
    shard_turn(&shard);
    cr_assert_str_empty(sent);
    log_queues_flush(&queues);
    cr_assert_str_eq(sent, "a\n");
    cr_assert(log_queues_flush(&queues));
}

Test(log_queue, ends_in_the_middle)
{
    holds = true;
    add("abcde");
    shard_turn(&shard);
    log_queues_close(&queues);
    cr_assert_eq(stop_count, 1);
    cr_assert_eq(close_count, 1);
    cr_assert_eq(count(METRIC_LOG_ENTRIES_WAITING), 0);
    log_queues_open(&queues, &shard, &sink);
}
