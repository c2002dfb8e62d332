# SPDX-License-Identifier: Apache-2.0
"""The JSON access log says why the gateway answered in the upstream's place, and which plugin did."""
import base64
import contextlib
import json
import threading

from tests.e2e.test_ldap_auth import PEOPLE, login
from tests.e2e.test_ldap_auth import config as ldap_config
from tests.e2e.test_openid_connect import Provider, bearer, config_of
from tests.support import client, net, origin, tokens
from tests.support.gateway import Folder, Gateway
from tests.support.ldap import Directory

SECRET = "a secret of some length, for HMAC"


class Site:
    """A gateway before `services`, and the records of its access log."""

    def __init__(self, config, **settings):
        self.config, self.settings = config, settings

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.log = stack.enter_context(Folder()).file("access.log")
            settings = {"proxy_access_log": self.log, "proxy_access_log_format": "json", **self.settings}
            self.gateway = stack.enter_context(Gateway(self.config, settings))
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *failure):
        return self.stack.__exit__(*failure)

    def record(self, target):
        """Of the one request for that target."""
        def found():
            with open(self.log) as f:
                lines = [json.loads(line) for line in f.read().split("\n")[:-1]]
            return [line for line in lines if line.get("target") == target]
        (record,) = net.wait_until(found, what="the line of " + target)
        return record

    def expect(self, target, status, plugin, reason):
        record = self.record(target)
        assert (record["status"], record.get("plugin"), record.get("reason")) == (status, plugin, reason), record


def service(name, url, plugins=(), **fields):
    return {"name": name, "url": url, "retries": 0, "plugins": list(plugins),
            "routes": [{"name": name, "paths": ["/" + name], "strip_path": False}], **fields}


def basic(user, password):
    return [("Authorization", "Basic " + base64.b64encode(("%s:%s" % (user, password)).encode()).decode())]


def plugins_config(url):
    return {
        "_format_version": "3.0",
        "services": [
            service("jwt", url, [{"name": "jwt"}]),
            service("key", url, [{"name": "key-auth"}]),
            service("basic", url, [{"name": "basic-auth"}]),
            service("limit", url, [{"name": "rate-limiting", "config": {"hour": 1, "policy": "local"}}]),
            service("acl", url, [{"name": "basic-auth"}, {"name": "acl", "config": {"allow": ["others"]}}]),
            service("end", url, [{"name": "request-termination", "config": {"status_code": 418, "message": "no"}}]),
            service("open", url),
        ],
        "consumers": [{"username": "ann", "jwt_secrets": [{"key": "ann", "secret": SECRET}],
                       "basicauth_credentials": [{"username": "ann", "password": "right"}]}],
    }


def test_plugins(t):
    wrong = tokens.tampered(tokens.hs({"iss": "ann"}, SECRET))
    rows = [
        ("/jwt/none", [], 401, "jwt", "Unauthorized"),
        ("/jwt/wrong", bearer(wrong), 401, "jwt", "Invalid signature"),
        ("/key/none", [], 401, "key-auth", "No API key found in request"),
        ("/key/wrong", [("apikey", "x")], 401, "key-auth", "no such key"),
        ("/basic/none", [], 401, "basic-auth", "no credentials"),
        ("/basic/nobody", basic("bob", "right"), 401, "basic-auth", "no such user"),
        ("/basic/wrong", basic("ann", "wrong"), 401, "basic-auth", "wrong password"),
        ("/basic/right", basic("ann", "right"), 200, None, None),
        ("/limit/first", [], 200, None, None),
        ("/limit/second", [], 429, "rate-limiting", "API rate limit exceeded"),
        ("/acl", basic("ann", "right"), 403, "acl", "You cannot consume this service"),
        ("/end", [], 418, "request-termination", "no"),
        ("/nowhere", [], 404, None, "no Route matched with those values"),
        ("/open/status/401", [], 401, None, None),      # the upstream's own
    ]

    def handler(request):
        return origin.answer(status=401 if request.target.endswith("/401") else 200)
    with origin.Origin(handler) as upstream, Site(plugins_config(upstream.url)) as site:
        for target, headers, status, plugin, reason in rows:
            with t.case(target):
                assert site.gateway.get(target, headers).status == status
                site.expect(target, status, plugin, reason)


def test_directory(t):
    with origin.Origin() as upstream, Directory(PEOPLE) as directory, \
            Site(ldap_config(upstream.url, directory)) as site:
        assert site.gateway.get("/none").status == 401
        site.expect("/none", 401, "ldap-auth", "no credentials")
        for target in ("/wrong", "/again"):     # asked, and remembered
            assert site.gateway.get(target, login("alice", "wrong")).status == 401
            site.expect(target, 401, "ldap-auth", "refused by the directory")


def test_upstreams(t):
    """What went wrong on the other side, where the client is told the usual sentence."""
    late = threading.Event()

    def script(connection):
        request = connection.read_request()
        if request is None:
            return
        if request.target == "/peer/nonsense":
            connection.send(b"nonsense\r\n\r\n")
        elif request.target == "/peer/cut":
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
        elif request.target.startswith("/peer/late"):
            late.set()
            connection.wait_for_end()
    with origin.Peer(script) as peer:
        config = {"_format_version": "3.0",
                  "services": [service("peer", peer.url, read_timeout=2000),
                               service("nobody", "http://%s:%d" % (net.own_host(), net.free_port()))]}
        rows = [("/nobody", 502, "connection refused"), ("/peer/nonsense", 502, "invalid message"),
                ("/peer/close", 502, "connection closed"), ("/peer/late", 504, "timed out")]
        with Site(config) as site:
            for target, status, reason in rows:
                with t.case(target):
                    assert site.gateway.get(target).status == status
                    site.expect(target, status, None, reason)
            with t.case("cut in the middle"), site.gateway.connect() as c:
                c.send_split([client.encode("GET", "/peer/cut")])
                c.reader.rest(lambda part: None)
                site.expect("/peer/cut", 200, None, "connection closed")
            late.clear()
            with t.case("the client goes"):
                with site.gateway.connect() as c:
                    c.send_split([client.encode("GET", "/peer/late?impatient")])
                    assert late.wait(10)
                    client.wire.abort(c.sock)
                site.expect("/peer/late?impatient", 499, None, "the client has gone")


def test_openid_connect(t):
    other = tokens.key_pair("ES256")[0]
    with origin.Origin() as upstream, Provider() as provider:
        options = {"auth_methods": ["bearer"], "scopes_required": ["read"]}
        rows = [("expired", provider.token(exp=1000), 401, "the token has expired"),
                ("issuer", provider.token(iss="http://x"), 401, "the token is of another issuer"),
                ("tampered", tokens.tampered(provider.token()), 401, "the token's signature is wrong"),
                ("key", tokens.signed({"iss": provider.url}, other, "ES256", kid="k1"), 401,
                 "the provider has no such key"),
                ("opaque", "abc", 401, "the bearer token is no JWT"),
                ("scope", provider.token(scope="write"), 403, "a required scope is missing")]
        with Site(config_of(upstream, provider, **options)) as site:
            for name, token, status, reason in rows:
                with t.case(name):
                    assert site.gateway.get("/" + name, bearer(token)).status == status
                    site.expect("/" + name, status, "openid-connect", reason)
            with t.case("none"):
                assert site.gateway.get("/none").status == 401
                site.expect("/none", 401, "openid-connect", "no credentials")
