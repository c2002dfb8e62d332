/* SPDX-License-Identifier: Apache-2.0 */
/* Everything a request is decided by, frozen: the model, its router, the chains of plugins and where the
 * upstreams are to begin with. Built and freed by the control thread, shared by pointer, read by all shards.
 * A shard counts its exchanges per snapshot in its own cell; one that was superseded and is used by none any
 * more is released. */
#pragma once

#include "net/proxy/chain.h"
#include "net/proxy/roster.h"
#include "net/proxy/router.h"
#include "net/proxy/tls_profiles.h"
#include "net/proxy/traffic.h"

struct balancer;

struct service_plan {
    const struct service *service;
    const struct tls_upstream *tls; /* NULL: in the clear */
};

struct route_plan {
    const struct service_plan *service; /* NULL: none */
    const struct chain *chain;
};

/* Written by one shard only; a cache line each. */
struct snapshot_use {
    _Alignas(64) uint64_t exchanges;
    bool released;
};

struct snapshot {
    uint64_t generation;
    struct model *model; /* owned */
    struct arena arena;
    struct router router, stream_router;
    bool passes_tls; /* there are routes for tls_passthrough: names are looked at before TLS begins */
    struct service_plan *services; /* by entity index */
    struct route_plan *routes; /* by entity index */
    const struct chain *no_route; /* the global plugins */
    struct tls_profiles tls;
    struct map upstreams; /* by id -> struct upstream */
    struct roster **rosters; /* by entity index of the upstream: where it is to begin with */
    struct balancer ***balancers; /* by shard, which fills it, and entity index; NULL: not used yet */
    struct traffic_route **traffic; /* by shard, which counts there, and entity index */
    struct snapshot_use *uses; /* per shard */
    struct snapshot *next_retired; /* the control thread's */
    unsigned shard_count;
    unsigned released_count; /* atomic: shards that have let go */
};

struct snapshot_options {
    const struct plugin *const *registry;
    unsigned shard_count;
    struct roster *const *rosters; /* by entity index of the upstream; the snapshot takes references */
    struct tls_profile_options tls;
};

/* Takes the model, also when it fails (NULL; the report says why). `before`, the snapshot it will replace,
 * may be NULL. */
struct snapshot *snapshot_build(struct model *model, const struct snapshot_options *options,
                                const struct snapshot *before, struct report *report);
void snapshot_free(struct snapshot *snapshot);

/* By shards: */
static inline void snapshot_take(struct snapshot *snapshot, unsigned shard_index)
{
    snapshot->uses[shard_index].exchanges++;
}

/* `current`: the shard's newest snapshot. */
void snapshot_release(struct snapshot *snapshot, unsigned shard_index, const struct snapshot *current);

/* The shard has adopted another one. */
void snapshot_superseded(struct snapshot *snapshot, unsigned shard_index);

/* By the control thread: has every shard let go? */
bool snapshot_is_released(const struct snapshot *snapshot);
