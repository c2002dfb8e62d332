/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/regex.h"
#include "core/crypto/random.h"
#include "core/io/shard.h"
#include "plugins/plugins.h"
#include "tests/support/fake_exchange.h"
#include "tests/support/plugin_setup.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static struct plugin_setup setup;
static struct shard *shard;
static void *state;

static void start(void)
{
    plugin_setup_init(&setup);
    shard = calloc(1, sizeof(*shard));
    state = calloc(1, csrf_plugin.shard_state_size);
    cr_assert(shard && state);
    cr_assert_eq(csrf_plugin.shard_open(shard, NULL, state), ERROR_OK);
    shard->wall_ms = 1700000000000;
}

static void stop(void)
{
    csrf_plugin.shard_close(state);
    free(state);
    free(shard);
    plugin_setup_deinit(&setup);
}

TestSuite(csrf, .init = start, .fini = stop);

static const void *config_of(const char *text)
{
    const void *config = plugin_setup_config(&setup, &csrf_plugin, text);
    cr_assert_not_null(config, "%s", text);
    return config;
}

static struct exchange *open_request(const char *method)
{
    struct exchange *exchange = fake_exchange_open(method, "/");
    exchange->shard = shard;
    fake_exchange_header(exchange, "Host", SLICE("a.test:8000"));
    return exchange;
}

/* --- origins -------------------------------------------------------------------------------------------- */

#define MORE \
    "{additional_origins: [b.test, 'c.test:99', 'https://d.test', '.*\\.e\\.test', 'http://f[0-9].*']}"

static const struct {
    const char *config, *origin, *referer;
    bool passes;
} origins[] = {
    { "{}", "http://a.test:8000", NULL, true },
    { "{}", "https://A.TEST:8000", NULL, true },
    { "{}", "http://a.test", NULL, false },
    { "{}", "http://x.test:8000", NULL, false },
    { "{}", "http://a.test:8000@x.test", NULL, false },
    { "{}", "null", NULL, false },
    { "{}", NULL, "http://a.test:8000/page?x#y", true },
    { "{}", NULL, "http://x.test/http://a.test:8000/", false },
    { "{}", "http://x.test", "http://a.test:8000/", false },
    { "{}", "", "http://a.test:8000/", true },
    { "{}", NULL, NULL, false },
    { MORE, "http://b.test", NULL, true },
    { MORE, "http://b.test:99", NULL, false },
    { MORE, "https://c.test:99", NULL, true },
    { MORE, "https://d.test:443", NULL, true },
    { MORE, "http://d.test", NULL, false },
    { MORE, "http://x.e.test:5", NULL, true },
    { MORE, "http://e.test", NULL, false },
    { MORE, "http://f1.test", NULL, true },
    { MORE, "https://f1.test", NULL, false },
    { MORE, NULL, "http://x.e.test/page", true },
    { MORE, NULL, NULL, false },
};

Test(csrf, where_requests_come_from)
{
    for (size_t i = 0; i < COUNT_OF(origins); i++) {
        struct exchange *exchange = open_request("POST");
        if (origins[i].origin)
            fake_exchange_header(exchange, "Origin", slice_of(origins[i].origin));
        if (origins[i].referer)
            fake_exchange_header(exchange, "Referer", slice_of(origins[i].referer));
        enum verdict verdict =
            fake_exchange_run(exchange, &csrf_plugin, PHASE_ACCESS, config_of(origins[i].config), state);
        cr_assert_eq(verdict, origins[i].passes ? VERDICT_CONTINUE : VERDICT_RESPOND, "%zu: %s", i,
                     origins[i].origin);
        if (!origins[i].passes) {
            cr_assert_eq(exchange->status, 403);
            cr_assert(slice_equal(exchange->body, SLICE("Invalid origin")));
        }
        fake_exchange_close(exchange);
    }
    cr_assert_eq(shard->metrics.values[METRIC_CSRF_VALID], 10);
    cr_assert_eq(shard->metrics.values[METRIC_CSRF_MISSING_ORIGIN], 2);
}

Test(csrf, safe_methods_pass)
{
    static const struct {
        const char *method;
        bool passes;
    } methods[] = { { "GET", true },     { "HEAD", true },   { "OPTIONS", true },
                    { "POST", false },   { "PUT", false },   { "PATCH", false },
                    { "DELETE", false }, { "TRACE", false }, { "get", false } };
    for (size_t i = 0; i < COUNT_OF(methods); i++) {
        struct exchange *exchange = open_request(methods[i].method);
        fake_exchange_run(exchange, &csrf_plugin, PHASE_ACCESS, config_of("{key: k, filter_enabled: 50}"),
                          state);
        cr_assert_eq(exchange->respond_count, methods[i].passes ? 0 : 1, "%s", methods[i].method);
        fake_exchange_close(exchange);
    }
}

/* The share of refusals among requests whose ids differ. */
static unsigned refused_of_1000(const char *text)
{
    unsigned refused = 0;
    const void *config = config_of(text);
    for (unsigned i = 0; i < 1000; i++) {
        char id[33];
        snprintf(id, sizeof(id), "%08x%08x%016x", i * 4294967u, (i * 7919u % 1000) * 4294967u, 0);
        struct exchange *exchange = open_request("POST");
        exchange->request_id = slice_of(id);
        fake_exchange_run(exchange, &csrf_plugin, PHASE_ACCESS, config, state);
        refused += exchange->respond_count;
        fake_exchange_close(exchange);
    }
    return refused;
}

Test(csrf, shares_of_requests)
{
    cr_assert_eq(refused_of_1000("{}"), 1000);
    cr_assert_eq(refused_of_1000("{filter_enabled: 0}"), 0);
    cr_assert_eq(shard->metrics.values[METRIC_CSRF_MISSING_ORIGIN], 1000);
    unsigned some = refused_of_1000("{filter_enabled: 12.5}");
    cr_assert(some >= 124 && some <= 126, "%u", some);
    memset(&shard->metrics, 0, sizeof(shard->metrics));
    cr_assert_eq(refused_of_1000("{filter_enabled: 0, shadow_enabled: 25}"), 0);
    uint64_t seen = shard->metrics.values[METRIC_CSRF_MISSING_ORIGIN];
    cr_assert(seen >= 249 && seen <= 251, "%u", (unsigned)seen);
}

/* --- tokens --------------------------------------------------------------------------------------------- */

/* The token that a response brings, with NUL. */
static void take_token(const void *config, char token[128])
{
    struct exchange *exchange = open_request("GET");
    fake_exchange_run(exchange, &csrf_plugin, PHASE_RESPONSE_HEAD, config, state);
    struct slice cookie = fake_exchange_response_header(exchange, "Set-Cookie");
    struct slice rest, text = slice_split(cookie, ';', &rest);
    text = slice_from(text, strlen("apisix-csrf-token="));
    cr_assert(slice_equal(rest, SLICE(" Path=/; Max-Age=7200; SameSite=Lax")), "%.*s", SLICE_FORMAT(cookie));
    cr_assert_eq(text.size, 75);
    snprintf(token, 128, "%.*s", SLICE_FORMAT(text));
    fake_exchange_close(exchange);
}

/* The answer to a request with these (NULL: without); NULL when it passes. */
static const char *send_token(const void *config, const char *header, const char *cookie)
{
    static char answer[128];
    struct exchange *exchange = open_request("POST");
    char text[256];
    if (header)
        fake_exchange_header(exchange, "Apisix-Csrf-Token", slice_of(header));
    if (cookie) {
        snprintf(text, sizeof(text), "a=b; apisix-csrf-token=%s; c=d", cookie);
        fake_exchange_header(exchange, "Cookie", slice_of(text));
    }
    fake_exchange_run(exchange, &csrf_plugin, PHASE_ACCESS, config, state);
    cr_assert(exchange->respond_count == 0 || exchange->status == 401);
    snprintf(answer, sizeof(answer), "%.*s", SLICE_FORMAT(exchange->body));
    bool passes = exchange->respond_count == 0;
    fake_exchange_close(exchange);
    return passes ? NULL : answer;
}

Test(csrf, tokens)
{
    const void *config = config_of("{key: one}"), *other = config_of("{key: two}");
    char token[128], second[128], foreign[128];
    take_token(config, token);
    take_token(config, second);
    take_token(other, foreign);
    cr_assert_str_neq(token, second);
    cr_assert_null(send_token(config, token, token));
    cr_assert_null(send_token(config, second, second));
    cr_assert_str_eq(send_token(config, NULL, token), "{\"error_msg\":\"no csrf token in headers\"}");
    cr_assert_str_eq(send_token(config, "", token), "{\"error_msg\":\"no csrf token in headers\"}");
    cr_assert_str_eq(send_token(config, token, NULL), "{\"error_msg\":\"no csrf cookie\"}");
    cr_assert_str_eq(send_token(config, token, second), "{\"error_msg\":\"csrf token mismatch\"}");
    static const char bad[] = "{\"error_msg\":\"Failed to verify the csrf token signature\"}";
    cr_assert_str_eq(send_token(config, foreign, foreign), bad);
    cr_assert_str_eq(send_token(config, "x", "x"), bad);
    for (size_t i = 0; i < strlen(token); i++) {
        char changed[128];
        memcpy(changed, token, sizeof(changed));
        changed[i] = changed[i] == 'A' ? 'B' : 'A';
        cr_assert_str_eq(send_token(config, changed, changed), bad);
        changed[i] = '*';
        cr_assert_str_eq(send_token(config, changed, changed), bad);
    }
}

Test(csrf, tokens_end)
{
    const void *config = config_of("{key: one}"), *endless = config_of("{key: one, expires: 0}");
    char token[128];
    take_token(config, token);
    shard->wall_ms += 7199 * 1000;
    cr_assert_null(send_token(config, token, token));
    shard->wall_ms += 1000;
    cr_assert_not_null(send_token(config, token, token));
    cr_assert_null(send_token(endless, token, token));
}

Test(csrf, without_a_key_there_is_no_cookie)
{
    struct exchange *exchange = open_request("GET");
    fake_exchange_run(exchange, &csrf_plugin, PHASE_RESPONSE_HEAD, config_of("{}"), state);
    cr_assert_eq(exchange->response.header_count, 0);
    fake_exchange_close(exchange);
}

static const struct {
    const char *text, *field, *reason;
} refused[] = {
    { "{name: 'a b'}", "name", "cannot be the name" },
    { "{name: 'a;b'}", "name", "cannot be the name" },
    { "{expires: -1}", "expires", "between" },
    { "{filter_enabled: 101}", "filter_enabled", "between 0 and 100" },
    { "{shadow_enabled: -1}", "shadow_enabled", "between 0 and 100" },
    { "{additional_origins: ['(a']}", "additional_origins[0]", "not a valid regex" },
};

Test(csrf, what_is_wrong_is_reported)
{
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        cr_assert_null(plugin_setup_config(&setup, &csrf_plugin, refused[i].text), "%s", refused[i].text);
        cr_assert(plugin_setup_reported(&setup, REPORT_ERROR, refused[i].field, refused[i].reason), "%s",
                  refused[i].text);
    }
}
