/* SPDX-License-Identifier: Apache-2.0 */
/* Kong's statsd: numbers of each request to a StatsD server, over UDP or TCP. */
#include "plugins/log_datagram.h"
#include "plugins/log_entities.h"
#include "plugins/log_tcp.h"
#include "plugins/plugins.h"
#include "plugins/statsd_lines.h"
#include "plugins/statsd_values.h"

#include <math.h>
#include <unistd.h>

enum statsd_service { SERVICE_ID, SERVICE_NAME, SERVICE_HOST, SERVICE_NAME_OR_HOST };
enum statsd_workspace { WORKSPACE_ID, WORKSPACE_NAME };

struct statsd_setting {
    int name, type, consumer, service, workspace; /* identifiers: -1: the default */
    double sample_rate;
};

struct statsd_config {
    struct slice host, prefix;
    int64_t port, packet_bytes, queue_size, retry_count;
    double flush_timeout;
    bool use_tcp, hostname_in_prefix;
    int consumer, service, workspace, tag_style; /* tag_style: -1: none, else enum statsd_style - 1 */
    struct schema_records metrics; /* struct statsd_setting; none: the usual ones */
    struct slices allow_status_codes;
    struct status_set allowed; /* prepared */
    struct log_queue_config queue;
};

/* --- configuration -------------------------------------------------------------------------------------- */

static const char *const types[] = { "counter", "gauge", "histogram", "meter", "set", "timer", NULL };
static const char *const services[] = { "service_id", "service_name", "service_host", "service_name_or_host",
                                        NULL };
static const char *const workspaces[] = { "workspace_id", "workspace_name", NULL };
static const char *const tag_styles[] = { "dogstatsd", "influxdb", "librato", "signalfx", NULL };

#define METRIC(member) offsetof(struct statsd_setting, member)

static const struct field metric_fields[] = {
    { "name", FIELD_CHOICE, METRIC(name), .flags = FIELD_REQUIRED, .choices = statsd_metric_names },
    { "stat_type", FIELD_CHOICE, METRIC(type), .flags = FIELD_REQUIRED, .choices = types },
    { "sample_rate", FIELD_NUMBER, METRIC(sample_rate), .flags = FIELD_POSITIVE,
      .help = "the share that is sent; required for counters and gauges" },
    { "consumer_identifier", FIELD_CHOICE, METRIC(consumer), .choices = statsd_consumer_names },
    { "service_identifier", FIELD_CHOICE, METRIC(service), .choices = services },
    { "workspace_identifier", FIELD_CHOICE, METRIC(workspace), .choices = workspaces },
};

static void check_metric(void *value, const struct node *node, const struct config_place *place)
{
    const struct statsd_setting *metric = value;
    bool counts = metric->name >= STATSD_STATUS_COUNT && metric->name <= STATSD_REQUESTS_PER_USER;
    if (metric->name == STATSD_UNIQUE_USERS && metric->type != STATSD_SET)
        schema_error(place, node, "stat_type", "value must be set");
    if (counts && metric->type != STATSD_COUNTER)
        schema_error(place, node, "stat_type", "value must be counter");
    if ((metric->type == STATSD_COUNTER || metric->type == STATSD_GAUGE) && isnan(metric->sample_rate))
        schema_error(place, node, "sample_rate", "required field missing");
}

static const struct schema metric_schema = { .name = "metric",
                                             .fields = metric_fields,
                                             .field_count = COUNT_OF(metric_fields),
                                             .struct_size = sizeof(struct statsd_setting),
                                             .check = check_metric };

static bool read_range(struct slice text, uint64_t *from, uint64_t *to)
{
    struct slice last, first = slice_split(text, '-', &last);
    return last.data && slice_to_u64(first, from) && slice_to_u64(last, to) && *from <= *to && *to < 1024;
}

static const char *check_range(struct slice text)
{
    uint64_t from, to;
    return read_range(text, &from, &to) ? NULL : "expected a range of statuses, like 200-299";
}

#define AT(member) offsetof(struct statsd_config, member)

static const struct field fields[] = {
    { "host", FIELD_STRING, AT(host), .fallback = "localhost" },
    { "port", FIELD_INTEGER, AT(port), .max = 65535, .fallback = "8125" },
    { "prefix", FIELD_STRING, AT(prefix), .fallback = "kong", .help = "of all names" },
    { "metrics", FIELD_RECORDS, AT(metrics), .record = &metric_schema, .help = "null: all of them" },
    { "allow_status_codes", FIELD_STRINGS, AT(allow_status_codes), .check = check_range,
      .help = "ranges; requests with other statuses are left out" },
    { "udp_packet_size", FIELD_INTEGER, AT(packet_bytes), .max = 65507, .fallback = "0",
      .help = "lines are packed into datagrams of so many bytes; 0: one each" },
    { "use_tcp", FIELD_BOOLEAN, AT(use_tcp), .fallback = "false" },
    { "hostname_in_prefix", FIELD_BOOLEAN, AT(hostname_in_prefix), .fallback = "false",
      .help = "prefix.node.HOSTNAME; not with tag_style" },
    { "consumer_identifier_default", FIELD_CHOICE, AT(consumer), .fallback = "custom_id",
      .choices = statsd_consumer_names },
    { "service_identifier_default", FIELD_CHOICE, AT(service), .fallback = "service_name_or_host",
      .choices = services },
    { "workspace_identifier_default", FIELD_CHOICE, AT(workspace), .fallback = "workspace_id",
      .choices = workspaces },
    { "tag_style", FIELD_CHOICE, AT(tag_style), .choices = tag_styles,
      .help = "tags instead of long names; null: names" },
    { "queue", FIELD_RECORD, AT(queue), .record = &log_queue_schema },
    { "retry_count", FIELD_INTEGER, AT(retry_count), .help = "Kong's older name; without effect, as there" },
    { "queue_size", FIELD_INTEGER, AT(queue_size), .min = 1, .max = 1000000,
      .help = "Kong's older name of queue.max_batch_size" },
    { "flush_timeout", FIELD_NUMBER, AT(flush_timeout), .max = 3600,
      .help = "Kong's older name of queue.max_coalescing_delay" },
};

static void settle(void *value, const struct node *node, const struct config_place *place)
{
    struct statsd_config *config = value;
    (void)node;
    (void)place;
    if (config->queue_size != INTEGER_NULL && config->queue_size != 1)
        config->queue.max_batch_size = config->queue_size;
    if (!isnan(config->flush_timeout) && config->flush_timeout != 2)
        config->queue.max_coalescing_delay = config->flush_timeout;
    for (uint32_t i = 0; i < config->allow_status_codes.count; i++) {
        uint64_t from, to;
        if (!read_range(config->allow_status_codes.items[i], &from, &to))
            continue;
        for (uint64_t status = from; status <= to; status++)
            config->allowed.bits[status / 64] |= UINT64_C(1) << status % 64;
    }
}

static uint32_t hosts_of(const void *value, struct slice *hosts)
{
    hosts[0] = ((const struct statsd_config *)value)->host;
    return 1;
}

/* --- sending -------------------------------------------------------------------------------------------- */

static bool copy_udp(struct log_sender *sender, const void *value)
{
    const struct statsd_config *config = value;
    struct log_datagram_settings settings = { .host = config->host,
                                              .port = (uint16_t)config->port,
                                              .packet_bytes = (uint32_t)config->packet_bytes,
                                              .by_line = true };
    sender->limits = log_line_limits(&config->queue);
    return log_datagram_copy(sender, &settings);
}

static bool copy_tcp(struct log_sender *sender, const void *value)
{
    enum { TIMEOUT_MS = 10000, KEEP_MS = 60000 };
    const struct statsd_config *config = value;
    struct log_tcp_settings settings = {
        .host = config->host, .port = (uint16_t)config->port, .timeout_ms = TIMEOUT_MS, .keep_ms = KEEP_MS
    };
    sender->limits = log_line_limits(&config->queue);
    return log_tcp_copy(sender, &settings);
}

static const struct log_sink udp_sink = { .settings_size = sizeof(struct log_datagram_settings),
                                          .work_size = sizeof(struct log_datagram_work),
                                          .copy = copy_udp,
                                          .send = log_datagram_send,
                                          .stop = log_datagram_stop,
                                          .close = log_datagram_close };
static const struct log_sink tcp_sink = { .settings_size = sizeof(struct log_tcp_settings),
                                          .work_size = sizeof(struct log_tcp_work),
                                          .copy = copy_tcp,
                                          .send = log_tcp_send,
                                          .stop = log_tcp_stop,
                                          .close = log_tcp_close,
                                          .abandon = log_tcp_abandon };

struct statsd_shard {
    struct log_queues udp, tcp;
    char hostname[256]; /* with '_' for dots */
};

/* --- lines ---------------------------------------------------------------------------------------------- */

/* All that one request's lines are made from. */
struct statsd_request {
    const struct plugin_call *call;
    const struct statsd_config *config;
    const struct statsd_shard *shard;
    struct exchange_record record;
    struct slice prefix;
    struct text *text;
};

static struct slice service_of(int identifier, const struct service *service)
{
    switch ((enum statsd_service)identifier) {
    case SERVICE_ID: return slice_of(service->entity.id);
    case SERVICE_NAME: return service->entity.name;
    case SERVICE_HOST: return service->host;
    case SERVICE_NAME_OR_HOST: break;
    }
    return service->entity.name.size ? service->entity.name : service->host;
}

/* Dots part the levels of names. */
static struct slice without_dots(struct arena *arena, struct slice text)
{
    struct slice copy = arena_copy(arena, text);
    for (size_t i = 0; copy.data && i < copy.size; i++)
        if (copy.data[i] == '.')
            ((char *)(uintptr_t)copy.data)[i] = '_';
    return copy.data ? copy : SLICE("unnamed");
}

static struct slice scope_of(const struct statsd_request *request, const struct statsd_setting *metric)
{
    struct arena *arena = exchange_arena(request->call->exchange);
    const struct service *service = exchange_service(request->call->exchange);
    if (service == NULL)
        return SLICE("global.unmatched");
    struct slice name =
        service_of(metric->service >= 0 ? metric->service : request->config->service, service);
    return arena_format(arena, "service.%.*s",
                        SLICE_FORMAT(name.size ? without_dots(arena, name) : SLICE("unnamed")));
}

static struct slice workspace_of(const struct statsd_request *request, const struct statsd_setting *metric)
{
    int identifier = metric->workspace >= 0 ? metric->workspace : request->config->workspace;
    return identifier == WORKSPACE_ID ? SLICE(LOG_WORKSPACE) : SLICE("default");
}

static struct slice consumer_of(const struct statsd_request *request, const struct statsd_setting *metric)
{
    int identifier = metric->consumer >= 0 ? metric->consumer : request->config->consumer;
    return statsd_consumer(identifier, exchange_consumer(request->call->exchange));
}

/* Absent: this metric has nothing to say of this request. */
static struct slice name_of(const struct statsd_request *request, const struct statsd_setting *metric)
{
    struct arena *arena = exchange_arena(request->call->exchange);
    struct slice scope = scope_of(request, metric), none = { NULL, 0 };
    struct slice consumer = consumer_of(request, metric), workspace = workspace_of(request, metric);
    const struct route *route = exchange_route(request->call->exchange);
    int status = request->record.status;
    if (metric->name < STATSD_VALUES)
        return arena_format(arena, "%.*s.%s", SLICE_FORMAT(scope), statsd_value_names[metric->name]);
    if (metric->name == STATSD_STATUS_COUNT)
        return arena_format(arena, "%.*s.status.%d", SLICE_FORMAT(scope), status);
    if (metric->name == STATSD_STATUS_PER_WORKSPACE)
        return arena_format(arena, "%.*s.workspace.%.*s.status.%d", SLICE_FORMAT(scope),
                            SLICE_FORMAT(workspace), status);
    if (consumer.data == NULL)
        return none;
    switch (metric->name) {
    case STATSD_UNIQUE_USERS: return arena_format(arena, "%.*s.user.uniques", SLICE_FORMAT(scope));
    case STATSD_REQUESTS_PER_USER:
        return arena_format(arena, "%.*s.user.%.*s.request.count", SLICE_FORMAT(scope),
                            SLICE_FORMAT(consumer));
    case STATSD_STATUS_PER_USER:
        return arena_format(arena, "%.*s.user.%.*s.status.%d", SLICE_FORMAT(scope), SLICE_FORMAT(consumer),
                            status);
    case STATSD_STATUS_PER_ROUTE:
        return route ? arena_format(arena, "route.%s.user.%.*s.status.%d", route->entity.id,
                                    SLICE_FORMAT(consumer), status)
                     : none;
    default: return none; /* there is nothing like it here */
    }
}

static void add_line(const struct statsd_request *request, const struct statsd_setting *metric,
                     struct statsd_line *line)
{
    int64_t value = metric->name < STATSD_VALUES ? statsd_value(metric->name, &request->record) : 1;
    double rate = isnan(metric->sample_rate) ? 1 : metric->sample_rate;
    if (value < 0 || line->name.data == NULL || !statsd_is_sampled(request->call->exchange, rate))
        return;
    line->name =
        arena_format(exchange_arena(request->call->exchange), "%.*s%s%.*s", SLICE_FORMAT(request->prefix),
                     request->prefix.size ? "." : "", SLICE_FORMAT(line->name));
    line->type = metric->type;
    line->sample_rate = rate;
    line->value = (uint64_t)value;
    if (metric->name == STATSD_UNIQUE_USERS)
        line->word = consumer_of(request, metric);
    if (request->text->size > 0)
        text_byte(request->text, '\n');
    statsd_write(request->text, line);
}

/* With tags the numbers have one name each; counts by status and user are the server's to make. */
static void add_tagged(const struct statsd_request *request, const struct statsd_setting *metric)
{
    const struct exchange *exchange = request->call->exchange;
    const struct service *service = exchange_service(exchange);
    const struct route *route = exchange_route(exchange);
    if (metric->name >= STATSD_VALUES || service == NULL || route == NULL)
        return;
    char status[16];
    char *end = slice_write_u64(status, (uint64_t)request->record.status);
    const struct entity *entity = &route->entity;
    struct statsd_tag all[] = {
        { SLICE("service"),
          service_of(metric->service >= 0 ? metric->service : request->config->service, service) },
        { SLICE("route"), entity->name.size ? entity->name : slice_of(entity->id) },
        { SLICE("workspace"), workspace_of(request, metric) },
        { SLICE("consumer"), consumer_of(request, metric) },
        { SLICE("node"), slice_of(request->shard->hostname) },
        { SLICE("status"), { status, (size_t)(end - status) } },
    };
    struct statsd_tag tags[COUNT_OF(all)];
    uint32_t count = 0;
    for (size_t i = 0; i < COUNT_OF(all); i++)
        if (all[i].value.size > 0)
            tags[count++] = all[i];
    struct statsd_line line = { .name = slice_of(statsd_value_names[metric->name]),
                                .style = (enum statsd_style)(request->config->tag_style + 1),
                                .tags = tags,
                                .tag_count = count };
    add_line(request, metric, &line);
}

static void add_metric(const struct statsd_request *request, const struct statsd_setting *metric)
{
    if (request->config->tag_style >= 0) {
        add_tagged(request, metric);
        return;
    }
    struct statsd_line line = { .name = name_of(request, metric), .style = STATSD_PLAIN };
    add_line(request, metric, &line);
}

/* Kong's defaults: counts are counters, times timers, users a set. */
static void add_usual(const struct statsd_request *request)
{
    for (int name = 0; name <= STATSD_UNIQUE_USERS; name++) {
        bool timed = name == STATSD_LATENCY || name == STATSD_UPSTREAM_LATENCY ||
                     name == STATSD_KONG_LATENCY || name == STATSD_REQUEST_SIZE ||
                     name == STATSD_RESPONSE_SIZE;
        struct statsd_setting metric = { .name = name,
                                         .type = name == STATSD_UNIQUE_USERS ? STATSD_SET
                                                 : timed                     ? STATSD_TIMER
                                                                             : STATSD_COUNTER,
                                         .consumer = -1,
                                         .service = -1,
                                         .workspace = -1,
                                         .sample_rate = 1 };
        add_metric(request, &metric);
    }
}

static bool is_allowed(const struct statsd_config *config, int status)
{
    return config->allow_status_codes.count == 0 ||
           (status >= 0 && status < 1024 && config->allowed.bits[status / 64] >> status % 64 & 1);
}

static enum verdict on_log(const struct plugin_call *call)
{
    const struct statsd_config *config = call->config;
    struct statsd_shard *state = call->shard_state;
    struct log_queues *queues = config->use_tcp ? &state->tcp : &state->udp;
    if (!is_allowed(config, exchange_status(call->exchange)))
        return VERDICT_CONTINUE;
    struct log_queue *queue = log_queue_of(queues, call);
    if (queue == NULL)
        return VERDICT_CONTINUE;
    struct statsd_request request = { .call = call, .config = config, .shard = state, .text = &queues->text };
    request.prefix = config->prefix;
    if (config->hostname_in_prefix && config->tag_style < 0)
        request.prefix = arena_format(exchange_arena(call->exchange), "%.*s.node.%s",
                                      SLICE_FORMAT(config->prefix), state->hostname);
    exchange_record_of(call->exchange, &request.record);
    const struct statsd_setting *metrics = (const struct statsd_setting *)(const void *)config->metrics.items;
    for (uint32_t i = 0; i < config->metrics.count; i++)
        add_metric(&request, &metrics[i]);
    if (config->metrics.count == 0)
        add_usual(&request);
    if (queues->text.size > 0)
        log_queue_add_text(queue);
    return VERDICT_CONTINUE;
}

/* --- life ----------------------------------------------------------------------------------------------- */

static enum error shard_open_state(struct shard *shard, void *process_state, void *shard_state)
{
    struct statsd_shard *state = shard_state;
    (void)process_state;
    log_queues_open(&state->udp, shard, &udp_sink);
    log_queues_open(&state->tcp, shard, &tcp_sink);
    if (gethostname(state->hostname, sizeof(state->hostname) - 1) != 0)
        state->hostname[0] = '\0';
    for (char *at = state->hostname; *at; at++)
        if (*at == '.')
            *at = '_';
    return ERROR_OK;
}

static void shard_close_state(void *shard_state)
{
    struct statsd_shard *state = shard_state;
    log_queues_close(&state->udp);
    log_queues_close(&state->tcp);
}

static bool shard_flush(void *shard_state)
{
    struct statsd_shard *state = shard_state;
    bool udp = log_queues_flush(&state->udp), tcp = log_queues_flush(&state->tcp);
    return udp && tcp;
}

const struct plugin statsd_plugin = {
    .kind = { .name = "statsd",
              .priority = 11,
              .config = { .name = "statsd",
                          .fields = fields,
                          .field_count = COUNT_OF(fields),
                          .struct_size = sizeof(struct statsd_config),
                          .check = settle },
              .hosts_of = hosts_of },
    .on = { [PHASE_LOG] = on_log },
    .shard_state_size = sizeof(struct statsd_shard),
    .shard_open = shard_open_state,
    .shard_close = shard_close_state,
    .shard_flush = shard_flush,
};
