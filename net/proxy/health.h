/* SPDX-License-Identifier: Apache-2.0 */
/* Is an address healthy? Kong's state machine, pure: reports of what happened go in, flips come out. A shard
 * keeps one per endpoint for what its own requests see; the monitor keeps one per address for the node, fed
 * by its probes and by the shards' reports. Each is used by the thread that owns it only. */
#pragma once

#include "config/upstream.h"
#include "net/transport/address.h"

enum health_event {
    HEALTH_SUCCESS,
    HEALTH_HTTP_FAILURE, /* an answer with a status of the unhealthy ones */
    HEALTH_TCP_FAILURE, /* no connection, or one that broke */
    HEALTH_TIMEOUT,
    HEALTH_EVENT_COUNT
};

/* The middle states count as their side: an address takes traffic in the first two. */
enum health_state { HEALTH_HEALTHY, HEALTH_MOSTLY_HEALTHY, HEALTH_MOSTLY_UNHEALTHY, HEALTH_UNHEALTHY };

/* All zero: healthy, nothing counted. */
struct health {
    uint8_t state; /* enum health_state */
    uint32_t counts[HEALTH_EVENT_COUNT];
};

enum health_flip { HEALTH_KEPT, HEALTH_BECAME_HEALTHY, HEALTH_BECAME_UNHEALTHY };

static inline bool health_is_good(const struct health *health)
{
    return health->state <= HEALTH_MOSTLY_HEALTHY;
}

/* Settles it by decree (an administrator, the node for a shard) and forgets what was counted. */
void health_set(struct health *health, bool healthy);

/* `count` events of one kind. A kind whose limit is 0 is not looked at; nor is an event that says what is
 * settled already. A success clears the failures and a failure the successes - so that with successes == 0,
 * where successes are not looked at, failures add up over any time: Kong's rule. */
enum health_flip health_take(struct health *health, const struct health_limits *limits,
                             enum health_event event, uint32_t count);

/* Are events of that kind looked at? */
bool health_counts(const struct health_limits *limits, enum health_event event);

/* What a response's status says; false: nothing. */
bool health_event_of_status(const struct health_limits *limits, int status, enum health_event *event);

/* What one shard has seen of one address since its last report, for the node's view: the sum over shards
 * decides. */
struct health_report {
    char key[MODEL_ID_SIZE]; /* the upstream's id */
    struct address address;
    uint32_t counts[HEALTH_EVENT_COUNT]; /* successes came before the failures */
    bool ejected; /* by its own counts the shard sends it nothing any more */
};

/* Takes a shard's report by the passive limits. A shard that has ejected the address is believed: the node
 * agrees at once, so that its later recovery (a probe's) reaches the shard as a change. */
enum health_flip health_take_report(struct health *health, const struct health_limits *limits,
                                    const struct health_report *report);
