# SPDX-License-Identifier: Apache-2.0
"""Emissary's resources as clients see them: the mission's file, order, canaries, Hosts, filters, reload."""
import signal

from tests.e2e.test_jwt_authorizer import AUDIENCE, ISSUER, Provider, claims
from tests.support import client, net, origin, tokens
from tests.support.gateway import Folder, Running, SETTINGS, run, set_options

MISSION = """\
apiVersion: getambassador.io/v3
kind: Mapping
metadata: {name: user-service-mapping}
spec: {hostname: api.example.com, prefix: /api/v1/users, service: "user-service:8080", \
rewrite: /api/v1/users, weight: 100, bypass_auth: false, timeout_ms: 3000}
---
apiVersion: getambassador.io/v3
kind: Filter
metadata: {name: jwt-filter}
spec: {JWT: {jwksURI: "https://auth.example.com/.well-known/jwks.json", \
providerURL: "https://auth.example.com"}}
"""
KONG = """\
_format_version: "3.0"
services:
  - {name: k, url: "http://user-service:8080", routes: [{name: kr, paths: [/kong], strip_path: true}]}
"""


def resource(kind, name, spec):
    return ("---\napiVersion: getambassador.io/v3alpha1\nkind: %s\nmetadata: {name: %s}\nspec: {%s}\n"
            % (kind, name, spec))


def mapping(name, spec):
    return resource("Mapping", name, "hostname: '*', " + spec)


class Kube(Running):
    """A gateway over the files {name: text}."""

    def __init__(self, files, settings=None):
        folder = Folder()
        self.objects = Folder()
        for name, text in files.items():
            self.objects.file(name, text)
        self.address = net.own_host(), net.free_port()
        merged = {"proxy_listen": "%s:%d" % self.address, **SETTINGS, **(settings or {})}
        super().__init__(["run", "-c", self.objects.path, *set_options(merged)], folder)

    def kill(self):
        super().kill()
        self.objects.close()

    def get(self, target="/", headers=(), host="test", port=None):
        return client.get((self.address[0], port or self.address[1]), target, headers, host)


def test_the_missions_file(t):
    """The file as it stands, beside a Kong file, and reloaded."""
    with Folder() as folder, origin.Origin(port=8080) as upstream:
        hosts = folder.file("hosts", "127.0.0.1 localhost\n%s user-service\n" % net.own_host())
        with Kube({"a.yaml": MISSION, "b.yaml": KONG}, {"dns_hostsfile": hosts}) as gateway:
            answer = gateway.get("/api/v1/users/42?x=1", host="api.example.com")
            assert answer.status == 200
            assert upstream.requests[-1].target == "/api/v1/users/42?x=1"
            assert upstream.requests[-1].get("Host") == "api.example.com"
            assert gateway.get("/api/v1/users", host="other.example.com").status == 404
            assert gateway.get("/kong/x").status == 200
            assert upstream.requests[-1].target == "/x"
            gateway.objects.file("a.yaml", MISSION.replace("rewrite: /api/v1/users", "rewrite: /v2"))
            gateway.send_signal(signal.SIGHUP)

            def changed():
                gateway.get("/api/v1/users/7", host="api.example.com")
                return upstream.requests[-1].target == "/v2/7"
            net.wait_until(changed, 10, lambda: "the changed rewrite: " + upstream.requests[-1].target)


def test_canary(t):
    """One share in ten goes to the canary; headers of both are added; each Mapping may rewrite in its own way."""
    with origin.Origin() as stable, origin.Origin() as canary:
        text = (mapping("stable", "prefix: /a/, service: '%s:%d', add_request_headers: {x: {value: '1'}}"
                        % stable.address)
                + mapping("canary", "prefix: /a/, rewrite: /c/, weight: 10, service: '%s:%d'" % canary.address))
        with Kube({"a.yaml": text}) as gateway:
            with client.Connection(gateway.address) as connection:
                for _ in range(2000):
                    assert connection.exchange(client.encode("GET", "/a/x")).status == 200
            share = len(canary.requests)
            assert 110 <= share <= 300, "%d of 2000 went to the canary" % share  # else by chance once in 1e10 times
            assert {r.target for r in stable.requests} == {"/x"}
            assert {r.target for r in canary.requests} == {"/c/x"}
            assert {r.get("x") for r in canary.requests} == {"1"}


def test_hosts_and_listeners(t):
    """A Listener opens its port; insecure requests are redirected, rejected or routed as the Host says."""
    port = net.free_port()
    with origin.Origin() as upstream:
        listener = "port: %d, protocol: HTTP, securityModel: XFP, hostBinding: {namespace: {from: ALL}}" % port
        text = (resource("Listener", "l", listener)
                + resource("Host", "r", "hostname: r.test")
                + resource("Host", "j", "hostname: j.test, requestPolicy: {insecure: {action: Reject}}")
                + resource("Host", "o", "hostname: o.test, requestPolicy: {insecure: {action: Route}}")
                + mapping("m", "prefix: /m/, service: '%s:%d'" % upstream.address))
        with Kube({"a.yaml": text}) as gateway:
            assert gateway.get("/m/x", host="o.test", port=port).status == 200
            assert gateway.get("/m/x", host="o.test").status == 404
            assert gateway.get("/m/x", host="j.test", port=port).status == 404
            assert gateway.get("/x", host="o.test", port=port).status == 404
            answer = gateway.get("/m/x?y=1", host="r.test", port=port)
            assert answer.status == 301
            assert answer.get("Location") == "https://r.test/m/x?y=1"


def test_jwt_filter(t):
    """A policy's Filter guards what its rule covers, and not what bypasses it."""
    with origin.Origin() as upstream, Provider() as provider:
        private = provider.add("RS256", "one")
        text = (resource("Filter", "f", "JWT: {jwksURI: '%s/jwks', issuer: '%s', audience: %s}"
                         % (provider.url, ISSUER, AUDIENCE))
                + resource("FilterPolicy", "p", "rules: [{path: /open/*}, "
                           "{filters: [{name: f, arguments: {scope: [read]}}]}]")
                + mapping("m", "prefix: /, service: '%s:%d'" % upstream.address)
                + mapping("b", "prefix: /bypass/, bypass_auth: true, service: '%s:%d'" % upstream.address))

        def bearer(**changes):
            token = tokens.signed(claims(**changes), private, "RS256", kid="one")
            return [("Authorization", "Bearer " + token)]
        with Kube({"a.yaml": text}) as gateway:
            assert gateway.get("/x").status == 401
            assert gateway.get("/x", bearer()).status == 200
            assert gateway.get("/x", bearer(exp=1)).status == 401
            assert gateway.get("/x", bearer(aud="other")).status == 401
            assert gateway.get("/x", bearer(aud=None)).status == 200
            assert gateway.get("/x", bearer(scope="write")).status == 403
            assert gateway.get("/open/x").status == 200
            assert gateway.get("/bypass/x").status == 200


def test_broken(t):
    """Errors have their place; a running gateway keeps what it has."""
    with Folder() as folder:
        path = folder.file("a.yaml", mapping("x", "prefix: /, service: s, weight: 101, grpc: true"))
        done = run("check", "-c", path)
        assert done.returncode == 1
        assert "%s:5:54: Mapping/x.spec.weight: " % path in done.stderr, done.stderr
        assert "Mapping/x.spec.grpc: not supported yet" in done.stderr, done.stderr


def test_shadow(t):
    """A copy goes to another service, with -shadow behind its Host, and changes nothing else."""
    with origin.Origin() as upstream, origin.Origin() as shadow, origin.Origin() as canary:
        files = {"a.yaml": mapping("a", "prefix: /a/, rewrite: /b/, service: '%s:%d'" % upstream.address)
                 + mapping("c", "prefix: /a/, rewrite: /b/, weight: 0, service: '%s:%d'" % canary.address)
                 + mapping("s", "prefix: /a/, shadow: true, service: '%s:%d'" % shadow.address)
                 + mapping("o", "prefix: /o/, service: '%s:%d'" % upstream.address)}
        with Kube(files) as gateway, t.case("a copy"):
            for _ in range(3):
                assert gateway.get("/a/x?q=1", host="test:80").status == 200
            assert gateway.get("/o/x").status == 200
            net.wait_until(lambda: len(shadow.requests) == 3, what="copies")
            copy = shadow.requests[0]
            assert (copy.target, copy.get("Host")) == ("/b/x?q=1", "test-shadow:80"), copy
            assert len(upstream.requests) == 4 and not canary.requests
        with Folder() as folder:
            for name, spec, message in (("none", "prefix: /z/, shadow: true, service: x", "no other Mapping"),
                                        ("two", "prefix: /a/, shadow: true, service: x", "shadows the same")):
                with t.case(name):
                    folder.file("a.yaml", files["a.yaml"] + mapping("z", spec))
                    done = run("check", "-c", folder.path)
                    assert done.returncode == 1 and message in done.stdout + done.stderr, done.stdout
