/* SPDX-License-Identifier: Apache-2.0 */
/* Where the hosts are that a shard's plugins connect to (a Redis): kept up to date by the monitor's mail, so
 * that nobody waits for a name. One per shard, used on its thread. */
#pragma once

#include "net/proxy/roster.h"

struct shard;

struct resolver {
    struct roster **hosts; /* one per name; they have entries */
    uint32_t count, capacity;
    uint32_t turn; /* so that a name's addresses are used in turn */
};

/* Takes the reference. A roster without entries means that the name has no address. */
void resolver_take(struct resolver *resolver, struct roster *roster);
void resolver_deinit(struct resolver *resolver);

/* One address of the name, in any case, or of the numeric address; false when there is none. */
bool resolver_lookup(struct shard *shard, struct slice name, uint16_t port, struct sockaddr_storage *storage,
                     socklen_t *size);
