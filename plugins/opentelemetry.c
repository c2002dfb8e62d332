/* SPDX-License-Identifier: Apache-2.0 */
/* Kong's opentelemetry: takes part in traces, and sends spans and log records to a collector (OTLP over
 * HTTP). */
#include "plugins/opentelemetry.h"

#include "config/settings.h"
#include "core/crypto/uuid.h"
#include "net/proxy/exchange_edit.h"
#include "net/proxy/proxy.h"
#include "plugins/log_entry.h"
#include "plugins/log_http.h"
#include "plugins/plugins.h"

#include <math.h>
#include <stdlib.h>

/* --- configuration -------------------------------------------------------------------------------------- */

static const char *const strategies[] = { "parent_probability_fallback", "parent_drop_probability_fallback",
                                          NULL };

#define AT(member) offsetof(struct otel_config, member)

static const struct field fields[] = {
    { "traces_endpoint", FIELD_STRING, AT(traces_endpoint), .flags = FIELD_VAULT, .check = log_http_check_url,
      .help = "where spans go, like http://collector:4318/v1/traces", .alias = "endpoint" },
    { "logs_endpoint", FIELD_STRING, AT(logs_endpoint), .flags = FIELD_VAULT, .check = log_http_check_url,
      .help = "where a log record for each request goes, like http://collector:4318/v1/logs" },
    { "headers", FIELD_MAP, AT(headers), .flags = FIELD_SINGLE | FIELD_VAULT | FIELD_SECRET,
      .check = log_http_check_header, .help = "added to what is sent there" },
    { "resource_attributes", FIELD_MAP, AT(resource_attributes), .flags = FIELD_SINGLE,
      .help = "of the gateway, beside service.name, service.version and service.instance.id" },
    { "queue", FIELD_RECORD, AT(queue), .record = &log_queue_schema_200 },
    { "batch_span_count", FIELD_INTEGER, AT(batch_span_count), .min = 1, .max = 1000000,
      .help = "Kong's older name of queue.max_batch_size" },
    { "batch_flush_delay", FIELD_INTEGER, AT(batch_flush_delay), .min = 1, .max = 3600,
      .help = "Kong's older name of queue.max_coalescing_delay" },
    { "connect_timeout", FIELD_INTEGER, AT(connect_timeout_ms), .max = 2147483646, .fallback = "1000" },
    { "send_timeout", FIELD_INTEGER, AT(send_timeout_ms), .max = 2147483646, .fallback = "5000" },
    { "read_timeout", FIELD_INTEGER, AT(read_timeout_ms), .max = 2147483646, .fallback = "5000",
      .help = "the three together limit one request to the collector" },
    { "http_response_header_for_traceid", FIELD_STRING, AT(response_header),
      .help = "a header of the response that names the trace" },
    { "header_type", FIELD_CHOICE, AT(types.type), .fallback = "preserve", .choices = trace_header_type_names,
      .help = "Kong's older way to say propagation" },
    { "sampling_rate", FIELD_NUMBER, AT(sampling_rate), .max = 1,
      .help = "of the requests whose client has not decided; null: the setting tracing_sampling_rate" },
    { "sampling_strategy", FIELD_CHOICE, AT(strategy), .fallback = "parent_probability_fallback",
      .choices = strategies,
      .help = "whether a client may have its requests recorded, or only not recorded" },
    { "propagation", FIELD_RECORD, AT(propagation), .record = &trace_propagation_w3c_schema },
};

static void check_attributes(const struct otel_config *config, const struct node *node,
                             const struct config_place *place)
{
    for (uint32_t i = 0; i < config->resource_attributes.count; i++) {
        const struct schema_map_entry *entry = &config->resource_attributes.entries[i];
        struct slice value = entry->values.count ? entry->values.items[0] : SLICE("");
        if (value.size >= 2 && memmem(value.data, value.size, "$(", 2))
            schema_error(place, node, "resource_attributes", "%.*s: there are no templates here",
                         SLICE_FORMAT(entry->name));
    }
}

static void settle(void *value, const struct node *node, const struct config_place *place)
{
    struct otel_config *config = value;
    config->types.fallback = -1;
    if (config->traces_endpoint.data == NULL && config->logs_endpoint.data == NULL)
        schema_error(place, node, "traces_endpoint",
                     "at least one of these fields must be non-empty: 'traces_endpoint', 'logs_endpoint'");
    if (config->batch_span_count != INTEGER_NULL && config->batch_span_count != 200)
        config->queue.max_batch_size = config->batch_span_count;
    if (config->batch_flush_delay != INTEGER_NULL && config->batch_flush_delay != 3)
        config->queue.max_coalescing_delay = (double)config->batch_flush_delay;
    check_attributes(config, node, place);
    trace_rules_of(&config->propagation, &config->types, &config->rules);
}

static uint32_t hosts_of(const void *value, struct slice *hosts)
{
    const struct otel_config *config = value;
    uint32_t count = log_http_host(config->traces_endpoint, hosts);
    return count + log_http_host(config->logs_endpoint, hosts + count);
}

/* --- sending -------------------------------------------------------------------------------------------- */

/* The same wherever it is sent: the message Resource. */
struct otel_resource {
    struct slice text;
};

static bool has_attribute(const struct otel_config *config, const char *name)
{
    for (uint32_t i = 0; i < config->resource_attributes.count; i++)
        if (slice_equal(config->resource_attributes.entries[i].name, slice_of(name)))
            return true;
    return false;
}

static bool make_resource(struct log_sender *sender, const struct otel_config *config,
                          struct otel_resource *resource)
{
    enum { RESOURCE_BYTES_MAX = 65536, FIELD = OTLP_RESOURCE_ATTRIBUTES };
    struct text text;
    text_init(&text, RESOURCE_BYTES_MAX);
    if (!has_attribute(config, "service.name"))
        otlp_string(&text, FIELD, "service.name", SLICE("kong"));
    if (!has_attribute(config, "service.version"))
        otlp_string(&text, FIELD, "service.version", SLICE(SLUICE_VERSION));
    if (!has_attribute(config, "service.instance.id"))
        otlp_string(&text, FIELD, "service.instance.id", slice_of(sender->context));
    for (uint32_t i = 0; i < config->resource_attributes.count; i++) {
        const struct schema_map_entry *entry = &config->resource_attributes.entries[i];
        otlp_named_string(&text, FIELD, entry->name,
                          entry->values.count ? entry->values.items[0] : SLICE(""));
    }
    resource->text = text.failed ? (struct slice){ NULL, 0 } : arena_copy(&sender->arena, text_slice(&text));
    text_deinit(&text);
    return resource->text.data != NULL;
}

/* Requests for traces and for logs have the same form: resource_* = 1 of { resource = 1, scope_* = 2 of
 * { scope = 1, items = 2 } }. */
static bool compose(const struct log_batch *batch, struct text *body)
{
    enum {
        RESOURCE_ITEMS = 1,
        RESOURCE = 1,
        SCOPE_ITEMS = 2,
        SCOPE = 1,
        ITEMS = 2,
        SCOPE_NAME = 1,
        SCOPE_VERSION = 2
    };
    const struct log_http_settings *settings = batch->sender->settings;
    const struct otel_resource *resource = settings->more;
    size_t all = otlp_begin(body, RESOURCE_ITEMS);
    otlp_bytes(body, RESOURCE, resource->text);
    size_t scoped = otlp_begin(body, SCOPE_ITEMS), scope = otlp_begin(body, SCOPE);
    otlp_bytes(body, SCOPE_NAME, SLICE("kong-internal"));
    otlp_bytes(body, SCOPE_VERSION, SLICE(SLUICE_VERSION));
    otlp_end(body, scope);
    for (const struct log_entry *entry = batch->first; entry; entry = entry->next)
        otlp_bytes(body, ITEMS, (struct slice){ entry->data, entry->size });
    otlp_end(body, scoped);
    otlp_end(body, all);
    return !body->failed;
}

static bool copy_to(struct log_sender *sender, const struct otel_config *config, struct slice url)
{
    struct otel_resource *resource = arena_alloc_zero(&sender->arena, sizeof(*resource));
    struct log_http_settings settings = { .method = SLICE("POST"),
                                          .url = url,
                                          .content_type = SLICE("application/x-protobuf"),
                                          .timeout_ms =
                                              (uint32_t)(config->connect_timeout_ms +
                                                         config->send_timeout_ms + config->read_timeout_ms),
                                          .delivered_from = 200,
                                          .delivered_to = 200,
                                          .compose = compose,
                                          .more = resource };
    sender->limits = log_queue_limits(&config->queue);
    return resource && make_resource(sender, config, resource) &&
           log_http_copy(sender, &settings, &config->headers);
}

static bool copy_traces(struct log_sender *sender, const void *value)
{
    const struct otel_config *config = value;
    return copy_to(sender, config, config->traces_endpoint);
}

static bool copy_logs(struct log_sender *sender, const void *value)
{
    const struct otel_config *config = value;
    return copy_to(sender, config, config->logs_endpoint);
}

static const struct log_sink traces_sink = { .settings_size = sizeof(struct log_http_settings),
                                             .work_size = sizeof(struct log_http_work),
                                             .copy = copy_traces,
                                             .send = log_http_send,
                                             .stop = log_http_stop };
static const struct log_sink logs_sink = { .settings_size = sizeof(struct log_http_settings),
                                           .work_size = sizeof(struct log_http_work),
                                           .copy = copy_logs,
                                           .send = log_http_send,
                                           .stop = log_http_stop };

/* --- requests ------------------------------------------------------------------------------------------- */

struct otel_shard {
    struct log_queues traces, logs;
    struct trace_source source;
    struct text entry;
    unsigned instruments; /* 0: nothing is recorded */
    double rate; /* of the settings */
};

static void begin(const struct plugin_call *call)
{
    const struct otel_config *config = call->config;
    struct otel_shard *state = call->shard_state;
    double rate = isnan(config->sampling_rate) ? state->rate : config->sampling_rate;
    struct trace_begin how = { .rules = &config->rules,
                               .rate = state->instruments ? rate : -1,
                               .trust = (enum trace_trust)config->strategy,
                               .id_bytes = TRACE_ID_BYTES };
    trace_begin(call->exchange_state, &state->source, call->exchange, &how);
}

static enum verdict on_rewrite(const struct plugin_call *call)
{
    begin(call);
    return VERDICT_CONTINUE;
}

static enum verdict on_access(const struct plugin_call *call)
{
    const struct otel_config *config = call->config;
    struct trace *trace = call->exchange_state;
    begin(call);
    if (!trace->told && !trace_propagate(call->exchange, &config->rules, trace->found, &trace->context))
        return exchange_respond_failure(call->exchange);
    trace->told = true;
    return VERDICT_CONTINUE;
}

static enum verdict on_response_head(const struct plugin_call *call)
{
    const struct otel_config *config = call->config;
    const struct trace *trace = call->exchange_state;
    if (config->response_header.size == 0 || !trace->begun)
        return VERDICT_CONTINUE;
    struct slice text = trace_id_text(exchange_arena(call->exchange), trace);
    (void)(text.data && exchange_set_response_header(call->exchange, config->response_header, text));
    return VERDICT_CONTINUE;
}

static void send_log(struct otel_shard *state, const struct plugin_call *call,
                     const struct otel_request *request)
{
    struct log_queue *queue = log_queue_of(&state->logs, call);
    if (queue == NULL)
        return;
    text_clear(&state->entry);
    log_entry_write(&state->entry, call);
    otel_write_log(&state->logs.text, request, text_slice(&state->entry));
    state->logs.text.failed |= state->entry.failed;
    log_queue_add_text(queue);
}

static enum verdict on_log(const struct plugin_call *call)
{
    const struct otel_config *config = call->config;
    struct otel_shard *state = call->shard_state;
    struct otel_request request = { .trace = call->exchange_state,
                                    .exchange = call->exchange,
                                    .source = &state->source,
                                    .instruments = state->instruments };
    bool traced = config->traces_endpoint.size > 0 && trace_is_sampled(request.trace);
    if (!traced && config->logs_endpoint.size == 0)
        return VERDICT_CONTINUE;
    exchange_record_of(call->exchange, &request.record);
    struct log_queue *queue = traced ? log_queue_of(&state->traces, call) : NULL;
    if (queue)
        otel_add_spans(queue, &request);
    if (config->logs_endpoint.size > 0)
        send_log(state, call, &request);
    return VERDICT_CONTINUE;
}

/* --- life ----------------------------------------------------------------------------------------------- */

/* What Kong's words stand for; what is never done here has no bit. */
static unsigned instruments_of(const struct slices *words)
{
    static const struct {
        const char *word;
        unsigned bits;
    } known[] = {
        { "all",
          OTEL_REQUEST | OTEL_ROUTER | OTEL_REWRITE | OTEL_ACCESS | OTEL_HEADER_FILTER | OTEL_BALANCER },
        { "request", OTEL_REQUEST },
        { "router", OTEL_REQUEST | OTEL_ROUTER },
        { "plugin_rewrite", OTEL_REQUEST | OTEL_REWRITE },
        { "plugin_access", OTEL_REQUEST | OTEL_ACCESS },
        { "plugin_header_filter", OTEL_REQUEST | OTEL_HEADER_FILTER },
        { "balancer", OTEL_REQUEST | OTEL_BALANCER },
        { "db_query", OTEL_REQUEST },
        { "dns_query", OTEL_REQUEST },
        { "http_client", OTEL_REQUEST },
    };
    unsigned bits = 0;
    for (uint32_t i = 0; i < words->count; i++)
        for (size_t k = 0; k < COUNT_OF(known); k++)
            if (slice_equal(words->items[i], slice_of(known[k].word)))
                bits |= known[k].bits;
    return bits;
}

/* What the collector tells this process from others by. */
static void *process_open(unsigned shard_count)
{
    (void)shard_count;
    char *instance_id = malloc(UUID_TEXT_SIZE);
    if (instance_id)
        uuid_random(NULL, instance_id);
    return instance_id;
}

static enum error shard_open_state(struct shard *shard, void *process_state, void *shard_state)
{
    enum { ENTRY_BYTES_MAX = 1024 * 1024 };
    const struct settings *settings = proxy_settings(shard);
    struct otel_shard *state = shard_state;
    log_queues_open(&state->traces, shard, &traces_sink);
    log_queues_open(&state->logs, shard, &logs_sink);
    state->traces.context = state->logs.context = process_state;
    text_init(&state->entry, ENTRY_BYTES_MAX);
    state->instruments = instruments_of(&settings->tracing_instrumentations);
    state->rate = settings->tracing_sampling_rate;
    return ERROR_OK;
}

static void shard_close_state(void *shard_state)
{
    struct otel_shard *state = shard_state;
    log_queues_close(&state->traces);
    log_queues_close(&state->logs);
    text_deinit(&state->entry);
}

static bool shard_flush(void *shard_state)
{
    struct otel_shard *state = shard_state;
    bool traces = log_queues_flush(&state->traces), logs = log_queues_flush(&state->logs);
    return traces && logs;
}

const struct plugin opentelemetry_plugin = {
    .kind = { .name = "opentelemetry",
              .priority = 14,
              .config = { .name = "opentelemetry",
                          .fields = fields,
                          .field_count = COUNT_OF(fields),
                          .struct_size = sizeof(struct otel_config),
                          .check = settle },
              .hosts_of = hosts_of },
    .on = { [PHASE_REWRITE] = on_rewrite,
            [PHASE_ACCESS] = on_access,
            [PHASE_RESPONSE_HEAD] = on_response_head,
            [PHASE_LOG] = on_log },
    .shard_state_size = sizeof(struct otel_shard),
    .exchange_state_size = sizeof(struct trace),
    .process_open = process_open,
    .process_close = free,
    .shard_open = shard_open_state,
    .shard_close = shard_close_state,
    .shard_flush = shard_flush,
};
