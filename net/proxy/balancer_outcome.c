/* SPDX-License-Identifier: Apache-2.0 */
/* What tries tell about an endpoint: Kong's passive health checks and Envoy's ejection of outliers. */
#include "net/proxy/balancer_circuit.h"
#include "net/proxy/balancer_pick.h"
#include "net/proxy/proxy.h"

/* --- passive health ------------------------------------------------------------------------------------- */

static void report(struct endpoint *endpoint, enum health_event event)
{
    struct proxy *proxy = endpoint->proxy;
    if (proxy->report_health == NULL)
        return;
    struct health_report news = { .address = endpoint->address };
    memcpy(news.key, endpoint->balancer->id, sizeof(news.key));
    news.counts[HEALTH_SUCCESS] = endpoint->unreported_successes;
    news.counts[event]++;
    news.ejected = !health_is_good(&endpoint->health);
    endpoint->unreported_successes = 0;
    proxy->report_health(proxy, &news);
}

static void take_event(struct endpoint *endpoint, enum health_event event)
{
    struct balancer *balancer = endpoint->balancer;
    const struct health_limits *limits = &balancer->rules.passive;
    if (!health_counts(limits, event))
        return;
    bool success = event == HEALTH_SUCCESS;
    if (endpoint->health.state == (success ? HEALTH_HEALTHY : HEALTH_UNHEALTHY)) {
        /* Settled here; on the node another shard may have seen it fail, so successes go along next time. */
        endpoint->unreported_successes += success && endpoint->unreported_successes < UINT32_MAX;
        return;
    }
    enum health_flip flip = health_take(&endpoint->health, limits, event, 1);
    report(endpoint, event);
    if (flip == HEALTH_KEPT)
        return;
    if (flip == HEALTH_BECAME_UNHEALTHY)
        metric_add(&endpoint->proxy->shard->metrics, METRIC_UPSTREAM_EJECTIONS, 1);
    balancer_refresh(balancer, CHANGE_HEALTH);
}

/* --- outliers ------------------------------------------------------------------------------------------- */

static uint32_t ejected_count(const struct balancer *balancer)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < balancer->count; i++)
        count += balancer->endpoints[i]->ejected_until_ms != 0;
    return count;
}

static void arm_before(struct balancer *balancer, uint64_t time_ms)
{
    struct timer *timer = &balancer->timer;
    if (!timer_is_armed(timer) || timer->expires_ms > time_ms)
        timer_arm(&balancer->table->proxy->shard->timers, timer, time_ms);
}

static void eject(struct endpoint *endpoint)
{
    struct balancer *balancer = endpoint->balancer;
    const struct outlier_rules *rules = &balancer->rules.outlier;
    struct shard *shard = endpoint->proxy->shard;
    endpoint->consecutive_5xx = endpoint->consecutive_gateway = 0;
    if (endpoint->ejected_until_ms != 0 ||
        (uint64_t)ejected_count(balancer) * 100 >= (uint64_t)rules->max_ejection_percent * balancer->count)
        return;
    endpoint->ejection_count += endpoint->ejection_count < UINT16_MAX;
    int64_t longest_ms =
        rules->max_ejection_ms > rules->base_ejection_ms ? rules->max_ejection_ms : rules->base_ejection_ms;
    int64_t time_ms;
    if (__builtin_mul_overflow(rules->base_ejection_ms, (int64_t)endpoint->ejection_count, &time_ms) ||
        time_ms > longest_ms)
        time_ms = longest_ms;
    endpoint->ejected_until_ms = shard->now_ms + (uint64_t)(time_ms > 0 ? time_ms : 1);
    arm_before(balancer, endpoint->ejected_until_ms);
    metric_add(&shard->metrics, METRIC_UPSTREAM_EJECTIONS, 1);
    balancer_refresh(balancer, CHANGE_HEALTH);
}

/* An ejection is forgiven for every interval without one. */
static uint64_t next_look(struct endpoint *endpoint, uint64_t now_ms)
{
    int64_t interval = endpoint->balancer->rules.outlier.interval_ms;
    uint64_t interval_ms = (uint64_t)(interval > 0 ? interval : 1);
    if (endpoint->ejected_until_ms > now_ms)
        return endpoint->ejected_until_ms;
    if (endpoint->ejected_until_ms != 0) {
        endpoint->ejected_until_ms = 0;
        endpoint->forgive_at_ms = now_ms + interval_ms;
    }
    if (endpoint->ejection_count > 0 && endpoint->forgive_at_ms <= now_ms) {
        endpoint->ejection_count--;
        endpoint->forgive_at_ms = now_ms + interval_ms;
    }
    return endpoint->ejection_count > 0 ? endpoint->forgive_at_ms : UINT64_MAX;
}

void balancer_readmit(struct timer *timer)
{
    struct balancer *balancer = CONTAINER_OF(timer, struct balancer, timer);
    uint64_t now_ms = balancer->table->proxy->shard->now_ms, next_ms = UINT64_MAX;
    uint32_t ejected_before = ejected_count(balancer);
    for (uint32_t i = 0; i < balancer->count; i++) {
        uint64_t look_ms = next_look(balancer->endpoints[i], now_ms);
        if (look_ms < next_ms)
            next_ms = look_ms;
    }
    if (next_ms != UINT64_MAX)
        arm_before(balancer, next_ms);
    if (ejected_count(balancer) != ejected_before)
        balancer_refresh(balancer, CHANGE_HEALTH);
}

static void count_outcome(struct endpoint *endpoint, int status)
{
    const struct outlier_rules *rules = &endpoint->balancer->rules.outlier;
    bool is_5xx = status >= 500, is_gateway = status >= 502 && status <= 504;
    endpoint->consecutive_5xx = is_5xx ? endpoint->consecutive_5xx + 1 : 0;
    endpoint->consecutive_gateway = is_gateway ? endpoint->consecutive_gateway + 1 : 0;
    if ((rules->consecutive_5xx && endpoint->consecutive_5xx >= rules->consecutive_5xx) ||
        (rules->consecutive_gateway_failures &&
         endpoint->consecutive_gateway >= rules->consecutive_gateway_failures))
        eject(endpoint);
}

/* --- both ----------------------------------------------------------------------------------------------- */

void balancer_try_failed(struct endpoint *endpoint, enum error error)
{
    bool own = error == ERROR_MEMORY || error == ERROR_DESCRIPTORS || error == ERROR_LIMIT ||
               error == ERROR_CANCELLED;
    if (own || endpoint->balancer == NULL || !endpoint->balancer->rules.watched)
        return;
    take_event(endpoint, error == ERROR_TIMEOUT ? HEALTH_TIMEOUT : HEALTH_TCP_FAILURE);
    count_outcome(endpoint, error_http_status(error));
}

void balancer_try_answered(struct endpoint *endpoint, int status, uint64_t latency_ns)
{
    struct balancer *balancer = endpoint->balancer;
    if (balancer == NULL || !balancer->rules.watched)
        return;
    if (balancer->rules.balance == BALANCE_LATENCY)
        balancer_note_latency(endpoint, latency_ns);
    enum health_event event = HEALTH_TIMEOUT; /* what Kong takes a 504 for */
    if (status == 504 || health_event_of_status(&balancer->rules.passive, status, &event))
        take_event(endpoint, event);
    count_outcome(endpoint, status);
}
