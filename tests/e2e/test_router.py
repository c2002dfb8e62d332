# SPDX-License-Identifier: Apache-2.0
"""Routes as requests meet them: expressions, the explanation of a choice, hostile patterns and paths."""
import json
import time

from tests.support import client, gateway, net, origin
from tests.support.gateway import Folder, Gateway


def config(url, routes):
    return {"_format_version": "3.0", "services": [{"name": "s", "url": url, "routes": routes}]}


EXPRESSIONS = [
    {"name": "classic", "paths": ["/a"]},
    {"name": "prefix", "expression": 'http.path ^= "/a/b"'},
    {"name": "regex", "expression": r'http.path ~ r#"^/r/(?<id>\d+)"# && net.src.ip in 127.0.0.0/8'},
    {"name": "query", "priority": 5,
     "expression": '(http.queries.v == "2" || any(http.headers.x_v) == "2") && http.path ^= "/a"'},
    {"name": "http-only", "protocols": ["http"], "expression": 'http.path == "/plain"', "strip_path": False},
    {"name": "destination", "expression": 'net.dst.ip in 127.0.0.0/8 && http.path == "/dst"', "strip_path": False},
]

# target, header fields, the path the upstream sees; None: no route
REQUESTS = [
    ("/a/x", [], "/x"),
    ("/a/b/c", [], "/c"),
    ("/r/123/x", [], "/x"),
    ("/r/x", [], None),
    ("/a/b/c?v=2", [], "/b/c?v=2"),
    ("/a/b/c", [("X-V", "1"), ("X-V", "2")], "/b/c"),
    ("/plain", [], "/plain"),
    ("/dst", [], "/dst"),
]


def test_expressions(t):
    with origin.Origin() as upstream, \
            Gateway(config(upstream.url, EXPRESSIONS), {"router_flavor": "expressions"}) as running:
        for target, fields, path in REQUESTS:
            with t.case(target + str(fields)), running.connect() as c:
                upstream.take()
                c.send(client.encode("GET", target, fields))
                answer = c.read()
                assert answer.status == (404 if path is None else 200), answer
                assert [r.target for r in upstream.take()] == ([] if path is None else [path])


WRONG = [
    ('http.path ^= "/a" &&', "Router Expression failed validation: expected a field at 1:21 of the expression"),
    ('net.foo == 1', "Router Expression failed validation: Unknown LHS field at 1:1 of the expression"),
]


def test_errors_have_places(t):
    with Folder() as folder:
        for text, reason in WRONG:
            with t.case(text):
                path = folder.file("a.json", json.dumps(config("http://h", [{"expression": text}])))
                done = gateway.run("check", "-c", path, "--set", "router_flavor=expressions")
                assert done.returncode == 1 and reason in done.stderr, done.stderr
        with t.case("another flavor"):
            path = folder.file("a.json", json.dumps(config("http://h", EXPRESSIONS)))
            done = gateway.run("check", "-c", path)
            assert done.returncode == 1 and "belongs to router_flavor 'expressions'" in done.stderr, done.stderr


def test_streams(t):
    """Routes for streams load, and take no request."""
    routes = [{"name": "web", "paths": ["/a"]},
              {"name": "tcp", "protocols": ["tcp"], "destinations": [{"ip": "10.0.0.0/8", "port": 9000}]},
              {"name": "sni", "protocols": ["tls_passthrough"], "snis": ["*.x.test"]}]
    with Folder() as folder, t.case("check"):
        done = gateway.run("check", "-c", folder.file("a.json", json.dumps(config("http://h", routes))))
        assert done.returncode == 0 and not done.stderr, done.stderr


def test_explain(t):
    routes = EXPRESSIONS + [{"name": "scanned", "expression": 'http.method == "POST"'}]
    with Folder() as folder:
        arguments = ["-c", folder.file("a.json", json.dumps(config("http://h.test", routes))),
                     "--set", "router_flavor=expressions"]
        with t.case("text"):
            done = gateway.run("explain", "GET", "http://x.test/a/b/c", *arguments)
            assert "-> prefix" in done.stdout and "kinds 1 (paths), prefix of 2 bytes" in done.stdout, done.stdout
            assert 'not true: (http.queries.v == "2"' in done.stdout, done.stdout
            assert done.stdout.count("asked of every request") == 1, done.stdout
        with t.case("JSON"):
            done = gateway.run("explain", "POST", "http://x.test/r/7/y?q=1", "--json", *arguments)
            found = json.loads(done.stdout)
            ranks = [one["priority"] for one in found["candidates"]]
            assert len(ranks) == len(routes) and ranks == sorted(ranks, reverse=True), found
            assert found["candidates"][0]["priority_parts"] == "expression of priority 5", found
            assert found["route"]["name"] == "scanned" and found["prefix"] is None, found
            assert found["upstream"]["url"] == "http://h.test/r/7/y?q=1", found


def test_hostile_patterns(t):
    """Whatever a path does to a regex, the others are served at once, and the limit is counted."""
    routes = [{"name": "r%d" % i, "paths": ["~/(a|aa)+$"]} for i in range(20)] + [{"paths": ["/"]}]
    status = (net.own_host(), net.free_port())
    with origin.Origin() as upstream, \
            Gateway(config(upstream.url, routes), {"status_listen": "%s:%d" % status}) as running:
        began = time.monotonic()
        for _ in range(10):
            assert running.get("/" + "a" * 4000 + "b").status == 200
        assert time.monotonic() - began < 10 * net.SLOW_FACTOR

        def overruns():
            text = client.get(status, "/metrics").body.decode()
            lines = [line for line in text.splitlines() if "regex_overruns" in line and line[0] != "#"]
            return int(lines[0].split()[-1])
        with t.case("metric"):
            net.wait_until(lambda: overruns() >= 10, what=lambda: "10 overruns: %d" % overruns())
