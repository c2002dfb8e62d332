/* SPDX-License-Identifier: Apache-2.0 */
/* Batches sent over a TCP connection, with TLS or without, which is kept for the next ones; each entry ends
 * with a line end. What the kernel has taken counts as delivered. One connection per sender; one shard. */
#pragma once

#include "net/proxy/resolver.h"
#include "plugins/log_queue.h"

struct log_link;

struct log_tcp_settings {
    struct slice host;
    uint16_t port;
    uint32_t timeout_ms; /* for connecting, and for the receiver to take a batch */
    uint32_t keep_ms; /* an idle connection; 0: none is kept */
    bool tls;
    struct slice server_name; /* asked for by TLS; absent: the host */
    struct log_link *link; /* NULL: there is no connection */
};

struct log_tcp_work {
    struct resolver_waiter waiter;
    bool waits;
};

bool log_tcp_copy(struct log_sender *sender, const struct log_tcp_settings *from);

void log_tcp_send(struct log_batch *batch);
void log_tcp_stop(struct log_batch *batch);
void log_tcp_close(struct log_sender *sender);
void log_tcp_abandon(struct list_node *node);
