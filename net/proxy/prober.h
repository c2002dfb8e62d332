/* SPDX-License-Identifier: Apache-2.0 */
/* One active health check: connects, for HTTP sends a request and reads the status line, and says what became
 * of it. Embedded in whoever wants to know, which may free it or probe again from `done`. One shard. */
#pragma once

#include "net/transport/connection.h"

enum probe_outcome {
    PROBE_NONE,
    PROBE_STATUS, /* `status` says which */
    PROBE_CONNECTED, /* without a request, that is all there is to see */
    PROBE_NO_ANSWER, /* refused, reset, closed too soon, or no HTTP */
    PROBE_TIMED_OUT,
    PROBE_CANCELLED
};

enum { PROBE_LINE_BYTES = 13 /* "HTTP/1.1 200" and what follows it */ };

struct probe {
    struct connection connection;
    struct timer timer;
    struct address address;
    struct chunk request; /* empty: none */
    char line[PROBE_LINE_BYTES];
    uint8_t line_size;
    bool running;
    enum probe_outcome outcome;
    int status;
    void (*done)(struct probe *probe); /* from the loop, once, when nothing of it is open any more */
};

struct probe_target {
    struct address address;
    struct slice request; /* a whole HTTP/1 request; absent: connecting is enough */
    uint64_t timeout_ms;
    const struct tls_target *tls; /* NULL: in the clear; needed only by the call */
};

/* probe->done is set. False: no memory, nothing was begun. */
bool probe_begin(struct probe *probe, struct shard *shard, const struct probe_target *target) MUST_CHECK;

/* Ends a running one early; `done` still comes. */
void probe_cancel(struct probe *probe);

/* The status in the beginning of a status line; 0: not yet known, -1: this is no HTTP/1 response. */
int probe_read_status(const char *line, size_t size);
