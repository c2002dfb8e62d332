/* SPDX-License-Identifier: Apache-2.0 */
/* Connections to origin servers and their pools, one pool per address and shard. A connection serves one
 * exchange at a time; between two it waits in its pool, receiving, so that a close by the upstream is seen
 * at once. */
#pragma once

#include "net/proxy/exchange_state.h"
#include "net/transport/tcp_stream.h"

struct origin_pool {
    struct origin_pool *next; /* in the hash table's chain */
    struct address address;
    struct list_node idle; /* newest first */
    uint32_t idle_count, open_count;
    char text[ADDRESS_TEXT_SIZE + 8]; /* "ip:port", for logs */
};

struct origin {
    struct tcp_stream tcp;
    struct proxy *proxy;
    struct origin_pool *pool;
    struct list_node node;     /* pool->idle */
    struct list_node age_node; /* proxy->idle_origins, longest idle first */
    struct http1_parser parser;
    struct exchange *exchange; /* NULL: idle or closing */
    struct timer timer;
    uint32_t request_count;
    bool reused; /* carries not its first request */
    bool open; /* connected */
    bool closing;
    bool head_seen; /* a byte of the response has arrived */
    bool paused;
};

enum error origin_pools_open(struct proxy *proxy) MUST_CHECK;
void origin_pools_close(struct proxy *proxy);

/* Closes the idle ones; those in use are closed when their exchange lets go, for the proxy is draining. */
void origin_pools_drain(struct proxy *proxy);

/* A connection for the exchange, kept or new: exchange->origin is set, and when it is new
 * exchange_origin_opened follows. ERROR_LIMIT at upstream_max_connections, ERROR_MEMORY. */
enum error origin_take(struct exchange *exchange, const struct address *address) MUST_CHECK;

/* Before the head is sent: the response will be parsed into exchange->response. */
void origin_expect_response(struct origin *origin);

/* Parts the two. `reusable`: the response has ended cleanly and so has the request. */
enum origin_fate { ORIGIN_DROP, ORIGIN_REUSE };
void origin_detach(struct origin *origin, enum origin_fate fate);

void origin_send(struct origin *origin, struct chunk chunk);
bool origin_is_congested(const struct origin *origin);
void origin_pause(struct origin *origin);
void origin_resume(struct origin *origin);

/* Time limit for what the exchange waits for now; 0 disarms. */
void origin_limit_time(struct origin *origin, uint64_t timeout_ms);
