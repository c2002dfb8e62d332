/* SPDX-License-Identifier: Apache-2.0 */
/* The middle of the walk: an endpoint, a connection to it, and another try when that has failed. */
#include "net/proxy/action.h"
#include "net/proxy/answer.h"
#include "net/proxy/answer_grpc.h"
#include "net/proxy/balancer_circuit.h"
#include "net/proxy/balancer_key.h"
#include "net/proxy/exchange_events.h"
#include "net/proxy/exchange_notes.h"
#include "net/proxy/exchange_steps.h"
#include "net/proxy/origin.h"
#include "net/proxy/udp_session.h"

static const struct slice none = { NULL, 0 };

/* --- an endpoint ---------------------------------------------------------------------------------------- */

static enum step_result answer_plainly(struct exchange *exchange, struct slice message)
{
    answer_error(exchange, 503, message, ANSWER_FROM_PLUGIN);
    return exchange_jump(exchange, STEP_RESPONSE_HEAD);
}

/* Counts the exchange in with the balancer of its service, and reads what that one chooses by. */
static enum step_result enter_balancer(struct exchange *exchange)
{
    struct proxy *proxy = exchange->proxy;
    struct snapshot *snapshot = exchange->snapshot;
    const struct upstream *upstream = exchange->service->service->upstream;
    struct balancer *balancer = snapshot->balancers[proxy->shard->index][upstream->entity.index];
    if (__builtin_expect(balancer == NULL, 0))
        balancer = balancer_find(&proxy->balancers, snapshot, upstream);
    if (balancer == NULL)
        return exchange_answer_from_below(exchange, 503, none);
    if (!balancer_enter(balancer, exchange))
        return answer_plainly(exchange, SLICE("the upstream has too many requests"));
    if (balancer->rules.keyed && !balancer_read_key(exchange))
        return exchange_answer_from_below(exchange, 503, none);
    return STEP_RESULT_NEXT;
}

/* As Kong words it. */
static enum step_result answer_no_endpoint(struct exchange *exchange)
{
    if (exchange->tries > 0)
        return exchange_answer_from_below(exchange, 503, none);
    if (exchange->balancer->count == 0 && exchange->service->service->upstream->implicit)
        return answer_plainly(exchange, SLICE("name resolution failed"));
    return answer_plainly(exchange, SLICE("failure to get a peer from the ring-balancer"));
}

/* The time for all tries together is over, in whichever of them. */
static void deadline_fired(struct timer *timer)
{
    struct exchange *exchange = CONTAINER_OF(timer, struct exchange, deadline);
    exchange->deadline_passed = true;
    if (exchange->origin) {
        exchange_origin_failed(exchange, ERROR_TIMEOUT);
    } else if (exchange->status == 0 && exchange->step == STEP_CONNECT) { /* in line for a connection */
        exchange->failure = ERROR_TIMEOUT;
        balancer_leave(exchange);
        (void)exchange_answer_upstream_error(exchange, 504, ERROR_TIMEOUT);
        exchange_run(exchange);
    }
}

static void begin_deadline(struct exchange *exchange)
{
    const struct action *action = exchange->match.route->action;
    struct shard *shard = exchange->proxy->shard;
    uint64_t timeout_ms = action && action->timeout_ms > 0 ? (uint64_t)action->timeout_ms : 0;
    if (exchange->deadline.fire)
        return;
    if (origin_speaks_http2(exchange->service->service)) {
        uint64_t asked_ms = grpc_timeout_of(&exchange->request);
        timeout_ms = timeout_ms == 0 || (asked_ms && asked_ms < timeout_ms) ? asked_ms : timeout_ms;
    }
    if (timeout_ms == 0)
        return;
    timer_init(&exchange->deadline, deadline_fired);
    timer_arm(&shard->timers, &exchange->deadline, shard->now_ms + timeout_ms);
}

enum step_result step_pick(struct exchange *exchange)
{
    if (exchange->tries == 0)
        exchange->upstream_start_ns = exchange->proxy->shard->now_ns;
    begin_deadline(exchange);
    if (exchange->balancer == NULL) {
        enum step_result result = enter_balancer(exchange);
        if (result != STEP_RESULT_NEXT)
            return result;
    }
    struct endpoint *endpoint = balancer_pick(exchange->balancer, &exchange->choice);
    if (endpoint == NULL)
        return answer_no_endpoint(exchange);
    balancer_choose(exchange, endpoint);
    if (exchange->balancer->rules.balance == BALANCE_STICKY && !balancer_stick(exchange, endpoint))
        return exchange_answer_from_below(exchange, 503, none);
    return STEP_RESULT_NEXT;
}

/* --- a connection --------------------------------------------------------------------------------------- */

uint64_t exchange_try_time(const struct exchange *exchange, uint64_t timeout_ms)
{
    const struct action *action = exchange->match.route->action;
    int64_t most_ms =
        action && action->retry ? action->retry->per_try_ms : exchange->service->service->per_try_timeout_ms;
    if (most_ms <= 0 || exchange->upstream_head_ns != 0 || !exchange->request_complete)
        return timeout_ms;
    uint64_t passed_ms = (exchange->proxy->shard->now_ns - exchange->try_start_ns) / 1000000u;
    uint64_t left_ms = passed_ms < (uint64_t)most_ms ? (uint64_t)most_ms - passed_ms : 1;
    return timeout_ms == 0 || left_ms < timeout_ms ? left_ms : timeout_ms;
}

static enum step_result take_origin(struct exchange *exchange)
{
    switch (balancer_admit(exchange)) {
    case ADMITTED: break;
    case ADMISSION_WAITS: return STEP_RESULT_WAIT;
    case ADMISSION_REFUSED:
        return answer_plainly(exchange, SLICE("the upstream has too many requests waiting"));
    }
    exchange->tries++;
    exchange->try_start_ns = exchange->proxy->shard->now_ns;
    enum error error = origin_take(exchange);
    exchange_note_try(exchange);
    if (error != ERROR_OK)
        return exchange_answer_upstream_error(exchange, error_http_status(error), error);
    return STEP_RESULT_NEXT;
}

static enum step_result connect_datagrams(struct exchange *exchange)
{
    exchange->tries++;
    exchange->try_start_ns = exchange->proxy->shard->now_ns;
    enum error error = udp_session_connect(exchange);
    return error == ERROR_OK ? STEP_RESULT_NEXT
                             : exchange_answer_upstream_error(exchange, error_http_status(error), error);
}

enum step_result step_connect(struct exchange *exchange)
{
    if (exchange->datagrams)
        return connect_datagrams(exchange);
    if (exchange->origin == NULL) {
        if (exchange->endpoint->balancer == NULL) /* it left while the exchange stood in line */
            return exchange_jump(exchange, STEP_PICK);
        enum step_result result = take_origin(exchange);
        if (result != STEP_RESULT_NEXT)
            return result;
    }
    if (exchange->origin->open)
        return STEP_RESULT_NEXT;
    uint64_t timeout_ms = (uint64_t)exchange->service->service->connect_timeout_ms;
    origin_limit_time(exchange->origin, exchange_try_time(exchange, timeout_ms));
    return STEP_RESULT_WAIT;
}

/* --- another try ---------------------------------------------------------------------------------------- */

/* Repeating is safe when nothing has been sent, or for methods whose repetition means no harm. */
static uint32_t retries_of(const struct exchange *exchange)
{
    const struct action *action = exchange->match.route->action;
    if (action && action->retry)
        return action->retry->retries;
    return (uint32_t)exchange->service->service->retries;
}

static bool may_repeat(const struct exchange *exchange)
{
    if (exchange->status != 0 || exchange->aborted || !exchange->replayable || exchange->deadline_passed ||
        exchange->tries > retries_of(exchange))
        return false;
    if (!exchange->upstream_sent)
        return true;
    struct slice method = action_method(exchange);
    return !slice_equal(method, SLICE("POST")) && !slice_equal(method, SLICE("PATCH")) &&
           !slice_equal(method, SLICE("LOCK"));
}

static bool rewind_body(struct exchange *exchange)
{
    struct chunk_queue rest = exchange->body;
    exchange->body = exchange->replay;
    chunk_queue_init(&exchange->replay);
    bool enough = true;
    while (rest.count > 0)
        enough = chunk_queue_push(&exchange->body, chunk_queue_pop(&rest)) && enough;
    return enough;
}

/* The next pick avoids it. Without memory it merely does not. */
static void remember_failure(struct exchange *exchange)
{
    struct balancer_choice *choice = &exchange->choice;
    uint32_t count = choice->failed_count;
    if ((count & (count - 1)) == 0) { /* full, at 0 and at each power of two */
        uint32_t *grown = arena_array(&exchange->arena, count ? (size_t)count * 2 : 1, sizeof(*grown));
        if (grown == NULL)
            return;
        if (count)
            memcpy(grown, choice->failed, count * sizeof(*grown));
        choice->failed = grown;
    }
    choice->failed[choice->failed_count++] = exchange->endpoint->serial;
}

enum try_cause { TRY_STALE, TRY_FAILED };

static enum step_result begin_try(struct exchange *exchange, enum try_cause cause)
{
    metric_add(&exchange->proxy->shard->metrics, METRIC_UPSTREAM_RETRIES, 1);
    if (cause == TRY_FAILED)
        remember_failure(exchange);
    exchange->upstream_sent = exchange->upstream_done = false;
    exchange->upstream_head_ns = 0;
    return exchange_jump(exchange, STEP_PICK);
}

bool exchange_wants_other_answer(struct exchange *exchange)
{
    const struct action *action = exchange->match.route->action;
    if (action == NULL || action->retry == NULL ||
        !action_retries(exchange, exchange->response.status, ERROR_OK) || !may_repeat(exchange) ||
        !balancer_allows_retry(exchange))
        return false;
    if (!rewind_body(exchange)) { /* what is left of the body must not follow what was sent of it */
        (void)exchange_answer_from_below(exchange, 503, none);
        return true;
    }
    origin_detach(exchange->origin, ORIGIN_DROP);
    (void)begin_try(exchange, TRY_FAILED);
    return true;
}

enum step_result exchange_try_again(struct exchange *exchange, enum error error)
{
    bool began = exchange->origin && exchange->origin->head_seen;
    bool reused = exchange->origin && exchange->origin->reused && error != ERROR_TIMEOUT;
    bool stale = reused && !began;
    exchange->failure = error;
    exchange_note_try_end(exchange, error, stale ? TRY_END_STALE : TRY_END_FAILED);
    metric_add(&exchange->proxy->shard->metrics, METRIC_UPSTREAM_FAILURES, 1);
    if (exchange->origin)
        origin_detach(exchange->origin, ORIGIN_DROP);
    /* A kept connection that the upstream had closed says nothing about the upstream: that try is not
     * counted. */
    if (stale && exchange->tries > 0)
        exchange->tries--;
    if (!stale && exchange->endpoint)
        balancer_try_failed(exchange->endpoint, error);
    bool wanted = stale || action_retries(exchange, 0, error);
    if (!began && error != ERROR_PROTOCOL && wanted && may_repeat(exchange) &&
        (stale || balancer_allows_retry(exchange)) && rewind_body(exchange))
        return begin_try(exchange, stale ? TRY_STALE : TRY_FAILED);
    if (exchange->tries == 0)
        exchange->tries = 1;
    int status = error == ERROR_TIMEOUT                                ? 504
                 : error == ERROR_MEMORY || error == ERROR_DESCRIPTORS ? 503
                                                                       : 502;
    return exchange_answer_upstream_error(exchange, status, error);
}
