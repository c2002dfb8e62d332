# SPDX-License-Identifier: Apache-2.0
"""A real OpenID provider for one test: Debian's glewlwyd, with a database and a configuration of its own."""
import http.client
import json
import os
import shutil
import sqlite3
import subprocess
import tempfile
import urllib.parse

from tests.support import net, tokens
from tests.support.runner import Skip

SCHEMA = "/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3"
MODULES = "/usr/lib/glewlwyd"
ADMIN = {"username": "admin", "password": "password"}  # of the package's schema
CONFIGURATION = """
port={port}
bind_address="{host}"
external_url="{url}"
login_url="login.html"
api_prefix="api"
log_mode="file"
log_level="WARNING"
log_file="{folder}/log"
cookie_secure=0
session_key="GLEWLWYD2_SESSION_ID"
admin_scope="g_admin"
profile_scope="g_profile"
user_module_path="{modules}/user"
client_module_path="{modules}/client"
user_auth_scheme_module_path="{modules}/scheme"
plugin_module_path="{modules}/plugin"
hash_algorithm="SHA512"
database = {{ type = "sqlite3" path = "{folder}/database" }};
"""


class Session:
    """Calls of the API with one browser's cookies."""

    def __init__(self, provider):
        self.provider, self.cookies = provider, {}

    def call(self, method, target, document=None, form=None, fields=None):
        """(status, fields, body) of one call; the body as JSON when it is some."""
        connection = http.client.HTTPConnection(self.provider.host, self.provider.port, timeout=20)
        headers, body = dict(fields or {}), None
        if document is not None:
            headers["Content-Type"], body = "application/json", json.dumps(document)
        if form is not None:
            headers["Content-Type"], body = "application/x-www-form-urlencoded", urllib.parse.urlencode(form)
        if self.cookies:
            headers["Cookie"] = "; ".join("%s=%s" % pair for pair in self.cookies.items())
        connection.request(method, target, body, headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        for line in answer.headers.get_all("Set-Cookie") or []:
            name, _, value = line.split(";")[0].partition("=")
            self.cookies[name] = value
        return answer.status, answer.headers, json.loads(text) if text[:1] in ("{", "[") else text

    def need(self, method, target, document=None):
        status, _, body = self.call(method, "/api" + target, document)
        assert status == 200, "glewlwyd: %s %s: %d %s" % (method, target, status, body)
        return body


class Glewlwyd:
    """Its issuer is `issuer`; the administrator's session is `admin`."""

    PLUGIN = "oidc"

    def __init__(self, **parameters):
        if not shutil.which("glewlwyd") and not os.path.exists("/usr/bin/glewlwyd"):
            raise Skip("glewlwyd is not installed")
        if not os.path.exists(SCHEMA):
            raise Skip("glewlwyd's schema for SQLite is not there: " + SCHEMA)
        self.host, self.port = net.own_host(), net.free_port()
        self.url = "http://%s:%d" % (self.host, self.port)
        self.issuer = "%s/api/%s" % (self.url, self.PLUGIN)
        self.folder, self.process = tempfile.TemporaryDirectory(prefix="sluice-glewlwyd-"), None
        self.parameters = parameters
        try:
            self.start()
            self.admin = Session(self)
            self.admin.need("POST", "/auth/", ADMIN)
            self.admin.need("POST", "/mod/plugin/", self.plugin(new_key()))
        except BaseException:
            self.stop()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        with open(SCHEMA, encoding="utf-8") as f, sqlite3.connect(self.folder.name + "/database") as database:
            database.executescript("PRAGMA synchronous = OFF;" + f.read())
        database.close()
        path = self.folder.name + "/configuration"
        with open(path, "w", encoding="utf-8") as f:
            f.write(CONFIGURATION.format(port=self.port, host=self.host, url=self.url, modules=MODULES,
                                         folder=self.folder.name))
        self.process = subprocess.Popen([shutil.which("glewlwyd") or "/usr/bin/glewlwyd", "--config-file=" + path],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        net.wait_until(self.answers, 20, lambda: "glewlwyd; its log: " + self.log())

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None
        self.folder.cleanup()

    def log(self):
        try:
            with open(self.folder.name + "/log", encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return "none"

    def answers(self):
        if self.process.poll() is not None:
            raise AssertionError("glewlwyd ended with %d; its log: %s" % (self.process.returncode, self.log()))
        try:
            return Session(self).call("GET", "/config")[0] == 200
        except OSError:
            return False

    def plugin(self, key):
        private, public = key
        return {"module": "oidc", "name": self.PLUGIN, "display_name": "OpenID Connect", "enabled": True,
                "parameters": {"iss": self.issuer, "jwt-type": "ecdsa", "jwt-key-size": "256", "key": private,
                               "cert": public, "code-duration": 60, "refresh-token-duration": 3600,
                               "access-token-duration": 600, "allow-non-oidc": True, "jwks-show": True,
                               "auth-type-code-enabled": True, "auth-type-client-enabled": True,
                               "auth-type-password-enabled": True, "auth-type-refresh-enabled": True,
                               "pkce-allowed": True, "introspection-revocation-allowed": True,
                               "introspection-revocation-allow-target-client": True,
                               "session-management-allowed": True, "session-cookie-name": "OIDC_SID",
                               "session-cookie-expiration": 3600, **self.parameters}}

    def change(self, key=None, **parameters):
        """Other parameters, or another key to sign with (JWKS shows that one from now on)."""
        self.parameters.update(parameters)
        document = self.admin.need("GET", "/mod/plugin/" + self.PLUGIN)
        if key:
            document["parameters"].update({"key": key[0], "cert": key[1]})
        document["parameters"].update(parameters)
        self.admin.need("PUT", "/mod/plugin/" + self.PLUGIN, document)
        self.admin.need("PUT", "/mod/plugin/%s/reset" % self.PLUGIN)

    def add_scope(self, name):
        self.admin.need("POST", "/scope/", {"name": name, "display_name": name, "password_required": True,
                                            "password_max_age": 0, "scheme": {}})

    def add_user(self, name, password, scopes):
        self.admin.need("POST", "/user/", {"username": name, "name": name, "password": password, "email": "",
                                           "enabled": True, "scope": scopes})

    def add_client(self, client_id, secret, **fields):
        """Confidential, and allowed everything; `fields` are the client's others (redirect_uri, scope)."""
        kinds = ["code", "password", "client_credentials", "refresh_token"]
        methods = ["client_secret_basic", "client_secret_post"]
        self.admin.need("POST", "/client/", {"client_id": client_id, "name": client_id, "enabled": True,
                                             "confidential": True, "client_secret": secret,
                                             "authorization_type": kinds,
                                             "token_endpoint_auth_method": methods, **fields})


def new_key():
    """(private, public) as PEM, for ES256."""
    private = tokens.openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
    return private.decode(), tokens.openssl("pkey", "-pubout", data=private).decode()
