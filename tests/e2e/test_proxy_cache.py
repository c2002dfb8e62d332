# SPDX-License-Identifier: Apache-2.0
"""proxy-cache from outside: as Kong keeps responses, and as RFC 9111 wants a shared cache to."""
import contextlib
import re
import threading

from tests.support import client, net, origin, wire
from tests.support.gateway import Gateway, simple_config

TEXT = "text/plain"
ALWAYS = {"strategy": "memory"}
RFC = {"strategy": "memory", "cache_control": True}


class Upstream(origin.Origin):
    """Answers each request with the next of `replies` (the last again and again): (status, headers, body)."""

    def __init__(self, *replies):
        self.replies, self.count = list(replies), 0
        super().__init__(self.reply)

    def reply(self, request):
        with self.lock:
            status, headers, body = self.replies[min(self.count, len(self.replies) - 1)]
            self.count += 1
        if callable(body):
            body = body(request)
        out = origin.answer(status, headers, body, content_type=TEXT)
        return out[:len(out) - len(body)] if request.method == "HEAD" else out


@contextlib.contextmanager
def cached(config, *replies, settings=None, more=(), **route):
    with Upstream(*replies) as upstream:
        whole = simple_config(upstream.url, **route)
        whole["services"][0]["plugins"] = [{"name": "proxy-cache", "config": config}, *more]
        with Gateway(whole, settings) as gateway:
            yield gateway, upstream


def fetch(gateway, target="/", headers=(), method="GET", host="test"):
    return gateway.request(method, target, headers, host=host)


def standings(gateway, *requests):
    """X-Cache-Status of one request after the other."""
    return [fetch(gateway, *request).get("x-cache-status") for request in requests]


def ok(*headers, body=b"body"):
    return (200, list(headers), body)


# --- as Kong -------------------------------------------------------------------------------------------------

def test_hit(t):
    """A hit is the stored response, with the cache's own headers, on a connection that goes on."""
    reply = ok(("X-Own", "1"), ("X-Own", "2"), ("Connection", "x-hop"), ("X-Hop", "1"),
               ("X-RateLimit-Remaining-Day", "3"), ("Age", "100"))
    with cached(ALWAYS, reply) as (gateway, upstream), gateway.connect() as c:
        miss = c.exchange(client.encode("GET", "/a?b=1"))
        assert miss.get("x-cache-status") == "Miss" and miss.get("age") == "100", miss
        assert re.fullmatch("[0-9a-f]{64}", miss.get("x-cache-key")), miss
        for _ in range(3):
            hit = c.exchange(client.encode("GET", "/a?b=1"))
            assert (hit.status, hit.body) == (200, b"body"), hit
            assert hit.all("x-own") == ["1", "2"] and hit.get("x-hop") is None, hit
            assert hit.get("content-length") == "4" and hit.get("content-type").startswith(TEXT), hit
            assert hit.get("x-ratelimit-remaining-day") is None and int(hit.get("age")) < 60, hit  # not the upstream's
            assert hit.get("x-cache-status") == "Hit" and hit.get("x-cache-key") == miss.get("x-cache-key")
            assert hit.get("x-kong-upstream-latency") and hit.get("via").endswith(miss.get("via")[4:]), hit
        assert len(upstream.take()) == 1


def test_chunked_and_empty(t):
    def reply(request):
        if request.target == "/chunked":
            return origin.chunked([b"one", b"two" * 9000], headers=[("Content-Type", TEXT)])
        return origin.answer(200, body=b"", content_type=TEXT)
    with origin.Origin(reply) as upstream:
        config = simple_config(upstream.url)
        config["plugins"] = [{"name": "proxy-cache", "config": ALWAYS}]
        with Gateway(config) as gateway:
            for target in ("/chunked", "/empty"):
                first, second = fetch(gateway, target), fetch(gateway, target)
                assert first.body == second.body, target
                assert second.get("x-cache-status") == "Hit", second
                assert second.get("content-length") == str(len(first.body)), second
            assert len(upstream.take()) == 2


def test_cut_short_is_not_stored(t):
    whole = origin.answer(200, body=b"x" * 1000, content_type=TEXT)
    with origin.Origin(lambda request: origin.Last(whole[:-500])) as upstream:
        config = simple_config(upstream.url)
        config["plugins"] = [{"name": "proxy-cache", "config": ALWAYS}]
        with Gateway(config) as gateway:
            for _ in range(2):
                with gateway.connect() as c:
                    with contextlib.suppress(wire.EndOfStream):
                        c.exchange(client.encode("GET", "/"))
                        raise AssertionError("a whole response")
            assert len(upstream.take()) == 2


def test_hosts_and_credentials_apart(t):
    """What an upstream can tell apart, the cache does, too."""
    with cached(ALWAYS, ok(), preserve_host=True) as (gateway, _):
        got = [fetch(gateway, headers=headers, host=host).get("x-cache-status")
               for host, headers in (("a.test", ()), ("b.test", ()), ("A.test", ()),
                                     ("a.test", [("Authorization", "Basic eA==")]),
                                     ("a.test", [("Authorization", "Basic eQ==")]),
                                     ("a.test", [("Authorization", "Basic eQ==")]))]
        assert got == ["Miss", "Miss", "Hit", "Miss", "Miss", "Hit"], got


def test_other_plugins_edit_hits(t):
    """A hit passes the other plugins as a proxied response does."""
    more = [{"name": "correlation-id", "config": {"header_name": "X-Id", "echo_downstream": True,
                                                  "generator": "uuid"}}]
    with cached(ALWAYS, ok(), more=more) as (gateway, _):
        ids = {fetch(gateway).get("x-id") for _ in range(3)}
        assert len(ids) == 3 and None not in ids, ids


def test_reload_keeps_what_is_stored(t):
    with cached(ALWAYS, ok()) as (gateway, upstream):
        config = simple_config(upstream.url)
        config["services"][0]["routes"][0]["tags"] = ["new"]
        config["services"][0]["plugins"] = [{"name": "proxy-cache", "config": ALWAYS}]
        assert standings(gateway, ("/",)) == ["Miss"]
        gateway.reload(config)
        assert standings(gateway, ("/",)) == ["Hit"]
        assert len(upstream.take()) == 1


def test_bounds(t):
    """No more than mem_cache_size; what is used stays."""
    settings = {"mem_cache_size": "1m", "cache_entry_size": "64k", "shards": 1, "status_listen": "127.0.0.1:0"}
    with cached(ALWAYS, ok(body=b"x" * 20000), settings=settings) as (gateway, _):
        for i in range(150):
            fetch(gateway, "/%d" % i)
            assert standings(gateway, ("/0",)) == ["Hit"], i
        assert standings(gateway, ("/1",), ("/149",)) == ["Miss", "Hit"]
    with cached(ALWAYS, ok(body=b"x" * 70000), settings=settings) as (gateway, upstream):
        assert standings(gateway, ("/",), ("/",)) == ["Bypass", "Bypass"]
        assert len(upstream.take()) == 2


# --- RFC 9111 ------------------------------------------------------------------------------------------------

# name, response headers, request headers of the second request, its X-Cache-Status, requests at the origin
FRESHNESS = [
    ("max-age", [("Cache-Control", "max-age=60")], [], "Hit", 1),
    ("no explicit lifetime", [], [], "Bypass", 2),
    ("s-maxage wins", [("Cache-Control", "max-age=60, s-maxage=0")], [], "Bypass", 2),
    ("max-age wins over Expires", [("Cache-Control", "max-age=60"), ("Expires", "0")], [], "Hit", 1),
    ("Expires", [("Expires", "Fri, 01 Jan 2100 00:00:00 GMT")], [], "Hit", 1),
    ("Expires without sense", [("Expires", "soon")], [], "Bypass", 2),
    ("Age counts", [("Cache-Control", "max-age=60"), ("Age", "60")], [], "Bypass", 2),
    ("Date counts", [("Cache-Control", "max-age=60"), ("Date", "Sun, 06 Nov 1994 08:49:37 GMT")], [],
     "Bypass", 2),
    ("private", [("Cache-Control", "private, max-age=60")], [], "Bypass", 2),
    ("no-store", [("Cache-Control", "no-store, max-age=60")], [], "Bypass", 2),
    ("Vary *", [("Cache-Control", "max-age=60"), ("Vary", "Accept, *")], [], "Bypass", 2),
    ("a cookie", [("Cache-Control", "max-age=60"), ("Set-Cookie", "a=b")], [], "Bypass", 2),
    ("a public cookie", [("Cache-Control", "public, max-age=60"), ("Set-Cookie", "a=b")], [], "Hit", 1),
    ("request no-cache", [("Cache-Control", "max-age=60")], [("Cache-Control", "no-cache")], "Bypass", 2),
    ("request no-store", [("Cache-Control", "max-age=60")], [("Cache-Control", "no-store")], "Bypass", 2),
    ("request max-age", [("Cache-Control", "max-age=60"), ("Age", "30")], [("Cache-Control", "max-age=29")],
     "Refresh", 2),
    ("request min-fresh", [("Cache-Control", "max-age=60")], [("Cache-Control", "min-fresh=70")], "Refresh", 2),
    ("request max-stale", [("Cache-Control", "max-age=60, stale-if-error=60"), ("Age", "70")],
     [("Cache-Control", "max-stale=20")], "Hit", 1),
    ("request max-stale too little", [("Cache-Control", "max-age=60, stale-if-error=60"), ("Age", "90")],
     [("Cache-Control", "max-stale=20")], "Refresh", 2),
    ("no max-stale for must-revalidate",
     [("Cache-Control", "max-age=60, stale-if-error=60, must-revalidate"), ("Age", "70")],
     [("Cache-Control", "max-stale")], "Refresh", 2),
    ("only-if-cached", [("Cache-Control", "max-age=60")], [("Cache-Control", "only-if-cached")], "Hit", 1),
]


def test_freshness(t):
    for name, response, request, status, asked in FRESHNESS:
        with t.case(name), cached(RFC, ok(*response)) as (gateway, upstream):
            fetch(gateway)
            answer = fetch(gateway, headers=request)
            assert answer.status == 200 and answer.body == b"body", answer
            assert answer.get("x-cache-status") == status, answer
            assert len(upstream.take()) == asked


def test_authorization(t):
    """RFC 9111 section 3.5."""
    secret = [("Authorization", "Bearer x")]
    for control, status in (("max-age=60", "Bypass"), ("max-age=60, public", "Hit"), ("s-maxage=60", "Hit"),
                            ("max-age=60, must-revalidate", "Hit")):
        with t.case(control), cached(RFC, ok(("Cache-Control", control))) as (gateway, _):
            assert standings(gateway, ("/", secret), ("/", secret))[1] == status


def test_vary(t):
    reply = (200, [("Cache-Control", "max-age=60"), ("Vary", "Accept-Language, X-Other")],
             lambda request: request.get("accept-language", "none").encode())
    with cached(RFC, reply) as (gateway, upstream):
        for value, status in (("de", "Miss"), ("en", "Miss"), ("de", "Hit"), ("en", "Hit"), (None, "Miss"),
                              (None, "Hit"), ("de", "Hit")):
            headers = [("Accept-Language", value)] if value else []
            answer = fetch(gateway, headers=headers)
            assert answer.get("x-cache-status") == status, (value, answer)
            assert answer.body == (value or "none").encode(), (value, answer)
        assert len(upstream.take()) == 3


def test_validation(t):
    """A stale response is validated, and a 304 renews it."""
    first = ok(("Cache-Control", "max-age=0"), ("ETag", '"v1"'), ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
               ("X-Old", "1"), ("X-Both", "1"))
    renewed = (304, [("Cache-Control", "max-age=60"), ("ETag", '"v1"'), ("X-Both", "2")], b"")
    with cached(RFC, first, renewed) as (gateway, upstream), gateway.connect() as c:
        ask = client.encode("GET", "/")
        assert c.exchange(ask).get("x-cache-status") == "Miss"
        for status in ("Refresh", "Hit"):
            answer = c.exchange(ask)
            assert (answer.status, answer.body) == (200, b"body"), answer
            assert answer.get("x-cache-status") == status and answer.get("x-old") == "1", answer
            assert answer.all("x-both") == ["2"] and answer.get("cache-control") == "max-age=60", answer
        _, second = upstream.take()
        assert second.get("if-none-match") == '"v1"', second
        assert second.get("if-modified-since") == "Sun, 06 Nov 1994 08:49:37 GMT", second
        assert upstream.connections == 1, "a 304 leaves the upstream's connection in use"


def test_validation_fails(t):
    replies = [ok(("Cache-Control", "max-age=0"), ("ETag", '"v1"')),
               ok(("Cache-Control", "max-age=60"), ("ETag", '"v2"'), body=b"other")]
    with cached(RFC, *replies) as (gateway, upstream):
        bodies = [(a.get("x-cache-status"), a.body) for a in (fetch(gateway) for _ in range(3))]
        assert bodies == [("Miss", b"body"), ("Refresh", b"other"), ("Hit", b"other")], bodies


def test_conditions_of_clients(t):
    date = "Sun, 06 Nov 1994 08:49:37 GMT"
    later, earlier = "Sun, 06 Nov 1994 08:49:38 GMT", "Sun, 06 Nov 1994 08:49:36 GMT"
    reply = ok(("Cache-Control", "max-age=60"), ("ETag", '"v1"'), ("Last-Modified", date), ("X-Own", "1"))
    rows = [([("If-None-Match", '"v1"')], 304), ([("If-None-Match", 'W/"v1"')], 304),
            ([("If-None-Match", '"v2", "v1"')], 304), ([("If-None-Match", "*")], 304),
            ([("If-None-Match", '"v2"')], 200), ([("If-Modified-Since", date)], 304),
            ([("If-Modified-Since", later)], 304), ([("If-Modified-Since", earlier)], 200),
            ([("If-Modified-Since", "now")], 200),
            ([("If-None-Match", '"v2"'), ("If-Modified-Since", later)], 200)]
    with cached(RFC, reply) as (gateway, upstream), gateway.connect() as c:
        c.exchange(client.encode("GET", "/"))
        for headers, status in rows:
            with t.case(repr(headers)):
                answer = c.exchange(client.encode("GET", "/", headers))
                assert answer.status == status and answer.get("x-cache-status") == "Hit", answer
                assert answer.body == (b"" if status == 304 else b"body"), answer
                assert answer.get("etag") == '"v1"' and answer.get("age") is not None, answer
                assert (answer.get("content-type") is None) == (status == 304), answer
        assert len(upstream.take()) == 1


def test_ranges(t):
    reply = ok(("Cache-Control", "max-age=60"), ("ETag", '"v1"'), body=b"0123456789")
    rows = [("bytes=0-3", 206, b"0123", "bytes 0-3/10"), ("bytes=4-", 206, b"456789", "bytes 4-9/10"),
            ("bytes=-3", 206, b"789", "bytes 7-9/10"), ("bytes=8-99", 206, b"89", "bytes 8-9/10"),
            ("bytes=-99", 206, b"0123456789", "bytes 0-9/10"), ("bytes=10-", 416, b"", "bytes */10"),
            ("bytes=-0", 416, b"", "bytes */10"), ("bytes=3-2", 200, b"0123456789", None),
            ("bytes=0-1,3-4", 200, b"0123456789", None), ("lines=0-1", 200, b"0123456789", None),
            ("bytes=a-b", 200, b"0123456789", None), ("bytes=18446744073709551616-", 200, b"0123456789", None)]
    with cached(RFC, reply) as (gateway, upstream), gateway.connect() as c:
        c.exchange(client.encode("GET", "/"))
        for text, status, body, content_range in rows:
            with t.case(text):
                answer = c.exchange(client.encode("GET", "/", [("Range", text)]))
                assert (answer.status, answer.body) == (status, body), answer
                assert answer.get("content-range") == content_range, answer
        for condition, status in (('"v1"', 206), ('"v2"', 200), ('W/"v1"', 200)):
            answer = c.exchange(client.encode("GET", "/", [("Range", "bytes=0-3"), ("If-Range", condition)]))
            assert answer.status == status, (condition, answer)
        assert len(upstream.take()) == 1


def test_head(t):
    """HEAD is answered from what GET has brought."""
    with cached(RFC, ok(("Cache-Control", "max-age=60"))) as (gateway, upstream):
        assert fetch(gateway, method="HEAD").get("x-cache-status") == "Miss"
        fetch(gateway)
        answer = fetch(gateway, method="HEAD")
        assert answer.get("x-cache-status") == "Hit" and answer.get("content-length") == "4", answer
        assert [r.method for r in upstream.take()] == ["HEAD", "GET"]


def test_unsafe_methods_invalidate(t):
    fresh = ("Cache-Control", "max-age=60")
    for method, status, gone in (("POST", 200, True), ("DELETE", 204, True), ("PUT", 301, True),
                                 ("POST", 404, False), ("POST", 500, False), ("OPTIONS", 200, False)):
        with t.case("%s %d" % (method, status)), cached(RFC, ok(fresh), (status, [], b""), ok(fresh)) as (g, _):
            fetch(g, "/x?y")
            assert fetch(g, "/x?y", method=method).status == status
            assert standings(g, ("/x?y",)) == ["Miss" if gone else "Hit"]
    with t.case("Location"), cached(RFC, ok(fresh), (201, [("Location", "/made#x")], b""), ok(fresh)) as (g, _):
        fetch(g, "/made")
        fetch(g, "/", method="POST")
        assert standings(g, ("/made",)) == ["Miss"]
    other = (201, [("Location", "http://b.test/made")], b"")
    with t.case("another host's"), cached(RFC, ok(fresh), other, ok(fresh)) as (g, _):
        fetch(g, "/made")
        fetch(g, "/", method="POST")
        assert standings(g, ("/made",)) == ["Hit"]


def test_stale_if_error(t):
    rows = [("max-age=0, stale-if-error=60", 503, [], 200, "Stale"),
            ("max-age=0, stale-if-error=60", 404, [], 404, "Bypass"),
            ("max-age=0, stale-if-error=60, must-revalidate", 503, [], 503, "Bypass"),
            ("max-age=0, stale-while-revalidate=60", 503, [("Cache-Control", "max-stale=0")], 503, "Bypass"),
            ("max-age=0, stale-while-revalidate=60", 503, [("Cache-Control", "stale-if-error=60")], 200, "Stale")]
    for control, status, headers, expect, standing in rows:
        replies = [ok(("Cache-Control", control)), (status, [], b"error")]
        config = {**RFC, "response_code": [200]}
        with t.case("%s, %d, %r" % (control, status, headers)), cached(config, *replies) as (gateway, _):
            fetch(gateway)
            answer = fetch(gateway, headers=headers)
            assert (answer.status, answer.get("x-cache-status")) == (expect, standing), answer
            assert answer.body == (b"body" if expect == 200 else b"error"), answer
    with t.case("no upstream"), cached(RFC, ok(("Cache-Control", "max-age=0, stale-if-error=60"))) as (g, upstream):
        fetch(g)
        upstream.close()
        answer = fetch(g)
        assert (answer.status, answer.get("x-cache-status"), answer.body) == (200, "Stale", b"body"), answer


# --- one fetch for many --------------------------------------------------------------------------------------

class Gate(origin.Origin):
    """Holds its answers back until `gate` is set."""

    def __init__(self, headers):
        self.gate, self.headers = threading.Event(), headers
        super().__init__(self.reply)

    def reply(self, request):
        self.gate.wait(net.SLOW_FACTOR * 20)
        return origin.answer(200, self.headers, b"body", content_type=TEXT)


def together(gateway, upstream, count, asked):
    """The answers to `count` requests at a time; the origin answers once `asked` have come to it."""
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(fetch(gateway))) for _ in range(count)]
    for thread in threads:
        thread.start()
    net.wait_until(lambda: len(upstream.requests) >= asked, 20, lambda: "requests at the origin")
    upstream.gate.set()
    for thread in threads:
        thread.join()
    return answers


def test_requests_collapse(t):
    for name, config, headers in (("as Kong", ALWAYS, []), ("by the RFC", RFC, [("Cache-Control", "max-age=60")])):
        with t.case(name), Gate(headers) as upstream:
            whole = simple_config(upstream.url)
            whole["plugins"] = [{"name": "proxy-cache", "config": config}]
            with Gateway(whole, {"shards": 1, "cache_wait": 60}) as gateway:
                got = sorted(a.get("x-cache-status") for a in together(gateway, upstream, 8, 1))
                assert got == ["Hit"] * 7 + ["Miss"], got
                assert len(upstream.take()) == 1


def test_waiting_is_bounded(t):
    with Gate([]) as upstream:
        whole = simple_config(upstream.url)
        whole["plugins"] = [{"name": "proxy-cache", "config": ALWAYS}]
        with Gateway(whole, {"shards": 1, "cache_wait": "100ms"}) as gateway:
            got = sorted(a.get("x-cache-status") for a in together(gateway, upstream, 4, 4))
            assert got == ["Miss"] * 4, got


def test_unstorable_is_not_waited_for(t):
    """After one response that could not be stored, nobody waits for another such."""
    with Gate([("Cache-Control", "no-store")]) as upstream:
        whole = simple_config(upstream.url)
        whole["plugins"] = [{"name": "proxy-cache", "config": RFC}]
        with Gateway(whole, {"shards": 1, "cache_wait": 60}) as gateway:
            assert len(together(gateway, upstream, 4, 1)) == 4
            assert len(upstream.take()) == 4
            upstream.gate.clear()
            assert len(together(gateway, upstream, 4, 4)) == 4


def test_who_leads_may_leave(t):
    with Gate([]) as upstream:
        whole = simple_config(upstream.url)
        whole["plugins"] = [{"name": "proxy-cache", "config": ALWAYS}]
        with Gateway(whole, {"shards": 1, "cache_wait": 60}) as gateway:
            leader = gateway.connect()
            leader.send(client.encode("GET", "/"))
            net.wait_until(lambda: len(upstream.requests) == 1, 20, lambda: "the first request")
            answers = []
            thread = threading.Thread(target=lambda: answers.append(fetch(gateway)))
            thread.start()
            leader.close()
            upstream.gate.set()
            thread.join()
            assert answers[0].status == 200 and answers[0].body == b"body", answers
