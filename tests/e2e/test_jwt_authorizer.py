# SPDX-License-Identifier: Apache-2.0
"""Tokens checked against key sets that are fetched: rotation, failure and recovery of the provider, each style."""
import json
import signal
import threading
import time

from tests.support import client, net, origin, tokens
from tests.support.gateway import Gateway, simple_config

ISSUER, AUDIENCE = "https://issuer.test", "api"


class Provider(origin.Origin):
    """An identity provider: serves a key set at /jwks and its description; keeps what it is asked."""

    def __init__(self, **kw):
        self.keys, self.broken, self.asked, self.release = [], False, [], None
        super().__init__(self.serve_document, **kw)

    def serve_document(self, request):
        self.asked.append(request.target)
        if self.release:
            self.release.wait(10)
        if self.broken:
            return origin.answer(500, body=b"{}")
        document = {"keys": self.keys}
        if request.target == "/.well-known/openid-configuration":
            document = {"issuer": self.url, "jwks_uri": self.url + "/jwks"}
        return origin.answer(body=json.dumps(document).encode())

    def add(self, alg, kid, /, **members):
        private, public = tokens.key_pair(alg)
        self.keys.append(tokens.jwk(alg, public, kid=kid, **members))
        return private


def claims(**changes):
    now = int(time.time())
    made = {"iss": ISSUER, "aud": AUDIENCE, "exp": now + 600, "nbf": now - 5, "iat": now - 5, "scope": "read write"}
    made.update(changes)
    return {name: value for name, value in made.items() if value is not None}


def config_of(upstream, provider, **options):
    config = simple_config(upstream.url)
    fields = {"jwks_uri": provider.url + "/jwks", "issuer": ISSUER, "audience": [AUDIENCE], **options}
    config["plugins"] = [{"name": "jwt-authorizer", "config": fields}]
    return config


def ask(gateway, token=None, target="/"):
    return gateway.get(target, [("Authorization", "Bearer " + token)] if token else [])


def test_algorithms(t):
    """Each kind of key, and no way around: another algorithm, another key, a public key as a secret, no signature."""
    with origin.Origin() as upstream, Provider() as provider:
        algorithms = ["RS256", "RS512", "PS256", "ES256", "ES384", "ES512", "EdDSA"]
        private = {alg: provider.add(alg, "key-" + alg) for alg in algorithms}
        with Gateway(config_of(upstream, provider, algorithms=algorithms)) as gateway:
            for alg in algorithms:
                good = tokens.signed(claims(), private[alg], alg, kid="key-" + alg)
                with t.case(alg):
                    assert ask(gateway, good).status == 200
                    assert ask(gateway, tokens.tampered(good)).status == 401
                    assert ask(gateway, tokens.signed(claims(), private[alg], alg)).status == 200, "without kid"
            public = tokens.key_pair("RS256")[1]
            head, body, _ = tokens.signed(claims(), private["RS256"], "RS256", kid="key-RS256").split(".")
            none = tokens.b64url(b'{"alg":"none","kid":"key-RS256"}') + "." + body + "."
            for name, token in (("HS256 with the public key", tokens.hs(claims(), public, kid="key-RS256")),
                                ("none", none), ("no signature", head + "." + body + "."),
                                ("not accepted", tokens.signed(claims(), private["RS256"], "RS384")),
                                ("key of another kind", tokens.signed(claims(), private["RS256"], "RS256",
                                                                      kid="key-ES256"))):
                with t.case(name):
                    assert ask(gateway, token).status == 401
            assert len(provider.asked) <= 4, provider.asked  # two shards, and an unknown kid once each


CLAIM_CASES = [
    ("good", {}, 200, None),
    ("expired", {"exp": 1000}, 401, "expired"),
    ("no exp", {"exp": None}, 401, "expired"),
    ("exp as text", {"exp": "9999999999"}, 401, "expired"),
    ("not yet", {"nbf": 9999999999}, 401, "not valid yet"),
    ("issued in the future", {"iat": 9999999999}, 401, "future"),
    ("wrong issuer", {"iss": "https://other.test"}, 401, "issuer"),
    ("no issuer", {"iss": None}, 401, "issuer"),
    ("wrong audience", {"aud": "other"}, 401, "audience"),
    ("audience in a list", {"aud": ["other", AUDIENCE]}, 200, None),
    ("no audience", {"aud": None}, 401, "audience"),
    ("scope missing", {"scope": "read"}, 403, "scope"),
    ("scope by halves", {"scope": "read writer"}, 403, "scope"),
    ("scp", {"scope": None, "scp": ["write", "read"]}, 200, None),
]


def test_escaped_claims(t):
    """As some libraries write them: JSON may escape any character."""
    def escaped(claims, private):
        header = tokens.signing_input("ES256", {}, {"kid": "a"}).split(".")[0]
        payload = json.dumps(claims).replace("/", "\\/").replace("api", "a\\u0070i")
        text = header + "." + tokens.b64url(payload.encode())
        return text + "." + tokens.b64url(tokens.signature("ES256", private, text.encode()))

    with origin.Origin() as upstream, Provider() as provider:
        private = provider.add("ES256", "a")
        with Gateway(config_of(upstream, provider, algorithms=["ES256"])) as gateway:
            for name, changes, status in (("good", {}, 200), ("wrong", {"iss": "https://other.test"}, 401)):
                with t.case(name):
                    answer = ask(gateway, escaped(claims(**changes), private))
                    assert answer.status == status, answer


def test_claims(t):
    with origin.Origin() as upstream, Provider() as provider:
        private = provider.add("ES256", "a")
        options = {"algorithms": ["ES256"], "scopes": ["read", "write"], "realm": "here"}
        with Gateway(config_of(upstream, provider, **options)) as gateway:
            for name, changes, status, said in CLAIM_CASES:
                with t.case(name):
                    answer = ask(gateway, tokens.signed(claims(**changes), private, "ES256", kid="a"))
                    assert answer.status == status, answer
                    if said:
                        challenge = answer.get("WWW-Authenticate")
                        error = "insufficient_scope" if status == 403 else "invalid_token"
                        assert said in challenge and 'error="%s"' % error in challenge, challenge
                        assert challenge.startswith('Bearer realm="here"'), challenge
            missing = ask(gateway)
            assert missing.status == 401 and missing.get("WWW-Authenticate") == 'Bearer realm="here"', missing
            for name, token in (("rubbish", "abc"), ("dots", "a.b.c"), ("large", "a" * 9000)):
                with t.case(name):
                    assert ask(gateway, token).status in (400, 401)


def test_styles(t):
    """The error bodies of AWS and of Edge Stack."""
    with origin.Origin() as upstream, Provider() as provider:
        private = provider.add("RS256", "a")
        good = tokens.signed(claims(), private, "RS256", kid="a")
        expired = tokens.signed(claims(exp=1), private, "RS256", kid="a")
        with Gateway(config_of(upstream, provider, style="aws", scopes=["admin"], every_scope=False,
                               bearer="optional", query_name="token")) as gateway:
            answer = ask(gateway)
            assert (answer.status, answer.body) == (401, b'{"message":"Unauthorized"}'), answer
            assert answer.get("WWW-Authenticate") == "Bearer", answer
            answer = ask(gateway, expired)
            assert answer.body == b'{"message":"Unauthorized"}', answer
            assert answer.get("WWW-Authenticate").startswith('Bearer scope="admin" error="invalid_token"'), answer
            answer = ask(gateway, good)
            assert (answer.status, answer.body) == (403, b'{"message":"Forbidden"}'), answer
            admin = tokens.signed(claims(scope="admin"), private, "RS256", kid="a")
            assert gateway.get("/", [("Authorization", admin)]).status == 200, "without the word Bearer"
            assert gateway.get("/?token=" + admin).status == 200
        with Gateway(config_of(upstream, provider, header_name="", query_name="token")) as gateway:
            assert gateway.get("/?token=" + good).status == 200
            assert ask(gateway, good).status == 401, "not where the token is to stand"
        with Gateway(config_of(upstream, provider, style="envoy")) as gateway:
            answer = ask(gateway, expired)
            body = json.loads(answer.body)
            assert answer.status == 401 and body == {"message": "the token has expired", "status_code": 401}, answer
            assert ask(gateway, good).status == 200


def test_rotation(t):
    """A key that comes is found by its first token, one that goes is no longer taken after the set is renewed."""
    with origin.Origin() as upstream, Provider() as provider:
        old = provider.add("ES256", "old")
        options = {"algorithms": ["ES256", "ES384"], "jwks_unknown_kid": "100ms", "jwks_fresh": "1"}
        with Gateway(config_of(upstream, provider, **options), {"shards": "1"}) as gateway:
            assert ask(gateway, tokens.signed(claims(), old, "ES256", kid="old")).status == 200
            new = provider.add("ES384", "new")
            token = tokens.signed(claims(), new, "ES384", kid="new")
            net.wait_until(lambda: ask(gateway, token).status == 200, 5, what="the new key")
            provider.keys.pop(0)
            gone = tokens.signed(claims(), old, "ES256", kid="old")
            net.wait_until(lambda: ask(gateway, gone).status == 401, 10, what="the old key to go")
            assert ask(gateway, token).status == 200


def test_unknown_keys_do_not_flood_the_provider(t):
    with origin.Origin() as upstream, Provider() as provider:
        private = provider.add("ES256", "a")
        with Gateway(config_of(upstream, provider, algorithms=["ES256"]), {"shards": "1"}) as gateway:
            # made before, as time counts: a key is asked for anew after jwks_unknown_kid
            made = [tokens.signed(claims(), private, "ES256", kid="x%d" % i) for i in range(3)]
            with gateway.connect() as c:
                for i in range(50):
                    answer = c.exchange(client.encode("GET", "/", [("Authorization", "Bearer " + made[i % 3])]))
                    assert answer.status == 401, answer
            assert len(provider.asked) <= 2, provider.asked


def test_first_requests_share_one_fetch(t):
    """They wait for the keys together; a client that leaves meanwhile harms nobody."""
    with origin.Origin() as upstream, Provider() as provider:
        private = provider.add("ES256", "a")
        token = tokens.signed(claims(), private, "ES256", kid="a")
        provider.release = threading.Event()
        with Gateway(config_of(upstream, provider, algorithms=["ES256"], timeout=10000), {"shards": "1"}) as gateway:
            waiting = [gateway.connect() for _ in range(20)]
            for c in waiting:
                c.send(client.encode("GET", "/", [("Authorization", "Bearer " + token)]))
            net.wait_until(lambda: provider.asked, what="the fetch")
            for c in waiting[:5]:
                c.abort()
            assert not upstream.requests
            provider.release.set()
            for c in waiting[5:]:
                assert c.read().status == 200
                c.close()
            assert provider.asked == ["/jwks"], provider.asked


def test_provider_down(t):
    """Never reached: refused, within its time. Reached once: known keys go on serving."""
    with origin.Origin() as upstream, Provider() as provider:
        private = provider.add("ES256", "a")
        token = tokens.signed(claims(), private, "ES256", kid="a")
        provider.broken = True
        options = {"algorithms": ["ES256"], "jwks_fresh": "1"}
        with Gateway(config_of(upstream, provider, **options), {"shards": "1"}) as gateway:
            assert ask(gateway, token).status == 503
            provider.broken = False
            net.wait_until(lambda: ask(gateway, token).status == 200, 10, what="the provider's recovery")
            provider.broken = True
            asked = len(provider.asked)
            net.wait_until(lambda: ask(gateway, token).status == 200 and len(provider.asked) > asked, 10,
                           what="a failed renewal")
            assert ask(gateway, token).status == 200, "stale keys serve"
        provider.release = threading.Event()
        with Gateway(config_of(upstream, provider, timeout=200, algorithms=["ES256"], style="aws")) as gateway:
            answer = ask(gateway, token)
            assert (answer.status, answer.body) == (500, b'{"message":"Internal Server Error"}'), answer
            provider.release.set()


def test_discovery(t):
    """Without jwks_uri the issuer's description says where the keys are; it must be that issuer's."""
    with origin.Origin() as upstream, Provider() as provider:
        private = provider.add("ES256", "a")
        options = {"algorithms": ["ES256"], "jwks_uri": None}
        token = tokens.signed(claims(iss=provider.url), private, "ES256", kid="a")
        with Gateway(config_of(upstream, provider, issuer=provider.url, **options), {"shards": "1"}) as gateway:
            assert ask(gateway, token).status == 200
            assert provider.asked == ["/.well-known/openid-configuration", "/jwks"], provider.asked
        other = provider.url + "/"
        token = tokens.signed(claims(iss=other), private, "ES256", kid="a")
        with Gateway(config_of(upstream, provider, issuer=other, **options), {"shards": "1"}) as gateway:
            assert ask(gateway, token).status == 503


def test_bad_key_sets(t):
    with origin.Origin() as upstream, Provider() as provider:
        private = provider.add("ES256", "a")
        good = provider.keys[0]
        token = tokens.signed(claims(), private, "ES256", kid="a")
        bad = [{}, {"kty": "EC"}, {"kty": "oct", "k": "AAAA"}, {**good, "x": good["y"]}, {**good, "use": "enc"}, 5,
               {**good, "crv": "P-521"}, {"kty": "RSA", "n": "", "e": "AQAB"}, {**good, "kid": 7, "alg": "RS256"}]
        provider.keys = bad + [good]
        with Gateway(config_of(upstream, provider, algorithms=["ES256"])) as gateway:
            assert ask(gateway, token).status == 200, "one good key among bad ones"
        for keys in ([], bad, ["x"] * 3, [good] * 200):
            provider.keys = keys
            with t.case("%d keys" % len(keys)), \
                 Gateway(config_of(upstream, provider, algorithms=["ES256"]), {"shards": "1"}) as gateway:
                assert ask(gateway, token).status in (401, 503)


def test_stop_while_keys_are_fetched(t):
    """Who waits for them is given up without leaking anything."""
    with origin.Origin() as upstream, Provider() as provider:
        key = provider.add("RS256", "one")
        token = tokens.signed(claims(), key, "RS256", kid="one")
        provider.release = threading.Event()
        with Gateway(config_of(upstream, provider, timeout=60000)) as gateway:
            waiting = [gateway.connect() for _ in range(4)]
            for connection in waiting:
                connection.send(client.encode("GET", "/", [("Authorization", "Bearer " + token)]))
            net.wait_until(lambda: provider.asked, 5, "the fetch")
            waiting.pop().abort()
            gateway.stop(signal.SIGINT)
            provider.release.set()
            for connection in waiting:
                connection.close()
