/* SPDX-License-Identifier: Apache-2.0 */
/* What goes to a client of HTTP/1: heads as text, bodies in chunks where their length is not known. */
#include "net/proxy/client_stream.h"
#include "net/proxy/exchange_notes.h"
#include "net/proxy/forward.h"

static struct client *client_of(const struct caller *caller)
{
    return caller->client;
}

static bool must_close(const struct exchange *exchange)
{
    const struct proxy_options *options = exchange->proxy->options;
    const struct client *client = exchange->caller->client;
    return !exchange->request.keep_alive || exchange->proxy->draining || client->ended ||
           options->keepalive_timeout_ms == 0 || client->request_count >= options->keepalive_requests;
}

static struct chunk write_head(struct exchange *exchange, enum caller_head kind)
{
    switch (kind) {
    case CALLER_CONTINUE: return forward_text(exchange, SLICE("HTTP/1.1 100 Continue\r\n\r\n"));
    case CALLER_INTERIM: return forward_interim_head(exchange, FORWARD_HTTP1);
    case CALLER_RESPONSE:
        exchange->client_closes |= must_close(exchange);
        return forward_response_head(exchange, FORWARD_HTTP1);
    case CALLER_ANSWER:
        exchange->client_closes |= must_close(exchange);
        return forward_answer(exchange, FORWARD_HTTP1);
    }
    return (struct chunk){ 0 };
}

static bool send_head(struct caller *caller, enum caller_head kind)
{
    struct chunk head = write_head(caller->exchange, kind);
    if (head.block == NULL)
        return false;
    if (kind == CALLER_RESPONSE || kind == CALLER_ANSWER)
        exchange_note_head_bytes(caller->exchange, head.size);
    client_send(client_of(caller), head);
    return true;
}

static bool send_body(struct caller *caller, struct chunk chunk)
{
    struct client *client = client_of(caller);
    struct exchange *exchange = caller->exchange;
    if (exchange->client_framing != BODY_CHUNKED) {
        client_send(client, chunk);
    } else {
        struct chunk line = forward_chunk_line(exchange, chunk.size);
        struct chunk end = forward_text(exchange, SLICE("\r\n"));
        if (line.block == NULL || end.block == NULL) {
            chunk_release(&line);
            chunk_release(&chunk);
            chunk_release(&end);
            return false;
        }
        client_send(client, line);
        client_send(client, chunk);
        client_send(client, end);
    }
    if (client_is_congested(client)) /* from now on it is to read */
        client_timer_update(client);
    return true;
}

static bool send_end(struct caller *caller, const struct header *trailers, uint32_t count)
{
    struct exchange *exchange = caller->exchange;
    if (exchange->client_framing != BODY_CHUNKED)
        return true;
    bool wanted = message_list_has(message_find(&exchange->request, HEADER_TE), SLICE("trailers"));
    struct chunk end = forward_last_chunk(exchange, trailers, wanted ? count : 0);
    if (end.block == NULL)
        return false;
    client_send(client_of(caller), end);
    return true;
}

static enum backlog backlog(const struct caller *caller)
{
    const struct client *client = client_of(caller);
    return backlog_of_stream(client->connection.stream, client->proxy->options->stream_bytes);
}

static void control_reading(struct caller *caller, enum caller_reading reading)
{
    struct client *client = client_of(caller);
    if (reading == CALLER_PAUSE) {
        client_pause(client);
        return;
    }
    client_resume(client);
    client_timer_update(client);
}

static void done(struct caller *caller, enum caller_fate fate)
{
    client_exchange_done(client_of(caller), fate);
}

const struct caller_ops http1_caller_ops = {
    .send_head = send_head,
    .send_body = send_body,
    .send_end = send_end,
    .backlog = backlog,
    .read = control_reading,
    .open_raw = client_stream_open_raw,
    .done = done,
};
