# SPDX-License-Identifier: Apache-2.0
"""The admin and status listeners: endpoints, who may ask, limits; `status` that asks them."""
import contextlib
import json
import re

from tests.support import client, gateway, net, origin
from tests.support.gateway import Gateway, simple_config

METRIC_LINE = re.compile(r'sluice_(\w+?)(?:\{shard="(\d+)"\})? (\d+)$')


@contextlib.contextmanager
def listening(**settings):
    """(gateway, admin address, status address)"""
    admin, status = ((net.own_host(), net.free_port()) for _ in range(2))
    listen = {"admin_listen": "%s:%d" % admin, "status_listen": "%s:%d" % status,
              "admin_allowed_hosts": "admin.test", **settings}
    with origin.Origin() as upstream:
        with Gateway(simple_config(upstream.url), listen) as running:
            yield running, admin, status


def body(answer, status=200):
    assert answer.status == status, answer
    assert answer.get("content-type") == "application/json; charset=utf-8", answer
    return json.loads(answer.body)


def test_endpoints(t):
    with listening() as (running, admin, status):
        with t.case("root"):
            answer = client.get(admin, "/", host="localhost")
            root = body(answer)
            assert root["tagline"] == "Welcome to sluice" and root["pids"]["master"] == running.pid, root
            assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", root["node_id"]), root
            assert root["configuration"]["admin_listen"] == "%s:%d" % admin, root
            assert "jwt" in root["plugins"]["available_on_server"], root
            assert re.fullmatch(r"\d+", answer.get("x-kong-admin-latency")), answer
            assert answer.get("server").startswith("sluice/"), answer
        with t.case("root is not for the status listener"):
            assert body(client.get(status, "/"), 404) == {"message": "Not found"}
        with t.case("ready"):
            answer = client.get(status, "/status/ready")
            assert body(answer) == {"message": "ready"}
            assert "x-kong-admin-latency" not in answer.fields, answer
        for name, target, code in (("unknown", "/nope", 404), ("query", "/status?unit=m", 200),
                                   ("slash at the end", "/status/", 200), ("escaped", "/%73tatus", 200)):
            with t.case(name):
                body(client.get(status, target), code)
        with t.case("method"):
            answer = client.request(status, "POST", "/status", body=b"{}")
            assert body(answer, 405) and answer.get("allow") == "GET, HEAD", answer
        with t.case("HEAD"):
            answer = client.request(status, "HEAD", "/status")
            assert answer.status == 200 and int(answer.get("content-length")) > 0, answer


def numbers(address):
    return body(client.get(address, "/status"))["server"]


def test_counts(t):
    """What the listeners say is what happened, and asking is not counted."""
    with listening() as (running, admin, status):
        for _ in range(7):
            running.get("/")
        net.wait_until(lambda: numbers(status)["total_requests"] == 7, what="seven requests")
        with t.case("connections"):
            server = net.wait_until(lambda: numbers(status)["connections_active"] == 0 and numbers(status))
            assert server["connections_accepted"] == server["connections_handled"] == 7, server
        with t.case("hash changes with the configuration"):
            before = body(client.get(status, "/status"))["configuration_hash"]
            assert re.fullmatch("[0-9a-f]{32}", before), before
            running.reload({"_format_version": "3.0"})
            net.wait_until(lambda: body(client.get(status, "/status"))["configuration_hash"] != before)
        with t.case("metrics"):
            answer = client.get(status, "/metrics")
            assert answer.status == 200 and answer.get("content-type").startswith("text/plain"), answer
            found = {}
            for line in answer.body.decode().splitlines():
                match = METRIC_LINE.match(line)
                assert match or line.startswith(("# HELP ", "# TYPE ", "kong_")), line
                if match:
                    found.setdefault(match[1], []).append(int(match[3]))
            assert found["requests_total"] == [7] and sum(found["shard_requests_total"]) == 7, found
            assert len(found["shard_requests_total"]) == 2, found
        with t.case("status command"):
            pid = running.folder.file("pid", "%d\n" % running.pid)
            done = gateway.run("status", "--pid", pid, "--set", "status_listen=%s:%d" % status)
            assert done.returncode == 0 and re.search(r"total_requests +7$", done.stdout, re.M), done


# name, Host, further headers, status on the admin listener
ASKERS = [
    ("localhost", "localhost", [], 200),
    ("any case and a port", "LocalHost:8001", [], 200),
    ("loopback address", "127.0.0.1:8001", [], 200),
    ("IPv6 loopback", "[::1]:8001", [], 200),
    ("own address", None, [], 200),
    ("another name", "evil.test", [], 403),
    ("loopback as part of a name", "127.0.0.1.evil.test", [], 403),
    ("localhost as part of a name", "localhost.evil.test", [], 403),
    ("foreign address", "192.0.2.1", [], 403),
    ("allowed name", "admin.test", [], 200),
    ("longer than an allowed name", "admin.test.evil.test", [], 403),
    ("a page of its own", "localhost", [("Origin", "http://localhost")], 200),
    ("a page on another port", "localhost:8001", [("Origin", "http://localhost:8002")], 403),
    ("a page of another name", "localhost", [("Origin", "http://localhost.evil.test")], 403),
    ("a picture in another page", "localhost", [("Sec-Fetch-Site", "cross-site")], 403),
    ("a picture in a page on another port", "localhost", [("Sec-Fetch-Site", "same-site")], 403),
    ("a link typed by hand", "localhost", [("Sec-Fetch-Site", "none")], 200),
    ("an opaque origin", "localhost", [("Origin", "null")], 403),
]


def test_who_may_ask(t):
    with listening() as (_, admin, status):
        for name, host, headers, code in ASKERS:
            with t.case(name):
                host = host or "%s:%d" % admin
                for target in ("/", "/status", "/metrics"):
                    answer = client.get(admin, target, headers, host)
                    assert answer.status == code, answer
                assert client.get(status, "/status", headers, host).status == 200
        with t.case("absolute target decides"):
            assert client.get(admin, "http://evil.test/", host="localhost").status == 403


HOSTILE = [
    ("no HTTP", b"hello\r\n\r\n", 400),
    ("control character", b"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("no Host", b"GET / HTTP/1.1\r\n\r\n", 400),
    ("long header", b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 20000 + b"\r\n\r\n", 431),
    ("long target", b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    ("long body", b"GET /status HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + b"a" * 100000, 413),
    ("long chunks", b"GET /status HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
     + b"400\r\n" + b"a" * 1024 + b"\r\n1\r\na\r\n", 413),
    ("TRACE", b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
]


def test_hostile(t):
    with listening() as (_, admin, status):
        for name, data, code in HOSTILE:
            with t.case(name), client.Connection(status) as c:
                assert c.exchange(data, "GET").status == code
                assert c.ended()
        with t.case("body"), client.Connection(status) as c:
            for _ in range(2):
                c.send(b"GET /status HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
                assert c.read().status == 200
        with t.case("byte by byte"), client.Connection(status) as c:
            c.send_bytewise(client.encode("GET", "/status"))
            assert c.read().status == 200
        with t.case("pipelined"), client.Connection(status) as c:
            c.send(client.encode("GET", "/status") + client.encode("GET", "/nope") * 2)
            assert [c.read().status for _ in range(3)] == [200, 404, 404]
        with t.case("HTTP/1.0"), client.Connection(status) as c:
            assert c.exchange(client.encode("GET", "/status", host=None, version="1.0")).status == 200
            assert c.ended()


def evictions(address):
    text = client.get(address, "/metrics").body.decode()
    return int(re.search(r"^sluice_admin_connections_evicted_total (\d+)$", text, re.M)[1])


def test_more_connections_than_are_served(t):
    """Whoever holds a connection without asking makes room, the one idle longest first."""
    with listening(admin_connections_max="8") as (_, admin, status), contextlib.ExitStack() as stack:
        ask = client.encode("GET", "/status")

        def connect(address=status):
            return stack.enter_context(client.Connection(address))
        with t.case("far more idle ones than are served"):
            idle = [connect() for _ in range(80)]
            connection = connect(admin)
            assert connection.exchange(client.encode("GET", "/", host="localhost")).status == 200
            assert idle[0].ended()
            assert evictions(status) >= 73
        for one in [*idle, connection]:
            one.close()
        with t.case("the oldest first"):
            held = [connect() for _ in range(5)]
            for one in held:
                assert one.exchange(ask).status == 200
            held += [connect() for _ in range(4)]
            assert held[-1].exchange(ask).status == 200
            assert held[0].ended() and held[1].is_open()
            assert held[1].exchange(ask).status == 200
        for one in held:
            one.close()
        with t.case("one that is asking is not idle"):
            asking = connect()
            asking.send(ask[:-2])
            others = [connect() for _ in range(12)]  # no more: who says nothing for two seconds makes room, too
            assert others[-1].exchange(ask).status == 200
            asking.send(ask[-2:])
            assert asking.read().status == 200
        for one in [asking, *others]:
            one.close()
        with t.case("until it says nothing more"):
            asking = [connect() for _ in range(8)]
            for one in asking:
                one.send(ask[:-2])
            assert connect().exchange(ask).status == 200
            assert sum(one.ended(0.05) for one in asking) == 1


def test_port_in_use(t):
    """A second process does not share the listener."""
    with listening() as (_, admin, status):
        for setting, address in (("admin_listen", admin), ("status_listen", status)):
            with t.case(setting):
                listen = {"proxy_listen": "%s:%d" % (net.own_host(), net.free_port()), "admin_listen": "off",
                          "status_listen": "off", setting: "%s:%d" % address}
                done = gateway.run("run", *gateway.set_options(listen))
                assert done.returncode == 3 and str(address[1]) in done.stderr, done
