# SPDX-License-Identifier: Apache-2.0
"""Certificates that come from an ACME server (a real one: Pebble), are shown, kept, and renewed."""
import json
import os
import re
import socket
import ssl
import stat
import threading

from tests.e2e.test_tls import Site
from tests.support import certs, client, net, origin
from tests.support.gateway import Folder, config_text, run, simple_config
from tests.support.pebble import Pebble

SECONDS = 40 * net.SLOW_FACTOR
MAC = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"


def configuration(url, pebble, names, **options):
    config = simple_config(url)
    config["plugins"] = [{"name": "acme", "config": {
        "account_email": "ops@example.com", "api_uri": pebble.url if pebble else "https://acme.test/dir",
        "tos_accepted": True, **{"domains": names, "cert_type": "ecc", **options}}}]
    return config


class Gateway(Site):
    """At ports that are known before: Pebble looks for the challenge at one of them."""

    def __init__(self, plain, config, pebble, settings=None):
        tls = pebble.tls_port if pebble.tls_port > 1 else net.free_port(plain[0])
        self.own = {"proxy_listen": "%s:%d,%s:%d ssl" % (*plain, plain[0], tls),
                    "lua_ssl_trusted_certificate": pebble.ca.own, **(settings or {})}
        super().__init__(config, self.own)
        self.plain, self.tls = plain, (plain[0], tls)

    def issuer(self, name):
        pem = self.shown(name)
        return certs.openssl("x509", "-noout", "-issuer", data=pem.encode()).decode()

    def wait_for(self, name):
        net.wait_until(lambda: "Pebble" in self.issuer(name), SECONDS, "the certificate of " + name)
        return self.shown(name)


def place():
    host = net.own_host()
    return host, net.free_port(host)


FILES = ["a.test.crt", "a.test.key", "account.key", "b.test.crt", "b.test.key"]


def test_issuing(t):
    plain = place()
    with origin.Origin() as o, Folder() as folder, Pebble(plain[1], bad_nonces=20) as pebble:
        for domain in ("a.test", "b.test"):
            pebble.knows(domain, plain[0])
        store = os.path.join(folder.path, "store")
        os.mkdir(store)
        files = {"storage": "file", "storage_config": {"file": {"path": store}}}
        # what Pebble refuses six times in a row is tried again
        config = configuration(o.url, pebble, ["a.test", "b.test", "gone.test"], fail_backoff_minutes=0.1, **files)
        with Gateway(plain, config, pebble) as g:
            with t.case("before, the settings' own is shown, and requests are served"):
                assert g.shown("nobody.test")
                assert client.get(plain, "/x").status == 200
            with t.case("they come"):
                first = g.wait_for("a.test")
                g.wait_for("b.test")
                assert g.shown("b.test") != first
                net.wait_until(lambda: "acme: a certificate has come domain=a.test" in g.stderr(), what=g.stderr)
            with t.case("clients verify them"):
                context = ssl.create_default_context(cadata=pebble.roots())
                with g.connect_tls("a.test", context) as c:
                    assert c.exchange(client.encode("GET", "/", host="a.test")).status == 200
            with t.case("a name that cannot be confirmed fails, with a reason, and does not stop the others"):
                net.wait_until(lambda: re.search("acme: no certificate: .* domain=gone.test", g.stderr()), SECONDS,
                               "the line")
                assert "Pebble" not in g.issuer("gone.test")
            with t.case("an unknown token is somebody else's business"):
                o.take()
                assert client.get(plain, "/.well-known/acme-challenge/nonsense").status == 200 and o.one()
            with t.case("files that only the owner reads"):
                net.wait_until(lambda: sorted(os.listdir(store)) == FILES, SECONDS, lambda: str(os.listdir(store)))
                for name in FILES:
                    assert stat.S_IMODE(os.stat(os.path.join(store, name)).st_mode) == 0o600, name
        orders = pebble.text().count("There are now")
        with t.case("after a restart they are there at once, and none is ordered"):
            with Gateway(plain, configuration(o.url, pebble, ["a.test", "b.test"], **files), pebble) as g:
                assert g.shown("a.test") == first
                assert client.get(g.plain, "/").status == 200
        assert pebble.text().count("There are now") == orders
        with t.case("check reads the folder and writes nothing"):
            before = sorted(os.listdir(store))
            done = run("check", "-c", folder.file("c.json", config_text(config)))
            assert done.returncode == 0 and sorted(os.listdir(store)) == before, done


test_issuing.seconds = 150


def test_kinds_and_accounts(t):
    plain = place()
    with origin.Origin() as o, Pebble(plain[1], mac_keys={"kid-1": MAC}) as pebble:
        pebble.knows("a.test", plain[0])
        with t.case("RSA, and an account bound to one elsewhere"):
            config = configuration(o.url, pebble, ["a.test"], cert_type="rsa", rsa_key_size=2048, eab_kid="kid-1",
                                   eab_hmac_key=MAC, fail_backoff_minutes=0.1)
            with Gateway(plain, config, pebble) as g:
                pem = g.wait_for("a.test")
                text = certs.openssl("x509", "-noout", "-text", data=pem.encode()).decode()
                assert "Public-Key: (2048 bit)" in text and "rsaEncryption" in text, text
        with t.case("the wrong secret"):
            wrong = "y" + MAC[1:]
            config = configuration(o.url, pebble, ["a.test"], eab_kid="kid-1", eab_hmac_key=wrong)
            with Gateway(plain, config, pebble) as g:
                net.wait_until(lambda: "acme: no certificate: refused at account" in g.stderr(), SECONDS, "the line")
        with t.case("a server that is not believed"):
            config = configuration(o.url, pebble, ["a.test"], eab_kid="kid-1", eab_hmac_key=MAC)
            with Gateway(plain, config, pebble, {"lua_ssl_trusted_certificate": certs.Authority("X").own}) as g:
                line = "acme: no certificate: no answer at directory"
                net.wait_until(lambda: line in g.stderr(), SECONDS, "the line")


test_kinds_and_accounts.seconds = 120


def test_renewal(t):
    """Always due: one follows the other, and no request is lost."""
    plain = place()
    with origin.Origin() as o, Pebble(plain[1]) as pebble:
        pebble.knows("a.test", plain[0])
        config = configuration(o.url, pebble, ["a.test"], renew_threshold_days=365, fail_backoff_minutes=0.01)
        with Gateway(plain, config, pebble) as g:
            g.wait_for("a.test")
            seen, failures, done = set(), [], threading.Event()

            def load():
                try:
                    while not done.is_set():
                        seen.add(g.shown("a.test"))
                        with g.connect_tls("a.test") as c:
                            for _ in range(3):
                                assert c.exchange(client.encode("GET", "/")).status == 200
                except (OSError, AssertionError) as e:
                    failures.append(repr(e))

            threads = [threading.Thread(target=load, daemon=True) for _ in range(2)]
            for thread in threads:
                thread.start()
            with g.connect_tls("a.test") as kept:
                net.wait_until(lambda: len(seen) >= 3 or failures, SECONDS, "renewals")
                assert kept.exchange(client.encode("GET", "/")).status == 200
            done.set()
            for thread in threads:
                thread.join(20)
            assert not failures, failures


test_renewal.seconds = 120


def shake(g, name, protocols, listens=True, version=ssl.TLSVersion.TLSv1_3):
    """What is negotiated, shown, and said after that: nothing to who confirms a domain."""
    context = client.unverified()
    context.maximum_version = version
    context.set_alpn_protocols(protocols)
    with socket.create_connection(g.tls, 10) as sock, context.wrap_socket(sock, server_hostname=name) as tls:
        pem = ssl.DER_cert_to_PEM_cert(tls.getpeercert(True))
        return tls.selected_alpn_protocol(), pem, tls.recv(100) if listens else None


def challenged(g, version):
    try:
        return shake(g, "gone.test", ["acme-tls/1"], version=version)
    except (ssl.SSLError, OSError):
        return None


def test_tls_alpn(t):
    """The same by tls-alpn-01 (RFC 8737): no listener in the clear has to be there for it."""
    plain = place()
    with origin.Origin() as o, Pebble(1, tls_port=net.free_port(plain[0])) as pebble:
        pebble.knows("a.test", plain[0])
        pebble.knows("b.test", plain[0])
        config = configuration(o.url, pebble, ["a.test", "b.test", "gone.test"], challenge="tls-alpn-01",
                               fail_backoff_minutes=0)
        with Gateway(plain, config, pebble) as g:
            with t.case("certificates come"):
                g.wait_for("a.test")
                g.wait_for("b.test")
                with g.connect_tls("a.test", ssl.create_default_context(cadata=pebble.roots())) as c:
                    assert c.exchange(client.encode("GET", "/", host="a.test")).status == 200
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                with t.case("the challenge: its protocol, a certificate for that name, and the end: %s" % version.name):
                    protocol, pem, rest = net.wait_until(lambda v=version: challenged(g, v), SECONDS, "a challenge")
                    text = certs.openssl("x509", "-noout", "-text", data=pem.encode()).decode()
                    assert protocol == "acme-tls/1" and rest == b"", (protocol, rest)
                    names = re.search(r"Subject Alternative Name: *\n *(.*)", text).group(1)
                    assert names == "DNS:gone.test", text
                    assert re.search(r"1\.3\.6\.1\.5\.5\.7\.1\.31: critical\s+\. ", text), text
            with t.case("other names, other protocols beside it, and no challenge: as ever"):
                for name, protocols in (("other.test", ["acme-tls/1"]), ("gone.test", ["acme-tls/1", "http/1.1"]),
                                        ("a.test", ["http/1.1"])):
                    try:
                        _, pem, _ = shake(g, name, protocols, listens=False)
                        text = certs.openssl("x509", "-noout", "-text", data=pem.encode()).decode()
                        assert "1.3.6.1.5.5.7.1.31" not in text, text
                    except ssl.SSLError as e:
                        assert "no application protocol" in str(e).lower() and protocols == ["acme-tls/1"], e
            with t.case("a name that cannot be confirmed fails, with a reason"):
                net.wait_until(lambda: re.search("acme: no certificate: .* domain=gone.test", g.stderr()), SECONDS,
                               "the line")


test_tls_alpn.seconds = 120


def test_wrong_configurations(t):
    rows = [({"account_email": None}, "account_email: required"), ({"account_email": "x"}, "account_email"),
            ({"domains": ["*.a.test"]}, r"domains\[0\]: not supported: wildcards"),
            ({"allow_any_domain": True}, "allow_any_domain: not supported"),
            ({"storage": "redis"}, "storage: not supported"), ({"storage": "vault"}, "storage: not supported"),
            ({"storage": "file"}, "storage_config: file.path is needed"),
            ({"storage_config": {"redis": {"host": "x"}}}, "storage_config.redis"),
            ({"preferred_chain": "ISRG"}, "preferred_chain: not supported"), ({"account_key": "x"}, "account_key"),
            ({"cert_type": "dsa"}, "cert_type"), ({"challenge": "dns-01"}, "challenge"),
            ({"rsa_key_size": 2500}, "rsa_key_size"),
            ({"eab_kid": "x"}, "eab_hmac_key"), ({"eab_kid": "x", "eab_hmac_key": "?"}, "eab_hmac_key"),
            ({"api_uri": "ftp://x"}, "api_uri"),
            ({"api_uri": "https://acme-v02.api.letsencrypt.org/directory", "tos_accepted": False},
             "tos_accepted: terms of service must be accepted")]
    with Folder() as folder:
        for options, reason in rows:
            with t.case(json.dumps(options)):
                config = configuration("http://127.0.0.1:1", None, ["a.test"], **options)
                done = run("check", "-c", folder.file("c.json", config_text(config)))
                text = done.stdout + done.stderr
                assert done.returncode == 1 and "plugins[0]" in text and re.search(reason, text), done
        with t.case("of a route"):
            config = configuration("http://127.0.0.1:1", None, ["a.test"])
            config["services"][0]["routes"][0]["plugins"] = config.pop("plugins")
            done = run("check", "-c", folder.file("c.json", config_text(config)))
            assert done.returncode == 1 and "for the whole gateway" in done.stderr, done
