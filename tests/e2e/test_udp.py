# SPDX-License-Identifier: Apache-2.0
"""UDP of stream_listen: sessions, replies from where the client has sent to, limits, ends."""
import json
import socket
import threading

from tests.support import net
from tests.support.gateway import Gateway


class Server:
    """Answers each datagram with its number on the asking address and the payload."""

    def __init__(self, host=None):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((host or net.own_host(), net.free_port(host)))
        self.address, self.peers = self.sock.getsockname(), []
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                data, peer = self.sock.recvfrom(65536)
            except OSError:
                return
            if peer not in self.peers:
                self.peers.append(peer)
            self.sock.sendto(b"%d:" % self.peers.index(peer) + data, peer)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()


class Site(Gateway):
    def __init__(self, address, service=(), host=None, config=None, **settings):
        self.udp = (host or net.own_host(), net.free_port())
        made = config or {"_format_version": "3.0", "services": [
            {"name": "s", "protocol": "udp", "host": address[0], "port": address[1], **dict(service),
             "routes": [{"name": "r", "protocols": ["udp"], "destinations": [{"port": self.udp[1]}]}]}]}
        super().__init__(made, {"stream_listen": "%s:%d udp" % self.udp,
                                "proxy_stream_access_log": "/dev/stdout",
                                "proxy_access_log_format": "json", **settings})

    def client(self, to=None):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.settimeout(5)
        sock.connect(to or self.udp)
        return sock

    def records(self, count):
        net.wait_until(lambda: len(self.stdout().splitlines()) >= count, what="the log")
        return [json.loads(line) for line in self.stdout().splitlines()]


def test_sessions(t):
    """Each client has one of its own, whatever it sends."""
    with Server() as server, Site(server.address) as site:
        first, second = site.client(), site.client()
        for payload in (b"a", b"", b"x" * 1400, b"y" * 60000):
            with t.case("%d bytes" % len(payload)):
                first.send(payload)
                assert first.recv(65536) == b"0:" + payload
        with t.case("another client"):
            second.send(b"b")
            assert second.recv(100) == b"1:b"
            first.send(b"c")
            assert first.recv(100) == b"0:c"


def test_replies_come_from_where_was_sent_to(t):
    """A listener on all addresses answers from the one that was asked."""
    with Server() as server, Site(server.address, host="0.0.0.0") as site:
        for host in ("127.0.0.1", net.own_host()):
            with t.case(host):
                c = site.client((host, site.udp[1]))  # connected: takes nothing from elsewhere
                c.send(b"x")
                assert c.recv(100).endswith(b":x")


def is_bound(sock, address):
    try:
        sock.bind(address)
        return True
    except OSError:
        return False


def test_idle_sessions_end(t):
    with Server() as server, Site(server.address, {"read_timeout": 1000}) as site:
        c = site.client()
        c.send(b"hello")
        assert c.recv(100) == b"0:hello"
        record = site.records(1)[0]
        want = {"protocol": "UDP", "status": 200, "received_bytes": 5, "sent_bytes": 7, "route": "r",
                "upstream": "%s:%d" % server.address}
        assert {name: record.get(name) for name in want} == want, record
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            net.wait_until(lambda: is_bound(other, server.peers[0]), what="the port of the first session")
            c.send(b"again")
            assert c.recv(100) == b"1:again"


def test_limit(t):
    """Whoever finds no room is not answered; who has a session goes on."""
    with Server() as server, Site(server.address, udp_sessions="2", shards="1") as site:
        clients = [site.client() for _ in range(3)]
        for number, c in enumerate(clients[:2]):
            c.send(b"x")
            assert c.recv(100) == b"%d:x" % number
        clients[2].send(b"y")
        clients[0].send(b"z")
        assert clients[0].recv(100) == b"0:z"
        clients[2].settimeout(0.2)
        try:
            assert not clients[2].recv(100)
        except TimeoutError:
            pass
        assert len(server.peers) == 2


def test_nobody_there(t):
    """The host's refusal ends the session, and the next datagram begins another one."""
    with Site((net.own_host(), net.free_port())) as site:
        c = site.client()
        for count in (1, 2):
            c.send(b"x")
            assert site.records(count)[-1]["status"] == 502


def test_no_route(t):
    config = {"_format_version": "3.0", "services": [{"name": "s", "protocol": "udp", "host": "127.0.0.1", "port": 9,
              "routes": [{"protocols": ["tcp"], "sources": [{"ip": "127.0.0.0/8"}]}]}]}
    with Site(None, config=config) as site:
        site.client().send(b"x")
        assert site.records(1)[0]["status"] == 404
