/* SPDX-License-Identifier: Apache-2.0 */
#include "config/detour.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct model *model;
static struct route routes[2];

static struct service *add_service(const char *host, int64_t port)
{
    struct service *service = arena_alloc_zero(&model->arena, sizeof(*service));
    struct service **items =
        model_reserve(model, model->services.items, model->services.count, &model->services.capacity);
    cr_assert(service && items);
    *service = (struct service){ .host = slice_of(host), .port = port, .retries = 3 };
    service->entity.index = model->services.count;
    model->services.items = items;
    items[model->services.count++] = service;
    return service;
}

static void start(void)
{
    model = model_open();
    cr_assert_not_null(model);
    memset(routes, 0, sizeof(routes));
    routes[0].service = add_service("a.test", 80);
    routes[1].service = add_service("b.test", 81);
}

static void stop(void)
{
    model_close(model);
}

TestSuite(detour, .init = start, .fini = stop);

static struct detour build(const struct plugin_instance *instance, const char *host, int64_t port)
{
    struct detour detour;
    struct detour_place place = { slice_of(host), port };
    cr_assert(detour_build(&detour, model, instance, &place));
    return detour;
}

static bool leads_to(const struct detour *detour, const struct service *from, const char *host, int64_t port)
{
    const struct service *to = detour_find(detour, from);
    return to && to->like == (from->like ? from->like : from) && to->retries == 3 && to->upstream == NULL &&
           to->port == port && slice_equal(to->host, slice_of(host)) &&
           model->services.items[to->entity.index] == to;
}

Test(detour, of_everything)
{
    struct plugin_instance everywhere = { .enabled = true };
    struct detour detour = build(&everywhere, "c.test", INTEGER_NULL);
    cr_assert_eq(detour.count, 2);
    cr_assert(leads_to(&detour, routes[0].service, "c.test", 80));
    cr_assert(leads_to(&detour, routes[1].service, "c.test", 81));
    struct detour second = build(&everywhere, NULL, 99);
    cr_assert_eq(second.count, 4);
    cr_assert(leads_to(&second, routes[0].service, "a.test", 99));
    cr_assert(leads_to(&second, detour_find(&detour, routes[0].service), "c.test", 99));
}

Test(detour, of_a_route_or_a_service)
{
    struct plugin_instance of_route = { .route = &routes[1] };
    struct plugin_instance of_service = { .service = routes[0].service };
    struct plugin_instance of_both = { .route = &routes[1], .service = routes[0].service };
    struct detour detour = build(&of_route, "c.test", 1);
    cr_assert_null(detour_find(&detour, routes[0].service));
    cr_assert(leads_to(&detour, routes[1].service, "c.test", 1));
    detour = build(&of_service, "c.test", 1);
    cr_assert(leads_to(&detour, routes[0].service, "c.test", 1));
    cr_assert_null(detour_find(&detour, routes[1].service));
    cr_assert_eq(build(&of_both, "c.test", 1).count, 0);
}

Test(detour, of_a_route_with_backends)
{
    struct service *third = add_service("d.test", 82);
    const struct backend backends[] = { { .service = routes[0].service },
                                        { .service = NULL },
                                        { .service = third } };
    const struct action action = { .backends = backends, .backend_count = COUNT_OF(backends) };
    struct route route = { .service = routes[0].service, .action = &action };
    struct plugin_instance instance = { .route = &route };
    struct detour detour = build(&instance, "c.test", INTEGER_NULL);
    cr_assert(leads_to(&detour, routes[0].service, "c.test", 80) && leads_to(&detour, third, "c.test", 82));
    cr_assert_null(detour_find(&detour, routes[1].service));
}

/* Hosts are linked as a configured service's: by name, and shared. */
Test(detour, upstreams)
{
    struct plugin_instance everywhere = { .enabled = true };
    struct detour detour = build(&everywhere, "b.test", 81);
    struct report report;
    report_init(&report);
    cr_assert(model_link_upstreams(model, &report));
    report_deinit(&report);
    cr_assert_eq(detour_find(&detour, routes[0].service)->upstream, routes[1].service->upstream);
    cr_assert_neq(routes[0].service->upstream, routes[1].service->upstream);
}

Test(detour, weights)
{
    const struct backend backends[] = { { .weight = 2 }, { .weight = 0 }, { .weight = 1 } };
    cr_assert_eq(backend_at(backends, 3, 0), &backends[0]);
    cr_assert_eq(backend_at(backends, 3, 1), &backends[0]);
    cr_assert_eq(backend_at(backends, 3, 2), &backends[2]);
    cr_assert_null(backend_at(backends, 3, 3));
    cr_assert_null(backend_at(backends, 0, 0));
}
