/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/http2_raw.h"

#include "core/crypto/base64.h"
#include "core/crypto/random.h"
#include "net/proxy/exchange_events.h"
#include "net/proxy/tunnel.h"

#include <stdlib.h>

enum { KEY_BYTES = 16, KEY_TEXT_SIZE = 24 /* RFC 6455 section 4.1 */ };

static struct shard *shard_of(const struct http2_stream *stream)
{
    return stream->caller.client->proxy->shard;
}

static struct http2_stream *of_raw(struct stream *stream)
{
    return CONTAINER_OF(stream, struct http2_raw, stream)->of;
}

/* NULL: not yet, or not any more. */
static struct tunnel *tunnel_of(const struct http2_stream *stream)
{
    return http2_raw_is_used(stream) ? stream->caller.exchange->tunnel : NULL;
}

/* --- from the client ------------------------------------------------------------------------------------ */

static void pass_on(struct shard_task *task)
{
    struct http2_raw *raw = CONTAINER_OF(task, struct http2_raw, task);
    struct http2_stream *stream = raw->of;
    struct tunnel *tunnel = tunnel_of(stream);
    uint32_t passed = 0;
    if (tunnel == NULL)
        return;
    while (raw->in.count > 0 && !stream->paused) {
        struct chunk chunk = chunk_queue_pop(&raw->in);
        passed += chunk.size;
        tunnel_received(tunnel, TUNNEL_CLIENT, chunk);
    }
    stream->withheld -= passed;
    http2_give_window(stream, passed);
    if (raw->in.count == 0 && raw->ended && !raw->end_passed) {
        raw->end_passed = true;
        tunnel_received(tunnel, TUNNEL_CLIENT, (struct chunk){ 0 });
    }
}

void http2_raw_received(struct http2_stream *stream, struct chunk chunk)
{
    struct http2_raw *raw = stream->raw;
    struct tunnel *tunnel = raw->in.count == 0 && !stream->paused ? tunnel_of(stream) : NULL;
    uint32_t size = chunk.size;
    if (size == 0) {
        chunk_release(&chunk);
    } else if (tunnel) {
        tunnel_received(tunnel, TUNNEL_CLIENT, chunk);
        http2_give_window(stream, size);
    } else {
        stream->withheld += size;
        if (!chunk_queue_append(&raw->in, chunk, shard_of(stream)->blocks, 0))
            http2_reset(stream, NGHTTP2_INTERNAL_ERROR);
    }
}

void http2_raw_ended(struct http2_stream *stream)
{
    stream->raw->ended = true;
    if (stream->raw->open)
        shard_defer(shard_of(stream), &stream->raw->task);
}

/* --- to the client -------------------------------------------------------------------------------------- */

static void count_queued(struct http2_stream *stream)
{
    stream->raw->stream.queued_bytes = stream->out.bytes;
    stream->raw->stream.queued_chunks = stream->out.count;
}

static void send_chunk(struct stream *raw, struct chunk chunk)
{
    struct http2_stream *stream = of_raw(raw);
    if (stream->ended || chunk.size == 0)
        chunk_release(&chunk);
    else if (!chunk_queue_push(&stream->out, chunk))
        http2_reset(stream, NGHTTP2_INTERNAL_ERROR);
    count_queued(stream);
    http2_wake(stream);
}

static void finish(struct stream *raw)
{
    struct http2_stream *stream = of_raw(raw);
    stream->ended = true;
    http2_wake(stream);
}

void http2_raw_drained(struct http2_stream *stream)
{
    struct tunnel *tunnel = tunnel_of(stream);
    count_queued(stream);
    if (tunnel)
        tunnel_writable(tunnel, TUNNEL_CLIENT);
}

/* --- for the tunnel ------------------------------------------------------------------------------------- */

static void pause_reading(struct stream *raw)
{
    of_raw(raw)->paused = true;
}

static void resume_reading(struct stream *raw)
{
    struct http2_stream *stream = of_raw(raw);
    stream->paused = false;
    shard_defer(shard_of(stream), &stream->raw->task);
}

static void close_raw(struct stream *raw)
{
    http2_reset(of_raw(raw), NGHTTP2_CANCEL);
}

static const struct stream_ops raw_ops = {
    .send = send_chunk,
    .pause = pause_reading,
    .resume = resume_reading,
    .finish = finish,
    .close = close_raw,
};

struct stream *http2_raw_open(struct caller *caller)
{
    struct http2_raw *raw = ((struct http2_stream *)caller)->raw;
    if (raw == NULL)
        return NULL;
    raw->open = true;
    shard_defer(raw->stream.shard, &raw->task);
    return &raw->stream;
}

/* --- its life ------------------------------------------------------------------------------------------- */

/* The client has none, for it need not prove anything; the upstream has to. */
static bool add_key(struct message *request)
{
    unsigned char key[KEY_BYTES];
    char text[KEY_TEXT_SIZE];
    random_bytes(key, sizeof(key));
    size_t size = base64_encode(BASE64_STANDARD, (struct slice){ (const char *)key, sizeof(key) }, text);
    struct slice value = arena_copy(request->arena, (struct slice){ text, size });
    return value.data && message_set(request, SLICE("sec-websocket-key"), value);
}

bool http2_raw_begin(struct http2_stream *stream)
{
    struct exchange *exchange = stream->caller.exchange;
    struct http2_raw *raw = calloc(1, sizeof(*raw));
    if (raw == NULL)
        return false;
    raw->stream = (struct stream){ .ops = &raw_ops, .shard = shard_of(stream), .owner = raw };
    raw->of = stream;
    shard_task_init(&raw->task, pass_on);
    chunk_queue_init(&raw->in);
    stream->raw = raw;
    bool websocket = slice_equal_nocase(stream->head.protocol, SLICE("websocket"));
    if (websocket && !add_key(&exchange->request))
        return false;
    exchange_request_end(exchange, NULL, 0); /* there is no body */
    return true;
}

void http2_raw_free(struct http2_stream *stream)
{
    struct http2_raw *raw = stream->raw;
    stream->raw = NULL;
    list_remove(&raw->task.node);
    chunk_queue_clear(&raw->in);
    free(raw);
}

bool http2_raw_goes_on(const struct http2_stream *stream, uint32_t reason)
{
    return http2_raw_is_used(stream) && stream->raw->ended && stream->ended && stream->out.bytes == 0 &&
           reason == NGHTTP2_NO_ERROR;
}

bool http2_raw_leave(struct http2_stream *stream, enum caller_fate fate)
{
    struct http2_client *connection = stream->connection;
    uint32_t withheld = stream->withheld;
    chunk_queue_clear(&stream->raw->in);
    stream->withheld = 0;
    http2_give_window(stream, withheld);
    if (!stream->raw->open)
        return false;
    http2_schedule(connection);
    if (stream->closed)
        http2_stream_free(stream);
    else if (fate == CALLER_CUT) /* RFC 8441 section 5, for a reset of TCP */
        http2_reset(stream, NGHTTP2_CANCEL);
    else if (!stream->ended)
        finish(&stream->raw->stream); /* and http2_stream.c refuses what still comes */
    else if (nghttp2_session_get_stream_local_close(connection->session, stream->id) == 1)
        http2_reset(stream, NGHTTP2_NO_ERROR);
    return true;
}
