# SPDX-License-Identifier: Apache-2.0
"""The command line: commands, exit statuses, settings and where they come from."""
import json
import os
import re
import signal
import socket

from tests.support import client, gateway, net, origin
from tests.support.gateway import Folder, Gateway, Running, simple_config

MINIMAL = '_format_version: "3.0"\n'


def text(done):
    return done.stdout + done.stderr


def last_line(done):
    return done.stderr.rstrip("\n").rpartition("\n")[2]


WRONG_USAGE = [
    ("nothing", []),
    ("unknown command", ["fly"]),
    ("unknown option", ["run", "--fly"]),
    ("option without value", ["run", "-c"]),
    ("--set without =", ["run", "--set", "shards"]),
    ("explain without URL", ["explain", "GET"]),
    ("unknown signal target", ["reload", "--pid"]),
]


def test_wrong_usage(t):
    for name, arguments in WRONG_USAGE:
        with t.case(name):
            done = gateway.run(*arguments)
            assert done.returncode == 2 and done.stderr, done


def test_version(t):
    done = gateway.run("version")
    assert done.returncode == 0, done
    assert re.search(r"^sluice\b.*\d+\.\d+", done.stdout), done.stdout
    for part in ("io_uring", "liburing", "llhttp"):
        with t.case(part):
            assert part in done.stdout.lower(), done.stdout


def test_schema(t):
    with t.case("all"):
        done = gateway.run("schema")
        assert done.returncode == 0, done
        for word in ("services", "routes", "consumers", "strip_path", "rate-limiting", "jwt"):
            assert word in done.stdout, word
    with t.case("jwt"):
        done = gateway.run("schema", "jwt")
        assert done.returncode == 0, done
        for word in ("key_claim_name", "uri_param_names", "maximum_expiration", "claims_to_verify"):
            assert word in done.stdout, word
    with t.case("rate-limiting"):
        done = gateway.run("schema", "rate-limiting")
        for word in ("minute", "limit_by", "fault_tolerant", "hide_client_headers", "sync_rate"):
            assert word in done.stdout, word
    with t.case("unknown plugin"):
        done = gateway.run("schema", "no-such-plugin")
        assert done.returncode in (1, 2) and "no-such-plugin" in done.stderr, done


EXPLAINED = {
    "_format_version": "3.0",
    "services": [{"name": "user-service", "url": "http://users.test:8080/base", "routes": [
        {"name": "user-route", "paths": ["/api/v1/users"], "methods": ["GET"]},
        {"name": "header-route", "paths": ["/api/v1/users"], "methods": ["GET"],
         "headers": {"x-beta": ["1"]}}],
        "plugins": [{"name": "rate-limiting", "config": {"minute": 5}}, {"name": "jwt"}]}],
}


def test_explain(t):
    with Folder() as folder:
        path = folder.file("kong.json", json.dumps(EXPLAINED))
        url = "http://any.test/api/v1/users/7?x=1"
        with t.case("route, plugins in order, upstream URL"):
            done = gateway.run("explain", "GET", url, "-c", path)
            assert done.returncode == 0, done
            for part in ("user-route", "user-service", "users.test:8080/base/7?x=1"):
                assert part in done.stdout, done.stdout
            assert 0 <= done.stdout.find("jwt") < done.stdout.find("rate-limiting"), done.stdout
        with t.case("by header"):
            done = gateway.run("explain", "GET", url, "-H", "X-Beta: 1", "-c", path)
            assert "header-route" in done.stdout, done.stdout
        with t.case("no route"):
            done = gateway.run("explain", "POST", url, "-c", path)
            assert "no route" in text(done).lower() and "users.test" not in done.stdout, done


def test_check(t):
    with Folder() as folder:
        good, bad = folder.file("good.yaml", MINIMAL), folder.file("bad.yaml", MINIMAL + "servces: []\n")
        for name, arguments, status in (("good", [good], 0), ("bad", [bad], 1), ("both", [good, bad], 1)):
            with t.case(name):
                done = gateway.run("check", *[word for path in arguments for word in ("-c", path)])
                assert done.returncode == status, done
                assert (bad + ":2:" in text(done)) == (status == 1), done
        with t.case("missing file"):
            done = gateway.run("check", "-c", folder.file("none.yaml"))
            assert done.returncode in (1, 3) and "none.yaml" in done.stderr, done
        with t.case("folder"):
            done = gateway.run("check", "-c", folder.path)
            assert done.returncode == 1 and "bad.yaml:2:" in text(done), done


def run_briefly(*arguments, env=None):
    """A `run` that is expected to fail at once."""
    return gateway.run("run", *arguments, "--set", "admin_listen=off", "--set", "status_listen=off", env=env)


def test_port_in_use(t):
    with socket.socket() as taken, Folder() as folder:
        taken.bind((net.own_host(), 0))
        taken.listen(1)
        port = taken.getsockname()[1]
        done = run_briefly("-c", folder.file("kong.yaml", MINIMAL),
                           "--set", "proxy_listen=%s:%d" % (net.own_host(), port))
        assert done.returncode == 3, done
        assert str(port) in last_line(done), done.stderr
        assert not re.search("^ready", done.stderr, re.M), done.stderr


BAD_SETTINGS = [
    ("unknown key", "shrads=2", "shrads"),
    ("not a number", "shards=many", "shards"),
    ("negative", "shards=-1", "shards"),
    ("bad listener", "proxy_listen=nowhere", "proxy_listen"),
    ("bad port", "proxy_listen=127.0.0.1:99999", "proxy_listen"),
    ("bad flag", "proxy_listen=127.0.0.1:1 fast", "proxy_listen"),
    ("bad address list", "trusted_ips=1.2.3.400", "trusted_ips"),
    ("bad choice", "log_level=loud", "log_level"),
]


def test_bad_settings(t):
    with Folder() as folder:
        path = folder.file("kong.yaml", MINIMAL)
        for name, setting, key in BAD_SETTINGS:
            with t.case(name):
                done = run_briefly("-c", path, "--set", setting)
                assert done.returncode in (1, 2), done
                assert key in done.stderr, done.stderr
                assert not re.search("^ready", done.stderr, re.M), done.stderr


def test_missing_file(t):
    done = run_briefly("-c", "/nonexistent/kong.yaml")
    assert done.returncode in (1, 3) and "/nonexistent/kong.yaml" in done.stderr, done


def serves(port):
    try:
        return client.get((net.own_host(), port)).status in (200, 404)
    except (OSError, AssertionError):
        return False


def test_environment(t):
    """Settings from the environment: SLUICE_ for all, KONG_ for Kong's; --set wins over both."""
    with origin.Origin() as upstream:
        for prefix in ("SLUICE_", "KONG_"):
            env = {prefix + "HEADERS": "off"}
            with t.case(prefix), Gateway(simple_config(upstream.url), env=env) as one:
                assert "via" not in one.get("/").fields
        with t.case("--set wins"):
            with Gateway(simple_config(upstream.url), {"headers": "off"}, {"SLUICE_HEADERS": "server_tokens"}) as one:
                assert "via" not in one.get("/").fields


SETTINGS_FILE = """\
sluice:
  proxy_listen: "{host}:{first}"
  admin_listen: "off"
  status_listen: "off"
  proxy_access_log: "off"
  headers: "off"
  profiles:
    - cores: 1
      shards: 1
      proxy_listen: "{host}:{second}"
    - cores: 100000
      proxy_listen: "{host}:{third}"
"""


def test_settings_file(t):
    """A settings file, its profile for this machine's cores, and a configuration file beside it."""
    with Folder() as folder, origin.Origin() as upstream:
        first, second, third = (net.free_port() for _ in range(3))
        settings = SETTINGS_FILE.format(host=net.own_host(), first=first, second=second, third=third)
        paths = [folder.file("settings.yaml", settings),
                 folder.file("kong.json", json.dumps(simple_config(upstream.url)))]
        with Running(["run", "-c", paths[0], "-c", paths[1]]):
            with t.case("profile"):
                assert serves(second) and not serves(first) and not serves(third)
            with t.case("headers"):
                assert "via" not in client.get((net.own_host(), second)).fields
        with t.case("folder"), Running(["run", "-c", folder.path]):
            assert serves(second)
        with t.case("environment wins"):
            env = {"SLUICE_PROXY_LISTEN": "%s:%d" % (net.own_host(), third)}
            with Running(["run", "-c", paths[0], "-c", paths[1]], env=env):
                assert serves(third) and not serves(second)


def test_settings_file_errors(t):
    with Folder() as folder:
        path = folder.file("settings.yaml", "sluice:\n  shards: 1\n  shrads: 2\n  log_level: loud\n")
        done = gateway.run("check", "-c", path)
        assert done.returncode == 1, done
        for line, key in ((3, "shrads"), (4, "log_level")):
            assert re.search(r"^%s:%d:\d+: .*%s" % (re.escape(path), line, key), text(done), re.M), text(done)


def test_several_listeners(t):
    with origin.Origin() as upstream, Folder() as folder:
        path = folder.file("kong.json", json.dumps(simple_config(upstream.url)))
        ports = [net.free_port(), net.free_port()]
        listen = ", ".join("%s:%d reuseport backlog=128" % (net.own_host(), port) for port in ports)
        settings = {**gateway.SETTINGS, "proxy_listen": listen}
        with Running(["run", "-c", path, *gateway.set_options(settings)]):
            assert all(map(serves, ports))


def test_status_reload_stop(t):
    with origin.Origin() as upstream, Gateway(simple_config(upstream.url, hosts=["one.test"])) as running:
        pid = running.folder.file("pid", "%d\n" % running.pid)
        with t.case("status"):
            done = gateway.run("status", "--pid", pid)
            assert done.returncode == 0 and str(running.pid) in done.stdout, done
        with t.case("reload"):
            running.write_config(simple_config(upstream.url, hosts=["two.test"]))
            assert gateway.run("reload", "--pid", pid).returncode == 0
            net.wait_until(lambda: all(running.get("/", host="two.test").status == 200 for _ in range(4)), 5,
                           "the new configuration")
        with t.case("stop"):
            assert gateway.run("stop", "--pid", pid).returncode == 0
            running.wait_end()
        with t.case("status of what has ended"):
            assert gateway.run("status", "--pid", pid).returncode not in (0, 2)


def test_pid_file_missing(t):
    for command in ("status", "reload", "stop"):
        with t.case(command):
            done = gateway.run(command, "--pid", "/nonexistent/pid")
            assert done.returncode not in (0, 2) and done.stderr, done


def test_demo(t):
    """The demo starts, says where it listens, answers there and ends as asked."""
    address = "%s:%d" % (net.own_host(), net.free_port())
    env = {"SLUICE_PROXY_LISTEN": address, "SLUICE_ADMIN_LISTEN": "off", "SLUICE_STATUS_LISTEN": "off"}
    with Running(["demo"], env=env) as demo:
        host, _, port = address.partition(":")
        assert client.get((host, int(port))).status in (200, 404, 401)
        # what it says comes behind the ready line
        net.wait_until(lambda: "curl" in demo.stdout(), what=lambda: "curl in %r" % demo.stdout())


def test_ready_line_comes_when_it_listens(t):
    with origin.Origin() as upstream, Gateway(simple_config(upstream.url)) as running:
        assert running.get("/").status == 200
        assert len(re.findall("^ready", running.stderr(), re.M)) == 1


def test_two_signals(t):
    """SIGTERM twice is as good as once."""
    with origin.Origin() as upstream, Gateway(simple_config(upstream.url)) as running:
        running.get("/")
        running.send_signal(signal.SIGTERM)
        os.kill(running.pid, signal.SIGTERM)
        running.wait_end()
