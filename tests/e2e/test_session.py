# SPDX-License-Identifier: Apache-2.0
"""Sessions in cookies: begun by another plugin, resumed, told, ended, timed out, forged, and beside acl."""
import json
import re
import time

from tests.support import net, origin
from tests.support.gateway import Folder, Gateway, run, simple_config

SECRET = "a secret of some length"


def config(url, *more, secret=SECRET, **options):
    out = simple_config(url)
    options.setdefault("cookie_secure", False)
    out["plugins"] = [{"name": "session", "config": {"secret": secret, **options}},
                      {"name": "key-auth", "config": {"anonymous": "guest"}}, *more]
    out["consumers"] = [
        {"username": "alice", "custom_id": "c1", "keyauth_credentials": [{"key": "ka"}], "acls": [{"group": "gold"}]},
        {"username": "bob", "keyauth_credentials": [{"key": "kb"}]}, {"username": "guest"}]
    return out


def cookies(answer):
    """What a browser keeps of the answer: names to values."""
    out = {}
    for text in answer.all("set-cookie"):
        name, _, value = text.partition(";")[0].partition("=")
        out[name] = value
    return out


def jar(kept, *others):
    return [("Cookie", "; ".join(list(others) + ["%s=%s" % pair for pair in kept.items()]))]


def log_in(gateway, key="ka"):
    answer = gateway.get("/", [("apikey", key)])
    assert answer.status == 200, answer
    kept = cookies(answer)
    assert kept, answer
    return kept


def who(upstream):
    return upstream.one().get("x-consumer-username")


def test_a_session(t):
    with origin.Origin() as upstream, Gateway(config(upstream.url)) as gateway:
        with t.case("begins with a login"):
            answer = gateway.get("/", [("apikey", "ka")])
            text = answer.get("set-cookie")
            assert re.fullmatch(r"session=[\w.-]+; Path=/; SameSite=Strict; HttpOnly", text) or \
                {"Path=/", "SameSite=Strict", "HttpOnly"} <= set(text.split("; ")), text
            assert "Secure" not in text and "Max-Age" not in text, text
            first = upstream.one()
            assert "alice" not in text
        kept = cookies(answer)
        with t.case("is known by its cookie"):
            answer = gateway.get("/", jar(kept, "a=b"))
            assert answer.status == 200 and answer.get("set-cookie") is None, answer
            seen = upstream.one()
            for name in ("x-consumer-id", "x-consumer-username", "x-consumer-custom-id", "x-credential-identifier"):
                assert seen.get(name) == first.get(name), (name, seen)
            assert seen.get("x-anonymous-consumer") is None
            assert seen.get("cookie") == "a=b", seen
        with t.case("nobody gets none"):
            answer = gateway.get("/")
            assert answer.get("set-cookie") is None
            assert who(upstream) == "guest"
        with t.case("another gateway with the same secret"):
            with Gateway(config(upstream.url)) as other:
                assert other.get("/", jar(kept)).status == 200
                assert who(upstream) == "alice"
        for name, options in (("another secret", {"secret": "other"}), ("another audience", {"audience": "x"}),
                              ("another name", {"cookie_name": "other"})):
            with t.case(name), Gateway(config(upstream.url, **options)) as other:
                assert other.get("/", jar(kept)).status == 200
                assert who(upstream) == "guest"


def test_forged(t):
    with origin.Origin() as upstream, Gateway(config(upstream.url)) as gateway:
        (name, value), = log_in(gateway).items()
        upstream.take()
        forged = {"cut": value[:-4], "longer": value + "AAAA", "empty": "", "text": "alice", "dot": ".", "one": "1."}
        for i in range(0, len(value), 7):
            forged["bit %d" % i] = value[:i] + ("A" if value[i] != "A" else "B") + value[i + 1:]
        for case, text in forged.items():
            with t.case(case):
                assert gateway.get("/", jar({name: text})).status == 200
                assert who(upstream) == "guest"


def test_logout(t):
    with origin.Origin() as upstream, Gateway(config(upstream.url, read_body_for_logout=True)) as gateway:
        kept = log_in(gateway)
        upstream.take()
        form = ("Content-Type", "application/x-www-form-urlencoded")
        for name, method, target, body, ends in (
                ("query", "POST", "/?session_logout=1", b"", True), ("bare", "DELETE", "/?session_logout", None, True),
                ("form", "POST", "/", b"a=1&session_logout=", True), ("GET", "GET", "/?session_logout=1", None, False),
                ("another argument", "POST", "/?logout=1", b"logout=1", False)):
            with t.case(name):
                answer = gateway.request(method, target, jar(kept) + ([form] if body else []), body)
                assert answer.status == 200, answer
                if not ends:
                    assert who(upstream) == "alice"
                    continue
                assert answer.body == b"" and upstream.take() == [], answer
                text = answer.get("set-cookie")
                assert text.startswith("session=;") and "Max-Age=0" in text, text
        with t.case("without a session it is passed on"):
            assert gateway.request("POST", "/?session_logout=1", []).body == origin.BODY
            assert who(upstream) == "guest"


def test_headers_and_remembering(t):
    facts = ["id", "audience", "subject", "timeout", "idling-timeout", "rolling-timeout", "absolute-timeout"]
    options = {"request_headers": facts, "response_headers": ["id", "subject"], "remember": True, "cookie_secure": True,
               "cookie_same_site": "Lax", "cookie_domain": "shop.test", "cookie_path": "/x"}
    with origin.Origin() as upstream, Gateway(config(upstream.url, **options)) as gateway:
        with t.case("attributes"):
            answer = gateway.get("/", [("apikey", "ka")])
            for text in answer.all("set-cookie"):
                wanted = {"Path=/x", "Domain=shop.test", "SameSite=Lax", "HttpOnly", "Secure"}
                assert wanted <= set(text.split("; ")), text
                assert ("Max-Age=" in text) == text.startswith("remember="), text
        kept = cookies(answer)
        assert sorted(kept) == ["remember", "session"], kept
        told = answer.get("session-id")
        assert len(told) == 32 and answer.get("session-subject") == "alice", answer
        upstream.take()
        with t.case("told to both"):
            answer = gateway.get("/", jar(kept))
            seen = upstream.one()
            assert seen.get("session-id") == told == answer.get("session-id"), seen
            assert seen.get("session-audience") == "default" and seen.get("session-subject") == "alice", seen
            assert seen.get("session-timeout") == seen.get("session-idling-timeout"), seen
            assert 890 <= int(seen.get("session-idling-timeout")) <= 900, seen
            assert 3590 <= int(seen.get("session-rolling-timeout")) <= 3600, seen
            assert 86390 <= int(seen.get("session-absolute-timeout")) <= 86400, seen
        with t.case("brought back"):
            answer = gateway.get("/", jar({"remember": kept["remember"]}))
            assert who(upstream) == "alice" and "session" in cookies(answer), answer


def test_times(t):
    def later(seconds):
        end = time.time() + seconds
        net.wait_until(lambda: time.time() >= end, seconds + 5)

    with origin.Origin() as upstream:
        with Gateway(config(upstream.url, idling_timeout=6, rolling_timeout=0, absolute_timeout=0)) as gateway:
            def known_by(kept):
                assert gateway.get("/", jar(kept)).status == 200
                return who(upstream)

            kept = log_in(gateway)
            upstream.take()
            later(3)
            with t.case("renewed while it is used"):
                answer = gateway.get("/", jar(kept))
                assert who(upstream) == "alice"
                assert cookies(answer), answer
            with t.case("over when idle"):
                net.wait_until(lambda: known_by(kept) == "guest", 10, "the end of the session")
            with t.case("but not the renewed one"):
                assert known_by(cookies(answer)) == "alice"


def test_beside_others(t):
    acl = {"name": "acl", "config": {"allow": ["gold"]}}
    with origin.Origin() as upstream:
        with Gateway(config(upstream.url, acl)) as gateway:
            with t.case("acl knows the consumer of a session"):
                kept = log_in(gateway)
                assert gateway.get("/", jar(kept)).status == 200
                assert upstream.take()[-1].get("x-consumer-groups") == "gold"
                answer = gateway.get("/", [("apikey", "kb")])
                assert answer.status == 403
                assert gateway.get("/", jar(cookies(answer))).status == 403
        both = config(upstream.url)
        both["plugins"][1]["config"] = {}
        with Gateway(both) as gateway:
            with t.case("without anonymous the key is needed beside the session"):
                kept = log_in(gateway)
                assert gateway.get("/", jar(kept)).status == 401
            with t.case("somebody else begins another session"):
                upstream.take()
                answer = gateway.get("/", jar(kept) + [("apikey", "kb")])
                assert who(upstream) == "bob" and cookies(answer), answer
        gone = config(upstream.url)
        del gone["consumers"][0]
        with Gateway(config(upstream.url)) as gateway:
            kept = log_in(gateway)
        upstream.take()
        with Gateway(gone) as gateway:
            with t.case("a consumer that is gone"):
                answer = gateway.get("/", jar(kept))
                assert who(upstream) == "guest" and "Max-Age=0" in answer.get("set-cookie"), answer


def test_errors_of_configuration(t):
    for name, options, message in (
            ("storage", {"storage": "kong"}, "not supported"), ("name", {"cookie_name": "a b"}, "cookie_name"),
            ("site", {"cookie_same_site": "x"}, "expected one of"),
            ("method", {"logout_methods": ["PUT"]}, "expected one of"),
            ("header", {"request_headers": ["x"]}, "expected one of"), ("path", {"cookie_path": "/;x"}, "cookie_path")):
        text = {"_format_version": "3.0", "plugins": [{"name": "session", "config": options}]}
        with t.case(name), Folder() as folder:
            done = run("check", "-c", folder.file("kong.json", json.dumps(text)))
            assert done.returncode == 1 and message in done.stdout + done.stderr, done.stdout + done.stderr
