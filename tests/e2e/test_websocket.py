# SPDX-License-Identifier: Apache-2.0
"""Upgrades: WebSocket through the gateway is byte for byte what it is without; a failed one is plain HTTP."""
import contextlib
import json
import signal
import ssl
import threading

from tests.support import certs, client, net, origin, websocket
from tests.support.gateway import Folder, Gateway, simple_config
from tests.support.origin import Peer
from tests.support.websocket import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, close, frame, request

END = close(1000)
CASES = [
    ("text", [frame(TEXT, b"hello")]),
    ("empty", [frame(TEXT), frame(BINARY)]),
    ("binary", [frame(BINARY, bytes(range(256)))]),
    ("sizes", [frame(BINARY, b"x" * n) for n in (125, 126, 127, 128, 65535, 65536, 70000)]),
    ("big", [frame(BINARY, b"y" * (1 << 20))]),
    ("fragments", [frame(TEXT, b"a", fin=False), frame(CONTINUATION, b"b", fin=False), frame(CONTINUATION, b"c")]),
    ("ping between fragments", [frame(TEXT, b"a", fin=False), frame(PING, b"p"), frame(CONTINUATION, b"c")]),
    ("ping", [frame(PING, b"payload"), frame(PING), frame(PING, b"z" * 125)]),
    ("pong unasked", [frame(PONG, b"x"), frame(TEXT, b"y")]),
    ("long ping", [frame(PING, b"z" * 126)]),
    ("fragmented ping", [frame(PING, b"x", fin=False)]),
    ("reserved bits", [frame(TEXT, b"x", reserved=4)]),
    ("reserved opcode", [frame(3, b"x")]),
    ("unmasked", [frame(TEXT, b"x", masked=False)]),
    ("continuation first", [frame(CONTINUATION, b"x")]),
    ("text in fragments", [frame(TEXT, b"x", fin=False), frame(TEXT, b"y")]),
    ("UTF-8", [frame(TEXT, "κόσμε 🙂".encode())]),
    ("UTF-8 across fragments", [frame(TEXT, "€".encode()[:1], fin=False), frame(CONTINUATION, "€".encode()[1:])]),
    ("invalid UTF-8", [frame(TEXT, b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited")]),
    ("close without code", [close()]),
    ("close with one byte", [frame(CLOSE, b"x")]),
] + [("close %d" % code, [close(code, b"why")]) for code in
     (999, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1007, 1011, 1014, 1015, 1016, 2999, 3000, 4999, 5000)]


# After the list of cases that Autobahn publishes, with its numbers.
UTF8 = "κόσμε".encode()
BATTERY = [
    ("1.1, 1.2: %s of %d" % (name, n), [frame(kind, b"*" * n)])
    for kind, name in ((TEXT, "text"), (BINARY, "binary")) for n in (0, 125, 126, 127, 128, 65535, 65536)
] + [
    ("2.1-2.5: pings of %s" % (sizes,), [frame(PING, b"\xfe" * n) for n in sizes])
    for sizes in ((0,), (7,), (124, 125), (126,))
] + [
    ("2.7-2.9: pongs nobody asked for", [frame(PONG), frame(PONG, b"payload"), frame(PING, b"payload")]),
    ("2.10: ten pings", [frame(PING, b"payload-%d" % i) for i in range(10)]),
] + [
    ("3.%d: reserved bits" % bits, [frame(TEXT, b"good"), frame(opcode, b"bad", reserved=bits), frame(PING)])
    for bits in range(1, 8) for opcode in ((TEXT, BINARY, PING, CLOSE) if bits == 4 else (TEXT,))
] + [
    ("4: reserved opcode %d" % opcode, [frame(TEXT, b"good"), frame(opcode, data), frame(PING)])
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15) for data in (b"", b"payload")
] + [
    ("5.1, 5.2: %s in two" % name, [frame(kind, b"one", fin=False), frame(CONTINUATION, b"two")])
    for kind, name in ((PING, "ping"), (PONG, "pong"))
] + [
    ("5.6-5.8: ping inside", [frame(TEXT, b"one", fin=False), frame(PING, b"!"), frame(CONTINUATION, b"two")]),
    ("5.9-5.14: nothing to continue", [frame(CONTINUATION, b"x", fin=False), frame(TEXT, b"good")]),
    ("5.15: after an end", [frame(TEXT, b"one", fin=False), frame(CONTINUATION, b"two"),
                            frame(CONTINUATION, b"three", fin=False), frame(TEXT, b"good")]),
    ("5.18: text inside text", [frame(TEXT, b"one", fin=False), frame(TEXT, b"two")]),
    ("5.19: five, with pings", [frame(TEXT, b"1", fin=False), frame(CONTINUATION, b"2", fin=False), frame(PING, b"a"),
                                frame(CONTINUATION, b"3", fin=False), frame(PING, b"b"), frame(CONTINUATION, b"4")]),
    ("6.1: empty fragments", [frame(TEXT, fin=False), frame(CONTINUATION, fin=False), frame(CONTINUATION)]),
    ("6.2: byte by byte", [frame(TEXT, UTF8[:1], fin=False)] + [
        frame(CONTINUATION, UTF8[i:i + 1], fin=i == len(UTF8) - 1) for i in range(1, len(UTF8))]),
] + [
    ("6.3-6.23: %r" % data, [frame(TEXT, data), frame(TEXT, b"next")]) for data in (
        UTF8 + b"\xed\xa0\x80edited", UTF8 + b"\xf4\x90\x80\x80", b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98", b"\x00",
        b"\xc2\x80", b"\xe0\xa0\x80", b"\xf0\x90\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xfc\x84\x80\x80\x80\x80",
        b"\x7f", b"\xdf\xbf", b"\xef\xbf\xbf", b"\xf4\x8f\xbf\xbf", b"\xf7\xbf\xbf\xbf", b"\xed\x9f\xbf",
        b"\xee\x80\x80", b"\xef\xbf\xbd", b"\x80", b"\xbf", b"\x80\xbf", b"\xc0\xaf", b"\xe0\x80\xaf",
        b"\xf0\x80\x80\xaf", b"\xc1\xbf", b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xed\xa0\x80\xed\xb0\x80",
        b"\xef\xbf\xbe", b"\xfe", b"\xff")
] + [
    ("7.1: %s" % name, frames) for name, frames in (
        ("close twice", [close(1000), close(1000)]), ("ping after close", [close(1000), frame(PING)]),
        ("text after close", [close(1000), frame(TEXT, b"x")]),
        ("close inside a message", [frame(TEXT, b"x", fin=False), close(1000), frame(CONTINUATION, b"y")]),
        ("256K and a close", [frame(TEXT, b"*" * (1 << 18)), close(1000), frame(TEXT, b"y")]))
] + [
    ("7.3: reason of %d" % n, [close(1000, b"*" * n)]) for n in (0, 1, 123, 124)
] + [
    ("7.5: reason that is no UTF-8", [close(1000, b"\xce\xba\xed\xa0\x80")]),
] + [
    ("7.7, 7.9, 7.13: close %d" % code, [close(code)]) for code in (
        0, 999, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 1015, 1016,
        1100, 2000, 2999, 3000, 3999, 4000, 4999, 5000, 65535)
] + [
    ("9.1, 9.2: %s of %d KiB" % (name, n >> 10), [frame(kind, b"*" * n)])
    for kind, name in ((TEXT, "text"), (BINARY, "binary")) for n in (1 << 16, 1 << 18, 1 << 20, 1 << 22, 1 << 24)
] + [
    ("9.3, 9.4: 4 MiB in parts of %d" % n, [frame(BINARY, b"*" * n, fin=False)] + [
        frame(CONTINUATION, b"*" * n, fin=False)] * ((1 << 22) // n - 2) + [frame(CONTINUATION, b"*" * n)])
    for n in (1 << 10, 1 << 14, 1 << 20)
] + [
    ("9.7, 9.8: 1000 messages of %d" % n, [frame(BINARY, b"*" * n)] * 1000) for n in (0, 16, 64, 256, 1024)
]

PACKED_BATTERY = [
    ("12: %d of %d" % (count, n), [frame(TEXT, websocket.pack(b'{"a": "%d"}' % n * (n // 10)), reserved=4)] * count)
    for n, count in ((16, 100), (1024, 100), (8192, 50), (131072, 10))
] + [
    ("13: in parts", [frame(BINARY, PART[:9], fin=False, reserved=4), frame(PING, b"x"), frame(CONTINUATION, PART[9:])])
    for PART in (websocket.pack(bytes(range(256)) * 64),)
] + [
    ("13: packed and plain", [frame(TEXT, websocket.pack(b"packed"), reserved=4), frame(TEXT, b"plain")]),
    ("13: bit on a continuation", [frame(TEXT, b"x", fin=False), frame(CONTINUATION, b"y", reserved=4)]),
    ("13: no deflate data", [frame(BINARY, b"\xff" * 20, reserved=4)]),
]


def play(address, frames, bytewise=False, tls_name=None, headers=()):
    """All that comes back, up to the end."""
    with client.Connection(address, 20 * net.SLOW_FACTOR, tls_name=tls_name) as c:
        key, head = request("/ws", key="dGhlIHNhbXBsZSBub25jZQ==", headers=headers)
        answer = c.send(head).read_head()
        assert answer.status == 101, answer
        assert answer.get("sec-websocket-accept") == websocket.proof(key), answer
        data = b"".join(frames) + END
        parts = []
        sender = threading.Thread(target=send, args=(c, data, bytewise), daemon=True)
        sender.start()  # besides reading: an echo that nobody takes would be waited for on both ends
        if tls_name:  # one thread at a time may use it; what goes this way is single messages
            sender.join()
        c.reader.rest(parts.append)
        sender.join()
        return answer.get("sec-websocket-extensions"), b"".join(parts)


def send(connection, data, bytewise):
    try:
        (connection.send_bytewise if bytewise else connection.send)(data)
    except OSError:  # the end came before all was sent
        pass


def test_identical_to_direct(t):
    with Peer(websocket.Echo()) as peer, Gateway(simple_config(peer.url)) as site:
        for name, frames in CASES:
            with t.case(name):
                assert play(site.address, frames) == play(peer.address, frames)
        for name, frames in CASES[:3] + CASES[5:8]:
            with t.case(name + ", byte by byte"):
                assert play(site.address, frames, bytewise=True) == play(peer.address, frames)


def test_battery(t):
    with Peer(websocket.Echo()) as peer, Gateway(simple_config(peer.url)) as site:
        for name, frames in BATTERY:
            with t.case(name):
                assert play(site.address, frames) == play(peer.address, frames)


def test_compressed(t):
    offer = [("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")]
    with Peer(websocket.Echo(deflate=True)) as peer, Gateway(simple_config(peer.url)) as site:
        for name, frames in PACKED_BATTERY:
            with t.case(name):
                direct = play(peer.address, frames, headers=offer)
                assert direct[0] == websocket.DEFLATE and play(site.address, frames, headers=offer) == direct
        with t.case("not offered"):
            assert play(site.address, [frame(TEXT, b"x", reserved=4)]) == play(peer.address, [
                frame(TEXT, b"x", reserved=4)])


def test_to_tls(t):
    """An upstream of https: WebSocket over TLS on both sides."""
    ca = certs.Authority()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with Folder() as folder:
        context.load_cert_chain(*ca.issue("a.test").files(folder, "own"))
    with Peer(websocket.Echo(), tls=context) as peer:
        made = simple_config("https://up:443")
        made["upstreams"] = [{"name": "up", "host_header": "a.test", "targets": [{"target": "%s:%d" % peer.address}]}]
        listen = (net.own_host(), net.free_port())
        with Gateway(made, {"proxy_listen": "%s:%d ssl" % listen, "upstream_tls_trusted": ca.own}):
            for name, frames in CASES[:5] + BATTERY[-20:-10]:
                with t.case(name):
                    assert play(listen, frames, tls_name="a.test") == play(peer.address, frames, tls_name="a.test")


def test_reload_and_many(t):
    """A reload that takes their route away leaves those that are open alone."""
    with Peer(websocket.Echo()) as peer, Gateway(simple_config(peer.url)) as site, contextlib.ExitStack() as stack:
        many = [stack.enter_context(site.connect()) for _ in range(100)]
        for c in many:
            c.send(request()[1])
            assert c.read_head().status == 101
        other = simple_config(peer.url, paths=["/other"])
        site.reload(other)
        net.wait_until(lambda: site.get("/").status == 404, what="the new configuration")
        for i, c in enumerate(many):
            c.send(frame(TEXT, b"%d" % i) + END)
            parts = []
            c.reader.rest(parts.append)
            assert b"".join(parts) == frame(TEXT, b"%d" % i, masked=False) + frame(CLOSE, b"\x03\xe8", masked=False)


def test_over_tls(t):
    with Peer(websocket.Echo()) as peer:
        host = net.own_host()
        port = net.free_port()
        with Gateway(simple_config(peer.url), {"proxy_listen": "%s:%d ssl" % (host, port)}):
            for name, frames in CASES[:5]:
                with t.case(name):
                    assert play((host, port), frames, tls_name="a.test") == play(peer.address, frames)


def test_heads(t):
    """What goes along with the request and the 101, and what is added."""
    echo = websocket.Echo()
    with Peer(echo) as peer, Gateway(simple_config(peer.url)) as site, site.connect() as c:
        key, head = request("/chat?a=1", headers=[("Sec-WebSocket-Protocol", "chat"), ("Origin", "http://x"),
                                                  ("X-Other", "1")])
        answer = c.send(head).read_head()
        assert answer.status == 101 and answer.get("connection") == "Upgrade", answer
        assert answer.get("upgrade") == "websocket" and "content-length" not in answer.fields, answer
        seen = echo.heads[0]
        assert seen.get("connection") == "keep-alive, Upgrade" and seen.get("upgrade") == "websocket", seen
        for name, value in (("sec-websocket-key", key), ("sec-websocket-protocol", "chat"), ("x-other", "1"),
                            ("x-forwarded-for", "127.0.0.1"), ("sec-websocket-version", "13")):
            assert seen.get(name) == value, seen


def test_glued(t):
    """Frames right behind the request wait for the 101, those right behind the 101 are not lost."""
    early = []

    def script(c):
        head = c.read_request()
        c.sock.settimeout(0.3)
        try:
            c.reader.fill()
        except TimeoutError:
            pass
        early.extend(c.reader.buffer)
        c.sock.settimeout(None)
        c.send(websocket.agree(head.get("sec-websocket-key")) + frame(TEXT, b"welcome", masked=False))
        c.send(websocket.take(c.reader, len(b"right behind")))
    with Peer(script) as peer, Gateway(simple_config(peer.url)) as site, site.connect() as c:
        _, head = request()
        c.send(head + b"right behind")
        assert c.read_head().status == 101
        parts = []
        c.reader.rest(parts.append)
        assert b"".join(parts) == frame(TEXT, b"welcome", masked=False) + b"right behind"
        assert not early, early


SMUGGLED = b"GET /secret HTTP/1.1\r\nHost: test\r\n\r\n"
WRONG_PROOF = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", "wrong")]
REFUSALS = [
    ("426", lambda head: origin.answer(426), 426),
    ("200", lambda head: origin.answer(200), 200),
    ("101 without proof", lambda head: b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", 502),
    ("101 with a wrong proof", lambda head: ("HTTP/1.1 101 X\r\n" + "".join(
        "%s: %s\r\n" % pair for pair in WRONG_PROOF) + "\r\n").encode(), 502),
    ("101 for another protocol", lambda head: websocket.agree(head.get("sec-websocket-key")).replace(
        b"Upgrade: websocket", b"Upgrade: h2c"), 502),
    ("101 without Connection", lambda head: websocket.agree(head.get("sec-websocket-key")).replace(
        b"Connection: Upgrade\r\n", b""), 502),
]


def test_a_failed_upgrade_is_plain_http(t):
    """What follows is the next request, judged by the gateway like any other."""
    for name, reply, status in REFUSALS:
        with t.case(name), origin.Origin(lambda r, reply=reply: reply(r) if r.get("upgrade")
                                         else origin.answer()) as upstream:
            with Gateway(simple_config(upstream.url, paths=["/ws"])) as site, site.connect() as c:
                _, head = request("/ws")
                c.send(head + SMUGGLED)
                assert c.read().status == status
                if status != 502:
                    assert c.read().status == 404  # /secret has no route
                seen = upstream.take()
                assert [r.target for r in seen] == ["/ws"], seen
                assert b"secret" not in bytes(upstream.received)


def test_not_asked_for(t):
    """A 101 that nobody wants, an upgrade to something else, one with a body, by POST, of HTTP/1.0."""
    def reply(r):
        return websocket.agree(r.get("sec-websocket-key", "x")) if r.target == "/101" else origin.answer()
    rows = [("no upgrade asked for", b"GET /101 HTTP/1.1\r\nHost: t\r\n\r\n", 502, None),
            ("h2c", b"GET / HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", 200, None),
            ("without Connection", b"GET / HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\n\r\n", 200, "websocket"),
            ("without Connection, 101", b"GET /101 HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\n\r\n", 502,
             "websocket"),
            ("POST", b"POST / HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 200, None),
            ("HTTP/1.0", b"GET / HTTP/1.0\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 200,
             None),
            ("body", b"GET / HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                     b"Content-Length: 3\r\n\r\nabc", 400, None)]
    with origin.Origin(reply) as upstream, Gateway(simple_config(upstream.url)) as site:
        for name, data, status, forwarded in rows:
            with t.case(name), site.connect() as c:
                upstream.take()
                assert c.send(data).read().status == status
                seen = upstream.take()
                assert [r.get("upgrade") for r in seen] == ([] if status == 400 else [forwarded]), seen


def test_plugins_in_front(t):
    """key-auth refuses with 401 as ever; who has a key gets through."""
    with Peer(websocket.Echo()) as peer:
        made = simple_config(peer.url)
        made["plugins"] = [{"name": "key-auth"}]
        made["consumers"] = [{"username": "u", "keyauth_credentials": [{"key": "k"}]}]
        with Gateway(made) as site:
            with t.case("without a key"), site.connect() as c:
                answer = c.send(request()[1]).read()
                assert answer.status == 401 and peer.connections == 0, answer
            with t.case("with a key"), site.connect() as c:
                c.send(request(headers=[("apikey", "k")])[1])
                assert c.read_head().status == 101
                c.send(frame(TEXT, b"x"))
                assert websocket.take(c.reader, 3) == frame(TEXT, b"x", masked=False)


def test_idle_and_log(t):
    with Peer(websocket.Echo()) as peer:
        made = simple_config(peer.url)
        made["services"][0]["read_timeout"] = 1000
        settings = {"proxy_access_log": "/dev/stdout", "proxy_access_log_format": "json"}
        with Gateway(made, settings) as site, site.connect() as c:
            c.send(request()[1])
            assert c.read_head().status == 101
            c.send(frame(TEXT, b"x"))
            assert websocket.take(c.reader, 3) == frame(TEXT, b"x", masked=False)
            assert c.ended(10)
            net.wait_until(lambda: site.stdout().endswith("\n"), what="the log")
            record = json.loads(site.stdout().splitlines()[0])
            assert record["status"] == 101 and record["received_bytes"] == 7, record
            assert record["sent_bytes"] == 3, record


def test_stop(t):
    """It has until drain_timeout, and goes on that long."""
    with Peer(websocket.Echo()) as peer, Gateway(simple_config(peer.url), {"drain_timeout": "2"}) as site:
        with site.connect() as c:
            c.send(request()[1])
            assert c.read_head().status == 101
            site.send_signal(signal.SIGTERM)
            c.send(frame(TEXT, b"x"))
            assert websocket.take(c.reader, 3) == frame(TEXT, b"x", masked=False)
            site.wait_end()
            try:
                assert c.sock.recv(10) == b""
            except ConnectionResetError:
                pass


MAPPING = """apiVersion: getambassador.io/v3alpha1
kind: Mapping
metadata: {name: m}
spec: {prefix: /, hostname: '*', service: '%s:%d'%s}
"""


def test_emissary_allows_by_name(t):
    rows = [("nothing", "", 403), ("websocket", ", allow_upgrade: [WebSocket]", 101),
            ("use_websocket", ", use_websocket: true", 101), ("another", ", allow_upgrade: [spdy/3.1]", 403)]
    with Peer(websocket.Echo()) as peer:
        for name, more, status in rows:
            with t.case(name), Gateway(MAPPING % (*peer.address, more)) as site, site.connect() as c:
                assert c.send(request()[1]).read_head().status == status


test_battery.seconds = test_to_tls.seconds = 120
test_identical_to_direct.seconds = test_reload_and_many.seconds = test_a_failed_upgrade_is_plain_http.seconds = 60
