/* SPDX-License-Identifier: Apache-2.0 */
#include "core/io/shard.h"
#include "plugins/plugins.h"
#include "tests/support/fake_exchange.h"
#include "tests/support/plugin_setup.h"

#include <criterion/criterion.h>
#include <stdlib.h>

/* Computed with OpenSSL's command line: HMAC-SHA256 of "msg_1.1700000000.{\"a\":1}" with the key "secret". */
#define GOOD "v1,Q5nZ7DiOGwijBBqvBVAK6c0zDr2JLkXI7TaV4f+Q2vY="
#define OTHER "v1,rPg3JRrUVOLQGCrdRYSw0MvnsDVDuX1xAZGCLu3aVnA="

static struct plugin_setup setup;
static struct shard *shard;

static void start(void)
{
    plugin_setup_init(&setup);
    shard = calloc(1, sizeof(*shard));
    cr_assert_not_null(shard);
    shard->wall_ms = 1700000000999;
}

static void stop(void)
{
    free(shard);
    plugin_setup_deinit(&setup);
}

TestSuite(standard_webhooks, .init = start, .fini = stop);

static const struct {
    const char *id, *time, *signature, *body;
    int64_t passed_s; /* since the call was signed */
    bool passes;
} cases[] = {
    { "msg_1", "1700000000", GOOD, "{\"a\":1}", 0, true },
    { "msg_1", "1700000000", OTHER " v2,x " GOOD, "{\"a\":1}", 0, true },
    { "msg_1", "1700000000", GOOD, "{\"a\":1}", 300, true },
    { "msg_1", "1700000000", GOOD, "{\"a\":1}", -300, true },
    { "msg_1", "1700000000", GOOD, "{\"a\":1}", 301, false },
    { "msg_1", "1700000000", GOOD, "{\"a\":1}", -301, false },
    { "msg_1", "1700000000", GOOD, "{\"a\":2}", 0, false },
    { "msg_2", "1700000000", GOOD, "{\"a\":1}", 0, false },
    { "msg_1", "1700000001", GOOD, "{\"a\":1}", 0, false },
    { "msg_1", "1700000000", OTHER, "{\"a\":1}", 0, false },
    { "msg_1", "1700000000", "v1,", "{\"a\":1}", 0, false },
    { "msg_1", "1700000000", "", "{\"a\":1}", 0, false },
    { "msg_1", "1700000000", "v1a,x", "{\"a\":1}", 0, false },
    { "msg_1", "17e8", GOOD, "{\"a\":1}", 0, false },
    { "msg_1", "", GOOD, "{\"a\":1}", 0, false },
    { "msg_1", "1700000000", GOOD, "", 0, false },
    { NULL, "1700000000", GOOD, "{\"a\":1}", 0, false },
    { "msg_1", NULL, GOOD, "{\"a\":1}", 0, false },
    { "msg_1", "1700000000", NULL, "{\"a\":1}", 0, false },
};

static struct exchange *open_call(size_t i)
{
    struct exchange *exchange = fake_exchange_open("POST", "/");
    exchange->shard = shard;
    exchange->request_body = slice_of(cases[i].body);
    if (cases[i].id)
        fake_exchange_header(exchange, "Webhook-Id", slice_of(cases[i].id));
    if (cases[i].time)
        fake_exchange_header(exchange, "Webhook-Timestamp", slice_of(cases[i].time));
    if (cases[i].signature)
        fake_exchange_header(exchange, "Webhook-Signature", slice_of(cases[i].signature));
    return exchange;
}

static enum verdict run(struct exchange *exchange, const char *text)
{
    const void *config = plugin_setup_config(&setup, &standard_webhooks_plugin, text);
    cr_assert_not_null(config, "%s", text);
    return fake_exchange_run(exchange, &standard_webhooks_plugin, PHASE_ACCESS, config, NULL);
}

Test(standard_webhooks, signatures)
{
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct exchange *exchange = open_call(i);
        shard->wall_ms = (uint64_t)(1700000000999 + cases[i].passed_s * 1000);
        enum verdict verdict = run(exchange, "{secret_v1: secret}");
        cr_assert_eq(verdict, cases[i].passes ? VERDICT_CONTINUE : VERDICT_RESPOND, "%zu", i);
        if (!cases[i].passes) {
            cr_assert_eq(exchange->status, 400);
            cr_assert(slice_equal(exchange->body, SLICE("Bad request")));
        }
        fake_exchange_close(exchange);
    }
}

Test(standard_webhooks, bodies_are_waited_for)
{
    struct exchange *exchange = open_call(0);
    exchange->body_is_late = true;
    cr_assert_eq(run(exchange, "{secret_v1: secret}"), VERDICT_READ_BODY);
    exchange->body_is_late = false;
    exchange->grants_left = 0;
    cr_assert_eq(run(exchange, "{secret_v1: secret}"), VERDICT_RESPOND);
    cr_assert_eq(exchange->body_kind, FAKE_BODY_FAILURE);
    fake_exchange_close(exchange);
}

Test(standard_webhooks, what_is_wrong_is_reported)
{
    static const struct {
        const char *text, *field, *reason;
    } refused[] = {
        { "{}", "secret_v1", "required field missing" },
        { "{secret_v1: ''}", "secret_v1", "length must be at least 1" },
        { "{secret_v1: a, tolerance_second: -1}", "tolerance_second", "between" },
    };
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        cr_assert_null(plugin_setup_config(&setup, &standard_webhooks_plugin, refused[i].text));
        cr_assert(plugin_setup_reported(&setup, REPORT_ERROR, refused[i].field, refused[i].reason), "%s",
                  refused[i].text);
    }
}
