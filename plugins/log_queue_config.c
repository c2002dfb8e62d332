/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/log_queue.h"

enum { PARALLEL_MAX = 16 /* where Kong has no limit */ };

#define AT(member) offsetof(struct log_queue_config, member)

#define QUEUE_FIELDS(batch)                                                                                 \
    {                                                                                                       \
        { "max_batch_size", FIELD_INTEGER, AT(max_batch_size), .min = 1, .max = 1000000, .fallback = batch, \
          .help = "entries sent together" },                                                                \
        { "max_coalescing_delay", FIELD_NUMBER, AT(max_coalescing_delay), .max = 3600, .fallback = "1",     \
          .help = "seconds that an entry waits for a batch to become full" },                               \
        { "max_entries", FIELD_INTEGER, AT(max_entries), .min = 1, .max = 1000000, .fallback = "10000",     \
          .help = "entries kept by a shard; the oldest makes room" },                                       \
        { "max_bytes", FIELD_INTEGER, AT(max_bytes), .min = 1, .max = 1e15,                                 \
          .help = "the same in bytes; null: only the setting log_queue_size" },                             \
        { "max_retry_time", FIELD_NUMBER, AT(max_retry_time), .max = 1e9, .fallback = "60",                 \
          .help = "seconds for which a batch is tried again; then it is dropped" },                         \
        { "initial_retry_delay", FIELD_NUMBER, AT(initial_retry_delay), .min = 0.001, .max = 1000000,       \
          .fallback = "0.01", .help = "seconds before the second try, doubled for each further one" },      \
        { "max_retry_delay", FIELD_NUMBER, AT(max_retry_delay), .min = 0.001, .max = 1000000,               \
          .fallback = "60", .help = "seconds between two tries, at most" },                                 \
        { "concurrency_limit", FIELD_INTEGER, AT(concurrency_limit), .min = -1, .max = 1, .fallback = "1",  \
          .help = "batches under way: 1, or -1 for sixteen" },                                              \
    }

static const struct field fields[] = QUEUE_FIELDS("1");
static const struct field fields_200[] = QUEUE_FIELDS("200");

static void check(void *value, const struct node *node, const struct config_place *place)
{
    const struct log_queue_config *config = value;
    if (config->concurrency_limit == 0)
        schema_error(place, node, "concurrency_limit", "expected one of: 1, -1");
}

const struct schema log_queue_schema = { .name = "queue",
                                         .fields = fields,
                                         .field_count = COUNT_OF(fields),
                                         .struct_size = sizeof(struct log_queue_config),
                                         .check = check };

const struct schema log_queue_schema_200 = { .name = "queue",
                                             .fields = fields_200,
                                             .field_count = COUNT_OF(fields_200),
                                             .struct_size = sizeof(struct log_queue_config),
                                             .check = check };

static uint64_t milliseconds(double seconds)
{
    return (uint64_t)(seconds * 1000 + 0.5);
}

struct log_limits log_queue_limits(const struct log_queue_config *config)
{
    return (struct log_limits){
        .batch_entries = (uint32_t)config->max_batch_size,
        .entries = (uint32_t)config->max_entries,
        .bytes = config->max_bytes == INTEGER_NULL ? 0 : (uint64_t)config->max_bytes,
        .delay_ms = config->max_batch_size == 1 ? 0 : milliseconds(config->max_coalescing_delay),
        .retry_ms = milliseconds(config->max_retry_time),
        .first_retry_ms = milliseconds(config->initial_retry_delay),
        .longest_retry_ms = milliseconds(config->max_retry_delay),
        .parallel = config->concurrency_limit < 0 ? PARALLEL_MAX : 1,
    };
}

struct log_limits log_line_limits(const struct log_queue_config *config)
{
    enum { USUAL_BATCH = 64 };
    struct log_limits limits = log_queue_limits(config);
    if (limits.batch_entries < USUAL_BATCH)
        limits.batch_entries = USUAL_BATCH;
    return limits;
}

struct log_limits log_stream_limits(void)
{
    return (struct log_limits){ .batch_entries = 64,
                                .entries = 10000,
                                .retry_ms = 10000,
                                .first_retry_ms = 100,
                                .longest_retry_ms = 2000,
                                .parallel = 1 };
}
