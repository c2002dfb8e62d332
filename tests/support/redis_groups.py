# SPDX-License-Identifier: Apache-2.0
"""Several real Redises that belong together: a cluster, or a master with replicas and sentinels."""
from tests.support import net
from tests.support.redis import Redis


class Group:
    def __init__(self):
        self.members = []

    def __enter__(self):
        try:
            self.assemble()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for member in reversed(self.members):
            member.__exit__()

    def assemble(self):
        """Starts the members and makes them a group."""
        raise NotImplementedError

    def add(self, **options):
        self.members.append(Redis(**options))
        return self.members[-1]


class Cluster(Group):
    """Three masters that share the slots evenly; nodes can move slots, and more can be added."""
    SLOTS = 16384

    def assemble(self):
        for _ in range(3):
            self.add_node()
        share = self.SLOTS // 3 + 1
        for i, node in enumerate(self.members):
            node.command("CLUSTER", "ADDSLOTSRANGE", i * share, min((i + 1) * share, self.SLOTS) - 1)
        net.wait_until(lambda: all("cluster_state:ok" in node.command("CLUSTER", "INFO")
                                   for node in self.members), 20, "the cluster's state")

    def add_node(self):
        bus = net.free_port()
        node = self.add(options=["--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-port",
                                 str(bus), "--cluster-config-file", "nodes.conf", "--cluster-announce-ip",
                                 net.own_host()])
        node.bus = bus
        if self.members[0] is not node:
            first = self.members[0]
            node.command("CLUSTER", "MEET", first.host, first.port, first.bus)
            net.wait_until(lambda: all(n.command("CLUSTER", "NODES").count("connected") >= len(self.members)
                                       for n in self.members), 20, "the nodes to know each other")
        return node

    def owner(self, slot):
        for first, last, master in (entry[:3] for entry in self.members[0].command("CLUSTER", "SLOTS")):
            if first <= slot <= last:
                return next(node for node in self.members if node.port == master[1])
        raise AssertionError("nobody serves slot %d" % slot)

    def begin_move(self, slot, target):
        source = self.owner(slot)
        target.command("CLUSTER", "SETSLOT", slot, "IMPORTING", source.command("CLUSTER", "MYID"))
        source.command("CLUSTER", "SETSLOT", slot, "MIGRATING", target.command("CLUSTER", "MYID"))
        return source

    def move_keys(self, slot, source, target):
        for key in source.command("CLUSTER", "GETKEYSINSLOT", slot, 1000):
            source.command("MIGRATE", target.host, target.port, key, 0, 5000)

    def end_move(self, slot, target):
        identity = target.command("CLUSTER", "MYID")
        for node in [target] + [n for n in self.members if n is not target]:
            node.command("CLUSTER", "SETSLOT", slot, "NODE", identity)


class Sentinels(Group):
    """A master with one replica, watched by three sentinels under the name `mine`."""
    PASSWORD, SENTINEL_PASSWORD = "data pw", "sentinel pw"

    def assemble(self):
        options = ["--masterauth", self.PASSWORD, "--replica-announce-ip", net.own_host()]
        self.master = self.add(password=self.PASSWORD, options=options)
        self.replica = self.add(password=self.PASSWORD, options=options + [
            "--replicaof", "%s %d" % (self.master.host, self.master.port)])
        net.wait_until(lambda: "master_link_status:up" in self.replica.command("INFO", "replication"), 20,
                       "the replica")
        config = "".join("sentinel %s\n" % line for line in (
            "announce-ip %s" % self.master.host, "monitor mine %s %d 2" % (self.master.host, self.master.port),
            'auth-pass mine "%s"' % self.PASSWORD, 'sentinel-pass "%s"' % self.SENTINEL_PASSWORD,
            "down-after-milliseconds mine 500", "failover-timeout mine 3000"))
        self.sentinels = [self.add(password=self.SENTINEL_PASSWORD, sentinel=config) for _ in range(3)]
        net.wait_until(lambda: all(self.knows_all(sentinel) for sentinel in self.sentinels), 20,
                       "the sentinels to know each other")

    @staticmethod
    def knows_all(sentinel):
        words = sentinel.command("SENTINEL", "MASTER", "mine")
        facts = dict(zip(words[::2], words[1::2]))
        return facts["num-slaves"] == "1" and facts["num-other-sentinels"] == "2"

    def master_port(self):
        return int(self.sentinels[0].command("SENTINEL", "get-master-addr-by-name", "mine")[1])
