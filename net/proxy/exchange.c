/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/answer.h"
#include "net/proxy/client.h"
#include "net/proxy/exchange_events.h"
#include "net/proxy/exchange_steps.h"
#include "net/proxy/origin.h"

#include <stdlib.h>

enum { SPARE_EXCHANGES = 1024 };

/* --- the walk ------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    enum step_result (*run)(struct exchange *);
} steps[] = {
#define STEP(id, function) [STEP_##id] = { #function, step_##function },
    EXCHANGE_STEPS(STEP)
#undef STEP
};

_Static_assert(COUNT_OF(steps) == STEP_COUNT, "a function per step");

static void exchange_check(const struct exchange *exchange)
{
    CHECK(exchange->step < STEP_COUNT);
    CHECK(exchange->snapshot != NULL);
    CHECK(!exchange->waiting || !exchange->running || exchange->step == STEP_ACCESS ||
          exchange->step == STEP_REWRITE);
    CHECK(exchange->step >= STEP_PICK || exchange->origin == NULL);
}

void exchange_run(struct exchange *exchange)
{
    if (exchange->running || exchange->waiting)
        return;
    exchange->running = true;
    for (;;) {
        exchange_check(exchange);
        switch (steps[exchange->step].run(exchange)) {
        case STEP_RESULT_NEXT: exchange->step++; break;
        case STEP_RESULT_JUMP: break;
        case STEP_RESULT_WAIT: exchange->running = false; return;
        case STEP_RESULT_DONE: return;
        }
    }
}

enum step_result exchange_jump(struct exchange *exchange, enum exchange_step step)
{
    exchange->step = step;
    return STEP_RESULT_JUMP;
}

enum step_result exchange_answer_from_below(struct exchange *exchange, int status, struct slice message)
{
    if (exchange->origin)
        origin_detach(exchange->origin, ORIGIN_DROP);
    answer_error(exchange, status, message, ANSWER_FROM_BELOW);
    return exchange_jump(exchange, STEP_RESPONSE_HEAD);
}

enum step_result exchange_answer_upstream_error(struct exchange *exchange, int status, enum error error)
{
    enum step_result result = exchange_answer_from_below(exchange, status, (struct slice){ NULL, 0 });
    exchange->reason = slice_of(error_text(error));
    return result;
}

/* It is the plugin's answer, so nothing is told of an upstream that may have been chosen already. */
enum step_result exchange_answer_long_body(struct exchange *exchange)
{
    if (exchange->origin)
        origin_detach(exchange->origin, ORIGIN_DROP);
    exchange->tries = 0;
    exchange->client_closes = true;
    answer_error(exchange, 413, exchange->body_limit_message, ANSWER_FROM_PLUGIN);
    return exchange_jump(exchange, STEP_RESPONSE_HEAD);
}

void exchange_resume(struct exchange *exchange, enum verdict verdict)
{
    CHECK(exchange->waiting);
    CHECK(verdict != VERDICT_WAIT);
    exchange->waiting = false;
    list_remove(&exchange->waiting_node);
    exchange->chain_position++;
    if (exchange->aborted)
        exchange->step = STEP_LOG;
    else if (verdict == VERDICT_RESPOND)
        exchange->step = STEP_RESPONSE_HEAD;
    exchange_run(exchange);
}

/* --- life ----------------------------------------------------------------------------------------------- */

/* Unique, not secret: a sequence under a random key, mixed so that it looks like one (splitmix64). */
static uint64_t mix(uint64_t value)
{
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9u;
    value = (value ^ value >> 27) * 0x94d049bb133111ebu;
    return value ^ value >> 31;
}

/* The eight hexadecimal digits of a word, all at once: each nibble in a byte of its own, the lowest first,
 * and 'a' - '0' - 10 more where it is above 9. */
static void write_hex(char *out, uint32_t word)
{
    uint64_t nibbles = word;
    nibbles = (nibbles | nibbles << 16) & 0x0000ffff0000ffffu;
    nibbles = (nibbles | nibbles << 8) & 0x00ff00ff00ff00ffu;
    nibbles = (nibbles | nibbles << 4) & 0x0f0f0f0f0f0f0f0fu;
    uint64_t letters = (nibbles + 0x0606060606060606u) >> 4 & 0x0101010101010101u;
    nibbles += 0x3030303030303030u + letters * ('a' - '0' - 10);
    memcpy(out, &nibbles, sizeof(nibbles));
}

static void draw_request_id(struct exchange *exchange)
{
    struct proxy *proxy = exchange->proxy;
    proxy->request_id[1] += 0x9e3779b97f4a7c15u;
    uint64_t words[2] = { mix(proxy->request_id[0] ^ proxy->request_id[1]),
                          mix(proxy->request_id[0] + ~proxy->request_id[1]) };
    for (unsigned i = 0; i < REQUEST_ID_SIZE / 8; i++)
        write_hex(exchange->request_id + i * 8, (uint32_t)(words[i / 2] >> i % 2 * 32));
}

static void count_in(const struct exchange *exchange)
{
    struct metrics *metrics = &exchange->proxy->shard->metrics;
    metric_add(metrics, exchange->is_stream ? METRIC_STREAMS : METRIC_REQUESTS, 1);
    metric_add(metrics, exchange->is_stream ? METRIC_STREAMS_ACTIVE : METRIC_REQUESTS_ACTIVE, 1);
}

struct exchange *exchange_open(struct proxy *proxy, struct caller *caller)
{
    const struct client *client = caller->client;
    struct exchange *exchange = proxy->spare_exchanges;
    if (exchange) {
        proxy->spare_exchanges = exchange->next_spare;
        proxy->spare_exchange_count--;
    } else {
        exchange = malloc(sizeof(*exchange));
    }
    if (exchange == NULL)
        return NULL;
    memset(exchange, 0, offsetof(struct exchange, request_id));
    exchange->proxy = proxy;
    exchange->caller = caller;
    exchange->snapshot = proxy->snapshot;
    exchange->tls = client->tls;
    exchange->style = (uint8_t)proxy->snapshot->model->style;
    exchange->port = client->listener->port;
    exchange->is_stream = client->listener->streams;
    exchange->datagrams = client->listener->datagrams;
    exchange->start_ns = proxy->shard->now_ns;
    exchange->wall_ms = proxy->shard->wall_ms;
    exchange->replayable = true;
    chunk_queue_init(&exchange->body);
    chunk_queue_init(&exchange->replay);
    chunk_queue_init(&exchange->filtered);
    arena_init(&exchange->arena, exchange->page, sizeof(exchange->page), proxy->options->exchange_bytes);
    message_init(&exchange->request, &exchange->arena);
    if (exchange->tls && client->connection.tls->name)
        exchange->server_name = arena_copy(&exchange->arena, slice_of(client->connection.tls->name));
    draw_request_id(exchange);
    snapshot_take(exchange->snapshot, proxy->shard->index);
    count_in(exchange);
    return exchange;
}

void exchange_close(struct exchange *exchange)
{
    struct proxy *proxy = exchange->proxy;
    CHECK(exchange->origin == NULL);
    if (exchange->deadline.fire)
        timer_disarm(&proxy->shard->timers, &exchange->deadline);
    if (exchange->filters)
        exchange_close_filters(exchange);
    chunk_queue_clear(&exchange->body);
    chunk_queue_clear(&exchange->replay);
    chunk_release(&exchange->replayed);
    chunk_queue_clear(&exchange->filtered);
    chunk_release(&exchange->read_body);
    arena_deinit(&exchange->arena);
    snapshot_release(exchange->snapshot, proxy->shard->index, proxy->snapshot);
    metric_add(&proxy->shard->metrics, exchange->is_stream ? METRIC_STREAMS_ACTIVE : METRIC_REQUESTS_ACTIVE,
               -1);
    if (proxy->spare_exchange_count >= SPARE_EXCHANGES) {
        free(exchange);
        return;
    }
    exchange->next_spare = proxy->spare_exchanges;
    proxy->spare_exchanges = exchange;
    proxy->spare_exchange_count++;
}

void exchange_abandon_waiting(struct proxy *proxy)
{
    while (!list_is_empty(&proxy->waiting)) {
        struct exchange *exchange = CONTAINER_OF(proxy->waiting.next, struct exchange, waiting_node);
        list_remove(&exchange->waiting_node);
        exchange_close(exchange);
    }
}

void exchange_client_gone(struct exchange *exchange)
{
    exchange->caller = NULL;
    exchange->aborted = true;
    metric_add(&exchange->proxy->shard->metrics, METRIC_REQUESTS_ABORTED, 1);
    if (exchange->origin) /* who is gone has not ended what it said */
        origin_detach(exchange->origin, exchange->tunnel ? ORIGIN_CUT : ORIGIN_DROP);
    if (exchange->waiting)
        return;
    exchange->step = STEP_LOG;
    exchange_run(exchange);
}

/* A client whose exchange cannot be answered any more. */
static void cut_client(struct exchange *exchange)
{
    caller_done(exchange->caller, CALLER_CUT);
    exchange_client_gone(exchange);
}

void exchange_refuse(struct exchange *exchange, int status, struct slice message)
{
    if (exchange->status != 0 || exchange->waiting) {
        cut_client(exchange);
        return;
    }
    exchange->client_closes = true;
    if (exchange->chain == NULL)
        exchange->chain = exchange->snapshot->no_route;
    (void)exchange_answer_from_below(exchange, status, message);
    exchange_run(exchange);
}
