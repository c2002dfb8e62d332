/* SPDX-License-Identifier: Apache-2.0 */
/* Kong's datadog: numbers of each request to a Datadog agent, as StatsD lines with tags. */
#include "plugins/log_datagram.h"
#include "plugins/plugins.h"
#include "plugins/statsd_lines.h"
#include "plugins/statsd_values.h"

#include <math.h>
#include <stdlib.h>

struct datadog_metric {
    int name, type, consumer; /* consumer: -1, or enum statsd_consumer */
    double sample_rate; /* NAN: 1 */
    struct slices tags;
};

struct datadog_config {
    struct slice host, prefix, service_tag, status_tag, consumer_tag;
    int64_t port, queue_size, retry_count;
    double flush_timeout;
    struct schema_records metrics; /* struct datadog_metric; none: the usual ones */
    struct log_queue_config queue;
};

/* --- configuration -------------------------------------------------------------------------------------- */

static const char *const names[] = {
    "request_count", "latency", "request_size", "response_size", "upstream_latency", "kong_latency", NULL
};

static const char *check_tag(struct slice tag)
{
    bool ends = tag.size > 0 && tag.data[tag.size - 1] == ':';
    return tag.size == 0 || ends ? "invalid value: {}" : NULL;
}

#define METRIC(member) offsetof(struct datadog_metric, member)

static const struct field metric_fields[] = {
    { "name", FIELD_CHOICE, METRIC(name), .flags = FIELD_REQUIRED, .choices = names },
    { "stat_type", FIELD_CHOICE, METRIC(type), .flags = FIELD_REQUIRED, .choices = statsd_type_names },
    { "tags", FIELD_STRINGS, METRIC(tags), .check = check_tag, .help = "name:value, beside the usual ones" },
    { "sample_rate", FIELD_NUMBER, METRIC(sample_rate), .max = 1,
      .help = "the share that is sent; required for counters and gauges" },
    { "consumer_identifier", FIELD_CHOICE, METRIC(consumer), .choices = statsd_consumer_names,
      .help = "what a consumer is called in its tag" },
};

static void check_metric(void *value, const struct node *node, const struct config_place *place)
{
    const struct datadog_metric *metric = value;
    if ((metric->type == STATSD_COUNTER || metric->type == STATSD_GAUGE) && isnan(metric->sample_rate))
        schema_error(place, node, "sample_rate", "required field missing");
}

static const struct schema metric_schema = { .name = "metric",
                                             .fields = metric_fields,
                                             .field_count = COUNT_OF(metric_fields),
                                             .struct_size = sizeof(struct datadog_metric),
                                             .check = check_metric };

#define AT(member) offsetof(struct datadog_config, member)

static const struct field fields[] = {
    { "host", FIELD_STRING, AT(host), .flags = FIELD_VAULT,
      .help = "the agent; null: KONG_DATADOG_AGENT_HOST, or localhost" },
    { "port", FIELD_INTEGER, AT(port), .max = 65535, .help = "null: KONG_DATADOG_AGENT_PORT, or 8125" },
    { "prefix", FIELD_STRING, AT(prefix), .fallback = "kong", .help = "of all names" },
    { "service_name_tag", FIELD_STRING, AT(service_tag), .fallback = "name" },
    { "status_tag", FIELD_STRING, AT(status_tag), .fallback = "status" },
    { "consumer_tag", FIELD_STRING, AT(consumer_tag), .fallback = "consumer" },
    { "metrics", FIELD_RECORDS, AT(metrics), .record = &metric_schema,
      .help = "null: all six, tagged app:kong" },
    { "queue", FIELD_RECORD, AT(queue), .record = &log_queue_schema },
    { "retry_count", FIELD_INTEGER, AT(retry_count), .help = "Kong's older name; without effect, as there" },
    { "queue_size", FIELD_INTEGER, AT(queue_size), .min = 1, .max = 1000000,
      .help = "Kong's older name of queue.max_batch_size" },
    { "flush_timeout", FIELD_NUMBER, AT(flush_timeout), .max = 3600,
      .help = "Kong's older name of queue.max_coalescing_delay" },
};

static void settle(void *value, const struct node *node, const struct config_place *place)
{
    struct datadog_config *config = value;
    const char *host = getenv("KONG_DATADOG_AGENT_HOST"), *port = getenv("KONG_DATADOG_AGENT_PORT");
    uint64_t number = 8125;
    if (config->host.data == NULL)
        config->host = arena_copy(place->arena, slice_of(host && host[0] ? host : "localhost"));
    if (config->port == INTEGER_NULL && port && (!slice_to_u64(slice_of(port), &number) || number > 65535))
        schema_error(place, node, "port", "KONG_DATADOG_AGENT_PORT is no port");
    if (config->port == INTEGER_NULL)
        config->port = (int64_t)number;
    if (config->queue_size != INTEGER_NULL && config->queue_size != 1)
        config->queue.max_batch_size = config->queue_size;
    if (!isnan(config->flush_timeout) && config->flush_timeout != 2)
        config->queue.max_coalescing_delay = config->flush_timeout;
}

static uint32_t hosts_of(const void *value, struct slice *hosts)
{
    hosts[0] = ((const struct datadog_config *)value)->host;
    return 1;
}

static bool copy(struct log_sender *sender, const void *value)
{
    const struct datadog_config *config = value;
    struct log_datagram_settings settings = { .host = config->host,
                                              .port = (uint16_t)config->port,
                                              .by_line = true };
    sender->limits = log_line_limits(&config->queue);
    return log_datagram_copy(sender, &settings);
}

static const struct log_sink sink = { .settings_size = sizeof(struct log_datagram_settings),
                                      .work_size = sizeof(struct log_datagram_work),
                                      .copy = copy,
                                      .send = log_datagram_send,
                                      .stop = log_datagram_stop,
                                      .close = log_datagram_close };

/* --- lines ---------------------------------------------------------------------------------------------- */

enum { TAGS_MAX = 32 };

struct tag_list {
    struct statsd_tag items[TAGS_MAX];
    uint32_t count;
};

static void add_tag(struct tag_list *list, struct slice name, struct slice value)
{
    if (name.size > 0 && value.size > 0 && list->count < TAGS_MAX)
        list->items[list->count++] = (struct statsd_tag){ name, value };
}

static void list_tags(struct tag_list *list, const struct plugin_call *call,
                      const struct datadog_metric *metric)
{
    const struct datadog_config *config = call->config;
    const struct service *service = exchange_service(call->exchange);
    struct slice status = arena_format(exchange_arena(call->exchange), "%d", exchange_status(call->exchange));
    struct slice name = { NULL, 0 }, usual = SLICE("app");
    if (service)
        name = service->entity.name.size ? service->entity.name : service->host;
    int identifier = metric && metric->consumer >= 0 ? metric->consumer : STATSD_CUSTOM_ID;
    add_tag(list, config->service_tag, name);
    add_tag(list, config->status_tag, status);
    add_tag(list, config->consumer_tag, statsd_consumer(identifier, exchange_consumer(call->exchange)));
    if (metric == NULL)
        add_tag(list, usual, SLICE("kong"));
    for (uint32_t i = 0; metric && i < metric->tags.count; i++) {
        struct slice value, key = slice_split(metric->tags.items[i], ':', &value);
        add_tag(list, key, value);
    }
}

static void add_line(struct text *text, const struct plugin_call *call, enum statsd_metric what,
                     const struct datadog_metric *metric, const struct exchange_record *record)
{
    const struct datadog_config *config = call->config;
    int64_t value = statsd_value(what, record);
    double rate = metric && !isnan(metric->sample_rate) ? metric->sample_rate : 1;
    struct tag_list tags = { .count = 0 };
    if (value < 0 || !statsd_is_sampled(call->exchange, rate))
        return;
    list_tags(&tags, call, metric);
    struct statsd_line line = {
        .name = arena_format(exchange_arena(call->exchange), "%.*s%s%s", SLICE_FORMAT(config->prefix),
                             config->prefix.size ? "." : "", statsd_value_names[what]),
        .type = metric                         ? metric->type
                : what == STATSD_REQUEST_COUNT ? STATSD_COUNTER
                                               : STATSD_TIMER,
        .sample_rate = rate,
        .value = (uint64_t)value,
        .style = STATSD_DOGSTATSD,
        .tags = tags.items,
        .tag_count = tags.count,
    };
    if (text->size > 0)
        text_byte(text, '\n');
    statsd_write(text, &line);
}

static enum verdict on_log(const struct plugin_call *call)
{
    const struct datadog_config *config = call->config;
    struct log_queues *queues = call->shard_state;
    const struct datadog_metric *metrics = (const struct datadog_metric *)(const void *)config->metrics.items;
    struct log_queue *queue = exchange_service(call->exchange) ? log_queue_of(queues, call) : NULL;
    if (queue == NULL)
        return VERDICT_CONTINUE;
    struct exchange_record record;
    exchange_record_of(call->exchange, &record);
    for (uint32_t i = 0; i < config->metrics.count; i++)
        add_line(&queues->text, call, (enum statsd_metric)metrics[i].name, &metrics[i], &record);
    for (int what = 0; config->metrics.count == 0 && what < STATSD_VALUES; what++)
        add_line(&queues->text, call, (enum statsd_metric)what, NULL, &record);
    if (queues->text.size > 0)
        log_queue_add_text(queue);
    return VERDICT_CONTINUE;
}

static enum error shard_open_state(struct shard *shard, void *process_state, void *shard_state)
{
    (void)process_state;
    log_queues_open(shard_state, shard, &sink);
    return ERROR_OK;
}

const struct plugin datadog_plugin = {
    .kind = { .name = "datadog",
              .priority = 10,
              .config = { .name = "datadog",
                          .fields = fields,
                          .field_count = COUNT_OF(fields),
                          .struct_size = sizeof(struct datadog_config),
                          .check = settle },
              .hosts_of = hosts_of },
    .on = { [PHASE_LOG] = on_log },
    .shard_state_size = sizeof(struct log_queues),
    .shard_open = shard_open_state,
    .shard_close = log_queues_close,
    .shard_flush = log_queues_flush,
};
