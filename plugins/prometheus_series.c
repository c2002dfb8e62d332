/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/prometheus_series.h"

#include "core/base/hash.h"
#include "core/base/text.h"

#include <pthread.h>
#include <stdlib.h>

const uint32_t prometheus_kong_bounds[] = { 1,  2,   5,   7,   10,  15,   20,   30,  50,
                                            75, 100, 200, 500, 750, 1000, 3000, 6000 };
const uint32_t prometheus_upstream_bounds[] = { 25,   50,   80,   100,   250,   400,  700,
                                                1000, 2000, 5000, 10000, 30000, 60000 };

enum { LABEL_BYTES_MAX = 65536, FIRST_BUCKETS = 1024 };

struct labels_page {
    struct prometheus_labels *labels[PROMETHEUS_PAGE];
};

struct prometheus_series {
    pthread_mutex_t lock; /* of registering */
    unsigned shard_count;
    uint32_t count; /* atomic: labels below it are there */
    struct labels_page *labels[PROMETHEUS_PAGES];
    uint32_t *buckets; /* id + 1 by hash, linear probing; at most half full */
    uint32_t bucket_count;
    struct prometheus_page **pages[]; /* by shard; each written by its shard */
};

struct prometheus_series *prometheus_series_open(unsigned shard_count)
{
    struct prometheus_series *series = calloc(1, sizeof(*series) + shard_count * sizeof(series->pages[0]));
    if (series == NULL)
        return NULL;
    pthread_mutex_init(&series->lock, NULL);
    series->shard_count = shard_count;
    series->bucket_count = FIRST_BUCKETS;
    series->buckets = calloc(FIRST_BUCKETS, sizeof(*series->buckets));
    bool enough = series->buckets != NULL;
    for (unsigned i = 0; i < shard_count; i++) {
        series->pages[i] = calloc(PROMETHEUS_PAGES, sizeof(struct prometheus_page *));
        enough = enough && series->pages[i];
    }
    if (enough)
        return series;
    prometheus_series_close(series);
    return NULL;
}

/* --- closing -------------------------------------------------------------------------------------------- */

static void free_cells(struct prometheus_cells *cells)
{
    if (cells == NULL)
        return;
    while (cells->codes) {
        struct prometheus_codes *next = cells->codes->next;
        free(cells->codes);
        cells->codes = next;
    }
    free(cells->histograms);
    free(cells);
}

static void free_pages(struct prometheus_page **pages)
{
    for (unsigned i = 0; pages && i < PROMETHEUS_PAGES && pages[i]; i++) {
        for (unsigned k = 0; k < PROMETHEUS_PAGE; k++)
            free_cells(pages[i]->cells[k]);
        free(pages[i]);
    }
    free(pages);
}

void prometheus_series_close(struct prometheus_series *series)
{
    if (series == NULL)
        return;
    for (unsigned i = 0; i < series->shard_count; i++)
        free_pages(series->pages[i]);
    for (unsigned i = 0; i < PROMETHEUS_PAGES && series->labels[i]; i++) {
        for (unsigned k = 0; k < PROMETHEUS_PAGE; k++)
            free(series->labels[i]->labels[k]);
        free(series->labels[i]);
    }
    free(series->buckets);
    pthread_mutex_destroy(&series->lock);
    free(series);
}

/* --- labels --------------------------------------------------------------------------------------------- */

void prometheus_add_label(struct text *text, struct slice value)
{
    for (size_t i = 0; i < value.size; i++) {
        char c = value.data[i];
        if (c == '\\' || c == '"')
            text_byte(text, '\\');
        if (c == '\n')
            text_literal(text, "\\n");
        else
            text_byte(text, c);
    }
}

/* The labels as they are written; the consumer behind the front. Freed with free(). */
static struct prometheus_labels *make_labels(const struct prometheus_names *names)
{
    struct text text;
    text_init(&text, LABEL_BYTES_MAX);
    text_literal(&text, "service=\"");
    prometheus_add_label(&text, names->service);
    text_literal(&text, "\",route=\"");
    prometheus_add_label(&text, names->route);
    text_byte(&text, '"');
    size_t front = text.size;
    prometheus_add_label(&text, names->consumer);
    struct prometheus_labels *labels = text.failed ? NULL : malloc(sizeof(*labels) + text.size);
    if (labels) {
        char *copy = (char *)(labels + 1);
        memcpy(copy, text.data, text.size);
        labels->front = (struct slice){ copy, front };
        labels->consumer = (struct slice){ copy + front, text.size - front };
        labels->hash = hash_of((struct slice){ copy, text.size });
    }
    text_deinit(&text);
    return labels;
}

static const struct prometheus_labels *labels_at(const struct prometheus_series *series, uint32_t id)
{
    return series->labels[id / PROMETHEUS_PAGE]->labels[id % PROMETHEUS_PAGE];
}

static bool same(const struct prometheus_labels *a, const struct prometheus_labels *b)
{
    return a->hash == b->hash && slice_equal(a->front, b->front) && slice_equal(a->consumer, b->consumer);
}

static uint32_t *bucket_of(struct prometheus_series *series, const struct prometheus_labels *labels)
{
    uint32_t at = (uint32_t)labels->hash & (series->bucket_count - 1);
    while (series->buckets[at] && !same(labels_at(series, series->buckets[at] - 1), labels))
        at = (at + 1) & (series->bucket_count - 1);
    return &series->buckets[at];
}

static bool grow(struct prometheus_series *series)
{
    uint32_t *before = series->buckets, count = series->bucket_count;
    series->buckets = calloc((size_t)count * 2, sizeof(*before));
    if (series->buckets == NULL) {
        series->buckets = before;
        return false;
    }
    series->bucket_count = count * 2;
    for (uint32_t i = 0; i < count; i++)
        if (before[i])
            *bucket_of(series, labels_at(series, before[i] - 1)) = before[i];
    free(before);
    return true;
}

enum { NO_ID = UINT32_MAX };

/* Takes the labels. */
static uint32_t add_series(struct prometheus_series *series, struct prometheus_labels *labels, uint32_t most)
{
    uint32_t id = series->count;
    struct labels_page **page = &series->labels[id / PROMETHEUS_PAGE];
    bool room = id < most && id < PROMETHEUS_PAGE * PROMETHEUS_PAGES;
    if (room && series->count * 2 >= series->bucket_count)
        room = grow(series);
    if (room && *page == NULL)
        *page = calloc(1, sizeof(**page));
    if (!room || *page == NULL) {
        free(labels);
        return NO_ID;
    }
    *bucket_of(series, labels) = id + 1;
    (*page)->labels[id % PROMETHEUS_PAGE] = labels;
    __atomic_store_n(&series->count, id + 1, __ATOMIC_RELEASE);
    return id;
}

static uint32_t register_labels(struct prometheus_series *series, struct prometheus_labels *labels,
                                uint32_t most)
{
    pthread_mutex_lock(&series->lock);
    uint32_t known = *bucket_of(series, labels), id = known - 1;
    if (known)
        free(labels);
    else
        id = add_series(series, labels, most);
    pthread_mutex_unlock(&series->lock);
    return id;
}

/* --- cells ---------------------------------------------------------------------------------------------- */

struct prometheus_cells *prometheus_cells_of(struct prometheus_series *series, unsigned shard,
                                             const struct prometheus_names *names, uint32_t most)
{
    struct prometheus_labels *labels = make_labels(names);
    uint32_t id = labels ? register_labels(series, labels, most) : NO_ID;
    if (id == NO_ID)
        return NULL;
    struct prometheus_page **page = &series->pages[shard][id / PROMETHEUS_PAGE];
    /* Pages before it may be missing: another shard has met those labels. They must be there for closing. */
    for (uint32_t i = 0; i <= id / PROMETHEUS_PAGE; i++) {
        if (series->pages[shard][i])
            continue;
        struct prometheus_page *fresh = calloc(1, sizeof(*fresh));
        if (fresh == NULL)
            return NULL;
        __atomic_store_n(&series->pages[shard][i], fresh, __ATOMIC_RELEASE);
    }
    struct prometheus_cells **cells = &(*page)->cells[id % PROMETHEUS_PAGE];
    if (*cells == NULL)
        __atomic_store_n(cells, calloc(1, sizeof(**cells)), __ATOMIC_RELEASE);
    return *cells;
}

bool prometheus_count_code(struct prometheus_cells *cells, uint64_t key)
{
    struct prometheus_codes **at = &cells->codes;
    for (; *at; at = &(*at)->next) {
        for (unsigned i = 0; i < PROMETHEUS_CODES; i++) {
            if ((*at)->items[i].key == 0)
                __atomic_store_n(&(*at)->items[i].key, key, __ATOMIC_RELAXED);
            if ((*at)->items[i].key != key)
                continue;
            prometheus_add(&(*at)->items[i].count, 1);
            return true;
        }
    }
    struct prometheus_codes *block = calloc(1, sizeof(*block));
    if (block == NULL)
        return false;
    block->items[0].key = key;
    block->items[0].count = 1;
    __atomic_store_n(at, block, __ATOMIC_RELEASE);
    return true;
}

struct prometheus_histograms *prometheus_histograms_of(struct prometheus_cells *cells)
{
    if (cells->histograms == NULL)
        __atomic_store_n(&cells->histograms, calloc(1, sizeof(*cells->histograms)), __ATOMIC_RELEASE);
    return cells->histograms;
}

void prometheus_observe(uint64_t *buckets, const uint32_t *bounds, unsigned count, uint64_t value_ms)
{
    unsigned at = 0;
    while (at < count && value_ms > bounds[at])
        at++;
    prometheus_add(&buckets[at], 1);
}

/* --- reading -------------------------------------------------------------------------------------------- */

uint32_t prometheus_series_count(const struct prometheus_series *series)
{
    return __atomic_load_n(&series->count, __ATOMIC_ACQUIRE);
}

unsigned prometheus_shard_count(const struct prometheus_series *series)
{
    return series->shard_count;
}

const struct prometheus_labels *prometheus_labels_at(const struct prometheus_series *series, uint32_t id)
{
    return labels_at(series, id);
}

const struct prometheus_cells *prometheus_cells_at(const struct prometheus_series *series, unsigned shard,
                                                   uint32_t id)
{
    const struct prometheus_page *page =
        __atomic_load_n(&series->pages[shard][id / PROMETHEUS_PAGE], __ATOMIC_ACQUIRE);
    return page ? __atomic_load_n(&page->cells[id % PROMETHEUS_PAGE], __ATOMIC_ACQUIRE) : NULL;
}
