/* SPDX-License-Identifier: Apache-2.0 */
/* The index against a reading of the rules that knows no index: every route is asked, the best one is kept.
 * Routes and requests are drawn from small alphabets, so that they meet often. */
#include "config/kong/match.h"
#include "core/base/hash.h"
#include "net/proxy/router.h"

#include <criterion/criterion.h>

enum { ROUTE_COUNT = 40, REQUEST_COUNT = 200, ROUNDS = 50 };

static const char *const hosts[] = { "a.test", "b.test", "x.a.test",  "*.a.test",  "*.test",
                                     "a.*",    "x.*",    "b.test:81", "*.test:81", "x.a.*" };
static const char *const paths[] = { "/",       "/a",         "/a/b",      "/a/bc",   "/b",
                                     "/a/b/",   "~/a/\\d+",   "~/a/(b|c)", "~/.*c$",  "~/a/b?c",
                                     "/abcdef", "~/(?i)A/b+", "/a/1",      "/a/12/x", "~/a/.*/x" };
static const char *const methods[] = { "GET", "POST", "FOO" };
static const char *const snis[] = { "a.test", "*.test", "a.*" };
static const char *const values[] = { "1", "two", "~*^t" };
static const char *const asked_hosts[] = { "a.test",    "b.test", "x.a.test",  "y.x.a.test", "a.org",
                                           "b.test:81", "x.a.b",  "a.test:81", "",           "x.a.test:82" };
static const char *const asked_paths[] = { "/",     "/a",      "/a/b",   "/a/bc",  "/a/b/c",
                                           "/a/12", "/a/12/x", "/b/c",   "/abcde", "/abcdef",
                                           "/A/bb", "/a/c/x",  "/a/bbc", "/c" };
static const char *const asked_values[] = { "1", "TWO", "three", "x" };

static uint32_t seed = 1;

static uint32_t draw(uint32_t below)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % below;
}

#define DRAW(array) slice_of(array[draw(COUNT_OF(array))])

static struct slices draw_some(struct arena *arena, const char *const *from, uint32_t count)
{
    struct slices result = { arena_array(arena, 3, sizeof(struct slice)), draw(2) ? draw(3) + 1 : 0 };
    for (uint32_t i = 0; i < result.count; i++)
        result.items[i] = slice_of(from[draw(count)]);
    return result;
}

static void draw_route(struct arena *arena, struct route *route, uint32_t index)
{
    *route = (struct route){ .protocols = PROTOCOL_BIT(PROTOCOL_HTTP), .regex_priority = draw(3) };
    snprintf(route->entity.id, MODEL_ID_SIZE, "%08x-0000-4000-8000-%012u", draw(4), index);
    route->entity.index = index;
    route->created_at = draw(3);
    while (route->hosts.count + route->paths.count == 0) { /* else one of them takes every request */
        route->hosts = draw_some(arena, hosts, COUNT_OF(hosts));
        route->paths = draw_some(arena, paths, COUNT_OF(paths));
    }
    route->methods = draw_some(arena, methods, COUNT_OF(methods));
    if (draw(4) == 0)
        route->snis = draw_some(arena, snis, COUNT_OF(snis));
    route->headers.entries = arena_array(arena, 2, sizeof *route->headers.entries);
    static const char *const names[] = { "x-a", "accept" };
    for (uint32_t i = 0; i < 2; i++) {
        struct schema_map_entry *entry = &route->headers.entries[route->headers.count];
        *entry = (struct schema_map_entry){ slice_of(names[i]), draw_some(arena, values, COUNT_OF(values)) };
        route->headers.count += entry->values.count > 0 && draw(2);
    }
}

/* --- the rules, read naively ---------------------------------------------------------------------------- */

static bool naive_wild(struct slice text, struct slice pattern)
{
    if (pattern.data[0] == '*')
        return slice_ends_with(text, slice_from(pattern, 1));
    if (pattern.data[pattern.size - 1] == '*')
        return slice_starts_with(text, (struct slice){ pattern.data, pattern.size - 1 });
    return slice_equal(text, pattern);
}

static bool naive_host(const struct route *route, const struct router_request *request)
{
    struct slice asked_port, host = slice_split(request->host, ':', &asked_port);
    for (uint32_t i = 0; i < route->hosts.count; i++) {
        struct slice port, name = slice_split(route->hosts.items[i], ':', &port);
        uint64_t wanted = 0, given = request->port;
        if (asked_port.data && !slice_to_u64(asked_port, &given))
            continue;
        if (naive_wild(host, name) && (!port.data || (slice_to_u64(port, &wanted) && wanted == given)))
            return true;
    }
    return route->hosts.count == 0;
}

static struct regex_scratch scratch;

static bool naive_regex(struct slice pattern, enum regex_anchor anchor, struct slice text, size_t *size)
{
    struct regex regex;
    cr_assert_eq(regex_compile(&regex, pattern, anchor, NULL, 0), ERROR_OK);
    bool matched = regex_match(&regex, text, &scratch);
    if (matched)
        *size = regex_group(&scratch, text, 0).size;
    regex_close(&regex);
    return matched;
}

static bool naive_headers(const struct route *route, const struct router_request *request)
{
    for (uint32_t i = 0; i < route->headers.count; i++) {
        const struct schema_map_entry *entry = &route->headers.entries[i];
        struct slice sent = message_find_name(request->message, entry->name);
        bool matched = false;
        char lower[16] = "";
        for (size_t j = 0; j < sent.size; j++)
            lower[j] = slice_lower(sent.data[j]);
        size_t ignored;
        for (uint32_t j = 0; sent.data && j < entry->values.count; j++) {
            struct slice value = entry->values.items[j];
            matched |= value.data[0] == '~'
                           ? naive_regex(slice_from(value, 2), REGEX_ANYWHERE, slice_of(lower), &ignored)
                           : slice_equal(value, slice_of(lower));
        }
        if (!matched)
            return false;
    }
    return true;
}

static bool naive_rest(const struct route *route, const struct router_request *request)
{
    bool method = route->methods.count == 0, sni = route->snis.count == 0 || !request->tls;
    for (uint32_t i = 0; i < route->methods.count; i++)
        method |= slice_equal(route->methods.items[i], request->method);
    for (uint32_t i = 0; i < route->snis.count; i++)
        sni |= request->sni.data && naive_wild(request->sni, route->snis.items[i]);
    return method && sni && naive_host(route, request) && naive_headers(route, request);
}

struct verdict {
    const struct route *route;
    uint64_t priority;
    uint32_t path;
    size_t prefix_size;
};

static bool is_plain(struct slices names)
{
    for (uint32_t i = 0; i < names.count; i++)
        if (memchr(names.items[i].data, '*', names.items[i].size))
            return false;
    return names.count > 0;
}

static void naive_path(const struct route *route, uint32_t number, const struct router_request *request,
                       struct verdict *best)
{
    struct verdict now = { route, 0, number, 0 };
    int kinds = (route->hosts.count > 0) + (route->paths.count > 0) + (route->methods.count > 0) +
                (route->snis.count > 0) + (route->headers.count > 0);
    now.priority =
        (uint64_t)kinds << 61 | (uint64_t)is_plain(route->hosts) << 60 | (uint64_t)route->headers.count << 52;
    if (route->paths.count) {
        struct slice path = route->paths.items[number];
        bool regex = path.data[0] == '~';
        now.prefix_size = path.size;
        if (regex ? !naive_regex(slice_from(path, 1), REGEX_AT_START, request->path, &now.prefix_size)
                  : !slice_starts_with(request->path, path))
            return;
        now.priority |= regex ? UINT64_C(1) << 51 | (uint64_t)route->regex_priority << 19 : path.size;
    }
    int tie = best->route ? strcmp(route->entity.id, best->route->entity.id) : 1;
    if (!best->route || now.priority > best->priority || (now.priority == best->priority && tie > 0))
        *best = now;
}

static struct verdict naive_match(const struct route *routes, const struct router_request *request)
{
    struct verdict best = { 0 };
    for (uint32_t i = 0; i < ROUTE_COUNT; i++)
        for (uint32_t j = 0; j < (routes[i].paths.count ? routes[i].paths.count : 1); j++)
            if (naive_rest(&routes[i], request))
                naive_path(&routes[i], j, request, &best);
    return best;
}

/* -------------------------------------------------------------------------------------------------------- */

static void draw_request(struct arena *arena, struct message *message, struct router_request *request)
{
    message_init(message, arena);
    request->message = message;
    request->arena = arena;
    request->host = DRAW(asked_hosts);
    request->path = DRAW(asked_paths);
    request->method = DRAW(methods);
    request->tls = draw(2);
    request->sni = request->tls && draw(3) ? slice_of(draw(2) ? "a.test" : "b.test") : (struct slice){ 0 };
    request->port = draw(2) ? 81 : 8000;
    if (draw(2))
        cr_assert(message_add(message, SLICE("X-A"), DRAW(asked_values)));
    if (draw(2))
        cr_assert(message_add(message, SLICE("Accept"), DRAW(asked_values)));
}

static uint32_t compare_round(struct arena *arena, struct route *routes, struct router *router)
{
    uint32_t matched = 0;
    for (uint32_t i = 0; i < REQUEST_COUNT; i++) {
        struct message message;
        struct router_request request = { .scratch = &scratch };
        draw_request(arena, &message, &request);
        struct router_match found;
        bool is_found = router_match(router, &request, &found);
        struct verdict want = naive_match(routes, &request);
        cr_assert_eq(is_found, want.route != NULL, "%.*s%.*s", SLICE_FORMAT(request.host),
                     SLICE_FORMAT(request.path));
        cr_assert_eq(found.route, want.route, "%.*s%.*s", SLICE_FORMAT(request.host),
                     SLICE_FORMAT(request.path));
        cr_assert(!is_found || found.prefix.size == want.prefix_size);
        struct router_candidate *candidates;
        uint32_t count = router_explain(router, &request, &candidates), first = 0;
        while (first < count && !candidates[first].matched)
            first++;
        cr_assert_eq(first < count ? candidates[first].rule->route : NULL, want.route);
        matched += is_found;
    }
    return matched;
}

Test(router_random, index_and_naive_reading_agree)
{
    static struct route routes[ROUTE_COUNT];
    uint32_t matched = 0;
    hash_start();
    cr_assert_eq(regex_scratch_init(&scratch), ERROR_OK);
    for (int round = 0; round < ROUNDS; round++) {
        struct report report;
        struct router router;
        struct model *model = model_open();
        cr_assert_not_null(model);
        report_init(&report);
        for (uint32_t i = 0; i < ROUTE_COUNT; i++) {
            draw_route(&model->arena, &routes[i], i);
            model->routes.items = model_reserve(model, model->routes.items, i, &model->routes.capacity);
            model->routes.items[model->routes.count++] = &routes[i];
        }
        cr_assert(kong_match_compile(model, &report));
        struct router_source source = { model->rules.items, model->rules.count, MATCH_HTTP };
        cr_assert_eq(router_build(&router, &model->arena, &source), ERROR_OK);
        matched += compare_round(&model->arena, routes, &router);
        report_deinit(&report);
        model_close(model);
    }
    regex_scratch_deinit(&scratch);
    cr_assert_gt(matched, ROUNDS * REQUEST_COUNT / 4, "the draw has to meet often, or it shows nothing");
    cr_assert_lt(matched, ROUNDS * REQUEST_COUNT);
}
