/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/client_stream.h"

#include "net/proxy/caller_silent.h"
#include "net/proxy/client_begin.h"
#include "net/proxy/stream_route.h"
#include "net/proxy/tunnel.h"
#include "tls/tls_hello.h"

#include <stdlib.h>

enum {
    INPUT_CHUNKS = 16, /* held until the tunnel is open */
    PEEKED_MAX = TLS_HELLO_MAX + 1024 /* with the headers of records */
};

/* --- the beginning -------------------------------------------------------------------------------------- */

/* `name`: that the client asks for by TLS which is not unwrapped here. */
static void begin(struct client *client, bool passes_tls, struct slice name)
{
    client->caller.ops = &stream_caller_ops;
    client->state = CLIENT_RAW;
    struct exchange *exchange = exchange_open(client->proxy, &client->caller);
    if (exchange == NULL) {
        metric_add(&client->proxy->shard->metrics, METRIC_MEMORY_FAILURES, 1);
        client_close(client);
        return;
    }
    client->caller.exchange = exchange;
    client->request_count++;
    exchange->passes_tls = passes_tls;
    if (name.size > 0)
        exchange->server_name = arena_copy(&exchange->arena, name);
    client_timer_update(client);
    exchange_run(exchange);
}

void client_stream_begin(struct client *client)
{
    begin(client, false, (struct slice){ NULL, 0 });
}

/* What has come so far, in one piece; NULL: out of memory. */
static unsigned char *copy_input(const struct client *client)
{
    unsigned char *all = malloc((size_t)client->input.bytes + 1), *at = all;
    for (uint32_t i = 0; all && i < client->input.count; i++) {
        struct slice bytes = chunk_slice(chunk_queue_at((struct chunk_queue *)&client->input, i));
        memcpy(at, bytes.data, bytes.size);
        at += bytes.size;
    }
    return all;
}

enum peek { PEEK_MORE, PEEK_UNWRAP, PEEK_PASS };

/* The name lies in `all`, a copy of what has come. */
static enum peek peek(struct client *client, unsigned char *all, struct slice *name)
{
    struct slice message;
    struct tls_hello hello;
    if (tls_hello_gather(all, (size_t)client->input.bytes, &message) != TLS_ALERT_NONE)
        return PEEK_UNWRAP; /* to be refused as TLS refuses it */
    if (message.data == NULL)
        return client->input.bytes < PEEKED_MAX ? PEEK_MORE : PEEK_UNWRAP;
    if (tls_hello_read(message, &hello) != TLS_ALERT_NONE)
        return PEEK_UNWRAP;
    *name = hello.name;
    return stream_route_passes_tls(client, hello.name) ? PEEK_PASS : PEEK_UNWRAP;
}

bool client_stream_peeked(struct client *client, struct chunk *chunk)
{
    struct slice name = { NULL, 0 };
    struct block_store *blocks = client->proxy->shard->blocks;
    bool kept = chunk_queue_append(&client->input, *chunk, blocks, 0);
    unsigned char *all = kept ? copy_input(client) : NULL;
    if (all == NULL) {
        metric_add(&client->proxy->shard->metrics, METRIC_MEMORY_FAILURES, 1);
        client_close(client);
        return false;
    }
    enum peek found = peek(client, all, &name);
    if (found == PEEK_PASS)
        begin(client, true, name);
    else if (found == PEEK_UNWRAP)
        *chunk = chunk_queue_pop(&client->input);
    free(all);
    return found == PEEK_UNWRAP;
}

/* --- bytes ---------------------------------------------------------------------------------------------- */

static struct tunnel *tunnel_of(const struct client *client)
{
    return client->caller.exchange ? client->caller.exchange->tunnel : NULL;
}

void client_stream_flow(struct client *client)
{
    struct tunnel *tunnel = tunnel_of(client);
    if (tunnel == NULL)
        return;
    if (client->stopped) { /* from here on the tunnel says when to read */
        client->stopped = false;
        stream_resume(client->connection.stream);
    }
    client->paused = false;
    while (client->input.count > 0)
        tunnel_received(tunnel, TUNNEL_CLIENT, chunk_queue_pop(&client->input));
    if (client->ended)
        tunnel_received(tunnel, TUNNEL_CLIENT, (struct chunk){ 0 });
}

/* Kept until there is a tunnel. */
static void keep(struct client *client, struct chunk chunk)
{
    if (chunk.size == 0)
        return;
    if (!chunk_queue_append(&client->input, chunk, client->proxy->shard->blocks, 0)) {
        client_abort(client);
        return;
    }
    if (!client->stopped &&
        (client->input.count > INPUT_CHUNKS || client->input.bytes > client->proxy->options->stream_bytes)) {
        client->stopped = true;
        stream_pause(client->connection.stream);
    }
}

void client_stream_received(struct client *client, struct chunk chunk)
{
    struct tunnel *tunnel = tunnel_of(client);
    bool flows = tunnel && list_is_empty(&client->task.node);
    client->ended |= chunk.size == 0;
    if (flows)
        tunnel_received(tunnel, TUNNEL_CLIENT, chunk);
    else
        keep(client, chunk);
}

void client_stream_writable(struct client *client)
{
    struct tunnel *tunnel = tunnel_of(client);
    if (tunnel)
        tunnel_writable(tunnel, TUNNEL_CLIENT);
}

/* --- for the exchange ----------------------------------------------------------------------------------- */

struct stream *client_stream_open_raw(struct caller *caller)
{
    struct client *client = caller->client;
    client->state = CLIENT_RAW;
    client_timer_update(client);
    shard_defer(client->proxy->shard, &client->task);
    return client->connection.stream;
}

static void done(struct caller *caller, enum caller_fate fate)
{
    client_exchange_done(caller->client, fate);
}

const struct caller_ops stream_caller_ops = {
    .send_head = caller_silent_head,
    .send_body = caller_silent_body,
    .send_end = caller_silent_end,
    .backlog = caller_silent_backlog,
    .read = caller_silent_read,
    .open_raw = client_stream_open_raw,
    .done = done,
};
