/* SPDX-License-Identifier: Apache-2.0 */
/* Kong's prometheus: counts requests, bytes and latencies by service, route and consumer, for /metrics. */
#include "config/settings.h"
#include "core/base/hash.h"
#include "net/proxy/proxy.h"
#include "plugins/log_entry.h"
#include "plugins/plugins.h"
#include "plugins/prometheus_health.h"
#include "plugins/prometheus_series.h"

#include <stdlib.h>

struct prometheus_config {
    bool per_consumer, status_code_metrics, latency_metrics, bandwidth_metrics, upstream_health_metrics;
    bool ai_metrics;
};

#define AT(member) offsetof(struct prometheus_config, member)

static const struct field fields[] = {
    { "per_consumer", FIELD_BOOLEAN, AT(per_consumer), .fallback = "false",
      .help = "requests and bytes are counted for each consumer, too" },
    { "status_code_metrics", FIELD_BOOLEAN, AT(status_code_metrics), .fallback = "false",
      .help = "kong_http_requests_total" },
    { "latency_metrics", FIELD_BOOLEAN, AT(latency_metrics), .fallback = "false",
      .help = "kong_request_latency_ms, kong_upstream_latency_ms, kong_kong_latency_ms" },
    { "bandwidth_metrics", FIELD_BOOLEAN, AT(bandwidth_metrics), .fallback = "false",
      .help = "kong_bandwidth_bytes" },
    { "upstream_health_metrics", FIELD_BOOLEAN, AT(upstream_health_metrics), .fallback = "false",
      .help = "kong_upstream_target_health" },
    { "ai_metrics", FIELD_BOOLEAN, AT(ai_metrics), .fallback = "false",
      .help = "without effect: there are no plugins for it" },
};

/* --- finding cells -------------------------------------------------------------------------------------- */

/* The cells of a route, found once per snapshot. */
struct prometheus_slot {
    const struct service *service;
    struct prometheus_cells *cells;
};

struct prometheus_shard {
    struct shard *shard;
    struct prometheus_series *series;
    uint64_t generation; /* of the slots */
    struct prometheus_slot *slots; /* by the route's index */
    uint32_t slot_count;
};

static struct slice name_of(const struct entity *entity, struct slice otherwise)
{
    return entity->name.size ? entity->name : otherwise;
}

static struct prometheus_cells *find(struct prometheus_shard *state, const struct plugin_call *call,
                                     struct slice consumer)
{
    const struct service *service = exchange_service(call->exchange);
    const struct route *route = exchange_route(call->exchange);
    struct prometheus_names names = { .service =
                                          service ? name_of(&service->entity, service->host) : SLICE(""),
                                      .route = name_of(&route->entity, slice_of(route->entity.id)),
                                      .consumer = consumer };
    uint32_t most = (uint32_t)proxy_settings(state->shard)->prometheus_series_max;
    struct prometheus_cells *cells = prometheus_cells_of(state->series, state->shard->index, &names, most);
    if (cells == NULL)
        metric_add(&state->shard->metrics, METRIC_SERIES_REFUSED, 1);
    return cells;
}

/* Slots for the newest snapshot; an older one's requests go without. */
static bool has_slots(struct prometheus_shard *state, const struct exchange *exchange)
{
    uint64_t generation = exchange_generation(exchange);
    if (state->slots && generation <= state->generation)
        return generation == state->generation;
    free(state->slots);
    state->generation = generation;
    state->slot_count = exchange_model(exchange)->routes.count;
    state->slots = calloc(state->slot_count + 1u, sizeof(*state->slots));
    return state->slots != NULL;
}

static struct prometheus_cells *cells_of_route(struct prometheus_shard *state, const struct plugin_call *call)
{
    const struct exchange *exchange = call->exchange;
    uint32_t index = exchange_route(exchange)->entity.index;
    struct prometheus_slot *slot =
        has_slots(state, exchange) && index < state->slot_count ? &state->slots[index] : NULL;
    if (slot && slot->cells && slot->service == exchange_service(exchange))
        return slot->cells;
    struct prometheus_cells *cells = find(state, call, SLICE(""));
    if (slot)
        *slot = (struct prometheus_slot){ exchange_service(exchange), cells };
    return cells;
}

/* --- counting ------------------------------------------------------------------------------------------- */

static void count_latencies(struct prometheus_cells *cells, const struct exchange_record *record)
{
    struct prometheus_histograms *all = prometheus_histograms_of(cells);
    if (all == NULL)
        return;
    uint64_t request_ms = log_entry_ms(record->start_ns, record->end_ns);
    uint64_t own_ms = log_entry_own_ms(record);
    int64_t upstream_ms = log_entry_upstream_ms(record);
    prometheus_observe(all->request, prometheus_upstream_bounds, PROMETHEUS_REQUEST_BUCKETS, request_ms);
    prometheus_add(&all->request_sum, request_ms);
    prometheus_observe(all->kong, prometheus_kong_bounds, PROMETHEUS_KONG_BUCKETS, own_ms);
    prometheus_add(&all->kong_sum, own_ms);
    if (upstream_ms < 0)
        return;
    prometheus_observe(all->upstream, prometheus_upstream_bounds, PROMETHEUS_UPSTREAM_BUCKETS,
                       (uint64_t)upstream_ms);
    prometheus_add(&all->upstream_sum, (uint64_t)upstream_ms);
}

static enum verdict on_log(const struct plugin_call *call)
{
    const struct prometheus_config *config = call->config;
    struct prometheus_shard *state = call->shard_state;
    const struct consumer *consumer = config->per_consumer ? exchange_consumer(call->exchange) : NULL;
    bool counts = config->status_code_metrics || config->latency_metrics || config->bandwidth_metrics;
    if (!counts || exchange_route(call->exchange) == NULL)
        return VERDICT_CONTINUE;
    struct prometheus_cells *cells = cells_of_route(state, call), *own = cells;
    if (consumer && consumer->entity.name.size)
        own = find(state, call, consumer->entity.name);
    if (cells == NULL || own == NULL)
        return VERDICT_CONTINUE;
    struct exchange_record record;
    exchange_record_of(call->exchange, &record);
    if (config->status_code_metrics)
        (void)prometheus_count_code(own, (uint64_t)record.status * 2 + !record.own);
    if (config->bandwidth_metrics) {
        prometheus_add(&own->ingress, record.request_bytes);
        prometheus_add(&own->egress, record.response_bytes);
    }
    if (config->latency_metrics)
        count_latencies(cells, &record);
    return VERDICT_CONTINUE;
}

bool prometheus_wants_health(const struct model *model)
{
    for (uint32_t i = 0; i < model->plugins.count; i++) {
        const struct plugin_instance *instance = model->plugins.items[i];
        const struct prometheus_config *config = instance->config;
        if (instance->kind == &prometheus_plugin.kind && instance->enabled && config->upstream_health_metrics)
            return true;
    }
    return false;
}

/* --- life ----------------------------------------------------------------------------------------------- */

static void *process_open(unsigned shard_count)
{
    return prometheus_series_open(shard_count);
}

static void process_close(void *process_state)
{
    prometheus_series_close(process_state);
}

static enum error shard_open_state(struct shard *shard, void *process_state, void *shard_state)
{
    struct prometheus_shard *state = shard_state;
    state->shard = shard;
    state->series = process_state;
    return ERROR_OK;
}

static void shard_close_state(void *shard_state)
{
    free(((struct prometheus_shard *)shard_state)->slots);
}

const struct plugin prometheus_plugin = {
    .kind = { .name = "prometheus",
              .priority = 13,
              .config = { .name = "prometheus",
                          .fields = fields,
                          .field_count = COUNT_OF(fields),
                          .struct_size = sizeof(struct prometheus_config) } },
    .on = { [PHASE_LOG] = on_log },
    .shard_state_size = sizeof(struct prometheus_shard),
    .process_open = process_open,
    .process_close = process_close,
    .shard_open = shard_open_state,
    .shard_close = shard_close_state,
};
