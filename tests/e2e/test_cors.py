# SPDX-License-Identifier: Apache-2.0
"""cors from the outside: preflights, the upstream's own headers, and the answers of other plugins. What single
requests are told is recorded from a real Kong (tests/kong/cases/cors.json)."""
import json

from tests.support import client, origin
from tests.support.gateway import Folder, Gateway, run, simple_config

A = "http://a.test"
PREFLIGHT = [("Origin", A), ("Access-Control-Request-Method", "PUT")]


def with_cors(url, config, *others):
    out = simple_config(url)
    out["services"][0]["plugins"] = [{"name": "cors", "config": config}, *others]
    return out


def allowed(answer):
    return answer.all("access-control-allow-origin")


def test_preflights(t):
    with origin.Origin() as upstream:
        with Gateway(with_cors(upstream.url, {"origins": [A], "max_age": 60})) as gateway:
            with gateway.connect() as c:
                answer = c.exchange(client.encode("OPTIONS", "/", PREFLIGHT))
                assert answer.status == 200 and answer.body == b"" and answer.get("content-length") == "0", answer
                assert allowed(answer) == [A] and answer.get("access-control-max-age") == "60", answer
                assert answer.all("vary") == ["Origin"] and answer.get("content-type") is None, answer
                assert upstream.take() == []
                # the connection is good for more
                assert c.exchange(client.encode("GET", "/")).status == 200
            upstream.take()
            for name, headers in (("no origin", PREFLIGHT[1:]), ("empty origin", [("Origin", ""), PREFLIGHT[1]]),
                                  ("no method", PREFLIGHT[:1])):
                with t.case(name):
                    answer = gateway.request("OPTIONS", "/", headers)
                    assert answer.status == 200 and answer.body == origin.BODY, answer
                    assert upstream.one().method == "OPTIONS"


def test_preflight_of_the_upstream(t):
    own = origin.answer(204, [("Access-Control-Allow-Origin", "x"), ("Vary", "Accept")])
    with origin.Origin(lambda request: own) as upstream:
        with Gateway(with_cors(upstream.url, {"origins": [A], "preflight_continue": True})) as gateway:
            answer = gateway.request("OPTIONS", "/", PREFLIGHT)
            assert answer.status == 204 and allowed(answer) == ["x"] and answer.all("vary") == ["Accept"], answer


def test_headers_of_the_upstream(t):
    """What the upstream says about origins gives way; its Vary stays."""
    own = origin.answer(headers=[("access-control-allow-origin", "x"), ("Vary", "Accept"),
                                 ("Access-Control-Allow-Credentials", "x")])
    rows = [
        ("one", {"origins": [A], "credentials": True}, A, [A], ["Accept", "Origin"], ["true"]),
        ("known", {"origins": [A, "http://b.test"]}, A, [A], ["Accept", "Origin"], ["x"]),
        ("unknown", {"origins": [A, "http://b.test"]}, "http://c.test", [], ["Accept", "Origin"], ["x"]),
        ("all", {}, A, ["*"], ["Accept"], ["x"]),
    ]
    for name, config, sent, told, vary, credentials in rows:
        with t.case(name), origin.Origin(lambda request: own) as upstream:
            with Gateway(with_cors(upstream.url, config)) as gateway:
                answer = gateway.get("/", [("Origin", sent)])
                assert answer.status == 200 and answer.body == origin.BODY, answer
                assert allowed(answer) == told and answer.all("vary") == vary, answer
                assert answer.all("access-control-allow-credentials") == credentials, answer


def test_with_other_plugins(t):
    """Preflights pass authentication, and refusals can be read by scripts."""
    with origin.Origin() as upstream:
        with Gateway(with_cors(upstream.url, {"origins": [A]}, {"name": "key-auth"})) as gateway:
            assert gateway.request("OPTIONS", "/", PREFLIGHT).status == 200
            answer = gateway.get("/", PREFLIGHT[:1])
            assert answer.status == 401 and allowed(answer) == [A] and answer.get("www-authenticate"), answer
        bots = {"name": "bot-detection", "config": {"deny": ["bad"]}}
        with Gateway(with_cors(upstream.url, {"origins": [A]}, bots)) as gateway:
            answer = gateway.request("OPTIONS", "/", PREFLIGHT + [("User-Agent", "bad")])
            assert answer.status == 403 and allowed(answer) == [A], answer
            assert answer.get("access-control-allow-methods") is None, answer
        assert upstream.take() == []


def test_global(t):
    """Attached to everything, it speaks even where no route is."""
    with origin.Origin() as upstream:
        config = simple_config(upstream.url, paths=["/only"])
        config["plugins"] = [{"name": "cors", "config": {"origins": [A]}}]
        with Gateway(config) as gateway:
            answer = gateway.get("/nowhere", PREFLIGHT[:1])
            assert answer.status == 404 and allowed(answer) == [A], answer


# name, config, what the error says
BROKEN = [
    ("expression", {"origins": ["http://(a"]}, "'http://(a' is not a valid regex"),
    ("method", {"methods": ["get"]}, "expected one of: GET, HEAD, PUT"),
    ("age", {"max_age": "1"}, "expected a number"),
    ("line end", {"exposed_headers": ["X-A\r\nX-B: c"]}, "no header may hold"),
    ("unknown", {"origin": ["*"]}, "unknown field"),
]


def test_what_is_refused(t):
    for name, config, reason in BROKEN:
        with t.case(name), Folder() as folder:
            path = folder.file("kong.json", json.dumps(with_cors("http://a.test", config)))
            done = run("check", "-c", path)
            assert done.returncode == 1 and reason in done.stdout + done.stderr, done
