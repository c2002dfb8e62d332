# SPDX-License-Identifier: Apache-2.0
"""TLS of the listeners admin_listen and status_listen."""
import json
import os
import signal
import socket
import ssl

from tests.e2e.test_tls import V12, V13, context_of, same
from tests.support import certs, client, net, origin
from tests.support.gateway import Folder, Gateway, run, set_options, simple_config


class Own(Gateway):
    """A gateway that speaks TLS for admin and status."""

    def __init__(self, url, settings=None, **kw):
        host = net.own_host()
        self.admin, self.status, self.clear = ((host, net.free_port()) for _ in range(3))
        listen = {"admin_listen": "%s:%d ssl http2" % self.admin,
                  "status_listen": "%s:%d ssl,%s:%d" % (*self.status, *self.clear)}
        super().__init__(simple_config(url), {**listen, **(settings or {})}, **kw)


def connect(address, context):
    connection = object.__new__(client.Connection)
    connection.sock = context.wrap_socket(socket.create_connection(address, 10), server_hostname="a.test")
    connection.reader = client.wire.Reader(connection.sock)
    return connection


def shown(address, context=None):
    with connect(address, context or client.unverified()) as c:
        return ssl.DER_cert_to_PEM_cert(c.sock.getpeercert(True))


def test_requests(t):
    ca = certs.Authority()
    pairs = [ca.issue("a.test"), ca.issue("a.test", kind="rsa")]
    with origin.Origin() as o, Folder() as folder:
        files = [pair.files(folder, "p%d" % i) for i, pair in enumerate(pairs)]
        settings = {"admin_ssl_cert": ",".join(f[0] for f in files),
                    "admin_ssl_cert_key": ",".join(f[1] for f in files),
                    "status_ssl_cert": files[1][0], "status_ssl_cert_key": files[1][1]}
        with Own(o.url, settings) as g:
            for version in (V12, V13):
                for name, address in [("admin", g.admin), ("status", g.status)]:
                    with t.case("%s %s" % (version.name, name)):
                        with connect(address, context_of(ca, version, version)) as c:
                            for _ in range(3):
                                answer = c.exchange(client.encode("GET", "/status", host="localhost"))
                                assert answer.status == 200 and "server" in json.loads(answer.body), answer
                            c.send(client.encode("GET", "/status", [("Connection", "close")], host="localhost"))
                            assert c.read().status == 200 and c.sock.recv(1) == b""
            with t.case("ECDSA before RSA, RSA for who has nothing else"):
                assert same(shown(g.admin), pairs[0])
                assert same(shown(g.admin, context_of(ciphers="ECDHE-RSA-AES128-GCM-SHA256", high=V12)), pairs[1])
                assert same(shown(g.status), pairs[1])
            with t.case("byte by byte"):
                incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
                tls = context_of(ca).wrap_bio(incoming, outgoing, server_hostname="a.test")
                with socket.create_connection(g.admin, 10) as sock:
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

                    def until(action):
                        while True:
                            try:
                                return action()
                            except ssl.SSLWantReadError:
                                for byte in outgoing.read():
                                    sock.send(bytes([byte]))
                                part = sock.recv(65536)
                                assert part, "ended"
                                incoming.write(part)
                    until(tls.do_handshake)
                    tls.write(client.encode("GET", "/status", host="localhost"))
                    assert until(lambda: tls.read(100)).startswith(b"HTTP/1.1 200")
            for name, data in [("in the clear", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
                               ("garbage", b"\x00" * 50),
                               ("a record beyond any size", b"\x16\x03\x01\xff\xff" + b"x" * 70000)]:
                with t.case(name), client.Connection(g.admin) as c:
                    try:
                        c.send(data)
                        assert c.ended(), "it goes on"
                    except OSError:
                        pass
            with t.case("a long answer"):
                with connect(g.status, context_of(ca)) as c:
                    answer = c.exchange(client.encode("GET", "/metrics", host="localhost"))
                    assert answer.status == 200 and len(answer.body) > 4096
            with t.case("the command asks the listener in the clear"):
                assert client.get(g.clear, "/status").status == 200


def test_reload(t):
    ca = certs.Authority()
    first, second = ca.issue("a.test"), ca.issue("a.test")
    with origin.Origin() as o, Folder() as folder:
        chain, key = first.files(folder, "pair")
        with Own(o.url, {"admin_ssl_cert": chain, "admin_ssl_cert_key": key}) as g:
            with t.case("without a pair of its own it has one that was made"):
                assert not same(shown(g.status), first) and "CERTIFICATE" in shown(g.status)
            with connect(g.admin, context_of(ca)) as kept:
                assert kept.exchange(client.encode("GET", "/status", host="localhost")).status == 200
                with t.case("a pair that does not fit"):
                    folder.file("pair.pem", second.cert)
                    g.send_signal(signal.SIGHUP)
                    net.wait_until(lambda: "admin_ssl_cert: %s: certificate does not match key" % chain in g.stderr(),
                                   what="the complaint")
                    assert same(shown(g.admin), first)
                with t.case("the new one"):
                    second.files(folder, "pair")
                    g.send_signal(signal.SIGHUP)
                    net.wait_until(lambda: same(shown(g.admin), second), what="the reload")
                with t.case("open connections stay"):
                    assert kept.exchange(client.encode("GET", "/status", host="localhost")).status == 200
            with t.case("a missing file"):
                os.unlink(key)
                g.send_signal(signal.SIGHUP)
                net.wait_until(lambda: "admin_ssl_cert: %s: No such file" % key in g.stderr(), what="the complaint")
                assert same(shown(g.admin), second)
        with t.case("as many keys as certificates"):
            done = run("check", *set_options({"status_ssl_cert": chain}))
            assert done.returncode != 0 and "status_ssl_cert_key" in done.stdout + done.stderr, done
