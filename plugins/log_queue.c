/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/log_queue.h"

#include "config/settings.h"
#include "net/proxy/exchange_log.h"
#include "net/proxy/proxy.h"

#include <stdlib.h>

enum {
    IDLE_MS = 60 * 1000, /* an empty queue is forgotten after so long */
    ENTRY_BYTES_MAX = 1024 * 1024,
    SETTINGS_BYTES_MAX = 1024 * 1024
};

static struct metrics *metrics_of(const struct log_queue *queue)
{
    return &queue->owner->shard->metrics;
}

/* --- senders -------------------------------------------------------------------------------------------- */

static void sender_release(struct log_sender *sender)
{
    if (sender == NULL || --sender->references > 0)
        return;
    if (sender->sink->close && sender->settings)
        sender->sink->close(sender);
    arena_deinit(&sender->arena);
    free(sender);
}

static struct log_sender *sender_open(const struct log_queues *queues, const struct plugin_call *call)
{
    struct log_sender *sender = calloc(1, sizeof(*sender));
    if (sender == NULL)
        return NULL;
    sender->sink = queues->sink;
    sender->shard = queues->shard;
    sender->generation = exchange_generation(call->exchange);
    sender->references = 1;
    sender->context = queues->context;
    arena_init(&sender->arena, NULL, 0, SETTINGS_BYTES_MAX);
    sender->settings = arena_alloc_zero(&sender->arena, queues->sink->settings_size);
    if (sender->settings && queues->sink->copy(sender, call->config))
        return sender;
    sender_release(sender);
    return NULL;
}

/* --- entries -------------------------------------------------------------------------------------------- */

static void account(struct log_queue *queue, int64_t entries, int64_t bytes)
{
    queue->count = (uint32_t)(queue->count + entries);
    queue->bytes = (uint64_t)((int64_t)queue->bytes + bytes);
    metric_add(metrics_of(queue), METRIC_LOG_ENTRIES_WAITING, entries);
    metric_add(metrics_of(queue), METRIC_LOG_BYTES_WAITING, bytes);
}

static void drop_first(struct log_queue *queue)
{
    struct log_entry *entry = queue->first;
    queue->first = entry->next;
    if (queue->first == NULL)
        queue->end = &queue->first;
    queue->waiting--;
    account(queue, -1, -(int64_t)entry->size);
    free(entry);
}

static void free_entries(struct log_entry *entry)
{
    while (entry) {
        struct log_entry *next = entry->next;
        free(entry);
        entry = next;
    }
}

/* --- batches -------------------------------------------------------------------------------------------- */

static void batch_free(struct log_batch *batch)
{
    struct log_queue *queue = batch->queue;
    if (batch->sender->sink->stop)
        batch->sender->sink->stop(batch);
    timer_disarm(&queue->owner->shard->timers, &batch->retry);
    list_remove(&batch->node);
    queue->batch_count--;
    account(queue, -(int64_t)batch->count, -(int64_t)batch->bytes);
    free_entries(batch->first);
    sender_release(batch->sender);
    free(batch);
}

static void retry_fired(struct timer *timer)
{
    struct log_batch *batch = CONTAINER_OF(timer, struct log_batch, retry);
    batch->sending = true;
    batch->sender->sink->send(batch);
}

static bool make_batch(struct log_queue *queue)
{
    const struct log_sink *sink = queue->sender->sink;
    struct log_batch *batch = calloc(1, sizeof(*batch) + sink->work_size);
    if (batch == NULL)
        return false;
    batch->queue = queue;
    batch->sender = queue->sender;
    batch->sender->references++;
    batch->begun_ms = queue->owner->shard->now_ms;
    timer_init(&batch->retry, retry_fired);
    list_init(&batch->node);
    list_append(&queue->batches, &batch->node);
    queue->batch_count++;
    struct log_entry **end = &batch->first;
    while (queue->first && batch->count < batch->sender->limits.batch_entries) {
        struct log_entry *entry = queue->first;
        queue->first = entry->next;
        entry->next = NULL;
        *end = entry;
        end = &entry->next;
        batch->bytes += entry->size;
        batch->count++;
    }
    if (queue->first == NULL)
        queue->end = &queue->first;
    queue->waiting -= batch->count;
    batch->sending = true;
    sink->send(batch);
    return true;
}

static bool may_send(const struct log_queue *queue)
{
    const struct log_limits *limits = &queue->sender->limits;
    bool wanted = queue->due || queue->owner->flushing || queue->waiting >= limits->batch_entries;
    return queue->waiting > 0 && wanted && queue->batch_count < limits->parallel;
}

static void wait_for_more(struct log_queue *queue)
{
    struct shard *shard = queue->owner->shard;
    uint64_t delay_ms = queue->sender->limits.delay_ms;
    if (queue->due || timer_is_armed(&queue->timer))
        return;
    if (delay_ms > 0) {
        timer_arm(&shard->timers, &queue->timer, shard->now_ms + delay_ms);
        return;
    }
    queue->due = true;
    shard_defer(shard, &queue->task);
}

static void send_some(struct log_queue *queue)
{
    struct shard *shard = queue->owner->shard;
    while (may_send(queue) && make_batch(queue))
        continue;
    if (queue->waiting == 0) {
        queue->due = false;
        timer_disarm(&shard->timers, &queue->timer);
        if (queue->count == 0)
            timer_arm(&shard->timers, &queue->timer, shard->now_ms + IDLE_MS);
    } else if (!queue->due) {
        wait_for_more(queue);
    }
}

static void send_later(struct log_queue *queue)
{
    shard_defer(queue->owner->shard, &queue->task);
}

static void run_task(struct shard_task *task)
{
    send_some(CONTAINER_OF(task, struct log_queue, task));
}

static uint64_t retry_delay(const struct log_batch *batch)
{
    const struct log_limits *limits = &batch->sender->limits;
    uint64_t delay_ms = limits->first_retry_ms;
    for (uint32_t i = 1; i < batch->failures && delay_ms < limits->longest_retry_ms; i++)
        delay_ms *= 2;
    return delay_ms < limits->longest_retry_ms ? delay_ms : limits->longest_retry_ms;
}

void log_batch_done(struct log_batch *batch, enum log_result result)
{
    struct log_queue *queue = batch->queue;
    struct shard *shard = queue->owner->shard;
    batch->sending = false;
    if (result == LOG_FAILED) {
        batch->failures++;
        uint64_t delay_ms = retry_delay(batch);
        if (shard->now_ms + delay_ms <= batch->begun_ms + batch->sender->limits.retry_ms) {
            metric_add(&shard->metrics, METRIC_LOG_RETRIES, 1);
            timer_arm(&shard->timers, &batch->retry, shard->now_ms + delay_ms);
            return;
        }
    }
    metric_add(&shard->metrics, result == LOG_DELIVERED ? METRIC_LOG_ENTRIES_SENT : METRIC_LOG_ENTRIES_LOST,
               batch->count);
    batch_free(batch);
    send_later(queue);
}

/* --- queues --------------------------------------------------------------------------------------------- */

static void queue_free(struct log_queue *queue)
{
    while (!list_is_empty(&queue->batches))
        batch_free(CONTAINER_OF(queue->batches.next, struct log_batch, node));
    while (queue->first)
        drop_first(queue);
    timer_disarm(&queue->owner->shard->timers, &queue->timer);
    list_remove(&queue->task.node);
    list_remove(&queue->node);
    list_remove(&queue->bucket_node);
    sender_release(queue->sender);
    free(queue);
}

static void timer_fired(struct timer *timer)
{
    struct log_queue *queue = CONTAINER_OF(timer, struct log_queue, timer);
    if (queue->count == 0) {
        queue_free(queue);
        return;
    }
    queue->due = true;
    send_some(queue);
}

void log_queues_open(struct log_queues *queues, struct shard *shard, const struct log_sink *sink)
{
    *queues = (struct log_queues){ .shard = shard, .sink = sink };
    list_init(&queues->all);
    list_init(&queues->links);
    for (unsigned i = 0; i < LOG_QUEUE_BUCKETS; i++)
        list_init(&queues->buckets[i]);
    text_init(&queues->text, ENTRY_BYTES_MAX);
}

void log_queues_close(void *shard_state)
{
    struct log_queues *queues = shard_state;
    while (queues->shard && !list_is_empty(&queues->links))
        queues->sink->abandon(queues->links.next);
    while (queues->shard && !list_is_empty(&queues->all))
        queue_free(CONTAINER_OF(queues->all.next, struct log_queue, node));
    text_deinit(&queues->text);
}

bool log_queues_flush(void *shard_state)
{
    struct log_queues *queues = shard_state;
    bool empty = true;
    queues->flushing = true;
    for (struct list_node *node = queues->all.next; node != &queues->all; node = node->next) {
        struct log_queue *queue = CONTAINER_OF(node, struct log_queue, node);
        send_some(queue);
        empty = empty && queue->count == 0;
    }
    return empty;
}

/* Ids are UUIDs: their digits are spread well enough. */
static struct list_node *bucket_of(struct log_queues *queues, const char *id)
{
    int high = slice_hex_value(id[0]), low = slice_hex_value(id[1]);
    return &queues->buckets[(unsigned)(high << 4 | low) % LOG_QUEUE_BUCKETS];
}

static struct log_queue *queue_open(struct log_queues *queues, const char *id)
{
    struct log_queue *queue = calloc(1, sizeof(*queue));
    if (queue == NULL)
        return NULL;
    queue->owner = queues;
    memcpy(queue->id, id, sizeof(queue->id));
    queue->end = &queue->first;
    list_init(&queue->batches);
    timer_init(&queue->timer, timer_fired);
    shard_task_init(&queue->task, run_task);
    list_init(&queue->node);
    list_init(&queue->bucket_node);
    list_append(&queues->all, &queue->node);
    list_append(bucket_of(queues, id), &queue->bucket_node);
    return queue;
}

static struct log_queue *find(struct log_queues *queues, const char *id)
{
    struct list_node *bucket = bucket_of(queues, id);
    for (struct list_node *node = bucket->next; node != bucket; node = node->next) {
        struct log_queue *queue = CONTAINER_OF(node, struct log_queue, bucket_node);
        if (memcmp(queue->id, id, sizeof(queue->id)) == 0)
            return queue;
    }
    return NULL;
}

struct log_queue *log_queue_of(struct log_queues *queues, const struct plugin_call *call)
{
    const char *id = call->instance->entity.id;
    struct log_queue *queue = find(queues, id);
    if (queue == NULL)
        queue = queue_open(queues, id);
    if (queue == NULL)
        return NULL;
    if (queue->sender == NULL || queue->sender->generation < exchange_generation(call->exchange)) {
        struct log_sender *sender = sender_open(queues, call);
        if (sender) {
            sender_release(queue->sender);
            queue->sender = sender;
        }
    }
    text_clear(&queues->text);
    return queue->sender ? queue : NULL;
}

/* Room for that many bytes, at the price of older entries; false: there cannot be. */
static bool make_room(struct log_queue *queue, size_t size)
{
    const struct log_limits *limits = &queue->sender->limits;
    struct shard *shard = queue->owner->shard;
    uint64_t most = (uint64_t)proxy_settings(shard)->log_queue_bytes;
    for (;;) {
        bool full = queue->count >= limits->entries ||
                    (limits->bytes && queue->bytes + size > limits->bytes) ||
                    metric_read(&shard->metrics, METRIC_LOG_BYTES_WAITING) + size > most;
        if (!full)
            return true;
        if (queue->waiting == 0)
            return false;
        drop_first(queue);
        metric_add(&shard->metrics, METRIC_LOG_ENTRIES_DROPPED, 1);
    }
}

void log_queue_add(struct log_queue *queue, struct slice text)
{
    struct log_entry *entry = text.size <= ENTRY_BYTES_MAX && make_room(queue, text.size)
                                  ? malloc(sizeof(*entry) + text.size)
                                  : NULL;
    if (entry == NULL) {
        metric_add(metrics_of(queue), METRIC_LOG_ENTRIES_DROPPED, 1);
        return;
    }
    entry->next = NULL;
    entry->size = (uint32_t)text.size;
    if (text.size)
        memcpy(entry->data, text.data, text.size);
    if (queue->count == 0)
        timer_disarm(&queue->owner->shard->timers, &queue->timer); /* it was to be forgotten */
    *queue->end = entry;
    queue->end = &entry->next;
    queue->waiting++;
    account(queue, 1, (int64_t)entry->size);
    if (queue->waiting >= queue->sender->limits.batch_entries)
        send_later(queue);
    else
        wait_for_more(queue);
}

void log_queue_add_text(struct log_queue *queue)
{
    struct text *text = &queue->owner->text;
    if (text->failed)
        metric_add(metrics_of(queue), METRIC_LOG_ENTRIES_DROPPED, 1);
    else
        log_queue_add(queue, text_slice(text));
}
