/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/exchange_state.h"

#include "tests/support/balancer_setup.h"

#include <criterion/criterion.h>
#include <math.h>

static struct balancer_setup setup;
static const uint32_t even[] = { 100, 100, 100, 100 };

static void close_setup(void)
{
    balancer_setup_close(&setup);
}

TestSuite(balancer, .fini = close_setup);

static uint64_t metric(enum metric metric)
{
    return metric_read(&setup.shard.metrics, metric);
}

/* --- rosters and snapshots ------------------------------------------------------------------------------ */

Test(balancer, a_roster_is_a_diff)
{
    static const uint32_t changed[] = { 100, UINT32_MAX, 50, 100, 100 };
    balancer_setup_open(&setup, BALANCE_ROUND_ROBIN, even, 4);
    balancer_setup_use(&setup);
    struct endpoint *first = balancer_setup_endpoint(&setup, 1), *third = balancer_setup_endpoint(&setup, 3);
    first->consecutive_5xx = 3;
    balancer_setup_publish(&setup, changed, NULL, 5);
    cr_expect_eq(setup.balancer->count, 4);
    cr_expect_eq(balancer_setup_endpoint(&setup, 1), first);
    cr_expect_eq(first->consecutive_5xx, 3);
    cr_expect_eq(balancer_setup_endpoint(&setup, 3), third);
    cr_expect_eq(third->weight, 50);
    cr_expect_null(balancer_setup_endpoint(&setup, 2));
    cr_expect_not_null(balancer_setup_endpoint(&setup, 5));
}

Test(balancer, who_leaves_stays_while_in_use)
{
    static const uint32_t fewer[] = { UINT32_MAX, 100, 100, 100 };
    balancer_setup_open(&setup, BALANCE_ROUND_ROBIN, even, 4);
    balancer_setup_use(&setup);
    struct endpoint *left = balancer_setup_endpoint(&setup, 1);
    left->active = 1;
    balancer_setup_publish(&setup, fewer, NULL, 4);
    cr_expect_null(left->balancer);
    balancer_try_failed(left, ERROR_REFUSED); /* of no more interest */
    balancer_try_answered(left, 500, 1);
    endpoint_release(left);
    cr_expect_eq(left->active, 1, "still there");
    left->active = 0;
    endpoint_release(left); /* freed: AddressSanitizer would tell */
}

Test(balancer, older_rosters_are_passed_over)
{
    static const uint32_t one[] = { 100 };
    balancer_setup_open(&setup, BALANCE_ROUND_ROBIN, even, 4);
    balancer_setup_use(&setup);
    setup.version = 0;
    balancer_setup_publish(&setup, one, NULL, 1);
    cr_expect_eq(setup.balancer->count, 4);
}

Test(balancer, a_roster_may_come_before_its_snapshot)
{
    static const uint32_t two[] = { 100, 100 };
    balancer_setup_open(&setup, BALANCE_ROUND_ROBIN, even, 4);
    balancer_setup_publish(&setup, two, NULL, 2);
    cr_expect_eq(setup.proxy.balancers.count, 1);
    balancer_setup_use(&setup);
    cr_expect_eq(setup.balancer->count, 2, "it is newer than the snapshot's");
}

Test(balancer, one_address_twice_is_one_endpoint)
{
    balancer_setup_open(&setup, BALANCE_ROUND_ROBIN, even, 4);
    struct roster *roster = roster_open(slice_of(setup.upstream.entity.id), setup.version + 1);
    for (unsigned i = 0; i < 3; i++) {
        struct roster_entry entry = { .host = SLICE("a"), .weight = 10, .healthy = true };
        if (i == 2)
            entry.host = SLICE("b");
        cr_assert(address_parse(SLICE("::1"), 80, &entry.address));
        cr_assert(roster_add(roster, &entry));
    }
    balancer_take_roster(&setup.proxy.balancers, roster);
    balancer_setup_use(&setup);
    cr_assert_eq(setup.balancer->count, 2, "two names of one address are two, as in Kong");
    cr_expect_eq(setup.balancer->endpoints[0]->weight, 20);
    cr_expect_str_eq(setup.balancer->endpoints[0]->authority, "a:80");
}

Test(balancer, reload_keeps_what_is_the_same)
{
    balancer_setup_open(&setup, BALANCE_ROUND_ROBIN, even, 4);
    balancer_setup_use(&setup);
    struct balancer *balancer = setup.balancer;
    struct endpoint *endpoint = balancer_setup_endpoint(&setup, 2);
    balancer_setup_reload(&setup);
    setup.upstream.balance = BALANCE_MAGLEV;
    balancer_setup_use(&setup);
    cr_expect_eq(setup.balancer, balancer);
    cr_expect_eq(balancer_setup_endpoint(&setup, 2), endpoint);
    cr_expect_eq(balancer->picker.table_size, 65537);
    cr_expect_null(balancer->picker.wheel);
}

Test(balancer, sweeping_adopts_or_ends)
{
    balancer_setup_open(&setup, BALANCE_ROUND_ROBIN, even, 4);
    balancer_setup_use(&setup);
    balancer_setup_reload(&setup);
    balancer_setup_pass(&setup, 50);
    cr_expect_eq(setup.cell, setup.balancer, "unused, but of the model in force");
    balancer_setup_reload(&setup);
    setup.balancer = NULL;
    map_init(&setup.snapshot.upstreams, &setup.snapshot.arena);
    balancer_setup_pass(&setup, 50);
    cr_expect_eq(setup.proxy.balancers.count, 0);
    balancer_setup_publish(&setup, even, NULL, 4);
    balancer_setup_pass(&setup, 30000);
    cr_expect_eq(setup.proxy.balancers.count, 1, "its snapshot may be on its way");
    balancer_setup_pass(&setup, 40000);
    balancer_setup_pass(&setup, 1000);
    cr_expect_eq(setup.proxy.balancers.count, 0);
}

/* --- passive health ------------------------------------------------------------------------------------- */

static struct health_report reports[8];
static unsigned report_count;

static void note_report(struct proxy *proxy, const struct health_report *report)
{
    cr_assert_eq(proxy, &setup.proxy);
    reports[report_count++ % 8] = *report;
}

Test(balancer, passive_failures_eject_and_are_reported)
{
    static const uint32_t down[] = { 1, 0, 0, 0 }, up[] = { 2, 0, 0, 0 };
    report_count = 0;
    balancer_setup_open(&setup, BALANCE_ROUND_ROBIN, even, 4);
    setup.proxy.report_health = note_report;
    setup.upstream.health.passive =
        (struct health_limits){ .successes = 1, .tcp_failures = 2, .timeouts = 1 };
    setup.upstream.health.passive.healthy.bits[200 / 64] = UINT64_C(1) << 200 % 64;
    balancer_setup_use(&setup);
    struct endpoint *endpoint = balancer_setup_endpoint(&setup, 1);

    balancer_try_answered(endpoint, 200, 1);
    balancer_try_answered(endpoint, 200, 1);
    cr_expect_eq(report_count, 0, "nothing new");
    balancer_try_failed(endpoint, ERROR_REFUSED);
    cr_expect(endpoint->usable);
    cr_assert_eq(report_count, 1);
    cr_expect_eq(reports[0].counts[HEALTH_SUCCESS], 2);
    cr_expect_eq(reports[0].counts[HEALTH_TCP_FAILURE], 1);
    cr_expect_not(reports[0].ejected);
    cr_expect_str_eq(reports[0].key, setup.upstream.entity.id);
    balancer_try_failed(endpoint, ERROR_MEMORY);
    cr_expect_eq(report_count, 1, "the gateway's own failures say nothing");
    balancer_try_failed(endpoint, ERROR_RESET);
    cr_expect_not(endpoint->usable);
    cr_expect(reports[1].ejected);
    cr_expect_eq(metric(METRIC_UPSTREAM_EJECTIONS), 1);
    for (unsigned i = 0; i < 30; i++)
        cr_expect_neq(balancer_setup_pick(&setup, NULL, NULL), 1);

    balancer_setup_publish(&setup, even, down, 4);
    cr_expect_not(endpoint->usable, "the node agrees");
    balancer_setup_publish(&setup, even, up, 4);
    cr_expect(endpoint->usable, "a probe has found it well again");
    balancer_setup_reload(&setup);
    balancer_setup_use(&setup);
    cr_expect(endpoint->usable);
}

Test(balancer, a_504_is_a_timeout_and_reload_keeps_health)
{
    balancer_setup_open(&setup, BALANCE_ROUND_ROBIN, even, 4);
    setup.upstream.health.passive = (struct health_limits){ .timeouts = 1 };
    balancer_setup_use(&setup);
    balancer_try_answered(balancer_setup_endpoint(&setup, 4), 504, 1);
    cr_expect_not(balancer_setup_endpoint(&setup, 4)->usable);
    balancer_setup_reload(&setup);
    balancer_setup_use(&setup);
    cr_expect_not(balancer_setup_endpoint(&setup, 4)->usable, "a new snapshot knows nothing of health");
    balancer_try_failed(balancer_setup_endpoint(&setup, 3), ERROR_TIMEOUT);
    cr_expect_eq(setup.balancer->usable_count, 2);
}

/* --- outliers ------------------------------------------------------------------------------------------- */

static void answer_times(unsigned number, int status, unsigned times)
{
    for (unsigned i = 0; i < times; i++)
        balancer_try_answered(balancer_setup_endpoint(&setup, number), status, 1);
}

static void open_outliers(uint32_t percent)
{
    balancer_setup_open(&setup, BALANCE_ROUND_ROBIN, even, 4);
    setup.upstream.outlier = (struct outlier_rules){ .consecutive_5xx = 5,
                                                     .consecutive_gateway_failures = 3,
                                                     .interval_ms = 10000,
                                                     .base_ejection_ms = 30000,
                                                     .max_ejection_ms = 300000,
                                                     .max_ejection_percent = percent };
    balancer_setup_use(&setup);
}

Test(balancer, outliers_are_ejected_longer_each_time)
{
    open_outliers(50);
    struct endpoint *endpoint = balancer_setup_endpoint(&setup, 1);
    answer_times(1, 500, 4);
    answer_times(1, 200, 1);
    answer_times(1, 500, 4);
    cr_expect(endpoint->usable, "never five in a row");
    answer_times(1, 500, 1);
    cr_expect_not(endpoint->usable);
    balancer_setup_pass(&setup, 29999);
    cr_expect_not(endpoint->usable);
    balancer_setup_pass(&setup, 1);
    cr_expect(endpoint->usable);
    for (unsigned i = 0; i < 3; i++)
        balancer_try_failed(endpoint, ERROR_REFUSED); /* a 502 to the client */
    cr_expect_not(endpoint->usable);
    balancer_setup_pass(&setup, 59999);
    cr_expect_not(endpoint->usable, "twice as long");
    balancer_setup_pass(&setup, 1);
    cr_expect(endpoint->usable);
    balancer_setup_pass(&setup, 10000);
    balancer_setup_pass(&setup, 10000);
    cr_expect_eq(endpoint->ejection_count, 0, "forgiven");
    cr_expect_not(timer_is_armed(&setup.balancer->timer));
    cr_expect_eq(metric(METRIC_UPSTREAM_EJECTIONS), 2);
}

Test(balancer, not_too_many_outliers_are_ejected)
{
    open_outliers(50);
    for (unsigned number = 1; number <= 4; number++)
        answer_times(number, 503, 3);
    cr_expect_eq(setup.balancer->usable_count, 2);
    close_setup();
    open_outliers(10);
    answer_times(1, 503, 3);
    answer_times(2, 503, 3);
    cr_expect_eq(setup.balancer->usable_count, 3, "one may always go");
    close_setup();
    open_outliers(0);
    answer_times(1, 503, 3);
    cr_expect_eq(setup.balancer->usable_count, 4);
}

/* --- limits --------------------------------------------------------------------------------------------- */

Test(balancer, limits_are_shared_out_to_shards)
{
    balancer_setup_open(&setup, BALANCE_ROUND_ROBIN, even, 4);
    setup.shard.count = 4;
    setup.upstream.circuit = (struct circuit_limits){ .connections = 9, .pending = 1, .requests = 8 };
    balancer_setup_use(&setup);
    cr_expect_eq(setup.balancer->rules.circuit.connections, 3);
    cr_expect_eq(setup.balancer->rules.circuit.pending, 1);
    cr_expect_eq(setup.balancer->rules.circuit.requests, 2);
    cr_expect_eq(setup.balancer->rules.circuit.retries, 0);
}

static void leave_all(struct exchange *exchanges, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        balancer_leave(&exchanges[i]);
    cr_expect_eq(setup.balancer->active, 0);
    cr_expect_eq(setup.balancer->retrying, 0);
}

Test(balancer, requests_beyond_the_limit_are_refused)
{
    static struct exchange exchanges[3];
    balancer_setup_open(&setup, BALANCE_ROUND_ROBIN, even, 4);
    setup.upstream.circuit.requests = 2;
    balancer_setup_use(&setup);
    cr_assert(balancer_enter(setup.balancer, &exchanges[0]));
    cr_assert(balancer_enter(setup.balancer, &exchanges[1]));
    cr_assert_not(balancer_enter(setup.balancer, &exchanges[2]));
    cr_expect_eq(metric(METRIC_UPSTREAM_OVERFLOWS), 1);
    struct endpoint *endpoint = balancer_setup_endpoint(&setup, 1);
    balancer_choose(&exchanges[0], endpoint);
    balancer_choose(&exchanges[0], endpoint);
    cr_expect_eq(endpoint->active, 1);
    balancer_leave(&exchanges[0]);
    balancer_leave(&exchanges[0]);
    cr_expect_eq(endpoint->active, 0);
    cr_assert(balancer_enter(setup.balancer, &exchanges[2]));
    leave_all(exchanges, 3);
}

Test(balancer, retries_keep_to_their_budget)
{
    enum { COUNT = 20 };
    static struct exchange exchanges[COUNT];
    struct service service = { .retry_budget = { .percent = 20, .min_retries = 2 } };
    struct service_plan plan = { &service };
    balancer_setup_open(&setup, BALANCE_ROUND_ROBIN, even, 4);
    balancer_setup_use(&setup);
    for (unsigned i = 0; i < 5; i++) {
        exchanges[i].service = &plan;
        cr_assert(balancer_enter(setup.balancer, &exchanges[i]));
    }
    cr_expect(balancer_allows_retry(&exchanges[0]));
    cr_expect(balancer_allows_retry(&exchanges[0]), "its second retry takes no more of the budget");
    cr_expect(balancer_allows_retry(&exchanges[1]));
    cr_expect_not(balancer_allows_retry(&exchanges[2]), "two at least, a fifth of five is less");
    for (unsigned i = 5; i < COUNT; i++) {
        exchanges[i].service = &plan;
        cr_assert(balancer_enter(setup.balancer, &exchanges[i]));
    }
    cr_expect(balancer_allows_retry(&exchanges[2]));
    cr_expect(balancer_allows_retry(&exchanges[3]));
    cr_expect_not(balancer_allows_retry(&exchanges[4]), "a fifth of twenty");
    cr_expect_eq(metric(METRIC_RETRIES_REFUSED), 2);
    balancer_leave(&exchanges[0]);
    service.retry_budget.percent = NAN;
    cr_expect(balancer_allows_retry(&exchanges[4]), "no budget");
    leave_all(exchanges, COUNT);
}

Test(balancer, retries_keep_to_the_upstreams_limit)
{
    static struct exchange exchanges[3];
    struct service service = { .retry_budget = { .percent = NAN } };
    struct service_plan plan = { &service };
    balancer_setup_open(&setup, BALANCE_ROUND_ROBIN, even, 4);
    setup.upstream.circuit.retries = 1;
    balancer_setup_use(&setup);
    for (unsigned i = 0; i < 3; i++) {
        exchanges[i].service = &plan;
        cr_assert(balancer_enter(setup.balancer, &exchanges[i]));
    }
    cr_expect(balancer_allows_retry(&exchanges[0]));
    cr_expect_not(balancer_allows_retry(&exchanges[1]));
    balancer_leave(&exchanges[0]);
    cr_expect(balancer_allows_retry(&exchanges[1]));
    leave_all(exchanges, 3);
}
