/* SPDX-License-Identifier: Apache-2.0 */
/* One connection of a pool of fetches, from its connect, over a proxy's tunnel and a TLS handshake where they
 * are wanted, through one request after the other. Part of net/fetch; it owns itself and is gone after its
 * close. One shard. */
#pragma once

#include "net/fetch/fetch_pool.h"
#include "net/transport/connection.h"

enum { FETCH_HOST_SIZE = 256 };

enum fetch_stage {
    FETCH_CONNECTING, /* TCP, and what follows it but a tunnel */
    FETCH_TUNNEL, /* waits for the proxy's answer */
    FETCH_OPEN
};

struct fetch_connection {
    struct connection transport;
    struct fetch_pool *pool;
    struct list_node node, idle_node; /* of the pool */
    struct fetch *fetch; /* NULL: idle or closing */
    struct timer timer; /* idle */
    struct address address;
    struct tls_client *tls_client; /* counted; NULL: no TLS */
    char host[FETCH_HOST_SIZE]; /* with TLS or in a tunnel: whom it talks to */
    uint16_t port; /* the same */
    bool tunnel; /* through a proxy */
    enum fetch_stage stage;
    bool closing, reused, answered; /* answered: a byte of the response has come */
};

/* The profile of TLS by which its host is called; NULL: none, or none is wanted. */
struct tls_client *fetch_tls(const struct fetch *fetch);

/* An idle one that would do for the fetch; NULL: none. */
struct fetch_connection *fetch_connection_find(const struct fetch *fetch);

/* Opens one for the fetch; its request is sent when it is open. NULL: memory is exhausted. */
struct fetch_connection *fetch_connection_open(struct fetch *fetch);

/* Gives the fetch an idle one, and sends its request. */
void fetch_connection_reuse(struct fetch_connection *connection, struct fetch *fetch);

enum fetch_fate { FETCH_KEEP, FETCH_DROP };

/* The fetch lets it go, before it tells anybody of its end. */
void fetch_connection_release(struct fetch_connection *connection, enum fetch_fate fate);

/* An idle or a released one. */
void fetch_connection_close(struct fetch_connection *connection);

/* --- what fetch.c does with it, and with the pool ------------------------------------------------------- */
void fetch_send(struct fetch *fetch); /* it is open: the request leaves */
void fetch_received(struct fetch *fetch, struct slice bytes);
void fetch_ended(struct fetch *fetch); /* the peer sends nothing any more */
void fetch_failed(struct fetch *fetch, enum error error);
bool fetch_place(struct fetch *fetch); /* gives it a connection; false: there is none, it waits in line */
void fetch_cancel(struct fetch *fetch); /* it fails */
void fetch_forget(struct fetch *fetch); /* it is told nothing; its connection is gone */
