/* SPDX-License-Identifier: Apache-2.0 */
/* The client's side of one exchange, whatever version of HTTP it speaks: what an exchange asks of it. A
 * connection of HTTP/1 has one, one of HTTP/2 has one per stream; each is embedded there. What belongs to the
 * connection - peer, TLS, how many requests - is in its `client`. net/proxy/exchange_events.h is the other
 * direction. One shard. */
#pragma once

#include "net/http/message.h"
#include "net/proxy/backlog.h"

struct client;
struct caller;
struct exchange;

enum caller_head {
    CALLER_CONTINUE, /* 100: the body is wanted now */
    CALLER_INTERIM, /* a 1xx of the upstream */
    CALLER_RESPONSE, /* of the upstream; sets client_framing */
    CALLER_ANSWER, /* the gateway's own, with its body and its end */
};

enum caller_reading { CALLER_PAUSE, CALLER_RESUME };

/* What becomes of the connection: it goes on, ends with this response, or is cut in the middle of it. Where
 * others share it, only their own part of it ends. */
enum caller_fate { CALLER_KEEP, CALLER_CLOSE, CALLER_CUT };

struct caller_ops {
    /* What the exchange has to say, as it stands now. False: out of memory, nothing was sent. */
    bool (*send_head)(struct caller *caller, enum caller_head kind);
    bool (*send_body)(struct caller *caller, struct chunk chunk); /* takes the reference */
    bool (*send_end)(struct caller *caller, const struct header *trailers, uint32_t count);
    enum backlog (*backlog)(const struct caller *caller);
    /* More of the request's body, or no more for now; never calls the exchange from inside. */
    void (*read)(struct caller *caller, enum caller_reading reading);
    /* From now on bytes of any kind: what arrives goes to exchange->tunnel, and what has come before, too.
     * NULL: this caller cannot. */
    struct stream *(*open_raw)(struct caller *caller);
    /* The exchange is over, or gives up its client; it may have been freed already. */
    void (*done)(struct caller *caller, enum caller_fate fate);
};

struct caller {
    const struct caller_ops *ops;
    struct client *client; /* the connection */
    struct exchange *exchange; /* NULL: between two */
};

extern const struct caller_ops http1_caller_ops, stream_caller_ops;

static inline bool caller_send_head(struct caller *caller, enum caller_head kind)
{
    return caller->ops->send_head(caller, kind);
}

static inline bool caller_send_body(struct caller *caller, struct chunk chunk)
{
    return caller->ops->send_body(caller, chunk);
}

static inline bool caller_send_end(struct caller *caller, const struct header *trailers, uint32_t count)
{
    return caller->ops->send_end(caller, trailers, count);
}

static inline enum backlog caller_backlog(const struct caller *caller)
{
    return caller->ops->backlog(caller);
}

static inline void caller_pause(struct caller *caller)
{
    caller->ops->read(caller, CALLER_PAUSE);
}

static inline void caller_resume(struct caller *caller)
{
    caller->ops->read(caller, CALLER_RESUME);
}

static inline struct stream *caller_open_raw(struct caller *caller)
{
    return caller->ops->open_raw ? caller->ops->open_raw(caller) : NULL;
}

static inline void caller_done(struct caller *caller, enum caller_fate fate)
{
    caller->ops->done(caller, fate);
}
