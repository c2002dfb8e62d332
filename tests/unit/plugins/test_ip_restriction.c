/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/plugins.h"
#include "tests/support/fake_exchange.h"
#include "tests/support/plugin_setup.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct plugin_setup setup;

static void start(void)
{
    plugin_setup_init(&setup);
}

static void stop(void)
{
    plugin_setup_deinit(&setup);
}

TestSuite(ip_restriction, .init = start, .fini = stop);

static const struct {
    const char *config, *client;
    bool passes;
} cases[] = {
    { "{allow: [127.0.0.1]}", "127.0.0.1", true },
    { "{allow: [10.0.0.0/8]}", "127.0.0.1", false },
    { "{allow: ['10.0.0.0/8', '::1']}", "::1", true },
    { "{allow: ['::ffff:10.1.2.3']}", "10.1.2.3", true },
    { "{deny: [127.0.0.0/8]}", "127.9.9.9", false },
    { "{deny: [127.0.0.0/8]}", "128.0.0.0", true },
    { "{deny: [127.0.0.0/8], allow: [127.0.0.1]}", "127.0.0.1", false },
    { "{deny: [10.0.0.1], allow: [10.0.0.0/24]}", "10.0.0.2", true },
    { "{deny: [10.0.0.1], allow: [10.0.0.0/24]}", "10.0.1.2", false },
    { "{deny: ['0.0.0.0/0']}", "2001:db8::1", true },
    { "{allow: ['0.0.0.0/0']}", "unix:", false },
    { "{deny: ['0.0.0.0/0']}", "unix:", true },
};

Test(ip_restriction, who_may_pass)
{
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const void *config = plugin_setup_config(&setup, &ip_restriction_plugin, cases[i].config);
        cr_assert_not_null(config, "%s", cases[i].config);
        struct exchange *exchange = fake_exchange_open("GET", "/");
        exchange->client_ip = slice_of(cases[i].client);
        enum verdict verdict =
            fake_exchange_run(exchange, &ip_restriction_plugin, PHASE_ACCESS, config, NULL);
        cr_assert_eq(verdict, cases[i].passes ? VERDICT_CONTINUE : VERDICT_RESPOND, "%s %s", cases[i].config,
                     cases[i].client);
        fake_exchange_close(exchange);
    }
}

Test(ip_restriction, the_answer)
{
    const void *config = plugin_setup_config(&setup, &ip_restriction_plugin, "{deny: [127.0.0.1]}");
    struct exchange *exchange = fake_exchange_open("GET", "/");
    fake_exchange_run(exchange, &ip_restriction_plugin, PHASE_ACCESS, config, NULL);
    cr_assert_eq(exchange->status, 403);
    cr_assert_eq(exchange->body_kind, FAKE_BODY_ERROR);
    cr_assert(slice_equal(exchange->body, SLICE("IP address not allowed: 127.0.0.1")));
    config = plugin_setup_config(&setup, &ip_restriction_plugin,
                                 "{deny: [127.0.0.1], status: 418, message: go away}");
    fake_exchange_run(exchange, &ip_restriction_plugin, PHASE_ACCESS, config, NULL);
    cr_assert_eq(exchange->status, 418);
    cr_assert(slice_equal(exchange->body, SLICE("go away")));
    fake_exchange_close(exchange);
}

static const struct {
    const char *text, *field, *reason;
} refused[] = {
    { "{}", "test", "at least one of these fields must be non-empty" },
    { "{allow: []}", "test", "at least one of these fields must be non-empty" },
    { "{allow: [1.2.3.4, 1.2.3.400]}", "allow[1]", "invalid ip or cidr range: '1.2.3.400'" },
    { "{deny: [x/8]}", "deny[0]", "invalid ip or cidr range: 'x/8'" },
    { "{deny: [1.2.3.4/33]}", "deny[0]", "invalid ip or cidr range: '1.2.3.4/33'" },
    { "{deny: [1.2.3.4], status: 100}", "status", "between 200 and 599" },
};

Test(ip_restriction, what_is_wrong_is_reported)
{
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        cr_assert_null(plugin_setup_config(&setup, &ip_restriction_plugin, refused[i].text), "%s",
                       refused[i].text);
        cr_assert(plugin_setup_reported(&setup, REPORT_ERROR, refused[i].field, refused[i].reason), "%s",
                  refused[i].text);
    }
}
