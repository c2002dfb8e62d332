/* SPDX-License-Identifier: Apache-2.0 */
#include "net/redis/redis_client.h"

#include "core/base/hash.h"
#include "net/proxy/resolver.h"

#include <stdio.h>
#include <stdlib.h>

enum { WAITING_FIRST = 64 };

static const struct stream_events redis_events;

static struct redis_client *client_of(struct stream *stream)
{
    return CONTAINER_OF(stream, struct redis_client, tcp.stream);
}

/* --- what is in flight ---------------------------------------------------------------------------------- */

static struct redis_waiting *waiting_at(struct redis_client *client, uint32_t index)
{
    return &client->waiting[(client->waiting_head + index) & (client->waiting_capacity - 1)];
}

/* Room for one more. */
static enum error grow_waiting(struct redis_client *client)
{
    uint32_t capacity = client->waiting_capacity;
    if (client->waiting_count < capacity)
        return ERROR_OK;
    if (capacity == REDIS_IN_FLIGHT_MAX)
        return ERROR_LIMIT;
    uint32_t wider = capacity ? capacity * 2 : WAITING_FIRST;
    struct redis_waiting *grown = malloc(wider * sizeof(*grown));
    if (grown == NULL)
        return ERROR_MEMORY;
    for (uint32_t i = 0; i < client->waiting_count; i++)
        grown[i] = *waiting_at(client, i);
    free(client->waiting);
    client->waiting = grown;
    client->waiting_head = 0;
    client->waiting_capacity = wider;
    return ERROR_OK;
}

static struct redis_waiting pop_waiting(struct redis_client *client)
{
    struct redis_waiting first = *waiting_at(client, 0);
    client->waiting_head = (client->waiting_head + 1) & (client->waiting_capacity - 1);
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
    bool has_stream = client->state >= REDIS_CONNECTING && client->state <= REDIS_READY;
    if (client->state != REDIS_READY || client->waiting_count > 0)
        client->failing = true;
    client->state = REDIS_CLOSING;
    timer_disarm(&client->shard->timers, &client->timer);
    chunk_queue_clear(&client->unsent);
    if (client->out)
        block_release(client->out);
    client->out = NULL;
    client->stuck_ms = 0;
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
    struct redis_client *client = client_of(stream);
    client->stuck_ms = stream->queued_bytes > 0 ? client->shard->now_ms : 0;
}

/* --- its beginning -------------------------------------------------------------------------------------- */

enum error redis_connect_tcp(struct redis_client *client, const struct stream_events *events)
{
    const struct redis_server *server = &client->server;
    if (!address_parse(server->host, server->port, &client->address)) {
        struct sockaddr_storage found;
        socklen_t size;
        if (!resolver_lookup(client->shard, server->host, server->port, &found, &size))
            return ERROR_NAME;
        CHECK(size <= sizeof(client->address.v6));
        memcpy(&client->address.any, &found, size);
        client->address.size = size;
    }
    tcp_stream_connect(&client->tcp, client->shard, events, &client->address.any, client->address.size);
    return ERROR_OK;
}

static void connect_now(struct redis_client *client)
{
    redis_reader_init(&client->reader);
    client->items_left = 0;
    enum error error = client->connect(client, &redis_events);
    if (error != ERROR_OK) {
        lose(client, error);
        return;
    }
    client->state = REDIS_CONNECTING;
    arm(client, client->target.connect_ms);
}

/* Looking for the server has the time of one connect and one reply. */
static void start(struct redis_client *client)
{
    if (client->locator == NULL) {
        connect_now(client);
        return;
    }
    client->state = REDIS_LOCATING;
    arm(client, (uint64_t)client->target.connect_ms + client->target.reply_ms);
    client->locator->locate(client->locator, client);
}

static void set_server(struct redis_client *client, const struct redis_server *server)
{
    CHECK(server->host.size <= sizeof(client->host));
    if (server->host.size > 0)
        memcpy(client->host, server->host.data, server->host.size);
    client->server = (struct redis_server){ { client->host, server->host.size }, server->port };
}

void redis_client_located(struct redis_client *client, enum error error, const struct redis_server *server)
{
    if (client->state != REDIS_LOCATING)
        return; /* it took too long */
    if (error != ERROR_OK) {
        lose(client, error);
        return;
    }
    set_server(client, server);
    connect_now(client);
}

void redis_client_drop(struct redis_client *client)
{
    lose(client, ERROR_CLOSED);
}

static void send_chunk(struct redis_client *client, struct chunk chunk)
{
    if (client->stuck_ms == 0)
        client->stuck_ms = client->shard->now_ms;
    stream_send(&client->tcp.stream, chunk);
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
    send_chunk(client, chunk);
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

/* AUTH and SELECT as configured, then PING: only a Redis that answers is used. One that somebody else has
 * named is asked for its ROLE. */
static unsigned make_greeting(const struct redis_client *client, struct redis_command commands[3],
                              char database[ADDRESS_TEXT_SIZE])
{
    const struct redis_target *target = &client->target;
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
    struct slice last = client->locator ? SLICE("ROLE") : SLICE("PING");
    commands[count++] = (struct redis_command){ { last }, 1 };
    return count;
}

static bool greet(struct redis_client *client)
{
    struct redis_command commands[3];
    char database[ADDRESS_TEXT_SIZE];
    unsigned count = make_greeting(client, commands, database);
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

/* When the first reply is overdue, or what is sent has been stuck for too long. */
static uint64_t patience_ms(struct redis_client *client)
{
    uint64_t until_ms = waiting_at(client, 0)->deadline_ms;
    uint64_t stuck_until_ms = client->stuck_ms + client->target.send_ms;
    return client->stuck_ms > 0 && stuck_until_ms < until_ms ? stuck_until_ms : until_ms;
}

static void watch_first(struct redis_client *client)
{
    if (client->waiting_count > 0)
        timer_arm(&client->shard->timers, &client->timer, patience_ms(client));
}

static void become_ready(struct redis_client *client)
{
    client->state = REDIS_READY;
    client->failing = false;
    client->backoff_ms = REDIS_BACKOFF_MIN_MS;
    timer_disarm(&client->shard->timers, &client->timer);
    while (client->unsent.count > 0)
        send_chunk(client, chunk_queue_pop(&client->unsent));
    if (flush(client))
        watch_first(client);
}

static void redis_timeout(struct timer *timer)
{
    struct redis_client *client = CONTAINER_OF(timer, struct redis_client, timer);
    switch (client->state) {
    case REDIS_LOCATING:
    case REDIS_CONNECTING:
    case REDIS_GREETING: lose(client, ERROR_TIMEOUT); break;
    case REDIS_READY:
        if (client->waiting_count > 0 && patience_ms(client) <= client->shard->now_ms)
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

/* A PING or ROLE may be refused (a user without the right to it): the answer is what counts. */
static enum error take_greeting(struct redis_client *client, const struct redis_reply *item)
{
    bool is_last = client->greetings_left == 1;
    if (!is_last && item->kind != REDIS_STATUS)
        return ERROR_INVALID;
    if (item->kind == REDIS_ERROR && slice_starts_with(item->text, SLICE("NOAUTH")))
        return ERROR_INVALID;
    bool is_role = client->locator && client->item_index == 1;
    if (is_role && !slice_equal(item->text, SLICE("master")))
        return ERROR_CLOSED; /* not any more, or not yet: it is looked for again */
    if (client->items_left > 0)
        return ERROR_OK;
    client->greetings_left--;
    if (is_last)
        become_ready(client);
    return ERROR_OK;
}

/* Of an array only the beginning: it is no value. */
static void take_value(struct redis_client *client, struct redis_request *request,
                       const struct redis_reply *item)
{
    if (client->item_index > 0)
        return;
    bool is_good = item->kind == REDIS_STATUS || item->kind == REDIS_NIL || item->is_number;
    if (!is_good)
        request->refused = true;
    request->values[request->value_count] = item->kind == REDIS_NIL ? REDIS_VALUE_NIL : item->integer;
}

static enum error take_item(struct redis_client *client, const struct redis_reply *item)
{
    if (client->waiting_count == 0)
        return ERROR_PROTOCOL;
    struct redis_waiting *first = waiting_at(client, 0);
    if (first->request && first->request->item)
        first->request->item(first->request, item);
    else if (first->request)
        take_value(client, first->request, item);
    bool demoted =
        client->locator && item->kind == REDIS_ERROR && slice_starts_with(item->text, SLICE("READONLY"));
    if (client->items_left == 0 && first->request)
        first->request->value_count++;
    if (client->items_left == 0 && --first->reply_count == 0) {
        struct redis_request *request = pop_waiting(client).request;
        if (request)
            request->done(request, request->refused ? ERROR_INVALID : ERROR_OK);
    }
    return demoted ? ERROR_CLOSED : ERROR_OK;
}

/* An item is a reply, or one in a reply that is an array. */
static enum error take_reply(struct redis_client *client, const struct redis_reply *item)
{
    client->item_index++;
    if (client->items_left == 0) {
        client->items_left = 1;
        client->item_index = 0;
    }
    client->items_left--;
    if (item->kind == REDIS_ARRAY)
        client->items_left += (uint32_t)item->integer;
    if (client->items_left > REDIS_ELEMENTS_MAX)
        return ERROR_PROTOCOL;
    return client->state == REDIS_GREETING ? take_greeting(client, item) : take_item(client, item);
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
    return size > UINT32_MAX ? ERROR_LIMIT : grow_waiting(client);
}

static void push_waiting(struct redis_client *client, struct redis_request *request, unsigned reply_count)
{
    uint64_t timeout_ms = client->target.reply_ms ? client->target.reply_ms : 1;
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

/* --- clients -------------------------------------------------------------------------------------------- */

void redis_client_free(struct redis_client *client)
{
    timer_disarm(&client->shard->timers, &client->timer);
    list_remove(&client->task.node);
    tcp_stream_abandon(&client->tcp);
    chunk_queue_clear(&client->unsent);
    if (client->out)
        block_release(client->out);
    free(client->waiting);
    free(client);
}

struct redis_client *redis_client_open(struct shard *shard, const struct redis_target *target,
                                       const struct redis_server *server, redis_connect_fn *connect)
{
    struct redis_client *client = calloc(1, sizeof(*client));
    if (client == NULL)
        return NULL;
    client->shard = shard;
    client->target = *target;
    set_server(client, server);
    client->connect = connect;
    client->state = REDIS_CLOSED;
    client->backoff_ms = REDIS_BACKOFF_MIN_MS;
    timer_init(&client->timer, redis_timeout);
    shard_task_init(&client->task, redis_turn);
    chunk_queue_init(&client->unsent);
    return client;
}
