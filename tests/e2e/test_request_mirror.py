# SPDX-License-Identifier: Apache-2.0
"""Copies of requests: what they look like, that nobody waits for them, and how many there may be."""
import json
import threading

from tests.support import net, origin
from tests.support.gateway import Folder, Gateway, run, simple_config


def config_of(upstream, mirror, **options):
    config = simple_config(upstream.url + "/base", strip_path=True, paths=["/"])
    config["plugins"] = [{"name": "request-mirror", "config": {"url": mirror.url, **options}}]
    return config


def wait_for(count, mirror):
    """The last of that many copies, with its body."""
    net.wait_until(lambda: sum(copy.complete for copy in list(mirror.requests)) >= count, what="%d copies" % count)
    return mirror.requests[count - 1]


def test_copies(t):
    with origin.Origin() as upstream, origin.Origin() as mirror:
        with Gateway(config_of(upstream, mirror)) as gateway:
            with t.case("a request"):
                answer = gateway.get("/x%20y?a=1", [("X-A", "b"), ("Connection", "x-hop"), ("X-Hop", "1")])
                assert answer.status == 200
                copy = wait_for(1, mirror)
                assert (copy.method, copy.target) == ("GET", "/base/x%20y?a=1"), copy
                assert copy.get("X-A") == "b" and copy.get("Host") == "test" and copy.get("X-Hop") is None
            with t.case("a body"):
                assert gateway.request("POST", "/", body=b"hello" * 10000).status == 200
                copy = wait_for(2, mirror)
                assert copy.method == "POST" and copy.body == b"hello" * 10000
                assert upstream.requests[-1].body == copy.body
            with t.case("an empty body"):
                gateway.request("POST", "/", body=b"")
                assert wait_for(3, mirror).get("Content-Length") == "0"
        for kind, expected in (("target", "%s:%d" % mirror.address), ("shadow", "test-shadow")):
            with t.case("host " + kind), Gateway(config_of(upstream, mirror, host=kind)) as gateway:
                count = len(mirror.requests)
                gateway.get("/")
                assert wait_for(count + 1, mirror).get("Host") == expected
        with t.case("a prefix"):
            mirror.url += "/copy/"
            with Gateway(config_of(upstream, mirror)) as gateway:
                count = len(mirror.requests)
                gateway.get("/z")
                assert wait_for(count + 1, mirror).target == "/copy/base/z"


def test_nobody_waits(t):
    release = threading.Event()

    def silent(request):
        release.wait(20)
        return origin.answer()

    with origin.Origin() as upstream, origin.Origin(silent) as mirror:
        settings = {"mirror_max_in_flight": "2", "shards": "1",
                    "status_listen": "%s:%d" % (net.own_host(), net.free_port())}
        with Gateway(config_of(upstream, mirror), settings) as gateway:
            with t.case("a silent mirror"):
                for _ in range(5):
                    assert gateway.get("/").status == 200
                wait_for(2, mirror)
                assert len(mirror.requests) == 2, "the others found no room"
            with t.case("stops in the middle of it"):
                gateway.stop()
            release.set()
        mirror.close()
        with t.case("nobody there"), Gateway(config_of(upstream, mirror)) as gateway:
            for _ in range(3):
                assert gateway.get("/").status == 200


def test_shares(t):
    with origin.Origin() as upstream, origin.Origin() as mirror:
        with t.case("none"), Gateway(config_of(upstream, mirror, percentage=0)) as gateway:
            for _ in range(10):
                gateway.get("/")
        with t.case("too long a body"), Gateway(config_of(upstream, mirror, body_bytes="10")) as gateway:
            assert gateway.request("POST", "/", body=b"12345678901").status == 200
            assert upstream.requests[-1].body == b"12345678901"
        assert not mirror.requests
        with t.case("half"), Gateway(config_of(upstream, mirror, percentage=50)) as gateway:
            with gateway.connect() as connection:
                for _ in range(200):
                    connection.send(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
                    assert connection.read().status == 200
            wait_for(50, mirror)
            assert len(mirror.requests) < 150, len(mirror.requests)
        with t.case("refused requests"):
            config = config_of(upstream, mirror)
            config["plugins"].append({"name": "key-auth"})
            config["plugins"][0]["config"]["url"] += "/refused"  # copies of before may still be on their way
            with Gateway(config) as gateway:
                assert gateway.get("/").status == 401
            assert not [copy for copy in mirror.requests if "refused" in copy.target]


def test_errors(t):
    rows = (({"url": "ftp://a/"}, "url: expected an http or https URL"), ({"url": None}, "url: required field missing"),
            ({"url": "http://a/?b"}, "url: expected an http"), ({"percentage": 101}, "percentage"))
    with origin.Origin() as upstream, Folder() as folder:
        for options, message in rows:
            with t.case(str(options)):
                config = config_of(upstream, upstream, **options)
                done = run("check", "-c", folder.file("kong.json", json.dumps(config)))
                assert done.returncode == 1 and message in done.stdout + done.stderr, done.stdout + done.stderr
