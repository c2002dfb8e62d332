/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration, places of keys, what goes upstream, anonymous access, and lack of memory; the answers are
 * judged by the recorded cases of Kong. */
#include "plugins/plugins.h"
#include "tests/support/fake_exchange.h"
#include "tests/support/plugin_setup.h"

#include <criterion/criterion.h>

static struct plugin_setup setup;
static struct consumer *alice;
static struct credential *key;

static void start(void)
{
    plugin_setup_init(&setup);
    alice = plugin_setup_consumer(&setup, "alice", NULL, NULL);
    key = plugin_setup_credential(&setup, &key_auth_plugin, alice, "{key: ka}");
    cr_assert_not_null(key);
}

static void stop(void)
{
    plugin_setup_deinit(&setup);
}

TestSuite(key_auth, .init = start, .fini = stop);

static const void *config(const char *text)
{
    const void *read = plugin_setup_config(&setup, &key_auth_plugin, text);
    cr_assert_not_null(read, "%s", text);
    return read;
}

static struct exchange *request(const char *target, const char *header, const char *value)
{
    struct exchange *exchange = fake_exchange_open("GET", target);
    exchange->model = setup.model;
    if (header)
        fake_exchange_header(exchange, header, slice_of(value));
    return exchange;
}

static enum verdict run(struct exchange *exchange, const void *read)
{
    return fake_exchange_run(exchange, &key_auth_plugin, PHASE_ACCESS, read, NULL);
}

/* --- configuration -------------------------------------------------------------------------------------- */

static const struct {
    const char *text, *field, *reason;
} wrong_configs[] = {
    { "{key_in_body: 1}", "key_in_body", "expected a boolean" },
    { "{key_names: [a b]}", "key_names[0]", "bad header name 'a b'" },
    { "{key_names: apikey}", "key_names", "expected an array" },
    { "{realm: \"a\\nb\"}", "realm", "control characters" },
    { "{hide_credential: true}", "hide_credential", "unknown field" },
};

Test(key_auth, wrong_configurations)
{
    for (size_t i = 0; i < COUNT_OF(wrong_configs); i++) {
        cr_assert_null(plugin_setup_config(&setup, &key_auth_plugin, wrong_configs[i].text));
        cr_assert(
            plugin_setup_reported(&setup, REPORT_ERROR, wrong_configs[i].field, wrong_configs[i].reason),
            "%zu", i);
    }
}

Test(key_auth, keys_do_not_expire)
{
    cr_assert_null(plugin_setup_credential(&setup, &key_auth_plugin, alice, "{key: kb, ttl: 60}"));
    cr_assert(plugin_setup_reported(&setup, REPORT_ERROR, "ttl", "not supported"));
}

/* --- places --------------------------------------------------------------------------------------------- */

#define MISSING "No API key found in request"
#define TWICE "Duplicate API key found"
#define UNKNOWN "Unauthorized"

/* message NULL: passes. */
static const struct {
    const char *config, *target, *header, *value, *message;
} places[] = {
    { "{}", "/", NULL, NULL, MISSING },
    { "{}", "/", "apikey", "ka", NULL },
    { "{}", "/", "APIKey", "ka", NULL },
    { "{}", "/", "apikey", "KA", UNKNOWN },
    { "{}", "/", "apikey", "", MISSING },
    { "{}", "/?apikey=ka", NULL, NULL, NULL },
    { "{}", "/?api%6bey=k%61", NULL, NULL, NULL },
    { "{}", "/?apikey=zz", NULL, NULL, UNKNOWN },
    { "{}", "/?apikey", NULL, NULL, MISSING },
    { "{}", "/?apikey=", NULL, NULL, MISSING },
    { "{}", "/?APIKEY=ka", NULL, NULL, MISSING },
    { "{}", "/?apikey=ka&apikey=ka", NULL, NULL, TWICE },
    { "{}", "/?apikey&apikey=ka", NULL, NULL, TWICE },
    { "{}", "/?apikey=zz", "apikey", "ka", NULL },
    { "{}", "/?apikey=ka", "apikey", "", MISSING },
    { "{key_in_header: false}", "/", "apikey", "ka", MISSING },
    { "{key_in_query: false}", "/?apikey=ka", NULL, NULL, MISSING },
    { "{key_names: [one, two]}", "/?two=ka", NULL, NULL, NULL },
    { "{key_names: [one, two]}", "/?one&two=ka", NULL, NULL, NULL },
    { "{key_names: [one, two]}", "/?one=zz&two=ka", NULL, NULL, UNKNOWN },
    { "{key_names: [one, two]}", "/?one=zz", "two", "ka", UNKNOWN },
    { "{key_names: [x-key]}", "/", "x_key", "ka", MISSING },
};

Test(key_auth, where_a_key_is_found)
{
    for (size_t i = 0; i < COUNT_OF(places); i++) {
        struct exchange *exchange = request(places[i].target, places[i].header, places[i].value);
        enum verdict verdict = run(exchange, config(places[i].config));
        if (places[i].message == NULL) {
            cr_assert(verdict == VERDICT_CONTINUE && exchange->credential == key, "%zu", i);
            cr_assert(slice_equal(exchange->identifier, slice_of(key->entity.id)));
        } else {
            cr_assert_eq(exchange->status, 401, "%zu", i);
            cr_assert_eq(exchange->body_kind, FAKE_BODY_ERROR);
            cr_assert(slice_equal(exchange->body, slice_of(places[i].message)), "%zu", i);
        }
        fake_exchange_close(exchange);
    }
}

Test(key_auth, the_same_header_twice)
{
    struct exchange *exchange = request("/", "apikey", "ka");
    fake_exchange_header(exchange, "ApiKey", SLICE("ka"));
    cr_assert_eq(run(exchange, config("{}")), VERDICT_RESPOND);
    cr_assert(slice_equal(exchange->body, SLICE(TWICE)));
    fake_exchange_close(exchange);
}

Test(key_auth, the_realm_is_quoted)
{
    struct exchange *exchange = request("/", NULL, NULL);
    cr_assert_eq(run(exchange, config("{realm: 'a\"b'}")), VERDICT_RESPOND);
    cr_assert(slice_equal(fake_exchange_response_header(exchange, "WWW-Authenticate"),
                          SLICE("Key realm=\"a\\\"b\"")));
    fake_exchange_close(exchange);
}

Test(key_auth, preflight)
{
    const char *const texts[] = { "{run_on_preflight: false}", "{}" };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct exchange *exchange = fake_exchange_open("OPTIONS", "/");
        exchange->model = setup.model;
        cr_assert_eq(run(exchange, config(texts[i])), i == 0 ? VERDICT_CONTINUE : VERDICT_RESPOND);
        cr_assert_null(exchange->consumer);
        fake_exchange_close(exchange);
    }
}

/* --- bodies --------------------------------------------------------------------------------------------- */

#define FORM "application/x-www-form-urlencoded"
#define JSON "application/json"

/* message NULL: passes; left: what is sent upstream, NULL: the body as it came. */
static const struct {
    const char *config, *target, *type, *body, *message, *left;
} bodies[] = {
    { "{key_in_body: true}", "/", FORM, "a=1&api%6bey=k%61", NULL, NULL },
    { "{key_in_body: true}", "/", FORM, "apikey=zz", UNKNOWN, NULL },
    { "{key_in_body: true}", "/", FORM, "apikey=ka&apikey=ka", TWICE, NULL },
    { "{key_in_body: true}", "/", FORM, "apikey", MISSING, NULL },
    { "{key_in_body: true}", "/?apikey=zz", FORM, "apikey=ka", UNKNOWN, NULL },
    { "{key_in_body: true}", "/", "text/plain", "apikey=ka", MISSING, NULL },
    { "{key_in_body: true}", "/", JSON, "{\"apikey\":\"ka\"}", NULL, NULL },
    { "{key_in_body: true}", "/", JSON, "{\"apikey\":[\"ka\"]}", TWICE, NULL },
    { "{key_in_body: true}", "/", JSON, "{\"apikey\":12}", MISSING, NULL },
    { "{key_in_body: true}", "/", JSON, "{\"apikey\":\"ka\"", MISSING, NULL },
    { "{}", "/", FORM, "apikey=ka", MISSING, NULL },
    { "{key_in_body: true, hide_credentials: true}", "/", FORM, "a=1&apikey=ka&b", NULL, "a=1&b" },
    { "{key_in_body: true, hide_credentials: true}", "/?apikey=ka", FORM, "apikey=x", NULL, "" },
    { "{key_in_body: true, hide_credentials: true}", "/", JSON, "{\"apikey\":\"ka\", \"b\": [1]}", NULL,
      "{\"b\": [1]}" },
};

static void try_body(size_t i, bool late)
{
    struct exchange *exchange = request(bodies[i].target, "Content-Type", bodies[i].type);
    const void *read = config(bodies[i].config);
    exchange->request_body = slice_of(bodies[i].body);
    exchange->body_is_late = late;
    enum verdict verdict = run(exchange, read);
    if (late && verdict == VERDICT_READ_BODY) {
        exchange->body_is_late = false;
        verdict = run(exchange, read);
    }
    cr_assert_eq(verdict, bodies[i].message ? VERDICT_RESPOND : VERDICT_CONTINUE, "%zu", i);
    if (bodies[i].message)
        cr_assert(slice_equal(exchange->body, slice_of(bodies[i].message)), "%zu", i);
    cr_assert(slice_equal(exchange->sent_body, slice_of(bodies[i].left)), "%zu", i);
    cr_assert_eq(exchange->sent_body.data != NULL, bodies[i].left != NULL, "%zu", i);
    fake_exchange_close(exchange);
}

Test(key_auth, keys_in_bodies)
{
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        try_body(i, false);
        try_body(i, true);
    }
}

/* --- what goes upstream --------------------------------------------------------------------------------- */

Test(key_auth, keys_are_hidden)
{
    struct exchange *exchange = request("/?a=1&apikey=ka&b=2", "apikey", "ka");
    cr_assert(message_add(&exchange->upstream, SLICE("apikey"), SLICE("ka")));
    cr_assert_eq(run(exchange, config("{hide_credentials: true}")), VERDICT_CONTINUE);
    cr_assert_null(fake_exchange_upstream_header(exchange, "apikey").data);
    cr_assert(slice_equal(exchange->query, SLICE("a=1&b=2")));
    fake_exchange_close(exchange);
}

Test(key_auth, keys_are_passed_on)
{
    struct exchange *exchange = request("/?apikey=ka", NULL, NULL);
    cr_assert_eq(run(exchange, config("{}")), VERDICT_CONTINUE);
    cr_assert(slice_equal(exchange->query, SLICE("apikey=ka")));
    fake_exchange_close(exchange);
}

/* --- anonymous access ----------------------------------------------------------------------------------- */

Test(key_auth, anonymous)
{
    struct consumer *guest =
        plugin_setup_consumer(&setup, "guest", NULL, "1111111a-2222-4333-8444-555555555555");
    const char *const texts[] = { "{anonymous: guest}", "{anonymous: 1111111A-2222-4333-8444-555555555555}" };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct exchange *exchange = request("/", "apikey", "zz");
        cr_assert_eq(run(exchange, config(texts[i])), VERDICT_CONTINUE);
        cr_assert(exchange->consumer == guest && exchange->credential == NULL);
        cr_assert_null(exchange->identifier.data);
        cr_assert_null(fake_exchange_response_header(exchange, "WWW-Authenticate").data);
        fake_exchange_close(exchange);
    }
}

Test(key_auth, anonymous_that_does_not_exist)
{
    struct exchange *exchange = request("/", NULL, NULL);
    cr_assert_eq(run(exchange, config("{anonymous: nobody}")), VERDICT_RESPOND);
    cr_assert_eq(exchange->body_kind, FAKE_BODY_FAILURE);
    fake_exchange_close(exchange);
}

Test(key_auth, whoever_came_before_stays_with_anonymous_only)
{
    struct consumer *bob = plugin_setup_consumer(&setup, "bob", NULL, NULL);
    struct credential other = { .consumer = bob };
    const char *const texts[] = { "{anonymous: bob}", "{}" };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct exchange *exchange = request("/", "apikey", "ka");
        exchange->consumer = bob;
        exchange->credential = &other;
        cr_assert_eq(run(exchange, config(texts[i])), VERDICT_CONTINUE);
        cr_assert_eq(exchange->consumer, i == 0 ? bob : alice);
        fake_exchange_close(exchange);
    }
}

/* --- lack of memory ------------------------------------------------------------------------------------- */

Test(key_auth, never_lets_pass_without_memory)
{
    const char *const values[] = { "ka", "zz" };
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        struct exchange *exchange = request("/", "apikey", values[i]);
        exchange->grants_left = 0;
        cr_assert_eq(run(exchange, config("{}")), VERDICT_RESPOND);
        cr_assert_eq(exchange->body_kind, FAKE_BODY_FAILURE);
        cr_assert_null(exchange->consumer);
        fake_exchange_close(exchange);
    }
}

Test(key_auth, does_not_pass_a_key_on_when_it_cannot_be_hidden)
{
    struct exchange *exchange = request("/?apikey=ka", NULL, NULL);
    exchange->arena.next = exchange->arena.end;
    exchange->arena.limit_bytes = exchange->arena.used_bytes;
    cr_assert_eq(run(exchange, config("{hide_credentials: true}")), VERDICT_RESPOND);
    cr_assert_eq(exchange->body_kind, FAKE_BODY_FAILURE);
    fake_exchange_close(exchange);
}
