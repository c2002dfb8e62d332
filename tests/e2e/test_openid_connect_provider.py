# SPDX-License-Identifier: Apache-2.0
"""openid-connect with a real provider: glewlwyd. What each answer must be in detail, test_openid_connect.py says."""
import base64
import json
import urllib.parse

from tests.support import glewlwyd, net, origin, tokens
from tests.support.gateway import Gateway

# The secret has no character that Basic would escape (RFC 6749 section 2.3.1): glewlwyd takes it literally.
CLIENT, SECRET, USER, PASSWORD = "gateway", "secret-of-the-gateway", "alice", "w/nderland & co"
SCOPES = "openid shop"


def provide(**parameters):
    """A provider with a user and two clients: the gateway, and a machine."""
    provider = glewlwyd.Glewlwyd(**parameters)
    try:
        provider.add_scope("shop")
        provider.add_user(USER, PASSWORD, ["openid", "shop"])
        provider.add_client(CLIENT, SECRET, redirect_uri=["http://test/app"], scope=["shop"],
                            post_logout_redirect_uri="http://bye.test/")
        provider.add_client("machine", "key", redirect_uri=["http://nowhere.test/"], scope=["shop"])
    except BaseException:
        provider.stop()
        raise
    return provider


def config_of(upstream, provider, **options):
    """A route for each of `options`: path to the plugin's fields."""
    shared = {"issuer": provider.issuer, "client_id": [CLIENT], "client_secret": [SECRET], "scopes": SCOPES.split(),
              "session_secret": "a secret of the test", "session_cookie_secure": False,
              "authorization_cookie_secure": False}
    routes = [{"name": name, "paths": ["/" + name], "strip_path": False,
               "plugins": [{"name": "openid-connect", "config": {**shared, **fields}}]}
              for name, fields in options.items()]
    return {"_format_version": "3.0", "consumers": [{"username": USER}],
            "services": [{"name": "s", "url": upstream.url, "retries": 0, "routes": routes}]}


class Browser:
    """Somebody in front of the gateway and the provider, with cookies of both."""

    def __init__(self, gateway, provider):
        self.gateway, self.at_provider, self.cookies = gateway, glewlwyd.Session(provider), {}

    def get(self, target, fields=()):
        cookie = "; ".join("%s=%s" % pair for pair in self.cookies.items())
        answer = self.gateway.get(target, [*fields, ("Cookie", cookie)] if cookie else list(fields))
        for line in answer.all("set-cookie"):
            name, _, value = line.split(";")[0].partition("=")
            if "Max-Age=0" in line:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return answer

    def authorize(self, location):
        """Follows the gateway's redirect, logs in and grants; what the provider sends back to."""
        url = urllib.parse.urlsplit(location)
        target = "%s?%s" % (url.path, url.query)
        status, fields, body = self.at_provider.call("GET", target)
        assert status == 302 and "login.html" in fields["Location"], (status, body)
        self.at_provider.need("POST", "/auth/", {"username": USER, "password": PASSWORD})
        self.at_provider.need("PUT", "/auth/grant/" + CLIENT, {"scope": SCOPES})
        status, fields, body = self.at_provider.call("GET", target + "&g_continue")
        assert status == 302, (status, body)
        return fields["Location"]

    def login(self, target):
        answer = self.get(target)
        assert answer.status == 302, answer
        back = urllib.parse.urlsplit(self.authorize(answer.get("location")))
        assert (back.netloc, back.path) == ("test", "/app"), back
        return self.get("%s?%s" % (back.path, back.query))


def bearer(token):
    return [("Authorization", "Bearer " + token)]


def basic(user, password):
    return [("Authorization", "Basic " + base64.b64encode(("%s:%s" % (user, password)).encode()).decode())]


def token_of(request):
    kind, _, token = request.fields.get("authorization").partition(" ")
    assert kind == "Bearer", kind
    return token


def claims_of(token):
    text = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def test_login_and_tokens(t):
    """By the browser; then what was got there, shown as a token."""
    ways = {"app": {"auth_methods": ["authorization_code", "session", "refresh_token"], "scopes_required": ["shop"],
                    "upstream_id_token_header": "x-id-token"},
            "api": {"auth_methods": ["bearer"], "scopes_required": ["openid shop"]},
            "admin": {"auth_methods": ["bearer"], "scopes_required": ["g_admin"]},
            "asked": {"auth_methods": ["introspection"], "consumer_claim": ["username"]}}
    with provide() as provider, origin.Origin() as upstream:
        with Gateway(config_of(upstream, provider, **ways)) as gateway:
            browser = Browser(gateway, provider)
            answer = browser.login("/app?item=1&item=2")
            assert answer.status == 200, answer
            seen = upstream.requests[-1]
            assert seen.target == "/app?item=1&item=2", seen.target
            token = token_of(seen)
            claims = claims_of(token)
            assert claims["iss"] == provider.issuer and claims["client_id"] == CLIENT, claims
            assert claims_of(seen.fields.get("x-id-token"))["aud"] == CLIENT
            assert seen.fields.get("x-credential-identifier") == claims["sub"]
            with t.case("session"):
                assert browser.get("/app/more").status == 200 and token_of(upstream.requests[-1]) == token
                assert upstream.requests[-1].fields.get("cookie") is None
            with t.case("without the session's cookie"):
                assert Browser(gateway, provider).get("/app").status == 302
            with t.case("bearer"):
                assert gateway.get("/api", bearer(token)).status == 200
            with t.case("bearer, a scope is missing"):
                assert gateway.get("/admin", bearer(token)).status == 403
            with t.case("bearer, tampered"):
                answer = gateway.get("/api", bearer(tokens.tampered(token)))
                assert answer.status == 401 and "invalid_token" in answer.get("www-authenticate"), answer
            with t.case("bearer, signed by somebody else"):
                head = json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))
                forged = tokens.signed(claims, glewlwyd.new_key()[0], "ES256", kid=head["kid"])
                assert gateway.get("/api", bearer(forged)).status == 401
            with t.case("introspection"):
                assert gateway.get("/asked", bearer(token)).status == 200
                assert upstream.requests[-1].fields.get("x-consumer-username") == USER
            with t.case("introspection, tampered"):
                assert gateway.get("/asked", bearer(tokens.tampered(token))).status == 401
            with t.case("introspection, revoked"):
                other = Browser(gateway, provider)
                assert other.login("/app").status == 200
                revoked = token_of(upstream.requests[-1])
                status, _, body = provider.admin.call("POST", "/api/oidc/revoke", form={"token": revoked},
                                                      fields=dict(basic(CLIENT, SECRET)))
                assert status == 200, body
                assert gateway.get("/asked", bearer(revoked)).status == 401
            with t.case("a code is good once, and only with the cookie of its login"):
                first, other = Browser(gateway, provider), Browser(gateway, provider)
                back = first.authorize(first.get("/app").get("location")).partition("/app")[2]
                cookies = dict(first.cookies)
                assert other.get("/app" + back).status == 302
                assert first.get("/app" + back).status == 200
                first.cookies = cookies
                assert first.get("/app" + back).status == 401


def test_passwords(t):
    ways = {"user": {"auth_methods": ["password"]},
            "posted": {"auth_methods": ["password"], "client_auth": "client_secret_post"},
            "machine": {"auth_methods": ["client_credentials"], "scopes": ["shop"]},
            "wrong": {"auth_methods": ["password"], "client_secret": ["another"]}}
    with provide() as provider, origin.Origin() as upstream:
        with Gateway(config_of(upstream, provider, **ways), settings={"shards": 1}) as gateway:
            for way in ("user", "posted"):
                with t.case(way):
                    assert gateway.get("/" + way, basic(USER, PASSWORD)).status == 200
                    assert claims_of(token_of(upstream.requests[-1]))["scope"] == SCOPES
                    assert gateway.get("/" + way, basic(USER, "wrong")).status == 401
                    assert gateway.get("/" + way, basic("eve", PASSWORD)).status == 401
            with t.case("machine"):
                assert gateway.get("/machine", basic("machine", "key")).status == 200
                assert claims_of(token_of(upstream.requests[-1]))["client_id"] == "machine"
                assert gateway.get("/machine", basic("machine", "wrong")).status == 401
                assert gateway.get("/machine", basic(USER, PASSWORD)).status == 401
            with t.case("kept"):
                token = token_of(upstream.requests[-1])
                assert gateway.get("/machine", basic("machine", "key")).status == 200
                assert token_of(upstream.requests[-1]) == token
            with t.case("the gateway itself is refused"):
                assert gateway.get("/wrong", basic(USER, PASSWORD)).status == 401
            with t.case("provider gone"):
                provider.stop()
                assert gateway.get("/user", basic(USER, "another")).status == 503
                assert gateway.get("/user", basic(USER, PASSWORD)).status == 200


def test_refresh_and_logout(t):
    ways = {"app": {"auth_methods": ["authorization_code", "session", "refresh_token"], "logout_query_arg": "bye",
                    "logout_methods": ["GET"], "logout_redirect_uri": "http://bye.test/"},
            "api": {"auth_methods": ["bearer"]}, "asked": {"auth_methods": ["introspection"]}}
    with provide(**{"access-token-duration": 2}) as provider, origin.Origin() as upstream:
        with Gateway(config_of(upstream, provider, **ways)) as gateway:
            browser = Browser(gateway, provider)
            assert browser.login("/app").status == 200
            token = token_of(upstream.requests[-1])

            def is_renewed():
                assert browser.get("/app").status == 200
                return token_of(upstream.requests[-1]) != token

            net.wait_until(is_renewed, 15, "a new token")
            assert claims_of(token_of(upstream.requests[-1]))["sub"] == claims_of(token)["sub"]
            with t.case("expired"):
                # by the seconds of two clocks: the gateway's, and then the provider's
                for target in ("/api", "/asked"):
                    net.wait_until(lambda target=target: gateway.get(target, bearer(token)).status == 401, what=target)
            with t.case("logout"):
                answer = browser.get("/app?bye")
                assert answer.status == 302 and "session" not in browser.cookies, answer
                url = urllib.parse.urlsplit(answer.get("location"))
                assert answer.get("location").startswith(provider.issuer + "/end_session?id_token_hint="), answer
                status, fields, body = browser.at_provider.call("GET", "%s?%s" % (url.path, url.query))
                assert status == 302 and fields["Location"].startswith(provider.url), (status, body)
                assert browser.get("/app").status == 302


def test_other_keys(t):
    """The provider signs with a new key from one moment to the next."""
    with provide() as provider, origin.Origin() as upstream:
        ways = {"user": {"auth_methods": ["password"], "cache_tokens": False}, "api": {"auth_methods": ["bearer"]}}
        with Gateway(config_of(upstream, provider, **ways), settings={"shards": 1}) as gateway:
            def token():
                assert gateway.get("/user", basic(USER, PASSWORD)).status == 200
                return token_of(upstream.requests[-1])

            before = token()
            assert gateway.get("/api", bearer(before)).status == 200
            provider.change(key=glewlwyd.new_key())
            after = token()
            # Keys are not fetched twice within ten seconds for a token with an unknown one.
            net.wait_until(lambda: gateway.get("/api", bearer(after)).status == 200, 20, "the new key")
            with t.case("the old key is not in the set any more"):
                assert gateway.get("/api", bearer(before)).status == 401


test_login_and_tokens.seconds = test_refresh_and_logout.seconds = test_other_keys.seconds = 60
