/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/plugins.h"
#include "plugins/request_termination.h"
#include "tests/support/fake_exchange.h"
#include "tests/support/plugin_setup.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>

static struct plugin_setup setup;
static void *node, *shard_state;

static void start(void)
{
    plugin_setup_init(&setup);
    node = request_termination_plugin.process_open(1);
    shard_state = calloc(1, request_termination_plugin.shard_state_size);
    cr_assert(node && shard_state);
    cr_assert_eq(request_termination_plugin.shard_open(NULL, node, shard_state), ERROR_OK);
}

static void stop(void)
{
    free(shard_state);
    request_termination_plugin.process_close(node);
    plugin_setup_deinit(&setup);
}

TestSuite(request_termination, .init = start, .fini = stop);

static enum verdict run(struct exchange *exchange, const char *text)
{
    const void *config = plugin_setup_config(&setup, &request_termination_plugin, text);
    cr_assert_not_null(config, "%s", text);
    return fake_exchange_run(exchange, &request_termination_plugin, PHASE_ACCESS, config, shard_state);
}

static const struct {
    const char *config;
    int status;
    enum fake_body kind;
    const char *type, *body; /* NULL: absent */
} answers[] = {
    { "{}", 503, FAKE_BODY_JSON, NULL, "{\"message\":\"Service unavailable\"}" },
    { "{status_code: 401}", 401, FAKE_BODY_JSON, NULL, "{\"message\":\"Unauthorized\"}" },
    { "{status_code: 404}", 404, FAKE_BODY_JSON, NULL, "{\"message\":\"Not found\"}" },
    { "{status_code: 405}", 405, FAKE_BODY_JSON, NULL, "{\"message\":\"Method not allowed\"}" },
    { "{status_code: 500}", 500, FAKE_BODY_JSON, NULL, "{\"message\":\"An unexpected error occurred\"}" },
    { "{status_code: 502}", 502, FAKE_BODY_JSON, NULL, "{\"message\":\"Bad Gateway\"}" },
    { "{status_code: 418}", 418, FAKE_BODY_PLAIN, NULL, NULL },
    { "{status_code: 403, message: 'a \"b\"'}", 403, FAKE_BODY_JSON, NULL, "{\"message\":\"a \\\"b\\\"\"}" },
    { "{status_code: 200, body: <p>, content_type: text/html}", 200, FAKE_BODY_PLAIN, "text/html", "<p>" },
    { "{status_code: 200, body: plain}", 200, FAKE_BODY_PLAIN, NULL, "plain" },
};

Test(request_termination, answers)
{
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        struct exchange *exchange = fake_exchange_open("GET", "/");
        cr_assert_eq(run(exchange, answers[i].config), VERDICT_RESPOND);
        cr_assert_eq(exchange->status, answers[i].status, "%s", answers[i].config);
        cr_assert_eq(exchange->body_kind, answers[i].kind, "%s", answers[i].config);
        cr_assert(slice_equal(exchange->body, slice_of(answers[i].body)), "%s", answers[i].config);
        cr_assert(slice_equal(exchange->content_type, slice_of(answers[i].type)), "%s", answers[i].config);
        fake_exchange_close(exchange);
    }
}

Test(request_termination, trigger)
{
    static const struct {
        const char *target, *header;
        enum verdict verdict;
    } cases[] = {
        { "/x?y=1", NULL, VERDICT_CONTINUE },      { "/", "X-Stop", VERDICT_RESPOND },
        { "/", "x-stop", VERDICT_RESPOND },        { "/?x-stop", NULL, VERDICT_RESPOND },
        { "/?a&x-stop=1", NULL, VERDICT_RESPOND }, { "/?X-Stop", NULL, VERDICT_CONTINUE },
        { "/?x%2Dstop=", NULL, VERDICT_RESPOND },  { "/x-stop", NULL, VERDICT_CONTINUE },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct exchange *exchange = fake_exchange_open("GET", cases[i].target);
        if (cases[i].header)
            fake_exchange_header(exchange, cases[i].header, SLICE(""));
        cr_assert_eq(run(exchange, "{trigger: x-stop}"), cases[i].verdict, "%s", cases[i].target);
        fake_exchange_close(exchange);
    }
}

Test(request_termination, echo)
{
    struct route route = { .entity = { .id = "7a1c", .name = SLICE("r") } };
    struct exchange *exchange = fake_exchange_open("POST", "/a?b=1&b=2&c");
    exchange->route = &route;
    fake_exchange_header(exchange, "Host", SLICE("h.test:8000"));
    fake_exchange_header(exchange, "X-A", SLICE("1"));
    fake_exchange_header(exchange, "x-a", SLICE("2"));
    fake_exchange_header(exchange, "X-Bad", SLICE("\xff"));
    cr_assert_eq(run(exchange, "{echo: true, status_code: 200}"), VERDICT_RESPOND);
    json_t *echo = json_loadb(exchange->body.data, exchange->body.size, 0, NULL);
    cr_assert_not_null(echo);
    static const char *const parts[] = {
        "\"node_id\":",        "\"hostname\":",         "\"host\":\"h.test\"",      "\"method\":\"POST\"",
        "\"path\":\"/a\"",     "\"x-a\":[\"1\",\"2\"]", "\"x-bad\":null",           "\"b\":[\"1\",\"2\"]",
        "\"c\":true",          "\"name\":\"r\"",        "\"matched_service\":null", "\"message\":null",
        "\"scheme\":\"http\"",
    };
    for (size_t i = 0; i < COUNT_OF(parts); i++)
        cr_assert_not_null(strstr(exchange->body.data, parts[i]), "%s: %s", parts[i], exchange->body.data);
    json_decref(echo);
    fake_exchange_close(exchange);
}

static const struct {
    const char *text, *field, *reason;
} refused[] = {
    { "{status_code: 99}", "status_code", "value should be between 100 and 599" },
    { "{status_code: 101}", "status_code", "does not end a request" },
    { "{message: a, body: b}", "message", "message cannot be used with content_type or body" },
    { "{content_type: text/html}", "content_type", "content_type requires a body" },
    { "{body: a, content_type: \"a\\nb\"}", "content_type", "control characters" },
};

Test(request_termination, what_is_wrong_is_reported)
{
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        cr_assert_null(plugin_setup_config(&setup, &request_termination_plugin, refused[i].text), "%s",
                       refused[i].text);
        cr_assert(plugin_setup_reported(&setup, REPORT_ERROR, refused[i].field, refused[i].reason), "%s",
                  refused[i].text);
    }
}
