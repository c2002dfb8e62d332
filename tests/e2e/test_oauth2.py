# SPDX-License-Identifier: Apache-2.0
"""Tokens: every grant, PKCE, each refusal, requests that bring one, and other plugins beside."""
import base64
import hashlib
import json
import urllib.parse

from tests.support import origin
from tests.support.gateway import Folder, Gateway, run, simple_config

KEY, BACK, SECOND = "a provision key of some length", "https://app.test/back?x=1", "https://app.test/second"
SETTINGS = {"trusted_ips": "127.0.0.0/8"}
HTTPS = [("X-Forwarded-Proto", "https")]
GRANTS = {"enable_" + name: True for name in
          ("authorization_code", "implicit_grant", "client_credentials", "password_grant")}
VERIFIER = "v" * 43


def config(url, *more, **options):
    out = simple_config(url)
    fields = {"provision_key": KEY, "scopes": ["mail", "read"], "accept_http_if_already_terminated": True, **GRANTS,
              **options}
    out["services"][0]["plugins"] = [{"name": "oauth2", "config": fields}, *more]
    app = {"name": "app", "client_id": "app", "client_secret": "s", "redirect_uris": [BACK, SECOND]}
    out["consumers"] = [
        {"username": "alice", "custom_id": "c1", "keyauth_credentials": [{"key": "ka"}], "oauth2_credentials": [
            app, {"name": "other", "client_id": "other", "client_secret": "o", "redirect_uris": [BACK]},
            {"name": "spa", "client_id": "spa", "client_type": "public", "redirect_uris": [BACK]},
            {"name": "job", "client_id": "job", "client_secret": "j"}]},
        {"username": "guest"}]
    return out


def post(gateway, target, fields, headers=(), https=True):
    body = urllib.parse.urlencode(fields).encode()
    kind = [("Content-Type", "application/x-www-form-urlencoded")]
    return gateway.request("POST", target, kind + list(headers) + (HTTPS if https else []), body)


def check(answer, status, error=None, description=None):
    said = json.loads(answer.body)
    assert answer.status == status, answer
    assert answer.get("content-type") == "application/json; charset=utf-8", answer
    assert (answer.get("cache-control"), answer.get("pragma")) == ("no-store", "no-cache"), answer
    assert said.get("error") == error and said.get("error_description") == description, said
    return said


def token(gateway, headers=(), **fields):
    return post(gateway, "/oauth2/token", {"client_id": "app", "client_secret": "s", **fields}, headers)


def authorize(gateway, **fields):
    return post(gateway, "/oauth2/authorize", {"provision_key": KEY, "authenticated_userid": "u 1", "client_id": "app",
                                               "response_type": "code", **fields})


def redirected(answer, status=200):
    """The URI without what was added, and that as a mapping."""
    uri = check(answer, status)["redirect_uri"]
    base, mark, rest = uri.partition("#") if "#" in uri else uri.rpartition("&" if "?x=1&" in uri else "?")
    if "?x=1&" in uri:
        base, _, rest = uri.partition("?x=1&")
        base += "?x=1"
    return base, dict(urllib.parse.parse_qsl(rest))


def code_of(gateway, **fields):
    return redirected(authorize(gateway, **fields))[1]["code"]


def ask(gateway, access):
    return gateway.get("/r", [("Authorization", "Bearer " + access)])


def challenge(verifier=VERIFIER):
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def test_code(t):
    with origin.Origin() as upstream, Gateway(config(upstream.url), SETTINGS) as gateway:
        with t.case("a code, a token, a request"):
            base, added = redirected(authorize(gateway, scope="mail  read", state="a&b"))
            assert base == BACK and added["state"] == "a&b", added
            said = check(token(gateway, grant_type="authorization_code", code=added["code"], state="s\"1"), 200)
            assert list(said) == ["token_type", "access_token", "expires_in", "refresh_token", "state"], said
            assert (said["token_type"], said["expires_in"], said["state"]) == ("bearer", 7200, 's"1'), said
            assert ask(gateway, said["access_token"]).status == 200
            seen = upstream.one()
            assert seen.get("x-consumer-username") == "alice" and seen.get("x-credential-identifier") == "app", seen
            assert seen.get("x-authenticated-scope") == "mail read", seen
            assert seen.get("x-authenticated-userid") == "u 1", seen
        with t.case("a code is good once"):
            check(token(gateway, grant_type="authorization_code", code=added["code"]), 400, "invalid_request",
                  "Invalid code")
        with t.case("another redirect_uri of the client"):
            assert redirected(authorize(gateway, redirect_uri=SECOND))[0] == SECOND
        code = code_of(gateway)
        with t.case("a code of another client"):
            check(token(gateway, grant_type="authorization_code", code=code, client_id="other", client_secret="o"), 400,
                  "invalid_request", "Invalid code")
        with t.case("a code is no token"):
            assert ask(gateway, code).status == 401
        for name, fields, error, description in (
                ("response_type", {"response_type": "x"}, "unsupported_response_type", "Invalid response_type"),
                ("scope", {"scope": "mail x"}, "invalid_scope", '"x" is an invalid scope'),
                ("redirect_uri", {"redirect_uri": "https://evil.test/"}, "invalid_request",
                 "Invalid redirect_uri that does not match with any redirect_uri created with the application"),
                ("method of the challenge", {"code_challenge": "x", "code_challenge_method": "plain"},
                 "invalid_request", "code_challenge_method is not supported, must be S256"),
                ("public without a challenge", {"client_id": "spa"}, "invalid_request",
                 "code_challenge is required for public clients")):
            with t.case("redirected error: " + name):
                base, added = redirected(authorize(gateway, state="st", **fields), 400)
                assert base == BACK, base
                assert added == {"error": error, "error_description": description, "state": "st"}, added
        for name, fields, error, description in (
                ("provision_key", {"provision_key": "x"}, "invalid_provision_key", "Invalid provision_key"),
                ("userid", {"authenticated_userid": "  "}, "invalid_authenticated_userid",
                 "Missing authenticated_userid parameter"),
                ("userid with a line's end", {"authenticated_userid": "a\nb"}, "invalid_authenticated_userid",
                 "Missing authenticated_userid parameter"),
                ("client", {"client_id": "x"}, "invalid_client", "Invalid client authentication")):
            with t.case("plain error: " + name):
                check(authorize(gateway, **fields), 400, error, description)
        assert upstream.take() == []


def test_other_grants(t):
    with origin.Origin() as upstream, Gateway(config(upstream.url), SETTINGS) as gateway:
        with t.case("implicit"):
            base, _, rest = check(authorize(gateway, response_type="token"), 200)["redirect_uri"].partition("#")
            added = dict(urllib.parse.parse_qsl(rest))
            assert base == BACK and sorted(added) == ["access_token", "expires_in", "token_type"], added
            assert ask(gateway, added["access_token"]).status == 200
        with t.case("client credentials"):
            said = check(token(gateway, grant_type="client_credentials", scope="read"), 200)
            assert list(said) == ["token_type", "access_token", "expires_in"], said
            upstream.take()
            assert ask(gateway, said["access_token"]).status == 200
            assert upstream.one().get("x-authenticated-userid") is None
        with t.case("client credentials without redirect_uris"):
            check(token(gateway, grant_type="client_credentials", client_id="job", client_secret="j"), 200)
        with t.case("client credentials for somebody"):
            check(token(gateway, grant_type="client_credentials", authenticated_userid="u"), 400,
                  "invalid_provision_key", "Invalid provision_key")
            check(token(gateway, grant_type="client_credentials", authenticated_userid="u", provision_key=KEY), 200)
        with t.case("password"):
            check(token(gateway, grant_type="password", authenticated_userid="u"), 400, "invalid_provision_key",
                  "Invalid provision_key")
            check(token(gateway, grant_type="password", provision_key=KEY), 400, "invalid_authenticated_userid",
                  "Missing authenticated_userid parameter")
            said = check(token(gateway, grant_type="password", provision_key=KEY, authenticated_userid="u"), 200)
        with t.case("refresh, once"):
            wrong = token(gateway, grant_type="refresh_token", refresh_token=said["refresh_token"], client_id="other",
                          client_secret="o")
            check(wrong, 400, "invalid_client", "Invalid client authentication")
            again = check(token(gateway, grant_type="refresh_token", refresh_token=said["refresh_token"]), 200)
            assert again["refresh_token"] != said["refresh_token"]
            assert ask(gateway, again["access_token"]).status == 200
            for text in (said["refresh_token"], "x", again["access_token"]):
                check(token(gateway, grant_type="refresh_token", refresh_token=text), 400, "invalid_request",
                      "Invalid refresh_token")
        with t.case("Basic"):
            basic = [("Authorization", "Basic " + base64.b64encode(b"app:s").decode())]
            check(post(gateway, "/x/oauth2/token/", {"grant_type": "client_credentials"}, basic), 200)
            wrong = [("Authorization", "Basic " + base64.b64encode(b"app:x").decode())]
            answer = post(gateway, "/oauth2/token", {"grant_type": "client_credentials"}, wrong)
            check(answer, 401, "invalid_client", "Invalid client authentication")
            assert answer.get("www-authenticate") == 'Basic realm="OAuth2.0"', answer
        for name, fields, error, description in (
                ("grant", {"grant_type": "x"}, "unsupported_grant_type", "Invalid grant_type"),
                ("secret", {"grant_type": "client_credentials", "client_secret": "x"}, "invalid_client",
                 "Invalid client authentication"),
                ("client", {"grant_type": "client_credentials", "client_id": "x"}, "invalid_client",
                 "Invalid client authentication"),
                ("scope", {"grant_type": "client_credentials", "scope": "x"}, "invalid_scope",
                 '"x" is an invalid scope'),
                ("public with a secret", {"grant_type": "client_credentials", "client_id": "spa"}, "invalid_request",
                 "client_secret is disallowed for public clients")):
            with t.case(name):
                check(token(gateway, **fields), 400, error, description)
        with t.case("JSON"):
            body = json.dumps({"grant_type": "client_credentials", "client_id": "app", "client_secret": "s"}).encode()
            check(gateway.request("POST", "/oauth2/token", HTTPS + [("Content-Type", "application/json")], body), 200)
        for target in ("/oauth2/token", "/oauth2/authorize"):
            with t.case("GET " + target):
                answer = gateway.get(target, HTTPS)
                assert answer.status == 405 and json.loads(answer.body)["error"] == "invalid_method", answer
            with t.case("in the clear " + target):
                check(post(gateway, target, {}, https=False), 400, "access_denied", "You must use HTTPS")


def test_pkce(t):
    def redeem(gateway, **fields):
        return post(gateway, "/oauth2/token", {"grant_type": "authorization_code", "client_id": "spa", **fields})

    with origin.Origin() as upstream, Gateway(config(upstream.url), SETTINGS) as gateway:
        code = code_of(gateway, client_id="spa", code_challenge=challenge() + "=", code_challenge_method="S256")
        for name, fields, error, description in (
                ("missing", {}, "invalid_request", "code_verifier is required for PKCE authorization requests"),
                ("short", {"code_verifier": "v" * 42}, "invalid_request",
                 "code_verifier must be between 43 and 128 characters"),
                ("wrong", {"code_verifier": "w" * 43}, "invalid_grant", "The given grant is invalid")):
            with t.case(name):
                check(redeem(gateway, code=code, **fields), 400, error, description)
        with t.case("right, still good"):
            check(redeem(gateway, code=code, code_verifier=VERIFIER), 200)
        with t.case("a confidential client that began with a challenge must go on so"):
            code = code_of(gateway, code_challenge=challenge())
            check(token(gateway, grant_type="authorization_code", code=code), 400, "invalid_request",
                  "code_verifier is required for PKCE authorization requests")
    with origin.Origin() as upstream, Gateway(config(upstream.url, pkce="strict"), SETTINGS) as gateway:
        with t.case("strict"):
            added = redirected(authorize(gateway), 400)[1]
            assert added["error_description"] == "code_challenge is required for confidential clients", added
    with origin.Origin() as upstream, Gateway(config(upstream.url, pkce="none"), SETTINGS) as gateway:
        with t.case("none"):
            check(redeem(gateway, code=code_of(gateway, client_id="spa")), 200)


def access_of(gateway):
    return check(token(gateway, grant_type="client_credentials"), 200)["access_token"]


def test_requests(t):
    form = [("Content-Type", "application/x-www-form-urlencoded")]
    with origin.Origin() as upstream, \
            Gateway(config(upstream.url, realm="r", hide_credentials=True), SETTINGS) as gateway:
        access = access_of(gateway)
        for name, answer in (
                ("Bearer", lambda: ask(gateway, access)),
                ("token", lambda: gateway.get("/r", [("Authorization", "token " + access)])),
                ("query", lambda: gateway.get("/r?a=1&access_token=%s" % access)),
                ("form", lambda: gateway.request("POST", "/r", form, ("a=1&access_token=" + access).encode()))):
            with t.case(name):
                assert answer().status == 200
                seen = upstream.one()
                assert access not in repr(seen.fields) + seen.target + seen.body.decode(), seen
        with t.case("missing"):
            answer = gateway.get("/r")
            assert answer.status == 401 and answer.get("www-authenticate") == 'Bearer realm="r"', answer
            want = b'{"error":"invalid_request","error_description":"The access token is missing"}'
            assert answer.body == want, answer
        for name, text in (("nonsense", "x"), ("cut", access[:-2]), ("changed", "A" + access[1:] + "A"),
                           ("long", "a" * 6000)):
            with t.case(name):
                answer = ask(gateway, text)
                assert answer.status == 401, answer
                assert answer.get("www-authenticate") == (
                    'Bearer realm="r", error="invalid_token", '
                    'error_description="The access token is invalid or has expired"'), answer
        assert upstream.take() == []
        with t.case("a restart with the same provision key"):
            with Gateway(config(upstream.url), SETTINGS) as other:
                assert ask(other, access).status == 200
        with t.case("another provision key"):
            with Gateway(config(upstream.url, provision_key="other"), SETTINGS) as other:
                assert ask(other, access).status == 401
        gone = config(upstream.url)
        del gone["consumers"][0]["oauth2_credentials"][0]
        with t.case("a client that is gone"):
            with Gateway(gone, SETTINGS) as other:
                assert ask(other, access).status == 401


def test_services(t):
    """Tokens belong to a service, unless both sides are global."""
    def two(**options):
        out = config(upstream.url, **options)
        second = json.loads(json.dumps(out["services"][0]))
        second["name"], second["routes"][0] = "s2", {"name": "r2", "paths": ["/two"], "strip_path": False}
        out["services"].append(second)
        return out

    with origin.Origin() as upstream:
        with Gateway(two(), SETTINGS) as gateway:
            own = access_of(gateway)
            with t.case("of the other service"):
                answer = gateway.get("/two", [("Authorization", "Bearer " + own)])
                assert answer.status == 401, answer
        with Gateway(two(global_credentials=True), SETTINGS) as gateway:
            shared = access_of(gateway)
            with t.case("global"):
                assert gateway.get("/two", [("Authorization", "Bearer " + shared)]).status == 200
        with Gateway(two(), SETTINGS) as gateway:
            with t.case("global, where it is not wanted"):
                answer = ask(gateway, shared)
                assert answer.status == 401 and b"The access token is global" in answer.body, answer


def test_beside_others(t):
    key = {"name": "key-auth", "config": {"anonymous": "guest"}}
    with origin.Origin() as upstream:
        with Gateway(config(upstream.url, key, anonymous="guest"), SETTINGS) as gateway:
            access = access_of(gateway)
            for name, fields, who in (("token", [("Authorization", "Bearer " + access)], "alice"),
                                      ("key", [("apikey", "ka")], "alice"), ("neither", [], "guest"),
                                      ("bad token", [("Authorization", "Bearer x")], "guest")):
                with t.case(name):
                    assert gateway.get("/r", fields).status == 200
                    seen = upstream.one()
                    assert seen.get("x-consumer-username") == who, seen
                    assert seen.get("x-anonymous-consumer") == ("true" if who == "guest" else None), seen
        with Gateway(config(upstream.url, {"name": "key-auth"}), SETTINGS) as gateway:
            with t.case("both are needed"):
                assert ask(gateway, access).status == 401
                assert gateway.get("/r", [("apikey", "ka"), ("Authorization", "Bearer " + access)]).status == 200


def test_errors_of_configuration(t):
    def problems(plugin, credential):
        text = {"_format_version": "3.0", "plugins": [{"name": "oauth2", "config": plugin}],
                "consumers": [{"username": "a", "oauth2_credentials": [credential]}]}
        with Folder() as folder:
            done = run("check", "-c", folder.file("kong.json", json.dumps(text)))
        return done.returncode, done.stdout + done.stderr

    good, client = {"enable_password_grant": True}, {"name": "n"}
    for name, plugin, credential, message in (
            ("good", good, client, None), ("no grant", {}, client, "at least one of these fields must be true"),
            ("scope", {**good, "mandatory_scope": True}, client, "scopes"),
            ("fragment", good, {**client, "redirect_uris": ["https://a.test/#x"]}, "fragment not allowed"),
            ("relative", good, {**client, "redirect_uris": ["/x"]}, "must be absolute"),
            ("no name", good, {}, "required field missing"),
            ("pkce", {**good, "pkce": "x"}, client, "expected one of")):
        with t.case(name):
            status, text = problems(plugin, credential)
            assert (status == 0) == (message is None), text
            assert message is None or message in text, text
