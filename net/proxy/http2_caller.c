/* SPDX-License-Identifier: Apache-2.0 */
/* What goes to a client of HTTP/2: an exchange talks to its stream. Nothing is sent from here; nghttp2 makes
 * frames of it at the end of the turn. */
#include "net/proxy/forward.h"
#include "net/proxy/http2_client.h"
#include "net/proxy/http2_raw.h"

static struct http2_stream *stream_of(struct caller *caller)
{
    return (struct http2_stream *)caller;
}

static bool submit_head(struct http2_stream *stream, struct chunk text, bool final)
{
    nghttp2_session *session = stream->connection->session;
    nghttp2_nv fields[HTTP2_FIELDS_MAX];
    char *data = text.block->data + text.offset;
    size_t count = http2_fields_of(data, text.size, fields, HTTP2_FIELDS_MAX);
    if (count == 0)
        return false;
    if (!final) /* nghttp2 copies these */
        return nghttp2_submit_headers(session, NGHTTP2_FLAG_NONE, stream->id, NULL, fields, count, NULL) == 0;
    for (size_t i = 0; i < count; i++)
        fields[i].flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE;
    nghttp2_data_provider body = { .source = { .ptr = stream }, .read_callback = http2_stream_read };
    if (nghttp2_submit_response(session, stream->id, fields, count, stream->has_body ? &body : NULL) != 0)
        return false;
    stream->answered = true;
    stream->ended = !stream->has_body;
    return true;
}

static bool send_text(struct http2_stream *stream, struct chunk text, bool final)
{
    bool sent = text.block && submit_head(stream, text, final);
    if (sent && final)
        stream->head_text = text;
    else
        chunk_release(&text);
    http2_schedule(stream->connection);
    return sent;
}

static bool send_response(struct http2_stream *stream, struct exchange *exchange)
{
    bool upgraded = exchange->response.status == 101;
    if (upgraded) /* proves what nobody has asked for here (RFC 8441 section 5) */
        message_remove(&exchange->response, SLICE("Sec-WebSocket-Accept"));
    struct chunk text = forward_response_head(exchange, FORWARD_HTTP2);
    bool empty = exchange->client_framing == BODY_LENGTH && exchange->response.body_bytes == 0;
    stream->has_body = upgraded || (exchange->client_framing != BODY_NONE && !empty);
    return send_text(stream, text, true);
}

static bool send_answer(struct http2_stream *stream, struct exchange *exchange)
{
    struct chunk text = forward_answer(exchange, FORWARD_HTTP2);
    stream->has_body = exchange->answer.body.size > 0 && forward_answer_has_body(exchange);
    if (stream->has_body) {
        struct chunk body = forward_text(exchange, exchange->answer.body);
        if (body.block == NULL || !chunk_queue_push(&stream->out, body)) {
            chunk_release(&text);
            return false;
        }
        if (!send_text(stream, text, true))
            return false;
        stream->ended = true;
        return true;
    }
    return send_text(stream, text, true);
}

static bool send_head(struct caller *caller, enum caller_head kind)
{
    struct http2_stream *stream = stream_of(caller);
    struct exchange *exchange = caller->exchange;
    switch (kind) {
    case CALLER_CONTINUE: return send_text(stream, forward_text(exchange, SLICE(":status: 100\r\n")), false);
    case CALLER_INTERIM: return send_text(stream, forward_interim_head(exchange, FORWARD_HTTP2), false);
    case CALLER_RESPONSE: return send_response(stream, exchange);
    case CALLER_ANSWER: return send_answer(stream, exchange);
    }
    return false;
}

void http2_wake(struct http2_stream *stream)
{
    if (stream->deferred && nghttp2_session_resume_data(stream->connection->session, stream->id) == 0)
        stream->deferred = false;
    http2_schedule(stream->connection);
}

static bool send_body(struct caller *caller, struct chunk chunk)
{
    struct http2_stream *stream = stream_of(caller);
    if (!stream->has_body || stream->ended) {
        chunk_release(&chunk);
        return true;
    }
    if (stream->out.count == 0)
        stream->sent_ms = stream->connection->client->proxy->shard->now_ms;
    struct client *client = caller->client;
    if (!chunk_queue_append(&stream->out, chunk, client->proxy->shard->blocks, 0))
        return false;
    http2_wake(stream);
    return true;
}

static bool send_end(struct caller *caller, const struct header *trailers, uint32_t count)
{
    struct http2_stream *stream = stream_of(caller);
    if (stream->ended)
        return true;
    if (count > 0) {
        stream->trailer_text = forward_trailers(caller->exchange, trailers, count);
        if (stream->trailer_text.block == NULL)
            return false;
    }
    stream->ended = true;
    http2_wake(stream);
    return true;
}

/* Many streams share what one connection may hold: a client that reads none of its answers holds little. */
static enum backlog backlog(const struct caller *caller)
{
    enum { STREAMS_IN_FULL = 16 };
    const struct http2_stream *stream = (const struct http2_stream *)caller;
    uint64_t limit_bytes = caller->client->proxy->options->stream_bytes;
    limit_bytes /= 1 + stream->connection->stream_count / STREAMS_IN_FULL;
    return backlog_of(stream->out.bytes, stream->out.count, limit_bytes);
}

static void control_reading(struct caller *caller, enum caller_reading reading)
{
    struct http2_stream *stream = stream_of(caller);
    if (reading == CALLER_PAUSE) {
        stream->paused = true;
        return;
    }
    if (stream->paused) { /* the pause was not the client's */
        stream->body_begin_ms = stream->received_ms = caller->client->proxy->shard->now_ms;
        stream->body_bytes = 0;
    }
    stream->paused = false;
    uint32_t withheld = stream->withheld;
    stream->withheld = 0;
    http2_give_window(stream, withheld);
}

/* What is complete still goes out; a request that is not is refused behind it (section 8.1), in
 * http2_stream.c. */
static void done(struct caller *caller, enum caller_fate fate)
{
    struct http2_stream *stream = stream_of(caller);
    caller->exchange = NULL;
    if (stream->raw && http2_raw_leave(stream, fate))
        return;
    control_reading(caller, CALLER_RESUME);
    if (fate == CALLER_CUT || !stream->answered || !stream->ended)
        http2_reset(stream, NGHTTP2_INTERNAL_ERROR);
    http2_schedule(stream->connection);
}

const struct caller_ops http2_caller_ops = {
    .send_head = send_head,
    .send_body = send_body,
    .send_end = send_end,
    .backlog = backlog,
    .read = control_reading,
    .open_raw = http2_raw_open,
    .done = done,
};
