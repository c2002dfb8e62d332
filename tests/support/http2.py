# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 frame by frame, for tests that send what no client library would: fields are written as HPACK
literals, of responses no more is read than their status."""
import socket
import struct
import time

from tests.support import net

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED, \
    FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, CONNECT_ERROR, ENHANCE_YOUR_CALM = range(12)
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
KNOWN_STATUS = dict(zip(range(8, 15), (200, 204, 206, 304, 400, 404, 500), strict=True))
REQUEST = ((":method", "GET"), (":scheme", "http"), (":authority", "test"), (":path", "/"))


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def integer(value, bits, first=0):
    most = (1 << bits) - 1
    if value < most:
        return bytes([first | value])
    out, value = bytearray([first | most]), value - most
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def raw(text):
    return text if isinstance(text, bytes) else text.encode("latin-1")


def literal(name, value, first=0):
    """A field that is not added to the table (first=0x40: it is)."""
    name, value = raw(name), raw(value)
    return bytes([first]) + integer(len(name), 7) + name + integer(len(value), 7) + value


def block(fields):
    return b"".join(literal(name, value) for name, value in fields)


def request(*more, **changes):
    """The fields of a request; `method=`, `path=` ... change a pseudo field, None leaves it out."""
    values = {**dict(REQUEST), **{":" + name: value for name, value in changes.items()}}
    return [(name, value) for name, value in values.items() if value is not None] + list(more)


def headers(stream, fields, flags=END_STREAM | END_HEADERS):
    return frame(HEADERS, flags, stream, block(fields))


def settings(**values):
    names = {"table": 1, "push": 2, "streams": 3, "window": 4, "frame": 5, "list": 6}
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", names[k], v) for k, v in values.items()))


def window_update(stream, size):
    return frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", size))


def rst(stream, code=CANCEL):
    return frame(RST_STREAM, 0, stream, struct.pack(">I", code))


def huffman_digits(data, count=3):
    bits = "".join("{:08b}".format(byte) for byte in data)
    digits = {"{:05b}".format(i): str(i) for i in range(3)}
    digits.update({"{:06b}".format(0x19 + i): str(3 + i) for i in range(7)})
    out, at = "", 0
    while len(out) < count:
        size = 5 if bits[at:at + 5] in digits else 6
        out += digits[bits[at:at + size]]
        at += size
    return int(out)


def status_of(payload):
    """Of the first field of a head; the connection's table is empty."""
    while payload[0] & 0xe0 == 0x20:
        payload = payload[1:]
    if payload[0] & 0x80:
        return KNOWN_STATUS[payload[0] & 0x7f]
    value = payload[2:2 + (payload[1] & 0x7f)]
    return huffman_digits(value) if payload[1] & 0x80 else int(value)


class Frame:
    def __init__(self, kind, flags, stream, payload):
        self.kind, self.flags, self.stream, self.payload = kind, flags, stream, payload

    @property
    def code(self):
        """The error code of a RST_STREAM or GOAWAY."""
        at = 4 if self.kind == GOAWAY else 0
        return struct.unpack(">I", self.payload[at:at + 4])[0]

    def __repr__(self):
        return "Frame(%d, %#x, %d, %r)" % (self.kind, self.flags, self.stream, self.payload[:60])


class Connection:
    """With prior knowledge; the settings of both sides are exchanged when it is made."""

    def __init__(self, address, begin=PREFACE + settings(), timeout=10.0, receive_buffer=None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout * net.SLOW_FACTOR)
        self.socket.connect(address)
        self.buffer, self.frames = b"", []
        self.send(begin)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, *data):
        self.socket.sendall(b"".join(data))

    def offer(self, data):
        """Sends as long as somebody listens; the number of bytes that were taken."""
        sent = 0
        try:
            while sent < len(data):
                sent += self.socket.send(data[sent:sent + 65536])
        except OSError:
            pass
        return sent

    def read(self):
        """The next frame; None at the end."""
        while True:
            size = int.from_bytes(self.buffer[:3], "big") + 9
            if len(self.buffer) >= max(size, 9):
                kind, flags, stream = struct.unpack(">BBI", self.buffer[3:9])
                found = Frame(kind, flags, stream & 0x7fffffff, self.buffer[9:size])
                self.buffer = self.buffer[size:]
                self.frames.append(found)
                return found
            try:
                more = self.socket.recv(65536)
            except ConnectionError:
                return None
            if not more:
                return None
            self.buffer += more

    def wait_for(self, wanted):
        """The first frame for which `wanted` is true, from now on; None: the connection ended first."""
        while True:
            found = self.read()
            if found is None or wanted(found):
                return found

    def outcome(self, stream):
        """What became of a stream: a status, ("reset", code), ("goaway", code) or "closed"."""
        found = self.wait_for(lambda f: f.kind == GOAWAY or f.stream == stream and f.kind in (HEADERS, RST_STREAM))
        if found is None:
            return "closed"
        if found.kind == HEADERS:
            return status_of(found.payload)
        return ("goaway" if found.kind == GOAWAY else "reset", found.code)

    def body(self, stream):
        """To the end of the stream, giving back the window as it goes."""
        out = b""
        while True:
            found = self.read()
            assert found is not None, "closed after %d bytes" % len(out)
            assert found.kind not in (GOAWAY, RST_STREAM), found
            if found.stream != stream:
                continue
            if found.kind == DATA:
                out += found.payload
                if found.payload and not found.flags & END_STREAM:
                    self.send(window_update(stream, len(found.payload)), window_update(0, len(found.payload)))
            if found.flags & END_STREAM:
                return out

    def is_silent(self, seconds):
        """Nothing arrives for so long."""
        deadline = time.monotonic() + seconds
        self.socket.settimeout(seconds)
        try:
            while time.monotonic() < deadline:
                if self.read() is not None:
                    return False
        except TimeoutError:
            return True
        return True
