/* SPDX-License-Identifier: Apache-2.0 */
/* Nanoseconds per route match over the number of routes. Each request asks for another route, in an order
 * that caches cannot guess. Prints CSV: kind, routes, build_ms, ns_one (always the same route), ns_all. */
#include "net/proxy/router.h"
#include "config/kong/expression.h"
#include "config/kong/match.h"
#include "core/base/hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MATCHES = 2000000, REQUESTS = 1 << 17 };

enum kind { KIND_PREFIX, KIND_HOST, KIND_REGEX, KIND_EXPRESSION };

static const char *const kind_names[] = { "prefix", "host", "regex", "expression" };
static const char *const path_formats[] = { "/api/v1/service-%u/items", "/",
                                            "~/api/v1/service-%u/items/\\d+$", "/" };
static const char *const asked_formats[] = { "/api/v1/service-%u/items/7", "/x", "/api/v1/service-%u/items/7",
                                             "/api/x" };

struct fixture {
    struct arena arena;
    struct report report;
    struct regex_scratch scratch;
    struct route *routes;
    struct model *model;
    struct router router;
    struct slice *paths, *hosts; /* REQUESTS of each */
    double build_ms;
};

static double now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static void *must(void *memory)
{
    CHECK(memory != NULL);
    return memory;
}

static struct slice text_of(struct arena *arena, const char *format, uint32_t number)
{
    char text[128];
    snprintf(text, sizeof text, format, number);
    struct slice copy = arena_copy(arena, slice_of(text));
    CHECK(copy.data != NULL);
    return copy;
}

static const char expression_format[] =
    "http.host == \"service-%u.test\" && http.path ^= \"/api/\" && http.method == \"GET\"";

static void fill_expression(struct fixture *fixture, struct route *route, uint32_t number)
{
    struct kong_expression_error error;
    route->paths = (struct slices){ NULL, 0 };
    route->expression = text_of(&fixture->arena, expression_format, number);
    struct kong_expression_source source = { route->expression, MATCH_HTTP, &fixture->arena };
    route->condition = kong_expression_parse(&source, &error);
    CHECK(route->condition != NULL);
}

static void fill_route(struct fixture *fixture, uint32_t number, enum kind kind)
{
    struct route *route = fixture->model->routes.items[number] = &fixture->routes[number];
    struct slice *texts = must(arena_array(&fixture->arena, 2, sizeof *texts));
    route->protocols = PROTOCOL_BIT(PROTOCOL_HTTP);
    snprintf(route->entity.id, MODEL_ID_SIZE, "00000000-0000-4000-8000-%012u", number);
    texts[0] = text_of(&fixture->arena, path_formats[kind], number);
    route->paths = (struct slices){ texts, 1 };
    if (kind == KIND_EXPRESSION)
        fill_expression(fixture, route, number);
    if (kind != KIND_HOST)
        return;
    texts[1] = text_of(&fixture->arena, "service-%u.test", number);
    route->hosts = (struct slices){ texts + 1, 1 };
}

static void start(struct fixture *fixture, uint32_t count, enum kind kind)
{
    arena_init(&fixture->arena, NULL, 0, (size_t)1 << 31);
    report_init(&fixture->report);
    CHECK(regex_scratch_init(&fixture->scratch) == ERROR_OK);
    fixture->routes = must(arena_array(&fixture->arena, count, sizeof *fixture->routes));
    fixture->model = must(model_open());
    fixture->model->routes.items = must(arena_array(&fixture->arena, count, sizeof(struct route *)));
    fixture->model->routes.count = fixture->model->routes.capacity = count;
    for (uint32_t i = 0; i < count; i++)
        fill_route(fixture, i, kind);
    double from = now_ns();
    CHECK(kong_match_compile(fixture->model, &fixture->report));
    struct router_source source = { fixture->model->rules.items, fixture->model->rules.count, MATCH_HTTP };
    CHECK(router_build(&fixture->router, &fixture->arena, &source) == ERROR_OK);
    fixture->build_ms = (now_ns() - from) / 1e6;
    fixture->paths = must(arena_array(&fixture->arena, REQUESTS, sizeof *fixture->paths));
    fixture->hosts = must(arena_array(&fixture->arena, REQUESTS, sizeof *fixture->hosts));
    srandom(1);
    for (uint32_t i = 0; i < REQUESTS; i++) {
        uint32_t number = (uint32_t)random() % count;
        fixture->paths[i] = text_of(&fixture->arena, asked_formats[kind], number);
        fixture->hosts[i] = text_of(&fixture->arena, "service-%u.test", number);
    }
}

/* `mask`: which of the requests are cycled through. */
static double measure(struct fixture *fixture, uint32_t mask)
{
    char page[256];
    struct arena arena;
    struct message message;
    arena_init(&arena, page, sizeof page, 0);
    message_init(&message, &arena);
    struct router_request request = { .method = SLICE("GET"), .port = 80, .message = &message };
    request.scratch = &fixture->scratch;
    request.arena = &arena;
    double from = now_ns();
    for (uint32_t i = 0; i < MATCHES; i++) {
        struct router_match match;
        request.path = fixture->paths[i & mask];
        request.host = fixture->hosts[i & mask];
        CHECK(router_match(&fixture->router, &request, &match));
    }
    double elapsed = now_ns() - from;
    arena_deinit(&arena);
    return elapsed / MATCHES;
}

static void run(enum kind kind, uint32_t count)
{
    struct fixture fixture = { 0 };
    start(&fixture, count, kind);
    measure(&fixture, REQUESTS - 1);
    double one = measure(&fixture, 0), all = measure(&fixture, REQUESTS - 1);
    printf("%s,%u,%.1f,%.1f,%.1f\n", kind_names[kind], count, fixture.build_ms, one, all);
    model_close(fixture.model);
    regex_scratch_deinit(&fixture.scratch);
    report_deinit(&fixture.report);
    arena_deinit(&fixture.arena);
}

int main(void)
{
    hash_start();
    puts("kind,routes,build_ms,ns_one,ns_all");
    for (uint32_t count = 100; count <= 100000; count *= 10)
        run(KIND_PREFIX, count);
    for (uint32_t count = 100; count <= 100000; count *= 10)
        run(KIND_HOST, count);
    for (uint32_t count = 100; count <= 100000; count *= 10)
        run(KIND_EXPRESSION, count);
    run(KIND_REGEX, 1000);
    return 0;
}
