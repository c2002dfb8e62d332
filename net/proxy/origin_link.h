/* SPDX-License-Identifier: Apache-2.0 */
/* A connection to an endpoint, whatever version of HTTP is spoken over it: how it is opened, by what rules of
 * TLS, who counts it, and how it waits without a request. Embedded in its owner, which is freed in the
 * `closed` event. Its shard's. */
#pragma once

#include "net/proxy/exchange_state.h"
#include "net/transport/connection.h"

enum { ORIGIN_NAME_SIZE = 256 };

/* By what rules a connection was opened with TLS: one that was opened by others is never used. */
struct origin_tls_rules {
    unsigned char id[32]; /* struct tls_upstream */
    char name[ORIGIN_NAME_SIZE]; /* of the server, lower case: asked for, and checked if that is asked for */
};

struct origin_link {
    struct connection connection;
    struct origin_tls_rules *rules; /* NULL: in the clear */
    struct proxy *proxy;
    struct endpoint *endpoint;
    struct list_node node; /* endpoint->idle, newest first */
    struct list_node age_node; /* proxy->idle_origins, longest idle first */
    void (*close)(struct origin_link *link); /* closes an idle one */
    uint32_t request_count;
    bool is_private; /* opened for one client, whom a PROXY header may name */
    bool http2;
    bool closing;
};

/* What the exchange asks for. False: a name that TLS cannot ask for. *rules stays as it is without TLS. */
bool origin_link_rules(const struct exchange *exchange, struct origin_tls_rules *rules) MUST_CHECK;
/* `rules` NULL: in the clear. */
bool origin_link_follows(const struct origin_link *link, const struct origin_tls_rules *rules);

/* Room for one more connection of the shard, for which the longest idle one may have been closed. */
bool origin_link_room(struct proxy *proxy) MUST_CHECK;

/* Begins to connect to the exchange's endpoint; events name `owner`. False: nothing has begun. */
bool origin_link_open(struct origin_link *link, const struct exchange *exchange,
                      const struct origin_tls_rules *rules, const struct connection_owner *owner) MUST_CHECK;

/* In the `opened` event: counts handshakes, and tells of one that failed. */
void origin_link_opened(struct origin_link *link, enum error error);

/* In the `closed` event: gives all back. */
void origin_link_deinit(struct origin_link *link);

/* Into the lists of idle ones and out of them. */
void origin_link_rest(struct origin_link *link);
void origin_link_wake(struct origin_link *link);
