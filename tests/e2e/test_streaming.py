# SPDX-License-Identifier: Apache-2.0
"""Big bodies pass in constant memory, and whoever is slow slows the other side down.

TEST_STREAM_MB sets the size of the bodies (default 200).
"""
import contextlib
import hashlib
import os
import threading
import time

from tests.support import client, net, origin
from tests.support.gateway import Gateway, simple_config

SIZE_MB = int(os.environ.get("TEST_STREAM_MB", "200"))
BLOCK = os.urandom(1 << 20)
GROWTH_KIB = 32 * 1024


def largest_buffer(direction):
    """Of a socket, bytes: rmem or wmem."""
    with open("/proc/sys/net/ipv4/tcp_" + direction) as f:
        return int(f.read().split()[2])


# What the buffers of four sockets and the gateway may hold together, bytes. One that nobody reads from stays small.
IN_FLIGHT = max(48 << 20, (10 << 20) + largest_buffer("rmem") + 2 * largest_buffer("wmem"))
STALL_SECONDS = 0.5  # no progress for so long counts as held back


@contextlib.contextmanager
def constant_memory(gateway):
    gateway.get("/warm-up")
    before = gateway.status_kib("VmRSS")
    yield
    growth = gateway.status_kib("VmHWM") - before
    assert growth < GROWTH_KIB, "memory grew by %d KiB" % growth


def digest_of(blocks):
    digest = hashlib.sha1()
    for _ in range(blocks):
        digest.update(BLOCK)
    return digest.hexdigest()


def download(request):
    """Answers with SIZE_MB blocks, in chunks if the target says so."""
    if request.target == "/chunked":
        yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        for _ in range(SIZE_MB):
            yield b"%x\r\n%s\r\n" % (len(BLOCK), BLOCK)
        yield b"0\r\n\r\n"
    elif request.target == "/length":
        yield b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (SIZE_MB * len(BLOCK))
        for _ in range(SIZE_MB):
            yield BLOCK
    else:
        yield origin.answer()


def test_download(t):
    want = digest_of(SIZE_MB)
    with origin.Origin(download) as upstream, Gateway(simple_config(upstream.url)) as gateway:
        for target in ("/length", "/chunked"):
            with t.case(target), constant_memory(gateway), gateway.connect() as c:
                digest = hashlib.sha1()
                answer = c.send(client.encode("GET", target)).read(sink=digest.update)
                assert answer.size == SIZE_MB << 20 and digest.hexdigest() == want, answer.size


def upload(connection, chunked):
    if chunked:
        connection.send(client.encode("POST", "/up", [("Transfer-Encoding", "chunked")]))
        for _ in range(SIZE_MB):
            connection.send(b"%x\r\n" % len(BLOCK)).send(BLOCK).send(b"\r\n")
        connection.send(b"0\r\n\r\n")
    else:
        connection.send(client.encode("POST", "/up", [("Content-Length", str(SIZE_MB << 20))]))
        for _ in range(SIZE_MB):
            connection.send(BLOCK)
    return connection.read("POST")


def test_upload(t):
    want = digest_of(SIZE_MB)
    with origin.Origin(keep_bodies=False) as upstream, Gateway(simple_config(upstream.url)) as gateway:
        for chunked in (False, True):
            with t.case("chunked" if chunked else "length"), constant_memory(gateway), gateway.connect() as c:
                upstream.take()
                answer = upload(c, chunked)
                assert answer.status == 200, answer
                seen = upstream.take()[-1]
                assert seen.size == SIZE_MB << 20 and seen.digest == want, seen.size


def wait_for_stall(progress, seconds=20):
    """Returns the value at which `progress()` has stopped moving."""
    last, since, deadline = progress(), time.monotonic(), time.monotonic() + seconds * net.SLOW_FACTOR
    while time.monotonic() - since < STALL_SECONDS or last == 0:
        assert time.monotonic() < deadline, "never held back: %d bytes so far" % progress()
        if progress() != last:
            last, since = progress(), time.monotonic()
        time.sleep(0.01)
    return last


def test_slow_reader(t):
    """A client that does not read holds the origin back; nothing is lost when it goes on."""
    sent = [0]
    def handler(request):
        for piece in download(request):
            yield piece
            sent[0] += len(piece) if request.target == "/length" else 0

    with origin.Origin(handler) as upstream, Gateway(simple_config(upstream.url)) as gateway:
        with constant_memory(gateway), gateway.connect(receive_buffer=65536) as c:
            c.send(client.encode("GET", "/length"))
            held_at = wait_for_stall(lambda: sent[0])
            assert held_at < IN_FLIGHT, "%d bytes went out to a client that reads nothing" % held_at
            assert gateway.get("/other").status == 200
            digest = hashlib.sha1()
            assert c.read(sink=digest.update).size == SIZE_MB << 20
            assert digest.hexdigest() == digest_of(SIZE_MB)


def test_slow_origin(t):
    """An origin that does not read holds the client back; nothing is lost when it goes on."""
    release, sent = threading.Event(), [0]
    def script(connection):
        while request := connection.read_head():  # a connection that ended would fail a POST
            if request.target == "/up":
                release.wait(60)
            connection.read_body(request, keep=False)
            connection.send(origin.answer(body=str(request.size).encode()))

    def send_all(c):
        for _ in range(SIZE_MB):
            for at in range(0, len(BLOCK), 65536):
                c.send(BLOCK[at:at + 65536])
                sent[0] += 65536

    with origin.Peer(script) as peer, Gateway(simple_config(peer.url)) as gateway:
        with constant_memory(gateway), gateway.connect(timeout=60) as c:
            c.send(client.encode("POST", "/up", [("Content-Length", str(SIZE_MB << 20))]))
            sender = threading.Thread(target=send_all, args=(c,), daemon=True)
            sender.start()
            held_at = wait_for_stall(lambda: sent[0])
            assert held_at < IN_FLIGHT, "%d bytes were taken for an origin that reads nothing" % held_at
            release.set()
            sender.join(60)
            assert c.read("POST").body == str(SIZE_MB << 20).encode()


for test in (test_download, test_upload, test_slow_reader, test_slow_origin):
    test.seconds = 60 + SIZE_MB // 5
