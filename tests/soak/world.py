# SPDX-License-Identifier: Apache-2.0
"""What the gateway lives in: its ever changing configuration, a DNS server with moods, and the books on which
request was seen where."""
import collections
import json
import random
import threading

from tests.support import client, dns, net

ALGORITHMS = ["round-robin", "least-connections", "latency", "least-request", "consistent-hashing", "maglev",
              "sticky-sessions"]
NAMES = ["one.test", "two.test", "three.test"]
QUIET = ["requests_active", "connections_active", "upstream_pending", "receive_blocks_held"]


class World:
    def __init__(self, seed, open_origins):
        self.random, self.lock = random.Random(seed), threading.Lock()
        self.counts, self.faults, self.posts = collections.Counter(), [], set()
        self.dialect, self.dns, self.origins = "kong", dns.Server(), open_origins(self)
        self.change()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for peer in self.origins:
            peer.close()
        self.dns.close()

    # --- the books ------------------------------------------------------------------------------------------

    def fault(self, text):
        with self.lock:
            self.faults.append(text)

    def count(self, what):
        with self.lock:
            self.counts[what] += 1

    def take_counts(self):
        with self.lock:
            counts, self.counts = self.counts, collections.Counter()
        return counts

    def saw_post(self, number):
        with self.lock:
            if number in self.posts:
                self.faults.append("POST %s came twice" % number)
            self.posts.add(number)

    def check(self):
        if self.faults:
            raise AssertionError("%d faults: %s" % (len(self.faults), self.faults[:5]))
        if not self.counts[200]:
            raise AssertionError("nothing succeeded: %s" % self.counts)

    def check_nothing_left(self, listen):
        host, port = listen.rsplit(":", 1)

        def left():
            lines = client.get((host, int(port)), "/metrics").body.decode().splitlines()
            values = {line.split()[0]: float(line.split()[1]) for line in lines if line and line[0] != "#"}
            return {name: values["sluice_" + name] for name in QUIET if values["sluice_" + name] != 0}

        net.wait_until(lambda: not left(), 20, lambda: "nothing left: %s" % left())

    # --- moods ----------------------------------------------------------------------------------------------

    def change(self):
        """Another mood of the DNS server, and other records."""
        pick = self.random
        self.dns.silent, self.dns.broken = pick.random() < 0.1, pick.random() < 0.1
        for name in NAMES:
            self.dns.remove(name)
            if pick.random() < 0.1:
                continue
            if pick.random() < 0.3:
                records = ["1 %d %d host.test" % (pick.randint(0, 9), peer.port) for peer in self.some(3)]
                self.dns.set(name, "SRV", records, pick.randint(0, 2))
            else:
                self.dns.set(name, "A", [net.own_host()], pick.randint(0, 2))
        self.dns.set("host.test", "A", [net.own_host()], pick.randint(0, 2))

    def some(self, most):
        return self.random.sample(self.origins, self.random.randint(1, most))

    def target(self, peer):
        pick = self.random
        host = pick.choice(NAMES) if pick.random() < 0.3 else net.own_host()
        port = net.free_port() if pick.random() < 0.1 else peer.port
        return {"target": "%s:%d" % (host, port), "weight": pick.choice([0, 1, 1, 10, 100])}

    def upstream(self, name):
        pick = self.random
        algorithm = pick.choice(ALGORITHMS)
        fields = {"name": name, "algorithm": algorithm, "targets": []}
        if algorithm in ("consistent-hashing", "maglev"):
            fields["hash_on"] = "path"
        elif algorithm == "sticky-sessions":
            fields.update(sticky_sessions_cookie="gw")
        targets = {row["target"]: row for row in map(self.target, self.some(len(self.origins)))}
        fields["targets"] = list(targets.values())
        if pick.random() < 0.5:
            fields["circuit_breaker"] = {"max_connections": pick.choice([0, 2, 8]),
                                         "max_pending_requests": pick.choice([0, 2, 100]),
                                         "max_requests": pick.choice([0, 4, 100]), "max_retries": pick.choice([0, 2])}
        if pick.random() < 0.3:
            fields["outlier_detection"] = {"consecutive_5xx": 3, "base_ejection_time": "200ms", "interval": "100ms"}
        if pick.random() < 0.5:
            fields["healthchecks"] = self.health()
        return fields

    def health(self):
        passive = {"type": "http", "healthy": {"successes": 1, "http_statuses": [200]},
                   "unhealthy": {"http_failures": 3, "tcp_failures": 3, "timeouts": 2}}
        active = {"type": self.random.choice(["http", "tcp"]), "timeout": 0.2, "concurrency": 2,
                  "healthy": {"interval": 0.1, "successes": 1},
                  "unhealthy": {"interval": 0.1, "http_failures": 2, "tcp_failures": 2, "timeouts": 2}}
        return {kind: rules for kind, rules in (("passive", passive), ("active", active)) if self.random.random() < 0.7}

    def service(self, name):
        pick = self.random
        fields = {"name": name, "host": pick.choice(["up-a", "up-b", "up-c", pick.choice(NAMES)]),
                  "port": pick.choice(self.origins).port, "retries": pick.choice([0, 1, 2, 5]),
                  "connect_timeout": pick.choice([100, 1000]), "read_timeout": pick.choice([100, 500]),
                  "write_timeout": 500, "routes": [{"name": "to-" + name, "paths": ["/" + name]}]}
        if pick.random() < 0.3:
            fields["per_try_timeout"] = 50
        if pick.random() < 0.3:
            fields["retry_budget"] = {"percent": 20, "min_retries": 1}
        return fields

    def manners(self):
        """What only Mappings have: retries for a status, a time for all tries together."""
        pick = self.random
        fields = {"timeout_ms": pick.choice([0, 100, 1000]), "connect_timeout_ms": pick.choice([50, 1000]),
                  "idle_timeout_ms": pick.choice([100, 1000]),
                  "retry_policy": {"retry_on": pick.choice(["5xx", "gateway-error", "retriable-4xx"]),
                                   "num_retries": pick.choice([0, 1, 3])}}
        if pick.random() < 0.5:
            fields["retry_policy"]["per_try_timeout"] = pick.choice(["0.05s", "0.3s"])
        if pick.random() < 0.5:
            fields["circuit_breakers"] = [{"max_connections": pick.choice([1, 4]), "max_requests": 100,
                                           "max_pending_requests": pick.choice([1, 50]), "max_retries": 2}]
        return fields

    def mappings(self):
        """Three groups of Mappings that share what comes for their prefix."""
        pick, text = self.random, ""
        for name in ("x", "y", "z"):
            manners = self.manners()
            for number, peer in enumerate(self.some(2)):
                host = pick.choice(NAMES) if pick.random() < 0.2 else net.own_host()
                fields = {"hostname": "*", "prefix": "/" + name + "/", **manners,
                          "service": "%s:%d" % (host, peer.port)}
                if number > 0:
                    fields["weight"] = pick.choice([10, 30])
                document = {"apiVersion": "getambassador.io/v3alpha1", "kind": "Mapping",
                            "metadata": {"name": "%s-%d" % (name, number)}, "spec": fields}
                text += "---\n%s\n" % json.dumps(document)
        return text

    def configuration(self):
        """Three services over upstreams that are there or not; a service may name a host instead."""
        if self.dialect == "emissary":
            return self.mappings()
        names = [name for name in ("up-a", "up-b", "up-c") if self.random.random() < 0.9]
        return {"_format_version": "3.0", "services": [self.service(name) for name in ("x", "y", "z")],
                "upstreams": [self.upstream(name) for name in names]}
