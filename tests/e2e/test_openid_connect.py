# SPDX-License-Identifier: Apache-2.0
"""Every way in of openid-connect, against a provider whose every answer is scripted."""
import base64
import hashlib
import json
import time
import urllib.parse

from tests.support import net, origin, tokens
from tests.support.gateway import Gateway, simple_config

CLIENT, SECRET = "gate way", "s+cret/1"


class Provider(origin.Origin):
    """Discovery, keys, token and introspection endpoints; keeps the forms that were posted."""

    def __init__(self, **kw):
        self.forms, self.next_answers, self.introspection, self.broken = [], [], {}, False
        self.changes = {}  # of what is said of endpoints
        self.private, public = tokens.key_pair("RS256")
        self.keys = [tokens.jwk("RS256", public, kid="k1")]
        super().__init__(self.answer_document, **kw)

    def answer_document(self, request):
        path = request.target.split("?")[0]
        if self.broken:
            return origin.answer(500, body=b"{}")
        if path == "/.well-known/openid-configuration":
            return self.json({"issuer": self.url, "jwks_uri": self.url + "/jwks",
                              "authorization_endpoint": self.url + "/authorize?tenant=1",
                              "token_endpoint": self.url + "/token",
                              "introspection_endpoint": self.url + "/introspect",
                              "end_session_endpoint": self.url + "/logout", **self.changes})
        if path == "/jwks":
            return self.json({"keys": self.keys})
        form = dict(urllib.parse.parse_qsl(request.body.decode(), keep_blank_values=True))
        self.forms.append((path, form, request.fields.get("authorization")))
        if path == "/introspect":
            return self.json(self.introspection.get(form["token"], {"active": False}))
        status, document = self.next_answers.pop(0) if self.next_answers else (400, {"error": "invalid_grant"})
        return self.json(document, status)

    @staticmethod
    def json(document, status=200):
        return origin.answer(status, body=json.dumps(document).encode())

    def token(self, **changes):
        now = int(time.time())
        claims = {"iss": self.url, "sub": "alice", "aud": "api", "exp": now + 600, "iat": now, "scope": "read write",
                  **changes}
        claims = {name: value for name, value in claims.items() if value is not None}
        return tokens.signed(claims, self.private, "RS256", kid="k1")

    def grants(self, expires_in=300, **changes):
        answer = {"access_token": self.token(), "token_type": "Bearer", "expires_in": expires_in, **changes}
        self.next_answers.append((200, answer))
        return answer


def config_of(upstream, provider, **options):
    config = simple_config(upstream.url)
    fields = {"issuer": provider.url, "client_id": [CLIENT], "client_secret": [SECRET],
              "session_secret": "a secret of the test", "session_cookie_secure": False,
              "authorization_cookie_secure": False, **options}
    config["plugins"] = [{"name": "openid-connect", "config": fields}]
    config["consumers"] = [{"username": "alice", "custom_id": "a-1"}, {"username": "anyone"}]
    return config


def bearer(token):
    return [("Authorization", "Bearer " + token)]


def basic(user, password):
    return [("Authorization", "Basic " + base64.b64encode(("%s:%s" % (user, password)).encode()).decode())]


class Browser:
    """Keeps cookies, and answers by their names."""

    def __init__(self, gateway):
        self.gateway, self.cookies = gateway, {}

    def get(self, target, method="GET"):
        fields = [("Cookie", "; ".join("%s=%s" % pair for pair in self.cookies.items()))] if self.cookies else []
        answer = self.gateway.request(method, target, fields)
        for line in answer.all("set-cookie"):
            name, _, value = line.split(";")[0].partition("=")
            if "Max-Age=0" in line:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return answer

    def begin(self, target="/a?x=1"):
        """To the provider; what it is asked."""
        answer = self.get(target)
        assert answer.status == 302, answer
        query = urllib.parse.urlsplit(answer.get("location")).query
        return dict(urllib.parse.parse_qsl(query)), answer

    def login(self, provider, target="/a?x=1", **changes):
        asked, _ = self.begin(target)
        id_token = provider.token(aud=CLIENT, nonce=asked["nonce"])
        provider.grants(id_token=id_token, **changes)
        path = urllib.parse.urlsplit(asked["redirect_uri"]).path
        return asked, self.get("%s?code=c0de&state=%s" % (path, asked["state"]))


def test_bearer(t):
    with origin.Origin() as upstream, Provider() as provider:
        options = {"auth_methods": ["bearer"], "audience_required": ["api"],
                   "scopes_required": ["admin", "read write"]}
        with Gateway(config_of(upstream, provider, **options)) as gateway:
            other, host = tokens.key_pair("ES256")[0], urllib.parse.urlsplit(provider.url).hostname
            cases = [("good", provider.token(), 200), ("audience in a list", provider.token(aud=["x", "api"]), 200),
                     ("expired", provider.token(exp=1000), 401),
                     ("another issuer", provider.token(iss="http://x"), 401),
                     ("no exp", provider.token(exp=None), 401), ("tampered", tokens.tampered(provider.token()), 401),
                     ("another key", tokens.signed({"iss": provider.url}, other, "ES256", kid="k1"), 401),
                     ("wrong audience", provider.token(aud="other"), 403), ("scope", provider.token(scope="read"), 403),
                     ("other scope", provider.token(scope="admin"), 200), ("opaque", "abc", 401)]
            for name, token, status in cases:
                with t.case(name):
                    answer = gateway.get("/", bearer(token))
                    assert answer.status == status, answer
                    if status != 200:
                        challenge = answer.get("www-authenticate")
                        assert challenge.startswith('Bearer realm="%s", error=' % host), challenge
            with t.case("none"):
                answer = gateway.get("/")
                assert answer.status == 401 and answer.get("www-authenticate") == 'Bearer realm="%s"' % host
                assert json.loads(answer.body)["message"] == "Unauthorized"
            with t.case("in the query"):
                assert gateway.get("/?access_token=" + provider.token()).status == 200


def test_consumers_and_headers(t):
    with origin.Origin() as upstream, Provider() as provider:
        options = {"auth_methods": ["bearer"], "consumer_claim": ["who", "name"], "hide_credentials": True,
                   "upstream_headers_claims": ["sub", "n", "bad"], "upstream_headers_names": ["X-Sub", "X-N", "X-Bad"],
                   "downstream_headers_claims": ["sub"], "downstream_headers_names": ["X-Who"],
                   "upstream_access_token_header": "x-token"}
        with Gateway(config_of(upstream, provider, **options)) as gateway:
            token = provider.token(who={"name": "alice"}, n=7, bad="a\r\nX-Evil: 1")
            answer = gateway.get("/", bearer(token) + [("X-Bad", "forged")])
            assert answer.status == 200 and answer.get("x-who") == "alice", answer
            seen = upstream.requests[-1].fields
            assert seen.get("x-consumer-username") == "alice" and seen.get("x-credential-identifier") == "alice"
            assert seen.get("x-sub") == "alice" and seen.get("x-n") == "7" and seen.get("x-token") == token
            assert seen.get("authorization") is None and seen.get("x-bad") is None and seen.get("x-evil") is None
            with t.case("by custom_id"):
                assert gateway.get("/", bearer(provider.token(who={"name": "a-1"}))).status == 200
            with t.case("unknown"):
                assert gateway.get("/", bearer(provider.token(who={"name": "eve"}))).status == 403
                assert gateway.get("/", bearer(provider.token())).status == 403


def test_anonymous(t):
    with origin.Origin() as upstream, Provider() as provider:
        options = {"auth_methods": ["bearer"], "anonymous": "anyone"}
        with Gateway(config_of(upstream, provider, **options)) as gateway:
            assert gateway.get("/", bearer("x.y.z")).status == 200
            assert upstream.requests[-1].fields.get("x-anonymous-consumer") == "true"
            assert gateway.get("/", bearer(provider.token())).status == 200
            assert upstream.requests[-1].fields.get("x-anonymous-consumer") is None


def test_introspection(t):
    with origin.Origin() as upstream, Provider() as provider:
        options = {"auth_methods": ["introspection"], "scopes_required": ["read"]}
        with Gateway(config_of(upstream, provider, **options), settings={"shards": 1}) as gateway:
            now = time.time()
            provider.introspection = {"good": {"active": True, "scope": "read", "exp": now + 100},
                                      "old": {"active": True, "scope": "read", "exp": now - 100},
                                      "other": {"active": True, "scope": "write"}}
            for token, status in (("good", 200), ("old", 401), ("other", 403), ("bad", 401)):
                with t.case(token):
                    assert gateway.get("/", bearer(token)).status == status
            path, form, authorization = provider.forms[0]
            assert path == "/introspect" and form == {"token": "good", "token_type_hint": "access_token"}, form
            expected = base64.b64encode(b"gate%20way:s%2Bcret%2F1").decode()
            assert authorization == "Basic " + expected, authorization
            with t.case("kept"):
                count = len(provider.forms)
                assert gateway.get("/", bearer("good")).status == 200 and len(provider.forms) == count
                assert gateway.get("/", bearer("bad")).status == 401 and len(provider.forms) == count + 1
            with t.case("provider broken"):
                provider.broken = True
                assert gateway.get("/", bearer("unseen")).status == 503
                assert gateway.get("/", bearer("good")).status == 200


def test_passwords(t):
    with origin.Origin() as upstream, Provider() as provider:
        options = {"auth_methods": ["password", "client_credentials"], "client_auth": "client_secret_post"}
        with Gateway(config_of(upstream, provider, **options), settings={"shards": 1}) as gateway:
            granted = provider.grants()
            assert gateway.get("/", basic("al ice", "p&w")).status == 200
            assert provider.forms[-1] == ("/token", {"grant_type": "password", "username": "al ice", "password": "p&w",
                                                     "scope": "openid", "client_id": CLIENT,
                                                     "client_secret": SECRET}, None), provider.forms[-1]
            assert upstream.requests[-1].fields.get("authorization") == "Bearer " + granted["access_token"]
            with t.case("kept"):
                assert gateway.get("/", basic("al ice", "p&w")).status == 200 and len(provider.forms) == 1
            with t.case("a client's own"):
                provider.next_answers = [(401, {"error": "invalid_grant"})]
                provider.grants()
                assert gateway.get("/", basic("machine", "key")).status == 200
                assert provider.forms[-1][1] == {"grant_type": "client_credentials", "client_id": "machine",
                                                 "client_secret": "key", "scope": "openid"}
            with t.case("wrong"):
                assert gateway.get("/", basic("al ice", "wrong")).status == 401


def routes_of(upstream, provider, **ways):
    """A route for each of `ways`: path to options."""
    config = config_of(upstream, provider)
    shared = config.pop("plugins")[0]["config"]
    config["services"][0]["routes"] = [
        {"name": name, "paths": ["/" + name], "strip_path": False,
         "plugins": [{"name": "openid-connect", "config": {**shared, **options}}]} for name, options in ways.items()]
    return config


def test_kept_answers_are_not_shared(t):
    """Who would have asked otherwise does not find what another has asked."""
    both = ["password", "client_credentials"]
    with origin.Origin() as upstream, Provider() as provider:
        ways = {"a": {"auth_methods": both}, "b": {"auth_methods": ["password"]},
                "c": {"auth_methods": both, "client_secret": ["wrong"]}, "d": {"auth_methods": ["introspection"]},
                "e": {"auth_methods": ["introspection"], "client_secret": ["wrong"]}}
        with Gateway(routes_of(upstream, provider, **ways), settings={"shards": 1}) as gateway:
            provider.next_answers = [(401, {"error": "invalid_grant"})]
            provider.grants()
            assert gateway.get("/a", basic("machine", "key")).status == 200
            assert gateway.get("/a", basic("machine", "key")).status == 200 and len(provider.forms) == 2
            with t.case("clients are not let in here"):
                assert gateway.get("/b", basic("machine", "key")).status == 401
            with t.case("another secret of the gateway"):
                assert gateway.get("/c", basic("machine", "key")).status == 401
            with t.case("a name with a line feed"):
                provider.grants()
                assert gateway.get("/b", basic("x\ny", "z")).status == 200
                assert gateway.get("/b", basic("x", "y\nz")).status == 401
            with t.case("introspection"):
                provider.introspection = {"good": {"active": True}}
                assert gateway.get("/d", bearer("good")).status == 200
                provider.introspection.clear()
                assert gateway.get("/d", bearer("good")).status == 200
                assert gateway.get("/e", bearer("good")).status == 401


def test_login(t):
    with origin.Origin() as upstream, Provider() as provider:
        with Gateway(config_of(upstream, provider, auth_methods=["authorization_code", "session"])) as gateway:
            browser = Browser(gateway)
            asked, answer = browser.begin("/a?x=1&y=2")
            assert answer.get("location").startswith(provider.url + "/authorize?tenant=1&response_type=code&")
            assert answer.get("cache-control") == "no-store"
            assert asked["client_id"] == CLIENT and asked["scope"] == "openid"
            assert asked["redirect_uri"] == "http://test/a", asked
            assert asked["code_challenge_method"] == "S256"
            provider.grants(id_token=provider.token(aud=CLIENT, nonce=asked["nonce"]))
            answer = browser.get("/a?code=c0de&state=" + asked["state"])
            assert answer.status == 200, answer
            assert upstream.requests[-1].target == "/a?x=1&y=2", upstream.requests[-1].target
            assert upstream.requests[-1].fields.get("cookie") is None
            form = provider.forms[-1][1]
            digest = hashlib.sha256(form.pop("code_verifier").encode()).digest()
            assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == asked["code_challenge"]
            assert form == {"grant_type": "authorization_code", "code": "c0de", "redirect_uri": asked["redirect_uri"]}
            assert "authorization" not in browser.cookies and browser.cookies["session"]
            with t.case("stays in"):
                assert browser.get("/b").status == 200 and len(provider.forms) == 1
                assert upstream.requests[-1].fields.get("x-credential-identifier") == "alice"
            with t.case("a session that was changed is none"):
                browser.cookies["session"] = browser.cookies["session"][:-12] + "A" * 12
                assert browser.get("/b").status == 302


def test_login_refused(t):
    with origin.Origin() as upstream, Provider() as provider:
        with Gateway(config_of(upstream, provider, auth_methods=["authorization_code", "session"])) as gateway:
            def refused(name, id_token=None, state=None, target="/a?code=c&state=%s", status=401, **answer):
                with t.case(name):
                    browser = Browser(gateway)
                    asked, _ = browser.begin()
                    if id_token:
                        provider.grants(id_token=id_token(asked), **answer)
                    got = browser.get(target % (state or asked["state"]))
                    assert got.status == status and "session" not in browser.cookies, got
                    provider.next_answers.clear()

            refused("code not known")
            refused("denied", target="/a?error=access_denied&state=%s")
            refused("foreign state", state="x" * 43, status=302)
            refused("nonce", lambda asked: provider.token(aud=CLIENT, nonce="other"))
            refused("no nonce", lambda asked: provider.token(aud=CLIENT))
            refused("audience", lambda asked: provider.token(nonce=asked["nonce"]))
            refused("issuer", lambda asked: provider.token(aud=CLIENT, nonce=asked["nonce"], iss="http://x"))
            refused("signature", lambda asked: tokens.tampered(provider.token(aud=CLIENT, nonce=asked["nonce"])))
            refused("for another party", lambda asked: provider.token(aud=[CLIENT, "x"], azp="x",
                                                                      nonce=asked["nonce"]))
            refused("from another provider", lambda asked: provider.token(aud=CLIENT, nonce=asked["nonce"]),
                    target="/a?code=c&iss=http%%3A%%2F%%2Fevil.test&state=%s")
            refused("no id token", lambda asked: None)
            with t.case("a callback without the cookie of its login"):
                browser, other = Browser(gateway), Browser(gateway)
                asked, _ = browser.begin()
                assert other.get("/a?code=c&state=" + asked["state"]).status == 302


def test_refresh_and_logout(t):
    with origin.Origin() as upstream, Provider() as provider:
        options = {"auth_methods": ["authorization_code", "session", "refresh_token"], "logout_query_arg": "logout",
                   "logout_methods": ["GET"], "logout_redirect_uri": "http://bye.test/"}
        with Gateway(config_of(upstream, provider, **options)) as gateway:
            browser = Browser(gateway)
            _, answer = browser.login(provider, expires_in=1, refresh_token="r1")
            assert answer.status == 200
            provider.grants(refresh_token="r2")

            def is_refreshed():
                assert browser.get("/").status == 200
                return len(provider.forms) > 1
            net.wait_until(is_refreshed, 10, "a refresh")
            assert provider.forms[-1][1]["grant_type"] == "refresh_token", provider.forms[-1]
            assert provider.forms[-1][1]["refresh_token"] == "r1"
            with t.case("logout"):
                answer = browser.get("/?logout")
                assert answer.status == 302 and "session" not in browser.cookies
                assert answer.get("location").startswith(provider.url + "/logout?id_token_hint=")
                assert answer.get("location").endswith("post_logout_redirect_uri=http%3A%2F%2Fbye.test%2F")
                assert browser.get("/").status == 302


def test_refresh_for_another_person(t):
    """OpenID Connect Core, section 12.2: a new id token has the same iss and sub, or it is not taken."""
    rows = {"the same": ({}, 200), "another subject": ({"sub": "mallory"}, 302), "no subject": ({"sub": None}, 302),
            "another issuer": ({"iss": "http://other.test"}, 302)}
    with origin.Origin() as upstream, Provider() as provider:
        options = {"auth_methods": ["authorization_code", "session", "refresh_token"]}
        with Gateway(config_of(upstream, provider, **options)) as gateway:
            for name, (changes, status) in rows.items():
                with t.case(name):
                    browser, before = Browser(gateway), len(provider.forms)
                    _, answer = browser.login(provider, expires_in=1, refresh_token="r1")
                    assert answer.status == 200, answer
                    provider.grants(refresh_token="r2", id_token=provider.token(aud=CLIENT, **changes))

                    def last_answer():
                        answer = browser.get("/")
                        return answer if len(provider.forms) > before + 1 else None
                    answer = net.wait_until(last_answer, 10, "a refresh")
                    assert len(provider.forms) == before + 2 and answer.status == status, answer
                    assert ("session" in browser.cookies) == (status == 200), browser.cookies


def test_login_actions(t):
    with origin.Origin() as upstream, Provider() as provider:
        for action, status in (("redirect", 302), ("response", 200)):
            options = {"auth_methods": ["authorization_code", "session"], "login_action": action,
                       "redirect_uri": ["http://127.0.0.1/callback"]}
            with Gateway(config_of(upstream, provider, **options)) as gateway, t.case(action):
                _, answer = Browser(gateway).login(provider)
                assert answer.status == status, answer
                if action == "redirect":
                    assert answer.get("location") == "/a?x=1"
                else:
                    assert json.loads(answer.body)["access_token"]


def test_sessions_of_others(t):
    """The same secret and names of cookies, but another provider, client or purpose."""
    with origin.Origin() as upstream, Provider() as provider, Provider() as other:
        login = {"auth_methods": ["authorization_code", "session"]}
        ways = {"a": login, "other": {**login, "issuer": other.url}, "client": {**login, "client_id": ["another"]},
                "twice": {**login, "session_cookie_name": "authorization", "session_audience": "login"}}
        with Gateway(routes_of(upstream, provider, **ways)) as gateway:
            browser = Browser(gateway)
            assert browser.login(provider, "/a")[1].status == 200
            assert browser.get("/a").status == 200
            for name in ("other", "client"):
                with t.case(name):
                    assert gateway.get("/" + name, [("Cookie", "session=" + browser.cookies["session"])]).status == 302
            with t.case("a login of another provider"):
                browser = Browser(gateway)
                asked, _ = browser.begin("/a")
                answer = browser.get("/other?code=c&state=" + asked["state"])
                assert answer.status == 302 and not other.forms, answer
            with t.case("somebody on the way is not in"):
                browser = Browser(gateway)
                browser.begin("/twice")
                assert browser.get("/twice").status == 302


def test_new_session_after_the_end(t):
    """The clocks of the old one are not inherited."""
    with origin.Origin() as upstream, Provider() as provider:
        options = {"auth_methods": ["authorization_code", "session"], "session_absolute_timeout": 3}
        with Gateway(config_of(upstream, provider, **options)) as gateway:
            browser = Browser(gateway)
            assert browser.login(provider, "/")[1].status == 200
            old = browser.cookies["session"]
            net.wait_until(lambda: browser.get("/").status == 302, 10, "the session's end")
            browser.cookies = {"session": old}
            assert browser.login(provider, "/")[1].status == 200
            assert browser.get("/").status == 200


def test_no_way_to_other_hosts(t):
    """A path that a browser would take for a host."""
    with origin.Origin() as upstream, Provider() as provider:
        options = {"auth_methods": ["authorization_code", "session"], "redirect_uri": ["http://test/back"]}
        with Gateway(config_of(upstream, provider, **options)) as gateway:
            for target, location in (("//evil.test/x", "/.//evil.test/x"), ("/x//y", "/x//y")):
                with t.case(target):
                    _, answer = Browser(gateway).login(provider, target)
                    assert answer.status == 302 and answer.get("location") == location, answer


def test_hostile_description(t):
    """Line feeds in what the provider says of itself never reach a header."""
    with origin.Origin() as upstream, Provider() as provider:
        bad = "http://x.test/\r\nSet-Cookie: evil=1"
        provider.changes = {"authorization_endpoint": bad, "end_session_endpoint": bad}
        options = {"auth_methods": ["authorization_code", "session"], "logout_query_arg": "bye",
                   "logout_methods": ["GET"]}
        with Gateway(config_of(upstream, provider, **options)) as gateway:
            for target, status in (("/", 503), ("/?bye", 200)):
                with t.case(target):
                    answer = gateway.get(target)
                    assert answer.status == status and "evil=1" not in answer.all("set-cookie"), answer


def test_logout_with_parameters(t):
    with origin.Origin() as upstream, Provider() as provider:
        provider.changes = {"end_session_endpoint": provider.url + "/logout?tenant=1"}
        options = {"auth_methods": ["session", "bearer"], "logout_query_arg": "bye", "logout_methods": ["GET"],
                   "logout_redirect_uri": "http://bye.test/"}
        with Gateway(config_of(upstream, provider, **options)) as gateway:
            assert gateway.get("/?bye").get("location") == (
                provider.url + "/logout?tenant=1&post_logout_redirect_uri=http%3A%2F%2Fbye.test%2F")


def test_forged_fields(t):
    """What tells the upstream of claims and tokens comes from the gateway or not at all."""
    with origin.Origin() as upstream, Provider() as provider:
        options = {"auth_methods": ["bearer", "password"], "anonymous": "anyone", "run_on_preflight": False,
                   "upstream_id_token_header": "x-id", "upstream_access_token_header": "x-token:bearer",
                   "upstream_headers_claims": ["sub"], "upstream_headers_names": ["X-Sub"]}
        forged = [("X-Sub", "admin"), ("X-Id", "e.y.J"), ("X-Token", "Bearer x")]
        with Gateway(config_of(upstream, provider, **options)) as gateway:
            for method, name, fields in (("GET", "anonymous", []), ("OPTIONS", "preflight", []),
                                         ("GET", "bearer", bearer(provider.token()))):
                with t.case(name):
                    assert gateway.request(method, "/", fields + forged).status == 200
                    seen = upstream.requests[-1].fields
                    assert seen.get("x-sub") == ("alice" if fields else None), seen
                    assert seen.get("x-id") is None and seen.get("x-token") != "Bearer x", seen
            with t.case("an id token that no field may hold"):
                provider.grants(id_token="a\r\nX-Evil: 1")
                assert gateway.get("/", basic("al", "pw")).status == 200
                assert upstream.requests[-1].fields.get("x-evil") is None


def test_token_in_a_cookie(t):
    with origin.Origin() as upstream, Provider() as provider:
        options = {"auth_methods": ["bearer"], "bearer_token_param_type": ["cookie"], "hide_credentials": True,
                   "upstream_access_token_header": ""}
        with Gateway(config_of(upstream, provider, **options)) as gateway:
            answer = gateway.get("/", [("Cookie", "a=1; access_token=" + provider.token())])
            assert answer.status == 200 and upstream.requests[-1].fields.get("cookie") == "a=1", answer


def test_large_tokens(t):
    """A session of several cookies."""
    with origin.Origin() as upstream, Provider() as provider:
        with Gateway(config_of(upstream, provider, auth_methods=["authorization_code", "session"])) as gateway:
            browser = Browser(gateway)
            large = provider.token(groups=["group-%d" % i for i in range(300)])
            _, answer = browser.login(provider, access_token=large)
            assert answer.status == 200 and "session2" in browser.cookies, browser.cookies.keys()
            assert browser.get("/").status == 200
            assert upstream.requests[-1].fields.get("authorization") == "Bearer " + large


def test_provider_away(t):
    with origin.Origin() as upstream, Provider() as provider:
        provider.broken = True
        with Gateway(config_of(upstream, provider)) as gateway:
            assert gateway.get("/").status == 503
            assert gateway.get("/", bearer(provider.token())).status == 503
