/* SPDX-License-Identifier: Apache-2.0 */
#include "net/redis/redis_client.h"

#include "core/base/hash.h"
#include "net/proxy/resolver.h"

#include <stdio.h>
#include <stdlib.h>

static const struct stream_events redis_events;

static struct redis_client *client_of(struct stream *stream)
{
    return CONTAINER_OF(stream, struct redis_client, tcp.stream);
}

/* --- what is in flight ---------------------------------------------------------------------------------- */

static struct redis_waiting *waiting_at(struct redis_client *client, uint32_t index)
{
    return &client->waiting[(client->waiting_head + index) % REDIS_IN_FLIGHT_MAX];
}

static struct redis_waiting pop_waiting(struct redis_client *client)
{
    struct redis_waiting first = *waiting_at(client, 0);
    client->waiting_head = (client->waiting_head + 1) % REDIS_IN_FLIGHT_MAX;
    client->waiting_count--;
    return first;
}

static void arm(struct redis_client *client, uint64_t delay_ms)
{
    timer_arm(&client->shard->timers, &client->timer, client->shard->now_ms + (delay_ms ? delay_ms : 1));
}

/* The next wait lasts 50 to 100 percent of the time, so that shards do not come back together. */
static uint32_t next_backoff_ms(struct redis_client *client)
{
    uint32_t full_ms = client->backoff_ms;
    client->backoff_ms = full_ms * 2 < REDIS_BACKOFF_MAX_MS ? full_ms * 2 : REDIS_BACKOFF_MAX_MS;
    uint64_t seed[2] = { client->shard->now_ns, (uint64_t)(uintptr_t)client };
    uint64_t random = hash_of((struct slice){ (const char *)seed, sizeof(seed) });
    return full_ms / 2 + (uint32_t)(random % (full_ms / 2 + 1));
}

/* --- the connection's end ------------------------------------------------------------------------------- */

static void start(struct redis_client *client);

static void rest(struct redis_client *client)
{
    if (client->failing) {
        client->state = REDIS_BACKOFF;
        arm(client, next_backoff_ms(client));
        return;
    }
    client->state = REDIS_CLOSED;
    if (client->waiting_count > 0)
        start(client);
}

/* Everything in flight fails, and the stream, if there is one, is closed. An idle connection that the server
 * has closed is no failure: the next request opens another. */
static void lose(struct redis_client *client, enum error error)
{
    if (client->state == REDIS_CLOSING)
        return;
    bool has_stream = client->state != REDIS_CLOSED && client->state != REDIS_BACKOFF;
    if (client->state != REDIS_READY || client->waiting_count > 0)
        client->failing = true;
    client->state = REDIS_CLOSING;
    timer_disarm(&client->shard->timers, &client->timer);
    chunk_queue_clear(&client->unsent);
    if (client->out)
        block_release(client->out);
    client->out = NULL;
    if (has_stream)
        stream_close(&client->tcp.stream);
    while (client->waiting_count > 0) {
        struct redis_request *request = pop_waiting(client).request;
        if (request)
            request->done(request, error);
    }
    if (!has_stream)
        rest(client);
}

static void redis_closed(struct stream *stream)
{
    rest(client_of(stream));
}

static void redis_failed(struct stream *stream, enum error error)
{
    lose(client_of(stream), error);
}

static void redis_writable(struct stream *stream)
{
    (void)stream;
}

/* --- its beginning -------------------------------------------------------------------------------------- */

enum error redis_connect_tcp(struct redis_client *client, const struct stream_events *events)
{
    const struct redis_target *target = &client->target;
    if (!address_parse(target->host, target->port, &client->address)) {
        struct sockaddr_storage found;
        socklen_t size;
        if (!resolver_lookup(client->shard, target->host, target->port, &found, &size))
            return ERROR_NAME;
        CHECK(size <= sizeof(client->address.v6));
        memcpy(&client->address.any, &found, size);
        client->address.size = size;
    }
    tcp_stream_connect(&client->tcp, client->shard, events, &client->address.any, client->address.size);
    return ERROR_OK;
}

static void start(struct redis_client *client)
{
    redis_reader_init(&client->reader);
    enum error error = client->connect(client, &redis_events);
    if (error != ERROR_OK) {
        lose(client, error);
        return;
    }
    client->state = REDIS_CONNECTING;
    arm(client, client->target.timeout_ms);
}

/* What was written since the last time goes to the stream, or waits for it. */
static bool flush(struct redis_client *client)
{
    struct block *block = client->out;
    if (block == NULL || block->used == client->out_sent)
        return true;
    struct chunk chunk = { block, client->out_sent, block->used - client->out_sent };
    block_take(block);
    client->out_sent = block->used;
    if (client->state != REDIS_READY)
        return chunk_queue_push(&client->unsent, chunk);
    stream_send(&client->tcp.stream, chunk);
    return true;
}

/* Room for `size` bytes in a row; NULL when memory is exhausted. */
static char *reserve(struct redis_client *client, size_t size)
{
    struct block *block = client->out;
    if (block && block->references == 1 && block->used == client->out_sent)
        block->used = client->out_sent = 0; /* the stream is done with all of it */
    if (block && block->capacity - block->used >= size)
        return block->data + block->used;
    if (!flush(client))
        return NULL;
    struct block *fresh =
        block_open(client->shard->blocks, size > BLOCK_SMALL_BYTES ? size : BLOCK_SMALL_BYTES);
    if (fresh == NULL)
        return NULL;
    if (block)
        block_release(block);
    client->out = fresh;
    client->out_sent = 0;
    return fresh->data;
}

/* AUTH and SELECT as configured, then PING: only a Redis that answers is used. */
static unsigned make_greeting(const struct redis_target *target, struct redis_command commands[3],
                              char database[ADDRESS_TEXT_SIZE])
{
    unsigned count = 0;
    if (target->password.size > 0) {
        struct redis_command *auth = &commands[count++];
        *auth = (struct redis_command){ { SLICE("AUTH"), target->password }, 2 };
        if (target->username.size > 0)
            *auth = (struct redis_command){ { SLICE("AUTH"), target->username, target->password }, 3 };
    }
    if (target->database != 0) {
        int size = snprintf(database, ADDRESS_TEXT_SIZE, "%u", target->database);
        commands[count++] = (struct redis_command){ { SLICE("SELECT"), { database, (size_t)size } }, 2 };
    }
    commands[count++] = (struct redis_command){ { SLICE("PING") }, 1 };
    return count;
}

static bool greet(struct redis_client *client)
{
    struct redis_command commands[3];
    char database[ADDRESS_TEXT_SIZE];
    unsigned count = make_greeting(&client->target, commands, database);
    size_t size = 0;
    for (unsigned i = 0; i < count; i++)
        size += redis_command_size(&commands[i]);
    struct block *block = block_open(client->shard->blocks, size);
    if (block == NULL)
        return false;
    char *end = block->data;
    for (unsigned i = 0; i < count; i++)
        end = redis_command_write(&commands[i], end);
    client->greetings_left = count;
    stream_send(&client->tcp.stream, (struct chunk){ block, 0, (uint32_t)size });
    return true;
}

static void redis_opened(struct stream *stream, enum error error)
{
    struct redis_client *client = client_of(stream);
    if (error == ERROR_OK && !greet(client))
        error = ERROR_MEMORY;
    if (error != ERROR_OK) {
        lose(client, error);
        return;
    }
    client->state = REDIS_GREETING;
}

static void watch_first(struct redis_client *client)
{
    if (client->waiting_count > 0)
        timer_arm(&client->shard->timers, &client->timer, waiting_at(client, 0)->deadline_ms);
}

static void become_ready(struct redis_client *client)
{
    client->state = REDIS_READY;
    client->failing = false;
    client->backoff_ms = REDIS_BACKOFF_MIN_MS;
    timer_disarm(&client->shard->timers, &client->timer);
    while (client->unsent.count > 0)
        stream_send(&client->tcp.stream, chunk_queue_pop(&client->unsent));
    if (flush(client))
        watch_first(client);
}

static void redis_timeout(struct timer *timer)
{
    struct redis_client *client = CONTAINER_OF(timer, struct redis_client, timer);
    switch (client->state) {
    case REDIS_CONNECTING:
    case REDIS_GREETING: lose(client, ERROR_TIMEOUT); break;
    case REDIS_READY:
        if (client->waiting_count > 0 && waiting_at(client, 0)->deadline_ms <= client->shard->now_ms)
            lose(client, ERROR_TIMEOUT);
        else
            watch_first(client);
        break;
    case REDIS_BACKOFF:
        client->failing = client->shard->now_ms - client->used_ms < REDIS_UNUSED_MS;
        client->state = REDIS_CLOSED;
        if (client->failing)
            start(client);
        break;
    case REDIS_CLOSED:
    case REDIS_CLOSING: break;
    }
}

/* --- replies -------------------------------------------------------------------------------------------- */

/* A PING may be refused (a user without the right to it): the answer is what counts. */
static enum error take_greeting(struct redis_client *client, const struct redis_reply *reply)
{
    client->greetings_left--;
    if (client->greetings_left > 0)
        return reply->kind == REDIS_STATUS ? ERROR_OK : ERROR_INVALID;
    if (reply->kind == REDIS_ERROR && slice_starts_with(reply->text, SLICE("NOAUTH")))
        return ERROR_INVALID;
    become_ready(client);
    return ERROR_OK;
}

static void take_value(struct redis_request *request, const struct redis_reply *reply)
{
    bool is_status = reply->kind == REDIS_STATUS;
    if (reply->kind == REDIS_ERROR || (!is_status && reply->kind != REDIS_NIL && !reply->is_number))
        request->refused = true;
    request->values[request->value_count++] = reply->kind == REDIS_NIL ? REDIS_VALUE_NIL : reply->integer;
}

static enum error take_reply(struct redis_client *client, const struct redis_reply *reply)
{
    if (client->state == REDIS_GREETING)
        return take_greeting(client, reply);
    if (client->waiting_count == 0)
        return ERROR_PROTOCOL;
    struct redis_waiting *first = waiting_at(client, 0);
    if (first->request)
        take_value(first->request, reply);
    if (--first->reply_count > 0)
        return ERROR_OK;
    struct redis_request *request = pop_waiting(client).request;
    if (request)
        request->done(request, request->refused ? ERROR_INVALID : ERROR_OK);
    return ERROR_OK;
}

static void redis_received(struct stream *stream, struct chunk chunk)
{
    struct redis_client *client = client_of(stream);
    struct slice bytes = chunk_slice(&chunk);
    enum error error = chunk.size == 0 ? ERROR_CLOSED : ERROR_OK;
    while (bytes.size > 0 && error == ERROR_OK) {
        struct redis_reply reply;
        enum redis_progress progress = redis_reader_feed(&client->reader, &bytes, &reply);
        if (progress == REDIS_COMPLETE)
            error = take_reply(client, &reply);
        else if (progress == REDIS_INVALID)
            error = ERROR_PROTOCOL;
    }
    chunk_release(&chunk);
    if (error != ERROR_OK)
        lose(client, error);
}

static const struct stream_events redis_events = { .opened = redis_opened,
                                                   .received = redis_received,
                                                   .writable = redis_writable,
                                                   .failed = redis_failed,
                                                   .closed = redis_closed };

/* --- requests ------------------------------------------------------------------------------------------- */

static enum error check_usable(struct redis_client *client, size_t size)
{
    if (client->failing)
        return ERROR_CLOSED;
    if (client->waiting_count == REDIS_IN_FLIGHT_MAX || size > UINT32_MAX)
        return ERROR_LIMIT;
    return ERROR_OK;
}

static void push_waiting(struct redis_client *client, struct redis_request *request, unsigned reply_count)
{
    uint64_t timeout_ms = client->target.timeout_ms ? client->target.timeout_ms : 1;
    *waiting_at(client, client->waiting_count) = (struct redis_waiting){
        .request = request, .deadline_ms = client->shard->now_ms + timeout_ms, .reply_count = reply_count
    };
    client->waiting_count++;
    if (request) {
        request->value_count = 0;
        request->refused = false;
    }
}

enum error redis_send(struct redis_client *client, struct redis_request *request,
                      const struct redis_command *commands, unsigned command_count)
{
    CHECK(command_count > 0 && command_count <= REDIS_VALUES_MAX);
    size_t size = 0;
    for (unsigned i = 0; i < command_count; i++)
        size += redis_command_size(&commands[i]);
    client->used_ms = client->shard->now_ms;
    enum error error = check_usable(client, size);
    if (error != ERROR_OK)
        return error;
    char *out = reserve(client, size);
    if (out == NULL)
        return ERROR_MEMORY;
    for (unsigned i = 0; i < command_count; i++)
        out = redis_command_write(&commands[i], out);
    client->out->used += (uint32_t)size;
    push_waiting(client, request, command_count);
    if (client->state == REDIS_READY && client->waiting_count == 1)
        watch_first(client);
    shard_defer(client->shard, &client->task);
    return ERROR_OK;
}

static void redis_turn(struct shard_task *task)
{
    struct redis_client *client = CONTAINER_OF(task, struct redis_client, task);
    if (client->state == REDIS_CLOSED && client->waiting_count > 0)
        start(client);
    else if (client->state == REDIS_READY)
        (void)flush(client); /* only a queue fails, a stream takes all */
}

/* --- the pool ------------------------------------------------------------------------------------------- */

static bool target_equal(const struct redis_target *a, const struct redis_target *b)
{
    return a->port == b->port && a->database == b->database && a->timeout_ms == b->timeout_ms &&
           slice_equal(a->host, b->host) && slice_equal(a->username, b->username) &&
           slice_equal(a->password, b->password);
}

/* One allocation for the three texts, which begins with the host. */
static bool copy_target(struct redis_target *copy, const struct redis_target *target)
{
    char *text = malloc(target->host.size + target->username.size + target->password.size + 1);
    if (text == NULL)
        return false;
    *copy = *target;
    struct slice *parts[] = { &copy->host, &copy->username, &copy->password };
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        if (parts[i]->size > 0)
            memcpy(text, parts[i]->data, parts[i]->size);
        parts[i]->data = text;
        text += parts[i]->size;
    }
    return true;
}

static void client_free(struct redis_client *client)
{
    if (client->target.host.data)
        explicit_bzero((void *)(uintptr_t)client->target.password.data, client->target.password.size);
    free((void *)(uintptr_t)client->target.host.data);
    free(client->waiting);
    free(client);
}

static struct redis_client *client_open(struct shard *shard, const struct redis_target *target,
                                        redis_connect_fn *connect)
{
    struct redis_client *client = calloc(1, sizeof(*client));
    if (client == NULL)
        return NULL;
    client->waiting = calloc(REDIS_IN_FLIGHT_MAX, sizeof(*client->waiting));
    if (client->waiting == NULL || !copy_target(&client->target, target)) {
        client_free(client);
        return NULL;
    }
    client->shard = shard;
    client->connect = connect;
    client->state = REDIS_CLOSED;
    client->backoff_ms = REDIS_BACKOFF_MIN_MS;
    timer_init(&client->timer, redis_timeout);
    shard_task_init(&client->task, redis_turn);
    chunk_queue_init(&client->unsent);
    return client;
}

struct redis_client *redis_pool_client(struct redis_pool *pool, struct shard *shard,
                                       const struct redis_target *target, redis_connect_fn *connect)
{
    struct redis_client *client = pool->first;
    while (client && !target_equal(&client->target, target))
        client = client->next;
    if (client)
        return client;
    client = client_open(shard, target, connect);
    if (client) {
        client->next = pool->first;
        pool->first = client;
    }
    return client;
}

void redis_pool_close(struct redis_pool *pool)
{
    while (pool->first) {
        struct redis_client *client = pool->first;
        pool->first = client->next;
        timer_disarm(&client->shard->timers, &client->timer);
        list_remove(&client->task.node);
        chunk_queue_clear(&client->unsent);
        if (client->out)
            block_release(client->out);
        client_free(client);
    }
}
