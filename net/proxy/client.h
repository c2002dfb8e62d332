/* SPDX-License-Identifier: Apache-2.0 */
/* A client's connection: accepted, protected if that is spoken there, then HTTP/1 requests in, one exchange
 * at a time, responses out in order. An idle one owns neither buffer nor exchange. Its shard's. */
#pragma once

#include "net/proxy/caller.h"
#include "net/proxy/exchange_state.h"
#include "net/transport/connection.h"
#include "net/transport/preamble.h"

enum client_state {
    CLIENT_PREAMBLE, /* a PROXY header is to come */
    CLIENT_HELLO, /* TLS is to begin, or shakes hands */
    CLIENT_IDLE, /* between requests */
    CLIENT_HEAD, /* a head is arriving */
    CLIENT_BUSY, /* an exchange is under way */
    CLIENT_RAW, /* bytes of any kind, into the tunnel of its exchange as soon as that is open */
    CLIENT_LINGERING, /* said its last word, drains what the client still sends */
    CLIENT_CLOSING
};

struct client {
    struct connection connection;
    struct proxy *proxy;
    struct client *next_spare;
    struct list_node node; /* proxy->clients */
    struct http1_parser parser;
    struct caller caller;
    struct http2_client *http2; /* NULL: HTTP/1 */
    struct chunk_queue input; /* arrived, not yet parsed */
    struct timer timer;
    struct address peer;
    char peer_text[ADDRESS_TEXT_SIZE];
    uint8_t peer_text_size;
    uint64_t body_begin_ms; /* when the body began to arrive */
    uint64_t body_begin_bytes;
    uint32_t request_count;
    const struct listener_options *listener;
    struct preamble preamble;
    struct proxy_protocol told; /* by a PROXY header; addresses of size 0: nothing */
    uint8_t state; /* enum client_state */
    bool tls; /* nothing is said in the clear */
    bool misdirected; /* speaks in the clear where TLS is spoken */
    bool processing; /* inside client_process */
    bool paused; /* the exchange cannot take more of the body */
    bool stopped; /* reading is paused */
    struct shard_task task; /* parses on, when reading has been resumed */
    bool ended; /* the client has finished sending */
};

/* An accepted descriptor; it is closed here when there is no room for another client. */
void client_accepted(struct listener *listener, int fd);

/* For http1_caller.c: */
void client_send(struct client *client, struct chunk chunk);
bool client_is_congested(const struct client *client);

/* Reading on or not, as the upstream takes what arrives. */
void client_pause(struct client *client);
void client_resume(struct client *client); /* parses on in a task, not inside this call */

/* The exchange is over; CALLER_KEEP: the connection may take another request. */
void client_exchange_done(struct client *client, enum caller_fate fate);

/* The address that the client has connected to. */
bool client_find_local(const struct client *client, struct address *local);

/* Draining: ends it now when idle. */
void client_drain(struct client *client);
/* Ends it whatever it does. */
void client_abort(struct client *client);
void client_timer_update(struct client *client);
