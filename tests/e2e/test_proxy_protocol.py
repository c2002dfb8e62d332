# SPDX-License-Identifier: Apache-2.0
"""The PROXY protocol on listeners: both versions, split anywhere, before TLS, whom it is believed from."""
import socket
import struct

from tests.support import client, net, origin
from tests.support.gateway import Gateway, simple_config

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V1 = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 80\r\n"
TRUSTED = {"trusted_ips": "127.0.0.0/8", "real_ip_header": "proxy_protocol"}
REQUEST = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"


def v2(source, destination, family=socket.AF_INET, command=0x21, extensions=b""):
    block = (socket.inet_pton(family, source) + socket.inet_pton(family, destination)
             + struct.pack(">HH", 4711, 80) + extensions)
    return SIGNATURE + bytes([command, 0x11 if family == socket.AF_INET else 0x21]) + struct.pack(
        ">H", len(block)) + block


class Site(Gateway):
    """Listeners in the clear and with TLS that both want a PROXY header."""

    def __init__(self, url, **settings):
        host = net.own_host()
        self.plain, self.tls = (host, net.free_port()), (host, net.free_port())
        listen = "%s:%d proxy_protocol,%s:%d ssl proxy_protocol" % (*self.plain, *self.tls)
        super().__init__(simple_config(url), {"proxy_listen": listen, **TRUSTED, **settings})

    def connect_through(self, header, tls=False):
        connection = client.Connection(self.tls if tls else self.plain)
        connection.send(header)
        if tls:
            connection.sock = client.unverified().wrap_socket(connection.sock, server_hostname="test")
            connection.reader = client.wire.Reader(connection.sock)
        return connection


HEADERS = [
    ("v1", V1, "192.0.2.7"),
    ("v1 TCP6", b"PROXY TCP6 2001:db8::7 ::1 4711 80\r\n", "2001:db8::7"),
    ("v1 UNKNOWN", b"PROXY UNKNOWN\r\n", "127.0.0.1"),
    ("v2", v2("192.0.2.7", "198.51.100.1"), "192.0.2.7"),
    ("v2 TCP6", v2("2001:db8::7", "::1", socket.AF_INET6), "2001:db8::7"),
    ("v2 with extensions", v2("192.0.2.7", "198.51.100.1", extensions=b"\x02\0\4test"), "192.0.2.7"),
    ("v2 LOCAL", v2("192.0.2.7", "198.51.100.1", command=0x20), "127.0.0.1"),
]


def test_who_the_client_is(t):
    with origin.Origin() as upstream, Site(upstream.url) as gateway:
        for name, header, want in HEADERS:
            for tls in (False, True):
                with t.case("%s%s" % (name, " before TLS" if tls else "")):
                    with gateway.connect_through(header, tls) as c:
                        for _ in range(2):
                            assert c.send(REQUEST).read().status == 200
                            seen = upstream.one()
                            assert seen.get("x-real-ip") == want, seen
                            assert seen.get("x-forwarded-for") == want, seen


def test_split_at_every_byte(t):
    with origin.Origin() as upstream, Site(upstream.url) as gateway:
        for name, header, want in HEADERS:
            with t.case(name), client.Connection(gateway.plain) as c:
                assert c.send_bytewise(header + REQUEST)
                assert c.read().status == 200
                assert upstream.one().get("x-real-ip") == want


def test_only_who_is_trusted_is_believed(t):
    rows = [("other peers trusted", {"trusted_ips": "10.0.0.0/8"}), ("nobody trusted", {"trusted_ips": ""}),
            ("another header asked for", {"real_ip_header": "X-Real-IP"})]
    with origin.Origin() as upstream:
        for name, settings in rows:
            with t.case(name), Site(upstream.url, **settings) as gateway:
                with gateway.connect_through(V1) as c:
                    assert c.send(REQUEST).read().status == 200
                    assert upstream.one().get("x-real-ip") == "127.0.0.1"


def test_refused(t):
    rows = [("no header", REQUEST),
            ("wrong address", b"PROXY TCP4 1.2.3 5.6.7.8 1 2\r\n" + REQUEST),
            ("line feed only", b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n" + REQUEST),
            ("endless", b"PROXY UNKNOWN " + b"x" * 500),
            ("v2 command", v2("1.2.3.4", "5.6.7.8", command=0x22) + REQUEST),
            ("v2 too long", SIGNATURE + b"\x21\x11\xff\xff" + b"x" * 5000), ("nothing", b"")]
    with origin.Origin() as upstream, Site(upstream.url, client_header_timeout="1",
                                           tls_handshake_timeout="1") as gateway:
        for name, data in rows:
            with t.case(name), client.Connection(gateway.plain) as c:
                c.send(data)
                assert c.ended(10)
                assert not upstream.take()


def test_header_twice(t):
    """The second one is no request."""
    with origin.Origin() as upstream, Site(upstream.url) as gateway:
        with client.Connection(gateway.plain) as c:
            assert c.send(V1 + V1 + REQUEST).read().status == 400
            assert not upstream.take()


def test_port_of_the_header_counts_for_routes(t):
    """`sources` of expressions see whom the balancer speaks for."""
    config = {"_format_version": "3.0", "services": [{"name": "s", "url": "http://127.0.0.1:1", "routes": [
        {"name": "r", "expression": "net.src.ip == 192.0.2.7 && net.src.port == 4711"}],
        "plugins": [{"name": "request-termination", "config": {"status_code": 218}}]}]}
    host, port = net.own_host(), net.free_port()
    settings = {"proxy_listen": "%s:%d proxy_protocol" % (host, port), "router_flavor": "expressions",
                **TRUSTED}
    with Gateway(config, settings):
        for name, header, status in (("it", V1, 218), ("another", V1.replace(b"4711", b"4712"), 404)):
            with t.case(name), client.Connection((host, port)) as c:
                assert c.send(header + REQUEST).read().status == status
