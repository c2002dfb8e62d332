# SPDX-License-Identifier: Apache-2.0
"""Plugins that send log entries: what arrives, and receivers that are dead, slow, flapping or refuse."""
import contextlib
import json
import os
import re
import signal
import socket
import stat
import threading
import time

from tests.support import net, origin
from tests.support.gateway import Folder, Gateway, run, simple_config


def config_of(upstream, *plugins, **route):
    config = simple_config(upstream.url + "/base", **route)
    config["plugins"] = [{"name": name, "config": options} for name, options in plugins]
    return config


@contextlib.contextmanager
def counted(config, **settings):
    """A gateway and a function that reads one of its counters."""
    address = net.own_host(), net.free_port()
    settings = {"status_listen": "%s:%d" % address, "shards": "1", **settings}
    with Gateway(config, settings) as gateway:
        def count(name):
            with socket.create_connection(address, 10) as sock:
                sock.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
                text = b"".join(iter(lambda: sock.recv(65536), b"")).decode()
            return int(re.search(r"^sluice_%s(?:_total)? (\d+)$" % name, text, re.M)[1])
        yield gateway, count


def read_lines(path):
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as f:
        return [json.loads(line) for line in f.read().split("\n")[:-1]]


def wait_lines(path, count):
    net.wait_until(lambda: len(read_lines(path)) >= count, what="%d lines in %s" % (count, path))
    return read_lines(path)


def wait_received(receiver, count):
    """So many whole requests; a request is listed before its body is there."""
    net.wait_until(lambda: sum(r.complete for r in list(receiver.requests)) >= count,
                   what=lambda: "%d requests: %r" % (count, receiver.requests))
    return list(receiver.requests)


def udp_receiver():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.settimeout(10 * net.SLOW_FACTOR)
    return sock, sock.getsockname()[1]


def test_entry(t):
    with origin.Origin() as upstream, Folder() as folder:
        path = folder.file("log")
        config = config_of(upstream, ("file-log", {"path": path}), paths=["/"])
        config["consumers"] = [{"username": "amy", "custom_id": "7", "keyauth_credentials": [{"key": "k1"}]}]
        config["services"][0]["routes"].append(
            {"name": "r2", "paths": ["/private"], "strip_path": False, "plugins": [{"name": "key-auth"}]})
        with Gateway(config) as gateway:
            with t.case("proxied"):
                headers = [("Authorization", "Basic x"), ("X-A", 'q"\u00e9')]
                answer = gateway.request("POST", "/x%20y?a=1&a=2&b", headers, b"body")
                entry = wait_lines(path, 1)[0]
                assert entry["request"]["id"] == answer.get("x-kong-request-id")
                assert entry["request"]["method"] == "POST" and entry["request"]["uri"] == "/x%20y?a=1&a=2&b"
                assert entry["request"]["url"] == "http://test:%d/x%%20y?a=1&a=2&b" % gateway.address[1], entry
                assert entry["request"]["querystring"] == {"a": ["1", "2"], "b": True}
                assert entry["request"]["headers"]["authorization"] == "REDACTED"
                assert entry["request"]["headers"]["host"] == "test"
                assert entry["request"]["size"] > 60 and entry["response"]["size"] > len(origin.BODY)
                assert entry["response"]["status"] == 200
                assert entry["response"]["headers"]["content-type"] == "application/json"
                assert entry["upstream_uri"] == "/base/x%20y?a=1&a=2&b" and entry["upstream_status"] == "200"
                assert entry["source"] == "upstream" and entry["client_ip"] == "127.0.0.1"
                assert abs(entry["started_at"] / 1000 - time.time()) < 60
                assert set(entry["latencies"]) == {"request", "kong", "proxy", "receive"}
                assert entry["latencies"]["proxy"] >= 0
                assert [(x["ip"], x["port"]) for x in entry["tries"]] == [upstream.address]
                assert entry["service"]["name"] == "s1" and entry["route"]["name"] == "r1"
                assert entry["route"]["service"]["id"] == entry["service"]["id"]
                assert entry["workspace_name"] == "default" and entry["workspace"] == entry["route"]["ws_id"]
                assert "consumer" not in entry and "authenticated_entity" not in entry
            with t.case("a consumer"):
                gateway.get("/private", [("apikey", "k1")])
                entry = wait_lines(path, 2)[1]
                assert entry["consumer"]["username"] == "amy" and entry["consumer"]["custom_id"] == "7"
                assert entry["authenticated_entity"]["consumer_id"] == entry["consumer"]["id"]
            with t.case("an own answer"):
                gateway.get("/private")
                entry = wait_lines(path, 3)[2]
                assert entry["source"] == "kong" and entry["response"]["status"] == 401
                assert entry["latencies"]["proxy"] == -1 and entry["tries"] == [] and entry["upstream_uri"] == ""
            with t.case("mode"):
                assert stat.S_IMODE(os.stat(path).st_mode) & 0o444 == 0o444
    with origin.Origin() as upstream, Folder() as folder:
        with t.case("no route, and tries that failed"):
            path = folder.file("log")
            config = config_of(upstream, ("file-log", {"path": path}), paths=["/here"])
            config["services"][0]["retries"] = 1
            with Gateway(config) as gateway:
                gateway.get("/elsewhere")
                entry = wait_lines(path, 1)[0]
                assert entry["response"]["status"] == 404 and "route" not in entry and "service" not in entry
                upstream.close()
                assert gateway.get("/here").status == 502
                entry = wait_lines(path, 2)[1]
                assert [x["state"] for x in entry["tries"]] == ["failed", "failed"], entry
                assert entry["upstream_status"] == "502, 502" and entry["source"] == "kong"


def test_file(t):
    with origin.Origin() as upstream, Folder() as folder:
        path, moved = folder.file("log"), folder.file("moved")
        with t.case("reopened on SIGUSR1"):
            with Gateway(config_of(upstream, ("file-log", {"path": path})), {"shards": "1"}) as gateway:
                gateway.get("/1")
                wait_lines(path, 1)
                os.rename(path, moved)
                gateway.get("/2")
                wait_lines(moved, 2)
                gateway.send_signal(signal.SIGUSR1)
                net.wait_until(lambda: os.path.exists(path), what="a new file")
                gateway.get("/3")
                wait_lines(path, 1)
                assert len(read_lines(moved)) == 2
        os.unlink(path)
        with t.case("reopen"):
            with Gateway(config_of(upstream, ("file-log", {"path": path, "reopen": True})), {"shards": "1"}) as gateway:
                gateway.get("/1")
                wait_lines(path, 1)
                os.rename(path, moved)
                gateway.get("/2")
                net.wait_until(lambda: os.path.exists(path), what="a new file")
                gateway.get("/3")
                wait_lines(path, 1)
        with t.case("a full disk"):
            with counted(config_of(upstream, ("file-log", {"path": "/dev/full"}))) as (gateway, count):
                for _ in range(3):
                    assert gateway.get("/").status == 200
                net.wait_until(lambda: count("log_dropped") == 3, what="3 lost lines")
        with t.case("no such folder"):
            with counted(config_of(upstream, ("file-log", {"path": folder.path + "/no/log"}))) as (gateway, _):
                assert gateway.get("/").status == 200
        with t.case("a pipe that nobody reads"):
            os.mkfifo(folder.path + "/pipe")
            with counted(config_of(upstream, ("file-log", {"path": folder.path + "/pipe"}))) as (gateway, _):
                for _ in range(3):
                    assert gateway.get("/").status == 200


def test_http(t):
    with origin.Origin() as upstream, origin.Origin() as receiver:
        options = {"http_endpoint": receiver.url.replace("//", "//amy:secret@") + "/log?x=1",
                   "headers": {"X-Token": "t"}, "method": "PUT"}
        with t.case("one by one"), Gateway(config_of(upstream, ("http-log", options))) as gateway:
            gateway.get("/a")
            request = wait_received(receiver, 1)[0]
            assert (request.method, request.target) == ("PUT", "/log"), request
            assert request.get("Authorization") == "Basic YW15OnNlY3JldA==" and request.get("X-Token") == "t"
            assert request.get("Content-Type") == "application/json"
            assert json.loads(request.body)["request"]["uri"] == "/a"
        options = {"http_endpoint": receiver.url, "queue": {"max_batch_size": 3, "max_coalescing_delay": 60}}
        with t.case("in batches, and the rest at the end"):
            del receiver.requests[:]
            with Gateway(config_of(upstream, ("http-log", options)), {"shards": "1"}) as gateway:
                for i in range(4):
                    gateway.get("/%d" % i)
                batch = wait_received(receiver, 1)[0]
                assert [e["request"]["uri"] for e in json.loads(batch.body)] == ["/0", "/1", "/2"]
            rest = wait_received(receiver, 2)[1:]
            assert [[e["request"]["uri"] for e in json.loads(r.body)] for r in rest] == [["/3"]]


def test_http_trouble(t):
    state = {"status": 500}
    with origin.Origin() as upstream:
        with origin.Origin(lambda request: origin.answer(state["status"])) as receiver:
            queue = {"max_retry_time": 20, "initial_retry_delay": 0.05, "max_retry_delay": 0.1}
            config = config_of(upstream, ("http-log", {"http_endpoint": receiver.url, "queue": queue}))
            with t.case("refused for a while"), counted(config) as (gateway, count):
                for _ in range(5):
                    gateway.get("/")
                net.wait_until(lambda: count("log_retries") >= 3, what="retries")
                state["status"] = 204
                net.wait_until(lambda: count("log_entries_sent") == 5, what="5 entries")
                net.wait_until(lambda: count("log_entries_waiting") == 0, what="none that waits")
                assert count("log_entries_lost") == 0
            with t.case("flapping"), counted(config) as (gateway, count):
                for i in range(20):
                    state["status"] = 503 if i % 2 else 200
                    gateway.get("/")
                state["status"] = 200
                net.wait_until(lambda: count("log_entries_sent") == 20, what="20 entries")
        queue = {"max_retry_time": 0.2, "max_entries": 10}
        config = config_of(upstream, ("http-log", {"http_endpoint": receiver.url, "queue": queue}))
        with t.case("dead"), counted(config) as (gateway, count):
            for _ in range(50):
                assert gateway.get("/").status == 200
            assert count("log_entries_waiting") <= 10
            net.wait_until(lambda: count("log_entries_lost") + count("log_entries_dropped") == 50, what="50 lost")
            net.wait_until(lambda: count("log_bytes_waiting") == 0, what="none that waits")


def test_slow(t):
    """A receiver that takes connections and says nothing: nobody waits, little is kept."""
    release = threading.Event()

    def silent(request):
        release.wait(60)
        return origin.answer()

    with origin.Origin() as upstream, origin.Origin(silent) as receiver:
        config = config_of(upstream, ("http-log", {"http_endpoint": receiver.url, "queue": {"max_entries": 100}}))
        with t.case("http"), counted(config, log_queue_size="65536") as (gateway, count):
            begin = time.monotonic()
            with gateway.connect() as connection:
                for _ in range(300):
                    connection.send(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
                    assert connection.read().status == 200
            assert time.monotonic() - begin < 30 * net.SLOW_FACTOR
            assert count("log_entries_waiting") <= 100 and count("log_bytes_waiting") <= 65536
            assert count("log_entries_dropped") >= 190
            release.set()
        with t.case("tcp"):
            with socket.socket() as listener:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                listener.bind(("127.0.0.1", 0))
                listener.listen()
                options = {"host": "127.0.0.1", "port": listener.getsockname()[1], "timeout": 500}
                with counted(config_of(upstream, ("tcp-log", options)), log_queue_size="65536") as (gateway, count):
                    big = [("X-Big", "x" * 4000)] * 4
                    for _ in range(300):
                        assert gateway.get("/", big).status == 200
                    assert count("log_bytes_waiting") <= 65536
                    assert count("log_entries_dropped") + count("log_entries_sent") > 0


def test_tcp(t):
    with origin.Origin() as upstream, socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(10 * net.SLOW_FACTOR)
        options = {"host": "localhost", "port": listener.getsockname()[1]}
        with Gateway(config_of(upstream, ("tcp-log", options)), {"shards": "1"}) as gateway:
            with t.case("one connection"):
                gateway.get("/1")
                peer, _ = listener.accept()
                with peer, peer.makefile("r", encoding="utf-8") as lines:
                    assert json.loads(lines.readline())["request"]["uri"] == "/1"
                    gateway.get("/2")
                    assert json.loads(lines.readline())["request"]["uri"] == "/2"
            with t.case("a new one when it has ended"):
                def again():
                    gateway.get("/3")
                    listener.settimeout(0.2)
                    with contextlib.suppress(socket.timeout):
                        return listener.accept()[0]
                    return None
                peer = net.wait_until(again, what="a connection")
                with peer, peer.makefile("r", encoding="utf-8") as lines:
                    assert json.loads(lines.readline())["request"]["uri"] == "/3"


def test_datagrams(t):
    sock, port = udp_receiver()
    with origin.Origin() as upstream, Folder() as folder, sock:
        with t.case("udp"), Gateway(config_of(upstream, ("udp-log", {"host": "localhost", "port": port}))) as gateway:
            for i in range(3):
                gateway.get("/%d" % i)
                assert json.loads(sock.recv(65536))["request"]["uri"] == "/%d" % i
        options = {"host": "127.0.0.1", "port": port, "key": "abc", "tags": ["a", "b"],
                   "client_errors_severity": "warning", "log_level": "notice"}
        with t.case("loggly"), Gateway(config_of(upstream, ("loggly", options), paths=["/here"])) as gateway:
            gateway.get("/here")  # info: too quiet
            gateway.get("/elsewhere")
            match = re.fullmatch(r'<12>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ \S+ kong - - '
                                 r'\[abc@41058 tag="a" tag="b"\] (\{.*\})', sock.recv(65536).decode())
            assert json.loads(match[1])["response"]["status"] == 404
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as syslog, \
                t.case("syslog"):
            path = folder.path + "/syslog"
            syslog.bind(path)
            syslog.settimeout(10 * net.SLOW_FACTOR)
            config = config_of(upstream, ("syslog", {"facility": "local3", "server_errors_severity": "err"}))
            with Gateway(config, {"syslog_socket": path}) as gateway:
                gateway.get("/")
                match = re.fullmatch(r"<158>\w{3} [ \d]\d \d\d:\d\d:\d\d kong\[\d+\]: (\{.*\})",
                                     syslog.recv(65536).decode())
                assert json.loads(match[1])["response"]["status"] == 200
                upstream.close()
                gateway.get("/")
                assert syslog.recv(65536).startswith(b"<155>")
        with t.case("nobody listens"), counted(
                config_of(upstream, ("udp-log", {"host": "127.0.0.1", "port": net.free_port()}),
                          ("syslog", {})), syslog_socket=folder.path + "/none") as (gateway, _):
            for _ in range(5):
                gateway.get("/")


def test_reload(t):
    """A queue outlives the configuration it came with, and follows the new one."""
    with origin.Origin() as upstream, origin.Origin() as first, origin.Origin() as second:
        def config(receiver):
            return config_of(upstream, ("http-log", {"http_endpoint": receiver.url}))
        with Gateway(config(first), {"shards": "1"}) as gateway:
            with t.case("another endpoint"):
                gateway.get("/1")
                wait_received(first, 1)
                gateway.reload(config(second))
                net.wait_until(lambda: "reload done" in gateway.stderr(), what="the reload")
                for target in ("/2", "/3"):
                    assert gateway.get(target).status == 200
                wait_received(second, 2)
                assert len(first.requests) == 1


def test_lua(t):
    with origin.Origin() as upstream, Folder() as folder:
        with t.case("named in the error"):
            config = config_of(upstream, ("file-log", {"path": "/x", "custom_fields_by_lua": {"a": "return 1"}}))
            done = run("check", "-c", folder.file("kong.json", json.dumps(config)))
            assert done.returncode == 1 and "custom_fields_by_lua" in done.stdout + done.stderr
