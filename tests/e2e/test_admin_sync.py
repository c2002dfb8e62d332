# SPDX-License-Identifier: Apache-2.0
"""What decK and scripts do with the Admin API, asked with curl: every kind of entity through every method, whole
states that are synchronised, changes that requests see at once, writers side by side, and ends at any moment."""
import contextlib
import json
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import threading
import urllib.parse

from tests.support import certs, client, gateway, net, origin
from tests.support.gateway import Folder, Gateway
from tests.support.runner import Skip

NOWHERE = "99999999-2222-4333-8444-555555555555"


class Admin:
    """Asks the admin listener at this address with curl."""

    def __init__(self, address):
        if not shutil.which("curl"):
            raise Skip("curl is not installed")
        self.base = "http://%s:%d" % address

    def ask(self, method, path, body=None, *options):
        """(status, what the body says)"""
        words = ["curl", "-sS", "-g", "--max-time", "60", "-X", method, "-w", "\n%{http_code}", *options]
        if body is not None:
            words += ["-H", "Content-Type: application/json", "--data-binary", "@-"]
            body = body if isinstance(body, str) else json.dumps(body)
        done = subprocess.run([*words, self.base + path], input=body or "", capture_output=True, text=True)
        assert done.returncode == 0, (method, path, done)
        text, _, status = done.stdout.rpartition("\n")
        return int(status), json.loads(text) if text else None

    def json(self, wanted, method, path, body=None, *options):
        status, value = self.ask(method, path, body, *options)
        assert status == wanted, (method, path, status, value)
        return value

    def all(self, kind, size=100, query=""):
        """Every entity of a kind, page by page."""
        found, path = [], "/%s?size=%d%s" % (kind, size, query)
        while path:
            page = self.json(200, "GET", path)
            assert len(page["data"]) <= size, page
            found, path = found + page["data"], page["next"]
        return found


@contextlib.contextmanager
def storing(folder, **settings):
    """(gateway, admin)"""
    address = net.own_host(), net.free_port()
    settings = {"admin_listen": "%s:%d" % address, "store": "sqlite:" + folder.file("store.db"), **settings}
    with Gateway({"_format_version": "3.0"}, settings) as running:
        yield running, Admin(address)


class Kind:
    """How a kind is called, and what it takes.

    `good`: a first entity. `other`: a second one beside it. `change`: a field that PATCH sets. `key`: the field whose
    value stands for the id. `bad`: fields that the schema refuses. `parent`: (field, path of the parent, nested name).
    `code`: of the error when the first is there already; None when there can be two.
    """

    def __init__(self, path, good, other, change, key=None, bad=None, parent=None, code=5):
        self.path, self.good, self.other, self.change = path, good, other, change
        self.key, self.bad, self.parent, self.code = key, bad or {"nope": 1}, parent, code


def kinds(base):
    """In an order in which parents come first. `base` has what the others refer to."""
    consumer = ("consumer", "/consumers/base", {"id": base["consumer"]})
    pair, other_pair, authority, other_authority = base["pairs"]
    jwk = {"kty": "oct", "k": "c2VjcmV0"}

    def credential(path, nested, good, other, change, key, code=5):
        return Kind(path, good, other, change, key, parent=(*consumer, nested), code=code)
    return [
        Kind("services", {"name": "k", "host": "h"}, {"name": "l", "host": "h"}, {"retries": 9}, "name",
             {"host": "h", "port": 70000}),
        Kind("routes", {"name": "k", "paths": ["/k"]}, {"name": "l", "paths": ["/l"]}, {"paths": ["/m"]}, "name",
             {"paths": ["x"]}, ("service", "/services/base", {"id": base["service"]}, "routes")),
        Kind("consumers", {"username": "k"}, {"username": "l"}, {"custom_id": "x"}, "username", {"username": 5}),
        Kind("plugins", {"name": "cors", "instance_name": "k"}, {"name": "acl", "config": {"allow": ["a"]}},
             {"config": {"max_age": 7}}, "instance_name", {"name": "cors", "config": {"max_age": "x"}},
             ("service", "/services/base", {"id": base["service"]}, "plugins")),
        Kind("upstreams", {"name": "k"}, {"name": "l"}, {"slots": 20}, "name", {"name": "k", "slots": 1}),
        Kind("certificates", {"cert": pair.cert, "key": pair.key}, {"cert": other_pair.cert, "key": other_pair.key},
             {"tags": ["x"]}, None, {"cert": "x", "key": "y"}, code=None),
        Kind("snis", {"name": "k.test", "certificate": {"id": base["certificate"]}},
             {"name": "l.test", "certificate": {"id": base["certificate"]}}, {"tags": ["x"]}, "name",
             {"name": "a/b", "certificate": {"id": base["certificate"]}},
             ("certificate", "/certificates/" + base["certificate"], {"id": base["certificate"]}, "snis")),
        Kind("ca_certificates", {"cert": authority.cert}, {"cert": other_authority.cert}, {"tags": ["x"]}, None,
             {"cert": "x"}),
        Kind("vaults", {"name": "env", "prefix": "my-k"}, {"name": "env", "prefix": "my-l"}, {"description": "x"},
             "prefix", {"name": "env", "prefix": "env"}),
        Kind("key-sets", {"name": "k"}, {"name": "l"}, {"tags": ["x"]}, "name", {"name": 5}),
        Kind("keys", {"name": "k", "kid": "1", "jwk": json.dumps({"kid": "1", **jwk})},
             {"name": "l", "kid": "2", "jwk": json.dumps({"kid": "2", **jwk})}, {"tags": ["x"]}, "name", {"name": "k"},
             ("set", "/key-sets/base", {"id": base["set"]}, "keys")),
        Kind("consumer_groups", {"name": "k"}, {"name": "l"}, {"tags": ["x"]}, "name", {"name": 5}),
        credential("key-auths", "key-auth", {"key": "k"}, {"key": "l"}, {"tags": ["x"]}, "key"),
        credential("basic-auths", "basic-auth", {"username": "k", "password": "p"},
                   {"username": "l", "password": "p"}, {"tags": ["x"]}, "username"),
        credential("hmac-auths", "hmac-auth", {"username": "k", "secret": "p"}, {"username": "l", "secret": "p"},
                   {"secret": "q"}, "username"),
        credential("jwts", "jwt", {"key": "k", "secret": "p"}, {"key": "l", "secret": "p"}, {"secret": "q"}, "key"),
        credential("acls", "acls", {"group": "k"}, {"group": "l"}, {"group": "m"}, None),
        credential("oauth2", "oauth2", {"name": "k", "client_id": "k", "client_secret": "p", "hash_secret": True,
                                        "redirect_uris": ["https://a.test"]},
                   {"name": "l", "client_id": "l", "redirect_uris": ["https://a.test"]}, {"name": "x"}, "client_id"),
    ]


def make_base(admin):
    """What entities refer to; with certificates to store."""
    authority = certs.Authority()
    own = authority.issue("base.test")
    return {
        "service": admin.json(201, "POST", "/services", {"name": "base", "host": "h"})["id"],
        "consumer": admin.json(201, "POST", "/consumers", {"username": "base"})["id"],
        "set": admin.json(201, "POST", "/key-sets", {"name": "base"})["id"],
        "certificate": admin.json(201, "POST", "/certificates", {"cert": own.cert, "key": own.key})["id"],
        "pairs": (authority.issue("a.test"), authority.issue("b.test"), authority, certs.Authority("Other")),
    }


def create(t, admin, kind):
    """The two entities of a kind, made in its collection; what is wrong with others."""
    path, schema = "/" + kind.path, kind.path.replace("-", "_")
    reference = {kind.parent[0]: kind.parent[2]} if kind.parent else {}
    before = {one["id"] for one in admin.all(kind.path)}
    with t.case("create"):
        first = admin.json(201, "POST", path, {**kind.good, **reference, "tags": ["one"]})
        second = admin.json(201, "POST", path, {**kind.other, **reference, "tags": ["two", "a b"]})
        assert first["tags"] == ["one"] and first["created_at"] > 1600000000, first
    if kind.code:
        with t.case("twice"):
            status, error = admin.ask("POST", path, {**kind.good, **reference})
            assert (status, error["code"]) == (409, kind.code) and error["fields"], (status, error)
    with t.case("same id"):
        status, error = admin.ask("POST", path, {**kind.good, **reference, "id": second["id"]})
        assert (status, error["code"]) in ((400, 3), (409, 5)), (status, error)
    with t.case("schema"):
        error = admin.json(400, "POST", path, {**kind.bad, **reference})
        assert error["code"] == 2 and "schema violation" in error["message"] and error["fields"], error
    if kind.path in SCHEMAS:
        schema = SCHEMAS[kind.path]
        with t.case("validation without creating"):
            done = admin.json(200, "POST", "/schemas/%s/validate" % schema, {**kind.good, **reference})
            assert done == {"message": "schema validation successful"}, done
            assert admin.json(400, "POST", "/schemas/%s/validate" % schema, {**kind.bad, **reference})["code"] == 2
            assert admin.json(200, "GET", "/schemas/" + schema)["fields"]
    with t.case("no such parent"):
        if kind.parent:
            bad = {**kind.other, **({kind.key: "z.test"} if kind.key else {}), kind.parent[0]: {"id": NOWHERE}}
            error = admin.json(400, "POST", path, bad)
            assert error["code"] == 4 and error["fields"] == {kind.parent[0]: {"id": NOWHERE}}, error
            assert NOWHERE in error["message"], error
    with t.case("nothing of what was refused is there"):
        assert {one["id"] for one in admin.all(kind.path)} == before | {first["id"], second["id"]}
    return first, second


# The names of schemas, where they are not those of the paths.
SCHEMAS = {"services": "services", "routes": "routes", "consumers": "consumers", "plugins": "plugins",
           "upstreams": "upstreams", "certificates": "certificates", "snis": "snis", "vaults": "vaults",
           "ca_certificates": "ca_certificates", "key-sets": "key_sets", "keys": "keys",
           "consumer_groups": "consumer_groups", "key-auths": "keyauth_credentials",
           "basic-auths": "basicauth_credentials", "hmac-auths": "hmacauth_credentials", "jwts": "jwt_secrets",
           "acls": "acls", "oauth2": "oauth2_credentials"}


def read(t, admin, kind, first, second):
    path = "/" + kind.path
    with t.case("read"):
        assert admin.json(200, "GET", "%s/%s" % (path, first["id"])) == first
        if kind.key:
            assert admin.json(200, "GET", "%s/%s" % (path, first[kind.key])) == first
        assert admin.json(404, "GET", "%s/%s" % (path, NOWHERE)) == {"message": "Not found"}
    with t.case("lists"):
        pages = admin.all(kind.path, 1)
        assert pages == admin.all(kind.path) and first in pages and second in pages
        assert [one["id"] for one in pages] == sorted(one["id"] for one in pages)
    with t.case("tags"):
        assert admin.all(kind.path, 1, "&tags=one") == [first]
        assert admin.all(kind.path, 1, "&tags=" + urllib.parse.quote("a b")) == [second]
        assert admin.all(kind.path, 1, "&tags=one,two") == []
        assert {one["id"] for one in admin.all(kind.path, 1, "&tags=one/two")} == {first["id"], second["id"]}
    with t.case("methods that there are not"):
        assert admin.json(405, "DELETE", path) == {"message": "Method not allowed"}
        assert admin.json(405, "POST", "%s/%s" % (path, first["id"]), {}) == {"message": "Method not allowed"}


def change(t, admin, kind, first):
    path = "/%s/%s" % (kind.path, first["id"])
    with t.case("patch"):
        changed = admin.json(200, "PATCH", path, kind.change)
        for name, value in kind.change.items():
            if isinstance(value, dict):
                assert value.items() <= changed[name].items(), changed
            else:
                assert changed[name] == value, changed
        same = set(first) - set(kind.change) - {"updated_at"}
        assert {name: changed[name] for name in same} == {name: first[name] for name in same}, changed
        assert admin.json(200, "GET", path) == changed
        assert admin.json(400, "PATCH", path, {"nope": 1})["fields"] == {"nope": "unknown field"}
        assert admin.json(404, "PATCH", "/%s/%s" % (kind.path, NOWHERE), kind.change) == {"message": "Not found"}
        assert admin.json(200, "GET", path) == changed
    reference = {kind.parent[0]: kind.parent[2]} if kind.parent else {}
    with t.case("replace"):
        replaced = admin.json(200, "PUT", path, {**kind.good, **reference})
        assert replaced["id"] == first["id"] and replaced["tags"] is None, replaced
        assert replaced["created_at"] == first["created_at"], replaced
        assert admin.json(200, "GET", path) == replaced
    with t.case("replace twice: nothing differs"):
        again = admin.json(200, "PUT", path, {**kind.good, **reference})
        assert {**again, "updated_at": 0} == {**replaced, "updated_at": 0}, (again, replaced)
    with t.case("what is left out goes back to its default"):
        name = next(iter(kind.change))
        if name not in kind.good:
            assert again[name] == admin.json(200, "GET", path)[name] != kind.change[name], again


def below(t, admin, kind, second):
    """The same by the path below the parent."""
    _, parent, reference, nested = kind.parent
    path = "%s/%s" % (parent, nested)
    assert admin.ask("DELETE", "/%s/%s" % (kind.path, second["id"]))[0] == 204
    fields = {name: value for name, value in kind.other.items() if name != kind.parent[0]}
    with t.case("below: create and read"):
        made = admin.json(201, "POST", path, fields)
        assert made[kind.parent[0]] == reference, made
        assert made in admin.json(200, "GET", path)["data"]
        assert admin.json(200, "GET", "%s/%s" % (path, made["id"])) == made
        assert admin.json(404, "GET", path.replace(parent, parent.rpartition("/")[0] + "/" + NOWHERE))
    with t.case("below: change"):
        assert admin.json(200, "PATCH", "%s/%s" % (path, made["id"]), {"tags": ["n"]})["tags"] == ["n"]
        put = admin.json(200, "PUT", "%s/%s" % (path, made["id"]), fields)
        assert put["tags"] is None and put[kind.parent[0]] == reference, put
    with t.case("below: remove"):
        assert admin.ask("DELETE", "%s/%s" % (path, made["id"])) == (204, None)
        assert admin.ask("GET", "%s/%s" % (path, made["id"]))[0] == 404
        assert admin.ask("GET", "/%s/%s" % (kind.path, made["id"]))[0] == 404
    with t.case("below: put creates"):
        put = admin.json(200, "PUT", "%s/%s" % (path, made["id"]), fields)
        assert put["id"] == made["id"] and put[kind.parent[0]] == reference, put


def remove(t, admin, kind, first):
    path = "/%s/%s" % (kind.path, first["id"])
    with t.case("remove"):
        assert admin.ask("DELETE", path) == (204, None)
        assert admin.ask("GET", path)[0] == 404
        assert admin.ask("DELETE", path) == (204, None)
        assert first["id"] not in {one["id"] for one in admin.all(kind.path)}


class Named:
    """A recorder whose cases begin with a name."""

    def __init__(self, t, name):
        self.t, self.name = t, name

    def case(self, name):
        return self.t.case("%s: %s" % (self.name, name))


def test_every_kind(t):
    with Folder() as folder:
        with storing(folder) as (_, admin):
            for kind in kinds(make_base(admin)):
                named = Named(t, kind.path)
                first, second = create(named, admin, kind)
                read(named, admin, kind, first, second)
                change(named, admin, kind, first)
                if kind.parent:
                    below(named, admin, kind, second)
                remove(named, admin, kind, first)
            before = {kind.path: admin.all(kind.path) for kind in kinds(make_base_again(admin))}
        with t.case("a restart keeps all"), storing(folder) as (_, admin):
            for path, rows in before.items():
                assert admin.all(path) == rows, path


def make_base_again(admin):
    """What make_base has made, for the names of kinds only."""
    pair = certs.Authority()
    return {"service": "", "consumer": "", "set": "", "certificate": admin.all("certificates")[0]["id"],
            "pairs": (pair, pair, pair, pair)}


# --- whole states

STATE = [
    ("services", {"id": "10000000-0000-4000-8000-000000000001", "name": "s", "tags": ["deck"]}),
    ("routes", {"id": "10000000-0000-4000-8000-000000000002", "name": "r", "paths": ["/r"], "tags": ["deck"],
                "service": {"id": "10000000-0000-4000-8000-000000000001"}}),
    ("consumers", {"id": "10000000-0000-4000-8000-000000000003", "username": "c", "tags": ["deck"]}),
    ("plugins", {"id": "10000000-0000-4000-8000-000000000004", "name": "key-auth", "tags": ["deck"],
                 "service": {"id": "10000000-0000-4000-8000-000000000001"}}),
    ("consumers/10000000-0000-4000-8000-000000000003/key-auth",
     {"id": "10000000-0000-4000-8000-000000000005", "key": "secret", "tags": ["deck"]}),
    ("upstreams", {"id": "10000000-0000-4000-8000-000000000006", "name": "u", "tags": ["deck"]}),
    ("upstreams/10000000-0000-4000-8000-000000000006/targets",
     {"id": "10000000-0000-4000-8000-000000000007", "target": "127.0.0.1:9", "tags": ["deck"]}),
]
DUMPED = ("services", "routes", "consumers", "plugins", "key-auths", "upstreams", "upstreams/u/targets")


def dump(admin):
    return {path: admin.all(path, 1000, "&tags=deck") for path in DUMPED}


def without_times(state):
    return {path: [{**one, "updated_at": 0} for one in rows] for path, rows in state.items()}


def test_synchronise(t):
    """What decK does: it asks what there is, puts what differs by id, and asks again."""
    with Folder() as folder, origin.Origin() as upstream, storing(folder) as (running, admin):
        state = [(path, {**one, "url": upstream.url} if path == "services" else one) for path, one in STATE]
        with t.case("what there is"):
            root = admin.json(200, "GET", "/")
            assert root["version"] == "3.9.3" and root["configuration"]["database"] not in ("off", None), root
            assert "router_flavor" in root["configuration"], root
            admin.json(201, "POST", "/services", {"name": "not-ours", "host": "h"})
        with t.case("from nothing"):
            for path, one in state:
                made = admin.json(200, "PUT", "/%s/%s" % (path, one["id"]), one)
                assert made["id"] == one["id"], made
            assert running.get("/r").status == 401
            assert running.get("/r", [("apikey", "secret")]).status == 200
            first = dump(admin)
            assert all(len(rows) == 1 for rows in first.values()), first
        with t.case("once more: no difference"):
            for path, one in state:
                admin.json(200, "PUT", "/%s/%s" % (path, one["id"]), one)
            assert without_times(dump(admin)) == without_times(first)
        with t.case("what was dumped can be put back"):
            for path, rows in first.items():
                for one in rows:
                    if path != "upstreams/u/targets":
                        admin.json(200, "PUT", "/%s/%s" % (path, one["id"]), one)
            assert without_times(dump(admin)) == without_times(first)
        with t.case("to nothing"):
            for path, one in reversed(state):
                assert admin.ask("DELETE", "/%s/%s" % (path, one["id"])) == (204, None), path
            left = {path: admin.all(path) for path in ("services", "routes", "consumers", "plugins", "upstreams")}
            assert [one["name"] for one in left.pop("services")] == ["not-ours"] and not any(left.values()), left
            assert running.get("/r").status == 404


# --- at once

def test_in_force_at_once(t):
    """The request after the answer meets the change."""
    with Folder() as folder, origin.Origin() as one, origin.Origin() as two, storing(folder) as (running, admin):
        key = [("apikey", "k")]
        basic = [("Authorization", "Basic dTpw")]
        steps = [
            ("a service and a route", [("POST", "/services", {"name": "s", "url": one.url}),
                                       ("POST", "/services/s/routes", {"name": "r", "paths": ["/a"]})],
             "/a", [], 200),
            ("another path", [("PATCH", "/routes/r", {"paths": ["/b"]})], "/a", [], 404),
            ("and it serves", [], "/b", [], 200),
            ("a plugin", [("POST", "/routes/r/plugins", {"name": "key-auth", "instance_name": "p"})], "/b", [], 401),
            ("a consumer with a key", [("POST", "/consumers", {"username": "c"}),
                                       ("POST", "/consumers/c/key-auth", {"key": "k"})], "/b", key, 200),
            ("a group that is asked for", [("POST", "/routes/r/plugins", {"name": "acl", "config": {"allow": ["g"]}})],
             "/b", key, 403),
            ("the group", [("POST", "/consumers/c/acls", {"group": "g"})], "/b", key, 200),
            ("the key is gone", [("DELETE", "/consumers/c/key-auth/k", None)], "/b", key, 401),
            ("another way to be known", [("PATCH", "/plugins/p", {"enabled": False}),
                                         ("POST", "/services/s/plugins", {"name": "basic-auth"}),
                                         ("POST", "/consumers/c/basic-auth", {"username": "u", "password": "p"})],
             "/b", basic, 200),
            ("another password", [("PATCH", "/basic-auths/u", {"password": "q"})], "/b", basic, 401),
            ("a plugin for the route", [("POST", "/routes/r/plugins", {
                "name": "request-termination", "config": {"status_code": 418}, "instance_name": "tea"}),
                ("PATCH", "/basic-auths/u", {"password": "p"})], "/b", basic, 418),
            ("a plugin replaced", [("PUT", "/plugins/tea", {
                "name": "request-termination", "config": {"status_code": 451}, "route": {"name": "r"}})],
             "/b", basic, 451),
        ]
        for name, writes, path, headers, status in steps:
            with t.case(name):
                for method, target, body in writes:
                    code, answer = admin.ask(method, target, body)
                    assert code in (200, 201, 204), (method, target, code, answer)
                for _ in range(4):  # every shard
                    assert running.get(path, headers).status == status
        for kind in ("plugins", "consumers"):
            for entity in admin.all(kind):
                assert admin.ask("DELETE", "/%s/%s" % (kind, entity["id"]))[0] == 204
        with t.case("another origin"):
            admin.json(200, "PATCH", "/services/s", {"url": two.url})
            assert running.get("/b").status == 200 and len(two.requests) == 1, two.requests
        with t.case("an upstream, and targets that come and go"):
            admin.json(201, "POST", "/upstreams", {"name": "u"})
            admin.json(200, "PATCH", "/services/s", {"host": "u"})
            assert running.get("/b").status == 503
            for peer in (one, two):
                del peer.requests[:]
            admin.json(201, "POST", "/upstreams/u/targets", {"target": "%s:%d" % one.address})
            assert running.get("/b").status == 200 and len(one.requests) == 1
            admin.json(201, "POST", "/upstreams/u/targets", {"target": "%s:%d" % two.address})
            assert admin.ask("DELETE", "/upstreams/u/targets/%s:%d" % one.address)[0] == 204
            assert [running.get("/b").status for _ in range(3)] == [200] * 3 and len(two.requests) == 3


def test_certificates_at_once(t):
    authority = certs.Authority()
    first, second = authority.issue("a.test"), authority.issue("a.test")
    port = net.free_port()

    def shown():
        with client.Connection((net.own_host(), port), tls_name="a.test") as connection:
            return connection.sock.getpeercert(True)

    def der(pair):
        return certs.openssl("x509", "-outform", "DER", data=pair.own.encode())
    with Folder() as folder, storing(folder, proxy_listen="%s:%d ssl" % (net.own_host(), port)) as (_, admin):
        default = shown()
        with t.case("with its names"):
            made = admin.json(201, "POST", "/certificates", {"cert": first.cert, "key": first.key,
                                                             "snis": ["a.test"]})
            assert made["snis"] == ["a.test"] and shown() == der(first)
            assert admin.json(200, "GET", "/certificates/a.test")["id"] == made["id"]
        with t.case("renewed"):
            admin.json(200, "PATCH", "/certificates/" + made["id"], {"cert": second.cert, "key": second.key})
            assert shown() == der(second)
        with t.case("a key of another"):
            error = admin.json(400, "PATCH", "/certificates/" + made["id"], {"key": first.key})
            assert error["code"] == 2 and "does not match" in error["message"], error
            assert first.key not in json.dumps(error) and shown() == der(second)
        with t.case("a name less"):
            assert admin.ask("DELETE", "/snis/a.test")[0] == 204
            assert shown() == default


# --- writers side by side

def in_threads(*functions):
    errors = []

    def run(function):
        try:
            function()
        except BaseException as error:  # pylint: disable=broad-except
            errors.append(error)
    threads = [threading.Thread(target=run, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_parallel_writers(t):
    with Folder() as folder, origin.Origin() as upstream, storing(folder) as (running, admin):
        admin.json(201, "POST", "/services", {"name": "s", "url": upstream.url})
        won = []

        def make(writer):
            for i in range(10):
                admin.json(201, "POST", "/services/s/routes", {"paths": ["/%s/%d" % (writer, i)], "tags": [writer]})
                status, answer = admin.ask("POST", "/consumers", {"username": "only-%d" % i})
                assert status in (201, 409), answer
                won.append((i, status))

        def come_and_go():
            for i in range(8):
                admin.json(201, "POST", "/services", {"name": "short", "host": "h"})
                status, answer = admin.ask("DELETE", "/services/short")
                assert status == 204, (i, answer)
                running.send_signal(signal.SIGHUP)
        in_threads(lambda: make("a"), lambda: make("b"), come_and_go)
        with t.case("all that was answered is there"):
            for writer in "ab":
                assert len(admin.all("routes", 7, "&tags=" + writer)) == 10
                for i in range(10):
                    assert running.get("/%s/%d" % (writer, i)).status == 200
        with t.case("one of two gets the name"):
            assert sorted(won) == sorted((i, status) for i in range(10) for status in (201, 409)), won
            assert len(admin.all("consumers")) == 10
        with t.case("a parent that goes, and a child that comes"):
            admin.json(201, "POST", "/services", {"name": "parent", "host": "h"})
            results = {}
            in_threads(lambda: results.update(gone=admin.ask("DELETE", "/services/parent")[0]),
                       lambda: results.update(made=admin.ask("POST", "/services/parent/routes", {"paths": ["/z"]})[0]))
            assert (results["gone"], results["made"]) in ((204, 404), (400, 201)), results


def kill(running):
    running.process.kill()
    running.process.wait()
    running.ended = True


def test_killed(t):
    """kill -9 in the middle of writing: what was answered is there, and the rest is whole or absent."""
    with Folder() as folder:
        answered = set()
        for turn in range(3):
            with t.case("time %d" % (turn + 1)):
                with storing(folder) as (running, admin):
                    names = {one["name"] for one in admin.all("services", 1000)}
                    assert answered <= names, answered - names

                    def write(writer, turn=turn, admin=admin):
                        for i in range(1000):
                            name = "n%d-%s-%d" % (turn, writer, i)
                            try:
                                admin.json(201, "POST", "/services", {"name": name, "host": "h"})
                            except AssertionError:
                                return
                            answered.add(name)
                    writers = [threading.Thread(target=write, args=(writer,)) for writer in "ab"]
                    for writer in writers:
                        writer.start()
                    count = len(answered)
                    net.wait_until(lambda: len(answered) > count + 15, 60, "writes")
                    kill(running)
                    for writer in writers:
                        writer.join()
        with t.case("in the end"), storing(folder) as (_, admin):
            names = {one["name"] for one in admin.all("services", 1000)}
            assert answered <= names and len(names) <= len(answered) + 6, (len(names), len(answered))


# --- databases with something wrong

def start(path, user=None):
    """What `run` says that cannot start with this store."""
    words = ["--set", "store=sqlite:" + path, "--set", "proxy_listen=%s:%d" % (net.own_host(), net.free_port()),
             "--set", "admin_listen=off", "--set", "status_listen=off"]
    done = subprocess.run([gateway.BINARY, "run", *words], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          env=gateway.environment(), timeout=60 * net.SLOW_FACTOR, user=user)
    gateway.check_output(done.stderr)
    return done


def test_bad_databases(t):
    with Folder() as folder:
        with sqlite3.connect(folder.file("newer.db")) as database:
            database.execute("PRAGMA user_version=99")
        with sqlite3.connect(folder.file("other.db")) as database:
            database.execute("CREATE TABLE entities (a)")
        with sqlite3.connect(folder.file("entity.db")) as database:
            database.execute("CREATE TABLE entities (kind TEXT, id TEXT, document TEXT)")
            database.execute("INSERT INTO entities VALUES ('services', 'x', '{\"name\":')")
        os.mkdir(folder.path + "/folder")
        for name, path, words in (
                ("no database", folder.file("text", "This is a text and no database. " * 40), "not a database"),
                ("no such folder", folder.path + "/none/x.db", "No such file"),
                ("a folder", folder.path + "/folder", "s a directory"),
                ("a newer version", folder.path + "/newer.db", "newer version"),
                ("another's database", folder.path + "/other.db", "store"),
                ("a broken entity", folder.path + "/entity.db", "store.json")):
            with t.case(name):
                done = start(path)
                assert done.returncode == 1 and words in done.stderr, done
        with t.case("read-only"):
            if os.getuid() != 0 or subprocess.run(["test", "-x", gateway.BINARY], user=65534).returncode:
                raise Skip("needs root, and a binary that others may run")
            path = folder.file("mine.db", "")
            os.chmod(path, 0o444)
            done = start(path, 65534)
            assert done.returncode == 1 and "ermission denied" in done.stderr, done


def test_failing_database(t):
    """While it cannot be written, nothing changes, and clients are told why."""
    with Folder() as folder, storing(folder) as (running, admin):
        path = folder.file("store.db")
        with t.case("only its owner may read it"):
            admin.json(201, "POST", "/services", {"name": "s", "host": "h"})
            for name in os.listdir(folder.path):
                assert stat.S_IMODE(os.stat(folder.path + "/" + name).st_mode) == 0o600, name
        database = sqlite3.connect(path, isolation_level=None)
        with t.case("no room"):
            database.execute("CREATE TRIGGER full BEFORE INSERT ON entities BEGIN "
                             "SELECT RAISE(ABORT, 'database or disk is full'); END")
            error = admin.json(500, "POST", "/services/s/routes", {"name": "r", "paths": ["/"]})
            assert "disk is full" in error["message"], error
            assert running.get("/").status == 404 and admin.all("routes") == []
            assert admin.json(500, "PATCH", "/services/s", {"retries": 1})["code"] == 8
            assert admin.json(200, "GET", "/services/s")["retries"] == 5
            database.execute("DROP TRIGGER full")
        with t.case("all is well again"):
            admin.json(201, "POST", "/services/s/routes", {"name": "r", "paths": ["/"]})
            assert [one["name"] for one in admin.all("services")] == ["s"]
            assert running.get("/").status != 404
        database.close()


# --- bodies that want too much

def test_limits(t):
    with Folder() as folder, storing(folder, admin_body_bytes="1048576") as (_, admin):
        admin.json(201, "POST", "/services", {"name": "s", "host": "h"})
        deep = "[" * 2000 + "]" * 2000
        deep_object = '{"a":' * 900 + "1" + "}" * 900
        for name, body, statuses in (
                ("deep lists", '{"name":"x","host":"h","tags":%s}' % deep, (400,)),
                ("deep records", '{"name":"cors","config":%s}' % deep_object, (400,)),
                ("beyond all depth", "[" * 100000, (400,)),
                ("large number", '{"name":"x","host":"h","port":1%s}' % ("0" * 400), (400,)),
                ("a NUL", '{"name":"a\\u0000b","host":"h"}', (400,)),
                ("no UTF-8", '{"name":"\\ud800","host":"h"}', (400,)),
                ("long name", '{"name":"%s","host":"h"}' % ("x" * 500000), (201, 400)),
                ("many tags", json.dumps({"name": "m", "host": "h", "tags": ["t%d" % i for i in range(20000)]}),
                 (201, 400)),
                ("too long", '{"name":"%s"}' % ("x" * 1048576), (413,))):
            with t.case(name):
                path = "/plugins" if "cors" in body else "/services"
                status, answer = admin.ask("POST", path, body, "-H", "Expect:")
                assert status in statuses, (status, str(answer)[:500])
        with t.case("quotes and lines are text"):
            name = "a'); DROP TABLE entities;--"
            made = admin.json(201, "POST", "/consumers", {"username": name, "custom_id": '"\n\\{}'})
            assert admin.json(200, "GET", "/consumers/" + urllib.parse.quote(name, "")) == made
            assert admin.all("consumers", 1, "&custom_id=" + urllib.parse.quote('"\n\\{}')) == [made]
            assert admin.ask("DELETE", "/consumers/" + made["id"])[0] == 204
        with t.case("still there"):
            assert admin.json(200, "GET", "/services/s")["host"] == "h"


test_every_kind.seconds = 300
test_in_force_at_once.seconds = test_synchronise.seconds = test_parallel_writers.seconds = 120
test_killed.seconds = test_failing_database.seconds = test_limits.seconds = test_bad_databases.seconds = 120
