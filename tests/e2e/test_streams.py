# SPDX-License-Identifier: Apache-2.0
"""stream_listen from the outside: TCP, TLS unwrapped and passed on, routes, ends, limits, logs, plugins."""
import hashlib
import json
import os
import select
import signal
import socket
import ssl
import threading

from tests.support import certs, client, gateway, net
from tests.support.gateway import Gateway
from tests.support.origin import Peer

BYTES = int(os.environ.get("TEST_STREAM_BYTES", str(20 * 1000 * 1000)))


def echo(c):
    """Sends back what comes, and a last word behind its end."""
    while True:
        data = c.sock.recv(65536)
        if not data:
            break
        c.send(data)
    c.send(b"|end")


def name_of(text):
    """Says who it is, and waits for the end."""
    def script(c):
        c.send(text)
        c.wait_for_end()
    return script


def stream_route(port=None, **fields):
    fields.setdefault("protocols", ["tcp"])
    if port:
        fields["destinations"] = [{"port": port}]
    return fields


def service(address, routes, **fields):
    return {"name": "s%d" % address[1], "protocol": "tcp", "host": address[0], "port": address[1], "routes": routes,
            **fields}


def config(*services, **more):
    return {"_format_version": "3.0", "services": list(services), **more}


class Site(Gateway):
    """Listeners for TCP at `tcp` and TLS at `tls`; the configuration is made from their ports."""

    def __init__(self, make, flags="", **settings):
        host = net.own_host()
        self.tcp, self.tls = (host, net.free_port()), (host, net.free_port())
        listen = "%s:%d%s,%s:%d ssl%s" % (*self.tcp, flags, *self.tls, flags)
        self.make = make
        super().__init__(make(self), {"stream_listen": listen, "proxy_stream_access_log": "/dev/stdout",
                                      **settings})

    def open(self, address=None, name=None, timeout=10):
        sock = socket.create_connection(address or (self.tcp if name is None else self.tls), timeout)
        if name is None:
            return sock
        return client.unverified().wrap_socket(sock, server_hostname=name or None)

    def log_lines(self, count):
        def found():
            lines = self.stdout().split("\n")[:-1]     # behind the last end stands a line that is being written
            return lines if len(lines) >= count else None
        return net.wait_until(found, what=lambda: "%d lines of the log:\n%s" % (count, self.stdout()))


def read_all(sock):
    parts = []
    while True:
        part = sock.recv(65536)
        if not part:
            return b"".join(parts)
        parts.append(part)


def ends(sock):
    try:
        return sock.recv(1) == b""
    except ConnectionResetError:
        return True


def test_both_ways_and_ends(t):
    with Peer(echo) as peer, Site(lambda g: config(service(peer.address, [
            stream_route(g.tcp[1]), stream_route(protocols=["tls"], snis=["a.test"])]))) as site:
        for name in (None, "a.test"):
            with t.case("TLS" if name else "TCP"), site.open(name=name) as c:
                c.sendall(b"hello")
                assert c.recv(100) == b"hello"
                if name:
                    c = c.unwrap() if False else c
                    c.sendall(b" again")
                    assert c.recv(100) == b" again"
                else:
                    c.shutdown(socket.SHUT_WR)
                    assert read_all(c) == b"|end"


def test_server_speaks_first_and_ends_first(t):
    def script(c):
        c.send(b"220 ready")
        c.sock.shutdown(socket.SHUT_WR)
        c.wait_for_end()
    with Peer(script) as peer, Site(lambda g: config(service(peer.address, [stream_route(g.tcp[1])]))) as site:
        with site.open() as c:
            assert read_all(c) == b"220 ready"
            c.sendall(b"still heard")
            net.wait_until(lambda: bytes(peer.received) == b"still heard")
        net.wait_until(lambda: not peer.open, what="the end at the upstream")


def echoed(c, block, count):
    """Sends and receives at once, in one thread: a TLS socket of Python's is not for two. The hash of what came."""
    digest, left = hashlib.sha1(), count * len(block) + 1
    unsent = memoryview(block * count + b"$")
    c.setblocking(False)
    while left:
        readable, writable, _ = select.select([c], [c] if unsent else [], [], 30)
        assert readable or writable, "%d bytes are missing" % left
        try:
            part = c.recv(1 << 16)
            assert part, "%d bytes are missing" % left
            digest.update(part)
            left -= len(part)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        try:
            unsent = unsent[c.send(unsent[:1 << 16]):] if unsent else unsent
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
    return digest


def test_much_both_ways(t):
    """Whole and in order, with little memory however slow the other side reads."""
    block = os.urandom(1 << 16)
    count = BYTES // len(block)
    gate = threading.Event()

    def script(c):
        gate.wait(30)
        echo(c)
    with Peer(script) as peer, Site(lambda g: config(service(peer.address, [
            stream_route(g.tcp[1]), stream_route(protocols=["tls"], snis=["a.test"])]))) as site:
        for name in (None, "a.test"):
            with t.case("TLS" if name else "TCP"), site.open(name=name, timeout=30) as c:
                before = site.status_kib()
                gate.set()
                digest = echoed(c, block, count)
                expected = hashlib.sha1()
                for _ in range(count):
                    expected.update(block)
                expected.update(b"$")
                assert digest.digest() == expected.digest()
                if "asan" not in gateway.BINARY and "integ" not in gateway.BINARY:
                    assert site.status_kib() - before < 16 * 1024, site.status_kib() - before


def test_routes(t):
    """By port, source, name of TLS, and none."""
    with Peer(name_of(b"one")) as one, Peer(name_of(b"two")) as two, Peer(name_of(b"rest")) as rest:
        def make(g):
            return config(
                service(one.address, [stream_route(g.tcp[1], sources=[{"ip": "127.0.0.0/8"}])]),
                service(two.address, [stream_route(protocols=["tls"], snis=["two.test", "*.wild.test"])]),
                service(rest.address, [stream_route(protocols=["tls"], snis=["rest.test"],
                                                    destinations=[{"port": 1}])], name="never"))
        with Site(make) as site:
            rows = [("port", None, b"one"), ("name", "two.test", b"two"), ("wildcard", "x.wild.test", b"two"),
                    ("other port", "rest.test", b""), ("other name", "none.test", b"")]
            for name, sni, want in rows:
                with t.case(name), site.open(name=sni) as c:
                    assert c.recv(100) == want
            lines = [line for line in site.log_lines(len(rows)) if " 404 " in line]
            assert len(lines) == 2, site.stdout()


def test_source_decides(t):
    with Peer(name_of(b"one")) as one:
        with Site(lambda g: config(service(one.address, [
                stream_route(sources=[{"ip": "10.0.0.0/8"}])]))) as site, site.open() as c:
            assert ends(c)
            assert one.connections == 0


def server_context(folder, name="upstream.test"):
    pair = certs.Authority().issue(name)
    cert, key = pair.files(folder, "pair")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context, pair


def test_passthrough(t):
    """By the name in a ClientHello that comes in any pieces; the upstream's own certificate is seen."""
    with gateway.Folder() as folder:
        context, pair = server_context(folder)
        with Peer(name_of(b"inside"), tls=context) as peer, Peer(name_of(b"unwrapped")) as plain:
            def make(g):
                return config(service(peer.address, [stream_route(protocols=["tls_passthrough"],
                                                                  snis=["pass.test"])]),
                              service(plain.address, [stream_route(protocols=["tls"], snis=["here.test"])]))
            with Site(make) as site:
                with t.case("as it is"), site.open(name="pass.test") as c:
                    shown = ssl.DER_cert_to_PEM_cert(c.getpeercert(True))
                    assert "".join(shown.split()) == "".join(pair.own.split())
                    assert c.recv(100) == b"inside"
                with t.case("unwrapped here"), site.open(name="here.test") as c:
                    assert c.recv(100) == b"unwrapped"
                with t.case("neither"), site.open(name="none.test") as c:
                    assert c.recv(100) == b""
                with t.case("byte by byte"):
                    shake_bytewise(site.tls, "pass.test", b"inside")
                with t.case("byte by byte, unwrapped"):
                    shake_bytewise(site.tls, "here.test", b"unwrapped")
                with t.case("no TLS"), site.open(site.tls) as c:
                    c.sendall(b"GET / HTTP/1.1\r\n\r\n")
                    c.settimeout(5)
                    read_all(c)  # an alert, and the end


def shake_bytewise(address, name, want):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client.unverified().wrap_bio(incoming, outgoing, server_hostname=name)
    with socket.create_connection(address, 10) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def step(action):
            while True:
                try:
                    return action()
                except ssl.SSLWantReadError:
                    for byte in outgoing.read():
                        sock.sendall(bytes([byte]))
                    data = sock.recv(65536)
                    assert data, "closed in the handshake"
                    incoming.write(data)
        step(tls.do_handshake)
        for byte in outgoing.read():
            sock.sendall(bytes([byte]))
        assert step(lambda: tls.read(100)) == want


def test_upstream_tls(t):
    with gateway.Folder() as folder:
        context, _ = server_context(folder)
        with Peer(echo, tls=context) as peer:
            for verify, good in ((False, True), (True, False)):
                with t.case("verified" if verify else "not verified"):
                    make = lambda g: config(service(peer.address, [stream_route(g.tcp[1])], protocol="tls",
                                                    tls_verify=verify, retries=0))
                    with Site(make) as site, site.open() as c:
                        c.sendall(b"over TLS")
                        assert (c.recv(100) == b"over TLS") if good else ends(c)


def test_next_target_when_one_is_down(t):
    dead = net.free_port()
    with Peer(name_of(b"alive")) as peer:
        def make(g):
            return config(service(("pool", 1), [stream_route(g.tcp[1])], name="s"), upstreams=[
                {"name": "pool", "targets": [{"target": "%s:%d" % (peer.host, dead), "weight": 100},
                                             {"target": "%s:%d" % peer.address, "weight": 100}],
                 "healthchecks": {"passive": {"type": "tcp", "unhealthy": {"tcp_failures": 2}}}}])
        with Site(make, shards="1") as site:
            for _ in range(10):
                with site.open() as c:
                    assert c.recv(100) == b"alive"


def test_nobody_there(t):
    port = net.free_port()
    with Site(lambda g: config(service((net.own_host(), port), [stream_route(g.tcp[1])], retries=1))) as site:
        with site.open() as c:
            assert ends(c)
        assert " 502 " in site.log_lines(1)[0]


def test_idle(t):
    with Peer(echo) as peer, Site(lambda g: config(service(peer.address, [stream_route(g.tcp[1])],
                                                            read_timeout=1000 * net.SLOW_FACTOR))) as site:
        with site.open() as c:
            c.sendall(b"x")
            assert c.recv(1) == b"x"
            c.settimeout(10)
            read_all(c)
        net.wait_until(lambda: not peer.open)


def test_reset_is_passed_on(t):
    """What was cut short must not look whole."""
    seen = []

    def script(c):
        try:
            c.send(b"hello")
            while c.sock.recv(1000):
                pass
            seen.append("end")
        except ConnectionResetError:
            seen.append("reset")
    with Peer(script) as peer, Site(lambda g: config(service(peer.address, [stream_route(g.tcp[1])]))) as site:
        c = site.open()
        assert c.recv(5) == b"hello"
        client.wire.abort(c)
        net.wait_until(lambda: seen, what="the end at the upstream")
        assert seen == ["reset"], seen


def test_log(t):
    with Peer(echo) as peer:
        make = lambda g: config(service(peer.address, [stream_route(g.tcp[1], name="r")]))
        for kind in ("combined", "json"):
            with t.case(kind), Site(make, proxy_access_log_format=kind) as site:
                with site.open() as c:
                    c.sendall(b"hello")
                    c.shutdown(socket.SHUT_WR)
                    assert read_all(c) == b"hello|end"
                line = site.log_lines(1)[0]
                if kind == "json":
                    record = json.loads(line)
                    want = {"client_ip": "127.0.0.1", "protocol": "TCP", "status": 200, "sent_bytes": 9,
                            "received_bytes": 5, "route": "r", "service": "s%d" % peer.port,
                            "upstream": "%s:%d" % peer.address, "port": site.tcp[1]}
                    assert {name: record.get(name) for name in want} == want, record
                else:
                    assert line.startswith("127.0.0.1 [") and "] TCP 200 9 5 " in line, line


def test_ip_restriction(t):
    with Peer(name_of(b"in")) as peer:
        for denied, want in (("127.0.0.1", b""), ("10.0.0.1", b"in")):
            for scope in ("route", "global"):
                with t.case("%s, %s" % (denied, scope)):
                    plugin = {"name": "ip-restriction", "config": {"deny": [denied]}}
                    make = lambda g: config(service(peer.address, [
                        stream_route(g.tcp[1], plugins=[plugin] if scope == "route" else [])]),
                        plugins=[plugin] if scope == "global" else [])
                    with Site(make) as site, site.open() as c:
                        assert c.recv(100) == want
                        if not want:
                            assert " 403 " in site.log_lines(1)[0]


def test_other_plugins_are_not_for_streams(t):
    """A global one passes streams by; one on such a route is refused."""
    plugin = {"name": "request-termination"}
    with Peer(name_of(b"in")) as peer:
        with t.case("global"), Site(lambda g: config(service(peer.address, [stream_route(g.tcp[1])]),
                                                      plugins=[plugin])) as site, site.open() as c:
            assert c.recv(100) == b"in"
    for name, fields, reason in (("route", {}, "must match the associated route's protocols"),
                                 ("protocols", {"protocols": ["tcp"]}, "expected one of: grpc, grpcs, http, https")):
        with t.case(name), gateway.Folder() as folder:
            text = json.dumps(config(service(("h", 1), [stream_route(9, plugins=[{**plugin, **fields}])])))
            done = gateway.run("check", "-c", folder.file("kong.json", text))
            assert done.returncode == 1 and reason in done.stderr + done.stdout, done.stderr


V1 = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 80\r\n"


def test_proxy_protocol_in(t):
    """It says whose stream it is: also for routes and ip-restriction."""
    with Peer(name_of(b"in")) as peer:
        make = lambda g: config(service(peer.address, [stream_route(
            protocols=["tcp", "tls"], sources=[{"ip": "192.0.2.7", "port": 4711}])]))
        for trusted, want in (("127.0.0.0/8", b"in"), ("10.0.0.0/8", b"")):
            with Site(make, " proxy_protocol", trusted_ips=trusted) as site:
                with t.case("from " + trusted), site.open() as c:
                    c.sendall(V1)
                    assert c.recv(100) == want
                with t.case("before TLS, from " + trusted), site.open(site.tls) as c:
                    c.sendall(V1)
                    with client.unverified().wrap_socket(c, server_hostname="a.test") as inside:
                        assert inside.recv(100) == want


def test_proxy_protocol_out(t):
    """Before everything else, TLS included; of the service, or as the settings say."""
    def script(c):
        head = c.sock.recv(1000)
        c.send(head)
        c.wait_for_end()
    with Peer(script) as peer:
        for version, setting in (("v1", False), ("v2", False), ("v1", True)):
            with t.case(version + (", setting" if setting else "")):
                fields = {} if setting else {"proxy_protocol": version}
                make = lambda g: config(service(peer.address, [stream_route(g.tcp[1])], **fields))
                settings = {"stream_proxy_protocol": version} if setting else {}
                with Site(make, **settings) as site, site.open() as c:
                    own = c.getsockname()
                    if version == "v1":
                        want = b"PROXY TCP4 %s %s %d %d\r\n" % (
                            own[0].encode(), site.tcp[0].encode(), own[1], site.tcp[1])
                    else:
                        want = (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + socket.inet_aton(own[0])
                                + socket.inet_aton(site.tcp[0]) + own[1].to_bytes(2, "big")
                                + site.tcp[1].to_bytes(2, "big"))
                    assert c.recv(1000) == want


def test_reload_and_stop(t):
    """Streams outlive reloads; they have until drain_timeout when all is to end."""
    with Peer(echo) as peer:
        make = lambda g: config(service(peer.address, [stream_route(g.tcp[1])]))
        with Site(make, drain_timeout="10") as site, site.open() as c:
            c.sendall(b"a")
            assert c.recv(1) == b"a"
            site.reload(config())
            net.wait_until(lambda: "reload done" in site.stderr())
            with site.open() as other:
                assert ends(other)
            c.sendall(b"b")
            assert c.recv(1) == b"b"
            site.send_signal(signal.SIGTERM)
            net.wait_until(lambda: refuses(site.tcp), what="the listener's end")
            c.sendall(b"c")
            assert c.recv(1) == b"c"
            c.shutdown(socket.SHUT_WR)
            assert read_all(c) == b"|end"
            site.wait_end()


def refuses(address):
    try:
        socket.create_connection(address, 1).close()
    except OSError:
        return True
    return False


def test_settings_refused(t):
    rows = [("127.0.0.1:1 http2", "http2 is not for streams"), ("127.0.0.1:1 udp ssl", "udp goes with neither"),
            ("127.0.0.1:1 udp proxy_protocol", "udp goes with neither")]
    for listen, reason in rows:
        with t.case(listen), gateway.Folder() as folder:
            path = folder.file("kong.json", json.dumps(config()))
            done = gateway.run("run", "-c", path, "--set", "stream_listen=" + listen)
            assert done.returncode and reason in done.stderr, done.stderr
