/* SPDX-License-Identifier: Apache-2.0 */
/* A connection to a peer or from one: TCP, with TLS over it or without, behind one stream. TLS costs memory
 * only where it is spoken. Embedded in whoever owns it, who finds itself in the `owner` of the stream that
 * an event names, and calls connection_deinit in `closed`. One shard, which has a tls_loop if TLS is
 * spoken. */
#pragma once

#include "net/transport/address.h"
#include "net/transport/tcp_stream.h"
#include "tls/tls_stream.h"

struct connection {
    struct tcp_stream tcp;
    struct tls_stream *tls; /* NULL: in the clear */
    struct stream *stream; /* the outer one of the two, which its owner uses */
};

struct connection_owner {
    const struct stream_events *events;
    void *pointer; /* becomes stream->owner */
};

/* Starts to connect; `opened` tells the end of it, with the handshake if there is a target. `address` must
 * live until then, `target` (NULL: in the clear) only during the call. ERROR_MEMORY: nothing has begun, no
 * event will come. */
enum error connection_connect(struct connection *connection, struct shard *shard,
                              const struct connection_owner *owner, const struct address *address,
                              const struct tls_target *target) MUST_CHECK;

/* An accepted socket, in the clear so far; starts receiving. */
void connection_accepted(struct connection *connection, struct shard *shard,
                         const struct connection_owner *owner, int fd);

/* TLS from here on, as its server; `first` is what has come already, and becomes the connection's.
 * connection->stream is another one then, `opened` tells the end of the handshake. ERROR_MEMORY: still as it
 * was, and the chunk is released. */
enum error connection_protect(struct connection *connection, struct tls_server *server,
                              struct chunk first) MUST_CHECK;

/* TLS from here on, as its client, over what is open already: a tunnel of a proxy. Else like
 * connection_protect. */
enum error connection_secure(struct connection *connection, const struct tls_target *target) MUST_CHECK;

/* Closes with a reset: the peer must not take what it has for the whole. */
void connection_reset(struct connection *connection);

/* Nothing of what is queued has been given to the kernel yet. */
bool connection_is_unsent(const struct connection *connection);

/* After the shard's last turn, when `closed` has not come: gives back what it holds, and tells nothing. */
void connection_abandon(struct connection *connection);

/* In the `closed` event. */
void connection_deinit(struct connection *connection);
