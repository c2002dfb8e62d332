/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/chain.h"

#include <stdlib.h>

struct chain_bucket {
    const struct plugin_instance **items;
    uint32_t count, capacity;
};

static bool bucket_add(struct chain_source *source, struct chain_bucket *bucket,
                       const struct plugin_instance *instance)
{
    if (bucket->count == bucket->capacity) {
        uint32_t capacity = bucket->capacity ? bucket->capacity * 2 : 4;
        const struct plugin_instance **items = arena_array(source->arena, capacity, sizeof(*items));
        if (items == NULL)
            return false;
        if (bucket->count)
            memcpy(items, bucket->items, bucket->count * sizeof(*items));
        bucket->items = items;
        bucket->capacity = capacity;
    }
    bucket->items[bucket->count++] = instance;
    return true;
}

static bool order_plugins(struct chain_source *source)
{
    const struct plugin *const *registry = source->registry;
    while (registry[source->plugin_count])
        source->plugin_count++;
    source->plugin_order = arena_array(source->arena, source->plugin_count + 1, sizeof(uint32_t));
    if (source->plugin_order == NULL)
        return false;
    for (uint32_t i = 0; i < source->plugin_count; i++) {
        uint32_t at = i;
        for (; at > 0; at--) {
            const struct plugin *before = registry[source->plugin_order[at - 1]];
            CHECK(before->kind.priority != registry[i]->kind.priority);
            if (before->kind.priority > registry[i]->kind.priority)
                break;
            source->plugin_order[at] = source->plugin_order[at - 1];
        }
        source->plugin_order[at] = i;
    }
    return true;
}

bool chain_source_init(struct chain_source *source, struct arena *arena, const struct model *model,
                       const struct plugin *const *registry)
{
    *source = (struct chain_source){ .arena = arena, .model = model, .registry = registry };
    source->global = arena_alloc_zero(arena, sizeof(struct chain_bucket));
    source->by_service = arena_array(arena, model->services.count + 1, sizeof(struct chain_bucket));
    source->by_route = arena_array(arena, model->routes.count + 1, sizeof(struct chain_bucket));
    source->of_service = arena_array(arena, model->services.count + 1, sizeof(struct chain *));
    if (!source->global || !source->by_service || !source->by_route || !source->of_service)
        return false;
    if (!order_plugins(source))
        return false;
    for (uint32_t i = 0; i < model->plugins.count; i++) {
        const struct plugin_instance *instance = model->plugins.items[i];
        struct chain_bucket *bucket = instance->route ? &source->by_route[instance->route->entity.index]
                                      : instance->service
                                          ? &source->by_service[instance->service->entity.index]
                                          : source->global;
        if (instance->enabled && !bucket_add(source, bucket, instance))
            return false;
    }
    return true;
}

/* Kong's order from route+service+consumer down to global; without the consumer the same order holds. */
static int rank_of(const struct plugin_instance *instance)
{
    int route = instance->route != NULL, service = instance->service != NULL;
    if (instance->consumer)
        return route && service ? 8 : route ? 7 : service ? 6 : 4;
    return route && service ? 5 : route ? 3 : service ? 2 : 1;
}

static const struct plugin_instance *better(const struct plugin_instance *a, const struct plugin_instance *b)
{
    if (a == NULL || b == NULL)
        return a ? a : b;
    return rank_of(b) > rank_of(a) ? b : a;
}

static int compare_variants(const void *left, const void *right)
{
    const struct chain_variant *a = left, *b = right;
    uint32_t ai = a->consumer->entity.index, bi = b->consumer->entity.index;
    if (ai != bi)
        return ai < bi ? -1 : 1;
    return rank_of(b->instance) - rank_of(a->instance);
}

/* Keeps, per consumer, the most specific instance; it gives way to a better one without consumer. */
static void settle_variants(struct chain_slot *slot)
{
    if (slot->variant_count > 1)
        qsort(slot->variants, slot->variant_count, sizeof(*slot->variants), compare_variants);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < slot->variant_count; i++) {
        struct chain_variant *variant = &slot->variants[i];
        if (kept > 0 && slot->variants[kept - 1].consumer == variant->consumer)
            continue;
        variant->instance = better(variant->instance, slot->instance);
        slot->variants[kept++] = *variant;
    }
    slot->variant_count = kept;
}

static void consider(struct chain_slot *slot, const struct plugin_instance *instance,
                     const struct service *service)
{
    if (instance->kind != &slot->plugin->kind || (instance->service && instance->service != service))
        return;
    if (instance->consumer)
        slot->variants[slot->variant_count++] = (struct chain_variant){ instance->consumer, instance };
    else
        slot->instance = better(slot->instance, instance);
}

static bool fill_slot(struct chain_source *source, struct chain_slot *slot,
                      struct chain_bucket *const buckets[3], const struct service *service)
{
    uint32_t most = 0;
    for (int b = 0; b < 3; b++)
        most += buckets[b] ? buckets[b]->count : 0;
    slot->variants = arena_array(source->arena, most ? most : 1, sizeof(*slot->variants));
    if (slot->variants == NULL)
        return false;
    for (int b = 0; b < 3; b++)
        for (uint32_t i = 0; buckets[b] && i < buckets[b]->count; i++)
            consider(slot, buckets[b]->items[i], service);
    settle_variants(slot);
    return true;
}

static struct chain *build(struct chain_source *source, struct chain_bucket *const buckets[3],
                           const struct service *service)
{
    struct chain *chain = arena_alloc_zero(source->arena, sizeof(*chain));
    if (chain == NULL)
        return NULL;
    chain->slots = arena_array(source->arena, source->plugin_count + 1, sizeof(*chain->slots));
    if (chain->slots == NULL)
        return NULL;
    for (uint32_t i = 0; i < source->plugin_count; i++) {
        struct chain_slot *slot = &chain->slots[chain->count];
        *slot = (struct chain_slot){ .plugin_index = source->plugin_order[i] };
        slot->plugin = source->registry[slot->plugin_index];
        if (!fill_slot(source, slot, buckets, service))
            return NULL;
        if (slot->instance == NULL && slot->variant_count == 0)
            continue;
        chain->count++;
        chain->keeps_state |= slot->plugin->exchange_state_size > 0;
        for (int phase = 0; phase < PHASE_COUNT; phase++)
            if (slot->plugin->on[phase])
                chain->phases |= 1u << phase;
    }
    return chain;
}

const struct chain *chain_build(struct chain_source *source, const struct route *route,
                                const struct service *service)
{
    struct chain_bucket *of_route = route ? &source->by_route[route->entity.index] : NULL;
    struct chain_bucket *of_service = service ? &source->by_service[service->entity.index] : NULL;
    struct chain_bucket *const buckets[3] = { source->global, of_service, of_route };
    if (of_route && of_route->count > 0)
        return build(source, buckets, service);
    struct chain **shared =
        &source->of_service[service ? service->entity.index : source->model->services.count];
    if (*shared == NULL)
        *shared = build(source, buckets, service);
    return *shared;
}

const struct plugin_instance *chain_instance(const struct chain_slot *slot, const struct consumer *consumer)
{
    if (consumer == NULL || slot->variant_count == 0)
        return slot->instance;
    uint32_t low = 0, high = slot->variant_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        const struct chain_variant *variant = &slot->variants[middle];
        if (variant->consumer == consumer)
            return variant->instance;
        if (variant->consumer->entity.index < consumer->entity.index)
            low = middle + 1;
        else
            high = middle;
    }
    return slot->instance;
}
