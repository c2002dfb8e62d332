# SPDX-License-Identifier: Apache-2.0
"""Clients that are known by their certificates: whose are good, whose consumers they are, who is asked for one in the
handshake, what is found out about revocation; and the plugins that only pass certificates on."""
import hashlib
import json
import re
import ssl
import threading
import urllib.parse

from tests.e2e.test_tls import Site, V12, V13, with_certificates
from tests.support import certs, client, net, origin
from tests.support.gateway import Folder, Gateway, config_text, run, simple_config

ID = "11111111-0000-4000-8000-00000000000%d"
MISSING, REFUSED = "No required TLS certificate was sent", "TLS certificate failed verification"
GUEST = "1111111a-2222-4333-8444-555555555555"


def configuration(url, authorities, plugins=None, consumers=(), **options):
    out = simple_config(url)
    out["ca_certificates"] = [{"id": ID % (i + 1), "cert": a.own} for i, a in enumerate(authorities)]
    fields = {"ca_certificates": [ID % (i + 1) for i in range(len(authorities))], **options}
    out["plugins"] = plugins or [{"name": "mtls-auth", "config": fields}]
    out["consumers"] = [{"username": "guest", "id": GUEST}, *consumers]
    return out


class Showing:
    """Contexts for clients that show a pair."""

    def __init__(self):
        self.folder = Folder()

    def __enter__(self):
        self.folder.__enter__()
        return self

    def __exit__(self, *what):
        return self.folder.__exit__(*what)

    def context(self, pair, version=None):
        context = client.unverified()
        if version:
            context.minimum_version = context.maximum_version = version
        if pair:
            context.load_cert_chain(*pair.files(self.folder, "client"))
        return context


def ask(gateway, context, name="a.test", headers=(), target="/"):
    with gateway.connect_tls(name, context) as c:
        return c.exchange(client.encode("GET", target, headers))


def check_refused(answer, message=REFUSED):
    assert answer.status == 401 and json.loads(answer.body)["message"] == message, answer


def test_whose_certificates_are_good(t):
    ca, other = certs.Authority(), certs.Authority("Other")
    between = certs.Authority("Between", ca)
    leaf = between.issue("alice")
    alone = certs.Pair(leaf.own, leaf.key)
    # its name, what is shown, further options of the plugin, the message of a refusal
    rows = [("good", ca.issue("alice"), {}, None), ("none", None, {}, MISSING),
            ("another authority's", other.issue("alice"), {}, REFUSED),
            ("expired", ca.issue("alice", days="-1"), {}, REFUSED),
            ("for servers only", ca.issue("alice", usage="serverAuth"), {}, REFUSED),
            ("through an intermediate", leaf, {}, None), ("without its intermediate", alone, {}, REFUSED),
            ("RSA", ca.issue("alice", kind="rsa"), {}, None), ("nobody's", ca.issue("zoe"), {}, REFUSED)]
    with origin.Origin() as o, Showing() as showing:
        with Site(configuration(o.url, [ca], consumers=[{"username": "alice"}])) as g:
            for version in (V12, V13):
                for name, pair, _, message in rows:
                    with t.case("%s %s" % (version.name, name)):
                        answer = ask(g, showing.context(pair, version))
                        if message:
                            check_refused(answer, message)
                            assert o.take() == []
                        else:
                            assert answer.status == 200 and o.one().get("x-consumer-username") == "alice", answer
            with t.case("in the clear"):
                check_refused(client.get(g.plain), MISSING)
            with t.case("several requests on a connection, judged once or not"):
                with g.connect_tls("a.test", showing.context(rows[0][1])) as c:
                    assert [c.exchange(client.encode("GET", "/")).status for _ in range(5)] == [200] * 5
        config = configuration(o.url, [between], consumers=[{"username": "alice"}])
        with t.case("an intermediate is no root"), Site(config) as g:
            check_refused(ask(g, showing.context(leaf)))
        config = configuration(o.url, [between], consumers=[{"username": "alice"}], allow_partial_chain=True)
        with t.case("unless that is allowed"), Site(config) as g:
            assert ask(g, showing.context(leaf)).status == 200
        with t.case("one of two authorities"), \
                Site(configuration(o.url, [other, ca], consumers=[{"username": "alice"}])) as g:
            assert ask(g, showing.context(rows[0][1])).status == 200
            assert ask(g, showing.context(rows[2][1])).status == 200


test_whose_certificates_are_good.seconds = 120


def test_whose_consumer(t):
    ca, other = certs.Authority(), certs.Authority("Other")
    consumers = [{"username": "alice", "custom_id": "c-alice"},
                 {"username": "bob", "mtls_auth_credentials": [{"id": ID % 9, "subject_name": "bob@x.test"}]},
                 {"username": "carol", "mtls_auth_credentials": [
                     {"subject_name": "twice", "ca_certificate": ID % 1}]},
                 {"username": "dave", "mtls_auth_credentials": [
                     {"subject_name": "twice", "ca_certificate": {"id": ID % 2}},
                     {"subject_name": "pem", "ca_certificate": other.own}]},
                 {"username": "erin", "mtls-auth": [{"subject_name": "twice"}, {"subject_name": "alias"}]}]
    # its name, the certificate, other options, who it is
    rows = [("by username", ca.issue("alice"), {}, "alice"), ("by custom_id", ca.issue("c-alice"), {}, "alice"),
            ("by a URI", ca.issue(alternative="URI:c-alice"), {}, "alice"),
            ("the second name", ca.issue("x.test", "alice"), {}, "alice"),
            ("by the common name", ca.issue("alice", alternative=""), {}, "alice"),
            ("an alternative name hides the common one", ca.issue("alice", alternative="DNS:x.test"), {}, None),
            ("mapped e-mail", ca.issue(alternative="email:bob@x.test"), {}, "bob"),
            ("mapped for its authority", ca.issue("twice"), {}, "carol"),
            ("mapped for another authority", other.issue("twice"), {}, "dave"),
            ("mapped for an authority in PEM", other.issue("pem"), {}, "dave"),
            ("mapped in PEM, issued by another", ca.issue("pem"), {}, None),
            ("mapped under the other name of the list", ca.issue("alias"), {}, "erin"),
            ("mapping before username", ca.issue("bob", alternative="DNS:alice,email:bob@x.test"), {}, "bob"),
            ("not by custom_id", ca.issue("c-alice"), {"consumer_by": ["username"]}, None),
            ("not by username", ca.issue("alice"), {"consumer_by": ["custom_id"]}, None),
            ("by neither", ca.issue("alice"), {"consumer_by": []}, None),
            ("mapped in spite of that", ca.issue("twice"), {"consumer_by": []}, "carol"),
            ("the default", ca.issue("zoe"), {"default_consumer": "guest"}, "guest"),
            ("the default by id", ca.issue("zoe"), {"default_consumer": GUEST}, "guest"),
            ("no default where one is found", ca.issue("alice"), {"default_consumer": "guest"}, "alice"),
            ("the id of a consumer is no name", ca.issue(GUEST), {}, None)]
    with origin.Origin() as o, Showing() as showing:
        gateways = {}
        for name, pair, options, who in rows:
            with t.case(name):
                key = json.dumps(options)
                if key not in gateways:
                    gateways[key] = Site(configuration(o.url, [ca, other], consumers=consumers, **options)).__enter__()
                answer = ask(gateways[key], showing.context(pair))
                if who is None:
                    check_refused(answer)
                    continue
                assert answer.status == 200, answer
                seen = o.one()
                assert seen.get("x-consumer-username") == who, seen
                assert seen.get("x-anonymous-consumer") is None
                identifier = seen.get("x-credential-identifier")
                assert identifier == (ID % 9 if who == "bob" else identifier) and len(identifier) == 36
                if who == "alice":
                    assert identifier == seen.get("x-consumer-id")
        for gateway in gateways.values():
            gateway.__exit__(None, None, None)


test_whose_consumer.seconds = 120


def test_anonymous_and_others(t):
    ca = certs.Authority()
    good, nobody = ca.issue("alice"), ca.issue("zoe")
    alice = {"username": "alice", "keyauth_credentials": [{"key": "ka"}]}
    with origin.Origin() as o, Showing() as showing:
        with Site(configuration(o.url, [ca], consumers=[alice], anonymous="guest")) as g:
            for name, pair, who in [("good", good, "alice"), ("nobody's", nobody, "guest"), ("none", None, "guest")]:
                with t.case("anonymous: " + name):
                    assert ask(g, showing.context(pair)).status == 200
                    seen = o.one()
                    assert seen.get("x-consumer-username") == who
                    assert seen.get("x-anonymous-consumer") == ("true" if who == "guest" else None), seen
        with t.case("an anonymous consumer that is not there"), \
                Site(configuration(o.url, [ca], anonymous="missing")) as g:
            assert ask(g, showing.context(None)).status == 500
        one = {"name": "mtls-auth", "config": {"ca_certificates": [ID % 1], "anonymous": "guest"}}
        two = {"name": "key-auth", "config": {"anonymous": "guest"}}
        with Site(configuration(o.url, [ca], [one, two], [alice])) as g:
            rows = [("certificate", good, [], "alice"), ("key", None, [("apikey", "ka")], "alice"),
                    ("neither", None, [], "guest")]
            for name, pair, headers, who in rows:
                with t.case("either a certificate or a key: " + name):
                    assert ask(g, showing.context(pair), headers=headers).status == 200
                    assert o.one().get("x-consumer-username") == who


def test_without_consumers(t):
    ca = certs.Authority()
    pair = ca.issue(subject="/O=Orders/CN=client one", alternative="DNS:a.client,URI:spiffe://x/y,IP:10.0.0.1")
    bare = ca.issue("bare", alternative="")
    spoofed = [("X-Client-Cert-Dn", "CN=admin"), ("X-Client-Cert-San", "admin"), ("X-Consumer-Username", "admin")]
    with origin.Origin() as o, Showing() as showing:
        with Site(configuration(o.url, [ca], skip_consumer_lookup=True)) as g:
            with t.case("what the certificate says"):
                assert ask(g, showing.context(pair), headers=spoofed).status == 200
                seen = o.one()
                assert seen.get("x-client-cert-dn") == "CN=client one,O=Orders", seen
                assert seen.get("x-client-cert-san") == "a.client,spiffe://x/y,10.0.0.1", seen
                assert seen.get("x-consumer-id") is None and seen.get("x-consumer-username") is None
            with t.case("nothing of what it does not"):
                assert ask(g, showing.context(bare), headers=spoofed).status == 200
                seen = o.one()
                assert seen.get("x-client-cert-dn") == "CN=bare" and seen.get("x-client-cert-san") is None, seen
            with t.case("still a good one is needed"):
                check_refused(ask(g, showing.context(certs.Authority("X").issue("a"))))
        for by, allowed in [("CN", "client one"), ("DN", "CN=client one,O=Orders")]:
            plugins = [{"name": "mtls-auth", "config": {"ca_certificates": [ID % 1], "skip_consumer_lookup": True,
                                                        "authenticated_group_by": by}},
                       {"name": "acl", "config": {"allow": [allowed]}}]
            with t.case("groups by " + by), Site(configuration(o.url, [ca], plugins)) as g:
                assert ask(g, showing.context(pair)).status == 200
                assert ask(g, showing.context(bare)).status == 403


class Asked:
    """Is a client asked for a certificate when it connects for that name? Its own is remembered as shown then."""

    def __init__(self, showing, pair, gateway):
        self.showing, self.pair, self.gateway = showing, pair, gateway

    def __call__(self, name):
        answer = ask(self.gateway, self.showing.context(self.pair), name, target="/who")
        return json.loads(answer.body)["headers"].get("X-Client-Cert-Fingerprint") is not None


def told(request):
    text = json.dumps({"headers": {"X-Client-Cert-Fingerprint": request.get("x-client-cert-fingerprint")}})
    return origin.answer(200, [], text.encode())


def test_who_is_asked(t):
    ca, servers = certs.Authority(), certs.Authority("Servers")
    pair = ca.issue("alice")
    tell = {"name": "tls-metadata-headers", "config": {"inject_client_cert_details": True}}
    auth = {"name": "mtls-auth", "config": {"ca_certificates": [ID % 1], "anonymous": "guest"}}

    def scoped(o, *routes):
        config = with_certificates(configuration(o.url, [ca], [tell], [{"username": "alice"}]),
                                   (["a.test", "b.test"], servers.issue("a.test", "b.test")),
                                   (["*.w.test"], servers.issue("*.w.test")))
        config["services"][0]["routes"] = [{"name": "who", "paths": ["/who"]}]
        for i, (snis, plugins) in enumerate(routes):
            config["services"].append({"name": "own%d" % i, "url": o.url, "routes": [
                {"name": "own%d" % i, "paths": ["/x"], "snis": snis, "plugins": plugins} if snis else
                {"name": "own%d" % i, "paths": ["/x"], "plugins": plugins}]})
        return config

    names = ["a.test", "b.test", "x.w.test", "y.w.test", "c.test", None]
    rows = [("nobody", [(["a.test"], [])], []),
            ("one name of a certificate", [(["a.test"], [auth])], ["a.test"]),
            ("a name below a wildcard", [(["x.w.test"], [auth])], ["x.w.test"]),
            ("a wildcard", [(["*.w.test"], [auth])], ["x.w.test", "y.w.test"]),
            ("a name of no certificate", [(["c.test"], [auth])], ["c.test"]),
            ("a wildcard over names of certificates", [(["*.test"], [auth])], names[:5]),
            ("names in any case", [(["B.test"], [auth])], ["b.test"]),
            ("one route of two without a name", [(["a.test"], [auth]), (None, [auth])], names),
            ("by tls-handshake-modifier", [(["b.test"], [{"name": "tls-handshake-modifier"}])], ["b.test"])]
    with origin.Origin(told) as o, Showing() as showing:
        for title, routes, asked in rows:
            with Site(scoped(o, *routes)) as g:
                is_asked = Asked(showing, pair, g)
                for name in names:
                    with t.case("%s: %s" % (title, name)):
                        assert is_asked(name) == (name in asked)
        config = scoped(o, (["a.test"], [auth]))
        with Site(config) as g, t.case("after a reload"):
            is_asked = Asked(showing, pair, g)
            assert not is_asked("b.test")
            g.reload(scoped(o, (["b.test"], [auth])))
            net.wait_until(lambda: "reload done" in g.stderr(), 10, "the new configuration on all shards")
            assert is_asked("b.test") and not is_asked("a.test")
        with Site(config) as g:
            for name, wanted in [("a.test", False), ("b.test", True)]:
                with t.case("sessions are resumed where nobody is asked: " + name):
                    context = showing.context(None, V13)
                    with g.connect_tls(name, context) as c:
                        c.exchange(client.encode("GET", "/who"))
                        session = c.sock.session
                    with g.connect_tls(name, context, session=session) as c:
                        c.exchange(client.encode("GET", "/who"))
                        assert c.sock.session_reused == wanted


test_who_is_asked.seconds = 180


def test_metadata_headers(t):
    ca = certs.Authority()
    pair = ca.issue("alice")
    names = ["cert", "serial", "issuer_dn", "subject_dn", "fingerprint"]
    plugins = [{"name": "tls-handshake-modifier"},
               {"name": "tls-metadata-headers", "config": {
                   "inject_client_cert_details": True, "client_cert_serial_header_name": "X-Own-Serial"}}]
    with origin.Origin() as o, Showing() as showing, Site(configuration(o.url, [ca], plugins)) as g:
        def seen_from(context):
            spoofed = [("X-Client-Cert", "x"), ("X-Own-Serial", "x"), ("X-Client-Cert-Fingerprint", "x")]
            assert ask(g, context, headers=spoofed).status == 200
            return o.one()
        with t.case("all of them"):
            seen = seen_from(showing.context(pair))
            assert urllib.parse.unquote(seen.get("x-client-cert")).split() == pair.own.split()
            assert seen.get("x-own-serial").lower() == pair.serial().split("=")[1].lower()
            assert seen.get("x-client-cert-issuer-dn") == "CN=Test CA"
            assert seen.get("x-client-cert-subject-dn") == "CN=alice"
            der = ssl.PEM_cert_to_DER_cert(pair.own)
            assert seen.get("x-client-cert-fingerprint") == hashlib.sha1(der).hexdigest()
        with t.case("none without a certificate, whatever the client says"):
            seen = seen_from(showing.context(None))
            assert [n for n in names if seen.get("x-client-cert-" + n.replace("_", "-"))] == []
            assert seen.get("x-client-cert") is None and seen.get("x-own-serial") is None


class Responder:
    """Says what it is told about certificates, at /ocsp and /list; counts."""

    def __init__(self, ca):
        self.ca, self.asked, self.answers = ca, [], {}
        self.lock = threading.Lock()

    def __call__(self, request):
        with self.lock:
            self.asked.append(request.target)
        answer = self.answers.get(request.target)
        return answer(request) if answer else origin.answer(500, [], b"")


def test_revocation(t):
    ca, other = certs.Authority(), certs.Authority("Other")
    responder = Responder(ca)
    with origin.Origin(responder) as r, origin.Origin() as o, Showing() as showing:
        both = "authorityInfoAccess=OCSP;URI:%s/ocsp\ncrlDistributionPoints=URI:%s/list" % (r.url, r.url)
        ocsp, lists = both.split("\n")
        pairs = {name: ca.issue("alice", extensions=text)
                 for name, text in [("both", both), ("ocsp", ocsp), ("list", lists), ("none", "")]}

        def says(good=(), revoked=(), signer=None):
            return lambda q: origin.answer(200, [], ca.answer_ocsp(q.body, good, revoked, signer),
                                           content_type="application/ocsp-response")

        def listing(*revoked, by=ca):
            return lambda q: origin.answer(200, [], by.revoke(*revoked).encode(), content_type="application/pkix-crl")

        def raw(body):
            return lambda q: origin.answer(200, [], body)

        every = tuple(pairs.values())
        # its name, which certificate, the mode, what /ocsp and /list say, passes, what is asked
        rows = [("good", "ocsp", "STRICT", says(every), None, True, ["/ocsp"]),
                ("revoked", "ocsp", "IGNORE_CA_ERROR", says((), every), None, False, ["/ocsp"]),
                ("revoked, but nobody is asked", "ocsp", "SKIP", says((), every), None, True, []),
                ("unknown", "ocsp", "IGNORE_CA_ERROR", says(), None, True, ["/ocsp"]),
                ("unknown", "ocsp", "STRICT", says(), None, False, ["/ocsp"]),
                ("signed by another", "ocsp", "STRICT", says(every, (), other), None, False, ["/ocsp"]),
                ("a revocation signed by another", "ocsp", "IGNORE_CA_ERROR", says((), every, other), None, True,
                 ["/ocsp"]),
                ("nonsense", "ocsp", "STRICT", raw(b"\x30\x03\x0a\x01\x00"), None, False, ["/ocsp"]),
                ("an error", "ocsp", "IGNORE_CA_ERROR", None, None, True, ["/ocsp"]),
                ("an error, then the list", "both", "STRICT", None, listing(), True, ["/ocsp", "/list"]),
                ("revoked by the list", "both", "IGNORE_CA_ERROR", None, listing(pairs["both"]), False,
                 ["/ocsp", "/list"]),
                ("the list is not needed", "both", "STRICT", says(every), None, True, ["/ocsp"]),
                ("on the list", "list", "IGNORE_CA_ERROR", None, listing(pairs["list"]), False, ["/list"]),
                ("another one is on the list", "list", "STRICT", None, listing(pairs["ocsp"]), True, ["/list"]),
                ("a list of another authority", "list", "STRICT", None, listing(by=other), False, ["/list"]),
                ("nothing to ask", "none", "IGNORE_CA_ERROR", None, None, True, []),
                ("nothing to ask", "none", "STRICT", None, None, False, [])]
        for name, which, mode, at_ocsp, at_list, passes, asked in rows:
            config = configuration(o.url, [ca], consumers=[{"username": "alice"}], revocation_check_mode=mode)
            with t.case("%s, %s" % (name, mode)), Site(config, {"shards": "1"}) as g:
                responder.asked.clear()
                responder.answers = {"/ocsp": at_ocsp, "/list": at_list}
                for _ in range(2):  # the second time it is known
                    answer = ask(g, showing.context(pairs[which]))
                    if passes:
                        assert answer.status == 200, answer
                    else:
                        check_refused(answer)
                assert responder.asked == asked, responder.asked
        config = configuration(o.url, [ca], consumers=[{"username": "alice"}], cert_cache_ttl=1)
        with t.case("asked again when the answer is too old"), Site(config, {"shards": "1"}) as g:
            responder.answers = {"/ocsp": says(every)}
            assert ask(g, showing.context(pairs["ocsp"])).status == 200
            responder.answers = {"/ocsp": says((), every)}
            net.wait_until(lambda: ask(g, showing.context(pairs["ocsp"])).status == 401, what="the other answer")
        with t.case("a responder that says nothing"), origin.Peer(lambda c: c.wait_for_end()) as silent:
            pair = ca.issue("alice", extensions="authorityInfoAccess=OCSP;URI:http://%s:%d/" % silent.address)
            for mode, status in [("STRICT", 401), ("IGNORE_CA_ERROR", 200)]:
                config = configuration(o.url, [ca], consumers=[{"username": "alice"}], revocation_check_mode=mode,
                                       http_timeout=300)
                with Site(config) as g:
                    assert ask(g, showing.context(pair)).status == status
        with t.case("through a proxy"):
            host, port = r.address
            pair = ca.issue("alice", extensions="authorityInfoAccess=OCSP;URI:http://ocsp.invalid/ocsp")
            responder.answers = {"http://ocsp.invalid/ocsp": says((pair,))}
            config = configuration(o.url, [ca], consumers=[{"username": "alice"}], revocation_check_mode="STRICT",
                                   http_proxy_host=host, http_proxy_port=port)
            with Site(config) as g:
                assert ask(g, showing.context(pair)).status == 200


test_revocation.seconds = 240


def test_wrong_configurations(t):
    ca = certs.Authority()
    rows = [({"ca_certificates": []}, "ca_certificates"), ({"ca_certificates": [ID % 7]}, "invalid reference"),
            ({"ca_certificates": ["x"]}, r"ca_certificates\[0\]"), ({"ca_certificates": None}, "required"),
            ({"send_ca_dn": True}, "send_ca_dn: not supported"),
            ({"san_dirname_matcher": ["CN"]}, "san_dirname_matcher: not supported"),
            ({"revocation_check_mode": "MAYBE"}, "revocation_check_mode"),
            ({"consumer_by": ["id"]}, "consumer_by"), ({"authenticated_group_by": "O"}, "authenticated_group_by"),
            ({"http_proxy_host": "p.test"}, "http_proxy_port"), ({"http_timeout": 0}, "http_timeout"),
            ({"certificate": 1}, "unknown field")]
    with Folder() as folder:
        for options, reason in rows:
            with t.case(json.dumps(options)):
                config = configuration("http://127.0.0.1:1", [ca])
                config["plugins"][0]["config"].update(options)
                done = run("check", "-c", folder.file("c.yaml", config_text(config)))
                lines = [line for line in done.stdout.splitlines() + done.stderr.splitlines() if "plugins[0]" in line]
                assert done.returncode == 1 and lines, done
                assert re.search(reason, lines[0]) or reason in lines[0], lines
        for credential, reason in [({"subject_name": "a", "ca_certificate": "x"}, "ca_certificate"),
                                   ({}, "subject_name"), ({"subject_name": "a", "key": 1}, "unknown field")]:
            with t.case("credential " + json.dumps(credential)):
                config = configuration("http://127.0.0.1:1", [ca], consumers=[
                    {"username": "a", "mtls_auth_credentials": [credential]}])
                done = run("check", "-c", folder.file("c.yaml", config_text(config)))
                text = done.stdout + done.stderr
                assert done.returncode == 1 and "mtls_auth_credentials[0]" in text and reason in text, text


test_anonymous_and_others.seconds = test_without_consumers.seconds = 60
