/* SPDX-License-Identifier: Apache-2.0 */
#include "core/io/shard.h"
#include "plugins/plugins.h"
#include "tests/support/fake_exchange.h"
#include "tests/support/plugin_setup.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static struct plugin_setup setup;
static struct exchange *exchange;

static void start(void)
{
    plugin_setup_init(&setup);
    exchange = fake_exchange_open("GET", "/");
    exchange->received.status = 200;
}

static void stop(void)
{
    fake_exchange_close(exchange);
    plugin_setup_deinit(&setup);
}

TestSuite(response_transformer, .init = start, .fini = stop);

static void receive(struct exchange *one, const char *name, const char *value)
{
    cr_assert(message_add(&one->received, slice_of(name), slice_of(value)));
}

static enum verdict run(struct exchange *one, const char *text)
{
    const void *config = plugin_setup_config(&setup, &response_transformer_plugin, text);
    cr_assert_not_null(config, "%s", text);
    return fake_exchange_run(one, &response_transformer_plugin, PHASE_RESPONSE_HEAD, config, NULL);
}

static const struct {
    const char *type, *body, *config, *sent; /* NULL: as it came */
} bodies[] = {
    { "application/json", "{\"a\":1,\"b\":[1, 2]}", "{remove: {json: [a, none]}}", "{\"b\":[1, 2]}" },
    { "application/json", "{\"a\":1,\"b\":2}", "{rename: {json: ['a:b']}}", "{\"b\":1}" },
    { "application/json", "{\"a\":1}", "{replace: {json: ['a:x', 'n:y']}}", "{\"a\":\"x\"}" },
    { "application/vnd.x+json; v=1", "{\"a\":1}", "{add: {json: ['a:x', 'n:y:z']}}",
      "{\"a\":1,\"n\":\"y:z\"}" },
    { "application/json", "{\"a\":\"x\"}", "{append: {json: ['a:y', 'n:z']}}",
      "{\"a\":[\"x\",\"y\"],\"n\":[\"z\"]}" },
    { "application/json", "{}",
      "{add: {json: ['n:12', 't:true', 'f:no', 's:12', 'd:1.50'], json_types: [number, "
      "boolean, boolean, string, number]}}",
      "{\"n\":12,\"t\":true,\"f\":false,\"s\":\"12\",\"d\":1.50}" },
    { "application/json", "{\"a\":[1]}", "{append: {json: ['a:2'], json_types: [number]}}", "{\"a\":[1,2]}" },
    { "application/json", "{\"a\":1}", "{add: {json: ['n:abc'], json_types: [number]}}", NULL },
    { "application/json", "[{\"a\":1}]", "{remove: {json: [a]}}", NULL },
    { "application/json", "{a", "{remove: {json: [a]}}", NULL },
    { "application/json", "", "{add: {json: ['a:1']}}", NULL },
    { "text/plain", "{\"a\":1}", "{remove: {json: [a]}}", NULL },
    { "json", "{\"a\":1}", "{remove: {json: [a]}}", NULL },
};

Test(response_transformer, bodies)
{
    for (size_t i = 0; i < COUNT_OF(bodies); i++)
        for (size_t piece = 1; piece <= 4096; piece *= 64) {
            struct exchange *one = fake_exchange_open("GET", "/");
            one->received.status = 200;
            receive(one, "content-type", bodies[i].type);
            cr_assert_eq(run(one, bodies[i].config), VERDICT_CONTINUE);
            bool filtered = one->filters != NULL;
            cr_assert(fake_exchange_filter(one, slice_of(bodies[i].body), piece));
            const char *wanted = bodies[i].sent ? bodies[i].sent : bodies[i].body;
            if (filtered)
                cr_assert(slice_equal(one->passed, slice_of(wanted)), "%s gives %.*s", bodies[i].config,
                          SLICE_FORMAT(one->passed));
            else
                cr_assert_null(bodies[i].sent);
            fake_exchange_close(one);
        }
}

Test(response_transformer, a_body_that_is_too_long)
{
    struct shard *shard = calloc(1, sizeof(*shard));
    size_t size = 9 * 1024 * 1024;
    char *body = malloc(size);
    memset(body, ' ', size);
    memcpy(body, "{\"a\":1}", 7);
    exchange->shard = shard;
    arena_deinit(&exchange->arena);
    arena_init(&exchange->arena, NULL, 0, SIZE_MAX);
    message_init(&exchange->received, &exchange->arena);
    message_init(&exchange->response, &exchange->arena);
    message_init(&exchange->removed, &exchange->arena);
    exchange->received.status = 200;
    receive(exchange, "content-type", "application/json");
    run(exchange, "{remove: {json: [a]}}");
    cr_assert(fake_exchange_filter(exchange, (struct slice){ body, size }, 1024 * 1024));
    cr_assert(slice_equal(exchange->passed, (struct slice){ body, size }));
    cr_assert_eq(metric_read(&shard->metrics, METRIC_BODIES_TOO_LONG), 1);
    free(body);
    free(shard);
}

Test(response_transformer, what_is_compressed_is_not_read)
{
    receive(exchange, "content-type", "application/json");
    receive(exchange, "content-encoding", "gzip");
    run(exchange, "{remove: {json: [a]}}");
    cr_assert_null(exchange->filters);
}

Test(response_transformer, headers)
{
    receive(exchange, "X-A", "1");
    receive(exchange, "x-a", "2");
    receive(exchange, "X-R", "r");
    receive(exchange, "Via", "1.1 other");
    run(exchange,
        "{remove: {headers: ['x-r:whatever', Via, Content-Length]}, rename: {headers: ['X-a:X-B', 'N:M']},"
        " replace: {headers: ['X-A:n', 'X-N:n']}, add: {headers: ['X-N:v:w', 'X-Kong-Proxy-Latency:0']},"
        " append: {headers: ['X-M:1', 'X-M:2']}}");
    cr_assert_eq(exchange->removed.header_count >= 2, true);
    cr_assert(slice_equal(fake_exchange_response_header(exchange, "X-B"), SLICE("1")));
    cr_assert(slice_equal(fake_exchange_response_header(exchange, "X-N"), SLICE("v:w")));
    cr_assert(slice_equal(fake_exchange_response_header(exchange, "X-M"), SLICE("1")));
    cr_assert_null(message_find_name(&exchange->removed, SLICE("Via")).data);
    cr_assert_null(fake_exchange_response_header(exchange, "X-Kong-Proxy-Latency").data);
    cr_assert_eq(exchange->response.header_count, 5); /* X-B twice, X-N, X-M twice */
}

Test(response_transformer, memory)
{
    exchange->grants_left = 0;
    cr_assert_eq(run(exchange, "{add: {headers: ['X:1']}}"), VERDICT_RESPOND);
    cr_assert_eq(exchange->body_kind, FAKE_BODY_FAILURE);
}

static const struct {
    const char *config, *field, *reason;
    enum report_kind kind;
} errors[] = {
    { "{add: {json: ['a:1'], json_types: [date]}}", "add.json_types[0]",
      "expected one of: boolean, number, string", REPORT_ERROR },
    { "{add: {headers: ['a b:c']}}", "add.headers[0]", "'a b' is not a valid header", REPORT_ERROR },
    { "{add: {json: [nocolon]}}", "add.json[0]", "invalid value: nocolon", REPORT_ERROR },
    { "{rename: {json: ['a:b'], json_types: [string]}}", "rename.json_types", "unknown field", REPORT_ERROR },
    { "{add: {json: ['a:x'], json_types: [number]}}", "add.json", "x is no number", REPORT_WARNING },
};

Test(response_transformer, what_is_wrong_is_reported)
{
    for (size_t i = 0; i < COUNT_OF(errors); i++) {
        const void *config = plugin_setup_config(&setup, &response_transformer_plugin, errors[i].config);
        cr_assert_eq(config == NULL, errors[i].kind == REPORT_ERROR, "%s", errors[i].config);
        cr_assert(plugin_setup_reported(&setup, errors[i].kind, errors[i].field, errors[i].reason), "%s",
                  errors[i].config);
    }
}
