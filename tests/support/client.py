# SPDX-License-Identifier: Apache-2.0
"""A raw HTTP/1.1 client: sends the bytes it is given, reads answers strictly."""
import socket
import ssl

from tests.support import wire


class Response:
    """One final answer. `interim` holds the 1xx answers before it as (status, Fields)."""

    def __init__(self, status, reason, fields, interim):
        self.status, self.reason, self.fields, self.interim = status, reason, fields, interim
        self.body, self.size, self.trailers, self.until_close = b"", 0, wire.Fields([]), False
        self.framing = None

    def get(self, name, default=None):
        return self.fields.get(name, default)

    def all(self, name):
        return self.fields.all(name)

    @property
    def closing(self):
        return self.until_close or "close" in self.fields.tokens("connection")

    def __repr__(self):
        return "%d %s %r" % (self.status, self.fields, self.body[:200])


def unverified():
    """A TLS client that takes any certificate; HTTP/1.1 only."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class Connection:
    """One client connection. The timeout (seconds) bounds every single wait.

    With `tls_name` it speaks TLS and names that server; an empty name sends none.
    """

    def __init__(self, address, timeout=10.0, receive_buffer=None, tls_name=None):
        self.sock = socket.socket()
        self.sock.settimeout(timeout)
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.connect(address)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls_name is not None:
            self.sock = unverified().wrap_socket(self.sock, server_hostname=tls_name or None)
        self.reader = wire.Reader(self.sock)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        self.sock.sendall(data)
        return self

    def send_split(self, pieces):
        """Sends piece by piece; stops quietly when the other side has closed. True if all went out."""
        try:
            for piece in pieces:
                self.sock.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def send_bytewise(self, data):
        return self.send_split(data[i:i + 1] for i in range(len(data)))

    def end_sending(self):
        self.sock.shutdown(socket.SHUT_WR)
        return self

    def read_head(self, method="GET", keep_interim=True):
        """The head of the final answer. With keep_interim=False a 1xx answer is returned as well."""
        interim = []
        while True:
            line = self.reader.line()
            match = wire.STATUS_LINE.fullmatch(line)
            if not match or match[1] != b"1":
                raise wire.ProtocolError("bad status line %r" % line[:200])
            status, fields = int(match[2]), wire.read_fields(self.reader)
            answer = Response(status, match[3].decode("latin1"), fields, interim)
            answer.framing = self.body_framing(answer, method)
            if status >= 200 or status == 101 or not keep_interim:
                return answer
            interim.append((status, fields))

    def body_framing(self, answer, method):
        kind, size = wire.framing(answer.fields)
        if answer.status < 200 or answer.status == 204:
            if kind:
                raise wire.ProtocolError("%d with %s" % (answer.status, kind))
            return "length", 0
        if method == "HEAD" or answer.status == 304:
            return "length", 0
        return kind, size

    def read_body(self, answer, sink=None):
        parts = []
        def take(part):
            answer.size += len(part)
            (sink or parts.append)(part)
        kind, size = answer.framing
        if kind == "chunked":
            answer.trailers = wire.read_chunked(self.reader, take)
        elif kind == "length":
            self.reader.exactly(size, take)
        else:
            answer.until_close = True
            if "close" not in answer.fields.tokens("connection"):
                raise wire.ProtocolError("an answer without length must say Connection: close: %r" % answer)
            self.reader.rest(take)
        answer.body = b"".join(parts)
        return answer

    def read(self, method="GET", sink=None):
        return self.read_body(self.read_head(method), sink)

    def exchange(self, data, method=None):
        self.send(data)
        return self.read(method or data.lstrip().split(b" ", 1)[0].decode("latin1"))

    def ended(self, seconds=3.0):
        """True if the other side closes within `seconds` and sends nothing more before that."""
        self.sock.settimeout(seconds)
        try:
            return self.reader.at_end()
        except TimeoutError:
            return False

    def is_open(self):
        """True while nothing (no byte, no end) is waiting to be read."""
        self.sock.setblocking(False)
        try:
            self.sock.recv(1, socket.MSG_PEEK)
            return False
        except BlockingIOError:
            return True
        except OSError:
            return False
        finally:
            self.sock.settimeout(10)

    def close(self):
        self.sock.close()

    def abort(self):
        wire.abort(self.sock)


def encode(method, target, headers=(), body=None, host="test", version="1.1"):
    """Request bytes. `headers` is a list of (name, value); a body brings its Content-Length."""
    lines = ["%s %s HTTP/%s" % (method, target, version)]
    if host is not None:
        lines.append("Host: " + host)
    lines += ["%s: %s" % pair for pair in headers]
    if body is not None:
        lines.append("Content-Length: %d" % len(body))
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin1") + (body or b"")


def request(address, method, target, headers=(), body=None, host="test"):
    """One request on a connection of its own."""
    with Connection(address) as c:
        return c.exchange(encode(method, target, headers, body, host), method)


def get(address, target="/", headers=(), host="test"):
    return request(address, "GET", target, headers, None, host)
