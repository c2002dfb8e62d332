/* SPDX-License-Identifier: Apache-2.0 */
/* Where the hosts are that a shard itself connects to (a Redis, a provider of keys): kept up to date by the
 * monitor's mail. Names of the configuration are there before anybody asks; others are asked of the monitor
 * when they are first wanted, and forgotten some time after the last use. One per shard; on its thread. */
#pragma once

#include "core/base/list.h"
#include "net/proxy/roster.h"

struct shard;

enum {
    RESOLVER_NAMES_MAX = 1024, /* that a shard knows or asks for */
    RESOLVER_BUCKETS = 256,
    RESOLVER_NONE_MS = 1000 /* a name without addresses is asked for again after so long */
};

struct resolver {
    struct shard *shard;
    struct resolved *buckets[RESOLVER_BUCKETS]; /* by name */
    uint32_t count;
    uint32_t turn; /* so that a name's addresses are used in turn */
    /* Asks the monitor, whose answer is a roster; NULL: there is none. The name is in lower case. */
    void (*ask)(struct resolver *resolver, struct slice name);
};

/* Embedded in who waits for a name. `told` comes from the loop, once: ask again. Who gives up takes the node
 * out of its list. */
struct resolver_waiter {
    struct list_node node;
    void (*told)(struct resolver_waiter *waiter);
};

enum resolver_answer { RESOLVER_FOUND, RESOLVER_WAIT, RESOLVER_NONE };

void resolver_init(struct resolver *resolver, struct shard *shard);
void resolver_deinit(struct resolver *resolver); /* legal for a zeroed one; waiters are told nothing */

/* Takes the reference. A roster without entries means that the name has no address. */
void resolver_take(struct resolver *resolver, struct roster *roster);

/* One address of the name, in any case, or of the numeric address. WAIT: the waiter is in line. */
enum resolver_answer resolver_find(struct resolver *resolver, struct slice name, uint16_t port,
                                   struct address *address, struct resolver_waiter *waiter);

/* The same for a name of the configuration, without waiting; false when there is none. */
bool resolver_lookup(struct shard *shard, struct slice name, uint16_t port, struct sockaddr_storage *storage,
                     socklen_t *size);
