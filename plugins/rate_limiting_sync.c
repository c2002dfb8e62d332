/* SPDX-License-Identifier: Apache-2.0 */
/* Counting with sync_rate: each shard counts for itself on top of what Redis said last, and pushes what it
 * has counted every sync_rate seconds. Faster than asking at every request, exact up to the time between. */
#include "core/base/hash.h"
#include "plugins/rate_limiting.h"

#include <stdlib.h>

enum { BUCKET_COUNT = 4096, COUNTERS_MAX = 65536, LONGEST_TIMER_MS = 3600 * 1000 };

/* One key in one window. Freed by its timer when the window is over and all is pushed. */
struct counter {
    struct counter *next; /* in its bucket */
    struct rate_limiting_sync *sync;
    struct redis_store *store;
    struct timer timer;
    struct redis_request push;
    int64_t known;   /* what Redis said last */
    int64_t counted; /* here since */
    int64_t pushed;  /* on its way; 0: nothing is */
    uint64_t hash;
    uint64_t ends_s;
    uint32_t length_s;
    uint32_t rate_ms;
    bool fetched;
    size_t key_size;
    char key[];
};

struct rate_limiting_sync {
    struct shard *shard;
    uint32_t counter_count;
    struct counter *buckets[BUCKET_COUNT];
};

/* A request that waits for the first word of Redis on its counters, in the exchange's arena. */
struct fetching_pass {
    struct redis_request request;
    struct rate_limiting_pass pass;
    struct redis_store *store;
    struct slice keys[PERIOD_COUNT];
};

/* --- counters ------------------------------------------------------------------------------------------- */

static struct slice key_of(const struct counter *counter)
{
    return (struct slice){ counter->key, counter->key_size };
}

static void remove_counter(struct counter *counter)
{
    struct counter **place = &counter->sync->buckets[counter->hash % BUCKET_COUNT];
    while (*place != counter)
        place = &(*place)->next;
    *place = counter->next;
    counter->sync->counter_count--;
    free(counter);
}

/* Wakes for the next push, or when the window is over. */
static void arm(struct counter *counter)
{
    struct shard *shard = counter->sync->shard;
    uint64_t delay_ms = counter->rate_ms;
    if (counter->counted == 0) {
        uint64_t ends_ms = counter->ends_s * 1000;
        delay_ms = ends_ms > shard->wall_ms ? ends_ms - shard->wall_ms : 1;
    }
    if (delay_ms > LONGEST_TIMER_MS)
        delay_ms = LONGEST_TIMER_MS;
    timer_arm(&shard->timers, &counter->timer, shard->now_ms + delay_ms);
}

static void expire(struct counter *counter)
{
    char text[SLICE_U64_SIZE];
    size_t size = (size_t)(slice_write_u64(text, counter->length_s) - text);
    struct redis_command command = { { SLICE("EXPIRE"), key_of(counter), { text, size } }, 3 };
    /* The name holds the window: a counter that never ends makes no limit wrong. */
    (void)!redis_store_send(counter->store, NULL, &command, 1);
}

static void push_done(struct redis_request *request, enum error error)
{
    struct counter *counter = CONTAINER_OF(request, struct counter, push);
    if (error == ERROR_OK) {
        counter->known = request->values[0];
        if (counter->known == counter->pushed)
            expire(counter);
    } else {
        counter->counted += counter->pushed; /* again, later */
    }
    counter->pushed = 0;
    arm(counter);
}

static void push(struct counter *counter)
{
    char text[SLICE_U64_SIZE];
    size_t size = (size_t)(slice_write_u64(text, (uint64_t)counter->counted) - text);
    struct redis_command command = { { SLICE("INCRBY"), key_of(counter), { text, size } }, 3 };
    if (redis_store_send(counter->store, &counter->push, &command, 1) != ERROR_OK) {
        arm(counter);
        return;
    }
    counter->pushed = counter->counted;
    counter->counted = 0;
}

static void counter_due(struct timer *timer)
{
    struct counter *counter = CONTAINER_OF(timer, struct counter, timer);
    bool over = counter->ends_s * 1000 <= counter->sync->shard->wall_ms;
    if (counter->pushed > 0)
        return; /* push_done arms it again */
    if (over && (counter->counted == 0 || redis_store_is_down(counter->store)))
        remove_counter(counter);
    else if (counter->counted > 0)
        push(counter);
    else
        arm(counter);
}

static struct counter *counter_open(struct rate_limiting_sync *sync, const struct fetching_pass *fetching,
                                    unsigned i)
{
    const struct rate_limiting_pass *pass = &fetching->pass;
    struct slice key = fetching->keys[i];
    if (sync->counter_count >= COUNTERS_MAX)
        return NULL;
    struct counter *counter = calloc(1, sizeof(*counter) + key.size);
    if (counter == NULL)
        return NULL;
    counter->sync = sync;
    counter->store = fetching->store;
    counter->push.done = push_done;
    counter->hash = hash_of(key);
    counter->ends_s = pass->windows[i].ends_s;
    counter->length_s = period_length_s(pass->config->periods[i]);
    counter->key_size = key.size;
    memcpy(counter->key, key.data, key.size);
    timer_init(&counter->timer, counter_due);
    counter->next = sync->buckets[counter->hash % BUCKET_COUNT];
    sync->buckets[counter->hash % BUCKET_COUNT] = counter;
    sync->counter_count++;
    return counter;
}

/* NULL: out of memory, or too many. */
static struct counter *find_counter(const struct fetching_pass *fetching, unsigned i)
{
    struct rate_limiting_sync *sync = fetching->pass.shard->sync;
    struct slice key = fetching->keys[i];
    uint64_t hash = hash_of(key);
    struct counter *counter = sync->buckets[hash % BUCKET_COUNT];
    while (counter &&
           (counter->hash != hash || counter->store != fetching->store || !slice_equal(key_of(counter), key)))
        counter = counter->next;
    if (counter == NULL)
        counter = counter_open(sync, fetching, i);
    if (counter == NULL)
        return NULL;
    counter->rate_ms = (uint32_t)(fetching->pass.config->sync_rate_s * 1000);
    if (!timer_is_armed(&counter->timer) && counter->pushed == 0)
        arm(counter);
    return counter;
}

/* --- requests ------------------------------------------------------------------------------------------- */

static enum verdict decide(struct rate_limiting_pass *pass, struct counter *const counters[PERIOD_COUNT])
{
    double used[PERIOD_COUNT] = { 0 };
    unsigned count = pass->config->period_count;
    for (unsigned i = 0; i < count; i++)
        used[i] = (double)(counters[i]->known + counters[i]->pushed + counters[i]->counted);
    rate_limiting_judge(pass, used);
    for (unsigned i = 0; i < count && !pass->rejected; i++) {
        counters[i]->counted++;
        if (counters[i]->counted == 1 && counters[i]->pushed == 0)
            arm(counters[i]);
    }
    return rate_limiting_answer(pass);
}

static enum verdict count_fetched(struct fetching_pass *fetching)
{
    struct rate_limiting_pass *pass = &fetching->pass;
    struct counter *counters[PERIOD_COUNT];
    for (unsigned i = 0; i < pass->config->period_count; i++) {
        counters[i] = find_counter(fetching, i);
        if (counters[i] == NULL)
            return rate_limiting_without_store(pass);
        if (counters[i]->fetched)
            continue;
        int64_t value = fetching->request.values[i];
        counters[i]->known = value == REDIS_VALUE_NIL ? 0 : value;
        counters[i]->fetched = true;
    }
    return decide(pass, counters);
}

static void fetch_done(struct redis_request *request, enum error error)
{
    struct fetching_pass *fetching = CONTAINER_OF(request, struct fetching_pass, request);
    enum verdict verdict =
        error == ERROR_OK ? count_fetched(fetching) : rate_limiting_without_store(&fetching->pass);
    exchange_resume(fetching->pass.exchange, verdict);
}

static enum verdict fetch(struct fetching_pass *fetching)
{
    struct redis_command commands[PERIOD_COUNT];
    unsigned count = fetching->pass.config->period_count;
    for (unsigned i = 0; i < count; i++)
        commands[i] = (struct redis_command){ { SLICE("GET"), fetching->keys[i] }, 2 };
    fetching->request = (struct redis_request){ .done = fetch_done };
    if (redis_store_send(fetching->store, &fetching->request, commands, count) != ERROR_OK)
        return rate_limiting_without_store(&fetching->pass);
    return VERDICT_WAIT;
}

static bool prepare(struct fetching_pass *fetching)
{
    struct rate_limiting_pass *pass = &fetching->pass;
    struct rate_limiting_shard *shard = pass->shard;
    if (shard->sync == NULL && (shard->sync = calloc(1, sizeof(*shard->sync))) != NULL)
        shard->sync->shard = shard->limits.redis.shard;
    fetching->store = rate_limiting_store(pass);
    if (shard->sync == NULL || fetching->store == NULL)
        return false;
    struct limit_subject subject = rate_limiting_subject(pass);
    struct slice identifier = limit_identifier(&subject);
    for (unsigned i = 0; i < pass->config->period_count; i++) {
        fetching->keys[i] = rate_limiting_key(pass, identifier, i);
        if (fetching->keys[i].data == NULL)
            return false;
    }
    return true;
}

enum verdict rate_limiting_synced(const struct rate_limiting_pass *pass)
{
    struct fetching_pass *fetching = arena_alloc(exchange_arena(pass->exchange), sizeof(*fetching));
    if (fetching == NULL)
        return rate_limiting_without_store(pass);
    fetching->pass = *pass;
    if (!prepare(fetching))
        return rate_limiting_without_store(pass);
    struct counter *counters[PERIOD_COUNT];
    for (unsigned i = 0; i < pass->config->period_count; i++) {
        counters[i] = find_counter(fetching, i);
        if (counters[i] == NULL)
            return rate_limiting_without_store(pass);
        if (!counters[i]->fetched)
            return fetch(fetching);
    }
    return decide(&fetching->pass, counters);
}

void rate_limiting_sync_close(struct rate_limiting_sync *sync)
{
    for (size_t i = 0; i < BUCKET_COUNT; i++) {
        while (sync->buckets[i]) {
            struct counter *counter = sync->buckets[i];
            sync->buckets[i] = counter->next;
            timer_disarm(&sync->shard->timers, &counter->timer);
            free(counter);
        }
    }
    free(sync);
}
