# SPDX-License-Identifier: Apache-2.0
"""Signals: reload under load without losing a request or connection, drain, reopening of logs.

TEST_RELOADS sets how many reloads there are under load (default 200).
"""
import contextlib
import copy
import glob
import json
import os
import re
import signal
import socket
import threading

from tests.support import client, net, origin
from tests.support.gateway import Folder, Gateway, simple_config

RELOADS = int(os.environ.get("TEST_RELOADS", "200"))
HERE = os.path.dirname(os.path.abspath(__file__))
PLACE = re.compile(r"kong\.yaml:\d+:\d+:")
GROWTH_KIB = 8 * 1024
REQUESTS_OF_CONNECTION = 5000  # fewer than keepalive_requests


class Load:
    """Keep-alive clients that send one request after the other until told to stop; any failure is kept."""

    def __init__(self, gateway, clients=4):
        self.gateway, self.done, self.count, self.failures = gateway, threading.Event(), [0] * clients, []
        self.threads = [threading.Thread(target=self.run, args=(i,), daemon=True) for i in range(clients)]
        for thread in self.threads:
            thread.start()

    def run(self, i):
        data = client.encode("GET", "/stable")
        try:
            while not self.done.is_set():
                with self.gateway.connect() as c:
                    for _ in range(REQUESTS_OF_CONNECTION):
                        answer = c.exchange(data)
                        if answer.status != 200 or answer.closing:
                            raise AssertionError("%r" % answer)
                        self.count[i] += 1
                        if self.done.is_set():
                            break
        except (OSError, AssertionError) as e:
            self.failures.append("request %d of client %d: %r" % (self.count[i], i, e))

    def stop(self):
        self.done.set()
        for thread in self.threads:
            thread.join(15)
        assert not self.failures, self.failures[:3]
        return sum(self.count)


def versioned(config, number):
    """The configuration with one more route, by which one sees that it is in force."""
    config = copy.deepcopy(config)
    config["services"][0]["routes"].append({"name": "v%d" % number, "paths": ["/version/%d" % number]})
    return config


def in_force(gateway, number, statuses=(200,)):
    return all(gateway.get("/version/%d" % number).status in statuses for _ in range(4))


def test_under_load(t):
    with origin.Origin(keep_bodies=False) as upstream:
        config = simple_config(upstream.url, paths=["/stable"])
        with Gateway(config, {"keepalive_requests": "1000000"}) as gateway:
            load, sizes = Load(gateway), []
            for number in range(RELOADS):
                gateway.reload(versioned(config, number))
                net.wait_until(lambda: in_force(gateway, number), 10, "version %d" % number)
                upstream.take()
                sizes.append(gateway.status_kib())
            with t.case("no request failed, no connection closed"):
                assert load.stop() > RELOADS
            with t.case("the last version only"):
                assert gateway.get("/version/0").status == 404
            with t.case("memory"):
                growth = sizes[-1] - sizes[len(sizes) // 4]
                assert growth < GROWTH_KIB, "memory grew by %d KiB in %d reloads" % (growth, RELOADS)


test_under_load.seconds = 60 + RELOADS // 4


def test_burst_of_signals(t):
    """Signals faster than reloads: the last file wins, nothing fails."""
    with origin.Origin(keep_bodies=False) as upstream:
        config = simple_config(upstream.url, paths=["/stable"])
        with Gateway(config) as gateway:
            load = Load(gateway)
            for number in range(50):
                gateway.reload(versioned(config, number))
            net.wait_until(lambda: in_force(gateway, 49), 10, "the last version")
            load.stop()


def reported(text):
    """The place, and the line after all of the report: what comes then is of the next one."""
    return PLACE.search(text) and "reload failed" in text


def test_broken_files_change_nothing(t):
    """Each file of tests/e2e/broken: reported with its place on stderr, while the old one goes on."""
    with origin.Origin(keep_bodies=False) as upstream:
        config = simple_config(upstream.url, paths=["/stable"])
        with Gateway(json.dumps(config)) as gateway:
            load = Load(gateway, clients=2)
            for path in sorted(glob.glob(os.path.join(HERE, "broken", "*.yaml"))):
                with t.case(os.path.basename(path)):
                    size = len(gateway.stderr())
                    gateway.reload(text_of(path))
                    net.wait_until(lambda: reported(gateway.stderr()[size:]), 5, "the report on stderr")
                    assert gateway.alive() and gateway.get("/stable").status == 200
            load.stop()
            gateway.reload(versioned(config, 1))
            net.wait_until(lambda: in_force(gateway, 1), 10, "a good file after the broken ones")


def test_missing_file_changes_nothing(t):
    with origin.Origin() as upstream, Gateway(simple_config(upstream.url)) as gateway:
        size = len(gateway.stderr())
        os.rename(gateway.config_path, gateway.config_path + ".away")
        gateway.send_signal(signal.SIGHUP)
        net.wait_until(lambda: "kong.json" in gateway.stderr()[size:], 5, "the report on stderr")
        assert gateway.get("/").status == 200


def test_request_over_a_reload(t):
    """A request under way ends as it began, though its route is gone meanwhile."""
    release = threading.Event()
    def handler(request):
        if request.target == "/old":
            release.wait(10)
        return origin.answer()

    with origin.Origin(handler) as upstream:
        config = simple_config(upstream.url, paths=["/old"])
        with Gateway(config) as gateway, gateway.connect() as c:
            c.send(client.encode("GET", "/old"))
            net.wait_until(lambda: upstream.requests, what="the request at the origin")
            config["services"][0]["routes"][0]["paths"] = ["/version/1"]
            gateway.reload(config)
            net.wait_until(lambda: "reload done" in gateway.stderr(), 5, "the new version, on all shards")
            assert in_force(gateway, 1)
            release.set()
            assert c.read().status == 200
            assert gateway.get("/old").status == 404


def refuses(gateway):
    try:
        socket.create_connection(gateway.address, 1).close()
        return False
    except OSError:
        return True


def drain(number):
    """Sends signal `number` while a request waits at the origin."""
    release = threading.Event()
    def handler(request):
        if request.target == "/slow":
            release.wait(10)
        return origin.answer()

    with origin.Origin(handler) as upstream, Gateway(simple_config(upstream.url)) as gateway:
        with gateway.connect() as c, gateway.connect() as idle:
            assert idle.exchange(client.encode("GET", "/")).status == 200
            c.send(client.encode("GET", "/slow"))
            net.wait_until(lambda: any(r.target == "/slow" for r in upstream.requests), what="the request")
            gateway.send_signal(number)
            net.wait_until(lambda: refuses(gateway), 5, "the listener to close")
            assert idle.ended(5), "an idle connection stays open"
            assert gateway.alive()
            release.set()
            answer = c.read()
            assert answer.status == 200 and answer.closing, answer
            assert c.ended()
            gateway.wait_end()


def test_sigterm_drains(t):
    drain(signal.SIGTERM)


def test_sigquit_drains(t):
    drain(signal.SIGQUIT)


def test_drain_answers_who_was_waiting(t):
    """Connections in the backlog and requests that had arrived are answered: the gateway is stopped while they come
    in, and finds them together with the signal to drain."""
    with origin.Origin() as upstream, Gateway(simple_config(upstream.url)) as gateway:
        with gateway.connect() as kept, gateway.connect() as idle:
            for c in (kept, idle):
                assert c.exchange(client.encode("GET", "/")).status == 200
            gateway.send_signal(signal.SIGSTOP)
            kept.send(client.encode("GET", "/kept"))
            waiting = [gateway.connect() for _ in range(20)]
            for c in waiting:
                c.send(client.encode("GET", "/waiting"))
            gateway.send_signal(signal.SIGTERM)
            gateway.send_signal(signal.SIGCONT)
            for c in [kept] + waiting:
                answer = c.read()
                assert answer.status == 200, answer
                assert c.ended(5)  # whether the answer said so, or came before the signal was noticed
                c.close()
            assert idle.ended(5), "an idle connection stays open"
            gateway.wait_end()


def test_drain_timeout(t):
    """A request that does not end is cut after drain_timeout; that is still an end as asked."""
    release = threading.Event()
    def handler(request):
        release.wait(20)

    with origin.Origin(handler) as upstream:
        with Gateway(simple_config(upstream.url), {"drain_timeout": "1"}) as gateway, gateway.connect() as c:
            c.send(client.encode("GET", "/"))
            net.wait_until(lambda: upstream.requests, what="the request at the origin")
            gateway.send_signal(signal.SIGTERM)
            gateway.wait_end(8)
        release.set()


def test_sigint_is_fast(t):
    release = threading.Event()
    def handler(request):
        release.wait(20)

    with origin.Origin(handler) as upstream, Gateway(simple_config(upstream.url)) as gateway:
        with gateway.connect() as c:
            c.send(client.encode("GET", "/"))
            net.wait_until(lambda: upstream.requests, what="the request at the origin")
            gateway.send_signal(signal.SIGINT)
            gateway.wait_end(5)
        release.set()


def open_files(gateway):
    """Paths of what the process has open."""
    folder, paths = "/proc/%d/fd" % gateway.pid, set()
    for name in os.listdir(folder):
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            paths.add(os.readlink(os.path.join(folder, name)))
    return paths


def test_logs_are_reopened(t):
    with origin.Origin() as upstream, Folder() as folder:
        log = os.path.realpath(folder.file("access.log"))
        with Gateway(simple_config(upstream.url), {"proxy_access_log": log}) as gateway:
            gateway.get("/before")
            net.wait_until(lambda: "/before" in text_of(log), 5, "the line before")
            os.rename(log, log + ".1")
            assert log + ".1" in open_files(gateway)
            gateway.send_signal(signal.SIGUSR1)
            net.wait_until(lambda: os.path.exists(log) and log + ".1" not in open_files(gateway), 5,
                           "the new log file, on all shards")
            gateway.get("/after")
            net.wait_until(lambda: "/after" in text_of(log), 5, "the line after")
            assert "/after" not in text_of(log + ".1")


def text_of(path):
    if not os.path.exists(path):
        return ""
    with open(path, encoding="utf-8", errors="surrogateescape") as f:
        return f.read()
