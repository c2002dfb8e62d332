# SPDX-License-Identifier: Apache-2.0
"""Malformed and hostile requests: a refusal, a closed connection, and nothing of them at the origin.

Also the unusual requests that must be served. Every row is delivered whole and byte by byte.
"""
import contextlib

from tests.support import client, origin
from tests.support.gateway import Gateway, simple_config

CLOSED = 0  # the connection ends without an answer
TOO_LARGE = {431, 400}  # 431, or what Kong answers
CODING = {400, 501}  # 501 only says more
CHUNKED, END = b"Transfer-Encoding: chunked", b"0\r\n\r\n"
BIG = 4096  # longer rows are sent in pieces of this size instead of single bytes


def head(line, *fields):
    return line + b"\r\n" + b"".join(f + b"\r\n" for f in fields) + b"\r\n"


def get(*fields):
    return head(b"GET /x HTTP/1.1", b"Host: test", *fields)


def post(*fields, body=b""):
    return head(b"POST /x HTTP/1.1", b"Host: test", *fields) + body


def chunks(body):
    return post(CHUNKED, body=body)


def line(request_line):
    return head(request_line, b"Host: test")


SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: test\r\n\r\n"

# name, bytes, statuses; nothing at all may reach the origin
REFUSED_HEADS = [
    ("length then chunked", post(b"Content-Length: 5", CHUNKED, body=END), {400}),
    ("chunked then length", post(CHUNKED, b"Content-Length: 5", body=END), {400}),
    ("chunked in HTTP/1.0", post(CHUNKED, body=END).replace(b"HTTP/1.1", b"HTTP/1.0"), {400}),
    ("coding identity", post(b"Transfer-Encoding: identity", body=SMUGGLED), CODING),
    ("coding xchunked", post(b"Transfer-Encoding: xchunked", body=SMUGGLED), CODING),
    ("coding quoted", post(b'Transfer-Encoding: "chunked"', body=END), CODING),
    ("coding behind VT", post(b"Transfer-Encoding: \x0bchunked", body=END), CODING),
    ("coding empty", post(b"Transfer-Encoding:", body=SMUGGLED), CODING),
    ("coding empty with length", post(b"Transfer-Encoding:", b"Content-Length: 3", body=b"abc"), CODING),
    ("chunked, gzip", post(b"Transfer-Encoding: chunked, gzip", body=END), CODING),
    ("chunked, chunked", post(b"Transfer-Encoding: chunked, chunked", body=END), CODING),
    ("chunked in two lines", post(CHUNKED, CHUNKED, body=END),
     CODING),
    ("chunked and identity lines", post(CHUNKED, b"Transfer-Encoding: identity",
                                        body=END), CODING),
    ("gzip, chunked", post(b"Transfer-Encoding: gzip, chunked", body=END), {501}),
    ("space before colon of coding", post(b"Transfer-Encoding : chunked", body=END), {400}),
    ("space before colon of length", post(b"Content-Length : 3", body=b"abc"), {400}),
    ("tab before colon", get(b"X-A\t: 1"), {400}),
    ("folded field", get(b"X-A: 1", b" 2"), {400}),
    ("folded with tab", get(b"X-A: 1", b"\t2"), {400}),
    ("folded coding", post(b"Transfer-Encoding:", b" chunked", body=END), {400}),
    ("folded length", post(b"Content-Length:", b" 3", body=b"abc"), {400}),
    ("fold before the first field", b"GET /x HTTP/1.1\r\n Host: test\r\n\r\n", {400}),
    ("lengths that differ", post(b"Content-Length: 3", b"Content-Length: 4", body=b"abcd"), {400}),
    ("length list that differs", post(b"Content-Length: 3, 4", body=b"abcd"), {400}),
    ("equal lengths", post(b"Content-Length: 3", b"Content-Length: 3", body=b"abc"), {400}),
    ("equal length list", post(b"Content-Length: 3, 3", body=b"abc"), {400}),
    ("length +3", post(b"Content-Length: +3", body=b"abc"), {400}),
    ("length -3", post(b"Content-Length: -3", body=b"abc"), {400}),
    ("length 0x3", post(b"Content-Length: 0x3", body=b"abc"), {400}),
    ("length empty", post(b"Content-Length:", body=SMUGGLED), {400}),
    ("length 1 3", post(b"Content-Length: 1 3", body=b"abc"), {400}),
    ("length 3.0", post(b"Content-Length: 3.0", body=b"abc"), {400}),
    ("length abc", post(b"Content-Length: abc"), {400}),
    ("length of 25 digits", post(b"Content-Length: 1000000000000000000000003", body=b"abc"), {400, 413}),
    ("length 2^64+3", post(b"Content-Length: 18446744073709551619", body=b"abc" + SMUGGLED), {400, 413}),
    ("LF line ends", b"GET /x HTTP/1.1\nHost: test\n\n", {400}),
    ("LF after the request line", b"GET /x HTTP/1.1\nHost: test\r\n\r\n", {400}),
    ("LF after a field", b"GET /x HTTP/1.1\r\nHost: test\nX-A: 1\r\n\r\n", {400}),
    ("LF at the end of the head", b"GET /x HTTP/1.1\r\nHost: test\r\n\n", {400}),
    ("CR in a value", get(b"X-A: 1\r2"), {400}),
    ("CR as line end", b"GET /x HTTP/1.1\rHost: test\r\r", {400}),
    ("CR CR at the end of the head", b"GET /x HTTP/1.1\r\nHost: test\r\r\n\r\n", {400}),
    ("NUL in a value", get(b"X-A: 1\x002"), {400}),
    ("NUL in a name", get(b"X\x00A: 1"), {400}),
    ("NUL in the target", line(b"GET /x\x00y HTTP/1.1"), {400}),
    ("control in a value", get(b"X-A: 1\x012"), {400}),
    ("escape in a value", get(b"X-A: \x1b[31m"), {400}),
    ("DEL in a value", get(b"X-A: 1\x7f2"), {400}),
    ("no colon", get(b"nocolon"), {400}),
    ("8-bit in a name", get(b"X-\xe9: 1"), {400}),
    ("parenthesis in a name", get(b"X(A): 1"), {400}),
    ("empty name", get(b": 1"), {400}),
    ("space in a name", get(b"Bad Name: 1"), {400}),
    ("no Host", b"GET /x HTTP/1.1\r\n\r\n", {400}),
    ("two Hosts", get(b"Host: other"), {400}),
    ("two equal Hosts", get(b"Host: test"), {400}),
    ("Host list", head(b"GET /x HTTP/1.1", b"Host: test, other"), {400}),
    ("Host with user", head(b"GET /x HTTP/1.1", b"Host: u@test"), {400}),
    ("Host with path", head(b"GET /x HTTP/1.1", b"Host: test/evil"), {400}),
    ("Host port 99999", head(b"GET /x HTTP/1.1", b"Host: test:99999"), {400}),
    ("Host with space", head(b"GET /x HTTP/1.1", b"Host: te st"), {400}),
    ("target without slash", line(b"GET x HTTP/1.1"), {400}),
    ("target @evil/x", line(b"GET @evil/x HTTP/1.1"), {400}),
    ("space in the target", line(b"GET /a b HTTP/1.1"), {400}),
    ("tab in the target", line(b"GET /a\tb HTTP/1.1"), {400}),
    ("tabs between the parts", line(b"GET\t/x\tHTTP/1.1"), {400}),
    ("no target", line(b"GET  HTTP/1.1"), {400}),
    ("above the root", line(b"GET /../x HTTP/1.1"), {400}),
    ("above the root, encoded", line(b"GET /a/%2e%2e/%2E%2e/x HTTP/1.1"), {400}),
    ("%00 in the target", line(b"GET /a%00 HTTP/1.1"), {400}),
    ("half a triplet", line(b"GET /a%4 HTTP/1.1"), {400}),
    ("bad triplet", line(b"GET /a%zz HTTP/1.1"), {400}),
    ("HTTP/2.0", line(b"GET /x HTTP/2.0"), {505}),
    ("HTTP/3.0", line(b"GET /x HTTP/3.0"), {505}),
    ("HTTP/9.9", line(b"GET /x HTTP/9.9"), {505}),
    ("HTTP/1.10", line(b"GET /x HTTP/1.10"), {400, 505}),
    ("HTTP/11", line(b"GET /x HTTP/11"), {400, 505}),
    ("http/1.1", line(b"GET /x http/1.1"), {400}),
    ("HTTX/1.1", line(b"GET /x HTTX/1.1"), {400}),
    ("HTTP/0.9 request", b"GET /x\r\n", {400, CLOSED}),
    ("HTTP/0.9 as version", line(b"GET /x HTTP/0.9"), {400, 505}),
    ("h2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", {400, 505, CLOSED}),
    ("TLS hello", b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03" + b"\x55" * 60, {400, CLOSED}),
    ("binary", bytes(range(256)), {400, CLOSED}),
    ("SSH banner", b"SSH-2.0-OpenSSH_9.2p1\r\n", {400, CLOSED}),
    ("method with parenthesis", line(b"GE(T /x HTTP/1.1"), {400}),
    ("method in lower case", line(b"get /x HTTP/1.1"), {400}),
    ("method of 300 kB", line(b"A" * 300000 + b" /x HTTP/1.1"), {400, 414, 431}),
    ("CONNECT", head(b"CONNECT test:80 HTTP/1.1", b"Host: test:80"), {400, 405}),
    ("CONNECT with path", line(b"CONNECT /x HTTP/1.1"), {400, 405}),
    ("TRACE", line(b"TRACE /x HTTP/1.1"), {405}),
    ("field of 100 kB", get(b"X-A: " + b"a" * 100000), TOO_LARGE),
    ("name of 100 kB", get(b"a" * 100000 + b": 1"), TOO_LARGE),
    ("5000 fields", get(*[b"X-%d: 1" % i for i in range(5000)]), TOO_LARGE),
    ("target of 70 kB", line(b"GET /" + b"a" * 70000 + b" HTTP/1.1"), {414}),
    ("Expect of another kind", post(b"Expect: the-unexpected", b"Content-Length: 3", body=b"abc"), {417}),
    ("two Authorizations", get(b"Authorization: Bearer a", b"Authorization: Bearer b"), {400}),
    ("three empty lines first", b"\r\n\r\n\r\n\r\n\r\n\r\n" + get(), {400, CLOSED}),
    ("LF first", b"\n" + get(), {400}),
]

# the head is fine, so part of the request may have gone on; it must never be complete there
REFUSED_BODIES = [
    ("chunk size of 17 digits", chunks(b"10000000000000003\r\nabc\r\n0\r\n\r\n")),
    ("chunk size 2^64+3 padded", chunks(b"00010000000000000003\r\nabc\r\n0\r\n\r\n")),
    ("chunk size -3", chunks(b"-3\r\nabc\r\n0\r\n\r\n")),
    ("chunk size 0x3", chunks(b"0x3\r\nabc\r\n0\r\n\r\n")),
    ("chunk size behind space", chunks(b" 3\r\nabc\r\n0\r\n\r\n")),
    ("chunk size empty", chunks(b"\r\nabc\r\n0\r\n\r\n")),
    ("chunk size zz", chunks(b"zz\r\nabc\r\n0\r\n\r\n")),
    ("chunk size line ends in LF", chunks(b"3\nabc\r\n0\r\n\r\n")),
    ("chunk data ends in LF", chunks(b"3\r\nabc\n0\r\n\r\n")),
    ("chunk extension ends in LF", chunks(b"3;\nabc\r\n0\r\n\r\n")),
    ("chunk extension of 200 kB", chunks(b"3;" + b"a" * 200000 + b"\r\nabc\r\n0\r\n\r\n")),
    ("CR in chunk extension", chunks(b"3;a\rb\r\nabc\r\n0\r\n\r\n")),
    ("chunk longer than its size", chunks(b"3\r\nabcXX\r\n0\r\n\r\n")),
    ("chunk data without CRLF", chunks(b"3\r\nabcXX0\r\n\r\n")),
    ("last chunk without CRLF", chunks(b"3\r\nabc\r\n0\r\n" + SMUGGLED)),
    ("LF at the end of trailers", chunks(b"3\r\nabc\r\n0\r\nX-T: 1\n\n")),
    ("folded trailer", chunks(b"3\r\nabc\r\n0\r\nX-T: 1\r\n 2\r\n\r\n")),
    ("NUL in trailer", chunks(b"3\r\nabc\r\n0\r\nX-T: \x00\r\n\r\n")),
    ("trailers of 200 kB", chunks(b"3\r\nabc\r\n0\r\n" + b"X-T: aaaaaaaaaaaaaaaa\r\n" * 9000 + b"\r\n")),
]


class Bench:
    """A gateway before an origin, and a control request that shows both alive and nothing left behind."""

    def __init__(self, gateway, upstream):
        self.gateway, self.upstream, self.count = gateway, upstream, 0

    def control(self):
        """Sends a good request; returns what arrived at the origin before it."""
        self.count += 1
        target = "/control-%d" % self.count
        answer = self.gateway.get(target)
        assert answer.status == 200, "the control request got %r" % answer
        return [r for r in self.upstream.take() if r.target != target]

    def deliver(self, connection, data, bytewise):
        """The status of the answer to these bytes, or CLOSED."""
        step = 1 if len(data) <= BIG else BIG
        pieces = (data[i:i + step] for i in range(0, len(data), step))
        connection.send_split(pieces if bytewise else [data])
        if not connection.reader.buffer and not connection.reader.fill():
            return CLOSED
        return connection.read(data[:4].decode("latin1")).status

    def refuse(self, data, statuses, bytewise):
        with self.gateway.connect() as c:
            status = self.deliver(c, data, bytewise)
            assert status in statuses, "answer %s, want %s" % (status, sorted(statuses))
            assert status == CLOSED or c.ended(), "the connection stayed open after %s" % status

    def accept(self, data, bytewise):
        with self.gateway.connect() as c:
            status = self.deliver(c, data, bytewise)
            assert status == 200, "answer %s" % status


@contextlib.contextmanager
def bench(handler=None):
    with origin.Origin(handler) as upstream, Gateway(simple_config(upstream.url)) as gateway:
        yield Bench(gateway, upstream)


def refuse_heads(t, bytewise):
    with bench() as b:
        for name, data, statuses in REFUSED_HEADS:
            with t.case(name):
                b.upstream.take()
                b.refuse(data, statuses, bytewise)
                seen = b.control()
                assert not seen, "the origin got %r" % seen


def test_refused_heads_whole(t):
    refuse_heads(t, bytewise=False)


def test_refused_heads_bytewise(t):
    refuse_heads(t, bytewise=True)


def refuse_bodies(t, bytewise):
    with bench() as b:
        for name, data in REFUSED_BODIES:
            with t.case(name):
                b.upstream.take()
                b.refuse(data, TOO_LARGE if "trailers of" in name else {400}, bytewise)
                complete = [r for r in b.control() if r.complete]
                assert not complete, "the origin got %r" % complete


def test_refused_bodies_whole(t):
    refuse_bodies(t, bytewise=False)


def test_refused_bodies_bytewise(t):
    refuse_bodies(t, bytewise=True)


def test_refused_in_a_pipeline(t):
    """A good request before the bad one is answered; what follows the bad one is not looked at."""
    with bench() as b, b.gateway.connect() as c:
        c.send(client.encode("GET", "/first") + get(b"nocolon") + client.encode("GET", "/third"))
        assert c.read().status == 200
        assert c.read().status == 400 and c.ended()
        assert [r.target for r in b.control()] == ["/first"]


def fields_at_origin(field, want):
    def check(request):
        assert request.all(field) == want, "%s at the origin: %r" % (field, request.all(field))
    return check


def target_at_origin(want):
    def check(request):
        assert request.target == want, "target at the origin: %r" % request.target
    return check


def body_at_origin(want):
    def check(request):
        assert request.body == want, "body at the origin: %r" % request.body
    return check


def no_h2c(request):
    assert "upgrade" not in request.fields and "http2-settings" not in request.fields, request.fields


def framing_trailers_dropped(request):
    assert request.body == b"abc" and request.all("authorization") == [], request
    assert request.framing[0] != "length" or request.framing[1] == 3
    for name in ("content-length", "transfer-encoding", "host", "authorization"):
        assert name not in request.trailers, request.trailers


H2C = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA")
BAD_TRAILERS = (b"Content-Length: 9\r\nTransfer-Encoding: gzip\r\nHost: evil\r\n"
                b"Authorization: Basic eDp5\r\n\r\n")
SHAPED = post(b"Content-Length: %d" % len(SMUGGLED), body=SMUGGLED).replace(b"POST", b"GET", 1)

# name, bytes, check of the one request that arrives
ACCEPTED = [
    ("one empty line first", b"\r\n" + get(), target_at_origin("/x")),
    ("two empty lines first", b"\r\n\r\n" + get(), target_at_origin("/x")),
    ("small chunk extension", chunks(b"3;a=b\r\nabc\r\n0;c\r\n\r\n"), body_at_origin(b"abc")),
    ("chunk size with zeros and capitals", chunks(b"00A\r\n0123456789\r\n000\r\n\r\n"),
     body_at_origin(b"0123456789")),
    ("obs-text in a value", get(b"X-A: caf\xe9\x80\xff"), fields_at_origin("x-a", ["caf\xe9\x80\xff"])),
    ("tab in a value", get(b"X-A: a\tb"), fields_at_origin("x-a", ["a\tb"])),
    ("empty value", get(b"X-A:"), fields_at_origin("x-a", [""])),
    ("space around a value", get(b"X-A: \t 1 \t "), fields_at_origin("x-a", ["1"])),
    ("absolute-form", line(b"GET http://test/y?q HTTP/1.1"), target_at_origin("/y?q")),
    ("absolute-form without path", line(b"GET http://test HTTP/1.1"), target_at_origin("/")),
    ("GET with body", get(b"Content-Length: 3") + b"abc", body_at_origin(b"abc")),
    ("GET with a body like a request", SHAPED, body_at_origin(SMUGGLED)),
    ("unknown method", line(b"FROB /x HTTP/1.1"), target_at_origin("/x")),
    ("HTTP/1.2", line(b"GET /x HTTP/1.2"), target_at_origin("/x")),
    ("Host with port", head(b"GET /x HTTP/1.1", b"Host: test:8080"), target_at_origin("/x")),
    ("Host [::1]", head(b"GET /x HTTP/1.1", b"Host: [::1]:80"), target_at_origin("/x")),
    ("Upgrade: h2c", get(*H2C), no_h2c),
    ("framing fields as trailers", chunks(b"3\r\nabc\r\n0\r\n" + BAD_TRAILERS), framing_trailers_dropped),
    ("double encoding", line(b"GET /a%252e HTTP/1.1"), target_at_origin("/a%252e")),
    ("underscore in a name", get(b"x_a: 1"), fields_at_origin("x_a", ["1"])),
]


def accept(t, bytewise):
    with bench() as b:
        for name, data, check in ACCEPTED:
            with t.case(name):
                b.upstream.take()
                b.accept(data, bytewise)
                seen = b.control()
                assert len(seen) == 1, "the origin got %r" % seen
                check(seen[0])


def test_accepted_whole(t):
    accept(t, bytewise=False)


def test_accepted_bytewise(t):
    accept(t, bytewise=True)


def test_absolute_form_with_other_host(t):
    """The authority in the target wins over Host; refusing is fine too, routing by Host never."""
    config = {"_format_version": "3.0", "services": []}
    with origin.Origin() as upstream:
        for name in ("one", "two"):
            config["services"].append({"name": name, "url": upstream.url + "/" + name,
                                       "routes": [{"name": name, "hosts": [name + ".test"]}]})
        with Gateway(config) as gateway, gateway.connect() as c:
            answer = c.exchange(head(b"GET http://one.test/x HTTP/1.1", b"Host: two.test"))
            assert answer.status in (200, 400), answer
            assert [r.target for r in upstream.take()] == (["/one/x"] if answer.status == 200 else [])


def test_options_asterisk(t):
    """OPTIONS * is a valid request: passed on as it is, or answered here; not refused."""
    with bench() as b, b.gateway.connect() as c:
        answer = c.exchange(line(b"OPTIONS * HTTP/1.1"))
        assert answer.status in (200, 204, 404), answer
        assert [r.target for r in b.control()] in (["*"], [])
