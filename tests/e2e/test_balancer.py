# SPDX-License-Identifier: Apache-2.0
"""Which target a request goes to, under which Host, and what stays when targets and configuration change."""
import copy
import re
import threading

from tests.support import client, net, origin
from tests.support.gateway import Folder, Gateway
from tests.support.upstreams import Target, configuration, count, dead_address, who

COOKIE = re.compile(r"(\w+)=([0-9a-f-]+); Path=(\S+); Same-Site=Lax; HttpOnly")
ONE = {"shards": "1"}


def test_weights(t):
    with Target("a") as a, Target("b") as b, Target("c") as c:
        with Gateway(configuration([a, b, c], [30, 10, 0]), ONE) as gateway:
            with t.case("round robin"):
                assert count(gateway, 40) == {"a": 30, "b": 10}
        with Gateway(configuration([a, b, c], [0, 0, 0])) as gateway:
            with t.case("nobody"):
                answer = gateway.get("/")
                assert answer.status == 503 and b"failure to get a peer from the ring-balancer" in answer.body


def test_algorithms(t):
    """All of them reach everybody when nothing else decides."""
    hashed = {"hash_on": "path"}
    with Target("a") as a, Target("b") as b:
        for algorithm, more in (("round-robin", {}), ("least-connections", {}), ("latency", {}),
                                ("least-request", {}), ("consistent-hashing", hashed), ("maglev", hashed),
                                ("sticky-sessions", {"sticky_sessions_cookie": "s"})):
            with t.case(algorithm), Gateway(configuration([a, b], algorithm=algorithm, **more), ONE) as gateway:
                seen = {who(gateway, "/%d" % i) for i in range(60)}
                assert seen == {"a", "b"}, seen


def test_least_connections(t):
    """While one target is busy, the other one gets everything."""
    release = threading.Event()

    def slow(request):
        if request.target == "/slow":
            release.wait(20)
        return origin.answer(headers=[("X-Origin", "a")])

    with Target("a", slow) as a, Target("b") as b:
        with Gateway(configuration([a, b], [1000, 100], algorithm="least-connections"), ONE) as gateway:
            busy = [gateway.connect() for _ in range(12)]
            try:
                for connection in busy:
                    connection.send(client.encode("GET", "/slow"))
                net.wait_until(lambda: len(a.requests) + len(b.requests) == 12, 5, "all requests")
                with t.case("by weight"):
                    assert 9 <= len(a.requests) <= 11, len(a.requests)
            finally:
                release.set()
                for connection in busy:
                    connection.close()


KEYS = [first + second for first in "abcdefghij" for second in "abcdefghij"]  # so many that no target gets none


class Keyed:
    """Requests of all keys, of each other one through both shards: each key must stay with one target."""

    def __init__(self, gateway, make):
        self.owners = {key: {who(gateway, *make(key)) for _ in range(1 + i % 2)} for i, key in enumerate(KEYS)}

    def check(self):
        assert all(len(owners) == 1 for owners in self.owners.values()), self.owners
        assert set.union(*self.owners.values()) == {"x", "y", "z"}, self.owners


def test_hash_inputs(t):
    cases = {
        "header": ({"hash_on": "header", "hash_on_header": "X-Key"}, {},
                   lambda key: ("/", [("X-Key", key)])),
        "cookie": ({"hash_on": "cookie", "hash_on_cookie": "who"}, {},
                   lambda key: ("/", [("Cookie", "other=1; who=%s; z=2" % key)])),
        "path": ({"hash_on": "path"}, {}, lambda key: ("/%s?q=1" % key, [])),
        "query_arg": ({"hash_on": "query_arg", "hash_on_query_arg": "q a"}, {},
                      lambda key: ("/?z=1&q%%20a=%s" % key, [])),
        "uri_capture": ({"hash_on": "uri_capture", "hash_on_uri_capture": "name"},
                        {"paths": ["~/u/(?<name>[a-z]+)/.*"]}, lambda key: ("/u/%s/%s" % (key, id(key)), [])),
        "numbered capture": ({"hash_on": "uri_capture", "hash_on_uri_capture": "2"},
                             {"paths": ["~/u/([a-z]+)/([a-z]+)"]}, lambda key: ("/u/all/" + key, [])),
        "fallback": ({"hash_on": "header", "hash_on_header": "X-No", "hash_fallback": "query_arg",
                      "hash_fallback_query_arg": "k"}, {}, lambda key: ("/?k=" + key, [])),
    }
    with Target("x") as x, Target("y") as y, Target("z") as z:
        for algorithm in ("consistent-hashing", "maglev"):
            for name, (upstream, route, make) in cases.items():
                config = configuration([x, y, z], route=route, algorithm=algorithm, **upstream)
                with t.case("%s by %s" % (algorithm, name)), Gateway(config) as gateway:
                    Keyed(gateway, make).check()


test_hash_inputs.seconds = 180


def test_hash_on_ip_and_nothing(t):
    with Target("x") as x, Target("y") as y, Target("z") as z:
        config = configuration([x, y, z], algorithm="consistent-hashing", hash_on="ip")
        with Gateway(config, {"trusted_ips": "0.0.0.0/0"}) as gateway:
            with t.case("ip"):
                Keyed(gateway, lambda key: ("/", [("X-Real-IP", "10.0.%d.%d" % (ord(key[0]), ord(key[1])))])).check()
        config = configuration([x, y, z], algorithm="consistent-hashing", hash_on="header", hash_on_header="X-No")
        with Gateway(config) as gateway:
            with t.case("no key at all is one key"):
                assert len({who(gateway) for _ in range(12)}) == 1


def test_hash_on_consumer(t):
    with Target("x") as x, Target("y") as y, Target("z") as z:
        config = configuration([x, y, z], algorithm="consistent-hashing", hash_on="consumer")
        config["plugins"] = [{"name": "key-auth"}]
        config["consumers"] = [{"username": "user-" + name, "keyauth_credentials": [{"key": "key-" + name}]}
                               for name in KEYS]
        with Gateway(config) as gateway:
            Keyed(gateway, lambda key: ("/", [("apikey", "key-" + key)])).check()


def test_cookies_are_issued(t):
    def reply(name):
        return lambda request: origin.answer(headers=[("X-Origin", name), ("Set-Cookie", "own=1")])

    with Target("x", reply("x")) as x, Target("y", reply("y")) as y:
        config = configuration([x, y], algorithm="consistent-hashing", hash_on="cookie", hash_on_cookie="who",
                               hash_on_cookie_path="/shop")
        with Gateway(config) as gateway:
            first = gateway.get("/")
            with t.case("beside the upstream's own"):
                own, issued = first.all("Set-Cookie")
                match = COOKIE.fullmatch(issued)
                assert own == "own=1" and match and match[1] == "who" and match[3] == "/shop", issued
                assert len(match[2]) == 36
            with t.case("it leads back"):
                again = [gateway.get("/", [("Cookie", "who=" + match[2])]) for _ in range(8)]
                assert {answer.get("X-Origin") for answer in again} == {first.get("X-Origin")}
                assert all(answer.all("Set-Cookie") == ["own=1"] for answer in again)
            with t.case("each client has its own"):
                assert len({gateway.get("/").all("Set-Cookie")[1] for _ in range(4)}) == 4


def test_sticky_sessions(t):
    with Target("x") as x, Target("y") as y:
        config = configuration([x, y], algorithm="sticky-sessions", sticky_sessions_cookie="sid")
        with Gateway(config) as gateway:
            first = gateway.get("/")
            value = COOKIE.fullmatch(first.get("Set-Cookie"))[2]
            back = [("Cookie", "sid=" + value)]
            with t.case("it leads back, on every shard"):
                answers = [gateway.get("/", back) for _ in range(12)]
                assert {answer.get("X-Origin") for answer in answers} == {first.get("X-Origin")}
                assert not any(answer.all("Set-Cookie") for answer in answers)
            with t.case("another one when that target has gone"):
                left = y if first.get("X-Origin") == "x" else x
                reload(gateway, configuration([left], algorithm="sticky-sessions", sticky_sessions_cookie="sid"))
                answer = gateway.get("/", back)
                assert answer.get("X-Origin") == left.name, answer
                assert COOKIE.fullmatch(answer.get("Set-Cookie"))[2] != value
            with t.case("a forged one is nobody's"):
                assert gateway.get("/", [("Cookie", "sid=zzzzzzzzzzzzzzzz")]).status == 200


def reload(gateway, config):
    """Returns when all shards go by it."""
    before = gateway.stderr().count("reload done")
    gateway.reload(config)
    net.wait_until(lambda: gateway.stderr().count("reload done") > before, what="the reload")


class Hosts:
    """Configurations one after the other, and the Host that the origin gets under each."""

    def __init__(self, gateway, seen_by):
        self.gateway, self.seen_by, self.number = gateway, seen_by, 0

    def under(self, config):
        self.number += 1
        route = config["services"][0]["routes"][0]
        route["name"] = "r%d" % self.number
        reload(self.gateway, config)
        assert self.route() == route["name"]
        self.seen_by.take()
        assert self.gateway.get("/", host="client.test:81").status == 200
        return self.seen_by.one().get("Host")

    def route(self):
        return self.gateway.get("/", [("Kong-Debug", "1")]).get("Kong-Route-Name")


def test_host_header(t):
    with Target("a") as a, Folder() as folder:
        hosts = folder.file("hosts", "%s target.test other.test\n" % a.host)
        settings = {"allow_debug_header": "on", "dns_hostsfile": hosts}
        with Gateway(configuration([a]), settings) as gateway:
            seen, named = Hosts(gateway, a), ("target.test", a.port)
            with t.case("a target's address, with its port"):
                assert seen.under(configuration([a])) == "%s:%d" % a.address
            with t.case("a target's name"):
                assert seen.under(configuration([named])) == "target.test:%d" % a.port
            with t.case("the upstream's, the port behind it"):
                assert seen.under(configuration([a], host_header="inner.test")) == "inner.test:%d" % a.port
            with t.case("preserve_host"):
                kept = configuration([a], route={"preserve_host": True}, host_header="inner.test")
                assert seen.under(kept) == "client.test:81"
            with t.case("a service without upstream"):
                plain = configuration([a], service={"host": "other.test", "port": a.port})
                assert seen.under(plain) == "other.test:%d" % a.port
            with t.case("anew for each try"):
                dead = ("other.test", dead_address()[1])
                assert seen.under(configuration([dead, named], [1000, 1])) == "target.test:%d" % a.port


def test_reload_keeps_connections(t):
    """A reload touches the connections of what it changes, and no others."""
    with Target("a") as a, Target("b") as b, Target("c") as c:
        before = configuration([a, b])
        with Gateway(before, ONE) as gateway:
            count(gateway, 10)
            with t.case("one connection each"):
                assert (a.connections, b.connections) == (1, 1)
            after = copy.deepcopy(before)
            after["upstreams"][0]["targets"].append({"target": "%s:%d" % c.address})
            after["upstreams"].append({"name": "other", "targets": [{"target": "%s:%d" % a.address}]})
            gateway.reload(after)
            net.wait_until(lambda: who(gateway) == "c", 5, "the new target")
            with t.case("a target more"):
                assert count(gateway, 30) == {"a": 10, "b": 10, "c": 10}
                assert (a.connections, b.connections, c.connections) == (1, 1, 1)
            fewer = copy.deepcopy(after)
            del fewer["upstreams"][0]["targets"][0]
            gateway.reload(fewer)
            with t.case("a target less: its connection is closed, the others' are not"):
                net.wait_until(lambda: not a.open, 5, "the end of the connection")
                assert count(gateway, 20) == {"b": 10, "c": 10}
                assert (b.connections, c.connections) == (1, 1)
            changed = copy.deepcopy(fewer)
            changed["upstreams"][0]["algorithm"] = "least-connections"
            changed["services"][0]["routes"].append({"name": "more", "paths": ["/more"]})
            reload(gateway, changed)
            with t.case("another algorithm"):
                count(gateway, 20)
                assert (b.connections, c.connections) == (1, 1)


class Load:
    """Keep-alive clients that send GETs until told to stop; what is not a 200 is kept."""

    def __init__(self, gateway, clients=4):
        self.gateway, self.done, self.failures, self.count = gateway, threading.Event(), [], [0] * clients
        self.threads = [threading.Thread(target=self.run, args=(i,), daemon=True) for i in range(clients)]
        for thread in self.threads:
            thread.start()

    def run(self, i):
        try:
            while not self.done.is_set():
                self.run_connection(i)
        except (OSError, AssertionError) as e:
            self.failures.append(e)

    def run_connection(self, i):
        with self.gateway.connect() as connection:
            while not self.done.is_set():
                answer = connection.exchange(client.encode("GET", "/load"))
                self.count[i] += 1
                if answer.status != 200:
                    self.failures.append(answer)
                if answer.closing:  # a fast machine comes to keepalive_requests
                    return

    def wait_for(self, requests):
        """Until so many more have been answered."""
        wanted = sum(self.count) + requests
        net.wait_until(lambda: self.failures or sum(self.count) >= wanted, 10, "%d requests more" % requests)

    def stop(self):
        self.done.set()
        for thread in self.threads:
            thread.join(15)
        assert not self.failures, self.failures[:3]
        return sum(self.count)


def test_kill_and_revive_under_load(t):
    """A target dies with connections open and comes back; idempotent requests notice nothing."""
    checks = {"passive": {"unhealthy": {"tcp_failures": 1}, "healthy": {"successes": 1}},
              "active": {"http_path": "/", "unhealthy": {"interval": 0.1, "tcp_failures": 1},
                         "healthy": {"interval": 0.1, "successes": 1}}}
    with Target("a") as a:
        b = Target("b")
        address = b.address
        with Gateway(configuration([a, b], healthchecks=checks)) as gateway:
            load = Load(gateway)
            for turn in range(5):
                net.wait_until(lambda: len(b.requests) > 20, 10, "traffic to the target, turn %d" % turn)
                b.close()
                a.take()
                net.wait_until(lambda: len(a.requests) > 100, 10, "traffic without it, turn %d" % turn)
                b = Target("b", host=address[0], port=address[1])
            net.wait_until(lambda: len(b.requests) > 20, 10, "traffic to the revived target")
            with t.case("no client saw it"):
                assert load.stop() > 500
        b.close()


test_kill_and_revive_under_load.seconds = 60


def test_targets_change_under_load(t):
    """Targets come, go and change weight, again and again, without a failed request."""
    with Target("a", keep_bodies=False) as a, Target("b") as b, Target("c") as c:
        variants = [configuration([a, b]), configuration([b, c]), configuration([a, b, c], [1, 20, 300]),
                    configuration([c]), configuration([a, c], algorithm="least-connections"),
                    configuration([c, b, a], algorithm="consistent-hashing", hash_on="ip")]
        with Gateway(variants[0]) as gateway:
            load = Load(gateway)
            for number in range(60):
                reload(gateway, variants[number % len(variants)])
                load.wait_for(4)
                for one in (a, b, c):
                    one.take()
            assert load.stop() > 200


test_targets_change_under_load.seconds = 60
