/* SPDX-License-Identifier: Apache-2.0 */
/* One pipelined connection of a shard to a Redis. Requests are sent as they come, many in flight; replies are
 * told in that order. When the connection fails or a reply is overdue, everything in flight fails, and until
 * a new connection answers, requests are refused at once, so that a dead Redis delays nobody. One shard. */
#pragma once

#include "core/io/chunk_queue.h"
#include "core/io/shard.h"
#include "net/redis/redis_reply.h"
#include "net/redis/redis_target.h"
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
/* Instead of values: each item of the replies as it comes, of the reply number request->value_count. */
typedef void redis_item_fn(struct redis_request *request, const struct redis_reply *item);

/* Embedded in whoever asks, and must live until `done`, which comes exactly once, from the loop. */
struct redis_request {
    redis_done_fn *done;
    redis_item_fn *item; /* NULL: replies become values */
    int64_t values[REDIS_VALUES_MAX]; /* the replies, one per command */
    unsigned value_count;
    bool refused; /* one of the replies was an error or no number; `done` says INVALID */
    unsigned part_count; /* of a request to a cluster: commands on their way */
    enum error part_error; /* the first that one of them met with */
};

struct redis_client;

/* Finds out where a client's server is now; told by redis_client_located, at once or later. */
struct redis_locator {
    void (*locate)(struct redis_locator *locator, struct redis_client *client);
};

/* Starts the connect of client->tcp, with events; an error when that cannot even be tried. */
typedef enum error redis_connect_fn(struct redis_client *client, const struct stream_events *events);

enum redis_state {
    REDIS_CLOSED,
    REDIS_LOCATING,
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
    redis_connect_fn *connect;
    struct redis_locator *locator; /* NULL: it is where `server` says; else it must be a master */
    struct redis_target target; /* the texts are those of who opened it; `servers` is not used */
    struct redis_server server; /* its host is in `host` */
    char host[REDIS_HOST_MAX_BYTES];
    enum redis_state state;
    bool failing; /* the last connection failed and none has answered since */
    uint32_t backoff_ms;
    uint64_t used_ms; /* when the last request came */
    struct timer timer;
    struct address address;
    struct redis_reader reader;
    unsigned greetings_left; /* replies to AUTH, SELECT and PING still to come */
    uint32_t items_left, item_index; /* of the reply that is being read */
    struct shard_task task;
    struct block *out; /* commands are written here and sent once per turn */
    uint32_t out_sent; /* bytes of it */
    uint64_t stuck_ms; /* since when the kernel takes nothing of what was sent; 0: it does */
    struct chunk_queue unsent; /* full ones, until the connection is ready */
    struct redis_waiting *waiting; /* circular, grows to REDIS_IN_FLIGHT_MAX */
    uint32_t waiting_head, waiting_count, waiting_capacity; /* a power of 2, or 0 */
};

/* Not connected before the first request; NULL when memory is exhausted. Of the target the servers are not
 * looked at. `connect` is redis_connect_tcp but for tests. */
struct redis_client *redis_client_open(struct shard *shard, const struct redis_target *target,
                                       const struct redis_server *server, redis_connect_fn *connect);
/* While it is closed with nothing in flight, or after the shard's last turn: then requests in flight are told
 * nothing. */
void redis_client_free(struct redis_client *client);

/* What its locator has found; the client copies it. */
void redis_client_located(struct redis_client *client, enum error error, const struct redis_server *server);

/* Ends the connection; what is in flight fails. */
void redis_client_drop(struct redis_client *client);

/* Sends the commands together; `request` (NULL: replies are dropped) gets a value per command. An error means
 * that nothing was sent and `done` will not come. */
enum error redis_send(struct redis_client *client, struct redis_request *request,
                      const struct redis_command *commands, unsigned command_count) MUST_CHECK;

enum error redis_connect_tcp(struct redis_client *client, const struct stream_events *events);
