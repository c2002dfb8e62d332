/* SPDX-License-Identifier: Apache-2.0 */
/* A Redis in memory for unit tests: what clients send is kept as text, what they get is what the test says,
 * and time passes when the test says so. It has a shard of its own, which never waits. The test owns it; one
 * thread. */
#pragma once

#include "net/redis/redis_client.h"

struct scripted_redis {
    struct shard shard;
    struct redis_pool pool;
    struct redis_client *client; /* the last that connected */
    enum error connect_error; /* what the next attempts get at once */
    unsigned connect_count;
    bool closing; /* the client has closed its stream */
    char sent[64 * 1024]; /* since the last scripted_redis_expect */
    size_t sent_bytes;
};

void scripted_redis_open(struct scripted_redis *redis);
void scripted_redis_close(struct scripted_redis *redis);

/* A redis_connect_fn; the client's shard must be that of a scripted Redis. */
enum error scripted_redis_connect(struct redis_client *client, const struct stream_events *events);

/* Runs the deferred tasks. */
void scripted_redis_turn(struct scripted_redis *redis);
void scripted_redis_opened(struct scripted_redis *redis, enum error error);
void scripted_redis_reply(struct scripted_redis *redis, const char *text);
void scripted_redis_finish(struct scripted_redis *redis); /* the server ends the connection */
void scripted_redis_closed(struct scripted_redis *redis); /* the end of a close */
void scripted_redis_advance(struct scripted_redis *redis, uint64_t time_ms);

/* Connects, answers the greeting: ready. */
void scripted_redis_greet(struct scripted_redis *redis);

/* Was exactly this sent since the last call? Words with spaces between, a line per command: "INCR a\nINCR
 * b\n". */
bool scripted_redis_sent(struct scripted_redis *redis, const char *commands);
