/* SPDX-License-Identifier: Apache-2.0 */
/* Emissary's resources by example: order, groups and weights, rewrites, Hosts and Listeners, filters. */
#include "config/emissary/parts.h"
#include "tests/support/kube_setup.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static struct kube_setup setup;
static char text[65536];
static size_t text_size;

static void start(void)
{
    kube_setup_init(&setup);
    text_size = 0;
    text[0] = '\0';
}

static void end(void)
{
    kube_setup_deinit(&setup);
}

TestSuite(emissary, .init = start, .fini = end);

static void add(const char *kind, const char *name, const char *spec)
{
    text_size += (size_t)snprintf(text + text_size, sizeof(text) - text_size,
                                  "---\napiVersion: getambassador.io/v3alpha1\nkind: %s\n"
                                  "metadata: {name: %s, labels: {of: %s}}\nspec: {%s}\n",
                                  kind, name, name, spec);
    cr_assert_lt(text_size, sizeof(text));
}

static void mapping(const char *name, const char *spec)
{
    char whole[1024];
    snprintf(whole, sizeof(whole), "%s%s%s", spec,
             strstr(spec, "service:") ? "" : ", service: ", strstr(spec, "service:") ? "" : name);
    add("Mapping", name, whole);
}

static void must_load(void)
{
    if (!kube_setup_load(&setup, text)) {
        report_print(&setup.config.report, stderr);
        cr_assert_fail("not loaded");
    }
}

#define EXPECT(question, name) cr_expect_str_eq(kube_setup_name(&setup, question), name, "%s", question)

/* --- the mission's file ----------------------------------------------------------------------------- */

static const char mission[] =
    "apiVersion: getambassador.io/v3\n"
    "kind: Mapping\n"
    "metadata: {name: user-service-mapping}\n"
    "spec: {hostname: api.example.com, prefix: /api/v1/users, service: \"user-service:8080\", rewrite: "
    "/api/v1/users, weight: 100, bypass_auth: false, timeout_ms: 3000}\n"
    "---\n"
    "apiVersion: getambassador.io/v3\n"
    "kind: Filter\n"
    "metadata: {name: jwt-filter}\n"
    "spec: {JWT: {jwksURI: \"https://auth.example.com/.well-known/jwks.json\", providerURL: "
    "\"https://auth.example.com\"}}\n";

Test(emissary, the_missions_file)
{
    cr_assert(kube_setup_load(&setup, mission));
    struct kube_question question = { .text = "GET api.example.com /api/v1/users/42?x=1" };
    const struct route *route = kube_setup_ask(&setup, &question);
    cr_assert_not_null(route);
    cr_expect(slice_equal(route->entity.name, SLICE("user-service-mapping")));
    cr_expect_eq(route->action->style, ANSWER_STYLE_ENVOY);
    cr_expect_eq(route->action->timeout_ms, 3000);
    cr_expect_eq(route->action->path.kind, PATH_EDIT_PREFIX);
    cr_expect(slice_equal(route->action->path.text, SLICE("/api/v1/users")));
    cr_expect(slice_equal(setup.match.prefix, SLICE("/api/v1/users")));
    cr_expect_eq(route->action->host.kind, HOST_EDIT_KEEP);
    cr_expect_eq(route->action->backend_count, 1);
    const struct service *service = route->action->backends[0].service;
    cr_expect(slice_equal(service->host, SLICE("user-service")));
    cr_expect_eq(service->port, 8080);
    cr_expect_eq(service->upstream->targets[0]->port, 8080);
    EXPECT("GET api.example.com /api/v1/usersandmore", "user-service-mapping");
    EXPECT("GET api.example.com /api/v1/user", "-");
    EXPECT("GET other.example.com /api/v1/users", "-");
    EXPECT("GET api.example.com:8000 /api/v1/users", "-"); /* a port is part of the name */
    cr_expect(config_setup_reported(&setup.config, 1, "Mapping/user-service-mapping.apiVersion",
                                    "read as getambassador.io/v3alpha1"));
}

/* --- order ------------------------------------------------------------------------------------------ */

/* Mappings that all match the request; the first one listed must win. */
static const struct {
    const char *request, *winner, *others[3];
} orders[] = {
    { "GET h /a/b", "prefix: /a/b", { "prefix: /a/", "prefix: /" } },
    { "GET h /a/b", "prefix: /, precedence: 1", { "prefix: /a/b" } },
    { "GET h /a/b", "prefix: /a/b", { "prefix: /a/b, precedence: -1" } },
    { "GET h /ab", "prefix: /ab", { "prefix: '/.*', prefix_regex: true, headers: {x: '1'}" } },
    { "GET h /ab",
      "prefix: '/[a-z]+', prefix_regex: true",
      { "prefix: /ab", "prefix: /ab, prefix_exact: true, "
                       "headers: {x: '1'}" } },
    { "GET h /ab\nx: 1", "prefix: /ab, headers: {x: '1'}", { "prefix: /ab" } },
    { "GET h /ab\nx: 1\nyy: 22", "prefix: /ab, headers: {yy: '22'}", { "prefix: /ab, headers: {x: '1'}" } },
    { "GET h /ab\nx: 1", "prefix: /ab, regex_headers: {x: '1'}", { "prefix: /ab, headers: {x: '1'}" } },
    { "GET h /ab", "prefix: /ab, method: GET", { "prefix: /ab" } },
    { "GET h /ab\nx: 1", "prefix: /ab, method: GET", { "prefix: /ab, headers: {x: '1'}" } },
    { "GET h /ab?q=1", "prefix: /ab, query_parameters: {q: '1'}", { "prefix: /ab" } },
    { "GET h /ab?q=1&r=22",
      "prefix: /ab, query_parameters: {r: '22'}",
      { "prefix: /ab, query_parameters: {q: "
        "'1'}" } },
    { "GET h /ab?q=1\nx: 1",
      "prefix: /ab, headers: {x: '1'}",
      { "prefix: /ab, query_parameters: {q: '1'}" } },
    { "GET h /ab", "prefix: '/b|/ab', prefix_regex: true", { "prefix: '/[ab]+'", "prefix: '/a.'" } },
    { "GET h /ab", "prefix: '/a[b]', prefix_regex: true", { "prefix: '/a...', precedence: -1" } },
    { "GET h /ab\nx: 1\ny: 1", "prefix: /ab, headers: {y: '1'}", { "prefix: /ab, headers: {x: '1'}" } },
};

Test(emissary, the_first_by_order_wins)
{
    for (size_t i = 0; i < COUNT_OF(orders); i++) {
        for (int reversed = 0; reversed < 2; reversed++) {
            char spec[512];
            text_size = 0;
            snprintf(spec, sizeof(spec), "hostname: '*', %s", orders[i].winner);
            if (!reversed)
                mapping("winner", spec);
            for (size_t j = 0; j < 3 && orders[i].others[j]; j++) {
                char name[16], other[512];
                snprintf(name, sizeof(name), "%c%zu", reversed ? 'a' : 'z', j);
                snprintf(other, sizeof(other), "hostname: '*', %s", orders[i].others[j]);
                mapping(name, other);
            }
            if (reversed)
                mapping("winner", spec);
            must_load();
            cr_expect_str_eq(kube_setup_name(&setup, orders[i].request), "winner", "%zu: %s", i,
                             orders[i].winner);
        }
    }
}

/* --- conditions ------------------------------------------------------------------------------------- */

static const struct {
    const char *spec, *request;
    bool matches;
} conditions[] = {
    { "prefix: /man", "GET h /mankind", true },
    { "prefix: /man/", "GET h /man", false },
    { "prefix: /man, prefix_exact: true", "GET h /man", true },
    { "prefix: /man, prefix_exact: true", "GET h /man/", false },
    { "prefix: /man, prefix_exact: true", "GET h /man?a=b", true },
    { "prefix: '/m.n', prefix_regex: true", "GET h /man", true },
    { "prefix: '/m.n', prefix_regex: true", "GET h /mankind", false },
    { "prefix: /Man, case_sensitive: false", "GET h /mAN/x", true },
    { "prefix: /Man", "GET h /man", false },
    { "prefix: /, method: POST", "GET h /", false },
    { "prefix: /, method: 'P.*', method_regex: true", "PUT h /", true },
    { "prefix: /, method: 'P', method_regex: true", "PUT h /", false },
    { "prefix: /, headers: {X-A: b}", "GET h /\nx-a: b", true },
    { "prefix: /, headers: {X-A: b}", "GET h /\nx-a: bc", false },
    { "prefix: /, headers: {X-A: 'b,c'}", "GET h /\nx-a: b\nx-a: c", true },
    { "prefix: /, headers: {X-A: b}", "GET h /\nx-a: b\nx-a: c", false },
    { "prefix: /, regex_headers: {X-A: 'b.*'}", "GET h /\nx-a: bcd", true },
    { "prefix: /, regex_headers: {X-A: 'c'}", "GET h /\nx-a: bcd", false },
    { "prefix: /, regex_headers: {X-A: '.*'}", "GET h /", false },
    { "prefix: /, query_parameters: {q: 'a%20b'}", "GET h /?q=a%20b", true },
    { "prefix: /, query_parameters: {q: 'a b'}", "GET h /?q=a%20b", false },
    { "prefix: /, query_parameters: {q: b}", "GET h /?q=a&q=b", false },
    { "prefix: /, query_parameters: {q: a}", "GET h /?x=1&q=a&q=b", true },
    { "prefix: /, regex_query_parameters: {q: 'a+'}", "GET h /?q=aaa", true },
    { "prefix: /, regex_query_parameters: {q: 'a'}", "GET h /?q=aaa", false },
};

Test(emissary, conditions)
{
    for (size_t i = 0; i < COUNT_OF(conditions); i++) {
        char spec[512];
        text_size = 0;
        snprintf(spec, sizeof(spec), "hostname: '*', %s", conditions[i].spec);
        mapping("m", spec);
        must_load();
        cr_expect_str_eq(kube_setup_name(&setup, conditions[i].request), conditions[i].matches ? "m" : "-",
                         "%zu: %s: %s", i, conditions[i].spec, conditions[i].request);
    }
}

static const struct {
    const char *spec, *host;
    bool matches;
} names[] = {
    { "hostname: a.test", "a.test", true },
    { "hostname: a.test", "a.test:80", false },
    { "hostname: 'a.test:80'", "a.test:80", true },
    { "hostname: 'a.test:80'", "a.test", false },
    { "hostname: '*.test'", "a.test", true },
    { "hostname: '*.test'", "b.a.test", true },
    { "hostname: '*.test'", "test", false },
    { "hostname: '*.test'", "a.test:80", false },
    { "hostname: 'a.*'", "a.test", true },
    { "hostname: 'a.*'", "a.test:80", true },
    { "hostname: '*st'", "a.test", true },
    { "host: a.test", "a.test", true },
    { "host: 'a[.].*', host_regex: true", "a.test", true },
    { "host: 'a[.]', host_regex: true", "a.test", false },
};

Test(emissary, names_of_mappings)
{
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char spec[256], question[256];
        text_size = 0;
        snprintf(spec, sizeof(spec), "prefix: /, %s", names[i].spec);
        snprintf(question, sizeof(question), "GET %s /", names[i].host);
        mapping("m", spec);
        must_load();
        cr_expect_str_eq(kube_setup_name(&setup, question), names[i].matches ? "m" : "-", "%s: %s",
                         names[i].spec, names[i].host);
    }
}

/* --- rewrites --------------------------------------------------------------------------------------- */

static const struct {
    const char *spec;
    enum path_edit_kind kind;
    const char *text;
} rewrites[] = {
    { "prefix: /a/", PATH_EDIT_PREFIX, "/" },
    { "prefix: /a/, rewrite: ''", PATH_EDIT_KEEP, "" },
    { "prefix: /a/, rewrite: /x/", PATH_EDIT_PREFIX, "/x/" },
    { "prefix: /a, prefix_exact: true, rewrite: /x", PATH_EDIT_WHOLE, "/x" },
    { "prefix: /a, prefix_exact: true", PATH_EDIT_WHOLE, "/" },
    { "prefix: '/a.*', prefix_regex: true, rewrite: ''", PATH_EDIT_KEEP, "" },
    { "prefix: '/a.*', prefix_regex: true, rewrite: /x", PATH_EDIT_WHOLE, "/x" },
    { "prefix: /a, regex_rewrite: {pattern: '/(.*)', substitution: '/x/\\1'}", PATH_EDIT_REGEX, "/x/\\1" },
    { "prefix: /a, rewrite: /y, regex_rewrite: {pattern: a, substitution: ''}", PATH_EDIT_REGEX, "" },
};

Test(emissary, rewrites)
{
    for (size_t i = 0; i < COUNT_OF(rewrites); i++) {
        char spec[256];
        text_size = 0;
        snprintf(spec, sizeof(spec), "hostname: '*', %s", rewrites[i].spec);
        mapping("m", spec);
        must_load();
        const struct path_edit *path = &setup.config.model->routes.items[0]->action->path;
        cr_expect_eq(path->kind, rewrites[i].kind, "%s", rewrites[i].spec);
        cr_expect(slice_equal(path->text, slice_of(rewrites[i].text)), "%s", rewrites[i].spec);
        cr_expect_eq(path->regex != NULL, path->kind == PATH_EDIT_REGEX);
    }
}

static const struct {
    const char *spec, *host;
    enum path_edit_kind kind;
    int status;
} redirects[] = {
    { "prefix: /a, service: b.test", "b.test", PATH_EDIT_KEEP, 301 },
    { "prefix: /a, service: 'b.test:81', path_redirect: /x", "b.test:81", PATH_EDIT_WHOLE, 301 },
    { "prefix: /a, service: b.test, prefix_redirect: /x, redirect_response_code: 308", "b.test",
      PATH_EDIT_PREFIX, 308 },
    { "prefix: /a, service: b.test, regex_redirect: {pattern: a, substitution: b}", "b.test", PATH_EDIT_REGEX,
      301 },
};

Test(emissary, redirects)
{
    for (size_t i = 0; i < COUNT_OF(redirects); i++) {
        char spec[256];
        text_size = 0;
        snprintf(spec, sizeof(spec), "hostname: '*', host_redirect: true, %s", redirects[i].spec);
        mapping("m", spec);
        must_load();
        const struct redirect *redirect = setup.config.model->routes.items[0]->action->redirect;
        cr_assert_not_null(redirect);
        cr_expect(slice_equal(redirect->host, slice_of(redirects[i].host)));
        cr_expect_eq(redirect->authority, REDIRECT_AUTHORITY_TEXT);
        cr_expect_eq(redirect->path.kind, redirects[i].kind);
        cr_expect_eq(redirect->status, redirects[i].status);
    }
}

/* --- weights ---------------------------------------------------------------------------------------- */

/* Weights of up to four Mappings a, b, c, d (-1: none) and what each gets of 100 draws; `leak`: what falls
 * to the next route. */
static const struct {
    int count, weights[4], shares[4], leak;
} weights[] = {
    { 1, { 30 }, { 100 }, 0 },
    { 2, { -1, 10 }, { 90, 10 }, 0 },
    { 2, { -1, -1 }, { 50, 50 }, 0 },
    { 3, { -1, -1, -1 }, { 33, 34, 33 }, 0 },
    { 3, { 50, -1, -1 }, { 50, 25, 25 }, 0 },
    { 2, { 100, -1 }, { 100, 0 }, 0 },
    { 2, { 60, 40 }, { 60, 40 }, 0 },
    { 2, { 60, 30 }, { 60, 30 }, 10 },
    { 3, { 10, 20, 30 }, { 10, 20, 30 }, 40 },
    { 2, { 0, -1 }, { 0, 100 }, 0 },
    { 4, { 1, 2, -1, -1 }, { 1, 2, 49, 48 }, 0 },
};

/* Of a rule for several, by the weights; the draws decide about the rule. */
static void count_draws(int got[4], int *leak)
{
    for (unsigned draw = 0; draw < 100; draw++) {
        struct kube_question question = { .text = "GET h /a", .draw = (uint8_t)draw };
        const struct route *route = kube_setup_ask(&setup, &question);
        const char *name = kube_setup_backend(route, 0);
        cr_assert_not_null(route);
        if (strcmp(name, "rest") == 0)
            *leak += 1;
        else if (route->action->backend_count == 1)
            got[name[0] - 'a']++;
    }
}

static void expect_shares(size_t i, bool uniform)
{
    int got[4] = { 0 }, leak = 0;
    count_draws(got, &leak);
    struct kube_question question = { .text = "GET h /a" };
    const struct route *route = kube_setup_ask(&setup, &question);
    for (uint32_t j = 0; uniform && j < route->action->backend_count; j++)
        if (route->action->backend_count > 1)
            got[kube_setup_backend(route, j)[0] - 'a'] = (int)route->action->backends[j].weight;
    cr_expect_eq(leak, weights[i].leak, "%zu: %d fall through", i, leak);
    for (int j = 0; j < weights[i].count; j++)
        cr_expect_eq(got[j], weights[i].shares[j], "%zu: %d gets %d", i, j, got[j]);
}

static void build_weights(size_t i, bool uniform)
{
    text_size = 0;
    mapping("rest", "hostname: '*', prefix: /");
    for (int j = 0; j < weights[i].count; j++) {
        char name[2] = { (char)('a' + j), '\0' }, spec[256], weight[32] = "";
        if (weights[i].weights[j] >= 0)
            snprintf(weight, sizeof(weight), ", weight: %d", weights[i].weights[j]);
        snprintf(spec, sizeof(spec), "hostname: '*', prefix: /a%s%s%s", weight,
                 uniform ? "" : ", rewrite: /x", uniform ? "" : name);
        mapping(name, spec);
    }
    must_load();
}

Test(emissary, weights)
{
    for (size_t i = 0; i < COUNT_OF(weights); i++) {
        for (int uniform = 0; uniform < 2; uniform++) {
            build_weights(i, uniform);
            expect_shares(i, uniform);
        }
    }
}

Test(emissary, headers_of_a_group_are_united)
{
    mapping("a", "hostname: '*', prefix: /, add_request_headers: {x: {value: '1', append: false}}, "
                 "remove_request_headers: [p]");
    mapping("b", "hostname: '*', prefix: /, add_request_headers: {y: '50%%'}, remove_request_headers: [q]");
    must_load();
    const struct header_edits *edits = &setup.config.model->routes.items[0]->action->request;
    cr_assert_eq(setup.config.model->routes.count, 1);
    cr_assert_eq(edits->count, 3);
    cr_expect_eq(edits->items[0].kind, HEADER_EDIT_REMOVE);
    cr_expect(slice_equal(edits->items[0].name, SLICE("q")));
    cr_expect_eq(edits->items[1].kind, HEADER_EDIT_SET);
    cr_expect_eq(edits->items[2].kind, HEADER_EDIT_APPEND);
    cr_expect(slice_equal(edits->items[2].value, SLICE("50%")));
}

/* --- names with stars ------------------------------------------------------------------------------- */

static const struct {
    const char *a, *b;
    bool meet;
} globs[] = {
    { "*", "a.test", true },
    { "*", "*.test", true },
    { "a.test", "a.test", true },
    { "a.test", "b.test", false },
    { "*.test", "a.test", true },
    { "*.test", "test", false },
    { "*.test", ".test", false },
    { "*.test", "a.*", true },
    { "*.a.test", "*.test", true },
    { "*.a.test", "*.b.test", false },
    { "a.*", "a.b.*", true },
    { "a.*", "b.*", false },
    { "a.*", "a.test", true },
    { "a.*", "a.", false },
    { "*example.com", "example.com", false },
    { "*example.com", "an.example.com", true },
    { "*a*", "*a*", true },
    { "*a*", "a", false },
    { "a*b", "a*b", true },
    { "a*b", "acb", false },
};

Test(emissary, globs)
{
    for (size_t i = 0; i < COUNT_OF(globs); i++) {
        struct slice a = slice_of(globs[i].a), b = slice_of(globs[i].b);
        cr_expect_eq(emissary_globs_meet(a, b), globs[i].meet, "%s %s", globs[i].a, globs[i].b);
        cr_expect_eq(emissary_globs_meet(b, a), globs[i].meet, "%s %s", globs[i].b, globs[i].a);
    }
}

/* --- Hosts and Listeners ---------------------------------------------------------------------------- */

static const char route_it[] = "requestPolicy: {insecure: {action: Route}}";

static void host(const char *name, const char *rest)
{
    char spec[512];
    snprintf(spec, sizeof(spec), "%s%s%s", rest, rest[0] ? ", " : "",
             strstr(rest, "requestPolicy") ? "" : route_it);
    add("Host", name, spec);
}

Test(emissary, the_most_specific_host_takes_all)
{
    host("exact", "hostname: a.x.test");
    host("suffix", "hostname: '*.x.test'");
    host("longer", "hostname: '*.y.x.test'");
    host("front", "hostname: 'a.*'");
    host("any", "hostname: '*'");
    mapping("for-exact", "hostname: a.x.test, prefix: /exact");
    mapping("for-suffix", "hostname: '*.x.test', prefix: /suffix");
    mapping("for-all", "hostname: '*', prefix: /all");
    must_load();
    EXPECT("GET a.x.test /exact", "for-exact");
    EXPECT("GET a.x.test /suffix", "for-suffix");
    EXPECT("GET A.X.test /exact", "404"); /* Hosts fold, Mappings do not */
    EXPECT("GET a.x.test /other", "404");
    EXPECT("GET b.x.test /exact", "404");
    EXPECT("GET b.x.test /suffix", "for-suffix");
    EXPECT("GET b.y.x.test /suffix", "for-suffix");
    EXPECT("GET a.other /all", "for-all");
    EXPECT("GET a.other /suffix", "404");
    EXPECT("GET z.other /all", "for-all");
    EXPECT("GET z.other /suffix", "-");
}

Test(emissary, selectors)
{
    host("h", "hostname: a.test, mappingSelector: {matchLabels: {of: labelled}}");
    host("h2", "hostname: b.test");
    mapping("labelled", "prefix: /1");
    mapping("other", "prefix: /2, hostname: '*'");
    mapping("nobody", "prefix: /3");
    must_load();
    EXPECT("GET a.test /1", "labelled");
    EXPECT("GET a.test /2", "404");
    EXPECT("GET b.test /1", "404");
    EXPECT("GET b.test /2", "other");
    cr_expect(config_setup_reported(&setup.config, 0, "Mapping/nobody", "names no hostname"));
}

Test(emissary, insecure_actions)
{
    host("redirect", "hostname: r.test, requestPolicy: {insecure: {}}");
    host("reject", "hostname: j.test, requestPolicy: {insecure: {action: Reject}}");
    mapping("m", "prefix: /m, hostname: '*'");
    mapping("acme", "prefix: /.well-known/acme-challenge/, hostname: '*'");
    must_load();
    struct kube_question question = { .text = "GET r.test /m" };
    const struct route *route = kube_setup_ask(&setup, &question);
    cr_assert(route && route->action->redirect);
    cr_expect_eq(route->action->redirect->status, 301);
    cr_expect(slice_equal(route->action->redirect->scheme, SLICE("https")));
    question.tls = true;
    route = kube_setup_ask(&setup, &question);
    cr_expect(route && slice_equal(route->entity.name, SLICE("m")));
    EXPECT("GET r.test /other", "404");
    EXPECT("GET j.test /m", "404");
    EXPECT("GET j.test /.well-known/acme-challenge/x", "acme");
    EXPECT("GET r.test /.well-known/acme-challenge/x", "acme");
}

Test(emissary, listeners)
{
    add("Listener", "l1",
        "port: 8080, protocol: HTTP, securityModel: XFP, hostBinding: {namespace: {from: ALL}}");
    add("Listener", "l2",
        "port: 8090, protocol: HTTP, securityModel: INSECURE, "
        "hostBinding: {selector: {matchLabels: {of: h2}}}");
    add("Listener", "l3",
        "port: 8091, protocol: HTTP, securityModel: SECURE, "
        "hostBinding: {selector: {matchLabels: {of: h2}}}");
    host("h1", "hostname: a.test");
    host("h2", "hostname: b.test, requestPolicy: {insecure: {action: Redirect}}");
    mapping("m", "prefix: /, hostname: '*'");
    must_load();
    const struct {
        const char *text;
        uint16_t port;
        bool there, redirected;
    } rows[] = {
        { "GET a.test /", 8080, true, false },  { "GET a.test /", 8090, false, false },
        { "GET a.test /", 8000, false, false }, { "GET b.test /", 8080, true, true },
        { "GET b.test /", 8090, true, true },   { "GET b.test /", 8091, true, false },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct kube_question question = { .text = rows[i].text, .port = rows[i].port };
        const struct route *route = kube_setup_ask(&setup, &question);
        cr_expect_eq(route != NULL, rows[i].there, "%zu", i);
        cr_expect_eq(route && route->action->redirect, rows[i].redirected, "%zu", i);
    }
    cr_expect_eq(setup.config.model->listen_ports.count, 3);
    cr_expect_eq(setup.config.model->listen_ports.items[0]->port, 8080);
}

Test(emissary, other_peoples_resources_are_left_out)
{
    mapping("ours", "prefix: /1, hostname: '*', ambassador_id: [x, default]");
    mapping("theirs", "prefix: /2, hostname: '*', ambassador_id: [x]");
    mapping("all", "prefix: /3, hostname: '*', ambassador_id: ['_automatic_']");
    must_load();
    EXPECT("GET h /1", "ours");
    EXPECT("GET h /2", "-");
    EXPECT("GET h /3", "all");
}

/* --- filters ---------------------------------------------------------------------------------------- */

static uint32_t plugins_on(const struct route *route)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < setup.config.model->plugins.count; i++)
        count += setup.config.model->plugins.items[i]->route == route;
    return count;
}

Test(emissary, policies_cover_parts_of_mappings)
{
    add("Filter", "f", "JWT: {jwksURI: 'http://127.0.0.1/keys', audience: a, leewayForExpiresAt: 5s}");
    add("FilterPolicy", "p",
        "rules: [{path: /m/open/*}, {host: a.test, path: '*/secret/*', filters: [{name: f}]}, "
        "{path: '/all/*', filters: [{name: f, arguments: {scope: [read]}}]}]");
    mapping("m", "prefix: /m/, hostname: '*'");
    mapping("bypass", "prefix: /all/bypass/, hostname: '*', bypass_auth: true");
    mapping("all", "prefix: /all/, hostname: '*'");
    must_load();
    const struct {
        const char *text;
        uint32_t plugins;
    } rows[] = {
        { "GET a.test /m/x", 0 },          { "GET a.test /m/secret/x", 1 },
        { "GET b.test /m/secret/x", 0 },   { "GET a.test /m/open/secret/x", 0 },
        { "GET a.test /all/x", 1 },        { "GET a.test /all/bypass/x", 0 },
        { "GET a.test /all/secret/x", 1 },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct kube_question question = { .text = rows[i].text };
        const struct route *route = kube_setup_ask(&setup, &question);
        cr_assert_not_null(route);
        cr_expect_eq(plugins_on(route), rows[i].plugins, "%s", rows[i].text);
    }
}

/* --- endpoints -------------------------------------------------------------------------------------- */

Test(emissary, endpoints_from_files)
{
    mapping(
        "m",
        "prefix: /, hostname: '*', resolver: endpoint, service: 'web:80', load_balancer: {policy: maglev, "
        "header: x-user}");
    text_size += (size_t)snprintf(
        text + text_size, sizeof(text) - text_size,
        "---\napiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{name: http, port: 80, "
        "targetPort: 8080}]}\n"
        "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: web-1, labels: "
        "{kubernetes.io/service-name: web}}\naddressType: IPv4\nports: [{name: http, port: 8080}]\n"
        "endpoints: [{addresses: [10.0.0.1]}, "
        "{addresses: [10.0.0.2], conditions: {ready: false}}, {addresses: "
        "[10.0.0.3, 10.0.0.1]}]\n");
    must_load();
    const struct upstream *upstream = setup.config.model->services.items[0]->upstream;
    cr_assert_eq(upstream->target_count, 2);
    cr_expect(slice_equal(upstream->targets[0]->host, SLICE("10.0.0.1")));
    cr_expect_eq(upstream->targets[1]->port, 8080);
    cr_expect_eq(upstream->balance, BALANCE_MAGLEV);
    cr_expect_eq(upstream->hash_on.input, HASH_HEADER);
}
