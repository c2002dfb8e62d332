/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/hash.h"
#include "plugins/plugins.h"
#include "plugins/rate_limiting.h"
#include "tests/support/fake_exchange.h"
#include "tests/support/plugin_setup.h"
#include "tests/support/scripted_redis.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define NO_ID "00000000-0000-0000-0000-000000000000"

/* The plugin with one configuration, on a shard whose clock stands at 2026-11-22 12:00:30 UTC. */
struct bench {
    struct scripted_redis redis;
    struct plugin_setup setup;
    struct rate_limiting_shard state;
    const void *config;
};

static void bench_open(struct bench *bench, const char *config)
{
    hash_start();
    scripted_redis_open(&bench->redis);
    plugin_setup_init(&bench->setup);
    bench->config = plugin_setup_config(&bench->setup, &rate_limiting_plugin, config);
    cr_assert_not_null(bench->config, "%s", config);
    bench->redis.shard.wall_ms = 1795348830000;
    bench->state = (struct rate_limiting_shard){
        .limits = { .redis = { .shard = &bench->redis.shard,
                               .default_host = SLICE("127.0.0.1"),
                               .default_port = 6379,
                               .connect = scripted_redis_connect },
                    .quota = quota_open(1) },
    };
    cr_assert(quota_make_room(bench->state.limits.quota, 1024));
}

static void bench_close(struct bench *bench)
{
    rate_limiting_plugin.shard_close(&bench->state);
    quota_close(bench->state.limits.quota);
    plugin_setup_deinit(&bench->setup);
    scripted_redis_close(&bench->redis);
}

static enum verdict run(struct bench *bench, struct exchange *exchange)
{
    exchange->shard = &bench->redis.shard;
    return fake_exchange_run(exchange, &rate_limiting_plugin, PHASE_ACCESS, bench->config, &bench->state);
}

static void check_header(const struct exchange *exchange, const char *name, const char *want)
{
    struct slice got = fake_exchange_response_header(exchange, name);
    if (want == NULL)
        cr_assert_null(got.data, "%s: %.*s", name, SLICE_FORMAT(got));
    else
        cr_assert(slice_equal(got, slice_of(want)), "%s: %.*s, want %s", name, SLICE_FORMAT(got), want);
}

struct answer {
    bool rejected;
    const char *headers[8][2]; /* name, value; NULL: absent */
};

/* One request per answer. */
static void check_answers(const char *config, const struct answer *answers, size_t count)
{
    struct bench bench;
    bench_open(&bench, config);
    for (size_t i = 0; i < count; i++) {
        struct exchange *exchange = fake_exchange_open("GET", "/");
        cr_assert_eq(run(&bench, exchange), answers[i].rejected ? VERDICT_RESPOND : VERDICT_CONTINUE, "%zu",
                     i);
        for (size_t j = 0; j < 8 && answers[i].headers[j][0]; j++)
            check_header(exchange, answers[i].headers[j][0], answers[i].headers[j][1]);
        fake_exchange_close(exchange);
    }
    bench_close(&bench);
}

Test(rate_limiting, one_period)
{
    static const struct answer answers[] = {
        { false,
          { { "X-RateLimit-Limit-Minute", "2" },
            { "X-RateLimit-Remaining-Minute", "1" },
            { "RateLimit-Limit", "2" },
            { "RateLimit-Remaining", "1" },
            { "RateLimit-Reset", "30" },
            { "Retry-After", NULL } } },
        { false, { { "X-RateLimit-Remaining-Minute", "0" } } },
        { true,
          { { "X-RateLimit-Remaining-Minute", "0" },
            { "RateLimit-Remaining", "0" },
            { "RateLimit-Reset", "30" },
            { "Retry-After", "30" } } },
    };
    check_answers("{minute: 2}", answers, COUNT_OF(answers));
}

Test(rate_limiting, a_refusal_does_not_count_in_the_other_periods)
{
    static const struct answer answers[] = {
        { false,
          { { "X-RateLimit-Remaining-Day", "0" },
            { "X-RateLimit-Remaining-Year", "9" },
            { "RateLimit-Limit", "1" },
            { "RateLimit-Reset", "43170" } } },
        { true,
          { { "X-RateLimit-Remaining-Day", "0" },
            { "X-RateLimit-Remaining-Year", "9" },
            { "Retry-After", "43170" } } },
        { true, { { "X-RateLimit-Remaining-Year", "9" } } },
    };
    check_answers("{day: 1, year: 10}", answers, COUNT_OF(answers));
}

Test(rate_limiting, of_equal_periods_the_longest_is_summed_up)
{
    static const struct answer answers[] = {
        { false, { { "RateLimit-Reset", "3570" }, { "RateLimit-Remaining", "4" } } },
    };
    check_answers("{minute: 5, hour: 5}", answers, 1);
}

Test(rate_limiting, a_fraction_lets_its_remainder_through)
{
    static const struct answer answers[] = {
        { false, { { "X-RateLimit-Limit-Year", "1.5" }, { "X-RateLimit-Remaining-Year", "0.5" } } },
        { false, { { "X-RateLimit-Remaining-Year", "0" } } },
        { true, { { "X-RateLimit-Remaining-Year", "0" } } },
    };
    check_answers("{year: 1.5}", answers, COUNT_OF(answers));
}

Test(rate_limiting, hidden_headers)
{
    static const struct answer answers[] = {
        { false, { { "X-RateLimit-Limit-Year", NULL }, { "RateLimit-Limit", NULL } } },
        { true, { { "X-RateLimit-Limit-Year", NULL }, { "Retry-After", NULL } } },
    };
    check_answers("{year: 1, hide_client_headers: true}", answers, COUNT_OF(answers));
}

Test(rate_limiting, own_status_and_message)
{
    struct bench bench;
    bench_open(&bench, "{year: 1, error_code: 418, error_message: slow down}");
    for (int i = 0; i < 2; i++) {
        struct exchange *exchange = fake_exchange_open("GET", "/");
        cr_assert_eq(run(&bench, exchange), i ? VERDICT_RESPOND : VERDICT_CONTINUE);
        if (i)
            cr_assert(exchange->status == 418 && slice_equal(exchange->body, SLICE("slow down")));
        fake_exchange_close(exchange);
    }
    bench_close(&bench);
}

Test(rate_limiting, the_next_window_starts_afresh)
{
    struct bench bench;
    bench_open(&bench, "{minute: 1}");
    static const uint64_t steps_ms[] = { 0, 29999, 1, 59999, 1 };
    static const enum verdict want[] = { VERDICT_CONTINUE, VERDICT_RESPOND, VERDICT_CONTINUE, VERDICT_RESPOND,
                                         VERDICT_CONTINUE };
    for (size_t i = 0; i < COUNT_OF(want); i++) {
        struct exchange *exchange = fake_exchange_open("GET", "/");
        bench.redis.shard.wall_ms += steps_ms[i];
        cr_assert_eq(run(&bench, exchange), want[i], "step %zu", i);
        fake_exchange_close(exchange);
    }
    bench_close(&bench);
}

Test(rate_limiting, without_memory_it_fails)
{
    struct bench bench;
    bench_open(&bench, "{year: 100}");
    for (int grants = 0; grants < 5; grants++) {
        struct exchange *exchange = fake_exchange_open("GET", "/");
        exchange->grants_left = grants;
        cr_assert_eq(run(&bench, exchange), VERDICT_RESPOND);
        cr_assert_eq(exchange->body_kind, FAKE_BODY_FAILURE);
        fake_exchange_close(exchange);
    }
    bench_close(&bench);
}

/* --- who is who ----------------------------------------------------------------------------------------- */

static struct service service = { .entity = { .id = "11111111-1111-4111-8111-111111111111" } };
static struct consumer consumer = { .entity = { .id = "22222222-2222-4222-8222-222222222222" } };
static struct credential credential = { .entity = { .id = "33333333-3333-4333-8333-333333333333" } };

enum { WITH_NOTHING = 0, WITH_CONSUMER = 1, WITH_CREDENTIAL = 2, WITH_SERVICE = 4, WITH_HEADER = 8 };

static const struct {
    const char *config;
    unsigned with;
    const char *target, *want;
} identifiers[] = {
    { "{year: 1}", WITH_NOTHING, "/", "127.0.0.1" },
    { "{year: 1}", WITH_CREDENTIAL, "/", "33333333-3333-4333-8333-333333333333" },
    { "{year: 1}", WITH_CONSUMER | WITH_CREDENTIAL, "/", "22222222-2222-4222-8222-222222222222" },
    { "{year: 1, limit_by: credential}", WITH_CONSUMER | WITH_CREDENTIAL, "/",
      "33333333-3333-4333-8333-333333333333" },
    { "{year: 1, limit_by: credential}", WITH_CONSUMER, "/", "127.0.0.1" },
    { "{year: 1, limit_by: ip}", WITH_CONSUMER, "/", "127.0.0.1" },
    { "{year: 1, limit_by: service}", WITH_SERVICE, "/", "11111111-1111-4111-8111-111111111111" },
    { "{year: 1, limit_by: service}", WITH_NOTHING, "/", "127.0.0.1" },
    { "{year: 1, limit_by: header, header_name: x-id}", WITH_HEADER, "/", "abc" },
    { "{year: 1, limit_by: header, header_name: x-id}", WITH_NOTHING, "/", "127.0.0.1" },
    { "{year: 1, limit_by: path, path: /lim}", WITH_NOTHING, "/lim?x", "/lim" },
    { "{year: 1, limit_by: path, path: /lim}", WITH_NOTHING, "/lim/", "127.0.0.1" },
};

Test(rate_limiting, identifiers)
{
    for (size_t i = 0; i < COUNT_OF(identifiers); i++) {
        struct bench bench;
        bench_open(&bench, identifiers[i].config);
        struct exchange *exchange = fake_exchange_open("GET", identifiers[i].target);
        unsigned with = identifiers[i].with;
        exchange->consumer = with & WITH_CONSUMER ? &consumer : NULL;
        exchange->credential = with & WITH_CREDENTIAL ? &credential : NULL;
        exchange->service = with & WITH_SERVICE ? &service : NULL;
        if (with & WITH_HEADER)
            fake_exchange_header(exchange, "X-Id", SLICE("abc"));
        struct rate_limiting_pass pass = { .exchange = exchange, .config = bench.config };
        struct limit_subject subject = rate_limiting_subject(&pass);
        struct slice got = limit_identifier(&subject);
        cr_assert(slice_equal(got, slice_of(identifiers[i].want)), "row %zu: %.*s", i, SLICE_FORMAT(got));
        fake_exchange_close(exchange);
        bench_close(&bench);
    }
}

Test(rate_limiting, long_identifiers_are_told_apart)
{
    struct bench bench;
    bench_open(&bench, "{year: 1, limit_by: header, header_name: x-id}");
    static char values[2][5000];
    memset(values, 'x', sizeof(values));
    values[1][4999] = 'y';
    for (int i = 0; i < 4; i++) {
        struct exchange *exchange = fake_exchange_open("GET", "/");
        fake_exchange_header(exchange, "x-id", (struct slice){ values[i % 2], sizeof(values[0]) });
        cr_assert_eq(run(&bench, exchange), i < 2 ? VERDICT_CONTINUE : VERDICT_RESPOND);
        fake_exchange_close(exchange);
    }
    bench_close(&bench);
}

static void check_key(const struct route *route, const struct service *of_service, const char *want)
{
    struct bench bench;
    bench_open(&bench, "{minute: 1}");
    struct exchange *exchange = fake_exchange_open("GET", "/");
    struct plugin_instance instance = { .route = (struct route *)(uintptr_t)route,
                                        .service = (struct service *)(uintptr_t)of_service };
    struct rate_limiting_pass pass = { .exchange = exchange, .config = bench.config, .instance = &instance };
    pass.windows[0] = period_window_at(PERIOD_MINUTE, bench.redis.shard.wall_ms);
    struct slice got = rate_limiting_key(&pass, SLICE("me"), 0);
    cr_assert(slice_equal(got, slice_of(want)), "%.*s", SLICE_FORMAT(got));
    fake_exchange_close(exchange);
    bench_close(&bench);
}

Test(rate_limiting, keys_are_those_of_kong)
{
    static const struct route route = { .entity = { .id = "44444444-4444-4444-8444-444444444444" } };
    check_key(NULL, NULL, "ratelimit:" NO_ID ":" NO_ID ":me:1795348800000:minute");
    check_key(NULL, &service,
              "ratelimit:" NO_ID ":11111111-1111-4111-8111-111111111111:me:1795348800000:minute");
    check_key(&route, NULL,
              "ratelimit:44444444-4444-4444-8444-444444444444:" NO_ID ":me:1795348800000:minute");
}

/* --- redis ---------------------------------------------------------------------------------------------- */

#define KEY(period) "ratelimit:" NO_ID ":" NO_ID ":127.0.0.1:" period

Test(rate_limiting, redis_counts_every_period_in_one_go)
{
    struct bench bench;
    bench_open(&bench, "{minute: 5, day: 10, policy: redis}");
    struct exchange *exchange = fake_exchange_open("GET", "/");
    cr_assert_eq(run(&bench, exchange), VERDICT_WAIT);
    scripted_redis_greet(&bench.redis);
    cr_assert(scripted_redis_sent(&bench.redis,
                                  "INCR " KEY("1795348800000:minute") "\n"
                                                                      "INCR " KEY("1795305600000:day") "\n"));
    scripted_redis_reply(&bench.redis, ":1\r\n:4\r\n");
    cr_assert_eq(exchange->resume_count, 1);
    cr_assert_eq(exchange->resumed, VERDICT_CONTINUE);
    check_header(exchange, "X-RateLimit-Remaining-Minute", "4");
    check_header(exchange, "X-RateLimit-Remaining-Day", "6");
    cr_assert(scripted_redis_sent(&bench.redis, "EXPIRE " KEY("1795348800000:minute") " 60\n"));
    fake_exchange_close(exchange);
    bench_close(&bench);
}

Test(rate_limiting, redis_refuses_from_the_limit_on)
{
    struct bench bench;
    bench_open(&bench, "{minute: 5, day: 10, policy: redis}");
    struct exchange *exchange = fake_exchange_open("GET", "/");
    cr_assert_eq(run(&bench, exchange), VERDICT_WAIT);
    scripted_redis_greet(&bench.redis);
    scripted_redis_reply(&bench.redis, ":6\r\n:9\r\n");
    cr_assert_eq(exchange->resumed, VERDICT_RESPOND);
    cr_assert_eq(exchange->status, 429);
    check_header(exchange, "X-RateLimit-Remaining-Minute", "0");
    check_header(exchange, "X-RateLimit-Remaining-Day", "2");
    check_header(exchange, "Retry-After", "30");
    fake_exchange_close(exchange);
    bench_close(&bench);
}

static void check_down(const char *config, enum verdict want)
{
    struct bench bench;
    bench_open(&bench, config);
    struct exchange *first = fake_exchange_open("GET", "/"), *second = fake_exchange_open("GET", "/");
    cr_assert_eq(run(&bench, first), VERDICT_WAIT);
    scripted_redis_turn(&bench.redis);
    scripted_redis_opened(&bench.redis, ERROR_REFUSED);
    cr_assert_eq(first->resumed, want);
    cr_assert_eq(run(&bench, second), want, "the next is not delayed");
    check_header(first, "X-RateLimit-Limit-Minute", NULL);
    cr_assert_eq(second->body_kind, want == VERDICT_RESPOND ? FAKE_BODY_FAILURE : FAKE_BODY_NONE);
    fake_exchange_close(first);
    fake_exchange_close(second);
    bench_close(&bench);
}

Test(rate_limiting, without_redis)
{
    check_down("{minute: 5, policy: redis}", VERDICT_CONTINUE);
    check_down("{minute: 5, policy: redis, fault_tolerant: false}", VERDICT_RESPOND);
    check_down("{minute: 5, policy: redis, sync_rate: 1}", VERDICT_CONTINUE);
}

Test(rate_limiting, sync_counts_here_and_pushes_later)
{
    struct bench bench;
    bench_open(&bench, "{minute: 5, policy: redis, sync_rate: 0.1}");
    struct exchange *exchange = fake_exchange_open("GET", "/");
    cr_assert_eq(run(&bench, exchange), VERDICT_WAIT);
    scripted_redis_greet(&bench.redis);
    cr_assert(scripted_redis_sent(&bench.redis, "GET " KEY("1795348800000:minute") "\n"));
    scripted_redis_reply(&bench.redis, "$1\r\n2\r\n");
    cr_assert_eq(exchange->resumed, VERDICT_CONTINUE);
    check_header(exchange, "X-RateLimit-Remaining-Minute", "2");
    fake_exchange_close(exchange);
    static const enum verdict want[] = { VERDICT_CONTINUE, VERDICT_CONTINUE, VERDICT_RESPOND };
    for (size_t i = 0; i < COUNT_OF(want); i++) {
        exchange = fake_exchange_open("GET", "/");
        cr_assert_eq(run(&bench, exchange), want[i], "request %zu", i);
        fake_exchange_close(exchange);
    }
    scripted_redis_advance(&bench.redis, 101);
    cr_assert(scripted_redis_sent(&bench.redis, "INCRBY " KEY("1795348800000:minute") " 3\n"));
    scripted_redis_reply(&bench.redis, ":3\r\n");
    cr_assert(scripted_redis_sent(&bench.redis, "EXPIRE " KEY("1795348800000:minute") " 60\n"));
    exchange = fake_exchange_open("GET", "/");
    cr_assert_eq(run(&bench, exchange), VERDICT_CONTINUE, "Redis has forgotten the two");
    fake_exchange_close(exchange);
    bench_close(&bench);
}

Test(rate_limiting, sync_pushes_again_what_was_lost)
{
    struct bench bench;
    bench_open(&bench, "{minute: 5, policy: redis, sync_rate: 0.1, redis: {timeout: 50}}");
    struct exchange *exchange = fake_exchange_open("GET", "/");
    cr_assert_eq(run(&bench, exchange), VERDICT_WAIT);
    scripted_redis_greet(&bench.redis);
    scripted_redis_reply(&bench.redis, "$-1\r\n");
    cr_assert_eq(exchange->resumed, VERDICT_CONTINUE);
    fake_exchange_close(exchange);
    scripted_redis_advance(&bench.redis, 160); /* the push times out */
    cr_assert(bench.redis.now->closing);
    scripted_redis_closed(&bench.redis);
    scripted_redis_advance(&bench.redis, 51);
    scripted_redis_greet(&bench.redis);
    scripted_redis_advance(&bench.redis, 101);
    cr_assert(scripted_redis_sent(&bench.redis, "INCRBY " KEY("1795348800000:minute") " 1\n"));
    scripted_redis_reply(&bench.redis, ":1\r\n");
    scripted_redis_advance(&bench.redis, 31000); /* the window ends: the counter goes */
    bench_close(&bench);
}
