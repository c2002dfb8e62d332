# SPDX-License-Identifier: Apache-2.0
"""A real redis-server for one test, and the few commands that tests ask it."""
import os
import shutil
import socket
import subprocess
import tempfile

from tests.support import net
from tests.support.runner import Skip


class Redis:
    """Listens on this process's address; `port` stays the same over stop() and start(). `sentinel` is the text of
    a sentinel's configuration."""

    def __init__(self, password=None, options=(), sentinel=None):
        if not shutil.which("redis-server"):
            raise Skip("redis-server is not installed")
        self.host, self.port, self.password = net.own_host(), net.free_port(), password
        self.folder, self.process = tempfile.TemporaryDirectory(prefix="sluice-redis-"), None
        self.options = list(options)
        self.sentinel = None
        if sentinel is not None:
            self.sentinel = os.path.join(self.folder.name, "sentinel.conf")
            with open(self.sentinel, "w", encoding="utf-8") as f:
                f.write(sentinel)
        self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        self.folder.cleanup()

    def start(self):
        argv = ["redis-server"] + ([self.sentinel] if self.sentinel else [])
        argv += ["--bind", self.host, "--port", str(self.port), "--dir", self.folder.name, "--daemonize", "no"]
        argv += ["--sentinel"] if self.sentinel else ["--save", "", "--appendonly", "no"]
        if self.password:
            argv += ["--requirepass", self.password]
        argv += self.options
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        net.wait_until(self.answers, 10, "redis-server")

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def answers(self):
        try:
            return self.command("PING") == "PONG"
        except OSError:
            return False

    def command(self, *words):
        with socket.create_connection((self.host, self.port), 5) as s, s.makefile("rb") as f:
            if self.password:
                s.sendall(encode("AUTH", self.password))
                decode(f)
            s.sendall(encode(*words))
            return decode(f)

    def keys(self):
        return sorted(self.command("KEYS", "*"))


def encode(*words):
    out = b"*%d\r\n" % len(words)
    for word in words:
        data = str(word).encode()
        out += b"$%d\r\n%s\r\n" % (len(data), data)
    return out


def decode(f):
    line = f.readline().rstrip(b"\r\n")
    if not line:
        raise ConnectionError("redis closed the connection")
    kind, rest = line[:1], line[1:].decode()
    if kind == b"-":
        raise AssertionError("redis: " + rest)
    if kind == b":":
        return int(rest)
    if kind == b"$":
        return None if rest == "-1" else f.read(int(rest) + 2)[:-2].decode()
    if kind == b"*":
        return [decode(f) for _ in range(int(rest))]
    return rest
