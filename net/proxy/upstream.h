/* SPDX-License-Identifier: Apache-2.0 */
/* Connections to upstreams and their pools, one pool per address and shard. A connection serves one
 * exchange at a time; between two it waits in its pool, receiving, so that a close by the upstream is seen
 * at once. */
#pragma once

#include "net/proxy/exchange_state.h"
#include "net/transport/tcp_stream.h"

struct upstream_pool {
    struct upstream_pool *next; /* in the hash table's chain */
    struct address address;
    struct list_node idle; /* newest first */
    uint32_t idle_count, open_count;
    char text[ADDRESS_TEXT_SIZE + 8]; /* "ip:port", for logs */
};

struct upstream {
    struct tcp_stream tcp;
    struct proxy *proxy;
    struct upstream_pool *pool;
    struct list_node node;     /* pool->idle */
    struct list_node age_node; /* proxy->idle_upstreams, longest idle first */
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

enum error upstream_pools_open(struct proxy *proxy) MUST_CHECK;
void upstream_pools_close(struct proxy *proxy);

/* Closes the idle ones; those in use are closed when their exchange lets go, for the proxy is draining. */
void upstream_pools_drain(struct proxy *proxy);

/* A connection for the exchange, kept or new: exchange->upstream is set, and when it is new
 * exchange_upstream_opened follows. ERROR_LIMIT at upstream_max_connections, ERROR_MEMORY. */
enum error upstream_take(struct exchange *exchange, const struct address *address) MUST_CHECK;

/* Before the head is sent: the response will be parsed into exchange->response. */
void upstream_expect_response(struct upstream *upstream);

/* Parts the two. `reusable`: the response has ended cleanly and so has the request. */
enum upstream_fate { UPSTREAM_DROP, UPSTREAM_REUSE };
void upstream_detach(struct upstream *upstream, enum upstream_fate fate);

void upstream_send(struct upstream *upstream, struct chunk chunk);
bool upstream_is_congested(const struct upstream *upstream);
void upstream_pause(struct upstream *upstream);
void upstream_resume(struct upstream *upstream);

/* Time limit for what the exchange waits for now; 0 disarms. */
void upstream_limit_time(struct upstream *upstream, uint64_t timeout_ms);
