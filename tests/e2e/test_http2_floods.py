# SPDX-License-Identifier: Apache-2.0
"""Floods of HTTP/2, one kind at a time, while somebody else is served by the same shard: every request of the
bystander is answered, every flooding connection is ended after a known number of frames, memory stays where it is.
How long the bystander waits is measured beside nginx, by `./dev bench floods`."""
import contextlib
import multiprocessing
import re
import threading

from tests.support import client, http2, net, origin
from tests.support.gateway import Gateway, simple_config
from tests.support.http2 import (CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, GOAWAY, HEADERS, PING,
                                 PREFACE, PRIORITY, PROTOCOL_ERROR, SETTINGS, frame, headers, request, rst,
                                 window_update)

RESETS, OVERHEAD, STREAMS, CONTINUATIONS = 200, 1000, 100, 8   # what the gateway bears; `sluice schema` has them
EARNED_BY_HEAD = 8
FLOODERS, CONNECTIONS = 3, 10
GROWTH_KIB = 20000
RECEIVE_KIB = 262144        # less than the answers that nobody takes
SHARD = {"shards": "1"}     # where there is no way around the flood
UNENDING = {"keepalive_requests": "1000000000"}     # a bystander may ask as often as a fast machine lets it


@contextlib.contextmanager
def proxy(handler=None, **settings):
    """HTTP/2 in the clear on one port, and a function that reads a counter."""
    host, port, status = net.own_host(), net.free_port(), net.free_port()
    listen = {"proxy_listen": "%s:%d http2" % (host, port), "status_listen": "%s:%d" % (host, status)}
    with origin.Origin(handler) as upstream, \
            Gateway(simple_config(upstream.url), {**SHARD, **UNENDING, **listen, **settings}) as gateway:
        def counter(name):
            text = client.get((host, status), "/metrics").body.decode()
            return int(re.search(r"^sluice_%s(?:_total)? (\d+)$" % name, text, re.M)[1])
        gateway.address, gateway.counter = (host, port), counter
        yield gateway


def post(stream, *more):
    return headers(stream, request(*more, method="POST"), END_HEADERS)


def references(stream, count):
    """To the last field of HPACK's table, a byte each."""
    return frame(HEADERS, END_STREAM | END_HEADERS, stream, http2.block(request()) + b"\xbe" * count)


LONG_FIELD = frame(HEADERS, END_STREAM | END_HEADERS, 1,
                   http2.block(request()) + http2.literal("x-a", "b" * 3900, 0x40))
OPEN_HEAD = frame(HEADERS, END_STREAM, 1, http2.block(request()))


class Kind:
    """`begin`, then `unit(0)`, `unit(1)`, ...; not more than `units` are borne. `batch` of them are sent at a time,
    behind which the gateway shows by a PING that it has taken them; 0: no PING may stand there."""

    def __init__(self, unit, units, begin=b"", batch=50, settings=b"", path=None):
        self.unit = unit if callable(unit) else lambda i: unit
        self.begin, self.units, self.batch, self.path = settings + begin, units, batch, path


KINDS = {
    "rapid reset": Kind(lambda i: headers(2 * i + 1, request()) + rst(2 * i + 1), RESETS + 1),
    "resets that we are made to send": Kind(lambda i: post(2 * i + 1, ("connection", "x")), RESETS + 1),
    "streams beyond the limit": Kind(lambda i: post(2 * i + 1), STREAMS + RESETS + 1),
    "SETTINGS": Kind(frame(SETTINGS), OVERHEAD + 1),
    "windows of all streams": Kind(lambda i: http2.settings(window=i & 1), OVERHEAD + 3 * EARNED_BY_HEAD + 1,
                                   begin=b"".join(post(2 * i + 1) for i in range(3))),
    "PING": Kind(frame(PING, 0, 0, bytes(8)), OVERHEAD + 1),
    "PRIORITY": Kind(frame(PRIORITY, 0, 1, bytes([0, 0, 0, 0, 1])), OVERHEAD + 1),
    "unknown frames": Kind(frame(0x42), OVERHEAD + 1),
    "WINDOW_UPDATE": Kind(window_update(0, 1), OVERHEAD + 1),
    "windows of a byte": Kind(window_update(1, 1), OVERHEAD + EARNED_BY_HEAD + 1,
                              begin=headers(1, request(path="/big")), settings=http2.settings(window=0)),
    "empty DATA": Kind(frame(DATA, 0, 1), OVERHEAD + EARNED_BY_HEAD + 1, begin=post(1)),
    "CONTINUATION": Kind(frame(CONTINUATION, 0, 1, http2.literal("x-a", "b" * 1000)), CONTINUATIONS + 1,
                         begin=OPEN_HEAD, batch=0),
    "empty CONTINUATION": Kind(frame(CONTINUATION, 0, 1), CONTINUATIONS + 1, begin=OPEN_HEAD, batch=0),
    "HPACK bomb": Kind(lambda i: references(2 * i + 3, 12000), 1, begin=LONG_FIELD, batch=1),
    "HPACK bomb in trailers": Kind(lambda i: post(2 * i + 3) + frame(HEADERS, END_STREAM | END_HEADERS, 2 * i + 3,
                                                                     b"\xbe" * 500), RESETS + 1, begin=LONG_FIELD),
}


def handler(asked):
    return origin.answer(body=b"x" * (1000000 if asked.target == "/big" else 10))


def units_borne(connection, kind):
    """How many units are taken until the gateway ends the connection: exact to a batch."""
    connection.send(kind.begin)
    sent = 0
    while sent <= kind.units:
        count = kind.batch or kind.units
        barrier = frame(PING, 0, 0, b"barrier!") if kind.batch else b""
        connection.offer(b"".join(kind.unit(sent + i) for i in range(count)) + barrier)
        sent += count
        found = connection.wait_for(lambda f: f.kind == GOAWAY or f.kind == PING and f.payload == b"barrier!")
        if found is None or found.kind == GOAWAY:
            assert found is None or found.code in (ENHANCE_YOUR_CALM, PROTOCOL_ERROR), found
            assert connection.wait_for(lambda f: False) is None
            break
    return sent


def test_a_flood_ends_after_so_many_frames(t):
    with proxy(handler) as gateway:
        for name, kind in KINDS.items():
            with t.case(name), http2.Connection(gateway.address) as c:
                before = gateway.counter("http2_floods")
                assert units_borne(c, kind) <= kind.units + kind.batch
                net.wait_until(lambda: gateway.counter("http2_floods") > before, what="the count")
                assert gateway.counter("http2_floods") == before + 1


class Flooders:
    """Flood over one connection after the other, a new one when the gateway has ended the last. In a process of their
    own: the bystander must not wait for them here."""

    def __init__(self, address, kind):
        self.address = address
        self.data = PREFACE + http2.settings() + kind.begin + b"".join(
            kind.unit(i) for i in range(min(max(4 * kind.units, 100), 6000)))
        together = multiprocessing.get_context("fork")
        self.counts = [together.Value("i", 0) for _ in range(FLOODERS)]
        self.process = together.Process(target=self.run, daemon=True)
        self.process.start()

    @property
    def ended(self):
        return sum(count.value for count in self.counts)

    def run(self):
        threads = [threading.Thread(target=self.flood, args=(count,)) for count in self.counts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def flood(self, count):
        for _ in range(CONNECTIONS):
            with contextlib.suppress(ConnectionError), http2.Connection(self.address, b"", timeout=20) as c:
                c.offer(self.data)
                assert c.wait_for(lambda f: False) is None
            count.value += 1

    def stop(self):
        self.process.kill()
        self.process.join()


class Bystander:
    """Asks over two connections of its own, which live as long as the flood: one of HTTP/1, one of HTTP/2."""

    def __init__(self, address):
        self.one, self.two = client.Connection(address, timeout=10 * net.SLOW_FACTOR), http2.Connection(address)
        self.stream, self.answered = 1, 0

    def ask(self):
        assert self.one.exchange(client.encode("GET", "/")).status == 200
        self.two.send(headers(self.stream, request()), window_update(0, 10))
        outcome = self.two.outcome(self.stream)
        assert outcome == 200, outcome
        assert len(self.two.body(self.stream)) == 10
        self.stream += 2
        self.answered += 2

    def close(self):
        self.one.close()
        self.two.socket.close()


def flooded(gateway, kind, bystander):
    """The bystander asks as long as there is a flood; how many connections of it the gateway has ended."""
    flooders = Flooders(gateway.address, kind)
    try:
        bystander.ask()
        while flooders.process.is_alive():
            bystander.ask()
    finally:
        flooders.stop()
    return flooders.ended


def test_bystanders_are_served_meanwhile(t):
    with proxy(handler) as gateway:
        bystander = Bystander(gateway.address)
        for _ in range(20):
            bystander.ask()
        calm = gateway.status_kib()
        for name, kind in KINDS.items():
            with t.case(name):
                floods = gateway.counter("http2_floods")
                answered = bystander.answered
                assert flooded(gateway, kind, bystander) == FLOODERS * CONNECTIONS
                assert gateway.counter("http2_floods") - floods == FLOODERS * CONNECTIONS
                assert bystander.answered > answered
        with t.case("memory"):
            most = gateway.status_kib("VmHWM")
            assert most - calm < GROWTH_KIB * net.SLOW_FACTOR, (calm, most)
        with t.case("nothing is left open"):
            net.wait_until(lambda: gateway.counter("http2_connections") == 1, 20,
                           lambda: "%d connections" % gateway.counter("http2_connections"))
        bystander.close()


test_bystanders_are_served_meanwhile.seconds = 180


HELD = {
    "windows of nothing": (8, PREFACE + http2.settings(window=0)
                           + b"".join(headers(2 * i + 1, request(path="/big")) for i in range(50))),
    "answers that are not read": (8, PREFACE + http2.settings(window=1 << 30) + window_update(0, 1 << 30)
                                  + b"".join(headers(2 * i + 1, request(path="/big")) for i in range(50))),
    "heads that do not end": (100, PREFACE + http2.settings() + OPEN_HEAD),
    "bodies that do not come": (20, PREFACE + http2.settings() + b"".join(post(2 * i + 1) for i in range(STREAMS))),
    "nothing but the preface": (100, PREFACE),
    "slow heads of HTTP/1": (200, b"GET / HTTP/1.1\r\nHost: a\r\n"),
}


def test_bystanders_of_who_holds_what_it_has(t):
    """Slow readers and slow writers: they cost memory, within limits, and nobody's time."""
    with proxy(handler, receive_memory_bytes="%dk" % RECEIVE_KIB) as gateway:
        bystander = Bystander(gateway.address)
        bystander.ask()
        for name, (count, data) in HELD.items():
            with t.case(name), contextlib.ExitStack() as held:
                calm = gateway.status_kib()
                connections = [held.enter_context(http2.Connection(gateway.address, data, receive_buffer=4096))
                               for _ in range(count)]
                for turn in range(50):
                    if data.startswith(b"GET"):
                        connections[turn].send(b"X-A: b\r\n")
                    bystander.ask()
                grown = gateway.status_kib() - calm
                assert grown < RECEIVE_KIB + GROWTH_KIB * net.SLOW_FACTOR, grown
        bystander.close()


test_bystanders_of_who_holds_what_it_has.seconds = 120


def test_crumbs_of_cookies(t):
    """They become one field, which takes no more memory than they did."""
    field = http2.literal("cookie", "c" * 300, 0x40)
    with proxy(handler) as gateway, http2.Connection(gateway.address) as c:
        c.send(headers(1, request()))
        assert c.outcome(1) == 200
        calm = gateway.status_kib()
        c.send(frame(HEADERS, END_HEADERS, 3, http2.block(request(method="POST")) + field + b"\xbe" * 90))
        for i in range(2, STREAMS):
            c.send(frame(HEADERS, END_HEADERS, 2 * i + 1, http2.block(request(method="POST")) + b"\xbe" * 90))
        c.send(frame(PING, 0, 0, b"barrier!"))
        assert c.wait_for(lambda f: f.kind == PING).payload == b"barrier!"
        assert gateway.status_kib() - calm < 15000 * net.SLOW_FACTOR, gateway.status_kib() - calm
        c.send(frame(DATA, END_STREAM, 3))
        assert c.outcome(3) == 200


def test_what_waits_for_its_turn_is_served(t):
    """A client may send much at once, if it is worth something: it gets all its answers, over more than one turn."""
    def echo(asked):
        return origin.answer(body=b"%d" % len(asked.body))

    with proxy(echo) as gateway:
        with t.case("requests"), http2.Connection(gateway.address) as c:
            long = ("x-a", "b" * 2000)
            c.send(*(headers(2 * i + 1, request(long)) for i in range(STREAMS)))
            done = set()
            while len(done) < STREAMS:
                found = c.wait_for(lambda f: f.kind in (HEADERS, GOAWAY))
                assert found is not None and found.kind == HEADERS, found
                done.add(found.stream)
        with t.case("a long head, in one frame and in many"), http2.Connection(gateway.address) as c:
            fields = http2.block(request(*((("x-%d" % i), "b" * 1000) for i in range(15))))
            c.send(frame(HEADERS, END_STREAM | END_HEADERS, 1, fields))
            assert c.outcome(1) == 200
            parts = [fields[at:at + 2500] for at in range(0, len(fields), 2500)]
            c.send(frame(HEADERS, END_STREAM, 3, parts[0]), *(frame(CONTINUATION, 0, 3, part) for part in parts[1:-1]),
                   frame(CONTINUATION, END_HEADERS, 3, parts[-1]))
            assert c.wait_for(lambda f: f.stream == 3 and f.kind == HEADERS)
        with t.case("a body of small pieces"), http2.Connection(gateway.address) as c:
            c.send(post(1), frame(DATA, 0, 1, b"x") * 20000, frame(DATA, END_STREAM, 1))
            assert c.body(1) == b"20000"
        with t.case("and each of them has waited"):
            assert gateway.counter("http2_deferred") >= 3
