/* SPDX-License-Identifier: Apache-2.0 */
/* The Gateway API by example: order, matches, listeners, filters, backends. */
#include "tests/support/kube_setup.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct kube_setup setup;
static char text[32768];
static size_t text_size;

static void append(const char *more)
{
    text_size += (size_t)snprintf(text + text_size, sizeof(text) - text_size, "%s", more);
    cr_assert_lt(text_size, sizeof(text));
}

static void begin(void)
{
    text_size = 0;
    append("---\napiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n");
}

static void start(void)
{
    kube_setup_init(&setup);
    begin();
}

static void end(void)
{
    kube_setup_deinit(&setup);
}

TestSuite(gateway_api, .init = start, .fini = end);

static void object(const char *kind, const char *metadata, const char *spec)
{
    append("---\napiVersion: gateway.networking.k8s.io/v1\nkind: ");
    append(kind);
    append("\nmetadata: {");
    append(metadata);
    append("}\nspec: {");
    append(spec);
    append("}\n");
}

static void gateway(const char *listeners)
{
    char spec[1024];
    snprintf(spec, sizeof(spec), "gatewayClassName: sluice, listeners: [%s]", listeners);
    object("Gateway", "name: gw", spec);
}

static void plain_gateway(void)
{
    gateway("{name: http, port: 8000, protocol: HTTP}");
}

/* A route with one rule that goes to the Service `web`, unless `rule` has filters or backends of its own. */
static void route(const char *metadata, const char *more, const char *rule)
{
    char spec[2048];
    bool complete = strstr(rule, "backendRefs") || strstr(rule, "RequestRedirect");
    snprintf(spec, sizeof(spec), "parentRefs: [{name: gw}]%s, rules: [{%s%s%s}]", more, rule,
             complete || rule[0] == '\0' ? "" : ", ",
             complete ? ""
                      : "backendRefs: [{name: web, port: "
                        "80}]");
    object("HTTPRoute", metadata, spec);
}

static void must_load(void)
{
    if (!kube_setup_load(&setup, text)) {
        report_print(&setup.config.report, stderr);
        cr_assert_fail("not loaded");
    }
}

#define EXPECT(question, name) cr_expect_str_eq(kube_setup_name(&setup, question), name, "%s", question)

/* --- order ------------------------------------------------------------------------------------------ */

/* Two routes that match the request, `a` first by name: the winner is the first one listed. */
static const struct {
    const char *request, *winner, *loser;
} orders[] = {
    { "GET h.test /a/b", "matches: [{path: {type: Exact, value: /a/b}}]",
      "matches: [{path: {value: /a/b}, method: GET}]" },
    { "GET h.test /a/b", "matches: [{path: {value: /a/b}}]",
      "matches: [{path: {value: /a}, method: "
      "GET}]" },
    { "GET h.test /a", "matches: [{path: {value: /a}}]", "matches: [{path: {value: /}}]" },
    { "GET h.test /a\nx: 1", "matches: [{path: {value: /a}, method: GET}]",
      "matches: [{path: {value: /a}, headers: [{name: x, value: '1'}]}]" },
    { "GET h.test /a?q=1\nx: 1", "matches: [{path: {value: /a}, headers: [{name: x, value: '1'}]}]",
      "matches: [{path: {value: /a}, queryParams: [{name: q, value: '1'}]}]" },
    { "GET h.test /a\nx: 1\ny: 1", "matches: [{headers: [{name: x, value: '1'}, {name: y, value: '1'}]}]",
      "matches: [{headers: [{name: x, value: '1'}]}]" },
    { "GET h.test /a?q=1", "matches: [{queryParams: [{name: q, value: '1'}]}]", "" },
};

Test(gateway_api, the_first_by_order_wins)
{
    for (size_t i = 0; i < COUNT_OF(orders); i++) {
        begin();
        plain_gateway();
        route("name: a", "", orders[i].loser);
        route("name: winner", "", orders[i].winner);
        must_load();
        cr_expect_str_eq(kube_setup_name(&setup, orders[i].request), "winner", "%zu", i);
    }
}

Test(gateway_api, ties_go_to_the_oldest_then_by_name)
{
    plain_gateway();
    route("name: a, creationTimestamp: '2026-01-02T00:00:00Z'", ", hostnames: [1.test]", "");
    route("name: b, creationTimestamp: '2026-01-01T00:00:00Z'", ", hostnames: [1.test]", "");
    route("name: d", ", hostnames: [2.test]", "");
    route("name: c", ", hostnames: [2.test]", "");
    must_load();
    EXPECT("GET 1.test /", "b");
    EXPECT("GET 2.test /", "c");
    EXPECT("GET 3.test /", "-");
}

/* --- matches ---------------------------------------------------------------------------------------- */

static const struct {
    const char *match, *request;
    bool matches;
} matches[] = {
    { "path: {value: /abc}", "GET h /abc", true },
    { "path: {value: /abc}", "GET h /abc/", true },
    { "path: {value: /abc}", "GET h /abc/x", true },
    { "path: {value: /abc}", "GET h /abcd", false },
    { "path: {value: /abc/}", "GET h /abc", true },
    { "path: {value: /}", "GET h /anything", true },
    { "path: {type: Exact, value: /abc}", "GET h /abc/", false },
    { "path: {type: Exact, value: /abc/}", "GET h /abc/", true },
    { "path: {type: RegularExpression, value: '/a.c'}", "GET h /abc", true },
    { "path: {type: RegularExpression, value: '/a.c'}", "GET h /abcd", false },
    { "method: POST", "GET h /", false },
    { "headers: [{name: X, value: a}]", "GET h /\nx: a", true },
    { "headers: [{name: X, value: a}, {name: x, value: b}]", "GET h /\nx: a", true },
    { "headers: [{name: x, type: RegularExpression, value: 'a+'}]", "GET h /\nx: aab", false },
    { "queryParams: [{name: q, value: a}]", "GET h /?q=a&q=b", true },
    { "queryParams: [{name: q, value: b}]", "GET h /?q=a&q=b", false },
};

Test(gateway_api, matches)
{
    for (size_t i = 0; i < COUNT_OF(matches); i++) {
        char rule[256];
        snprintf(rule, sizeof(rule), "matches: [{%s}]", matches[i].match);
        begin();
        plain_gateway();
        route("name: r", "", rule);
        must_load();
        cr_expect_str_eq(kube_setup_name(&setup, matches[i].request), matches[i].matches ? "r" : "-",
                         "%s: %s", matches[i].match, matches[i].request);
    }
}

/* --- listeners -------------------------------------------------------------------------------------- */

static const struct {
    const char *listener, *route, *host;
    bool taken;
} hostnames[] = {
    { NULL, NULL, "a.test", true },
    { NULL, "a.test", "a.test", true },
    { NULL, "a.test", "A.Test:8000", true },
    { NULL, "a.test", "b.test", false },
    { "a.test", NULL, "a.test", true },
    { "a.test", NULL, "b.test", false },
    { "a.test", "b.test", "b.test", false },
    { "'*.test'", "a.test", "a.test", true },
    { "'*.test'", "a.test", "b.test", false },
    { "'*.test'", NULL, "c.b.test", true },
    { "'*.test'", NULL, "test", false },
    { "a.b.test", "'*.test'", "a.b.test", true },
    { "a.b.test", "'*.test'", "c.test", false },
    { "'*.b.test'", "'*.test'", "a.b.test", true },
    { "'*.b.test'", "'*.test'", "a.test", false },
    { "'*.b.test'", "'*.c.test'", "a.c.test", false },
};

Test(gateway_api, hostnames)
{
    for (size_t i = 0; i < COUNT_OF(hostnames); i++) {
        char listener[256], names[128] = "", question[128];
        begin();
        snprintf(listener, sizeof(listener), "{name: l, port: 8000, protocol: HTTP%s%s}",
                 hostnames[i].listener ? ", hostname: " : "",
                 hostnames[i].listener ? hostnames[i].listener : "");
        if (hostnames[i].route)
            snprintf(names, sizeof(names), ", hostnames: [%s]", hostnames[i].route);
        snprintf(question, sizeof(question), "GET %s /", hostnames[i].host);
        gateway(listener);
        route("name: r", names, "");
        must_load();
        cr_expect_eq(strcmp(kube_setup_name(&setup, question), "r") == 0, hostnames[i].taken, "%zu", i);
    }
}

Test(gateway_api, the_most_specific_listener_takes_all)
{
    gateway(
        "{name: any, port: 8000, protocol: HTTP}, {name: wild, port: 8000, hostname: '*.x.test', protocol: "
        "HTTP}, {name: exact, port: 8000, hostname: a.x.test, protocol: HTTP}, {name: other, port: 8001, "
        "protocol: HTTP}");
    append("---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: "
           "of-any}\nspec: "
           "{parentRefs: [{name: gw, sectionName: any}], rules: [{backendRefs: [{name: web, port: "
           "80}]}]}\n");
    append("---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: of-wild}\nspec: "
           "{parentRefs: [{name: gw, sectionName: wild}], hostnames: [a.x.test, b.x.test], rules: "
           "[{backendRefs: "
           "[{name: web, port: 80}]}]}\n");
    append("---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: "
           "of-port}\nspec: "
           "{parentRefs: [{name: gw, port: 8001}], rules: [{backendRefs: [{name: web, port: 80}]}]}\n");
    must_load();
    EXPECT("GET z.test /", "of-any");
    EXPECT("GET b.x.test /", "of-wild");
    EXPECT("GET c.x.test /", "404");
    EXPECT("GET a.x.test /", "404");
    struct kube_question question = { .text = "GET a.x.test /", .port = 8001 };
    const struct route *found = kube_setup_ask(&setup, &question);
    cr_expect(found && slice_equal(found->entity.name, SLICE("of-port")));
    cr_expect_eq(setup.config.model->listen_ports.count, 2);
}

Test(gateway_api, allowed_namespaces)
{
    gateway("{name: same, port: 8000, protocol: HTTP, hostname: same.test}, {name: all, port: 8000, "
            "protocol: HTTP, "
            "hostname: all.test, allowedRoutes: {namespaces: {from: All}}}, {name: some, port: 8000, "
            "protocol: HTTP, "
            "hostname: some.test, allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {a: "
            "b}}}}}, "
            "{name: kinds, port: 8000, protocol: HTTP, hostname: kinds.test, allowedRoutes: {kinds: [{kind: "
            "GRPCRoute}]}}");
    append("---\napiVersion: v1\nkind: Namespace\nmetadata: {name: n1, labels: {a: b}}\n");
    append("---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r, namespace: "
           "n1}\nspec: "
           "{parentRefs: [{name: gw, namespace: default}], rules: [{filters: [{type: RequestRedirect, "
           "requestRedirect: {scheme: https}}]}]}\n");
    append("---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r, namespace: "
           "n2}\nspec: "
           "{parentRefs: [{name: gw, namespace: default}], rules: [{filters: [{type: RequestRedirect, "
           "requestRedirect: {scheme: https}}]}]}\n");
    must_load();
    EXPECT("GET same.test /", "404");
    EXPECT("GET all.test /", "r.n1");
    EXPECT("GET some.test /", "r.n1");
    EXPECT("GET kinds.test /", "404");
}

/* --- filters ---------------------------------------------------------------------------------------- */

static const struct action *only_action(void)
{
    return setup.config.model->routes.items[0]->action;
}

static const struct {
    const char *prefix;
    enum path_edit_kind kind;
    const char *text;
} replacements[] = {
    { "type: ReplacePrefixMatch, replacePrefixMatch: /xyz", PATH_EDIT_SEGMENTS, "/xyz" },
    { "type: ReplacePrefixMatch, replacePrefixMatch: /xyz/", PATH_EDIT_SEGMENTS, "/xyz" },
    { "type: ReplacePrefixMatch, replacePrefixMatch: /", PATH_EDIT_SEGMENTS, "" },
    { "type: ReplacePrefixMatch, replacePrefixMatch: ''", PATH_EDIT_SEGMENTS, "" },
    { "type: ReplaceFullPath, replaceFullPath: /one/", PATH_EDIT_WHOLE, "/one/" },
};

Test(gateway_api, paths_are_replaced)
{
    for (size_t i = 0; i < COUNT_OF(replacements); i++) {
        char rule[512];
        snprintf(rule, sizeof(rule),
                 "matches: [{path: {value: /foo/}}], filters: [{type: URLRewrite, urlRewrite: {hostname: h, "
                 "path: "
                 "{%s}}}]",
                 replacements[i].prefix);
        begin();
        plain_gateway();
        route("name: r", "", rule);
        must_load();
        EXPECT("GET h /foo/bar", "r");
        cr_expect(slice_equal(setup.match.prefix, SLICE("/foo")));
        cr_expect_eq(only_action()->path.kind, replacements[i].kind);
        cr_expect(slice_equal(only_action()->path.text, slice_of(replacements[i].text)), "%zu", i);
        cr_expect_eq(only_action()->host.kind, HOST_EDIT_TEXT);
    }
}

Test(gateway_api, headers_redirects_and_times)
{
    plain_gateway();
    route("name: r", "",
          "timeouts: {request: 1m2.5s, backendRequest: 300ms}, retry: {codes: [500, 503], attempts: 3}, "
          "filters: "
          "[{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: a, value: '1'}], add: "
          "[{name: b, "
          "value: '2'}], remove: [c]}}, {type: ResponseHeaderModifier, responseHeaderModifier: {remove: "
          "[d]}}]");
    route("name: s", "",
          "matches: [{path: {value: /s}}], filters: [{type: RequestRedirect, requestRedirect: {scheme: "
          "https, "
          "hostname: x.test, port: 8443, statusCode: 301, path: {type: ReplacePrefixMatch, "
          "replacePrefixMatch: "
          "/t}}}]");
    must_load();
    const struct action *action = only_action();
    cr_expect_eq(action->timeout_ms, 62500);
    cr_expect_eq(action->retry->per_try_ms, 300);
    cr_expect_eq(action->retry->retries, 3);
    cr_expect_eq(action->retry->statuses[1], 503);
    cr_assert_eq(action->request.count, 3);
    cr_expect_eq(action->request.items[0].kind, HEADER_EDIT_SET);
    cr_expect_eq(action->request.items[1].kind, HEADER_EDIT_APPEND);
    cr_expect_eq(action->request.items[2].kind, HEADER_EDIT_REMOVE);
    cr_expect_eq(action->response.count, 1);
    const struct redirect *redirect = setup.config.model->routes.items[1]->action->redirect;
    cr_expect_eq(redirect->port, 8443);
    cr_expect_eq(redirect->status, 301);
    cr_expect_eq(redirect->path.kind, PATH_EDIT_SEGMENTS);
    cr_expect_eq(redirect->authority, REDIRECT_AUTHORITY_PARTS);
}

/* --- backends --------------------------------------------------------------------------------------- */

Test(gateway_api, backends)
{
    plain_gateway();
    append("---\napiVersion: v1\nkind: Service\nmetadata: {name: there, namespace: n1}\nspec: {ports: "
           "[{port: 81}]}\n"
           "---\napiVersion: v1\nkind: Service\nmetadata: {name: away, namespace: n1}\nspec: {ports: "
           "[{port: 81}]}\n"
           "---\napiVersion: v1\nkind: Endpoints\nmetadata: {name: web}\nsubsets: [{addresses: [{ip: "
           "10.0.0.9}], "
           "ports: [{port: 8080}]}]\n"
           "---\napiVersion: gateway.networking.k8s.io/v1beta1\nkind: ReferenceGrant\nmetadata: {name: g, "
           "namespace: n1}\nspec: {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: "
           "default}], "
           "to: [{group: '', kind: Service, name: there}]}\n");
    route("name: r", "",
          "backendRefs: [{name: web, port: 80, weight: 7}, {name: there, namespace: n1, port: 81, "
          "filters: [{type: "
          "RequestHeaderModifier, requestHeaderModifier: {remove: [x]}}]}, {name: away, namespace: n1, "
          "port: 81}, "
          "{name: none, port: 80}, {name: web, port: 81}, {kind: Bucket, name: web, port: 80}, {name: "
          "web, port: "
          "80, weight: 0}]");
    route("name: z", "", "matches: [{path: {value: /z}}], backendRefs: [{name: web, port: 80, weight: 0}]");
    must_load();
    const struct action *action = only_action();
    cr_assert_eq(action->backend_count, 7);
    cr_expect_eq(action->backends[0].weight, 7);
    const struct upstream *pods = action->backends[0].service->upstream;
    cr_assert_eq(pods->target_count, 1);
    cr_expect(slice_equal(pods->targets[0]->host, SLICE("10.0.0.9")));
    cr_expect_eq(pods->targets[0]->port, 8080);
    cr_expect_str_eq(kube_setup_backend(setup.config.model->routes.items[0], 1), "there.n1.svc");
    cr_expect_eq(action->backends[1].request.count, 1);
    for (uint32_t i = 2; i < 6; i++) {
        cr_expect_null(action->backends[i].service);
        cr_expect_eq(action->backends[i].status, 500);
    }
    cr_expect_eq(action->backends[6].weight, 0);
    cr_expect_eq(setup.config.model->routes.items[1]->action->status, 500);
}
