# SPDX-License-Identifier: Apache-2.0
"""Rate limiting: exact over any number of shards, shared through Redis, and kept up when Redis is not."""
import contextlib
import signal
import threading
import uuid

from tests.support import client, net, origin, tokens
from tests.support.gateway import Gateway, simple_config
from tests.support.redis import Redis

NAMESPACE = uuid.UUID("fd02801f-0957-4a15-a55a-c8d9606f30b5")
ZERO = str(uuid.UUID(int=0))


def limited(url, config, scope="service"):
    """One service and route with rate-limiting on the scope: global, service or route."""
    out = simple_config(url)
    service = out["services"][0]
    owner = {"global": out, "service": service, "route": service["routes"][0]}[scope]
    owner["plugins"] = [{"name": "rate-limiting", "config": config}]
    return out


@contextlib.contextmanager
def proxy(config, settings=None, scope="service"):
    with origin.Origin() as upstream, Gateway(limited(upstream.url, config, scope), settings) as gateway:
        yield gateway, upstream


def statuses(gateway, count, headers=()):
    data = client.encode("GET", "/", headers)
    with gateway.connect() as c:
        return [c.exchange(data).status for _ in range(count)]


def hammer(gateways, clients, requests):
    """All statuses of `clients` parallel connections that send `requests` each."""
    results, barrier = [[] for _ in range(clients)], threading.Barrier(clients)

    def run(i):
        barrier.wait()
        results[i] = statuses(gateways[i % len(gateways)], requests)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(len(r) == requests for r in results), [len(r) for r in results]
    return [status for r in results for status in r]


def test_exact_over_shards(t):
    """A limit of L lets exactly L of many parallel requests through, however many shards there are."""
    for shards in (1, 2, 8):
        for limit in (1, 10, 400):
            with t.case("%d shards, limit %d" % (shards, limit)):
                config = {"year": limit, "policy": "local", "limit_by": "ip"}
                with proxy(config, {"shards": shards}) as (gateway, upstream):
                    got = hammer([gateway], 16, limit // 10 + 10)
                    assert set(got) == {200, 429}, set(got)
                    assert got.count(200) == limit, "%d passed" % got.count(200)
                    assert len(upstream.take()) == limit


def test_headers(t):
    with proxy({"month": 3, "year": 5, "policy": "local"}) as (gateway, _), gateway.connect() as c:
        data = client.encode("GET", "/")
        for i, status in enumerate((200, 200, 200, 429, 429)):
            with t.case("request %d" % (i + 1)):
                answer = c.exchange(data)
                assert answer.status == status, answer
                want = {"x-ratelimit-limit-month": "3", "x-ratelimit-limit-year": "5", "ratelimit-limit": "3",
                        "x-ratelimit-remaining-month": str(max(0, 2 - i)),
                        "ratelimit-remaining": str(max(0, 2 - i))}
                for name, value in want.items():
                    assert answer.get(name) == value, "%s: %r" % (name, answer)
                assert ("retry-after" in answer.fields) == (status == 429), answer
                assert 1 <= int(answer.get("ratelimit-reset")) <= 2678400, answer


def test_hidden_headers(t):
    with proxy({"year": 1, "policy": "local", "hide_client_headers": True}) as (gateway, _):
        for status in (200, 429):
            answer = gateway.get("/")
            assert answer.status == status, answer
            assert not [k for k, _ in answer.fields.pairs if "ratelimit" in k.lower()], answer


def test_own_error(t):
    config = {"year": 1, "policy": "local", "error_code": 418, "error_message": "slow down"}
    with proxy(config) as (gateway, _):
        gateway.get("/")
        answer = gateway.get("/")
        assert answer.status == 418 and b'"message":"slow down"' in answer.body, answer


def test_second_window(t):
    """A limit per second lets requests through again when the second is over."""
    with proxy({"second": 1, "policy": "local"}) as (gateway, _):
        net.wait_until(lambda: statuses(gateway, 2) == [200, 429], 5, "a pass and a refusal in one second")
        net.wait_until(lambda: gateway.get("/").status == 200, 3, "the next second")


def real_ip(address):
    return [("X-Real-IP", address)]


# name, config, [(headers, target, status) in order]
LIMIT_BY = [
    ("ip", {"limit_by": "ip"},
     [(real_ip("1.1.1.1"), "/", 200), (real_ip("2.2.2.2"), "/", 200), (real_ip("1.1.1.1"), "/", 429)]),
    ("header", {"limit_by": "header", "header_name": "X-Id"},
     [([("X-Id", "a")], "/", 200), ([("x-id", "b")], "/", 200), ([("X-Id", "a")], "/", 429), ([], "/", 200),
      ([], "/", 429)]),
    ("path", {"limit_by": "path", "path": "/lim"},
     [([], "/lim", 200), ([], "/other", 200), ([], "/lim", 429), ([], "/third", 429)]),
    ("service", {"limit_by": "service"},
     [(real_ip("1.1.1.1"), "/", 200), (real_ip("2.2.2.2"), "/", 429)]),
]


def test_limit_by(t):
    for name, config, steps in LIMIT_BY:
        settings = {"trusted_ips": "127.0.0.0/8"}
        with t.case(name), proxy({"year": 1, "policy": "local", **config}, settings) as (gateway, _):
            for headers, target, status in steps:
                answer = gateway.get(target, headers)
                assert answer.status == status, "%s %s: %r, want %d" % (target, headers, answer, status)


def test_limit_by_consumer_and_credential(t):
    """Two credentials of one consumer share its limit, or have one each."""
    keys = ("key-1", "key-2")
    bearer = [[("Authorization", "Bearer " + tokens.hs({"iss": key}, "secret"))] for key in keys]
    for limit_by, want in (("consumer", [200, 429, 429]), ("credential", [200, 200, 429])):
        with t.case(limit_by), origin.Origin() as upstream:
            config = limited(upstream.url, {"year": 1, "policy": "local", "limit_by": limit_by})
            config["services"][0]["plugins"].append({"name": "jwt"})
            config["consumers"] = [{"username": "alice", "jwt_secrets": [{"key": key, "secret": "secret"}
                                                                          for key in keys]}]
            with Gateway(config) as gateway:
                got = [gateway.get("/", bearer[i]).status for i in (0, 1, 0)]
                assert got == want, got


def test_counters_survive_a_reload(t):
    with origin.Origin() as upstream:
        config = limited(upstream.url, {"year": 5, "policy": "local"})
        config["services"][0]["routes"][0]["hosts"] = ["test"]
        with Gateway(config) as gateway:
            assert statuses(gateway, 3) == [200] * 3
            config["services"].append({"name": "s2", "url": upstream.url,
                                       "routes": [{"name": "new", "hosts": ["new.test"]}]})
            gateway.reload(config)
            net.wait_until(lambda: all(gateway.get("/", host="new.test").status == 200 for _ in range(4)), 5,
                           "the new service")
            assert statuses(gateway, 5) == [200, 200, 429, 429, 429]


@contextlib.contextmanager
def with_redis(config, redis=None, scope="service", settings=None):
    with redis or Redis() as server:
        host = {"host": server.host, "port": server.port, **config.pop("redis", {})}
        config = {"policy": "redis", "redis": host, **config}
        with proxy(config, settings, scope) as (gateway, upstream):
            yield gateway, server, upstream


def generated_id(entity, key):
    return str(uuid.uuid5(uuid.uuid5(NAMESPACE, entity), key))


def test_redis_keys(t):
    """Kong's key: the ids of what the plugin is attached to, the identifier, the window and its name."""
    scopes = {"global": (ZERO, ZERO), "service": (ZERO, generated_id("services", "s1")),
              "route": (generated_id("routes", "r1"), ZERO)}
    for scope, (route, service) in scopes.items():
        with t.case(scope), with_redis({"year": 5, "limit_by": "ip"}, scope=scope) as (gateway, redis, _):
            assert statuses(gateway, 2) == [200, 200]
            (key,) = redis.keys()
            kind, got_route, got_service, who, window, period = key.split(":")
            assert (kind, got_route, got_service) == ("ratelimit", route, service), key
            assert who == "127.0.0.1" and period == "year" and len(window) == 13, key
            assert redis.command("GET", key) == "2"
            assert 0 < redis.command("TTL", key) <= 31536000


def test_redis_counts_every_period(t):
    with with_redis({"month": 1, "year": 9, "limit_by": "ip"}) as (gateway, redis, _):
        assert statuses(gateway, 3) == [200, 429, 429]
        counts = {key.rsplit(":", 1)[1]: redis.command("GET", key) for key in redis.keys()}
        assert counts == {"month": "3", "year": "3"}, counts


def test_redis_is_shared(t):
    """Two gateways with one Redis let exactly the limit through."""
    with Redis() as redis, origin.Origin() as upstream:
        config = limited(upstream.url, {"year": 100, "policy": "redis", "limit_by": "ip",
                                        "redis": {"host": redis.host, "port": redis.port}})
        with Gateway(config) as one, Gateway(config) as two:
            got = hammer([one, two], 8, 30)
            assert got.count(200) == 100 and got.count(429) == 140, got.count(200)


def test_redis_password_and_database(t):
    redis = Redis(password="pass word")
    with with_redis({"year": 5, "redis": {"password": "pass word", "database": 3}}, redis) as (gateway, _, _):
        assert gateway.get("/").get("x-ratelimit-remaining-year") == "4"
        assert redis.command("INFO", "keyspace").count("db3:") == 1
        assert redis.keys() == []


def tolerated(answer):
    return answer.status == 200 and "x-ratelimit-limit-year" not in answer.fields


def counted(answer):
    return answer.status == 200 and "x-ratelimit-limit-year" in answer.fields


def test_redis_down(t):
    """fault_tolerant: requests pass without headers. Otherwise: 500. Both end when Redis is back."""
    for tolerant in (True, False):
        config = {"year": 1000, "fault_tolerant": tolerant}
        with with_redis(config) as (gateway, redis, _):
            def failing(answer):
                return tolerated(answer) if tolerant else answer.status == 500

            with t.case("fault_tolerant %s: up" % tolerant):
                assert counted(gateway.get("/"))
            redis.stop()
            with t.case("fault_tolerant %s: down" % tolerant):
                for _ in range(10):
                    answer = gateway.get("/")
                    assert failing(answer), answer
            redis.start()
            with t.case("fault_tolerant %s: back" % tolerant):
                net.wait_until(lambda: all(counted(gateway.get("/")) for _ in range(4)), 8, "counting again")


def test_redis_down_from_the_start(t):
    with Redis() as redis:
        redis.stop()
        server = {"host": redis.host, "port": redis.port}
        with proxy({"year": 1000, "policy": "redis", "redis": server}) as (gateway, _):
            assert tolerated(gateway.get("/"))
            redis.start()
            net.wait_until(lambda: counted(gateway.get("/")), 8, "counting")


def test_redis_stalled(t):
    """A Redis that does not answer delays a request by its timeout at most, and no other route at all."""
    with with_redis({"year": 1000, "redis": {"timeout": 300}}) as (gateway, redis, _):
        net.wait_until(lambda: counted(gateway.get("/")), 8, "counting")  # in 300 ms, which need not do at once
        redis.process.send_signal(signal.SIGSTOP)
        try:
            for _ in range(3):
                assert tolerated(gateway.get("/"))
        finally:
            redis.process.send_signal(signal.SIGCONT)
        net.wait_until(lambda: counted(gateway.get("/")), 8, "counting again")


def test_redis_sync_rate(t):
    """With sync_rate the counts reach Redis in the background."""
    with with_redis({"year": 1000, "limit_by": "ip", "sync_rate": 0.05}) as (gateway, redis, _):
        assert statuses(gateway, 20) == [200] * 20
        net.wait_until(lambda: [redis.command("GET", key) for key in redis.keys()] == ["20"], 5,
                       lambda: "20 in Redis: %r" % [redis.command("GET", key) for key in redis.keys()])


test_exact_over_shards.seconds = 60
test_redis_down.seconds = 60
