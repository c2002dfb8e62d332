/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration, credentials, and lack of memory; signatures and answers are judged by the recorded cases
 * of Kong and from outside. */
#include "core/io/shard.h"
#include "plugins/plugins.h"
#include "tests/support/fake_exchange.h"
#include "tests/support/plugin_setup.h"

#include <criterion/criterion.h>

/* Signed with "hs": date and @request-target. */
#define DATE "Wed, 21 Oct 2026 07:28:00 GMT"
#define SIGNATURE                                                                            \
    "hmac username=\"alice\", algorithm=\"hmac-sha256\", headers=\"date @request-target\", " \
    "signature=\"IxMKnZi34WbqvXewIAqkroTogeW8QyggzneA5x1M3QQ=\""

static struct plugin_setup setup;
static struct shard shard;
static struct credential *alice;

static void start(void)
{
    plugin_setup_init(&setup);
    struct consumer *consumer = plugin_setup_consumer(&setup, "alice", NULL, NULL);
    alice = plugin_setup_credential(&setup, &hmac_auth_plugin, consumer, "{username: alice, secret: hs}");
    shard.wall_ms = UINT64_C(1792567680000);
}

static void stop(void)
{
    plugin_setup_deinit(&setup);
}

TestSuite(hmac_auth, .init = start, .fini = stop);

static const void *config(const char *text)
{
    const void *read = plugin_setup_config(&setup, &hmac_auth_plugin, text);
    cr_assert_not_null(read, "%s", text);
    return read;
}

static struct exchange *request(const char *date)
{
    struct exchange *exchange = fake_exchange_open("GET", "/p?q=1");
    exchange->model = setup.model;
    exchange->shard = &shard;
    exchange->request.origin_form = exchange->request.target;
    fake_exchange_header(exchange, "Date", slice_of(date));
    fake_exchange_header(exchange, "Authorization", SLICE(SIGNATURE));
    return exchange;
}

static enum verdict run(struct exchange *exchange, const char *text)
{
    return fake_exchange_run(exchange, &hmac_auth_plugin, PHASE_ACCESS, config(text), NULL);
}

Test(hmac_auth, wrong_configurations)
{
    static const struct {
        const char *text, *field, *reason;
    } wrong[] = {
        { "{clock_skew: 0}", "clock_skew", "greater than 0" },
        { "{algorithms: [md5]}", "algorithms[0]", "expected one of" },
        { "{realm: \"a\\nb\"}", "realm", "control characters" },
        { "{hide: true}", "hide", "unknown field" },
    };
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        cr_assert_null(plugin_setup_config(&setup, &hmac_auth_plugin, wrong[i].text));
        cr_assert(plugin_setup_reported(&setup, REPORT_ERROR, wrong[i].field, wrong[i].reason), "%zu", i);
    }
}

Test(hmac_auth, passes_and_says_who)
{
    struct exchange *exchange = request(DATE);
    cr_assert_eq(run(exchange, "{}"), VERDICT_CONTINUE);
    cr_assert_eq(exchange->credential, alice);
    cr_assert(slice_equal(exchange->identifier, SLICE("alice")));
    fake_exchange_close(exchange);
}

Test(hmac_auth, dates_may_be_off_by_the_skew)
{
    static const struct {
        int64_t off_ms;
        bool good;
    } offs[] = { { 300000, true }, { -300000, true }, { 301000, false }, { -301000, false } };
    for (size_t i = 0; i < COUNT_OF(offs); i++) {
        struct exchange *exchange = request(DATE);
        shard.wall_ms = (uint64_t)(INT64_C(1792567680000) + offs[i].off_ms);
        cr_assert_eq(run(exchange, "{}") == VERDICT_CONTINUE, offs[i].good, "%zu", i);
        fake_exchange_close(exchange);
    }
}

Test(hmac_auth, a_body_is_waited_for_only_behind_a_good_signature)
{
    struct exchange *exchange = request(DATE);
    exchange->body_is_late = true;
    cr_assert_eq(run(exchange, "{validate_request_body: true}"), VERDICT_READ_BODY);
    cr_assert_null(exchange->consumer);
    exchange->body_is_late = false;
    cr_assert_eq(run(exchange, "{validate_request_body: true}"), VERDICT_CONTINUE);
    fake_exchange_close(exchange);
    exchange = request("Wed, 21 Oct 2026 07:28:01 GMT");
    exchange->body_is_late = true;
    cr_assert_eq(run(exchange, "{validate_request_body: true}"), VERDICT_RESPOND);
    fake_exchange_close(exchange);
}

Test(hmac_auth, never_lets_pass_without_memory)
{
    struct exchange *exchange = request(DATE);
    exchange->grants_left = 0;
    cr_assert_eq(run(exchange, "{}"), VERDICT_RESPOND);
    cr_assert_eq(exchange->body_kind, FAKE_BODY_FAILURE);
    cr_assert_null(exchange->consumer);
    fake_exchange_close(exchange);
    exchange = request(DATE);
    exchange->arena.next = exchange->arena.end;
    exchange->arena.limit_bytes = exchange->arena.used_bytes;
    cr_assert_eq(run(exchange, "{}"), VERDICT_RESPOND);
    cr_assert_eq(exchange->body_kind, FAKE_BODY_FAILURE);
    fake_exchange_close(exchange);
}
