# SPDX-License-Identifier: Apache-2.0
"""Nobody tells the upstream who he is but the gateway: not in any spelling, version of HTTP, or place."""
import contextlib

from tests.support import http2, net, origin
from tests.support.gateway import Gateway, simple_config
from tests.support.http2 import DATA, END_HEADERS, END_STREAM, HEADERS, frame, headers, request

NAMES = ["X-Consumer-ID", "X-Consumer-Custom-ID", "X-Consumer-Username", "X-Consumer-Groups", "X-Consumer-New",
         "X-Credential-Identifier", "X-Credential-Username", "X-Anonymous-Consumer", "X-Authenticated-Groups",
         "X-Authenticated-Scope", "X-Authenticated-Userid"]
KEY = ("apikey", "key-of-alice")


@contextlib.contextmanager
def gateway_of(*plugins):
    host, port = net.own_host(), net.free_port()
    with origin.Origin() as upstream:
        config = simple_config(upstream.url)
        config["plugins"] = list(plugins)
        config["consumers"] = [{"username": "alice", "keyauth_credentials": [{"key": KEY[1]}]}]
        with Gateway(config, {"proxy_listen": "%s:%d http2" % (host, port)}) as gateway:
            gateway.address = (host, port)
            yield gateway, upstream


def spellings(name):
    return {name, name.lower(), name.upper(), name.replace("-", "_"), name.lower().replace("-", "_", 1)}


def by_http1(gateway, fields, trailers):
    with gateway.connect() as c:
        text = b"POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n"
        text += b"".join(("%s: %s\r\n" % field).encode() for field in fields) + b"\r\n3\r\nabc\r\n0\r\n"
        c.send(text + b"".join(("%s: %s\r\n" % field).encode() for field in trailers) + b"\r\n")
        return c.read_head().status


def by_http2(gateway, fields, trailers):
    def lower(pairs):
        return [(name.lower(), value) for name, value in pairs]

    with http2.Connection(gateway.address) as c:
        c.send(headers(1, request(*lower(fields), method="POST"), END_HEADERS) + frame(DATA, 0, 1, b"abc")
               + frame(HEADERS, END_HEADERS | END_STREAM, 1, http2.block(lower(trailers))))
        return c.outcome(1)


WAYS = {"HTTP/1": by_http1, "HTTP/2": by_http2}


def test_nobody_is_known(t):
    with gateway_of() as (gateway, upstream):
        for way, ask in WAYS.items():
            for name in NAMES:
                with t.case("%s in %s" % (name, way)):
                    forged = [(spelling, "evil") for spelling in sorted(spellings(name))]
                    assert ask(gateway, forged, forged) == 200
                    assert b"evil" not in upstream.received, bytes(upstream.received)[-1000:]


def test_somebody_else_is_known(t):
    with gateway_of({"name": "key-auth"}) as (gateway, upstream):
        for way, ask in WAYS.items():
            with t.case(way):
                forged = [(spelling, "evil") for name in NAMES for spelling in sorted(spellings(name))]
                assert ask(gateway, [KEY] + forged[:40], forged[:40]) == 200
                assert ask(gateway, [KEY] + forged[40:], forged[40:]) == 200
                assert b"evil" not in upstream.received, bytes(upstream.received)[-3000:]
        assert upstream.received.lower().count(b"x-consumer-username: alice") == 4


def test_an_edit_of_the_administrator_stands(t):
    """Only the client may not say them: request-transformer may rename and remove them, and add others."""
    edits = {"rename": {"headers": ["X-Consumer-ID:X-Who"]}, "remove": {"headers": ["X-Consumer-Username"]},
             "add": {"headers": ["X-Consumer-Level:7"]}}
    with gateway_of({"name": "key-auth"}, {"name": "request-transformer", "config": edits}) as (gateway, upstream):
        for way, ask in WAYS.items():
            with t.case(way):
                del upstream.received[:]
                assert ask(gateway, [KEY, ("X-Consumer-Level", "evil"), ("X-Who", "mine")], []) == 200
                seen = bytes(upstream.received).lower()
                assert b"x-consumer-level: 7\r\n" in seen and b"evil" not in seen, seen
                assert b"x-consumer-username" not in seen and b"x-consumer-id" not in seen, seen
                assert seen.count(b"\r\nx-who: ") == 1 and b"x-who: mine" not in seen, seen
