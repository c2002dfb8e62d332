# SPDX-License-Identifier: Apache-2.0
"""A strict HTTP/1.1 reader, used by the client for responses and by the origin for requests.

It accepts only what RFC 9112 lets a sender generate: what the gateway writes to either side must parse.
"""
import re
import socket

TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2}) ([\t\x20-\x7e\x80-\xff]*)")
REQUEST_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21-\x7e\x80-\xff]+) HTTP/1\.1")
CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,16}")


class ProtocolError(AssertionError):
    """The other side wrote something that is not HTTP/1.1."""


class EndOfStream(ProtocolError):
    """The other side closed where a message had to go on."""


class Fields:
    """Header or trailer fields in the order received; names compare without case."""

    def __init__(self, pairs):
        self.pairs = pairs

    def all(self, name):
        return [v for k, v in self.pairs if k.lower() == name.lower()]

    def get(self, name, default=None):
        values = self.all(name)
        if len(values) > 1:
            raise ProtocolError("%s appears %d times: %r" % (name, len(values), values))
        return values[0] if values else default

    def tokens(self, name):
        """The members of a comma-separated list, lower case."""
        return [t.strip().lower() for v in self.all(name) for t in v.split(",") if t.strip()]

    def __contains__(self, name):
        return bool(self.all(name))

    def __repr__(self):
        return repr(self.pairs)


class Reader:
    """Buffered reading from a socket; everything taken off it is also counted and, if wanted, kept."""

    def __init__(self, sock, tap=None):
        self.sock, self.buffer, self.tap = sock, bytearray(), tap

    def fill(self):
        """False at the end of the stream. A reset counts as an end: see `was_reset`."""
        try:
            data = self.sock.recv(262144)
        except ConnectionResetError:
            self.was_reset = True
            return False
        if self.tap and data:
            self.tap(data)
        self.buffer += data
        return bool(data)

    was_reset = False

    def line(self, limit=1 << 20):
        """One line without its CRLF; bare LF and bare CR are errors."""
        start = 0
        while True:
            end = self.buffer.find(b"\n", start)
            if end >= 0:
                break
            start = len(self.buffer)
            if start > limit:
                raise ProtocolError("a line of more than %d bytes" % limit)
            if not self.fill():
                raise EndOfStream("closed within a line: %r" % bytes(self.buffer[-80:]))
        out = bytes(self.buffer[:end + 1])
        del self.buffer[:end + 1]
        if not out.endswith(b"\r\n") or b"\r" in out[:-2]:
            raise ProtocolError("bad line end in %r" % out[-80:])
        return out[:-2]

    def exactly(self, size, sink):
        while size:
            if not self.buffer and not self.fill():
                raise EndOfStream("closed %d bytes before the end of the body" % size)
            part = bytes(self.buffer[:size])
            del self.buffer[:size]
            size -= len(part)
            sink(part)

    def rest(self, sink):
        while True:
            if self.buffer:
                sink(bytes(self.buffer))
                self.buffer.clear()
            if not self.fill():
                return

    def at_end(self):
        """True if the stream ends here; False if more bytes come. Blocks until one of the two."""
        return not self.buffer and not self.fill()


def read_fields(reader):
    pairs = []
    while True:
        line = reader.line()
        if not line:
            return Fields(pairs)
        name, colon, value = line.partition(b":")
        value = value.strip(b" \t")
        if not colon or not TOKEN.fullmatch(name) or not VALUE.fullmatch(value):
            raise ProtocolError("bad field line %r" % line[:200])
        pairs.append((name.decode(), value.decode("latin1")))


def framing(fields):
    """("chunked", None), ("length", N) or (None, None)."""
    lengths, codings = fields.all("content-length"), fields.all("transfer-encoding")
    if codings:
        if codings != ["chunked"] or lengths:
            raise ProtocolError("bad framing: %r %r" % (codings, lengths))
        return "chunked", None
    if lengths:
        if len(lengths) != 1 or not re.fullmatch("[0-9]{1,18}", lengths[0]):
            raise ProtocolError("bad Content-Length: %r" % lengths)
        return "length", int(lengths[0])
    return None, None


def read_chunked(reader, sink):
    """Feeds the data to `sink` and returns the trailer fields."""
    while True:
        line = reader.line()
        if not CHUNK_SIZE.fullmatch(line):
            raise ProtocolError("bad chunk size line %r" % line[:80])
        size = int(line, 16)
        if size == 0:
            return read_fields(reader)
        reader.exactly(size, sink)
        if reader.line():
            raise ProtocolError("chunk data longer than its size")


def abort(sock):
    """Closes with a reset instead of an orderly end."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    sock.close()
