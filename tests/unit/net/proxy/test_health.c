/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/health.h"

#include <criterion/criterion.h>

/* A script of events: s success, h HTTP failure, c TCP failure, t timeout; behind each one the state that
 * follows: G healthy, g mostly healthy, b mostly unhealthy, B unhealthy. */
struct script {
    const char *name, *steps;
    uint32_t successes, http, tcp, timeouts;
};

static const char events[] = "shct", states[] = "GgbB";

static void play(const struct script *script)
{
    struct health_limits limits = { .successes = script->successes,
                                    .http_failures = script->http,
                                    .tcp_failures = script->tcp,
                                    .timeouts = script->timeouts };
    struct health health = { 0 };
    for (const char *at = script->steps; *at; at += 2) {
        enum health_event event = (enum health_event)(strchr(events, at[0]) - events);
        bool before = health_is_good(&health);
        enum health_flip flip = health_take(&health, &limits, event, 1);
        cr_expect_eq(states[health.state], at[1], "%s: after %d steps: %c", script->name,
                     (int)(at - script->steps) / 2 + 1, states[health.state]);
        bool after = health_is_good(&health);
        enum health_flip wanted = before == after ? HEALTH_KEPT
                                  : after         ? HEALTH_BECAME_HEALTHY
                                                  : HEALTH_BECAME_UNHEALTHY;
        cr_expect_eq(flip, wanted, "%s", script->name);
    }
}

Test(health, scripts)
{
    static const struct script scripts[] = {
        { "limits of 0 switch a kind off", "hGcGtGsG", 0, 0, 0, 0 },
        { "one kind at its limit", "hghghB", 1, 3, 3, 3 },
        { "kinds are counted apart", "hgcgtghgcgtghB", 1, 3, 3, 3 },
        { "a success clears", "hghgsGhghghB", 1, 3, 0, 0 },
        { "several successes to settle", "hgsgsGhghB", 2, 2, 0, 0 },
        { "a failure clears successes", "hgsghgsgsG", 2, 3, 0, 0 },
        { "with successes of 0 failures add up for ever", "hgsgsghgsghB", 0, 3, 0, 0 },
        { "and nothing heals", "hBsBsBsB", 0, 1, 0, 0 },
        { "healing takes successes in a row", "cgcBsbsbcbsbsbsG", 3, 0, 2, 0 },
        { "falling back while healing", "cBsbcB", 3, 0, 1, 0 },
        { "more of the settled is not counted", "tBtBtBsGtB", 1, 0, 0, 1 },
    };
    for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++)
        play(&scripts[i]);
}

Test(health, counts_may_come_together)
{
    struct health_limits limits = { .successes = 2, .http_failures = 5 };
    struct health health = { 0 };
    cr_expect_eq(health_take(&health, &limits, HEALTH_HTTP_FAILURE, 4), HEALTH_KEPT);
    cr_expect_eq(health_take(&health, &limits, HEALTH_HTTP_FAILURE, UINT32_MAX), HEALTH_BECAME_UNHEALTHY);
    cr_expect_eq(health_take(&health, &limits, HEALTH_SUCCESS, 0), HEALTH_KEPT);
    cr_expect_eq(health_take(&health, &limits, HEALTH_SUCCESS, 9), HEALTH_BECAME_HEALTHY);
}

Test(health, statuses)
{
    struct health_limits limits = { 0 };
    limits.healthy.bits[200 / 64] |= UINT64_C(1) << 200 % 64;
    limits.unhealthy.bits[503 / 64] |= UINT64_C(1) << 503 % 64;
    enum health_event event;
    cr_expect(health_event_of_status(&limits, 200, &event) && event == HEALTH_SUCCESS);
    cr_expect(health_event_of_status(&limits, 503, &event) && event == HEALTH_HTTP_FAILURE);
    cr_expect_not(health_event_of_status(&limits, 404, &event));
    cr_expect_not(health_event_of_status(&limits, -1, &event));
    cr_expect_not(health_event_of_status(&limits, 5000, &event));
}

Test(health, node_agrees_with_its_shards)
{
    struct health_limits limits = { .successes = 1, .tcp_failures = 4 };
    struct health node = { 0 };
    struct health_report report = { .counts = { [HEALTH_TCP_FAILURE] = 2 } };
    cr_expect_eq(health_take_report(&node, &limits, &report), HEALTH_KEPT);
    cr_expect_eq(health_take_report(&node, &limits, &report), HEALTH_BECAME_UNHEALTHY);

    health_set(&node, true);
    report.ejected = true;
    cr_expect_eq(health_take_report(&node, &limits, &report), HEALTH_BECAME_UNHEALTHY);
    cr_expect_eq(health_take_report(&node, &limits, &report), HEALTH_KEPT);
    report = (struct health_report){ .counts = { [HEALTH_SUCCESS] = 1 } };
    cr_expect_eq(health_take_report(&node, &limits, &report), HEALTH_BECAME_HEALTHY);
}
