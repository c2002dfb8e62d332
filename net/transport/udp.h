/* SPDX-License-Identifier: Apache-2.0 */
/* UDP over the ring: a socket that clients send to, and one that is connected to a server. Datagrams come as
 * chunks of the shard's receive blocks; they are sent at once, or dropped when the kernel has no room, as
 * networks may drop them. One shard. */
#pragma once

#include "core/io/shard.h"
#include "net/transport/address.h"
#include "net/transport/listener.h"

struct udp_listener;

/* One datagram that a client has sent. */
struct udp_datagram {
    struct address source;
    struct address destination; /* with the socket's port; size 0: not known */
    struct chunk payload; /* perhaps empty */
};

/* Takes the payload's reference. */
typedef void udp_datagram_fn(struct udp_listener *listener, struct udp_datagram *datagram);

struct udp_listener {
    struct shard *shard;
    int fd;
    const struct listener_options *options;
    udp_datagram_fn *received;
    void *owner;
    struct msghdr shape; /* of what the kernel puts before a payload */
    struct op op;
    struct timer retry_timer;
    uint16_t port;
    bool stopped;
};

/* A bound socket; on failure *reason says why. Control thread. */
enum error udp_bind(const struct address *address, int *fd, const char **reason) MUST_CHECK;

void udp_listener_start(struct udp_listener *listener, struct shard *shard, int fd,
                        const struct listener_options *options);

/* Receives no more, and is closed soon: whoever else has bound the address then gets all. */
void udp_listener_stop(struct udp_listener *listener);
void udp_listener_close(struct udp_listener *listener); /* after the shard's last turn; legal twice */

/* From the address that the client has sent to. False: dropped. */
bool udp_reply(const struct udp_listener *listener, const struct address *to, const struct address *from,
               struct slice payload);

/* --- a connected socket --------------------------------------------------------------------------------- */

struct udp_peer;

struct udp_peer_events {
    void (*received)(struct udp_peer *peer, struct chunk payload); /* takes the reference */
    void (*failed)(struct udp_peer *peer, enum error error); /* nobody is there; the owner closes it */
    void (*closed)(struct udp_peer *peer); /* the last one: its memory may go */
};

struct udp_peer {
    struct shard *shard;
    const struct udp_peer_events *events;
    int fd;
    struct op op;
    struct shard_task task;
    bool closing;
};

enum error udp_peer_open(struct udp_peer *peer, struct shard *shard, const struct udp_peer_events *events,
                         const struct address *address) MUST_CHECK;
bool udp_peer_send(struct udp_peer *peer, struct slice payload); /* false: dropped */
void udp_peer_close(struct udp_peer *peer); /* `closed` follows */
