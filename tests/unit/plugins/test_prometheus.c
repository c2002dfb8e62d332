/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/prometheus_write.h"

#include "core/base/hash.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct prometheus_series *series;
static struct text text;

static void start(void)
{
    hash_start();
    series = prometheus_series_open(2);
    cr_assert_not_null(series);
    text_init(&text, 10000000);
}

static void end(void)
{
    prometheus_series_close(series);
    text_deinit(&text);
}

TestSuite(prometheus, .init = start, .fini = end);

static struct prometheus_cells *cells(unsigned shard, const char *service, const char *route,
                                      const char *consumer)
{
    struct prometheus_names names = { slice_of(service), slice_of(route), slice_of(consumer) };
    return prometheus_cells_of(series, shard, &names, 5000);
}

static unsigned write_all(size_t bytes)
{
    struct prometheus_cursor cursor = { 0 };
    unsigned parts = 1;
    text_clear(&text);
    while (prometheus_write(series, &cursor, &text, bytes))
        parts++;
    text_byte(&text, '\0');
    cr_assert_not(text.failed);
    return parts;
}

#define HAS(part) cr_expect(strstr(text.data, (part)) != NULL, "%s\nis not in\n%s", (part), text.data)

Test(prometheus, shards_are_added_up)
{
    cr_assert(prometheus_count_code(cells(0, "s", "r", ""), 200 * 2 + 1));
    cr_assert(prometheus_count_code(cells(1, "s", "r", ""), 200 * 2 + 1));
    cr_assert(prometheus_count_code(cells(1, "s", "r", ""), 401 * 2));
    prometheus_add(&cells(0, "s", "r", "amy")->ingress, 10);
    prometheus_add(&cells(1, "s", "r", "amy")->egress, 7);
    write_all(100000);
    HAS("# TYPE kong_http_requests_total counter\n");
    HAS("kong_http_requests_total{service=\"s\",route=\"r\",code=\"200\",source=\"service\","
        "workspace=\"default\",consumer=\"\"} 2\n");
    HAS("code=\"401\",source=\"kong\",workspace=\"default\",consumer=\"\"} 1\n");
    HAS("kong_bandwidth_bytes{service=\"s\",route=\"r\",direction=\"ingress\",workspace=\"default\","
        "consumer=\"amy\"} 10\n");
    HAS("direction=\"egress\",workspace=\"default\",consumer=\"amy\"} 7\n");
    cr_expect_null(strstr(text.data, "latency"));
    cr_expect_eq(prometheus_series_count(series), 2);
}

Test(prometheus, histograms_are_cumulative)
{
    struct prometheus_histograms *all = prometheus_histograms_of(cells(0, "s", "r", ""));
    static const uint64_t values[] = { 0, 1, 2, 6000, 6001 };
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        prometheus_observe(all->kong, prometheus_kong_bounds, PROMETHEUS_KONG_BUCKETS, values[i]);
        prometheus_add(&all->kong_sum, values[i]);
    }
    write_all(100000);
    HAS("kong_kong_latency_ms_bucket{service=\"s\",route=\"r\",workspace=\"default\",le=\"1\"} 2\n");
    HAS("le=\"2\"} 3\n");
    HAS("le=\"3000\"} 3\n");
    HAS("le=\"6000\"} 4\n");
    HAS("le=\"+Inf\"} 5\n");
    HAS("kong_kong_latency_ms_count{service=\"s\",route=\"r\",workspace=\"default\"} 5\n");
    HAS("kong_kong_latency_ms_sum{service=\"s\",route=\"r\",workspace=\"default\"} 12004\n");
    cr_expect_null(strstr(text.data, "kong_upstream_latency"));
}

Test(prometheus, labels_are_escaped)
{
    cr_assert(prometheus_count_code(cells(0, "a\"b\\c\nd", "r", ""), 401));
    write_all(100000);
    HAS("service=\"a\\\"b\\\\c\\nd\"");
}

Test(prometheus, series_are_limited_and_stay)
{
    struct prometheus_names names = { SLICE("s"), SLICE("1"), SLICE("") };
    struct prometheus_cells *first = prometheus_cells_of(series, 0, &names, 1);
    cr_assert_not_null(first);
    names.route = SLICE("2");
    cr_expect_null(prometheus_cells_of(series, 0, &names, 1));
    names.route = SLICE("1");
    cr_expect_eq(prometheus_cells_of(series, 0, &names, 1), first);
    cr_expect_not_null(prometheus_cells_of(series, 1, &names, 1));
}

Test(prometheus, many_come_in_parts)
{
    char name[16];
    for (unsigned i = 0; i < 3000; i++) {
        snprintf(name, sizeof(name), "r%u", i);
        cr_assert(prometheus_count_code(cells(i % 2, "s", name, ""), 401));
        for (uint64_t code = 200; i == 0 && code < 300; code++)
            cr_assert(prometheus_count_code(cells(0, "s", name, ""), code * 2));
    }
    cr_expect_gt(write_all(4096), 50);
    HAS("route=\"r2999\",code=\"200\"");
    HAS("route=\"r0\",code=\"299\"");
    cr_expect_eq(prometheus_series_count(series), 3000);
}
