# SPDX-License-Identifier: Apache-2.0
"""Health of targets: probed, seen in traffic, told between the shards, kept over reloads."""
import collections
import re
import signal

from tests.support import client, net, origin
from tests.support.gateway import Gateway

ACTIVE = {"healthy": {"interval": 0.05, "successes": 2},
          "unhealthy": {"interval": 0.05, "http_failures": 2, "tcp_failures": 2, "timeouts": 2}}
PASSIVE = {"unhealthy": {"http_failures": 3, "tcp_failures": 1, "timeouts": 1}, "healthy": {"successes": 1}}


class Target(origin.Origin):
    """An origin with a name; answers `status`, probes on /probe apart with `health`."""

    def __init__(self, name, **kw):
        self.name, self.status, self.health, self.probes = name, 200, 200, []
        super().__init__(self.reply, keep_bodies=False, **kw)

    def reply(self, request):
        if request.target == "/probe":
            self.probes.append(request)
            return origin.Last(origin.answer(self.health))
        return origin.answer(self.status, headers=[("X-Origin", self.name)])


def configuration(targets, checks, **fields):
    return {"_format_version": "3.0",
            "services": [{"name": "s", "host": "up", "retries": 0, "routes": [{"name": "r", "paths": ["/"]}]}],
            "upstreams": [{"name": "up", "healthchecks": checks, **fields, "targets": [
                {"target": "%s:%d" % target.address, "weight": 100} for target in targets]}]}


def active(**fields):
    return {"active": {**ACTIVE, "http_path": "/probe", **fields}}


def who(gateway):
    answer = gateway.get("/")
    return answer.get("X-Origin") if answer.status == 200 else answer.status


def wait_for(gateway, wanted, seconds=10):
    """Until that is the set of those who answer, on every shard."""
    net.wait_until(lambda: {who(gateway) for _ in range(16)} == set(wanted), seconds,
                   lambda: "%r, last %r; %s" % (wanted, who(gateway), gateway.stderr()[-600:]))


def test_http_probe(t):
    with Target("a") as a, Target("b") as b, Gateway(configuration([a, b], active())) as gateway:
        wait_for(gateway, "ab")
        a.health = 503
        with t.case("a target whose probes fail gets no traffic"):
            wait_for(gateway, "b")
            assert len(a.probes) >= 2
        with t.case("the journal"):
            assert "target became unhealthy upstream=up target=%s" % a.host in gateway.stderr()
        with t.case("until they succeed"):
            a.health = 200
            wait_for(gateway, "ab")
            assert "target became healthy" in gateway.stderr()
        with t.case("none is left"):
            a.health = b.health = 500
            wait_for(gateway, [503])
            assert b"failure to get a peer" in gateway.get("/").body
        with t.case("a status in neither list says nothing"):
            a.health = b.health = 404
            a.health = b.health = 418
            wait_for(gateway, [503])


def test_metrics(t):
    status = net.own_host(), net.free_port()
    settings = {"status_listen": "%s:%d" % status}
    with Target("a") as a, Target("b") as b, Gateway(configuration([a, b], active()), settings) as gateway:
        def metric(name):
            text = client.get(status, "/metrics").body.decode()
            return int(re.search(r"^sluice_%s(?:_total)? (\d+)$" % name, text, re.M)[1])

        wait_for(gateway, "ab")
        assert metric("health_changes") == 0
        a.health = 503
        wait_for(gateway, "b")
        with t.case("probes"):
            assert metric("probes") > metric("probes_failed") >= 2
        with t.case("changes"):
            assert metric("health_changes") == 1 and metric("rosters_published") >= 2
        with t.case("none lost"):
            assert metric("reports_dropped") == 0


def test_what_a_probe_asks(t):
    with Target("a") as a:
        config = configuration([a], active(headers={"X-Check": ["one", "two"]}), host_header="inner.test")
        with Gateway(config):
            net.wait_until(lambda: a.probes, 5, "a probe")
        probe = a.probes[0]
        with t.case("the path"):
            assert (probe.method, probe.target) == ("GET", "/probe")
        with t.case("the host"):
            assert probe.get("Host") == "inner.test"
        with t.case("headers"):
            assert probe.all("X-Check") == ["one", "two"], probe.fields
    with t.case("without host_header: the target"), Target("a") as a, Gateway(configuration([a], active())):
        net.wait_until(lambda: a.probes, 5, "a probe")
        assert a.probes[0].get("Host") == a.host


def test_weight_zero(t):
    with Target("a") as a, Target("b") as b:
        config = configuration([a, b], active())
        config["upstreams"][0]["targets"][1]["weight"] = 0
        with Gateway(config) as gateway:
            net.wait_until(lambda: len(a.probes) > 3, 5, "probes")
            assert not b.probes and {who(gateway) for _ in range(8)} == {"a"}


def test_tcp_probe(t):
    with Target("a") as a:
        b = Target("b")
        with Gateway(configuration([a, b], active(type="tcp"))) as gateway:
            wait_for(gateway, "ab")
            with t.case("a closed port"):
                b.close()
                wait_for(gateway, "a")
            with t.case("open again"), Target("b", port=b.port):
                wait_for(gateway, "ab")
            with t.case("nothing is sent"):
                assert not a.probes


def test_silent_probe(t):
    with Target("a") as a, origin.Peer(lambda connection: connection.wait_for_end()) as mute:
        with Gateway(configuration([a, mute], active(timeout=0.1))) as gateway:
            net.wait_until(lambda: "target became unhealthy" in gateway.stderr(), 10, "timeouts")
            wait_for(gateway, "a")


def test_passive(t):
    checks = {"passive": PASSIVE}
    with Target("a") as a, Target("b") as b, Gateway(configuration([a, b], checks)) as gateway:
        wait_for(gateway, "ab")
        a.status = 500
        with t.case("every shard knows what one has seen"):
            net.wait_until(lambda: who(gateway) and "became unhealthy" in gateway.stderr(), 10, "the failures")
            wait_for(gateway, "b")
            a.take()
            seen = collections.Counter(who(gateway) for _ in range(40))
            assert seen == {"b": 40} and not a.take(), seen
        a.status = 200
        with t.case("a reload keeps it"):
            gateway.reload(configuration([a, b], checks))
            net.wait_until(lambda: "reload done" in gateway.stderr(), 10, "the reload")
            assert collections.Counter(who(gateway) for _ in range(20)) == {"b": 20}
        with t.case("and so does a reload without the upstream"):
            gateway.reload({"_format_version": "3.0"})
            net.wait_until(lambda: gateway.stderr().count("reload done") == 2, 10, "the reload")
            gateway.reload(configuration([a, b], checks))
            net.wait_until(lambda: gateway.stderr().count("reload done") == 3, 10, "the reload")
            wait_for(gateway, "b")
        with t.case("unless nothing is checked any more"):
            gateway.reload(configuration([a, b], {}))
            wait_for(gateway, "ab")


def test_passive_and_active(t):
    with Target("a") as a, Target("b") as b:
        checks = {**active(), "passive": PASSIVE}
        checks["active"]["healthy"] = {"interval": 0, "successes": 2}
        with Gateway(configuration([a, b], checks)) as gateway:
            wait_for(gateway, "ab")
            assert not a.probes, "while it is healthy"
            a.status = a.health = 500
            net.wait_until(lambda: who(gateway) and "became unhealthy" in gateway.stderr(), 10, "the failures")
            with t.case("found by traffic, probed from then on"):
                wait_for(gateway, "b")
                net.wait_until(lambda: a.probes, 5, "probes")
            with t.case("brought back by probes"):
                a.status = a.health = 200
                wait_for(gateway, "ab")
                assert "cause=passive" in gateway.stderr() and "cause=active" in gateway.stderr()


def test_reload_goes_on_probing(t):
    with Target("a") as a, Target("b") as b, Gateway(configuration([a, b], active())) as gateway:
        a.health = 500
        wait_for(gateway, "b")
        for number in range(5):
            config = configuration([a, b], active())
            config["services"][0]["routes"].append({"name": "v", "paths": ["/v%d" % number]})
            gateway.reload(config)
            net.wait_until(lambda: gateway.stderr().count("reload done") > number, 10, "the reload")
            assert {who(gateway) for _ in range(8)} == {"b"}
        with t.case("said once"):
            assert gateway.stderr().count("target became") == 1, gateway.stderr()
        a.health = 200
        wait_for(gateway, "ab")
        with t.case("a target that leaves is not probed"):
            gateway.reload(configuration([b], active()))
            wait_for(gateway, "b")
            number = len(a.probes)
            before = len(b.probes)
            net.wait_until(lambda: len(b.probes) > before + 5, 10, "probes of the other")
            assert len(a.probes) <= number + 1


def test_stops_while_probing(t):
    with origin.Peer(lambda connection: connection.wait_for_end()) as mute:
        for number in signal.SIGTERM, signal.SIGINT:
            with t.case(number.name):
                gateway = Gateway(configuration([mute], active(timeout=60)))
                net.wait_until(lambda: mute.connections, 10, "a probe")
                gateway.stop(number)
