/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.1 calls that the gateway itself makes from a shard: one request with its response, over a kept or a
 * new connection of the shard's pool (fetch_pool.h), with or without TLS, bounded in bytes and in time,
 * following no redirect. Embedded in whoever asks. One shard; everything happens on its loop.
 *
 *     fetch_init(&own->fetch, fetch_pool_of(shard), own_done);   // once
 *     fetch_start(&own->fetch, &request);                        // as often as wanted, one at a time
 *     own_done(): fetch->status, fetch_header(), fetch->body     // exactly once per start
 *     fetch_close(&own->fetch);                                  // in the end, at any time
 */
#pragma once

#include "core/base/arena.h"
#include "core/io/shard.h"
#include "net/fetch/fetch_url.h"
#include "net/http/http1_parse.h"
#include "net/proxy/resolver.h"
#include "net/transport/address.h"

struct fetch_pool;

enum fetch_option {
    FETCH_UNVERIFIED = 1, /* any certificate is taken for the host's */
    FETCH_REPEATABLE =
        2, /* may be sent again when a kept connection turns out closed; GET, HEAD, PUT, DELETE,
                           * OPTIONS and TRACE may in any case */
    FETCH_DISCARD = 4, /* the response's body is read, but not kept */
    FETCH_SINGLE = 8 /* a connection of its own, closed afterwards */
};

/* What it points to must live until `done`, or fetch_close. */
struct fetch_request {
    struct slice method; /* absent: GET */
    struct slice url; /* http or https, see fetch_url_parse */
    const struct header *headers; /* name and value; Host, User-Agent and Accept take the place of ours */
    uint32_t header_count; /* none of Connection, Content-Length, Transfer-Encoding */
    struct slice body; /* absent: none */
    struct slice proxy_url; /* through that proxy, https in a tunnel; absent: directly */
    uint32_t limit_bytes; /* of the response's body; a longer one is ERROR_LIMIT */
    uint32_t timeout_ms; /* for everything together, waiting for a name or a connection included */
    uint32_t keep_ms; /* the connection is kept idle for so long at most; 0: fetch_idle_timeout */
    unsigned options; /* enum fetch_option */
    struct tls_client *tls; /* other trust or a certificate of our own; NULL: what plugins
                            * believe (lua_ssl_trusted_certificate) */
};

struct fetch;

/* Exactly once per start, from the loop; the fetch may be started again or closed in it. ERROR_OK: a whole
 * response of any status has come. Otherwise there is none:
 * INVALID the request cannot be sent, NAME, REFUSED, TLS, TIMEOUT, LIMIT (of the body, or of connections that
 * wait), PROTOCOL, CLOSED and RESET and TRUNCATED, MEMORY, DESCRIPTORS, UNSUPPORTED (no TLS), CANCELLED (the
 * shard ends). */
typedef void fetch_done_fn(struct fetch *fetch, enum error error);

enum fetch_state {
    FETCH_IDLE,
    FETCH_FAILING, /* cannot begin; the loop tells */
    FETCH_NAME, /* waits for an address */
    FETCH_LINE, /* waits for a connection to become free */
    FETCH_BUSY /* has a connection */
};

struct fetch {
    /* The response, from `done` until the next start or fetch_close. */
    int status;
    struct message response;
    struct slice body; /* empty when it was discarded */

    struct fetch_pool *pool;
    fetch_done_fn *done;
    enum fetch_state state;
    struct fetch_request request;
    struct fetch_url url, proxy; /* proxy.host absent: none */
    struct slice proxy_authorization; /* absent: none */
    struct address address; /* of the host, or of the proxy */
    uint64_t until_ms;
    struct resolver_waiter waiter;
    struct list_node node; /* of the pool: in line, or busy */
    struct fetch_connection *connection;
    struct http1_parser parser;
    struct arena arena; /* heads and body of the response */
    struct timer timer;
    struct shard_task task;
    char *text; /* the body so far, in the arena */
    uint32_t size, capacity;
    enum error error;
    bool repeated; /* on a new connection, after a kept one was found closed */
};

/* The shard's own; there is one in every proxy. */
struct fetch_pool *fetch_pool_of(const struct shard *shard);

/* Once, before the first start. */
void fetch_init(struct fetch *fetch, struct fetch_pool *pool, fetch_done_fn *done);

/* Not while one is under way. */
void fetch_start(struct fetch *fetch, const struct fetch_request *request);

/* Ends what is under way, whose `done` will not come, and gives everything back. Legal at any time after
 * init, and again. */
void fetch_close(struct fetch *fetch);

static inline bool fetch_is_busy(const struct fetch *fetch)
{
    return fetch->state != FETCH_IDLE;
}

/* The first header of the response of that name, in any case; absent: there is none. */
static inline struct slice fetch_header(const struct fetch *fetch, struct slice name)
{
    return message_find_name(&fetch->response, name);
}
