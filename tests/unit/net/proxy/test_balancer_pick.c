/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/balancer_setup.h"

#include <criterion/criterion.h>

static struct balancer_setup setup;

static void close_setup(void)
{
    balancer_setup_close(&setup);
}

TestSuite(balancer_pick, .fini = close_setup);

static void open_used(enum balance balance, const uint32_t *weights, uint32_t count)
{
    balancer_setup_open(&setup, balance, weights, count);
    balancer_setup_use(&setup);
}

static void count_picks(unsigned *counts, unsigned picks)
{
    memset(counts, 0, sizeof(*counts) * (BALANCER_SETUP_MOST + 1));
    for (unsigned i = 0; i < picks; i++)
        counts[balancer_setup_pick(&setup, NULL, NULL)]++;
}

/* Pearson's statistic of the counts against weights. */
static double chi_square(const unsigned *counts, const uint32_t *weights, uint32_t count, double picks)
{
    double total = 0, sum = 0;
    for (uint32_t i = 0; i < count; i++)
        total += weights[i];
    for (uint32_t i = 0; i < count; i++) {
        double wanted = picks * weights[i] / total;
        double off = counts[i + 1] - wanted;
        sum += wanted > 0 ? off * off / wanted : 0;
    }
    return sum;
}

Test(balancer_pick, round_robin_is_exact_over_each_turn_of_the_wheel)
{
    static const uint32_t weights[] = { 100, 200, 0, 300 };
    unsigned counts[BALANCER_SETUP_MOST + 1];
    open_used(BALANCE_ROUND_ROBIN, weights, 4);
    for (unsigned turn = 0; turn < 10; turn++) {
        count_picks(counts, 6);
        cr_assert_eq(counts[1], 1);
        cr_assert_eq(counts[2], 2);
        cr_assert_eq(counts[3], 0, "a weight of 0 takes no traffic");
        cr_assert_eq(counts[4], 3);
    }
}

Test(balancer_pick, round_robin_bounds_its_wheel)
{
    static const uint32_t weights[] = { 65535, 65534, 13107, 1 };
    unsigned counts[BALANCER_SETUP_MOST + 1];
    open_used(BALANCE_ROUND_ROBIN, weights, 4);
    cr_assert_leq(setup.balancer->picker.wheel_size, 8195);
    count_picks(counts, setup.balancer->picker.wheel_size);
    cr_assert_eq(counts[4], 1);
    for (unsigned i = 1; i < 4; i++)
        cr_expect_float_eq((double)counts[i], weights[i - 1] / 144177.0 * setup.balancer->picker.wheel_size,
                           2);
}

Test(balancer_pick, shards_do_not_march_in_step)
{
    static const uint32_t weights[] = { 1, 1, 1, 1, 1, 1, 1, 1 };
    unsigned firsts[BALANCER_SETUP_MOST + 1] = { 0 }, different = 0;
    open_used(BALANCE_ROUND_ROBIN, weights, 8);
    for (unsigned shard = 0; shard < 64; shard++) {
        close_setup();
        balancer_setup_open(&setup, BALANCE_ROUND_ROBIN, weights, 8);
        setup.proxy.balancers.random = 1000003 * (shard + 1);
        balancer_setup_use(&setup);
        different += firsts[balancer_setup_pick(&setup, NULL, NULL)]++ == 0;
    }
    cr_assert_eq(different, 8);
}

Test(balancer_pick, least_connections_weighs)
{
    static const uint32_t weights[] = { 100, 200, 100 };
    open_used(BALANCE_LEAST_CONNECTIONS, weights, 3);
    balancer_setup_endpoint(&setup, 1)->active = 1;
    balancer_setup_endpoint(&setup, 2)->active = 2; /* 3/200 is less than 2/100 */
    balancer_setup_endpoint(&setup, 3)->active = 1;
    cr_expect_eq(balancer_setup_pick(&setup, NULL, NULL), 2);
    balancer_setup_endpoint(&setup, 3)->active = 0;
    cr_expect_eq(balancer_setup_pick(&setup, NULL, NULL), 3);
    cr_expect_eq(balancer_setup_pick(&setup, NULL, balancer_setup_endpoint(&setup, 3)), 2);
    balancer_setup_endpoint(&setup, 1)->active = balancer_setup_endpoint(&setup, 2)->active = 0;
    for (unsigned i = 0; i < 100; i++)
        cr_expect_eq(balancer_setup_pick(&setup, NULL, NULL), 2);
}

Test(balancer_pick, equals_take_turns_by_chance)
{
    static const uint32_t weights[] = { 10, 10, 10, 10 };
    unsigned counts[BALANCER_SETUP_MOST + 1];
    open_used(BALANCE_LEAST_CONNECTIONS, weights, 4);
    count_picks(counts, 10000);
    cr_expect_lt(chi_square(counts, weights, 4, 10000), 16.27, "3 degrees of freedom, p = 0.001");
}

Test(balancer_pick, least_request_draws_two_by_weight)
{
    static const uint32_t weights[] = { 40, 30, 20, 10 };
    unsigned counts[BALANCER_SETUP_MOST + 1];
    open_used(BALANCE_LEAST_REQUEST, weights, 4);
    /* With requests in proportion to the weights neither of two is better, and the first one drawn stays. */
    for (unsigned i = 1; i <= 4; i++)
        balancer_setup_endpoint(&setup, i)->active = weights[i - 1] - 1;
    count_picks(counts, 10000);
    cr_expect_lt(chi_square(counts, weights, 4, 10000), 16.27, "3 degrees of freedom, p = 0.001");
    balancer_setup_endpoint(&setup, 1)->active = 1000;
    count_picks(counts, 10000);
    cr_expect_lt(counts[1], 50, "the loaded one only when nothing else was drawn");
}

Test(balancer_pick, latency_prefers_the_quick_and_forgets)
{
    static const uint32_t weights[] = { 100, 100 };
    open_used(BALANCE_LATENCY, weights, 2);
    struct endpoint *quick = balancer_setup_endpoint(&setup, 1), *slow = balancer_setup_endpoint(&setup, 2);
    balancer_note_latency(quick, 1000000);
    balancer_note_latency(slow, 50000000);
    for (unsigned i = 0; i < 20; i++)
        cr_assert_eq(balancer_setup_pick(&setup, NULL, NULL), 1);
    balancer_note_latency(quick, 80000000);
    cr_expect_eq(quick->latency_ns, 80000000.0, "a peak counts at once");
    cr_expect_eq(balancer_setup_pick(&setup, NULL, NULL), 2);
    balancer_setup_pass(&setup, 10000);
    balancer_note_latency(quick, 1000000);
    cr_expect_float_eq(quick->latency_ns, 80e6 * 0.367879 + 1e6 * 0.632121, 1000,
                       "a tenth of e in ten seconds");
    quick->active = 3; /* each request ahead costs its time */
    balancer_note_latency(slow, 40000000);
    cr_expect_eq(balancer_setup_pick(&setup, NULL, NULL), 2);
}

Test(balancer_pick, new_addresses_begin_at_the_mean)
{
    static const uint32_t weights[] = { 100, 100 }, more[] = { 100, 100, 100 };
    open_used(BALANCE_LATENCY, weights, 2);
    balancer_note_latency(balancer_setup_endpoint(&setup, 1), 10000000);
    balancer_note_latency(balancer_setup_endpoint(&setup, 2), 30000000);
    balancer_setup_publish(&setup, more, NULL, 3);
    cr_expect_float_eq(balancer_setup_endpoint(&setup, 3)->latency_ns, 20e6, 1);
}

Test(balancer_pick, failed_ones_are_avoided_until_all_have_failed)
{
    static const uint32_t weights[] = { 100, 100, 100 };
    static const enum balance all[] = { BALANCE_ROUND_ROBIN,   BALANCE_LEAST_CONNECTIONS,
                                        BALANCE_LEAST_REQUEST, BALANCE_CONSISTENT_HASHING,
                                        BALANCE_MAGLEV,        BALANCE_LATENCY,
                                        BALANCE_STICKY };
    open_used(BALANCE_ROUND_ROBIN, weights, 3);
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        close_setup();
        open_used(all[i], weights, 3);
        uint32_t failed[3];
        for (unsigned key = 0; key < 200; key++) {
            struct balancer_choice choice = { .has_key = true, .hash = key * 2654435761u, .failed = failed };
            for (; choice.failed_count < 3; choice.failed_count++) {
                struct endpoint *endpoint = balancer_pick(setup.balancer, &choice);
                cr_assert_not_null(endpoint);
                cr_assert_not(balancer_choice_avoids(&choice, endpoint), "algorithm %d", (int)all[i]);
                failed[choice.failed_count] = endpoint->serial;
            }
            cr_assert_not_null(balancer_pick(setup.balancer, &choice), "all have failed: any will do");
        }
    }
}

Test(balancer_pick, slow_start_grows)
{
    static const uint32_t weights[] = { 100, UINT32_MAX }, both[] = { 100, 100 };
    unsigned counts[BALANCER_SETUP_MOST + 1];
    balancer_setup_open(&setup, BALANCE_ROUND_ROBIN, weights, 2);
    setup.upstream.slow_start_ms = 10000;
    balancer_setup_use(&setup);
    balancer_setup_publish(&setup, both, NULL, 2);
    count_picks(counts, 11000);
    cr_expect_float_eq((double)counts[2], 1000, 150, "a tenth of its weight at first, got %u", counts[2]);
    balancer_setup_pass(&setup, 5000);
    count_picks(counts, 15000);
    cr_expect_float_eq((double)counts[2], 5000, 300, "half of it, got %u", counts[2]);
    balancer_setup_pass(&setup, 5000);
    count_picks(counts, 10000);
    cr_expect_eq(counts[2], 5000, "all of it");
}

Test(balancer_pick, below_its_threshold_an_upstream_is_down)
{
    static const uint32_t weights[] = { 100, 100, 200 }, one_down[] = { 1, 0, 0 }, big_down[] = { 1, 0, 1 };
    balancer_setup_open(&setup, BALANCE_ROUND_ROBIN, weights, 3);
    setup.upstream.health.threshold_percent = 50;
    balancer_setup_use(&setup);
    balancer_setup_publish(&setup, weights, one_down, 3);
    cr_expect_neq(balancer_setup_pick(&setup, NULL, NULL), 0, "75 percent are left");
    balancer_setup_publish(&setup, weights, big_down, 3);
    cr_expect_eq(balancer_setup_pick(&setup, NULL, NULL), 0);
    setup.upstream.health.threshold_percent = 25;
    balancer_setup_reload(&setup);
    balancer_setup_use(&setup);
    cr_expect_eq(balancer_setup_pick(&setup, NULL, NULL), 0, "it must be more than the threshold");
    setup.upstream.health.threshold_percent = 0;
    balancer_setup_reload(&setup);
    balancer_setup_use(&setup);
    cr_expect_eq(balancer_setup_pick(&setup, NULL, NULL), 2);
}

Test(balancer_pick, a_cookie_names_its_endpoint)
{
    static const uint32_t weights[] = { 1, 1, 1, 1 }, gone[] = { 1, 1, UINT32_MAX, 1 };
    open_used(BALANCE_STICKY, weights, 4);
    struct balancer_choice choice = { .sticky_id = balancer_setup_endpoint(&setup, 3)->sticky_id };
    for (unsigned i = 0; i < 20; i++)
        cr_assert_eq(balancer_pick(setup.balancer, &choice)->sticky_id, choice.sticky_id);
    balancer_setup_publish(&setup, gone, NULL, 4);
    cr_assert_neq(balancer_pick(setup.balancer, &choice)->sticky_id, choice.sticky_id);
    balancer_setup_publish(&setup, weights, NULL, 4);
    cr_assert_eq(balancer_pick(setup.balancer, &choice)->sticky_id, choice.sticky_id,
                 "back again, same name");
}
