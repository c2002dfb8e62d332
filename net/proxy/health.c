/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/health.h"

void health_set(struct health *health, bool healthy)
{
    *health = (struct health){ .state = healthy ? HEALTH_HEALTHY : HEALTH_UNHEALTHY };
}

static uint32_t limit_of(const struct health_limits *limits, enum health_event event)
{
    switch (event) {
    case HEALTH_SUCCESS: return limits->successes;
    case HEALTH_HTTP_FAILURE: return limits->http_failures;
    case HEALTH_TCP_FAILURE: return limits->tcp_failures;
    case HEALTH_TIMEOUT: return limits->timeouts;
    case HEALTH_EVENT_COUNT: break;
    }
    return 0;
}

bool health_counts(const struct health_limits *limits, enum health_event event)
{
    return limit_of(limits, event) > 0;
}

/* Counts the event and takes it for what it contradicts; the sum of its kind. */
static uint32_t count_event(struct health *health, enum health_event event, uint32_t count)
{
    uint32_t *sum = &health->counts[event];
    if (__builtin_add_overflow(*sum, count, sum))
        *sum = UINT32_MAX;
    if (event == HEALTH_SUCCESS)
        health->counts[HEALTH_HTTP_FAILURE] = health->counts[HEALTH_TCP_FAILURE] =
            health->counts[HEALTH_TIMEOUT] = 0;
    else
        health->counts[HEALTH_SUCCESS] = 0;
    return *sum;
}

enum health_flip health_take(struct health *health, const struct health_limits *limits,
                             enum health_event event, uint32_t count)
{
    uint32_t limit = limit_of(limits, event);
    bool success = event == HEALTH_SUCCESS, was_good = health_is_good(health);
    if (limit == 0 || count == 0 || health->state == (success ? HEALTH_HEALTHY : HEALTH_UNHEALTHY))
        return HEALTH_KEPT;
    if (count_event(health, event, count) >= limit)
        health->state = success ? HEALTH_HEALTHY : HEALTH_UNHEALTHY;
    else if (success && health->state == HEALTH_UNHEALTHY)
        health->state = HEALTH_MOSTLY_UNHEALTHY;
    else if (!success && health->state == HEALTH_HEALTHY)
        health->state = HEALTH_MOSTLY_HEALTHY;
    if (health_is_good(health) == was_good)
        return HEALTH_KEPT;
    return was_good ? HEALTH_BECAME_UNHEALTHY : HEALTH_BECAME_HEALTHY;
}

static bool has_status(const struct status_set *set, int status)
{
    unsigned bit = (unsigned)status;
    return bit < sizeof(set->bits) * 8 && (set->bits[bit / 64] >> bit % 64 & 1);
}

bool health_event_of_status(const struct health_limits *limits, int status, enum health_event *event)
{
    if (has_status(&limits->healthy, status))
        *event = HEALTH_SUCCESS;
    else if (has_status(&limits->unhealthy, status))
        *event = HEALTH_HTTP_FAILURE;
    else
        return false;
    return true;
}

enum health_flip health_take_report(struct health *health, const struct health_limits *limits,
                                    const struct health_report *report)
{
    bool was_good = health_is_good(health);
    for (unsigned event = 0; event < HEALTH_EVENT_COUNT; event++)
        (void)health_take(health, limits, (enum health_event)event, report->counts[event]);
    if (report->ejected && health_is_good(health))
        health_set(health, false);
    if (health_is_good(health) == was_good)
        return HEALTH_KEPT;
    return was_good ? HEALTH_BECAME_UNHEALTHY : HEALTH_BECAME_HEALTHY;
}
