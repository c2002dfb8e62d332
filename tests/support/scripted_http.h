/* SPDX-License-Identifier: Apache-2.0 */
/* An HTTP server on the loopback and on the test's own shard: it answers the n-th request with the n-th text
 * it was given, in two pieces if wanted, and remembers the last request. The test owns it; one thread. */
#pragma once

#include "net/transport/connection.h"
#include "net/transport/listener.h"
#include "tests/support/shard_setup.h"

enum scripted_fate {
    SCRIPTED_KEEP, /* waits for the next request */
    SCRIPTED_FINISH, /* ends the connection after the answer */
    SCRIPTED_RESET /* cuts it instead of an answer */
};

struct scripted_answer {
    const char *text; /* NULL: none ever comes */
    size_t split; /* bytes of the first piece; 0: all at once */
    enum scripted_fate fate;
    bool tunnel; /* it was a CONNECT: TLS comes behind it */
};

enum { SCRIPTED_REQUEST_SIZE = 8192, SCRIPTED_REQUESTS_MAX = 4096 };

struct scripted_http {
    struct shard *shard;
    struct listener listener;
    struct listener_options listener_options;
    char url[64]; /* "http://127.0.0.1:PORT", or https */
    struct tls_server *tls; /* NULL: none */
    const struct scripted_answer *answers;
    size_t answer_count;
    uint64_t request_count, accepted, closed; /* of requests, connections */
    char request[SCRIPTED_REQUEST_SIZE]; /* the last one, head and body */
    struct list_node peers;
};

/* `tls` (may be NULL) stays the caller's, as does shard->tls. */
void scripted_http_open(struct scripted_http *http, struct shard *shard, struct tls_server *tls);

/* The next requests are answered by these, the first one by the first. */
void scripted_http_script(struct scripted_http *http, const struct scripted_answer *answers, size_t count);

/* Cuts all connections that are open. */
void scripted_http_cut(struct scripted_http *http);

/* Ends everything; the shard turns. */
void scripted_http_close(struct scripted_http *http);
