/* SPDX-License-Identifier: Apache-2.0 */
/* The upstream's side of one exchange, whatever version of HTTP it speaks: what an exchange asks of it. It is
 * embedded in a connection (HTTP/1, which serves one exchange at a time and waits with its endpoint between
 * two, receiving, so that a close by the upstream is seen at once), or in what takes part of one.
 * net/proxy/exchange_events.h is the other direction. Its shard's. */
#pragma once

#include "net/proxy/backlog.h"
#include "net/proxy/exchange_state.h"

enum origin_reading { ORIGIN_PAUSE, ORIGIN_RESUME };

/* ORIGIN_REUSE: request and response have both ended cleanly. */
enum origin_fate { ORIGIN_DROP, ORIGIN_REUSE, ORIGIN_CUT /* with a reset */ };

struct origin_ops {
    /* The exchange's request as it stands now; its response will be parsed into exchange->response. False:
     * out of memory. */
    bool (*send_head)(struct origin *origin);
    bool (*send_body)(struct origin *origin, struct chunk chunk); /* takes the reference */
    bool (*send_end)(struct origin *origin);
    enum backlog (*backlog)(const struct origin *origin);
    void (*read)(struct origin *origin, enum origin_reading reading);
    /* The same as open_raw of a caller. */
    struct stream *(*open_raw)(struct origin *origin);
    /* Has let go of the exchange already; may free the origin. */
    void (*leave)(struct origin *origin, enum origin_fate fate);
};

struct origin {
    const struct origin_ops *ops;
    struct proxy *proxy;
    struct endpoint *endpoint;
    struct exchange *exchange; /* NULL: idle or closing */
    struct timer timer;
    bool open; /* connected, and good for a request */
    bool reused; /* carries not its first request */
    bool head_seen; /* a byte of the response has arrived */
    bool paused;
};

/* gRPC is spoken over HTTP/2 alone, and whatever else is to go that way is declared to be gRPC. */
static inline bool origin_speaks_http2(const struct service *service)
{
    return service->protocol == PROTOCOL_GRPC || service->protocol == PROTOCOL_GRPCS;
}

/* A connection to the exchange's endpoint, kept or new: exchange->origin is set, and when it is not open
 * yet exchange_origin_opened follows. ERROR_LIMIT at upstream_max_connections, ERROR_MEMORY,
 * ERROR_TLS for a name that TLS cannot ask for. */
enum error origin_take(struct exchange *exchange) MUST_CHECK;

/* Parts the two. */
void origin_detach(struct origin *origin, enum origin_fate fate);

/* Time limit for what the exchange waits for now; 0 disarms. */
void origin_limit_time(struct origin *origin, uint64_t timeout_ms);

/* Close idle ones: all of the shard, which drains; all of an endpoint, which leaves; the longest idle one of
 * an endpoint, false when it has none. Those in use are closed when their exchange lets go. */
void origin_close_all_idle(struct proxy *proxy);
void origin_close_idle(struct endpoint *endpoint);
bool origin_close_oldest(struct endpoint *endpoint);

static inline bool origin_send_head(struct origin *origin)
{
    return origin->ops->send_head(origin);
}

static inline bool origin_send_body(struct origin *origin, struct chunk chunk)
{
    return origin->ops->send_body(origin, chunk);
}

static inline bool origin_send_end(struct origin *origin)
{
    return origin->ops->send_end(origin);
}

static inline enum backlog origin_backlog(const struct origin *origin)
{
    return origin->ops->backlog(origin);
}

static inline struct stream *origin_open_raw(struct origin *origin)
{
    return origin->ops->open_raw ? origin->ops->open_raw(origin) : NULL;
}

static inline void origin_pause(struct origin *origin)
{
    if (!origin->paused)
        origin->ops->read(origin, ORIGIN_PAUSE);
    origin->paused = true;
}

static inline void origin_resume(struct origin *origin)
{
    if (origin->paused)
        origin->ops->read(origin, ORIGIN_RESUME);
    origin->paused = false;
}
