/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/log_entry.h"
#include "plugins/plugins.h"
#include "tests/support/fake_exchange.h"
#include "tests/support/plugin_setup.h"

#include <criterion/criterion.h>

static struct plugin_setup setup;
static struct exchange *exchange;
static struct text text;

static void start(void)
{
    plugin_setup_init(&setup);
    text_init(&text, 100000);
}

static void end(void)
{
    text_deinit(&text);
    if (exchange)
        fake_exchange_close(exchange);
    plugin_setup_deinit(&setup);
}

TestSuite(log_entry, .init = start, .fini = end);

static const char *entry(const char *method, const char *target)
{
    exchange = fake_exchange_open(method, target);
    exchange->request.origin_form = slice_of(target);
    fake_exchange_header(exchange, "Authorization", SLICE("Bearer secret"));
    fake_exchange_header(exchange, "X-A", SLICE("1\xff"));
    fake_exchange_header(exchange, "x-a", SLICE("2"));
    exchange->client_ip = SLICE("10.0.0.1");
    exchange->request_id = SLICE("0123");
    exchange->record = (struct exchange_record){ .wall_ms = 1700000000042,
                                                 .start_ns = 1000000,
                                                 .end_ns = 9000000,
                                                 .status = 404,
                                                 .own = true,
                                                 .host = SLICE("h.test"),
                                                 .port = 8000 };
    struct plugin_call call = { .exchange = exchange };
    log_entry_write(&text, &call);
    text_byte(&text, '\0');
    cr_assert_not(text.failed);
    return text.data;
}

#define HAS(what, part) cr_expect(strstr((what), (part)) != NULL, "%s\nis not in\n%s", (part), (what))

Test(log_entry, tells_of_an_own_answer)
{
    const char *json = entry("GET", "/a?b=1&b=&c&d=%41+x&&=y");
    HAS(json, "\"uri\":\"/a?b=1&b=&c&d=%41+x&&=y\"");
    HAS(json, "\"url\":\"http://h.test:8000/a?b=1");
    HAS(json, "\"querystring\":{\"b\":[\"1\",\"\"],\"c\":true,\"d\":\"A x\"}");
    HAS(json, "\"authorization\":\"REDACTED\"");
    HAS(json, "\"x-a\":[\"1\\ufffd\",\"2\"]");
    HAS(json, "\"latencies\":{\"request\":8,\"kong\":8,\"proxy\":-1,\"receive\":0}");
    HAS(json, "\"tries\":[],\"upstream_uri\":\"\",\"upstream_status\":\"\"");
    HAS(json, "\"client_ip\":\"10.0.0.1\",\"started_at\":1700000000042,\"source\":\"kong\"");
    cr_expect_null(strstr(json, "secret"));
    cr_expect_null(strstr(json, "\"service\""));
}

Test(log_entry, lua_is_refused_by_name)
{
    const struct plugin *const plugins[] = { &file_log_plugin, &http_log_plugin, &tcp_log_plugin,
                                             &udp_log_plugin,  &syslog_plugin,   &loggly_plugin };
    for (size_t i = 0; i < COUNT_OF(plugins); i++)
        cr_expect_null(plugin_setup_config(&setup, plugins[i], "{custom_fields_by_lua: {a: return 1}}"));
    cr_expect(plugin_setup_reported(&setup, REPORT_ERROR, "custom_fields_by_lua", ""));
}

Test(log_entry, configurations_are_checked)
{
    static const struct {
        const struct plugin *plugin;
        const char *config, *field, *reason;
    } cases[] = {
        { &file_log_plugin, "{}", "path", "required field missing" },
        { &file_log_plugin, "{path: 'a*b'}", "path", "not a valid filename" },
        { &http_log_plugin, "{http_endpoint: nope}", "http_endpoint", "missing host in url" },
        { &http_log_plugin, "{http_endpoint: 'http://a', headers: {Host: b}}", "", "Host" },
        { &http_log_plugin, "{http_endpoint: 'http://a', content_type: text/plain}", "content_type", "" },
        { &http_log_plugin, "{http_endpoint: 'http://a', queue: {max_batch_size: 0}}", "max_batch_size", "" },
        { &http_log_plugin, "{http_endpoint: 'http://a', queue: {concurrency_limit: 0}}", "concurrency_limit",
          "" },
        { &tcp_log_plugin, "{host: h, port: 99999}", "port", "value should be between 0 and 65535" },
        { &udp_log_plugin, "{host: h}", "port", "required field missing" },
        { &syslog_plugin, "{facility: nothing}", "facility", "" },
        { &loggly_plugin, "{key: k, tags: ['a\"b']}", "", "spaces" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        cr_expect_null(plugin_setup_config(&setup, cases[i].plugin, cases[i].config), "%s", cases[i].config);
        cr_expect(plugin_setup_reported(&setup, REPORT_ERROR, cases[i].field, cases[i].reason), "%s",
                  cases[i].config);
    }
}
