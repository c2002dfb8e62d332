# SPDX-License-Identifier: Apache-2.0
"""WebSocket over a stream of HTTP/2 (RFC 8441): to an upstream of HTTP/1.1 it is the upgrade that it would be from
HTTP/1.1, to the client the bytes are the same, and whatever else happens concerns the one stream alone."""
import base64
import contextlib
import json
import signal
import socket

from tests.e2e import test_websocket as over_http1
from tests.support import client, http2, net, origin, websocket, wire
from tests.support.gateway import Gateway, simple_config
from tests.support.http2_tunnel import Reset, Tunnel
from tests.support.origin import Peer
from tests.support.runner import Skip
from tests.support.websocket import CLOSE, TEXT, frame

try:
    import wsproto.connection
    import wsproto.events
    import wsproto.extensions
except ImportError:  # an interpreter without Debian's modules
    wsproto = None

@contextlib.contextmanager
def gateway(config, settings=None, tls=False):
    """With HTTP/2 in the clear or over TLS; `listen` is where, `count(name)` a metric."""
    listen, status = ((net.own_host(), net.free_port()) for _ in range(2))
    with Gateway(config, {"proxy_listen": "%s:%d http2%s" % (*listen, " ssl" if tls else ""),
                          "status_listen": "%s:%d" % status, **(settings or {})}) as site:
        site.listen = site.address = listen

        def count(name):
            text = client.get(status, "/metrics").body.decode()
            return sum(int(line.split()[-1]) for line in text.splitlines() if line.startswith("sluice_" + name + " "))
        site.count = count
        yield site


def play(address, frames, headers=(), tls_name=None, most=None):
    """As over_http1.play does it by HTTP/1.1."""
    with Tunnel(address, tls_name) as c:
        stream = c.ask(headers=headers)
        head = c.head(stream)
        assert head[":status"] == "200" and "sec-websocket-accept" not in head, head
        if c.send(stream, b"".join(frames) + over_http1.END, most):
            c.wait(lambda: c.is_over(stream))
        found = c.rest(stream)
        c.finish(stream)
        return head.get("sec-websocket-extensions"), found


def test_identical_to_direct(t):
    with Peer(websocket.Echo()) as peer, gateway(simple_config(peer.url)) as site:
        for name, frames in over_http1.CASES:
            with t.case(name):
                assert play(site.listen, frames) == over_http1.play(peer.address, frames)
        for name, frames in over_http1.CASES[:3] + over_http1.CASES[5:8]:
            with t.case(name + ", byte by byte"):
                assert play(site.listen, frames, most=1) == over_http1.play(peer.address, frames)
        with t.case("all tunnels are closed"):
            net.wait_until(lambda: site.count("tunnels_active") == 0, what="no tunnel")
            assert site.count("upgrades_total") == len(over_http1.CASES) + 6


def test_battery(t):
    with Peer(websocket.Echo()) as peer, gateway(simple_config(peer.url)) as site:
        for name, frames in over_http1.BATTERY:
            with t.case(name):
                assert play(site.listen, frames) == over_http1.play(peer.address, frames)


test_battery.seconds = 240


def test_compressed(t):
    offer = [("sec-websocket-extensions", "permessage-deflate; client_max_window_bits")]
    with Peer(websocket.Echo(deflate=True)) as peer, gateway(simple_config(peer.url)) as site:
        for name, frames in over_http1.PACKED_BATTERY:
            with t.case(name):
                direct = over_http1.play(peer.address, frames, headers=offer)
                assert direct[0] == websocket.DEFLATE and play(site.listen, frames, headers=offer) == direct


def test_over_tls(t):
    with Peer(websocket.Echo()) as peer, gateway(simple_config(peer.url), tls=True) as site:
        for name, frames in over_http1.CASES[:5]:
            with t.case(name):
                assert play(site.listen, frames, tls_name="a.test") == over_http1.play(peer.address, frames)


def converse(c, stream, ws, count):
    """Sends texts by python3-wsproto, and gives what comes back as it reads it."""
    found, text = [], ""
    for i in range(count):
        c.send(stream, ws.send(wsproto.events.TextMessage("message %d " % i * (i + 1))))
    while len(found) < count:
        ws.receive_data(c.exactly(stream, 1) + c.data.pop(stream, b""))
        for event in ws.events():
            text += event.data
            if event.message_finished:
                found, text = found + [text], ""
    return found


def test_many_on_one_connection(t):
    """Another implementation of WebSocket, several streams at a time, with and without compression."""
    if wsproto is None:
        raise Skip("no python3-wsproto")
    offer = wsproto.extensions.PerMessageDeflate()
    with Peer(websocket.Echo(deflate=True)) as peer, gateway(simple_config(peer.url)) as site:
        with Tunnel(site.listen) as c:
            offers = [("sec-websocket-extensions", "permessage-deflate; " + offer.offer())]
            streams = [c.ask(headers=offers if i % 2 else ()) for i in range(20)]
            for i, stream in enumerate(streams):
                agreed = c.head(stream).get("sec-websocket-extensions")
                assert (agreed is not None) == (i % 2 == 1), agreed
                deflate = wsproto.extensions.PerMessageDeflate()
                if agreed:
                    deflate.finalize(agreed)
                ws = wsproto.connection.Connection(wsproto.connection.ConnectionType.CLIENT,
                                                   [deflate] if agreed else [])
                assert converse(c, stream, ws, 10) == ["message %d " % j * (j + 1) for j in range(10)]
            net.wait_until(lambda: site.count("tunnels_active") == 20, what="twenty tunnels")
        net.wait_until(lambda: site.count("tunnels_active") == 0, what="none")


def test_offered(t):
    with Peer(websocket.Echo()) as peer, gateway(simple_config(peer.url)) as site, Tunnel(site.listen) as c:
        assert c.offered


def test_heads(t):
    """What goes along with the request and the answer, and what is added."""
    def script(connection):
        head = connection.read_request()
        heads.append(head)
        connection.send(websocket.agree(head.get("sec-websocket-key"), [("Sec-WebSocket-Protocol", "chat"),
                                                                        ("X-Answer", "1")]))
        connection.wait_for_end()

    heads = []
    asked = [("sec-websocket-protocol", "chat, other"), ("origin", "http://x"), ("x-other", "1"),
             ("sec-websocket-extensions", "something"), ("cookie", "a=b")]
    with Peer(script) as peer, gateway(simple_config(peer.url)) as site:
        for own in ([], [("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")]):
            with t.case("a key of the client" if own else "none"), Tunnel(site.listen) as c:
                answer = c.head(c.ask("/chat?a=1", headers=asked + own))
                assert answer[":status"] == "200" and answer["sec-websocket-protocol"] == "chat", answer
                assert answer["x-answer"] == "1", answer
                for name in ("upgrade", "connection", "sec-websocket-accept", "content-length", "transfer-encoding"):
                    assert name not in answer, answer
                seen = heads.pop()
                assert (seen.method, seen.target) == ("GET", "/chat?a=1") and seen.framing == (None, None), seen
                for name, value in asked + [("connection", "keep-alive, Upgrade"), ("upgrade", "websocket"),
                                            ("sec-websocket-version", "13"), ("via", seen.get("via")),
                                            ("x-forwarded-for", "127.0.0.1"), ("x-forwarded-path", "/chat")]:
                    assert seen.all(name) == [value], (name, seen)
                keys = seen.all("sec-websocket-key")
                assert len(keys) == 1 and len(base64.b64decode(keys[0])) == 16 and keys != [v for _, v in own], keys
                assert seen.get("via").startswith("2 "), seen


REFUSALS = over_http1.REFUSALS[:1] + [
    ("403", lambda head: origin.answer(403), 403), ("302", lambda head: origin.answer(302), 302),
    ("204", lambda head: b"HTTP/1.1 204 X\r\n\r\n", 502)] + [
    (name, reply, 502) for name, reply, _ in over_http1.REFUSALS[1:]]


def test_a_failed_upgrade(t):
    """A 200 would tell the client that it has begun. What the client sends nobody gets to see."""
    for name, reply, status in REFUSALS:
        with t.case(name), origin.Origin(lambda r, reply=reply: reply(r) if r.get("upgrade")
                                         else origin.answer()) as upstream:
            with gateway(simple_config(upstream.url)) as site, Tunnel(site.listen) as c:
                stream = c.ask()
                c.send(stream, over_http1.SMUGGLED)
                assert c.status(stream) == status
                c.wait(lambda: c.is_over(stream))
                assert c.codes.get(stream, 0) == 0
                other = c.ask("/next", protocol=None, method="GET", ends=True)
                assert c.status(other) == 200
                seen = upstream.take()
                assert [r.target for r in seen] == ["/ws", "/next"], seen
                assert b"secret" not in bytes(upstream.received)


CONNECT = http2.request((":protocol", "websocket"), ("sec-websocket-version", "13"), method="CONNECT")


def changed(**changes):
    return http2.request((":protocol", "websocket"), method="CONNECT", **changes)


MALFORMED = [
    ("no :path", changed(path=None), ("reset", http2.PROTOCOL_ERROR)),
    ("no :scheme", changed(scheme=None), ("reset", http2.PROTOCOL_ERROR)),
    ("no :authority", changed(authority=None), ("reset", http2.PROTOCOL_ERROR)),
    ("not CONNECT", http2.request((":protocol", "websocket")), ("reset", http2.PROTOCOL_ERROR)),
    ("twice", http2.request((":protocol", "websocket"), (":protocol", "websocket"), method="CONNECT"),
     ("reset", http2.PROTOCOL_ERROR)),
    ("without :protocol", http2.request(method="CONNECT"), ("reset", http2.PROTOCOL_ERROR)),
    ("as RFC 9113 has CONNECT", http2.request(method="CONNECT", path=None, scheme=None), 405),
    ("Upgrade beside it", CONNECT + [("upgrade", "websocket")], ("reset", http2.PROTOCOL_ERROR)),
    ("a length", CONNECT + [("content-length", "3")], 400),
    ("a length of nothing", CONNECT + [("content-length", "0")], 400),
    ("empty :protocol", http2.request((":protocol", ""), method="CONNECT"), ("reset", http2.PROTOCOL_ERROR)),
    ("no token", http2.request((":protocol", "web socket"), method="CONNECT"), 400),
    ("another protocol", http2.request((":protocol", "connect-udp"), method="CONNECT"), 501),
    ("h2c", http2.request((":protocol", "h2c"), method="CONNECT"), 501),
    ("no route", http2.request((":protocol", "websocket"), method="CONNECT", path="/nowhere"), 404),
]


def test_malformed(t):
    with Peer(websocket.Echo()) as peer, gateway(simple_config(peer.url, paths=["/ws"], hosts=["test"])) as site:
        for name, fields, outcome in MALFORMED:
            with t.case(name), http2.Connection(site.listen) as c:
                fields = [(k, "/ws" if (k, v) == (":path", "/") else v) for k, v in fields]
                c.send(http2.headers(1, fields, http2.END_HEADERS))
                assert c.outcome(1) == outcome
                c.send(http2.headers(3, http2.request(path="/nowhere")))
                assert c.outcome(3) == 404
        assert peer.connections == 0
        with t.case("in capitals"), Tunnel(site.listen) as c:
            assert c.status(c.ask(protocol="WebSocket")) == 200


def test_upstreams_of_http2(t):
    """Nothing can be upgraded there, neither on a route for gRPC nor on another that leads to its service."""
    with Peer(websocket.Echo()) as peer:
        made = simple_config(peer.url.replace("http", "grpc"))
        made["services"][0]["routes"].append({"name": "r2", "paths": ["/grpc"], "protocols": ["grpc", "grpcs"]})
        with gateway(made) as site, Tunnel(site.listen) as c:
            for path in ("/ws", "/grpc"):
                with t.case(path):
                    assert c.status(c.ask(path, headers=[("content-type", "application/grpc")])) == 501
        assert peer.connections == 0


def test_plugins(t):
    """They see a GET, and refuse it as ever; an answer of theirs never looks like a beginning."""
    with Peer(websocket.Echo()) as peer:
        made = simple_config(peer.url)
        made["services"][0]["routes"].append({"name": "r2", "methods": ["GET"], "paths": ["/ended"], "plugins": [
            {"name": "request-termination", "config": {"status_code": 200, "message": "x"}}]})
        made["services"][0]["routes"].append({"name": "r3", "methods": ["GET"], "paths": ["/few"], "plugins": [
            {"name": "rate-limiting", "config": {"hour": 2, "policy": "local"}}]})
        made["plugins"] = [{"name": "key-auth"}]
        made["consumers"] = [{"username": "u", "keyauth_credentials": [{"key": "k"}]}]
        with gateway(made) as site, Tunnel(site.listen) as c:
            key = [("apikey", "k")]
            assert c.status(c.ask()) == 401 and peer.connections == 0
            stream = c.ask(headers=key)
            assert c.status(stream) == 200
            c.send(stream, frame(TEXT, b"x"))
            assert c.exactly(stream, 3) == frame(TEXT, b"x", masked=False)
            with t.case("an answer of 200"):
                assert c.status(c.ask("/ended", headers=key)) == 502
            with t.case("limits"):
                assert [c.status(c.ask("/few", headers=key)) for _ in range(3)] == [200, 200, 429]


def test_emissary_allows_by_name(t):
    rows = [("nothing", "", "websocket", 403), ("websocket", ", allow_upgrade: [WebSocket]", "websocket", 200),
            ("another", ", allow_upgrade: [spdy/3.1]", "websocket", 403),
            ("h2c", ", allow_upgrade: [websocket]", "h2c", 501)]
    with Peer(websocket.Echo()) as peer:
        for name, more, protocol, status in rows:
            with t.case(name), gateway(over_http1.MAPPING % (*peer.address, more)) as site, Tunnel(site.listen) as c:
                assert c.status(c.ask(protocol=protocol)) == status

    def script(connection):
        head = connection.read_request()
        assert head.get("upgrade") == "spdy/3.1" and "sec-websocket-key" not in head.fields, head
        connection.send(b"HTTP/1.1 101 X\r\nUpgrade: spdy/3.1\r\nConnection: Upgrade\r\n\r\nhello")
        connection.wait_for_end()
    with Peer(script) as peer, gateway(over_http1.MAPPING % (*peer.address, ", allow_upgrade: [spdy/3.1]")) as site:
        with t.case("another protocol that the Mapping allows"), Tunnel(site.listen) as c:
            stream = c.ask(protocol="spdy/3.1")
            assert c.status(stream) == 200 and c.exactly(stream, 5) == b"hello"


@contextlib.contextmanager
def joined(settings=None, window=None):
    """A tunnel and the far end of it: gateway, client, its stream, the upstream's socket."""
    ends, over = [], []

    def script(connection):
        head = connection.read_request()
        connection.send(websocket.agree(head.get("sec-websocket-key")))
        ends.append(connection)
        net.wait_until(lambda: over, 30, "the end of the test")
    with Peer(script) as peer, gateway(simple_config(peer.url), settings) as site:
        with Tunnel(site.listen, window=window) as c:
            stream = c.ask()
            assert c.status(stream) == 200
            net.wait_until(lambda: ends, what="the upstream")
            try:
                yield site, c, stream, ends[0]
            finally:
                over.append(1)


def all_of(far):
    parts = []
    far.reader.rest(parts.append)
    return b"".join(parts)


def all_bytes(far, size):
    parts = []
    far.reader.exactly(size, parts.append)
    return b"".join(parts)


def ends_with_reset(far):
    all_of(far)
    return far.reader.was_reset


def test_endings(t):
    with t.case("the client ends first"), joined() as (site, c, stream, far):
        c.send(stream, b"last")
        c.finish(stream)
        assert all_of(far) == b"last"
        far.send(b"still here")
        assert c.exactly(stream, 10) == b"still here"
        far.sock.shutdown(socket.SHUT_WR)
        assert c.rest(stream) == b""
        net.wait_until(lambda: site.count("tunnels_active") == 0, what="no tunnel")
    with t.case("the upstream ends first"), joined() as (site, c, stream, far):
        far.send(b"last")
        far.sock.shutdown(socket.SHUT_WR)
        assert c.rest(stream) == b"last"
        c.ended.discard(stream)
        assert c.send(stream, b"still here")
        c.finish(stream)
        assert all_of(far) == b"still here"
        net.wait_until(lambda: site.count("tunnels_active") == 0, what="no tunnel")
        assert stream not in c.codes
    with t.case("the client resets"), joined() as (site, c, stream, far):
        c.reset(stream)
        assert ends_with_reset(far)
        net.wait_until(lambda: site.count("tunnels_active") == 0, what="no tunnel")
    with t.case("the client's connection is lost"), joined() as (site, c, stream, far):
        wire.abort(c.socket)
        assert ends_with_reset(far)
    with t.case("the upstream resets"), joined() as (site, c, stream, far):
        wire.abort(far.sock)
        try:
            c.rest(stream)
            raise AssertionError("an orderly end")
        except Reset as e:
            assert e.args == (http2.CANCEL,)
        assert c.status(c.ask(protocol="connect-udp")) == 501
    with t.case("an end right with the head"), Peer(websocket.Echo()) as peer, \
            gateway(simple_config(peer.url)) as site, Tunnel(site.listen) as c:
        stream = c.ask(ends=True)
        assert c.status(stream) == 200 and c.rest(stream) == b""


def fill(c, stream):
    """Sends until nothing more is taken, and others are still served; the number of bytes."""
    sent = stalls = 0
    while sent < 100 << 20 and stalls < 3:  # not by one silence alone: the gateway may have stood still for so long
        other = c.ask("/other", protocol="connect-udp")
        assert c.status(other) == 501
        room = c.room(stream)
        stalls = stalls + 1 if room == 0 and c.is_silent(0.1) and c.room(stream) == 0 else 0
        c.send(stream, b"x" * room)
        sent += room
    return sent


def test_last_bytes_outlive_the_stream(t):
    """Both have ended, the client's stream is over, and the upstream has yet to take what was sent."""
    with joined() as (site, c, stream, far):
        far.sock.shutdown(socket.SHUT_WR)
        c.wait(lambda: stream in c.ended)
        c.ended.discard(stream)
        sent = fill(c, stream)
        c.finish(stream)
        assert c.status(c.ask("/other", protocol="connect-udp")) == 501  # all that was sent is read by now
        assert site.count("tunnels_active") == 1
        assert len(all_of(far)) == sent and not far.reader.was_reset
        net.wait_until(lambda: site.count("tunnels_active") == 0, what="no tunnel")
        assert stream not in c.codes
    with t.case("and the connection's GOAWAY"), joined({"drain_timeout": "20"}) as (site, c, stream, far):
        far.sock.shutdown(socket.SHUT_WR)
        c.wait(lambda: stream in c.ended)
        c.ended.discard(stream)
        sent = fill(c, stream)
        c.finish(stream)
        site.send_signal(signal.SIGTERM)
        c.wait(lambda: c.goaway)
        c.is_silent(0.3)
        assert len(all_of(far)) == sent and not far.reader.was_reset
        site.wait_end()


def test_who_does_not_read(t):
    """One stream is held back, by its window; the others are not, and little is kept."""
    with t.case("the upstream"), joined() as (site, c, stream, far):
        before = site.status_kib()
        sent = fill(c, stream)
        assert sent < 20 << 20, sent
        assert site.status_kib() - before < 30000 * net.SLOW_FACTOR
        far.reader.exactly(sent, lambda part: None)
        c.send(stream, b"more")
        far.reader.exactly(4, lambda part: None)
    with t.case("the client"), joined(window=1000) as (site, c, stream, far):
        c.reads = False
        far.sock.settimeout(1)
        sent, before = 0, site.status_kib()
        try:
            while sent < 100 << 20:
                sent += far.sock.send(b"x" * 65536)
        except TimeoutError:
            pass
        assert sent < 20 << 20 and site.status_kib() - before < 30000 * net.SLOW_FACTOR, sent
        assert len(c.exactly(stream, 1000)) == 1000
        c.reads = True
        c.h2.increment_flow_control_window(1 << 20, stream)
        c.h2.increment_flow_control_window(1 << 20)
        rest = sent - 1000
        while rest > 0:
            rest -= len(c.exactly(stream, min(rest, 1 << 14)))


def test_small_frames_are_not_kept_as_such(t):
    """Frames of a byte that nobody takes: a window of them costs no more than its bytes."""
    with joined() as (site, c, stream, far):
        sent = fill(c, stream)
        far.reader.exactly(sent // 2, lambda part: None)
        c.wait(lambda: c.room(stream) > 20000)
        before = site.status_kib()
        c.send(stream, b"y" * 20000, most=1)
        c.is_silent(0.2)
        assert site.status_kib() - before < 20000 * net.SLOW_FACTOR
        assert b"y" * 20000 == all_bytes(far, sent - sent // 2 + 20000)[-20000:]


def test_idle_and_log(t):
    with Peer(websocket.Echo()) as peer:
        made = simple_config(peer.url)
        made["services"][0]["read_timeout"] = 1000
        settings = {"proxy_access_log": "/dev/stdout", "proxy_access_log_format": "json"}
        with gateway(made, settings) as site, Tunnel(site.listen) as c:
            stream = c.ask()
            assert c.status(stream) == 200
            c.send(stream, frame(TEXT, b"x"))
            assert c.exactly(stream, 3) == frame(TEXT, b"x", masked=False)
            assert c.rest(stream) == b""
            c.wait(lambda: stream in c.codes)
            assert c.codes[stream] == http2.NO_ERROR
            net.wait_until(lambda: site.stdout().endswith("\n"), what="the log")
            record = json.loads(site.stdout().splitlines()[0])
            assert record["status"] == 101 and record["received_bytes"] == 7, record
            assert record["sent_bytes"] == 3 and record["method"] == "GET", record
            assert c.status(c.ask("/other", protocol="connect-udp")) == 501


def test_slow_clients(t):
    """The limits for bodies are not a tunnel's."""
    quick = {"client_body_timeout": "1s", "send_timeout": "1s", "keepalive_timeout": "1s"}
    with joined(quick) as (site, c, stream, far):
        c.is_silent(2.5)
        c.send(stream, b"x")
        far.reader.exactly(1, lambda part: None)
        far.send(b"y")
        assert c.exactly(stream, 1) == b"y"


def test_reload_and_stop(t):
    """An open one outlives both its route and the connection's GOAWAY, until drain_timeout."""
    with Peer(websocket.Echo()) as peer:
        with gateway(simple_config(peer.url), {"drain_timeout": "2"}) as site, Tunnel(site.listen) as c:
            stream = c.ask()
            assert c.status(stream) == 200
            site.reload(simple_config(peer.url, paths=["/other"]))
            net.wait_until(lambda: "reload done" in site.stderr(), 10, "the new configuration on all shards")
            assert site.get("/").status == 404
            assert c.status(c.ask()) == 404
            c.send(stream, frame(TEXT, b"x"))
            assert c.exactly(stream, 3) == frame(TEXT, b"x", masked=False)
            site.send_signal(signal.SIGTERM)
            c.wait(lambda: c.goaway)
            c.send(stream, frame(TEXT, b"y") + over_http1.END)
            assert c.rest(stream) == frame(TEXT, b"y", masked=False) + frame(CLOSE, b"\x03\xe8", masked=False)
            site.wait_end()


test_identical_to_direct.seconds = test_a_failed_upgrade.seconds = 60
