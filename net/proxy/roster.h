/* SPDX-License-Identifier: Apache-2.0 */
/* One version of where the targets of an upstream are: their addresses with weight and health. Immutable and
 * counted; made by the monitor, held by snapshots and by each shard's balancer of that upstream. Counting is
 * atomic and happens on changes only, never for a request. A newer version replaces an older one whoever made
 * it: the one a snapshot comes with has roster_first_version(generation), later ones count on from there. */
#pragma once

#include "config/upstream.h"
#include "net/transport/address.h"

enum {
    ROSTER_HOST_KEPT_MS = 600 * 1000 /* the monitor looks after a host that a shard has asked for so long */
};

struct roster_entry {
    struct address address;
    struct slice host;     /* the target's name as configured: what Host defaults to */
    uint32_t weight;       /* of this address; 0: no traffic */
    uint32_t target_index; /* within the upstream's definition this was made from */
    bool healthy;
    uint32_t flips; /* of its health on this node so far; 0: nothing is known. A shard follows `healthy` when
                     * this has changed, and goes by its own counts in between */
};

struct roster {
    unsigned holder_count;
    uint64_t version;
    struct slice key; /* the upstream's id, which survives reloads: a view of `id` */
    struct roster_entry *entries;
    uint32_t count;
    bool unresolved; /* some target's name has no address now, and never had one */
    char id[MODEL_ID_SIZE];
};

/* An empty one, held once; NULL when memory is exhausted. */
struct roster *roster_open(struct slice key, uint64_t version);

/* False when memory is exhausted. host is copied. */
bool roster_add(struct roster *roster, const struct roster_entry *entry) MUST_CHECK;

/* Of a snapshot's generation: newer than all of the generations before. */
static inline uint64_t roster_first_version(uint64_t generation)
{
    return generation << 32;
}

/* The key of rosters of a host that is no upstream's; the name is in lower case. False: no memory. */
bool roster_host_id(struct slice name, char id[MODEL_ID_SIZE]) MUST_CHECK;

struct roster *roster_take(struct roster *roster);
void roster_release(struct roster *roster); /* NULL is legal */
