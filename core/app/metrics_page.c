/* SPDX-License-Identifier: Apache-2.0 */
#include "core/app/metrics_page.h"

#include "core/app/watch.h"
#include "plugins/plugins.h"
#include "plugins/prometheus_health.h"
#include "plugins/prometheus_write.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PART_BYTES = 48 * 1024 };

enum stage { STAGE_SHARDS, STAGE_NODE, STAGE_CONFIGURATION, STAGE_SERIES, STAGE_HEALTH, STAGE_END };

struct metrics_page {
    struct admin_stream stream; /* first */
    const struct admin_node *node;
    enum stage stage;
    struct prometheus_cursor cursor;
    struct {
        uint64_t generation; /* of the configuration whose upstreams are told; 0: none yet */
        uint32_t next;
    } health;
};

/* --- counters of shards --------------------------------------------------------------------------------- */

static bool is_gauge(enum metric metric)
{
    switch (metric) {
    case METRIC_CACHE_BYTES:
    case METRIC_CONNECTIONS_ACTIVE:
    case METRIC_FETCH_ACTIVE:
    case METRIC_FETCH_IDLE:
    case METRIC_FETCH_WAITING:
    case METRIC_HTTP2_CONNECTIONS:
    case METRIC_HTTP2_STREAMS:
    case METRIC_LOG_BYTES_WAITING:
    case METRIC_LOG_ENTRIES_WAITING:
    case METRIC_RECEIVE_BLOCKS_HELD:
    case METRIC_REQUESTS_ACTIVE:
    case METRIC_SPLICE_PIPES:
    case METRIC_STREAMS_ACTIVE:
    case METRIC_TLS_SHAKING:
    case METRIC_TUNNELS_ACTIVE:
    case METRIC_UDP_SESSIONS:
    case METRIC_UPSTREAM_ACTIVE:
    case METRIC_UPSTREAM_IDLE:
    case METRIC_UPSTREAM_PENDING: return true;
    default: return false;
    }
}

static uint64_t total(const struct admin_source *source, enum metric metric)
{
    uint64_t sum = metric_read(source->monitor_metrics, metric);
    for (unsigned i = 0; i < source->shard_count; i++)
        sum += metric_read(source->metrics[i], metric);
    return sum;
}

static void begin_metric(struct text *out, const char *name, const char *help, const char *type)
{
    text_format(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* The shards have a name of their own: under one name a sum would count everything twice. */
static void write_counter(struct text *out, const struct admin_source *source, enum metric metric)
{
    const char *suffix = is_gauge(metric) ? "" : "_total", *type = is_gauge(metric) ? "gauge" : "counter";
    char name[128];
    snprintf(name, sizeof(name), "sluice_%s%s", metric_names[metric], suffix);
    begin_metric(out, name, metric_helps[metric], type);
    text_format(out, "%s %llu\n", name, (unsigned long long)total(source, metric));
    snprintf(name, sizeof(name), "sluice_shard_%s%s", metric_names[metric], suffix);
    text_format(out, "# HELP %s %s, by shard\n# TYPE %s %s\n", name, metric_helps[metric], name, type);
    for (unsigned i = 0; i < source->shard_count; i++)
        text_format(out, "%s{shard=\"%u\"} %llu\n", name, i,
                    (unsigned long long)metric_read(source->metrics[i], metric));
}

/* --- what Kong's dashboards ask for --------------------------------------------------------------------- */

static void write_state(struct text *out, const struct admin_node *node, const char *state, uint64_t value)
{
    text_format(out, "kong_nginx_connections_total{node_id=\"%s\",subsystem=\"http\",state=\"%s\"} %llu\n",
                node->id, state, (unsigned long long)value);
}

static void write_connections(struct text *out, const struct admin_node *node)
{
    const struct admin_source *source = &node->source;
    uint64_t accepted = total(source, METRIC_CONNECTIONS_ACCEPTED);
    uint64_t active = total(source, METRIC_CONNECTIONS_ACTIVE);
    uint64_t writing = total(source, METRIC_REQUESTS_ACTIVE);
    begin_metric(out, "kong_nginx_connections_total", "Number of connections by subsystem", "gauge");
    write_state(out, node, "accepted", accepted);
    write_state(out, node, "handled", accepted);
    write_state(out, node, "total", total(source, METRIC_REQUESTS));
    write_state(out, node, "active", active);
    write_state(out, node, "reading", 0);
    write_state(out, node, "writing", writing);
    write_state(out, node, "waiting", active > writing ? active - writing : 0);
    begin_metric(out, "kong_nginx_requests_total", "Total number of requests", "gauge");
    text_format(out, "kong_nginx_requests_total{node_id=\"%s\",subsystem=\"http\"} %llu\n", node->id,
                (unsigned long long)total(source, METRIC_REQUESTS));
}

static uint64_t resident_bytes(void)
{
    unsigned long long pages = 0, size = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL)
        return 0;
    bool read = fscanf(file, "%llu %llu", &size, &pages) == 2;
    fclose(file);
    return read ? (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

static void write_node(struct text *out, const struct admin_node *node)
{
    write_connections(out, node);
    begin_metric(out, "kong_datastore_reachable", "Datastore reachable from Kong, 0 is unreachable", "gauge");
    text_literal(out, "kong_datastore_reachable 1\n");
    begin_metric(out, "kong_node_info", "Kong Node metadata information", "gauge");
    text_format(out, "kong_node_info{node_id=\"%s\",version=\"%s\"} 1\n", node->id, SLUICE_VERSION);
    begin_metric(out, "kong_nginx_metric_errors_total", "Number of nginx-lua-prometheus errors", "counter");
    text_format(out, "kong_nginx_metric_errors_total %llu\n",
                (unsigned long long)total(&node->source, METRIC_SERIES_REFUSED));
    begin_metric(out, "sluice_admin_connections",
                 "connections to admin_listen and status_listen that are open now", "gauge");
    text_format(out, "sluice_admin_connections %llu\n", (unsigned long long)node->counters.connections);
    begin_metric(out, "sluice_admin_connections_evicted_total",
                 "connections to admin_listen and status_listen that were closed, idle, for others",
                 "counter");
    text_format(out, "sluice_admin_connections_evicted_total %llu\n",
                (unsigned long long)node->counters.evicted);
    begin_metric(out, "sluice_resident_memory_bytes", "memory of the process", "gauge");
    text_format(out, "sluice_resident_memory_bytes %llu\n", (unsigned long long)resident_bytes());
}

/* --- the rest ------------------------------------------------------------------------------------------- */

static void write_configuration(struct text *out, const struct admin_source *source)
{
    char *body = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&body, &size);
    if (file == NULL)
        return;
    in_force_write_metrics(source->in_force, file);
    if (fclose(file) == 0)
        text_add(out, (struct slice){ body, size });
    free(body);
}

static const struct prometheus_series *find_series(const struct admin_source *source)
{
    for (size_t i = 0; plugin_registry[i]; i++)
        if (plugin_registry[i] == &prometheus_plugin)
            return source->plugin_states ? source->plugin_states[i] : NULL;
    return NULL;
}

/* --- the health of targets ------------------------------------------------------------------------------ */

static bool wants_health(const struct admin_source *source)
{
    const struct snapshot *snapshot = in_force_open(source->in_force);
    bool wanted = snapshot && prometheus_wants_health(snapshot->model);
    in_force_close(source->in_force);
    return wanted;
}

struct health_part {
    struct metrics_page *page;
    struct text *out;
    bool more;
};

static void write_group(struct health_part *part, const struct change_tools *tools)
{
    enum { GROUP = 64 };
    struct roster *rosters[GROUP];
    uint32_t from = part->page->health.next, left = tools->model->upstreams.count - from;
    uint32_t count = left < GROUP ? left : GROUP;
    struct upstream *const *upstreams = tools->model->upstreams.items + from;
    watch_take_rosters(tools->watch, upstreams, count, rosters);
    for (uint32_t i = 0; i < count; i++) {
        bool room = part->out->size < PART_BYTES;
        if (room && !upstreams[i]->implicit)
            prometheus_write_health(part->out, upstreams[i], rosters[i]);
        part->page->health.next += room;
        roster_release(rosters[i]);
    }
}

/* By the control thread. What of a newer configuration would follow could be there already. */
static void write_health(void *argument, const struct change_tools *tools)
{
    struct health_part *part = argument;
    struct metrics_page *page = part->page;
    if (page->health.generation == 0) {
        page->health.generation = tools->generation;
        prometheus_begin_health(part->out);
    }
    if (page->health.generation != tools->generation)
        return;
    while (page->health.next < tools->model->upstreams.count && part->out->size < PART_BYTES)
        write_group(part, tools);
    part->more = page->health.next < tools->model->upstreams.count;
}

/* False: that was all. */
static bool next_health(struct metrics_page *page, struct text *out)
{
    const struct admin_source *source = &page->node->source;
    struct health_part part = { .page = page, .out = out };
    const struct change change = { .argument = &part, .task = write_health };
    if (page->health.generation == 0 && !wants_health(source))
        return false;
    return source->change(source->owner, &change) == CHANGE_DONE && part.more;
}

static bool next_part(struct admin_stream *stream, struct text *out)
{
    struct metrics_page *page = (struct metrics_page *)stream;
    const struct admin_source *source = &page->node->source;
    const struct prometheus_series *series = find_series(source);
    switch (page->stage) {
    case STAGE_SHARDS:
        for (enum metric metric = 0; metric < METRIC_COUNT; metric++)
            write_counter(out, source, metric);
        break;
    case STAGE_NODE: write_node(out, page->node); break;
    case STAGE_CONFIGURATION: write_configuration(out, source); break;
    case STAGE_SERIES:
        if (series && prometheus_write(series, &page->cursor, out, PART_BYTES))
            return true;
        break;
    case STAGE_HEALTH:
        if (next_health(page, out))
            return true;
        break;
    case STAGE_END: return false;
    }
    return ++page->stage != STAGE_END;
}

static void close_page(struct admin_stream *stream)
{
    free(stream);
}

struct admin_stream *metrics_page_open(const struct admin_node *node)
{
    struct metrics_page *page = calloc(1, sizeof(*page));
    if (page == NULL)
        return NULL;
    page->stream = (struct admin_stream){ .next = next_part, .close = close_page };
    page->node = node;
    return &page->stream;
}
