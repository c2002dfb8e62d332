# SPDX-License-Identifier: Apache-2.0
"""What responses cost: counted after them, in the process or in a real Redis, and what happens beyond a limit."""
import contextlib

from tests.support import client, net, origin
from tests.support.gateway import Gateway, simple_config
from tests.support.redis import Redis

VIDEO = {"video": {"year": 5}}


def upstream_answer(request):
    """Costs what the request says in X-Cost (several lines, apart by '|')."""
    costs = [cost for cost in request.get("x-cost", "").split("|") if cost]
    headers = [("X-Kong-Limit", cost) for cost in costs] + [("X-Upstream", "1")]
    if request.get("x-chunked"):
        return origin.chunked([b"a" * 10, b"b" * 10000], headers=headers)
    whole = origin.answer(headers=headers)
    return whole[:-len(origin.BODY)] if request.method == "HEAD" else whole


def limited(url, config):
    out = simple_config(url)
    out["services"][0]["plugins"] = [{"name": "response-ratelimiting", "config": config}]
    return out


@contextlib.contextmanager
def proxy(config, policy, settings=None):
    """policy: local or redis; gives the gateway, the upstream and the Redis (or None)."""
    with contextlib.ExitStack() as stack:
        redis = stack.enter_context(Redis()) if policy == "redis" else None
        if redis:
            config = {"redis": {"host": redis.host, "port": redis.port, "timeout": 5000}, **config}
        upstream = stack.enter_context(origin.Origin(upstream_answer))
        gateway = stack.enter_context(Gateway(limited(upstream.url, {"policy": policy, **config}), settings))
        yield gateway, upstream, redis


def ask(gateway, cost=None, *headers, method="GET"):
    headers = list(headers) + ([("X-Cost", cost)] if cost else [])
    return gateway.request(method, "/", headers)


def used(redis, period="year"):
    """The count of each limit, by name."""
    keys = [key for key in redis.keys() if key.endswith(":" + period)]
    return {key.split(":")[5]: redis.command("GET", key) for key in keys}


def settle(redis, want):
    """Amounts are counted without waiting: until Redis has them."""
    if redis:
        net.wait_until(lambda: used(redis) == want, 5, lambda: "%r in Redis: %r" % (want, used(redis)))


def check(answer, status, **left):
    assert answer.status == status, answer
    for name, value in left.items():
        header = "x-ratelimit-remaining-%s-year" % name
        assert answer.get(header) == str(value), "%s: %r, want %s" % (header, answer, value)
    assert "x-kong-limit" not in answer.fields and answer.get("x-upstream") == "1", answer


def test_counts(t):
    """The cost of a response is taken off after it; beyond the limit there is a 429 without a body."""
    for policy in ("local", "redis"):
        with t.case(policy), proxy({"limits": VIDEO}, policy, {"shards": 1}) as (gateway, upstream, redis):
            answer = ask(gateway, "video=3")
            check(answer, 200, video=2)
            assert answer.get("x-ratelimit-limit-video-year") == "5", answer
            assert answer.get("x-ratelimit-remaining-video") == "5" and answer.body == origin.BODY, answer
            assert upstream.one().get("x-ratelimit-remaining-video") == "5"
            settle(redis, {"video": "3"})
            check(ask(gateway), 200, video=2)
            check(ask(gateway, "video=4"), 200, video=0)
            settle(redis, {"video": "7"})
            upstream.take()
            answer = ask(gateway, "video=1")
            check(answer, 429, video=0)
            assert answer.body == b"" and answer.get("content-length") in ("0", None), answer
            assert upstream.one().get("x-ratelimit-remaining-video") == "0", "the upstream was asked"
            check(ask(gateway), 200, video=0)
            settle(redis, {"video": "7"})


def test_refused_bodies(t):
    """The connection goes on behind a refused response, however its body came."""
    chunked = [("X-Chunked", "1")]
    for policy in ("local", "redis"):
        with proxy({"limits": {"video": {"year": 1}}}, policy, {"shards": 1}) as (gateway, _, redis):
            assert ask(gateway, "video=1").status == 200
            settle(redis, {"video": "1"})
            with gateway.connect() as c:
                for method, headers in (("GET", []), ("GET", chunked), ("HEAD", []), ("POST", []), ("GET", chunked)):
                    with t.case("%s %s %s" % (policy, method, headers)):
                        data = client.encode(method, "/", [("X-Cost", "video=1")] + headers)
                        answer = c.exchange(data, method)
                        assert answer.status == 429 and answer.body == b"", answer
                answer = c.exchange(client.encode("GET", "/", chunked))
                assert answer.status == 200 and len(answer.body) == 10010, answer


def test_several_limits(t):
    """Each limit has a counter of its own; one that is used up refuses, and then none is counted."""
    limits = {"video": {"year": 2}, "image": {"month": 9, "year": 10}}
    for policy in ("local", "redis"):
        with t.case(policy), proxy({"limits": limits}, policy, {"shards": 1}) as (gateway, _, redis):
            answer = ask(gateway, "video=2, image=1")
            check(answer, 200, video=0, image=9)
            assert answer.get("x-ratelimit-remaining-image-month") == "8", answer
            assert answer.get("x-ratelimit-limit-image-month") == "9", answer
            settle(redis, {"video": "2", "image": "1"})
            check(ask(gateway, "image=1|video=1"), 429, video=0, image=8)
            answer = ask(gateway, "image=2|image=3, other=4")
            check(answer, 200, video=0, image=6)
            assert answer.get("x-ratelimit-remaining-image") == "8", "the tightest period: %r" % answer
            settle(redis, {"video": "2", "image": "4"})
            check(ask(gateway, "video=-1"), 200)
            settle(redis, {"video": "1", "image": "4"})
            check(ask(gateway, "video=1"), 200, video=0)


def test_first_violation(t):
    """Requests are refused before the upstream while any limit is used up."""
    config = {"limits": {"video": {"year": 1}, "image": {"year": 5}}, "block_on_first_violation": True}
    for policy in ("local", "redis"):
        with t.case(policy), proxy(config, policy) as (gateway, upstream, redis):
            check(ask(gateway, "video=1"), 200, video=0, image=5)
            settle(redis, {"video": "1"})
            upstream.take()
            for cost in (None, "image=1"):
                answer = ask(gateway, cost, ("Accept", "application/json"))
                assert answer.status == 429, answer
                assert b"API rate limit exceeded for 'video'" in answer.body, answer
                assert not [k for k, _ in answer.fields.pairs if "ratelimit" in k.lower()], answer
            assert upstream.take() == []


def test_hidden_headers(t):
    config = {"limits": {"video": {"year": 1}}, "hide_client_headers": True}
    for policy in ("local", "redis"):
        with t.case(policy), proxy(config, policy) as (gateway, _, redis):
            for status in (200, 429):
                answer = ask(gateway, "video=1")
                assert answer.status == status, answer
                names = [k.lower() for k, _ in answer.fields.pairs if "ratelimit" in k.lower()]
                assert names == ["x-ratelimit-remaining-video"], names
                settle(redis, {"video": "1"})


def test_own_header(t):
    """Another header says what a response costs; the usual one is then a header like any other."""
    def handler(_):
        return origin.answer(headers=[("X-Price", "video=2"), ("X-Kong-Limit", "video=1")])

    with origin.Origin(handler) as upstream:
        config = limited(upstream.url, {"limits": VIDEO, "header_name": "x-price"})
        with Gateway(config) as gateway:
            answer = gateway.get("/")
            assert answer.get("x-ratelimit-remaining-video-year") == "3", answer
            assert "x-price" not in answer.fields and answer.get("x-kong-limit") == "video=1", answer


def test_who_is_counted(t):
    """Clients of different addresses have limits of their own, on whichever shard they are."""
    for policy in ("local", "redis"):
        config = {"limits": {"video": {"year": 1}}, "limit_by": "ip"}
        with t.case(policy), proxy(config, policy, {"trusted_ips": "127.0.0.0/8", "shards": 2}) as (gateway, _, redis):
            for address in ("1.1.1.1", "2.2.2.2"):
                assert ask(gateway, "video=1", ("X-Real-IP", address)).status == 200
                if redis:
                    net.wait_until(lambda: [k for k in redis.keys() if ":%s:" % address in k], 5, "counted")
                for _ in range(4):
                    assert ask(gateway, "video=1", ("X-Real-IP", address)).status == 429


def test_redis_keys(t):
    with proxy({"limits": VIDEO, "limit_by": "ip"}, "redis") as (gateway, _, redis):
        assert ask(gateway, "video=2").status == 200
        settle(redis, {"video": "2"})
        (key,) = redis.keys()
        kind, route, service, who, window, name, period = key.split(":")
        assert (kind, who, name, period) == ("response-ratelimit", "127.0.0.1", "video", "year"), key
        assert len(route) == len(service) == 36 and len(window) == 13, key
        net.wait_until(lambda: 0 < redis.command("TTL", key) <= 31536000, 5, "the counter's end")


def counted(answer):
    return answer.status == 200 and "x-ratelimit-limit-video-year" in answer.fields


def tolerated(answer):
    return answer.status == 200 and not [k for k, _ in answer.fields.pairs if "ratelimit" in k.lower()]


def test_redis_down(t):
    """fault_tolerant: requests and responses pass uncounted. Otherwise: 500. Both end when Redis is back."""
    for tolerant in (True, False):
        config = {"limits": {"video": {"year": 1000}}, "fault_tolerant": tolerant}
        with proxy(config, "redis") as (gateway, upstream, redis):
            with t.case("fault_tolerant %s: up" % tolerant):
                assert counted(ask(gateway, "video=1"))
                settle(redis, {"video": "1"})
            redis.stop()
            upstream.take()
            with t.case("fault_tolerant %s: down" % tolerant):
                for _ in range(10):
                    answer = ask(gateway, "video=1")
                    assert tolerated(answer) if tolerant else answer.status == 500, answer
                    assert "x-kong-limit" not in answer.fields, answer
                assert len(upstream.take()) == (10 if tolerant else 0)
            redis.start()
            with t.case("fault_tolerant %s: back" % tolerant):
                net.wait_until(lambda: all(counted(ask(gateway, "video=1")) for _ in range(4)), 8, "counting again")


def test_redis_goes_meanwhile(t):
    """Between request and response: the response passes, it was good when it was asked for."""
    with Redis() as redis:
        def handler(request):
            redis.stop()
            return upstream_answer(request)

        server = {"host": redis.host, "port": redis.port}
        with origin.Origin(handler) as upstream:
            config = limited(upstream.url, {"limits": VIDEO, "policy": "redis", "redis": server})
            with Gateway(config) as gateway:
                check(ask(gateway, "video=1"), 200, video=4)


test_redis_down.seconds = 60
