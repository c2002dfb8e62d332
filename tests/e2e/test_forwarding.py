# SPDX-License-Identifier: Apache-2.0
"""What the gateway adds to, changes in and removes from requests and answers, and its own error bodies."""
import json
import re
import threading

from tests.support import client, dns, origin
from tests.support.gateway import Gateway, simple_config

ID = "[0-9a-f]{32}"

# name, client headers, fields at the origin (None = absent)
REQUEST_FIELDS = [
    ("plain", [], {"x-forwarded-for": "127.0.0.1", "x-real-ip": "127.0.0.1", "x-forwarded-proto": "http",
                   "x-forwarded-host": "test", "x-forwarded-path": "/in/x", "x-forwarded-prefix": "/in",
                   "connection": "keep-alive", "x-forwarded-port": "PORT"}),
    ("forwarded from outside",
     [("X-Forwarded-For", "1.2.3.4"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "evil"),
      ("X-Forwarded-Port", "1"), ("X-Real-IP", "1.2.3.4"), ("X-Forwarded-Path", "/evil"),
      ("X-Forwarded-Prefix", "/evil")],
     {"x-forwarded-for": "1.2.3.4, 127.0.0.1", "x-forwarded-proto": "http", "x-forwarded-host": "test",
      "x-forwarded-port": "PORT", "x-real-ip": "127.0.0.1", "x-forwarded-path": "/in/x",
      "x-forwarded-prefix": "/in"}),
    ("named in Connection", [("Connection", "X-Hop"), ("X-Hop", "1"), ("X-Stay", "2")],
     {"x-hop": None, "x-stay": "2", "connection": "keep-alive"}),
    ("hop by hop", [("Keep-Alive", "timeout=5"), ("Proxy-Connection", "keep-alive"), ("Proxy", "evil")],
     {"keep-alive": None, "proxy-connection": None, "proxy": None}),
    ("TE trailers", [("TE", "trailers, deflate")], {"te": "trailers"}),
    ("TE other", [("TE", "deflate")], {"te": None}),
    ("Upgrade other", [("Connection", "Upgrade"), ("Upgrade", "h2c")], {"upgrade": None}),
    ("Via", [("Via", "1.0 fred")], {"via": "1.0 fred, 1.1 SERVER"}),
    ("no Via", [], {"via": "1.1 SERVER"}),
    ("Authorization passes", [("Authorization", "Basic eDp5")], {"authorization": "Basic eDp5"}),
]


def fill(value, gateway):
    return re.escape(value).replace("PORT", str(gateway.port)).replace("SERVER", "sluice/[0-9][^ ,]*")


def test_request_fields(t):
    with origin.Origin() as upstream:
        with Gateway(simple_config(upstream.url, paths=["/in"], strip_path=True)) as gateway:
            for name, headers, want in REQUEST_FIELDS:
                with t.case(name):
                    assert gateway.get("/in/x", headers).status == 200
                    seen = upstream.one()
                    for field, value in want.items():
                        got = seen.get(field)
                        ok = got is None if value is None else re.fullmatch(fill(value, gateway), got or "")
                        assert ok, "%s is %r, want %r" % (field, got, value)


def test_identity_fields_named_in_connection(t):
    """A client cannot remove what the gateway says by naming it in Connection; refusing is fine."""
    with origin.Origin() as upstream, Gateway(simple_config(upstream.url)) as gateway:
        for field in ("Host", "X-Forwarded-For", "X-Real-IP", "Content-Length"):
            with t.case(field):
                upstream.take()
                answer = gateway.request("POST", "/", [("Connection", field)], b"abc")
                assert answer.status in (200, 400), answer
                if answer.status == 200:
                    seen = upstream.one()
                    assert seen.body == b"abc" and field.lower() in seen.fields, seen


def test_fields_keep_order_and_number(t):
    pairs = [("X-B", "1"), ("X-A", "2"), ("Cookie", "a=1"), ("X-B", "3"), ("Cookie", "b=2"), ("x-Case", "4")]
    with origin.Origin() as upstream, Gateway(simple_config(upstream.url)) as gateway:
        assert gateway.get("/", pairs).status == 200
        seen = [(k, v) for k, v in upstream.one().fields.pairs if (k, v) in pairs]
        assert seen == pairs, seen


def test_host(t):
    rows = [("service", False, "test:99", "%s:%d"), ("preserved", True, "Test:99", "Test:99")]
    with origin.Origin() as upstream:
        for name, preserve, host, want in rows:
            with t.case(name), Gateway(simple_config(upstream.url, preserve_host=preserve)) as gateway:
                assert gateway.get("/", host=host).status == 200
                assert upstream.one().get("host") == (want if preserve else want % upstream.address)


def test_answer_fields(t):
    with origin.Origin() as upstream, Gateway(simple_config(upstream.url)) as gateway:
        answer = gateway.get("/")
        seen = upstream.one()
        for name, pattern in (("via", "1.1 sluice/[0-9].*"), ("server", "sluice/[0-9].*"), ("date", ".+ GMT"),
                              ("x-kong-upstream-latency", "[0-9]+"), ("x-kong-proxy-latency", "[0-9]+"),
                              ("x-kong-request-id", ID)):
            with t.case(name):
                assert re.fullmatch(pattern, answer.get(name, "")), answer
        with t.case("one id on both sides"):
            assert seen.get("x-kong-request-id") == answer.get("x-kong-request-id")
        with t.case("not our latency"):
            assert "x-kong-response-latency" not in answer.fields


def test_request_ids_differ(t):
    with origin.Origin() as upstream, Gateway(simple_config(upstream.url)) as gateway:
        with gateway.connect() as c:
            data = client.encode("GET", "/")
            ids = [c.exchange(data).get("x-kong-request-id") for _ in range(500)]
        assert len(set(ids)) == 500


# the setting `headers`, and what a proxied answer has then
HEADERS_SETTING = [
    ("off", set()),
    ("server_tokens", {"via", "server"}),
    ("latency_tokens", {"x-kong-upstream-latency", "x-kong-proxy-latency"}),
    ("X-Kong-Request-Id", {"x-kong-request-id"}),
]


def test_headers_setting(t):
    every = set().union(*(names for _, names in HEADERS_SETTING))
    with origin.Origin() as upstream:
        for setting, want in HEADERS_SETTING:
            with t.case(setting), Gateway(simple_config(upstream.url), {"headers": setting}) as gateway:
                got = {name for name in every if name in gateway.get("/").fields}
                assert got == want, got


def test_trusted_peer(t):
    """From a trusted address the X-Forwarded-* of the client are believed."""
    given = [("X-Forwarded-For", "1.2.3.4"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Port", "444"),
             ("X-Forwarded-Host", "front.example"), ("X-Real-IP", "9.9.9.9")]
    want = {"x-forwarded-for": "1.2.3.4, 127.0.0.1", "x-forwarded-proto": "https", "x-real-ip": "9.9.9.9",
            "x-forwarded-host": "front.example", "x-forwarded-port": "444"}
    with origin.Origin() as upstream:
        with Gateway(simple_config(upstream.url), {"trusted_ips": "127.0.0.0/8"}) as gateway:
            gateway.get("/", given)
            seen = upstream.one()
            for name, value in want.items():
                with t.case(name):
                    assert seen.get(name) == value, seen


MESSAGE = "no Route matched with those values"
JSON = '{\n  "message":"%s",\n  "request_id":"(%s)"\n}' % (MESSAGE, ID)
TEXT = "%s\nrequest_id: (%s)\n" % (MESSAGE, ID)
XML = '<\\?xml version="1.0" encoding="UTF-8"\\?>\n<error>\n  <message>%s</message>\n' \
      '  <requestid>(%s)</requestid>\n</error>\n?' % (MESSAGE, ID)

# Accept, content type, body
ERROR_BODIES = [
    (None, "application/json", JSON),
    ("*/*", "application/json", JSON),
    ("application/json", "application/json", JSON),
    ("text/plain", "text/plain", TEXT),
    ("text/*", "text/plain", TEXT),
    ("application/xml", "application/xml", XML),
    ("text/html", "text/html", "(?s).*<h1>Error</h1>.*<p>%s.</p>.*<p>request_id: (%s)</p>.*" % (MESSAGE, ID)),
    ("text/html;q=0.1, application/xml;q=0.9", "application/xml", XML),
    ("image/png", "application/json", JSON),
]


def test_error_bodies(t):
    with Gateway(simple_config("http://127.0.0.1:1", hosts=["elsewhere.test"])) as gateway:
        for accept, content_type, body in ERROR_BODIES:
            with t.case(str(accept)):
                answer = gateway.get("/", [("Accept", accept)] if accept else [])
                assert answer.status == 404, answer
                assert answer.get("content-type") == content_type + "; charset=utf-8", answer
                match = re.fullmatch(body, answer.body.decode())
                assert match, answer.body
                assert match[1] == answer.get("x-kong-request-id"), answer


def test_error_answers(t):
    """Status and message of what goes wrong before an upstream answers."""
    release = threading.Event()

    def handler(request):
        if request.target == "/slow":
            release.wait(20)

    with origin.Origin(handler) as upstream, dns.Server() as names:
        config = simple_config(upstream.url)
        for name, url, more in (("slow", upstream.url + "/slow", {"read_timeout": 300}),
                                ("dead", "http://127.0.0.1:1", {}), ("nodns", "http://does-not-exist.invalid", {})):
            config["services"].append({"name": name, "url": url, "retries": 0, **more,
                                       "routes": [{"name": name, "paths": ["/" + name]}]})
        config["routes"] = [{"name": "nothing", "paths": ["/noservice"]}]
        with Gateway(config, {"dns_resolver": names.address}) as gateway:
            for target, status, message in (
                    ("/dead", 502, "An invalid response was received from the upstream server"),
                    ("/hang", 502, "An invalid response was received from the upstream server"),
                    ("/slow", 504, "The upstream server is timing out"),
                    ("/nodns", 503, "name resolution failed"),
                    ("/noservice", 503, "no Service found with those values")):
                with t.case(target):
                    answer = gateway.get(target, [("Accept", "application/json")])
                    assert answer.status == status, answer
                    assert json.loads(answer.body)["message"] == message, answer
                    assert re.fullmatch("sluice/.+", answer.get("server", "")), answer
            release.set()
