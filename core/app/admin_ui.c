/* SPDX-License-Identifier: Apache-2.0 */
/* The dashboard: its files, which are part of the program, and the figures that it shows. */
#include "core/app/admin_ui.h"

#include "core/app/admin_api.h"
#include "net/proxy/snapshot.h"

#include <stdlib.h>
#include <time.h>

static const char *type_of(const char *name)
{
    static const struct {
        const char *end, *type;
    } types[] = {
        { ".html", "text/html; charset=utf-8" },
        { ".css", "text/css; charset=utf-8" },
        { ".js", "text/javascript; charset=utf-8" },
        { ".svg", "image/svg+xml" },
    };
    for (size_t i = 0; i < COUNT_OF(types); i++)
        if (slice_ends_with(slice_of(name), slice_of(types[i].end)))
            return types[i].type;
    return "application/octet-stream";
}

static void answer_file(struct admin_call *call, const struct ui_file *file)
{
    *call->answer = (struct admin_answer){
        .status = 200,
        .type = type_of(file->name),
        .size = file->size,
        .body = malloc(file->size),
        .headers = "Cache-Control: no-cache\r\n"
                   "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "
                   "img-src 'self'; connect-src 'self'; base-uri 'self'; form-action 'none'; "
                   "frame-ancestors 'none'\r\n"
                   "Referrer-Policy: no-referrer\r\n",
    };
    if (call->answer->body)
        memcpy(call->answer->body, file->bytes, file->size);
}

static const struct ui_file *find_file(struct slice name)
{
    for (const struct ui_file *file = ui_files; file->name; file++)
        if (slice_equal(name, slice_of(file->name)))
            return file;
    return NULL;
}

bool admin_ui_is_file(struct slice path)
{
    struct slice folder = SLICE("/ui/");
    if (slice_equal(path, SLICE("/ui")) || slice_equal(path, folder))
        return true;
    return slice_starts_with(path, folder) && find_file(slice_from(path, folder.size));
}

static void ui_file(struct admin_call *call)
{
    const struct ui_file *file = find_file(call->segment_count > 1 ? call->segments[1] : SLICE("index.html"));
    if (file)
        answer_file(call, file);
    else
        admin_not_found(call);
}

/* --- what goes on --------------------------------------------------------------------------------------- */

static uint64_t wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static json_t *shard_of(const struct admin_source *source, unsigned index)
{
    static const struct {
        const char *name;
        enum metric metric;
    } rows[] = {
        { "requests", METRIC_REQUESTS },
        { "active", METRIC_REQUESTS_ACTIVE },
        { "connections", METRIC_CONNECTIONS_ACTIVE },
        { "responses_2xx", METRIC_RESPONSES_2XX },
        { "responses_3xx", METRIC_RESPONSES_3XX },
        { "responses_4xx", METRIC_RESPONSES_4XX },
        { "responses_5xx", METRIC_RESPONSES_5XX },
        { "upstream_failures", METRIC_UPSTREAM_FAILURES },
        { "upstream_connections", METRIC_UPSTREAM_ACTIVE },
    };
    json_t *shard = json_object();
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        json_object_set_new(shard, rows[i].name,
                            json_integer((json_int_t)metric_read(source->metrics[index], rows[i].metric)));
    json_object_set_new(shard, "cpu_us", json_integer((json_int_t)source->cpu_us(source->owner, index)));
    return shard;
}

static json_t *latency(const struct admin_source *source)
{
    uint64_t sums[TRAFFIC_BUCKETS] = { 0 };
    for (unsigned i = 0; i < source->shard_count; i++)
        traffic_add_counts(sums, source->traffic[i]);
    json_t *bounds = json_array(), *counts = json_array();
    for (unsigned i = 0; i < TRAFFIC_BUCKETS; i++) {
        json_array_append_new(counts, json_integer((json_int_t)sums[i]));
        if (i + 1 < TRAFFIC_BUCKETS)
            json_array_append_new(bounds, json_integer((json_int_t)traffic_bucket_end_us(i)));
    }
    return json_pack("{s:o, s:o}", "bounds_us", bounds, "counts", counts);
}

static void ui_live(struct admin_call *call)
{
    const struct admin_source *source = &call->node->source;
    json_t *shards = json_array();
    for (unsigned i = 0; i < source->shard_count; i++)
        json_array_append_new(shards, shard_of(source, i));
    json_t *value =
        json_pack("{s:s, s:I, s:I, s:b, s:o, s:o}", "version", SLUICE_VERSION, "now_ms",
                  (json_int_t)wall_ms(), "started_ms", (json_int_t)call->node->ui->started_ms, "draining",
                  in_force_is_ready(source->in_force) ? 0 : 1, "shards", shards, "latency", latency(source));
    admin_json(call->answer, 200, value);
}

/* --- routes --------------------------------------------------------------------------------------------- */

enum {
    SAMPLE_AGE_MS = 1500, /* when another one is taken ... */
    SAMPLE_KEPT_MS = 15000, /* ... and when nobody has looked for so long that it says nothing */
    ROWS_MAX = 1000,
    ROWS_USUAL = 100
};

struct ui_row {
    const struct route *route;
    struct traffic_route total;
    double rps, errors, refused; /* per second */
    double mean_us; /* of requests since the base; negative: none */
};

static struct traffic_route total_of(const struct snapshot *snapshot, uint32_t route)
{
    struct traffic_route sum = { 0 };
    for (unsigned i = 0; i < snapshot->shard_count; i++)
        traffic_add_route(&sum, &snapshot->traffic[i][route]);
    return sum;
}

static struct ui_sample take_sample(const struct snapshot *snapshot, uint64_t now_ms)
{
    uint32_t count = snapshot->model->routes.count;
    struct ui_sample sample = { .ms = now_ms, .routes = calloc((size_t)count + 1, sizeof(*sample.routes)) };
    for (uint32_t i = 0; sample.routes && i < count; i++)
        sample.routes[i] = total_of(snapshot, i);
    return sample;
}

static void drop(struct ui_sample *sample)
{
    free(sample->routes);
    *sample = (struct ui_sample){ 0 };
}

/* False: out of memory. */
static bool update_samples(struct admin_ui *ui, const struct snapshot *snapshot, uint64_t now_ms)
{
    bool same =
        ui->newer.routes && ui->generation == snapshot->generation && now_ms < ui->newer.ms + SAMPLE_KEPT_MS;
    if (same && now_ms < ui->newer.ms + SAMPLE_AGE_MS)
        return true;
    drop(&ui->older);
    if (same)
        ui->older = ui->newer;
    else
        drop(&ui->newer);
    ui->newer = take_sample(snapshot, now_ms);
    ui->generation = snapshot->generation;
    return ui->newer.routes != NULL;
}

static struct ui_row row_of(const struct ui_sample *sample, const struct snapshot *snapshot, uint32_t index,
                            uint64_t now_ms)
{
    struct ui_row row = { .route = snapshot->model->routes.items[index], .mean_us = -1 };
    const struct traffic_route *base = &sample->routes[index];
    double seconds = (double)(now_ms - sample->ms) / 1000;
    row.total = total_of(snapshot, index);
    uint64_t requests = row.total.requests - base->requests;
    if (seconds > 0) {
        row.rps = (double)requests / seconds;
        row.errors = (double)(row.total.failed - base->failed) / seconds;
        row.refused = (double)(row.total.refused - base->refused) / seconds;
    }
    if (requests > 0)
        row.mean_us = (double)(row.total.latency_us - base->latency_us) / (double)requests;
    return row;
}

static int by_count(const struct ui_row *a, const struct ui_row *b)
{
    return (a->total.requests < b->total.requests) - (a->total.requests > b->total.requests);
}

#define UI_ORDER(field)                                            \
    static int by_##field(const void *left, const void *right)     \
    {                                                              \
        const struct ui_row *a = left, *b = right;                 \
        int order = (a->field < b->field) - (a->field > b->field); \
        return order ? order : by_count(a, b);                     \
    }
UI_ORDER(rps)
UI_ORDER(errors)
UI_ORDER(refused)
UI_ORDER(mean_us)
#undef UI_ORDER

static int (*order_of(struct slice name))(const void *, const void *)
{
    if (slice_equal(name, SLICE("errors")))
        return by_errors;
    if (slice_equal(name, SLICE("refused")))
        return by_refused;
    return slice_equal(name, SLICE("mean_us")) ? by_mean_us : by_rps;
}

static bool contains(struct slice text, struct slice part)
{
    for (size_t i = 0; text.data && i + part.size <= text.size; i++)
        if (slice_same_nocase(text.data + i, part.data, part.size))
            return true;
    return false;
}

static bool is_wanted(const struct route *route, struct slice filter)
{
    return filter.size == 0 || contains(route->entity.name, filter) ||
           contains(slice_of(route->entity.id), filter) ||
           (route->service && contains(route->service->entity.name, filter));
}

static json_t *row_json(const struct ui_row *row)
{
    const struct entity *route = &row->route->entity;
    const struct entity *service = row->route->service ? &row->route->service->entity : NULL;
    return json_pack("{s:s, s:s%, s:s%, s:f, s:f, s:f, s:o, s:I}", "id", route->id, "name",
                     route->name.data ? route->name.data : "", route->name.size, "service",
                     service && service->name.data ? service->name.data : "",
                     service && service->name.data ? service->name.size : 0, "rps", row->rps, "errors",
                     row->errors, "refused", row->refused, "mean_us",
                     row->mean_us < 0 ? json_null() : json_real(row->mean_us), "requests",
                     (json_int_t)row->total.requests);
}

static uint32_t size_parameter(const struct admin_call *call)
{
    uint64_t size = 0;
    struct slice text = admin_parameter(call, "size");
    if (text.data == NULL || !slice_to_u64(text, &size) || size == 0)
        return ROWS_USUAL;
    return size < ROWS_MAX ? (uint32_t)size : ROWS_MAX;
}

static json_t *routes_json(struct admin_call *call, const struct snapshot *snapshot)
{
    struct admin_ui *ui = call->node->ui;
    uint64_t now_ms = wall_ms();
    uint32_t total = snapshot->model->routes.count, count = 0, size = size_parameter(call);
    struct slice filter = admin_parameter(call, "filter"), sort = admin_parameter(call, "sort");
    struct ui_row *rows = arena_array(call->arena, (size_t)total + 1, sizeof(*rows));
    if (rows == NULL || !update_samples(ui, snapshot, now_ms))
        return NULL;
    const struct ui_sample *base = ui->older.routes ? &ui->older : &ui->newer;
    for (uint32_t i = 0; i < total; i++)
        if (is_wanted(snapshot->model->routes.items[i], filter))
            rows[count++] = row_of(base, snapshot, i, now_ms);
    qsort(rows, count, sizeof(*rows), order_of(sort));
    json_t *list = json_array();
    for (uint32_t i = 0; i < count && i < size; i++)
        json_array_append_new(list, row_json(&rows[i]));
    return json_pack("{s:i, s:i, s:o}", "total", (int)total, "matches", (int)count, "rows", list);
}

static void ui_routes(struct admin_call *call)
{
    const struct admin_source *source = &call->node->source;
    const struct snapshot *snapshot = in_force_open(source->in_force);
    json_t *value = snapshot ? routes_json(call, snapshot) : NULL;
    in_force_close(source->in_force);
    admin_json(call->answer, 200, value);
}

struct admin_ui *admin_ui_open(void)
{
    struct admin_ui *ui = calloc(1, sizeof(*ui));
    if (ui)
        ui->started_ms = wall_ms();
    return ui;
}

void admin_ui_free(struct admin_ui *ui)
{
    if (ui == NULL)
        return;
    drop(&ui->older);
    drop(&ui->newer);
    free(ui);
}

const struct admin_endpoint admin_ui_endpoints[] = {
    { "/ui", ADMIN_GET, ui_file, false },
    { "/ui/live", ADMIN_GET, ui_live, false },
    { "/ui/routes", ADMIN_GET, ui_routes, false },
    { "/ui/{}", ADMIN_GET, ui_file, false },
    { NULL, 0, NULL, false },
};
