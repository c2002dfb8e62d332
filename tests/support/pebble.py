# SPDX-License-Identifier: Apache-2.0
"""A real ACME server on loopback: Pebble, Let's Encrypt's own for tests. It asks our name server where domains are."""
import json
import os
import shutil
import socket
import subprocess

from tests.support import certs, client, dns, net
from tests.support.gateway import Folder
from tests.support.runner import Skip

PROGRAM = "/usr/bin/pebble"


class Pebble:
    """`url` is its directory, `ca` whom its own certificate is from, `records` what its name server knows."""

    def __init__(self, http_port, days=90, mac_keys=None, bad_nonces=5, tls_port=1):
        if not shutil.which(PROGRAM):
            raise Skip("pebble is not installed")
        self.http_port, self.days, self.mac_keys, self.bad_nonces = http_port, days, mac_keys, bad_nonces
        self.tls_port = tls_port
        self.ca, self.host = certs.Authority("Pebble's own"), net.own_host()
        self.address, self.management = (self.host, net.free_port(self.host)), (self.host, net.free_port(self.host))
        self.url = "https://%s:%d/dir" % self.address
        self.folder, self.names = Folder(), dns.Server()

    @property
    def records(self):
        return self.names.records

    def knows(self, domain, host):
        self.records[domain, "A"] = (60, [host])
        self.records[domain, "AAAA"] = (60, [])

    def __enter__(self):
        self.folder.__enter__()
        chain, key = self.ca.issue(self.host).files(self.folder, "own")
        config = {"listenAddress": "%s:%d" % self.address, "managementListenAddress": "%s:%d" % self.management,
                  "certificate": chain, "privateKey": key, "httpPort": self.http_port, "tlsPort": self.tls_port,
                  "ocspResponderURL": "", "externalAccountBindingRequired": bool(self.mac_keys),
                  "externalAccountMACKeys": self.mac_keys or {}, "certificateValidityPeriod": self.days * 24 * 3600}
        path = self.folder.file("config.json", json.dumps({"pebble": config}))
        environment = {**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": str(self.bad_nonces),
                       "PEBBLE_AUTHZREUSE": "0"}
        self.log = open(os.path.join(self.folder.path, "log"), "wb")
        self.process = subprocess.Popen([PROGRAM, "-config", path, "-dnsserver", self.names.address],
                                        env=environment, stdout=self.log, stderr=self.log)
        net.wait_until(self._listens, 20, "pebble")
        return self

    def _listens(self):
        with socket.socket() as sock:
            return sock.connect_ex(self.address) == 0

    def text(self):
        with open(self.log.name, encoding="utf-8", errors="replace") as f:
            return f.read()

    def roots(self):
        """Whom to trust for the certificates that it issues: PEM."""
        context = client.unverified()
        with socket.create_connection(self.management, 10) as sock, context.wrap_socket(sock) as tls:
            tls.sendall(b"GET /roots/0 HTTP/1.0\r\nHost: x\r\n\r\n")
            data = b""
            while part := tls.recv(65536):
                data += part
        return data.partition(b"\r\n\r\n")[2].decode()

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.log.close()
        self.names.close()
        self.folder.__exit__(None, None, None)
