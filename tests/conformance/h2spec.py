# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 and HPACK (RFC 9113, RFC 7541) as h2spec sees them: in the clear with prior knowledge and over TLS, in its
strict mode, which has what the others have and more. Tests are named by their place, such as "tls http2/5.1.1/2"."""
import os
import subprocess
import tempfile
import xml.etree.ElementTree

from tests.support import gateway, net, origin

PACKAGE = "github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible"
INSTALL = [["go", "install", "{}"]]
KNOWN = {}


def outcomes(tree, mode):
    """(test, passed or None for skipped, why not) of each; a place counts its tests from 1."""
    for place in tree.iter("testsuite"):
        for number, case in enumerate(place.iter("testcase"), 1):
            name = "%s %s/%d" % (mode, case.get("package"), number)
            failure, skipped = case.find("failure"), case.find("skipped")
            if failure is None:
                failure = case.find("error")
            if failure is not None:
                yield name, False, " ".join([case.get("classname"), *failure.itertext()]).replace("\n", " ")
            else:
                yield name, True if skipped is None else None, None


def run_mode(program, mode, only):
    host, port = net.own_host(), net.free_port()
    listen = "%s:%d http2%s" % (host, port, " ssl" if mode == "tls" else "")
    arguments = [program, "-h", host, "-p", str(port), "--strict", "--timeout", "5"]
    arguments += ["--tls", "--insecure"] if mode == "tls" else []
    arguments += [only] if only else []
    with tempfile.TemporaryDirectory() as folder, origin.Origin() as upstream, \
            gateway.Gateway(gateway.simple_config(upstream.url), {"proxy_listen": listen}):
        report = os.path.join(folder, "report.xml")
        done = subprocess.run([*arguments, "--junit-report", report], capture_output=True, text=True, check=False)
        if only:
            print(done.stdout)
        if not os.path.exists(report):
            raise SystemExit("h2spec does not run:\n" + done.stdout + done.stderr)
        return list(outcomes(xml.etree.ElementTree.parse(report), mode))


def run(place, only):
    """`only` is a test's name without its number, or one of its places: "tls http2/5.1", "generic"."""
    program = os.path.join(place, "h2spec")
    word, _, rest = (only or "").partition(" ")
    modes = [word] if word in ("clear", "tls") else ["clear", "tls"]
    for mode in modes:
        yield from run_mode(program, mode, rest if word in modes and len(modes) == 1 else only)
