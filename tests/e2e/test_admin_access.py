# SPDX-License-Identifier: Apache-2.0
"""Who may change something by the Admin API: pages of other origins, names made to resolve here, tokens; and what is
told of all that."""
import contextlib
import json

from tests.support import client, net
from tests.support.gateway import Folder, Gateway

TOKEN = "t0ken-of-the-test"
FORM, TEXT, JSON = "application/x-www-form-urlencoded", "text/plain", "application/json"
EVIL, OWN = ("Origin", "http://evil.test"), ("Origin", "http://localhost")


@contextlib.contextmanager
def storing(folder, **settings):
    """(gateway, address of its admin listener)"""
    address = net.own_host(), net.free_port()
    settings = {"admin_listen": "%s:%d" % address, "store": "sqlite:" + folder.file("store.db"),
                "admin_allowed_hosts": "admin.test", "admin_audit_log": folder.file("audit.log"), **settings}
    with Gateway({"_format_version": "3.0"}, settings) as running:
        yield running, address


def names(address, headers=()):
    answer = client.get(address, "/services", headers, "localhost")
    assert answer.status == 200, answer
    return [one["name"] for one in json.loads(answer.body)["data"]]


# name, Host, headers, status of a change
CHANGERS = [
    ("curl", "localhost", [], 201),
    ("curl by its address", None, [], 201),
    ("an allowed name", "admin.test", [], 201),
    ("the dashboard", "localhost", [OWN, ("Sec-Fetch-Site", "same-origin")], 201),
    ("the dashboard by TLS", "localhost", [("Origin", "https://localhost")], 201),
    ("the dashboard at an allowed name", "admin.test", [("Origin", "http://admin.test")], 201),
    ("a page of another name", "localhost", [EVIL], 403),
    ("a page of another name, with its mode", "localhost", [EVIL, ("Sec-Fetch-Site", "cross-site"),
                                                            ("Sec-Fetch-Mode", "no-cors")], 403),
    ("a page on another port", "localhost:8001", [("Origin", "http://localhost:3000")], 403),
    ("a page on another port of the same site", "localhost", [("Sec-Fetch-Site", "same-site")], 403),
    ("a sandboxed frame", "localhost", [("Origin", "null")], 403),
    ("a file", "localhost", [("Origin", "file://")], 403),
    ("an extension", "localhost", [("Origin", "chrome-extension://localhost")], 403),
    ("a longer name", "localhost", [("Origin", "http://localhost.evil.test")], 403),
    ("a name before a user's", "localhost", [("Origin", "http://localhost@evil.test")], 403),
    ("a page whose name was made to resolve here", "evil.test", [EVIL], 403),
    ("a form there, without Origin", "evil.test", [], 403),
    ("a user in the Host", "localhost@evil.test", [], 400),
    ("a dot behind", "localhost.evil.test.", [], 403),
    ("an address elsewhere", "192.0.2.1:8001", [], 403),
    ("half an address", "[::1", [], 400),
    ("all addresses", "0.0.0.0", [], 403),
]


def test_changes(t):
    """Bodies that a browser sends without asking first, and those it asks for."""
    count = 0
    with Folder() as folder, storing(folder) as (_, address):
        for name, host, headers, status in CHANGERS:
            host = host or "%s:%d" % address
            for kind, body in ((JSON, b'{"name":"n%d","host":"h"}'), (FORM, b"name=n%d&host=h")):
                with t.case("%s: %s" % (name, kind)):
                    count += 1
                    before = names(address)
                    answer = client.request(address, "POST", "/services", [*headers, ("Content-Type", kind)],
                                            body % count, host)
                    assert answer.status == status, answer
                    after = names(address)
                    assert (len(after) == len(before) + 1) == (status == 201), after
        with t.case("text is no body"):
            answer = client.request(address, "POST", "/services", [("Content-Type", TEXT)], b'{"name":"x","host":"h"}',
                                    "localhost")
            assert answer.status == 415, answer
        for method in ("PUT", "PATCH", "DELETE"):
            with t.case(method + " from elsewhere"):
                answer = client.request(address, method, "/services/n1", [EVIL, ("Content-Type", JSON)],
                                        b'{"host":"evil"}', "localhost")
                assert answer.status == 403 and "n1" in names(address), answer
        with t.case("a question before that is not allowed"):
            asked = [EVIL, ("Access-Control-Request-Method", "PUT")]
            answer = client.request(address, "OPTIONS", "/services/n1", asked, None, "localhost")
            assert answer.status == 403 and answer.get("access-control-allow-methods") is None, answer
        with t.case("nothing is told to them"):
            for target in ("/", "/services", "/ui/", "/ui/live", "/config", "/metrics", "/schemas/services"):
                for host, headers in (("localhost", [EVIL]), ("evil.test", [])):
                    answer = client.get(address, target, headers, host)
                    assert answer.status == 403 and len(answer.body) < 200, answer


def test_two_names(t):
    with Folder() as folder, storing(folder) as (_, address):
        for name, head in (("two Hosts", b"Host: localhost\r\nHost: evil.test\r\n"),
                           ("a second that is empty", b"Host: localhost\r\nHost:\r\n"), ("none", b"")):
            with t.case(name), client.Connection(address) as connection:
                answer = connection.exchange(b"DELETE /services/x HTTP/1.1\r\n" + head + b"\r\n", "DELETE")
                assert answer.status == 400, answer
        with t.case("a target with another name"), client.Connection(address) as connection:
            answer = connection.exchange(b"DELETE http://evil.test/services/x HTTP/1.1\r\nHost: localhost\r\n\r\n",
                                         "DELETE")
            assert answer.status == 403, answer


# name, headers, status
TOKENS = [
    ("none", [], 401),
    ("bearer", [("Authorization", "Bearer " + TOKEN)], 200),
    ("any case of the scheme", [("Authorization", "bEARER   " + TOKEN)], 200),
    ("the header of Kong's clients", [("Kong-Admin-Token", TOKEN)], 200),
    ("a part of it", [("Kong-Admin-Token", TOKEN[:-1])], 401),
    ("more than it", [("Kong-Admin-Token", TOKEN + "x")], 401),
    ("another case", [("Kong-Admin-Token", TOKEN.upper())], 401),
    ("empty", [("Authorization", "Bearer ")], 401),
    ("no scheme", [("Authorization", TOKEN)], 401),
    ("another scheme", [("Authorization", "Basic " + TOKEN)], 401),
    ("a wrong one beside the right one", [("Kong-Admin-Token", "x"), ("Authorization", "Bearer " + TOKEN)], 401),
    ("in a cookie", [("Cookie", "token=" + TOKEN)], 401),
    ("right, from elsewhere", [("Kong-Admin-Token", TOKEN), EVIL], 403),
]


def test_token(t):
    with Folder() as folder, storing(folder, admin_token=TOKEN) as (running, address):
        for name, headers, status in TOKENS:
            with t.case(name):
                for target in ("/services", "/", "/metrics", "/ui/live", "/nope"):
                    answer = client.get(address, target, headers, "localhost")
                    wanted = 404 if (target, status) == ("/nope", 200) else status
                    assert answer.status == wanted, (target, answer)
                    assert (answer.get("www-authenticate") == "Bearer") == (status == 401), answer
                answer = client.request(address, "DELETE", "/services/x", headers, None, "localhost")
                assert answer.status == (204 if status == 200 else status), answer
        with t.case("in the query"):
            assert client.get(address, "/services?token=" + TOKEN, (), "localhost").status == 401
        with t.case("it is told nowhere"):
            told = client.get(address, "/", [("Kong-Admin-Token", TOKEN)], "localhost").body.decode()
            with open(folder.file("audit.log"), encoding="utf-8") as f:
                told += f.read()
            assert TOKEN not in told + running.stderr() and '"admin_token":"******"' in told, told


SECRETS = ("sehr-geheim-1", "sehr-geheim-2", "sehr-geheim-3", "sehr-geheim-4", "sehr-geheim-5")


def test_secrets_are_not_logged(t):
    """In bodies, in queries, in paths, and in what was refused."""
    with Folder() as folder, storing(folder, log_level="debug") as (running, address):
        def send(method, target, body):
            return client.request(address, method, target, [("Content-Type", JSON)], body.encode(), "localhost").status
        assert send("POST", "/consumers", '{"username":"c"}') == 201
        assert send("POST", "/consumers/c/key-auth", '{"key":"%s"}' % SECRETS[0]) == 201
        assert send("POST", "/consumers/c/basic-auth", '{"username":"u","password":"%s"}' % SECRETS[1]) == 201
        assert send("POST", "/consumers/c/hmac-auth", '{"username":"u","secret":"%s","nope":1}' % SECRETS[2]) == 400
        assert send("POST", "/consumers/c/key-auth", '{"key":"%s"}' % SECRETS[0]) == 409
        assert send("POST", "/consumers/c/jwt", '{"secret":"%s"' % SECRETS[3]) == 400
        assert send("DELETE", "/key-auths/%s" % SECRETS[0], "") == 204
        assert send("DELETE", "/services/x?secret=%s" % SECRETS[4], "") == 204
        with open(folder.file("audit.log"), encoding="utf-8") as f:
            audit = f.read()
        with t.case("every change has a line"):
            lines = [json.loads(line) for line in audit.splitlines()]
            assert [line["status"] for line in lines] == [201, 201, 201, 400, 409, 400, 204, 204], lines
            assert all(set(line) == {"time", "client", "method", "path", "status", "body_bytes"} for line in lines)
        for secret in SECRETS:
            with t.case(secret):
                assert secret not in audit and secret not in running.stderr()
        with t.case("no line of somebody else's"):
            send("DELETE", "/services/a%0Aaudit", "")
            with open(folder.file("audit.log"), encoding="utf-8") as f:
                assert len(f.read().splitlines()) == 9
