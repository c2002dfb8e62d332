# SPDX-License-Identifier: Apache-2.0
"""The access log: one line per request in combined or JSON form, whatever the client sends."""
import contextlib
import json
import os
import re
import signal

from tests.support import client, net, origin
from tests.support.gateway import Folder, Gateway, simple_config

QUOTED = r'"((?:[^"\\]|\\.)*)"'
TIME = r"\[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]"
COMBINED = re.compile(r"(\S+) - (\S+) %s %s (\d{3}) (\d+) %s %s" % (TIME, QUOTED, QUOTED, QUOTED)
                      + r'(?: kong_request_id: "([0-9a-f]{32})")?')

# name, request; what a log must not be confused by
NASTY = [
    ("quotes", client.encode("GET", "/nasty", [("User-Agent", 'a" 200 99 "b'), ("Referer", 'x"y\\')])),
    ("backslash", client.encode("GET", "/nasty", [("User-Agent", "a\\n127.0.0.1 - - [x]")])),
    ("8-bit", client.encode("GET", "/nasty", [("User-Agent", "caf\xe9 \xff\xfe")])),
    ("quote in target", b'GET /nasty?"x" HTTP/1.1\r\nHost: test\r\n\r\n'),
    ("encoded line end", client.encode("GET", "/nasty%0d%0a127.0.0.1")),
    ("line end in a value", b"GET /nasty HTTP/1.1\r\nHost: test\r\nUser-Agent: a\rb\r\n\r\n"),
    ("escape sequence", b"GET /nasty HTTP/1.1\r\nHost: test\r\nUser-Agent: \x1b[31m\r\n\r\n"),
    ("binary", b"\x00\x01\x02\n\x7f\r\n\r\n"),
    ("long", client.encode("GET", "/nasty", [("User-Agent", "a" * 7000)])),
]


def text_of(path):
    if not os.path.exists(path):
        return ""
    with open(path, encoding="utf-8", errors="surrogateescape", newline="\n") as f:
        return f.read()


@contextlib.contextmanager
def logging(form, to_stdout=False):
    """(gateway, a function that returns the log's text)."""
    with Folder() as folder, origin.Origin() as upstream:
        path = "/dev/stdout" if to_stdout else folder.file("access.log")
        settings = {"proxy_access_log": path, "proxy_access_log_format": form}
        with Gateway(simple_config(upstream.url), settings) as gateway:
            yield gateway, gateway.stdout if to_stdout else lambda: text_of(path)


def lines_with(read, text, count=1):
    """Waits until `count` whole lines hold `text`, and returns them."""
    def found():
        lines = [line for line in read().split("\n")[:-1] if text in line]
        return lines if len(lines) >= count else None
    return net.wait_until(found, 5, lambda: "%d lines with %s in:\n%s" % (count, text, read()[-2000:]))


def test_combined(t):
    with logging("combined") as (gateway, read):
        answer = gateway.get("/a/b?c=d", [("User-Agent", "probe/1"), ("Referer", "http://r.test/")])
        (line,) = lines_with(read, "/a/b?c=d")
        match = COMBINED.fullmatch(line)
        assert match, line
        address, _, request, status, size, referer, agent, request_id = match.groups()
        assert address == "127.0.0.1" and request == "GET /a/b?c=d HTTP/1.1", line
        assert status == "200" and int(size) >= len(origin.BODY), line
        assert (referer, agent) == ("http://r.test/", "probe/1"), line
        assert request_id == answer.get("x-kong-request-id"), line


def values(record):
    """All plain values of a JSON record, however deep."""
    if isinstance(record, dict):
        record = list(record.values())
    if isinstance(record, list):
        return [v for item in record for v in values(item)]
    return [record]


def test_json(t):
    with logging("json") as (gateway, read):
        answer = gateway.get("/a/b?c=d", [("User-Agent", "probe/1")])
        (line,) = lines_with(read, "/a/b")
        got = values(json.loads(line))
        for want in (200, "GET", "127.0.0.1", "probe/1", answer.get("x-kong-request-id")):
            with t.case(str(want)):
                assert want in got, line
        with t.case("target"):
            assert any(isinstance(v, str) and v.endswith("/a/b?c=d") for v in got), line


def test_stdout(t):
    for form in ("combined", "json"):
        with t.case(form), logging(form, to_stdout=True) as (gateway, read):
            gateway.get("/to-stdout")
            (line,) = lines_with(read, "/to-stdout")
            assert COMBINED.fullmatch(line) if form == "combined" else json.loads(line), line


def test_off(t):
    """Nothing on stdout, and no file where Kong would put one."""
    with origin.Origin() as upstream, Gateway(simple_config(upstream.url)) as gateway:
        gateway.get("/unlogged")
        gateway.send_signal(signal.SIGTERM)
        gateway.wait_end()
        assert "/unlogged" not in gateway.stdout() + gateway.stderr()


def send_raw(gateway, data):
    with gateway.connect() as c:
        c.send_split([data])
        c.reader.fill()


def test_injection(t):
    """Every line stays one well-formed line; nothing a client sends makes another or breaks one."""
    for form in ("combined", "json"):
        with logging(form) as (gateway, read):
            for _, data in NASTY:
                send_raw(gateway, data)
            gateway.get("/the-end")
            lines_with(read, "/the-end")
            # each shard writes its own lines, in any order with the others'
            lines = lines_with(read, "", len(NASTY) + 1)
            with t.case(form + ": one line each"):
                assert len(lines) == len(NASTY) + 1, lines
            for line in lines:
                with t.case("%s: %s" % (form, ascii(line[:60]))):
                    assert not re.search("[\x00-\x1f\x7f]", line), "a control character"
                    assert COMBINED.fullmatch(line) if form == "combined" else check_json(line), line


def check_json(line):
    line.encode("utf-8")  # fails on bytes that are not UTF-8
    return isinstance(json.loads(line), dict)


def test_one_line_per_request(t):
    """All of many requests are logged, also those that are refused or not routed."""
    with logging("combined") as (gateway, read):
        with gateway.connect() as c:
            for i in range(300):
                c.exchange(client.encode("GET", "/many/%d" % i))
        lines = lines_with(read, "/many/", 300)
        assert sorted(int(re.search(r"/many/(\d+)", line)[1]) for line in lines) == list(range(300))
