/* SPDX-License-Identifier: Apache-2.0 */
/* One request fetches, others of the same key on this shard wait for it: a bounded time, and only when what
 * came last could be stored. */
#include "plugins/proxy_cache.h"

enum { UNCACHED_MS = 60000 /* that a key is remembered whose response was not storable */ };

static uint64_t word_of(const unsigned char *key)
{
    uint64_t word;
    memcpy(&word, key, sizeof(word));
    return word;
}

static struct list_node *bucket_of(struct proxy_cache_shard *shard, const unsigned char *key)
{
    return &shard->flights[word_of(key) % FLIGHT_BUCKETS];
}

static void remember_uncached(struct proxy_cache_exchange *state)
{
    struct proxy_cache_shard *shard = state->shard;
    uint64_t word = word_of(state->key);
    shard->uncached[(word >> 16) % UNCACHED_SLOTS] =
        (struct proxy_cache_uncached){ word, shard->shard->now_ms + UNCACHED_MS };
}

static bool was_uncached(const struct proxy_cache_exchange *state)
{
    uint64_t word = word_of(state->key);
    const struct proxy_cache_uncached *slot = &state->shard->uncached[(word >> 16) % UNCACHED_SLOTS];
    return slot->key == word && slot->until_ms > state->shard->shard->now_ms;
}

static void forget_uncached(struct proxy_cache_exchange *state)
{
    uint64_t word = word_of(state->key);
    struct proxy_cache_uncached *slot = &state->shard->uncached[(word >> 16) % UNCACHED_SLOTS];
    if (slot->key == word)
        slot->until_ms = 0;
}

/* --- waiting -------------------------------------------------------------------------------------------- */

void flight_leave(struct proxy_cache_exchange *state)
{
    state->waits = false;
    list_remove(&state->waiting_node);
    timer_disarm(&state->shard->shard->timers, &state->timer);
}

static void wait_is_over(struct timer *timer)
{
    struct proxy_cache_exchange *state = CONTAINER_OF(timer, struct proxy_cache_exchange, timer);
    flight_leave(state);
    exchange_resume(state->exchange, proxy_cache_decide(state, false));
}

/* One may lead now what the others still wait for: it decides for itself. */
static void wake_all(struct shard_task *task)
{
    struct proxy_cache_shard *shard = CONTAINER_OF(task, struct proxy_cache_shard, wake);
    while (!list_is_empty(&shard->woken)) {
        struct proxy_cache_exchange *state =
            CONTAINER_OF(shard->woken.next, struct proxy_cache_exchange, waiting_node);
        flight_leave(state);
        exchange_resume(state->exchange, proxy_cache_decide(state, false));
    }
}

void flight_end(struct proxy_cache_exchange *state, enum flight_end how)
{
    struct proxy_cache_shard *shard = state->shard;
    bool whole = state->request.range.data == NULL && !state->request.head;
    if (how == FLIGHT_UNSTORABLE && whole)
        remember_uncached(state);
    else if (how == FLIGHT_STORED)
        forget_uncached(state);
    if (!state->leads)
        return;
    state->leads = false;
    list_remove(&state->flight_node);
    if (list_is_empty(&state->waiters))
        return;
    list_move_all(&shard->woken, &state->waiters);
    shard_defer(shard->shard, &shard->wake);
}

static struct proxy_cache_exchange *find_leader(const struct proxy_cache_exchange *state)
{
    struct list_node *bucket = bucket_of(state->shard, state->key);
    for (struct list_node *node = bucket->next; node != bucket; node = node->next) {
        struct proxy_cache_exchange *other = CONTAINER_OF(node, struct proxy_cache_exchange, flight_node);
        if (memcmp(other->key, state->key, sizeof(other->key)) == 0)
            return other;
    }
    return NULL;
}

bool flight_join(struct proxy_cache_exchange *state)
{
    struct proxy_cache_shard *shard = state->shard;
    if (shard->wait_ms == 0 || was_uncached(state))
        return false;
    struct proxy_cache_exchange *leader = find_leader(state);
    if (leader == NULL) {
        state->leads = true;
        list_append(bucket_of(shard, state->key), &state->flight_node);
        return false;
    }
    state->waits = true;
    list_append(&leader->waiters, &state->waiting_node);
    timer_arm(&shard->shard->timers, &state->timer, shard->shard->now_ms + shard->wait_ms);
    return true;
}

/* --- life ----------------------------------------------------------------------------------------------- */

static void let_go(struct proxy_cache_exchange *state)
{
    struct proxy_cache_shard *shard = state->shard;
    if (state->stale) {
        struct shared_change change = shared_cache_release(shard->cache, state->stale);
        proxy_cache_count(shard, &change);
    }
    if (state->capture)
        shard->capture_bytes -= state->capture_room;
    shared_entry_discard(state->capture);
    state->stale = NULL;
    state->capture = NULL;
}

/* At the end of the exchange, which may never have come to an answer. */
static void disengage(void *pointer)
{
    struct proxy_cache_exchange *state = pointer;
    if (!state->engaged)
        return;
    state->engaged = false;
    list_remove(&state->engaged_node);
    let_go(state);
    if (state->waits)
        flight_leave(state);
    flight_end(state, FLIGHT_FAILED);
}

bool flight_engage(struct proxy_cache_exchange *state)
{
    if (state->engaged)
        return true;
    if (!arena_on_close(exchange_arena(state->exchange), disengage, state))
        return false;
    state->engaged = true;
    list_init(&state->waiters);
    list_init(&state->waiting_node);
    list_init(&state->flight_node);
    list_append(&state->shard->engaged, &state->engaged_node);
    timer_init(&state->timer, wait_is_over);
    return true;
}

void flights_open(struct proxy_cache_shard *shard)
{
    list_init(&shard->engaged);
    list_init(&shard->woken);
    shard_task_init(&shard->wake, wake_all);
    for (size_t i = 0; i < FLIGHT_BUCKETS; i++)
        list_init(&shard->flights[i]);
}

void flights_close(struct proxy_cache_shard *shard)
{
    while (!list_is_empty(&shard->engaged)) {
        struct proxy_cache_exchange *state =
            CONTAINER_OF(shard->engaged.next, struct proxy_cache_exchange, engaged_node);
        list_remove(&state->engaged_node);
        state->engaged = false;
        let_go(state);
    }
}
