# SPDX-License-Identifier: Apache-2.0
"""The configuration that the product was asked for, as it stands, with a real Redis and a real origin."""
import re
import time
import uuid

from tests.support import client, net, origin, tokens
from tests.support.gateway import Folder, Gateway
from tests.support.redis import Redis

CONFIG = """\
_format_version: "3.0"
services:
  - name: user-service
    url: http://user-service:8080
    routes:
      - name: user-route
        paths:
          - /api/v1/users
        strip_path: true
    plugins:
      - name: rate-limiting
        config: {minute: 100, policy: redis}
      - name: jwt
        config: {uri_param_names: [jwt]}
consumers:
  - username: alice
    custom_id: employee-7
    jwt_secrets:
      - key: alice-key
        secret: alice-secret
"""
NAMESPACE = uuid.UUID("fd02801f-0957-4a15-a55a-c8d9606f30b5")
TOKEN = tokens.hs({"iss": "alice-key"}, "alice-secret")
BEARER = [("Authorization", "Bearer " + TOKEN)]
NO_ROUTE = "00000000-0000-0000-0000-000000000000"


def generated_id(entity, key):
    """The id that Kong gives an entity which has none."""
    return str(uuid.uuid5(uuid.uuid5(NAMESPACE, entity), key))


class Setup:
    """Redis, an origin at port 8080 of this process's address, and the gateway between."""

    def __enter__(self):
        self.folder = Folder()
        hosts = self.folder.file("hosts", "127.0.0.1 localhost\n%s user-service\n" % net.own_host())
        self.redis = Redis()
        self.origin = origin.Origin(port=8080)
        self.gateway = Gateway(CONFIG, {"dns_hostsfile": hosts, "redis_host": self.redis.host,
                                        "redis_port": self.redis.port})
        return self

    def __exit__(self, kind, *rest):
        self.gateway.__exit__(kind, *rest)
        self.origin.__exit__(kind, *rest)
        self.redis.stop()
        self.folder.close()

    def get(self, target="/api/v1/users/42?x=1", headers=()):
        return self.gateway.get(target, headers)


def check_refusal(answer, message, challenge):
    assert answer.status == 401, answer
    assert answer.body == b'{"message":"%s"}' % message, answer.body
    assert answer.get("content-type") == "application/json; charset=utf-8", answer
    assert answer.get("www-authenticate") == challenge, answer
    assert answer.get("server", "").startswith("sluice/"), answer
    assert re.fullmatch("[0-9a-f]{32}", answer.get("x-kong-request-id", "")), answer
    assert re.fullmatch("[0-9]+", answer.get("x-kong-response-latency", "")), answer
    for name in ("via", "x-kong-upstream-latency", "x-kong-proxy-latency", "ratelimit-limit"):
        assert name not in answer.fields, answer


def test_without_token(t):
    with Setup() as s:
        check_refusal(s.get(), b"Unauthorized", "Bearer")
        assert s.origin.take() == [] and s.redis.keys() == []


def test_bad_signature(t):
    with Setup() as s:
        for headers, target in (([("Authorization", "Bearer " + tokens.tampered(TOKEN))], "/api/v1/users"),
                                ([], "/api/v1/users?jwt=" + tokens.tampered(TOKEN))):
            check_refusal(s.get(target, headers), b"Invalid signature", 'Bearer error="invalid_token"')
        assert s.origin.take() == []


def check_accepted(s, target, headers, want):
    answer = s.get(target, headers)
    assert answer.status == 200 and answer.body == origin.BODY, answer
    assert re.fullmatch("1.1 sluice/.+", answer.get("via", "")), answer
    seen = s.origin.one()
    assert seen.target == want, seen
    fields = {"host": "user-service:8080", "x-consumer-id": generated_id("consumers", "alice"),
              "x-consumer-username": "alice", "x-consumer-custom-id": "employee-7",
              "x-credential-identifier": "alice-key", "x-forwarded-prefix": "/api/v1/users"}
    for name, value in fields.items():
        assert seen.get(name) == value, "%s: %r" % (name, seen)
    assert "x-anonymous-consumer" not in seen.fields, seen


def test_with_token(t):
    with Setup() as s:
        with t.case("in the header"):
            check_accepted(s, "/api/v1/users/42?x=1", BEARER, "/42?x=1")
        with t.case("in the query"):
            check_accepted(s, "/api/v1/users/42?jwt=" + TOKEN, [], "/42?jwt=" + TOKEN)
        with t.case("spoofed identity"):
            spoof = [("X-Consumer-ID", "evil"), ("X-Consumer-Username", "root"),
                     ("X-Anonymous-Consumer", "true")]
            check_accepted(s, "/api/v1/users", BEARER + spoof, "/")
        with t.case("no such path"):
            assert s.get("/api/v2/users", BEARER).status == 404


def check_limited(answer):
    assert answer.status == 429, answer
    assert b'"message":"API rate limit exceeded"' in answer.body, answer.body
    reset = int(answer.get("ratelimit-reset"))
    assert 1 <= reset <= 60 and answer.get("retry-after") == str(reset), answer
    want = {"x-ratelimit-limit-minute": "100", "x-ratelimit-remaining-minute": "0", "ratelimit-limit": "100",
            "ratelimit-remaining": "0"}
    for name, value in want.items():
        assert answer.get(name) == value, "%s: %r" % (name, answer)


def spend_the_minute(s):
    """100 requests that pass and one that does not, on one connection; returns the answers."""
    data = client.encode("GET", "/api/v1/users", BEARER)
    with s.gateway.connect() as c:
        return [c.exchange(data) for _ in range(101)]


def within_one_minute(act, tries=3):
    """(result, start of the minute in ms) of `act`, done again if the minute turned meanwhile."""
    for _ in range(tries):
        before = int(time.time() - 0.1) // 60  # the gateway's clock may be a moment behind
        result = act()
        if int(time.time()) // 60 == before:
            return result, before * 60000
    raise AssertionError("the minute turned in each of %d tries" % tries)


def test_request_101(t):
    with Setup() as s:
        def act():
            s.redis.command("FLUSHALL")
            return spend_the_minute(s)

        answers, window = within_one_minute(act)
        for i, answer in enumerate(answers[:100]):
            assert answer.status == 200, "request %d: %r" % (i + 1, answer)
            assert answer.get("x-ratelimit-limit-minute") == "100", answer
            for name in ("x-ratelimit-remaining-minute", "ratelimit-remaining"):
                assert answer.get(name) == str(99 - i), "request %d: %r" % (i + 1, answer)
        check_limited(answers[100])
        key = "ratelimit:%s:%s:%s:%d:minute" % (NO_ROUTE, generated_id("services", "user-service"),
                                                generated_id("consumers", "alice"), window)
        assert s.redis.keys() == [key], "keys %r, want %r" % (s.redis.keys(), key)
        assert s.redis.command("GET", key) == "101"
        assert 0 < s.redis.command("TTL", key) <= 60
