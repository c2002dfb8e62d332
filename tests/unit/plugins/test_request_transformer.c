/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/plugins.h"
#include "tests/support/fake_exchange.h"
#include "tests/support/plugin_setup.h"

#include <criterion/criterion.h>

static struct plugin_setup setup;
static struct exchange *exchange;

static void start(void)
{
    plugin_setup_init(&setup);
    exchange = fake_exchange_open("POST", "/p?qa=1&qb=a+b&qa=2&flag");
}

static void stop(void)
{
    fake_exchange_close(exchange);
    plugin_setup_deinit(&setup);
}

TestSuite(request_transformer, .init = start, .fini = stop);

static enum verdict run(const char *text)
{
    const void *config = plugin_setup_config(&setup, &request_transformer_plugin, text);
    cr_assert_not_null(config, "%s", text);
    return fake_exchange_run(exchange, &request_transformer_plugin, PHASE_ACCESS, config, NULL);
}

static const struct {
    const char *config, *query; /* NULL: as it came */
} queries[] = {
    { "{}", NULL },
    { "{remove: {querystring: [qa]}}", "qb=a%20b&flag" },
    { "{remove: {querystring: [none]}}", "qa=1&qb=a%20b&qa=2&flag" },
    { "{rename: {querystring: ['qa:z', 'none:flag']}}", "z=1&qb=a%20b&z=2&flag" },
    { "{rename: {querystring: ['qb:qa']}}", "qa=a%20b&flag" },
    { "{replace: {querystring: ['qa:x/y', 'none:q']}}", "qa=x%2Fy&qb=a%20b&flag" },
    { "{add: {querystring: ['qa:x', 'n:1:2', 'n:3']}}", "qa=1&qb=a%20b&qa=2&flag&n=1%3A2" },
    { "{append: {querystring: ['qa:3', 'flag:on', 'n:(v)']}}", "qa=1&qb=a%20b&qa=2&qa=3&flag&flag=on&n=(v)" },
    { "{add: {querystring: ['n:']}}", "qa=1&qb=a%20b&qa=2&flag" },
    { "{add: {querystring: ['n:$(query_params.qb)/$(query_params.qa[2])$(query_params.flag)']}}",
      "qa=1&qb=a%20b&qa=2&flag&n=a%20b%2F2true" },
    { "{remove: {querystring: [qb]}, add: {querystring: ['n:$(query_params.qb)']}}",
      "qa=1&qa=2&flag&n=a%20b" },
    { "{rename: {querystring: ['qb:$(query_params.qa .. \"x\")']}}", "qa=1&1x=a%20b&qa=2&flag" },
};

Test(request_transformer, queries)
{
    for (size_t i = 0; i < COUNT_OF(queries); i++) {
        const char *wanted = queries[i].query ? queries[i].query : "qa=1&qb=a+b&qa=2&flag";
        exchange->query = SLICE("qa=1&qb=a+b&qa=2&flag");
        cr_assert_eq(run(queries[i].config), VERDICT_CONTINUE);
        cr_assert(slice_equal(exchange->query, slice_of(wanted)), "%s gives %.*s", queries[i].config,
                  SLICE_FORMAT(exchange->query));
    }
    exchange->query = SLICE("only=1");
    run("{remove: {querystring: [only]}}");
    cr_assert_null(exchange->query.data);
}

static const struct {
    const char *type, *body, *config, *sent; /* NULL: as it came */
} bodies[] = {
    { "application/json", "{\"a\":1,\"b\":[1, 2],\"n\":1.50}", "{remove: {body: [a]}}",
      "{\"b\":[1, 2],\"n\":1.50}" },
    { "application/json", "{\"a\":1}", "{remove: {body: [none]}}", NULL },
    { "application/json", "{\"a\":1,\"b\":2}", "{rename: {body: ['a:b']}}", "{\"b\":1}" },
    { "application/json", "{\"b\":2}", "{rename: {body: ['a:b']}}", NULL },
    { "application/json", "{\"a\":1,\"c\":null}", "{replace: {body: ['a:x\"y', 'c:z', 'none:q']}}",
      "{\"a\":\"x\\\"y\",\"c\":\"z\"}" },
    { "application/json", "{\"a\":1}", "{add: {body: ['a:2', 'b:3']}}", "{\"a\":1,\"b\":\"3\"}" },
    { "application/json; charset=utf-8", "{\"a\":\"1\",\"l\":[ 1 ],\"e\":[ ],\"n\":7}",
      "{append: {body: ['a:2', 'l:2', 'e:x', 'n:8', 'new:v']}}",
      "{\"a\":[\"1\",\"2\"],\"l\":[ 1 ,\"2\"],\"e\":[\"x\"],\"n\":[\"8\"],\"new\":[\"v\"]}" },
    { "application/json", "", "{add: {body: ['a:1']}}", "{\"a\":\"1\"}" },
    { "application/json", "[1]", "{add: {body: ['a:1']}}", NULL },
    { "application/json", "{a", "{add: {body: ['a:1']}}", NULL },
    { "application/vnd.api+json", "{}", "{add: {body: ['a:1']}}", NULL },
    { "text/plain", "a=1", "{remove: {body: [a]}}", NULL },
    { "application/x-www-form-urlencoded", "a=1&b=%20x&a=2", "{remove: {body: [b]}}", "a=1&a=2" },
    { "application/x-www-form-urlencoded", "a=1&b=%20x&a=2", "{replace: {body: ['a:n/']}}", "a=n%2F&b=%20x" },
    { "application/x-www-form-urlencoded", "a=1", "{append: {body: ['a:2', 'b:3']}}", "a=1&a=2&b=3" },
    { "application/x-www-form-urlencoded", "", "{add: {body: ['a:$(headers.x_t)']}}", "a=t" },
    { "application/json", "{}", "{add: {body: ['$(x):$(headers.none or \"d\")']}}", "{\"$(x)\":\"d\"}" },
    { "multipart/form-data; boundary=b",
      "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--b\r\n"
      "Content-Disposition: form-data; name=\"k\"\r\n\r\n2\r\n--b--\r\n",
      "{replace: {body: ['a:new']}, append: {body: ['k:x']}}",
      "--b\r\nContent-Disposition: form-data; name=\"k\"\r\n\r\n2\r\n--b\r\n"
      "Content-Disposition: form-data; name=\"a\"\r\n\r\nnew\r\n--b--\r\n" },
};

Test(request_transformer, bodies)
{
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        struct exchange *one = fake_exchange_open("POST", "/p");
        fake_exchange_header(one, "Content-Type", slice_of(bodies[i].type));
        fake_exchange_header(one, "X-T", SLICE("t"));
        one->request.headers[0].id = HEADER_CONTENT_TYPE;
        one->request_body = slice_of(bodies[i].body);
        const void *config = plugin_setup_config(&setup, &request_transformer_plugin, bodies[i].config);
        cr_assert_not_null(config, "%s", bodies[i].config);
        cr_assert_eq(fake_exchange_run(one, &request_transformer_plugin, PHASE_ACCESS, config, NULL),
                     VERDICT_CONTINUE);
        if (bodies[i].sent)
            cr_assert(slice_equal(one->sent_body, slice_of(bodies[i].sent)), "%s gives %.*s",
                      bodies[i].config, SLICE_FORMAT(one->sent_body));
        else
            cr_assert_null(one->sent_body.data, "%s", bodies[i].config);
        fake_exchange_close(one);
    }
}

Test(request_transformer, a_body_that_comes_later)
{
    const void *config = plugin_setup_config(&setup, &request_transformer_plugin,
                                             "{add: {body: ['a:1'], headers: ['x:1']}, http_method: PUT}");
    exchange->body_is_late = true;
    cr_assert_eq(fake_exchange_run(exchange, &request_transformer_plugin, PHASE_ACCESS, config, NULL),
                 VERDICT_READ_BODY);
    cr_assert(slice_equal(exchange->upstream_method, SLICE("PUT")));
    cr_assert(slice_equal(fake_exchange_upstream_header(exchange, "x"), SLICE("1")));
}

Test(request_transformer, a_form_becomes_the_query)
{
    fake_exchange_header(exchange, "Content-Type", SLICE("application/x-www-form-urlencoded"));
    exchange->request_body = SLICE("f=1&qb=c");
    run("{http_method: GET}");
    cr_assert(slice_equal(exchange->upstream_method, SLICE("GET")));
    cr_assert(slice_equal(exchange->query, SLICE("qa=1&qb=a%20b&qa=2&flag&f=1&qb=c")));
    cr_assert_null(exchange->sent_body.data);
}

Test(request_transformer, headers)
{
    fake_exchange_header(exchange, "X-A", SLICE("1"));
    fake_exchange_header(exchange, "x-a", SLICE("2"));
    fake_exchange_header(exchange, "X-Empty", SLICE(""));
    run("{rename: {headers: ['X-a:X-B', 'None:X-N']}, replace: {headers: ['x-empty:e', 'X-None:n', "
        "'Host:h.test']},"
        " add: {headers: ['X-A:3', 'X-New:v:w', 'Host:no', 'Via:no', 'X-Forwarded-For:no']},"
        " append: {headers: ['X-M:1', 'X-M:2']}}");
    struct message *sent = &exchange->upstream;
    cr_assert_eq(sent->header_count, 6);
    cr_assert(slice_equal(fake_exchange_upstream_header(exchange, "X-B"), SLICE("1")));
    cr_assert(slice_equal(fake_exchange_upstream_header(exchange, "X-Empty"), SLICE("e")));
    cr_assert(slice_equal(fake_exchange_upstream_header(exchange, "X-New"), SLICE("v:w")));
    cr_assert(slice_equal(exchange->upstream_host, SLICE("h.test")));
    cr_assert(
        plugin_setup_reported(&setup, REPORT_WARNING, "headers", "Via is written by the gateway itself"));
}

Test(request_transformer, a_value_cannot_end_a_header)
{
    exchange->query = SLICE("v=a%0d%0aX-Evil:%201%00");
    run("{add: {headers: ['X-V:$(query_params.v)']}}");
    cr_assert(slice_equal(fake_exchange_upstream_header(exchange, "X-V"), SLICE("a%0D%0AX-Evil: 1%00")));
    cr_assert_eq(run("{replace: {headers: ['Host:$(query_params.v)']}}"), VERDICT_RESPOND);
    cr_assert_null(exchange->upstream_host.data);
}

static const struct {
    const char *uri, *query, *path, *sent; /* NULL: absent */
} uris[] = {
    { "/new/path", "x=1", "/new/path", "x=1" },
    { "/a b/%20", NULL, "/a%20b/%20", NULL },
    { "new", NULL, "/new", NULL },
    { "/n?a=1", "x=1", "/n", "a=1&x=1" },
    { "/n?a=$(query_params.x)", "x=1%202", "/n", "a=1%202&x=1%202" },
    { "/$(uri_captures[1])/$(uri_captures.name)/$(uri_captures[7])", NULL, "/one/n%0D%0A/", NULL },
    { "$(query_params.none)", "x=1", NULL, "x=1" },
};

Test(request_transformer, paths)
{
    for (size_t i = 0; i < COUNT_OF(uris); i++) {
        char config[128];
        snprintf(config, sizeof(config), "{replace: {uri: '%s'}}", uris[i].uri);
        exchange->query = slice_of(uris[i].query);
        exchange->upstream_path = (struct slice){ NULL, 0 };
        exchange->captures[1] = SLICE("one");
        exchange->captures[2] = SLICE("n\r\n");
        cr_assert_eq(run(config), VERDICT_CONTINUE);
        cr_assert(slice_equal(exchange->upstream_path, slice_of(uris[i].path)), "%s gives %.*s", uris[i].uri,
                  SLICE_FORMAT(exchange->upstream_path));
        cr_assert(slice_equal(exchange->query, slice_of(uris[i].sent)), "%s gives %.*s", uris[i].uri,
                  SLICE_FORMAT(exchange->query));
    }
}

Test(request_transformer, templates_that_fail)
{
    cr_assert_eq(run("{add: {headers: ['X:$(headers.none:upper())']}}"), VERDICT_RESPOND);
    cr_assert_eq(exchange->body_kind, FAKE_BODY_FAILURE);
}

Test(request_transformer, memory)
{
    fake_exchange_header(exchange, "X-A", SLICE("1"));
    exchange->grants_left = 0;
    cr_assert_eq(run("{add: {headers: ['X:1']}}"), VERDICT_RESPOND);
    cr_assert_eq(run("{rename: {headers: ['X-A:X']}}"), VERDICT_RESPOND);
    cr_assert_eq(exchange->body_kind, FAKE_BODY_FAILURE);
}

static const struct {
    const char *config, *field, *reason;
} errors[] = {
    { "{add: {headers: [nocolon]}}", "add.headers[0]", "invalid value: nocolon" },
    { "{add: {headers: ['a:b', ':b']}}", "add.headers[1]", "invalid value: :b" },
    { "{add: {headers: ['a b:c']}}", "add.headers[0]", "'a b' is not a valid header" },
    { "{rename: {headers: ['a:b c']}}", "rename.headers[0]", "'b c' is not a valid header" },
    { "{add: {headers: [\"a:b\\r\\nc: d\"]}}", "add.headers[0]", "control characters" },
    { "{http_method: get}", "http_method", "invalid value: get" },
    { "{change: {}}", "change", "unknown field" },
    { "{add: {uri: /x}}", "add.uri", "unknown field" },
    { "{replace: {uri: '/$(nofunc())'}}", "replace.uri", "unknown name 'nofunc', at nofunc())" },
    { "{add: {body: ['a:$(os.exit())']}}", "add.body[0]", "the template $(os.exit()): unknown name 'os'" },
};

Test(request_transformer, what_is_wrong_is_reported)
{
    for (size_t i = 0; i < COUNT_OF(errors); i++) {
        cr_assert_null(plugin_setup_config(&setup, &request_transformer_plugin, errors[i].config), "%s",
                       errors[i].config);
        cr_assert(plugin_setup_reported(&setup, REPORT_ERROR, errors[i].field, errors[i].reason), "%s",
                  errors[i].config);
    }
}
