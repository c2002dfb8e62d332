# SPDX-License-Identifier: Apache-2.0
"""Certificates made on the spot with the openssl program: authorities and what they issue."""
import os
import shutil
import subprocess
import tempfile

from tests.support.runner import Skip

KEYS = {"ec": ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"], "rsa": ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
        "ed25519": ["ED25519"],
        "weak": ["RSA", "-pkeyopt", "rsa_keygen_bits:1024"], "p521": ["EC", "-pkeyopt", "ec_paramgen_curve:P-521"]}


def openssl(*arguments, data=None):
    if not shutil.which("openssl"):
        raise Skip("the openssl program is not installed")
    done = subprocess.run(["openssl", *arguments], input=data, capture_output=True)
    if done.returncode:
        raise AssertionError("openssl %s: %s" % (" ".join(arguments), done.stderr.decode()))
    return done.stdout


def validity(days):
    """Arguments of `openssl x509`, from 3.5 on of another kind for what has ended already ("-1")."""
    version = tuple(int(part) for part in openssl("version").split()[1].split(b".")[:2])
    if days == "-1" and version >= (3, 4):
        return ["-not_before", "20200101000000Z", "-not_after", "20200102000000Z"]
    return ["-days", days]


def make_key(kind="ec"):
    return openssl("genpkey", "-algorithm", *KEYS[kind]).decode()


class Pair:
    """A certificate (PEM, the chain with it) and its key."""

    def __init__(self, cert, key, chain=""):
        self.own, self.cert, self.key = cert, cert + chain, key

    def serial(self):
        return openssl("x509", "-noout", "-serial", data=self.own.encode()).decode().strip()

    def files(self, folder, name):
        """Writes both; their paths."""
        return folder.file(name + ".pem", self.cert), folder.file(name + ".key", self.key)


class Authority(Pair):
    """A CA; with `parent` an intermediate one."""

    def __init__(self, name="Test CA", parent=None):
        self.key, self.count = make_key(), 0
        subject, extensions = "/CN=" + name, "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign,cRLSign\n"
        signer = parent or self
        cert = signer.sign(self.key, subject, extensions, parent is None)
        super().__init__(cert, self.key, parent.chain() if parent else "")
        self.parent = parent

    def chain(self):
        """What leaves have to send besides themselves: nothing of a root."""
        return self.cert if self.parent else ""

    def sign(self, key, subject, extensions, selfsigned=False, days="2"):
        with tempfile.TemporaryDirectory() as folder:
            def path(name, text):
                full = os.path.join(folder, name)
                with open(full, "w", encoding="utf-8") as f:
                    f.write(text)
                return full

            request = openssl("req", "-new", "-key", path("key", key), "-subj", subject).decode()
            arguments = ["x509", "-req", *validity(days), "-in", path("request", request),
                         "-extfile", path("extensions", extensions),
                         "-set_serial", "0x" + os.urandom(8).hex().replace("8", "7", 1)]
            if selfsigned:
                arguments += ["-signkey", path("own", key)]
            else:
                arguments += ["-CA", path("ca", self.own), "-CAkey", path("cakey", self.key)]
            return openssl(*arguments).decode()

    def issue(self, *names, kind="ec", days="2", usage="serverAuth,clientAuth", **other):
        """A leaf for these names (addresses are seen as such); the first is its common name. Others: `subject`
        and `alternative`, as openssl writes them ("" for none of the latter), and more `extensions`."""
        key = make_key(kind)
        listed = ",".join(("IP:" if n.replace(".", "").isdigit() else "DNS:") + n for n in names)
        listed = other.get("alternative", listed)
        extensions = "extendedKeyUsage=%s\nbasicConstraints=CA:FALSE\n%s\n" % (usage, other.get("extensions", ""))
        if listed:
            extensions += "subjectAltName=%s\n" % listed
        subject = other.get("subject", "/CN=" + names[0] if names else "/O=nobody")
        return Pair(self.sign(key, subject, extensions, days=days), key, self.chain())

    def answer_ocsp(self, question, good=(), revoked=(), signer=None):
        """What an OCSP responder says, DER; others are unknown to it."""
        with tempfile.TemporaryDirectory() as folder:
            def path(name, content=b""):
                full = os.path.join(folder, name)
                with open(full, "wb") as f:
                    f.write(content)
                return full

            lines = ["%s\t491231235959Z\t%s\t%s\tunknown\t/CN=%s\n" % (
                state, when, pair.serial().split("=")[1], pair.serial()) for state, when, pairs in (
                    ("V", "", good), ("R", "250101000000Z", revoked)) for pair in pairs]
            signer = signer or self
            openssl("ocsp", "-index", path("index", "".join(lines).encode()), "-CA", path("ca", self.own.encode()),
                    "-rsigner", path("cert", signer.own.encode()), "-rkey", path("key", signer.key.encode()),
                    "-reqin", path("question", question), "-respout", os.path.join(folder, "answer"),
                    "-ndays", "1", "-noverify")
            with open(os.path.join(folder, "answer"), "rb") as f:
                return f.read()

    def revoke(self, *pairs):
        """A revocation list with these on it, PEM."""
        with tempfile.TemporaryDirectory() as folder:
            def path(name, text=None):
                full = os.path.join(folder, name)
                if text is not None:
                    with open(full, "w", encoding="utf-8") as f:
                        f.write(text)
                return full

            path("index", "")
            path("crlnumber", "01\n")
            conf = path("conf", "[ca]\ndefault_ca=d\n[d]\ndatabase=%s\ncrlnumber=%s\ndefault_md=sha256\n"
                        "default_crl_days=2\n" % (path("index"), path("crlnumber")))
            ca = ["ca", "-config", conf, "-cert", path("cert", self.own), "-keyfile", path("key", self.key)]
            for i, pair in enumerate(pairs):
                openssl(*ca, "-revoke", path("leaf%d" % i, pair.own))
            return openssl(*ca, "-gencrl").decode()
