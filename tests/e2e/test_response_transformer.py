# SPDX-License-Identifier: Apache-2.0
"""response-transformer: what the client sees instead of what the upstream answered."""
import json

from tests.support import client, origin
from tests.support.gateway import Gateway, simple_config

HEADERS = {"remove": {"headers": ["X-A", "Server"]}, "rename": {"headers": ["X-B:X-C"]},
           "replace": {"headers": ["X-D:new", "X-None:new"]}, "add": {"headers": ["X-D:no", "X-E:e:f", "Via:no"]},
           "append": {"headers": ["X-D:more"]}}
BODY = {"remove": {"json": ["a"]}, "rename": {"json": ["b:c"]}, "add": {"json": ["n:1.50"], "json_types": ["number"]}}


def transformer(**config):
    return {"name": "response-transformer", "config": config}


def with_plugins(url, *plugins):
    out = simple_config(url)
    out["services"][0]["plugins"] = list(plugins)
    return out


def reply(request):
    """What X-Reply asks for: JSON of headers, body and the number of pieces it is sent in."""
    wish = json.loads(request.get("x-reply", "{}"))
    body = wish.get("body", '{"a": 1, "b": [1,  2]}').encode()
    if wish.get("filler"):
        body = b'{"a":1,"k":"%s"}' % (b"x" * wish["filler"])
    headers = [tuple(pair) for pair in wish.get("headers", [])]
    kind = wish.get("type", "application/json")
    if wish.get("pieces"):
        size = -(-len(body) // wish["pieces"])
        parts = [body[i:i + size] for i in range(0, len(body), size)]
        data = origin.chunked(parts, headers=headers + [("Content-Type", kind)])
    else:
        data = origin.answer(headers=headers, body=body, content_type=kind, status=wish.get("status", 200))
    return data[:data.index(b"\r\n\r\n") + 4] if request.method == "HEAD" else data


def ask(gateway, method="GET", **wish):
    with gateway.connect() as connection:
        return connection.exchange(client.encode(method, "/", [("X-Reply", json.dumps(wish))]))


def test_headers(t):
    with origin.Origin(reply) as upstream, Gateway(with_plugins(upstream.url, transformer(**HEADERS))) as gateway:
        fields = [["X-A", "1"], ["X-B", "1"], ["X-B", "2"], ["X-D", "1"], ["X-D", "2"]]
        for method in ("GET", "HEAD"):
            with t.case(method):
                answer = ask(gateway, method, headers=fields)
                assert answer.get("X-A") is None and answer.get("X-B") is None, answer
                assert answer.fields.all("X-C") == ["1", "2"], answer
                assert answer.fields.all("X-D") == ["new", "more"] and answer.get("X-E") == "e:f", answer
                assert "no" not in answer.fields.all("Via"), answer
                assert answer.body == (b'{"a": 1, "b": [1,  2]}' if method == "GET" else b""), answer


# name, wish, body
BODIES = [
    ("object", {}, b'{"c":[1,  2],"n":1.50}'),
    ("in pieces", {"pieces": 20}, b'{"c":[1,  2],"n":1.50}'),
    ("vendor", {"type": "application/vnd.x+json;v=1"}, b'{"c":[1,  2],"n":1.50}'),
    ("error", {"status": 500}, b'{"c":[1,  2],"n":1.50}'),
    ("array", {"body": '[{"a":1}]'}, b'[{"a":1}]'),
    ("broken", {"body": '{"a":1'}, b'{"a":1'),
    ("text", {"type": "text/plain"}, b'{"a": 1, "b": [1,  2]}'),
    ("empty", {"body": ""}, b""),
    ("compressed", {"headers": [["Content-Encoding", "x"]]}, b'{"a": 1, "b": [1,  2]}'),
]


def test_bodies(t):
    with origin.Origin(reply) as upstream, Gateway(with_plugins(upstream.url, transformer(**BODY))) as gateway:
        for name, wish, body in BODIES:
            with t.case(name):
                answer = ask(gateway, **wish)
                assert answer.status == wish.get("status", 200) and answer.body == body, answer
        with t.case("HEAD"):
            answer = ask(gateway, "HEAD")
            assert (answer.status, answer.body) == (200, b""), answer
        with t.case("long"):
            answer = ask(gateway, pieces=30, filler=3000000)
            assert answer.body == b'{"k":"%s","n":1.50}' % (b"x" * 3000000), len(answer.body)


def test_a_body_beyond_the_limit(t):
    """It passes byte by byte as it is."""
    body = b'{"a":1,"k":"%s"}' % (b"x" * (9 << 20))

    def long(_):
        return origin.answer(body=body)

    with origin.Origin(long) as upstream, Gateway(with_plugins(upstream.url, transformer(**BODY))) as gateway:
        answer = gateway.get("/")
        assert answer.body == body, len(answer.body)


def test_own_answers(t):
    """A refusal is changed like any other response, and the upstream is not asked."""
    plugins = ({"name": "key-auth"}, transformer(add={"headers": ["X-E:e"], "json": ["code:401"]},
                                                 remove={"json": ["request_id"]}))
    with origin.Origin(reply) as upstream, Gateway(with_plugins(upstream.url, *plugins)) as gateway:
        answer = gateway.get("/")
        assert answer.status == 401 and answer.get("X-E") == "e", answer
        assert json.loads(answer.body) == {"message": "No API key found in request", "code": "401"}, answer
        assert upstream.take() == []


def test_beside_request_transformer(t):
    with origin.Origin(reply) as upstream:
        plugins = ({"name": "request-transformer", "config": {"add": {"headers": ["X-Reply:{\"type\":\"text/x\"}"]}}},
                   transformer(add={"headers": ["X-E:e"]}))
        with Gateway(with_plugins(upstream.url, *plugins)) as gateway:
            answer = gateway.get("/")
            assert answer.get("Content-Type") == "text/x" and answer.get("X-E") == "e", answer
