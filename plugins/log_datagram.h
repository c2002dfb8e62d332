/* SPDX-License-Identifier: Apache-2.0 */
/* Batches sent as datagrams, one per entry, or one or several per line of it: UDP to a host, or a socket in
 * the file system. Nothing is ever tried again but the search for the host's address. One shard. */
#pragma once

#include "net/proxy/resolver.h"
#include "net/transport/datagrams.h"
#include "plugins/log_queue.h"

struct log_datagram_settings {
    struct slice host; /* absent: `path` says where */
    uint16_t port;
    const char *path;
    bool by_line; /* an entry has lines, which are sent one by one, or ... */
    uint32_t packet_bytes; /* ... packed into datagrams of that size, unless it is 0 */
    struct datagrams socket;
    uint64_t opened_ms; /* the socket */
    void *more; /* the plugin's own */
};

struct log_datagram_work {
    struct resolver_waiter waiter;
    bool waits;
};

/* Copies host and path into the sender; false: no memory. */
bool log_datagram_copy(struct log_sender *sender, const struct log_datagram_settings *from);

void log_datagram_send(struct log_batch *batch);
void log_datagram_stop(struct log_batch *batch);
void log_datagram_close(struct log_sender *sender);
