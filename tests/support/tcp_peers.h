/* SPDX-License-Identifier: Apache-2.0 */
/* Two streams at the ends of one real connection over the loopback, on one shard, which record what they are
 * told. The test owns them; one thread. */
#pragma once

#include "net/transport/tcp_stream.h"
#include "tests/support/shard_setup.h"

#include <netinet/in.h>

struct tcp_peer {
    struct tcp_stream tcp;
    uint64_t opened, ended, failed, closed, writable; /* events */
    enum error error;       /* of the last opened or failed */
    uint64_t received;      /* bytes */
    uint64_t wrong;         /* of them, other than tcp_peers_byte says; the first ones are in `text` too */
    char text[64];
    bool echoes;            /* sends back what it receives, and finishes when the other has */
    bool holds;             /* keeps what it receives in `held` */
    bool closes;            /* at the first bytes */
    struct chunk_queue held;
    uint64_t to_send, sent; /* bytes of the pattern, a few blocks at a time */
};

/* What a pattern has at an offset. */
char tcp_peers_byte(uint64_t offset);

/* A listening socket on the loopback with a port of its own. */
int tcp_peers_listen(struct sockaddr_in *address);

/* Connects `client`, accepts `server`; both have no event yet. False: the connection failed. */
bool tcp_peers_open(struct shard *shard, struct tcp_peer *client, struct tcp_peer *server) MUST_CHECK;

/* Closes what is not yet closed, and turns until it is. */
void tcp_peers_close(struct shard *shard, struct tcp_peer *client, struct tcp_peer *server);

/* The client's end alone, toward that address. */
void tcp_peers_connect(struct shard *shard, struct tcp_peer *client, const struct sockaddr_in *address);

void tcp_peers_send_text(struct tcp_peer *peer, const char *text);

/* Sends that many bytes of the pattern, as the queue becomes shorter. */
void tcp_peers_send_pattern(struct tcp_peer *peer, uint64_t size);
