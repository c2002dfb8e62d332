/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/client_begin.h"

#include "net/proxy/client_stream.h"
#include "net/proxy/http2_client.h"

void client_count_handshakes(struct client *client, int change)
{
    client->proxy->handshake_count += (uint32_t)change;
    metric_add(&client->proxy->shard->metrics, METRIC_TLS_SHAKING, change);
}

static void begin_handshake(struct client *client, struct chunk first)
{
    struct proxy *proxy = client->proxy;
    struct metrics *metrics = &proxy->shard->metrics;
    const struct listener_options *listener = client->listener;
    const struct tls_profiles *profiles = &proxy->snapshot->tls;
    struct tls_server *server = listener->streams ? profiles->server_streams
                                : listener->http2 ? profiles->server_http2
                                                  : profiles->server;
    if (proxy->handshake_count >= proxy->options->handshakes_max) {
        metric_add(metrics, METRIC_TLS_REFUSED, 1);
        chunk_release(&first);
        client_close(client);
    } else if (connection_protect(&client->connection, server, first) != ERROR_OK) {
        metric_add(metrics, METRIC_MEMORY_FAILURES, 1);
        client_close(client);
    } else {
        client_count_handshakes(client, 1);
    }
    struct stream *lower = &client->connection.tcp.stream;
    while (client->input.count > 0 && client->state == CLIENT_HELLO) /* what was looked at before */
        lower->events->received(lower, chunk_queue_pop(&client->input));
}

/* The first bytes on a TLS port: of a ClientHello (the old kind of SSL 2 is left to TLS to refuse), or of
 * somebody who speaks in the clear. Until they come a client costs no more than any other. */
static bool is_hello(const struct chunk *chunk)
{
    unsigned char first = (unsigned char)chunk_slice(chunk).data[0];
    return first == TLS_HANDSHAKE || (first & 0x80) != 0;
}

static void begin_tls(struct client *client, struct chunk chunk)
{
    bool streams = client->listener->streams;
    if (chunk.size == 0) {
        client_close(client);
    } else if (streams && client->proxy->snapshot->passes_tls && !client_stream_peeked(client, &chunk)) {
        return;
    } else if (streams || is_hello(&chunk)) {
        begin_handshake(client, chunk);
    } else {
        metric_add(&client->proxy->shard->metrics, METRIC_TLS_CLEARTEXT, 1);
        client->misdirected = true;
        client->state = CLIENT_IDLE;
        client->connection.stream->events->received(client->connection.stream, chunk);
    }
}

/* What says whose connection it is comes before everything else; who says something else is not heard. */
static void read_preamble(struct client *client, struct chunk chunk)
{
    enum proxy_protocol_result result = PROXY_PROTOCOL_BAD;
    if (chunk.size > 0)
        result = preamble_take(&client->preamble, &chunk, &client->told);
    if (result == PROXY_PROTOCOL_MORE)
        return;
    if (result == PROXY_PROTOCOL_BAD) {
        metric_add(&client->proxy->shard->metrics, METRIC_PREAMBLES_REFUSED, 1);
        client_close(client);
        return;
    }
    client->state = client->listener->tls ? CLIENT_HELLO : CLIENT_IDLE;
    if (client->state == CLIENT_IDLE && client->listener->streams)
        client_stream_begin(client);
    else
        client_timer_update(client);
    if (client->state == CLIENT_CLOSING)
        chunk_release(&chunk);
    else if (chunk.size > 0)
        client->connection.stream->events->received(client->connection.stream, chunk);
    else
        chunk_release(&chunk);
}

void client_begin(struct client *client, struct chunk chunk)
{
    if (client->state == CLIENT_PREAMBLE)
        read_preamble(client, chunk);
    else
        begin_tls(client, chunk);
}

void client_shaken(struct stream *stream, enum error error)
{
    struct client *client = stream->owner;
    struct metrics *metrics = &client->proxy->shard->metrics;
    if (client->state != CLIENT_HELLO)
        return;
    const struct tls_stream *tls = client->connection.tls;
    bool good = error == ERROR_OK || (error == ERROR_CLOSED && tls && tls->confirms);
    metric_add(metrics, good ? METRIC_TLS_HANDSHAKES : METRIC_TLS_FAILED, 1);
    if (error != ERROR_OK) {
        client_close(client);
        return;
    }
    metric_add(metrics, METRIC_TLS_RESUMED, client->connection.tls->resumed);
    client_count_handshakes(client, -1);
    client->tls = true;
    client->state = CLIENT_IDLE;
    if (client->listener->streams)
        client_stream_begin(client);
    else if (slice_equal(slice_of(client->connection.tls->protocol), SLICE("h2")))
        http2_client_begin(client);
    else
        client_timer_update(client);
}
