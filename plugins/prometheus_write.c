/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/prometheus_write.h"

enum { CODES_MAX = 1024 /* of one series */ };

/* The sums over all shards of one series. */
struct total {
    struct slice front, consumer;
    uint64_t ingress, egress;
    struct prometheus_histograms histograms;
    bool has_histograms;
    struct {
        uint64_t key, count;
    } codes[CODES_MAX];
    uint32_t code_count;
};

/* --- adding up ------------------------------------------------------------------------------------------ */

static uint64_t load(const uint64_t *cell)
{
    return __atomic_load_n(cell, __ATOMIC_RELAXED);
}

static void add_code(struct total *total, uint64_t key, uint64_t count)
{
    uint32_t at = 0;
    while (at < total->code_count && total->codes[at].key != key)
        at++;
    if (at == CODES_MAX)
        return;
    if (at == total->code_count) {
        total->codes[at].key = key;
        total->codes[at].count = 0;
        total->code_count++;
    }
    total->codes[at].count += count;
}

static void add_codes(struct total *total, const struct prometheus_cells *cells)
{
    const struct prometheus_codes *block = __atomic_load_n(&cells->codes, __ATOMIC_ACQUIRE);
    for (; block; block = __atomic_load_n(&block->next, __ATOMIC_ACQUIRE))
        for (unsigned i = 0; i < PROMETHEUS_CODES; i++)
            if (load(&block->items[i].key))
                add_code(total, load(&block->items[i].key), load(&block->items[i].count));
}

static void add_histograms(struct total *total, const struct prometheus_cells *cells)
{
    const struct prometheus_histograms *from = __atomic_load_n(&cells->histograms, __ATOMIC_ACQUIRE);
    if (from == NULL)
        return;
    const uint64_t *source = (const uint64_t *)from;
    uint64_t *sum = (uint64_t *)&total->histograms;
    total->has_histograms = true;
    for (size_t i = 0; i < sizeof(*from) / sizeof(uint64_t); i++)
        sum[i] += load(&source[i]);
}

enum family { REQUESTS, BANDWIDTH, KONG_LATENCY, UPSTREAM_LATENCY, REQUEST_LATENCY, FAMILIES };

static void add_up(const struct prometheus_series *series, enum family family, uint32_t id,
                   struct total *total)
{
    const struct prometheus_labels *labels = prometheus_labels_at(series, id);
    total->front = labels->front;
    total->consumer = labels->consumer;
    total->ingress = total->egress = 0;
    total->code_count = 0;
    total->has_histograms = false;
    memset(&total->histograms, 0, sizeof(total->histograms));
    for (unsigned shard = 0; shard < prometheus_shard_count(series); shard++) {
        const struct prometheus_cells *cells = prometheus_cells_at(series, shard, id);
        if (cells == NULL)
            continue;
        if (family == REQUESTS)
            add_codes(total, cells);
        else if (family == BANDWIDTH)
            total->ingress += load(&cells->ingress), total->egress += load(&cells->egress);
        else
            add_histograms(total, cells);
    }
}

/* --- lines ---------------------------------------------------------------------------------------------- */

static const struct {
    const char *name, *help, *type;
} families[] = {
    [REQUESTS] = { "kong_http_requests_total", "HTTP status codes per consumer/service/route in Kong",
                   "counter" },
    [BANDWIDTH] = { "kong_bandwidth_bytes", "Total bandwidth (ingress/egress) throughput in bytes",
                    "counter" },
    [KONG_LATENCY] = { "kong_kong_latency_ms", "Latency added by Kong in ms for each service/route in Kong",
                       "histogram" },
    [UPSTREAM_LATENCY] = { "kong_upstream_latency_ms",
                           "Latency added by upstream response in ms for each service/route in Kong",
                           "histogram" },
    [REQUEST_LATENCY] = { "kong_request_latency_ms",
                          "Total latency incurred during requests in ms for each service/route in Kong",
                          "histogram" },
};

static void begin_family(struct text *out, struct prometheus_cursor *cursor)
{
    const char *name = families[cursor->family].name;
    if (!cursor->begun)
        text_format(out, "# HELP %s %s\n# TYPE %s %s\n", name, families[cursor->family].help, name,
                    families[cursor->family].type);
    cursor->begun = true;
}

static void end_labels(struct text *out, const struct total *total, uint64_t value)
{
    text_literal(out, "workspace=\"default\",consumer=\"");
    text_add(out, total->consumer);
    text_literal(out, "\"} ");
    text_u64(out, value);
    text_byte(out, '\n');
}

static void write_requests(struct text *out, const struct total *total)
{
    for (uint32_t i = 0; i < total->code_count; i++) {
        text_literal(out, "kong_http_requests_total{");
        text_add(out, total->front);
        text_format(out, ",code=\"%u\",source=\"%s\",", (unsigned)(total->codes[i].key / 2),
                    total->codes[i].key & 1 ? "service" : "kong");
        end_labels(out, total, total->codes[i].count);
    }
}

static void write_bandwidth(struct text *out, const struct total *total)
{
    const uint64_t bytes[] = { total->ingress, total->egress };
    static const char *const directions[] = { "ingress", "egress" };
    for (size_t i = 0; i < COUNT_OF(directions); i++) {
        text_literal(out, "kong_bandwidth_bytes{");
        text_add(out, total->front);
        text_format(out, ",direction=\"%s\",", directions[i]);
        end_labels(out, total, bytes[i]);
    }
}

struct histogram {
    const char *name;
    const uint64_t *buckets;
    const uint32_t *bounds;
    unsigned count;
    uint64_t sum;
};

static void begin_sample(struct text *out, const struct histogram *histogram, const char *suffix,
                         const struct total *total)
{
    text_add(out, slice_of(histogram->name));
    text_add(out, slice_of(suffix));
    text_byte(out, '{');
    text_add(out, total->front);
    text_literal(out, ",workspace=\"default\"");
}

static void end_sample(struct text *out, uint64_t value)
{
    text_literal(out, "} ");
    text_u64(out, value);
    text_byte(out, '\n');
}

static void write_histogram(struct text *out, const struct histogram *histogram, const struct total *total)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i <= histogram->count; i++) {
        sum += histogram->buckets[i];
        begin_sample(out, histogram, "_bucket", total);
        if (i < histogram->count)
            text_format(out, ",le=\"%u\"", histogram->bounds[i]);
        else
            text_literal(out, ",le=\"+Inf\"");
        end_sample(out, sum);
    }
    begin_sample(out, histogram, "_count", total);
    end_sample(out, sum);
    begin_sample(out, histogram, "_sum", total);
    end_sample(out, histogram->sum);
}

static struct histogram histogram_of(enum family family, const struct total *total)
{
    const struct prometheus_histograms *all = &total->histograms;
    const char *name = families[family].name;
    switch (family) {
    case KONG_LATENCY:
        return (struct histogram){ name, all->kong, prometheus_kong_bounds, PROMETHEUS_KONG_BUCKETS,
                                   all->kong_sum };
    case UPSTREAM_LATENCY:
        return (struct histogram){ name, all->upstream, prometheus_upstream_bounds,
                                   PROMETHEUS_UPSTREAM_BUCKETS, all->upstream_sum };
    default:
        return (struct histogram){ name, all->request, prometheus_upstream_bounds, PROMETHEUS_REQUEST_BUCKETS,
                                   all->request_sum };
    }
}

static bool has_samples(const struct histogram *histogram)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i <= histogram->count; i++)
        sum |= histogram->buckets[i];
    return sum != 0;
}

static void write_series(struct text *out, struct prometheus_cursor *cursor, const struct total *total)
{
    enum family family = cursor->family;
    if (family == REQUESTS && total->code_count > 0) {
        begin_family(out, cursor);
        write_requests(out, total);
    } else if (family == BANDWIDTH && (total->ingress | total->egress)) {
        begin_family(out, cursor);
        write_bandwidth(out, total);
    } else if (family > BANDWIDTH && total->has_histograms) {
        struct histogram histogram = histogram_of(family, total);
        if (!has_samples(&histogram))
            return;
        begin_family(out, cursor);
        write_histogram(out, &histogram, total);
    }
}

bool prometheus_write(const struct prometheus_series *series, struct prometheus_cursor *cursor,
                      struct text *out, size_t bytes)
{
    size_t most = out->size + bytes;
    struct total total;
    for (; cursor->family < FAMILIES; cursor->family++, cursor->id = 0, cursor->begun = false) {
        for (; cursor->id < prometheus_series_count(series); cursor->id++) {
            if (out->size >= most || out->failed)
                return !out->failed;
            add_up(series, cursor->family, cursor->id, &total);
            write_series(out, cursor, &total);
        }
    }
    return false;
}
