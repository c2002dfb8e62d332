# SPDX-License-Identifier: Apache-2.0
"""TLS to upstreams from the outside: who is believed, what is shown and asked for, which connections are shared."""
import os
import ssl
import threading

from tests.e2e.test_aws import MISSION, Aws
from tests.e2e.test_emissary import Kube, mapping
from tests.support import certs, client, net, origin
from tests.support.gateway import Folder, Gateway, simple_config

BYTES = int(os.environ.get("TEST_TLS_BYTES", str(100 * 1000 * 1000)))
ID = "10000000-0000-4000-8000-%012d"
LINE = "TLS to an upstream failed"


class Names:
    """The context of an origin that notes what clients ask for and show."""

    def __init__(self, pair, authority=None, required=False, low=None, high=None):
        self.asked, self.protocols = [], []
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with Folder() as folder:
            self.context.load_cert_chain(*pair.files(folder, "own"))
        self.context.sni_callback = lambda sock, name, context: self.asked.append(name)
        self.context.set_alpn_protocols(["http/1.1"])
        if authority:
            self.context.load_verify_locations(cadata=authority.own)
            self.context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
        if low:
            self.context.minimum_version = low
        if high:
            self.context.maximum_version = high


def config_of(o, *authorities, **service):
    """A service at the origin by the name a.test, which believes these authorities."""
    config = simple_config(o.url)
    config["upstreams"] = [{"name": "up", "host_header": "a.test",
                            "targets": [{"target": "%s:%d" % o.address}]}]
    config["ca_certificates"] = [{"id": ID % (i + 1), "cert": a.own} for i, a in enumerate(authorities)]
    one = config["services"][0]
    one.update(url="https://up:443", **service)
    if authorities and "ca_certificates" not in service:
        one["ca_certificates"] = [ID % (i + 1) for i in range(len(authorities))]
    return config


def test_verification(t):
    ca, other = certs.Authority(), certs.Authority("Other")
    between = certs.Authority("Between", ca)
    good, expired = ca.issue("a.test"), ca.issue("a.test", days="-1")
    deep, wrong, client_only = between.issue("a.test"), ca.issue("b.test"), ca.issue("a.test", usage="clientAuth")
    alone = certs.Authority("a.test")
    # what the origin shows, whom the service believes, its other fields, the settings; the reason if refused
    rows = [("good", good, [ca], {}, {}, None),
            ("good, asked for explicitly", good, [ca], {"tls_verify": True}, {}, None),
            ("one of two authorities", good, [other, ca], {}, {}, None),
            ("through an intermediate", deep, [ca], {}, {}, None),
            ("deeper than allowed", deep, [ca], {"tls_verify_depth": 0}, {}, "too long"),
            ("another authority", good, [other], {}, {}, "unable to get local issuer"),
            ("no authority named: the system's", good, [], {}, {}, "unable to get local issuer"),
            ("no authority named: the settings'", good, [], {}, {"upstream_tls_trusted": ca.own}, None),
            ("another name", wrong, [ca], {}, {}, "hostname mismatch"),
            ("expired", expired, [ca], {}, {}, "expired"),
            ("self-signed", alone, [ca], {}, {}, "self-signed"),
            ("for clients only", client_only, [ca], {}, {}, "purpose"),
            ("not verified by the service", wrong, [ca], {"tls_verify": False}, {}, None),
            ("not verified by the settings", alone, [], {}, {"upstream_tls_verify": "off"}, None),
            ("verified in spite of the settings", alone, [ca], {"tls_verify": True},
             {"upstream_tls_verify": "off"}, "self-signed")]
    for name, pair, authorities, fields, settings, reason in rows:
        with t.case(name), origin.Origin(tls=Names(pair).context) as o:
            with Gateway(config_of(o, *authorities, **fields), settings) as g:
                answer = g.get()
                assert answer.status == (502 if reason else 200), (answer, g.stderr())
                if reason:
                    net.wait_until(lambda: LINE in g.stderr(), what="the line about it")
                    line = [one for one in g.stderr().splitlines() if LINE in one][0]
                    assert reason in line and "server_name=a.test" in line, line
                    assert not o.requests


test_verification.seconds = 120


def test_what_is_asked_for(t):
    ca = certs.Authority()
    names = Names(ca.issue("a.test", "b.test", net.own_host()))
    with origin.Origin(tls=names.context) as o:
        with t.case("the upstream's host header"), Gateway(config_of(o, ca)) as g:
            assert g.get().status == 200
            assert names.asked == ["a.test"], names.asked
            assert o.one().get("host") == "a.test:%d" % o.port
        names.asked.clear()
        with t.case("the client's, where it is preserved"):
            config = config_of(o, ca)
            config["services"][0]["routes"][0]["preserve_host"] = True
            with Gateway(config) as g:
                assert g.get(host="B.test:1234").status == 200
                assert names.asked == ["b.test"], names.asked
                assert g.get(host="c.test").status == 502  # the certificate is not for it
                assert g.get(host="under score.test").status in (400, 502)
        names.asked.clear()
        with t.case("an address is checked but not asked for"):
            config = config_of(o, ca)
            config["services"][0]["url"] = o.url
            with Gateway(config) as g:
                assert g.get().status == 200
                assert names.asked == [None], names.asked


def test_versions(t):
    ca = certs.Authority()
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        for kind in ("ec", "rsa"):
            names = Names(ca.issue("a.test", kind=kind), low=version, high=version)
            with t.case("%s %s" % (version.name, kind)), origin.Origin(tls=names.context) as o:
                with Gateway(config_of(o, ca)) as g:
                    assert [g.get().status for _ in range(3)] == [200] * 3


def test_client_certificate(t):
    ca, clients = certs.Authority(), certs.Authority("Clients")
    mine, theirs = clients.issue("me.test"), clients.issue("other.test")
    names = Names(ca.issue("a.test"), clients, required=True)
    entities = [{"id": ID % 8, "cert": mine.cert, "key": mine.key},
                {"id": ID % 9, "cert": theirs.cert, "key": theirs.key}]
    seen = []

    class Watching(origin.Origin):
        def serve(self, connection):
            seen.append(connection.sock.getpeercert()["subject"][0][0][1])
            super().serve(connection)

    with Watching(tls=names.context) as o:
        for name, service, upstream, settings, shown in [
                ("the service's", {"client_certificate": {"id": ID % 8}}, {}, {}, "me.test"),
                ("the upstream's", {}, {"client_certificate": {"id": ID % 9}}, {}, "other.test"),
                ("the service's before the upstream's", {"client_certificate": {"id": ID % 8}},
                 {"client_certificate": {"id": ID % 9}}, {}, "me.test"),
                ("the settings'", {}, {}, {"client_ssl": "on", "client_ssl_cert": mine.cert,
                                           "client_ssl_cert_key": mine.key}, "me.test"),
                ("none", {}, {}, {}, None)]:
            with t.case(name):
                del seen[:]
                config = config_of(o, ca, **service)
                config["certificates"] = entities
                config["upstreams"][0].update(upstream)
                with Gateway(config, settings) as g:
                    assert g.get().status == (200 if shown else 502)
                    assert not shown or seen == [shown], seen


def test_who_shares_a_connection(t):
    ca = certs.Authority()
    mine = ca.issue("me.test")
    names = Names(ca.issue("a.test", "b.test"), ca)
    with origin.Origin(tls=names.context) as o:
        config = config_of(o, ca)
        config["certificates"] = [{"id": ID % 9, "cert": mine.cert, "key": mine.key}]
        one = config["services"][0]
        one["routes"] = [{"name": "r0", "paths": ["/0"]},
                         {"name": "host", "paths": ["/host"], "preserve_host": True}]
        rows = [("same", {}), ("unverified", {"tls_verify": False}), ("deeper", {"tls_verify_depth": 3}),
                ("shows", {"client_certificate": {"id": ID % 9}})]
        for name, fields in rows:
            config["services"].append({**one, "name": name, **fields,
                                       "routes": [{"name": "r-" + name, "paths": ["/" + name]}]})
        with Gateway(config, {"shards": "1"}) as g:
            def used(target, host="test"):
                assert g.get(target, host=host).status == 200
                return o.one().connection
            first = used("/0")
            with t.case("kept"):
                assert used("/0") == first
            with t.case("by another service with the same rules"):
                assert used("/same") == first
            for name in ("unverified", "deeper", "shows"):
                with t.case("not by one that is " + name):
                    other = used("/" + name)
                    assert other != first and used("/" + name) == other
            with t.case("not for another name"):
                other = used("/host", host="b.test")
                assert other != first and used("/host", host="b.test") == other
                assert used("/host", host="a.test") == first
            with t.case("after a reload that changes nothing of it"):
                config["services"][0]["retries"] = 1
                g.reload(config)
                net.wait_until(lambda: "reload done" in g.stderr(), what="the reload")
                assert used("/0") == first
            with t.case("not after one that does"):
                one["tls_verify_depth"] = 5
                g.reload(config)
                net.wait_until(lambda: g.stderr().count("reload done") == 2, what="the reload")
                assert used("/0") not in (first, other)


def test_failures(t):
    ca = certs.Authority()
    good = ca.issue("a.test")
    with t.case("speaks in the clear"), origin.Origin() as o:
        o.url = o.url.replace("http", "https")
        with Gateway(config_of(o, ca)) as g:
            assert g.get().status == 502
            net.wait_until(lambda: LINE in g.stderr(), what="the line about it")
        o.errors.clear()
    with t.case("never answers"), origin.Peer(lambda c: c.wait_for_end()) as o:
        with Gateway(config_of(o, ca, connect_timeout=500)) as g:
            assert g.get().status == 504
    with t.case("closes"), origin.Peer(lambda c: None) as o, Gateway(config_of(o, ca)) as g:
        assert g.get().status == 502
    with t.case("the other target is tried"), origin.Origin(tls=Names(ca.issue("b.test")).context) as bad, \
            origin.Origin(tls=Names(good).context) as o:
        config = config_of(o, ca, retries=3)
        config["upstreams"][0]["targets"].append({"target": "%s:%d" % bad.address})
        with Gateway(config) as g:
            assert [g.get().status for _ in range(6)] == [200] * 6
    with t.case("a kept connection that the origin has closed"), origin.Origin(tls=Names(good).context) as o:
        with Gateway(config_of(o, ca), {"shards": "1"}) as g:
            assert g.get().status == 200
            o.close_connections()
            assert g.get().status == 200


def test_amounts(t):
    size = BYTES // (4 if net.SLOW_FACTOR > 1 else 1)
    ca = certs.Authority()
    def big(request):
        return origin.answer(200, [], b"x" * size) if request.method == "GET" else origin.answer(200, [], b"")
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        names = Names(ca.issue("a.test"), low=version, high=version)
        with origin.Origin(big, keep_bodies=False, tls=names.context) as o, Gateway(config_of(o, ca)) as g:
            with t.case("%s down" % version.name), g.connect(timeout=60) as c:
                c.send(client.encode("GET", "/"))
                count = [0]
                def take(part):
                    count[0] += len(part)
                assert c.read(sink=take).status == 200 and count[0] == size
            with t.case("%s up" % version.name), g.connect(timeout=60) as c:
                c.send(client.encode("POST", "/", [("Content-Length", str(size))]))
                for at in range(0, size, 1 << 20):
                    c.send(b"y" * min(1 << 20, size - at))
                assert c.read("POST").status == 200
                assert o.take()[-1].size == size


test_amounts.seconds = 180


def test_load(t):
    """Many requests at once over TLS on both sides of a pool."""
    ca = certs.Authority()
    with origin.Origin(tls=Names(ca.issue("a.test")).context) as o, Gateway(config_of(o, ca)) as g:
        failures = []
        def run(number):
            with g.connect() as c:
                for i in range(100):
                    answer = c.exchange(client.encode("POST", "/%d" % i, body=b"z" * (number * 997)))
                    if answer.status != 200 or answer.body != origin.BODY:
                        failures.append(answer)
        threads = [threading.Thread(target=run, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(25 * net.SLOW_FACTOR)
        assert not failures and len(o.take()) == 800, failures[:3]


def test_other_dialects(t):
    ca = certs.Authority()
    names = Names(ca.issue("api.test"))
    trusted = {"upstream_tls_trusted": ca.own}
    with origin.Origin(tls=names.context) as o:
        with t.case("Emissary does not verify"):
            text = mapping("m", "prefix: /, service: 'https://%s:%d'" % o.address)
            with Kube({"m.yaml": text}) as g:
                assert client.get(g.address, "/").status == 200, g.stderr()
        definition = MISSION.replace("http://user-service-alb-123456.us-east-1.elb.amazonaws.com", "https://api.test")
        definition = definition.replace('  connection_type  = "VPC_LINK"\n', "")
        for name, settings, good in [("AWS does", {}, False), ("and believes public authorities", trusted, True)]:
            with t.case(name):
                names.asked.clear()
                hosts = {"aws_hosts": "api.test=%s:%d" % o.address}
                with Aws({"api.tf": definition}, o, {**hosts, **settings}) as g:
                    status = client.get(g.address, "/users").status
                    assert status == 200 if good else status in (502, 503), (status, g.stderr())
                    assert names.asked == ["api.test"], names.asked


def test_health_checks(t):
    ca = certs.Authority()
    names = Names(ca.issue("probe.test", "a.test"))
    with origin.Origin(tls=names.context) as o:
        for name, fields, settings, healthy in [
                ("believed", {"https_sni": "probe.test"}, {"lua_ssl_trusted_certificate": ca.own}, True),
                ("not believed", {"https_sni": "probe.test"}, {}, False),
                ("another name", {"https_sni": "else.test"}, {"lua_ssl_trusted_certificate": ca.own}, False),
                ("unverified", {"https_verify_certificate": False}, {}, True)]:
            with t.case(name):
                config = config_of(o, ca)
                rules = {"type": "https", "http_path": "/probe",
                         "healthy": {"interval": 0.05, "successes": 1},
                         "unhealthy": {"interval": 0.05, "tcp_failures": 1, "http_failures": 1}, **fields}
                config["upstreams"][0]["healthchecks"] = {"active": rules}
                with Gateway(config, settings) as g:
                    if healthy:
                        net.wait_until(lambda: any(r.target == "/probe" for r in o.take()), what="a probe")
                        assert g.get().status == 200
                        assert "unhealthy" not in g.stderr()
                    else:
                        net.wait_until(lambda: "became unhealthy" in g.stderr(), what="the verdict")


def test_health_checks_show_a_certificate(t):
    ca, clients = certs.Authority(), certs.Authority("Clients")
    pair = clients.issue("gateway.test")
    names = Names(ca.issue("a.test"), clients, required=True)
    with origin.Origin(tls=names.context) as o:
        for name, shown in [("the upstream's", True), ("none", False)]:
            with t.case(name):
                config = config_of(o, ca)
                config["certificates"] = [{"id": ID % 8, "cert": pair.cert, "key": pair.key}]
                rules = {"type": "https", "http_path": "/probe", "https_sni": "a.test",
                         "healthy": {"interval": 0.05, "successes": 1},
                         "unhealthy": {"interval": 0.05, "tcp_failures": 1, "http_failures": 1}}
                config["upstreams"][0]["healthchecks"] = {"active": rules}
                if shown:
                    config["upstreams"][0]["client_certificate"] = {"id": ID % 8}
                with Gateway(config, {"lua_ssl_trusted_certificate": ca.own}) as g:
                    if shown:
                        net.wait_until(lambda: any(r.target == "/probe" for r in o.take()), what="a probe")
                        assert g.get().status == 200 and "unhealthy" not in g.stderr()
                        g.reload(config)
                        net.wait_until(lambda: "reload done" in g.stderr(), what="the reload")
                        o.take()
                        net.wait_until(lambda: any(r.target == "/probe" for r in o.take()), what="a probe")
                    else:
                        net.wait_until(lambda: "became unhealthy" in g.stderr(), what="the verdict")
        o.errors.clear()
