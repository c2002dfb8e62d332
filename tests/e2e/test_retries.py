# SPDX-License-Identifier: Apache-2.0
"""Tries that fail: which are repeated, where, how often, and what bounds them."""
import threading
import time

from tests.support import client, net, origin
from tests.support.gateway import Gateway
from tests.support.upstreams import Target, configuration, count, dead_address

ONE = {"shards": "1"}


def hang_up(request):
    return None


class Mute(origin.Peer):
    """Accepts, reads and never answers."""

    def __init__(self):
        self.release = threading.Event()
        super().__init__(self.wait)

    def wait(self, connection):
        self.release.wait(60)

    def close(self):
        self.release.set()
        super().close()


def metrics(gateway):
    lines = client.get(gateway.status, "/metrics").body.decode().splitlines()
    return {line.split()[0]: float(line.split()[1]) for line in lines if line and line[0] != "#"}


def with_status(config, settings=None):
    """A gateway whose metrics can be asked for."""
    port = net.free_port()
    gateway = Gateway(config, {**ONE, **(settings or {}), "status_listen": "%s:%d" % (net.own_host(), port)})
    gateway.status = (net.own_host(), port)
    return gateway


def metric(gateway, name):
    found = [value for key, value in metrics(gateway).items() if name in key]
    assert found, "no metric " + name
    return found[0]  # the sum comes first, then its parts by shard


def test_failed_targets_are_avoided(t):
    with Target("a") as a:
        for algorithm, more in (("round-robin", {}), ("least-connections", {}), ("latency", {}),
                                ("least-request", {}), ("consistent-hashing", {"hash_on": "path"}),
                                ("maglev", {"hash_on": "path"})):
            config = configuration([dead_address(), a, dead_address()], service={"retries": 2},
                                   algorithm=algorithm, **more)
            with t.case(algorithm), Gateway(config, ONE) as gateway:
                for i in range(12):
                    assert gateway.get("/%d" % i).status == 200
                assert gateway.request("POST", "/", body=b"x").status == 200, "nothing was sent yet"


def test_how_often(t):
    with Target("a", hang_up) as a:
        with Gateway(configuration([a], service={"retries": 3}), ONE) as gateway:
            with t.case("retries and one more"):
                assert gateway.get("/").status == 502
                assert len(a.take()) == 4
            for method in ("PUT", "DELETE", "HEAD"):
                with t.case(method):
                    assert gateway.request(method, "/").status == 502
                    assert len(a.take()) == 4
            for method in ("POST", "PATCH", "LOCK"):
                with t.case(method + " is not repeated once it was sent"):
                    assert gateway.request(method, "/", body=b"once").status == 502
                    assert [request.body for request in a.take()] == [b"once"]
        with Gateway(configuration([a], service={"retries": 0}), ONE) as gateway:
            with t.case("none"):
                assert gateway.get("/").status == 502
                assert len(a.take()) == 1


def test_bodies_are_sent_again(t):
    with Target("a", hang_up) as a, Target("b") as b:
        with Gateway(configuration([a, b], service={"retries": 1}), ONE) as gateway:
            for _ in range(4):
                assert gateway.request("PUT", "/", body=b"again" * 100).status == 200
            assert {request.body for request in b.take()} == {b"again" * 100}
            assert len(a.take()) > 0


def test_responses_are_never_repeated(t):
    """A status is an answer, and half a response is too."""
    def fail(request):
        return origin.answer(503)

    def half(request):
        return origin.Last(origin.answer()[:-4])

    with Target("a", fail) as a, Target("b", half) as b:
        with Gateway(configuration([a], service={"retries": 5}), ONE) as gateway:
            with t.case("503"):
                assert gateway.get("/").status == 503
                assert len(a.take()) == 1
        with Gateway(configuration([b], service={"retries": 5}), ONE) as gateway:
            with t.case("cut short"):
                with gateway.connect() as connection:
                    connection.send(client.encode("GET", "/"))
                    assert connection.read_head().status == 200
                    connection.reader.rest(lambda part: None)
                assert len(b.take()) == 1


def test_per_try_timeout(t):
    with Mute() as mute, Target("a") as a:
        # More tries than it takes: one at `a` may take too long, too.
        service = {"retries": 5, "per_try_timeout": 400}
        with Gateway(configuration([mute, a], [1000, 1], service=service), ONE) as gateway:
            with t.case("the next try answers"):
                start = time.monotonic()
                answers = [gateway.get("/") for _ in range(3)]
                assert [answer.status for answer in answers] == [200] * 3
                assert 0.4 <= time.monotonic() - start < 10 * net.SLOW_FACTOR
            with t.case("a POST is not repeated"):
                assert gateway.request("POST", "/", body=b"x").status == 504
    with Mute() as mute:
        with Gateway(configuration([mute], service={"retries": 1, "per_try_timeout": 200}), ONE) as gateway:
            with t.case("all in vain"):
                assert gateway.get("/").status == 504
                net.wait_until(lambda: mute.connections == 2, what=lambda: "two tries, not %d" % mute.connections)


def test_budget(t):
    with Target("a", hang_up) as a:
        service = {"retries": 5, "retry_budget": {"percent": 0, "min_retries": 0}}
        with with_status(configuration([a], service=service)) as gateway:
            with t.case("none at all"):
                assert gateway.get("/").status == 502
                assert len(a.take()) == 1
                assert metric(gateway, "retries_refused") == 1
        service["retry_budget"]["min_retries"] = 1
        with with_status(configuration([a], service=service)) as gateway:
            with t.case("one request at a time may"):
                assert gateway.get("/").status == 502
                assert len(a.take()) == 6
                assert metric(gateway, "retries_refused") == 0
        with with_status(configuration([a], service={"retries": 5},
                                       circuit_breaker={"max_retries": 1})) as gateway:
            with t.case("a limit of the upstream"):
                assert gateway.get("/").status == 502
                assert len(a.take()) == 6


# --- limits -------------------------------------------------------------------------------------------------


class Gate:
    """A handler that answers when it is let go."""

    def __init__(self):
        self.open = threading.Event()

    def __call__(self, request):
        self.open.wait(30)
        return origin.answer(headers=[("X-Origin", "a")])


def in_flight(gateway, number):
    connections = [gateway.connect() for _ in range(number)]
    for connection in connections:
        connection.send(client.encode("GET", "/"))
    return connections


def test_request_limit(t):
    gate = Gate()
    with Target("a", gate) as a, with_status(configuration([a], circuit_breaker={"max_requests": 2})) as gateway:
        held = in_flight(gateway, 2)
        net.wait_until(lambda: len(a.requests) == 2, 5, "two requests")
        with t.case("one too many"):
            answer = gateway.get("/")
            assert answer.status == 503 and b"too many requests" in answer.body, answer
            assert metric(gateway, "upstream_overflows") == 1
        gate.open.set()
        with t.case("the others"):
            assert [connection.read().status for connection in held] == [200, 200]
            assert gateway.get("/").status == 200
        for connection in held:
            connection.close()


def test_connection_limit(t):
    gate = Gate()
    limits = {"max_connections": 1, "max_pending_requests": 2}
    with Target("a", gate) as a, with_status(configuration([a], circuit_breaker=limits)) as gateway:
        first = in_flight(gateway, 1)
        net.wait_until(lambda: len(a.requests) == 1, 5, "the first request")
        waiting = in_flight(gateway, 2)
        net.wait_until(lambda: metric(gateway, "upstream_pending") == 2, 5, "two waiting")
        with t.case("the line is full"):
            answer = gateway.get("/")
            assert answer.status == 503 and b"waiting" in answer.body, answer
            assert metric(gateway, "upstream_overflows") == 1
        with t.case("one that leaves the line makes room"):
            waiting.pop().abort()
            net.wait_until(lambda: metric(gateway, "upstream_pending") == 1, 5, "one waiting")
            waiting += in_flight(gateway, 1)
            net.wait_until(lambda: metric(gateway, "upstream_pending") == 2, 5, "two waiting again")
        gate.open.set()
        with t.case("all of them over one connection"):
            assert [connection.read().status for connection in first + waiting] == [200] * 3
            assert a.connections == 1 and metric(gateway, "upstream_pending") == 0
        for connection in first + waiting:
            connection.close()


def test_waiting_ends(t):
    gate = Gate()
    with Target("a", gate) as a:
        config = configuration([a], service={"connect_timeout": 600}, circuit_breaker={"max_connections": 1})
        with with_status(config) as gateway:
            held = in_flight(gateway, 1)
            net.wait_until(lambda: len(a.requests) == 1, 5, "the first request")
            with t.case("with the time to connect"):
                assert gateway.get("/").status == 504
                assert metric(gateway, "upstream_pending") == 0
            gate.open.set()
            assert held[0].read().status == 200
            held[0].close()


def test_waiting_ends_when_limits_or_targets_change(t):
    """Who waits in line goes on when a reload makes room, not only when a connection ends."""
    def limits(number):
        return {"circuit_breaker": {"max_connections": number}}

    gate = Gate()
    with Target("a", gate) as a, Target("b") as b, with_status(configuration([a], **limits(1))) as gateway:
        waiting = in_flight(gateway, 2)
        net.wait_until(lambda: metric(gateway, "upstream_pending") == 1, 5, "one waiting")
        with t.case("a higher limit, from the next request on"):
            gateway.reload(configuration([a], **limits(3)))
            net.wait_until(lambda: gateway.stderr().count("reload done") == 1, 5, "the reload")
            waiting += in_flight(gateway, 1)
            net.wait_until(lambda: len(a.requests) == 3, 5, "all of them there")
            assert metric(gateway, "upstream_pending") == 0
        waiting += in_flight(gateway, 1)
        net.wait_until(lambda: metric(gateway, "upstream_pending") == 1, 5, "one waiting again")
        with t.case("another target"):
            gateway.reload(configuration([b], **limits(3)))
            assert waiting[-1].read().get("X-Origin") == "b"
        gate.open.set()
        assert [connection.read().get("X-Origin") for connection in waiting[:-1]] == ["a"] * 3
        for connection in waiting:
            connection.close()


def test_each_try_waits_anew(t):
    """A try that has to wait in line has the whole time to connect, however long the try before took."""
    gates = [threading.Event() for _ in range(4)]

    def hold(request):
        number = int(request.target[1:])
        gates[number].wait(30)
        return None if number == 1 else origin.answer(headers=[("X-Origin", "a")])

    with Target("a", hold) as a:
        config = configuration([a], service={"connect_timeout": 2000, "retries": 1},
                               circuit_breaker={"max_connections": 1})
        with with_status(config) as gateway:
            def begin(number):
                connection = gateway.connect()
                connection.send(client.encode("GET", "/%d" % number))
                return connection

            connections = [begin(0)]
            net.wait_until(lambda: len(a.requests) == 1, 5, "the first request")
            connections.append(begin(1))
            net.wait_until(lambda: metric(gateway, "upstream_pending") == 1, 5, "one waiting")
            gates[0].set()
            net.wait_until(lambda: len(a.requests) == 2, 5, "the second request")
            time.sleep(2.1)  # longer than its first wait might have taken
            connections.append(begin(2))
            net.wait_until(lambda: metric(gateway, "upstream_pending") == 1, 5, "another one waiting")
            gates[1].set()  # the second one's try fails, and the third one is first in line now
            net.wait_until(lambda: len(a.requests) == 3, 5, "the third request")
            net.wait_until(lambda: metric(gateway, "upstream_pending") == 1, 5, "the second one's next try")
            gates[2].set()
            assert connections[0].read().status == connections[2].read().status == 200
            assert connections[1].read().status == 502, "hung up upon twice"
            for connection in connections:
                connection.close()


def test_idle_connections_make_room(t):
    """At the limit, an idle connection to another target is closed for the one that is needed."""
    with Target("a") as a, Target("b") as b:
        with Gateway(configuration([a, b], circuit_breaker={"max_connections": 1}), ONE) as gateway:
            assert count(gateway, 10) == {"a": 5, "b": 5}
            assert a.connections == 5 and b.connections == 5


def test_outliers_are_ejected(t):
    def fail(request):
        return origin.answer(500)

    with Target("a", fail) as a, Target("b") as b:
        outlier = {"consecutive_5xx": 3, "base_ejection_time": "1500ms", "interval": "1s"}
        with Gateway(configuration([a, b], outlier_detection=outlier), ONE) as gateway:
            with t.case("after three in a row"):
                counts = count(gateway, 15)
                assert counts == {500: 3, "b": 12}, counts
            with t.case("and comes back"):
                a.handler = a.reply
                net.wait_until(lambda: count(gateway, 2)["a"], 5, "its readmission")
