# SPDX-License-Identifier: Apache-2.0
"""redirect: clients are sent elsewhere, and only where the configuration says."""
from tests.support import client, origin
from tests.support.gateway import Gateway, simple_config

# name, config, target, status, Location
ROWS = [
    ("as written", {"location": "https://a.test/x?y#z"}, "/p?q", 301, "https://a.test/x?y#z"),
    ("status", {"location": "https://a.test", "status_code": 308}, "/", 308, "https://a.test"),
    ("any status", {"location": "https://a.test", "status_code": 403}, "/", 403, "https://a.test"),
    ("path", {"location": "https://a.test", "keep_incoming_path": True}, "/p/q", 301, "https://a.test/p/q"),
    ("path and query", {"location": "https://a.test/x?y", "keep_incoming_path": True}, "/p?q=1&q=%20", 301,
     "https://a.test/p?q=1&q=%20"),
    ("normal form", {"location": "https://a.test", "keep_incoming_path": True}, "//b.test/../p//%7Eq", 301,
     "https://a.test/p/~q"),
    ("no other site", {"location": "https://a.test", "keep_incoming_path": True}, "/@b.test/", 301,
     "https://a.test/@b.test/"),
    ("line end", {"location": "https://a.test", "keep_incoming_path": True}, "/%0d%0aX:y", 301,
     "https://a.test/%0D%0AX:y"),
]


def with_plugins(url, *plugins, **route):
    out = simple_config(url, **route)
    out["services"][0]["plugins"] = list(plugins)
    return out


def test_redirects(t):
    for name, config, target, status, location in ROWS:
        with t.case(name), origin.Origin() as upstream:
            plugin = {"name": "redirect", "config": config}
            with Gateway(with_plugins(upstream.url, plugin)) as gateway, gateway.connect() as c:
                answer = c.exchange(client.encode("GET", target))
                assert (answer.status, answer.get("location")) == (status, location), answer
                assert answer.body == b"redirecting" and answer.get("content-type") is None, answer
                head = c.exchange(client.encode("HEAD", target))
                assert (head.status, head.body) == (status, b""), head
            assert upstream.take() == []


def test_without_a_service(t):
    config = {"_format_version": "3.0",
              "routes": [{"name": "r", "paths": ["/"],
                          "plugins": [{"name": "redirect", "config": {"location": "https://a.test/"}}]}]}
    with Gateway(config) as gateway:
        answer = gateway.get("/x")
        assert (answer.status, answer.get("location")) == (301, "https://a.test/"), answer


def test_behind_authentication(t):
    """Who is refused is not redirected."""
    with origin.Origin() as upstream:
        config = with_plugins(upstream.url, {"name": "key-auth"},
                              {"name": "redirect", "config": {"location": "https://a.test/"}})
        config["consumers"] = [{"username": "alice", "keyauth_credentials": [{"key": "k"}]}]
        with Gateway(config) as gateway:
            assert gateway.get("/").status == 401
            assert gateway.get("/", [("apikey", "k")]).status == 301
