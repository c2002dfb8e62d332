# SPDX-License-Identifier: Apache-2.0
"""Peers that are slow, greedy, rude or gone: each case was a defect once."""
import contextlib
import signal
import threading
import time

from tests.e2e.test_reload import in_force, versioned
from tests.support import client, net, origin, tokens
from tests.support.gateway import Gateway, simple_config

encode = client.encode
GROWTH_KIB = 8 * 1024
STALL_SECONDS = 0.3  # no progress for so long counts as held back
SECRET = "a secret of some length, for HMAC"


@contextlib.contextmanager
def before(upstream, settings=None, service=None, **route):
    """A gateway of one shard before `upstream`; `service` has further fields of the service."""
    config = simple_config(upstream.url, **route)
    config["services"][0].update(service or {})
    with Gateway(config, {"shards": "1", **(settings or {})}) as gateway:
        yield gateway


@contextlib.contextmanager
def stopped(gateway):
    """The gateway sees all that is sent meanwhile at once."""
    gateway.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        gateway.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def bounded_memory(gateway):
    gateway.get("/warm-up")
    start = gateway.status_kib("VmRSS")
    yield
    growth = gateway.status_kib("VmHWM") - start
    assert growth < GROWTH_KIB, "memory grew by %d KiB" % growth


def pour(connection, data):
    """Sends until all is taken or nothing more is; returns how many bytes went out."""
    sent = 0
    connection.sock.settimeout(STALL_SECONDS)
    try:
        while sent < len(data):
            sent += connection.sock.send(data[sent:sent + 65536])
    except TimeoutError:
        pass
    connection.sock.settimeout(10 * net.SLOW_FACTOR)
    return sent


def test_starved_receives(t):
    """More clients send at once than there are receive blocks: all are answered."""
    with origin.Origin() as upstream, before(upstream, {"receive_blocks": "16"}) as gateway:
        with contextlib.ExitStack() as stack:
            many = [stack.enter_context(gateway.connect()) for _ in range(100)]
            for c in many:
                assert c.exchange(encode("GET", "/first")).status == 200
            with stopped(gateway):
                for c in many:
                    c.send(encode("GET", "/again"))
            answered = [c.read().status for c in many]
        assert answered == [200] * 100, answered


def test_pipelining_without_reading(t):
    data = encode("GET", "/unknown") * 20000
    with origin.Origin() as upstream:
        with before(upstream, {"keepalive_requests": "1000000"}, paths=["/known"]) as gateway:
            with bounded_memory(gateway), gateway.connect(receive_buffer=4096) as c:
                with stopped(gateway):
                    sent = pour(c, data)
                pour(c, data[sent:])
                for _ in range(50):  # turns in which it could go on reading
                    assert gateway.get("/known").status == 200


def test_tiny_chunks_to_a_peer_that_does_not_read(t):
    """They wait in bounded memory, and all arrive when it goes on."""
    release = threading.Event()
    def script(connection):
        request = connection.read_head()
        if request and request.method == "POST":
            release.wait(10)
        if request:
            connection.read_body(request)
            connection.send(origin.answer(body=b"%d" % request.size, headers=[("Connection", "close")]))

    data = encode("POST", "/", [("Transfer-Encoding", "chunked")]) + b"1\r\na\r\n" * 100000 + b"0\r\n\r\n"
    with origin.Peer(script) as peer, before(peer) as gateway:
        with bounded_memory(gateway), gateway.connect() as c:
            with stopped(gateway):
                sent = pour(c, data)
            sent += pour(c, data[sent:])
            assert gateway.get("/other").status == 200
            release.set()
            answer = c.send(data[sent:]).read("POST")
            assert answer.body == b"100000", answer


def test_answer_of_many_equal_fields(t):
    """Heads of 14 to 16 KiB with 96 lines of one known field: passed on or refused."""
    lines = b"Content-Type: text/html\r\n" * 96 + b"X: " + b"y" * 6000 + b"\r\nY: "
    def handler(request):
        return (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + lines
                + b"y" * (int(request.target[1:]) - 6000) + b"\r\n\r\n")

    with origin.Origin(handler) as upstream, before(upstream) as gateway:
        for size in range(12000, 14200, 40):
            answer = gateway.get("/%d" % size)
            assert answer.status in (200, 502, 503), "%d: %r" % (size, answer)
        assert gateway.alive()


def pipeline_with_a_part(count, complete_early):
    """`count` requests and a part of one more, each sent by itself while the first is held at the origin."""
    release = threading.Event()
    def handler(request):
        release.wait(10)
        return origin.answer(body=request.target.encode())

    requests = [encode("GET", "/known/%d" % i) for i in range(count + 1)]
    with origin.Origin(handler) as upstream, before(upstream, paths=["/known"]) as gateway:
        with gateway.connect() as c, gateway.connect() as barrier:
            for data in [*requests[:-1], requests[-1][:20]]:
                c.send(data)
                assert barrier.exchange(encode("GET", "/unknown")).status == 404
            if complete_early:
                c.send(requests[-1][20:])
            release.set()
            bodies = [c.read().body for _ in requests[:-1]]
            if not complete_early:
                c.send(requests[-1][20:])
            bodies.append(c.read().body)
            assert bodies == [b"/known/%d" % i for i in range(count + 1)], bodies


def test_part_of_a_head_behind_a_pipeline(t):
    for count in (8, 9, 10):
        with t.case("%d, completed while held" % count):
            pipeline_with_a_part(count, True)
        with t.case("%d, completed at the end" % count):
            pipeline_with_a_part(count, False)


class Gauge:
    """An origin's handler that takes 20 ms, or until five are there, and how many requests it had at once at most."""

    def __init__(self):
        self.lock, self.now, self.peak = threading.Lock(), 0, 0
        self.five, self.never = threading.Event(), threading.Event()

    def __call__(self, request):
        with self.lock:
            self.now += 1
            self.peak = max(self.peak, self.now)
            if self.now == 5:
                self.five.set()
        self.five.wait(1)
        self.never.wait(0.02)
        with self.lock:
            self.now -= 1
        return origin.answer()


def was_served(connection):
    try:
        return connection.read().status == 200
    except (OSError, AssertionError):
        return False
    finally:
        connection.close()


def is_served(gateway):
    with gateway.connect() as c:
        return c.send_split([encode("GET", "/")]) and was_served(c)


def test_max_connections(t):
    """50 clients at a limit of 10: never more than 10 at once; the others wait or are refused."""
    gauge = Gauge()
    with origin.Origin(gauge) as upstream, before(upstream, {"max_connections": "10"}) as gateway:
        with contextlib.ExitStack() as stack:
            many = [stack.enter_context(gateway.connect(timeout=2)) for _ in range(50)]
            for c in many:
                c.send_split([encode("GET", "/", [("Connection", "close")])])
            count = sum(was_served(c) for c in many)
        assert 5 <= gauge.peak <= 10, "%d at once" % gauge.peak
        assert count >= 5, "%d of 50 served" % count
        for _ in range(50 - count):
            net.wait_until(lambda: is_served(gateway), what="a free place")


def test_slow_upload(t):
    """read_timeout is no limit for the request while its bytes flow."""
    with origin.Origin() as upstream, before(upstream, service={"read_timeout": 1000}) as gateway:
        with gateway.connect() as c:
            c.send(encode("POST", "/", [("Content-Length", "14")]))
            for _ in range(14):
                time.sleep(0.1)  # the pace of the client: longer than the timeout in all
                c.send(b"x")
            assert c.read("POST").status == 200
            assert upstream.one().body == b"x" * 14


def test_read_timeout_counts_anew_after_the_head(t):
    never = threading.Event()
    def handler(request):
        never.wait(0.8)
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
        never.wait(0.8)
        yield b"hello"

    with origin.Origin(handler) as upstream, before(upstream, service={"read_timeout": 1500}) as gateway:
        assert gateway.get("/").body == b"hello"


def test_upstream_requests_without_limit(t):
    """upstream_keepalive_max_requests=0 means no limit, not no reuse."""
    with origin.Origin() as upstream:
        with before(upstream, {"upstream_keepalive_max_requests": "0"}) as gateway, gateway.connect() as c:
            for _ in range(20):
                assert c.exchange(encode("GET", "/")).status == 200
        assert upstream.connections == 1, upstream.connections


def test_no_keep_alive(t):
    with origin.Origin() as upstream, before(upstream, {"keepalive_timeout": "0"}) as gateway:
        with gateway.connect() as c:
            answer = c.exchange(encode("GET", "/"))
            assert answer.status == 200 and answer.closing, answer
            assert c.ended(10)


def test_long_pause_before_the_end(t):
    """A client may stop reading for longer than a closing connection lingers: the answer stays whole."""
    body = b"0123456789abcdef" * (4 << 16)
    ask = encode("GET", "/", [("Connection", "close")])
    with origin.Origin(lambda r: origin.answer(body=body)) as upstream:
        with before(upstream, {"stream_buffer_bytes": "4m"}) as gateway:
            with gateway.connect(receive_buffer=4096) as early, gateway.connect(receive_buffer=65536) as late:
                early.send(ask)
                head, start = late.send(ask).read_head(), []
                late.reader.exactly(1 << 20, start.append)
                time.sleep(2.5)  # the pause that is tested
                head.framing = "length", len(body) - (1 << 20)
                assert b"".join(start) + late.read_body(head).body == body
                assert early.read().body == body
                assert late.ended(10) and early.ended(10)


def test_cut_answer_to_an_old_client(t):
    """HTTP/1.0 has no chunks to show that the answer is cut: only a reset tells."""
    die = threading.Event()
    def script(connection):
        if connection.read_head():
            connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
            die.wait(10)

    with origin.Peer(script) as peer, before(peer) as gateway, gateway.connect() as c:
        answer = c.send(encode("GET", "/", version="1.0")).read_head()
        got = []
        c.reader.exactly(5, got.append)
        assert answer.status == 200 and b"".join(got) == b"hello", answer
        die.set()
        assert c.read_body(answer).body == b""
        assert c.reader.was_reset, "a cut answer ends like a whole one"


def test_spoofed_identity(t):
    spoof = [("X-Consumer-Username", "evil"), ("X_Consumer_Username", "evil"), ("x_consumer-id", "evil"),
             ("X_Forwarded_For", "evil")]
    with origin.Origin() as upstream, before(upstream) as gateway:
        for field in spoof:
            with t.case(field[0]):
                assert gateway.get("/", [field]).status == 200
                assert b"evil" not in upstream.received, upstream.one()


def test_identity_named_in_connection(t):
    """What an authentication plugin says cannot be removed by naming it in Connection."""
    with origin.Origin() as upstream:
        config = simple_config(upstream.url)
        config["services"][0]["plugins"] = [{"name": "jwt"}]
        config["consumers"] = [{"id": "5f1d6a0c-6f0e-4c58-9d3b-2a1d2f3c4b5a", "username": "alice",
                                "jwt_secrets": [{"key": "k", "secret": SECRET}]}]
        bearer = ("Authorization", "Bearer " + tokens.hs({"iss": "k"}, SECRET))
        with Gateway(config) as gateway:
            answer = gateway.get("/", [bearer, ("X-Consumer-Username", "evil"), ("X_Consumer_Username", "evil"),
                                       ("Connection", "close, X-Consumer-ID, X-Consumer-Username")])
        assert answer.status == 200, answer
        seen = upstream.one()
        assert seen.get("x-consumer-id") == config["consumers"][0]["id"], seen
        assert seen.get("x-consumer-username") == "alice" and b"evil" not in upstream.received, seen


def test_many_generations_held(t):
    """Each of 20 reloads takes effect though a request of every older one is under way; SIGTERM ends all."""
    release = threading.Event()
    def handler(request):
        if request.target == "/stable":
            release.wait(20)
        return origin.answer()

    with origin.Origin(handler) as upstream, contextlib.ExitStack() as stack:
        config, held = simple_config(upstream.url, paths=["/stable"]), []
        gateway = stack.enter_context(Gateway(config))
        for number in range(20):
            held.append(stack.enter_context(gateway.connect()).send(encode("GET", "/stable")))
            net.wait_until(lambda: any(r.target == "/stable" for r in upstream.take()), what="the request")
            gateway.reload(versioned(config, number))
            net.wait_until(lambda: in_force(gateway, number), 5, "version %d" % number)
        gateway.send_signal(signal.SIGTERM)
        release.set()
        assert [c.read().status for c in held] == [200] * len(held)
        gateway.wait_end()


test_many_generations_held.seconds = 60
