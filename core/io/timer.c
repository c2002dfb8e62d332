/* SPDX-License-Identifier: Apache-2.0 */
#include "core/io/timer.h"

#include "core/base/check.h"

void timer_wheel_init(struct timer_wheel *wheel, uint64_t now_ms)
{
    for (unsigned i = 0; i < TIMER_SLOTS; i++) {
        list_init(&wheel->slots[i]);
        wheel->due_ms[i] = UINT64_MAX;
    }
    wheel->now_ms = now_ms;
    wheel->next_ms = UINT64_MAX;
    wheel->listed_count = 0;
}

void timer_init(struct timer *timer, timer_fire_fn *fire)
{
    *timer = (struct timer){ .fire = fire };
    list_init(&timer->node);
}

static void enlist(struct timer_wheel *wheel, struct timer *timer)
{
    /* Not into a slot that has been passed in this round: the earliest is the next millisecond. */
    uint64_t at_ms = timer->expires_ms > wheel->now_ms ? timer->expires_ms : wheel->now_ms + 1;
    timer->listed_ms = at_ms;
    list_append(&wheel->slots[at_ms % TIMER_SLOTS], &timer->node);
    wheel->listed_count++;
    if (at_ms < wheel->due_ms[at_ms % TIMER_SLOTS])
        wheel->due_ms[at_ms % TIMER_SLOTS] = at_ms;
    if (at_ms < wheel->next_ms)
        wheel->next_ms = at_ms;
}

static void delist(struct timer_wheel *wheel, struct timer *timer)
{
    if (list_is_empty(&timer->node))
        return;
    list_remove(&timer->node);
    wheel->listed_count--;
}

void timer_arm(struct timer_wheel *wheel, struct timer *timer, uint64_t expires_ms)
{
    CHECK(expires_ms > 0);
    timer->expires_ms = expires_ms;
    if (!list_is_empty(&timer->node)) {
        if (timer->listed_ms <= expires_ms)
            return;
        delist(wheel, timer);
    }
    enlist(wheel, timer);
}

void timer_disarm(struct timer_wheel *wheel, struct timer *timer)
{
    timer->expires_ms = 0;
    delist(wheel, timer);
}

static void run_slot(struct timer_wheel *wheel, uint64_t at_ms)
{
    struct list_node due;
    if (wheel->due_ms[at_ms % TIMER_SLOTS] > at_ms)
        return;
    wheel->due_ms[at_ms % TIMER_SLOTS] = UINT64_MAX;
    list_init(&due);
    list_move_all(&due, &wheel->slots[at_ms % TIMER_SLOTS]);
    while (!list_is_empty(&due)) {
        struct timer *timer = CONTAINER_OF(due.next, struct timer, node);
        delist(wheel, timer);
        if (timer->expires_ms > wheel->now_ms) {
            enlist(wheel, timer);
            continue;
        }
        timer->expires_ms = 0;
        timer->fire(timer);
    }
}

void timer_wheel_advance(struct timer_wheel *wheel, uint64_t now_ms)
{
    if (now_ms < wheel->next_ms || now_ms <= wheel->now_ms) {
        if (now_ms > wheel->now_ms)
            wheel->now_ms = now_ms;
        return;
    }
    uint64_t from_ms = wheel->next_ms;
    if (now_ms - from_ms >= TIMER_SLOTS)
        from_ms = now_ms - TIMER_SLOTS + 1;
    wheel->now_ms = now_ms;
    wheel->next_ms = UINT64_MAX;
    for (uint64_t at_ms = from_ms; at_ms <= now_ms; at_ms++)
        run_slot(wheel, at_ms);
    /* What was listed before is not in next_ms any more: look for it when asked. */
    if (wheel->listed_count > 0 && wheel->next_ms > now_ms + 1)
        wheel->next_ms = now_ms + 1;
}

uint64_t timer_wheel_next_ms(struct timer_wheel *wheel)
{
    if (wheel->listed_count == 0)
        return wheel->next_ms = UINT64_MAX;
    if (wheel->next_ms <= wheel->now_ms)
        return wheel->now_ms;
    uint64_t end_ms = wheel->now_ms + TIMER_SLOTS;
    /* Those of later rounds wake nobody: thousands of idle connections have one in each slot. */
    while (wheel->next_ms < end_ms && wheel->due_ms[wheel->next_ms % TIMER_SLOTS] > wheel->next_ms)
        wheel->next_ms++;
    return wheel->next_ms;
}
