/* SPDX-License-Identifier: Apache-2.0 */
/* Which route of an HTTP API a request takes: every example of the documentation, and random tables of routes
 * against the rule as it is written down. */
#include "tests/support/aws_setup.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static struct aws_setup setup;

static void start(void)
{
    aws_setup_init(&setup);
}

static void stop(void)
{
    aws_setup_deinit(&setup);
}

TestSuite(aws_routes, .init = start, .fini = stop);

static const char api[] =
    "resource \"aws_apigatewayv2_api\" \"a\" {\n  name = \"a\"\n  protocol_type = \"HTTP\"\n}\n"
    "resource \"aws_apigatewayv2_integration\" \"i\" {\n"
    "  api_id = aws_apigatewayv2_api.a.id\n  integration_type = \"HTTP_PROXY\"\n"
    "  integration_uri = \"http://origin.test/base\"\n}\n";

/* The API with these route keys, ended by NULL, and whatever else. */
static bool read_keys(const char *const *keys, const char *more)
{
    struct slice text = arena_format(&setup.arena, "%s%s", api, more);
    for (uint32_t i = 0; keys[i]; i++)
        text = arena_format(&setup.arena,
                            "%.*sresource \"aws_apigatewayv2_route\" \"r%u\" {\n"
                            "  api_id = aws_apigatewayv2_api.a.id\n  route_key = \"%s\"\n"
                            "  target = \"integrations/${aws_apigatewayv2_integration.i.id}\"\n}\n",
                            SLICE_FORMAT(text), i, keys[i]);
    aws_setup_add(&setup, "a.tf", text.data);
    return aws_setup_read(&setup);
}

static void check(const char *request, const char *wanted)
{
    const char *got = aws_setup_key(aws_setup_match(&setup, "any.test", request, NULL));
    cr_expect_str_eq(got, wanted, "%s: %s instead of %s", request, got, wanted);
}

Test(aws_routes, examples)
{
    static const char *const keys[] = {
        "GET /pets/dog/1", "GET /pets/dog/{id}", "GET /pets/{proxy+}", "ANY /{proxy+}", "$default", NULL,
    };
    cr_assert(read_keys(keys, ""));
    check("GET /pets/dog/1", "GET /pets/dog/1");
    check("GET /pets/dog/2", "GET /pets/dog/{id}");
    check("GET /pets/cat/1", "GET /pets/{proxy+}");
    check("GET /pets/dog", "GET /pets/{proxy+}");
    check("GET /pets/dog/1/toys", "GET /pets/{proxy+}");
    check("POST /test/5", "ANY /{proxy+}");
    check("POST /pets/dog/1", "ANY /{proxy+}");
    check("GET /pets", "ANY /{proxy+}");
    check("GET /", "$default");
    check("HEAD /pets/dog/1", "ANY /{proxy+}");
}

Test(aws_routes, a_path_of_another_method_does_not_end_the_search)
{
    static const char *const keys[] = { "POST /a/b", "GET /a/{x}", "ANY /a/{proxy+}", "PUT /{proxy+}", NULL };
    cr_assert(read_keys(keys, ""));
    check("GET /a/b", "GET /a/{x}");
    check("DELETE /a/b", "ANY /a/{proxy+}");
    check("PUT /a/b", "ANY /a/{proxy+}");
    check("PUT /b", "PUT /{proxy+}");
    check("GET /b", "none");
    check("GET /", "none");
}

Test(aws_routes, edges)
{
    static const char *const keys[] = { "GET /",         "GET /hello", "ANY /hello", "GET /a.b+c/{x-1.y}",
                                        "GET /u/{id}/p", "GET /Case",  "OPTIONS /o", NULL };
    cr_assert(read_keys(keys, ""));
    check("GET /", "GET /");
    check("GET /hello", "GET /hello");
    check("POST /hello", "ANY /hello");
    check("GET /hello/", "none");
    check("HEAD /hello", "ANY /hello");
    check("GET /a.b+c/7", "GET /a.b+c/{x-1.y}");
    check("GET /aXb+c/7", "none");
    check("GET /u//p", "none");
    check("GET /u/1/p", "GET /u/{id}/p");
    check("GET /case", "none");
    check("GET /Case", "GET /Case");
    check("get /Case", "none");
}

Test(aws_routes, two_of_one_shape)
{
    static const char *const keys[] = { "GET /a/{x}", "GET /a/{y}", "GET /b/{y}", NULL };
    cr_assert(read_keys(keys, ""));
    check("GET /a/1", "GET /a/{x}");
    cr_assert(aws_setup_reported(&setup, REPORT_WARNING, 0,
                                 "never taken: 'GET /a/{x}' of aws_apigatewayv2_route.r0 matches the same"));
    cr_assert_eq(setup.report.count, 1);
}

/* --- stages, hosts, domains ----------------------------------------------------------------------------- */

static const char stages[] = "resource \"aws_apigatewayv2_stage\" \"d\" {\n"
                             "  api_id = aws_apigatewayv2_api.a.id\n  name = \"$default\"\n}\n"
                             "resource \"aws_apigatewayv2_stage\" \"p\" {\n"
                             "  api_id = aws_apigatewayv2_api.a.id\n  name = \"prod\"\n}\n";

static const char domains[] =
    "resource \"aws_apigatewayv2_domain_name\" \"x\" {\n  domain_name = \"api.example.com\"\n}\n"
    "resource \"aws_apigatewayv2_domain_name\" \"w\" {\n  domain_name = \"*.example.com\"\n}\n"
    "resource \"aws_apigatewayv2_api_mapping\" \"x1\" {\n  api_id = aws_apigatewayv2_api.a.id\n"
    "  domain_name = aws_apigatewayv2_domain_name.x.id\n  stage = aws_apigatewayv2_stage.p.id\n"
    "  api_mapping_key = \"v1\"\n}\n"
    "resource \"aws_apigatewayv2_api_mapping\" \"x2\" {\n  api_id = aws_apigatewayv2_api.a.id\n"
    "  domain_name = aws_apigatewayv2_domain_name.x.id\n  stage = aws_apigatewayv2_stage.d.id\n"
    "  api_mapping_key = \"v1/users\"\n}\n"
    "resource \"aws_apigatewayv2_api_mapping\" \"w\" {\n  api_id = aws_apigatewayv2_api.a.id\n"
    "  domain_name = aws_apigatewayv2_domain_name.w.domain_name\n"
    "  stage = aws_apigatewayv2_stage.d.name\n}\n";

static const char *name_of(const char *host, const char *request)
{
    const struct route *route = aws_setup_match(&setup, host, request, NULL);
    return route ? route->entity.name.data : "none";
}

Test(aws_routes, stages_and_domains)
{
    static const char *const keys[] = { "GET /users", "GET /", "GET /prod", NULL };
    cr_assert(read_keys(keys, arena_format(&setup.arena, "%s%s", stages, domains).data));
    cr_expect_str_eq(name_of("any.test", "GET /users"), "* GET /users");
    cr_expect_str_eq(name_of("any.test", "GET /prod/users"), "*/prod GET /users");
    cr_expect_str_eq(name_of("any.test", "GET /prod"), "*/prod GET /");
    cr_expect_str_eq(name_of("any.test", "GET /prod/"), "*/prod GET /");
    cr_expect_str_eq(name_of("any.test", "GET /prod/nope"), "*/prod not found");
    cr_expect_str_eq(name_of("any.test", "GET /production"), "none");
    cr_expect_str_eq(name_of("api.example.com", "GET /v1/users"), "api.example.com/v1/users GET /");
    cr_expect_str_eq(name_of("api.example.com", "GET /v1/users/users"),
                     "api.example.com/v1/users GET /users");
    cr_expect_str_eq(name_of("api.example.com", "GET /v1/"), "api.example.com/v1 GET /");
    cr_expect_str_eq(name_of("api.example.com", "GET /v1/usersx"), "api.example.com/v1 not found");
    cr_expect_str_eq(name_of("api.example.com", "GET /users"), "api.example.com not found");
    cr_expect_str_eq(name_of("API.example.com:8000", "GET /v1"), "api.example.com/v1 GET /");
    cr_expect_str_eq(name_of("b.example.com", "GET /users"), ".example.com GET /users");
}

Test(aws_routes, hosts_of_apis)
{
    static const char *const keys[] = { "GET /users", NULL };
    static const char second[] =
        "resource \"aws_apigatewayv2_api\" \"b\" {\n  name = \"second\"\n  protocol_type = \"HTTP\"\n"
        "  target = \"http://b.test/\"\n}\n";
    cr_assert(read_keys(keys, second));
    cr_expect_str_eq(name_of("any.test", "GET /users"), "none"); /* two APIs, and none is the default */
    const struct route *route = setup.model->routes.items[0];
    const char *host =
        arena_format(&setup.arena, "%.10s.EXECUTE-API.eu-west-1.amazonaws.com:8000", route->entity.name.data)
            .data;
    const char *got = name_of(host, "GET /users");
    cr_expect(strstr(got, "GET /users") || strstr(got, "$default"), "%s", got);
    got = name_of(host, "POST /other");
    cr_expect(strstr(got, "not found") || strstr(got, "$default"), "%s", got);
}

Test(aws_routes, the_default_api_is_named)
{
    static const char *const keys[] = { "GET /users", NULL };
    setup.settings.aws_default_api = SLICE("second");
    cr_assert(read_keys(keys, "resource \"aws_apigatewayv2_api\" \"b\" {\n  name = \"second\"\n"
                              "  protocol_type = \"HTTP\"\n  target = \"http://b.test/\"\n}\n"));
    cr_expect_str_eq(name_of("any.test", "GET /users"), "* $default");
}

Test(aws_routes, preflights)
{
    static const char *const keys[] = { "ANY /{proxy+}", "OPTIONS /own", "GET /own", "$default", NULL };
    static const char asks[] = "Origin: https://a.test\nAccess-Control-Request-Method: GET";
    cr_assert(read_keys(keys, ""));
    check("OPTIONS /x", "ANY /{proxy+}");
    aws_setup_deinit(&setup);
    aws_setup_init(&setup);
    struct slice text = arena_format(&setup.arena, "%s", api);
    char *at = strstr(text.data, "  protocol_type");
    text = arena_format(&setup.arena, "%.*s  cors_configuration {\n    allow_origins = [\"*\"]\n  }\n%s",
                        (int)(at - text.data), text.data, at);
    for (uint32_t i = 0; keys[i]; i++)
        text = arena_format(&setup.arena,
                            "%.*sresource \"aws_apigatewayv2_route\" \"r%u\" {\n"
                            "  api_id = aws_apigatewayv2_api.a.id\n  route_key = \"%s\"\n"
                            "  target = \"integrations/${aws_apigatewayv2_integration.i.id}\"\n}\n",
                            SLICE_FORMAT(text), i, keys[i]);
    aws_setup_add(&setup, "a.tf", text.data);
    cr_assert(aws_setup_read(&setup));
    cr_expect_str_eq(aws_setup_key(aws_setup_match(&setup, "h", "OPTIONS /x", asks)), "preflight");
    cr_expect_str_eq(aws_setup_key(aws_setup_match(&setup, "h", "OPTIONS /", asks)), "preflight");
    cr_expect_str_eq(aws_setup_key(aws_setup_match(&setup, "h", "OPTIONS /own", asks)), "OPTIONS /own");
    cr_expect_str_eq(aws_setup_key(aws_setup_match(&setup, "h", "OPTIONS /x", "Origin: https://a.test")),
                     "ANY /{proxy+}");
    cr_expect_str_eq(aws_setup_key(aws_setup_match(&setup, "h", "GET /own", asks)), "GET /own");
}

/* --- the rule, directly --------------------------------------------------------------------------------- */

/* 0 literal, 1 variable, 2 greedy for each segment it takes; false: it does not match. */
static bool matches(const char *key, const char *request, int kinds[16], int *exact)
{
    struct slice path, wanted, method = slice_split(slice_of(request), ' ', &path);
    struct slice key_method = slice_split(slice_of(key), ' ', &wanted);
    int at = 0;
    *exact = !slice_equal(key_method, SLICE("ANY"));
    if (*exact && !slice_equal(key_method, method))
        return false;
    path = slice_from(path, 1);
    wanted = slice_from(wanted, 1);
    while (wanted.data) {
        struct slice one = slice_split(wanted, '/', &wanted);
        if (one.size > 2 && one.data[one.size - 2] == '+') {
            kinds[at++] = 2;
            kinds[at] = -1;
            return path.data && path.size > 0;
        }
        if (path.data == NULL)
            return false;
        struct slice got = slice_split(path, '/', &path);
        bool variable = one.size && one.data[0] == '{';
        if (variable ? got.size == 0 : !slice_equal(one, got))
            return false;
        kinds[at++] = variable;
    }
    kinds[at] = -1;
    return path.data == NULL;
}

static const char *choose(const char *const *keys, const char *request)
{
    const char *best = "none";
    int best_kinds[16], best_exact = 0;
    for (; *keys; keys++) {
        int kinds[16], exact, i = 0;
        if (strcmp(*keys, "$default") == 0) {
            best = strcmp(best, "none") == 0 ? *keys : best;
            continue;
        }
        if (!matches(*keys, request, kinds, &exact))
            continue;
        bool better = strcmp(best, "none") == 0 || strcmp(best, "$default") == 0;
        while (!better && kinds[i] == best_kinds[i] && kinds[i] >= 0)
            i++;
        if (!better)
            better = kinds[i] != best_kinds[i] ? kinds[i] < best_kinds[i] : exact > best_exact;
        if (!better)
            continue;
        best = *keys;
        memcpy(best_kinds, kinds, sizeof(kinds));
        best_exact = exact;
    }
    return best;
}

static uint32_t draw(uint32_t *seed, uint32_t below)
{
    *seed = *seed * 1664525 + 1013904223;
    return (*seed >> 8) % below;
}

/* Variables are named by their place, so that two keys of one shape are one text. */
static void draw_path(uint32_t *seed, char *out, size_t room, bool of_key)
{
    static const char *const literals[] = { "a", "b", "ab" };
    uint32_t count = draw(seed, 4);
    size_t size = 0;
    bool greedy = false;
    out[0] = '\0';
    for (uint32_t i = 0; i < count && !greedy; i++) {
        uint32_t what = of_key ? draw(seed, 6) : draw(seed, 3);
        greedy = what == 5;
        if (what < 3)
            size += (size_t)snprintf(out + size, room - size, "/%s", literals[what]);
        else
            size += (size_t)snprintf(out + size, room - size, "/{v%u%s}", i, greedy ? "+" : "");
    }
    if (count == 0)
        snprintf(out, room, "/");
}

static bool is_known(const char *const *keys, uint32_t count, const char *key)
{
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(keys[i], key) == 0)
            return true;
    return false;
}

static void draw_keys(uint32_t *seed, const char **keys, uint32_t room)
{
    static const char *const methods[] = { "GET", "POST", "ANY", "ANY" };
    uint32_t count = 0;
    for (uint32_t i = 0; i + 1 < room; i++) {
        char path[64];
        draw_path(seed, path, sizeof(path), true);
        const char *key = arena_format(&setup.arena, "%s %s", methods[draw(seed, 4)], path).data;
        if (draw(seed, 20) == 0)
            key = "$default";
        if (!is_known(keys, count, key))
            keys[count++] = key;
    }
    keys[count] = NULL;
}

Test(aws_routes, random_tables_follow_the_rule)
{
    static const char *const methods[] = { "GET", "POST", "PUT" };
    uint32_t asked = 0;
    for (uint32_t seed = 1, round = 0; round < 150; round++) {
        const char *keys[16];
        draw_keys(&seed, keys, 2 + draw(&seed, 14));
        cr_assert(read_keys(keys, round % 2 ? stages : ""));
        for (uint32_t i = 0; i < 100; i++, asked++) {
            char path[64];
            draw_path(&seed, path, sizeof(path), false);
            const char *request = arena_format(&setup.arena, "%s %s", methods[draw(&seed, 3)], path).data;
            const char *got = aws_setup_key(aws_setup_match(&setup, "h", request, NULL));
            cr_assert_str_eq(got, choose(keys, request), "round %u, %s: %s", round, request, got);
        }
        aws_setup_deinit(&setup);
        aws_setup_init(&setup);
    }
    cr_assert_eq(asked, 15000);
}
