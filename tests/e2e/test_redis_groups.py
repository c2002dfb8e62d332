# SPDX-License-Identifier: Apache-2.0
"""Counting in a Redis Cluster and behind Sentinel, with real ones, while they change."""
import contextlib
import threading

from tests.e2e.test_rate_limit import counted, hammer, limited, statuses, tolerated
from tests.support import net, origin
from tests.support.gateway import Gateway
from tests.support.redis_groups import Cluster, Sentinels


def cluster_record(cluster, **more):
    nodes = [{"ip": node.host, "port": node.port} for node in cluster.members[:2]]
    return {"cluster_nodes": nodes, "timeout": 5000, **more}


def sentinel_record(group, **more):
    nodes = [{"host": sentinel.host, "port": sentinel.port} for sentinel in group.sentinels]
    return {"sentinel_nodes": nodes, "sentinel_master": "mine", "sentinel_role": "master", "timeout": 5000,
            "password": group.PASSWORD, "sentinel_password": group.SENTINEL_PASSWORD, **more}


@contextlib.contextmanager
def gateway_with(record, gateways=1, settings=None, **config):
    config = {"policy": "redis", "limit_by": "ip", "redis": record, **config}
    with origin.Origin() as upstream, contextlib.ExitStack() as stack:
        text = limited(upstream.url, config)
        yield [stack.enter_context(Gateway(text, settings or {})) for _ in range(gateways)]


def keys_of(cluster):
    return sorted(key for node in cluster.members for key in node.keys())


def test_cluster_counts(t):
    """Each period's key is where its slot is, and any number of gateways lets exactly the limit through."""
    with Cluster() as cluster, gateway_with(cluster_record(cluster), 2, month=100, year=1000) as gateways:
        got = hammer(gateways, 8, 25)
        assert got.count(200) == 100 and got.count(429) == 100, got.count(200)
        assert len(keys_of(cluster)) == 2, keys_of(cluster)
        assert all(node.command("TTL", key) > 0 for node in cluster.members for key in node.keys())


def test_cluster_slot_moves(t):
    """A slot moves to a node that was not there at first; no request is lost or counted twice."""
    with Cluster() as cluster, gateway_with(cluster_record(cluster), 2, year=400, fault_tolerant=False) as gateways:
        assert statuses(gateways[0], 1) == [200]
        (key,) = keys_of(cluster)
        slot = cluster.members[0].command("CLUSTER", "KEYSLOT", key)
        target = cluster.add_node()
        net.wait_until(lambda: "cluster_state:ok" in target.command("CLUSTER", "INFO"), 20, "the new node")
        got = []
        clients = threading.Thread(target=lambda: got.extend(hammer(gateways, 4, 150)))
        clients.start()
        source = cluster.begin_move(slot, target)
        net.wait_until(lambda: int(source.command("GET", key)) > 20, 10, "requests before the keys move")
        cluster.move_keys(slot, source, target)
        got.extend([gateway.get("/").status for gateway in gateways])
        cluster.end_move(slot, target)
        clients.join()
        with t.case("exact"):
            assert set(got) == {200, 429} and got.count(200) == 400 - 1, (set(got), got.count(200))
        with t.case("there"):
            assert target.command("GET", key) == "603", target.command("GET", key)


def test_cluster_node_goes(t):
    """While a node is down its keys are tolerated or refused, the others are counted; both end when it is back."""
    for tolerant in (True, False):
        with t.case("fault_tolerant %s" % tolerant), Cluster() as cluster:
            with gateway_with(cluster_record(cluster), year=1000, fault_tolerant=tolerant) as (gateway,):
                assert counted(gateway.get("/"))
                (key,) = keys_of(cluster)
                node = cluster.owner(cluster.members[0].command("CLUSTER", "KEYSLOT", key))
                node.stop()
                for _ in range(10):
                    answer = gateway.get("/")
                    assert tolerated(answer) if tolerant else answer.status == 500, answer
                node.start()
                net.wait_until(lambda: all(counted(gateway.get("/")) for _ in range(4)), 30, "counting again")


def test_cluster_down_from_the_start(t):
    with Cluster() as cluster:
        record = cluster_record(cluster)
        for node in cluster.members:
            node.stop()
        with gateway_with(record, year=1000) as (gateway,):
            assert tolerated(gateway.get("/"))
            for node in cluster.members:
                node.start()
            net.wait_until(lambda: all(counted(gateway.get("/")) for _ in range(4)), 30, "counting")


def follows(server):
    try:
        return "role:slave" in server.command("INFO", "replication")
    except OSError:
        return False  # not up yet, or closing what it had as a master


def test_sentinel_failover(t):
    """The new master is followed; until then requests are tolerated or refused."""
    for tolerant in (True, False):
        with t.case("fault_tolerant %s" % tolerant), Sentinels() as group:
            with gateway_with(sentinel_record(group), year=100000, fault_tolerant=tolerant) as (gateway,):
                assert counted(gateway.get("/"))
                group.master.stop()
                answer = gateway.get("/")
                assert tolerated(answer) if tolerant else answer.status == 500, answer
                net.wait_until(lambda: all(counted(gateway.get("/")) for _ in range(4)), 30, "the new master")
                net.wait_until(lambda: group.master_port() == group.replica.port, what="all sentinels to know it")
                assert len(group.replica.keys()) == 1
                with t.case("the old one is a replica now"):
                    group.master.start()
                    net.wait_until(lambda: follows(group.master), 30, "the old master to follow")
                    assert all(counted(gateway.get("/")) for _ in range(8))


def test_sentinels_go(t):
    """One sentinel is enough to be found by; none is needed while the master stays."""
    with Sentinels() as group:
        for sentinel in group.sentinels[:2]:
            sentinel.stop()
        # Each shard asks for itself, so of two one might not have asked yet.
        with gateway_with(sentinel_record(group), settings={"shards": "1"}, year=1000) as (gateway,):
            net.wait_until(lambda: all(counted(gateway.get("/")) for _ in range(4)), 10, "counting")
            group.sentinels[2].stop()
            assert all(counted(gateway.get("/")) for _ in range(4))


def test_sentinel_wrong_password(t):
    with Sentinels() as group:
        record = sentinel_record(group, sentinel_password="wrong")
        with gateway_with(record, year=1000) as (gateway,):
            assert all(tolerated(gateway.get("/")) for _ in range(4))


for test in (test_cluster_counts, test_cluster_slot_moves, test_cluster_node_goes, test_cluster_down_from_the_start,
             test_sentinel_failover, test_sentinels_go, test_sentinel_wrong_password):
    test.seconds = 150
