# SPDX-License-Identifier: Apache-2.0
"""canary: a share of the requests, the same clients on every shard and node, goes to a new version."""
import contextlib
import time

from tests.support import client, net, origin
from tests.support.gateway import Gateway, simple_config

TRUST = {"trusted_ips": "0.0.0.0/0", "real_ip_header": "X-Real-IP", "shards": "2"}


def with_canary(url, new, config, *others, **route):
    """The service at `url`, and the version at `new` for the canary."""
    out = simple_config(url, **route)
    out["services"][0]["plugins"] = [{"name": "canary", "config": {
        "upstream_host": new.host, "upstream_port": new.port, **config}}, *others]
    return out


@contextlib.contextmanager
def versions():
    with origin.Origin() as old, origin.Origin(lambda r: origin.answer(body=b"new")) as new:
        yield old, new


def is_new(answer):
    assert answer.status == 200, answer
    return answer.body == b"new"


def addresses(count):
    return ["10.1.%d.%d" % (i // 250, i % 250) for i in range(count)]


def who_is_new(gateway, count=200):
    """The addresses whose requests went to the new version."""
    with gateway.connect() as c:
        return {a for a in addresses(count)
                if is_new(c.exchange(client.encode("GET", "/", [("X-Real-IP", a)])))}


def test_shares(t):
    now = int(time.time())
    rows = [
        ("none", {"percentage": 0}, 0, 0),
        ("all", {"percentage": 100}, 200, 200),
        ("a third", {"percentage": 33}, 40, 95),
        ("not yet", {"start": now + 1000, "duration": 10}, 0, 0),
        ("half way", {"start": now - 5000, "duration": 10000}, 70, 130),
        ("over", {"start": now - 5000, "duration": 3600}, 200, 200),
        ("one of two steps", {"start": now - 7000, "duration": 10000, "steps": 2}, 70, 130),
    ]
    with versions() as (old, new):
        for name, config, least, most in rows:
            with t.case(name), Gateway(with_canary(old.url, new, {"hash": "ip", **config}), TRUST) as gateway:
                count = len(who_is_new(gateway))
                assert least <= count <= most, count


def test_same_clients_everywhere(t):
    """On another node, after a reload, and as the share grows."""
    with versions() as (old, new):
        config = {"hash": "ip", "percentage": 20}
        with Gateway(with_canary(old.url, new, config), TRUST) as one:
            first = who_is_new(one)
            assert first == who_is_new(one) and 10 < len(first) < 75
            with Gateway(with_canary(old.url, new, config), {**TRUST, "shards": "1"}) as two:
                assert who_is_new(two) == first
            one.reload(with_canary(old.url, new, {**config, "percentage": 60}))
            net.wait_until(lambda: "reload done" in one.stderr(), 5, "the reload, on all shards")
            assert first < who_is_new(one)


def test_none_is_chance(t):
    with versions() as (old, new):
        with Gateway(with_canary(old.url, new, {"hash": "none", "percentage": 50})) as gateway:
            with gateway.connect() as c:
                data = client.encode("GET", "/")
                count = sum(is_new(c.exchange(data)) for _ in range(300))
            assert 90 < count < 210, count


def test_by_header_and_consumer(t):
    with versions() as (old, new):
        config = {"hash": "header", "hash_header": "X-User", "percentage": 50}
        with Gateway(with_canary(old.url, new, config)) as gateway:
            got = [[is_new(gateway.get("/", [("x-user", str(i))])) for _ in range(2)] for i in range(30)]
            assert all(a == b for a, b in got) and 3 < sum(a for a, _ in got) < 27, got
        config = with_canary(old.url, new, {"percentage": 50}, {"name": "key-auth"})
        config["consumers"] = [{"username": "u%d" % i, "keyauth_credentials": [{"key": "k%d" % i}]}
                               for i in range(30)]
        with Gateway(config, TRUST) as gateway:
            got = [[is_new(gateway.get("/", [("apikey", "k%d" % i), ("X-Real-IP", a)]))
                    for a in addresses(3)] for i in range(30)]
            assert all(len(set(row)) == 1 for row in got) and 3 < sum(row[0] for row in got) < 27, got


def test_groups(t):
    consumers = [{"username": "alice", "keyauth_credentials": [{"key": "a"}], "acls": [{"group": "testers"}]},
                 {"username": "bob", "keyauth_credentials": [{"key": "b"}], "acls": [{"group": "others"}]}]
    with versions() as (old, new):
        for hash_by, want in (("allow", [True, False]), ("deny", [False, True])):
            config = with_canary(old.url, new, {"hash": hash_by, "groups": ["testers"]}, {"name": "key-auth"})
            config["consumers"] = consumers
            with t.case(hash_by), Gateway(config) as gateway:
                assert [is_new(gateway.get("/", [("apikey", key)])) for key in "ab"] == want


def test_clients_choose(t):
    with versions() as (old, new):
        for percentage in (0, 100):
            config = {"percentage": percentage, "canary_by_header_name": "x-canary"}
            with Gateway(with_canary(old.url, new, config)) as gateway:
                for value, want in (("always", True), ("never", False), ("maybe", percentage == 100)):
                    with t.case("%d%% %s" % (percentage, value)):
                        assert is_new(gateway.get("/", [("X-Canary", value)])) == want


def test_what_the_new_version_sees(t):
    """Its own Host, the path that was configured, the query; the old version's path and timeouts stay its own."""
    with versions() as (old, new):
        with Gateway(with_canary(old.url + "/base", new, {"percentage": 100})) as gateway:
            gateway.get("/a?b=c")
            seen = new.one()
            assert seen.target == "/base/a?b=c" and seen.get("host") == "%s:%d" % new.address, seen
        config = with_canary(old.url, new, {"percentage": 100, "upstream_uri": "/new/path"}, preserve_host=True)
        with Gateway(config) as gateway:
            gateway.get("/a?b=c")
            seen = new.one()
            assert seen.target == "/new/path?b=c" and seen.get("host") == "test", seen
        only_path = simple_config(old.url)
        only_path["services"][0]["plugins"] = [
            {"name": "canary", "config": {"percentage": 100, "upstream_uri": "/v2"}}]
        with Gateway(only_path) as gateway:
            gateway.get("/a")
            assert old.one().target == "/v2"


def test_fallback(t):
    """While no target of the new version is healthy, all requests stay with the old one; and only then."""
    healthy = {"type": "http", "http_path": "/", "healthy": {"interval": 0.1, "successes": 1},
               "unhealthy": {"interval": 0.1, "http_failures": 1, "tcp_failures": 1}}
    with versions() as (old, new):
        down = [True]
        new.handler = lambda r: origin.answer(503 if down[0] else 200, body=b"new")
        for fallback in (True, False):
            with t.case("with" if fallback else "without"):
                down[0] = True
                config = simple_config(old.url)
                config["upstreams"] = [{"name": "next", "targets": [{"target": "%s:%d" % new.address}],
                                        "healthchecks": {"active": healthy}}]
                config["services"][0]["plugins"] = [{"name": "canary", "config": {
                    "percentage": 100, "upstream_host": "next", "upstream_fallback": fallback}}]
                with Gateway(config) as gateway:
                    if not fallback:
                        net.wait_until(lambda: gateway.get("/").status == 503, 5, "a refusal")
                        continue
                    net.wait_until(lambda: gateway.get("/").body == origin.BODY, 5, "the old version")
                    down[0] = False
                    net.wait_until(lambda: gateway.get("/").body == b"new", 5, "the new version")


def test_on_everything(t):
    """Global: each service has a canary of its own."""
    with versions() as (old, new):
        config = simple_config(old.url, paths=["/a"])
        config["services"].append({"name": "s2", "url": old.url + "/second", "routes": [
            {"name": "r2", "paths": ["/b"], "strip_path": False}]})
        config["plugins"] = [{"name": "canary", "config": {
            "percentage": 100, "upstream_host": new.host, "upstream_port": new.port}}]
        with Gateway(config) as gateway:
            assert is_new(gateway.get("/a")) and is_new(gateway.get("/b"))
            assert [r.target for r in new.take()] == ["/a", "/second/b"]
