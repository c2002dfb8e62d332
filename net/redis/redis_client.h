/* SPDX-License-Identifier: Apache-2.0 */
/* One pipelined connection of a shard to a Redis. Requests are sent as they come, many in flight; replies are
 * told in that order. When the connection fails or a reply is overdue, everything in flight fails, and until
 * a new connection answers, requests are refused at once, so that a dead Redis delays nobody. One shard. */
#pragma once

#include "core/io/chunk_queue.h"
#include "core/io/shard.h"
#include "net/redis/redis_reply.h"
#include "net/transport/address.h"
#include "net/transport/tcp_stream.h"

enum {
    REDIS_VALUES_MAX = 8,
    REDIS_IN_FLIGHT_MAX = 4096, /* requests waiting on one connection; further ones fail with LIMIT */
    REDIS_BACKOFF_MIN_MS = 50,
    REDIS_BACKOFF_MAX_MS = 1000,
    REDIS_UNUSED_MS = 60000 /* without requests for so long a lost connection is not opened again */
};

#define REDIS_VALUE_NIL INT64_MIN

struct redis_request;
typedef void redis_done_fn(struct redis_request *request, enum error error);

/* Embedded in whoever asks, and must live until `done`, which comes exactly once, from the loop. */
struct redis_request {
    redis_done_fn *done;
    int64_t values[REDIS_VALUES_MAX]; /* the replies, one per command */
    unsigned value_count;
    bool refused; /* one of the replies was an error or no number; `done` says INVALID */
};

/* Which Redis, as whom. Two targets that differ in anything are two connections. */
struct redis_target {
    struct slice host; /* an address, or a name of the hosts table */
    uint16_t port;
    struct slice username, password; /* absent or empty: not sent */
    uint32_t database;
    uint32_t timeout_ms; /* to connect, and for each reply */
};

struct redis_client;

/* Starts the connect of client->tcp, with events; an error when that cannot even be tried. */
typedef enum error redis_connect_fn(struct redis_client *client, const struct stream_events *events);

enum redis_state {
    REDIS_CLOSED,
    REDIS_CONNECTING,
    REDIS_GREETING,
    REDIS_READY,
    REDIS_CLOSING,
    REDIS_BACKOFF
};

struct redis_waiting {
    struct redis_request *request; /* NULL: nobody wants the replies */
    uint64_t deadline_ms;
    uint32_t reply_count;
};

struct redis_client {
    struct tcp_stream tcp;
    struct shard *shard;
    struct redis_client *next; /* of its pool */
    redis_connect_fn *connect;
    struct redis_target target; /* its texts are copies */
    enum redis_state state;
    bool failing; /* the last connection failed and none has answered since */
    uint32_t backoff_ms;
    uint64_t used_ms; /* when the last request came */
    struct timer timer;
    struct address address;
    struct redis_reader reader;
    unsigned greetings_left; /* replies to AUTH, SELECT and PING still to come */
    struct shard_task task;
    struct block *out; /* commands are written here and sent once per turn */
    uint32_t out_sent; /* bytes of it */
    struct chunk_queue unsent; /* full ones, until the connection is ready */
    struct redis_waiting *waiting; /* circular, REDIS_IN_FLIGHT_MAX */
    uint32_t waiting_head, waiting_count;
};

/* All clients of one shard. Zeroed is empty. */
struct redis_pool {
    struct redis_client *first;
};

/* The client of that target, opened on first use; NULL when memory is exhausted. `connect` is
 * redis_connect_tcp but for tests. */
struct redis_client *redis_pool_client(struct redis_pool *pool, struct shard *shard,
                                       const struct redis_target *target, redis_connect_fn *connect);
/* After the shard's last turn: frees all; requests in flight are told nothing. */
void redis_pool_close(struct redis_pool *pool);

/* Sends the commands together; `request` (NULL: replies are dropped) gets a value per command. An error means
 * that nothing was sent and `done` will not come. */
enum error redis_send(struct redis_client *client, struct redis_request *request,
                      const struct redis_command *commands, unsigned command_count) MUST_CHECK;

enum error redis_connect_tcp(struct redis_client *client, const struct stream_events *events);
