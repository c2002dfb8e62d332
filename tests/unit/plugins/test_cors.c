/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/regex.h"
#include "plugins/plugins.h"
#include "tests/support/fake_exchange.h"
#include "tests/support/plugin_setup.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct plugin_setup setup;
static struct regex_scratch scratch;

static void start(void)
{
    plugin_setup_init(&setup);
    cr_assert_eq(regex_scratch_init(&scratch), ERROR_OK);
}

static void stop(void)
{
    regex_scratch_deinit(&scratch);
    plugin_setup_deinit(&setup);
}

TestSuite(cors, .init = start, .fini = stop);

enum request { SIMPLE, PREFLIGHT };

/* The phase's outcome with that configuration, asked from that origin (NULL: none). */
static struct exchange *ask(const char *text, enum request request, const char *origin)
{
    const void *config = plugin_setup_config(&setup, &cors_plugin, text);
    cr_assert_not_null(config, "%s", text);
    struct exchange *exchange = fake_exchange_open(request == PREFLIGHT ? "OPTIONS" : "GET", "/");
    if (origin)
        fake_exchange_header(exchange, "Origin", slice_of(origin));
    if (request == PREFLIGHT) {
        fake_exchange_header(exchange, "Access-Control-Request-Method", SLICE("PUT"));
        fake_exchange_header(exchange, "Access-Control-Request-Headers", SLICE("x-a, x-b"));
        fake_exchange_header(exchange, "Access-Control-Request-Private-Network", SLICE("true"));
    }
    fake_exchange_run(exchange, &cors_plugin, request == PREFLIGHT ? PHASE_ACCESS : PHASE_RESPONSE_HEAD,
                      config, &scratch);
    return exchange;
}

static bool says(const struct exchange *exchange, const char *name, const char *value)
{
    struct slice said = fake_exchange_response_header(exchange, name);
    return value ? said.data && slice_equal(said, slice_of(value)) : said.data == NULL;
}

#define TWO "{origins: ['http://a.test', 'https://b.test:8443']"

static const struct {
    const char *config, *origin, *told;
    bool varies;
    const char *credentials;
} origins[] = {
    { "{}", "http://x.test", "*", false, NULL },
    { "{}", NULL, "*", false, NULL },
    { "{origins: ['*']}", "null", "*", false, NULL },
    { "{origins: ['*'], credentials: true}", "http://x.test", "http://x.test", true, "true" },
    { "{origins: ['*'], credentials: true}", NULL, "*", false, NULL },
    { "{origins: ['http://a.test']}", "http://x.test", "http://a.test", true, NULL },
    { "{origins: ['a.test']}", NULL, "a.test", true, NULL },
    { "{origins: ['http://a.test'], credentials: true}", NULL, "http://a.test", true, "true" },
    { TWO "}", "http://a.test", "http://a.test", true, NULL },
    { TWO "}", "http://a.test:80", "http://a.test", true, NULL },
    { TWO "}", "https://b.test:8443", "https://b.test:8443", true, NULL },
    { TWO "}", "https://b.test", NULL, true, NULL },
    { TWO "}", "https://a.test", NULL, true, NULL },
    { TWO "}", "HTTP://A.test", NULL, true, NULL },
    { TWO "}", "null", NULL, true, NULL },
    { TWO "}", "", NULL, true, NULL },
    { TWO "}", NULL, NULL, true, NULL },
    { TWO ", credentials: true}", "http://x.test", NULL, true, "true" },
    { "{origins: ['http://.*\\.r\\.test']}", "http://x.r.test", "http://x.r.test", true, NULL },
    { "{origins: ['http://.*\\.r\\.test']}", "http://x.r.test.evil", NULL, true, NULL },
    { "{origins: ['http://.*\\.r\\.test']}", "http://xr.test", NULL, true, NULL },
    { "{origins: ['(.*\\.)?h\\.test']}", "https://x.h.test:99", "https://x.h.test:99", true, NULL },
    { "{origins: ['(.*\\.)?h\\.test']}", "https://h.test", "https://h.test", true, NULL },
    { "{origins: ['(.*\\.)?h\\.test']}", "https://h.test.evil", NULL, true, NULL },
    { "{origins: ['(.*\\.)?h\\.test']}", "https://h.test@evil.test", NULL, true, NULL },
    { "{origins: ['http://a.test', '*']}", "http://x.test", "*", true, NULL },
    { "{origins: ['http://a.test', '*']}", NULL, NULL, true, NULL },
    { "{origins: ['http://a.test', '*'], credentials: true}", "http://x.test", "http://x.test", true,
      "true" },
    { "{allow_origin_absent: false}", "http://x.test", "*", false, NULL },
    { "{allow_origin_absent: false}", NULL, NULL, false, NULL },
};

Test(cors, which_origin_is_told)
{
    for (size_t i = 0; i < COUNT_OF(origins); i++) {
        struct exchange *exchange = ask(origins[i].config, SIMPLE, origins[i].origin);
        cr_assert(says(exchange, "Access-Control-Allow-Origin", origins[i].told), "%s %s", origins[i].config,
                  origins[i].origin);
        cr_assert(says(exchange, "Vary", origins[i].varies ? "Origin" : NULL), "%s", origins[i].config);
        cr_assert(says(exchange, "Access-Control-Allow-Credentials", origins[i].credentials), "%s",
                  origins[i].config);
        cr_assert_eq(exchange->respond_count, 0);
        fake_exchange_close(exchange);
    }
}

/* An upstream's own header does not stand where nothing is allowed. */
Test(cors, what_is_not_allowed_is_removed)
{
    struct exchange *exchange = ask(TWO "}", SIMPLE, "http://x.test");
    cr_assert(message_find_name(&exchange->removed, SLICE("Access-Control-Allow-Origin")).data);
    fake_exchange_close(exchange);
}

Test(cors, exposed_headers)
{
    struct exchange *exchange = ask("{exposed_headers: [X-A, X-B]}", SIMPLE, NULL);
    cr_assert(says(exchange, "Access-Control-Expose-Headers", "X-A,X-B"));
    fake_exchange_close(exchange);
}

static const struct {
    const char *config, *headers, *methods, *age, *network;
} preflights[] = {
    { "{}", "x-a, x-b", "GET,HEAD,PUT,PATCH,POST,DELETE,OPTIONS,TRACE,CONNECT", NULL, NULL },
    { "{headers: [X-C, X-D], methods: [POST, GET], max_age: 3600}", "X-C,X-D", "POST,GET", "3600", NULL },
    { "{max_age: 0.5, private_network: true, methods: [GET]}", "x-a, x-b", "GET", "0.5", "true" },
};

Test(cors, preflights_are_answered)
{
    for (size_t i = 0; i < COUNT_OF(preflights); i++) {
        struct exchange *exchange = ask(preflights[i].config, PREFLIGHT, "http://x.test");
        cr_assert_eq(exchange->status, 200);
        cr_assert_eq(exchange->body_kind, FAKE_BODY_PLAIN);
        cr_assert_eq(exchange->body.size, 0);
        cr_assert(says(exchange, "Access-Control-Allow-Headers", preflights[i].headers));
        cr_assert(says(exchange, "Access-Control-Allow-Methods", preflights[i].methods));
        cr_assert(says(exchange, "Access-Control-Max-Age", preflights[i].age));
        cr_assert(says(exchange, "Access-Control-Allow-Private-Network", preflights[i].network));
        cr_assert(says(exchange, "Access-Control-Allow-Origin", "*"));
        fake_exchange_close(exchange);
    }
}

Test(cors, what_is_no_preflight_goes_on)
{
    struct exchange *exchange = ask("{}", PREFLIGHT, NULL);
    cr_assert_eq(exchange->respond_count, 0);
    fake_exchange_close(exchange);
    exchange = ask("{preflight_continue: true}", PREFLIGHT, "http://x.test");
    cr_assert_eq(exchange->respond_count, 0);
    cr_assert_eq(exchange->response.header_count, 0);
    fake_exchange_close(exchange);
}

Test(cors, memory_may_run_out)
{
    const void *config = plugin_setup_config(&setup, &cors_plugin, TWO "}");
    for (int grants = 0; grants < 3; grants++) {
        struct exchange *exchange = fake_exchange_open("OPTIONS", "/");
        fake_exchange_header(exchange, "Origin", SLICE("http://a.test"));
        fake_exchange_header(exchange, "Access-Control-Request-Method", SLICE("PUT"));
        exchange->grants_left = grants;
        fake_exchange_run(exchange, &cors_plugin, PHASE_ACCESS, config, &scratch);
        cr_assert_eq(exchange->body_kind, FAKE_BODY_FAILURE);
        exchange->grants_left = grants;
        fake_exchange_run(exchange, &cors_plugin, PHASE_RESPONSE_HEAD, config, &scratch);
        fake_exchange_close(exchange);
    }
}

static const struct {
    const char *text, *field, *reason;
} refused[] = {
    { "{origins: ['http://(a']}", "origins[0]", "'http://(a' is not a valid regex" },
    { "{methods: [FOO]}", "methods[0]",
      "expected one of: GET, HEAD, PUT, PATCH, POST, DELETE, OPTIONS, TRACE, CONNECT" },
    { "{max_age: '1'}", "max_age", "expected a number" },
    { "{headers: [\"X-A\\r\\nX-B\"]}", "headers[0]", "no header may hold" },
    { "{exposed_headers: [\"X-A\\n\"]}", "exposed_headers[0]", "no header may hold" },
};

Test(cors, what_is_wrong_is_reported)
{
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        cr_assert_null(plugin_setup_config(&setup, &cors_plugin, refused[i].text), "%s", refused[i].text);
        cr_assert(plugin_setup_reported(&setup, REPORT_ERROR, refused[i].field, refused[i].reason), "%s",
                  refused[i].text);
    }
}
