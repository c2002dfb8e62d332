/* SPDX-License-Identifier: Apache-2.0 */
/* A client of the admin or status listener: a non-blocking socket, one request after the other, each within
 * its limits of size and time. Owned by the admin thread. */
#pragma once

#include "core/app/admin_pages.h"
#include "net/http/http1_parse.h"
#include "net/transport/address.h"
#include "tls/tls_socket.h"

enum admin_connection_state {
    ADMIN_READING,
    ADMIN_WRITING,
    ADMIN_LINGERING, /* the answer is out; waits for the client's end, so that no reset overtakes it */
    ADMIN_CLOSED
};

struct admin_connection {
    const struct admin_node *node;
    int fd;
    struct tls_socket *tls; /* NULL: in the clear */
    enum admin_side side;
    enum admin_connection_state state;
    char local[ADDRESS_TEXT_SIZE], peer[ADDRESS_TEXT_SIZE];
    uint64_t deadline_ms; /* of the state, on the clock of admin_connection_step */
    uint64_t moved_ms; /* when bytes came or went last */
    uint64_t request_start_us; /* its first byte was here */
    bool close_after;
    struct http1_parser parser;
    struct message message;
    struct arena arena;
    size_t input_at, input_size;
    char *body; /* of the request, as much of it as is there */
    size_t body_size, body_capacity;
    char *output;
    size_t output_at, output_size;
    struct admin_stream *stream; /* what comes behind the output; NULL: nothing */
    bool chunked; /* the stream's parts */
    char input[4096];
};

/* Takes the accepted descriptor, also when it fails (NULL: out of memory). */
struct admin_connection *admin_connection_open(const struct admin_node *node, int fd, enum admin_side side,
                                               uint64_t now_ms);
void admin_connection_free(struct admin_connection *connection);

/* No request is under way. */
bool admin_connection_is_idle(const struct admin_connection *connection);

/* From then on it may be closed in favour of another, if nothing moves until then. */
uint64_t admin_connection_yields_ms(const struct admin_connection *connection);

/* Does what can be done without waiting. ADMIN_CLOSE_AFTER: the next answer is the last,
 * because many are open. */
enum admin_keep { ADMIN_KEEP_OPEN, ADMIN_CLOSE_AFTER };
void admin_connection_step(struct admin_connection *connection, uint64_t now_ms, enum admin_keep keep);
