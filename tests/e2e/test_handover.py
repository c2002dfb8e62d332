# SPDX-License-Identifier: Apache-2.0
"""SIGUSR2: a new process takes the listening sockets over and the old one drains; no request is lost."""
import os
import re
import select
import signal
import threading

from tests.support import client, net, origin
from tests.support.gateway import STOP_SECONDS, Folder, Gateway, check_output, simple_config


def read_pid(path):
    try:
        with open(path) as f:
            return int(f.read())
    except (OSError, ValueError):
        return 0


def wait_gone(pidfd, seconds=STOP_SECONDS):
    assert select.select([pidfd], [], [], seconds * net.SLOW_FACTOR)[0], "the new process still runs"


class Successor:
    """The process that a gateway has started; ended in the end, whatever happens."""

    def __init__(self, gateway, pid_path):
        def started():
            self.pid = read_pid(pid_path)
            return self.pid not in (0, gateway.pid)
        net.wait_until(started, 20, lambda: "a new pid; stderr:\n" + gateway.stderr())
        self.pidfd = os.pidfd_open(self.pid)

    def __enter__(self):
        return self

    def end(self):
        signal.pidfd_send_signal(self.pidfd, signal.SIGTERM)
        wait_gone(self.pidfd)

    def __exit__(self, *_):
        try:
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        except ProcessLookupError:
            pass
        os.close(self.pidfd)


class Clients:
    """Keep-alive clients that open a new connection when told to, or when a kept one is closed before it answers."""

    def __init__(self, gateway, count=4):
        self.gateway, self.done, self.counts, self.failures = gateway, threading.Event(), [0] * count, []
        self.threads = [threading.Thread(target=self.run, args=(i,), daemon=True) for i in range(count)]
        for thread in self.threads:
            thread.start()

    def ask(self, connection, fresh):
        try:
            return connection.exchange(client.encode("GET", "/"))
        except (OSError, AssertionError):
            if fresh:
                raise
            return None

    def run(self, i):
        connection, fresh = None, True
        try:
            while not self.done.is_set():
                if connection is None:
                    connection, fresh = self.gateway.connect(), True
                answer = self.ask(connection, fresh)
                if answer is not None and answer.status != 200:
                    raise AssertionError("%r" % answer)
                self.counts[i] += answer is not None
                fresh = False
                if answer is None or answer.closing:
                    connection.close()
                    connection = None
        except (OSError, AssertionError) as e:
            self.failures.append("request %d of client %d: %r" % (self.counts[i], i, e))

    def total(self):
        return sum(self.counts)

    def stop(self):
        self.done.set()
        for thread in self.threads:
            thread.join(15)
        assert not self.failures, self.failures[:3]


def test_sigusr2_hands_over(t):
    """Under load, with a request of the old process still under way; the admin side goes over too."""
    release = threading.Event()
    def handler(request):
        if request.target == "/slow":
            release.wait(20)
        return origin.answer()

    with origin.Origin(handler) as upstream, Folder() as folder:
        pid_path, status = folder.file("pid"), (net.own_host(), net.free_port())
        settings = {"pid_file": pid_path, "status_listen": "%s:%d" % status}
        with Gateway(simple_config(upstream.url), settings) as gateway, gateway.connect() as slow:
            slow.send(client.encode("GET", "/slow"))
            net.wait_until(lambda: any(r.target == "/slow" for r in upstream.requests), what="the request")
            clients = Clients(gateway)
            net.wait_until(lambda: clients.total() > 100, what="load")
            gateway.send_signal(signal.SIGUSR2)
            with Successor(gateway, pid_path) as successor:
                net.wait_until(lambda: "handover done" in gateway.stderr(), 20, what="the handover")
                at = clients.total()
                net.wait_until(lambda: clients.total() > at + 100, what="load on the new process")
                assert client.get(status, "/status").status == 200
                release.set()
                assert slow.read().status == 200
                gateway.wait_end()
                assert client.get(status, "/status/ready").status == 200
                at = clients.total()
                net.wait_until(lambda: clients.total() > at + 100, what="load on the new process alone")
                clients.stop()
                assert read_pid(pid_path) == successor.pid, "the old process took the pid file with it"
                successor.end()
                check_output(gateway.stderr())


def test_handover_that_fails_changes_nothing(t):
    """The configuration has become invalid: the new process ends, the old one serves on and can try again."""
    with origin.Origin() as upstream, Folder() as folder:
        pid_path, config = folder.file("pid"), simple_config(upstream.url)
        with Gateway(config, {"pid_file": pid_path}) as gateway:
            for _ in range(2):
                gateway.write_config("no: configuration")
                before = len(re.findall("handover failed", gateway.stderr()))
                gateway.send_signal(signal.SIGUSR2)
                net.wait_until(lambda: len(re.findall("handover failed", gateway.stderr())) > before, 20,
                               what="the failure")
                assert gateway.get("/").status == 200 and read_pid(pid_path) == gateway.pid
            gateway.write_config(config)
            gateway.send_signal(signal.SIGUSR2)
            with Successor(gateway, pid_path) as successor:
                gateway.wait_end()
                assert gateway.get("/").status == 200
                successor.end()
