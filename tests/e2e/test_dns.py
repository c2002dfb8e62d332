# SPDX-License-Identifier: Apache-2.0
"""Names of upstreams: resolved while the gateway runs, moved, balanced, kept when nobody answers."""
import collections
import socket
import threading
import time

from tests.support import client, dns, net, origin
from tests.support.gateway import Folder, Gateway
from tests.support.redis import Redis

FAST = {"dns_not_found_ttl": "0.2", "dns_error_ttl": "0.2", "dns_hostsfile": "off"}
UNBOUNDED = {"keepalive_requests": "1000000", "upstream_keepalive_max_requests": "0"}  # for connections under load


def other_host(number=1):
    """Further addresses of this process, as net.own_host()."""
    first, second, third, fourth = net.own_host().split(".")
    return "%s.%d.%s.%s" % (first, int(second) + 64 * number, third, fourth)


def named(name):
    def handler(request):
        return origin.answer(headers=[("X-Origin", name)])
    return handler


def shared_port(*hosts):
    """A port that is free on all of them."""
    while True:
        port = net.free_port(hosts[0])
        try:
            for host in hosts[1:]:
                with socket.socket() as s:
                    s.bind((host, port))
            return port
        except OSError:
            continue


def pair():
    """Two origins, `a` and `b`, on one port of two addresses."""
    hosts = net.own_host(), other_host()
    port = shared_port(*hosts)
    return [origin.Origin(named(name), keep_bodies=False, host=host, port=port)
            for name, host in zip("ab", hosts)]


def service(host, port, **more):
    return {"_format_version": "3.0",
            "services": [{"name": "s", "host": host, "port": port, "retries": 0,
                          "routes": [{"name": "r", "paths": ["/"]}]}], **more}


def upstream(*targets, **fields):
    return service("up", 80, upstreams=[{"name": "up", "targets": [
        {"target": target, "weight": weight} for target, weight in targets], **fields}])


def start(config, server, settings=None, **kw):
    return Gateway(config, {**FAST, "dns_resolver": server.address, **(settings or {})}, **kw)


def who(gateway):
    answer = gateway.get("/")
    return answer.get("X-Origin") if answer.status == 200 else answer.status


def wait_for(gateway, wanted, seconds=8):
    net.wait_until(lambda: who(gateway) == wanted, seconds, lambda: "%r, not %r" % (wanted, who(gateway)))


def count(gateway, number):
    return collections.Counter(who(gateway) for _ in range(number))


class Load:
    """Clients that send one request after the other; what was no 200 is kept."""

    def __init__(self, gateway, clients=3):
        self.gateway, self.done, self.failures, self.seen = gateway, threading.Event(), [], []
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(clients)]
        for thread in self.threads:
            thread.start()

    def run(self):
        data = client.encode("GET", "/")
        try:
            with self.gateway.connect() as c:
                while not self.done.is_set():
                    answer = c.exchange(data)
                    self.seen.append(answer.get("X-Origin"))
                    if answer.status != 200:
                        self.failures.append(answer.status)
        except (OSError, AssertionError) as e:
            self.failures.append(repr(e))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.done.set()
        for thread in self.threads:
            thread.join(15)
        assert not self.failures, self.failures[:5]


def test_a_record_moves(t):
    a, b = pair()
    with a, b, origin.Origin(named("c"), keep_bodies=False) as c, dns.Server() as server:
        server.set("a.test", "A", [a.host])
        config = upstream(("a.test:%d" % a.port, 100), ("%s:%d" % c.address, 100))
        with start(config, server, UNBOUNDED) as gateway, Load(gateway) as load:
            net.wait_until(lambda: {"a", "c"} <= set(load.seen), 8, "both targets")
            requests = len(c.requests)
            server.set("a.test", "A", [b.host])
            with t.case("traffic goes to the new address"):
                net.wait_until(lambda: "b" in load.seen, 8, "the new address")
                mark = len(load.seen) + 50
                net.wait_until(lambda: len(load.seen) > mark and "a" not in load.seen[-40:], 8,
                               "more requests, on all shards")
            with t.case("no connection to the other target is closed"):
                net.wait_until(lambda: len(c.requests) > requests + 20, 8, "requests to the other target")
                with c.lock:
                    assert len(c.open) == c.connections, (c.connections, len(c.open))
            with t.case("no new snapshot"):
                assert "generation" not in gateway.stderr()


def test_two_addresses_share(t):
    a, b = pair()
    with a, b, dns.Server() as server:
        server.set("a.test", "A", [a.host, b.host], ttl=60)
        for name, config in (("service", service("a.test", a.port)),
                             ("target", upstream(("a.test:%d" % a.port, 10)))):
            with t.case(name), start(config, server, {"shards": "1"}) as gateway:
                assert count(gateway, 20) == {"a": 10, "b": 10}


def test_many_addresses(t):
    """An answer that needs TCP. All of the addresses are the one origin's, which listens on any."""
    first, second, _, _ = net.own_host().split(".")
    with origin.Origin(named("a"), host="0.0.0.0", keep_bodies=False) as a, dns.Server() as server:
        server.set("many.test", "A", ["%s.%s.7.%d" % (first, second, i) for i in range(1, 201)], ttl=60)
        with start(service("many.test", a.port), server, {"shards": "1"}) as gateway:
            assert count(gateway, 200) == {"a": 200}
            assert server.tcp_count >= 1 and a.connections == 200, (server.tcp_count, a.connections)


def test_services(t):
    a, b = pair()
    with a, b, origin.Origin(named("c")) as c, dns.Server() as server:
        server.set("web.test", "SRV", ["1 30 %d h1.test" % a.port, "1 0 %d h2.test" % b.port,
                                       "2 50 %d h3.test" % c.port], ttl=60)
        for name, peer in (("h1.test", a), ("h2.test", b), ("h3.test", c)):
            server.set(name, "A", [peer.host], ttl=60)
        with start(upstream(("web.test:1", 100)), server, {"shards": "1"}) as gateway:
            with t.case("ports and weights of the records, the lowest priority alone; a weight of 0 is 1"):
                assert count(gateway, 62) == {"a": 60, "b": 2}
            with t.case("the type that answered comes first from then on"):
                assert [kind for name, kind in server.asked if name == "web.test"] == ["SRV"]
        with t.case("dns_order"), start(service("web.test", 1), server, {"dns_order": "A"}) as gateway:
            assert who(gateway) == 503
        for use, wanted in (False, "web.test"), (True, "h1.test"):
            with t.case("use_srv_name: %s" % use):
                a.take()
                with start(upstream(("web.test:1", 100), use_srv_name=use), server) as gateway:
                    net.wait_until(lambda: who(gateway) == "a", 8, "the first origin")
                assert a.take()[0].get("Host") == "%s:%d" % (wanted, a.port)


def test_a_name_appears(t):
    with origin.Origin(named("a")) as a, dns.Server() as server:
        with start(service("late.test", a.port), server) as gateway:
            with t.case("until then"):
                answer = gateway.get("/")
                assert answer.status == 503 and b"name resolution failed" in answer.body, answer
            server.set("late.test", "A", [a.host])
            with t.case("then"):
                wait_for(gateway, "a")
            with t.case("the journal"):
                for line in "name does not resolve name=late.test", "name resolves again name=late.test":
                    net.wait_until(lambda text=line: text in gateway.stderr(), what=line)


def test_nobody_answers(t):
    with origin.Origin(named("a")) as a, dns.Server() as server:
        server.set("a.test", "A", [a.host])
        with start(service("a.test", a.port), server, {"dns_stale_ttl": "3", "dns_timeout": "1"}) as gateway:
            def wait_line(text, count):
                net.wait_until(lambda: gateway.stderr().count(text) > count, 8, text)

            def lines():
                return [gateway.stderr().count(text) for text in ("does not resolve", "resolves again")]

            wait_for(gateway, "a")
            for name in "silent", "broken":
                with t.case(name):
                    asked, (failures, answers) = len(server.asked), lines()
                    setattr(server, name, True)
                    wait_line("does not resolve", failures)
                    net.wait_until(lambda: len(server.asked) > asked + 1, 8, "questions without an answer")
                    assert who(gateway) == "a"
                    setattr(server, name, False)
                    wait_line("resolves again", answers)
            with t.case("the name is gone"):
                failures, _ = lines()
                server.remove("a.test")
                wait_line("does not resolve", failures)
                assert who(gateway) == "a", "kept for dns_stale_ttl"
                wait_for(gateway, 503)


def test_starts_without_an_answer(t):
    with origin.Origin(named("a")) as a, dns.Server() as server:
        server.set("a.test", "A", [a.host])
        server.silent = True
        with start(service("a.test", a.port), server, {"dns_timeout": "0.3"}) as gateway:
            assert who(gateway) == 503
            server.silent = False
            wait_for(gateway, "a")


def test_search_domains(t):
    with origin.Origin(named("a")) as a, dns.Server() as server:
        server.set("web.inner.test", "A", [a.host])
        env = {"LOCALDOMAIN": "inner.test", "RES_OPTIONS": "ndots:1"}  # c-ares 1.34 takes one domain from there
        with start(service("web", a.port), server, env=env) as gateway:
            assert who(gateway) == "a"
            assert ("web.inner.test", "SRV") in server.asked


def test_hosts_file(t):
    a, b = pair()
    with a, b, Folder() as folder, dns.Server() as server:
        hosts = folder.file("hosts", "%s moved.test\n" % a.host)
        with start(service("moved.test", a.port), server, {"dns_hostsfile": hosts}) as gateway:
            with t.case("before the servers"):
                assert who(gateway) == "a" and not server.asked
            with t.case("is read again"):
                folder.file("hosts", "%s moved.test\n" % b.host)
                wait_for(gateway, "b")
            with t.case("a name that has left it is asked for"):
                server.set("moved.test", "A", [a.host])
                folder.file("hosts", "")
                wait_for(gateway, "a")


def test_reload(t):
    a, b = pair()
    with a, b, dns.Server() as server:
        server.set("a.test", "A", [a.host], ttl=600)
        server.set("b.test", "A", [b.host], ttl=600)
        with start(service("a.test", a.port), server) as gateway:
            assert who(gateway) == "a"
            asked = len(server.asked)
            gateway.reload(service("b.test", b.port))
            with t.case("a new name is known when the configuration is in force"):
                net.wait_until(lambda: "reload done" in gateway.stderr(), 8, "the reload")
                wait_for(gateway, "b")
                assert 503 not in count(gateway, 10)
            with t.case("only what is new is asked for"):
                assert {name for name, _ in server.asked[asked:]} == {"b.test"}


def test_host_of_a_plugin(t):
    with origin.Origin(named("a")) as a, Redis() as redis, dns.Server() as server:
        server.set("redis.test", "A", [redis.host])
        config = service("s.test", a.port)
        config["services"][0]["host"] = a.host
        config["services"][0]["plugins"] = [{"name": "rate-limiting", "config": {
            "year": 3, "policy": "redis", "fault_tolerant": False,
            "redis": {"host": "Redis.test", "port": redis.port}}}]
        with start(config, server) as gateway:
            with t.case("is known from the start"):
                assert [gateway.get("/").status for _ in range(4)] == [200, 200, 200, 429]
                assert redis.keys()
            with t.case("is followed"):
                config["services"][0]["plugins"][0]["config"]["redis"]["host"] = "other.test"
                gateway.reload(config)
                net.wait_until(lambda: "reload done" in gateway.stderr(), 8, "the reload")
                assert gateway.get("/").status == 500
                server.set("other.test", "A", [redis.host])
                net.wait_until(lambda: gateway.get("/").status == 429, 8, "the name")


def test_resolv_conf_is_read_again(t):
    """As far as one may write it: its options come from the environment, which does not change."""
    with origin.Origin(named("a")) as a, dns.Server() as server:
        server.set("a.test", "A", [a.host])
        with start(service("a.test", a.port), server) as gateway:
            for number in range(3):
                gateway.reload(service("a.test", a.port))
                net.wait_until(lambda: gateway.stderr().count("reload done") > number, 8, "the reload")
                assert who(gateway) == "a"
            server.set("a.test", "A", ["127.0.0.1"])
            wait_for(gateway, 502)


def test_dnsmasq(t):
    a, b = pair()
    with a, b, Folder() as folder, dns.Dnsmasq(
            folder, "--srv-host=_web._tcp.test,h.test,%d,1,10" % a.port, "--host-record=h.test," + a.host,
            "--cname=alias.test,h.test", "--host-record=both.test,%s,%s" % (a.host, "::1")) as server:
        server.put("%s m.test\n" % a.host)
        with t.case("a record"), start(service("m.test", a.port), server) as gateway:
            wait_for(gateway, "a")
            server.put("%s m.test\n" % b.host)
            wait_for(gateway, "b")
        with t.case("a service"), start(service("_web._tcp.test", 1), server) as gateway:
            wait_for(gateway, "a")
        with t.case("an alias"), start(service("alias.test", a.port), server) as gateway:
            wait_for(gateway, "a")
        with t.case("both families"), start(service("both.test", a.port), server) as gateway:
            wait_for(gateway, "a")


def test_bad_settings(t):
    from tests.support import gateway
    for name, value in (("dns_resolver", "ns.test"), ("dns_resolver", "1.2.3.4:0"), ("dns_order", "MX"),
                        ("dns_resolver", "[::1]53")):
        with t.case("%s=%s" % (name, value)):
            done = gateway.run("check", "--set", "%s=%s" % (name, value))
            assert done.returncode == 1 and name in done.stderr, done


def test_stop_while_a_service_name_is_asked_for(t):
    """The hosts of the answer before are still watched then."""
    with origin.Origin(named("a")) as a, dns.Server() as server:
        server.set("_http._tcp.test", "SRV", ["1 1 %d a.test" % a.port])
        server.set("a.test", "A", [a.host], ttl=60)
        with start(service("_http._tcp.test", 80), server) as gateway:
            assert gateway.get().status == 200
            server.silent, asked = True, len(server.asked)
            net.wait_until(lambda: len(server.asked) > asked, 5, "the next question")


def test_reload_does_not_wait_for_names_that_are_gone(t):
    with origin.Origin(named("a")) as a, dns.Server() as server, dns.Server() as second:
        server.silent = second.silent = True
        settings = {"dns_timeout": "4", "dns_resolver": server.address + "," + second.address}
        with start(service(a.host, a.port), server, settings) as gateway:
            def reload(number, host):
                begin_s = time.monotonic()
                gateway.reload(service(host, a.port))
                net.wait_until(lambda: gateway.stderr().count("reload done") == number, 10, "reload %d" % number)
                return time.monotonic() - begin_s

            assert reload(1, "mute.test") > 3, "waits for its name, in vain"
            assert reload(2, a.host) < 3, "nobody wants to know any more"
            assert gateway.get().status == 200
