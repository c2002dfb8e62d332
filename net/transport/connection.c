/* SPDX-License-Identifier: Apache-2.0 */
#include "net/transport/connection.h"

#include <stdlib.h>

enum error connection_connect(struct connection *connection, struct shard *shard,
                              const struct connection_owner *owner, const struct address *address,
                              const struct tls_target *target)
{
    connection->tls = target ? malloc(sizeof(*connection->tls)) : NULL;
    if (target && connection->tls == NULL)
        return ERROR_MEMORY;
    tcp_stream_connect(&connection->tcp, shard, owner->events, &address->any, address->size);
    connection->stream = &connection->tcp.stream;
    if (target) {
        CHECK(shard->tls != NULL);
        tls_stream_connect(connection->tls, shard->tls, &connection->tcp.stream, owner->events, target);
        connection->stream = &connection->tls->stream;
    }
    connection->stream->owner = owner->pointer;
    return ERROR_OK;
}

void connection_accepted(struct connection *connection, struct shard *shard,
                         const struct connection_owner *owner, int fd)
{
    tcp_stream_accepted(&connection->tcp, shard, owner->events, fd);
    connection->tls = NULL;
    connection->stream = &connection->tcp.stream;
    connection->stream->owner = owner->pointer;
}

enum error connection_protect(struct connection *connection, struct tls_server *server, struct chunk first)
{
    struct stream *lower = &connection->tcp.stream;
    void *owner = lower->owner;
    CHECK(connection->tls == NULL);
    struct tls_stream *tls = malloc(sizeof(*tls));
    if (tls == NULL) {
        chunk_release(&first);
        return ERROR_MEMORY;
    }
    tls_stream_accept(tls, lower->shard->tls, lower, lower->events, server);
    tls->stream.owner = owner;
    connection->tls = tls;
    connection->stream = &tls->stream;
    lower->events->received(lower, first);
    return ERROR_OK;
}

enum error connection_secure(struct connection *connection, const struct tls_target *target)
{
    struct stream *lower = &connection->tcp.stream;
    void *owner = lower->owner;
    CHECK(connection->tls == NULL);
    struct tls_stream *tls = malloc(sizeof(*tls));
    if (tls == NULL)
        return ERROR_MEMORY;
    tls_stream_connect(tls, lower->shard->tls, lower, lower->events, target);
    tls->stream.owner = owner;
    connection->tls = tls;
    connection->stream = &tls->stream;
    lower->events->opened(lower, ERROR_OK);
    return ERROR_OK;
}

void connection_reset(struct connection *connection)
{
    tcp_stream_close_resets(&connection->tcp);
    stream_close(connection->stream);
}

bool connection_is_unsent(const struct connection *connection)
{
    const struct tls_stream *tls = connection->tls;
    if (tls && tls->outgoing.count > 0 && tls->lower->queued_bytes == 0)
        return true;
    return tcp_stream_is_unsent(&connection->tcp);
}

void connection_abandon(struct connection *connection)
{
    if (connection->tls)
        tls_stream_abandon(connection->tls);
    tcp_stream_abandon(&connection->tcp);
    connection_deinit(connection);
}

void connection_deinit(struct connection *connection)
{
    free(connection->tls);
    connection->tls = NULL;
}
