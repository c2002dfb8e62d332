# SPDX-License-Identifier: Apache-2.0
"""request-transformer: what the upstream sees instead of what the client sent."""
import json

from tests.support import client, origin
from tests.support.gateway import Folder, Gateway, run, simple_config

FORM = ("Content-Type", "application/x-www-form-urlencoded")
JSON = ("Content-Type", "application/json")


def with_plugins(url, *plugins, **route):
    out = simple_config(url, **route)
    out["services"][0]["plugins"] = list(plugins)
    return out


def transformer(**config):
    return {"name": "request-transformer", "config": config}


# name, config, (method, target, headers, body), (method, target, headers that must be so, body)
ROWS = [
    ("remove", {"remove": {"headers": ["x-a"], "querystring": ["a"], "body": ["a"]}},
     ("POST", "/p?a=1&b=2", [("X-A", "1"), ("X-B", "2"), FORM], b"a=1&b=%20"),
     ("POST", "/p?b=2", {"X-A": None, "X-B": "2"}, b"b=%20")),
    ("rename", {"rename": {"headers": ["X-A:X-B"], "querystring": ["a:b"], "body": ["a:b"]}},
     ("POST", "/p?a=1&b=2", [("X-A", "1"), JSON], b'{"a": 1.50, "c": [1,  2]}'),
     ("POST", "/p?b=1", {"X-A": None, "X-B": "1"}, b'{"b":1.50,"c": [1,  2]}')),
    ("replace", {"replace": {"headers": ["X-A:n", "X-N:n", "Host:other.test"], "querystring": ["a:n"]}},
     ("GET", "/p?a=1&a=2&c=+", [("X-A", "1"), ("X-A", "2")], b""),
     ("GET", "/p?a=n&c=%20", {"X-A": "n", "X-N": None, "Host": "other.test"}, b"")),
    ("add", {"add": {"headers": ["X-A:n", "X-N:v:w"], "querystring": ["a:n", "n:v w"], "body": ["n:v"]}},
     ("PUT", "/p?a=1", [("X-A", "1"), JSON], b"{}"),
     ("PUT", "/p?a=1&n=v%20w", {"X-A": "1", "X-N": "v:w"}, b'{"n":"v"}')),
    ("append to an empty body", {"append": {"body": ["n:v"]}}, ("POST", "/p", [JSON], b""),
     ("POST", "/p", {"Content-Length": "11"}, b'{"n":["v"]}')),
    ("no body is made for another type", {"add": {"body": ["n:v"]}},
     ("POST", "/p", [("Content-Type", "text/plain")], b"text"), ("POST", "/p", {}, b"text")),
    ("method", {"http_method": "GET"}, ("POST", "/p?a=1", [FORM], b"f=x%20y"),
     ("GET", "/p?a=1&f=x%20y", {}, b"f=x%20y")),
    ("path", {"replace": {"uri": "/new path/%41?fixed=1"}}, ("GET", "/p?a=1", [], b""),
     ("GET", "/new%20path/%41?fixed=1&a=1", {}, b"")),
    ("templates", {"remove": {"headers": ["X-A"]},
                   "add": {"headers": ["X-T:$(headers.x_a)-$(query_params.q or 'd')", "X-N:$(headers.none)"]}},
     ("GET", "/p?q=%41", [("X-A", "1")], b""), ("GET", "/p?q=%41", {"X-A": None, "X-T": "1-A", "X-N": ""}, b"")),
    ("a template that is wrapped in a function",
     {"add": {"headers": ["X-User:$((function() local v = headers.authorization if not v then return 'nobody' end "
                          "return v:gsub('^Basic%s+', ''):upper() end)())"]}},
     ("GET", "/p", [("Authorization", "Basic abc")], b""), ("GET", "/p", {"X-User": "ABC"}, b"")),
    ("captures", {"replace": {"uri": "/v/$(uri_captures.id)/$(uri_captures[2])"}},
     ("GET", "/u/7/a%20b?x=1", [], b""), ("GET", "/v/7/a%20b?x=1", {}, b"")),
    ("a line end in a value", {"add": {"headers": ["X-T:$(query_params.q)"]}},
     ("GET", "/p?q=a%0d%0aX-Evil:1", [], b""),
     ("GET", "/p?q=a%0d%0aX-Evil:1", {"X-T": "a%0D%0AX-Evil:1", "X-Evil": None}, b"")),
]


def test_rows(t):
    with origin.Origin() as upstream:
        for name, config, sent, seen in ROWS:
            paths = ["~/u/(?<id>[0-9]+)/(.*)", "/"]
            with t.case(name), Gateway(with_plugins(upstream.url, transformer(**config), paths=paths)) as gateway:
                with gateway.connect() as connection:
                    method, target, headers, body = sent
                    answer = connection.exchange(client.encode(method, target, headers, body=body or None))
                    assert answer.status == 200, answer
                request = upstream.one()
                assert (request.method, request.target, request.body) == (seen[0], seen[1], seen[3]), request
                for field, value in seen[2].items():
                    assert request.get(field) == value, (field, request)


def test_bodies_in_pieces(t):
    """A body that comes slowly, in chunks or with a length, arrives changed and with its new length."""
    config = transformer(add={"body": ["n:v"]})
    members = ",".join('"k%d":"%s"' % (i, "x" * 1000) for i in range(200))
    body = ("{%s}" % members).encode()
    wanted = body[:-1] + b',"n":"v"}'
    with origin.Origin() as upstream, Gateway(with_plugins(upstream.url, config)) as gateway:
        for framing in ("length", "chunked"):
            with t.case(framing), gateway.connect() as connection:
                if framing == "length":
                    data = client.encode("POST", "/p", [JSON], body=body)
                else:
                    data = client.encode("POST", "/p", [JSON, ("Transfer-Encoding", "chunked")])
                    data += b"".join(b"%x\r\n%s\r\n" % (len(body[i:i + 7000]), body[i:i + 7000])
                                     for i in range(0, len(body), 7000)) + b"0\r\n\r\n"
                connection.send_split([data[:300], data[300:50000], data[50000:]])
                assert connection.read("POST").status == 200
                request = upstream.one()
                assert request.body == wanted and request.get("Content-Length") == str(len(wanted)), request


def test_bodies_that_are_too_long(t):
    """Beyond plugin_body_bytes they pass as they are; headers are changed nevertheless."""
    config = with_plugins(None, transformer(add={"body": ["n:v"], "headers": ["X-N:v"]}))
    with origin.Origin() as upstream:
        config["services"][0]["url"] = upstream.url
        with Gateway(config, {"plugin_body_bytes": "1k"}) as gateway, gateway.connect() as connection:
            body = b'{"k":"%s"}' % (b"x" * 2000)
            assert connection.exchange(client.encode("POST", "/p", [JSON], body=body)).status == 200
            request = upstream.one()
            assert request.body == body and request.get("X-N") == "v", request


def test_behind_authentication(t):
    """What authentication adds can be moved, and its refusal comes first."""
    plugins = ({"name": "key-auth"}, transformer(rename={"headers": ["X-Consumer-Username:X-User"]},
                                                 add={"headers": ["X-Who:$(headers.x_consumer_username)"]}))
    with origin.Origin() as upstream:
        config = with_plugins(upstream.url, *plugins)
        config["consumers"] = [{"username": "alice", "keyauth_credentials": [{"key": "k"}]}]
        with Gateway(config) as gateway:
            assert gateway.get("/p").status == 401 and upstream.take() == []
            assert gateway.get("/p", [("apikey", "k")]).status == 200
            request = upstream.one()
            assert request.get("X-User") == "alice" and request.get("X-Who") == "alice", request
            assert request.get("X-Consumer-Username") is None, request


def test_templates_that_fail(t):
    """Where Lua would raise an error, the client gets Kong's 500, and the upstream nothing."""
    with origin.Origin() as upstream:
        config = with_plugins(upstream.url, transformer(add={"headers": ["X-T:$(headers.none:upper())"]}))
        with Gateway(config) as gateway:
            answer = gateway.get("/p")
            assert answer.status == 500 and b"An unexpected error occurred" in answer.body, answer
        assert upstream.take() == []


BROKEN = [
    ({"add": {"headers": ["X-T:$(nofunc())"]}}, "config.add.headers[0]", "unknown name 'nofunc', at nofunc())"),
    ({"replace": {"uri": "/$(headers.a .. )"}}, "config.replace.uri", "')' is not supported here"),
    ({"add": {"querystring": ["nocolon"]}}, "config.add.querystring[0]", "invalid value: nocolon"),
    ({"add": {"headers": ["a b:c"]}}, "config.add.headers[0]", "'a b' is not a valid header"),
    ({"http_method": "get"}, "config.http_method", "invalid value: get"),
]


def test_what_is_refused(t):
    with Folder() as folder:
        for config, path, reason in BROKEN:
            with t.case(path + " " + reason):
                text = json.dumps(with_plugins("http://127.0.0.1:1", transformer(**config)))
                done = run("check", "-c", folder.file("kong.json", text))
                assert done.returncode == 1, done
                assert path in done.stdout + done.stderr and reason in done.stdout + done.stderr, done
