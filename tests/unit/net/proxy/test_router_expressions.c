/* SPDX-License-Identifier: Apache-2.0 */
/* Routes with expressions: what they mean, what they take off the path, how they rank; and random ones, which
 * the index must find exactly as asking each rule in turn does, in every flavor. */
#include "config/kong/expression.h"
#include "config/kong/match.h"
#include "core/base/hash.h"
#include "net/proxy/router.h"

#include <criterion/criterion.h>

enum { ROUTES_MAX = 64, ROUNDS = 40, REQUEST_COUNT = 60 };

static struct model *model;
static struct report report;
static struct regex_scratch scratch;
static struct route routes[ROUTES_MAX];
static uint32_t route_count;
static struct router router;
static struct message message;
static struct address source_address, destination_address;
static struct router_match found;

static void begin(enum router_flavor flavor)
{
    model = model_open();
    cr_assert_not_null(model);
    model->kong_flavor = flavor;
    route_count = 0;
}

static void start(void)
{
    hash_start();
    report_init(&report);
    cr_assert_eq(regex_scratch_init(&scratch), ERROR_OK);
    cr_assert(address_parse(SLICE("10.1.2.3"), 4000, &source_address));
    cr_assert(address_parse(SLICE("fd00::1"), 8000, &destination_address));
    begin(ROUTER_EXPRESSIONS);
}

static void end(void)
{
    model_close(model);
    regex_scratch_deinit(&scratch);
    report_deinit(&report);
}

TestSuite(router_expressions, .init = start, .fini = end);

static struct route *add(void)
{
    struct route *route = &routes[route_count];
    *route = (struct route){ .protocols = PROTOCOL_BIT(PROTOCOL_HTTP) | PROTOCOL_BIT(PROTOCOL_HTTPS) };
    snprintf(route->entity.id, MODEL_ID_SIZE, "00000000-0000-4000-8000-%012u", route_count);
    route->entity.index = route_count;
    model->routes.items = model_reserve(model, model->routes.items, route_count, &model->routes.capacity);
    model->routes.items[route_count++] = route;
    model->routes.count = route_count;
    return route;
}

static struct route *add_expression(const char *text)
{
    struct kong_expression_error error;
    struct route *route = add();
    route->expression = arena_copy(&model->arena, slice_of(text));
    struct kong_expression_source source = { route->expression, MATCH_HTTP, &model->arena };
    route->condition = kong_expression_parse(&source, &error);
    cr_assert_not_null(route->condition, "%s: %.*s", text, SLICE_FORMAT(error.reason));
    return route;
}

static struct slices list_of(const char *text)
{
    struct slice *item = arena_array(&model->arena, 1, sizeof(*item));
    *item = arena_copy(&model->arena, slice_of(text));
    return (struct slices){ item, 1 };
}

static void build(void)
{
    struct router_source source = { NULL, 0, MATCH_HTTP };
    cr_assert(kong_match_compile(model, &report));
    source.rules = model->rules.items;
    source.count = model->rules.count;
    cr_assert_eq(router_build(&router, &model->arena, &source), ERROR_OK);
}

static struct router_request ask(const char *host, const char *path)
{
    message_init(&message, &model->arena);
    struct slice query, text = slice_split(slice_of(path), '?', &query);
    return (struct router_request){ .method = SLICE("GET"),
                                    .host = slice_of(host),
                                    .path = text,
                                    .query = query,
                                    .source = &source_address,
                                    .destination = &destination_address,
                                    .port = 8000,
                                    .message = &message,
                                    .scratch = &scratch,
                                    .arena = &model->arena };
}

/* --- meaning -------------------------------------------------------------------------------------------- */

static const struct {
    const char *expression, *path;
    bool matches;
} rows[] = {
    { "http.host == \"a.test\"", "/", true },
    { "http.host == \"A.test\"", "/", false },
    { "http.host != \"b.test\"", "/", true },
    { "http.host =^ \".test\"", "/", true },
    { "http.host =^ \"est\"", "/", true },
    { "http.host ^= \"a.\"", "/", true },
    { "http.host contains \".t\"", "/", true },
    { "http.method == \"GET\"", "/", true },
    { "http.method == \"get\"", "/", false },
    { "lower(http.method) == \"get\"", "/", true },
    { "http.path == \"/a\"", "/a", true },
    { "http.path == \"/a\"", "/a/", false },
    { "http.path ~ \"b+\"", "/abb", true },
    { "http.path ~ \"^b+\"", "/abb", false },
    { "lower(http.path) ^= \"/abc\"", "/ABCD", true },
    { "lower(http.path) ~ \"^/a(b)c\"", "/ABCD", true },
    { "lower(http.host) == \"a.test\"", "/", true },
    /* a missing field is never true */
    { "http.headers.none == \"\"", "/", false },
    { "http.headers.none != \"a\"", "/", false },
    { "!(http.headers.none == \"a\")", "/", true },
    { "tls.sni != \"a\"", "/", false },
    /* several values: all of them, or any */
    { "http.headers.x_two == \"1\"", "/", false },
    { "any(http.headers.x_two) == \"1\"", "/", true },
    { "http.headers.x_two != \"1\"", "/", false },
    { "any(http.headers.x_two) != \"1\"", "/", true },
    { "http.headers.x_two != \"3\"", "/", true },
    { "any(lower(http.headers.x_up)) == \"up\"", "/", true },
    { "http.queries.q == \"1 2\"", "/?q=1+2", true },
    { "http.queries.q == \"1 2\"", "/?q=1%202", true },
    { "http.queries.q == \"\"", "/?q", true },
    { "http.queries.q == \"\"", "/?q=", true },
    { "http.queries.q == \"\"", "/?p", false },
    { "http.queries.q == \"a\"", "/?q=a&q=b", false },
    { "any(http.queries.q) == \"b\"", "/?q=a&q=b", true },
    { "http.path.segments.0 == \"a\"", "/a/b/c", true },
    { "http.path.segments.1 == \"b\"", "/a/b/c", true },
    { "http.path.segments.1_2 == \"b/c\"", "/a/b/c", true },
    { "http.path.segments.1_3 == \"b/c\"", "/a/b/c", false },
    { "http.path.segments.2 == \"\"", "/a/b/", false },
    { "http.path.segments.len == 2", "/a/b/", true },
    { "http.path.segments.len == 0", "/", true },
    { "http.path.segments.len > 1 && http.path.segments.len <= 3", "/a/b/c", true },
    { "net.protocol == \"http\"", "/", true },
    { "net.src.ip in 10.0.0.0/8", "/", true },
    { "net.src.ip not in 10.0.0.0/8", "/", false },
    { "net.src.ip == 10.1.2.3 && net.src.port == 4000", "/", true },
    { "net.src.ip in fd00::/8", "/", false },
    { "net.dst.ip in fd00::/8 && net.dst.port == 8000 && net.port != 1", "/", true },
    { "net.src.ip != 10.1.2.3", "/", false },
    { "http.path ^= \"/a\" || http.path ^= \"/b\" && http.method == \"POST\"", "/a", true },
    { "(http.path ^= \"/a\" || http.path ^= \"/b\") && http.method == \"POST\"", "/a", false },
};

Test(router_expressions, mean_what_kong_means)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        model_close(model);
        begin(ROUTER_EXPRESSIONS);
        add_expression(rows[i].expression);
        build();
        struct router_request request = ask("a.test", rows[i].path);
        cr_assert(message_add(&message, SLICE("X-Two"), SLICE("1")));
        cr_assert(message_add(&message, SLICE("x-two"), SLICE("2")));
        cr_assert(message_add(&message, SLICE("x-up"), SLICE("UP")));
        cr_assert_eq(router_match(&router, &request, &found), rows[i].matches, "%s", rows[i].expression);
    }
}

static const struct {
    const char *expression, *path, *prefix, *capture;
} prefixes[] = {
    { "http.path ^= \"/a\"", "/abc", "/a", NULL },
    { "http.path == \"/abc\"", "/abc", NULL, NULL },
    { "http.path ~ r#\"^/(?<n>a+)b\"#", "/aabc", "/aab", "aa" },
    { "http.method == \"GET\"", "/a", NULL, NULL },
    { "(http.path ^= \"/a/b\" && http.method == \"POST\") || http.path ^= \"/a\"", "/a/b", "/a", NULL },
    { "!(http.path ^= \"/b\")", "/a/b", NULL, NULL },
    { "!(!(http.path ^= \"/a\"))", "/a/b", NULL, NULL },
};

Test(router_expressions, paths_say_what_is_taken_off)
{
    for (size_t i = 0; i < COUNT_OF(prefixes); i++) {
        model_close(model);
        begin(ROUTER_EXPRESSIONS);
        add_expression(prefixes[i].expression);
        build();
        struct router_request request = ask("a.test", prefixes[i].path);
        cr_assert(router_match(&router, &request, &found), "%s", prefixes[i].expression);
        cr_assert_eq(found.prefix.data != NULL, prefixes[i].prefix != NULL, "%s", prefixes[i].expression);
        cr_assert(slice_equal(found.prefix, slice_of(prefixes[i].prefix)), "%s", prefixes[i].expression);
        cr_assert(slice_equal(router_capture(&found, SLICE("n")), slice_of(prefixes[i].capture)));
    }
}

/* --- rank and protocol ---------------------------------------------------------------------------------- */

Test(router_expressions, precede_classic_routes_by_priority)
{
    add()->paths = list_of("/a/b/c");
    add_expression("http.path ^= \"/a\"")->priority = 1;
    add_expression("http.path ^= \"/a/b\"");
    add_expression("http.path ^= \"/a/b\" && http.method == \"GET\"");
    build();
    struct router_request request = ask("x", "/a/b/c");
    cr_assert(router_match(&router, &request, &found));
    cr_assert_eq(found.route->entity.index, 1);
    routes[1].priority = 0; /* the higher id of equal ones */
    model->rules.count = 0;
    build();
    cr_assert(router_match(&router, &request, &found));
    cr_assert_eq(found.route->entity.index, 3);
}

Test(router_expressions, the_protocol_is_part_of_the_match)
{
    static const struct {
        uint64_t protocols;
        bool http, https;
    } sets[] = {
        { PROTOCOL_BIT(PROTOCOL_HTTP), true, false },
        { PROTOCOL_BIT(PROTOCOL_HTTPS), true, true }, /* so that http can be told */
        { PROTOCOL_BIT(PROTOCOL_HTTP) | PROTOCOL_BIT(PROTOCOL_HTTPS), true, true },
        { PROTOCOL_BIT(PROTOCOL_GRPC), true, false },
        { PROTOCOL_BIT(PROTOCOL_GRPCS), false, true },
    };
    for (size_t i = 0; i < COUNT_OF(sets) * 2; i++) {
        model_close(model);
        begin(ROUTER_EXPRESSIONS);
        struct route *route = i % 2 ? add() : add_expression("http.path ^= \"/\"");
        if (i % 2)
            route->paths = list_of("/");
        route->protocols = sets[i / 2].protocols;
        build();
        struct router_request request = ask("x", "/");
        cr_assert_eq(router_match(&router, &request, &found), sets[i / 2].http, "%zu", i);
        request.tls = true;
        cr_assert_eq(router_match(&router, &request, &found), sets[i / 2].https, "%zu", i);
    }
}

/* --- hostile input -------------------------------------------------------------------------------------- */

Test(router_expressions, overruns_are_bounded_and_counted)
{
    for (int i = 0; i < 20; i++)
        add_expression(i % 2 ? "http.path ~ \"(a+)+$\"" : "http.path ~ \"(a|aa)+$\"");
    add()->paths = list_of("/");
    build();
    char path[3002] = "/";
    memset(path + 1, 'a', 3000);
    path[2999] = 'b';
    struct router_request request = ask("x", path);
    cr_assert(router_match(&router, &request, &found));
    cr_assert_eq(found.route->entity.index, 20, "what overruns does not match");
    cr_assert_eq(scratch.overruns, ROUTER_OVERRUNS_MAX);
    struct regex_limits limits = { 100, 100, 64 };
    regex_scratch_limit(&scratch, &limits);
    cr_assert(router_match(&router, &request, &found));
    cr_assert_eq(scratch.overruns, 2 * ROUTER_OVERRUNS_MAX);
}

/* --- the index ------------------------------------------------------------------------------------------ */

static uint32_t seed = 7;

static uint32_t draw(uint32_t below)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % below;
}

static const char *const leaves[] = {
    "http.host == \"a.test\"",
    "http.host == \"b.test\"",
    "http.host =^ \".test\"",
    "http.host ^= \"a.\"",
    "http.host =^ \"test\"",
    "lower(http.host) == \"a.test\"",
    "lower(http.host) =^ \".test\"",
    "http.host != \"a.test\"",
    "http.path ^= \"/a\"",
    "http.path ^= \"/a/b\"",
    "http.path == \"/a/b\"",
    "http.path ~ \"^/a/[bc]\"",
    "http.path ~ \"/b\"",
    "http.path ~ \"^/a|^/b\"",
    "lower(http.path) ^= \"/a/b\"",
    "http.path.segments.0 == \"a\"",
    "http.path.segments.0_1 == \"a/b\"",
    "http.path.segments.1 == \"b\"",
    "http.path =^ \"c\"",
    "http.method == \"GET\"",
    "net.dst.port == 81",
    "http.path.segments.len == 2",
    "any(http.headers.x_a) == \"1\"",
    "http.queries.q == \"1\"",
};

static size_t draw_expression(char *out, size_t size, unsigned depth)
{
    uint32_t kind = depth ? draw(5) : 0;
    if (kind < 2)
        return (size_t)snprintf(out, size, "%s", leaves[draw(COUNT_OF(leaves))]);
    size_t used = (size_t)snprintf(out, size, kind == 4 ? "!(" : "(");
    for (uint32_t i = 0, parts = 1 + draw(3); i < parts; i++) {
        used += (size_t)snprintf(out + used, size - used, "%s", i == 0 ? "" : kind == 2 ? " && " : " || ");
        used += draw_expression(out + used, size - used, depth - 1);
    }
    return used + (size_t)snprintf(out + used, size - used, ")");
}

static void draw_classic(struct route *route)
{
    static const char *const hosts[] = { "a.test", "b.test", "*.test", "a.*", "a.test:81", "*.test:80" };
    static const char *const paths[] = { "/", "/a", "/a/b", "~/a/[bc]", "~/a|/b", "/b" };
    if (draw(2))
        route->hosts = list_of(hosts[draw(COUNT_OF(hosts))]);
    if (draw(2) || !route->hosts.count)
        route->paths = list_of(paths[draw(COUNT_OF(paths))]);
    if (draw(3) == 0)
        route->methods = list_of(draw(2) ? "GET" : "POST");
    route->regex_priority = draw(3);
    route->created_at = draw(3);
}

static struct router_request draw_request(void)
{
    static const char *const hosts[] = {
        "a.test", "A.test", "b.test", "x.a.test", "a.b", "a.test:81", "test"
    };
    static const char *const paths[] = { "/",  "/a",       "/a/b",     "/a/b/c", "/A/B",
                                         "/b", "/x/b?q=1", "/a/c?q=2", "/a/" };
    struct router_request request = ask(hosts[draw(COUNT_OF(hosts))], paths[draw(COUNT_OF(paths))]);
    request.tls = draw(2);
    if (draw(2))
        cr_assert(message_add(&message, SLICE("x-a"), draw(2) ? SLICE("1") : SLICE("2")));
    return request;
}

static void compare_round(uint32_t *matched)
{
    for (int i = 0; i < REQUEST_COUNT; i++) {
        struct router_request request = draw_request();
        struct router_candidate *candidates;
        uint32_t count = router_explain(&router, &request, &candidates), first = 0;
        while (first < count && !candidates[first].matched)
            first++;
        bool is_found = router_match(&router, &request, &found);
        const struct route *want = first < count ? candidates[first].rule->route : NULL;
        cr_assert_eq(is_found ? found.route : NULL, want, "%.*s%.*s: %.*s", SLICE_FORMAT(request.host),
                     SLICE_FORMAT(request.path), SLICE_FORMAT(want ? want->expression : SLICE("none")));
        *matched += is_found;
    }
}

Test(router_expressions, the_index_agrees_with_asking_each_rule)
{
    static const enum router_flavor flavors[] = { ROUTER_EXPRESSIONS, ROUTER_TRADITIONAL,
                                                  ROUTER_TRADITIONAL_COMPATIBLE };
    uint32_t matched = 0;
    for (uint32_t round = 0; round < ROUNDS * COUNT_OF(flavors); round++) {
        char text[4096];
        model_close(model);
        begin(flavors[round % COUNT_OF(flavors)]);
        while (route_count < 24) {
            draw_expression(text, sizeof(text), 3);
            if (model->kong_flavor == ROUTER_EXPRESSIONS && draw(3))
                add_expression(text)->priority = draw(3);
            else
                draw_classic(add());
        }
        build();
        compare_round(&matched);
    }
    cr_assert_gt(matched, ROUNDS * REQUEST_COUNT);
    cr_assert_lt(matched, ROUNDS * REQUEST_COUNT * COUNT_OF(flavors));
}

Test(router_expressions, explain_names_what_is_scanned)
{
    struct router_candidate *candidates;
    add_expression("http.path ^= \"/a\" && http.method == \"POST\"");
    add_expression("http.method == \"POST\"");
    build();
    struct router_request request = ask("x", "/a");
    cr_assert_eq(router_explain(&router, &request, &candidates), 2);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(candidates[i].scanned, candidates[i].rule->route->entity.index == 1);
        cr_assert(slice_equal(candidates[i].reason, SLICE("not true: http.method == \"POST\"")));
    }
}
