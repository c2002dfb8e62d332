# SPDX-License-Identifier: Apache-2.0
"""Receivers of logs, spans and metrics that are dead, slow or flapping: requests do not wait for them, memory stays
bounded, and every entry is counted as sent, dropped, lost or waiting. For every plugin that sends."""
import contextlib
import os
import re
import socket
import struct
import threading
import time

from tests.support import gateway, net, origin
from tests.support.gateway import Folder, Gateway

QUEUE_BYTES = 1048576
REQUESTS, WARM = 1200, 200
RETRIES = {"max_retry_time": 0.3, "initial_retry_delay": 0.02, "max_retry_delay": 0.1}
BIG = [("X-Big", "x" * 4000)] * 3
STATES = ("dead", "slow", "flapping")


class Http:
    """Answers, or fails, or says nothing. `mode`: good, dead, slow or flapping."""

    def __init__(self, _):
        self.mode, self.count, self.release = "good", 0, threading.Event()
        self.peer = origin.Origin(self.handle)
        self.address = self.peer.address

    def handle(self, _):
        self.count += 1
        if self.mode == "slow":
            self.release.wait(120)
        if self.mode == "dead" or self.mode == "flapping" and self.count % 2:
            return origin.answer(503)
        return origin.answer()

    def set(self, mode):
        self.mode = mode
        if mode == "dead":
            self.peer.close()

    def close(self):
        self.release.set()
        self.peer.close()


class Tcp:
    def __init__(self, _):
        self.mode, self.open, self.taken, self.lock = "good", True, [], threading.Lock()
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.listener.bind((net.own_host(), net.free_port()))
        self.listener.listen(64)
        self.address = self.listener.getsockname()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while self.open:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                if not self.open:
                    peer.close()
                    return
                self.taken.append(peer)
            threading.Thread(target=self.read, args=(peer,), daemon=True).start()

    def read(self, peer):
        size = 0
        with contextlib.suppress(OSError):
            while self.mode != "slow":
                part = len(peer.recv(65536))
                size += part
                if part == 0 or self.mode == "flapping" and size > 50000:
                    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    peer.close()
                    return

    def set(self, mode):
        self.mode = mode
        if mode == "dead":
            self.close()

    def close(self):
        with self.lock:
            self.open = False
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for peer in self.taken:
            with contextlib.suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)  # closing alone waits for the thread that receives
            peer.close()


class Datagrams:
    """A socket at an address or, for syslog, at a path; nobody reads from it when it is slow."""
    family = socket.AF_INET

    def __init__(self, folder):
        self.folder, self.address, self.sock, self.flaps = folder, None, None, None
        self.begin()

    def place(self):
        return self.address or (net.own_host(), net.free_port())  # an address of which nobody takes a port meanwhile

    def begin(self):
        self.sock = socket.socket(self.family, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # the reader of the last may be in it still
        self.sock.bind(self.place())
        self.address = self.sock.getsockname()
        threading.Thread(target=self.read, args=(self.sock,), daemon=True).start()

    def read(self, sock):
        with contextlib.suppress(OSError):
            while sock.recv(65536) and not self.stopped:
                pass

    stopped = False

    def end(self):
        sock, self.sock = self.sock, None
        if sock:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def flap(self, done):
        while not done.wait(0.01):
            self.end()
            if not done.wait(0.01):
                self.begin()
        if self.sock is None:
            self.begin()

    def set(self, mode):
        if self.flaps:
            self.flaps[0].set()
            self.flaps[1].join()
            self.flaps = None
        if mode == "dead":
            self.end()
        self.stopped = mode == "slow"
        if mode == "flapping":
            done = threading.Event()
            self.flaps = done, threading.Thread(target=self.flap, args=(done,), daemon=True)
            self.flaps[1].start()

    def close(self):
        self.set("good")
        self.end()


class Syslog(Datagrams):
    family = socket.AF_UNIX

    def place(self):
        return self.folder.path + "/syslog"

    def begin(self):
        with contextlib.suppress(OSError):
            os.unlink(self.place())
        super().begin()


def at(address):
    return {"host": address[0], "port": address[1]}


def url(address, path):
    return "http://%s:%d%s" % (*address, path)


# Entries of one request, where they are spans: one more for a connect.
SPANS = {"zipkin": (3, 3), "opentelemetry": (4, 7)}
# name: the receiver, its configuration
PLUGINS = {
    "http-log": (Http, lambda a: {"http_endpoint": url(a, "/log"), "timeout": 2000, "queue": RETRIES}),
    "tcp-log": (Tcp, lambda a: {**at(a), "timeout": 2000}),
    "udp-log": (Datagrams, at),
    "syslog": (Syslog, lambda a: {}),
    "loggly": (Datagrams, lambda a: {**at(a), "key": "k"}),
    "opentelemetry": (Http, lambda a: {"traces_endpoint": url(a, "/v1/traces"), "sampling_rate": 1,
                                       "queue": {**RETRIES, "max_coalescing_delay": 0.01}}),
    "zipkin": (Http, lambda a: {"http_endpoint": url(a, "/api/v2/spans"), "sample_ratio": 1, "queue": RETRIES}),
    "datadog": (Datagrams, lambda a: {**at(a), "queue": RETRIES}),
    "statsd": (Datagrams, lambda a: {**at(a), "queue": RETRIES}),
}


def read_counters(address):
    with socket.create_connection(address, 10 * net.SLOW_FACTOR) as sock:
        sock.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        text = b"".join(iter(lambda: sock.recv(65536), b"")).decode()
    return {name: int(value) for name, value in re.findall(r"^sluice_log_(\w+?)(?:_total)? (\d+)$", text, re.M)}


@contextlib.contextmanager
def sending(name, folder):
    """(gateway, the plugin's receiver, a function that reads the counters)"""
    make, options = PLUGINS[name]
    with origin.Origin() as upstream, contextlib.closing(make(folder)) as receiver:
        config = {"_format_version": "3.0", "services": [{"name": "s", "url": upstream.url, "routes": [
            {"name": "plain", "paths": ["/plain"]},
            {"name": "logged", "paths": ["/logged"], "plugins": [
                {"name": name, "config": options(receiver.address)}]}]}]}
        status = net.own_host(), net.free_port()
        settings = {"shards": "1", "log_queue_size": str(QUEUE_BYTES), "status_listen": "%s:%d" % status,
                    "tracing_instrumentations": "all", "syslog_socket": folder.path + "/syslog"}
        with Gateway(config, settings) as running:
            yield running, receiver, lambda: read_counters(status)


def ask(connection, path, headers=()):
    """Seconds that an answer has taken."""
    head = "GET %s HTTP/1.1\r\nHost: test\r\n%s\r\n" % (path, "".join("%s: %s\r\n" % one for one in headers))
    begin = time.monotonic()
    connection.send(head.encode())
    assert connection.read().status == 200
    return time.monotonic() - begin


def middle(values):
    return sorted(values)[len(values) // 2]


def has_sanitizer():
    with open(gateway.BINARY, "rb") as f:
        text = f.read()
    return b"__asan_init" in text or b"__tsan_init" in text


def total(counters):
    return sum(counters["entries_" + name] for name in ("sent", "dropped", "lost", "waiting"))


def check(t, name, state, sanitizer):
    low, high = SPANS.get(name, (1, 1))
    requests = 1 + WARM + REQUESTS
    with Folder() as folder, sending(name, folder) as (running, receiver, count), running.connect() as connection:
        ask(connection, "/logged", BIG)
        net.wait_until(lambda: low <= total(count()) == count()["entries_sent"],
                       what=lambda: "a first entry: %s" % count())
        at_first = count()["entries_sent"]
        receiver.set(state)
        for _ in range(WARM):
            ask(connection, "/logged", BIG)
        before = running.status_kib()
        plain, logged = [], []
        for i in range(REQUESTS):
            logged.append(ask(connection, "/logged?%d" % i, BIG))
            if i % 4 == 0:
                plain.append(ask(connection, "/plain?%d" % i, BIG))
        with t.case("%s, %s: nobody waits" % (name, state)):
            slower = middle(logged) - middle(plain)
            assert slower < 0.001 * net.SLOW_FACTOR * (4 if sanitizer else 1), (middle(logged), middle(plain))
            longest = sorted(logged)[-5:]  # all but the first may have met a host that stood still
            assert longest[0] < 1 * net.SLOW_FACTOR and longest[-1] < 10 * net.SLOW_FACTOR, longest
        with t.case("%s, %s: memory is bounded" % (name, state)):
            assert count()["bytes_waiting"] <= QUEUE_BYTES, count()
            grown = running.status_kib() - before
            assert grown < (65536 if sanitizer else 8192), grown
        with t.case("%s, %s: every entry is counted" % (name, state)):
            # a batch that is given up is counted in a moment
            net.wait_until(lambda: low * requests <= total(count()) <= high * requests, what=lambda: "%s" % count())
            counters = count()
            if state == "dead" and isinstance(receiver, (Http, Tcp)):
                # a TCP receiver's end is seen in the next turn: one entry may be written before
                assert counters["entries_sent"] <= at_first + isinstance(receiver, Tcp), counters
            if state != "flapping" and isinstance(receiver, (Http, Tcp, Syslog)):
                assert counters["entries_dropped"] + counters["entries_lost"] > 0, counters
        if state == "flapping":
            with t.case("%s, %s: well again" % (name, state)):
                receiver.set("good")
                sent = count()["entries_sent"]

                def taken():
                    ask(connection, "/logged")
                    return count()["entries_sent"] > sent
                net.wait_until(taken, 20, lambda: "entries that are taken: %s" % count())


def check_all(t, *names):
    sanitizer = has_sanitizer()
    for name in names:
        for state in STATES:
            check(t, name, state, sanitizer)


def test_logs(t):
    check_all(t, "http-log", "tcp-log", "udp-log", "syslog", "loggly")


def test_spans(t):
    check_all(t, "opentelemetry", "zipkin")


def test_figures(t):
    check_all(t, "datadog", "statsd")


test_logs.seconds = test_spans.seconds = test_figures.seconds = 300
