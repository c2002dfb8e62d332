# SPDX-License-Identifier: Apache-2.0
"""What the zipkin plugin sends, in a Zipkin server: whether it takes everything, and what its own API then says of it.
Spans of the client's side are sent by the test itself, as an instrumented client would."""
import contextlib
import json
import os
import secrets
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

from tests.conformance import cases
from tests.support import gateway, net, origin

PACKAGE = "io.zipkin:zipkin-server:3.5.1:jar:exec"
INSTALL = [["mvn", "-q", "-B", "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy", "-Dartifact={}",
            "-DoutputDirectory=."]]
KNOWN = {}
MANY = 2000


class Server:
    """A Zipkin server that keeps spans in memory."""

    def __init__(self, place):
        self.url = "http://127.0.0.1:%d" % net.free_port("127.0.0.1")
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            ["java", "-Xmx384m", "-jar", os.path.join(place, "zipkin-server-3.5.1-exec.jar")], stdout=self.log,
            stderr=self.log, env={**os.environ, "QUERY_PORT": self.url.rpartition(":")[2], "STORAGE_TYPE": "mem",
                                  "SELF_TRACING_ENABLED": "false"})

    def __enter__(self):
        try:
            net.wait_until(self.is_up, 90, lambda: "the Zipkin server; it says\n" + self.said())
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.log.close()

    def said(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")[-2000:]

    def is_up(self):
        assert self.process.poll() is None, self.said()
        with contextlib.suppress(OSError):
            return self.ask("/health")["status"] == "UP"
        return False

    def ask(self, path, body=None, **query):
        url = self.url + path + ("?" + urllib.parse.urlencode(query) if query else "")
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def trace(self, trace, count):
        """The spans of a trace by their names, once so many are there."""
        found = []

        def complete():
            with contextlib.suppress(urllib.error.HTTPError):
                found[:] = self.ask("/api/v2/trace/" + trace)
            return len(found) >= count
        net.wait_until(complete, 10, lambda: "%d spans of trace %s: %s" % (count, trace, found))
        assert len(found) == count, found
        return {(span["localEndpoint"]["serviceName"], span["name"]): span for span in found}


@contextlib.contextmanager
def running(server, handler=origin.default_answer, **options):
    """(gateway, upstream)"""
    options = {"http_endpoint": server.url + "/api/v2/spans", "sample_ratio": 1,
               "queue": {"max_batch_size": 100, "max_coalescing_delay": 0.05}, **options}
    with origin.Origin(handler) as upstream:
        config = gateway.simple_config(upstream.url)
        config["plugins"] = [{"name": "zipkin", "config": options}]
        with gateway.Gateway(config, {"shards": "1"}) as one:
            yield one, upstream


def b3(trace, span, *more):
    return [("x-b3-traceid", trace), ("x-b3-spanid", span), ("x-b3-sampled", "1"), *more]


def fresh():
    return secrets.token_hex(16), secrets.token_hex(8)


def a_shared_span(server):
    """The spans of a request, and whose children they are."""
    trace, span = fresh()
    with running(server, static_tags=[{"name": "where", "value": "here"}]) as (one, upstream):
        before = time.time()
        assert one.get("/shared?q", b3(trace, span, ("Zipkin-Tags", "who=me"))).status == 200
        spans = server.trace(trace, 3)
    own, proxy, tried = spans["kong", "get"], spans["kong", "get (proxy)"], spans["kong", "get (balancer try 1)"]
    assert (own["id"], own["kind"], own["shared"]) == (span, "SERVER", True) and "parentId" not in own, own
    assert own["remoteEndpoint"] == {"ipv4": "127.0.0.1"}, own
    for name, value in (("http.method", "GET"), ("http.path", "/shared"), ("http.status_code", "200"), ("lc", "kong"),
                        ("where", "here"), ("who", "me")):
        assert own["tags"][name] == value, own
    assert proxy["parentId"] == tried["parentId"] == span and proxy["kind"] == tried["kind"] == "CLIENT", spans
    assert proxy["remoteEndpoint"] == {"serviceName": "s1", "ipv4": upstream.address[0], "port": upstream.address[1]}
    assert before - 1 < own["timestamp"] / 1e6 < time.time() + 1 and 0 < own["duration"] < 30e6, own
    assert own["timestamp"] <= proxy["timestamp"] and proxy["duration"] <= own["duration"], spans
    for single in spans.values():
        stamps = [a["timestamp"] for a in single.get("annotations", [])]
        assert all(single["timestamp"] - 1 <= at <= own["timestamp"] + own["duration"] + 1000 for at in stamps), single


def a_new_trace(server):
    """Nobody has begun one: the gateway's span is the root."""
    with running(server, http_response_header_for_traceid="X-Trace") as (one, _):
        trace = one.get("/new").get("X-Trace")
        spans = server.trace(trace, 3)
    assert len(trace) == 32 and "parentId" not in spans["kong", "get"], spans
    assert not spans["kong", "get"].get("shared"), spans


def short_ids(server):
    with running(server, traceid_byte_count=8, http_response_header_for_traceid="X-Trace") as (one, _):
        trace = one.get("/short").get("X-Trace")
        assert len(trace) == 16 and len(server.trace(trace, 3)) == 3


def between_client_and_upstream(server):
    """What a client and an upstream send by themselves is of one trace with what the gateway sends."""
    trace, span = fresh()
    now = int(time.time() * 1e6)
    with running(server) as (one, upstream):
        one.get("/between", b3(trace, span))
        seen = upstream.requests[0]
        assert seen.get("x-b3-traceid") == trace and seen.get("x-b3-sampled") == "1", seen
        server.ask("/api/v2/spans", json.dumps([
            {"traceId": trace, "id": span, "kind": "CLIENT", "name": "call", "timestamp": now, "duration": 100000,
             "localEndpoint": {"serviceName": "browser"}},
            {"traceId": trace, "id": seen.get("x-b3-spanid"), "parentId": seen.get("x-b3-parentspanid"), "shared": True,
             "kind": "SERVER", "name": "serve", "timestamp": now, "duration": 1000,
             "localEndpoint": {"serviceName": "shop"}}]).encode())
        spans = server.trace(trace, 5)
    assert spans["shop", "serve"]["id"] == spans["kong", "get (proxy)"]["id"], spans
    links = server.ask("/api/v2/dependencies", endTs=int(time.time() * 1000) + 1000, lookback=600000)
    pairs = {(link["parent"], link["child"]) for link in links}
    assert {("browser", "kong"), ("kong", "shop")} <= pairs, links


def other_formats(server):
    """A trace in another format goes on, with a span of its own."""
    for headers in (lambda trace, span: [("traceparent", "00-%s-%s-01" % (trace, span))],
                    lambda trace, span: [("uber-trace-id", "%s:%s:0:1" % (trace, span))],
                    lambda trace, span: [("ot-tracer-traceid", trace), ("ot-tracer-spanid", span),
                                         ("ot-tracer-sampled", "1")]):
        trace, span = fresh()
        with running(server) as (one, _):
            one.get("/", headers(trace, span))
            own = server.trace(trace, 3)["kong", "get"]
        assert own["parentId"] == span and own["id"] != span and not own.get("shared"), own


def failures(server):
    """An upstream that is not there: tries with errors, and an answer with one."""
    trace, span = fresh()
    with running(server) as (one, upstream):
        upstream.close()
        assert one.get("/", b3(trace, span)).status == 502
        spans = server.trace(trace, 3)
    assert spans["kong", "get"]["tags"]["error"] == "true", spans
    assert spans["kong", "get"]["tags"]["http.status_code"] == "502", spans
    assert "error" in spans["kong", "get (balancer try 1)"]["tags"], spans
    found = server.ask("/api/v2/traces", serviceName="kong", annotationQuery="error", limit=1000)
    assert trace in {spans[0]["traceId"] for spans in found}, "by its error"


def awkward_texts(server):
    """Paths and tags that are no plain words arrive as they are."""
    for path, tags in (("/%C3%A9%22%5C", "k=\"\\{}"), ("/" + "x" * 3000, "k=" + "y" * 3000),
                       ("/%F0%9F%98%80", "k=a b")):
        trace, span = fresh()
        with running(server, http_span_name="method_path") as (one, _):
            assert one.get(path, b3(trace, span, ("Zipkin-Tags", tags))).status == 200
            own = [s for s in server.trace(trace, 3).values() if s["kind"] == "SERVER"][0]
        assert own["tags"]["k"] == tags[2:], own


def searches(server):
    """By what its page asks for: names of services and spans, tags, durations."""
    trace, span = fresh()
    with running(server, local_service_name="Gate", phase_duration_flavor="tags") as (one, _):
        one.get("/found", b3(trace, span))
        server.trace(trace, 3)
    assert {"gate", "kong"} <= set(server.ask("/api/v2/services"))
    assert server.ask("/api/v2/remoteServices", serviceName="gate") == ["s1"]
    assert set(server.ask("/api/v2/spans", serviceName="gate")) == {"get", "get (proxy)", "get (balancer try 1)"}
    for query in ({"annotationQuery": "http.path=/found"}, {"spanName": "get (proxy)"}, {"remoteServiceName": "s1"},
                  {"minDuration": 1}, {"annotationQuery": "kong.rewrite.duration_ms"}):
        found = server.ask("/api/v2/traces", serviceName="gate", limit=10, **query)
        assert [spans[0]["traceId"] for spans in found] == [trace], (query, found)


def many_requests(server):
    """Each of them arrives, and the server has dropped nothing."""
    with running(server, local_service_name="many") as (one, _):
        with one.connect() as connection:
            for _ in range(MANY):
                connection.send(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
                assert connection.read().status == 200

        def found():
            return len(server.ask("/api/v2/traces", serviceName="many", limit=MANY * 2))
        net.wait_until(lambda: found() == MANY, 30, lambda: "%d traces, there are %d" % (MANY, found()))
    metrics = server.ask("/metrics")
    assert metrics["counter.zipkin_collector.spans_dropped.http"] == 0, metrics
    assert metrics["counter.zipkin_collector.messages_dropped.http"] == 0, metrics


TESTS = [a_shared_span, a_new_trace, short_ids, between_client_and_upstream, other_formats, failures, awkward_texts,
         searches, many_requests]


def run(place, only):
    with Server(place) as server:
        yield from cases.run(TESTS, server, only)
