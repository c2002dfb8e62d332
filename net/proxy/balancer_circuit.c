/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/balancer_circuit.h"

#include "net/proxy/exchange_steps.h"
#include "net/proxy/origin.h"

#include <math.h>

/* An exchange in line for a connection; in its arena, made when it first has to wait. */
struct balancer_wait {
    struct list_node node; /* balancer->pending */
    struct timer timer;
    struct exchange *exchange;
    uint64_t until_ms;
    bool called; /* its turn has come */
};

static struct metrics *metrics_of(const struct balancer *balancer)
{
    return &balancer->table->proxy->shard->metrics;
}

/* --- requests ------------------------------------------------------------------------------------------- */

bool balancer_enter(struct balancer *balancer, struct exchange *exchange)
{
    uint32_t limit = balancer->rules.circuit.requests;
    if (limit > 0 && balancer->active >= limit) {
        metric_add(metrics_of(balancer), METRIC_UPSTREAM_OVERFLOWS, 1);
        return false;
    }
    balancer->active++;
    exchange->balancer = balancer;
    return true;
}

static void let_go_of_endpoint(struct exchange *exchange)
{
    struct endpoint *endpoint = exchange->endpoint;
    if (endpoint == NULL)
        return;
    exchange->endpoint = NULL;
    endpoint->active--;
    if (__builtin_expect(endpoint->balancer == NULL, 0))
        endpoint_release(endpoint);
}

void balancer_choose(struct exchange *exchange, struct endpoint *endpoint)
{
    endpoint->active++;
    let_go_of_endpoint(exchange);
    exchange->endpoint = endpoint;
}

static void stop_waiting(struct exchange *exchange)
{
    struct balancer_wait *wait = exchange->wait;
    if (wait == NULL || list_is_empty(&wait->node))
        return;
    list_remove(&wait->node);
    timer_disarm(&exchange->proxy->shard->timers, &wait->timer);
    exchange->balancer->pending_count--;
    metric_add(metrics_of(exchange->balancer), METRIC_UPSTREAM_PENDING, -1);
}

void balancer_leave(struct exchange *exchange)
{
    struct balancer *balancer = exchange->balancer;
    if (balancer == NULL)
        return;
    if (exchange->wait)
        stop_waiting(exchange);
    let_go_of_endpoint(exchange);
    balancer->active--;
    balancer->retrying -= exchange->retrying;
    exchange->retrying = false;
    exchange->balancer = NULL;
}

/* --- waiting for a connection --------------------------------------------------------------------------- */

static bool has_room(const struct balancer *balancer)
{
    return balancer->connections < balancer->rules.circuit.connections || balancer->idle_count > 0;
}

/* Its place in the line is not the upstream's failure: nobody's health suffers. */
static void give_up(struct timer *timer)
{
    struct exchange *exchange = CONTAINER_OF(timer, struct balancer_wait, timer)->exchange;
    stop_waiting(exchange);
    (void)exchange_answer_from_below(exchange, 504, (struct slice){ NULL, 0 });
    exchange->reason = SLICE("no connection to the upstream became free in time");
    exchange_run(exchange);
}

static enum admission refuse(struct balancer *balancer)
{
    metric_add(metrics_of(balancer), METRIC_UPSTREAM_OVERFLOWS, 1);
    return ADMISSION_REFUSED;
}

static enum admission wait_in_line(struct exchange *exchange)
{
    struct balancer *balancer = exchange->balancer;
    struct balancer_wait *wait = exchange->wait;
    uint32_t limit = balancer->rules.circuit.pending;
    bool first_of_line = wait && wait->called; /* it was its turn, but somebody took the place */
    if (limit > 0 && balancer->pending_count >= limit && !first_of_line)
        return refuse(balancer);
    if (wait == NULL) {
        wait = exchange->wait = arena_alloc_zero(&exchange->arena, sizeof(*wait));
        if (wait == NULL)
            return refuse(balancer);
        wait->exchange = exchange;
        timer_init(&wait->timer, give_up);
    }
    struct shard *shard = exchange->proxy->shard;
    if (first_of_line) {
        list_prepend(&balancer->pending, &wait->node);
    } else {
        list_append(&balancer->pending, &wait->node);
        wait->until_ms = shard->now_ms + (uint64_t)exchange->service->service->connect_timeout_ms;
    }
    wait->called = false;
    balancer->pending_count++;
    metric_add(metrics_of(balancer), METRIC_UPSTREAM_PENDING, 1);
    timer_arm(&shard->timers, &wait->timer, wait->until_ms);
    return ADMISSION_WAITS;
}

/* The turn is used up: another try stands in line like everybody else, and as long. */
static enum admission admit(struct exchange *exchange)
{
    if (exchange->wait)
        exchange->wait->called = false;
    return ADMITTED;
}

enum admission balancer_admit(struct exchange *exchange)
{
    struct balancer *balancer = exchange->balancer;
    struct endpoint *endpoint = exchange->endpoint;
    bool called = exchange->wait && exchange->wait->called;
    if (balancer->rules.circuit.connections == 0)
        return admit(exchange);
    if (!called && !list_is_empty(&balancer->pending))
        return wait_in_line(exchange);
    if (endpoint->idle_count > 0 || balancer->connections < balancer->rules.circuit.connections)
        return admit(exchange);
    /* Another endpoint's idle connection has to go first. */
    for (uint32_t i = 0; balancer->idle_count > 0 && i < balancer->count; i++)
        if (origin_close_oldest(balancer->endpoints[i]))
            break;
    return wait_in_line(exchange);
}

void balancer_connection_freed(struct balancer *balancer)
{
    if (!list_is_empty(&balancer->pending))
        shard_defer(balancer->table->proxy->shard, &balancer->wake);
}

void balancer_wake(struct shard_task *task)
{
    struct balancer *balancer = CONTAINER_OF(task, struct balancer, wake);
    bool limited = balancer->rules.circuit.connections > 0;
    for (uint32_t left = balancer->pending_count; left > 0; left--) {
        if (list_is_empty(&balancer->pending) || (limited && !has_room(balancer)))
            return;
        struct list_node *first = balancer->pending.next;
        struct balancer_wait *wait = CONTAINER_OF(first, struct balancer_wait, node);
        stop_waiting(wait->exchange);
        wait->called = true;
        exchange_run(wait->exchange);
        if (balancer->pending.next == first)
            return; /* still the first: it waits for another endpoint's connection to close */
    }
}

/* --- retries -------------------------------------------------------------------------------------------- */

bool balancer_allows_retry(struct exchange *exchange)
{
    struct balancer *balancer = exchange->balancer;
    const struct retry_budget *budget = &exchange->service->service->retry_budget;
    uint32_t others = balancer->retrying - exchange->retrying, limit = balancer->rules.circuit.retries;
    bool allowed = limit == 0 || others < limit;
    if (!isnan(budget->percent)) {
        double most = budget->percent / 100 * balancer->active;
        if (most < (double)budget->min_retries)
            most = (double)budget->min_retries;
        allowed = allowed && others + 1 <= most;
    }
    if (!allowed) {
        metric_add(metrics_of(balancer), METRIC_RETRIES_REFUSED, 1);
        return false;
    }
    balancer->retrying += !exchange->retrying;
    exchange->retrying = true;
    return true;
}
