# SPDX-License-Identifier: Apache-2.0
"""An origin with moods: what becomes of a request is drawn when its head has come."""
import hashlib
import random
import time

from tests.support import origin

GARBAGE = [b"\0" * 50, b"HTTP/1.1 200 OK\nx", b"HTTP/1.1 20 OK\r\n\r\n", b"HTTP/9.9 200 OK\r\n\r\n",
           b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\nxx", b"HTTP/1.1 200 OK\r\nA: " + b"b" * 100000,
           b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 20]


class Moody(origin.Peer):
    def __init__(self, world):
        self.world, self.random = world, random.Random(world.random.random())
        super().__init__()

    def serve(self, connection):
        while True:
            mood = self.random.random()
            if mood < 0.02:
                time.sleep(self.random.uniform(0, 0.3))
                connection.send(origin.answer(headers=[("X-Echo", "unasked")]))  # or just when somebody asks
                return
            request = connection.read_head()
            if request is None:
                return
            number = request.get("X-Number")
            if request.method == "POST":
                self.world.saw_post(number)
            self.world.count("seen")
            name = self.random.choices([name for name, _ in MOODS], [weight for _, weight in MOODS])[0]
            reply = [("X-Echo", number or "")]
            if not getattr(self, name)(connection, request, reply):
                return

    def take_body(self, connection, request):
        connection.read_body(request)
        wanted = request.get("X-Digest")
        if wanted and hashlib.sha1(request.body).hexdigest() != wanted:
            self.world.fault("the body of %s %s arrived changed, %d bytes"
                             % (request.method, request.get("X-Number"), len(request.body)))

    def say(self, connection, request, data, body):
        connection.send(data if request.method != "HEAD" or not body else data[:-len(body)])
        return True

    # --- moods; True: the connection goes on ----------------------------------------------------------------

    def good(self, connection, request, reply):
        self.take_body(connection, request)
        body = b"x" * self.random.choice([0, 1, 1000, 100000])
        return self.say(connection, request, origin.answer(headers=reply, body=body), body)

    def chunked(self, connection, request, reply):
        self.take_body(connection, request)
        if request.method == "HEAD":
            return self.good(connection, request, reply)
        connection.send(origin.chunked([b"part" * 10] * self.random.randint(1, 50), [("T", "1")], reply))
        return True

    def late(self, connection, request, reply):
        self.take_body(connection, request)
        time.sleep(self.random.uniform(0, 0.2))
        return self.good(connection, request, reply) if not request.framing[0] else \
            self.say(connection, request, origin.answer(headers=reply), origin.BODY)

    def early(self, connection, request, reply):
        self.say(connection, request, origin.answer(headers=reply), origin.BODY)
        self.take_body(connection, request)
        return True

    def early_end(self, connection, request, reply):
        return self.say(connection, request, origin.answer(413, headers=reply), origin.BODY) and False

    def failing(self, connection, request, reply):
        self.take_body(connection, request)
        return self.say(connection, request, origin.answer(self.random.choice([500, 503]), headers=reply), origin.BODY)

    def surplus(self, connection, request, reply):
        self.take_body(connection, request)
        connection.send(origin.answer(204, headers=reply) + origin.answer(headers=[("X-Echo", "surplus")]))
        return True

    def interim(self, connection, request, reply):
        connection.send(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * self.random.randint(1, 5))
        return self.random.random() < 0.7 and self.good(connection, request, reply)

    def closing(self, connection, request, reply):
        self.take_body(connection, request)
        return self.say(connection, request, origin.answer(headers=reply + [("Connection", "close")]), origin.BODY) \
            and False

    def good_and_gone(self, connection, request, reply):
        self.good(connection, request, reply)  # closes without having said so
        return False

    def hang_up(self, connection, request, reply):
        if self.random.random() < 0.5:
            self.take_body(connection, request)
        return False

    def reset(self, connection, request, reply):
        if self.random.random() < 0.5:
            connection.send(origin.answer(headers=reply)[:self.random.randint(1, 60)])
        connection.abort()
        return False

    def half(self, connection, request, reply):
        self.take_body(connection, request)
        data = origin.answer(headers=reply, body=b"y" * 5000)
        connection.send(data[:self.random.randint(1, len(data) - 1)])
        return False

    def garbage(self, connection, request, reply):
        if self.random.random() < 0.5:
            self.take_body(connection, request)
        connection.send(self.random.choice(GARBAGE))
        return False

    def mute(self, connection, request, reply):
        time.sleep(self.random.uniform(0.1, 1))
        return False


MOODS = [("good", 40), ("chunked", 10), ("late", 8), ("early", 4), ("early_end", 2), ("failing", 5), ("surplus", 2),
         ("interim", 3), ("closing", 4), ("good_and_gone", 4), ("hang_up", 5), ("reset", 4), ("half", 3),
         ("garbage", 4), ("mute", 2)]
