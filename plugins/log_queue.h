/* SPDX-License-Identifier: Apache-2.0 */
/* Entries on their way to a receiver of logs, metrics or spans: one bounded queue per plugin instance and
 * shard, which makes batches of them and hands these to a sink. Nobody waits: what finds no room is dropped
 * and counted, the oldest first. A failed batch is tried again, later and later, for a limited time. Queues
 * survive reloads. One shard.
 *
 *     queue = log_queue_of(queues, call);        // in PHASE_LOG
 *     log_queue_add(queue, entry);
 *     sink->send(batch) ... log_batch_done()     // exactly once for each send, at once or later */
#pragma once

#include "core/base/arena.h"
#include "core/base/text.h"
#include "core/io/shard.h"
#include "net/proxy/plugin.h"

struct log_limits {
    uint32_t batch_entries;
    uint32_t entries; /* waiting and under way */
    uint64_t bytes; /* the same; 0: only the shard's limit (setting log_queue_size) */
    uint64_t delay_ms; /* for a batch to become full; 0: until the end of the turn */
    uint64_t retry_ms; /* for how long a batch is tried again */
    uint64_t first_retry_ms, longest_retry_ms;
    uint32_t parallel; /* batches under way */
};

struct log_entry {
    struct log_entry *next;
    uint32_t size;
    char data[];
};

/* What a receiver is reached by: a copy of the plugin's configuration that lives as long as a batch or the
 * queue uses it. */
struct log_sender {
    const struct log_sink *sink;
    struct shard *shard;
    uint64_t generation; /* of the configuration */
    unsigned references;
    struct log_limits limits;
    struct arena arena;
    void *settings; /* sink->settings_size bytes, zeroed at first */
    const void *context; /* of the queues */
};

struct log_batch {
    struct list_node node;
    struct log_queue *queue;
    struct log_sender *sender; /* its reference */
    struct log_entry *first;
    uint32_t count;
    uint64_t bytes;
    uint64_t begun_ms;
    uint32_t failures;
    struct timer retry;
    bool sending;
    _Alignas(8) char work[]; /* sink->work_size bytes, zeroed at first */
};

struct log_sink {
    size_t settings_size, work_size;
    /* Fills settings and limits from a configuration; copies what it keeps into the arena. */
    bool (*copy)(struct log_sender *sender, const void *config);
    void (*send)(struct log_batch *batch);
    /* Gives back what `work` holds, also in the middle of sending: log_batch_done is not called any more. May
     * be NULL. */
    void (*stop)(struct log_batch *batch);
    void (*close)(struct log_sender *sender); /* gives back what settings hold; may be NULL */
    /* After the shard's last turn: frees what is in the queues' `links`; NULL if nothing ever is. */
    void (*abandon)(struct list_node *node);
};

struct log_queue {
    struct log_queues *owner;
    struct list_node node, bucket_node;
    char id[MODEL_ID_SIZE]; /* of the plugin instance */
    struct log_sender *sender;
    struct log_entry *first, **end; /* those that wait */
    uint32_t waiting, count; /* `count`: with those under way */
    uint64_t bytes;
    struct list_node batches;
    uint32_t batch_count;
    struct timer timer; /* the first entry has waited enough; or the queue has been empty for long */
    struct shard_task task;
    bool due;
};

enum { LOG_QUEUE_BUCKETS = 256 };

/* All queues of one plugin on a shard: part of its shard state. */
struct log_queues {
    struct shard *shard;
    const struct log_sink *sink;
    struct list_node all;
    struct list_node buckets[LOG_QUEUE_BUCKETS];
    const void *context; /* the plugin's own, for its sink; lives as long as the shard */
    struct list_node links; /* connections, the sink's */
    struct text text; /* for who makes an entry */
    bool flushing;
};

void log_queues_open(struct log_queues *queues, struct shard *shard, const struct log_sink *sink);

/* For shard_close and shard_flush of a plugin whose shard state begins with struct log_queues. Flushing has
 * everything sent without delay; true: nothing is left. */
void log_queues_close(void *queues);
bool log_queues_flush(void *queues);

/* The queue of the instance that is called, with its newest configuration; NULL: no memory. */
struct log_queue *log_queue_of(struct log_queues *queues, const struct plugin_call *call);

/* A copy of it. */
void log_queue_add(struct log_queue *queue, struct slice entry);

/* The same for the text of the queues; one that has failed is counted as dropped. */
void log_queue_add_text(struct log_queue *queue);

enum log_result { LOG_DELIVERED, LOG_FAILED, LOG_LOST /* not to be tried again */ };
void log_batch_done(struct log_batch *batch, enum log_result result);

/* --- configuration -------------------------------------------------------------------------------------- */

/* Kong's record `queue`. */
struct log_queue_config {
    int64_t max_batch_size, max_entries, max_bytes, concurrency_limit;
    double max_coalescing_delay, max_retry_time, initial_retry_delay, max_retry_delay;
};

extern const struct schema log_queue_schema; /* batches of 1 by default */
extern const struct schema log_queue_schema_200;

struct log_limits log_queue_limits(const struct log_queue_config *config);

/* Kong's record for plugins whose batches nobody sees: they are large, whatever it says. */
struct log_limits log_line_limits(const struct log_queue_config *config);

/* For plugins whose receivers get every entry on its own, as fast as they can. */
struct log_limits log_stream_limits(void);
