# SPDX-License-Identifier: Apache-2.0
"""WebSocket (RFC 6455) by hand: frames of any kind for clients, and an echo server that judges what it gets."""
import base64
import hashlib
import os
import socket
import struct
import zlib

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
PACKED = 4  # the first reserved bit
DEFLATE = "permessage-deflate; client_no_context_takeover; server_no_context_takeover"
MASK = b"\x11\x22\x33\x44"  # always the same, so that transcripts can be compared


def proof(key):
    return base64.b64encode(hashlib.sha1(key.encode() + GUID).digest()).decode()


def request(target="/", host="test", key=None, headers=(), method="GET"):
    key = key or base64.b64encode(os.urandom(16)).decode()
    lines = ["%s %s HTTP/1.1" % (method, target), "Host: " + host, "Upgrade: websocket", "Connection: Upgrade",
             "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " + key]
    lines += ["%s: %s" % pair for pair in headers]
    return key, ("\r\n".join(lines) + "\r\n\r\n").encode()


def agree(key, headers=()):
    lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade",
             "Sec-WebSocket-Accept: " + proof(key)] + ["%s: %s" % pair for pair in headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def mask_with(mask, data):
    whole = (mask * (len(data) // 4 + 1))[:len(data)]
    return (int.from_bytes(data, "big") ^ int.from_bytes(whole, "big")).to_bytes(len(data), "big")


def frame(opcode, data=b"", fin=True, masked=True, reserved=0):
    """One frame; a client masks."""
    head = bytes([(0x80 if fin else 0) | reserved << 4 | opcode])
    bit = 0x80 if masked else 0
    if len(data) < 126:
        head += bytes([bit | len(data)])
    elif len(data) < 1 << 16:
        head += bytes([bit | 126]) + struct.pack(">H", len(data))
    else:
        head += bytes([bit | 127]) + struct.pack(">Q", len(data))
    if not masked:
        return head + data
    return head + MASK + mask_with(MASK, data)


def close(code=None, reason=b""):
    return frame(CLOSE, b"" if code is None else struct.pack(">H", code) + reason)


def pack(data):
    """By permessage-deflate (RFC 7692) without a context kept between messages."""
    made = zlib.compressobj(wbits=-15)
    return (made.compress(data) + made.flush(zlib.Z_SYNC_FLUSH))[:-4]


def unpack(data):
    try:
        return zlib.decompressobj(wbits=-15).decompress(data + b"\0\0\xff\xff")
    except zlib.error:
        raise Bad(1007) from None


class Bad(Exception):
    """With the code the connection is closed with."""


def take(reader, size):
    parts = []
    reader.exactly(size, parts.append)
    return b"".join(parts)


def read_frame(reader):
    """fin, reserved bits, opcode, masked, data."""
    first, second = take(reader, 2)
    size = second & 127
    if size == 126:
        size, = struct.unpack(">H", take(reader, 2))
    elif size == 127:
        size, = struct.unpack(">Q", take(reader, 8))
    mask = take(reader, 4) if second & 0x80 else b"\0\0\0\0"
    data = mask_with(mask, take(reader, size))
    return bool(first & 0x80), first >> 4 & 7, first & 15, bool(second & 0x80), data


def text_of(data):
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Bad(1007) from None


def valid_close(data):
    if len(data) == 1:
        raise Bad(1002)
    if data:
        code, = struct.unpack(">H", data[:2])
        text_of(data[2:])
        if code < 1000 or code in (1004, 1005, 1006) or 1015 <= code < 3000 or code >= 5000:
            raise Bad(1002)
    return data[:2]


class Echo:
    """A script for tests.support.origin.Peer: sends messages back, answers pings, closes what breaks the rules."""

    def __init__(self, deflate=False):
        self.heads, self.deflate = [], deflate

    def __call__(self, connection):
        head = connection.read_request()
        if head is None:
            return
        self.heads.append(head)
        if head.get("sec-websocket-key") is None:
            connection.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        offered = self.deflate and "permessage-deflate" in head.get("sec-websocket-extensions", "")
        extensions = [("Sec-WebSocket-Extensions", DEFLATE)] if offered else []
        connection.send(agree(head.get("sec-websocket-key"), extensions))
        try:
            self.serve(connection)
        except Bad as e:
            connection.send(frame(CLOSE, struct.pack(">H", e.args[0]), masked=False))
        connection.sock.shutdown(socket.SHUT_WR)
        connection.wait_for_end()  # a close with bytes unread would be a reset, which may overtake the last frame

    def serve(self, connection):
        reader, parts, kind, packed = connection.reader, [], None, 0
        while True:
            fin, reserved, opcode, masked, data = read_frame(reader)
            allowed = self.deflate and opcode in (TEXT, BINARY) and reserved == PACKED
            if (reserved and not allowed) or not masked or opcode not in (0, 1, 2, 8, 9, 10):
                raise Bad(1002)
            if opcode >= 8 and (not fin or len(data) > 125):
                raise Bad(1002)
            if opcode == CLOSE:
                connection.send(frame(CLOSE, valid_close(data), masked=False))
                return
            if opcode == PING:
                connection.send(frame(PONG, data, masked=False))
            if opcode >= 8:
                continue
            if (opcode == CONTINUATION) == (kind is None):
                raise Bad(1002)
            if kind is None:
                kind, packed = opcode, reserved
            parts.append(data)
            if fin:
                whole = unpack(b"".join(parts)) if packed else b"".join(parts)
                if kind == TEXT:
                    text_of(whole)
                connection.send(frame(kind, pack(whole) if packed else whole, masked=False, reserved=packed))
                parts, kind = [], None
