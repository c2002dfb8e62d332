# SPDX-License-Identifier: Apache-2.0
"""route-by-header: headers choose the upstream."""
import json

from tests.support import origin
from tests.support.gateway import Folder, Gateway, run, simple_config


def with_rules(url, rules, *others):
    out = simple_config(url)
    out["services"][0]["plugins"] = [{"name": "route-by-header", "config": {"rules": rules}}, *others]
    return out


def named(text):
    return origin.Origin(lambda request: origin.answer(body=text))


# name, headers, where it goes
ROWS = [
    ("one header", [("Location", "us-east")], b"east"),
    ("any case of the name", [("LOCATION", "us-east")], b"east"),
    ("the case of the value counts", [("Location", "US-east")], b"main"),
    ("two headers", [("location", "us-west"), ("plan", "gold")], b"west"),
    ("one of two", [("location", "us-west")], b"main"),
    ("first rule", [("location", "us-east"), ("plan", "gold")], b"east"),
    ("none", [], b"main"),
]


def test_rules(t):
    with named(b"main") as main, named(b"east") as east, named(b"west") as west:
        config = with_rules(main.url, [
            {"condition": {"location": "us-east"}, "upstream_name": "east.test"},
            {"condition": {"location": "us-west", "plan": "gold"}, "upstream_name": "west.test"}])
        config["upstreams"] = [
            {"name": "east.test", "targets": [{"target": "%s:%d" % east.address}]},
            {"name": "west.test", "targets": [{"target": "%s:%d" % west.address}]}]
        with Gateway(config) as gateway:
            for name, headers, where in ROWS:
                with t.case(name):
                    answer = gateway.get("/x?y", headers)
                    assert (answer.status, answer.body) == (200, where), answer
                    seen = {b"main": main, b"east": east, b"west": west}[where].one()
                    assert seen.target == "/x?y", seen


def test_a_host_has_the_port_of_the_service(t):
    with named(b"main") as main:
        rules = [{"condition": {"a": "b"}, "upstream_name": main.host}]
        with Gateway(with_rules("http://127.0.0.99:%d" % main.port, rules)) as gateway:
            assert gateway.get("/", [("a", "b")]).body == b"main"


def test_with_canary(t):
    with named(b"main") as main, named(b"east") as east, named(b"new") as new:
        canary = {"name": "canary", "config": {"canary_by_header_name": "x-canary", "percentage": 0,
                                               "upstream_host": new.host, "upstream_port": new.port}}
        config = with_rules(main.url, [{"condition": {"a": "b"}, "upstream_name": "east.test"}], canary)
        config["upstreams"] = [{"name": "east.test", "targets": [{"target": "%s:%d" % east.address}]}]
        with Gateway(config) as gateway:
            for headers, where in (([], b"main"), ([("a", "b")], b"east"), ([("x-canary", "always")], b"new"),
                                   ([("a", "b"), ("x-canary", "always")], b"new")):
                assert gateway.get("/", headers).body == where, headers


# name, rules, what the error says
BROKEN = [
    ("no condition", [{"upstream_name": "a"}], "required field missing"),
    ("empty condition", [{"condition": {}, "upstream_name": "a"}], "length must be at least 1"),
    ("no upstream", [{"condition": {"a": "b"}}], "required field missing"),
    ("bad header", [{"condition": {"a b": "c"}, "upstream_name": "a"}], "a b"),
    ("bad host", [{"condition": {"a": "b"}, "upstream_name": "http://a"}], "invalid"),
    ("a text", "x", "expected an array"),
]


def test_what_is_refused(t):
    for name, rules, reason in BROKEN:
        with t.case(name), Folder() as folder:
            path = folder.file("kong.json", json.dumps(with_rules("http://a.test", rules)))
            done = run("check", "-c", path)
            assert done.returncode == 1 and reason in done.stdout + done.stderr, done
