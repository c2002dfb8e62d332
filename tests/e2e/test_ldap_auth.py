# SPDX-License-Identifier: Apache-2.0
"""Logins that a real directory judges: in the clear and over TLS, remembered, failing, beside other plugins."""
import base64
import json
import threading

from tests.support import certs, net, origin
from tests.support.gateway import Folder, Gateway, run, simple_config
from tests.support.ldap import BASE, Directory

PEOPLE = {"alice": "pw:1", "carol,ou=staff": "x", "eve+1": "e", "ünal": "ü"}


def config(url, directory, *more, **options):
    out = simple_config(url)
    fields = {"ldap_host": directory.host, "ldap_port": directory.port, "base_dn": BASE, "attribute": "uid", **options}
    out["plugins"] = [{"name": "ldap-auth", "config": fields}, *more]
    out["consumers"] = [{"username": "guest"}, {"username": "alice", "keyauth_credentials": [{"key": "ka"}]}]
    return out


def login(name, password, scheme="ldap", header="Authorization"):
    text = base64.b64encode(("%s:%s" % (name, password)).encode()).decode()
    return [(header, "%s %s" % (scheme, text))]


def check_refused(answer, challenge="LDAP"):
    assert answer.status == 401, answer
    assert json.loads(answer.body)["message"] == "Unauthorized", answer
    assert answer.get("www-authenticate") == challenge, answer


def test_logins(t):
    cases = [
        ("right", login("alice", "pw:1"), "alice"),
        ("scheme in capitals", login("alice", "pw:1", "LDAP"), "alice"),
        ("Proxy-Authorization", login("alice", "pw:1", header="Proxy-Authorization"), "alice"),
        ("both, the second right", login("alice", "x", header="Proxy-Authorization") + login("alice", "pw:1"), "alice"),
        ("a name with a comma", login("carol,ou=staff", "x"), "carol,ou=staff"),
        ("a name with a plus", login("eve+1", "e"), "eve+1"),
        ("without padding", [("Authorization", login("alice", "pw:1")[0][1].rstrip("="))], "alice"),
        ("wrong password", login("alice", "pw"), None),
        ("unknown name", login("nobody", "x"), None),
        ("no password", login("alice", ""), None),
        ("no name", login("", "pw:1"), None),
        ("a branch slipped in", login("bob,ou=staff", "other"), None),
        ("another scheme", login("alice", "pw:1", "Basic"), None),
        ("scheme glued on", [("Authorization", "ldapYWxpY2U6cHc6MQ==")], None),
        ("no base64", [("Authorization", "ldap ***")], None),
        ("no colon", [("Authorization", "ldap YWxpY2U=")], None),
        ("a control in the name", login("al\nice", "x"), None),
        ("nothing", [], None),
    ]
    with origin.Origin() as upstream, Directory(PEOPLE) as directory, \
            Gateway(config(upstream.url, directory)) as gateway:
        for name, fields, who in cases:
            with t.case(name):
                answer = gateway.get("/", fields)
                if who is None:
                    check_refused(answer)
                    assert upstream.take() == []
                    continue
                assert answer.status == 200, answer
                seen = upstream.one()
                assert seen.get("x-credential-identifier") == who, seen
                assert seen.get("x-consumer-id") is None and seen.get("x-anonymous-consumer") is None, seen
                if "Proxy" not in fields[0][0]:
                    assert seen.get("authorization") == fields[0][1], seen


def test_options(t):
    with origin.Origin() as upstream, Directory(PEOPLE) as directory:
        with Gateway(config(upstream.url, directory, hide_credentials=True, header_type="Basic", realm="r")) as gateway:
            with t.case("hidden, another scheme"):
                assert gateway.get("/", login("alice", "pw:1", "basic")).status == 200
                assert upstream.one().get("authorization") is None
            with t.case("the scheme in the challenge"):
                check_refused(gateway.get("/"), 'Basic realm="r"')


def test_remembering(t):
    """One bind for many requests, refusals remembered too, until the time is over."""
    with origin.Origin() as upstream, Directory(PEOPLE) as directory:
        with Gateway(config(upstream.url, directory, cache_ttl=60), {"shards": "1"}) as gateway:
            for _ in range(5):
                assert gateway.get("/", login("alice", "pw:1")).status == 200
                check_refused(gateway.get("/", login("alice", "wrong")))
            with t.case("two binds for ten requests"):
                net.wait_until(lambda: directory.binds() == 2, 5, directory.log)
            directory.stop()
            with t.case("no directory is needed for what is known"):
                assert gateway.get("/", login("alice", "pw:1")).status == 200
                assert gateway.get("/", login("alice", "new")).status == 500
        directory.start()
        before = directory.binds()
        with Gateway(config(upstream.url, directory, cache_ttl=0), {"shards": "1"}) as gateway:
            connections = directory.accepted()
            for _ in range(5):
                assert gateway.get("/", login("alice", "pw:1")).status == 200
            with t.case("nothing remembered, one connection kept"):
                net.wait_until(lambda: directory.binds() == before + 5, 5, directory.log)
                assert directory.accepted() == connections + 1
            directory.stop()
            with t.case("away"):
                assert gateway.get("/", login("alice", "pw:1")).status == 500
            directory.start()
            with t.case("back again"):
                assert gateway.get("/", login("alice", "pw:1")).status == 200


def test_many_at_once(t):
    """More binds than connections: they wait in line, and each gets its own answer."""
    right, wrong = [], []
    with origin.Origin() as upstream, Directory(PEOPLE) as directory, \
            Gateway(config(upstream.url, directory, cache_ttl=0), {"shards": "1"}) as gateway:
        def ask(i):
            for k in range(5):
                good = (i + k) % 2 == 0
                status = gateway.get("/", login("alice", "pw:1" if good else "wrong%d" % i)).status
                (right if status == (200 if good else 401) else wrong).append(status)

        threads = [threading.Thread(target=ask, args=(i,)) for i in range(100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with t.case("all"):
            assert wrong == [] and len(right) == 500, (len(right), wrong[:10])


def test_tls(t):
    authority = certs.Authority()
    with Folder() as folder, origin.Origin() as upstream:
        host = net.own_host()
        with Directory(PEOPLE, authority.issue(host).files(folder, "good")) as directory:
            trusted = {"lua_ssl_trusted_certificate": folder.file("ca.pem", authority.cert)}
            ways = [("ldaps", {"ldaps": True, "ldap_port": directory.tls_port}), ("StartTLS", {"start_tls": True})]
            for name, options in ways:
                with t.case(name + ", unverified"):
                    with Gateway(config(upstream.url, directory, **options)) as gateway:
                        assert gateway.get("/", login("alice", "pw:1")).status == 200
                        check_refused(gateway.get("/", login("alice", "wrong")))
                with t.case(name + ", verified"):
                    checked = config(upstream.url, directory, verify_ldap_host=True, **options)
                    with Gateway(checked, trusted) as gateway:
                        assert gateway.get("/", login("alice", "pw:1")).status == 200
                with t.case(name + ", an unknown authority"):
                    with Gateway(checked) as gateway:
                        assert gateway.get("/", login("alice", "pw:1")).status == 500
        with Directory(PEOPLE, authority.issue("other.test").files(folder, "other")) as directory:
            for name, options in (("ldaps", {"ldaps": True, "ldap_port": directory.tls_port}),
                                  ("StartTLS", {"start_tls": True})):
                with t.case(name + ", a certificate for another host"):
                    checked = config(upstream.url, directory, verify_ldap_host=True, **options)
                    with Gateway(checked, trusted) as gateway:
                        assert gateway.get("/", login("alice", "pw:1")).status == 500
        with Directory(PEOPLE) as directory, \
                Gateway(config(upstream.url, directory, start_tls=True)) as gateway:
            with t.case("a directory without TLS gets no password"):
                assert gateway.get("/", login("alice", "pw:1")).status == 500
                assert directory.binds() == 0


def test_silence(t):
    """A directory that does not answer, and one that answers nonsense."""
    quiet, garbage = threading.Event(), threading.Event()

    def silent(connection):
        connection.sock.recv(1000)
        quiet.wait(20)

    def nonsense(connection):
        connection.sock.recv(1000)
        connection.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        garbage.wait(20)

    with origin.Origin() as upstream:
        for name, script, event in (("silent", silent, quiet), ("nonsense", nonsense, garbage)):
            with t.case(name), origin.Peer(script) as peer:
                with Gateway(config(upstream.url, peer, timeout=300)) as gateway:
                    assert gateway.get("/", login("alice", "pw:1")).status == 500
                    event.set()


def test_beside_others(t):
    key = {"name": "key-auth", "config": {"anonymous": "guest"}}
    acl = {"name": "acl", "config": {"allow": ["staff"]}}
    with origin.Origin() as upstream, Directory(PEOPLE) as directory:
        with Gateway(config(upstream.url, directory, key, anonymous="guest")) as gateway:
            for name, fields, consumer, credential in (
                    ("login", login("alice", "pw:1"), None, "alice"), ("key", [("apikey", "ka")], "alice", ""),
                    ("neither", [], "guest", None), ("wrong", login("alice", "x"), "guest", None)):
                with t.case(name):
                    assert gateway.get("/", fields).status == 200
                    seen = upstream.one()
                    assert seen.get("x-consumer-username") == consumer, seen
                    assert seen.get("x-anonymous-consumer") == ("true" if consumer == "guest" else None), seen
                    if credential != "":
                        assert seen.get("x-credential-identifier") == credential, seen
        with Gateway(config(upstream.url, directory, acl)) as gateway:
            with t.case("somebody without a consumer is in no group"):
                assert gateway.get("/", login("alice", "pw:1")).status == 403


def test_errors_of_configuration(t):
    def check(**options):
        fields = {"ldap_host": "ldap.test", "base_dn": BASE, "attribute": "uid", **options}
        text = {"_format_version": "3.0", "plugins": [{"name": "ldap-auth", "config": fields}]}
        with Folder() as folder:
            done = run("check", "-c", folder.file("kong.json", json.dumps(text)))
        return done.returncode, done.stdout + done.stderr

    for name, options, message in (
            ("good", {}, None), ("both", {"ldaps": True, "start_tls": True}, "cannot be enabled simultaneously"),
            ("host", {"ldap_host": "a b"}, "ldap_host"), ("port", {"ldap_port": 70000}, "ldap_port"),
            ("attribute", {"attribute": None}, "required field missing"), ("ttl", {"cache_ttl": -1}, "cache_ttl")):
        with t.case(name):
            status, text = check(**options)
            assert (status == 0) == (message is None), text
            assert message is None or message in text, text
