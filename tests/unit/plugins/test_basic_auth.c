/* SPDX-License-Identifier: Apache-2.0 */
/* Stored passwords, the two headers, anonymous access, and lack of memory; the answers are judged by the
 * recorded cases of Kong. */
#include "core/crypto/base64.h"
#include "plugins/plugins.h"
#include "tests/support/config_setup.h"
#include "tests/support/fake_exchange.h"
#include "tests/support/plugin_setup.h"

#include <criterion/criterion.h>

#define ALICE_ID "11111111-2222-4333-8444-555555555555"
/* SHA-1 of "pa" ALICE_ID */
#define ALICE_HASH "cc3850471897ce4d066ef33ede662c1fe4379379"

static struct plugin_setup setup;
static struct consumer *alice;
static struct credential *login;

static void start(void)
{
    plugin_setup_init(&setup);
    alice = plugin_setup_consumer(&setup, "alice", NULL, ALICE_ID);
    login = plugin_setup_credential(&setup, &basic_auth_plugin, alice, "{username: ua, password: pa}");
    cr_assert_not_null(login);
}

static void stop(void)
{
    plugin_setup_deinit(&setup);
}

TestSuite(basic_auth, .init = start, .fini = stop);

static const void *config(const char *text)
{
    const void *read = plugin_setup_config(&setup, &basic_auth_plugin, text);
    cr_assert_not_null(read, "%s", text);
    return read;
}

static struct exchange *request(const char *proxy_authorization, const char *authorization)
{
    struct exchange *exchange = fake_exchange_open("GET", "/");
    exchange->model = setup.model;
    if (proxy_authorization)
        fake_exchange_header(exchange, "Proxy-Authorization", slice_of(proxy_authorization));
    if (authorization)
        fake_exchange_header(exchange, "Authorization", slice_of(authorization));
    return exchange;
}

static enum verdict run(struct exchange *exchange, const void *read)
{
    return fake_exchange_run(exchange, &basic_auth_plugin, PHASE_ACCESS, read, NULL);
}

/* --- configuration -------------------------------------------------------------------------------------- */

Test(basic_auth, wrong_configurations)
{
    cr_assert_null(plugin_setup_config(&setup, &basic_auth_plugin, "{realm: \"a\\rb\"}"));
    cr_assert(plugin_setup_reported(&setup, REPORT_ERROR, "realm", "control characters"));
    cr_assert_null(plugin_setup_config(&setup, &basic_auth_plugin, "{run_on_preflight: false}"));
    cr_assert(plugin_setup_reported(&setup, REPORT_ERROR, "run_on_preflight", "unknown field"));
}

Test(basic_auth, a_credential_needs_both)
{
    cr_assert_null(plugin_setup_credential(&setup, &basic_auth_plugin, alice, "{username: u}"));
    cr_assert(plugin_setup_reported(&setup, REPORT_ERROR, "password", "required field missing"));
    cr_assert_null(plugin_setup_credential(&setup, &basic_auth_plugin, alice, "{password: p}"));
    cr_assert(plugin_setup_reported(&setup, REPORT_ERROR, "username", "required field missing"));
}

/* --- stored passwords ----------------------------------------------------------------------------------- */

static void expect_status(const struct model *model, int status)
{
    struct exchange *exchange = request(NULL, "Basic dWE6cGE=");
    exchange->model = model;
    enum verdict verdict = run(exchange, config("{}"));
    cr_assert_eq(verdict == VERDICT_CONTINUE ? 200 : exchange->status, status);
    fake_exchange_close(exchange);
}

/* A flat credential's consumer, and so its hash, is known only when all has been read. */
static const struct {
    const char *text;
    int status;
} files[] = {
    { "_format_version: '3.0'\n"
      "basicauth_credentials: [{username: ua, password: pa, consumer: alice}]\n"
      "consumers: [{username: alice}]\n",
      200 },
    { "_format_version: '3.0'\n"
      "consumers: [{username: alice, basicauth_credentials: [{username: ua, password: pa}]}]\n",
      200 },
    { "_format_version: '3.0'\n"
      "consumers: [{username: alice, basic-auth: [{username: ua, password: pb}]}]\n",
      401 },
    { "_format_version: '3.0'\n"
      "_transform: false\n"
      "consumers: [{username: alice, id: " ALICE_ID ",\n"
      "  basicauth_credentials: [{username: ua, password: " ALICE_HASH "}]}]\n",
      200 },
    { "_format_version: '3.0'\n"
      "_transform: false\n"
      "consumers: [{username: alice, basicauth_credentials: [{username: ua, password: pa}]}]\n",
      401 },
};

Test(basic_auth, passwords_in_files)
{
    const struct plugin_kind *const kinds[] = { &basic_auth_plugin.kind, NULL };
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        struct config_setup read;
        config_setup_init(&read);
        const struct node *node = config_setup_node(&read, files[i].text);
        cr_assert(node && kong_read(node, kinds, read.model, &read.report), "%zu", i);
        expect_status(read.model, files[i].status);
        config_setup_deinit(&read);
    }
}

/* --- headers -------------------------------------------------------------------------------------------- */

static const struct {
    const char *proxy_authorization, *authorization;
    bool passes;
} headers[] = {
    { NULL, NULL, false },
    { NULL, "Basic dWE6cGE=", true },
    { NULL, "basic dWE6cGE=", true },
    { NULL, "BASIC dWE6cGE=", false },
    { NULL, "Basic \t dWE6cGE=", true },
    { NULL, "Basic dWE6cGE", true },
    { NULL, "Basic dWE6cGE= x", true },
    { NULL, "BasicdWE6cGE=", false },
    { NULL, "Basic", false },
    { NULL, "Basic ", false },
    { NULL, "Basic =", false },
    { NULL, "Basic %%%%", false },
    { NULL, "Basic dWE6cGE9x", false },
    { NULL, "Basic dWE=", false }, /* ua */
    { NULL, "Basic OnBh", false }, /* :pa */
    { NULL, "Basic dWE6", false }, /* ua: */
    { NULL, "Basic dWE6cHg=", false }, /* ua:px */
    { NULL, "Basic VUE6cGE=", false }, /* UA:pa */
    { NULL, "Bearer dWE6cGE=", false },
    { "Basic dWE6cGE=", NULL, true },
    { "Basic dXg6cHg=", "Basic dWE6cGE=", true }, /* an unknown user */
    { "Basic dWE6cHg=", "Basic dWE6cGE=", false }, /* a known one, and a wrong password */
    { "Bearer x", "Basic dWE6cGE=", true },
};

Test(basic_auth, what_headers_say)
{
    const void *read = config("{}");
    for (size_t i = 0; i < COUNT_OF(headers); i++) {
        struct exchange *exchange = request(headers[i].proxy_authorization, headers[i].authorization);
        enum verdict verdict = run(exchange, read);
        cr_assert_eq(verdict == VERDICT_CONTINUE, headers[i].passes, "%zu", i);
        cr_assert_eq(exchange->credential, headers[i].passes ? login : NULL);
        if (headers[i].passes) {
            cr_assert(slice_equal(exchange->identifier, SLICE("ua")));
        } else {
            cr_assert(exchange->status == 401 && slice_equal(exchange->body, SLICE("Unauthorized")));
            cr_assert(slice_equal(fake_exchange_response_header(exchange, "WWW-Authenticate"),
                                  SLICE("Basic realm=\"service\"")));
        }
        fake_exchange_close(exchange);
    }
}

Test(basic_auth, long_passwords)
{
    static char text[4096], header[8192] = "Basic ";
    memset(text, 'x', sizeof(text));
    memcpy(text, "ua:", 3);
    header[6 + base64_encode(BASE64_STANDARD, (struct slice){ text, sizeof(text) }, header + 6)] = '\0';
    struct exchange *exchange = request(NULL, header);
    cr_assert_eq(run(exchange, config("{}")), VERDICT_RESPOND);
    cr_assert_eq(exchange->status, 401);
    fake_exchange_close(exchange);
}

Test(basic_auth, credentials_are_hidden)
{
    struct exchange *exchange = request("Basic dXg6cHg=", "Basic dWE6cGE=");
    cr_assert(message_add(&exchange->upstream, SLICE("proxy-authorization"), SLICE("x")) &&
              message_add(&exchange->upstream, SLICE("authorization"), SLICE("x")));
    cr_assert_eq(run(exchange, config("{hide_credentials: true}")), VERDICT_CONTINUE);
    cr_assert_null(fake_exchange_upstream_header(exchange, "authorization").data);
    cr_assert_null(fake_exchange_upstream_header(exchange, "proxy-authorization").data);
    fake_exchange_close(exchange);
}

/* --- anonymous access ----------------------------------------------------------------------------------- */

Test(basic_auth, anonymous)
{
    struct consumer *guest = plugin_setup_consumer(&setup, "guest", NULL, NULL);
    struct exchange *exchange = request(NULL, "Basic dWE6cHg=");
    cr_assert_eq(run(exchange, config("{anonymous: guest}")), VERDICT_CONTINUE);
    cr_assert(exchange->consumer == guest && exchange->credential == NULL);
    cr_assert_null(fake_exchange_response_header(exchange, "WWW-Authenticate").data);
    fake_exchange_close(exchange);
}

Test(basic_auth, whoever_came_before_stays_with_anonymous)
{
    struct consumer *bob = plugin_setup_consumer(&setup, "bob", NULL, NULL);
    struct credential other = { .consumer = bob };
    struct exchange *exchange = request(NULL, "Basic dWE6cGE=");
    exchange->consumer = bob;
    exchange->credential = &other;
    cr_assert_eq(run(exchange, config("{anonymous: bob}")), VERDICT_CONTINUE);
    cr_assert_eq(exchange->consumer, bob);
    fake_exchange_close(exchange);
}

/* --- lack of memory ------------------------------------------------------------------------------------- */

Test(basic_auth, never_lets_pass_without_memory)
{
    const char *const values[] = { "Basic dWE6cGE=", "Basic dWE6cHg=" };
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        struct exchange *exchange = request(NULL, values[i]);
        exchange->grants_left = 0;
        cr_assert_eq(run(exchange, config("{}")), VERDICT_RESPOND);
        cr_assert_eq(exchange->body_kind, FAKE_BODY_FAILURE);
        cr_assert_null(exchange->consumer);
        fake_exchange_close(exchange);
    }
}

Test(basic_auth, no_memory_to_decode)
{
    struct exchange *exchange = request(NULL, "Basic dWE6cGE=");
    exchange->arena.next = exchange->arena.end;
    exchange->arena.limit_bytes = exchange->arena.used_bytes;
    cr_assert_eq(run(exchange, config("{}")), VERDICT_RESPOND);
    cr_assert_eq(exchange->body_kind, FAKE_BODY_FAILURE);
    fake_exchange_close(exchange);
}
