# SPDX-License-Identifier: Apache-2.0
"""Signed requests: algorithms, what is signed, dates, bodies, and other plugins beside. Messages: tests/kong too."""
import base64
import hashlib
import hmac
import json
import time
from email.utils import formatdate

from tests.support import origin
from tests.support.gateway import Gateway, simple_config

SECRET = "a secret of some length"
UNVERIFIABLE, MISMATCH = "HMAC signature cannot be verified", "HMAC signature does not match"
UNTIMELY = UNVERIFIABLE + ", a valid date or x-date header is required for HMAC Authentication"


def config(url, *more, **options):
    out = simple_config(url)
    out["plugins"] = [{"name": "hmac-auth", "config": options}, *more]
    out["consumers"] = [
        {"username": "alice", "custom_id": "c1", "hmacauth_credentials": [{"username": "al\"ice", "secret": SECRET}],
         "keyauth_credentials": [{"key": "ka"}]},
        {"username": "guest"}]
    return out


def sign(lines, names, algorithm="sha256", username='al"ice', secret=SECRET):
    mac = hmac.new(secret.encode(), "\n".join(lines).encode(), algorithm).digest()
    return ('hmac username="%s", algorithm="hmac-%s", headers="%s", signature="%s"'
            % (username, algorithm, names, base64.b64encode(mac).decode()))


def now(offset=0):
    return formatdate(time.time() + offset, usegmt=True)


def signed(date=None, **how):
    date = date or now()
    return [("Date", date), ("Authorization", sign(["date: " + date], "date", **how))]


def check_refused(answer, message, challenge="hmac"):
    assert answer.status == 401, answer
    assert json.loads(answer.body)["message"] == message, answer
    assert answer.get("www-authenticate") == challenge, answer


def test_signatures(t):
    with origin.Origin() as upstream, Gateway(config(upstream.url)) as gateway:
        for algorithm in ("sha1", "sha256", "sha384", "sha512"):
            with t.case(algorithm):
                assert gateway.get("/", signed(algorithm=algorithm)).status == 200
                seen = upstream.one()
                assert seen.get("x-consumer-username") == "alice", seen
                assert seen.get("x-consumer-custom-id") == "c1", seen
                assert seen.get("x-credential-identifier") == 'al"ice', seen
                check_refused(gateway.get("/", signed(algorithm=algorithm, secret="other")), MISMATCH)
        date = now()
        everything = ["@request-target: post /a?b=c", "POST /a?b=c HTTP/1.1", "host: test", "x-none:",
                      "x-date: " + date]
        header = sign(everything, "@request-target request-line host x-none x-date")
        fields = [("X-Date", date), ("Proxy-Authorization", header), ("Authorization", "Basic YTpi")]
        with t.case("everything"):
            assert gateway.request("POST", "/a?b=c", fields).status == 200
            assert upstream.one().get("authorization") == "Basic YTpi"
        others = (("GET", "/a?b=c", "test"), ("POST", "/a?b=d", "test"), ("POST", "/a?b=c", "other"))
        for method, target, host in others:
            with t.case("another request: %s %s %s" % (method, target, host)):
                check_refused(gateway.request(method, target, fields, host=host), MISMATCH)
        with t.case("without padding"):
            fields = signed(date)
            assert fields[1][1].endswith('="')
            fields[1] = ("Authorization", fields[1][1][:-2] + '"')
            assert gateway.get("/", fields).status == 200


def refusals(date):
    """name, headers, message."""
    good = signed(date)[1][1]
    return [
        ("nothing", [], "Unauthorized"),
        ("no date", [("Authorization", good)], UNTIMELY),
        ("old", signed(now(-310)), UNTIMELY),
        ("of the future", signed(now(310)), UNTIMELY),
        ("no date at all", signed("yesterday"), UNTIMELY),
        ("other scheme", [("Date", date), ("Authorization", "Basic YTpi")], UNVERIFIABLE),
        ("other order", [("Date", date), ("Authorization", good.replace("algorithm", "algo"))], UNVERIFIABLE),
        ("unknown user", signed(username="bob"), UNVERIFIABLE),
        ("unknown algorithm", signed(algorithm="sha224"), UNVERIFIABLE),
        ("empty signature", [("Date", date), ("Authorization", good.partition("signature")[0] + 'signature=""')],
         UNVERIFIABLE),
        ("half a signature", [("Date", date), ("Authorization", good[:-20] + '"')], MISMATCH),
    ]


def test_refusals(t):
    with origin.Origin() as upstream, Gateway(config(upstream.url, realm="r")) as gateway:
        date = now()  # not before the start: what is "of the future" comes nearer
        for name, fields, message in refusals(date):
            with t.case(name):
                check_refused(gateway.get("/", fields), message, 'hmac realm="r"')
        with t.case("old Date, fresh X-Date"):
            assert gateway.get("/", signed(now(-900)) + [("X-Date", date)]).status == 200
        assert len(upstream.take()) == 1


def test_enforced_and_allowed(t):
    options = {"enforce_headers": ["date", "@request-target"], "algorithms": ["hmac-sha512"], "hide_credentials": True}
    with origin.Origin() as upstream, Gateway(config(upstream.url, **options)) as gateway:
        date = now()
        lines = ["date: " + date, "@request-target: get /"]
        with t.case("both"):
            good = sign(lines, "date @request-target", "sha512")
            assert gateway.get("/", [("Date", date), ("Authorization", good)]).status == 200
            assert upstream.one().get("authorization") is None
        with t.case("one of two"):
            check_refused(gateway.get("/", signed(date, algorithm="sha512")), UNVERIFIABLE)
        with t.case("another algorithm"):
            bad = sign(lines, "date @request-target", "sha256")
            check_refused(gateway.get("/", [("Date", date), ("Authorization", bad)]), UNVERIFIABLE)


def digest(body):
    return "SHA-256=" + base64.b64encode(hashlib.sha256(body).digest()).decode()


def test_bodies(t):
    settings = {"plugin_body_bytes": "100k"}
    with origin.Origin() as upstream, \
            Gateway(config(upstream.url, validate_request_body=True), settings) as gateway:
        for name, body in (("empty", b""), ("short", b"hello"), ("long", b"x" * 90000)):
            with t.case(name):
                fields = signed() + [("Digest", digest(body))]
                assert gateway.request("POST", "/", fields, body).status == 200
                assert upstream.one().body == body
        with t.case("chunked, in pieces"):
            head = "".join("%s: %s\r\n" % pair for pair in signed() + [("Digest", digest(b"hello"))])
            with gateway.connect() as connection:
                connection.send_split([b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n",
                                       head.encode() + b"\r\n2\r\nhe\r\n", b"3\r\nllo\r\n0\r\n\r\n"])
                assert connection.read("POST").status == 200
            assert upstream.one().body == b"hello"
        for name, body, fields in (("another body", b"hell0", [("Digest", digest(b"hello"))]),
                                   ("no digest", b"hello", []),
                                   ("another name", b"hello", [("Digest", digest(b"hello").lower())]),
                                   ("too long", b"x" * 110000, [("Digest", digest(b"x" * 110000))])):
            with t.case(name):
                check_refused(gateway.request("POST", "/", signed() + fields, body), MISMATCH)
        with t.case("no body, no digest"):
            assert gateway.get("/", signed()).status == 200
        assert len(upstream.take()) == 1


def test_beside_others(t):
    """With anonymous one of two is enough, without it both are needed; acl sees the consumer."""
    key = {"name": "key-auth", "config": {"anonymous": "guest"}}
    acl = {"name": "acl", "config": {"allow": ["nobody"]}}
    with origin.Origin() as upstream:
        with Gateway(config(upstream.url, key, anonymous="guest")) as gateway:
            for name, fields, who in (("key", [("apikey", "ka")], "alice"), ("signature", signed(), "alice"),
                                      ("neither", [], "guest"), ("bad signature", signed(secret="x"), "guest")):
                with t.case(name):
                    assert gateway.get("/", fields).status == 200
                    seen = upstream.one()
                    assert seen.get("x-consumer-username") == who, seen
                    assert seen.get("x-anonymous-consumer") == ("true" if who == "guest" else None), seen
        with Gateway(config(upstream.url, {"name": "key-auth"}, acl)) as gateway:
            with t.case("both are needed"):
                check_refused(gateway.get("/", [("apikey", "ka")]), "Unauthorized")
                assert gateway.get("/", [("apikey", "ka")] + signed()).status == 403
        with Gateway(config(upstream.url, anonymous="nobody")) as gateway:
            with t.case("no such anonymous consumer"):
                assert gateway.get("/").status == 500
