# SPDX-License-Identifier: Apache-2.0
"""Scripted upstream servers: `Origin` speaks HTTP and records everything, `Peer` runs a byte-level script."""
import hashlib
import socket
import threading

from tests.support import net, wire

BODY = b'{"from":"origin"}'


class Request:
    """One request as the origin saw it; `complete` once its body has arrived in full."""

    def __init__(self, method, target, fields, connection):
        self.method, self.target, self.fields, self.connection = method, target, fields, connection
        self.body, self.size, self.digest, self.framing = b"", 0, None, None
        self.trailers, self.complete = wire.Fields([]), False

    def get(self, name, default=None):
        return self.fields.get(name, default)

    def all(self, name):
        return self.fields.all(name)

    def __repr__(self):
        return "%s %s %r %r" % (self.method, self.target, self.fields, self.body[:100])


class Peer:
    """Listens on an address of this process and runs `script(peer_connection)` in a thread per connection.

    `received` is every byte that ever arrived, over all connections; `connections` counts the accepted ones.
    With `tls` (an ssl.SSLContext) it speaks TLS; failed handshakes are in `failures`.
    """

    def __init__(self, script=None, port=0, host=None, tls=None):
        self.script, self.lock, self.tls, self.failures = script, threading.Lock(), tls, []
        self.connections, self.received, self.errors, self.open = 0, bytearray(), [], set()
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((host or net.own_host(), port or net.free_port(host)))
        self.listener.listen(1024)
        self.host, self.port = self.address = self.listener.getsockname()
        self.url = "%s://%s:%d" % ("https" if tls else "http", *self.address)
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.close()
        if kind is None and self.errors:
            raise AssertionError("the gateway sent the origin bad HTTP: %s" % self.errors[:3])

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.connections += 1
                self.open.add(sock)
                number = self.connections
            connection = PeerConnection(self, sock, number)
            threading.Thread(target=self._run, args=(connection,), daemon=True).start()

    def _run(self, connection):
        try:
            if self.tls and not connection.shake_hands(self.tls):
                return
            self.serve(connection)
        except wire.EndOfStream:
            pass
        except wire.ProtocolError as e:
            self.errors.append(str(e))
        except OSError:
            pass
        finally:
            with self.lock:
                self.open.discard(connection.sock)
            connection.close()

    def serve(self, connection):
        self.script(connection)

    def keep(self, data):
        with self.lock:
            self.received += data

    def close_connections(self):
        """Ends all connections from this side, as an origin does with idle ones."""
        with self.lock:
            for sock in self.open:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        self.close_connections()


class PeerConnection:
    def __init__(self, peer, sock, number):
        self.peer, self.sock, self.number = peer, sock, number
        self.reader = wire.Reader(sock, self._tap)

    def shake_hands(self, context):
        """False: it failed."""
        plain = self.sock
        try:
            self.sock = context.wrap_socket(plain, server_side=True)
        except OSError as e:
            self.peer.failures.append(str(e))
            return False
        with self.peer.lock:
            self.peer.open.discard(plain)
            self.peer.open.add(self.sock)
        self.reader = wire.Reader(self.sock, self._tap)
        return True

    def _tap(self, data):
        self.peer.keep(data)

    def send(self, data):
        self.sock.sendall(data)

    def read_head(self):
        """The next request without its body, or None when the other side is done."""
        if not self.reader.buffer and not self.reader.fill():
            return None
        line = self.reader.line()
        match = wire.REQUEST_LINE.fullmatch(line)
        if not match:
            raise wire.ProtocolError("bad request line %r" % line[:200])
        fields = wire.read_fields(self.reader)
        request = Request(match[1].decode(), match[2].decode("latin1"), fields, self.number)
        request.framing = wire.framing(fields)
        return request

    def read_body(self, request, keep=True):
        parts, digest = [], hashlib.sha1()
        def take(part):
            request.size += len(part)
            if keep:
                parts.append(part)
            else:
                digest.update(part)
        kind, size = request.framing
        if kind == "chunked":
            request.trailers = wire.read_chunked(self.reader, take)
        elif kind == "length":
            self.reader.exactly(size, take)
        request.body, request.digest, request.complete = b"".join(parts), digest.hexdigest(), True
        return request

    def read_request(self, keep=True):
        request = self.read_head()
        return request and self.read_body(request, keep)

    def wait_for_end(self):
        """Reads until the other side closes."""
        self.reader.rest(lambda part: None)

    def close(self):
        self.sock.close()

    def abort(self):
        wire.abort(self.sock)


def answer(status=200, headers=(), body=BODY, reason="Status", content_type="application/json"):
    """Response bytes with a Content-Length."""
    lines = ["HTTP/1.1 %d %s" % (status, reason)]
    lines += ["%s: %s" % pair for pair in headers]
    if content_type and status not in (204, 304):
        lines.append("Content-Type: " + content_type)
    if status not in (204, 304):
        lines.append("Content-Length: %d" % len(body))
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin1") + (b"" if status in (204, 304) else body)


def chunked(parts, trailers=(), headers=(), status=200):
    """Response bytes in chunks, one per part."""
    lines = ["HTTP/1.1 %d Status" % status] + ["%s: %s" % pair for pair in headers]
    head = "\r\n".join(lines + ["Transfer-Encoding: chunked"]) + "\r\n\r\n"
    body = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in parts)
    end = "0\r\n" + "".join("%s: %s\r\n" % pair for pair in trailers) + "\r\n"
    return head.encode("latin1") + body + end.encode("latin1")


def default_answer(request):
    whole = answer()
    return whole[:-len(BODY)] if request.method == "HEAD" else whole


class Last(bytes):
    """Response bytes after which the origin closes the connection."""


class Origin(Peer):
    """Reads whole requests, records them in `.requests` and answers what `handler(request)` returns.

    The handler returns response bytes, an iterable of bytes (sent piece by piece), or None to hang up.
    What it returns for HEAD must have no body. With keep_bodies=False only sizes and SHA-1 are kept.
    """

    def __init__(self, handler=None, keep_bodies=True, **kw):
        self.requests, self.handler, self.keep_bodies = [], handler, keep_bodies
        super().__init__(**kw)

    def keep(self, data):
        if self.keep_bodies:
            super().keep(data)

    def serve(self, connection):
        while True:
            request = connection.read_head()
            if request is None:
                return
            with self.lock:
                self.requests.append(request)
            connection.read_body(request, self.keep_bodies)
            reply = self.handler(request) if self.handler else default_answer(request)
            if reply is None:
                return
            for piece in [reply] if isinstance(reply, bytes) else reply:
                connection.send(piece)
            if isinstance(reply, Last):
                return

    def take(self):
        """The requests since the last call."""
        with self.lock:
            out, self.requests[:] = list(self.requests), []
        return out

    def one(self):
        """The only request since the last call."""
        seen = self.take()
        if len(seen) != 1:
            raise AssertionError("the origin got %d requests, want 1: %r" % (len(seen), seen))
        return seen[0]
