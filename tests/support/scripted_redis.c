/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/scripted_redis.h"

#include <stdio.h>
#include <stdlib.h>

static struct scripted_redis *redis_of(const struct shard *shard)
{
    return CONTAINER_OF((struct shard *)(uintptr_t)shard, struct scripted_redis, shard);
}

static struct scripted_connection *connection_of(struct scripted_redis *redis,
                                                 const struct redis_client *client)
{
    for (int i = 0; i < SCRIPTED_CONNECTIONS_MAX; i++)
        if (redis->connections[i].client == client)
            return &redis->connections[i];
    return NULL;
}

static struct scripted_connection *carried_by(const struct stream *stream)
{
    struct redis_client *client =
        CONTAINER_OF((struct stream *)(uintptr_t)stream, struct redis_client, tcp.stream);
    struct scripted_connection *connection = connection_of(redis_of(stream->shard), client);
    CHECK(connection != NULL && !connection->closing);
    return connection;
}

static void scripted_send(struct stream *stream, struct chunk chunk)
{
    struct scripted_connection *connection = carried_by(stream);
    CHECK(chunk.size <= sizeof(connection->sent) - connection->sent_bytes);
    memcpy(connection->sent + connection->sent_bytes, chunk_slice(&chunk).data, chunk.size);
    connection->sent_bytes += chunk.size;
    chunk_release(&chunk);
}

static void scripted_close(struct stream *stream)
{
    carried_by(stream)->closing = true;
}

static const struct stream_ops scripted_ops = { .send = scripted_send, .close = scripted_close };

void scripted_redis_open(struct scripted_redis *redis)
{
    memset(redis, 0, sizeof(*redis));
    redis->now = redis->connections;
    struct shard_options options = { .count = 1, .cpu = -1, .ring_entries = 8 };
    options.blocks = (struct block_limits){
        .lent_count = 8, .receive_bytes = 2048, .receive_count = 16, .write_bytes = 1 << 20
    };
    CHECK(shard_open(&redis->shard, &options) == ERROR_OK);
}

void scripted_redis_close(struct scripted_redis *redis)
{
    redis_pool_close(&redis->pool);
    shard_disconnect(&redis->shard);
    shard_close(&redis->shard);
}

enum error scripted_redis_connect(struct redis_client *client, const struct stream_events *events)
{
    struct scripted_redis *redis = redis_of(client->shard);
    redis->connect_count++;
    if (redis->connect_error != ERROR_OK)
        return redis->connect_error;
    redis->now = connection_of(redis, client);
    if (redis->now == NULL)
        redis->now = connection_of(redis, NULL);
    CHECK(redis->now != NULL);
    redis->now->client = client;
    redis->now->closing = false;
    redis->now->sent_bytes = 0;
    client->tcp.stream = (struct stream){ .ops = &scripted_ops, .events = events, .shard = client->shard };
    return ERROR_OK;
}

bool scripted_redis_pick(struct scripted_redis *redis, uint16_t port)
{
    for (int i = 0; i < SCRIPTED_CONNECTIONS_MAX; i++) {
        struct scripted_connection *connection = &redis->connections[i];
        if (connection->client == NULL || connection->client->server.port != port)
            continue;
        redis->now = connection;
        return true;
    }
    return false;
}

/* What was sent has left at once. */
void scripted_redis_turn(struct scripted_redis *redis)
{
    while (!list_is_empty(&redis->shard.tasks)) {
        struct shard_task *task = CONTAINER_OF(redis->shard.tasks.next, struct shard_task, node);
        list_remove(&task->node);
        task->run(task);
    }
    for (int i = 0; i < SCRIPTED_CONNECTIONS_MAX; i++) {
        const struct scripted_connection *connection = &redis->connections[i];
        if (connection->sent_bytes > 0 && !connection->closing)
            connection->client->tcp.stream.events->writable(&connection->client->tcp.stream);
    }
}

void scripted_redis_opened(struct scripted_redis *redis, enum error error)
{
    redis->now->client->tcp.stream.events->opened(&redis->now->client->tcp.stream, error);
    scripted_redis_turn(redis);
}

void scripted_redis_reply(struct scripted_redis *redis, const char *text)
{
    size_t size = strlen(text);
    struct block *block = block_open(redis->shard.blocks, size);
    CHECK(block != NULL && size > 0);
    memcpy(block->data, text, size);
    redis->now->client->tcp.stream.events->received(&redis->now->client->tcp.stream,
                                                    (struct chunk){ block, 0, (uint32_t)size });
    scripted_redis_turn(redis);
}

void scripted_redis_finish(struct scripted_redis *redis)
{
    redis->now->client->tcp.stream.events->received(&redis->now->client->tcp.stream, (struct chunk){ 0 });
    scripted_redis_turn(redis);
}

void scripted_redis_closed(struct scripted_redis *redis)
{
    CHECK(redis->now->closing);
    redis->now->client->tcp.stream.events->closed(&redis->now->client->tcp.stream);
    scripted_redis_turn(redis);
}

void scripted_redis_advance(struct scripted_redis *redis, uint64_t time_ms)
{
    struct shard *shard = &redis->shard;
    for (uint64_t i = 0; i < time_ms; i++) {
        shard->now_ms++;
        shard->now_ns += 1000000;
        shard->wall_ms++;
        timer_wheel_advance(&shard->timers, shard->now_ms);
        scripted_redis_turn(redis);
    }
}

void scripted_redis_greet(struct scripted_redis *redis)
{
    scripted_redis_turn(redis);
    scripted_redis_opened(redis, ERROR_OK);
    CHECK(scripted_redis_sent(redis, "PING\n"));
    scripted_redis_reply(redis, "+PONG\r\n");
}

/* The number after `mark`, of at most nine digits. */
static bool take_count(struct slice *bytes, char mark, size_t *count)
{
    struct slice rest = { NULL, 0 };
    if (bytes->size == 0 || bytes->data[0] != mark)
        return false;
    struct slice line = slice_split(slice_from(*bytes, 1), '\n', &rest);
    uint64_t number;
    if (line.size < 2 || line.data[line.size - 1] != '\r' || rest.data == NULL)
        return false;
    line.size--;
    if (!slice_to_u64(line, &number) || number > 999999999)
        return false;
    *count = (size_t)number;
    *bytes = rest;
    return true;
}

/* One command as a line; its end, or NULL when the bytes are none. */
static char *take_command(struct slice *bytes, char *out)
{
    size_t count, size;
    if (!take_count(bytes, '*', &count))
        return NULL;
    for (size_t i = 0; i < count; i++) {
        if (!take_count(bytes, '$', &size) || bytes->size < size + 2 || bytes->data[size] != '\r' ||
            bytes->data[size + 1] != '\n')
            return NULL;
        memcpy(out, bytes->data, size);
        out += size;
        *out++ = i + 1 < count ? ' ' : '\n';
        *bytes = slice_from(*bytes, size + 2);
    }
    return out;
}

bool scripted_redis_sent(struct scripted_redis *redis, const char *commands)
{
    struct slice bytes = { redis->now->sent, redis->now->sent_bytes };
    char *text = malloc(sizeof(redis->now->sent) + 1), *end = text;
    CHECK(text != NULL);
    while (bytes.size > 0 && end)
        end = take_command(&bytes, end);
    bool same = end && slice_equal((struct slice){ text, (size_t)(end - text) }, slice_of(commands));
    if (!same)
        fprintf(stderr, "sent: %.*s\n", end ? (int)(end - text) : 0, text);
    free(text);
    redis->now->sent_bytes = 0;
    return same;
}
