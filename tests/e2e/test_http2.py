# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 from clients (RFC 9113), by real ones and frame by frame: what is served, what is refused before it
can become HTTP/1, and what a connection may not do however often it asks."""
import contextlib
import json
import os
import signal
import struct
import subprocess
import threading

from tests.support import client, http2, net, origin
from tests.support.gateway import Gateway, simple_config
from tests.support.http2 import (CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, GOAWAY,
                                 HEADERS, INTERNAL_ERROR, NO_ERROR, PING, PREFACE, PRIORITY, PROTOCOL_ERROR,
                                 REFUSED_STREAM, RST_STREAM, SETTINGS, STREAM_CLOSED, frame, headers, request, rst,
                                 window_update)


@contextlib.contextmanager
def proxy(handler=None, settings=None, tls=False):
    """With HTTP/2 in the clear, or with TLS; both answer HTTP/1 too."""
    host, port = net.own_host(), net.free_port()
    listen = {"proxy_listen": "%s:%d http2%s" % (host, port, " ssl" if tls else "")}
    with origin.Origin(handler) as upstream, Gateway(simple_config(upstream.url), {**listen, **(settings or {})}) as g:
        g.address = (host, port)
        g.url = "http%s://%s:%d" % ("s" if tls else "", host, port)
        yield g, upstream


def connect(gateway, *arguments, **kw):
    return http2.Connection(gateway.address, *arguments, **kw)


def echo(asked):
    return origin.answer(body=json.dumps({"target": asked.target, "method": asked.method, "size": len(asked.body),
                                          "fields": asked.fields.pairs}).encode())


def ask(c, stream=1, *more, **changes):
    """A request without body; what the upstream saw of it."""
    c.send(headers(stream, request(*more, **changes)))
    assert c.outcome(stream) == 200
    return json.loads(c.body(stream))


def values(seen, name):
    return [value for key, value in seen["fields"] if key.lower() == name]


def curl(*arguments):
    done = subprocess.run(["curl", "-sk", "--max-time", "20", "-w", "\n%{http_version} %{http_code}", *arguments],
                          capture_output=True, check=False)
    assert done.returncode == 0, done
    return done.stdout.rpartition(b"\n")[::2]


def test_clients(t):
    with proxy(echo, tls=True) as (gateway, _):
        with t.case("curl"):
            body, told = curl("--http2", gateway.url + "/a?b=c")
            assert told == b"2 200" and json.loads(body)["target"] == "/a?b=c", told
        with t.case("curl by HTTP/1.1"):
            assert curl("--http1.1", gateway.url + "/")[1] == b"1.1 200"
        with t.case("h2load"):
            done = subprocess.run(["h2load", "-n400", "-c4", "-m16", gateway.url + "/"], capture_output=True, text=True,
                                  timeout=60 * net.SLOW_FACTOR, check=True)
            assert "400 succeeded, 0 failed" in done.stdout and "h2" in done.stdout, done.stdout
        with t.case("nghttp with trailers and padding"):
            done = subprocess.run(["nghttp", "-y", "-b", "64", "--trailer", "x-t: 1", "-d", "/etc/passwd", gateway.url],
                                  capture_output=True, text=True, timeout=20 * net.SLOW_FACTOR, check=True)
            assert json.loads(done.stdout)["size"] == os.path.getsize("/etc/passwd"), done.stdout


def test_prior_knowledge(t):
    with proxy(echo) as (gateway, _):
        with t.case("curl"):
            assert curl("--http2-prior-knowledge", gateway.url)[1] == b"2 200"
        with t.case("HTTP/1"):
            assert curl("--http1.1", gateway.url)[1] == b"1.1 200"
        with t.case("HTTP/1 that begins like the preface"), client.Connection(gateway.address) as c:
            c.send(b"P")
            c.send(b"UT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
            assert c.read().status == 200
        for at in range(1, len(PREFACE) + 9):
            with t.case("split at %d" % at), connect(gateway, (PREFACE + http2.settings())[:at]) as c:
                c.send((PREFACE + http2.settings())[at:])
                assert ask(c)["target"] == "/"
        with t.case("a wrong preface"), connect(gateway, PREFACE[:18] + b"XX\r\n\r\n" + http2.settings()) as c:
            assert c.outcome(1) in (("goaway", PROTOCOL_ERROR), "closed")
        with t.case("a preface of another kind"), connect(gateway, b"INVALID CONNECTION PREFACE\r\n\r\n") as c:
            assert c.wait_for(lambda f: True) is None and c.buffer == b""
    with origin.Origin(echo) as upstream, Gateway(simple_config(upstream.url)) as gateway:
        with t.case("not on a listener without http2"), client.Connection(gateway.address) as c:
            c.send(PREFACE)
            assert c.read().status in (400, 505)


def test_forwarding(t):
    with proxy(echo) as (gateway, _), connect(gateway) as c:
        with t.case("fields"):
            seen = ask(c, 1, ("x-a", "1"), ("x-a", "2"), ("user-agent", "u"), path="/p?q", authority="h.test:1")
            assert seen["target"] == "/p?q" and values(seen, "x-a") == ["1", "2"], seen
            assert values(seen, "x-forwarded-host") == ["h.test"] and values(seen, "via") == ["2 sluice/0.1.0"], seen
        with t.case("cookie crumbs"):
            c = connect(gateway)
            assert values(ask(c, 1, ("cookie", "a=b"), ("cookie", "c=d"), ("cookie", "e=f")), "cookie") == \
                ["a=b; c=d; e=f"]
        with t.case("Host instead of :authority"):
            c = connect(gateway)
            assert values(ask(c, 1, ("host", "other"), authority=None), "x-forwarded-host") == ["other"]
        with t.case("both, and the same"):
            c = connect(gateway)
            assert values(ask(c, 1, ("host", "TEST")), "x-forwarded-host") == ["test"]
        with t.case("spaces around a value"):
            c = connect(gateway)
            c.send(headers(1, request(("x-a", " v "))))
            assert c.outcome(1) in (200, ("reset", PROTOCOL_ERROR))
        with t.case("OPTIONS *, as in HTTP/1"):
            c = connect(gateway)
            c.send(headers(1, request(method="OPTIONS", path="*")))
            assert c.outcome(1) == gateway.request("OPTIONS", "*").status


def test_bodies(t):
    def handler(asked):
        if asked.target == "/chunks":
            return origin.chunked([b"a" * 5, b"b" * 70000], [("X-Trailer", "1")])
        if asked.target.startswith("/big"):
            return origin.answer(body=b"x" * int(asked.target[5:]))
        if asked.target == "/none":
            return origin.answer(204)
        return echo(asked)

    with proxy(handler) as (gateway, _):
        with t.case("without a length, with trailers"), connect(gateway) as c:
            c.send(headers(1, request(path="/chunks")))
            assert c.body(1) == b"a" * 5 + b"b" * 70000
            last = [f for f in c.frames if f.stream == 1][-1]
            assert last.kind == HEADERS and last.flags & END_STREAM, last
        with t.case("longer than every window"), connect(gateway) as c:
            c.send(headers(1, request(path="/big/3000000")))
            assert len(c.body(1)) == 3000000
        for method, path in (("HEAD", "/big/100"), ("GET", "/none"), ("GET", "/big/0")):
            with t.case("no body: %s %s" % (method, path)), connect(gateway) as c:
                c.send(headers(1, request(method=method, path=path)))
                assert c.body(1) == b""
                assert [f.kind for f in c.frames if f.stream == 1] == [HEADERS]
        with t.case("a request body in pieces"), connect(gateway) as c:
            c.send(headers(1, request(method="POST"), END_HEADERS))
            for _ in range(3):
                c.send(frame(DATA, 0, 1, b"x" * 1000))
            c.send(frame(DATA, http2.PADDED | END_STREAM, 1, bytes([9]) + b"y" * 10 + bytes(9)))
            assert json.loads(c.body(1))["size"] == 3010
        with t.case("a request with trailers"), connect(gateway) as c:
            c.send(headers(1, request(("trailer", "x-t"), method="POST"), END_HEADERS), frame(DATA, 0, 1, b"abc"),
                   headers(1, [("x-t", "1")]))
            seen = json.loads(c.body(1))
            assert seen["size"] == 3 and not values(seen, "x-t"), seen
        with t.case("100-continue"), connect(gateway) as c:
            c.send(headers(1, request(("expect", "100-continue"), ("content-length", "3"), method="POST"), END_HEADERS))
            assert c.outcome(1) == 100
            c.send(frame(DATA, END_STREAM, 1, b"abc"))
            assert json.loads(c.body(1))["size"] == 3


def test_a_cut_response_is_seen(t):
    def script(connection):
        if connection.read_request():
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
            connection.abort() if connection.number % 2 else connection.close()

    host, port = net.own_host(), net.free_port()
    with origin.Peer(script) as peer, Gateway(simple_config(peer.url),
                                              {"proxy_listen": "%s:%d http2" % (host, port)}):
        with http2.Connection((host, port)) as c:
            for stream in (1, 3):
                with t.case(stream):
                    c.send(headers(stream, request()))
                    found = c.wait_for(lambda f, s=stream: f.stream == s and f.kind == RST_STREAM)
                    assert found and found.code == INTERNAL_ERROR, found


RESET = (("reset", PROTOCOL_ERROR),)
ANY = (("reset", PROTOCOL_ERROR), 400)

# What comes with the head, and what becomes of it. None of them reaches the upstream.
MALFORMED = {
    "transfer-encoding": (request(("transfer-encoding", "chunked")), RESET),
    "connection": (request(("connection", "x-a")), RESET),
    "keep-alive": (request(("keep-alive", "1")), RESET),
    "proxy-connection": (request(("proxy-connection", "keep-alive")), RESET),
    "upgrade": (request(("upgrade", "websocket")), RESET),
    "te: gzip": (request(("te", "gzip")), RESET),
    "upper-case name": (request(("X-A", "1")), RESET),
    "CR in a value": (request(("x-a", "a\rb")), RESET),
    "LF in a value": (request(("x-a", "a\nb: c")), RESET),
    "NUL in a value": (request(("x-a", "a\0b")), RESET),
    "control in a value": (request(("x-a", "a\x01b")), RESET),
    "colon in a name": (request(("x:a", "1")), RESET),
    "space in a name": (request(("x a", "1")), RESET),
    "CRLF in a name": (request(("x\r\na", "1")), RESET),
    "empty name": (request(("", "1")), RESET),
    "CRLF in :path": (request(path="/ HTTP/1.1\r\nx: y"), RESET),
    "space in :path": (request(path="/a b"), ANY),
    "CRLF in :method": (request(method="GET\r\nx: y"), ANY),
    "space in :method": (request(method="GET /x"), ANY),
    "lower-case :method": (request(method="get"), (400,)),
    "TRACE": (request(method="TRACE"), (405,)),
    "CONNECT": ([(":method", "CONNECT"), (":authority", "a:1")], (405,)),
    ":scheme of another kind": (request(scheme="http://evil/?"), ANY),
    ":scheme ftp": (request(scheme="ftp"), ANY),
    ":path without slash": (request(path="a"), ANY),
    ":path empty": (request(path=""), ANY),
    ":path with fragment": (request(path="/a#b"), ANY),
    ":path absolute": (request(path="http://other/"), ANY),
    "* of GET": (request(path="*"), ANY),
    ":authority against host": (request(("host", "other")), ANY),
    "two hosts": (request(("host", "test"), ("host", "test")), ANY),
    "userinfo": (request(authority="u@test"), ANY),
    "a list in :authority": (request(authority="a,b"), ANY),
    "no authority at all": (request(authority=None), ANY),
    "pseudo field twice": ([*request(), (":path", "/b")], RESET),
    "pseudo field unknown": ([(":x", "1"), *request()], RESET),
    "pseudo field of responses": ([(":status", "200"), *request()], RESET),
    "pseudo field behind others": ([("x-a", "1"), *request()], RESET),
    ":method missing": (request(method=None), RESET),
    ":scheme missing": (request(scheme=None), RESET),
    ":path missing": (request(path=None), RESET),
    "two content-lengths": (request(("content-length", "1"), ("content-length", "1"), method="POST"), ANY),
    "content-length of no number": (request(("content-length", "+1"), method="POST"), ANY),
    "content-length without body": (request(("content-length", "1"), method="POST"), ANY),
    "two authorizations": (request(("authorization", "a"), ("authorization", "b")), (400,)),
    "another expectation": (request(("expect", "x"),), (417,)),
    "a long target": (request(path="/" + "a" * 9000), (414,)),
    "a long field": (request(("x-a", "a" * 9000)), (400,)),
    "many fields": (request(*((("x-%d" % i), "1") for i in range(110))), (400,)),
}


def test_malformed(t):
    with proxy() as (gateway, upstream):
        for name, (fields, outcomes) in MALFORMED.items():
            with t.case(name), connect(gateway) as c:
                c.send(headers(1, fields))
                found = c.outcome(1)
                assert found in outcomes, found
                c.send(frame(PING, 0, 0, b"12345678")) # the connection is still good
                assert c.wait_for(lambda f: f.kind in (PING, GOAWAY)).kind == PING
                assert not upstream.take(), "forwarded"
        with t.case("DATA longer than content-length"), connect(gateway) as c:
            c.send(headers(1, request(("content-length", "2"), method="POST"), END_HEADERS),
                   frame(DATA, END_STREAM, 1, b"abc"))
            assert c.outcome(1) == ("reset", PROTOCOL_ERROR)
        with t.case("DATA shorter than content-length"), connect(gateway) as c:
            c.send(headers(1, request(("content-length", "4"), method="POST"), END_HEADERS),
                   frame(DATA, END_STREAM, 1, b"abc"))
            assert c.outcome(1) == ("reset", PROTOCOL_ERROR)
        with t.case("pseudo field in trailers"), connect(gateway) as c:
            c.send(headers(1, request(method="POST"), END_HEADERS), headers(1, [(":path", "/")]))
            assert c.outcome(1) == ("reset", PROTOCOL_ERROR)
        assert all(len(seen.body) == 0 for seen in upstream.take())


GOOD = headers(1, request())

# Frames that break the connection, by the section of RFC 9113.
BROKEN = {
    "4.2 a frame beyond 16 KiB": frame(DATA, 0, 1, b"x" * 16385),
    "4.3 HPACK that is none": frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\xff\xff\xff\xff\xff\xff"),
    "5.1 DATA on an idle stream": frame(DATA, 0, 1, b"x"),
    "5.1 RST_STREAM on an idle stream": rst(1),
    "5.1 WINDOW_UPDATE on an idle stream": window_update(1, 1),
    "5.1.1 an even stream": headers(2, request()),
    "6.1 DATA on stream 0": frame(DATA, 0, 0, b"x"),
    "6.1 padding longer than the frame": headers(1, request(method="POST"), END_HEADERS)
    + frame(DATA, http2.PADDED, 1, b"\xffab"),
    "6.2 HEADERS on stream 0": headers(0, request()),
    "6.2 another frame inside a head": frame(HEADERS, END_STREAM, 1, http2.block(request()))
    + frame(PING, 0, 0, bytes(8)),
    "6.4 RST_STREAM of 3 bytes": GOOD + frame(RST_STREAM, 0, 1, b"abc"),
    "6.4 RST_STREAM on stream 0": rst(0),
    "6.5 SETTINGS on a stream": frame(SETTINGS, 0, 1),
    "6.5 SETTINGS of 5 bytes": frame(SETTINGS, 0, 0, b"12345"),
    "6.5 an acknowledgement with payload": frame(SETTINGS, http2.ACK, 0, b"123456"),
    "6.5.2 a window beyond 2^31-1": http2.settings(window=1 << 31),
    "6.5.2 a frame size below 16384": http2.settings(frame=100),
    "6.5.2 push neither 0 nor 1": http2.settings(push=2),
    "6.6 PUSH_PROMISE from a client": frame(http2.PUSH_PROMISE, END_HEADERS, 1, bytes(4)),
    "6.7 PING of 7 bytes": frame(PING, 0, 0, bytes(7)),
    "6.7 PING on a stream": frame(PING, 0, 1, bytes(8)),
    "6.8 GOAWAY on a stream": frame(GOAWAY, 0, 1, bytes(8)),
    "6.9 WINDOW_UPDATE of 3 bytes": frame(http2.WINDOW_UPDATE, 0, 0, b"abc"),
    "6.9 WINDOW_UPDATE of 0": window_update(0, 0),
    "6.9.1 a window that overflows": window_update(0, 0x7fffffff),
    "6.10 CONTINUATION of nothing": frame(CONTINUATION, END_HEADERS, 1, b""),
}


def test_broken_frames(t):
    with proxy() as (gateway, _):
        for name, data in BROKEN.items():
            with t.case(name), connect(gateway) as c:
                c.send(data)
                found = c.wait_for(lambda f: f.kind == GOAWAY and f.code != NO_ERROR)
                assert found is not None, "no GOAWAY"
                assert c.wait_for(lambda f: False) is None
        with t.case("and others are served"), connect(gateway) as c:
            c.send(GOOD)
            assert c.outcome(1) == 200


# On streams that are over, by the section of RFC 9113: (what ends stream 1, what comes then, the code).
OVER = {
    "5.1 DATA after RST_STREAM": (headers(1, request(method="POST"), END_HEADERS) + rst(1), frame(DATA, 0, 1, b"x"),
                                  STREAM_CLOSED),
    "5.1 HEADERS after RST_STREAM": (headers(1, request(method="POST"), END_HEADERS) + rst(1), GOOD, STREAM_CLOSED),
    "5.1 DATA after the answer": (GOOD, frame(DATA, END_STREAM, 1, b"x"), STREAM_CLOSED),
    "5.1 HEADERS after the answer": (GOOD, GOOD, STREAM_CLOSED),
    "5.1.1 HEADERS on a stream that was skipped": (headers(5, request()), headers(3, request()), PROTOCOL_ERROR),
    "5.1.1 DATA on a stream that was skipped": (headers(5, request()), frame(DATA, 0, 3, b"x"), PROTOCOL_ERROR),
    "RFC 7540 5.3.1 a stream that depends on itself": (b"", frame(PRIORITY, 0, 7, bytes([0, 0, 0, 7, 1])),
                                                      PROTOCOL_ERROR),
    "6.3 PRIORITY on stream 0": (b"", frame(PRIORITY, 0, 0, bytes([0, 0, 0, 7, 1])), PROTOCOL_ERROR),
}


def ends_with(c, code):
    found = c.wait_for(lambda f: f.kind == GOAWAY)
    return found is not None and found.code == code and c.wait_for(lambda f: False) is None


def test_frames_on_streams_that_are_over(t):
    with proxy(echo) as (gateway, upstream):
        for name, (ending, late, code) in OVER.items():
            with t.case(name + ", later"), connect(gateway) as c:
                c.send(ending)
                if ending and b"POST" not in ending:
                    c.wait_for(lambda f: f.flags & END_STREAM and f.stream)
                c.send(frame(PING, 0, 0, b"12345678"))
                c.wait_for(lambda f: f.kind == PING)
                c.send(late)
                assert ends_with(c, code)
            with t.case(name + ", at once"), connect(gateway) as c:
                c.send(ending, late)
                found = c.wait_for(lambda f: f.kind == GOAWAY or f.kind == RST_STREAM and f.code == STREAM_CLOSED)
                assert found and found.code == code, found
        assert "/3" not in [seen.target for seen in upstream.take()]
    with t.case("what the client cannot know yet is ignored"), \
            proxy(settings={"client_max_body_size": "10"}) as (gateway, _), connect(gateway) as c:
        c.send(headers(1, request(method="POST"), END_HEADERS), frame(DATA, 0, 1, b"x" * 20))
        assert c.wait_for(lambda f: f.kind == RST_STREAM).code == NO_ERROR
        c.send(frame(DATA, 0, 1, b"x"), headers(1, [("x-t", "1")]), headers(3, request()))
        assert c.outcome(3) == 200


def test_refused_heads_leave_no_timer(t):
    """A head that is refused is over: the connection lives on behind the time that a head may take."""
    limits = {"client_header_timeout": "1s", "http2_max_concurrent_streams": "1"}
    with proxy(settings=limits) as (gateway, _), connect(gateway) as c:
        c.send(headers(1, request(method="POST"), END_HEADERS))
        for stream in (3, 5):
            c.send(headers(stream, request(method="POST"), END_HEADERS), frame(DATA, END_STREAM, stream, b"x"))
            assert c.outcome(stream) in (("reset", REFUSED_STREAM), ("goaway", PROTOCOL_ERROR))
        assert c.is_silent(2.5)


def test_what_is_ignored(t):
    with t.case("unknown frames and settings"), proxy() as (gateway, _), connect(gateway) as c:
        c.send(frame(0x42, 0xff, 0, b"xyz"), frame(SETTINGS, 0, 0, struct.pack(">HI", 0x4242, 1)),
               frame(PRIORITY, 0, 7, bytes([0, 0, 0, 0, 1])), GOOD)
        assert c.outcome(1) == 200


def rapid_reset(count):
    return b"".join(headers(2 * i + 1, request()) + rst(2 * i + 1) for i in range(count))


def provoked_reset(count):
    """Each stream is made to be reset by us: a window of nothing is given back."""
    return b"".join(headers(2 * i + 1, request(method="POST"), END_HEADERS) + window_update(2 * i + 1, 0)
                    for i in range(count))


FLOODS = {
    "rapid reset": rapid_reset(5000),
    "resets that we are made to send": provoked_reset(5000),
    "SETTINGS": frame(SETTINGS) * 20000,
    "PING": frame(PING, 0, 0, bytes(8)) * 20000,
    "PRIORITY": frame(PRIORITY, 0, 1, bytes([0, 0, 0, 0, 1])) * 20000,
    "empty DATA": headers(1, request(method="POST"), END_HEADERS) + frame(DATA, 0, 1) * 20000,
    "WINDOW_UPDATE": window_update(0, 1) * 20000,
    "unknown frames": frame(0x42) * 20000,
    "CONTINUATION": frame(HEADERS, END_STREAM, 1, http2.block(request()))
    + frame(CONTINUATION, 0, 1, http2.literal("x-a", "b" * 1000)) * 2000,
    "empty CONTINUATION": frame(HEADERS, END_STREAM, 1, http2.block(request())) + frame(CONTINUATION, 0, 1) * 20000,
}


def test_floods(t):
    with proxy() as (gateway, _), connect(gateway) as bystander:
        bystander.send(headers(1, request()))
        assert bystander.outcome(1) == 200
        bystander.body(1)
        before, stream = gateway.status_kib(), 3
        for name, data in FLOODS.items():
            with t.case(name), connect(gateway) as c:
                c.offer(data)
                found = c.wait_for(lambda f: f.kind == GOAWAY and f.code != NO_ERROR)
                # a reset may overtake what was said last; then the end has to do
                assert found is None or found.code in (ENHANCE_YOUR_CALM, PROTOCOL_ERROR, INTERNAL_ERROR), found
                assert c.wait_for(lambda f: False) is None
                bystander.send(headers(stream, request()))
                assert len(bystander.body(stream)) > 0
                stream += 2
        assert gateway.status_kib() - before < 20000 * net.SLOW_FACTOR


def test_header_bomb(t):
    """One long field in the table, and thousands of references to it of a byte each."""
    with proxy() as (gateway, upstream), connect(gateway) as c:
        before = gateway.status_kib()
        head = http2.block(request()) + http2.literal("x-a", "b" * 3900, 0x40)
        c.send(frame(HEADERS, END_STREAM | END_HEADERS, 1, head + b"\xbe" * 12000))
        assert c.outcome(1) in (400, ("reset", ENHANCE_YOUR_CALM), ("goaway", ENHANCE_YOUR_CALM))
        assert gateway.status_kib() - before < 4000 * net.SLOW_FACTOR and not upstream.take()


def test_too_many_streams(t):
    with proxy(settings={"http2_max_concurrent_streams": "10"}) as (gateway, _), connect(gateway) as c:
        for i in range(12):
            c.send(headers(2 * i + 1, request(method="POST"), END_HEADERS))
        found = c.wait_for(lambda f: f.kind in (RST_STREAM, GOAWAY))
        assert found.code in (REFUSED_STREAM, PROTOCOL_ERROR), found


def test_slow_readers_hold_little(t):
    """Streams whose client takes nothing: the upstreams wait, memory does not grow."""
    large, small = (origin.answer(body=b"x" * size) for size in (20000000, 5000000))
    with proxy(lambda asked: large if asked.target == "/large" else small) as (gateway, _):
        with connect(gateway, PREFACE + http2.settings(window=0)) as c:
            before = gateway.status_kib()
            for i in range(30):
                c.send(headers(2 * i + 1, request(path="/large")))
            for _ in range(30):
                assert c.wait_for(lambda f: f.kind == HEADERS)
            c.is_silent(0.5)
            # 600 MB are to come; a stream takes in up to 2 MB before its upstream is paused
            assert gateway.status_kib() - before < 120000 * net.SLOW_FACTOR, gateway.status_kib() - before
        with t.case("and others are served"), connect(gateway) as c:
            c.send(GOOD)
            assert len(c.body(1)) == 5000000


def upload_until_stuck(c, stream, most):
    """Sends what the windows allow, until neither has grown for half a second; how much that was."""
    first = c.wait_for(lambda f: f.kind == SETTINGS and not f.flags & http2.ACK)
    c.send(frame(SETTINGS, http2.ACK))
    initial_window = dict(struct.iter_unpack(">HI", first.payload)).get(4, 65535)
    room, sent = {0: 65535, stream: initial_window}, 0
    c.socket.settimeout(0.5 * net.SLOW_FACTOR)
    while sent < most:
        size = min(16384, *room.values())
        if size > 0:
            c.send(frame(DATA, 0, stream, bytes(size)))
            room, sent = {key: left - size for key, left in room.items()}, sent + size
            continue
        try:
            found = c.read()
        except TimeoutError:
            break
        assert found is not None and found.kind not in (GOAWAY, RST_STREAM), found
        if found.kind == http2.WINDOW_UPDATE and found.stream in room:
            room[found.stream] += int.from_bytes(found.payload, "big")
    c.socket.settimeout(10 * net.SLOW_FACTOR)
    return sent


def test_uploads_wait_for_the_upstream(t):
    """An upstream that does not read: windows are not given back, memory does not grow, and all arrives later."""
    release = threading.Event()

    def script(connection):
        asked = connection.read_head()
        release.wait(60)
        connection.read_body(asked, keep=False)
        connection.send(origin.answer(body=b"%d" % asked.size))

    host, port = net.own_host(), net.free_port()
    with origin.Peer(script) as peer, Gateway(simple_config(peer.url),
                                              {"proxy_listen": "%s:%d http2" % (host, port)}) as gateway:
        with http2.Connection((host, port)) as c:
            before = gateway.status_kib()
            c.send(headers(1, request(method="POST"), END_HEADERS))
            sent = upload_until_stuck(c, 1, 256 << 20)
            assert (64 << 10) <= sent < (256 << 20), sent
            assert gateway.status_kib() - before < 20000 * net.SLOW_FACTOR, gateway.status_kib() - before
            release.set()
            c.send(frame(DATA, END_STREAM, 1, b""))
            assert c.body(1) == b"%d" % sent


def test_draining(t):
    with proxy(settings={"drain_timeout": "20s"}) as (gateway, _), connect(gateway) as c:
        c.send(headers(1, request(method="POST"), END_HEADERS))
        c.send(frame(PING, 0, 0, b"12345678"))
        c.wait_for(lambda f: f.kind == PING)
        gateway.send_signal(signal.SIGTERM)
        with t.case("first GOAWAY"):
            found = c.wait_for(lambda f: f.kind == GOAWAY)
            assert struct.unpack(">II", found.payload[:8]) == (0x7fffffff, NO_ERROR), found
        with t.case("last GOAWAY"):
            ping = c.wait_for(lambda f: f.kind == PING)
            c.send(frame(PING, http2.ACK, 0, ping.payload))
            found = c.wait_for(lambda f: f.kind == GOAWAY)
            assert struct.unpack(">II", found.payload[:8]) == (1, NO_ERROR), found
        with t.case("what was begun is served"):
            c.send(frame(DATA, END_STREAM, 1, b"x"))
            assert c.outcome(1) == 200
            assert c.wait_for(lambda f: False) is None
        gateway.wait_end()


def test_keepalive_requests(t):
    with proxy(settings={"keepalive_requests": "2"}) as (gateway, _), connect(gateway) as c:
        c.send(headers(1, request()))
        assert c.outcome(1) == 200
        c.send(headers(3, request()))
        assert c.wait_for(lambda f: f.kind == GOAWAY).code == NO_ERROR
        assert c.wait_for(lambda f: False) is None


def test_reload(t):
    """Connections live on, and the next request on them sees the new routes; what has begun keeps its own."""
    def reply(asked):
        return origin.answer(body=asked.body)
    with proxy(reply) as (gateway, upstream), connect(gateway) as c:
        c.send(headers(1, request(path="/old")))
        assert c.outcome(1) == 200
        c.send(headers(3, request(path="/old", method="POST"), END_HEADERS), frame(DATA, 0, 3, b"be"))
        stream = 5
        for path, gone in (("/new", "/old"), ("/newer", "/new")):
            gateway.reload(simple_config(upstream.url, paths=[path]))

            def serves(wanted, status):
                nonlocal stream
                stream += 2
                c.send(headers(stream, request(path=wanted)))
                return c.outcome(stream) == status
            net.wait_until(lambda: serves(gone, 404), what="the new routes")
            assert serves(path, 200)
        c.send(frame(DATA, END_STREAM, 3, b"gun"))
        assert c.outcome(3) == 200
        assert c.body(3) == b"begun"
        assert not [f for f in c.frames if f.kind == GOAWAY], c.frames


def test_time_limits(t):
    quick = {"client_body_timeout": "500ms", "client_header_timeout": "500ms", "keepalive_timeout": "500ms"}
    with proxy(settings=quick) as (gateway, _):
        # in one piece with the preface: what comes late meets another of the limits
        begin = PREFACE + http2.settings()
        with t.case("a body that does not come"), \
                connect(gateway, begin + headers(1, request(method="POST"), END_HEADERS)) as c:
            assert c.outcome(1) == 408
        with t.case("a head that does not end"), \
                connect(gateway, begin + frame(HEADERS, END_STREAM, 1, http2.block(request()))) as c:
            assert c.wait_for(lambda f: f.kind == GOAWAY).code == ENHANCE_YOUR_CALM
        with t.case("no request"), connect(gateway) as c:
            assert c.wait_for(lambda f: f.kind == GOAWAY).code == NO_ERROR
        with t.case("no further request"), connect(gateway, begin + GOOD) as c:
            assert c.outcome(1) == 200
            assert c.wait_for(lambda f: f.kind == GOAWAY).code == NO_ERROR


def test_an_early_answer(t):
    """The answer comes before the request's body has: it is delivered, the rest is not asked for."""
    with proxy(settings={"client_max_body_size": "1000"}) as (gateway, _), connect(gateway) as c:
        c.send(headers(1, request(method="POST"), END_HEADERS), frame(DATA, 0, 1, b"x" * 2000))
        assert c.outcome(1) == 413
        found = c.wait_for(lambda f: f.kind in (RST_STREAM, GOAWAY))
        assert (found.kind, found.code) == (RST_STREAM, NO_ERROR), found
        c.send(headers(3, request()))
        assert c.wait_for(lambda f: f.stream == 3 and f.kind == HEADERS)


def test_access_log(t):
    with proxy(settings={"proxy_access_log": "/dev/stdout"}) as (gateway, _), connect(gateway) as c:
        c.send(headers(1, request(path="/logged")))
        assert c.outcome(1) == 200
        net.wait_until(lambda: '"GET /logged HTTP/2.0" 200' in gateway.stdout(), 5, gateway.stdout)
