# SPDX-License-Identifier: Apache-2.0
"""Clients that ask, stop half-way and vanish, each in a thread of its own."""
import hashlib
import itertools
import random
import threading
import time

from tests.support import client, wire

EXPECTED = {200, 204, 400, 404, 408, 413, 500, 502, 503, 504}


class Crowd:
    numbers = itertools.count(1)

    def __init__(self, address, size, world):
        self.address, self.world, self.stopped = address, world, threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(random.Random(world.random.random()),), daemon=True)
                        for _ in range(size)]
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join(30)

    def run(self, pick):
        while not self.stopped.is_set():
            try:
                with client.Connection(self.address, timeout=20) as connection:
                    pick.choice([self.ask, self.ask, self.ask, self.pipeline, self.vanish])(connection, pick)
            except TimeoutError:
                self.world.fault("no answer within 20 s")
            except (OSError, wire.EndOfStream):
                self.world.count("ended")  # an answer cut short, or a drain
                time.sleep(0.01)
            except wire.ProtocolError as e:
                self.world.fault("bad HTTP from the gateway: %s" % e)

    def make(self, pick, methods=("GET", "GET", "HEAD", "PUT", "PUT", "POST", "DELETE")):
        """(number, method, request bytes)"""
        number, method = str(next(self.numbers)), pick.choice(methods)
        target = "/" + pick.choice("xyzxyzxyzxyzn") + "/" + number
        headers, body = [("X-Number", number)], None
        if method in ("PUT", "POST"):
            body = pick.randbytes(pick.choice([0, 10, 3000, 50000]))
            headers.append(("X-Digest", hashlib.sha1(body).hexdigest()))
            if pick.random() < 0.3:
                headers.append(("Transfer-Encoding", "chunked"))
                return number, method, client.encode(method, target, headers) + self.in_chunks(pick, body)
        return number, method, client.encode(method, target, headers, body)

    def in_chunks(self, pick, body):
        out, at = b"", 0
        while at < len(body):
            size = pick.randint(1, 20000)
            part = body[at:at + size]
            out, at = out + b"%x\r\n%s\r\n" % (len(part), part), at + size
        return out + b"0\r\n\r\n"

    def send(self, connection, pick, data):
        """At once, or in pieces."""
        if pick.random() < 0.7:
            connection.send(data)
            return
        cut = pick.randint(1, len(data))
        connection.send(data[:cut])
        time.sleep(pick.uniform(0, 0.05))
        connection.send(data[cut:])

    def read(self, connection, number, method):
        answer = connection.read(method)
        self.world.count(answer.status)
        echo = answer.get("X-Echo")
        if answer.status not in EXPECTED or echo not in (None, "unasked", number):
            self.world.fault("%s %s got %r" % (method, number, answer))
        return answer

    def ask(self, connection, pick):
        for _ in range(pick.randint(1, 20)):
            number, method, data = self.make(pick)
            self.send(connection, pick, data)
            if self.read(connection, number, method).closing or self.stopped.is_set():
                return

    def pipeline(self, connection, pick):
        asked = [self.make(pick) for _ in range(pick.randint(2, 6))]
        connection.send(b"".join(data for _, _, data in asked))
        for number, method, _ in asked:
            if self.read(connection, number, method).closing:
                return

    def vanish(self, connection, pick):
        number, method, data = self.make(pick)
        connection.send(data[:pick.randint(1, len(data))])
        time.sleep(pick.choice([0, 0, 0.01, 0.1]))
        if pick.random() < 0.3:
            connection.end_sending()
            time.sleep(0.01)
        if pick.random() < 0.5:
            connection.abort()
