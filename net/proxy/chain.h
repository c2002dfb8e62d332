/* SPDX-License-Identifier: Apache-2.0 */
/* The plugins of one route in the order in which they run, with the configuration that applies: of several
 * for the same plugin the most specific (Kong's rule). Built with the snapshot and immutable; running a
 * phase belongs to the exchange's shard. */
#pragma once

#include "net/proxy/plugin.h"

/* What applies for one consumer, or for one group of consumers. */
struct chain_variant {
    const struct entity *whose;
    const struct plugin_instance *instance;
};

struct chain_variants {
    struct chain_variant *items; /* sorted by the entity's index */
    uint32_t count;
};

struct chain_slot {
    const struct plugin *plugin;
    uint32_t plugin_index; /* in the registry */
    const struct plugin_instance *instance; /* without a known consumer; NULL: none */
    struct chain_variants of_consumers, of_groups;
    uint32_t state_offset; /* of its exchange state, in those of the chain */
    bool varies; /* with the consumer: there are variants */
};

struct chain {
    struct chain_slot *slots; /* highest priority first */
    uint32_t count;
    uint32_t phases; /* a bit per phase that some slot handles */
    size_t state_bytes; /* exchange states of all slots together */
};

/* What a chain is built from: the instances of a model, filed by scope. */
struct chain_source {
    struct arena *arena;
    const struct model *model;
    const struct plugin *const *registry;
    uint32_t *plugin_order; /* indexes into the registry by descending priority */
    uint32_t plugin_count;
    struct chain_bucket *global, *by_service, *by_route; /* the latter two by entity index */
    /* Shared by the routes of a service that have no plugins of their own; [count]: no service. For HTTP, and
     * for streams. */
    struct chain **of_service[2];
};

/* False: out of memory. */
bool chain_source_init(struct chain_source *source, struct arena *arena, const struct model *model,
                       const struct plugin *const *registry) MUST_CHECK;

/* The chain of a route (NULL: no route matched) with its service; NULL: out of memory. */
const struct chain *chain_build(struct chain_source *source, const struct route *route,
                                const struct service *service) MUST_CHECK;

/* The configuration of a slot for that consumer (may be NULL): the most specific one; of several groups that
 * are equally specific the first by name decides. NULL: the plugin does not run. */
const struct plugin_instance *chain_instance(const struct chain_slot *slot, const struct consumer *consumer);
