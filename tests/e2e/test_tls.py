# SPDX-License-Identifier: Apache-2.0
"""TLS of listeners from the outside: versions, names, resumption, what is refused, reload, amounts.

TEST_TLS_BYTES sets how much is sent each way (default 100 MB).
"""
import base64
import os
import re
import signal
import socket
import ssl
import subprocess
import threading
import time

from tests.support import certs, client, net, origin
from tests.support.gateway import Folder, Gateway, config_text, run, set_options, simple_config

BYTES = int(os.environ.get("TEST_TLS_BYTES", str(100 * 1000 * 1000)))
HTTP_ON_HTTPS = b"The plain HTTP request was sent to HTTPS port"


class Site(Gateway):
    """A gateway with a listener in the clear and one with TLS, at `tls`."""

    def __init__(self, config, settings=None, **kw):
        host = net.own_host()
        self.plain, self.tls = (host, net.free_port()), (host, net.free_port())
        listen = "%s:%d,%s:%d ssl" % (*self.plain, *self.tls)
        super().__init__(config, {"proxy_listen": listen, **(settings or {})}, **kw)

    def connect_tls(self, name=None, context=None, timeout=10, session=None):
        sock = socket.create_connection(self.tls, timeout)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        context = context or client.unverified()
        connection = object.__new__(client.Connection)
        connection.sock = context.wrap_socket(sock, server_hostname=name, session=session)
        connection.reader = client.wire.Reader(connection.sock)
        return connection

    def shown(self, name=None, context=None):
        """The certificate that is shown to who asks for that name, PEM."""
        with self.connect_tls(name, context) as c:
            return ssl.DER_cert_to_PEM_cert(c.sock.getpeercert(True))


def with_certificates(config, *pairs):
    """pairs: (names, Pair[, second Pair])."""
    config["certificates"] = []
    for names, pair, *second in pairs:
        entry = {"cert": pair.cert, "key": pair.key, "snis": [{"name": n} for n in names]}
        if second:
            entry.update(cert_alt=second[0].cert, key_alt=second[0].key)
        config["certificates"].append(entry)
    return config


def same(pem, pair):
    return "".join(pem.split()) == "".join(pair.own.split())


def context_of(authority=None, low=None, high=None, ciphers=None):
    context = client.unverified()
    if authority:
        context = ssl.create_default_context(cadata=authority.own)
    if low:
        context.minimum_version = low
    if high:
        context.maximum_version = high
    if ciphers:
        context.set_ciphers(ciphers)
    return context


V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


def test_versions(t):
    ca = certs.Authority()
    rows = [("intermediate", V12, V12, "TLSv1.2"), ("intermediate", V13, V13, "TLSv1.3"),
            ("intermediate", V12, V13, "TLSv1.3"), ("modern", V12, V13, "TLSv1.3"),
            ("modern", V12, V12, None), ("old", V12, V12, "TLSv1.2")]
    with origin.Origin() as o:
        config = with_certificates(simple_config(o.url), (["a.test"], ca.issue("a.test")))
        for preset in ("intermediate", "modern", "old"):
            with Site(config, {"ssl_cipher_suite": preset}) as g:
                for _, low, high, spoken in [row for row in rows if row[0] == preset]:
                    with t.case("%s %s-%s" % (preset, low.name, high.name)):
                        answer = None
                        try:
                            with g.connect_tls("a.test", context_of(ca, low, high)) as c:
                                answer = c.sock.version()
                                assert c.exchange(client.encode("GET", "/")).status == 200
                        except ssl.SSLError as e:
                            assert spoken is None and "PROTOCOL_VERSION" in str(e).upper(), e
                        assert answer == spoken, answer
        with Site(config, {"ssl_protocols": "TLSv1.2", "ssl_cipher_suite": "custom",
                           "ssl_ciphers": "ECDHE-ECDSA-AES256-GCM-SHA384"}) as g, t.case("custom suites"):
            with g.connect_tls("a.test", context_of(ca)) as c:
                assert c.sock.version() == "TLSv1.2"
                assert c.sock.cipher()[0] == "ECDHE-ECDSA-AES256-GCM-SHA384", c.sock.cipher()
            try:
                g.connect_tls("a.test", context_of(ca, ciphers="ECDHE-ECDSA-AES128-GCM-SHA256", high=V12))
                raise AssertionError("a suite that was not chosen is spoken")
            except ssl.SSLError:
                pass


def test_names(t):
    ca = certs.Authority()
    exact, left, right, both = (ca.issue(n) for n in ("a.test", "*.w.test", "front.x", "b.test"))
    rsa = ca.issue("b.test", kind="rsa")
    own = ca.issue("fallback.test")
    rows = [("a.test", exact), ("A.Test", exact), ("x.w.test", left), ("y.x.w.test", own), ("w.test", own),
            ("front.org", right), ("front.a.org", own), ("b.test", both), ("other.test", own), (None, own)]
    pairs = [(["a.test"], exact), (["*.w.test"], left), (["front.*"], right), (["b.test"], both, rsa)]
    with origin.Origin() as o:
        config = with_certificates(simple_config(o.url), *pairs)
        settings = {"ssl_cert": own.cert, "ssl_cert_key": own.key}
        with Site(config, settings) as g:
            for name, wanted in rows:
                with t.case("asked for %s" % name):
                    assert same(g.shown(name), wanted), name
            with t.case("a client without ECDSA gets the RSA certificate"):
                context = context_of(ciphers="ECDHE-RSA-AES128-GCM-SHA256", high=V12)
                assert same(g.shown("b.test", context), rsa)
            with t.case("a chain that the client verifies"):
                with g.connect_tls("a.test", context_of(ca)) as c:
                    assert c.exchange(client.encode("GET", "/")).status == 200
            any_name = ca.issue("any.test")
            config["certificates"].append({"cert": any_name.cert, "key": any_name.key, "snis": [{"name": "*"}]})
            g.reload(config)
            with t.case("* before the settings' own"):
                net.wait_until(lambda: "reload done" in g.stderr(), what="the reload, on all shards")
                assert same(g.shown("other.test"), any_name)
                assert same(g.shown(None), any_name)


def test_intermediates(t):
    root = certs.Authority("Root")
    leaf = certs.Authority("Between", root).issue("a.test")
    with origin.Origin() as o, Site(with_certificates(simple_config(o.url), (["a.test"], leaf))) as g:
        with g.connect_tls("a.test", context_of(root)) as c:
            assert c.exchange(client.encode("GET", "/")).status == 200


def test_what_the_upstream_sees(t):
    routes = [{"name": "named", "paths": ["/sni"], "snis": ["a.test"]},
              {"name": "wild", "paths": ["/sni"], "snis": ["*.w.test"]},
              {"name": "secure", "paths": ["/secure"], "protocols": ["https"]},
              {"name": "moved", "paths": ["/moved"], "protocols": ["https"], "https_redirect_status_code": 301},
              {"name": "any", "paths": ["/"]}]
    with origin.Origin() as o:
        config = simple_config(o.url)
        config["services"][0]["routes"] = routes
        with Site(config, {"allow_debug_header": "on"}) as g:
            with g.connect_tls("a.test") as c:
                for _ in range(2):
                    answer = c.exchange(client.encode("GET", "/sni", [("Kong-Debug", "1")]))
                    assert answer.get("kong-route-name") == "named", answer
                seen = o.take()[-1]
            with t.case("forwarded headers"):
                assert seen.get("x-forwarded-proto") == "https", seen
                assert seen.get("x-forwarded-port") == str(g.tls[1]), seen
            for name, route in [("x.w.test", "wild"), ("b.test", "any"), (None, "any")]:
                with t.case("route for %s" % name), g.connect_tls(name) as c:
                    answer = c.exchange(client.encode("GET", "/sni", [("Kong-Debug", "1")]))
                    assert answer.get("kong-route-name") == route, answer
            with t.case("a name means nothing in the clear"):
                answer = client.get(g.plain, "/sni", [("Kong-Debug", "1")])
                assert answer.get("kong-route-name") in ("named", "wild"), answer
            with t.case("https only"):
                answer = client.get(g.plain, "/secure")
                assert answer.status == 426 and answer.get("upgrade") == "TLS/1.2, HTTP/1.1", answer
                answer = client.get(g.plain, "/moved?x=1", host="h.test")
                assert answer.status == 301 and answer.get("location") == "https://h.test/moved?x=1", answer
                with g.connect_tls("a.test") as c:
                    assert c.exchange(client.encode("GET", "/secure")).status == 200
                    assert c.exchange(client.encode("GET", "/moved")).status == 200


def resumed(gateway, context, session, name="a.test"):
    """Is it resumed, and the session for the next time (TLS 1.3 brings it with the first answer)."""
    with gateway.connect_tls(name, context, session=session) as c:
        c.exchange(client.encode("GET", "/"))
        return c.sock.session_reused, c.sock.session


def test_resumption(t):
    with origin.Origin() as o:
        for version in (V12, V13):
            context = context_of(low=version, high=version)
            with Site(simple_config(o.url), {"shards": "2"}) as g:
                with t.case("%s, on whatever shard" % version.name):
                    first, session = resumed(g, context, None)
                    again = [resumed(g, context, session)[0] for _ in range(6)]
                    assert not first and all(again), (first, again)
                with t.case("%s, after a reload" % version.name):
                    g.reload(simple_config(o.url, strip_path=True))
                    net.wait_until(lambda: "reload done" in g.stderr(), what="the reload")
                    assert resumed(g, context, session)[0]
            with Site(simple_config(o.url), {"ssl_session_tickets": "off"}) as g:
                with t.case("%s, switched off" % version.name):
                    _, session = resumed(g, context, None)
                    assert not resumed(g, context, session)[0]


def test_ticket_keys_from_a_file(t):
    context = context_of(low=V13)
    key = base64.b64encode(os.urandom(48)).decode()
    with origin.Origin() as o, Folder() as folder:
        path = folder.file("keys", key + "\n")
        with Site(simple_config(o.url), {"tls_ticket_keys": path}) as one, \
                Site(simple_config(o.url), {"tls_ticket_keys": path}) as other:
            _, session = resumed(one, context, None)
            with t.case("resumes on another node"):
                assert resumed(other, context, session)[0]
            with t.case("keys that cannot be read are reported, and the old ones stay"):
                folder.file("keys", "nonsense\n")
                one.send_signal(signal.SIGHUP)
                net.wait_until(lambda: "tls_ticket_keys" in one.stderr(), what="the complaint")
                assert resumed(one, context, session)[0]


def test_not_tls(t):
    with origin.Origin() as o, Site(simple_config(o.url)) as g:
        with t.case("HTTP in the clear"):
            answer = client.get(g.tls, "/x")
            assert answer.status == 400 and HTTP_ON_HTTPS in answer.body and answer.closing, answer
        with t.case("HTTP with a body, byte by byte"), client.Connection(g.tls) as c:
            c.send_bytewise(client.encode("POST", "/x", body=b"12345"))
            answer = c.read()
            assert answer.status == 400 and HTTP_ON_HTTPS in answer.body, answer
            assert c.ended()
        for name, data in [("garbage", b"\x00\x01\x02\x03" * 50), ("a lone record header", b"\x16\x03\x01\xff\xff"),
                           ("no ClientHello", b"\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00"),
                           ("an SSL 2 hello", b"\x80\x2e\x01\x03\x01" + bytes(41)),
                           ("an alert", b"\x15\x03\x01\x00\x02\x01\x00")]:
            with t.case(name), client.Connection(g.tls) as c:
                c.send(data)
                c.sock.settimeout(5)
                try:
                    while c.sock.recv(4096):
                        pass
                except ConnectionResetError:
                    pass
        with t.case("nothing of it came through"):
            assert not o.take()
        with t.case("it still serves"), g.connect_tls() as c:
            assert c.exchange(client.encode("GET", "/")).status == 200


def test_slow_handshakes(t):
    with origin.Origin() as o, Site(simple_config(o.url), {"tls_handshake_timeout": "1"}) as g:
        for name, data in [("silent", b""), ("half a ClientHello", b"\x16\x03\x01\x02\x00\x01\x00")]:
            began = time.monotonic()  # before the gateway's clock begins
            with t.case(name), client.Connection(g.tls) as c:
                c.send(data)
                assert c.ended(10 * net.SLOW_FACTOR)
                assert time.monotonic() - began > 0.9
        with t.case("one that drips"), client.Connection(g.tls) as c:
            began, sent = time.monotonic(), True
            while sent and time.monotonic() - began < 10 * net.SLOW_FACTOR:
                sent = c.send_split([b"\x16\x03\x01\x00\x01\x01"])
                time.sleep(0.05)
            assert not sent and time.monotonic() - began < 8 * net.SLOW_FACTOR


def test_limit_of_handshakes(t):
    settings = {"tls_handshakes": "1", "shards": "1"}
    with origin.Origin() as o, Site(simple_config(o.url), settings) as g:
        with client.Connection(g.tls) as first:
            first.send(b"\x16\x03\x01\x02\x00\x01\x00")
            with client.Connection(g.tls) as second:
                second.send(b"\x16\x03\x01\x02\x00\x01\x00")
                assert second.ended(), "a handshake beyond the limit was begun"
        def serves():
            try:
                with g.connect_tls() as c:
                    return c.exchange(client.encode("GET", "/")).status == 200
            except OSError:
                return False
        net.wait_until(serves, what="the first one's place")


def test_amounts(t):
    size = BYTES // (4 if net.SLOW_FACTOR > 1 else 1)
    def big(request):
        return origin.answer(200, [], b"x" * size) if request.method == "GET" else origin.answer(200, [], b"")
    with origin.Origin(big) as o, Site(simple_config(o.url)) as g:
        for version in (V12, V13):
            with t.case("%s down" % version.name), \
                    g.connect_tls("a.test", context_of(low=version, high=version), timeout=60) as c:
                c.send(client.encode("GET", "/"))
                count = [0]
                def take(part):
                    assert not part.strip(b"x")
                    count[0] += len(part)
                answer = c.read(sink=take)
                assert answer.status == 200 and count[0] == size, (answer, count)
            with t.case("%s up" % version.name), \
                    g.connect_tls("a.test", context_of(low=version, high=version), timeout=60) as c:
                head = client.encode("POST", "/", [("Content-Length", str(size))])
                c.send(head)
                for at in range(0, size, 1 << 20):
                    c.send(b"y" * min(1 << 20, size - at))
                assert c.read("POST").status == 200
                assert o.take()[-1].size == size


test_amounts.seconds = 180


def test_ends(t):
    with origin.Origin() as o, Site(simple_config(o.url), {"keepalive_timeout": "1"}) as g:
        with t.case("the gateway says close_notify after Connection: close"), g.connect_tls() as c:
            assert c.exchange(client.encode("GET", "/", [("Connection", "close")])).closing
            assert c.sock.recv(1) == b""  # an end without it would be an SSLEOFError
        with t.case("also when it was idle for too long"), g.connect_tls() as c:
            c.exchange(client.encode("GET", "/"))
            c.sock.settimeout(10)
            assert c.sock.recv(1) == b""
        with t.case("it answers the client's"), g.connect_tls() as c:
            c.exchange(client.encode("GET", "/"))
            c.sock.unwrap().close()
        with t.case("a half-close after the request"):
            command = ["openssl", "s_client", "-connect", "%s:%d" % g.tls, "-ign_eof"]
            done = subprocess.run(command, input=client.encode("GET", "/", [("Connection", "close")]),
                                  capture_output=True, timeout=20 * net.SLOW_FACTOR)
            assert b"HTTP/1.1 200 " in done.stdout, done


def test_drain(t):
    """A graceful end: idle TLS connections are closed in order, silent ones soon."""
    with origin.Origin() as o, Site(simple_config(o.url)) as g:
        with g.connect_tls() as c, client.Connection(g.tls):
            c.exchange(client.encode("GET", "/"))
            g.send_signal(signal.SIGTERM)
            assert c.sock.recv(1) == b""
            g.wait_end(8)


class Load:
    """Clients that make one connection and a few requests after the other."""

    def __init__(self, gateway, context):
        self.gateway, self.context, self.done = gateway, context, threading.Event()
        self.count, self.failures, self.serials = 0, [], set()
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(3)]
        for thread in self.threads:
            thread.start()

    def run(self):
        try:
            while not self.done.is_set():
                with self.gateway.connect_tls("a.test", self.context) as c:
                    self.serials.add(c.sock.getpeercert()["serialNumber"])
                    for _ in range(3):
                        answer = c.exchange(client.encode("GET", "/"))
                        assert answer.status == 200, answer
                        self.count += 1
        except (OSError, AssertionError) as e:
            self.failures.append(repr(e))

    def stop(self):
        self.done.set()
        for thread in self.threads:
            thread.join(20)
        assert not self.failures, self.failures[:3]


def test_rotation(t):
    """A new certificate every moment, and no request is lost."""
    ca = certs.Authority()
    pairs = [ca.issue("a.test") for _ in range(2)]
    with origin.Origin() as o:
        configs = [with_certificates(simple_config(o.url), (["a.test"], pair)) for pair in pairs]
        with Site(configs[0]) as g:
            with g.connect_tls("a.test", context_of(ca)) as kept:
                kept.exchange(client.encode("GET", "/"))
                load = Load(g, context_of(ca))
                net.wait_until(lambda: load.serials, what="the first certificate")
                for i in range(1, 31):
                    before = load.count
                    g.reload(configs[i % 2])
                    net.wait_until(lambda: g.stderr().count("reload done") >= i, what="reload %d" % i)
                    net.wait_until(lambda n=before: load.failures or (load.count > n and len(load.serials) == 2),
                                   what="requests, and the second certificate")
                load.stop()
                assert kept.exchange(client.encode("GET", "/")).status == 200
                assert load.count > 20 and len(load.serials) == 2, (load.count, load.serials)


test_rotation.seconds = 90


def test_files(t):
    ca = certs.Authority()
    first, second = ca.issue("a.test"), ca.issue("a.test")
    with origin.Origin() as o, Folder() as folder:
        chain, key = first.files(folder, "pair")
        with Site(simple_config(o.url), {"ssl_cert": chain, "ssl_cert_key": key}) as g:
            with t.case("is shown"):
                assert same(g.shown("a.test"), first)
            with t.case("a pair that does not fit is refused, and the old one stays"):
                folder.file("pair.pem", second.cert)
                g.send_signal(signal.SIGHUP)
                net.wait_until(lambda: "certificate does not match key" in g.stderr(), what="the complaint")
                assert same(g.shown("a.test"), first)
            with t.case("the new one after a reload"):
                second.files(folder, "pair")
                g.send_signal(signal.SIGHUP)
                net.wait_until(lambda: same(g.shown("a.test"), second), what="the reload")
            with t.case("a missing file"):
                os.unlink(key)
                g.send_signal(signal.SIGHUP)
                net.wait_until(lambda: "ssl_cert: %s: No such file" % key in g.stderr(), what="the complaint")
                assert same(g.shown("a.test"), second)


def test_client_certificates(t):
    ca, other = certs.Authority("Clients"), certs.Authority("Others")
    good, bad = ca.issue("me.test"), other.issue("me.test")
    gone = ca.issue("gone.test")
    rows = [("on", good, True), ("on", None, False), ("on", bad, False), ("on", gone, False),
            ("optional", good, True), ("optional", None, True), ("optional", bad, False)]
    with origin.Origin() as o, Folder() as folder:
        for policy in ("on", "optional"):
            settings = {"ssl_verify_client": policy, "ssl_crl": ca.revoke(gone),
                        "ssl_client_certificate": folder.file("ca.pem", ca.cert)}
            with Site(simple_config(o.url), settings) as g:
                for version in (V12, V13):
                    for _, pair, wanted in [row for row in rows if row[0] == policy]:
                        name = "none" if pair is None else {good: "good", bad: "bad", gone: "revoked"}[pair]
                        with t.case("%s %s %s" % (policy, version.name, name)):
                            context = context_of(low=version, high=version)
                            if pair:
                                context.load_cert_chain(*pair.files(folder, "client"))
                            assert answers(g, context) == wanted


def answers(gateway, context):
    """In TLS 1.3 a client learns with the first answer that its certificate is refused."""
    try:
        with gateway.connect_tls("a.test", context) as c:
            return c.exchange(client.encode("GET", "/")).status == 200
    except (ssl.SSLError, ConnectionResetError, BrokenPipeError, client.wire.EndOfStream):
        return False


def test_expiry(t):
    ca = certs.Authority()
    soon, gone = ca.issue("soon.test"), ca.issue("gone.test", days="-1")
    status = (net.own_host(), net.free_port())
    with origin.Origin() as o:
        config = with_certificates(simple_config(o.url), (["soon.test", "*.soon.test"], soon))
        with Site(config, {"status_listen": "%s:%d" % status}) as g:
            with t.case("metrics"):
                text = client.get(status, "/metrics").body.decode()
                row = re.search(r'^sluice_tls_certificate_not_after_seconds{certificate="[^"]*",'
                                r'names="soon.test,\*.soon.test"} (\d+)$', text, re.M)
                assert row and 0 < int(row[1]) - time.time() < 2 * 24 * 3600 + 60, text[-2000:]
                assert 'certificate="default",names=""' in text
            with t.case("the log"):
                line = "a certificate expires soon certificate=.* names=soon.test.* days=[12]"  # 2 in its first second
                net.wait_until(lambda: re.search(line, g.stderr()), what="the line")
            with t.case("one that has expired is served, with a word about it"):
                g.reload(with_certificates(simple_config(o.url), (["gone.test"], gone)))
                net.wait_until(lambda: "a certificate has expired" in g.stderr(), what="the line")
                assert same(g.shown("gone.test"), gone)
            with t.case("handshakes are counted"):
                def counted():
                    text = client.get(status, "/metrics").body.decode()
                    return re.search("^sluice_tls_handshakes_total 1$", text, re.M)
                net.wait_until(counted, what="the count")


def test_records_in_the_kernel(t):
    """Who protects records depends on the kernel; that it is told does not. tests/vm looks closer."""
    said = run("version").stdout
    able = re.search(r"kernel_tls +(yes|no)", said)[1] == "yes"
    status = (net.own_host(), net.free_port())
    for setting, by_kernel in (("auto", able), ("off", False)):
        settings = {"ktls": setting, "status_listen": "%s:%d" % status}
        with t.case("ktls " + setting), origin.Origin() as o, Site(simple_config(o.url), settings) as g:
            reason = "" if by_kernel else "ktls is off" if setting == "off" else "the kernel offers no kTLS"
            where = "by the kernel: " if by_kernel else "in user space: "
            assert 'records="%s%s' % (where, reason) in g.stderr(), g.stderr()
            with g.connect_tls() as c:
                for _ in range(3):
                    assert c.exchange(client.encode("GET", "/")).status == 200

                def counts():
                    text = client.get(status, "/metrics").body.decode()
                    return [int(re.search("^sluice_%s_total (.*)$" % name, text, re.M)[1])
                            for name in ("tls_kernel", "tls_user", "tls_kernel_refused")]
                net.wait_until(lambda n=int(by_kernel): counts() == [n, 1 - n, 0], what=lambda: "not %r" % counts())


def test_flood(t):
    """Thousands of half-open handshakes leave established connections alone."""
    count = 1000 if net.SLOW_FACTOR > 1 else 5000
    with origin.Origin() as o, Site(simple_config(o.url)) as g:
        def times(connection):
            taken = []
            for _ in range(200):
                began = time.monotonic()
                assert connection.exchange(client.encode("GET", "/")).status == 200
                taken.append(time.monotonic() - began)
            return sorted(taken)[195]
        half = []
        with g.connect_tls() as c, client.Connection(g.plain) as plain:
            before = times(plain), times(c)
            try:
                for _ in range(count):
                    sock = socket.create_connection(g.tls)
                    half.append(sock)
                    sock.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(100))
                during = times(plain), times(c)
            finally:
                for sock in half:
                    sock.close()
            assert all(d < max(10 * b, 0.1) for b, d in zip(before, during)), (before, during)
            with t.case("it serves on"):
                assert c.exchange(client.encode("GET", "/")).status == 200


test_flood.seconds = 90


def test_curl(t):
    ca = certs.Authority()
    with origin.Origin() as o, Folder() as folder:
        with Site(with_certificates(simple_config(o.url), (["a.test"], ca.issue("a.test")))) as g:
            command = ["curl", "-sS", "--cacert", folder.file("ca.pem", ca.cert), "--resolve",
                       "a.test:%d:%s" % (g.tls[1], g.tls[0]), "-w", "%{http_version} %{http_code} ",
                       *["-o", "/dev/null"] * 3] + ["https://a.test:%d/%d" % (g.tls[1], i) for i in range(3)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=20 * net.SLOW_FACTOR)
            assert done.stdout == "1.1 200 " * 3, done


def test_keys_that_cannot_be_used(t):
    """What a start would refuse, `sluice check` reports with its place, whatever dialect it came from."""
    ca = certs.Authority()
    reason = "the key must be RSA of at least 2048 bits"
    with Folder() as folder:
        for kind in ("weak", "p521"):
            for names in (["a.test"], []):
                with t.case("%s, %d names" % (kind, len(names))):
                    config = with_certificates(simple_config("http://127.0.0.1:1"), (["b.test"], ca.issue("b.test")),
                                               (names, ca.issue("a.test", kind=kind)))
                    path = folder.file("c.json", config_text(config))
                    done = run("check", "-c", path)
                    assert done.returncode == 1, done
                    line = r"%s:\d+:\d+: certificates\[1\]: %s" % (re.escape(path), reason)
                    assert re.search(line, done.stderr), done
        pair = ca.issue("a.test", kind="weak")
        chain, key = pair.files(folder, "weak")
        with t.case("of the settings"):
            done = run("check", *set_options({"ssl_cert": chain, "ssl_cert_key": key}))
            assert done.returncode == 1 and "ssl_cert: %s: %s" % (chain, reason) in done.stderr, done
        with t.case("a file that is missing"):
            done = run("check", *set_options({"ssl_cert": chain + "x", "ssl_cert_key": key}))
            assert done.returncode == 1 and "ssl_cert: %sx: No such file" % chain in done.stderr, done
