/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/snapshot.h"

#include "net/proxy/balancer.h"

#include <stdlib.h>

static void release_rosters(void *pointer)
{
    struct snapshot *snapshot = pointer;
    for (uint32_t i = 0; i < snapshot->model->upstreams.count; i++)
        roster_release(snapshot->rosters[i]);
}

static bool plan_upstreams(struct snapshot *snapshot, struct roster *const *rosters)
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
        snapshot->rosters[i] = roster_take(rosters[i]);
        if (!map_add(&snapshot->upstreams, id, upstream, NULL))
            return false;
    }
    return true;
}

/* Each shard writes arrays of its own, apart from the others'. */
enum { LINE_BYTES = 64 };

static bool open_traffic(struct snapshot *snapshot)
{
    enum { LINE = LINE_BYTES / sizeof(struct traffic_route) };
    snapshot->traffic = arena_array(&snapshot->arena, snapshot->shard_count, sizeof(struct traffic_route *));
    for (unsigned i = 0; snapshot->traffic && i < snapshot->shard_count; i++) {
        snapshot->traffic[i] = arena_array(&snapshot->arena, (size_t)snapshot->model->routes.count + LINE,
                                           sizeof(struct traffic_route));
        if (snapshot->traffic[i] == NULL)
            return false;
    }
    return snapshot->traffic != NULL;
}

static bool open_balancers(struct snapshot *snapshot)
{
    enum { LINE = LINE_BYTES / sizeof(struct balancer *) };
    snapshot->balancers = arena_array(&snapshot->arena, snapshot->shard_count, sizeof(struct balancer **));
    for (unsigned i = 0; snapshot->balancers && i < snapshot->shard_count; i++) {
        snapshot->balancers[i] = arena_array(
            &snapshot->arena, (size_t)snapshot->model->upstreams.count + LINE, sizeof(struct balancer *));
        if (snapshot->balancers[i] == NULL)
            return false;
    }
    return snapshot->balancers != NULL;
}

static bool plan_services(struct snapshot *snapshot, const struct snapshot_options *options,
                          struct report *report)
{
    const struct model *model = snapshot->model;
    const struct tls_profile_source source = { &snapshot->arena, model, &options->tls, report };
    if (!tls_profiles_build(&snapshot->tls, &source))
        return false;
    for (uint32_t i = 0; i < model->services.count; i++) {
        const struct service *service = model->services.items[i];
        struct service_plan *plan = &snapshot->services[i];
        plan->service = service;
        if (service->protocol != PROTOCOL_HTTPS && service->protocol != PROTOCOL_GRPCS &&
            service->protocol != PROTOCOL_TLS)
            continue;
        plan->tls = tls_profiles_upstream(&snapshot->tls, &source, service);
        if (plan->tls == NULL)
            return false;
    }
    return true;
}

static bool plan_routes(struct snapshot *snapshot, const struct plugin *const *registry)
{
    const struct model *model = snapshot->model;
    struct chain_source source;
    if (!chain_source_init(&source, &snapshot->arena, model, registry))
        return false;
    for (uint32_t i = 0; i < model->routes.count; i++) {
        const struct route *route = model->routes.items[i];
        struct route_plan *plan = &snapshot->routes[i];
        plan->service = route->service ? &snapshot->services[route->service->entity.index] : NULL;
        plan->chain = chain_build(&source, route, route->service);
        if (plan->chain == NULL)
            return false;
        snapshot->passes_tls |= (route->protocols & PROTOCOL_BIT(PROTOCOL_TLS_PASSTHROUGH)) != 0;
    }
    snapshot->no_route = chain_build(&source, NULL, NULL);
    return snapshot->no_route != NULL;
}

static bool build_parts(struct snapshot *snapshot, const struct snapshot_options *options,
                        struct report *report)
{
    const struct model *model = snapshot->model;
    struct router_source source = { model->rules.items, model->rules.count, MATCH_HTTP };
    struct router_source streams = { model->rules.items, model->rules.count, MATCH_STREAM };
    snapshot->services =
        arena_array(&snapshot->arena, model->services.count + 1, sizeof(struct service_plan));
    snapshot->routes = arena_array(&snapshot->arena, model->routes.count + 1, sizeof(struct route_plan));
    snapshot->uses =
        aligned_alloc(_Alignof(struct snapshot_use), sizeof(struct snapshot_use) * options->shard_count);
    if (!snapshot->services || !snapshot->routes || !snapshot->uses)
        return false;
    memset(snapshot->uses, 0, sizeof(struct snapshot_use) * options->shard_count);
    if (!plan_upstreams(snapshot, options->rosters) || !open_balancers(snapshot) || !open_traffic(snapshot) ||
        !plan_services(snapshot, options, report) || !plan_routes(snapshot, options->registry))
        return false;
    return router_build(&snapshot->router, &snapshot->arena, &source) == ERROR_OK &&
           router_build(&snapshot->stream_router, &snapshot->arena, &streams) == ERROR_OK;
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
    uint32_t errors = report->error_count;
    if (build_parts(snapshot, options, report))
        return snapshot;
    if (report->error_count == errors)
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
