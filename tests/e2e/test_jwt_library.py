# SPDX-License-Identifier: Apache-2.0
"""Tokens that somebody else's library makes (PyJWT, Debian's python3-jwt), in every algorithm and with its defaults."""
import json
import subprocess

from tests.support import origin, tokens
from tests.support.gateway import Gateway, simple_config
from tests.support.runner import Skip

HMAC = ["HS256", "HS384", "HS512"]
PUBLIC = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
SECRET = "a secret of some length, for HMAC with up to 512 bits of hash, and then a little more"
# Debian's interpreter has Debian's modules; the one that runs the tests may be another.
PYTHON = "/usr/bin/python3"
MAKER = """
import datetime, json, sys
import jwt
orders = json.load(sys.stdin)
now = datetime.datetime.now(datetime.timezone.utc)
for order in orders:
    claims = dict(order["claims"])
    for name, seconds in order["times"].items():
        claims[name] = now + datetime.timedelta(seconds=seconds)
    print(jwt.encode(claims, order["key"], algorithm=order["alg"], headers=order["headers"]))
"""


def make(orders):
    """A token per order: algorithm, key, claims, times relative to now, headers."""
    names = ("alg", "key", "claims", "times", "headers")
    text = json.dumps([dict(zip(names, order, strict=True)) for order in orders])
    try:
        done = subprocess.run([PYTHON, "-c", MAKER], input=text, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise Skip("there is no Python of Debian's") from error
    if "No module named" in done.stderr:
        raise Skip("python3-jwt or python3-cryptography is not installed")
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def credential(alg):
    if alg in HMAC:
        return {"key": alg, "algorithm": alg, "secret": SECRET}
    return {"key": alg, "algorithm": alg, "rsa_public_key": tokens.key_pair(alg)[1]}


def key_of(alg):
    return SECRET if alg in HMAC else tokens.key_pair(alg)[0]


def config(url):
    out = simple_config(url)
    out["services"][0]["plugins"] = [
        {"name": "jwt", "config": {"claims_to_verify": ["exp", "nbf"], "maximum_expiration": 3600}}]
    out["consumers"] = [{"username": "alice", "jwt_secrets": [credential(alg) for alg in HMAC + PUBLIC]}]
    return out


def test_every_algorithm(t):
    times = {"exp": 600, "nbf": -10, "iat": -10}
    orders = [(alg, key_of(alg), {"iss": alg, "aud": ["a", "b"], "näme": "Zoë \U0001F600"}, times, {})
              for alg in HMAC + PUBLIC]
    made = make(orders)
    with origin.Origin() as upstream, Gateway(config(upstream.url)) as gateway:
        for alg, token in zip(HMAC + PUBLIC, made, strict=True):
            with t.case(alg):
                answer = gateway.get("/", [("Authorization", "Bearer " + token)])
                assert answer.status == 200, answer
                assert upstream.one().get("x-consumer-username") == "alice"


def test_claims_and_headers(t):
    iss = {"iss": "HS256"}
    cases = [
        ("expired", 401, iss, {"exp": -5, "nbf": -10}, {}),
        ("not yet", 401, iss, {"exp": 600, "nbf": 300}, {}),
        ("without exp", 401, iss, {"nbf": -10}, {}),
        ("beyond maximum_expiration", 401, iss, {"exp": 7200, "nbf": -10}, {}),
        ("of nobody", 401, {"iss": "somebody"}, {"exp": 600, "nbf": -10}, {}),
        ("more headers", 200, iss, {"exp": 600, "nbf": -10}, {"kid": "1", "x5t": "AA", "cty": "JWT"}),
        ("no typ", 200, iss, {"exp": 600, "nbf": -10}, {"typ": None}),
    ]
    made = make([("HS256", SECRET, claims, times, headers) for _, _, claims, times, headers in cases])
    with origin.Origin() as upstream, Gateway(config(upstream.url)) as gateway:
        for (name, status, *_), token in zip(cases, made, strict=True):
            with t.case(name):
                answer = gateway.get("/?jwt=" + token)
                assert answer.status == status, answer
