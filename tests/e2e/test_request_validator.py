# SPDX-License-Identifier: Apache-2.0
"""request-validator: what does not fit its schema does not reach the upstream."""
import json

from tests.support import client, origin
from tests.support.gateway import Folder, Gateway, run, simple_config

ORDER = {"type": "object", "required": ["amount"], "additionalProperties": False,
         "properties": {"amount": {"type": "number", "minimum": 1}, "note": {"type": "string", "pattern": "^[a-z ]*$"}}}
KONG = [{"name": {"type": "string", "required": True}}, {"age": {"type": "integer", "between": [0, 150]}}]
BODY, PARAM = "request body doesn't conform to schema", "request param doesn't conform to schema"
JSON = "application/json"


def configuration(url, *more, **config):
    out = simple_config(url, paths=["~/orders/(?<id>[^/]+)", "/"])
    out["services"][0]["plugins"] = [{"name": "request-validator", "config": config}] + list(more)
    return out


BODIES = [  # Content-Type, body, message
    (JSON, b'{"amount": 1.5}', None), (JSON, b'{"amount": 2, "note": "a b"}', None),
    (JSON, b'{"amount": 0}', BODY), (JSON, b'{"note": "x"}', BODY), (JSON, b'{"amount": 2, "note": "x\\n"}', BODY),
    (JSON, b'{"amount": 2, "more": 1}', BODY), (JSON, b'[]', BODY), (JSON, b'{"amount": 1', BODY), (JSON, b"", BODY),
    (JSON, b'{"amount": 2, "amount": 0}', BODY), (JSON, b'{"amount": "2"}', BODY),
    ("text/plain", b'{"amount": 1}', "specified Content-Type is not allowed"),
    (JSON + "; charset=utf-8", b'{"amount": 1}', "specified Content-Type is not allowed"),
    (None, b'{"amount": 1}', None),
]


def post(connection, kind, body, target="/"):
    headers = [("Content-Type", kind)] if kind else []
    return connection.exchange(client.encode("POST", target, headers, body=body))


def test_bodies(t):
    with origin.Origin() as upstream:
        with Gateway(configuration(upstream.url, version="draft7", body_schema=json.dumps(ORDER))) as gateway:
            for kind, body, message in BODIES:
                with t.case("%s %s" % (kind, body)), gateway.connect() as connection:
                    answer = post(connection, kind, body)
                    if message is None:
                        assert answer.status == 200 and upstream.one().body == body, answer
                    else:
                        assert (answer.status, json.loads(answer.body)) == (400, {"message": message}), answer
                        assert answer.get("Content-Type") == "application/json; charset=utf-8", answer
                        assert upstream.take() == []


def test_bodies_in_pieces(t):
    """Chunks, a slow sender, and a body beyond the limit."""
    config = dict(version="draft4", body_schema='{"type":"array","maxItems":1000,"items":{"type":"integer"}}')
    good, bad = json.dumps(list(range(1000))).encode(), json.dumps(list(range(1001))).encode()
    with origin.Origin() as upstream:
        with Gateway(configuration(upstream.url, **config), {"plugin_body_bytes": "16k"}) as gateway:
            for body, status in ((good, 200), (bad, 400), (b"[%s1]" % (b"1," * 20000), 413)):
                with t.case(str(status)), gateway.connect() as connection:
                    data = client.encode("POST", "/", [("Content-Type", JSON)], body=body)
                    connection.send_split([data[:100], data[100:2000], data[2000:]])
                    assert connection.read("POST").status == status
                    assert [r.body for r in upstream.take()] == ([body] if status == 200 else [])


def test_kongs_language(t):
    with origin.Origin() as upstream:
        config = configuration(upstream.url, body_schema=json.dumps(KONG), verbose_response=True)
        with Gateway(config) as gateway:
            rows = [(b'{"name": "x", "age": null}', None), (b'{"age": 1}', "property name is required"),
                    (b'{"name": "x", "age": 151}', "/age: expected a number to be no greater than 150"),
                    (b'{"name": "x", "b": 1}', "additional properties forbidden, found b")]
            for body, message in rows:
                with t.case(body.decode()), gateway.connect() as connection:
                    answer = post(connection, JSON, body)
                    assert answer.status == (400 if message else 200), answer
                    assert message is None or json.loads(answer.body) == {"message": message}, answer


PARAMETERS = [
    {"in": "path", "name": "id", "required": True, "schema": '{"type": "integer"}'},
    {"in": "query", "name": "tag", "required": False, "style": "form", "explode": False,
     "schema": '{"type": "array", "items": {"enum": ["a", "b"]}}'},
    {"in": "header", "name": "X-Mode", "required": True},
]
REQUESTS = [  # target, headers, what fails
    ("/orders/7", [("X-Mode", "x")], None), ("/orders/7?tag=a,b", [("x-mode", "")], None),
    ("/orders/x", [("X-Mode", "x")], "path 'id' validation failed: wrong type: expected integer, got string"),
    ("/other", [("X-Mode", "x")], "path 'id' validation failed: required parameter is missing"),
    ("/orders/7?tag=a,c", [("X-Mode", "x")], "query 'tag' validation failed: /1: matches none of the enum values"),
    ("/orders/7", [], "header 'X-Mode' validation failed: required parameter is missing"),
]


def test_parameters(t):
    with origin.Origin() as upstream:
        for verbose in (True, False):
            config = configuration(upstream.url, parameter_schema=PARAMETERS, verbose_response=verbose)
            with Gateway(config) as gateway:
                for target, headers, message in REQUESTS:
                    with t.case("%s %s" % (target, verbose)):
                        answer = gateway.get(target, headers)
                        assert answer.status == (400 if message else 200), answer
                        said = message if verbose else PARAM
                        assert message is None or json.loads(answer.body) == {"message": said}, answer
                        assert len(upstream.take()) == (0 if message else 1)


def test_behind_authentication(t):
    """Who is not known learns nothing about the schema."""
    with origin.Origin() as upstream:
        config = configuration(upstream.url, {"name": "key-auth"}, version="draft7", body_schema='{"type":"object"}')
        config["consumers"] = [{"username": "alice", "keyauth_credentials": [{"key": "k"}]}]
        with Gateway(config) as gateway, gateway.connect() as connection:
            assert post(connection, JSON, b"[]").status == 401
            data = client.encode("POST", "/", [("Content-Type", JSON), ("apikey", "k")], body=b"[]")
            assert connection.exchange(data).status == 400


BROKEN = [
    ({}, "at least one of these fields"),
    ({"body_schema": '[{"a": {"type": "text"}}]'}, "a field needs a type"),
    ({"version": "draft7", "body_schema": '{"$ref": "http://a.test/"}'}, "http://a.test/ is not in this document"),
    ({"parameter_schema": [{"in": "body", "name": "x", "required": True}]}, "expected one of: query, header, path"),
]


def test_what_is_refused(t):
    with Folder() as folder:
        for config, reason in BROKEN:
            with t.case(reason):
                text = json.dumps(configuration("http://127.0.0.1:1", **config))
                done = run("check", "-c", folder.file("kong.json", text))
                assert done.returncode == 1 and reason in done.stdout + done.stderr, done
