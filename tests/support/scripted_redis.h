/* SPDX-License-Identifier: Apache-2.0 */
/* Redises in memory for unit tests: what clients send is kept as text, what they get is what the test says,
 * and time passes when the test says so. Functions speak of the connection that was made or picked last.
 * They have a shard of their own, which never waits. The test owns them; one thread. */
#pragma once

#include "net/redis/redis_store.h"

enum { SCRIPTED_CONNECTIONS_MAX = 8 };

struct scripted_connection {
    struct redis_client *client;
    bool closing; /* the client has closed its stream */
    char sent[64 * 1024]; /* since the last scripted_redis_sent */
    size_t sent_bytes;
};

struct scripted_redis {
    struct shard shard;
    struct redis_pool pool;
    enum error connect_error; /* what the next attempts get at once */
    unsigned connect_count;
    struct scripted_connection connections[SCRIPTED_CONNECTIONS_MAX];
    struct scripted_connection *now;
};

void scripted_redis_open(struct scripted_redis *redis);
void scripted_redis_close(struct scripted_redis *redis);

/* A redis_connect_fn; the client's shard must be that of a scripted Redis. */
enum error scripted_redis_connect(struct redis_client *client, const struct stream_events *events);

/* Speak of the connection to that port from now on; false: there is none. */
bool scripted_redis_pick(struct scripted_redis *redis, uint16_t port);

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
