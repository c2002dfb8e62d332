/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/plugins.h"
#include "tests/support/fake_exchange.h"
#include "tests/support/plugin_setup.h"

#include <criterion/criterion.h>

static struct plugin_setup setup;

static void start(void)
{
    plugin_setup_init(&setup);
}

static void stop(void)
{
    plugin_setup_deinit(&setup);
}

TestSuite(redirect, .init = start, .fini = stop);

static const struct {
    const char *config, *target, *location;
    int status;
} cases[] = {
    { "{location: 'https://a.test/x?y#z'}", "/p?q", "https://a.test/x?y#z", 301 },
    { "{location: 'https://a.test', status_code: 307}", "/p?q", "https://a.test", 307 },
    { "{location: 'https://a.test', keep_incoming_path: true}", "/p?q=1", "https://a.test/p?q=1", 301 },
    { "{location: 'https://a.test/x?y', keep_incoming_path: true}", "/", "https://a.test/", 301 },
    { "{location: 'https://a.test:8443/x#z', keep_incoming_path: true}", "/p?", "https://a.test:8443/p#z",
      301 },
    { "{location: 'https://u@[::1]/x', keep_incoming_path: true}", "/p q", "https://u@[::1]/p%20q", 301 },
};

Test(redirect, where_to)
{
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const void *config = plugin_setup_config(&setup, &redirect_plugin, cases[i].config);
        cr_assert_not_null(config, "%s", cases[i].config);
        struct exchange *exchange = fake_exchange_open("GET", cases[i].target);
        cr_assert_eq(fake_exchange_run(exchange, &redirect_plugin, PHASE_ACCESS, config, NULL),
                     VERDICT_RESPOND);
        struct slice location = fake_exchange_response_header(exchange, "Location");
        cr_assert(slice_equal(location, slice_of(cases[i].location)), "%s: %.*s", cases[i].config,
                  SLICE_FORMAT(location));
        cr_assert_eq(exchange->status, cases[i].status);
        cr_assert(slice_equal(exchange->body, SLICE("redirecting")));
        cr_assert_null(exchange->content_type.data);
        fake_exchange_close(exchange);
    }
}

Test(redirect, memory_may_run_out)
{
    const void *config = plugin_setup_config(&setup, &redirect_plugin, "{location: 'https://a.test'}");
    struct exchange *exchange = fake_exchange_open("GET", "/");
    exchange->grants_left = 0;
    cr_assert_eq(fake_exchange_run(exchange, &redirect_plugin, PHASE_ACCESS, config, NULL), VERDICT_RESPOND);
    cr_assert_eq(exchange->body_kind, FAKE_BODY_FAILURE);
    fake_exchange_close(exchange);
}

static const struct {
    const char *text, *field, *reason;
} refused[] = {
    { "{}", "location", "required field missing" },
    { "{location: /x}", "location", "missing host in url" },
    { "{location: 'a.test'}", "location", "missing host in url" },
    { "{location: '//a.test'}", "location", "missing scheme in url" },
    { "{location: 'http://a.test/ x'}", "location", "printable" },
    { "{location: \"http://a.test/\\r\\nX: y\"}", "location", "printable" },
    { "{location: 'http://a.test', status_code: 101}", "status_code", "does not end a request" },
    { "{location: 'http://a.test', status_code: 600}", "status_code", "between 100 and 599" },
};

Test(redirect, what_is_wrong_is_reported)
{
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        cr_assert_null(plugin_setup_config(&setup, &redirect_plugin, refused[i].text), "%s", refused[i].text);
        cr_assert(plugin_setup_reported(&setup, REPORT_ERROR, refused[i].field, refused[i].reason), "%s",
                  refused[i].text);
    }
}
