# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 toward upstreams: what they see, how connections are shared, and every way in which it can go wrong."""
import concurrent.futures
import hashlib
import ssl
import threading

from tests.support import certs, client, http2, net
from tests.support.gateway import Folder, Gateway
from tests.support.http2_origin import Http2Origin

ONE = {"shards": "1"}
REFUSED, INTERNAL, CANCEL = 7, 2, 8


def config(o, protocol="grpc", **service):
    return {"_format_version": "3.0", "services": [{
        "name": "s", "protocol": protocol, "host": o.host, "port": o.port, **service,
        "routes": [{"name": "r", "paths": ["/"], "strip_path": False}]}]}


def together(front, count, method="GET"):
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return [job.result() for job in [pool.submit(front.request, method, "/%d" % i)
                                         for i in range(count)]]


def test_messages(t):
    with Http2Origin() as o, Gateway(config(o), ONE) as front:
        with t.case("what the upstream sees"):
            answer = front.request("POST", "/a%20b?c=d", [("X-Mixed", "Case"), ("TE", "trailers, deflate"),
                                                          ("Connection", "x-gone"), ("X-Gone", "1")], b"body")
            assert answer.status == 200 and answer.body == b"over HTTP/2", answer
            assert answer.get("x-method") == "POST"
            seen = o.streams[-1]
            assert seen.body == b"body", seen.body
            for name, value in ((":method", "POST"), (":scheme", "http"), (":path", "/a%20b?c=d"),
                                (":authority", "%s:%d" % o.address), ("x-mixed", "Case"),
                                ("te", "trailers"), ("content-length", "4"),
                                ("x-forwarded-for", "127.0.0.1")):
                assert seen.headers.get(name) == value, (name, seen.headers)
            for name in ("connection", "x-gone", "host", "transfer-encoding", "keep-alive"):
                assert name not in seen.headers, seen.headers
        for method in ("HEAD", "DELETE", "OPTIONS", "FROB"):
            with t.case(method):
                answer = front.request(method, "/")
                assert answer.status == 200 and answer.get("x-method") == method, answer
        with t.case("a body of no length known"):
            with front.connect() as connection:
                connection.send(b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n")
                net.wait_until(lambda: o.streams[-1].body == b"body", what="what was sent so far")
                connection.send(b"2\r\nis\r\n0\r\n\r\n")
                assert connection.read().status == 200
            assert o.streams[-1].body == b"bodyis" and "content-length" not in o.streams[-1].headers
        with t.case("all on one connection"):
            assert o.connections == 1, o.connections


def test_answers(t):
    def script(_link, what, stream):
        path = stream.headers[":path"]
        if what != "end":
            return
        if path == "/hint":
            stream.reply(103, [("link", "</x>")], end=False)
            stream.reply(200, [("content-length", "2")], b"ok")
        elif path == "/trailers":
            stream.reply(200, [("x-a", "1"), ("x-a", "2")], b"data",
                         [("x-sum", "5"), ("date", "x"), ("set-cookie", "a=b"), ("x-kong-any", "1")])
        elif path == "/head":
            stream.reply(204)
        else:
            stream.reply(200, [("x-big", "b" * 5000) for _ in range(20)])
    with Http2Origin(script) as o, Gateway(config(o), ONE) as front:
        with t.case("an interim answer"):
            answer = front.get("/hint")
            assert answer.interim[0][0] == 103 and answer.body == b"ok" and answer.get("content-length") == "2"
        with t.case("trailers"):
            answer = front.get("/trailers", [("TE", "trailers")])
            assert answer.trailers.get("x-sum") == "5" and answer.all("x-a") == ["1", "2"], answer
            assert not any(answer.trailers.all(name) for name in ("date", "set-cookie", "x-kong-any")), answer
            assert not list(front.get("/trailers").trailers.all("x-sum"))
        with t.case("no body"):
            assert front.get("/head").status == 204
        with t.case("a head beyond the limit"):
            assert front.get("/big").status == 502
        with t.case("and the connection lives on"):
            assert front.get("/head").status == 204 and o.connections == 1


GOOD_TRAILERS = [("X-Sum", "5"), ("x-mixed", "Case"), ("x-sum", "again")]
BAD_TRAILERS = [("Host", "evil"), ("Authorization", "evil"), ("Set-Cookie", "evil"), ("X-Forwarded-For", "evil"),
                ("X-Consumer-Id", "evil"), ("x_consumer_id", "evil"), ("X_Real-IP", "evil"), ("X-Kong-Any", "evil"),
                ("Cache-Control", "evil"), ("X-Authenticated-Userid", "evil"), ("TE", "trailers")]


def trailers_by_http1(listen, body, trailers, late):
    with client.Connection(listen) as c:
        c.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        yield late and c.send(b"%x\r\n%s\r\n" % (len(body), body) if body else b"")
        parts = [b"%x\r\n%s\r\n" % (len(body), body)] if body and not late else []
        c.send(b"".join(parts + [b"0\r\n"] + [("%s: %s\r\n" % pair).encode() for pair in trailers] + [b"\r\n"]))
        yield c.read().status


def trailers_by_http2(listen, body, trailers, late):
    with http2.Connection(listen) as c:
        c.send(http2.headers(1, http2.request(method="POST"), http2.END_HEADERS))
        first = http2.frame(http2.DATA, 0, 1, body) if body else b""
        last = http2.headers(1, [(name.lower(), value) for name, value in trailers])
        yield late and c.send(first)
        c.send(last if late else first + last)
        yield c.outcome(1)


def test_request_trailers(t):
    """They arrive alike whatever version of HTTP they came by, and nothing steers or vouches by them."""
    listen = (net.own_host(), net.free_port())
    with Http2Origin() as o, Gateway(config(o), {**ONE, "proxy_listen": "%s:%d http2" % listen}):
        for way in (trailers_by_http1, trailers_by_http2):
            for body, late in ((b"12345", False), (b"12345", True), (b"", False), (b"", True)):
                with t.case("%s, %r%s" % (way.__name__, body, ", late" if late else "")):
                    steps = way(listen, body, GOOD_TRAILERS + BAD_TRAILERS, late)
                    before = len(o.streams)
                    next(steps)
                    if late:
                        net.wait_until(lambda n=before, b=body: len(o.streams) > n and o.streams[-1].body == b,
                                       what="what was sent so far")
                    assert next(steps) == 200
                    seen = o.streams[-1]
                    assert seen.trailers == [(k.lower(), v) for k, v in GOOD_TRAILERS], seen.trailers
                    assert seen.body == body and "content-length" not in seen.headers or not late, seen.headers
        with t.case("none that may pass"):
            steps = trailers_by_http2(listen, b"x", BAD_TRAILERS, False)
            assert (next(steps), next(steps)) == (False, 200) and o.streams[-1].trailers == []
        with t.case("too many"), http2.Connection(listen) as c:
            c.send(http2.headers(1, http2.request(method="POST"), http2.END_HEADERS),
                   http2.headers(1, [("x-%d" % i, "v" * 100) for i in range(100)]))
            assert c.outcome(1) == ("reset", http2.ENHANCE_YOUR_CALM)
            c.send(http2.headers(3, http2.request()))
            assert c.outcome(3) == 200


def test_request_trailers_are_tried_again(t):
    def refuse_once(link, what, stream):
        if stream.number == 1 and what == "end":
            link.h2.reset_stream(1, REFUSED)
        elif what == "end":
            stream.reply(200)
    with Http2Origin(refuse_once) as o, Gateway(config(o), ONE) as front:
        steps = trailers_by_http1(front.address, b"12345", GOOD_TRAILERS, False)
        next(steps)
        assert next(steps) == 200
        for seen in o.streams:
            assert seen.body == b"12345" and len(seen.trailers) == 3, (seen.body, seen.trailers)
        assert len(o.streams) == 2


def test_request_trailers_of_a_replaced_body(t):
    """A digest of what the client has sent is not one of what the upstream gets."""
    with Http2Origin() as o:
        made = config(o)
        made["plugins"] = [{"name": "request-transformer", "config": {"add": {"body": ["b:2"]}}}]
        with Gateway(made, ONE) as front, front.connect() as c:
            c.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                   b"Transfer-Encoding: chunked\r\n\r\n8\r\n{\"a\": 1}\r\n0\r\nX-Sum: 1\r\n\r\n")
            assert c.read().status == 200
            assert b'"b"' in o.streams[-1].body and o.streams[-1].trailers == [], o.streams[-1].body


def test_sharing(t):
    for limit, connections in ((None, 1), (2, 3)):
        gate = threading.Barrier(6)

        def script(link, what, stream):
            if what == "end" and stream.headers[":path"] != "/first":
                threading.Thread(target=late, args=(link, stream), daemon=True).start()
            elif what == "end":
                stream.reply()

        def late(link, stream):
            gate.wait(10)
            with lock:
                stream.reply()
                link.flush()
        lock = threading.Lock()
        settings = {3: limit} if limit else None
        with Http2Origin(script, settings) as o, Gateway(config(o), ONE) as front:
            with t.case("six requests at a time, %s allowed on a connection" % limit):
                assert front.get("/first").status == 200
                assert [answer.status for answer in together(front, 6)] == [200] * 6
                assert o.connections == connections, o.connections
    with Http2Origin() as o, Gateway(config(o), {**ONE, "upstream_keepalive_max_requests": "2"}) as front:
        with t.case("as many requests as the setting says"):
            for _ in range(6):
                assert front.get("/").status == 200
            assert o.connections == 3, o.connections
    with Http2Origin() as o, Gateway(config(o), {**ONE, "upstream_keepalive_idle_timeout": "50ms"}) as front:
        with t.case("an idle connection is closed"):
            assert front.get("/").status == 200
            net.wait_until(lambda: not o.open, what="the close")
            assert front.get("/").status == 200 and o.connections == 2


def test_what_is_tried_again(t):
    state = {}

    def script(link, what, stream):
        if what == "end" and state.get("left", 0) > 0:
            state["left"] -= 1
            if state["how"] == "refused":
                link.h2.reset_stream(stream.number, REFUSED)
            elif state["how"] == "reset":
                link.h2.reset_stream(stream.number, INTERNAL)
            elif state["how"] == "goaway":
                link.h2.close_connection(last_stream_id=0)
            else:
                link.close()
        elif what == "end":
            stream.reply(200)
    for how, method, tries, status in (("refused", "POST", 2, 200), ("refused", "GET", 2, 200),
                                       ("goaway", "POST", 2, 200), ("reset", "POST", 1, 502),
                                       ("reset", "GET", 2, 200), ("close", "POST", 1, 502),
                                       ("close", "GET", 2, 200)):
        with Http2Origin(script) as o, Gateway(config(o), ONE) as front:
            with t.case("%s, %s" % (how, method)):
                state.update(how=how, left=1)
                answer = front.request(method, "/", body=b"once" if method == "POST" else None)
                assert answer.status == status, answer
                assert len(o.streams) == tries, o.streams
                assert front.get("/").status == 200
    with Http2Origin(script) as o, Gateway(config(o, retries=2), ONE) as front:
        with t.case("not for ever"):
            state.update(how="refused", left=100)
            assert front.get("/").status == 502
            assert len(o.streams) == 3, o.streams
    with Http2Origin(lambda *_: None) as o, Gateway(config(o, read_timeout=200, retries=0), ONE) as front:
        with t.case("an upstream that never answers"):
            assert front.get("/").status == 504
            net.wait_until(lambda: o.streams and o.streams[0].reset == CANCEL, what="the cancel")


def test_endings(t):
    def script(link, what, stream):
        path = stream.headers[":path"]
        if what == "head" and path == "/early":
            stream.reply(403, [], b"no")
        elif what == "end" and path == "/half":
            stream.reply(200, [], b"half", end=False)
            link.flush()
            link.h2.reset_stream(stream.number, INTERNAL)
        elif what == "end" and path == "/junk":
            link.connection.send(b"\0\0\1\x77 this is no frame of any kind" * 9)
        elif what == "end" and path != "/never":
            stream.reply(200)
    with Http2Origin(script) as o, Gateway(config(o, retries=0), ONE) as front:
        with t.case("reset in the middle of the body"):
            with front.connect() as connection:
                connection.send(client.encode("GET", "/half"))
                answer = connection.read_head()
                assert answer.status == 200
                try:
                    connection.read_body(answer)
                    whole = True
                except Exception:  # cut: however the reader sees it
                    whole = False
                assert not whole
        with t.case("a client that leaves"):
            with front.connect() as connection:
                connection.send(client.encode("GET", "/never"))
                stream = net.wait_until(lambda: [s for s in o.streams if s.headers[":path"] == "/never"],
                                        what="the request")[0]
                connection.abort()
            net.wait_until(lambda: stream.reset == CANCEL, what="the cancel")
            assert front.get("/").status == 200 and o.connections == 1
        with t.case("answered before the body has come"):
            with front.connect() as connection:
                connection.send(b"POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nx")
                assert connection.read().status == 403
            net.wait_until(lambda: o.streams[-1].reset is not None, what="the reset")
            assert front.get("/").status == 200 and o.connections == 1
        with t.case("junk"):
            assert front.get("/junk").status == 502
            assert front.get("/").status == 200
    with Http2Origin() as o, Gateway(config(o), {**ONE, "upstream_http2_ping_interval": "50ms"}) as front:
        with t.case("asked whether it lives"):
            o.answer = lambda *_: None
            with front.connect() as connection:
                connection.send(client.encode("GET", "/"))
                net.wait_until(lambda: o.links and o.links[0].pings > 0, what="a ping")
                connection.abort()


def test_bodies(t):
    data = bytes(range(256)) * 8192  # 2 MiB
    digest = hashlib.sha256(data).digest()

    def script(_link, what, stream):
        if what == "end":
            stream.reply(200, [], hashlib.sha256(stream.body).digest())
    with Http2Origin(script) as o, Gateway(config(o), ONE) as front:
        for i in range(8):
            with t.case("two megabytes up, %d" % i):
                answer = front.request("PUT", "/", body=data)
                assert answer.status == 200 and answer.body == digest, answer
        assert o.connections == 1

    pump = {"sent": 0, "size": 20 << 20}

    def download(link, what, stream):
        if what == "end":
            link.h2.send_headers(stream.number, [(":status", "200")])
        while what in ("end", "window") and pump["sent"] < pump["size"] and link.streams:
            number = max(link.streams)
            part = min(link.h2.local_flow_control_window(number), link.h2.max_outbound_frame_size,
                       pump["size"] - pump["sent"])
            if part <= 0:
                return
            pump["sent"] += part
            link.h2.send_data(number, b"z" * part, end_stream=pump["sent"] == pump["size"])
    with Http2Origin(download) as o, Gateway(config(o), ONE) as front:
        with t.case("a client that reads slowly holds the upstream back"):
            with front.connect(receive_buffer=4096) as connection:
                connection.send(client.encode("GET", "/"))
                answer = connection.read_head()
                last = [-1]

                def still():
                    before, last[0] = last[0], pump["sent"]
                    return before == last[0] and threading.Event().wait(0.1) is False and \
                        pump["sent"] == before
                net.wait_until(still, 20, "the upstream to stop")
                assert pump["sent"] < 16 << 20, pump
                connection.read_body(answer)
                assert pump["sent"] == pump["size"]
                assert answer.size == pump["size"], answer.size


def test_tls(t):
    ca = certs.Authority()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with Folder() as folder:
        context.load_cert_chain(*ca.issue("a.test").files(folder, "own"))
    context.set_alpn_protocols(["h2"])
    chosen = []

    def script(link, what, stream):
        chosen.append(link.connection.sock.selected_alpn_protocol())
        Http2Origin.reply(link, what, stream)
    with Http2Origin(script, tls=context) as o:
        rows = config(o, "grpcs")
        rows["services"][0].update(host="up", port=443)
        rows["upstreams"] = [{"name": "up", "host_header": "a.test",
                              "targets": [{"target": "%s:%d" % o.address}]}]
        with Gateway(rows, {**ONE, "upstream_tls_trusted": ca.own}) as front, t.case("by ALPN"):
            answer = front.get("/")
            assert answer.status == 200 and answer.body == b"over HTTP/2", answer
            assert set(chosen) == {"h2"} and o.connections == 1
            assert o.streams[0].headers[":scheme"] == "https"
            assert o.streams[0].headers[":authority"] == "a.test:%d" % o.port, o.streams[0].headers
