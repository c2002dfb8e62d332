# SPDX-License-Identifier: Apache-2.0
"""compression: responses come compressed where a client accepts it, whole and without waiting."""
import gzip
import json
import shutil
import subprocess
import threading
import zlib

from tests.support import client, origin
from tests.support.gateway import Gateway, simple_config

TEXT = b"".join(b"line %d of a text that is easy to compress\n" % i for i in range(20000))


def configuration(url, *more, **config):
    out = simple_config(url)
    out["services"][0]["plugins"] = [{"name": "compression", "config": config}] + list(more)
    return out


def decoded(answer):
    coding = answer.get("Content-Encoding")
    if coding == "gzip":
        return gzip.decompress(answer.body)
    if coding is None:
        return answer.body
    tool = {"br": "brotli", "zstd": "zstd"}[coding]
    if shutil.which(tool) is None:
        return None
    return subprocess.run([tool, "-dc"], input=answer.body, capture_output=True, check=True).stdout


def reply(request):
    wish = json.loads(request.get("x-reply", "{}"))
    body = TEXT[:wish.get("size", len(TEXT))]
    headers = [tuple(pair) for pair in wish.get("headers", [])]
    kind = wish.get("type", "text/plain")
    if wish.get("pieces"):
        parts = [body[i:i + wish["pieces"]] for i in range(0, len(body), wish["pieces"])]
        data = origin.chunked(parts, headers=headers + [("Content-Type", kind)])
    else:
        data = origin.answer(wish.get("status", 200), headers, body, content_type=kind)
    return data[:data.index(b"\r\n\r\n") + 4] if request.method == "HEAD" else data


def ask(gateway, accept, method="GET", **wish):
    headers = [("X-Reply", json.dumps(wish))] + ([("Accept-Encoding", accept)] if accept is not None else [])
    with gateway.connect() as connection:
        return connection.exchange(client.encode(method, "/", headers))


CHOICES = [  # Accept-Encoding, Content-Encoding
    (None, None), ("", None), ("gzip", "gzip"), ("x-gzip", "gzip"), ("br", "br"), ("zstd", "zstd"),
    ("gzip, deflate, br, zstd", "zstd"), ("gzip, br;q=0.9", "gzip"), ("gzip;q=0", None), ("*", "zstd"),
    ("*;q=0.1, zstd;q=0", "br"), ("identity, gzip;q=0.5", None), ("identity;q=0", None), ("gzip;q=nonsense", None),
]


def test_choices(t):
    with origin.Origin(reply) as upstream, Gateway(configuration(upstream.url)) as gateway:
        for accept, coding in CHOICES:
            for pieces in (0, 5000):
                with t.case("%s in %s" % (accept, pieces or "one")):
                    answer = ask(gateway, accept, pieces=pieces)
                    assert answer.status == 200 and answer.get("Content-Encoding") == coding, answer
                    assert answer.get("Vary") == "Accept-Encoding", answer
                    assert decoded(answer) in (TEXT, None), len(answer.body)
                    assert (len(answer.body) < len(TEXT) / 4) == (coding is not None), len(answer.body)


LEFT_ALONE = [  # wish, is there a Vary
    ({"type": "image/png"}, False), ({"size": 100}, False), ({"size": 0}, False), ({"status": 204}, False),
    ({"status": 206}, False), ({"status": 304}, False), ({"headers": [["Content-Encoding", "br"]]}, False),
    ({"headers": [["Cache-Control", "public, no-transform"]]}, False),
]


def test_what_is_left_alone(t):
    with origin.Origin(reply) as upstream, Gateway(configuration(upstream.url)) as gateway:
        for wish, varies in LEFT_ALONE:
            with t.case(str(wish)):
                answer = ask(gateway, "gzip", **wish)
                assert answer.get("Content-Encoding") != "gzip" and (answer.get("Vary") is not None) == varies, answer
                assert len(answer.body) == (0 if wish.get("status") in (204, 304) else wish.get("size", len(TEXT)))
        with t.case("HEAD"):
            answer = ask(gateway, "gzip", "HEAD")
            assert answer.get("Content-Encoding") is None and answer.get("Vary") == "Accept-Encoding", answer
            assert answer.get("Content-Length") == str(len(TEXT)), answer


def test_heads(t):
    fields = [["ETag", '"v1"'], ["Vary", "Origin"], ["Accept-Ranges", "bytes"], ["Content-MD5", "x"]]
    with origin.Origin(reply) as upstream, Gateway(configuration(upstream.url)) as gateway:
        answer = ask(gateway, "gzip", headers=fields)
        assert answer.get("ETag") == 'W/"v1"' and answer.fields.all("Vary") == ["Origin", "Accept-Encoding"], answer
        assert answer.get("Accept-Ranges") is None and answer.get("Content-MD5") is None, answer
        assert answer.get("Content-Length") is None and decoded(answer) == TEXT
        plain = ask(gateway, None, headers=fields)
        assert plain.get("ETag") == '"v1"' and plain.get("Accept-Ranges") == "bytes", plain


def test_events_are_not_held_back(t):
    """Each event of a stream can be read before the next one is sent."""
    go_on = threading.Event()

    def events(_):
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        yield head + b"9\r\ndata: 1\n\n\r\n"
        assert go_on.wait(20)
        yield b"9\r\ndata: 2\n\n\r\n0\r\n\r\n"

    with origin.Origin(events) as upstream, Gateway(configuration(upstream.url)) as gateway:
        with gateway.connect() as connection:
            connection.send_split([client.encode("GET", "/", [("Accept-Encoding", "gzip")])])
            inflater, seen, raw = zlib.decompressobj(31), b"", b""
            while b"data: 1\n\n" not in seen:
                raw += connection.sock.recv(65536)
                inflater, seen = zlib.decompressobj(31), b""
                body = raw.partition(b"\r\n\r\n")[2]
                while b"\r\n" in body:
                    size, _, rest = body.partition(b"\r\n")
                    count = int(size, 16)
                    if len(rest) < count + 2:
                        break
                    seen += inflater.decompress(rest[:count])
                    body = rest[count + 2:]
            assert b"data: 2" not in seen
            go_on.set()
            while not raw.endswith(b"0\r\n\r\n"):
                raw += connection.sock.recv(65536)


def test_own_answers(t):
    """What the gateway itself answers is compressed, too, behind the changes of other plugins."""
    more = ({"name": "request-termination", "config": {"status_code": 200, "message": "x" * 3000}},
            {"name": "response-transformer", "config": {"add": {"json": ["n:v"]}}})
    with origin.Origin(reply) as upstream, Gateway(configuration(upstream.url, *more)) as gateway:
        answer = gateway.get("/", [("Accept-Encoding", "gzip")])
        assert answer.status == 200 and answer.get("Content-Encoding") == "gzip", answer
        assert json.loads(decoded(answer)) == {"message": "x" * 3000, "n": "v"}, answer


def test_the_upstream_is_not_asked(t):
    with origin.Origin(reply) as upstream:
        with Gateway(configuration(upstream.url, remove_accept_encoding_header=True)) as gateway:
            answer = ask(gateway, "gzip")
            assert answer.get("Content-Encoding") == "gzip" and decoded(answer) == TEXT, answer
            assert upstream.one().get("Accept-Encoding") is None


def test_http_1_0(t):
    """Without chunks the end of the connection ends the body."""
    with origin.Origin(reply) as upstream, Gateway(configuration(upstream.url)) as gateway:
        with gateway.connect() as connection:
            connection.send_split([b"GET / HTTP/1.0\r\nHost: h\r\nAccept-Encoding: gzip\r\n\r\n"])
            answer = connection.read("GET")
            assert answer.get("Transfer-Encoding") is None and decoded(answer) == TEXT, answer
