/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/plugins.h"
#include "plugins/statsd_lines.h"
#include "tests/support/plugin_setup.h"

#include <criterion/criterion.h>

static void expect(const struct statsd_line *line, const char *wanted)
{
    struct text text;
    text_init(&text, 1000);
    statsd_write(&text, line);
    cr_expect(slice_equal(text_slice(&text), slice_of(wanted)), "%.*s", (int)text.size, text.data);
    text_deinit(&text);
}

Test(statsd, lines_of_every_style)
{
    struct statsd_tag tags[] = { { SLICE("a"), SLICE("b") }, { SLICE("c|"), SLICE("d:e,f") } };
    struct statsd_line line = { .name = SLICE("kong.x"), .type = STATSD_TIMER, .sample_rate = 1, .value = 7 };
    line.tags = tags;
    line.tag_count = COUNT_OF(tags);
    expect(&line, "kong.x:7|ms");
    line.style = STATSD_DOGSTATSD;
    expect(&line, "kong.x:7|ms|#a:b,c_:d:e_f");
    line.style = STATSD_INFLUXDB;
    expect(&line, "kong.x,a=b,c_=d:e_f:7|ms");
    line.style = STATSD_LIBRATO;
    expect(&line, "kong.x#a=b,c_=d:e_f:7|ms");
    line.style = STATSD_SIGNALFX;
    expect(&line, "kong.x[a=b,c_=d:e_f]:7|ms");
}

Test(statsd, lines_of_every_type)
{
    static const char *const wanted[] = { "a_b:1|c|@0.5", "a_b:1|g|@0.5",  "a_b:1|h|@0.5", "a_b:1|m|@0.5",
                                          "a_b:1|s|@0.5", "a_b:1|ms|@0.5", "a_b:1|d|@0.5" };
    for (int type = STATSD_COUNTER; type <= STATSD_DISTRIBUTION; type++) {
        struct statsd_line line = { .name = SLICE("a:b"), .type = type, .sample_rate = 0.5, .value = 1 };
        expect(&line, wanted[type]);
    }
    struct statsd_line set = {
        .name = SLICE("u"), .type = STATSD_SET, .sample_rate = 1, .word = SLICE("x|y")
    };
    expect(&set, "u:x_y|s");
}

Test(statsd, configurations_are_checked)
{
    static const struct {
        const struct plugin *plugin;
        const char *config;
        bool good;
    } cases[] = {
        { &statsd_plugin, "{}", true },
        { &statsd_plugin, "{metrics: [{name: latency, stat_type: timer}]}", true },
        { &statsd_plugin, "{metrics: [{name: latency, stat_type: counter}]}", false },
        { &statsd_plugin, "{metrics: [{name: unique_users, stat_type: timer}]}", false },
        { &statsd_plugin, "{metrics: [{name: status_count, stat_type: timer}]}", false },
        { &statsd_plugin, "{metrics: [{name: nothing, stat_type: timer}]}", false },
        { &statsd_plugin, "{allow_status_codes: ['200-299', '500-599']}", true },
        { &statsd_plugin, "{allow_status_codes: ['299-200']}", false },
        { &statsd_plugin, "{tag_style: nothing}", false },
        { &datadog_plugin, "{}", true },
        { &datadog_plugin, "{metrics: [{name: latency, stat_type: distribution, tags: ['a:b']}]}", true },
        { &datadog_plugin, "{metrics: [{name: latency, stat_type: timer, tags: ['a:']}]}", false },
        { &datadog_plugin, "{metrics: [{name: request_count, stat_type: counter}]}", false },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct plugin_setup setup;
        plugin_setup_init(&setup);
        const void *config = plugin_setup_config(&setup, cases[i].plugin, cases[i].config);
        cr_expect_eq(config != NULL, cases[i].good, "%s", cases[i].config);
        plugin_setup_deinit(&setup);
    }
}
