/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/snapshot.h"

#include "net/proxy/balancer.h"

#include <stdlib.h>

static bool needs_names(struct snapshot *snapshot, const struct snapshot_options *options)
{
    const struct model *model = snapshot->model;
    for (uint32_t i = 0; i < model->upstreams.count; i++)
        for (uint32_t j = 0; j < model->upstreams.items[i]->target_count; j++)
            if (!name_table_need(&snapshot->names, model->upstreams.items[i]->targets[j]->host))
                return false;
    for (uint32_t i = 0; i < options->names.count; i++)
        if (!name_table_need(&snapshot->names, options->names.items[i]))
            return false;
    for (uint32_t i = 0; i < model->plugins.count; i++) {
        const struct plugin_instance *instance = model->plugins.items[i];
        struct slice host =
            instance->kind->host_of ? instance->kind->host_of(instance->config) : (struct slice){ NULL, 0 };
        if (!name_table_need(&snapshot->names, host))
            return false;
    }
    return true;
}

/* A name's addresses have its target's weight each, as in Kong. */
static bool add_target(const struct snapshot *snapshot, struct roster *roster, const struct target *target,
                       uint32_t index)
{
    struct address found[RESOLVER_ADDRESSES_MAX];
    uint32_t count =
        name_table_lookup(&snapshot->names, target->host, target->port, found, RESOLVER_ADDRESSES_MAX);
    roster->unresolved |= count == 0;
    for (uint32_t i = 0; i < count; i++) {
        struct roster_entry entry = { .address = found[i],
                                      .host = target->host,
                                      .weight = target->weight,
                                      .target_index = index,
                                      .healthy = true };
        if (!roster_add(roster, &entry))
            return false;
    }
    return true;
}

static void release_rosters(void *pointer)
{
    struct snapshot *snapshot = pointer;
    for (uint32_t i = 0; i < snapshot->model->upstreams.count; i++)
        roster_release(snapshot->rosters[i]);
}

static bool plan_upstreams(struct snapshot *snapshot)
{
    const struct model *model = snapshot->model;
    uint32_t count = model->upstreams.count;
    map_init(&snapshot->upstreams, &snapshot->arena);
    snapshot->rosters = arena_array(&snapshot->arena, count + 1, sizeof(struct roster *));
    if (snapshot->rosters == NULL || !arena_on_close(&snapshot->arena, release_rosters, snapshot))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        struct upstream *upstream = model->upstreams.items[i];
        struct slice id = slice_of(upstream->entity.id);
        struct roster *roster = roster_open(id, roster_first_version(snapshot->generation));
        snapshot->rosters[i] = roster;
        bool enough = roster && map_add(&snapshot->upstreams, id, upstream, NULL);
        for (uint32_t j = 0; enough && j < upstream->target_count; j++)
            enough = add_target(snapshot, roster, upstream->targets[j], j);
        if (!enough)
            return false;
    }
    return true;
}

/* Each shard writes an array of its own, apart from the others'. */
static bool open_balancers(struct snapshot *snapshot)
{
    enum { LINE = 64 / sizeof(struct balancer *) };
    snapshot->balancers = arena_array(&snapshot->arena, snapshot->shard_count, sizeof(struct balancer **));
    for (unsigned i = 0; snapshot->balancers && i < snapshot->shard_count; i++) {
        snapshot->balancers[i] = arena_array(
            &snapshot->arena, (size_t)snapshot->model->upstreams.count + LINE, sizeof(struct balancer *));
        if (snapshot->balancers[i] == NULL)
            return false;
    }
    return snapshot->balancers != NULL;
}

static bool plan_routes(struct snapshot *snapshot, const struct plugin *const *registry)
{
    const struct model *model = snapshot->model;
    struct chain_source source;
    if (!chain_source_init(&source, &snapshot->arena, model, registry))
        return false;
    for (uint32_t i = 0; i < model->services.count; i++)
        snapshot->services[i].service = model->services.items[i];
    for (uint32_t i = 0; i < model->routes.count; i++) {
        const struct route *route = model->routes.items[i];
        struct route_plan *plan = &snapshot->routes[i];
        plan->service = route->service ? &snapshot->services[route->service->entity.index] : NULL;
        plan->chain = chain_build(&source, route, route->service);
        if (plan->chain == NULL)
            return false;
    }
    snapshot->no_route = chain_build(&source, NULL, NULL);
    return snapshot->no_route != NULL;
}

static bool build_parts(struct snapshot *snapshot, const struct snapshot_options *options,
                        const struct snapshot *before)
{
    const struct model *model = snapshot->model;
    struct router_source source = { model->rules.items, model->rules.count, MATCH_HTTP };
    snapshot->services =
        arena_array(&snapshot->arena, model->services.count + 1, sizeof(struct service_plan));
    snapshot->routes = arena_array(&snapshot->arena, model->routes.count + 1, sizeof(struct route_plan));
    snapshot->uses =
        aligned_alloc(_Alignof(struct snapshot_use), sizeof(struct snapshot_use) * options->shard_count);
    if (!snapshot->services || !snapshot->routes || !snapshot->uses)
        return false;
    memset(snapshot->uses, 0, sizeof(struct snapshot_use) * options->shard_count);
    name_table_init(&snapshot->names, &snapshot->arena);
    if (!needs_names(snapshot, options) ||
        !name_table_resolve(&snapshot->names, &options->resolver, before ? &before->names : NULL) ||
        !plan_upstreams(snapshot) || !open_balancers(snapshot) || !plan_routes(snapshot, options->registry))
        return false;
    return router_build(&snapshot->router, &snapshot->arena, &source) == ERROR_OK;
}

struct snapshot *snapshot_build(struct model *model, const struct snapshot_options *options,
                                const struct snapshot *before, struct report *report)
{
    struct snapshot *snapshot = calloc(1, sizeof(*snapshot));
    if (snapshot == NULL) {
        model_close(model);
        return NULL;
    }
    snapshot->model = model;
    snapshot->generation = before ? before->generation + 1 : 1;
    snapshot->shard_count = options->shard_count;
    arena_init(&snapshot->arena, NULL, 0, SIZE_MAX);
    if (build_parts(snapshot, options, before))
        return snapshot;
    report_add(report, REPORT_ERROR, NULL, "", "out of memory");
    snapshot_free(snapshot);
    return NULL;
}

void snapshot_free(struct snapshot *snapshot)
{
    arena_deinit(&snapshot->arena);
    free(snapshot->uses);
    model_close(snapshot->model);
    free(snapshot);
}

bool snapshot_names_changed(const struct snapshot *snapshot, const struct snapshot_options *options)
{
    struct arena arena;
    struct name_table again;
    arena_init(&arena, NULL, 0, SIZE_MAX);
    name_table_init(&again, &arena);
    bool enough = true;
    for (uint32_t i = 0; enough && i < snapshot->names.names.capacity; i++) {
        const struct resolved_name *entry = snapshot->names.names.entries[i].value;
        if (entry)
            enough = name_table_need(&again, entry->name);
    }
    bool changed = enough && name_table_resolve(&again, &options->resolver, &snapshot->names) &&
                   !name_table_equal(&snapshot->names, &again);
    arena_deinit(&arena);
    return changed;
}

static void let_go(struct snapshot *snapshot, unsigned shard_index)
{
    CHECK(!snapshot->uses[shard_index].released);
    for (uint32_t i = 0; i < snapshot->model->upstreams.count; i++)
        if (snapshot->balancers[shard_index][i])
            balancer_let_go(snapshot->balancers[shard_index][i]);
    snapshot->uses[shard_index].released = true;
    __atomic_add_fetch(&snapshot->released_count, 1, __ATOMIC_RELEASE);
}

void snapshot_release(struct snapshot *snapshot, unsigned shard_index, const struct snapshot *current)
{
    CHECK(snapshot->uses[shard_index].exchanges > 0);
    if (--snapshot->uses[shard_index].exchanges == 0 && snapshot != current)
        let_go(snapshot, shard_index);
}

void snapshot_superseded(struct snapshot *snapshot, unsigned shard_index)
{
    if (snapshot->uses[shard_index].exchanges == 0)
        let_go(snapshot, shard_index);
}

bool snapshot_is_released(const struct snapshot *snapshot)
{
    return __atomic_load_n(&snapshot->released_count, __ATOMIC_ACQUIRE) == snapshot->shard_count;
}
