/* SPDX-License-Identifier: Apache-2.0 */
/* Kong's zipkin: takes part in traces, and sends spans of sampled requests to a Zipkin server. */
#include "core/crypto/uuid.h"
#include "net/proxy/exchange_edit.h"
#include "plugins/log_http.h"
#include "plugins/plugins.h"
#include "plugins/trace.h"
#include "plugins/zipkin_span.h"

#include <stdlib.h>

static const char *const span_names[] = { "method", "method_path", NULL };
static const char *const flavors[] = { "annotations", "tags", NULL };

#define AT(member) offsetof(struct zipkin_config, member)

static const struct field tag_fields[] = {
    { "name", FIELD_STRING, offsetof(struct zipkin_tag, name), .flags = FIELD_REQUIRED },
    { "value", FIELD_STRING, offsetof(struct zipkin_tag, value), .flags = FIELD_REQUIRED },
};

static void check_tag(void *value, const struct node *node, const struct config_place *place)
{
    static const char *const own[] = { "error",
                                       "http.method",
                                       "http.path",
                                       "http.status_code",
                                       "kong.balancer.state",
                                       "kong.balancer.try",
                                       "kong.consumer",
                                       "kong.credential",
                                       "kong.node.id",
                                       "kong.route",
                                       "kong.service",
                                       "lc",
                                       "peer.hostname" };
    const struct zipkin_tag *tag = value;
    for (size_t i = 0; i < COUNT_OF(own); i++)
        if (slice_equal(tag->name, slice_of(own[i])))
            schema_error(place, node, "name", "must not be one of the plugin's own tags");
}

static const struct schema tag_schema = { .name = "static tag",
                                          .fields = tag_fields,
                                          .field_count = COUNT_OF(tag_fields),
                                          .struct_size = sizeof(struct zipkin_tag),
                                          .check = check_tag };

static const struct field fields[] = {
    { "http_endpoint", FIELD_STRING, AT(endpoint), .flags = FIELD_VAULT, .check = log_http_check_url,
      .help = "where spans go, like http://zipkin:9411/api/v2/spans; null: nowhere" },
    { "sample_ratio", FIELD_NUMBER, AT(sample_ratio), .max = 1, .fallback = "0.001",
      .help = "of the requests whose client has not decided" },
    { "default_service_name", FIELD_STRING, AT(default_service_name),
      .help = "what upstreams of services without a name are called" },
    { "local_service_name", FIELD_STRING, AT(local_service_name), .fallback = "kong",
      .help = "what the gateway is called" },
    { "include_credential", FIELD_BOOLEAN, AT(include_credential), .fallback = "true",
      .help = "the id of the credential becomes a tag" },
    { "traceid_byte_count", FIELD_INTEGER, AT(id_bytes), .min = 8, .max = 16, .fallback = "16",
      .help = "of new traces: 8 or 16" },
    { "header_type", FIELD_CHOICE, AT(types.type), .fallback = "preserve", .choices = trace_header_type_names,
      .help = "Kong's older way to say propagation" },
    { "default_header_type", FIELD_CHOICE, AT(types.fallback), .choices = trace_format_names,
      .help = "the same of propagation.default_format" },
    { "propagation", FIELD_RECORD, AT(propagation), .record = &trace_propagation_b3_schema },
    { "tags_header", FIELD_STRING, AT(tags_header), .fallback = "Zipkin-Tags",
      .help = "a request's own tags: a=b;c=d" },
    { "static_tags", FIELD_RECORDS, AT(static_tags), .record = &tag_schema, .help = "of every request" },
    { "http_span_name", FIELD_CHOICE, AT(span_name), .fallback = "method", .choices = span_names },
    { "phase_duration_flavor", FIELD_CHOICE, AT(flavor), .fallback = "annotations", .choices = flavors },
    { "http_response_header_for_traceid", FIELD_STRING, AT(response_header),
      .help = "a header of the response that names the trace" },
    { "connect_timeout", FIELD_INTEGER, AT(connect_timeout_ms), .max = 2147483646, .fallback = "2000" },
    { "send_timeout", FIELD_INTEGER, AT(send_timeout_ms), .max = 2147483646, .fallback = "5000" },
    { "read_timeout", FIELD_INTEGER, AT(read_timeout_ms), .max = 2147483646, .fallback = "5000",
      .help = "the three together limit one request to the server" },
    { "queue", FIELD_RECORD, AT(queue), .record = &log_queue_schema },
};

static void settle(void *value, const struct node *node, const struct config_place *place)
{
    struct zipkin_config *config = value;
    if (config->id_bytes != INTEGER_NULL && config->id_bytes != 8 && config->id_bytes != 16)
        schema_error(place, node, "traceid_byte_count", "expected one of: 8, 16");
    const struct zipkin_tag *tags = (const struct zipkin_tag *)(const void *)config->static_tags.items;
    for (uint32_t i = 0; i < config->static_tags.count; i++)
        for (uint32_t k = 0; k < i; k++)
            if (slice_equal(tags[i].name, tags[k].name))
                schema_error(place, node, "static_tags", "repeated tags are not allowed: %.*s",
                             SLICE_FORMAT(tags[i].name));
    trace_rules_of(&config->propagation, &config->types, &config->rules);
}

static uint32_t hosts_of(const void *value, struct slice *hosts)
{
    return log_http_host(((const struct zipkin_config *)value)->endpoint, hosts);
}

/* --- sending -------------------------------------------------------------------------------------------- */

static bool compose(const struct log_batch *batch, struct text *body)
{
    text_byte(body, '[');
    for (const struct log_entry *entry = batch->first; entry; entry = entry->next) {
        if (entry != batch->first)
            text_byte(body, ',');
        text_add(body, (struct slice){ entry->data, entry->size });
    }
    text_byte(body, ']');
    return !body->failed;
}

static bool copy(struct log_sender *sender, const void *value)
{
    const struct zipkin_config *config = value;
    struct schema_map none = { NULL, 0 };
    struct log_http_settings settings = { .method = SLICE("POST"),
                                          .url = config->endpoint,
                                          .content_type = SLICE("application/json"),
                                          .timeout_ms =
                                              (uint32_t)(config->connect_timeout_ms +
                                                         config->send_timeout_ms + config->read_timeout_ms),
                                          .delivered_from = 200,
                                          .delivered_to = 299,
                                          .compose = compose };
    sender->limits = log_queue_limits(&config->queue);
    return log_http_copy(sender, &settings, &none);
}

static const struct log_sink sink = { .settings_size = sizeof(struct log_http_settings),
                                      .work_size = sizeof(struct log_http_work),
                                      .copy = copy,
                                      .send = log_http_send,
                                      .stop = log_http_stop };

/* --- requests ------------------------------------------------------------------------------------------- */

struct zipkin_shard {
    struct log_queues queues; /* first */
    struct trace_source source;
    const char *node_id;
};

static void begin(const struct plugin_call *call)
{
    const struct zipkin_config *config = call->config;
    struct zipkin_shard *state = call->shard_state;
    struct trace_begin how = { .rules = &config->rules,
                               .rate = config->sample_ratio,
                               .trust = TRACE_PARENT_DECIDES,
                               .id_bytes = (uint32_t)config->id_bytes,
                               .shares_span = true };
    trace_begin(call->exchange_state, &state->source, call->exchange, &how);
}

static enum verdict on_rewrite(const struct plugin_call *call)
{
    begin(call);
    return VERDICT_CONTINUE;
}

/* The span that the upstream sees is that of the way to it. */
static enum verdict on_access(const struct plugin_call *call)
{
    const struct zipkin_config *config = call->config;
    struct trace *trace = call->exchange_state;
    begin(call);
    struct trace_context upstream = trace->context;
    memcpy(upstream.parent_id, trace->context.span_id, SPAN_ID_BYTES);
    memcpy(upstream.span_id, trace->proxy_id, SPAN_ID_BYTES);
    if (!trace->told && !trace_propagate(call->exchange, &config->rules, trace->found, &upstream))
        return exchange_respond_failure(call->exchange);
    trace->told = true;
    return VERDICT_CONTINUE;
}

static enum verdict on_response_head(const struct plugin_call *call)
{
    const struct zipkin_config *config = call->config;
    const struct trace *trace = call->exchange_state;
    if (config->response_header.size == 0 || !trace->begun)
        return VERDICT_CONTINUE;
    struct slice text = trace_id_text(exchange_arena(call->exchange), trace);
    (void)(text.data && exchange_set_response_header(call->exchange, config->response_header, text));
    return VERDICT_CONTINUE;
}

static enum verdict on_log(const struct plugin_call *call)
{
    const struct zipkin_config *config = call->config;
    struct zipkin_shard *state = call->shard_state;
    struct zipkin_request request = {
        .trace = call->exchange_state, .config = config, .exchange = call->exchange, .node_id = state->node_id
    };
    if (config->endpoint.size == 0 || !trace_is_sampled(request.trace))
        return VERDICT_CONTINUE;
    struct log_queue *queue = log_queue_of(&state->queues, call);
    if (queue == NULL)
        return VERDICT_CONTINUE;
    exchange_record_of(call->exchange, &request.record);
    struct text *text = &state->queues.text;
    zipkin_write_request(text, &request);
    log_queue_add_text(queue);
    if (request.record.try_count == 0)
        return VERDICT_CONTINUE;
    text_clear(text);
    zipkin_write_proxy(text, &request);
    log_queue_add_text(queue);
    for (uint32_t i = 0; i < request.record.try_count; i++) {
        unsigned char id[SPAN_ID_BYTES];
        trace_new_span(&state->source, id);
        text_clear(text);
        zipkin_write_try(text, &request, i, id);
        log_queue_add_text(queue);
    }
    return VERDICT_CONTINUE;
}

/* --- life ----------------------------------------------------------------------------------------------- */

static void *process_open(unsigned shard_count)
{
    (void)shard_count;
    char *node_id = malloc(UUID_TEXT_SIZE);
    if (node_id)
        uuid_random(NULL, node_id);
    return node_id;
}

static enum error shard_open_state(struct shard *shard, void *process_state, void *shard_state)
{
    struct zipkin_shard *state = shard_state;
    state->node_id = process_state;
    log_queues_open(&state->queues, shard, &sink);
    return ERROR_OK;
}

const struct plugin zipkin_plugin = {
    .kind = { .name = "zipkin",
              .priority = 100000,
              .config = { .name = "zipkin",
                          .fields = fields,
                          .field_count = COUNT_OF(fields),
                          .struct_size = sizeof(struct zipkin_config),
                          .check = settle },
              .hosts_of = hosts_of },
    .on = { [PHASE_REWRITE] = on_rewrite,
            [PHASE_ACCESS] = on_access,
            [PHASE_RESPONSE_HEAD] = on_response_head,
            [PHASE_LOG] = on_log },
    .shard_state_size = sizeof(struct zipkin_shard),
    .exchange_state_size = sizeof(struct trace),
    .process_open = process_open,
    .process_close = free,
    .shard_open = shard_open_state,
    .shard_close = log_queues_close,
    .shard_flush = log_queues_flush,
};
