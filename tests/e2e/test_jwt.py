# SPDX-License-Identifier: Apache-2.0
"""JSON Web Tokens by algorithm, and attacks on the choice of algorithm. Flows and messages: tests/kong."""
import time

from tests.support import client, origin, tokens
from tests.support.gateway import Gateway, simple_config

HMAC = ["HS256", "HS384", "HS512"]
PUBLIC = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
SECRET = "a secret of some length, for HMAC"


def credential(alg):
    if alg in HMAC:
        return {"key": alg, "algorithm": alg, "secret": SECRET}
    return {"key": alg, "algorithm": alg, "rsa_public_key": tokens.key_pair(alg)[1]}


def make(alg, claims=None, **header):
    claims = {"iss": alg, **(claims or {})}
    if alg in HMAC:
        return tokens.hs(claims, SECRET, alg, **header)
    return tokens.signed(claims, tokens.key_pair(alg)[0], alg, **header)


def config(url, algorithms, **plugin):
    out = simple_config(url)
    out["services"][0]["plugins"] = [{"name": "jwt", "config": plugin}]
    out["consumers"] = [{"username": "alice", "jwt_secrets": [credential(alg) for alg in algorithms]}]
    return out


def send(gateway, token):
    return gateway.get("/", [("Authorization", "Bearer " + token)])


def check_refused(answer, message):
    assert answer.status == 401, answer
    assert answer.body == b'{"message":"%s"}' % message.encode(), answer


def test_algorithms(t):
    algorithms = HMAC + PUBLIC
    with origin.Origin() as upstream, Gateway(config(upstream.url, algorithms)) as gateway:
        for alg in algorithms:
            with t.case(alg):
                token = make(alg)
                assert send(gateway, token).status == 200
                assert upstream.one().get("x-credential-identifier") == alg
                check_refused(send(gateway, tokens.tampered(token)), "Invalid signature")
                head, _, sign = token.split(".")
                swapped = ".".join([head, make(alg, {"admin": True}).split(".")[1], sign])
                check_refused(send(gateway, swapped), "Invalid signature")
        assert upstream.take() == []


def test_key_of_another(t):
    """A token that is signed by the same kind of key, but not by the credential's."""
    with origin.Origin() as upstream, Gateway(config(upstream.url, ["ES256", "HS256"])) as gateway:
        tokens.key_pair.cache_clear()
        with t.case("ES256"):
            check_refused(send(gateway, make("ES256")), "Invalid signature")
        with t.case("HS256"):
            check_refused(send(gateway, tokens.hs({"iss": "HS256"}, "another secret")), "Invalid signature")


def test_algorithm_confusion(t):
    public = tokens.key_pair("RS256")[1]
    forged = [
        ("public key as HMAC secret", tokens.hs({"iss": "RS256"}, public)),
        ("public key without last newline", tokens.hs({"iss": "RS256"}, public.strip())),
        ("none", tokens.signing_input("none", {"iss": "RS256"}, {}) + "."),
        ("None", tokens.signing_input("None", {"iss": "RS256"}, {}) + "."),
        ("no alg", tokens.signing_input("", {"iss": "RS256"}, {}) + ".AAAA"),
        ("RS256 named for an HMAC key", make("RS256", {"iss": "HS256"})),
        ("PS256 with the RS256 key", tokens.signed({"iss": "RS256"}, tokens.key_pair("RS256")[0], "PS256")),
        ("empty signature", tokens.signing_input("HS256", {"iss": "HS256"}, {}) + "."),
        ("half a signature", make("HS256")[:-20]),
        ("five parts", make("HS256") + ".a.b"),
    ]
    with origin.Origin() as upstream, Gateway(config(upstream.url, ["RS256", "HS256"])) as gateway:
        for name, token in forged:
            with t.case(name):
                assert send(gateway, token).status == 401
        assert upstream.take() == []


def test_header_claims_are_not_followed(t):
    """jku, x5u and an embedded jwk change nothing; kid is only compared."""
    extras = {"jku": "http://127.0.0.1:1/keys", "x5u": "http://127.0.0.1:1/cert", "kid": "../../etc/passwd",
              "jwk": {"kty": "oct", "k": "AAAA"}}
    with origin.Origin() as upstream, Gateway(config(upstream.url, ["HS256"])) as gateway:
        assert send(gateway, make("HS256", **extras)).status == 200
        assert send(gateway, tokens.hs({"iss": "HS256"}, "\0\0\0", **extras)).status == 401


# claims relative to now, status, body (None: any)
TIMES = [
    ({"exp": 60, "nbf": -60}, 200, None),
    ({"exp": -1, "nbf": -60}, 401, b'{"exp":"token expired"}'),
    ({"exp": 60, "nbf": 60}, 401, b'{"nbf":"token not valid yet"}'),
    ({"exp": "soon", "nbf": -60}, 401, b'{"exp":"must be a number"}'),
    ({"exp": 60}, 401, None),
    ({"exp": -(1 << 62), "nbf": -60}, 401, None),
    ({"exp": 7200, "nbf": -60}, 401, b'{"exp":"exceeds maximum allowed expiration"}'),
]


def test_times(t):
    plugin = {"claims_to_verify": ["exp", "nbf"], "maximum_expiration": 3600}
    with origin.Origin() as upstream, Gateway(config(upstream.url, ["HS256"], **plugin)) as gateway:
        for claims, status, body in TIMES:
            with t.case(str(claims)):
                now = int(time.time())
                token = make("HS256", {k: v if isinstance(v, str) else now + v for k, v in claims.items()})
                answer = send(gateway, token)
                assert answer.status == status and body in (None, answer.body), answer


def test_where_tokens_are_found(t):
    plugin = {"uri_param_names": ["t"], "cookie_names": ["tok"],
              "header_names": ["x-token", "authorization"]}
    token, other = make("HS256"), make("HS256", {"n": 1})
    rows = [
        ("query", "/?a=1&t=" + token, [], 200),
        ("cookie", "/", [("Cookie", "a=b; tok=%s; c=d" % token)], 200),
        ("own header", "/", [("X-Token", "Bearer " + token)], 200),
        ("same twice", "/?t=" + token, [("Authorization", "Bearer " + token)], 200),
        ("two tokens", "/?t=" + token, [("Authorization", "Bearer " + other)], 401),
        ("other query name", "/?jwt=" + token, [], 401),
    ]
    with origin.Origin() as upstream, Gateway(config(upstream.url, ["HS256"], **plugin)) as gateway:
        for name, target, headers, status in rows:
            with t.case(name):
                answer = gateway.get(target, headers)
                assert answer.status == status, answer


def test_anonymous(t):
    with origin.Origin() as upstream:
        setup = config(upstream.url, ["HS256"], anonymous="guest")
        setup["consumers"].append({"username": "guest"})
        with Gateway(setup) as gateway:
            assert gateway.get("/").status == 200
            seen = upstream.one()
            assert seen.get("x-anonymous-consumer") == "true", seen
            assert seen.get("x-consumer-username") == "guest", seen
            assert send(gateway, make("HS256")).status == 200
            seen = upstream.one()
            assert "x-anonymous-consumer" not in seen.fields, seen
            assert seen.get("x-consumer-username") == "alice", seen


def test_preflight(t):
    for run_on_preflight, status in ((True, 401), (False, 200)):
        with t.case(str(run_on_preflight)), origin.Origin() as upstream:
            setup = config(upstream.url, ["HS256"], run_on_preflight=run_on_preflight)
            with Gateway(setup) as gateway, gateway.connect() as c:
                assert c.exchange(client.encode("OPTIONS", "/")).status == status
                assert c.exchange(client.encode("GET", "/")).status == 401
