# SPDX-License-Identifier: Apache-2.0
"""A DNS server whose records a test changes while it runs, and dnsmasq on a free port."""
import os
import pwd
import shutil
import signal
import socket
import struct
import subprocess
import threading

from tests.support import net
from tests.support.runner import Skip

TYPES = {"A": 1, "CNAME": 5, "SRV": 33, "AAAA": 28}
NAMES = {number: name for name, number in TYPES.items()}


def encode_name(name):
    return b"".join(bytes([len(part)]) + part.encode() for part in name.split(".") if part) + b"\0"


def encode_data(kind, data):
    if kind == "A":
        return socket.inet_aton(data)
    if kind == "AAAA":
        return socket.inet_pton(socket.AF_INET6, data)
    if kind == "SRV":
        priority, weight, port, host = data.split()
        return struct.pack(">HHH", int(priority), int(weight), int(port)) + encode_name(host)
    return encode_name(data)


class Server:
    """Answers from `records`: {(name, type): (ttl, [data, ...])}.

    A name without the type asked for has no data; one that is not there at all does not exist. With `silent`
    nothing is answered, with `broken` the server says that it failed, and what is longer than 512 bytes has
    to be asked for over TCP. `asked` lists (name, type).
    """

    def __init__(self, records=()):
        self.records, self.silent, self.broken, self.asked = dict(records), False, False, []
        self.listener = socket.create_server((net.own_host(), net.free_port()))
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(self.listener.getsockname())
        self.address, self.tcp_count = "%s:%d" % self.socket.getsockname(), 0
        for run in self._run, self._run_tcp:
            threading.Thread(target=run, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()
        self.listener.close()

    def set(self, name, kind, data, ttl=1):
        self.records = {**self.records, (name, kind): (ttl, data)}

    def remove(self, name):
        self.records = {key: value for key, value in self.records.items() if key[0] != name}

    def _run(self):
        while True:
            try:
                message, peer = self.socket.recvfrom(4096)
                reply = self.answer(message)
                if len(reply) > 512:
                    question = reply[12:reply.index(b"\0", 12) + 5]
                    reply = reply[:2] + b"\x87\x80\0\1\0\0\0\0\0\0" + question
                if not self.silent:
                    self.socket.sendto(reply, peer)
            except OSError:
                return

    def _run_tcp(self):
        while True:
            try:
                connection, _ = self.listener.accept()
                with connection, connection.makefile("rwb") as stream:
                    self.tcp_count += 1
                    while size := stream.read(2):
                        reply = self.answer(stream.read(int.from_bytes(size, "big")))
                        stream.write(len(reply).to_bytes(2, "big") + reply)
                        stream.flush()
            except OSError:
                return

    def answer(self, message):
        parts, at = [], 12
        while message[at]:
            parts.append(message[at + 1:at + 1 + message[at]].decode().lower())
            at += 1 + message[at]
        kind, = struct.unpack_from(">H", message, at + 1)
        name, records = ".".join(parts), self.records
        self.asked.append((name, NAMES.get(kind, str(kind))))
        ttl, data = records.get((name, NAMES.get(kind)), (0, []))
        exists = any(key[0] == name for key in records)
        rcode = 2 if self.broken else 0 if exists else 3
        reply = message[:2] + struct.pack(">HHHHH", 0x8580 | rcode, 1, len(data) if not rcode else 0, 0, 0)
        reply += message[12:at + 5]
        for item in data if not rcode else ():
            encoded = encode_data(NAMES[kind], item)
            reply += b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, ttl, len(encoded)) + encoded
        return reply


class Dnsmasq:
    """dnsmasq with these options and a file of "ADDRESS NAME" lines, which put() writes and has read again."""

    def __init__(self, folder, *options):
        program = shutil.which("dnsmasq") or shutil.which("dnsmasq", path="/usr/sbin:/sbin")
        if program is None:
            raise Skip("dnsmasq is not installed")
        self.folder, self.hosts = folder, folder.file("dns-hosts", "")
        host, port = net.own_host(), net.free_port()
        self.address = "%s:%d" % (host, port)
        self.process = subprocess.Popen(
            [program, "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts",
             "--bind-interfaces", "--listen-address=" + host, "--port=%d" % port, "--local-ttl=1",
             "--user=" + pwd.getpwuid(os.getuid()).pw_name, "--pid-file=", "--log-facility=-",
             "--addn-hosts=" + self.hosts, "--local=/test/", *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        net.wait_until(lambda: self.answers((host, port)), 10, "dnsmasq")

    def answers(self, address):
        """Before that, the signal of put() would end it."""
        if self.process.poll() is not None:
            raise AssertionError("dnsmasq ended with %d" % self.process.returncode)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(0.1)
            try:
                s.sendto(b"\0\1\1\0\0\1\0\0\0\0\0\0" + encode_name("up.test") + b"\0\1\0\1", address)
                return s.recv(512)
            except OSError:
                return None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def put(self, text):
        self.folder.file("dns-hosts", text)
        self.process.send_signal(signal.SIGHUP)
