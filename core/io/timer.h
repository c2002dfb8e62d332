/* SPDX-License-Identifier: Apache-2.0 */
/* A wheel of timers embedded in their owners: arming never allocates and never fails. Moving a timer later
 * costs one store (it is looked at again when its old time comes). Resolution is one millisecond, firing
 * is never early. One wheel per shard. */
#pragma once

#include "core/base/list.h"

#include <stdint.h>

struct timer;
typedef void timer_fire_fn(struct timer *timer);

struct timer {
    struct list_node node;
    uint64_t listed_ms; /* the time it is listed under */
    uint64_t expires_ms; /* 0: not armed */
    timer_fire_fn *fire;
};

enum { TIMER_SLOTS = 4096 };

struct timer_wheel {
    struct list_node slots[TIMER_SLOTS];
    uint64_t due_ms[TIMER_SLOTS]; /* nothing in the slot is listed before this */
    uint64_t now_ms;
    uint64_t next_ms; /* nothing is listed before this */
    uint32_t listed_count;
};

void timer_wheel_init(struct timer_wheel *wheel, uint64_t now_ms);
void timer_init(struct timer *timer, timer_fire_fn *fire);
void timer_arm(struct timer_wheel *wheel, struct timer *timer, uint64_t expires_ms);
void timer_disarm(struct timer_wheel *wheel, struct timer *timer); /* legal when not armed */

/* Will not fire until armed again, but stays listed: cheaper than leaving the wheel for a moment. Only for an
 * armed timer that is disarmed before its memory goes. */
static inline void timer_rest(struct timer *timer)
{
    timer->expires_ms = UINT64_MAX;
}

static inline int timer_is_armed(const struct timer *timer)
{
    return timer->expires_ms != 0;
}

/* Fires everything due. A timer may arm, disarm or free itself and others in its handler. */
void timer_wheel_advance(struct timer_wheel *wheel, uint64_t now_ms);

/* When to look again, in wheel time; UINT64_MAX when nothing is listed. May be early, never late. */
uint64_t timer_wheel_next_ms(struct timer_wheel *wheel);
