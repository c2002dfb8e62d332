# SPDX-License-Identifier: Apache-2.0
"""Big streams are passed from socket to socket by the kernel: every byte, every end, every limit as when they are
copied."""
import contextlib
import hashlib
import json
import os
import re
import socket
import threading
import time

from tests.e2e.test_streams import Site, config, read_all, service, stream_route
from tests.support import client, net, websocket
from tests.support.gateway import Gateway, simple_config
from tests.support.origin import Peer

BYTES = int(os.environ.get("TEST_SPLICE_BYTES", str(200 * 1000 * 1000)))
MEGABYTE = 1 << 20
BLOCK = os.urandom(MEGABYTE)


class SpliceSite(Site):
    """With counters."""

    def __init__(self, peer, fields=None, **settings):
        self.status = net.own_host(), net.free_port()
        super().__init__(lambda g: config(service(peer.address, [stream_route(g.tcp[1])], **(fields or {}))),
                         status_listen="%s:%d" % self.status, shards="1", **settings)

    def metric(self, name):
        text = client.get(self.status, "/metrics").body.decode()
        return int(re.search(r"^sluice_%s(?:_total)? (\d+)$" % name, text, re.M)[1])


def pour(sock, size, digest):
    """Sends that much, and half-closes."""
    while size:
        part = BLOCK[:min(size, len(BLOCK))]
        digest.update(part)
        sock.sendall(part)
        size -= len(part)
    sock.shutdown(socket.SHUT_WR)


def drink(sock, digest):
    """Reads up to the end; how much it was."""
    size = 0
    while True:
        part = sock.recv(1 << 18)
        if not part:
            return size
        digest.update(part)
        size += len(part)


class Exchange:
    """What both ends have sent and received."""

    def __init__(self, up, down):
        self.up, self.down = up, down
        self.sent, self.came = (hashlib.sha1(), hashlib.sha1()), (hashlib.sha1(), hashlib.sha1())
        self.sizes = [None, None]
        self.done = threading.Event()

    def play(self, sock, side):
        """side 0: the client."""
        pouring = threading.Thread(target=pour, args=(sock, (self.up, self.down)[side], self.sent[side]))
        pouring.start()
        self.sizes[side] = drink(sock, self.came[side])
        pouring.join()

    def script(self, c):
        self.play(c.sock, 1)
        self.done.set()

    def check(self):
        assert self.done.wait(60)
        assert self.sizes == [self.down, self.up], self.sizes
        assert self.came[0].digest() == self.sent[1].digest()
        assert self.came[1].digest() == self.sent[0].digest()


def test_much_both_ways_at_once(t):
    rows = [("both", BYTES, BYTES, {}), ("down", 1000, BYTES + 1, {}), ("up", BYTES + 1, 0, {}),
            ("off", BYTES, BYTES, {"stream_splice_after_bytes": "0"}),
            ("no pipes", BYTES, BYTES, {"stream_splice_pipes_max": "0"}),
            ("at once", BYTES, BYTES, {"stream_splice_after_bytes": "1"})]
    for name, up, down, settings in rows:
        exchange = Exchange(up, down)
        with t.case(name), Peer(exchange.script) as peer, \
                SpliceSite(peer, proxy_access_log_format="json", **settings) as site:
            with site.open(timeout=60) as c:
                exchange.play(c, 0)
            exchange.check()
            record = json.loads(site.log_lines(1)[0])
            assert (record["received_bytes"], record["sent_bytes"]) == (up, down), record
            spliced = site.metric("spliced_bytes")
            if name in ("off", "no pipes"):
                assert spliced == 0
                assert (site.metric("splice_pipes_refused") > 0) == (name == "no pipes")
            else:
                most = max(up, 0) + max(down, 0)
                assert most * 3 // 4 < spliced <= most, spliced
            net.wait_until(lambda: site.metric("splice_pipes") == site.metric("streams_active") == 0)


test_much_both_ways_at_once.seconds = 120


def send_until_stuck(sock, digest):
    """How much that took: nothing has moved for a second."""
    part, sent = memoryview(BLOCK), 0
    sock.settimeout(1)
    try:
        while True:
            size = sock.send(part)
            digest.update(part[:size])
            part, sent = part[size:] or memoryview(BLOCK), sent + size
    except socket.timeout:
        return sent


class Sleeper:
    """The far end of a stream: reads until told to stop, and to the end when told to go on."""

    def __init__(self):
        self.stop, self.go_on = threading.Event(), threading.Event()
        self.digest, self.size = hashlib.sha1(), None

    def script(self, c):
        size = 0
        while not self.stop.is_set():
            part = c.sock.recv(1 << 18)
            self.digest.update(part)
            size += len(part)
        self.go_on.wait(60)
        self.size = size + drink(c.sock, self.digest)


def send_until_more(site, metric, sock, digest):
    """How much that took: how much the kernel's buffers take before is the kernel's choice."""
    before, sent = site.metric(metric), 0
    while site.metric(metric) == before:
        sock.sendall(BLOCK)
        digest.update(BLOCK)
        sent += len(BLOCK)
    return sent


def test_slow_reader(t):
    """The sender waits, little is held here, and everything comes in the end."""
    far, want = Sleeper(), hashlib.sha1()
    with Peer(far.script) as peer, SpliceSite(peer) as site, site.open(timeout=60) as c:
        before = site.status_kib()
        sent = send_until_more(site, "spliced_bytes", c, want)
        far.stop.set()
        sent += send_until_stuck(c, want)
        # copied until it was much: the first slab of blocks to receive into, 64 of 64 KB
        assert site.status_kib() - before < 8192 * net.SLOW_FACTOR, site.status_kib() - before
        with t.case("the pipe is held"):
            net.wait_until(lambda: site.metric("splice_pipes") == 1)
        with t.case("waiting costs nothing"):
            assert any(cost_of_waiting(site) < 0.2 for _ in range(3))
        far.go_on.set()
        c.shutdown(socket.SHUT_WR)
        c.settimeout(60)
        assert read_all(c) == b""
        net.wait_until(lambda: far.size is not None, 30)
        assert far.size == sent and far.digest.digest() == want.digest()
        with t.case("and then no more"):
            net.wait_until(lambda: site.metric("splice_pipes") == 0)


def cost_of_waiting(site):
    """Seconds of a core in a while in which nothing moves; a core that is stopped under the gateway counts, too."""
    before = site.cpu_seconds()
    time.sleep(0.5)
    return site.cpu_seconds() - before


def test_more_slow_readers_than_pipes(t):
    """Who finds none is copied, and misses nothing."""
    pipes, far = 2, [Sleeper() for _ in range(5)]
    scripts = iter(far)
    with Peer(lambda c: next(scripts).script(c)) as peer, \
            SpliceSite(peer, stream_splice_pipes_max=str(pipes)) as site, contextlib.ExitStack() as stack:
        sent = []
        for i, end in enumerate(far):
            c = stack.enter_context(site.open(timeout=60))
            digest = hashlib.sha1()
            size = send_until_more(site, "spliced_bytes" if i < pipes else "splice_pipes_refused", c, digest)
            end.stop.set()
            if i < pipes:
                size += send_until_stuck(c, digest)
                net.wait_until(lambda: site.metric("splice_pipes") == i + 1)
            sent.append((c, size, digest))
        assert site.metric("splice_pipes") == pipes
        for end, (c, size, digest) in zip(far, sent):
            end.go_on.set()
            c.shutdown(socket.SHUT_WR)
            c.settimeout(60)
            assert read_all(c) == b""
            net.wait_until(lambda: end.size is not None, 30)
            assert (end.size, end.digest.digest()) == (size, digest.digest())


def test_resets_are_passed_on(t):
    """From either side, while bytes wait in the pipe and while none do."""
    for who in ("client", "upstream"):
        for full in (False, True):
            with t.case("%s, %s" % (who, "full" if full else "empty")):
                reset_by(who, full)


def reset_by(who, full):
    """The one that does not reset sends; it must see a reset, however much lies in between."""
    seen, gate, ready = [], threading.Event(), threading.Event()

    def sends(sock):
        try:
            if full:
                while True:
                    sock.sendall(BLOCK)
            for _ in range(8):
                sock.sendall(BLOCK)
            seen.append("end" if sock.recv(1) == b"" else "bytes")
        except OSError as e:
            seen.append(type(e).__name__)

    def resets(sock):
        size = 0
        while size < 4 * MEGABYTE if full else size < 8 * MEGABYTE:
            size += len(sock.recv(1 << 16))
        ready.set()
        gate.wait(30)
        client.wire.abort(sock)

    def script(c):
        (resets if who == "upstream" else sends)(c.sock)
    with Peer(script) as peer, SpliceSite(peer) as site, site.open(timeout=30) as c:
        other = threading.Thread(target=resets if who == "client" else sends, args=(c,))
        other.start()
        assert ready.wait(30)
        net.wait_until(lambda: site.metric("spliced_bytes") > MEGABYTE)
        if full:
            net.wait_until(lambda: site.metric("splice_pipes") == 1)
        gate.set()
        other.join()
        net.wait_until(lambda: seen, what="the end at the sender")
        assert seen[0] in ("ConnectionResetError", "BrokenPipeError"), seen
        net.wait_until(lambda: site.metric("splice_pipes") == site.metric("streams_active") == 0)


def test_half_close(t):
    """An end comes behind all bytes, and the other direction goes on after it."""
    def script(c):
        digest = hashlib.sha1()
        size = drink(c.sock, digest)
        for _ in range(16):
            c.send(BLOCK)
        c.send(b"%d %s" % (size, digest.hexdigest().encode()))
    with Peer(script) as peer, SpliceSite(peer) as site, site.open(timeout=30) as c:
        digest = hashlib.sha1()
        pour(c, 20 * MEGABYTE + 7, digest)
        answer = read_all(c)
        assert answer[:16 * MEGABYTE] == BLOCK * 16
        assert answer[16 * MEGABYTE:] == b"%d %s" % (20 * MEGABYTE + 7, digest.hexdigest().encode())
        assert site.metric("spliced_bytes") > 20 * MEGABYTE + 7     # both directions are


def test_idle_and_drain(t):
    """Whatever is spliced is not idle, and ends with the gateway."""
    def script(c):
        try:
            while c.sock.recv(1 << 18):
                pass
        except OSError:
            pass
    read_timeout = 1 * net.SLOW_FACTOR
    with Peer(script) as peer, SpliceSite(peer, {"read_timeout": read_timeout * 1000}, drain_timeout="1") as site:
        with t.case("idle"), site.open(timeout=10) as c:
            until = time.monotonic() + read_timeout * 1.6
            while time.monotonic() < until:
                c.sendall(BLOCK)
            assert read_all(c) == b""
        assert site.metric("spliced_bytes") > 0
        net.wait_until(lambda: site.metric("streams_active") == 0)
        with t.case("stop in the middle of it"), site.open(timeout=10) as c:
            stopped = threading.Event()

            def go_on():
                try:
                    while True:
                        c.sendall(BLOCK)
                except OSError:
                    stopped.set()
            threading.Thread(target=go_on, daemon=True).start()
            net.wait_until(lambda: site.metric("streams_active") == 1)
            site.stop()
            assert stopped.wait(10)


def test_small_messages_stay_copied(t):
    def script(c):
        while data := c.sock.recv(65536):
            c.send(data)
    with Peer(script) as peer, SpliceSite(peer, stream_splice_after_bytes="64k") as site, site.open() as c:
        c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        digest, back = hashlib.sha1(), hashlib.sha1()
        sender = threading.Thread(target=pour, args=(c, 2 * MEGABYTE, digest))
        c.sendall(b"1")
        assert c.recv(1) == b"1"
        for i in range(3000):
            c.sendall(b"%06d" % i)
            got = b""
            while len(got) < 6:
                got += c.recv(6)
            assert got == b"%06d" % i
        few = site.metric("spliced_bytes")
        assert few == 0, few
        sender.start()
        assert drink(c, back) == 2 * MEGABYTE and back.digest() == digest.digest()


def test_out_of_band_data_are_no_end(t):
    """The kernel stops splicing where they stand."""
    got, came = [], [0]

    def script(c):
        digest = hashlib.sha1()
        while part := c.sock.recv(1 << 18):
            digest.update(part)
            came[0] += len(part)
        got.append((came[0], digest.digest()))
    with Peer(script) as peer, SpliceSite(peer) as site, site.open(timeout=30) as c:
        digest = hashlib.sha1()
        for i in range(24):
            c.sendall(BLOCK)
            digest.update(BLOCK)
            if i % 8 == 5:
                # the mark before must have been passed: kernels know one at a time, and large buffers hold two
                net.wait_until(lambda: came[0] > (i - 7) * MEGABYTE, what="what stands behind the last mark")
                c.send(b"!", socket.MSG_OOB)
        c.shutdown(socket.SHUT_WR)
        assert read_all(c) == b""
        net.wait_until(lambda: got)
        assert got[0] == (24 * MEGABYTE, digest.digest()), got[0][0]
        assert site.metric("spliced_bytes") > 0


def test_proxy_header_goes_first(t):
    """Bytes that the gateway itself has sent come before those that are spliced."""
    def script(c):
        head = b""
        while not head.endswith(b"\r\n"):
            head += c.sock.recv(1)
        digest = hashlib.sha1()
        size = drink(c.sock, digest)
        c.send(b"%s%d %s" % (head, size, digest.hexdigest().encode()))
    with Peer(script) as peer, SpliceSite(peer, {"proxy_protocol": "v1"}, stream_splice_after_bytes="1") as site, \
            site.open(timeout=30) as c:
        digest = hashlib.sha1()
        pour(c, 8 * MEGABYTE, digest)
        head, _, rest = read_all(c).partition(b"\r\n")
        assert head.startswith(b"PROXY TCP4 127.0.0.1 "), head
        assert rest == b"%d %s" % (8 * MEGABYTE, digest.hexdigest().encode()), rest


def test_websocket_in_the_clear(t):
    """What HTTP was upgraded to is a tunnel like others."""
    def script(c):
        request = c.read_request()
        c.send(websocket.agree(request.get("sec-websocket-key")))
        digest = hashlib.sha1()
        rest = bytes(c.reader.buffer)
        digest.update(rest)
        size = len(rest) + drink(c.sock, digest)
        c.send(b"%d %s" % (size, digest.hexdigest().encode()))
    status = net.own_host(), net.free_port()
    with Peer(script) as peer, Gateway(simple_config(peer.url), {"status_listen": "%s:%d" % status}) as gateway:
        with client.Connection(gateway.address) as c:
            _, head = websocket.request("/")
            assert c.send(head).read_head().status == 101
            data = websocket.frame(websocket.BINARY, BLOCK) * 20
            c.send(data)
            c.sock.shutdown(socket.SHUT_WR)
            parts = []
            c.reader.rest(parts.append)
            want = b"%d %s" % (len(data), hashlib.sha1(data).hexdigest().encode())
            assert b"".join(parts) == want, parts
        text = client.get(status, "/metrics").body.decode()
        assert int(re.search(r"^sluice_spliced_bytes_total (\d+)$", text, re.M)[1]) > 15 * MEGABYTE
