# SPDX-License-Identifier: Apache-2.0
"""The Gateway API's objects as clients see them: matches, rewrites, redirects, weights, endpoints."""
from tests.e2e.test_emissary import Kube
from tests.support import client, net, origin


def document(kind, name, spec, version="gateway.networking.k8s.io/v1", body="spec"):
    return "---\napiVersion: %s\nkind: %s\nmetadata: {%s}\n%s: {%s}\n" % (version, kind, name, body, spec)


def service(name, upstream):
    """A Service with its pod in an EndpointSlice."""
    return (document("Service", "name: " + name, "ports: [{port: 80}]", "v1")
            + "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
              "metadata: {name: %s-1, labels: {kubernetes.io/service-name: %s}}\naddressType: IPv4\n"
              "ports: [{port: %d}]\nendpoints: [{addresses: [%s]}]\n"
            % (name, name, upstream.address[1], upstream.address[0]))


def gateway_of(port, hostname=""):
    spec = "gatewayClassName: c, listeners: [{name: l, port: %d, protocol: HTTP%s}]" % (port, hostname)
    return document("Gateway", "name: gw", spec)


def test_routes(t):
    """A route as most are: prefix, rewrite, headers, redirect, and a port of its own."""
    port = net.free_port()
    with origin.Origin() as upstream:
        rules = ("{matches: [{path: {value: /foo}}], backendRefs: [{name: web, port: 80}], filters: ["
                 "{type: URLRewrite, urlRewrite: {hostname: up.test, "
                 "path: {type: ReplacePrefixMatch, replacePrefixMatch: /xyz}}}, "
                 "{type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: x-r, value: '1'}]}}]}, "
                 "{matches: [{path: {value: /gone}}], filters: [{type: RequestRedirect, requestRedirect: "
                 "{hostname: n.test, port: 8080, statusCode: 301, "
                 "path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}]}")
        text = (service("web", upstream) + gateway_of(port)
                + document("HTTPRoute", "name: r",
                           "parentRefs: [{name: gw}], hostnames: ['*.test'], rules: [%s]" % rules))
        with Kube({"a.yaml": text}) as gateway:
            for target, sent in (("/foo/bar", "/xyz/bar"), ("/foo", "/xyz"), ("/foo/", "/xyz/")):
                answer = gateway.get(target, host="a.test:%d" % port, port=port)
                assert (answer.status, answer.get("x-r")) == (200, "1")
                assert upstream.requests[-1].target == sent
                assert upstream.requests[-1].get("Host") == "up.test"
            assert gateway.get("/foobar", host="a.test", port=port).status == 404
            assert gateway.get("/foo", host="test", port=port).status == 404
            answer = gateway.get("/gone/x?y=1", host="a.test", port=port)
            assert (answer.status, answer.get("Location")) == (301, "http://n.test:8080/x?y=1")


def test_backends(t):
    """Weights, a share that nobody can answer, and pods that are not ready."""
    port = net.free_port()
    with origin.Origin() as one, origin.Origin() as two:
        text = (service("one", one) + service("two", two) + gateway_of(port)
                + document("Service", "name: empty", "ports: [{port: 80}]", "v1")
                + "---\napiVersion: v1\nkind: Endpoints\nmetadata: {name: empty}\nsubsets: []\n"
                + document("HTTPRoute", "name: r",
                           "parentRefs: [{name: gw}], rules: ["
                           "{backendRefs: [{name: one, port: 80, weight: 8}, {name: two, port: 80, weight: 1}, "
                           "{name: none, port: 80, weight: 1}]}, "
                           "{matches: [{path: {value: /empty}}], backendRefs: [{name: empty, port: 80}]}, "
                           "{matches: [{path: {value: /zero}}], "
                           "backendRefs: [{name: one, port: 80, weight: 0}]}]"))
        with Kube({"a.yaml": text}) as gateway:
            statuses = []
            with client.Connection((gateway.address[0], port)) as connection:
                for _ in range(1000):
                    statuses.append(connection.exchange(client.encode("GET", "/")).status)
            failed = statuses.count(500)
            assert len(one.requests) + len(two.requests) + failed == 1000
            # by chance outside of it: once in 1e10 times
            assert 45 <= failed <= 170, "%d of 1000 failed" % failed
            assert 45 <= len(two.requests) <= 170, "%d of 1000 went to the second" % len(two.requests)
            assert gateway.get("/empty", port=port).status == 503
            assert gateway.get("/zero", port=port).status == 500


def test_mirror(t):
    """A copy of each request goes to another Service, as it goes upstream; a share of none goes nowhere."""
    port = net.free_port()
    with origin.Origin() as upstream, origin.Origin() as mirror:
        copy = "{type: RequestMirror, requestMirror: {backendRef: {name: copy, port: 80}%s}}"
        rules = ("{matches: [{path: {value: /a}}], backendRefs: [{name: web, port: 80}], filters: [" + copy % ""
                 + ", {type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /b}}}]}, "
                 "{matches: [{path: {value: /none}}], backendRefs: [{name: web, port: 80}], "
                 "filters: [" + copy % ", percent: 0" + "]}, "
                 "{matches: [{path: {value: /half}}], backendRefs: [{name: web, port: 80}], "
                 "filters: [" + copy % ", fraction: {numerator: 1, denominator: 2}" + "]}")
        text = (service("web", upstream) + service("copy", mirror) + gateway_of(port)
                + document("HTTPRoute", "name: r", "parentRefs: [{name: gw}], rules: [%s]" % rules))
        with Kube({"a.yaml": text}) as gateway:
            assert gateway.get("/none", port=port).status == 200
            assert gateway.get("/a/x?y=1", host="a.test", port=port).status == 200
            net.wait_until(lambda: mirror.requests, what="a copy")
            assert (mirror.requests[0].target, mirror.requests[0].get("Host")) == ("/b/x?y=1", "a.test")
            with client.Connection((gateway.address[0], port)) as connection:
                for _ in range(200):
                    assert connection.exchange(client.encode("GET", "/half")).status == 200
            assert gateway.get("/a/last", port=port).status == 200
            net.wait_until(lambda: any(r.target == "/b/last" for r in mirror.requests), what="the last copy")
            share = sum(r.target == "/half" for r in mirror.requests)
            assert 50 <= share <= 150, "%d of 200 were copied" % share
            assert not any(r.target == "/none" for r in mirror.requests)
            assert len(upstream.requests) == 203
