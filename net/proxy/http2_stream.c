/* SPDX-License-Identifier: Apache-2.0 */
/* What nghttp2 tells of a connection's frames, and what it asks for of the bodies of responses. Inside these
 * functions the session is never deleted, and no walk begins: that waits until all that came is parsed. */
#include "net/proxy/exchange_events.h"
#include "net/proxy/http2_client.h"
#include "net/proxy/http2_raw.h"

#include <stdlib.h>

enum {
    COPIED_BYTES = 1024, /* of a body, behind the frame's header; more is sent from where it is */
    LIST_TIMES = 4, /* the limit of a head's size: after so many the connection is given up */
    TRAILERS_MAX = 64,
    FIELD_OVERHEAD = 32, /* RFC 9113 section 6.5.2 */
    FRAME_HEADER_BYTES = 9
};

static struct http2_stream *stream_at(nghttp2_session *session, int32_t id)
{
    return id > 0 ? nghttp2_session_get_stream_user_data(session, id) : NULL;
}

static struct shard *shard_of(const struct http2_client *connection)
{
    return connection->client->proxy->shard;
}

static void reset(nghttp2_session *session, int32_t id, uint32_t reason)
{
    (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, reason);
}

void http2_reset(struct http2_stream *stream, uint32_t reason)
{
    reset(stream->connection->session, stream->id, reason);
    http2_schedule(stream->connection);
}

/* --- the budget ----------------------------------------------------------------------------------------- */

static struct http2_budget *budget_of(struct http2_client *connection)
{
    http2_budget_turn(&connection->budget, shard_of(connection)->now_ms);
    return &connection->budget;
}

static void check_budget(struct http2_client *connection)
{
    if (http2_budget_is_spent(&connection->budget, &connection->client->proxy->options->http2))
        http2_close_calmly(connection);
}

/* Whether it costs us something and the client nothing. */
static bool is_overhead(const struct http2_frames *frame)
{
    if (frame->type == NGHTTP2_DATA)
        return frame->length == 0 && !(frame->flags & NGHTTP2_FLAG_END_STREAM);
    return frame->type != NGHTTP2_HEADERS && frame->type != NGHTTP2_RST_STREAM;
}

/* Of what a turn may cost. Heads of many bytes are not taken in it, but in parts from the next one on. */
static uint32_t cost_of(const struct http2_client *connection)
{
    const struct http2_frames *frame = &connection->frames;
    switch (frame->type) {
    case NGHTTP2_HEADERS: return HTTP2_HEAD_COST + frame->length / HTTP2_HEAD_BYTES_PER_COST;
    case NGHTTP2_CONTINUATION: return 1 + frame->length / HTTP2_HEAD_BYTES_PER_COST;
    case NGHTTP2_SETTINGS: return 1 + connection->stream_count / HTTP2_STREAMS_PER_COST;
    default: return 1;
    }
}

static void spend(struct http2_client *connection)
{
    const struct http2_frames *frame = &connection->frames;
    struct http2_budget *budget = budget_of(connection);
    connection->turn_cost += cost_of(connection);
    budget->overhead += is_overhead(frame);
    budget->resets += frame->type == NGHTTP2_RST_STREAM;
    budget->earned += frame->type == NGHTTP2_HEADERS ? HTTP2_EARNED_BY_HEAD : 0;
    check_budget(connection);
}

/* --- frames that are not allowed ------------------------------------------------------------------------ */

bool http2_frame_needs_stream(const struct http2_frames *frame)
{
    return frame->type == NGHTTP2_DATA || frame->type == NGHTTP2_HEADERS;
}

/* nghttp2 ignores what belongs to a stream that it does not know any more. Sections 5.1 and 5.1.1. */
static uint32_t fault_of_closed(struct http2_client *connection, uint32_t id)
{
    if (id > connection->closed.highest || id % 2 == 0 ||
        nghttp2_session_find_stream(connection->session, (int32_t)id))
        return NGHTTP2_NO_ERROR;
    switch (http2_closed_how(&connection->closed, id)) {
    case HTTP2_CLOSED_BY_CLIENT: return NGHTTP2_STREAM_CLOSED;
    case HTTP2_CLOSED_NEVER_OPEN: return connection->last_said ? NGHTTP2_NO_ERROR : NGHTTP2_PROTOCOL_ERROR;
    default: return NGHTTP2_NO_ERROR;
    }
}

static uint32_t fault_of(struct http2_client *connection)
{
    const struct http2_frames *frame = &connection->frames;
    if (frame->type == NGHTTP2_PRIORITY && (frame->stream == 0 || frame->dependency == frame->stream))
        return NGHTTP2_PROTOCOL_ERROR; /* also of RFC 7540 section 5.3.1 */
    return http2_frame_needs_stream(frame) ? fault_of_closed(connection, frame->stream) : NGHTTP2_NO_ERROR;
}

bool http2_judge_frame(struct http2_client *connection)
{
    const struct http2_frames *frame = &connection->frames;
    uint32_t fault = fault_of(connection);
    if (fault != NGHTTP2_NO_ERROR) {
        (void)nghttp2_session_terminate_session(connection->session, fault);
        connection->failed = true;
        return false;
    }
    if (frame->type == NGHTTP2_HEADERS && frame->stream > connection->closed.highest)
        connection->closed.highest = frame->stream;
    spend(connection);
    return !connection->failed;
}

/* A head that is refused before it opens a stream; what belongs to it may be on its way. */
static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int error, void *pointer)
{
    struct http2_client *connection = pointer;
    (void)session, (void)error;
    if (frame->hd.type == NGHTTP2_HEADERS)
        http2_closed_add(&connection->closed, (uint32_t)frame->hd.stream_id, false);
    return 0;
}

/* --- life of a stream ----------------------------------------------------------------------------------- */

static struct http2_stream *open_stream(struct http2_client *connection, int32_t id)
{
    struct client *client = connection->client;
    struct http2_stream *stream = calloc(1, sizeof(*stream));
    if (stream == NULL)
        return NULL;
    stream->caller = (struct caller){ &http2_caller_ops, client, NULL };
    stream->connection = connection;
    stream->id = id;
    list_init(&stream->fresh_node);
    list_init(&stream->drained_node);
    chunk_queue_init(&stream->out);
    struct exchange *exchange = exchange_open(client->proxy, &stream->caller);
    if (exchange == NULL) {
        free(stream);
        return NULL;
    }
    stream->caller.exchange = exchange;
    stream->head =
        (struct http2_head){ .message = &exchange->request, .limits = &client->proxy->options->limits };
    stream->received_ms = stream->sent_ms = stream->body_begin_ms = shard_of(connection)->now_ms;
    list_append(&connection->streams, &stream->node);
    connection->stream_count++;
    metric_add(&shard_of(connection)->metrics, METRIC_HTTP2_STREAMS, 1);
    return stream;
}

void http2_stream_abort(struct http2_stream *stream)
{
    struct exchange *exchange = stream->caller.exchange;
    stream->caller.exchange = NULL;
    if (exchange)
        exchange_client_gone(exchange);
}

void http2_stream_free(struct http2_stream *stream)
{
    struct http2_client *connection = stream->connection;
    list_remove(&stream->node);
    list_remove(&stream->fresh_node);
    list_remove(&stream->drained_node);
    connection->stream_count--;
    connection->closed_count -= stream->closed;
    connection->idle_ms = shard_of(connection)->now_ms;
    metric_add(&shard_of(connection)->metrics, METRIC_HTTP2_STREAMS, -1);
    http2_stream_abort(stream);
    if (stream->raw)
        http2_raw_free(stream);
    chunk_release(&stream->head_text);
    chunk_release(&stream->trailer_text);
    chunk_queue_clear(&stream->out);
    free(stream);
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t reason, void *pointer)
{
    struct http2_client *connection = pointer;
    struct http2_stream *stream = stream_at(session, id);
    http2_closed_add(&connection->closed, (uint32_t)id, stream && stream->remote_ended);
    if (stream == NULL)
        return 0;
    nghttp2_session_set_stream_user_data(session, id, NULL);
    if (http2_raw_goes_on(stream, reason)) {
        stream->closed = true;
        connection->closed_count++;
        return 0;
    }
    uint32_t withheld = stream->withheld;
    stream->withheld = 0;
    (void)nghttp2_session_consume_connection(connection->session, withheld);
    http2_stream_free(stream);
    return 0;
}

/* --- heads ---------------------------------------------------------------------------------------------- */

static bool begins_request(const nghttp2_frame *frame)
{
    return frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *pointer)
{
    struct http2_client *connection = pointer;
    connection->list_bytes = 0;
    if (!begins_request(frame))
        return 0;
    struct http2_stream *stream = open_stream(connection, frame->hd.stream_id);
    if (stream == NULL) {
        metric_add(&shard_of(connection)->metrics, METRIC_MEMORY_FAILURES, 1);
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    return nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, stream);
}

/* False: they are beyond a limit. */
static bool take_trailer(struct http2_stream *stream, struct slice name, struct slice value)
{
    stream->trailer_list_bytes += (uint32_t)(name.size + value.size) + FIELD_OVERHEAD;
    if (stream->trailer_list_bytes > stream->head.limits->trailer_bytes)
        return false;
    return http2_trailer_add(&stream->trailers, &stream->caller.exchange->arena, name, value);
}

/* A few bytes of HPACK can stand for many, whatever they belong to. A reset would have the rest decoded, for
 * nothing. */
static bool is_bomb(struct http2_client *connection, size_t field_bytes)
{
    const struct http1_limits *limits = &connection->client->proxy->options->limits;
    connection->list_bytes += field_bytes + FIELD_OVERHEAD;
    return connection->list_bytes > (uint64_t)limits->head_bytes * LIST_TIMES;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags, void *pointer)
{
    struct http2_client *connection = pointer;
    struct http2_stream *stream = stream_at(session, frame->hd.stream_id);
    const struct slice field[] = { { (const char *)name, name_size }, { (const char *)value, value_size } };
    (void)flags;
    if (is_bomb(connection, name_size + value_size)) {
        http2_close_calmly(connection);
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    if (stream == NULL || stream->caller.exchange == NULL)
        return 0;
    if (begins_request(frame)) {
        http2_head_add(&stream->head, field[0], field[1]);
    } else if (!take_trailer(stream, field[0], field[1])) {
        reset(session, frame->hd.stream_id, NGHTTP2_ENHANCE_YOUR_CALM);
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    return 0;
}

/* A field that nghttp2 would leave out: section 8.1.1 has the whole message refused. */
static int on_invalid_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                             size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
                             void *pointer)
{
    (void)name, (void)name_size, (void)value, (void)value_size, (void)flags, (void)pointer;
    reset(session, frame->hd.stream_id, NGHTTP2_PROTOCOL_ERROR);
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static void end_request(struct http2_stream *stream)
{
    const struct message *trailers = stream->trailers;
    stream->remote_ended = true;
    if (stream->raw)
        http2_raw_ended(stream);
    else if (stream->caller.exchange && stream->head.refusal == HTTP1_REFUSED_NONE)
        exchange_request_end(stream->caller.exchange, trailers ? trailers->headers : NULL,
                             trailers ? trailers->header_count : 0);
}

static void take_request(struct http2_client *connection, struct http2_stream *stream, bool ends)
{
    struct client *client = connection->client;
    bool good = http2_head_finish(&stream->head, ends) == HTTP1_REFUSED_NONE;
    if (good && stream->head.protocol.data && !http2_raw_begin(stream))
        stream->head.refusal = HTTP1_REFUSED_MEMORY;
    if (!good)
        metric_add(&shard_of(connection)->metrics, METRIC_REQUESTS_REFUSED, 1);
    list_append(&connection->fresh, &stream->fresh_node);
    if (++client->request_count >= client->proxy->options->keepalive_requests)
        http2_client_drain(client);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *pointer)
{
    struct http2_client *connection = pointer;
    struct http2_stream *stream = stream_at(session, frame->hd.stream_id);
    bool ends = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    if (stream && frame->hd.type == NGHTTP2_RST_STREAM)
        stream->remote_ended = true;
    if (stream && begins_request(frame) && stream->caller.exchange)
        take_request(connection, stream, ends);
    if (stream && ends && (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA))
        end_request(stream);
    if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK) && connection->draining)
        connection->drain_ms = 0; /* it has seen the first GOAWAY: time for the last one */
    return 0;
}

/* --- bodies --------------------------------------------------------------------------------------------- */

void http2_give_window(struct http2_stream *stream, uint32_t bytes)
{
    if (bytes == 0)
        return;
    (void)nghttp2_session_consume(stream->connection->session, stream->id, bytes);
    http2_schedule(stream->connection);
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t size,
                   void *pointer)
{
    struct http2_client *connection = pointer;
    struct http2_stream *stream = stream_at(session, id);
    struct exchange *exchange = stream ? stream->caller.exchange : NULL;
    (void)flags;
    budget_of(connection)->earned += HTTP2_EARNED_BY_DATA;
    if (exchange == NULL || stream->head.refusal != HTTP1_REFUSED_NONE) { /* not wanted by anybody */
        (void)nghttp2_session_consume(session, id, size);
        return 0;
    }
    const char *begin = chunk_slice(&connection->received).data;
    stream->received_ms = shard_of(connection)->now_ms;
    stream->body_bytes += size;
    struct chunk part =
        chunk_part(&connection->received, (uint32_t)((const char *)data - begin), (uint32_t)size);
    if (stream->raw) {
        http2_raw_received(stream, part);
        return 0;
    }
    exchange_request_body(exchange, part);
    if (stream->caller.exchange && stream->paused)
        stream->withheld += (uint32_t)size;
    else
        http2_give_window(stream, (uint32_t)size);
    return 0;
}

static bool submit_trailers(struct http2_stream *stream)
{
    nghttp2_nv fields[TRAILERS_MAX];
    struct chunk *text = &stream->trailer_text;
    if (text->block == NULL)
        return false;
    size_t count = http2_fields_of(text->block->data + text->offset, text->size, fields, TRAILERS_MAX);
    return count > 0 && nghttp2_submit_trailer(stream->connection->session, stream->id, fields, count) == 0;
}

ssize_t http2_stream_read(nghttp2_session *session, int32_t id, uint8_t *buffer, size_t size, uint32_t *flags,
                          nghttp2_data_source *source, void *unused)
{
    struct http2_stream *stream = source->ptr;
    (void)session, (void)id, (void)buffer, (void)unused;
    if (stream->out.bytes == 0 && !stream->ended) {
        stream->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    if (size > stream->out.bytes)
        size = (size_t)stream->out.bytes;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (stream->ended && size == stream->out.bytes) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (submit_trailers(stream))
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    }
    return (ssize_t)size;
}

static int send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *header, size_t size,
                     nghttp2_data_source *source, void *pointer)
{
    struct http2_client *connection = pointer;
    struct http2_stream *stream = source->ptr;
    size_t whole = size;
    (void)session, (void)frame;
    if (!http2_put(connection, header, FRAME_HEADER_BYTES))
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    while (size > 0) {
        struct chunk *first = chunk_queue_at(&stream->out, 0);
        uint32_t part = first->size < size ? first->size : (uint32_t)size;
        if (part > COPIED_BYTES) {
            http2_push(connection);
            stream_send(connection->client->connection.stream, chunk_part(first, 0, part));
        } else if (!http2_put(connection, chunk_slice(first).data, part)) {
            return NGHTTP2_ERR_CALLBACK_FAILURE;
        }
        chunk_queue_consume(&stream->out, part);
        size -= part;
    }
    if (whole >= HTTP2_SMALL_BYTES || stream->out.bytes == 0) /* else the client has asked for crumbs */
        budget_of(connection)->earned += HTTP2_EARNED_BY_DATA;
    stream->sent_ms = shard_of(connection)->now_ms;
    if (stream->caller.exchange && list_is_empty(&stream->drained_node))
        list_append(&connection->drained, &stream->drained_node);
    return 0;
}

static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *pointer)
{
    struct http2_client *connection = pointer;
    if (frame->hd.type == NGHTTP2_RST_STREAM && frame->rst_stream.error_code != NGHTTP2_NO_ERROR) {
        budget_of(connection)->resets++;
        check_budget(connection);
    }
    if (frame->hd.type == NGHTTP2_GOAWAY && connection->draining && !connection->last_said)
        (void)nghttp2_submit_ping(session, NGHTTP2_FLAG_NONE, NULL); /* its answer tells when it was read */
    bool ends = (frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS) &&
                (frame->hd.flags & NGHTTP2_FLAG_END_STREAM);
    struct http2_stream *stream = ends ? stream_at(session, frame->hd.stream_id) : NULL;
    /* Section 8.1: the rest of the request is not needed. That of a tunnel is. */
    if (stream && !stream->remote_ended && !http2_raw_is_used(stream))
        reset(session, stream->id, NGHTTP2_NO_ERROR);
    return 0;
}

bool http2_stream_callbacks(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks, on_invalid_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, send_data);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
    return true;
}
