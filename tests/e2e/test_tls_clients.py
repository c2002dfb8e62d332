# SPDX-License-Identifier: Apache-2.0
"""Strangers' TLS clients: a browser's ClientHello, openssl's s_client, and the scanner testssl.sh."""
import base64
import json
import os
import shutil
import subprocess
import threading

from tests.e2e.test_tls import Site, with_certificates
from tests.support import certs, client, net, origin
from tests.support.gateway import Folder, simple_config
from tests.support.runner import Skip

# As Chromium 156 (Debian 12) sent it to https://a.test: GREASE, a post-quantum key share of 1216 bytes beside X25519,
# extensions in random order.
CHROMIUM = base64.b64decode(
    "FgMBB5UBAAeRAwN3Ox+JF6+VHkTMG37UITQYrPVQtxYyrLRbbyrxXHkdhSDX4EYjSAz5uvfvecL9qsGTBMUoaGqHE1MeSTgNGuCk"
    "HgAgKioTARMCEwPAK8AvwCzAMMypzKjAE8AUAJwAnQAvADUBAAcoWloAAETNAAUAAwJoMgANABoAGHp6CQQJBQkGBAMIBAQBBQMI"
    "BQUBCAYGAQASAAAAKwAHBnp6AwQDAwAAAAsACQAABmEudGVzdAALAAIBAAAjAAAAFwAAABsAAwIAAgAKAAwACurqEewAHQAXABgA"
    "LQACAQEAMwTvBO3q6gABABHsBMAwSVenVBOPFAZfN1nAe4OQ9UM0LLPZQ5Uqhg2s6b6Fo60qlmB3KGYbU1Izl64b+UBi8aLYGGh4"
    "pD1J8cFrRZ40SgYssMSYLEcQWRbzCM4+c5SFer1mAR9CxpWoFk7Fmg8caCZhqrEw01tDEaa9i6YA0BcXo5m8VmqlhsxgZh2nKa3m"
    "4cXQd8W9OWA4UMWkFctZ9Xt35s68sC7jwRaU10NsdqmqOTM8Osq20XgWoh66hVk4wLH8Y5eecwO7SLPq2JBDWVq2W2b9eoWp8bhD"
    "SbAIAhJ0NJixfBrJpndLOsT3mG7spjAbcU2rsjqF3DZStLM3Yp+JMYmHMY/J8sCcY015QBo1IoTpthAIQBeUKFmxGlrO5BRAGFx4"
    "kEP7Vy2OlKj6IxG9YsPZF3G6mWeWMMfaEXhxFQVRtMRyAj2bUB9jcWe86MLsN70tesV/qJbJjIKKKwWAkcM5JWnoAWi7ZKkEup54"
    "GgPBTGgSFnrXAX9+81dDQjjcbLZ4GFUu4MUW2Yf4LFt3UBpw8mHHgAmfSXz8CALA4Z9gZF/gXHe1V55R9Qslp7YL+cXbCx60QFNo"
    "YmAOEZSHCSX9SHohZoobFlkrG66TlwTNtjplZYL1VHJM8H01mLXtIEZSK0Do2DHhZMaG8kl64wjodqE4FbRKVWIMaEky2wAdiLbZ"
    "ZcwxunXwAY2pB7+tAhIy2psGdkSzRc74d6xs86Czepfpx5ej9X9bB2P5K3BzAw0fghauMD+99WxaViATrEGQ52HtOF6M9yb+awoA"
    "PIjH9IU14sVZFQvgEsAO0H39LJhmpoSC+RTyTCsnB70/EyMQN5gH3Di7SXSzh0h/+l/81j19uQxAu2OUIFGIqwYsysNiijVvIohw"
    "W5CwmDlBSm16mBOam3qDGAB5w2HqlLcNCQHWV2u2dYxMocYBZAjM5bkMJIPhhkGDEHSU434ydWjGQ4pgvK2fO3PnOyGHKLnlqcuj"
    "aI9AuYA1DD30Ace5WE7CvB1u877Dkk8xhWFWnGTAzF7PsCezMxn+2VLPhyHwQxVS23TApYAwS2T9h8VOsAxj0CmowojCRbFE882X"
    "EISPcSOMzAVJaUG+c4DkXAPyxbj7E6jNlJRZI2VDMm4JmEMF6TSqeSB/tZYH5nHjumvDM5S5bJZS7JaLoWuCN3MGcqVzxTXxagNy"
    "7Cg2eyDb6YPx8xfYsLEM4aMUyY5ya8Bp7Im946lwyBl1ZBnoIxw3G1bxRSLGdsqzhVhUIovngXbjCmkMiZFn6FqAE3XF5wBsZiOo"
    "ACpNAmRYZpfBpG/m7KHoiq62jLpseIcyJgULG3xZxUeL24qQh08/0kOp1jqQ+lMa5JZnNS9ywba5/BZGxCTDiXLKmlWfmUY9lIbj"
    "CQTLQHpRVkJNoiOIywfHQEMvmTcbGCyyVaMpU7/iMTtIEGoQw238sTRvU7HscrTODJxhXHbR5Ah5RxhZWF1koy42hByNZststsxd"
    "2zbG4sVvCE0jVxFPfLz5RGkNaQjukczGipXFxaBpsGVRCQpRBlAhJL+E4TOha5PLKtk4Na7EzhuqHkWGZfaWecBWpiVhj8mypf9j"
    "YrZPQ1z1FnAbzDvJRm9IgyogMQKOaMPN9fxvy9rvpg2rwCcwAB0AIPWAoL21X3RkGtxsEbrVeO0yRA6YgBseDdHhlL/eu5FuAAUA"
    "BQEAAAAAyjQAugC4BYLfEwIBBYLfEwIGBYLfEwINBYLfEwIOBYLfEwIPBYLfEwISBYLfEwITBYLfEwIUCIOaZIybLQEHCIOaZIyb"
    "LQEICIOaZIybLQEJCIOaZIybLQEKCIOaZIybLQELCIOaZIybLQEMCIOaZIybLQENCIOaZIybLQESCIOaZIybLQETBNZ5CQEE1nkJ"
    "BATWeQkFBNZ5CQYE1nkJBwTWeQkIBNZ5CQoE1nkJCwTWeQkMBNZ5CQ0E1nkJD/4NANoAAAEAAegAIA87JtQfsFdfH9QrfnqHV0Hx"
    "vlfDNaBUMmxXBIFCKdMZALAlPHN/ZGUp1Di1cAK8+Y//jQBIP/x24OmESMUTiUfhcIeyfo/Tk/2P82/skhNp9Ql8ab2gFxfypIt7"
    "qAz2IY4/il523sMEcfQ9KDCrumFp+fTLHXbMgjSTsTzA4+X67fDrmPjfTvhS7e/6f87ECbZUr5sWRjwjWuHTMlgvPxDCWQwXCSoq"
    "rphdac3hGKws97eSmwF0X/eEL3oM6E4FZcMjFk5QV+QdoU0SKheHXSOyygAQAA4ADAJoMghodHRwLzEuMf8BAAEAamoAAQA=")


# The random of a HelloRetryRequest (RFC 8446 section 4.1.3).
ASKS_AGAIN = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")


def extensions_of(hello):
    """The extensions of a handshake message, as a server sends or a client."""
    at = 4 + 2 + 32
    at += 1 + hello[at]
    if hello[0] == 1:
        at += 2 + int.from_bytes(hello[at:at + 2], "big")
        at += 1 + hello[at]
    else:
        at += 3
    end, found = at + 2 + int.from_bytes(hello[at:at + 2], "big"), {}
    at += 2
    while at < end:
        kind, size = int.from_bytes(hello[at:at + 2], "big"), int.from_bytes(hello[at + 2:at + 4], "big")
        found[kind] = hello[at + 4:at + 4 + size]
        at += 4 + size
    return found


def read_records(sock, count):
    """Types and bodies of that many records."""
    out, data = [], b""
    while len(out) < count:
        part = sock.recv(65536)
        assert part, "ended after %d records" % len(out)
        data += part
        while len(data) >= 5 and len(data) >= 5 + int.from_bytes(data[3:5], "big"):
            size = 5 + int.from_bytes(data[3:5], "big")
            out.append((data[0], data[5:size]))
            data = data[size:]
    return out


def check_server_hello(records):
    kind, hello = records[0]
    assert kind == 22 and hello[0] == 2, records[0]
    found = extensions_of(hello)
    assert found[43] == b"\x03\x04", "TLS 1.3 was not chosen"
    group = int.from_bytes(found[51][:2], "big")
    assert group == 0x1d and len(found[51]) == 4 + 32, "the share that a browser has sent: X25519, not %x" % group
    assert hello[6:38] != ASKS_AGAIN
    assert records[1][0] in (20, 23) and records[2][0] == 23, "the handshake goes on"


def test_browser_hello(t):
    with t.case("it is what a browser sends"):
        found = extensions_of(CHROMIUM[5:])
        grease = [kind for kind in found if kind & 0x0f0f == 0x0a0a and kind >> 8 == kind & 0xff]
        assert len(grease) == 2 and b"a.test" in found[0] and b"\x11\xec\x04\xc0" in found[51]
    ca = certs.Authority()
    with origin.Origin() as o, Site(with_certificates(simple_config(o.url), (["a.test"], ca.issue("a.test")))) as g:
        step = 1 if net.SLOW_FACTOR == 1 else 16
        with t.case("split at every byte"):
            for at in range(1, len(CHROMIUM), step):
                with client.Connection(g.tls) as c:
                    c.sock.settimeout(10 * net.SLOW_FACTOR)
                    c.send_split([CHROMIUM[:at], CHROMIUM[at:]])
                    check_server_hello(read_records(c.sock, 3))
        with t.case("byte by byte"), client.Connection(g.tls) as c:
            c.sock.settimeout(10 * net.SLOW_FACTOR)
            c.send_bytewise(CHROMIUM)
            check_server_hello(read_records(c.sock, 3))
        with t.case("a record for each part of the message"):
            message = CHROMIUM[5:]
            for size in (4, 7, 500, len(message) - 1):  # wolfSSL takes no shorter ones
                pieces = [message[i:i + size] for i in range(0, len(message), size)]
                with client.Connection(g.tls) as c:
                    c.sock.settimeout(10 * net.SLOW_FACTOR)
                    c.send(b"".join(b"\x16\x03\x01" + len(p).to_bytes(2, "big") + p for p in pieces))
                    check_server_hello(read_records(c.sock, 3))
        with t.case("it serves on"), g.connect_tls() as c:
            assert c.exchange(client.encode("GET", "/")).status == 200


test_browser_hello.seconds = 120


def test_openssl(t):
    ca = certs.Authority()
    rows = [("TLS 1.3", ["-tls1_3"], "TLSv1.3"), ("TLS 1.2", ["-tls1_2"], "TLSv1.2"),
            ("only P-384", ["-tls1_3", "-groups", "P-384"], "TLSv1.3"),
            ("X25519", ["-tls1_2", "-groups", "X25519:P-256"], "TLSv1.2"),
            ("ChaCha20", ["-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"], "TLSv1.3"),
            ("a share that must be asked for again", ["-tls1_3", "-groups", "X448:P-256"], "TLSv1.3"),
            ("small records", ["-tls1_3", "-max_send_frag", "512", "-split_send_frag", "512"], "TLSv1.3"),
            ("TLS 1.1", ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], None)]
    with origin.Origin() as o, Folder() as folder:
        config = with_certificates(simple_config(o.url), (["a.test"], ca.issue("a.test")))
        with Site(config) as g:
            for name, options, spoken in rows:
                with t.case(name):
                    command = ["openssl", "s_client", "-connect", "%s:%d" % g.tls, "-servername", "a.test",
                               "-verify_hostname", "a.test", "-verify_return_error", "-CAfile",
                               folder.file("ca.pem", ca.own), "-ign_eof", *options]
                    request = b"GET /s HTTP/1.1\r\nHost: a.test\r\nX: " + b"x" * 3000 + b"\r\nConnection: close\r\n\r\n"
                    done = subprocess.run(command, input=request, capture_output=True, timeout=30 * net.SLOW_FACTOR)
                    if spoken is None:
                        assert done.returncode != 0 and not o.take(), done
                        continue
                    text = done.stdout.decode(errors="replace")
                    assert done.returncode == 0 and "HTTP/1.1 200" in text, done
                    assert spoken in text and "Verify return code: 0 (ok)" in text, text
                    assert o.one().target == "/s"


# Of TLS 1.3, tickets arrive behind the handshake, and s_client, which the scanner gives no input, ends when it
# shook hands: there is something to resume or not. Its client asks for something and waits for the answer.
PATIENT_OPENSSL = """#!/bin/sh
case " $* " in
*" -sess_out "* | *" -sess_in "*) printf 'GET / HTTP/1.0\\r\\nHost: a.test\\r\\n\\r\\n' | exec openssl "$@" -ign_eof ;;
*) exec openssl "$@" ;;
esac
"""


def test_scanner(t):
    """testssl.sh finds nothing above LOW in what we speak by default."""
    if net.SLOW_FACTOR > 1:
        raise Skip("the scanner has seen the release build")
    if not shutil.which("testssl"):
        raise Skip("testssl.sh is not installed")
    ca = certs.Authority()
    pairs = [ca.issue("a.test", days="89", kind=kind, extensions="crlDistributionPoints=URI:http://crl.invalid/l\n"
                      "keyUsage=digitalSignature") for kind in ("ec", "rsa")]
    with origin.Origin() as o, Folder() as folder:
        trusted, openssl = folder.file("ca.pem", ca.own), folder.file("openssl", PATIENT_OPENSSL)
        os.chmod(openssl, 0o700)
        with Site(with_certificates(simple_config(o.url), (["a.test"], *pairs))) as g:
            def scan(name, *checks):
                path = folder.file(name, "")
                os.unlink(path)
                command = ["testssl", "--quiet", "--color", "0", "--warnings", "off", "-n", "none", "--ip", g.tls[0],
                           "--openssl", openssl, "--add-ca", trusted, "--jsonfile", path, *checks,
                           "a.test:%d" % g.tls[1]]
                done = subprocess.run(command, capture_output=True, text=True, timeout=280)
                with open(path, encoding="utf-8") as f:
                    findings[name] = (done, json.load(f))
            findings = {}
            # The headers (-h) are the services' business.
            groups = [("protocols", "-p", "-P", "-s"), ("suites", "-f", "-S"), ("vulnerabilities", "-U")]
            threads = [threading.Thread(target=scan, args=group, daemon=True) for group in groups]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(290)
            for name, *_ in groups:
                with t.case(name):
                    done, found = findings[name]
                    good = [one for one in found if one["severity"] in ("OK", "INFO")]
                    bad = [one for one in found if one["severity"] not in ("OK", "INFO", "LOW") and
                           one["id"] != "engine_problem"]  # of the scanner's own openssl
                    assert len(good) > 5 and not bad, (bad, done.stdout[-2000:], done.stderr[-500:])


test_scanner.seconds = 300
