/* SPDX-License-Identifier: Apache-2.0 */
/* A shard's own listening socket (SO_REUSEPORT gives each shard one for the same address): a multishot accept
 * that stops before a limit is hurt and goes on when there is room again. Sockets are opened by the control
 * thread before the shards start, so that a busy port ends the start with a reason. */
#pragma once

#include "core/io/shard.h"
#include "net/transport/address.h"

struct listener;
typedef void listener_accepted_fn(struct listener *listener, int fd);

/* What clients see, and what its owner speaks there. */
struct listener_options {
    uint16_t port; /* its own, or what that is mapped to */
    bool tls;
    bool http2; /* spoken too: by ALPN, or in the clear by who begins with its preface */
    bool proxy_protocol; /* a PROXY header comes first */
    bool streams; /* bytes of any kind, not HTTP */
    bool datagrams; /* UDP */
};

struct listener {
    struct shard *shard;
    int fd;
    const struct listener_options *options;
    bool stopped; /* for good: draining */
    bool paused; /* at a limit */
    struct op accept_op;
    struct timer retry_timer;
    listener_accepted_fn *accepted; /* takes the descriptor */
    void *owner;
};

/* A bound, listening socket; on failure *reason says why. backlog: 1..65535. */
enum error listener_bind(const struct address *address, int backlog, int *fd, const char **reason) MUST_CHECK;

/* On the shard's thread. */
void listener_start(struct listener *listener, struct shard *shard, int fd,
                    const struct listener_options *options);

/* At a limit of connections or descriptors, and back. */
void listener_pause(struct listener *listener);
void listener_resume(struct listener *listener);

/* Draining: the socket is closed, after accepting who has been waiting; or without, when another process
 * listens on the same socket. */
enum listener_backlog { LISTENER_TAKE_BACKLOG, LISTENER_LEAVE_BACKLOG };
void listener_stop(struct listener *listener, enum listener_backlog backlog);
