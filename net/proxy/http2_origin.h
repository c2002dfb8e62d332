/* SPDX-License-Identifier: Apache-2.0 */
/* Connections to upstreams that speak HTTP/2 (RFC 9113), with knowledge beforehand or by ALPN: frames and
 * HPACK are nghttp2's. Many exchanges share one, each of them has a request on it, which is its origin. A
 * connection takes requests until the upstream's limit or ours is reached, then there is another one. Windows
 * are given back as clients take what has come. Its shard's. */
#pragma once

#include "net/proxy/origin.h"
#include "net/proxy/origin_link.h"

#include <nghttp2/nghttp2.h>

struct http2_link;

/* Freed when the exchange has let go and nghttp2 has closed the stream. */
struct http2_request {
    struct origin origin; /* first: requests are recovered from it */
    struct http2_link *link;
    struct list_node node; /* link->requests */
    struct list_node drained_node; /* link->drained: less is queued than before */
    int32_t id; /* 0: nothing was submitted */
    struct chunk head_text, trailer_text; /* lines, which the fields that wait are views of */
    struct chunk_queue out; /* the body, not yet in frames */
    uint64_t list_bytes; /* of the head or the trailers that arrive */
    uint32_t field_count;
    uint32_t withheld; /* bytes of the response for which no window is given back yet */
    struct message *trailers; /* in the exchange's arena; NULL: none */
    bool ended; /* the request is complete */
    bool deferred; /* nghttp2 has asked for more of the body, and is told when there is some */
    bool remote_ended; /* the response is */
    bool head_done;
    bool refused; /* its head is beyond a limit */
    bool closed; /* nghttp2 knows it no more */
};

struct http2_link {
    struct origin_link link; /* first */
    nghttp2_session *session; /* from `opened` on */
    struct list_node usable_node; /* endpoint->http2 */
    struct list_node requests, drained;
    uint32_t count; /* of requests */
    struct shard_task flush; /* once per turn: what all requests have to say leaves in common sends */
    struct timer timer; /* the end of idleness; the next look whether the upstream lives */
    struct chunk received; /* inside nghttp2 */
    struct block *out; /* frames that are not sent yet */
    uint64_t received_ms;
    bool open;
    bool known; /* the upstream's SETTINGS are; before, only the first request is sent */
    bool leaving; /* takes no more requests */
    bool roomy; /* takes one now: counted, and in endpoint->http2 */
    bool idle;
    bool answered; /* a response has come over it */
    bool pinged; /* and the answer is awaited */
};

/* As origin_take. `rules` NULL: in the clear. */
enum error http2_origin_take(struct exchange *exchange, const struct origin_tls_rules *rules) MUST_CHECK;

/* --- http2_request.c, for http2_origin.c and the other way round ---------------------------------------- */

extern const struct origin_ops http2_request_ops;

/* NULL: out of memory. */
struct http2_request *http2_request_open(struct http2_link *link, struct exchange *exchange);
void http2_request_free(struct http2_request *request);

/* What nghttp2 tells. False: out of memory. */
bool http2_request_callbacks(nghttp2_session_callbacks *callbacks);

void http2_link_settings(struct http2_link *link); /* the upstream's have come */
void http2_link_schedule(struct http2_link *link); /* sends at the end of this turn */
/* Behind what is there already. False: out of memory. */
bool http2_link_put(struct http2_link *link, const void *data, size_t size);
void http2_link_push(struct http2_link *link);
/* The number of requests, or what limits it, has changed. */
void http2_link_recount(struct http2_link *link);
