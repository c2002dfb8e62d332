# SPDX-License-Identifier: Apache-2.0
"""HTTP/1.1 between a well-behaved client and a well-behaved origin: connections, framing, interim answers."""
import contextlib
import threading

from tests.support import client, net, origin
from tests.support.gateway import Gateway, simple_config

encode = client.encode


@contextlib.contextmanager
def proxy(handler=None, settings=None):
    with origin.Origin(handler) as upstream, Gateway(simple_config(upstream.url), settings) as gateway:
        yield gateway, upstream


@contextlib.contextmanager
def scripted(script, settings=None, retries=0):
    """A gateway before a peer that runs `script(connection)` for each connection."""
    with origin.Peer(script) as peer:
        config = simple_config(peer.url)
        config["services"][0]["retries"] = retries
        with Gateway(config, settings) as gateway:
            yield gateway, peer


def echo(request):
    return origin.answer(body=(request.target + " ").encode() + request.body)


def test_keep_alive(t):
    with proxy(echo) as (gateway, upstream), gateway.connect() as c:
        for i in range(200):
            answer = c.exchange(encode("GET", "/%d" % i))
            assert answer.status == 200 and answer.body == b"/%d " % i and not answer.closing, answer
        assert upstream.connections <= 2, "%d upstream connections for one client" % upstream.connections


def test_pipelining(t):
    requests = [("GET", "/%d" % i, None) if i % 3 else ("POST", "/%d" % i, b"body%d" % i) for i in range(10)]
    with proxy(echo) as (gateway, upstream), gateway.connect() as c:
        c.send(b"".join(encode(method, target, body=body) for method, target, body in requests))
        for method, target, body in requests:
            answer = c.read(method)
            assert answer.body == target.encode() + b" " + (body or b""), answer
        assert [r.target for r in upstream.take()] == [target for _, target, _ in requests]


def test_pipelined_head_then_get(t):
    with proxy() as (gateway, _), gateway.connect() as c:
        c.send(encode("HEAD", "/a") + encode("GET", "/b"))
        answer = c.read("HEAD")
        assert answer.status == 200 and answer.get("content-length") == str(len(origin.BODY)), answer
        assert c.read().body == origin.BODY


def chunked_request(parts, trailers=b"", extra=()):
    head = encode("POST", "/c", [("Transfer-Encoding", "chunked"), *extra])
    return head + b"".join(b"%X\r\n%s\r\n" % (len(p), p) for p in parts) + b"0\r\n" + trailers + b"\r\n"


def test_chunked_request(t):
    parts = [b"a", b"bc" * 700, b"d" * 70000]
    with proxy(echo) as (gateway, upstream), gateway.connect() as c:
        with t.case("body"):
            answer = c.exchange(chunked_request(parts))
            assert answer.body == b"/c " + b"".join(parts)
            assert upstream.one().body == b"".join(parts)
        with t.case("empty body"):
            assert c.exchange(chunked_request([])).body == b"/c "
            upstream.take()
        with t.case("trailers"):
            c.exchange(chunked_request([b"x"], b"X-T: 1\r\nHost: evil\r\n", [("Trailer", "X-T")]))
            seen = upstream.one()
            assert "x-t" not in seen.fields and seen.get("host") != "evil", seen
            assert seen.trailers.pairs in ([], [("X-T", "1")]), seen.trailers


def test_chunked_response(t):
    parts = [b"a", b"bc" * 700, b"d" * 70000]
    with proxy(lambda r: origin.chunked(parts, [("X-T", "1")], [("Trailer", "X-T")])) as (gateway, _):
        with gateway.connect() as c:
            with t.case("body"):
                answer = c.exchange(encode("GET", "/"))
                assert answer.body == b"".join(parts) and not answer.closing, answer.fields
            with t.case("trailers for one who asks"):
                answer = c.exchange(encode("GET", "/", [("TE", "trailers"), ("Connection", "TE")]))
                assert answer.body == b"".join(parts)
                assert answer.trailers.pairs == [("X-T", "1")], answer.trailers


BODILESS = [
    ("HEAD", "HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n", "12345"),
    ("HEAD chunked", "HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", None),
    ("204", "GET", b"HTTP/1.1 204 None\r\n\r\n", None),
    ("304", "GET", b"HTTP/1.1 304 Same\r\nETag: \"a\"\r\nContent-Length: 99\r\n\r\n", "99"),
    ("length 0", "GET", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "0"),
]


def test_answers_without_body(t):
    replies = {"/%d" % i: reply for i, (_, _, reply, _) in enumerate(BODILESS)}
    with proxy(lambda r: replies.get(r.target) or origin.answer()) as (gateway, _), gateway.connect() as c:
        for i, (name, method, _, length) in enumerate(BODILESS):
            with t.case(name):
                answer = c.exchange(encode(method, "/%d" % i), method)
                assert answer.body == b"" and answer.get("content-length") in (length, None), answer
                assert c.exchange(encode("GET", "/next")).body == origin.BODY


def test_expect_continue(t):
    head = encode("POST", "/e", [("Expect", "100-continue"), ("Content-Length", "5")])
    with proxy(echo) as (gateway, upstream), gateway.connect() as c:
        c.send(head)
        interim = c.read_head("POST", keep_interim=False)
        assert interim.status == 100, interim
        c.send(b"hello")
        assert c.read("POST").body == b"/e hello"
        assert "expect" not in upstream.one().fields


def test_expect_refused(t):
    """A final answer instead of 100: the body is not asked for, and the connection stays in step or ends."""
    fields = [("Expect", "100-continue"), ("Content-Length", "5")]
    with origin.Origin() as upstream, Gateway(simple_config(upstream.url, hosts=["known.test"])) as gateway:
        with gateway.connect() as c:
            answer = c.exchange(encode("POST", "/e", fields, host="other.test"))
            assert answer.status == 404 and answer.interim == [], answer
            if answer.closing:
                assert c.ended()
                return
            c.send(b"hello" + encode("GET", "/x", host="known.test"))
            assert c.read().body == origin.BODY


def with_hints(request):
    return b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" + origin.answer()


def test_interim_answers(t):
    with proxy(with_hints) as (gateway, _), gateway.connect() as c:
        with t.case("passed on"):
            answer = c.exchange(encode("GET", "/"))
            assert [(s, f.get("link")) for s, f in answer.interim] == [(103, "</a.css>")], answer.interim
        with t.case("not to HTTP/1.0"):
            with gateway.connect() as old:
                answer = old.exchange(encode("GET", "/", version="1.0"))
                assert answer.interim == [] and answer.body == origin.BODY, answer


def test_early_answer(t):
    """The origin answers while the body is still on its way: the client gets the answer at once."""
    def script(connection):
        if connection.read_head():
            connection.send(origin.answer(413, [("Connection", "close")], b"too much"))
            connection.wait_for_end()

    with scripted(script) as (gateway, _), gateway.connect() as c:
        c.send(encode("POST", "/up", [("Content-Length", "10000000")]) + b"a" * 65536)
        answer = c.read("POST")
        assert answer.status == 413 and answer.body == b"too much", answer


def test_half_close(t):
    """A client that ends its sending side after the request still gets the answer."""
    release = threading.Event()
    def handler(request):
        release.wait(10)
        return origin.answer()

    with proxy(handler) as (gateway, upstream), gateway.connect() as c:
        c.send(encode("GET", "/")).end_sending()
        net.wait_until(lambda: upstream.requests, what="the request at the origin")
        release.set()
        assert c.read().body == origin.BODY
        assert c.ended()


def test_http_1_0(t):
    replies = {"/c": origin.chunked([b"hel", b"lo"]), "/": origin.answer()}
    with proxy(lambda r: replies[r.target]) as (gateway, _):
        with t.case("no chunks"), gateway.connect() as c:
            answer = c.exchange(encode("GET", "/c", version="1.0"))
            assert answer.body == b"hello" and "transfer-encoding" not in answer.fields, answer
            assert c.ended()
        with t.case("closes"), gateway.connect() as c:
            assert c.exchange(encode("GET", "/", version="1.0")).body == origin.BODY
            assert c.ended()
        with t.case("keep-alive on request"), gateway.connect() as c:
            data = encode("GET", "/", [("Connection", "keep-alive")], version="1.0")
            for _ in range(3):
                answer = c.exchange(data)
                assert answer.body == origin.BODY, answer
                assert answer.fields.tokens("connection") == ["keep-alive"], answer
        with t.case("without Host"), gateway.connect() as c:
            assert c.exchange(b"GET / HTTP/1.0\r\n\r\n").status in (200, 404)


def test_connection_close(t):
    with proxy() as (gateway, _), gateway.connect() as c:
        answer = c.exchange(encode("GET", "/", [("Connection", "close")]))
        assert answer.status == 200 and "close" in answer.fields.tokens("connection"), answer
        assert c.ended()


def test_origin_closes_idle_connections(t):
    """The origin closes after each answer without saying so: no GET fails, no POST arrives twice."""
    seen = []
    def script(connection):
        request = connection.read_request()
        if request:
            seen.append(request.target)
            connection.send(origin.answer())

    with scripted(script, retries=5) as (gateway, _), gateway.connect() as c:
        for i in range(300):
            answer = c.exchange(encode("GET", "/%d" % i))
            assert answer.status == 200, "GET %d: %r" % (i, answer)
        seen.clear()
        for i in range(100):
            answer = c.exchange(encode("POST", "/%d" % i, body=b"x"))
            assert answer.status in (200, 502), answer
            assert seen.count("/%d" % i) == 1 or answer.status == 502, seen[-3:]
        assert len(seen) == len(set(seen)), "a POST arrived twice"


def test_origin_closes_on_the_second_request(t):
    """The race at its worst: the reused connection takes the request and closes instead of answering."""
    seen = []
    def script(connection):
        request = connection.read_request()
        if request:
            seen.append(request.target)
            connection.send(origin.answer())
            again = connection.read_request()
            if again:
                seen.append(again.target)

    with scripted(script, {"shards": 1}, retries=5) as (gateway, _), gateway.connect() as c:
        for i in range(50):
            assert c.exchange(encode("GET", "/%d" % i)).status == 200
        seen.clear()
        for i in range(50):
            answer = c.exchange(encode("POST", "/%d" % i, body=b"x"))
            assert answer.status in (200, 502), answer
            assert seen.count("/%d" % i) == 1, "POST %d arrived %d times" % (i, seen.count("/%d" % i))


def test_big_heads(t):
    """A head near the limits arrives whole at the other side, both ways, however it is cut."""
    big = [("X-%d" % i, "%02d" % i * 600) for i in range(10)]
    with proxy(lambda r: origin.answer(headers=big)) as (gateway, upstream), gateway.connect() as c:
        data = encode("GET", "/" + "t" * 4000, big)
        for size in (1, 7, 100, 1400, 4096, 16384):
            with t.case("pieces of %d" % size):
                c.send_split(data[i:i + size] for i in range(0, len(data), size))
                answer = c.read()
                seen = upstream.one()
                for name, value in big:
                    assert seen.get(name) == value and answer.get(name) == value, name


WHOLE = origin.answer(headers=[("X-A", "1"), ("Set-Cookie", "a=b")], body=b"hello")
CHUNKS = origin.chunked([b"he", b"llo"], headers=[("X-A", "1"), ("Set-Cookie", "a=b")])


def test_response_split_at_every_byte(t):
    """Also the interim answer in front. /KIND/N asks for that answer cut at byte N."""
    kinds = {"whole": WHOLE, "chunks": CHUNKS, "hints": with_hints(None)}
    def handler(request):
        _, kind, at = request.target.split("/")
        reply = kinds[kind]
        return [reply[:int(at)], reply[int(at):]]

    with proxy(handler) as (gateway, _), gateway.connect() as c:
        for kind, reply in kinds.items():
            with t.case(kind):
                for at in range(1, len(reply)):
                    answer = c.exchange(encode("GET", "/%s/%d" % (kind, at)))
                    want = origin.BODY if kind == "hints" else b"hello"
                    assert answer.status == 200 and answer.body == want, "cut at %d: %r" % (at, answer)
                    assert kind == "hints" or answer.get("x-a") == "1", "cut at %d: %r" % (at, answer)


def test_request_split_at_every_byte(t):
    data = encode("POST", "/x?y", [("X-A", "1"), ("Cookie", "a=b")], b"hello")
    with proxy(echo) as (gateway, _), gateway.connect() as c:
        for at in range(1, len(data)):
            c.send(data[:at]).send(data[at:])
            answer = c.read("POST")
            assert answer.body == b"/x?y hello", "cut at %d: %r" % (at, answer)
