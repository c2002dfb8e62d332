# SPDX-License-Identifier: Apache-2.0
"""Kong's entities: a file that holds one of each, where their secrets come from, and Kong's own settings file."""
import json
import os
import re

from tests.support import client, gateway, net, origin
from tests.support.gateway import Folder, Gateway, Running

HERE = os.path.dirname(os.path.abspath(__file__))
EVERYTHING = os.path.join(HERE, "good", "everything.yaml")


def check(*paths, env=None):
    arguments = [part for path in paths for part in ("-c", path)]
    done = gateway.run("check", *arguments, env=env)
    return done.returncode, done.stdout + done.stderr


def test_one_of_everything(t):
    """It loads, and what has no effect is said with its place."""
    status, output = check(EVERYTHING, env={"APP_ALICE_KEY": "k-1"})
    assert status == 0, output
    warnings = re.findall(r"^%s:(\d+):(\d+): warning: (.*)$" % re.escape(EVERYTHING), output, re.M)
    assert [text for _, _, text in warnings] == ["parameters[0]: has no effect here"], output


def test_unresolved_secret(t):
    status, output = check(EVERYTHING)
    assert status == 0, output
    wanted = r":\d+:\d+: warning: consumers\[0\]\.keyauth_credentials\[0\]\.key: unable to resolve reference " \
             r"\{vault://platform/alice-key\} \(no value found"
    assert re.search(wanted, output), output


def test_versions(t):
    """The same entities under the older versions, as YAML and as JSON."""
    config = {
        "services": [{"name": "s", "host": "u", "routes": [{"name": "r", "paths": ["/a", "/b/\\d+"]}]}],
        "upstreams": [{"name": "u", "targets": [{"target": "a.test:80"}]}],
        "vaults": [{"name": "env", "prefix": "mine"}],
        "key_sets": [{"name": "k"}],
    }
    with Folder() as folder:
        for version in ("1.1", "2.1", "3.0"):
            for name in ("file.json", "file.yaml"):
                with t.case(version + " " + name):
                    text = json.dumps({"_format_version": version, **config})
                    status, output = check(folder.file(name, text))
                    assert status == 0, output


def secret_config(url, reference, **more):
    return {
        "_format_version": "3.0",
        "services": [{"name": "s", "url": url, "routes": [{"name": "r", "paths": ["/"]}],
                      "plugins": [{"name": "key-auth"}]}],
        "consumers": [{"username": "alice", "keyauth_credentials": [{"key": reference}]}],
        **more,
    }


def asks(one, key):
    return one.get("/", [("apikey", key)]).status


def test_secrets_from_vaults(t):
    """Credentials that stand in the environment, in files of a folder and in one file."""
    with origin.Origin() as upstream, Folder() as folder:
        secrets = folder.file("secrets.yaml", "team:\n  alice: in-yaml\n")
        folder.file("alice", "in-a-file\n")
        vaults = [{"name": "env", "prefix": "mine", "config": {"prefix": "app_"}},
                  {"name": "file", "prefix": "folder", "config": {"path": folder.path}},
                  {"name": "file", "prefix": "document", "config": {"path": secrets}}]
        cases = [("{vault://env/alice-key}", "in-env"), ("{vault://mine/alice-key}", "with-prefix"),
                 ("{vault://env/alice-json/key}", "in-json"), ("{vault://folder/alice}", "in-a-file"),
                 ("{vault://env/alice-base64?base64_decode=true}", "decoded"),
                 ("{vault://document/team/alice}", "in-yaml")]
        env = {"ALICE_KEY": "in-env", "APP_ALICE_KEY": "with-prefix", "ALICE_JSON": '{"key": "in-json"}',
               "ALICE_BASE64": "ZGVjb2RlZA=="}
        for reference, key in cases:
            config = secret_config(upstream.url, reference, vaults=vaults)
            with t.case(reference), Gateway(config, env=env) as one:
                assert (asks(one, key), asks(one, "other")) == (200, 401)


KONG_CONF = """\
# A Kong as it is often found.
prefix = /usr/local/kong/           # not used here
log_level = notice
database = off
headers = off                       # neither Server nor Via
proxy_access_log = off
admin_listen = off
status_listen = off
anonymous_reports = off
nginx_worker_processes = 1
nginx_http_client_max_body_size = 1k
proxy_listen = {host}:{port} reuseport \\
    backlog=128
declarative_config = {config}
"""


def test_kong_conf(t):
    with origin.Origin() as upstream, Folder() as folder:
        port = net.free_port()
        config = folder.file("kong.yaml", json.dumps({
            "_format_version": "3.0",
            "services": [{"name": "s", "url": upstream.url, "routes": [{"name": "r", "paths": ["/"]}]}]}))
        conf = folder.file("kong.conf", KONG_CONF.format(host=net.own_host(), port=port, config=config))
        with t.case("check"):
            status, output = check(conf)
            assert status == 0, output
            assert re.search(r"kong\.conf:2:1: warning: prefix: has no effect here: ", output), output
        with t.case("run"), Running(["run", "-c", conf]):
            answer = client.get((net.own_host(), port))
            assert answer.status == 200 and "via" not in answer.fields, answer
        with t.case("environment wins"), Running(["run", "-c", conf], env={"KONG_HEADERS": "Via"}):
            assert "via" in client.get((net.own_host(), port)).fields


def test_kong_conf_errors(t):
    text = "log_level = loud\nrole = data_plane\nplugins = bundled,mine\nnonsense\n"
    with Folder() as folder:
        path = folder.file("kong.conf", text)
        status, output = check(path)
        assert status == 1, output
        for wanted in (r"kong\.conf:1:1: log_level: expected one of",
                       r"kong\.conf:2:1: role: 'data_plane': not supported yet",
                       r"^plugins: 'mine' plugin is enabled but not installed",
                       r"kong\.conf:4:1: expected key = value"):
            with t.case(wanted):
                assert re.search(wanted, output, re.M), output


def test_configuration_in_the_environment(t):
    with origin.Origin() as upstream, Folder() as folder:
        config = json.dumps({
            "_format_version": "3.0",
            "services": [{"name": "s", "url": upstream.url, "routes": [{"name": "r", "paths": ["/"]}]}]})
        port = net.free_port()
        base = {"KONG_PROXY_LISTEN": "%s:%d" % (net.own_host(), port), "KONG_ADMIN_LISTEN": "off",
                "KONG_STATUS_LISTEN": "off", "KONG_PROXY_ACCESS_LOG": "off", "KONG_DATABASE": "off"}
        cases = {"KONG_DECLARATIVE_CONFIG_STRING": config,
                 "KONG_DECLARATIVE_CONFIG": folder.file("kong.json", config)}
        for name, value in cases.items():
            with t.case(name), Running(["run"], env={**base, name: value}):
                assert client.get((net.own_host(), port)).status == 200


def test_notices_of_the_environment(t):
    """Kong's settings without meaning are named once each, with the reason; ones that ask too much are refused."""
    quiet = {"KONG_PG_HOST": "db", "KONG_NGINX_DAEMON": "off", "KONG_SSL_DHPARAM": "2", "KONG_FOO": "1"}
    done = gateway.run("check", env=quiet)
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    for name in quiet:
        with t.case(name):
            assert len(re.findall("environment %s.*has no effect here: " % name, output)) == 1, output
    for name, value in (("KONG_WASM", "on"), ("KONG_ROLE", "control_plane"), ("KONG_DATABASE", "postgres")):
        with t.case(name):
            done = gateway.run("check", env={name: value})
            assert done.returncode == 1 and "not supported yet" in done.stderr, done


test_secrets_from_vaults.seconds = 60
