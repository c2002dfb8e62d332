/* SPDX-License-Identifier: Apache-2.0 */
/* Connections to origin servers. One serves one exchange at a time; between two it waits with its endpoint,
 * receiving, so that a close by the upstream is seen at once. Its shard's. */
#pragma once

#include "net/proxy/exchange_state.h"
#include "net/transport/connection.h"

enum { ORIGIN_NAME_SIZE = 256 };

/* By what rules a connection was opened with TLS: one that was opened by others is never used. */
struct origin_rules {
    unsigned char id[32]; /* struct tls_upstream */
    char name[ORIGIN_NAME_SIZE]; /* of the server, lower case: asked for, and checked if that is asked for */
};

struct origin {
    struct connection connection;
    struct origin_rules *rules; /* NULL: in the clear */
    struct proxy *proxy;
    struct endpoint *endpoint;
    struct list_node node; /* endpoint->idle */
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

/* Close idle ones: all of the shard, which drains; all of an endpoint, which leaves; the longest idle one of
 * an endpoint, false when it has none. Those in use are closed when their exchange lets go. */
void origin_close_all_idle(struct proxy *proxy);
void origin_close_idle(struct endpoint *endpoint);
bool origin_close_oldest(struct endpoint *endpoint);

/* A connection to the exchange's endpoint, kept or new: exchange->origin is set, and when it is new
 * exchange_origin_opened follows. ERROR_LIMIT at upstream_max_connections, ERROR_MEMORY,
 * ERROR_TLS for a name that TLS cannot ask for. */
enum error origin_take(struct exchange *exchange) MUST_CHECK;

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
