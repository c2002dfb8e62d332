# SPDX-License-Identifier: Apache-2.0
"""Entities written by the Admin API and kept in SQLite: every endpoint, errors in Kong's shape, restarts."""
import contextlib
import json
import urllib.parse

from tests.support import client, net, origin
from tests.support.gateway import Folder, Gateway

UNKNOWN = "11111111-2222-4333-8444-555555555555"


class Admin:
    """Asks the admin listener of a gateway."""

    def __init__(self, address):
        self.address = address

    def ask(self, method, target, body=None, headers=(), kind="application/json"):
        headers = list(headers)
        if body is not None:
            headers.append(("Content-Type", kind))
            body = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        return client.request(self.address, method, target, headers, body, "localhost")

    def json(self, status, method, target, body=None, **kw):
        answer = self.ask(method, target, body, **kw)
        assert answer.status == status, (method, target, answer, answer.body)
        return json.loads(answer.body) if answer.body else None


@contextlib.contextmanager
def storing(folder, config=None, **settings):
    """(gateway, admin)"""
    address = net.own_host(), net.free_port()
    settings = {"admin_listen": "%s:%d" % address, "store": "sqlite:" + folder.file("store.db"), **settings}
    with Gateway(config or {"_format_version": "3.0"}, settings) as running:
        yield running, Admin(address)


def test_life_of_a_service(t):
    with Folder() as folder, origin.Origin() as upstream:
        with storing(folder) as (running, admin):
            with t.case("root says that it can be written"):
                root = admin.json(200, "GET", "/")
                assert root["configuration"]["database"] == "sqlite" and root["version"].startswith("3."), root
            with t.case("create"):
                service = admin.json(201, "POST", "/services", {"name": "s", "url": upstream.url})
                assert service["host"] and service["retries"] == 5 and service["path"] is None, service
                assert service["created_at"] == service["updated_at"] > 1600000000, service
            with t.case("in force when it is answered"):
                admin.json(201, "POST", "/services/s/routes", {"name": "r", "paths": ["/r"]})
                assert running.get("/r").status == 200
            with t.case("a form"):
                route = admin.json(201, "POST", "/services/s/routes",
                                   "name=f&paths[]=/f&paths[]=/g&strip_path=false&tags[1]=x",
                                   kind="application/x-www-form-urlencoded")
                assert route["paths"] == ["/f", "/g"] and route["strip_path"] is False, route
                assert route["tags"] == ["x"] and route["service"] == {"id": service["id"]}, route
                assert running.get("/g").status == 200
            with t.case("patch"):
                changed = admin.json(200, "PATCH", "/services/s", {"retries": 1, "tags": ["a"]})
                assert changed == {**service, "retries": 1, "tags": ["a"],
                                   "updated_at": changed["updated_at"]}, changed
                assert admin.json(200, "PATCH", "/services/s", {"tags": None})["tags"] is None
            with t.case("put replaces"):
                admin.json(200, "PUT", "/routes/f", {"paths": ["/new"], "service": {"name": "s"}})
                assert running.get("/f").status == 404 and running.get("/new").status == 200
                assert admin.json(200, "GET", "/routes/f")["id"] == route["id"]
            with t.case("put creates"):
                made = admin.json(200, "PUT", "/routes/" + UNKNOWN, {"name": "u", "paths": ["/u"]})
                assert made["id"] == UNKNOWN and made["service"] is None, made
            with t.case("upward"):
                assert admin.json(200, "GET", "/routes/r/service")["id"] == service["id"]
                assert admin.json(200, "PATCH", "/routes/r/service", {"retries": 2})["retries"] == 2
                assert admin.ask("DELETE", "/routes/r/service").status == 405
                assert admin.ask("GET", "/routes/u/service").status == 404
            with t.case("a service in use stays"):
                refused = admin.json(400, "DELETE", "/services/s")
                assert refused == {"code": 4, "name": "foreign key violation",
                                   "message": "an existing 'routes' entity references this 'services' entity",
                                   "fields": {"@referenced_by": "routes"}}, refused
        with t.case("after a restart"), storing(folder) as (running, admin):
            assert running.get("/r").status == 200
            assert admin.json(200, "GET", "/services/s")["retries"] == 2
            names = {route["name"] for route in admin.json(200, "GET", "/routes")["data"]}
            assert names == {"r", "u", None} or names == {"r", "u", "f"}, names
            with t.case("after a reload"):
                running.reload({"_format_version": "3.0"})
                assert running.get("/r").status == 200
            for name in ("r", "f", UNKNOWN):
                assert admin.ask("DELETE", "/routes/" + name).status == 204
            assert admin.ask("DELETE", "/services/s").status == 204
            assert admin.ask("DELETE", "/services/s").status == 204
            assert admin.json(200, "GET", "/services") == {"data": [], "next": None}


REFUSED = [
    ("unknown field", "POST", "/services", {"name": "x", "host": "h", "nope": 1}, 400,
     {"code": 2, "name": "schema violation", "message": "schema violation (nope: unknown field)",
      "fields": {"nope": "unknown field"}}),
    ("missing field", "POST", "/services", {"name": "x"}, 400,
     {"code": 2, "name": "schema violation", "message": "schema violation (host: required field missing)",
      "fields": {"host": "required field missing"}}),
    ("deep in a plugin", "POST", "/plugins", {"name": "rate-limiting", "config": {"minute": "a"}}, 400,
     {"code": 2, "name": "schema violation", "message": "schema violation (config.minute: expected a number)",
      "fields": {"config": {"minute": "expected a number"}}}),
    ("element of a list", "POST", "/routes", {"paths": ["/a", "b"]}, 400,
     {"code": 2, "name": "schema violation", "fields": {
         "paths": [None, "should start with: / (fixed path) or ~/ (regex path)"]},
      "message": "schema violation (paths.2: should start with: / (fixed path) or ~/ (regex path))"}),
    ("name that is taken", "POST", "/services", {"name": "taken", "host": "h"}, 409,
     {"code": 5, "name": "unique constraint violation",
      "message": "UNIQUE violation detected on '{name=\"taken\"}'", "fields": {"name": "taken"}}),
    ("id that is taken", "POST", "/services", {"id": UNKNOWN, "host": "h"}, 400,
     {"code": 3, "name": "primary key violation",
      "message": "primary key violation on key '{id=\"%s\"}'" % UNKNOWN, "fields": {"id": UNKNOWN}}),
    ("reference to nothing", "POST", "/routes", {"paths": ["/"], "service": {"id": UNKNOWN[::-1]}}, 400, None),
    ("reference to another", "POST", "/routes",
     {"paths": ["/"], "service": {"id": "99999999-2222-4333-8444-555555555555"}}, 400,
     {"code": 4, "name": "foreign key violation",
      "message": "the foreign key '{id=\"99999999-2222-4333-8444-555555555555\"}' does not reference an existing "
                 "'services' entity.", "fields": {"service": {"id": "99999999-2222-4333-8444-555555555555"}}}),
    ("plugin twice", "POST", "/plugins", {"name": "cors"}, 409,
     {"code": 5, "name": "unique constraint violation",
      "message": "UNIQUE violation detected on '{name=\"cors\",route=null,service=null,consumer=null}'",
      "fields": {"name": "cors", "route": None, "service": None, "consumer": None}}),
    ("unknown plugin", "POST", "/plugins", {"name": "nope", "more": 1}, 400, None),
    ("patch of nothing", "PATCH", "/services/nope", {"retries": 1}, 404, {"message": "Not found"}),
    ("below nothing", "POST", "/services/nope/routes", {"paths": ["/"]}, 404, {"message": "Not found"}),
    ("no JSON", "POST", "/services", "{", 400, {"message": "Cannot parse JSON body"}),
    ("a list", "POST", "/services", "[]", 400, {"message": "Cannot parse JSON body"}),
    ("whole configuration", "POST", "/config", {"_format_version": "3.0"}, 400,
     {"message": "this endpoint is only available when Kong is configured to not use a database"}),
    ("collection of targets", "POST", "/targets", {"target": "a:1"}, 404, {"message": "Not found"}),
    ("protocols that do not fit", "POST", "/plugins",
     {"name": "key-auth", "protocols": ["grpc"], "service": {"name": "taken"}}, 400, None),
]


def test_refused(t):
    """Nothing of what was refused stays."""
    with Folder() as folder, storing(folder) as (running, admin):
        admin.json(201, "POST", "/services", {"id": UNKNOWN, "name": "taken", "host": "h"})
        admin.json(201, "POST", "/services/taken/routes", {"paths": ["/x"]})
        admin.json(201, "POST", "/plugins", {"name": "cors"})
        before = [admin.json(200, "GET", "/" + kind) for kind in ("services", "routes", "plugins")]
        for name, method, target, body, status, want in REFUSED:
            with t.case(name):
                got = admin.json(status, method, target, body)
                assert want is None or got == want, got
        with t.case("type of the body"):
            assert admin.ask("POST", "/services", "a,b", kind="text/csv").status == 415
        with t.case("nothing has changed"):
            assert before == [admin.json(200, "GET", "/" + k) for k in ("services", "routes", "plugins")]


def test_consumers(t):
    with Folder() as folder, origin.Origin() as upstream, storing(folder) as (running, admin):
        admin.json(201, "POST", "/services", {"name": "s", "url": upstream.url})
        admin.json(201, "POST", "/services/s/routes", {"paths": ["/"]})
        admin.json(201, "POST", "/services/s/plugins", {"name": "key-auth"})
        consumer = admin.json(201, "POST", "/consumers", {"username": "ann", "custom_id": "c1"})
        with t.case("drawn key"):
            key = admin.json(201, "POST", "/consumers/ann/key-auth", {})
            assert len(key["key"]) == 32 and key["consumer"] == {"id": consumer["id"]}, key
            assert "updated_at" not in key, key
            assert running.get("/", [("apikey", key["key"])]).status == 200
            assert running.get("/", [("apikey", "x")]).status == 401
        with t.case("by key"):
            assert admin.json(200, "GET", "/key-auths/" + key["key"]) == key
            assert admin.json(200, "GET", "/consumers/ann/key-auth/" + key["key"]) == key
        with t.case("password is stored hashed, and stays so"):
            made = admin.json(201, "POST", "/consumers/ann/basic-auth", {"username": "u", "password": "p"})
            assert len(made["password"]) == 40, made
            admin.json(200, "PATCH", "/consumers/ann", {"tags": ["t"]})
            assert admin.json(200, "GET", "/basic-auths/u") == made
        with t.case("groups by name"):
            admin.json(201, "POST", "/consumers/ann/acls", {"group": "g"})
            assert admin.json(200, "GET", "/consumers/ann/acls/g")["group"] == "g"
            twice = admin.json(409, "POST", "/consumers/ann/acls", {"group": "g"})
            assert twice["code"] == 5, twice
            admin.json(200, "PUT", "/consumers/ann/acls/h", {})
            assert len(admin.json(200, "GET", "/acls")["data"]) == 2
        with t.case("other kinds"):
            for kind, body in (("hmac-auth", {"username": "h"}), ("jwt", {}), ("oauth2", {"name": "app"})):
                made = admin.json(201, "POST", "/consumers/ann/" + kind, body)
                assert admin.json(200, "GET", "/consumers/ann/%s/%s" % (kind, made["id"])) == made
        with t.case("custom_id"):
            assert [c["id"] for c in admin.json(200, "GET", "/consumers?custom_id=c1")["data"]] == [consumer["id"]]
            assert admin.json(409, "POST", "/consumers", {"custom_id": "c1"})["fields"] == {"custom_id": "c1"}
        with t.case("a consumer goes with everything it has"):
            admin.json(201, "POST", "/consumers/ann/plugins", {"name": "rate-limiting", "config": {"minute": 5}})
            assert admin.ask("DELETE", "/consumers/ann").status == 204
            for path in ("key-auths", "basic-auths", "acls", "jwts", "hmac-auths", "oauth2"):
                assert admin.json(200, "GET", "/" + path)["data"] == [], path
            assert len(admin.json(200, "GET", "/plugins")["data"]) == 1
            assert running.get("/", [("apikey", key["key"])]).status == 401


def test_upstreams(t):
    with Folder() as folder, origin.Origin() as upstream, storing(folder) as (running, admin):
        host = upstream.url.split("//")[1]
        admin.json(201, "POST", "/upstreams", {"name": "up", "hash_on": "ip"})
        with t.case("hashing chooses the algorithm"):
            assert admin.json(200, "GET", "/upstreams/up")["algorithm"] == "consistent-hashing"
        with t.case("targets"):
            target = admin.json(201, "POST", "/upstreams/up/targets", {"target": host})
            assert target["weight"] == 100 and target["target"] == host, target
            assert admin.json(200, "GET", "/upstreams/up/targets/" + host) == target
            assert admin.json(409, "POST", "/upstreams/up/targets", {"target": host})["code"] == 5
        with t.case("traffic"):
            admin.json(201, "POST", "/services", {"name": "s", "host": "up"})
            admin.json(201, "POST", "/services/s/routes", {"paths": ["/"]})
            assert running.get("/").status == 200
        with t.case("deep merge"):
            changed = admin.json(200, "PATCH", "/upstreams/up", {"healthchecks": {"active": {"timeout": 2}}})
            changed = admin.json(200, "PATCH", "/upstreams/up",
                                 {"healthchecks": {"active": {"concurrency": 3}}})
            active = changed["healthchecks"]["active"]
            assert (active["timeout"], active["concurrency"]) == (2, 3), active
        with t.case("health without checks"):
            health = admin.json(200, "GET", "/upstreams/up/health")
            assert [one["health"] for one in health["data"]] == ["HEALTHCHECKS_OFF"], health
        admin.json(200, "PATCH", "/upstreams/up",
                   {"healthchecks": {"passive": {"unhealthy": {"http_failures": 3}}}})
        with t.case("health"):
            health = admin.json(200, "GET", "/upstreams/up/health")
            one = health["data"][0]
            assert one["health"] == "HEALTHY" and one["data"]["weight"]["available"] == 100, one
            assert one["data"]["addresses"][0]["port"] == int(host.split(":")[1]), one
            whole = admin.json(200, "GET", "/upstreams/up/health?balancer_health=1")["data"]
            assert whole["health"] == "HEALTHY" and whole["id"] == one["upstream"]["id"], whole
        with t.case("unhealthy by decree"):
            assert admin.ask("PUT", "/upstreams/up/targets/%s/unhealthy" % host).status == 204
            net.wait_until(lambda: running.get("/").status == 503, what="no healthy target")
            assert admin.json(200, "GET", "/upstreams/up/health")["data"][0]["health"] == "UNHEALTHY"
        with t.case("one address healthy by decree"):
            path = "/upstreams/up/targets/%s/%s/healthy" % (target["id"], host)
            assert admin.ask("PUT", path).status == 204
            net.wait_until(lambda: running.get("/").status == 200, what="a healthy target")
        for path in ("nope/health", "up/targets/nope/healthy", "up/targets/%s/127.9.9.9:1/healthy" % host):
            with t.case("no " + path):
                method = "GET" if path == "nope/health" else "PUT"
                assert admin.ask(method, "/upstreams/" + path).status == 404
        with t.case("weight"):
            admin.json(200, "PATCH", "/upstreams/up/targets/" + host, {"weight": 0})
            net.wait_until(lambda: running.get("/").status == 503, what="no target")
        with t.case("an upstream goes with its targets"):
            assert admin.ask("DELETE", "/upstreams/up").status == 204
            assert admin.ask("GET", "/upstreams/up/targets").status == 404


def test_pages_and_tags(t):
    with Folder() as folder, storing(folder) as (_, admin):
        for i in range(7):
            admin.json(201, "POST", "/services", {"name": "s%d" % i, "host": "h", "tags": ["all", "t%d" % (i % 2)]})
        with t.case("pages"):
            seen, path = [], "/services?size=3&tags=all"
            while path:
                page = admin.json(200, "GET", path)
                assert len(page["data"]) <= 3 and ("offset" in page) == (page["next"] is not None), page
                seen += [one["id"] for one in page["data"]]
                path = page["next"]
            assert seen == sorted(seen) and len(seen) == 7, seen
        for query, count in (("t0", 4), ("t0,t1", 0), ("t0/t1", 7), ("none", 0), ("all,t1", 3)):
            with t.case("tags " + query):
                path = "/services?tags=" + urllib.parse.quote(query)
                assert len(admin.json(200, "GET", path)["data"]) == count
        with t.case("tags of all kinds"):
            assert len(admin.json(200, "GET", "/tags")["data"]) == 14
            tags = admin.json(200, "GET", "/tags/t1")["data"]
            assert len(tags) == 3 and tags[0]["entity_name"] == "services", tags
        for query in ("size=0", "size=1001", "size=a", "tags=a,b/c", "tags="):
            with t.case(query):
                assert admin.json(400, "GET", "/services?" + query)["code"] in (9, 11)


def test_seeded_by_a_file(t):
    with Folder() as folder, origin.Origin() as upstream:
        config = {"_format_version": "3.0", "services": [
            {"name": "s", "url": upstream.url, "routes": [{"name": "r", "paths": ["/"]}]}],
            "consumers": [{"username": "u", "basicauth_credentials": [{"username": "u", "password": "p"}]}]}
        with storing(folder, config) as (running, admin):
            with t.case("taken over"):
                assert running.get("/").status == 200
                first = admin.json(200, "GET", "/basic-auths/u")
            admin.json(200, "PATCH", "/routes/r", {"paths": ["/other"]})
        with t.case("the store counts from then on"), storing(folder, config) as (running, admin):
            assert running.get("/").status == 404 and running.get("/other").status == 200
            assert admin.json(200, "GET", "/basic-auths/u") == first


# Keys that stand for their entities in paths, and what is told of these.
SECRET_PATHS = [
    ("DELETE", "/key-auths/topsecret", "/key-auths/***"),
    ("PATCH", "/key-auths/" + UNKNOWN, "/key-auths/" + UNKNOWN),
    ("PUT", "/consumers/c/key-auth/topsecret", "/consumers/c/key-auth/***"),
    ("DELETE", "/consumers/c/key%2Dauth/topsecret?topsecret=1", "/consumers/c/key%2Dauth/***"),
    ("POST", "/consumers/c/key-auth", "/consumers/c/key-auth"),
    ("DELETE", "/services/key", "/services/key"),
]


def test_audit_and_token(t):
    with Folder() as folder:
        log = folder.file("audit.log")
        with storing(folder, admin_token="s3cret", admin_audit_log=log) as (running, admin):
            with t.case("no token"):
                answer = admin.ask("GET", "/services")
                assert answer.status == 401 and answer.get("www-authenticate") == "Bearer", answer
            for name, header in (("wrong", ("Authorization", "Bearer s3cre")),
                                 ("basic", ("Authorization", "Basic s3cret")),
                                 ("empty", ("Kong-Admin-Token", ""))):
                with t.case(name):
                    assert admin.ask("GET", "/services", headers=[header]).status == 401
            for header in (("Authorization", "Bearer s3cret"), ("Kong-Admin-Token", "s3cret")):
                with t.case(header[0]):
                    assert admin.ask("GET", "/services", headers=[header]).status == 200
            with t.case("the token is not shown"):
                root = admin.json(200, "GET", "/", headers=[("Kong-Admin-Token", "s3cret")])
                assert "s3cret" not in json.dumps(root)
            with t.case("audit"):
                admin.json(201, "POST", "/consumers", {"username": "secret-name"},
                           headers=[("Kong-Admin-Token", "s3cret")])
                with open(log, encoding="utf-8") as f:
                    lines = [json.loads(line) for line in f]
                assert [(l["method"], l["path"], l["status"]) for l in lines] == [("POST", "/consumers", 201)], lines
                assert "secret-name" not in json.dumps(lines)
                assert "method=POST path=/consumers status=201" in running.stderr()
            for method, target, told in SECRET_PATHS:
                with t.case("audit of " + target):
                    admin.ask(method, target, {}, headers=[("Kong-Admin-Token", "s3cret")])
                    with open(log, encoding="utf-8") as f:
                        text = f.read()
                    assert json.loads(text.splitlines()[-1])["path"] == told, text
                    assert "topsecret" not in text + running.stderr()
            with t.case("audit of those who may not"):
                admin.ask("DELETE", "/services/x")
                admin.ask("DELETE", "/services/y", headers=[("Origin", "http://evil.test")])
                admin.ask("GET", "/services")
                with open(log, encoding="utf-8") as f:
                    lines = [json.loads(line) for line in f][-2:]
                assert [(l["path"], l["status"]) for l in lines] == [("/services/x", 401), ("/services/y", 403)], lines
                assert lines[0]["client"] == "127.0.0.1", lines
