# SPDX-License-Identifier: Apache-2.0
"""A real slapd for one test, with a few people in it."""
import os
import re
import shutil
import socket
import subprocess
import tempfile

from tests.support import net
from tests.support.runner import Skip

BASE = "ou=people,dc=example,dc=com"
PROGRAM, SCHEMAS = "/usr/sbin/slapd", "/etc/ldap/schema"

CONF = """
include {schemas}/core.schema
include {schemas}/cosine.schema
include {schemas}/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {folder}/pid
argsfile {folder}/args
idletimeout {idle}
{tls}
database mdb
suffix "dc=example,dc=com"
rootdn "cn=admin,dc=example,dc=com"
directory {folder}/db
"""
TOP = """dn: dc=example,dc=com
objectClass: dcObject
objectClass: organization
dc: example
o: example

dn: ou=people,dc=example,dc=com
objectClass: organizationalUnit
ou: people

dn: ou=staff,ou=people,dc=example,dc=com
objectClass: organizationalUnit
ou: staff
"""


def person(name, password, under=BASE):
    escaped = re.sub(r'([",+;<=>\\])', r"\\\1", name)
    return ("\ndn: uid=%s,%s\nobjectClass: inetOrgPerson\nuid: %s\ncn: %s\nsn: %s\nuserPassword: %s\n"
            % (escaped, under, name, name, name, password))


class Directory:
    """Listens on this process's address; `people` maps names to passwords. With `pair` (a certificate and its key, as
    paths) it speaks TLS too: StartTLS on `port`, and TLS at once on `tls_port`."""

    def __init__(self, people, pair=None, idle=0):
        if not os.access(PROGRAM, os.X_OK):
            raise Skip("slapd is not installed")
        self.host, self.port, self.tls_port = net.own_host(), net.free_port(), net.free_port()
        self.folder, self.process, self.pair = tempfile.mkdtemp(prefix="sluice-slapd-"), None, pair
        os.mkdir(os.path.join(self.folder, "db"))
        tls = "TLSCertificateFile %s\nTLSCertificateKeyFile %s" % pair if pair else ""
        conf = CONF.format(schemas=SCHEMAS, folder=self.folder, idle=idle, tls=tls)
        self.conf = self.write("slapd.conf", conf)
        entries = self.write("entries.ldif", TOP + "".join(person(*one) for one in people.items())
                             + person("bob", "other", "ou=staff," + BASE))
        subprocess.run(["/usr/sbin/slapadd", "-f", self.conf, "-l", entries], check=True, capture_output=True)
        self.start()

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self):
        urls = "ldap://%s:%d/" % (self.host, self.port)
        if self.pair:
            urls += " ldaps://%s:%d/" % (self.host, self.tls_port)
        before = self.accepted()
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = subprocess.Popen([PROGRAM, "-f", self.conf, "-h", urls, "-d", "256"],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        net.wait_until(self.listens, 10, "slapd")
        net.wait_until(lambda: self.accepted() > before, 10, "the line about that connection")  # it is counted, too

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def listens(self):
        try:
            socket.create_connection((self.host, self.port), 1).close()
            return True
        except OSError:
            return False

    def log(self):
        path = os.path.join(self.folder, "log")
        if not os.path.exists(path):
            return ""
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def binds(self):
        """How many binds were asked for so far."""
        return len(re.findall(r" BIND dn=.* method=128", self.log()))

    def accepted(self):
        """How many connections, those of this module included."""
        return self.log().count(" ACCEPT ")
