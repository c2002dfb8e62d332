# SPDX-License-Identifier: Apache-2.0
"""OCSP stapling: what clients that ask are shown, from a real responder (openssl ocsp), good, bad, dead and slow."""
import contextlib
import os
import re
import socket
import subprocess
import threading

from tests.e2e.test_tls import Site, with_certificates
from tests.support import certs, client, net, origin
from tests.support.gateway import Folder, run, set_options, simple_config

SECONDS = 20 * net.SLOW_FACTOR
VERSIONS = ("-tls1_2",)  # in TLS 1.3 none is sent: wolfSSL leaks then


tried_ports = []


def port_of_all_addresses():
    """openssl ocsp listens on all addresses, which fails while any of them has the port, and must work again and
    again while other tests come and go: so it is none of those that the kernel gives to listeners and connections."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as f:
        count = max(int(f.read().split()[0]) - 10000, 1000)
    while True:
        port = 10000 + (os.getpid() * 16 + len(tried_ports)) % count
        tried_ports.append(port)
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(("", port))
            return port


class Responder:
    """openssl ocsp at a port of its own; `states` says what of which certificates."""

    def __init__(self, ca, folder, signer=None, minutes=60):
        self.ca, self.folder, self.signer, self.minutes = ca, folder, signer or ca, minutes
        self.host, self.process = net.own_host(), None
        self.port = port_of_all_addresses()
        self.url = "http://%s:%d/" % (self.host, self.port)

    def start(self, good=(), revoked=()):
        self.stop()
        lines = ["%s\t491231235959Z\t%s\t%s\tunknown\t/CN=%s\n" % (
            state, when, pair.serial().split("=")[1], pair.serial())
                 for state, when, pairs in (("V", "", good), ("R", "250101000000Z", revoked)) for pair in pairs]
        signer, key = self.signer.files(self.folder, "signer")
        command = ["openssl", "ocsp", "-index", self.folder.file("index", "".join(lines)), "-port", str(self.port),
                   "-CA", self.folder.file("ca", self.ca.own), "-rsigner", signer, "-rkey", key,
                   "-nmin", str(self.minutes)]
        with open(self.folder.file("responder"), "wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        net.wait_until(self._listens, SECONDS, "the responder")
        return self

    def _listens(self):  # it ends when somebody connects and says nothing
        with open(self.folder.file("responder"), "rb") as log:
            text = log.read()
        assert self.process.poll() is None, text
        return b"waiting for OCSP client connections" in text

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


def authority():
    return certs.Authority("Issuing CA", certs.Authority("Root CA"))


def issue(ca, url, *names, **kw):
    return ca.issue(*names, extensions="authorityInfoAccess=OCSP;URI:" + url if url else "", **kw)


def stapled(g, name, version="-tls1_2", *more):
    """What openssl prints of the response, or "no response sent"; the handshake must succeed."""
    done = subprocess.run(["openssl", "s_client", "-connect", "%s:%d" % g.tls, "-servername", name, "-status", version,
                           *more], input=b"", capture_output=True, timeout=30 * net.SLOW_FACTOR)
    text = done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")
    assert "BEGIN CERTIFICATE" in text and "handshake failure" not in text, text
    found = re.search(r"OCSP response: *\n?(no response sent|[\s\S]*?Cert Status: \w+[\s\S]*?)\n---", text)
    assert found or "OCSP response: no response sent" in text, text
    return "no response sent" if "OCSP response: no response sent" in text else found.group(1)


def is_good(g, name, version="-tls1_2"):
    return "Cert Status: good" in stapled(g, name, version)


def is_none(g, name, version="-tls1_2"):
    return stapled(g, name, version) == "no response sent"


def counter(g, name):
    return int(re.search(r"^sluice_%s_total (\d+)" % name, g.metrics(), re.M).group(1))


class Stapling(Site):
    def __init__(self, o, sites, settings=None):
        self.config, self.status = with_certificates(simple_config(o.url), *sites), (net.own_host(), net.free_port())
        super().__init__(self.config, {"ssl_stapling": "on", "tls_stapling_retry": "1s", "tls_stapling_refresh": "1s",
                                       "status_listen": "%s:%d" % self.status, **(settings or {})})

    def metrics(self):
        return client.get(self.status, "/metrics").body.decode()


def test_good_revoked_dead(t):
    ca = authority()
    with origin.Origin() as o, Folder() as folder:
        responder = Responder(ca, folder)
        pairs = {kind: issue(ca, responder.url, kind + ".test", kind=kind) for kind in ("ec", "rsa")}
        sites = [([kind + ".test"], pair) for kind, pair in pairs.items()]
        responder.start(pairs.values())
        with Stapling(o, sites) as g:
            for kind in pairs:
                for version in VERSIONS:
                    with t.case("good: %s %s" % (kind, version)):
                        net.wait_until(lambda n=kind + ".test", v=version: is_good(g, n, v), SECONDS, "a response")
            with t.case("none in TLS 1.3"):
                assert is_none(g, "ec.test", "-tls1_3") and is_none(g, "rsa.test", "-tls1_3")
            with t.case("clients verify it"):
                root = folder.file("root", ca.parent.own)
                text = stapled(g, "ec.test", "-tls1_2", "-CAfile", root, "-verify_return_error")
                assert "Cert Status: good" in text
            with t.case("who does not ask is shown none; the self-signed one of names unknown has none"):
                assert client.get(g.plain, "/").status == 200
                with g.connect_tls("ec.test") as c:
                    assert c.exchange(client.encode("GET", "/")).status == 200
                for version in VERSIONS:
                    assert is_none(g, "unknown.test", version)
            with t.case("a reload asks nobody anew, and shows what is there"):
                responder.stop()
                g.reload(g.config)
                net.wait_until(lambda: "reload done" in g.stderr(), SECONDS, "the reload")
                for version in VERSIONS:
                    assert is_good(g, "ec.test", version) and is_good(g, "rsa.test", version)
            with t.case("the responder is dead: counted, told, and the last one is shown on"):
                before = counter(g, "staples_failed")
                net.wait_until(lambda: counter(g, "staples_failed") > before, SECONDS, "a failure")
                net.wait_until(lambda: "stapling: no response" in g.stderr(), SECONDS, g.stderr)
                assert is_good(g, "ec.test")
            with t.case("it comes back"):
                before = counter(g, "staples")
                responder.start(pairs.values())
                net.wait_until(lambda: counter(g, "staples") > before, SECONDS, "a response")
            with t.case("a revocation ends what was shown"):
                responder.start([pairs["rsa"]], [pairs["ec"]])
                for version in VERSIONS:
                    net.wait_until(lambda v=version: is_none(g, "ec.test", v), SECONDS, "none")
                assert is_good(g, "rsa.test")
                net.wait_until(lambda: "the certificate is revoked" in g.stderr(), SECONDS, g.stderr)
            with t.case("which can end"):
                responder.start(pairs.values())
                for version in VERSIONS:
                    net.wait_until(lambda v=version: is_good(g, "ec.test", v), SECONDS, "a response")
        responder.stop()


test_good_revoked_dead.seconds = 120


def test_bad_responses(t):
    """None of them is shown, and every handshake succeeds."""
    ca, other = authority(), authority()
    with Folder() as folder:
        answers = {}

        def answer(request):
            return answers["now"](request)

        with origin.Origin(answer) as r, origin.Origin() as o:
            pair, another = issue(ca, r.url + "/ocsp", "a.test"), issue(ca, "", "b.test")
            delegate = ca.issue("Responder", usage="OCSPSigning")
            stranger = ca.issue("Stranger")

            def says(*args, **kw):
                return lambda q: origin.answer(200, [], ca.answer_ocsp(q.body, *args, **kw),
                                               content_type="application/ocsp-response")

            def cut(q):
                return origin.answer(200, [], ca.answer_ocsp(q.body, [pair])[:-20])

            wrong = [("unknown to it", says()), ("revoked", says((), [pair])),
                     ("signed by another authority", says([pair], (), other)),
                     ("signed by a certificate without the right to", says([pair], (), stranger)),
                     ("nonsense", lambda q: origin.answer(200, [], b"\x30\x03\x0a\x01\x00")),
                     ("nothing", lambda q: origin.answer(200, [], b"")), ("cut off", cut),
                     ("try later", lambda q: origin.answer(200, [], b"\x30\x03\x0a\x01\x03")),
                     ("status 500", lambda q: origin.answer(500, [], b"")),
                     ("endless", lambda q: origin.answer(200, [], b"x" * 200000))]
            for name, what in wrong:
                answers["now"] = what
                with t.case(name), Stapling(o, [(["a.test"], pair)]) as g:
                    net.wait_until(lambda g=g: counter(g, "staples_failed") > 0, SECONDS, "a failure")
                    for version in VERSIONS:
                        assert is_none(g, "a.test", version)
            answers["now"] = says([pair], (), delegate)
            with t.case("signed by whom the authority has charged with it"), Stapling(o, [(["a.test"], pair)]) as g:
                for version in VERSIONS:
                    net.wait_until(lambda v=version, g=g: is_good(g, "a.test", v), SECONDS, "a response")
            gate = threading.Event()

            def slow(_):
                gate.wait(30)
                return origin.answer(500, [], b"")

            answers["now"] = slow
            with t.case("slow: nobody waits for it"), Stapling(o, [(["a.test"], pair)]) as g:
                for version in VERSIONS:
                    assert is_none(g, "a.test", version)
                gate.set()
            answers["now"] = says([pair], ())
            with t.case("the issuer is not in the chain: it is shown all the same"):
                alone = certs.Pair(pair.own, pair.key)
                with Stapling(o, [(["a.test"], alone)]) as g:
                    assert is_none(g, "a.test")
            with t.case("no responder is named: told once in a while"), Stapling(o, [(["b.test"], another)]) as g:
                net.wait_until(lambda g=g: "it names no responder" in g.stderr(), SECONDS, "the line")
                assert is_none(g, "b.test")
            with t.case("another responder in its place"):
                answers["now"] = says([another], ())
                with Stapling(o, [(["b.test"], another)], {"ssl_stapling_responder": r.url + "/own"}) as g:
                    net.wait_until(lambda g=g: is_good(g, "b.test"), SECONDS, "a response")
            with t.case("off: nobody is asked"):
                r.take()
                with Stapling(o, [(["a.test"], pair)], {"ssl_stapling": "off"}) as g:
                    assert is_none(g, "a.test") and not r.take()
        del folder


test_bad_responses.seconds = 180


def make_response(ca, folder, pair, name, *period):
    """A file as `openssl ocsp` writes it."""
    path = os.path.join(folder.path, name)
    index = folder.file("index", "V\t491231235959Z\t\t%s\tunknown\t/CN=x\n" % pair.serial().split("=")[1])
    issuer, key = folder.file("issuer", ca.own), folder.file("issuer.key", ca.key)
    certs.openssl("ocsp", "-issuer", issuer, "-cert", folder.file("own", pair.own), "-no_nonce", "-reqout",
                  path + ".question")
    certs.openssl("ocsp", "-index", index, "-CA", issuer, "-rsigner", issuer, "-rkey", key, "-reqin",
                  path + ".question", "-respout", path, "-noverify", *period)
    return path


def test_files(t):
    ca = authority()
    with origin.Origin() as o, Folder() as folder:
        pair, other = issue(ca, "http://127.0.0.1:1/", "a.test"), issue(ca, "", "b.test")
        first = make_response(ca, folder, pair, "first", "-ndays", "1")
        with t.case("each for the certificate that it is about; nobody is asked"):
            second = make_response(ca, folder, other, "second", "-ndays", "1")
            with Stapling(o, [(["a.test"], pair), (["b.test"], other)],
                          {"ssl_stapling_file": "%s,%s" % (second, first)}) as g:
                for name in ("a.test", "b.test"):
                    for version in VERSIONS:
                        net.wait_until(lambda n=name, v=version: is_good(g, n, v), SECONDS, "a response")
                assert counter(g, "staples_failed") == 0, g.stderr()
        with t.case("for nobody, or out of date: a warning"):
            with Stapling(o, [(["b.test"], other)], {"ssl_stapling_file": first}) as g:
                assert "ssl_stapling_file: response 1: not in force, or about no" in g.stderr(), g.stderr()
                assert is_none(g, "b.test")
        with t.case("there is none"):
            done = run("run", *set_options({"ssl_stapling": "on", "ssl_stapling_file": "/nowhere/x"}))
            assert done.returncode != 0 and "ssl_stapling_file: /nowhere/x: No such file" in done.stderr, done


test_files.seconds = 60


def test_clients_certificates(t):
    """That a context knows the issuer for stapling must not let clients in that it has issued."""
    ca, clients = authority(), certs.Authority("Clients")
    with origin.Origin() as o, Folder() as folder:
        responder = Responder(ca, folder)
        pair = issue(ca, responder.url, "a.test")
        responder.start([pair])
        settings = {"ssl_verify_client": "on", "ssl_client_certificate": folder.file("clients", clients.own)}
        with Stapling(o, [(["a.test"], pair)], settings) as g:
            for name, issuer, passes in (("good", clients, True), ("bad", ca, False)):
                chain, key = issuer.issue("somebody").files(folder, name)
                for version in VERSIONS:
                    with t.case("of %s %s" % ("theirs" if passes else "the server's own issuer", version)):
                        def served(v=version, chain=chain, key=key):
                            text = subprocess.run(
                                ["openssl", "s_client", "-connect", "%s:%d" % g.tls, "-servername", "a.test", "-status",
                                 "-quiet", "-ign_eof", v, "-cert", chain, "-key", key],
                                input=b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", capture_output=True,
                                timeout=30 * net.SLOW_FACTOR).stdout
                            return b"HTTP/1.1 200 " in text
                        if passes:
                            net.wait_until(lambda v=version, c=chain, k=key: "Cert Status: good" in stapled(
                                g, "a.test", v, "-cert", c, "-key", k), SECONDS, "a response")
                        assert served() == passes
        responder.stop()


test_clients_certificates.seconds = 60
