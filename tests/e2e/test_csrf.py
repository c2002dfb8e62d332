# SPDX-License-Identifier: Apache-2.0
"""csrf: requests that change something come from the site itself, by origin, by token, or both."""
import re

from tests.support import client, origin
from tests.support.gateway import Gateway, simple_config

NAME = "apisix-csrf-token"


def with_csrf(url, config, *others):
    out = simple_config(url)
    out["services"][0]["plugins"] = [{"name": "csrf", "config": config}, *others]
    return out


def post(gateway, headers, method="POST"):
    return gateway.request(method, "/", headers, b"x=1", host="shop.test:8000")


# name, headers, passes
ORIGINS = [
    ("own", [("Origin", "https://shop.test:8000")], True),
    ("own by referer", [("Referer", "https://shop.test:8000/a/b?c")], True),
    ("other", [("Origin", "https://evil.test")], False),
    ("other referer", [("Referer", "https://evil.test/?https://shop.test:8000/")], False),
    ("own referer of another origin", [("Origin", "https://evil.test"),
                                       ("Referer", "https://shop.test:8000/")], False),
    ("user info", [("Origin", "https://shop.test:8000@evil.test")], False),
    ("null", [("Origin", "null")], False),
    ("none", [], False),
    ("additional", [("Origin", "http://partner.test")], True),
    ("additional by expression", [("Origin", "http://x.friend.test:1")], True),
]


def test_origins(t):
    with origin.Origin() as upstream:
        config = with_csrf(upstream.url, {"additional_origins": ["partner.test", ".*\\.friend\\.test"]})
        with Gateway(config) as gateway:
            for name, headers, passes in ORIGINS:
                for method in ("POST", "PATCH", "DELETE"):
                    with t.case("%s %s" % (name, method)):
                        answer = post(gateway, headers, method)
                        assert answer.status == (200 if passes else 403), answer
                        assert passes or b'"message":"Invalid origin"' in answer.body, answer
                        assert len(upstream.take()) == passes
            for method in ("GET", "HEAD", "OPTIONS"):
                with t.case(method):
                    assert gateway.request(method, "/", [("Origin", "https://evil.test")]).status == 200


def test_shadow(t):
    """What would be refused passes, and is counted."""
    with origin.Origin() as upstream:
        config = with_csrf(upstream.url, {"filter_enabled": 0, "shadow_enabled": 100})
        with Gateway(config) as gateway:
            assert post(gateway, [("Origin", "https://evil.test")]).status == 200
            assert len(upstream.take()) == 1


def test_share(t):
    """Half of the requests are checked: of 400, some and not all."""
    with origin.Origin() as upstream, Gateway(with_csrf(upstream.url, {"filter_enabled": 50})) as gateway:
        with gateway.connect() as c:
            data = client.encode("POST", "/", body=b"")
            refused = [c.exchange(data).status for _ in range(400)].count(403)
        assert 100 < refused < 300, refused


def take_token(answer):
    cookies = [c for c in answer.all("set-cookie") if c.startswith(NAME + "=")]
    assert len(cookies) == 1, answer
    match = re.fullmatch(NAME + "=([A-Za-z0-9_-]{75}); Path=/; Max-Age=7200; SameSite=Lax", cookies[0])
    assert match, cookies
    return match[1]


def test_tokens(t):
    own = origin.answer(headers=[("Set-Cookie", "session=1; HttpOnly")])
    with origin.Origin(lambda request: own) as upstream:
        with Gateway(with_csrf(upstream.url, {"key": "secret"})) as gateway:
            first = gateway.get("/")
            assert "session=1; HttpOnly" in first.all("set-cookie"), first
            token = take_token(first)
            upstream.take()
            refused = post(gateway, [])
            assert take_token(refused) != token
            rows = [
                ("good", token, token, None),
                ("no header", None, token, "no csrf token in headers"),
                ("no cookie", token, None, "no csrf cookie"),
                ("other", token, take_token(refused), "csrf token mismatch"),
                ("made up", "A" * 75, "A" * 75, "Failed to verify the csrf token signature"),
                ("short", "A", "A", "Failed to verify the csrf token signature"),
            ]
            for name, header, cookie, error in rows:
                with t.case(name):
                    headers = [(NAME.upper(), header)] if header else []
                    headers += [("Cookie", "a=b; %s=%s" % (NAME, cookie))] if cookie else []
                    answer = post(gateway, headers)
                    if error:
                        assert answer.status == 401, answer
                        assert answer.body == b'{"error_msg":"%s"}' % error.encode(), answer
                    else:
                        assert answer.status == 200, answer
                    assert len(upstream.take()) == (error is None)


def test_tokens_of_another_node(t):
    """All with the same key take each other's, and nobody else's."""
    with origin.Origin() as upstream, Gateway(with_csrf(upstream.url, {"key": "a"})) as one:
        token = take_token(one.get("/"))
        headers = [(NAME, token), ("Cookie", "%s=%s" % (NAME, token))]
        for key, status in (("a", 200), ("b", 401)):
            with Gateway(with_csrf(upstream.url, {"key": key})) as other:
                assert post(other, headers).status == status


def test_both(t):
    with origin.Origin() as upstream:
        with Gateway(with_csrf(upstream.url, {"key": "a", "filter_enabled": 100})) as gateway:
            token = take_token(gateway.get("/"))
            tokens = [(NAME, token), ("Cookie", "%s=%s" % (NAME, token))]
            own = [("Origin", "https://shop.test:8000")]
            assert post(gateway, own + tokens).status == 200
            assert post(gateway, tokens).status == 403
            assert post(gateway, own).status == 401


def test_before_authentication(t):
    with origin.Origin() as upstream:
        with Gateway(with_csrf(upstream.url, {}, {"name": "key-auth"})) as gateway:
            assert post(gateway, []).status == 403
            assert post(gateway, [("Origin", "http://shop.test:8000")]).status == 401
