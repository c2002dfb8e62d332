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

TestSuite(aws_cors, .init = start, .fini = stop);

/* The headers of the answer to a request from that origin (NULL: none), as one text. */
static const char *ask(const char *text, const char *origin, int *status)
{
    static const char *const names[] = {
        "access-control-allow-origin",
        "access-control-allow-credentials",
        "access-control-expose-headers",
        "access-control-allow-methods",
        "access-control-allow-headers",
        "access-control-max-age",
        "vary",
    };
    static char all[512];
    const void *config = plugin_setup_config(&setup, &aws_cors_plugin, text);
    struct exchange *exchange = fake_exchange_open("OPTIONS", "/");
    cr_assert_not_null(config, "%s", text);
    if (origin)
        fake_exchange_header(exchange, "Origin", slice_of(origin));
    fake_exchange_run(exchange, &aws_cors_plugin, PHASE_ACCESS, config, NULL);
    *status = exchange->status;
    all[0] = '\0';
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct slice value = fake_exchange_response_header(exchange, names[i]);
        size_t size = strlen(all);
        snprintf(all + size, sizeof(all) - size, "%.*s;", SLICE_FORMAT(value));
    }
    fake_exchange_close(exchange);
    return all;
}

static const struct {
    const char *config, *origin;
    int status;
    const char *headers;
} cases[] = {
    { "{allow_origins: ['*'], allow_methods: [GET, POST], max_age: 300, answers_preflight: true}",
      "https://a.test", 204, "*;;;GET,POST;;300;;" },
    { "{allow_origins: ['https://a.test'], allow_headers: [x-a], allow_credentials: true, "
      "expose_headers: [x-b], answers_preflight: true}",
      "https://a.test", 204, "https://a.test;true;x-b;;x-a;;Origin;" },
    { "{allow_origins: ['https://a.test'], answers_preflight: true}", "https://b.test", 204, ";;;;;;;" },
    { "{allow_origins: ['https://*'], answers_preflight: true}", "https://b.test", 204,
      "https://b.test;;;;;;Origin;" },
    { "{allow_origins: ['https://*'], answers_preflight: true}", "http://b.test", 204, ";;;;;;;" },
    { "{allowOrigins: ['http://*'], allowMethods: ['*']}", "http://b.test", 0, "http://b.test;;;;;;;" },
    { "{allow_origins: ['https://a.test'], expose_headers: [x-b]}", "HTTPS://A.test", 0,
      "HTTPS://A.test;;x-b;;;;;" },
    { "{allow_origins: ['*'], max_age: 300}", NULL, 0, ";;;;;;;" },
    { "{answers_preflight: true}", "https://a.test", 204, ";;;;;;;" },
    { "{allow_origins: ['*'], max_age: -1, answers_preflight: true}", "https://a.test", 204, "*;;;;;-1;;" },
};

Test(aws_cors, answers)
{
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int status;
        const char *headers = ask(cases[i].config, cases[i].origin, &status);
        cr_expect_eq(status, cases[i].status, "%s: %d", cases[i].config, status);
        cr_expect_str_eq(headers, cases[i].headers, "%s: %s", cases[i].config, headers);
    }
}

Test(aws_cors, options)
{
    cr_assert_null(
        plugin_setup_config(&setup, &aws_cors_plugin, "{allow_origins: ['*'], allow_credentials: true}"));
    cr_assert(plugin_setup_reported(&setup, REPORT_ERROR, "allow_origins", "not allowed together"));
    cr_assert_null(plugin_setup_config(&setup, &aws_cors_plugin, "{allow_methods: ['a b']}"));
    cr_assert(plugin_setup_reported(&setup, REPORT_ERROR, "allow_methods", "no header may hold"));
    cr_assert_null(plugin_setup_config(&setup, &aws_cors_plugin, "{max_age: 90000}"));
}
