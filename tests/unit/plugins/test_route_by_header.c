/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/plugins.h"
#include "tests/support/fake_exchange.h"
#include "tests/support/plugin_setup.h"

#include <criterion/criterion.h>

static struct plugin_setup setup;
static struct service primary;

static void start(void)
{
    plugin_setup_init(&setup);
    struct model *model = setup.model;
    model->services.items =
        model_reserve(model, model->services.items, model->services.count, &model->services.capacity);
    cr_assert_not_null(model->services.items);
    primary = (struct service){ .host = SLICE("a.test"), .port = 80 };
    model->services.items[model->services.count++] = &primary;
}

static void stop(void)
{
    plugin_setup_deinit(&setup);
}

TestSuite(route_by_header, .init = start, .fini = stop);

#define RULES                                                 \
    "{rules: [{condition: {x-a: one}, upstream_name: b.test}" \
    ", {condition: {x-a: two, x-b: B}, upstream_name: c.test}, {condition: {x-b: B}, upstream_name: d.test}]}"

static const struct {
    const char *a, *b, *host;
} cases[] = {
    { "one", NULL, "b.test" }, { "one", "B", "b.test" }, { "two", "B", "c.test" },
    { "two", NULL, NULL },     { NULL, "B", "d.test" },  { "ONE", NULL, NULL },
    { NULL, "b", NULL },       { "", NULL, NULL },       { NULL, NULL, NULL },
};

Test(route_by_header, rules)
{
    void *config = (void *)(uintptr_t)plugin_setup_config(&setup, &route_by_header_plugin, RULES);
    cr_assert_not_null(config);
    struct plugin_instance instance = { .kind = &route_by_header_plugin.kind, .config = config };
    cr_assert(route_by_header_plugin.kind.link(setup.model, &instance, &setup.report));
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct exchange *exchange = fake_exchange_open("GET", "/");
        exchange->service = &primary;
        if (cases[i].a)
            fake_exchange_header(exchange, "X-A", slice_of(cases[i].a));
        if (cases[i].b)
            fake_exchange_header(exchange, "X-B", slice_of(cases[i].b));
        cr_assert_eq(fake_exchange_run(exchange, &route_by_header_plugin, PHASE_ACCESS, config, NULL),
                     VERDICT_CONTINUE);
        const struct service *chosen = exchange->chosen;
        cr_assert_eq(chosen != NULL, cases[i].host != NULL, "%zu", i);
        if (chosen)
            cr_assert(slice_equal(chosen->host, slice_of(cases[i].host)) && chosen->port == 80, "%zu", i);
        fake_exchange_close(exchange);
    }
}

Test(route_by_header, without_rules_or_a_service)
{
    const void *config = plugin_setup_config(&setup, &route_by_header_plugin, "{}");
    struct exchange *exchange = fake_exchange_open("GET", "/");
    cr_assert_not_null(config);
    fake_exchange_run(exchange, &route_by_header_plugin, PHASE_ACCESS, config, NULL);
    exchange->service = &primary;
    fake_exchange_run(exchange, &route_by_header_plugin, PHASE_ACCESS, config, NULL);
    cr_assert_null(exchange->chosen);
    fake_exchange_close(exchange);
}

static const struct {
    const char *text, *field, *reason;
} refused[] = {
    { "{rules: [{upstream_name: a}]}", "rules[0].condition", "required field missing" },
    { "{rules: [{condition: {}, upstream_name: a}]}", "condition", "length must be at least 1" },
    { "{rules: [{condition: {a: b}}]}", "rules[0].upstream_name", "required field missing" },
    { "{rules: [{condition: {a: b}, upstream_name: 'x:/y'}]}", "rules[0].upstream_name", "" },
    { "{rules: [{condition: {'a b': b}, upstream_name: a}]}", "rules[0].condition", "" },
};

Test(route_by_header, what_is_wrong_is_reported)
{
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        cr_assert_null(plugin_setup_config(&setup, &route_by_header_plugin, refused[i].text), "%s",
                       refused[i].text);
        cr_assert(plugin_setup_reported(&setup, REPORT_ERROR, refused[i].field, refused[i].reason), "%s",
                  refused[i].text);
    }
}
