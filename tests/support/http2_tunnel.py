# SPDX-License-Identifier: Apache-2.0
"""Extended CONNECT (RFC 8441) by an independent client of HTTP/2, python3-h2: one stream that carries bytes."""
import socket

from tests.support import client, net
from tests.support.http2 import GOAWAY
from tests.support.runner import Skip

try:
    from h2 import config, connection, events
    from h2.settings import SettingCodes
except ImportError:  # an interpreter without Debian's modules
    connection = None


class Reset(Exception):
    """The other side gave the stream up, with this code."""


class Tunnel:
    """Opened by `ask`; what arrives is taken in whenever something is waited for."""

    def __init__(self, address, tls_name=None, timeout=10.0, window=None):
        if connection is None:
            raise Skip("no python3-h2")
        self.socket = socket.create_connection(address, timeout * net.SLOW_FACTOR)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls_name is not None:
            context = client.unverified()
            context.set_alpn_protocols(["h2"])
            self.socket = context.wrap_socket(self.socket, server_hostname=tls_name)
        self.h2 = connection.H2Connection(config.H2Configuration(header_encoding="utf-8"))
        self.data, self.heads, self.ended, self.codes = {}, {}, set(), {}
        self.offered, self.goaway, self.reads, self.buffer = None, False, True, b""
        self.h2.initiate_connection()
        if window is not None:
            self.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.flush()
        self.wait(lambda: self.offered is not None)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def flush(self):
        data = self.h2.data_to_send()
        if data:
            self.socket.sendall(data)

    def take(self, event):
        stream = getattr(event, "stream_id", 0)
        if isinstance(event, events.RemoteSettingsChanged):
            changed = event.changed_settings.get(SettingCodes.ENABLE_CONNECT_PROTOCOL)
            self.offered = changed is not None and changed.new_value == 1
        elif isinstance(event, events.ResponseReceived):
            self.heads[stream] = dict(event.headers)
        elif isinstance(event, events.DataReceived):
            self.data[stream] = self.data.get(stream, b"") + event.data
            if self.reads and event.flow_controlled_length:
                self.h2.acknowledge_received_data(event.flow_controlled_length, stream)
        elif isinstance(event, events.StreamEnded):
            self.ended.add(stream)
        elif isinstance(event, events.StreamReset):
            self.codes[stream] = int(event.error_code)

    def without_goaway(self, data):
        """Behind one python3-h2 would take nothing more in, which is not what it means (RFC 9113 section 6.8)."""
        self.buffer, out = self.buffer + data, b""
        while len(self.buffer) >= 9 and len(self.buffer) >= 9 + int.from_bytes(self.buffer[:3], "big"):
            size = 9 + int.from_bytes(self.buffer[:3], "big")
            if self.buffer[3] == GOAWAY:
                self.goaway = True
            else:
                out += self.buffer[:size]
            self.buffer = self.buffer[size:]
        return out

    def wait(self, true):
        """Until it is; EOFError when the connection ends first."""
        while not true():
            self.flush()
            data = self.socket.recv(1 << 16)
            if not data:
                raise EOFError
            for event in self.h2.receive_data(self.without_goaway(data)):
                self.take(event)
        self.flush()

    def is_silent(self, seconds):
        """Takes in what comes until nothing has for so long; false: the connection has ended."""
        self.flush()
        before = self.socket.gettimeout()
        self.socket.settimeout(seconds)
        try:
            self.wait(lambda: False)
        except TimeoutError:
            return True
        except (EOFError, ConnectionError):
            return False
        finally:
            self.socket.settimeout(before)

    def ask(self, path="/ws", protocol="websocket", headers=(), method="CONNECT", ends=False):
        """The number of the new stream."""
        stream = self.h2.get_next_available_stream_id()
        fields = [(":method", method), (":scheme", "http"), (":authority", "test"), (":path", path)]
        fields += [(":protocol", protocol)] if protocol else []
        if protocol == "websocket":
            fields += [("sec-websocket-version", "13")]
        self.h2.send_headers(stream, fields + list(headers), end_stream=ends)
        self.flush()
        return stream

    def head(self, stream):
        self.wait(lambda: stream in self.heads or stream in self.codes)
        if stream not in self.heads:
            raise Reset(self.codes[stream])
        return self.heads[stream]

    def status(self, stream):
        return int(self.head(stream)[":status"])

    def send(self, stream, data, most=None):
        """As far as the windows allow it, and then when they do; pieces of `most` bytes at the most. False: the
        stream was over first."""
        while data:
            self.wait(lambda: self.is_over(stream) or self.room(stream) > 0)
            if self.is_over(stream):
                return False
            size = min(self.room(stream), self.h2.max_outbound_frame_size, most or len(data))
            self.h2.send_data(stream, data[:size])
            data = data[size:]
        self.flush()
        return True

    def is_over(self, stream):
        return stream in self.codes or stream in self.ended

    def room(self, stream):
        """What the windows allow now."""
        return self.h2.local_flow_control_window(stream)

    def finish(self, stream):
        if stream not in self.codes:
            self.h2.end_stream(stream)
        self.flush()

    def reset(self, stream):
        self.h2.reset_stream(stream, 8)
        self.flush()

    def exactly(self, stream, size):
        self.wait(lambda: len(self.data.get(stream, b"")) >= size or stream in self.codes)
        if stream in self.codes:
            raise Reset(self.codes[stream])
        found, self.data[stream] = self.data[stream][:size], self.data[stream][size:]
        return found

    def rest(self, stream):
        """To the end of the stream."""
        self.wait(lambda: stream in self.ended or stream in self.codes)
        if stream not in self.ended:
            raise Reset(self.codes[stream])
        return self.data.pop(stream, b"")
