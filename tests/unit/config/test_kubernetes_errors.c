/* SPDX-License-Identifier: Apache-2.0 */
/* Broken Kubernetes objects: each is answered with its place and the object's name. */
#include "tests/support/kube_setup.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct kube_setup setup;

static void start(void)
{
    kube_setup_init(&setup);
}

static void end(void)
{
    kube_setup_deinit(&setup);
}

TestSuite(kubernetes_errors, .init = start, .fini = end);

#define EMISSARY(kind, spec) \
    "apiVersion: getambassador.io/v3alpha1\nkind: " kind "\nmetadata: {name: x}\nspec:\n  " spec "\n"
#define GATEWAY(kind, spec) \
    "apiVersion: gateway.networking.k8s.io/v1\nkind: " kind "\nmetadata: {name: x}\nspec:\n  " spec "\n"
#define MAPPING(rest) EMISSARY("Mapping", "{hostname: '*', prefix: /, service: s, " rest "}")
#define RULE(rest) GATEWAY("HTTPRoute", "{parentRefs: [{name: g}], rules: [{" rest "}]}")

static const struct {
    const char *text;
    uint32_t line, column;
    const char *path, *reason;
} broken[] = {
    { MAPPING("weight: 101"), 5, 50, "Mapping/x.spec.weight", "between 0 and 100" },
    { MAPPING("timeout_ms: soon"), 5, 54, "Mapping/x.spec.timeout_ms", "expected an integer" },
    { MAPPING("headers: {a: [b]}"), 5, 55, "Mapping/x.spec.headers.a", "expected a string" },
    { MAPPING("headers: {a: true}"), 5, 55, "Mapping/x.spec.headers.a", "expected a string" },
    { MAPPING("shadow: true"), 5, 50, "Mapping/x.spec.shadow", "no other Mapping" },
    { MAPPING("grpc: true"), 5, 48, "Mapping/x.spec.grpc", "not supported yet" },
    { MAPPING("cors: {origins: ['*']}"), 5, 48, "Mapping/x.spec.cors", "not supported yet" },
    { MAPPING("labels: {ambassador: []}"), 5, 50, "Mapping/x.spec.labels", "not supported yet" },
    { MAPPING("regex_rewrite: {pattern: '(', substitution: a}"), 5, 57, "Mapping/x.spec.regex_rewrite",
      "invalid regex" },
    { MAPPING("regex_rewrite: {pattern: 'a(?=b)', substitution: a}"), 5, 57, "Mapping/x.spec.regex_rewrite",
      "is not allowed" },
    { MAPPING("regex_rewrite: {pattern: 'a', substitution: '\\1'}"), 5, 57, "Mapping/x.spec.regex_rewrite",
      "no group 1" },
    { MAPPING("retry_policy: {retry_on: sometimes}"), 5, 67, "Mapping/x.spec.retry_policy.retry_on",
      "expected one of" },
    { MAPPING("load_balancer: {policy: ring_hash}"), 5, 66, "Mapping/x.spec.load_balancer.policy",
      "needs one of" },
    { MAPPING("load_balancer: {policy: round_robin}"), 5, 57, "Mapping/x.spec.load_balancer",
      "needs the resolver" },
    { MAPPING("resolver: nowhere"), 5, 52, "Mapping/x.spec.resolver", "there is no resolver" },
    { MAPPING("resolver: endpoint"), 5, 39, "Mapping/x.spec.service", "there is no Service 's'" },
    { MAPPING("redirect_response_code: 300"), 5, 66, "Mapping/x.spec.redirect_response_code",
      "expected one of" },
    { MAPPING("path_redirect: /a"), 5, 57, "Mapping/x.spec.path_redirect", "needs host_redirect" },
    { MAPPING("prefix_exact: true, prefix_regex: true"), 5, 56, "Mapping/x.spec.prefix_exact",
      "stands beside prefix_regex" },
    { MAPPING("add_request_headers: {host: a}"), 5, 64, "Mapping/x.spec.add_request_headers.host",
      "cannot be set" },
    { MAPPING("add_request_headers: {a: '%REQ(x)%'}"), 5, 67, "Mapping/x.spec.add_request_headers.a",
      "an operator like %...%" },
    { EMISSARY("Mapping", "{prefix: a, service: s}"), 5, 12, "Mapping/x.spec.prefix",
      "should start "
      "with /" },
    { EMISSARY("Mapping", "{prefix: /}"), 5, 3, "Mapping/x.spec.service", "required field missing" },
    { EMISSARY("Mapping", "{prefix: /, service: 's:99999'}"), 5, 24, "Mapping/x.spec.service",
      "no number from 1 to 65535" },
    { EMISSARY("Mapping", "{prefix: /, service: s, hostname: 'a*b'}"), 5, 37, "Mapping/x.spec.hostname",
      "a star may stand" },
    { EMISSARY("Host", "{tlsSecret: {name: s}}"), 5, 15, "Host/x.spec.tlsSecret", "not supported yet" },
    { EMISSARY("Host", "{requestPolicy: {insecure: {action: redirect}}}"), 5, 39,
      "Host/x.spec.requestPolicy.insecure.action", "expected one of" },
    { EMISSARY("Listener", "{port: 8080, protocol: HTTP, securityModel: XFP}"), 5, 3,
      "Listener/x.spec.hostBinding", "needs namespace, selector or both" },
    { EMISSARY("Listener", "{port: 8080, protocol: TCP, securityModel: XFP, hostBinding: {selector: "
                           "{}}}"),
      5, 26, "Listener/x.spec.protocol", "TCP: not supported yet" },
    { EMISSARY("Listener", "{port: 0, protocol: HTTP, securityModel: XFP, hostBinding: {selector: "
                           "{}}}"),
      5, 10, "Listener/x.spec.port", "between 1 and 65535" },
    { EMISSARY("TCPMapping", "{port: 1}"), 2, 7, "TCPMapping/x.kind", "not supported yet" },
    { EMISSARY("Maping", "{}"), 2, 7, "Maping/x.kind", "unknown kind" },
    { EMISSARY("Filter", "{OAuth2: {}}"), 5, 12, "Filter/x.spec.OAuth2", "not supported yet" },
    { EMISSARY("Filter", "{JWT: {audience: a}}"), 5, 9, "Filter/x.spec.JWT.jwksURI",
      "required field "
      "missing" },
    { EMISSARY("FilterPolicy", "{rules: [{filters: [{name: f}]}]}"), 5, 30,
      "FilterPolicy/x.spec.rules[0].filters[0].name", "there is no Filter 'f'" },
    { "apiVersion: getambassador.io/v9\nkind: Mapping\nmetadata: {name: x}\n", 1, 13, "Mapping/x.apiVersion",
      "unknown version" },
    { "apiVersion: getambassador.io/v2\nkind: Mapping\nspec: {}\n", 1, 1, "Mapping.metadata.name",
      "required field missing" },
    { MAPPING("weight: 1") "---\n" MAPPING("weight: 1"), 9, 18, "Mapping/x.metadata.name",
      "already "
      "declared" },
    { GATEWAY("Gateway", "{gatewayClassName: c, listeners: [{name: l, port: 443, protocol: HTTPS}]}"), 5, 68,
      "Gateway/x.spec.listeners[0].protocol", "HTTPS: not supported yet" },
    { GATEWAY("Gateway", "{gatewayClassName: c, listeners: []}"), 5, 36, "Gateway/x.spec.listeners",
      "required field missing" },
    { GATEWAY("GRPCRoute", "{}"), 2, 7, "GRPCRoute/x.kind", "not supported yet" },
    { RULE("filters: [{type: ExternalAuth}]"), 5, 55, "HTTPRoute/x.spec.rules[0].filters[0].type",
      "not supported yet" },
    { RULE("filters: [{type: RequestMirror}]"), 5, 48, "HTTPRoute/x.spec.rules[0].filters[0].requestMirror",
      "required field missing" },
    { RULE("filters: [{type: Rewrite}]"), 5, 55, "HTTPRoute/x.spec.rules[0].filters[0].type",
      "expected one of" },
    { RULE("matches: [{path: {value: a}}]"), 5, 63, "HTTPRoute/x.spec.rules[0].matches[0].path.value",
      "should start with /" },
    { RULE("backendRefs: [{name: s, port: 1, weight: -1}]"), 5, 79,
      "HTTPRoute/x.spec.rules[0].backendRefs[0].weight", "between 0 and 1000000" },
    { RULE("timeouts: {request: 1s, backendRequest: 2s}"), 5, 78,
      "HTTPRoute/x.spec.rules[0].timeouts.backendRequest", "longer than request" },
    { RULE("filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: "
           "/a}}}], matches: [{path: {type: Exact, value: /a}}]"),
      5, 47, "HTTPRoute/x.spec.rules[0].filters", "exactly one match" },
};

static const struct report_entry *find(const char *path)
{
    const struct report *report = &setup.config.report;
    for (uint32_t i = 0; i < report->count; i++)
        if (report->entries[i].kind == REPORT_ERROR && strcmp(report->entries[i].path, path) == 0)
            return &report->entries[i];
    return NULL;
}

Test(kubernetes_errors, each_has_its_place)
{
    for (size_t i = 0; i < COUNT_OF(broken); i++) {
        report_deinit(&setup.config.report);
        report_init(&setup.config.report);
        cr_expect_not(kube_setup_load(&setup, broken[i].text), "%s", broken[i].text);
        const struct report_entry *entry = find(broken[i].path);
        if (entry == NULL)
            report_print(&setup.config.report, stderr);
        cr_expect(entry, "%zu: nothing about %s", i, broken[i].path);
        if (entry == NULL)
            continue;
        cr_expect(entry->line == broken[i].line && entry->column == broken[i].column, "%zu: %s at %u:%u", i,
                  entry->path, entry->line, entry->column);
        cr_expect(!broken[i].reason || strstr(entry->reason, broken[i].reason), "%zu: %s", i, entry->reason);
    }
}

Test(kubernetes_errors, unknown_fields_are_warnings)
{
    cr_assert(kube_setup_load(&setup, MAPPING("wieght: 5, retry_policy: {retry_on: 5xx, often: true}")));
    cr_expect(config_setup_reported(&setup.config, 5, "Mapping/x.spec.wieght", "did you mean 'weight'?"));
    cr_expect(config_setup_reported(&setup.config, 5, "Mapping/x.spec.retry_policy.often",
                                    "unknown "
                                    "field"));
    cr_assert(kube_setup_load(&setup, "{apiVersion: apps/v1, kind: Deployment, metadata: {name: d}}"));
    cr_expect(config_setup_reported(&setup.config, 1, "Deployment/d", "no part of routing"));
}

Test(kubernetes_errors, lists_and_the_flat_form)
{
    cr_assert(kube_setup_load(
        &setup, "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: getambassador.io/v2, kind: Mapping, "
                "name: flat, "
                "prefix: /f, service: s, host: h, headers: {x: true}}\n"));
    cr_expect_str_eq(kube_setup_name(&setup, "GET h /f\nx: anything"), "flat");
    cr_expect_str_eq(kube_setup_name(&setup, "GET h /f"), "-");
    cr_expect_eq(setup.config.report.count, 0);
}
