/* SPDX-License-Identifier: Apache-2.0 */
#include "core/io/timer.h"

#include "core/base/check.h"

#include <criterion/criterion.h>
#include <stdlib.h>

enum { START_MS = 1000000 };

struct alarm {
    struct timer timer;
    unsigned fired;
    uint64_t fired_ms;
    struct alarm *other; /* disarmed when this one fires */
    uint64_t again_ms;   /* armed again when it fires; 0: not */
};

static struct timer_wheel wheel;

static void fire(struct timer *timer)
{
    struct alarm *alarm = CONTAINER_OF(timer, struct alarm, timer);
    alarm->fired++;
    alarm->fired_ms = wheel.now_ms;
    if (alarm->other)
        timer_disarm(&wheel, &alarm->other->timer);
    if (alarm->again_ms)
        timer_arm(&wheel, timer, alarm->again_ms);
}

static void start(void)
{
    timer_wheel_init(&wheel, START_MS);
}

TestSuite(timer, .init = start);

static void make(struct alarm *alarm, uint64_t after_ms)
{
    *alarm = (struct alarm){ .fired = 0 };
    timer_init(&alarm->timer, fire);
    if (after_ms)
        timer_arm(&wheel, &alarm->timer, START_MS + after_ms);
}

/* Millisecond by millisecond, and in jumps: never early, and at the first look after the time. */
Test(timer, fires_in_time_whatever_the_steps)
{
    static const uint64_t steps[] = { 1, 3, 100, 4095, 4096, 4097, 50000 };
    static const uint64_t after_ms[] = { 1, 2, 99, 100, 4095, 4096, 4097, 8192, 20000, 100000 };
    for (size_t s = 0; s < COUNT_OF(steps); s++) {
        struct alarm alarms[COUNT_OF(after_ms)];
        start();
        for (size_t i = 0; i < COUNT_OF(after_ms); i++)
            make(&alarms[i], after_ms[i]);
        for (uint64_t now_ms = START_MS; now_ms < START_MS + 110000 + steps[s]; now_ms += steps[s])
            timer_wheel_advance(&wheel, now_ms);
        for (size_t i = 0; i < COUNT_OF(after_ms); i++) {
            uint64_t late_ms = alarms[i].fired_ms - START_MS - after_ms[i];
            cr_expect_eq(alarms[i].fired, 1, "step %zu, timer %zu", s, i);
            cr_expect(late_ms < steps[s], "step %zu, timer %zu: %ld", s, i, (long)late_ms);
            cr_expect_not(timer_is_armed(&alarms[i].timer));
        }
        cr_expect_eq(timer_wheel_next_ms(&wheel), UINT64_MAX);
    }
}

Test(timer, a_time_that_has_passed_fires_at_the_next_millisecond)
{
    struct alarm alarm;
    make(&alarm, 0);
    timer_arm(&wheel, &alarm.timer, 5);
    cr_assert_eq(timer_wheel_next_ms(&wheel), START_MS + 1);
    timer_wheel_advance(&wheel, START_MS);
    cr_assert_eq(alarm.fired, 0);
    timer_wheel_advance(&wheel, START_MS + 1);
    cr_assert_eq(alarm.fired, 1);
}

Test(timer, moves_later_and_earlier)
{
    static const struct {
        uint64_t first_ms, second_ms;
    } cases[] = {
        { 10, 5000 }, { 5000, 10 }, { 10, 10 }, { 10, 10 + TIMER_SLOTS }, { 10 + TIMER_SLOTS, 10 }
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct alarm alarm;
        start();
        make(&alarm, cases[i].first_ms);
        timer_arm(&wheel, &alarm.timer, START_MS + cases[i].second_ms);
        for (uint64_t at_ms = 1; at_ms < 10000; at_ms++)
            timer_wheel_advance(&wheel, START_MS + at_ms);
        cr_expect_eq(alarm.fired, 1);
        cr_expect_eq(alarm.fired_ms, START_MS + cases[i].second_ms, "%zu", i);
    }
}

Test(timer, a_resting_one_does_not_fire_until_armed_again)
{
    struct alarm alarm;
    make(&alarm, 10);
    timer_rest(&alarm.timer);
    for (uint64_t at_ms = 1; at_ms < 3 * TIMER_SLOTS; at_ms++)
        timer_wheel_advance(&wheel, START_MS + at_ms);
    cr_assert_eq(alarm.fired, 0);
    timer_arm(&wheel, &alarm.timer, START_MS + 20000);
    for (uint64_t at_ms = 3 * TIMER_SLOTS; at_ms < 30000; at_ms += 7)
        timer_wheel_advance(&wheel, START_MS + at_ms);
    cr_assert_eq(alarm.fired, 1);
    cr_assert(alarm.fired_ms >= START_MS + 20000 && alarm.fired_ms < START_MS + 20007);
}

Test(timer, disarming_is_legal_at_any_time)
{
    struct alarm first, second, third;
    make(&first, 10);
    make(&second, 10);
    make(&third, 10);
    first.other = &second; /* due at the same time, after it */
    third.other = &third;  /* not armed any more when it fires */
    timer_wheel_advance(&wheel, START_MS + 10);
    cr_assert_eq(first.fired, 1);
    cr_assert_eq(second.fired, 0);
    cr_assert_eq(third.fired, 1);
    timer_disarm(&wheel, &second.timer);
    cr_assert_eq(wheel.listed_count, 0);
}

Test(timer, may_arm_itself_for_now_without_firing_twice_in_a_turn)
{
    struct alarm alarm;
    make(&alarm, 10);
    alarm.again_ms = START_MS + 10;
    for (unsigned turn = 1; turn <= 3; turn++) {
        timer_wheel_advance(&wheel, START_MS + 9 + turn);
        timer_wheel_advance(&wheel, START_MS + 9 + turn);
        cr_assert_eq(alarm.fired, turn);
    }
    timer_disarm(&wheel, &alarm.timer);
}

Test(timer, says_when_to_look_again)
{
    struct alarm near, far;
    cr_assert_eq(timer_wheel_next_ms(&wheel), UINT64_MAX);
    make(&far, 3000);
    cr_assert_eq(timer_wheel_next_ms(&wheel), START_MS + 3000);
    make(&near, 50);
    cr_assert_eq(timer_wheel_next_ms(&wheel), START_MS + 50);
    timer_disarm(&wheel, &near.timer);
    timer_wheel_advance(&wheel, START_MS + 60);
    uint64_t next_ms = timer_wheel_next_ms(&wheel);
    cr_assert(next_ms > START_MS + 60 && next_ms <= START_MS + 3000);
    timer_wheel_advance(&wheel, START_MS + 3000);
    cr_assert_eq(far.fired, 1);
}

/* Against a plain list: no timer fires early, twice, or later than the look after its time. */
Test(timer, random_arming_agrees_with_a_plain_list)
{
    enum { COUNT = 200, TURNS = 20000 };
    static struct alarm alarms[COUNT];
    uint64_t due_ms[COUNT] = { 0 }, now_ms = START_MS;
    unsigned seed = 7;
    for (size_t i = 0; i < COUNT; i++)
        make(&alarms[i], 0);
    for (unsigned turn = 0; turn < TURNS; turn++) {
        size_t i = (size_t)rand_r(&seed) % COUNT;
        if (rand_r(&seed) % 4 == 0) {
            timer_disarm(&wheel, &alarms[i].timer);
            due_ms[i] = 0;
        } else {
            due_ms[i] = now_ms + 1 + (uint64_t)rand_r(&seed) % (rand_r(&seed) % 8 ? 300 : 20000);
            timer_arm(&wheel, &alarms[i].timer, due_ms[i]);
        }
        uint64_t next_ms = timer_wheel_next_ms(&wheel);
        now_ms += (uint64_t)rand_r(&seed) % (turn % 100 ? 10 : 6000);
        timer_wheel_advance(&wheel, now_ms);
        for (i = 0; i < COUNT; i++) {
            bool due = due_ms[i] != 0 && due_ms[i] <= now_ms;
            cr_assert_eq(alarms[i].fired, due, "turn %u, timer %zu", turn, i);
            cr_assert(!due || next_ms <= due_ms[i], "turn %u: to be looked at too late", turn);
            alarms[i].fired = 0;
            due_ms[i] = due ? 0 : due_ms[i];
        }
    }
}

/* As thousands of idle connections: one in each slot, all of them due much later. */
Test(timer, those_of_later_rounds_wake_nobody)
{
    static struct alarm alarms[TIMER_SLOTS];
    unsigned wakes = 0, fired = 0;
    for (size_t i = 0; i < COUNT_OF(alarms); i++)
        make(&alarms[i], 10 * TIMER_SLOTS + i);
    for (; timer_wheel_next_ms(&wheel) < START_MS + 10 * TIMER_SLOTS; wakes++)
        timer_wheel_advance(&wheel, timer_wheel_next_ms(&wheel));
    cr_expect_leq(wakes, 11);
    for (wakes = 0; timer_wheel_next_ms(&wheel) != UINT64_MAX; wakes++)
        timer_wheel_advance(&wheel, timer_wheel_next_ms(&wheel));
    for (size_t i = 0; i < COUNT_OF(alarms); i++)
        fired += alarms[i].fired == 1 && alarms[i].fired_ms == START_MS + 10 * TIMER_SLOTS + i;
    cr_expect_eq(fired, TIMER_SLOTS);
    cr_expect_leq(wakes, TIMER_SLOTS + 11);
}
