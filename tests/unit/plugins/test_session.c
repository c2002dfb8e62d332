/* SPDX-License-Identifier: Apache-2.0 */
/* Groups that come back, waiting for a form, and lack of memory; everything else is tested from outside. */
#include "core/io/shard.h"
#include "plugins/plugins.h"
#include "tests/support/fake_exchange.h"
#include "tests/support/plugin_setup.h"

#include <criterion/criterion.h>

static struct plugin_setup setup;
static struct shard shard;
static struct consumer *alice;
static struct credential credential;
static const void *config;

static void start(void)
{
    plugin_setup_init(&setup);
    alice = plugin_setup_consumer(&setup, "alice", NULL, "1111111a-2222-4333-8444-555555555555");
    credential = (struct credential){ .consumer = alice };
    memcpy(credential.entity.id, "2111111a-2222-4333-8444-555555555555", 37);
    config = plugin_setup_config(&setup, &session_plugin, "{secret: s, read_body_for_logout: true}");
    shard.wall_ms = UINT64_C(1792567680000);
    cr_assert_not_null(config);
}

static void stop(void)
{
    plugin_setup_deinit(&setup);
}

TestSuite(session, .init = start, .fini = stop);

static struct exchange *request(const char *method)
{
    struct exchange *exchange = fake_exchange_open(method, "/");
    exchange->model = setup.model;
    exchange->shard = &shard;
    return exchange;
}

static enum verdict run(struct exchange *exchange, enum phase phase)
{
    return fake_exchange_run(exchange, &session_plugin, phase, config, NULL);
}

/* The Cookie of a client that was let in with these groups. */
static void log_in(struct slices groups, char *cookie, size_t size)
{
    struct exchange *exchange = request("GET");
    exchange->consumer = alice;
    exchange->credential = &credential;
    exchange->groups = groups;
    cr_assert_eq(run(exchange, PHASE_RESPONSE_HEAD), VERDICT_CONTINUE);
    struct slice rest, set = fake_exchange_response_header(exchange, "Set-Cookie");
    struct slice pair = slice_split(set, ';', &rest);
    cr_assert(pair.size > 0 && pair.size < size);
    memcpy(cookie, pair.data, pair.size);
    cookie[pair.size] = '\0';
    fake_exchange_close(exchange);
}

Test(session, groups_come_back)
{
    static struct slice items[] = { { "red", 3 }, { "a b", 3 }, { "with\nline", 9 } };
    char cookie[4096];
    log_in((struct slices){ items, COUNT_OF(items) }, cookie, sizeof(cookie));
    struct exchange *exchange = request("GET");
    fake_exchange_header(exchange, "Cookie", slice_of(cookie));
    cr_assert_eq(run(exchange, PHASE_ACCESS), VERDICT_CONTINUE);
    cr_assert_eq(exchange->consumer, alice);
    cr_assert_str_eq(exchange->credential->entity.id, credential.entity.id);
    cr_assert_eq(exchange->groups.count, 2);
    cr_assert(slice_equal(exchange->groups.items[0], SLICE("red")));
    cr_assert(slice_equal(exchange->groups.items[1], SLICE("a b")));
    fake_exchange_close(exchange);
}

Test(session, no_groups_stay_none)
{
    char cookie[4096];
    log_in((struct slices){ NULL, 0 }, cookie, sizeof(cookie));
    struct exchange *exchange = request("GET");
    fake_exchange_header(exchange, "Cookie", slice_of(cookie));
    cr_assert_eq(run(exchange, PHASE_ACCESS), VERDICT_CONTINUE);
    cr_assert_eq(exchange->groups.count, 0);
    fake_exchange_close(exchange);
}

Test(session, a_form_is_waited_for)
{
    char cookie[4096];
    log_in((struct slices){ NULL, 0 }, cookie, sizeof(cookie));
    struct exchange *exchange = request("POST");
    fake_exchange_header(exchange, "Cookie", slice_of(cookie));
    fake_exchange_header(exchange, "Content-Type", SLICE("application/x-www-form-urlencoded"));
    exchange->request_body = SLICE("session_logout");
    exchange->body_is_late = true;
    cr_assert_eq(run(exchange, PHASE_ACCESS), VERDICT_READ_BODY);
    cr_assert_null(exchange->consumer);
    exchange->body_is_late = false;
    cr_assert_eq(run(exchange, PHASE_ACCESS), VERDICT_RESPOND);
    cr_assert_eq(exchange->status, 200);
    fake_exchange_close(exchange);
}

Test(session, never_lets_pass_without_memory)
{
    char cookie[4096];
    log_in((struct slices){ NULL, 0 }, cookie, sizeof(cookie));
    struct exchange *exchange = request("GET");
    fake_exchange_header(exchange, "Cookie", slice_of(cookie));
    exchange->grants_left = 0;
    cr_assert_eq(run(exchange, PHASE_ACCESS), VERDICT_RESPOND);
    cr_assert_eq(exchange->body_kind, FAKE_BODY_FAILURE);
    cr_assert_null(exchange->consumer);
    fake_exchange_close(exchange);
}
