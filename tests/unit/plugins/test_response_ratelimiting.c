/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/hash.h"
#include "plugins/plugins.h"
#include "plugins/response_ratelimiting.h"
#include "tests/support/fake_exchange.h"
#include "tests/support/plugin_setup.h"
#include "tests/support/scripted_redis.h"

#include <criterion/criterion.h>

#define NO_ID "00000000-0000-0000-0000-000000000000"

/* The plugin with one configuration, on a shard whose clock stands at 2026-11-22 12:00:30 UTC. */
struct bench {
    struct scripted_redis redis;
    struct plugin_setup setup;
    struct limit_shard state;
    struct plugin_instance instance;
    const void *config;
};

static void bench_open(struct bench *bench, const char *config)
{
    hash_start();
    scripted_redis_open(&bench->redis);
    plugin_setup_init(&bench->setup);
    bench->config = plugin_setup_config(&bench->setup, &response_ratelimiting_plugin, config);
    cr_assert_not_null(bench->config, "%s", config);
    bench->redis.shard.wall_ms = 1795348830000;
    bench->instance = (struct plugin_instance){ .kind = &response_ratelimiting_plugin.kind };
    bench->state = (struct limit_shard){ .redis = { .shard = &bench->redis.shard,
                                                    .default_host = SLICE("127.0.0.1"),
                                                    .default_port = 6379,
                                                    .connect = scripted_redis_connect },
                                         .quota = quota_open(1) };
    cr_assert(quota_make_room(bench->state.quota, 1024));
}

static void bench_close(struct bench *bench)
{
    response_ratelimiting_plugin.shard_close(&bench->state);
    quota_close(bench->state.quota);
    plugin_setup_deinit(&bench->setup);
    scripted_redis_close(&bench->redis);
}

/* An exchange and what the plugin keeps of it from phase to phase. */
struct visit {
    struct exchange *exchange;
    struct response_pass pass;
};

static void visit_open(struct visit *visit)
{
    *visit = (struct visit){ .exchange = fake_exchange_open("GET", "/") };
}

static enum verdict run(struct bench *bench, struct visit *visit, enum phase phase)
{
    visit->exchange->shard = &bench->redis.shard;
    struct plugin_call call = { .exchange = visit->exchange,
                                .instance = &bench->instance,
                                .config = bench->config,
                                .shard_state = &bench->state,
                                .exchange_state = &visit->pass };
    return response_ratelimiting_plugin.on[phase](&call);
}

static void respond(struct visit *visit, const char *header)
{
    visit->exchange->received.status = 200;
    if (header)
        cr_assert(message_add(&visit->exchange->received, SLICE("X-Kong-Limit"), slice_of(header)));
}

static void check_header(const struct visit *visit, const char *name, const char *want)
{
    struct slice got = fake_exchange_response_header(visit->exchange, name);
    if (want == NULL)
        cr_assert_null(got.data, "%s: %.*s", name, SLICE_FORMAT(got));
    else
        cr_assert(slice_equal(got, slice_of(want)), "%s: %.*s, want %s", name, SLICE_FORMAT(got), want);
}

/* --- what a header says --------------------------------------------------------------------------------- */

static const struct {
    const char *text;
    int64_t video, image;
} amounts[] = {
    { "", 0, 0 },
    { "video=2", 2, 0 },
    { "video=2,image=1", 2, 1 },
    { "  video = 2 ,\timage =1 ", 2, 1 },
    { "video=2, video=3", 3, 0 },
    { "video=2, video=x", 2, 0 },
    { "other=2, image=4", 0, 4 },
    { "Video=2", 0, 0 },
    { "video", 0, 0 },
    { "video=", 0, 0 },
    { "=2", 0, 0 },
    { "video=2=3", 0, 0 },
    { "video=1.5", 0, 0 },
    { "video=+1", 0, 0 },
    { "video=-3", -3, 0 },
    { "video=--3", 0, 0 },
    { "video=-", 0, 0 },
    { ",,,video=1,,", 1, 0 },
    { "video=9223372036854775807, image=-9223372036854775807", INT64_MAX, -INT64_MAX },
    { "video=9223372036854775808, image=18446744073709551616", 0, 0 },
};

Test(response_ratelimiting, amounts)
{
    struct bench bench;
    bench_open(&bench, "{limits: {video: {minute: 1}, image: {minute: 1}}}");
    const struct response_ratelimiting_config *config = bench.config;
    unsigned video = slice_equal(config->names[0].name, SLICE("video")) ? 0 : 1;
    for (size_t i = 0; i < COUNT_OF(amounts); i++) {
        int64_t got[2] = { 0, 0 };
        response_limits_parse(config, slice_of(amounts[i].text), got);
        cr_assert(got[video] == amounts[i].video && got[1 - video] == amounts[i].image, "'%s': %lld, %lld",
                  amounts[i].text, (long long)got[video], (long long)got[1 - video]);
    }
    bench_close(&bench);
}

/* --- in this process ------------------------------------------------------------------------------------ */

struct answer {
    const char *cost; /* what the upstream says; NULL: nothing */
    int status; /* of the response; 0: the request is refused */
    const char *headers[4][2];
};

/* One request and its response per answer. */
static void check_answers(const char *config, const struct answer *answers, size_t count)
{
    struct bench bench;
    bench_open(&bench, config);
    for (size_t i = 0; i < count; i++) {
        struct visit visit;
        visit_open(&visit);
        enum verdict verdict = run(&bench, &visit, PHASE_ACCESS);
        cr_assert_eq(verdict, answers[i].status ? VERDICT_CONTINUE : VERDICT_RESPOND, "%zu", i);
        if (answers[i].status)
            respond(&visit, answers[i].cost);
        cr_assert_eq(run(&bench, &visit, PHASE_RESPONSE_HEAD), VERDICT_CONTINUE);
        int want = answers[i].status ? answers[i].status : 429;
        cr_assert_eq(exchange_response_status(visit.exchange), want, "%zu", i);
        cr_assert_null(exchange_response_header(visit.exchange, SLICE("x-kong-limit")).data);
        for (size_t j = 0; j < COUNT_OF(answers[i].headers) && answers[i].headers[j][0]; j++)
            check_header(&visit, answers[i].headers[j][0], answers[i].headers[j][1]);
        fake_exchange_close(visit.exchange);
    }
    bench_close(&bench);
}

Test(response_ratelimiting, counts_what_responses_cost)
{
    static const struct answer answers[] = {
        { "video=3",
          200,
          { { "X-RateLimit-Remaining-video", "5" },
            { "X-RateLimit-Limit-video-minute", "5" },
            { "X-RateLimit-Remaining-video-minute", "2" },
            { "X-RateLimit-Remaining-video-day", "7" } } },
        { NULL,
          200,
          { { "X-RateLimit-Remaining-video", "2" }, { "X-RateLimit-Remaining-video-minute", "2" } } },
        { "video=4",
          200,
          { { "X-RateLimit-Remaining-video-minute", "0" }, { "X-RateLimit-Remaining-video-day", "3" } } },
        { "video=1", 429, { { "X-RateLimit-Remaining-video", "0" } } },
        { "video=0", 200, { { "X-RateLimit-Remaining-video-day", "3" } } },
        { "video=-2", 200, { { "X-RateLimit-Remaining-video", "0" } } },
        { "video=1", 200, { { "X-RateLimit-Remaining-video", "2" } } },
    };
    check_answers("{limits: {video: {minute: 5, day: 10}}}", answers, COUNT_OF(answers));
}

Test(response_ratelimiting, limits_are_apart)
{
    static const struct answer answers[] = {
        { "video=1, image=1",
          200,
          { { "X-RateLimit-Remaining-video-minute", "0" }, { "X-RateLimit-Remaining-image-minute", "1" } } },
        { "video=1, image=1", 429, { { "X-RateLimit-Remaining-image", "1" } } },
        { "image=1", 200, { { "X-RateLimit-Remaining-image-minute", "0" } } },
    };
    check_answers("{limits: {video: {minute: 1}, image: {minute: 2}}}", answers, COUNT_OF(answers));
}

Test(response_ratelimiting, first_violation)
{
    static const struct answer answers[] = {
        { "video=1", 200, { { "X-RateLimit-Remaining-image", "9" } } },
        { NULL, 0, { { "X-RateLimit-Remaining-image", NULL }, { "X-RateLimit-Limit-image-minute", NULL } } },
        { NULL, 0, { { "X-RateLimit-Limit-video-minute", NULL } } },
    };
    check_answers("{block_on_first_violation: true, limits: {video: {minute: 1}, image: {minute: 9}}}",
                  answers, COUNT_OF(answers));
}

Test(response_ratelimiting, hidden_headers)
{
    static const struct answer answers[] = {
        { "video=1",
          200,
          { { "X-RateLimit-Remaining-video", "1" },
            { "X-RateLimit-Limit-video-minute", NULL },
            { "X-RateLimit-Remaining-video-minute", NULL } } },
        { "video=1", 429, { { "X-RateLimit-Limit-video-minute", NULL } } },
    };
    check_answers("{hide_client_headers: true, limits: {video: {minute: 1}}}", answers, COUNT_OF(answers));
}

Test(response_ratelimiting, a_fraction)
{
    static const struct answer answers[] = {
        { "video=1",
          200,
          { { "X-RateLimit-Limit-video-minute", "1.5" }, { "X-RateLimit-Remaining-video-minute", "0.5" } } },
        { "video=1", 200, { { "X-RateLimit-Remaining-video-minute", "0" } } },
        { "video=1", 429, { { "X-RateLimit-Remaining-video-minute", "0" } } },
    };
    check_answers("{limits: {video: {minute: 1.5}}}", answers, COUNT_OF(answers));
}

Test(response_ratelimiting, a_refused_response_has_no_body_and_costs_nothing)
{
    struct bench bench;
    bench_open(&bench, "{limits: {video: {minute: 1}, image: {minute: 5}}}");
    for (int i = 0; i < 3; i++) {
        struct visit visit;
        visit_open(&visit);
        cr_assert_eq(run(&bench, &visit, PHASE_ACCESS), VERDICT_CONTINUE);
        struct slice told = fake_exchange_upstream_header(visit.exchange, "X-RateLimit-Remaining-image");
        cr_assert(slice_equal(told, i ? SLICE("3") : SLICE("5")), "%.*s", SLICE_FORMAT(told));
        respond(&visit, "video=1");
        respond(&visit, "image=2");
        cr_assert(message_add(&visit.exchange->received, SLICE("X-Other"), SLICE("stays")));
        cr_assert_eq(run(&bench, &visit, PHASE_RESPONSE_HEAD), VERDICT_CONTINUE);
        cr_assert_eq(visit.exchange->received.status, i ? 429 : 200);
        cr_assert_not_null(exchange_response_header(visit.exchange, SLICE("x-other")).data);
        cr_assert_eq(visit.exchange->filters != NULL, i > 0);
        if (i > 0) {
            cr_assert_eq(visit.exchange->filters->kind, BODY_FILTER_CHANGES);
            cr_assert(fake_exchange_filter(visit.exchange, SLICE("{\"secret\":1}"), 3));
            cr_assert_eq(visit.exchange->passed.size, 0);
        }
        fake_exchange_close(visit.exchange);
    }
    bench_close(&bench);
}

Test(response_ratelimiting, the_next_window_starts_afresh)
{
    struct bench bench;
    bench_open(&bench, "{limits: {video: {minute: 1}}}");
    static const struct {
        uint64_t later_ms;
        int status;
    } steps[] = { { 0, 200 }, { 29999, 429 }, { 1, 200 }, { 1, 429 }, { 59999, 200 } };
    for (size_t i = 0; i < COUNT_OF(steps); i++) {
        struct visit visit;
        visit_open(&visit);
        bench.redis.shard.wall_ms += steps[i].later_ms;
        cr_assert_eq(run(&bench, &visit, PHASE_ACCESS), VERDICT_CONTINUE);
        respond(&visit, "video=1");
        cr_assert_eq(run(&bench, &visit, PHASE_RESPONSE_HEAD), VERDICT_CONTINUE);
        cr_assert_eq(visit.exchange->received.status, steps[i].status, "step %zu", i);
        fake_exchange_close(visit.exchange);
    }
    bench_close(&bench);
}

/* Requests that run at the same time: the response is judged by what is left when it comes. */
Test(response_ratelimiting, local_counters_are_looked_at_again)
{
    struct bench bench;
    struct visit first, second;
    bench_open(&bench, "{limits: {video: {minute: 1}}}");
    visit_open(&first);
    visit_open(&second);
    cr_assert_eq(run(&bench, &first, PHASE_ACCESS), VERDICT_CONTINUE);
    cr_assert_eq(run(&bench, &second, PHASE_ACCESS), VERDICT_CONTINUE);
    respond(&first, "video=1");
    respond(&second, "video=1");
    cr_assert_eq(run(&bench, &first, PHASE_RESPONSE_HEAD), VERDICT_CONTINUE);
    cr_assert_eq(run(&bench, &second, PHASE_RESPONSE_HEAD), VERDICT_CONTINUE);
    cr_assert_eq(first.exchange->received.status, 200);
    cr_assert_eq(second.exchange->received.status, 429);
    fake_exchange_close(first.exchange);
    fake_exchange_close(second.exchange);
    bench_close(&bench);
}

Test(response_ratelimiting, without_memory_it_fails)
{
    struct bench bench;
    bench_open(&bench, "{limits: {video: {minute: 100}}}");
    for (int grants = 0; grants < 5; grants++) {
        struct visit visit;
        visit_open(&visit);
        visit.exchange->grants_left = grants;
        enum verdict verdict = run(&bench, &visit, PHASE_ACCESS);
        cr_assert_eq(verdict, grants < 2 ? VERDICT_RESPOND : VERDICT_CONTINUE);
        if (verdict == VERDICT_CONTINUE) {
            respond(&visit, "video=1");
            cr_assert_eq(run(&bench, &visit, PHASE_RESPONSE_HEAD), VERDICT_RESPOND);
        }
        cr_assert_eq(visit.exchange->body_kind, FAKE_BODY_FAILURE);
        fake_exchange_close(visit.exchange);
    }
    bench_close(&bench);
}

/* --- in Redis ------------------------------------------------------------------------------------------- */

#define KEY(period) "response-ratelimit:" NO_ID ":" NO_ID ":127.0.0.1:" period
#define MINUTE KEY("1795348800000:video:minute")
#define DAY KEY("1795305600000:video:day")

/* Up to the upstream's answer; Redis has said how much of both periods is used. */
static void begin(struct bench *bench, struct visit *visit, const char *used)
{
    bench_open(bench, "{policy: redis, limits: {video: {minute: 5, day: 10}}}");
    visit_open(visit);
    cr_assert_eq(run(bench, visit, PHASE_ACCESS), VERDICT_WAIT);
    scripted_redis_greet(&bench->redis);
    cr_assert(scripted_redis_sent(&bench->redis, "GET " MINUTE "\nGET " DAY "\n"));
    scripted_redis_reply(&bench->redis, used);
    cr_assert_eq(visit->exchange->resume_count, 1);
    cr_assert_eq(visit->exchange->resumed, VERDICT_CONTINUE);
}

static void end(struct bench *bench, struct visit *visit)
{
    fake_exchange_close(visit->exchange);
    bench_close(bench);
}

Test(response_ratelimiting, redis_is_asked_before_and_told_after)
{
    struct bench bench;
    struct visit visit;
    begin(&bench, &visit, "$1\r\n2\r\n$-1\r\n");
    check_header(&visit, "X-RateLimit-Remaining-video", "3");
    respond(&visit, "video=2");
    cr_assert_eq(run(&bench, &visit, PHASE_RESPONSE_HEAD), VERDICT_CONTINUE);
    check_header(&visit, "X-RateLimit-Remaining-video-minute", "1");
    check_header(&visit, "X-RateLimit-Remaining-video-day", "8");
    scripted_redis_turn(&bench.redis);
    cr_assert(scripted_redis_sent(&bench.redis, "INCRBY " MINUTE " 2\nEXPIRE " MINUTE " 60\n"
                                                "INCRBY " DAY " 2\nEXPIRE " DAY " 86400\n"));
    scripted_redis_reply(&bench.redis, ":4\r\n:1\r\n:2\r\n:1\r\n");
    cr_assert_eq(visit.exchange->resume_count, 1);
    end(&bench, &visit);
}

Test(response_ratelimiting, redis_gets_back_what_is_given_back)
{
    struct bench bench;
    struct visit visit;
    begin(&bench, &visit, "$1\r\n2\r\n$1\r\n2\r\n");
    respond(&visit, "video=-9223372036854775807");
    cr_assert_eq(run(&bench, &visit, PHASE_RESPONSE_HEAD), VERDICT_CONTINUE);
    scripted_redis_turn(&bench.redis);
    cr_assert(scripted_redis_sent(&bench.redis,
                                  "INCRBY " MINUTE " -9223372036854775807\nEXPIRE " MINUTE " 60\n"
                                  "INCRBY " DAY " -9223372036854775807\nEXPIRE " DAY " 86400\n"));
    end(&bench, &visit);
}

/* What others have used beyond the limit meanwhile is no less than nothing. */
Test(response_ratelimiting, redis_refuses_a_response_and_counts_nothing)
{
    struct bench bench;
    struct visit visit;
    begin(&bench, &visit, "$1\r\n7\r\n$1\r\n7\r\n");
    check_header(&visit, "X-RateLimit-Remaining-video", "0");
    respond(&visit, "video=1");
    cr_assert_eq(run(&bench, &visit, PHASE_RESPONSE_HEAD), VERDICT_CONTINUE);
    cr_assert_eq(visit.exchange->received.status, 429);
    check_header(&visit, "X-RateLimit-Remaining-video-minute", "0");
    check_header(&visit, "X-RateLimit-Remaining-video-day", "2");
    scripted_redis_turn(&bench.redis);
    cr_assert(scripted_redis_sent(&bench.redis, ""));
    end(&bench, &visit);
}

static void check_down(const char *config, enum verdict want)
{
    struct bench bench;
    struct visit first, second;
    bench_open(&bench, config);
    visit_open(&first);
    visit_open(&second);
    cr_assert_eq(run(&bench, &first, PHASE_ACCESS), VERDICT_WAIT);
    scripted_redis_turn(&bench.redis);
    scripted_redis_opened(&bench.redis, ERROR_REFUSED);
    cr_assert_eq(first.exchange->resumed, want);
    cr_assert_eq(run(&bench, &second, PHASE_ACCESS), want, "the next is not delayed");
    respond(&second, "video=1");
    cr_assert_eq(run(&bench, &second, PHASE_RESPONSE_HEAD), VERDICT_CONTINUE);
    cr_assert_null(exchange_response_header(second.exchange, SLICE("x-kong-limit")).data);
    check_header(&second, "X-RateLimit-Remaining-video", NULL);
    check_header(&second, "X-RateLimit-Limit-video-minute", NULL);
    cr_assert_eq(first.exchange->body_kind, want == VERDICT_RESPOND ? FAKE_BODY_FAILURE : FAKE_BODY_NONE);
    fake_exchange_close(first.exchange);
    fake_exchange_close(second.exchange);
    bench_close(&bench);
}

Test(response_ratelimiting, without_redis)
{
    check_down("{policy: redis, limits: {video: {minute: 5}}}", VERDICT_CONTINUE);
    check_down("{policy: redis, limits: {video: {minute: 5}}, block_on_first_violation: true}",
               VERDICT_CONTINUE);
    check_down("{policy: redis, limits: {video: {minute: 5}}, fault_tolerant: false}", VERDICT_RESPOND);
}
