/* SPDX-License-Identifier: Apache-2.0 */
/* Which of several configurations of a plugin applies (Kong's rule), and in which order plugins run. */
#include "net/proxy/chain.h"

#include <criterion/criterion.h>

enum { INSTANCES_MAX = 16, SCOPE_ROUTE = 1, SCOPE_SERVICE = 2, SCOPE_CONSUMER = 4, SCOPE_GROUP = 8 };

static enum verdict go_on(const struct plugin_call *call)
{
    (void)call;
    return VERDICT_CONTINUE;
}

static const struct plugin low = { .kind = { .name = "low", .priority = 10 }, .on[PHASE_LOG] = go_on };
static const struct plugin high = { .kind = { .name = "high", .priority = 1000 },
                                    .on[PHASE_ACCESS] = go_on,
                                    .exchange_state_size = 8 };
static const struct plugin middle = { .kind = { .name = "middle", .priority = 500 },
                                      .on[PHASE_ACCESS] = go_on,
                                      .on[PHASE_LOG] = go_on };
static const struct plugin *const registry[] = { &low, &high, &middle, NULL };

static struct arena arena;
static struct model model;
static struct service services[2], *service_items[2];
static struct route routes[3], *route_items[3];
static struct consumer consumers[3], *consumer_items[3];
static struct consumer_group groups[3], *group_items[3], *of_second[2] = { &groups[0], &groups[1] };
static struct plugin_instance instances[INSTANCES_MAX], *instance_items[INSTANCES_MAX];
static struct chain_source source;

static void start(void)
{
    arena_init(&arena, NULL, 0, 1 << 20);
    model = (struct model){ .services = { service_items, COUNT_OF(services) },
                            .routes = { route_items, COUNT_OF(routes) },
                            .consumers = { consumer_items, COUNT_OF(consumers) },
                            .consumer_groups = { group_items, COUNT_OF(groups) },
                            .plugins = { instance_items } };
    /* Not in the order of their names. */
    for (uint32_t i = 0; i < COUNT_OF(groups); i++)
        group_items[i] = &groups[i], groups[i].entity.index = COUNT_OF(groups) - i;
    for (uint32_t i = 0; i < COUNT_OF(services); i++)
        service_items[i] = &services[i], services[i].entity.index = i;
    for (uint32_t i = 0; i < COUNT_OF(routes); i++) {
        route_items[i] = &routes[i];
        routes[i] = (struct route){ .entity = { .index = i }, .service = &services[i % COUNT_OF(services)] };
    }
    for (uint32_t i = 0; i < COUNT_OF(consumers); i++)
        consumer_items[i] = &consumers[i], consumers[i].entity.index = i;
}

static void end(void)
{
    arena_deinit(&arena);
}

TestSuite(chain, .init = start, .fini = end);

static void restart(void)
{
    end();
    start();
}

/* Attached to the first route, its service, the second consumer or its first group, as the scope says. */
static struct plugin_instance *add(const struct plugin *plugin, unsigned scope)
{
    struct plugin_instance *instance = &instances[model.plugins.count];
    cr_assert_lt(model.plugins.count, INSTANCES_MAX);
    *instance = (struct plugin_instance){ .kind = &plugin->kind, .enabled = true };
    instance->route = scope & SCOPE_ROUTE ? &routes[0] : NULL;
    instance->service = scope & SCOPE_SERVICE ? &services[0] : NULL;
    instance->consumer = scope & SCOPE_CONSUMER ? &consumers[1] : NULL;
    instance->consumer_group = scope & SCOPE_GROUP ? &groups[0] : NULL;
    consumers[1].groups = of_second;
    consumers[1].group_count = COUNT_OF(of_second);
    instance_items[model.plugins.count++] = instance;
    return instance;
}

static const struct chain *build(const struct route *route, const struct service *service)
{
    const struct chain *chain = chain_build(&source, route, service);
    cr_assert_not_null(chain);
    return chain;
}

static const struct chain *build_first(void)
{
    cr_assert(chain_source_init(&source, &arena, &model, registry));
    return build(&routes[0], &services[0]);
}

/* From the most specific down, as Kong documents it. */
static const unsigned ranks[] = {
    SCOPE_CONSUMER | SCOPE_ROUTE | SCOPE_SERVICE,
    SCOPE_GROUP | SCOPE_ROUTE | SCOPE_SERVICE,
    SCOPE_CONSUMER | SCOPE_ROUTE,
    SCOPE_CONSUMER | SCOPE_SERVICE,
    SCOPE_GROUP | SCOPE_ROUTE,
    SCOPE_GROUP | SCOPE_SERVICE,
    SCOPE_ROUTE | SCOPE_SERVICE,
    SCOPE_CONSUMER,
    SCOPE_GROUP,
    SCOPE_ROUTE,
    SCOPE_SERVICE,
    0,
};

/* Adds those of the set, forwards or backwards; the result is the most specific of them. */
static const struct plugin_instance *add_set(unsigned set, bool backwards)
{
    const struct plugin_instance *best = NULL;
    for (size_t i = 0; i < COUNT_OF(ranks); i++) {
        size_t rank = backwards ? COUNT_OF(ranks) - 1 - i : i;
        if (!(set >> rank & 1))
            continue;
        const struct plugin_instance *instance = add(&middle, ranks[rank]);
        if (best == NULL || backwards)
            best = instance;
    }
    return best;
}

/* Every set of scopes, declared in either order. */
Test(chain, the_most_specific_applies)
{
    for (unsigned set = 1; set < 1u << COUNT_OF(ranks); set++)
        for (int backwards = 0; backwards < 2; backwards++) {
            restart();
            const struct plugin_instance *best = add_set(set, backwards);
            const struct chain *chain = build_first();
            cr_assert_eq(chain->count, 1);
            cr_assert_eq(chain_instance(&chain->slots[0], &consumers[1]), best, "set %x", set);
        }
}

/* Those of a consumer and of its groups do not count for others and for nobody. */
Test(chain, without_the_consumer_its_configurations_do_not_apply)
{
    for (unsigned set = 1; set < 1u << COUNT_OF(ranks); set++) {
        const struct plugin_instance *best = NULL;
        restart();
        add_set(set, false);
        for (uint32_t i = 0; i < model.plugins.count && best == NULL; i++)
            best = instances[i].consumer || instances[i].consumer_group ? NULL : &instances[i];
        const struct chain *chain = build_first();
        cr_assert_eq(chain_instance(&chain->slots[0], NULL), best, "set %x", set);
        cr_assert_eq(chain_instance(&chain->slots[0], &consumers[0]), best, "set %x", set);
        cr_assert_eq(chain_instance(&chain->slots[0], &consumers[2]), best, "set %x", set);
    }
}

Test(chain, each_consumer_has_its_own)
{
    struct plugin_instance *of[COUNT_OF(consumers)];
    for (uint32_t i = COUNT_OF(consumers); i-- > 0;) {
        of[i] = add(&middle, SCOPE_CONSUMER);
        of[i]->consumer = &consumers[i];
    }
    const struct plugin_instance *global = add(&middle, 0);
    const struct chain *chain = build_first();
    cr_assert_eq(chain->slots[0].of_consumers.count, COUNT_OF(consumers));
    for (uint32_t i = 0; i < COUNT_OF(consumers); i++)
        cr_assert_eq(chain_instance(&chain->slots[0], &consumers[i]), of[i]);
    cr_assert_eq(chain_instance(&chain->slots[0], NULL), global);
}

/* Of groups that are equally specific the first by name, in any order; a more specific one wins. */
Test(chain, a_consumer_in_several_groups)
{
    struct plugin_instance *later = add(&middle, SCOPE_GROUP);
    struct plugin_instance *first = add(&middle, SCOPE_GROUP);
    struct plugin_instance *strange = add(&middle, SCOPE_GROUP | SCOPE_ROUTE);
    later->consumer_group = &groups[1];
    strange->consumer_group = &groups[2];
    const struct chain *chain = build_first();
    cr_assert_eq(chain->slots[0].of_groups.count, COUNT_OF(groups));
    cr_assert_eq(chain_instance(&chain->slots[0], &consumers[1]), first);
    cr_assert_null(chain_instance(&chain->slots[0], &consumers[0]));
    later->service = &services[0];
    chain = build_first();
    cr_assert_eq(chain_instance(&chain->slots[0], &consumers[1]), later);
}

Test(chain, plugins_run_by_descending_priority)
{
    static const struct plugin *const order[] = { &high, &middle, &low };
    add(&low, 0);
    add(&middle, SCOPE_ROUTE);
    add(&high, SCOPE_SERVICE);
    const struct chain *chain = build_first();
    cr_assert_eq(chain->count, COUNT_OF(order));
    for (uint32_t i = 0; i < chain->count; i++) {
        cr_assert_eq(chain->slots[i].plugin, order[i]);
        cr_assert_eq(registry[chain->slots[i].plugin_index], order[i]);
    }
    cr_assert_eq(chain->phases, 1u << PHASE_ACCESS | 1u << PHASE_LOG);
    cr_assert_gt(chain->state_bytes, 0);
}

Test(chain, only_the_phases_of_its_plugins)
{
    add(&low, 0);
    const struct chain *chain = build_first();
    cr_assert_eq(chain->phases, 1u << PHASE_LOG);
    cr_assert_eq(chain->state_bytes, 0);
}

Test(chain, disabled_ones_are_left_out)
{
    add(&middle, SCOPE_ROUTE | SCOPE_CONSUMER)->enabled = false;
    add(&middle, SCOPE_ROUTE)->enabled = false;
    const struct plugin_instance *global = add(&middle, 0);
    add(&high, 0)->enabled = false;
    const struct chain *chain = build_first();
    cr_assert_eq(chain->count, 1);
    cr_assert_eq(chain_instance(&chain->slots[0], &consumers[1]), global);
}

Test(chain, those_of_others_do_not_apply)
{
    add(&middle, SCOPE_ROUTE);
    const struct plugin_instance *of_service = add(&middle, SCOPE_SERVICE);
    const struct plugin_instance *global = add(&middle, 0);
    build_first();
    /* Of the first route's service, another service, no service, no route. */
    cr_assert_eq(build(&routes[2], &services[0])->slots[0].instance, of_service);
    cr_assert_eq(build(&routes[1], &services[1])->slots[0].instance, global);
    cr_assert_eq(build(&routes[2], NULL)->slots[0].instance, global);
    cr_assert_eq(build(NULL, NULL)->slots[0].instance, global);
}

/* An instance of a route and a service that the route does not have. */
Test(chain, a_route_with_another_service)
{
    add(&middle, SCOPE_ROUTE | SCOPE_SERVICE);
    cr_assert(chain_source_init(&source, &arena, &model, registry));
    cr_assert_eq(build(&routes[0], &services[1])->count, 0);
    cr_assert_eq(build(&routes[0], NULL)->count, 0);
}

Test(chain, routes_without_plugins_of_their_own_share)
{
    add(&middle, SCOPE_SERVICE);
    add(&high, SCOPE_ROUTE);
    const struct chain *first = build_first();
    cr_assert_neq(build(&routes[2], &services[0]), first);
    cr_assert_eq(build(&routes[2], &services[0]), build(&routes[1], &services[0]));
    cr_assert_eq(build(NULL, NULL)->count, 0);
}

Test(chain, says_when_memory_is_exhausted)
{
    struct arena small;
    add(&middle, 0);
    for (size_t limit = 0; limit < 4096; limit += 64) {
        arena_init(&small, NULL, 0, limit);
        bool good = chain_source_init(&source, &small, &model, registry) &&
                    chain_build(&source, &routes[0], &services[0]) != NULL;
        cr_assert(limit > 0 || !good);
        cr_assert(limit < 4000 || good);
        arena_deinit(&small);
    }
}
