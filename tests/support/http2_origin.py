# SPDX-License-Identifier: Apache-2.0
"""A scripted upstream that speaks HTTP/2, over Debian's python3-h2: the script says what each stream gets."""
import threading

from tests.support import origin
from tests.support.runner import Skip

try:
    import h2.config
    import h2.connection
    import h2.events
    import h2.exceptions
    import h2.settings
except ImportError:  # an interpreter without Debian's modules
    h2 = None


class Stream:
    """A request as it arrives; `ended` once its body has come in full."""

    def __init__(self, link, number, headers):
        self.link, self.number, self.headers = link, number, dict(headers)
        self.body, self.ended, self.reset, self.trailers = b"", False, None, []

    def reply(self, status=200, headers=(), body=b"", trailers=None, end=True):
        h = self.link.h2
        h.send_headers(self.number, [(":status", str(status)), *headers],
                       end_stream=end and not body and trailers is None)
        if body:
            h.send_data(self.number, body, end_stream=end and trailers is None)
        if trailers is not None:
            h.send_headers(self.number, trailers, end_stream=True)


class Link:
    """One connection: `streams` in the order of their coming."""

    def __init__(self, peer, connection, settings):
        self.peer, self.connection, self.streams, self.pings = peer, connection, {}, 0
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False,
                                                                      header_encoding="utf-8"))
        if settings:
            self.h2.local_settings = h2.settings.Settings(client=False, initial_values=settings)
        self.h2.initiate_connection()
        self.flush()

    def flush(self):
        data = self.h2.data_to_send()
        if data:
            self.connection.send(data)

    def close(self):
        self.connection.close()

    def take(self, event):
        """What the script is told: ("head" | "end" | "reset" | "window", stream), or nothing."""
        e = h2.events
        if isinstance(event, e.RequestReceived):
            stream = self.streams[event.stream_id] = Stream(self, event.stream_id, event.headers)
            self.peer.streams.append(stream)
            return "head", stream
        stream = self.streams.get(getattr(event, "stream_id", None))
        if isinstance(event, e.DataReceived):
            stream.body += event.data
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, e.TrailersReceived):
            stream.trailers = event.headers
        elif isinstance(event, e.StreamEnded):
            stream.ended = True
            return "end", stream
        elif isinstance(event, e.StreamReset):
            stream.reset = event.error_code
            return "reset", stream
        elif isinstance(event, e.WindowUpdated) and stream:
            return "window", stream
        elif isinstance(event, e.PingReceived):
            self.pings += 1
        return None

    def run(self, script):
        while True:
            data = self.connection.sock.recv(65536)
            if not data:
                return
            for event in self.h2.receive_data(data):
                told = self.take(event)
                if told:
                    script(self, *told)
            self.flush()


class Http2Origin(origin.Peer):
    """`script(link, what, stream)` is called for each event, see Link.take; by default all get 200."""

    def __init__(self, script=None, settings=None, **more):
        if h2 is None:
            raise Skip("no python3-h2")
        self.streams, self.links, self.told = [], [], threading.Condition()
        self.answer = script or self.reply
        self.settings = settings
        super().__init__(self.speak, **more)

    @staticmethod
    def reply(_link, what, stream):
        if what == "end":
            stream.reply(200, [("x-method", stream.headers[":method"])],
                         b"" if stream.headers[":method"] == "HEAD" else b"over HTTP/2")

    def speak(self, connection):
        link = Link(self, connection, self.settings)
        self.links.append(link)
        try:
            link.run(self.answer)
        except (OSError, h2.exceptions.ProtocolError):
            pass
