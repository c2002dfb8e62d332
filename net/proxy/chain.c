/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/chain.h"

#include <stdlib.h>

enum { STATE_ALIGN = 8 };

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
    for (int i = 0; i < 2; i++)
        source->of_service[i] = arena_array(arena, model->services.count + 1, sizeof(struct chain *));
    if (!source->global || !source->by_service || !source->by_route || !source->of_service[0] ||
        !source->of_service[1])
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

/* Kong's order from consumer+route+service down to global; without those that do not apply it is the same. */
static int rank_of(const struct plugin_instance *instance)
{
    enum { ROUTE = 1, SERVICE = 2, GROUP = 4, CONSUMER = 8 };
    static const int ranks[] = {
        [CONSUMER | ROUTE | SERVICE] = 12,
        [GROUP | ROUTE | SERVICE] = 11,
        [CONSUMER | ROUTE] = 10,
        [CONSUMER | SERVICE] = 9,
        [GROUP | ROUTE] = 8,
        [GROUP | SERVICE] = 7,
        [ROUTE | SERVICE] = 6,
        [CONSUMER] = 5,
        [GROUP] = 4,
        [ROUTE] = 3,
        [SERVICE] = 2,
        [0] = 1,
    };
    int scope = instance->route ? ROUTE : 0;
    scope |= instance->service ? SERVICE : 0;
    scope |= instance->consumer ? CONSUMER : instance->consumer_group ? GROUP : 0;
    return ranks[scope];
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
    if (a->whose->index != b->whose->index)
        return a->whose->index < b->whose->index ? -1 : 1;
    return rank_of(b->instance) - rank_of(a->instance);
}

/* Keeps, per entity, the most specific instance. */
static void settle(struct chain_variants *variants)
{
    if (variants->count > 1)
        qsort(variants->items, variants->count, sizeof(*variants->items), compare_variants);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < variants->count; i++)
        if (kept == 0 || variants->items[kept - 1].whose != variants->items[i].whose)
            variants->items[kept++] = variants->items[i];
    variants->count = kept;
}

/* What instances are for; they lie in up to three buckets. */
struct chain_place {
    struct chain_bucket *buckets[3];
    const struct service *service;
    bool is_stream;
};

static bool applies(const struct chain_slot *slot, const struct plugin_instance *instance,
                    const struct chain_place *place)
{
    bool for_streams = (instance->protocols & PROTOCOL_STREAM_BITS) != 0;
    bool for_http = (instance->protocols & ~PROTOCOL_STREAM_BITS) != 0 || instance->protocols == 0;
    return instance->kind == &slot->plugin->kind && (place->is_stream ? for_streams : for_http) &&
           (instance->service == NULL || instance->service == place->service);
}

static void consider(struct chain_slot *slot, const struct plugin_instance *instance)
{
    struct chain_variants *variants = &slot->of_consumers;
    const struct entity *whose = instance->consumer ? &instance->consumer->entity : NULL;
    if (whose == NULL && instance->consumer_group) {
        variants = &slot->of_groups;
        whose = &instance->consumer_group->entity;
    }
    if (whose == NULL)
        slot->instance = better(slot->instance, instance);
    else if (variants->items == NULL)
        variants->count++; /* counted first, filled then */
    else
        variants->items[variants->count++] = (struct chain_variant){ whose, instance };
}

static void consider_all(struct chain_slot *slot, const struct chain_place *place)
{
    for (int b = 0; b < 3; b++)
        for (uint32_t i = 0; place->buckets[b] && i < place->buckets[b]->count; i++)
            if (applies(slot, place->buckets[b]->items[i], place))
                consider(slot, place->buckets[b]->items[i]);
}

static bool reserve(struct chain_source *source, struct chain_variants *variants)
{
    if (variants->count > 0)
        variants->items = arena_array(source->arena, variants->count, sizeof(*variants->items));
    bool good = variants->count == 0 || variants->items != NULL;
    variants->count = 0;
    return good;
}

static bool fill_slot(struct chain_source *source, struct chain_slot *slot, const struct chain_place *place)
{
    consider_all(slot, place);
    slot->varies = slot->of_consumers.count > 0 || slot->of_groups.count > 0;
    if (!slot->varies)
        return true;
    if (!reserve(source, &slot->of_consumers) || !reserve(source, &slot->of_groups))
        return false;
    consider_all(slot, place);
    settle(&slot->of_consumers);
    settle(&slot->of_groups);
    return true;
}

static struct chain *build(struct chain_source *source, const struct chain_place *place)
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
        if (!fill_slot(source, slot, place))
            return NULL;
        if (slot->instance == NULL && !slot->varies)
            continue;
        chain->count++;
        slot->state_offset = (uint32_t)chain->state_bytes;
        chain->state_bytes +=
            (slot->plugin->exchange_state_size + STATE_ALIGN - 1) & ~(size_t)(STATE_ALIGN - 1);
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
    bool is_stream = route && route->protocols & PROTOCOL_STREAM_BITS;
    struct chain_place place = { { source->global, of_service, of_route }, service, is_stream };
    if (of_route && of_route->count > 0)
        return build(source, &place);
    struct chain **shared =
        &source->of_service[is_stream][service ? service->entity.index : source->model->services.count];
    if (*shared == NULL)
        *shared = build(source, &place);
    return *shared;
}

static const struct plugin_instance *find(const struct chain_variants *variants, const struct entity *whose)
{
    uint32_t low = 0, high = variants->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        const struct chain_variant *variant = &variants->items[middle];
        if (variant->whose == whose)
            return variant->instance;
        if (variant->whose->index < whose->index)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

const struct plugin_instance *chain_instance(const struct chain_slot *slot, const struct consumer *consumer)
{
    if (!slot->varies || consumer == NULL)
        return slot->instance;
    const struct plugin_instance *best = better(slot->instance, find(&slot->of_consumers, &consumer->entity));
    if (slot->of_groups.count > 0)
        for (uint32_t i = 0; i < consumer->group_count; i++)
            best = better(best, find(&slot->of_groups, &consumer->groups[i]->entity));
    return best;
}
