/* SPDX-License-Identifier: Apache-2.0 */
/* Kong's routing rules by example: priorities, ties, hosts, ports, methods, headers, SNIs, regex paths. */
#include "config/kong/match.h"
#include "core/base/hash.h"
#include "net/proxy/router.h"

#include <criterion/criterion.h>

enum { ROUTES_MAX = 16 };

static struct arena arena;
static struct report report;
static struct regex_scratch scratch;
static struct route routes[ROUTES_MAX];
static uint32_t route_count;
static struct model *model;
static struct router router;

static void start(void)
{
    hash_start();
    arena_init(&arena, NULL, 0, 64u << 20);
    report_init(&report);
    cr_assert_eq(regex_scratch_init(&scratch), ERROR_OK);
    route_count = 0;
}

static void end(void)
{
    model_close(model);
    regex_scratch_deinit(&scratch);
    report_deinit(&report);
    arena_deinit(&arena);
}

TestSuite(router, .init = start, .fini = end);

/* "a,b" as two slices. */
static struct slices list(const char *text)
{
    struct slices result = { arena_array(&arena, 8, sizeof(struct slice)), 0 };
    struct slice rest = slice_of(text);
    while (rest.data)
        result.items[result.count++] = slice_split(rest, ',', &rest);
    return result;
}

/* A route over http and https; NULL: that field is not set. Ids rise in the order of the calls. */
static struct route *add(const char *hosts, const char *paths, const char *methods)
{
    struct route *route = &routes[route_count];
    *route = (struct route){ .protocols = PROTOCOL_BIT(PROTOCOL_HTTP) | PROTOCOL_BIT(PROTOCOL_HTTPS) };
    snprintf(route->entity.id, MODEL_ID_SIZE, "00000000-0000-4000-8000-%012u", route_count);
    route->entity.index = route_count++;
    route->hosts = list(hosts);
    route->paths = list(paths);
    route->methods = list(methods);
    return route;
}

static void add_header(struct route *route, const char *name, const char *values)
{
    struct schema_map *headers = &route->headers;
    if (!headers->entries)
        headers->entries = arena_array(&arena, 8, sizeof *headers->entries);
    headers->entries[headers->count++] = (struct schema_map_entry){ slice_of(name), list(values) };
}

/* A new model with the routes. */
static enum error build(enum router_flavor flavor)
{
    model_close(model);
    model = model_open();
    cr_assert_not_null(model);
    model->kong_flavor = flavor;
    for (uint32_t i = 0; i < route_count; i++) {
        model->routes.items = model_reserve(model, model->routes.items, i, &model->routes.capacity);
        model->routes.items[model->routes.count++] = &routes[i];
    }
    if (!kong_match_compile(model, &report))
        return ERROR_INVALID;
    struct router_source source = { model->rules.items, model->rules.count, MATCH_HTTP };
    return router_build(&router, &model->arena, &source);
}

static void must_build(void)
{
    cr_assert_eq(build(ROUTER_TRADITIONAL_COMPATIBLE), ERROR_OK);
}

static struct message message;

static struct router_request ask(const char *method, const char *host, const char *path)
{
    message_init(&message, &arena);
    return (struct router_request){ .method = slice_of(method),
                                    .host = slice_of(host),
                                    .path = slice_of(path),
                                    .port = 8000,
                                    .message = &message,
                                    .scratch = &scratch,
                                    .arena = &arena };
}

static struct router_match found;

/* The index of the route that matches, -1: none. */
static int match(const struct router_request *request)
{
    return router_match(&router, request, &found) ? (int)found.route->entity.index : -1;
}

static int get(const char *host, const char *path)
{
    struct router_request request = ask("GET", host, path);
    return match(&request);
}

static int get_with(const char *host, const char *name, const char *value)
{
    struct router_request request = ask("GET", host, "/");
    cr_assert(message_add(&message, slice_of(name), slice_of(value)));
    return match(&request);
}

Test(router, prefixes_match_bytewise_and_the_longest_wins)
{
    add(NULL, "/a", NULL);
    add(NULL, "/a/b", NULL);
    add(NULL, "/a/b/", NULL);
    add(NULL, "/seg", NULL);
    must_build();
    cr_assert_eq(get("x", "/a"), 0);
    cr_assert_eq(get("x", "/ab"), 0);
    cr_assert_eq(get("x", "/a/b"), 1);
    cr_assert_eq(get("x", "/a/bc"), 1);
    cr_assert_eq(get("x", "/a/b/c"), 2);
    cr_assert_eq(get("x", "/segment"), 3);
    cr_assert(slice_equal(found.prefix, SLICE("/seg")));
    cr_assert_eq(get("x", "/A"), -1);
    cr_assert_eq(get("x", "/"), -1);
    cr_assert_null(found.route);
}

Test(router, a_regex_beats_a_longer_prefix)
{
    add(NULL, "/very/long/prefix", NULL);
    add(NULL, "~/very/(?<what>l\\w+)/(x)?", NULL);
    must_build();
    cr_assert_eq(get("x", "/very/long/prefix"), 1);
    cr_assert(slice_equal(found.prefix, SLICE("/very/long/")));
    cr_assert_eq(found.capture_count, 3);
    cr_assert(slice_equal(found.captures[1], SLICE("long")));
    cr_assert(slice_equal(router_capture(&found, SLICE("what")), SLICE("long")));
    cr_assert_null(found.captures[2].data);
    cr_assert_null(router_capture(&found, SLICE("other")).data);
    cr_assert_eq(get("x", "/x/very/long/"), -1);
}

Test(router, regex_priority_orders_regexes_only)
{
    add(NULL, "~/pri/\\w+", NULL)->regex_priority = 1;
    add(NULL, "~/pri/a\\w*", NULL)->regex_priority = 5;
    add(NULL, "/pri/abcdefgh", NULL)->regex_priority = 100;
    add(NULL, "~/pri/.*", NULL)->regex_priority = -3;
    add(NULL, "~/pri/", NULL)->regex_priority = -4;
    must_build();
    cr_assert_eq(get("x", "/pri/abc"), 1);
    cr_assert_eq(get("x", "/pri/abcdefghi"), 1);
    cr_assert_eq(get("x", "/pri/xyz"), 0);
    cr_assert_eq(get("x", "/pri/-"), 3);
}

Test(router, a_route_with_many_paths_ranks_path_by_path)
{
    add(NULL, "/mp1,/mp2/long,~/mp3/[0-9]+", NULL);
    add(NULL, "/mp1/x", NULL);
    must_build();
    cr_assert_eq(get("x", "/mp1"), 0);
    cr_assert_eq(get("x", "/mp1/x"), 1);
    cr_assert_eq(get("x", "/mp2/longer"), 0);
    cr_assert_eq(get("x", "/mp3/55"), 0);
    cr_assert_eq(get("x", "/mp3/x"), -1);
}

Test(router, more_kinds_beat_everything)
{
    add("prio.test", "/very/long/prefix/path", NULL);
    add("prio.test", "/v", "GET");
    add("prio.test", "~/very/l", NULL);
    add("prio.test", NULL, NULL);
    must_build();
    cr_assert_eq(get("prio.test", "/very/long/prefix/path"), 1);
    struct router_request post = ask("POST", "prio.test", "/very/long/prefix/path");
    cr_assert_eq(match(&post), 2);
    cr_assert_eq(get("prio.test", "/w"), 3);
    cr_assert_null(found.prefix.data);
}

Test(router, plain_hosts_beat_wildcards_beat_none)
{
    add("*.wild.test", "/", NULL);
    add("one.wild.test", "/", NULL);
    add("right.*", "/", NULL);
    add("m1.test,m2.test,*.m3.test", "/", NULL);
    must_build();
    cr_assert_eq(get("one.wild.test", "/"), 1);
    cr_assert_eq(get("two.wild.test", "/"), 0);
    cr_assert_eq(get("a.b.wild.test", "/"), 0);
    cr_assert_eq(get("wild.test", "/"), -1);
    cr_assert_eq(get("right.a.b", "/"), 2);
    cr_assert_eq(get("right", "/"), -1);
    cr_assert_eq(get("wright.test", "/"), -1);
    cr_assert_eq(get("m2.test", "/"), 3);
    cr_assert_eq(get("x.m3.test", "/"), 3);
    cr_assert_eq(get("m3.test", "/"), -1);
    cr_assert_eq(get(NULL, "/"), -1);
}

Test(router, hosts_are_compared_as_received)
{
    add("UPPER.test", NULL, NULL);
    add("10.1.2.3", NULL, NULL);
    must_build();
    cr_assert_eq(get("UPPER.test", "/"), 0);
    cr_assert_eq(get("upper.test", "/"), -1);
    cr_assert_eq(get("10.1.2.3:99", "/"), 1);
    cr_assert_eq(get("10.1.2.3:abc", "/"), -1);
    cr_assert_eq(get("10.1.2.3:", "/"), -1);
}

Test(router, a_host_with_port_asks_for_that_port)
{
    add("only.test:9999", NULL, NULL);
    add("*.wp.test:8081", NULL, NULL);
    add("here.test:8000", NULL, NULL);
    must_build();
    cr_assert_eq(get("only.test:9999", "/"), 0);
    cr_assert_eq(get("only.test:9998", "/"), -1);
    cr_assert_eq(get("only.test", "/"), -1);
    cr_assert_eq(get("x.wp.test:8081", "/"), 1);
    cr_assert_eq(get("x.wp.test", "/"), -1);
    cr_assert_eq(get("here.test", "/"), 2);
    cr_assert_eq(get("only.test:75535", "/"), -1);
    cr_assert_eq(get("only.test:99999999999999999999999", "/"), -1);
}

Test(router, methods_are_compared_exactly)
{
    add(NULL, NULL, "GET");
    add(NULL, NULL, "POST,PUT");
    add(NULL, NULL, "FOO");
    must_build();
    static const struct {
        const char *method;
        int route;
    } rows[] = { { "GET", 0 }, { "PUT", 1 }, { "FOO", 2 }, { "HEAD", -1 }, { "get", -1 } };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct router_request request = ask(rows[i].method, "x", "/");
        cr_assert_eq(match(&request), rows[i].route, "%s", rows[i].method);
    }
}

Test(router, headers_match_any_value_in_any_case)
{
    add_header(add("h", NULL, NULL), "x-one", "a,B");
    add_header(add("h", NULL, NULL), "x-re", "~*^v[0-9]+$");
    add_header(add("h", NULL, NULL), "user-agent", "curl");
    must_build();
    cr_assert_eq(get_with("h", "X-One", "A"), 0);
    cr_assert_eq(get_with("h", "x-one", "b"), 0);
    cr_assert_eq(get_with("h", "x-one", "ab"), -1);
    cr_assert_eq(get_with("h", "x_one", "a"), -1);
    cr_assert_eq(get_with("h", "X-Re", "V12"), 1);
    cr_assert_eq(get_with("h", "X-Re", "w12"), -1);
    cr_assert_eq(get_with("h", "User-Agent", "CURL"), 2);
    cr_assert_eq(get("h", "/"), -1);
    struct router_request request = ask("GET", "h", "/");
    cr_assert(message_add(&message, SLICE("x-one"), SLICE("q")));
    cr_assert(message_add(&message, SLICE("x-one"), SLICE("a")));
    cr_assert_eq(match(&request), 0);
}

Test(router, all_listed_headers_must_match_and_more_win)
{
    struct route *two = add("h", NULL, NULL);
    add_header(two, "x-a", "1");
    add_header(two, "x-b", "1");
    add_header(add("h", NULL, NULL), "x-a", "1");
    must_build();
    cr_assert_eq(get_with("h", "x-a", "1"), 1);
    cr_assert_eq(get_with("h", "x-b", "1"), -1);
    struct router_request request = ask("GET", "h", "/");
    cr_assert(message_add(&message, SLICE("x-a"), SLICE("1")));
    cr_assert(message_add(&message, SLICE("x-b"), SLICE("1")));
    cr_assert_eq(match(&request), 0);
}

Test(router, snis_count_only_over_tls)
{
    add(NULL, NULL, NULL)->snis = list("one.test,*.left.test,right.*");
    must_build();
    static const struct {
        const char *sni;
        int route;
    } rows[] = { { "one.test", 0 },  { "one.test.", 0 }, { "a.left.test", 0 }, { "left.test", -1 },
                 { "right.org", 0 }, { "ONE.test", -1 }, { NULL, -1 } };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct router_request request = ask("GET", "x", "/");
        request.tls = true;
        request.sni = slice_of(rows[i].sni);
        cr_assert_eq(match(&request), rows[i].route, "row %zu", i);
    }
    cr_assert_eq(get("x", "/"), 0);
}

Test(router, ties_go_to_the_higher_id)
{
    add("t.test", NULL, "GET");
    add("*.test", NULL, "GET");
    add("t.*", NULL, "GET");
    must_build();
    cr_assert_eq(get("t.test", "/"), 0, "a plain host is worth a bit");
    cr_assert_eq(get("t.x.test", "/"), 2);
    memcpy(routes[1].entity.id, "ffffffff", 8);
    must_build();
    cr_assert_eq(get("t.x.test", "/"), 1);
}

Test(router, traditional_orders_ties_by_kind_then_age)
{
    add_header(add("t.test", NULL, NULL), "x", "1");
    add("t.test", "/t", NULL);
    add("t.test", NULL, "GET");
    add(NULL, "/old", NULL)->created_at = 5;
    add(NULL, "/old", NULL)->created_at = 4;
    cr_assert_eq(build(ROUTER_TRADITIONAL), ERROR_OK);
    struct router_request request = ask("GET", "t.test", "/t");
    cr_assert(message_add(&message, SLICE("x"), SLICE("1")));
    cr_assert_eq(match(&request), 0);
    cr_assert_eq(get("t.test", "/t"), 1);
    cr_assert_eq(get("t.test", "/u"), 2);
    cr_assert_eq(get("x", "/old"), 4);
}

Test(router, leaves_out_stream_routes_and_disabled_services)
{
    struct service off = { .enabled = false }, on = { .enabled = true };
    add("a.test", NULL, NULL)->service = &off;
    add("b.test", NULL, NULL)->protocols = PROTOCOL_BIT(PROTOCOL_TCP);
    add("c.test", NULL, NULL)->service = &on;
    add("d.test", NULL, NULL)->protocols = PROTOCOL_BIT(PROTOCOL_GRPC);
    must_build();
    cr_assert_eq(get("a.test", "/"), -1);
    cr_assert_eq(get("b.test", "/"), -1);
    cr_assert_eq(get("c.test", "/"), 2);
    cr_assert_eq(get("d.test", "/"), 3);
}

Test(router, reports_what_it_cannot_build)
{
    add(NULL, "~/a(", NULL);
    add_header(add("h", NULL, NULL), "x", "~*[");
    cr_assert_eq(build(ROUTER_TRADITIONAL_COMPATIBLE), ERROR_INVALID);
    cr_assert_eq(report.error_count, 2);
    route_count = 0;
    must_build();
    cr_assert_eq(get("h", "/"), -1);
}

Test(router, runs_out_of_memory_cleanly)
{
    add("a.test,*.b.test", "/a,/b,~/c(.)", "GET");
    must_build();
    struct router_source source = { model->rules.items, model->rules.count, MATCH_HTTP };
    size_t limit = 0;
    enum error error = ERROR_MEMORY;
    for (; error == ERROR_MEMORY && limit < 1u << 20; limit += 64) {
        struct arena small;
        arena_init(&small, NULL, 0, limit);
        error = router_build(&router, &small, &source);
        arena_deinit(&small);
    }
    cr_assert_eq(error, ERROR_OK);
}

Test(router, explains_each_rule)
{
    static const char *const reasons[] = { "matches", "header x differs", "method differs", "path differs",
                                           "host differs" };
    add("a.test", NULL, NULL);
    add_header(add("a.test", NULL, NULL), "x", "1");
    add("a.test", NULL, "POST");
    add("a.test", "/a", NULL);
    add("b.test", NULL, NULL);
    must_build();
    struct router_request request = ask("GET", "a.test", "/b");
    struct router_candidate *candidates;
    uint32_t count = router_explain(&router, &request, &candidates);
    cr_assert_eq(count, 5);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t route = candidates[i].rule->route->entity.index;
        cr_assert(slice_equal(candidates[i].reason, slice_of(reasons[route])));
        cr_assert_eq(candidates[i].matched, route == 0);
        cr_assert(i == 0 || candidates[i].rule->priority <= candidates[i - 1].rule->priority);
    }
}
