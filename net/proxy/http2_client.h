/* SPDX-License-Identifier: Apache-2.0 */
/* A client's connection that speaks HTTP/2 (RFC 9113): frames and HPACK are nghttp2's; limits, flow control
 * by backpressure and draining are decided here. Each of its streams is the caller of an exchange. It takes
 * the place of HTTP/1 in a `struct client`, which it belongs to, and ends with it. Its shard's. */
#pragma once

#include "net/http/http2_head.h"
#include "net/proxy/client.h"
#include "net/proxy/http2_budget.h"
#include "net/proxy/http2_frames.h"

struct http2_client;
struct http2_raw; /* net/proxy/http2_raw.h */

/* A request with its response. Freed when nghttp2 closes the stream: the exchange may be over before. Only a
 * tunnel may have something to pass on after that. */
struct http2_stream {
    struct caller caller; /* first: streams are recovered from it */
    struct http2_client *connection;
    struct list_node node; /* connection->streams */
    struct list_node fresh_node; /* connection->fresh: its exchange is to begin */
    struct list_node drained_node; /* connection->drained: less is queued than before */
    int32_t id;
    struct http2_head head;
    struct message *trailers; /* of the request, in the exchange's arena; NULL: none */
    uint32_t trailer_list_bytes; /* as the head's are counted */
    struct chunk head_text, trailer_text; /* lines; frames that wait are views of them */
    struct chunk_queue out; /* the body, not yet in frames */
    struct http2_raw *raw; /* of an extended CONNECT; NULL: it is none */
    uint64_t received_ms, sent_ms; /* when the body moved last, either way */
    uint64_t body_begin_ms, body_bytes; /* for the slowest rate, since reading began or was resumed */
    uint32_t withheld; /* bytes of the request for which no window is given back yet */
    bool remote_ended; /* the request is complete */
    bool answered; /* the response's head is submitted */
    bool has_body; /* nghttp2 asks for a body */
    bool ended; /* the response is complete */
    bool deferred; /* nghttp2 has asked, and is told when there is more */
    bool paused; /* the exchange takes no more for now */
    bool closed; /* nghttp2 knows it no more */
};

struct http2_client {
    struct client *client;
    nghttp2_session *session;
    struct list_node streams, fresh, drained;
    uint32_t stream_count, closed_count; /* with those that are closed; those alone */
    struct shard_task flush; /* once per turn: what all streams have to say leaves in common sends */
    struct timer again; /* the next turn, for the rest of the input: client->input */
    struct shard_task input_task;
    struct chunk received; /* inside nghttp2 */
    struct block *out; /* frames that are not sent yet */
    struct http2_frames frames;
    struct http2_closed closed;
    struct http2_budget budget;
    uint64_t turn_ns; /* a turn of the shard, by its clock */
    uint32_t turn_cost; /* of the frames taken in it */
    uint64_t list_bytes; /* of the head that arrives, whatever it belongs to */
    uint32_t late_bytes; /* received after the last word */
    uint64_t head_ms; /* since when a head has been arriving; 0: none is */
    uint64_t idle_ms, progress_ms, drain_ms, failed_ms;
    bool draining, last_said; /* GOAWAY of the first and of the second kind */
    bool ending; /* the last word is sent, the client's end is awaited */
    bool failed;
    bool stopped; /* receives nothing for now, or any more */
    bool ticking; /* the timer fires soon, for the sake of streams */
};

/* HTTP/2 from here on, with what has come already. Out of memory: the client is closed. */
void http2_client_begin(struct client *client);
void http2_client_drain(struct client *client);
void http2_client_abort(struct client *client);

/* Whether the first bytes on a connection in the clear are HTTP/2's (section 3.3). */
enum http2_guess { HTTP2_NO, HTTP2_MAYBE, HTTP2_YES };
enum http2_guess http2_guess(struct chunk_queue *input);

/* What the parser of HTTP/1 refused speaks no HTTP/1 where HTTP/2 is served as well: a preface gone wrong
 * (section 3.4). An answer of HTTP/1 would be read as a frame. */
bool http2_is_broken_preface(const struct client *client);

/* For http2_caller.c and http2_stream.c: */
extern const struct caller_ops http2_caller_ops;
void http2_schedule(struct http2_client *connection); /* sends at the end of this turn */
void http2_give_window(struct http2_stream *stream, uint32_t bytes);
void http2_wake(struct http2_stream *stream); /* nghttp2 asks for its body again */
void http2_reset(struct http2_stream *stream, uint32_t reason);
void http2_close_calmly(struct http2_client *connection); /* GOAWAY: ENHANCE_YOUR_CALM */

/* A frame has begun, connection->frames says which. False: the client had no right to it, and is told so.
 * Those whose streams matter are judged when nghttp2 has taken all before them. */
bool http2_judge_frame(struct http2_client *connection) MUST_CHECK;
bool http2_frame_needs_stream(const struct http2_frames *frames);

/* Sets what nghttp2 tells. */
bool http2_stream_callbacks(nghttp2_session_callbacks *callbacks);
void http2_stream_free(struct http2_stream *stream);
void http2_stream_abort(struct http2_stream *stream);
ssize_t http2_stream_read(nghttp2_session *session, int32_t id, uint8_t *buffer, size_t size, uint32_t *flags,
                          nghttp2_data_source *source, void *unused);
/* Behind what is there already. False: out of memory. */
bool http2_put(struct http2_client *connection, const void *data, size_t size);
void http2_push(struct http2_client *connection);
