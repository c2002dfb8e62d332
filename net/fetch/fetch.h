/* SPDX-License-Identifier: Apache-2.0 */
/* One GET of a document that the gateway itself needs (a key set, a provider's description): over HTTP/1.1
 * on the ring, one connection per document, bounded in bytes and in time, following no redirect. Embedded
 * in whoever asks, who keeps it until `done`. One shard. */
#pragma once

#include "core/io/shard.h"
#include "net/http/http1_parse.h"
#include "net/transport/address.h"
#include "net/transport/tcp_stream.h"

struct fetch_url {
    bool tls;
    struct slice host; /* without brackets */
    struct slice authority; /* as written: host and port */
    struct slice target; /* path and query, "/" at least */
    uint16_t port;
};

/* False: no http or https URL with a host, or one with user information or a fragment. Views of the text. */
bool fetch_url_parse(struct slice text, struct fetch_url *url) MUST_CHECK;

struct fetch_request {
    struct slice url; /* must live until `done`; the same for the next */
    struct slice accept;
    uint32_t limit_bytes, timeout_ms;
};

struct fetch;

/* Exactly once, from the loop; everything may be used again, for another fetch too. ERROR_OK: an answer
 * came, of any status, in fetch->status and fetch->body, which are valid until this returns. */
typedef void fetch_done_fn(struct fetch *fetch, enum error error);

struct fetch {
    struct tcp_stream tcp;
    struct shard *shard;
    struct fetch_request request;
    struct fetch_url url;
    fetch_done_fn *done;
    struct address address;
    struct timer timer;
    struct shard_task task;
    struct http1_parser parser;
    struct message response;
    struct arena arena;
    char *text; /* the body so far, in the arena */
    uint32_t size, capacity;
    enum error error;
    int status;
    struct slice body;
    bool complete, closing;
};

/* Once, before the first start. */
void fetch_init(struct fetch *fetch, struct shard *shard, fetch_done_fn *done);

void fetch_start(struct fetch *fetch, const struct fetch_request *request);

/* After the shard's last turn, when `done` has not come: gives back what it holds and tells nothing. */
void fetch_abandon(struct fetch *fetch);
