/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/plugins.h"
#include "tests/support/fake_exchange.h"
#include "tests/support/plugin_setup.h"

#include <criterion/criterion.h>

static struct plugin_setup setup;
static const struct route route;

static void start(void)
{
    plugin_setup_init(&setup);
}

static void stop(void)
{
    plugin_setup_deinit(&setup);
}

TestSuite(exit_transformer, .init = start, .fini = stop);

/* After an answer of the gateway itself. */
static struct exchange *ask(const char *text, int status, const char *body)
{
    const void *config = plugin_setup_config(&setup, &exit_transformer_plugin, text);
    cr_assert_not_null(config, "%s", text);
    struct exchange *exchange = fake_exchange_open("GET", "/p?q=a%22b");
    exchange->route = &route;
    exchange->status = status;
    exchange->body = slice_of(body);
    exchange->body_kind = FAKE_BODY_ERROR;
    fake_exchange_header(exchange, "X-Name", SLICE("<\"\\'&>"));
    fake_exchange_run(exchange, &exit_transformer_plugin, PHASE_RESPONSE_HEAD, config, NULL);
    return exchange;
}

static const char refusal[] = "{\"message\":\"go \\\"away\\\"\",\"request_id\":\"1\"}";

static const struct {
    const char *rules;
    int status, new_status;
    const char *body; /* NULL: as it was */
} cases[] = {
    { "[{statuses: [401, 403], new_status: 418}]", 403, 418, NULL },
    { "[{statuses: [401, 403], new_status: 418}]", 404, 404, NULL },
    { "[{status_classes: [4xx], new_status: 418}, {new_status: 500}]", 404, 418, NULL },
    { "[{status_classes: [4xx], new_status: 418}, {new_status: 500}]", 503, 500, NULL },
    { "[{status_classes: [5XX], body: 'x'}]", 503, 503, "x" },
    { "[{body: ''}]", 401, 401, "" },
    { "[{body: '$(status) $(message)', content_type: text/plain}]", 401, 401, "401 go \"away\"" },
    { "[{body: '$(body)', content_type: text/plain}]", 401, 401, refusal },
    { "[{body: '{\"m\":\"$(message)\",\"s\":$(status)}'}]", 401, 401,
      "{\"m\":\"go \\\"away\\\"\",\"s\":401}" },
    { "[{body: '$(headers[\"x-name\"])', content_type: text/html}]", 401, 401, "&lt;&quot;\\&#39;&amp;&gt;" },
    { "[{body: '\"$(headers[\"x-name\"])\"'}]", 401, 401, "\"<\\\"\\\\'&>\"" },
    { "[{body: '\"$(query_params.q)\"'}]", 401, 401, "\"a\\\"b\"" },
    { "[{body: '$(headers.none .. \"x\")', new_status: 418}]", 401, 401, NULL },
};

Test(exit_transformer, rules)
{
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct slice text = arena_format(&setup.model->arena, "{rules: %s}", cases[i].rules);
        struct exchange *exchange = ask(text.data, cases[i].status, refusal);
        const char *want = cases[i].body ? cases[i].body : refusal;
        cr_assert_eq(exchange->status, cases[i].new_status, "%s: %d", cases[i].rules, exchange->status);
        cr_assert(slice_equal(exchange->body, slice_of(want)), "%s: %.*s", cases[i].rules,
                  SLICE_FORMAT(exchange->body));
        fake_exchange_close(exchange);
    }
}

Test(exit_transformer, headers)
{
    struct exchange *exchange =
        ask("{rules: [{headers: {x-a: 'b', x-m: 'm $(message)'}, remove_headers: [www-authenticate]}]}", 401,
            refusal);
    cr_assert(slice_equal(fake_exchange_response_header(exchange, "x-a"), SLICE("b")));
    cr_assert(slice_equal(fake_exchange_response_header(exchange, "x-m"), SLICE("m go \"away\"")));
    cr_assert(message_find_name(&exchange->removed, SLICE("WWW-Authenticate")).data);
    fake_exchange_close(exchange);
}

Test(exit_transformer, upstreams_are_left_alone)
{
    const void *config =
        plugin_setup_config(&setup, &exit_transformer_plugin, "{rules: [{new_status: 500}]}");
    struct exchange *exchange = fake_exchange_open("GET", "/");
    exchange->route = &route;
    exchange->received.status = 404;
    fake_exchange_run(exchange, &exit_transformer_plugin, PHASE_RESPONSE_HEAD, config, NULL);
    cr_assert_eq(exchange_response_status(exchange), 404);
    fake_exchange_close(exchange);
}

Test(exit_transformer, without_a_route)
{
    static const struct {
        const char *config;
        int status;
        bool changed;
    } rows[] = {
        { "{rules: [{new_status: 500}]}", 404, false },
        { "{rules: [{new_status: 500}], handle_unknown: true}", 404, true },
        { "{rules: [{new_status: 500}], handle_unknown: true}", 400, false },
        { "{rules: [{new_status: 500}], handle_unexpected: true}", 400, true },
        { "{rules: [{new_status: 500}], handle_unexpected: true}", 404, false },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const void *config = plugin_setup_config(&setup, &exit_transformer_plugin, rows[i].config);
        struct exchange *exchange = fake_exchange_open("GET", "/");
        exchange->status = rows[i].status;
        fake_exchange_run(exchange, &exit_transformer_plugin, PHASE_RESPONSE_HEAD, config, NULL);
        cr_assert_eq(exchange->status, rows[i].changed ? 500 : rows[i].status, "%zu", i);
        fake_exchange_close(exchange);
    }
}

static const struct {
    const char *text, *field, *reason;
} refused[] = {
    { "{}", "rules", "required field missing" },
    { "{functions: ['return function(status, body, headers) return 200 end']}", "functions",
      "say with 'rules'" },
    { "{rules: [{statuses: [199]}]}", "statuses[0]", "between 200 and 599" },
    { "{rules: [{status_classes: [6xx]}]}", "status_classes[0]", "expected one of: 2xx" },
    { "{rules: [{new_status: 100}]}", "new_status", "between 200 and 599" },
    { "{rules: [{new_status: 204, body: x}]}", "body", "has no body" },
    { "{rules: [{headers: {'a b': c}}]}", "headers", "name of a header" },
    { "{rules: [{remove_headers: ['a b']}]}", "remove_headers[0]", "name of a header" },
    { "{rules: [{body: '$(headers.'}]}", "body", "" },
    { "{rules: [{body: '$(os.exit())'}]}", "body", "" },
    { "{rules: [{body: x, content_type: \"a\\nb\"}]}", "content_type", "no header may hold" },
};

Test(exit_transformer, what_is_wrong_is_reported)
{
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        cr_assert_null(plugin_setup_config(&setup, &exit_transformer_plugin, refused[i].text), "%s",
                       refused[i].text);
        cr_assert(plugin_setup_reported(&setup, REPORT_ERROR, refused[i].field, refused[i].reason), "%s",
                  refused[i].text);
    }
}
