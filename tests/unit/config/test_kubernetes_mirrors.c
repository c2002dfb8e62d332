/* SPDX-License-Identifier: Apache-2.0 */
/* Which routes copy their requests, and where to: the shadows of Mappings, RequestMirror of HTTPRoutes. */
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

TestSuite(kubernetes_mirrors, .init = start, .fini = end);

/* The instance on the route that a request takes; NULL: none. */
static const struct plugin_instance *mirror_of(const char *request)
{
    struct kube_question question = { .text = request };
    const struct route *route = kube_setup_ask(&setup, &question);
    const struct plugin_instance *found = NULL;
    cr_assert_not_null(route, "%s", request);
    for (uint32_t i = 0; i < setup.config.model->plugins.count; i++) {
        const struct plugin_instance *one = setup.config.model->plugins.items[i];
        if (one->route == route && strcmp(one->kind->name, "request-mirror") == 0) {
            cr_expect_null(found, "%s: two", request);
            found = one;
        }
    }
    return found;
}

static const void *option(const struct plugin_instance *instance, const char *name)
{
    const struct field *field = schema_find(&instance->kind->config, slice_of(name));
    cr_assert_not_null(field);
    return (const char *)instance->config + field->offset;
}

static void expect_url(const char *request, const char *url)
{
    const struct plugin_instance *mirror = mirror_of(request);
    cr_assert_not_null(mirror, "%s", request);
    const struct slice *found = option(mirror, "url");
    cr_expect(slice_equal(*found, slice_of(url)), "%s: %.*s", request, SLICE_FORMAT(*found));
}

static bool load(const char *text)
{
    report_deinit(&setup.config.report);
    report_init(&setup.config.report);
    return kube_setup_load(&setup, text);
}

static void must_load(const char *text)
{
    if (!load(text)) {
        report_print(&setup.config.report, stderr);
        cr_assert_fail("not loaded");
    }
}

static void expect_report(const char *text)
{
    const struct report *report = &setup.config.report;
    for (uint32_t i = 0; i < report->count; i++)
        if (strstr(report->entries[i].reason, text))
            return;
    report_print(report, stderr);
    cr_expect_fail("nothing says: %s", text);
}

/* --- shadows ---------------------------------------------------------------------------------------- */

#define MAPPING(name, spec)                                                                   \
    "---\napiVersion: getambassador.io/v3alpha1\nkind: Mapping\nmetadata: {name: " name "}\n" \
    "spec: {hostname: '*', " spec "}\n"
#define PODS(name, addresses)                                                                       \
    "---\napiVersion: v1\nkind: Service\nmetadata: {name: " name "}\nspec: {ports: [{port: 80}]}\n" \
    "---\napiVersion: v1\nkind: Endpoints\nmetadata: {name: " name "}\n"                            \
    "subsets: [{addresses: [" addresses "], ports: [{port: 8080}]}]\n"

Test(kubernetes_mirrors, shadows)
{
    must_load(MAPPING("a", "prefix: /a/, service: a") MAPPING("a2", "prefix: /a/, service: a, weight: 10")
                  MAPPING("as", "prefix: /a/, service: 'x:81', shadow: true, weight: 30")
                      MAPPING("b", "prefix: /b/, service: b")
                          MAPPING("bs", "prefix: /b/, service: 'https://[::1]:82', shadow: true, "
                                        "host_redirect: true") MAPPING("c", "prefix: /c/, service: c")
                              MAPPING("d", "prefix: /d/, service: d, host_redirect: true")
                                  MAPPING("ds", "prefix: /d/, service: x, shadow: true"));
    expect_url("GET h /a/", "http://x:81");
    const struct plugin_instance *mirror = mirror_of("GET h /a/");
    cr_expect_float_eq(*(const double *)option(mirror, "percentage"), 30, 1e-9);
    cr_expect(*(const bool *)option(mirror, "ssl_verify"));
    expect_url("GET h /b/", "https://[::1]:82");
    mirror = mirror_of("GET h /b/");
    cr_expect_float_eq(*(const double *)option(mirror, "percentage"), 100, 1e-9);
    cr_expect_not(*(const bool *)option(mirror, "ssl_verify"), "as of any service without a TLSContext");
    cr_expect_null(mirror_of("GET h /c/"));
    cr_expect_null(mirror_of("GET h /d/"), "a redirect sends nothing");
}

Test(kubernetes_mirrors, pods_of_a_shadow)
{
    must_load(MAPPING("a", "prefix: /a/, service: a")
                  MAPPING("as", "prefix: /a/, service: one, resolver: endpoint, shadow: true")
                      MAPPING("b", "prefix: /b/, service: b")
                          MAPPING("bs", "prefix: /b/, service: none, resolver: endpoint, shadow: true")
                              PODS("one", "{ip: 10.0.0.1}") PODS("none", ""));
    expect_url("GET h /a/", "http://10.0.0.1:8080");
    cr_expect_null(mirror_of("GET h /b/"));
    expect_report("no pod is ready");
}

Test(kubernetes_mirrors, shadows_that_are_none)
{
    static const struct {
        const char *text, *reason;
    } rows[] = {
        { MAPPING("s", "prefix: /, service: s, shadow: true"), "no other Mapping" },
        { MAPPING("a", "prefix: /, service: s") MAPPING("s", "prefix: /, service: s, shadow: true")
              MAPPING("t", "prefix: /, service: s, shadow: true"),
          "Mapping/s shadows the same requests" },
        { MAPPING("a", "prefix: /, service: s")
              MAPPING("s", "prefix: /, service: s, shadow: true, bypass_auth: true"),
          "differs from Mapping/a" },
        { MAPPING("a", "prefix: /, service: s")
              MAPPING("s", "prefix: /, service: two, resolver: endpoint, shadow: true")
                  PODS("two", "{ip: 10.0.0.1}, {ip: 10.0.0.2}"),
          "several pods: not supported yet" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        cr_expect_not(load(rows[i].text), "%zu", i);
        expect_report(rows[i].reason);
    }
}

/* --- RequestMirror ---------------------------------------------------------------------------------- */

#define ROUTE(mirror)                                                                                  \
    "---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: g}\n"              \
    "spec: {gatewayClassName: c, listeners: [{name: l, port: 8000, protocol: HTTP}]}\n"                \
    "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r}\n"            \
    "spec: {parentRefs: [{name: g}], rules: [{backendRefs: [{name: web, port: 80}], "                  \
    "filters: [{type: RequestMirror, requestMirror: {" mirror "}}]}]}\n" PODS("web", "{ip: 10.0.0.1}") \
        PODS("copy", "{ip: 10.0.0.2}") PODS("two", "{ip: 10.0.0.3}, {ip: 10.0.0.4}")

Test(kubernetes_mirrors, shares_of_request_mirrors)
{
    static const struct {
        const char *text;
        double percentage;
    } rows[] = {
        { ROUTE("backendRef: {name: copy, port: 80}"), 100 },
        { ROUTE("backendRef: {name: copy, port: 80}, percent: 7"), 7 },
        { ROUTE("backendRef: {name: copy, port: 80}, percent: 0"), 0 },
        { ROUTE("backendRef: {name: copy, port: 80}, fraction: {numerator: 3}"), 3 },
        { ROUTE("backendRef: {name: copy, port: 80}, fraction: {numerator: 1, denominator: 8}"), 12.5 },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        must_load(rows[i].text);
        expect_url("GET h /", "http://10.0.0.2:8080");
        const double *percentage = option(mirror_of("GET h /"), "percentage");
        cr_expect_float_eq(*percentage, rows[i].percentage, 1e-9, "%zu: %f", i, *percentage);
    }
}

Test(kubernetes_mirrors, request_mirrors_that_are_left_out)
{
    static const struct {
        const char *text, *reason;
    } rows[] = {
        { ROUTE("backendRef: {name: none, port: 80}"), "there is no such Service: nothing is copied" },
        { ROUTE("backendRef: {name: copy, port: 81}"), "has no such port: nothing is copied" },
        { ROUTE("backendRef: {name: copy, port: 80, namespace: away}"), "RefNotPermitted" },
        { ROUTE("backendRef: {name: copy, kind: Bucket}"), "InvalidKind" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        must_load(rows[i].text);
        cr_expect_null(mirror_of("GET h /"), "%zu", i);
        expect_report(rows[i].reason);
    }
}

Test(kubernetes_mirrors, request_mirrors_that_are_wrong)
{
    static const struct {
        const char *text, *reason;
    } rows[] = {
        { ROUTE("percent: 1"), "required field missing" },
        { ROUTE("backendRef: {name: copy}"), "required field missing" },
        { ROUTE("backendRef: {name: copy, port: 80}, percent: 101"), "between 0 and 100" },
        { ROUTE("backendRef: {name: copy, port: 80}, percent: 1, fraction: {numerator: 1}"),
          "beside percent" },
        { ROUTE("backendRef: {name: copy, port: 80}, fraction: {numerator: 101}"),
          "greater than denominator" },
        { ROUTE("backendRef: {name: copy, port: 80}, fraction: {numerator: 1, denominator: 0}"),
          "between 1" },
        { ROUTE("backendRef: {name: two, port: 80}"), "several pods: not supported yet" },
        { ROUTE("backendRef: {name: copy, port: 80}}}, {type: RequestMirror, "
                "requestMirror: {backendRef: {name: copy, port: 80}"),
          "second filter" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        cr_expect_not(load(rows[i].text), "%zu", i);
        expect_report(rows[i].reason);
    }
}
