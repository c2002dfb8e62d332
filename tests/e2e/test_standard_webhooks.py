# SPDX-License-Identifier: Apache-2.0
"""standard-webhooks: only calls that are signed and recent get through, with their bodies as they were."""
import base64
import hashlib
import hmac
import time

from tests.support import client, origin
from tests.support.gateway import Gateway, simple_config

SECRET = "not-so-secret"


def config_of(url, **config):
    out = simple_config(url)
    out["services"][0]["plugins"] = [{"name": "standard-webhooks", "config": {"secret_v1": SECRET, **config}}]
    return out


def sign(body, ident="msg_1", moment=None, secret=SECRET):
    """The headers of a call."""
    moment = str(int(time.time()) if moment is None else moment)
    text = ("%s.%s." % (ident, moment)).encode() + body
    mac = base64.b64encode(hmac.new(secret.encode(), text, hashlib.sha256).digest()).decode()
    return [("webhook-id", ident), ("webhook-timestamp", moment), ("webhook-signature", "v1," + mac)]


def without(headers, name):
    return [h for h in headers if h[0] != name]


def calls(body):
    """name, headers, body that is sent, status."""
    good, now = sign(body), int(time.time())
    signature = dict(good)["webhook-signature"]
    return [
        ("good", good, body, 200),
        ("old enough", sign(body, moment=now - 250), body, 200),
        ("too old", sign(body, moment=now - 310), body, 400),
        ("too new", sign(body, moment=now + 310), body, 400),
        ("other secret", sign(body, secret="x"), body, 400),
        ("other body", good, body + b" ", 400),
        ("other id", [("webhook-id", "msg_2")] + good[1:], body, 400),
        ("one of two", good[:2] + [("webhook-signature", "v1,AAAA " + signature)], body, 200),
        ("no number", good[:1] + [("webhook-timestamp", "soon")] + good[2:], body, 400),
        ("no body", sign(b""), b"", 400),
        *(("no " + name, without(good, name), body, 400) for name, _ in good),
    ]


def test_calls(t):
    with origin.Origin() as upstream, Gateway(config_of(upstream.url)) as gateway:
        for name, headers, sent, status in calls(b'{"type":"paid"}'):  # not before the start: "too new" ages
            with t.case(name):
                answer = gateway.request("POST", "/hook", headers, sent)
                assert answer.status == status, answer
                if status == 200:
                    assert upstream.one().body == sent
                else:
                    assert upstream.take() == [] and b'"message":"Bad request"' in answer.body, answer


def test_bodies_in_pieces(t):
    """A body that comes late, in chunks or is large, is waited for and sent on whole."""
    large = bytes(range(256)) * 1200
    with origin.Origin() as upstream, Gateway(config_of(upstream.url)) as gateway:
        with t.case("late"), gateway.connect() as c:
            head = client.encode("POST", "/", sign(b"hello") + [("Content-Length", "5")])
            c.send(head).send(b"he")
            assert c.is_open()
            assert c.exchange(b"llo", "POST").status == 200
            assert upstream.one().body == b"hello"
        with t.case("chunks"), gateway.connect() as c:
            head = client.encode("POST", "/", sign(b"hello") + [("Transfer-Encoding", "chunked")])
            c.send(head).send(b"2\r\nhe\r\n")
            assert c.exchange(b"3\r\nllo\r\n0\r\n\r\n", "POST").status == 200
            assert upstream.one().body == b"hello"
        with t.case("large"):
            assert gateway.request("POST", "/", sign(large), large).status == 200
            assert upstream.one().body == large
    with origin.Origin() as upstream:
        with Gateway(config_of(upstream.url), {"plugin_body_bytes": "64k"}) as gateway:
            with t.case("too large"):
                assert gateway.request("POST", "/", sign(large), large).status == 413
                assert upstream.take() == []


def test_tolerance(t):
    with origin.Origin() as upstream:
        with Gateway(config_of(upstream.url, tolerance_second=100000)) as gateway:
            headers = sign(b"x", moment=int(time.time()) - 90000)
            assert gateway.request("POST", "/", headers, b"x").status == 200
