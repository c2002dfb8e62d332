/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/balancer_pick.h"

#include "net/http/http1_write.h"
#include "net/proxy/balancer_circuit.h"
#include "net/proxy/balancer_hash.h"
#include "net/proxy/proxy.h"

#include <math.h>
#include <stdlib.h>

enum { WHEEL_MOST = 8192 /* entries, but one per endpoint at least */ };

static const double latency_decay_ns = 10e9;
static const double ramp_floor = 0.1; /* the share a slow start begins with */

static struct shard *shard_of(const struct balancer *balancer)
{
    return balancer->table->proxy->shard;
}

/* --- slow start ----------------------------------------------------------------------------------------- */

static bool is_ramping(const struct balancer *balancer)
{
    return __builtin_expect(balancer->ramp_end_ms > shard_of(balancer)->now_ms, 0);
}

/* The share of its weight that an endpoint has by now. */
static double ramp_of(const struct balancer *balancer, const struct endpoint *endpoint)
{
    double passed_ms = (double)(shard_of(balancer)->now_ms - endpoint->usable_since_ms);
    double share = passed_ms / (double)balancer->rules.slow_start_ms;
    if (endpoint->usable_since_ms == 0 || share >= 1)
        return 1;
    return share < ramp_floor ? ramp_floor : share;
}

static double weight_of(const struct balancer *balancer, const struct endpoint *endpoint, bool ramping)
{
    return (double)endpoint->weight * (ramping ? ramp_of(balancer, endpoint) : 1);
}

/* --- round robin ---------------------------------------------------------------------------------------- */

static uint32_t greatest_divisor(uint32_t a, uint32_t b)
{
    while (b > 0) {
        uint32_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* How often an endpoint stands in the wheel: weight / gcd, or less when that makes the wheel too large. */
struct wheel_scale {
    uint32_t divisor;
    uint64_t total; /* of weight / divisor */
    uint64_t most;
};

static struct wheel_scale scale_of(const struct balancer *balancer)
{
    struct wheel_scale scale = { 0 };
    for (uint32_t i = 0; i < balancer->usable_count; i++)
        scale.divisor = greatest_divisor(balancer->usable[i]->weight, scale.divisor);
    for (uint32_t i = 0; i < balancer->usable_count; i++)
        scale.total += balancer->usable[i]->weight / scale.divisor;
    scale.most = balancer->usable_count > WHEEL_MOST / 8 ? (uint64_t)balancer->usable_count * 8 : WHEEL_MOST;
    return scale;
}

static uint32_t entries_of(const struct wheel_scale *scale, const struct endpoint *endpoint)
{
    uint64_t entries = endpoint->weight / scale->divisor;
    if (scale->total > scale->most)
        entries = (entries * scale->most + scale->total / 2) / scale->total;
    return entries > 0 ? (uint32_t)entries : 1;
}

bool balancer_build_wheel(struct balancer *balancer)
{
    struct picker *picker = &balancer->picker;
    struct wheel_scale scale = scale_of(balancer);
    uint64_t size = 0;
    free(picker->wheel);
    picker->wheel = NULL;
    picker->wheel_size = picker->wheel_at = 0;
    if (balancer->usable_count < 2)
        return true; /* nothing to choose from */
    for (uint32_t i = 0; i < balancer->usable_count; i++)
        size += entries_of(&scale, balancer->usable[i]);
    picker->wheel = calloc(size, sizeof(struct endpoint *));
    if (picker->wheel == NULL)
        return false;
    for (uint32_t i = 0; i < balancer->usable_count; i++)
        for (uint32_t left = entries_of(&scale, balancer->usable[i]); left > 0; left--)
            picker->wheel[picker->wheel_size++] = balancer->usable[i];
    for (uint32_t i = picker->wheel_size; i > 1; i--) { /* shards are not to march in step */
        uint32_t other = balancer_draw(balancer->table, i);
        struct endpoint *moved = picker->wheel[i - 1];
        picker->wheel[i - 1] = picker->wheel[other];
        picker->wheel[other] = moved;
    }
    return true;
}

static struct endpoint *pick_round_robin(struct balancer *balancer, const struct balancer_choice *choice)
{
    struct picker *picker = &balancer->picker;
    bool ramping = is_ramping(balancer);
    struct endpoint *passed_over = NULL;
    for (uint32_t i = 0; i < picker->wheel_size; i++) {
        struct endpoint *endpoint = picker->wheel[picker->wheel_at];
        if (++picker->wheel_at == picker->wheel_size)
            picker->wheel_at = 0;
        if (balancer_choice_avoids(choice, endpoint))
            continue;
        if (!ramping || ramp_of(balancer, endpoint) * 65536 > balancer_draw(balancer->table, 65536))
            return endpoint;
        passed_over = endpoint;
    }
    return passed_over;
}

/* --- by load -------------------------------------------------------------------------------------------- */

static double requests_load(const struct balancer *balancer, const struct endpoint *endpoint, bool ramping)
{
    return ((double)endpoint->active + 1) / weight_of(balancer, endpoint, ramping);
}

static double latency_now(const struct endpoint *endpoint, uint64_t now_ns)
{
    return endpoint->latency_ns * exp(-(double)(now_ns - endpoint->latency_at_ns) / latency_decay_ns);
}

/* What the next request would meet: the latency, for each one that is ahead of it. */
static double latency_load(const struct balancer *balancer, const struct endpoint *endpoint, bool ramping)
{
    return latency_now(endpoint, shard_of(balancer)->now_ns) * requests_load(balancer, endpoint, ramping);
}

typedef double load_fn(const struct balancer *balancer, const struct endpoint *endpoint, bool ramping);

/* Of equals one that chance has put first. */
static struct endpoint *pick_least(struct balancer *balancer, const struct balancer_choice *choice,
                                   load_fn *load)
{
    bool ramping = is_ramping(balancer);
    uint32_t at = balancer_draw(balancer->table, balancer->usable_count);
    struct endpoint *best = NULL;
    double least = 0;
    for (uint32_t i = 0; i < balancer->usable_count; i++) {
        struct endpoint *endpoint = balancer->usable[at];
        at = at + 1 == balancer->usable_count ? 0 : at + 1;
        if (balancer_choice_avoids(choice, endpoint))
            continue;
        double its = load(balancer, endpoint, ramping);
        if (best && its >= least)
            continue;
        best = endpoint;
        least = its;
    }
    return best;
}

void balancer_note_latency(struct endpoint *endpoint, uint64_t latency_ns)
{
    uint64_t now_ns = endpoint->proxy->shard->now_ns;
    double latest = (double)latency_ns;
    double keep = exp(-(double)(now_ns - endpoint->latency_at_ns) / latency_decay_ns);
    if (latest >= endpoint->latency_ns * keep)
        endpoint->latency_ns = latest;
    else
        endpoint->latency_ns = endpoint->latency_ns * keep + latest * (1 - keep);
    endpoint->latency_at_ns = now_ns;
}

double balancer_mean_latency(const struct balancer *balancer)
{
    double sum = 0;
    uint32_t count = 0;
    for (uint32_t i = 0; i < balancer->count; i++) {
        if (balancer->endpoints[i]->latency_ns <= 0)
            continue;
        sum += latency_now(balancer->endpoints[i], shard_of(balancer)->now_ns);
        count++;
    }
    return count ? sum / count : 0;
}

/* Two drawn by weight; the less loaded one. */
static struct endpoint *pick_of_two(struct balancer *balancer, const struct balancer_choice *choice)
{
    enum { DRAWS = 8 };
    const struct picker *picker = &balancer->picker;
    struct endpoint *drawn[2] = { NULL, NULL };
    unsigned count = 0;
    for (unsigned i = 0; picker->wheel_size && count < 2 && i < DRAWS; i++) {
        struct endpoint *endpoint = picker->wheel[balancer_draw(balancer->table, picker->wheel_size)];
        if (!balancer_choice_avoids(choice, endpoint) && endpoint != drawn[0])
            drawn[count++] = endpoint;
    }
    if (count == 0)
        return pick_least(balancer, choice, requests_load);
    bool ramping = is_ramping(balancer);
    if (count == 2 && requests_load(balancer, drawn[1], ramping) < requests_load(balancer, drawn[0], ramping))
        return drawn[1];
    return drawn[0];
}

/* --- sticky --------------------------------------------------------------------------------------------- */

uint64_t balancer_sticky_id(const struct balancer *balancer, const struct endpoint *endpoint)
{
    char text[ADDRESS_TEXT_SIZE + 8];
    struct writer out = writer_of(text, sizeof(text));
    out.next += address_text(&endpoint->address, text);
    writer_byte(&out, ':');
    writer_u64(&out, address_port(&endpoint->address));
    struct slice address = { text, (size_t)(out.next - text) }, id = slice_of(balancer->id);
    uint64_t high = balancer_hash(address, balancer_hash(id, 1));
    uint64_t low = balancer_hash(address, balancer_hash(id, 2));
    return (high << 32 | low) | 1;
}

static struct endpoint *pick_sticky(struct balancer *balancer, const struct balancer_choice *choice)
{
    for (uint32_t i = 0; choice->sticky_id && i < balancer->usable_count; i++) {
        struct endpoint *endpoint = balancer->usable[i];
        if (endpoint->sticky_id == choice->sticky_id && !balancer_choice_avoids(choice, endpoint))
            return endpoint;
    }
    return pick_round_robin(balancer, choice);
}

/* --- all together --------------------------------------------------------------------------------------- */

static struct endpoint *pick_by_rule(struct balancer *balancer, const struct balancer_choice *choice)
{
    switch ((enum balance)balancer->rules.balance) {
    case BALANCE_LEAST_CONNECTIONS: return pick_least(balancer, choice, requests_load);
    case BALANCE_LATENCY: return pick_least(balancer, choice, latency_load);
    case BALANCE_LEAST_REQUEST: return pick_of_two(balancer, choice);
    case BALANCE_CONSISTENT_HASHING: return balancer_pick_ring(balancer, choice);
    case BALANCE_MAGLEV: return balancer_pick_maglev(balancer, choice);
    case BALANCE_STICKY: return pick_sticky(balancer, choice);
    case BALANCE_ROUND_ROBIN: break;
    }
    return pick_round_robin(balancer, choice);
}

struct endpoint *balancer_pick(struct balancer *balancer, const struct balancer_choice *choice)
{
    if (__builtin_expect(!balancer->healthy, 0))
        return NULL;
    if (balancer->usable_count == 1)
        return balancer->usable[0];
    struct endpoint *endpoint = pick_by_rule(balancer, choice);
    if (endpoint == NULL && choice->failed_count > 0) { /* all have failed: none is better than another */
        struct balancer_choice any = *choice;
        any.failed_count = 0;
        endpoint = pick_by_rule(balancer, &any);
    }
    /* A picker that found no memory is empty: then anyone will do. */
    return endpoint ? endpoint : balancer->usable[balancer_draw(balancer->table, balancer->usable_count)];
}

/* --- refreshing ----------------------------------------------------------------------------------------- */

static void judge_usable(struct balancer *balancer)
{
    uint64_t total = 0, usable = 0, now_ms = shard_of(balancer)->now_ms;
    balancer->usable_count = 0;
    for (uint32_t i = 0; i < balancer->count; i++) {
        struct endpoint *endpoint = balancer->endpoints[i];
        bool was_usable = endpoint->usable;
        endpoint->usable =
            endpoint->weight > 0 && health_is_good(&endpoint->health) && endpoint->ejected_until_ms == 0;
        total += endpoint->weight;
        if (!endpoint->usable)
            continue;
        usable += endpoint->weight;
        balancer->usable[balancer->usable_count++] = endpoint;
        if (was_usable)
            continue;
        endpoint->usable_since_ms = now_ms;
        uint64_t end_ms = now_ms + (uint64_t)balancer->rules.slow_start_ms;
        if (end_ms > balancer->ramp_end_ms)
            balancer->ramp_end_ms = end_ms;
    }
    balancer->healthy =
        usable > 0 && (double)usable * 100 > balancer->rules.threshold_percent * (double)total;
}

void balancer_refresh(struct balancer *balancer, enum balancer_change change)
{
    judge_usable(balancer);
    bool enough = true;
    switch ((enum balance)balancer->rules.balance) {
    case BALANCE_LEAST_CONNECTIONS:
    case BALANCE_LATENCY: break;
    case BALANCE_CONSISTENT_HASHING: enough = balancer_build_ring(balancer, change); break;
    case BALANCE_MAGLEV: enough = balancer_build_maglev(balancer); break;
    case BALANCE_ROUND_ROBIN:
    case BALANCE_LEAST_REQUEST:
    case BALANCE_STICKY: enough = balancer_build_wheel(balancer); break;
    }
    if (!enough)
        metric_add(&shard_of(balancer)->metrics, METRIC_MEMORY_FAILURES, 1);
    balancer_connection_freed(balancer); /* endpoints may have left with theirs, or the limit is another */
}

void balancer_picker_close(struct picker *picker)
{
    free(picker->wheel);
    free(picker->points);
    free(picker->nearest);
    free(picker->table);
    *picker = (struct picker){ 0 };
}
