/* SPDX-License-Identifier: Apache-2.0 */
/* One request on a connection to an upstream of HTTP/2, and what nghttp2 tells of it. */
#include "net/http/http2_head.h"
#include "net/proxy/exchange_events.h"
#include "net/proxy/forward.h"
#include "net/proxy/http2_origin.h"

#include <stdlib.h>

enum {
    FIELD_OVERHEAD = 32, /* as SETTINGS_MAX_HEADER_LIST_SIZE counts */
    COPIED_BYTES = 1024
};

static struct http2_request *of_origin(struct origin *origin)
{
    return (struct http2_request *)origin;
}

static struct http2_request *of_id(nghttp2_session *session, int32_t id)
{
    return nghttp2_session_get_stream_user_data(session, id);
}

/* --- its life ------------------------------------------------------------------------------------------- */

static void on_timer(struct timer *timer)
{
    struct http2_request *request = CONTAINER_OF(timer, struct http2_request, origin.timer);
    if (request->origin.exchange)
        exchange_origin_failed(request->origin.exchange, ERROR_TIMEOUT);
}

struct http2_request *http2_request_open(struct http2_link *link, struct exchange *exchange)
{
    struct http2_request *request = calloc(1, sizeof(*request));
    if (request == NULL)
        return NULL;
    request->origin = (struct origin){ .ops = &http2_request_ops,
                                       .proxy = exchange->proxy,
                                       .endpoint = exchange->endpoint,
                                       .exchange = exchange,
                                       .open = link->known,
                                       .reused = link->answered };
    request->link = link;
    timer_init(&request->origin.timer, on_timer);
    chunk_queue_init(&request->out);
    list_init(&request->drained_node);
    list_append(&link->requests, &request->node);
    link->count++;
    exchange->origin = &request->origin;
    return request;
}

void http2_request_free(struct http2_request *request)
{
    struct http2_link *link = request->link;
    list_remove(&request->node);
    list_remove(&request->drained_node);
    timer_disarm(&request->origin.proxy->shard->timers, &request->origin.timer);
    chunk_queue_clear(&request->out);
    chunk_release(&request->head_text);
    chunk_release(&request->trailer_text);
    free(request);
    link->count--;
    if (!link->link.closing)
        http2_link_schedule(link); /* which counts anew, and has it rest or close */
}

/* --- for the exchange ----------------------------------------------------------------------------------- */

static bool submit_trailers(struct http2_request *request)
{
    nghttp2_nv fields[HTTP2_FIELDS_MAX];
    const struct chunk *text = &request->trailer_text;
    size_t count = http2_fields_of(text->block->data + text->offset, text->size, fields, HTTP2_FIELDS_MAX);
    return count > 0 && nghttp2_submit_trailer(request->link->session, request->id, fields, count) == 0;
}

static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *buffer, size_t size, uint32_t *flags,
                         nghttp2_data_source *source, void *unused)
{
    struct http2_request *request = source->ptr;
    (void)session;
    (void)id;
    (void)buffer;
    (void)unused;
    size_t part = request->out.bytes < size ? (size_t)request->out.bytes : size;
    if (part == 0 && !request->ended) {
        request->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (part == request->out.bytes && request->ended) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (request->trailer_text.block && submit_trailers(request))
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    }
    return (ssize_t)part;
}

/* The request is complete. False: out of memory. */
static bool end_request(struct http2_request *request)
{
    struct exchange *exchange = request->origin.exchange;
    request->ended = true;
    if (exchange->request_trailer_count == 0)
        return true;
    if (exchange->request_trailer_count > HTTP2_FIELDS_MAX)
        return false;
    request->trailer_text =
        forward_trailers(exchange, exchange->request_trailers, exchange->request_trailer_count);
    return request->trailer_text.block != NULL;
}

/* The end of a gRPC request stands on a frame of data, if need be an empty one, and its servers wait for that
 * whatever the head says. Its calls are POSTs, and others do not mind. */
static bool is_post(const nghttp2_nv *method)
{
    return slice_equal((struct slice){ (const char *)method->value, method->valuelen }, SLICE("POST"));
}

static bool send_head(struct origin *origin)
{
    struct http2_request *request = of_origin(origin);
    struct http2_link *link = request->link;
    struct exchange *exchange = origin->exchange;
    nghttp2_nv fields[HTTP2_FIELDS_MAX];
    struct chunk text = forward_request_head(exchange, FORWARD_HTTP2);
    if (text.block == NULL)
        return false;
    request->head_text = text;
    size_t count = http2_fields_of(text.block->data + text.offset, text.size, fields, HTTP2_FIELDS_MAX);
    for (size_t i = 0; i < count; i++)
        fields[i].flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE;
    if (exchange->request_complete && exchange->body.count == 0 && !end_request(request))
        return false;
    bool bare = request->ended && count > 0 && !is_post(&fields[0]) && exchange->request_trailer_count == 0;
    nghttp2_data_provider body = { .source = { .ptr = request }, .read_callback = read_body };
    message_init(&exchange->response, &exchange->arena);
    int32_t id =
        count == 0 ? -1
                   : nghttp2_submit_request(link->session, NULL, fields, count, bare ? NULL : &body, request);
    if (id < 0) {
        link->leaving |= id == NGHTTP2_ERR_STREAM_ID_NOT_AVAILABLE;
        return false;
    }
    request->id = id;
    http2_link_schedule(link);
    return true;
}

static void resume(struct http2_request *request)
{
    if (request->deferred && nghttp2_session_resume_data(request->link->session, request->id) == 0)
        request->deferred = false;
    http2_link_schedule(request->link);
}

static bool send_body(struct origin *origin, struct chunk chunk)
{
    struct http2_request *request = of_origin(origin);
    if (request->ended || chunk.size == 0) {
        chunk_release(&chunk);
        return true;
    }
    if (!chunk_queue_push(&request->out, chunk))
        return false;
    resume(request);
    return true;
}

static bool send_end(struct origin *origin)
{
    struct http2_request *request = of_origin(origin);
    if (request->ended)
        return true;
    bool good = end_request(request);
    resume(request);
    return good;
}

static enum backlog backlog(const struct origin *origin)
{
    const struct http2_request *request = (const struct http2_request *)origin;
    return backlog_of(request->out.bytes, request->out.count, origin->proxy->options->stream_bytes);
}

static void control_reading(struct origin *origin, enum origin_reading reading)
{
    struct http2_request *request = of_origin(origin);
    uint32_t withheld = request->withheld;
    if (reading == ORIGIN_PAUSE || withheld == 0 || request->closed || request->link->link.closing)
        return;
    request->withheld = 0;
    nghttp2_session_consume_stream(request->link->session, request->id, withheld);
    http2_link_schedule(request->link);
}

/* What is not over is cancelled; what nobody knows any more is freed. */
static void leave(struct origin *origin, enum origin_fate fate)
{
    struct http2_request *request = of_origin(origin);
    struct http2_link *link = request->link;
    (void)fate;
    timer_disarm(&origin->proxy->shard->timers, &origin->timer);
    if (request->id == 0 || request->closed || link->link.closing) {
        http2_request_free(request);
        return;
    }
    bool over = request->remote_ended && request->ended && request->out.count == 0;
    if (!over)
        nghttp2_submit_rst_stream(link->session, NGHTTP2_FLAG_NONE, request->id,
                                  request->remote_ended ? NGHTTP2_NO_ERROR : NGHTTP2_CANCEL);
    chunk_queue_clear(&request->out);
    request->ended = true;
    http2_link_schedule(link);
}

const struct origin_ops http2_request_ops = {
    .send_head = send_head,
    .send_body = send_body,
    .send_end = send_end,
    .backlog = backlog,
    .read = control_reading,
    .leave = leave,
};

/* --- frames out ----------------------------------------------------------------------------------------- */

/* A frame of the body: its head, and pieces of what was received from the client. */
static int send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head, size_t size,
                     nghttp2_data_source *source, void *owner)
{
    enum { HEAD_BYTES = 9 };
    struct http2_link *link = owner;
    struct http2_request *request = source->ptr;
    (void)session;
    (void)frame;
    if (!http2_link_put(link, head, HEAD_BYTES))
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    while (size > 0) {
        struct chunk *first = chunk_queue_at(&request->out, 0);
        uint32_t part = first->size < size ? first->size : (uint32_t)size;
        if (part <= COPIED_BYTES) {
            if (!http2_link_put(link, chunk_slice(first).data, part))
                return NGHTTP2_ERR_CALLBACK_FAILURE;
        } else {
            http2_link_push(link);
            stream_send(link->link.connection.stream, chunk_part(first, 0, part));
        }
        chunk_queue_consume(&request->out, part);
        size -= part;
    }
    if (list_is_empty(&request->drained_node))
        list_append(&link->drained, &request->drained_node);
    return 0;
}

/* --- frames in ------------------------------------------------------------------------------------------ */

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *owner)
{
    struct http2_request *request = of_id(session, frame->hd.stream_id);
    (void)owner;
    if (request == NULL || request->origin.exchange == NULL)
        return 0;
    request->list_bytes = 0;
    request->field_count = 0;
    request->origin.head_seen = true;
    if (!request->head_done)
        message_init(&request->origin.exchange->response, &request->origin.exchange->arena);
    return 0;
}

static bool add_field(struct http2_request *request, struct slice name, struct slice value)
{
    struct exchange *exchange = request->origin.exchange;
    struct message *response = &exchange->response;
    if (request->head_done)
        return http2_trailer_add(&request->trailers, &exchange->arena, name, value);
    if (slice_equal(name, SLICE(":status"))) { /* nghttp2 has seen that it is three digits */
        response->status = (value.data[0] - '0') * 100 + (value.data[1] - '0') * 10 + (value.data[2] - '0');
        return true;
    }
    enum header_id id = message_header_id(name);
    struct slice kept = id ? message_header_name(id) : arena_copy(&exchange->arena, name);
    value = arena_copy(&exchange->arena, slice_trim(value));
    return kept.data && value.data && message_add_id(response, id, kept, value);
}

static bool is_within(const struct http2_request *request)
{
    const struct http1_limits *limits = &request->origin.proxy->options->limits;
    return request->list_bytes <= limits->head_bytes &&
           request->field_count <= limits->header_fields + 1; /* and :status */
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags, void *owner)
{
    struct http2_request *request = of_id(session, frame->hd.stream_id);
    (void)flags;
    (void)owner;
    if (request == NULL || request->origin.exchange == NULL || request->refused)
        return 0;
    request->list_bytes += name_size + value_size + FIELD_OVERHEAD;
    request->field_count++;
    if (is_within(request) && add_field(request, (struct slice){ (const char *)name, name_size },
                                        (struct slice){ (const char *)value, value_size }))
        return 0;
    request->refused = true;
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static void set_framing(struct message *response, bool ends)
{
    response->version_minor = 1;
    response->keep_alive = true;
    response->framing = ends ? BODY_NONE : BODY_CHUNKED; /* of no length known */
    if (!ends && slice_to_u64(message_find(response, HEADER_CONTENT_LENGTH), &response->body_bytes))
        response->framing = BODY_LENGTH;
}

static void take_head(struct http2_request *request, bool ends)
{
    struct exchange *exchange = request->origin.exchange;
    struct message *response = &exchange->response;
    set_framing(response, ends);
    request->link->answered = true;
    if (response->status < 200) {
        exchange_response_interim(exchange);
        return;
    }
    request->head_done = true;
    exchange_response_head(exchange);
}

static void take_frame(struct http2_request *request, const nghttp2_frame *frame)
{
    struct exchange *exchange = request->origin.exchange;
    bool ends = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    request->remote_ended |= ends;
    if (frame->hd.type == NGHTTP2_HEADERS && !request->head_done) {
        struct http2_link *link = request->link;
        int32_t id = request->id;
        take_head(request, ends);
        /* The exchange may have let go of it meanwhile; it is freed by nghttp2's word only, or not at all. */
        if (of_id(link->session, id) != request || request->origin.exchange != exchange)
            return;
    }
    const struct message *trailers = request->trailers;
    if (ends)
        exchange_response_end(exchange, trailers ? trailers->headers : NULL,
                              trailers ? trailers->header_count : 0);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *owner)
{
    struct http2_link *link = owner;
    struct http2_request *request = frame->hd.stream_id ? of_id(session, frame->hd.stream_id) : NULL;
    switch (frame->hd.type) {
    case NGHTTP2_GOAWAY: link->leaving = true; break; /* nghttp2 ends what the upstream will not answer */
    case NGHTTP2_SETTINGS:
        if (!(frame->hd.flags & NGHTTP2_FLAG_ACK))
            http2_link_settings(link);
        break;
    case NGHTTP2_PING: link->pinged &= !(frame->hd.flags & NGHTTP2_FLAG_ACK); break;
    case NGHTTP2_HEADERS:
    case NGHTTP2_DATA:
        if (request && request->origin.exchange && !request->refused)
            take_frame(request, frame);
        break;
    default: break;
    }
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t size,
                   void *owner)
{
    struct http2_link *link = owner;
    struct http2_request *request = of_id(session, id);
    const char *from = (const char *)data;
    (void)flags;
    nghttp2_session_consume_connection(session, size);
    if (request == NULL || request->origin.exchange == NULL || size == 0)
        return 0;
    uint32_t offset = (uint32_t)(from - chunk_slice(&link->received).data);
    exchange_response_body(request->origin.exchange, chunk_part(&link->received, offset, (uint32_t)size));
    if (of_id(session, id) != request || request->origin.exchange == NULL)
        return 0;
    if (request->origin.paused)
        request->withheld += (uint32_t)size;
    else
        nghttp2_session_consume_stream(session, id, size);
    return 0;
}

/* Section 8.7: what was refused was not looked at, and may be sent again whatever it is. */
static void fail_exchange(struct http2_request *request, uint32_t code)
{
    struct exchange *exchange = request->origin.exchange;
    enum error error = ERROR_RESET;
    if (code == NGHTTP2_REFUSED_STREAM && !request->head_done) {
        exchange->upstream_sent = false;
        request->origin.reused = request->origin.head_seen = false;
        error = ERROR_REFUSED;
    } else if (request->refused || code == NGHTTP2_PROTOCOL_ERROR) {
        error = ERROR_PROTOCOL;
    }
    exchange_origin_failed(exchange, error);
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *owner)
{
    struct http2_request *request = of_id(session, id);
    (void)owner;
    if (request == NULL)
        return 0;
    request->closed = true;
    if (request->origin.exchange)
        fail_exchange(request, code); /* which frees it */
    else
        http2_request_free(request);
    return 0;
}

bool http2_request_callbacks(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_send_data_callback(callbacks, send_data);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    return true;
}
