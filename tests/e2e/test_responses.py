# SPDX-License-Identifier: Apache-2.0
"""Broken and hostile upstream answers: a 502 or a visible truncation, never one that wrongly looks whole."""
import json
import time

from tests.support import client, net, origin, wire
from tests.support.gateway import Folder, Gateway, run, simple_config


def ok(*fields, body=b"hello", status=b"200 OK"):
    return b"HTTP/1.1 " + status + b"\r\n" + b"".join(f + b"\r\n" for f in fields) + b"\r\n" + body


LENGTH = b"Content-Length: 5"
CHUNKED = b"Transfer-Encoding: chunked"
CHUNKS = b"5\r\nhello\r\n0\r\n\r\n"

# name, what the upstream sends before it waits; the client gets 502, the upstream connection is closed
BAD_GATEWAY = [
    ("length and chunked", ok(LENGTH, CHUNKED, body=CHUNKS)),
    ("chunked and length", ok(CHUNKED, LENGTH, body=CHUNKS)),
    ("lengths that differ", ok(LENGTH, b"Content-Length: 6")),
    ("equal lengths", ok(LENGTH, LENGTH)),
    ("length list", ok(b"Content-Length: 5, 6")),
    ("negative length", ok(b"Content-Length: -5")),
    ("length +5", ok(b"Content-Length: +5")),
    ("length of 23 digits", ok(b"Content-Length: 10000000000000000000005")),
    ("length 2^64+5", ok(b"Content-Length: 18446744073709551621")),
    ("empty length", ok(b"Content-Length:")),
    ("length abc", ok(b"Content-Length: abc")),
    ("unknown coding", ok(b"Transfer-Encoding: xchunked")),
    ("chunked, gzip", ok(b"Transfer-Encoding: chunked, gzip", body=CHUNKS)),
    ("chunked twice", ok(CHUNKED, CHUNKED, body=CHUNKS)),
    ("folded field", ok(LENGTH, b"X-A: 1", b" 2")),
    ("folded length", ok(b"Content-Length:", b" 5")),
    ("NUL in a value", ok(LENGTH, b"X-A: 1\x002")),
    ("control in a value", ok(LENGTH, b"X-A: 1\x012")),
    ("bare CR in a value", ok(LENGTH, b"X-A: 1\r2")),
    ("LF line ends", ok(LENGTH).replace(b"\r\n", b"\n")),
    ("LF after the status line", ok(LENGTH).replace(b"\r\n", b"\n", 1)),
    ("LF after a field", b"HTTP/1.1 200 OK\r\nContent-Length: 5\nX-A: 1\r\n\r\nhello"),
    ("space before the colon", ok(b"Content-Length : 5")),
    ("no colon", ok(LENGTH, b"nocolon")),
    ("space in a name", ok(LENGTH, b"Bad Name: 1")),
    ("empty name", ok(LENGTH, b": 1")),
    ("status 99", ok(LENGTH, status=b"99 Low")),
    ("status 099", ok(LENGTH, status=b"099 Low")),
    ("status 1000", ok(LENGTH, status=b"1000 High")),
    ("status abc", ok(LENGTH, status=b"abc")),
    ("no status", b"HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"),
    ("HTTP/2.0", ok(LENGTH).replace(b"1.1", b"2.0", 1)),
    ("HTTP/0.9", b"<html>hello</html>\r\n\r\n"),
    ("lower-case version", ok(LENGTH).replace(b"HTTP", b"http", 1)),
    ("garbage", bytes(range(256))),
    ("SSH banner", b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"),
    ("TLS alert", b"\x15\x03\x01\x00\x02\x02\x46"),
    ("101 not asked for", ok(b"Upgrade: websocket", b"Connection: Upgrade", body=b"", status=b"101 Yes")),
    ("field of 200 kB", ok(LENGTH, b"X-A: " + b"a" * 200000)),
    ("5000 fields", ok(LENGTH, *[b"X-%d: 1" % i for i in range(5000)])),
    ("3000 times 103", ok(body=b"", status=b"103 Hints") * 3000 + ok(LENGTH)),
]

# name, what the upstream sends, how it ends; the client must not take this for whole
TRUNCATED = [
    ("short body, end", ok(b"Content-Length: 50"), "end"),
    ("short body, reset", ok(b"Content-Length: 50"), "reset"),
    ("chunked, no last chunk, end", ok(CHUNKED, body=b"5\r\nhello\r\n"), "end"),
    ("chunked, no last chunk, reset", ok(CHUNKED, body=b"5\r\nhello\r\n"), "reset"),
    ("chunked, end within a chunk", ok(CHUNKED, body=b"10\r\nhello"), "end"),
    ("chunked, end before the last line", ok(CHUNKED, body=b"5\r\nhello\r\n0\r\n"), "end"),
    ("bad chunk size", ok(CHUNKED, body=b"5\r\nhello\r\nzz\r\n"), "wait"),
    ("chunk size of 17 digits", ok(CHUNKED, body=b"5\r\nhello\r\n10000000000000005\r\nhello"), "wait"),
    ("chunk longer than its size", ok(CHUNKED, body=b"3\r\nhello\r\n0\r\n\r\n"), "wait"),
    ("chunk line ends in LF", ok(CHUNKED, body=b"5\nhello\r\n0\r\n\r\n"), "wait"),
]

# name, what the upstream sends, how it ends, (status, body) for the client, is the connection used again?
DELIVERED = [
    ("plain", ok(LENGTH), "wait", (200, b"hello"), True),
    ("chunked", ok(CHUNKED, body=CHUNKS), "wait", (200, b"hello"), True),
    ("chunk extension", ok(CHUNKED, body=b"5;a=b\r\nhello\r\n0;c\r\n\r\n"), "wait", (200, b"hello"), True),
    ("no reason", ok(LENGTH, status=b"200 "), "wait", (200, b"hello"), True),
    ("obs-text", ok(LENGTH, b"X-A: caf\xe9"), "wait", (200, b"hello"), True),
    ("bytes after the length", ok(LENGTH) + ok(LENGTH, body=b"evil!"), "wait", (200, b"hello"), False),
    ("bytes after the last chunk", ok(CHUNKED, body=CHUNKS + ok(LENGTH, body=b"evil!")), "wait",
     (200, b"hello"), False),
    ("Connection: close", ok(LENGTH, b"Connection: close"), "wait", (200, b"hello"), False),
    ("no length", ok(), "end", (200, b"hello"), False),
    ("HTTP/1.0", ok(LENGTH).replace(b"1.1", b"1.0", 1), "end", (200, b"hello"), False),
    ("HTTP/1.0 without length", ok().replace(b"1.1", b"1.0", 1), "end", (200, b"hello"), False),
    ("204", ok(body=b"", status=b"204 None"), "wait", (204, b""), True),
    ("204 with length 0", ok(b"Content-Length: 0", body=b"", status=b"204 None"), "wait", (204, b""), None),
    ("204 with a body", ok(LENGTH, status=b"204 None"), "wait", (204, b""), False),
    ("205 with a body", ok(LENGTH, status=b"205 Reset"), "wait", (205, None), None),
    ("304 with length", ok(b"Content-Length: 500", body=b"", status=b"304 Same"), "wait", (304, b""), True),
    ("304 with a body", ok(LENGTH, status=b"304 Same"), "wait", (304, b""), False),
    ("100 not asked for", ok(body=b"", status=b"100 Continue") + ok(LENGTH), "wait", (200, b"hello"), True),
    ("103 first", ok(body=b"", status=b"103 Hints") + ok(LENGTH), "wait", (200, b"hello"), True),
    ("empty line in front", b"\r\n" + ok(LENGTH), "wait", None, None),
]


class Script(origin.Peer):
    """Answers /control well and anything else with `.reply`, then does `.ending`; keeps who got what."""

    def __init__(self):
        self.reply, self.ending, self.log, self.ended = b"", "wait", [], set()
        super().__init__()

    def serve(self, connection):
        while True:
            request = connection.read_request()
            if request is None:
                self.ended.add(connection.number)
                return
            self.log.append((connection.number, request.target))
            if request.target == "/control":
                connection.send(origin.answer())
                continue
            try:
                connection.send(self.reply)
            except OSError:  # the gateway closed before it had taken all: buffers may be small
                self.ended.add(connection.number)
                return
            if self.ending == "reset":
                connection.abort()
            if self.ending != "wait":
                return

    def last(self, target):
        return next(number for number, seen in reversed(self.log) if seen == target)


class Bench:
    """A gateway of one shard, so that the control request finds what the row left in the pool."""

    def __init__(self):
        self.upstream = Script()
        self.gateway = Gateway(simple_config(self.upstream.url), {"shards": 1})

    def __enter__(self):
        return self

    def __exit__(self, kind, *rest):
        self.gateway.__exit__(kind, *rest)
        self.upstream.close()

    def set(self, reply, ending="wait"):
        self.upstream.reply, self.upstream.ending = reply, ending

    def reused(self):
        """Did a control request go over the connection of the last row?"""
        answer = self.gateway.get("/control")
        assert answer.status == 200 and answer.body == origin.BODY, "the control request got %r" % answer
        return self.upstream.last("/control") == self.upstream.last("/x")

    def check_closed(self):
        number = self.upstream.last("/x")
        net.wait_until(lambda: number in self.upstream.ended, 3, "the end of the upstream connection")


def test_bad_gateway(t):
    with Bench() as b:
        for name, reply in BAD_GATEWAY:
            with t.case(name):
                b.set(reply)
                began = time.monotonic()
                with b.gateway.connect(timeout=6 * net.SLOW_FACTOR) as c:
                    answer = c.exchange(client.encode("GET", "/x"))
                took = time.monotonic() - began
                assert answer.status == 502, "answer %r" % answer
                assert took < 5 * net.SLOW_FACTOR, "the answer took %.2f s" % took
                assert b"An invalid response was received" in answer.body, answer.body
                assert len(answer.interim) <= 8, "%d interim answers" % len(answer.interim)
                b.check_closed()
                assert not b.reused()


def test_truncated(t):
    with Bench() as b:
        for name, reply, ending in TRUNCATED:
            with t.case(name):
                b.set(reply, ending)
                try:
                    answer = b.gateway.get("/x")
                except wire.EndOfStream:
                    answer = None
                assert answer is None or answer.status == 502, "looks whole: %r" % answer
                assert not b.reused()


def test_delivered(t):
    with Bench() as b:
        for name, reply, ending, want, reused in DELIVERED:
            with t.case(name):
                b.set(reply, ending)
                answer = b.gateway.get("/x")
                if want is None:  # served or refused, as long as the next answer is right
                    assert answer.status == 502 or answer.body == b"hello", answer
                else:
                    assert (answer.status, answer.body) == (want[0], want[1] or answer.body), answer
                assert b"evil" not in answer.body
                hints = [103] if "103" in name else []
                assert [status for status, _ in answer.interim] == hints, answer.interim
                again = b.reused()
                assert reused in (None, again), "the connection was %sused again" % ("" if again else "not ")


def test_hop_by_hop_fields(t):
    with Bench() as b:
        b.set(ok(LENGTH, b"Connection: X-Hop", b"X-Hop: 1", b"Keep-Alive: timeout=3", b"X-Stay: 2"))
        answer = b.gateway.get("/x")
        assert answer.get("x-stay") == "2", answer
        for name in ("x-hop", "keep-alive"):
            assert name not in answer.fields, answer


def test_closed_before_an_answer(t):
    """Without retries a request whose connection ends unanswered is a 502 and was sent once."""
    with Bench() as b:
        for method in ("GET", "POST"):
            with t.case(method):
                b.set(b"", "end")
                b.upstream.log.clear()
                answer = b.gateway.request(method, "/x", body=b"abc" if method == "POST" else None)
                assert answer.status == 502, answer
                assert [target for _, target in b.upstream.log] == ["/x"], b.upstream.log


def test_repeated_fields_stay_apart(t):
    with Bench() as b:
        b.set(ok(LENGTH, b"Set-Cookie: a=1", b"X-Other: 1", b"Set-Cookie: b=2, c"))
        assert b.gateway.get("/x").all("set-cookie") == ["a=1", "b=2, c"]


def test_debug_header(t):
    """With allow_debug_header a request can ask which route and service were chosen; without it, it cannot."""
    names = ("kong-route-id", "kong-route-name", "kong-service-id", "kong-service-name")
    with origin.Origin() as upstream:
        config = simple_config(upstream.url)
        route = config["services"][0]["routes"][0].get("name")
        with Gateway(config, {"allow_debug_header": "on"}) as gateway, gateway.connect() as c:
            shown = c.exchange(client.encode("GET", "/", [("Kong-Debug", "1")]))
            assert shown.get(names[1]) == route and len(shown.get(names[0])) == 36, shown
            assert shown.get(names[3]) == config["services"][0]["name"], shown
            for headers in ([], [("Kong-Debug", "0")]):
                answer = c.exchange(client.encode("GET", "/", headers))
                assert not any(answer.get(name) for name in names), answer
        with Gateway(config) as gateway, gateway.connect() as c:
            answer = c.exchange(client.encode("GET", "/", [("Kong-Debug", "1")]))
            assert not any(answer.get(name) for name in names), answer


def test_error_templates(t):
    """An operator's bodies for errors, per media type; a bad template is an error that names its setting."""
    with origin.Origin() as upstream, Folder() as folder:
        config = simple_config(upstream.url)
        config["services"][0]["routes"][0]["paths"] = ["/only"]
        good = folder.file("error.json", '{"why":"%s","trace":"%s","load":"100%%"}')
        with Gateway(config, {"error_template_json": good}) as gateway, gateway.connect() as c:
            answer = c.exchange(client.encode("GET", "/nowhere"))
            body = json.loads(answer.body)
            assert answer.status == 404 and body["why"] == "no Route matched with those values", answer
            assert body["trace"] == answer.get("X-Kong-Request-Id") and body["load"] == "100%", answer
            plain = c.exchange(client.encode("GET", "/nowhere", [("Accept", "text/plain")]))
            assert plain.body.startswith(b"no Route matched"), plain
        bad = folder.file("bad.html", "<p>%s</p>")
        done = run("check", "--set", "error_template_html=" + bad)
        assert done.returncode == 1 and "error_template_html" in done.stdout + done.stderr, done
