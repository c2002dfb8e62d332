# SPDX-License-Identifier: Apache-2.0
"""What the opentelemetry plugin sends, as an OpenTelemetry collector reads it: its OTLP receiver takes the messages
apart, its exporter sends them on as JSON, to here."""
import contextlib
import json
import os
import secrets
import subprocess
import tempfile
import time

from tests.conformance import cases
from tests.support import gateway, net, origin

PACKAGE = "go.opentelemetry.io/collector/cmd/builder@v0.165.0"
FILES = {"manifest.yaml": """\
dist: {name: collector, output_path: distribution}
receivers: [gomod: go.opentelemetry.io/collector/receiver/otlpreceiver v0.165.0]
exporters: [gomod: go.opentelemetry.io/collector/exporter/otlphttpexporter v0.165.0]
providers:
  - gomod: go.opentelemetry.io/collector/confmap/provider/envprovider v1.71.0
  - gomod: go.opentelemetry.io/collector/confmap/provider/fileprovider v1.71.0
"""}
INSTALL = [["go", "install", "{}"], ["./builder", "--config=manifest.yaml"]]
KNOWN = {}
MANY = 2000


class Collector:
    def __init__(self, place):
        self.folder = gateway.Folder()
        self.port, self.out = net.free_port("127.0.0.1"), origin.Origin(lambda request: origin.answer(body=b"{}"))
        self.log = tempfile.TemporaryFile()
        config = {"receivers": {"otlp": {"protocols": {"http": {"endpoint": "127.0.0.1:%d" % self.port}}}},
                  "exporters": {"otlphttp": {"endpoint": self.out.url, "encoding": "json", "compression": "none"}},
                  "service": {"telemetry": {"metrics": {"level": "none"}},
                              "pipelines": {kind: {"receivers": ["otlp"], "exporters": ["otlphttp"]}
                                            for kind in ("traces", "logs")}}}
        self.process = subprocess.Popen(
            [os.path.join(place, "distribution", "collector"),
             "--config=file:" + self.folder.file("config.yaml", json.dumps(config))], stdout=self.log, stderr=self.log)

    def __enter__(self):
        try:
            net.wait_until(lambda: "Everything is ready" in self.said(), 60, lambda: "the collector\n" + self.said())
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.log.close()
        self.out.close()
        self.folder.close()

    def said(self):
        assert self.process.poll() is None, "it has ended"
        self.log.seek(0)
        return self.log.read().decode(errors="replace")[-4000:]

    def items(self, kind, trace=None):
        """(resource attributes, span or record) of all that came."""
        found = []
        outer, middle, inner = {"spans": ("resourceSpans", "scopeSpans", "spans"),
                                "logs": ("resourceLogs", "scopeLogs", "logRecords")}[kind]
        for request in self.out.requests:
            for resource in json.loads(request.body).get(outer, []):
                attributes = values(resource["resource"]["attributes"])
                found += [(attributes, one) for scope in resource[middle] for one in scope[inner]
                          if trace in (None, one.get("traceId"))]
        return found

    def wait(self, kind, trace, names):
        """The spans of a trace by name, once those are there."""
        def missing():
            return set(names) - {one["name"] for _, one in self.items(kind, trace)}
        net.wait_until(lambda: not missing(), 10, lambda: "%s of %s" % (missing(), self.items(kind, trace)))
        found = self.items(kind, trace)
        assert len({one["spanId"] for _, one in found}) == len(found), found
        return {one["name"]: one for _, one in found}


def values(attributes):
    """{name: value}; numbers come as texts, as OTLP's JSON wants them."""
    found = {one["key"]: next(iter(one["value"].values())) for one in attributes}
    assert len(found) == len(attributes), attributes
    return found


@contextlib.contextmanager
def running(collector, **options):
    url = "http://127.0.0.1:%d/v1/" % collector.port
    options = {"traces_endpoint": url + "traces", "sampling_rate": 1,
               "queue": {"max_batch_size": 100, "max_coalescing_delay": 0.05}, **options}
    with origin.Origin() as upstream:
        config = gateway.simple_config(upstream.url)
        config["plugins"] = [{"name": "opentelemetry", "config": options}]
        with gateway.Gateway(config, {"shards": "1", "tracing_instrumentations": "all"}) as one:
            yield one, upstream


def begun():
    """A trace that a client has begun: its ids, and the header that says so."""
    trace, span = secrets.token_hex(16), secrets.token_hex(8)
    return trace, span, [("traceparent", "00-%s-%s-01" % (trace, span))]


SPANS = ["kong", "kong.router", "kong.access.plugin.opentelemetry", "kong.balancer", "kong.connect"]


def a_request(collector):
    """Its spans, whose children they are, and what they say."""
    trace, parent, headers = begun()
    with running(collector, resource_attributes={"where": "here"}) as (one, upstream):
        before = time.time_ns()
        assert one.get("/x?y", headers).status == 200
        spans = collector.wait("spans", trace, SPANS)
        resource = collector.items("spans", trace)[0][0]
    root, tried = spans["kong"], spans["kong.balancer"]
    assert resource["service.name"] == "kong" and resource["where"] == "here", resource
    assert (root["parentSpanId"], root["kind"], tried["parentSpanId"], tried["kind"]) == (
        parent, 2, root["spanId"], 3), spans
    assert spans["kong.connect"]["parentSpanId"] == tried["spanId"], spans
    said, asked = values(root["attributes"]), values(tried["attributes"])
    assert said["http.method"] == "GET" and said["http.status_code"] == "200" and said["http.route"] == "/", said
    assert asked["net.peer.port"] == str(upstream.address[1]), asked
    start, end = int(root["startTimeUnixNano"]), int(root["endTimeUnixNano"])
    assert before - 10**9 < start <= end < time.time_ns() + 10**9, root
    for span in spans.values():
        assert start <= int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"]) <= end, (root, span)


def a_new_trace(collector):
    with running(collector, http_response_header_for_traceid="X-Trace") as (one, _):
        trace = one.get("/").get("X-Trace")
        root = collector.wait("spans", trace, SPANS)["kong"]
        assert not root.get("parentSpanId") and len(trace) == 32, root


def a_failure(collector):
    trace, _, headers = begun()
    with running(collector) as (one, upstream):
        upstream.close()
        assert one.get("/", headers).status == 502
        spans = collector.wait("spans", trace, ["kong", "kong.balancer"])
    assert spans["kong"]["status"]["code"] == spans["kong.balancer"]["status"]["code"] == 2, spans


def awkward_texts(collector):
    for path in ("/%C3%A9%22%5C", "/" + "x" * 4000, "/?%00%ff"):
        trace, _, headers = begun()
        with running(collector) as (one, _):
            assert one.get(path, headers).status == 200
            root = collector.wait("spans", trace, SPANS)["kong"]
        assert values(root["attributes"])["http.url"].endswith(path), root


def logs(collector):
    """A record per request, with the trace that it belongs to."""
    trace, _, headers = begun()
    with running(collector, logs_endpoint="http://127.0.0.1:%d/v1/logs" % collector.port) as (one, _):
        one.get("/logged", headers)
        root = collector.wait("spans", trace, SPANS)["kong"]
        net.wait_until(lambda: collector.items("logs"), 10, "a record")
    (_, record), = collector.items("logs")
    entry = json.loads(record["body"]["stringValue"])
    assert entry["request"]["uri"] == "/logged" and entry["response"]["status"] == 200, entry
    assert record["severityText"] == "INFO" and record.get("traceId", trace) == trace, (record, root)


def many_requests(collector):
    """Each of them arrives, once."""
    with running(collector, resource_attributes={"service.name": "many"}) as (one, _):
        with one.connect() as connection:
            for _ in range(MANY):
                connection.send(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
                assert connection.read().status == 200

        def found():
            return [span for resource, span in collector.items("spans")
                    if resource["service.name"] == "many" and span["name"] == "kong"]
        net.wait_until(lambda: len(found()) >= MANY, 30, lambda: "%d of %d traces" % (len(found()), MANY))
        assert len({span["traceId"] for span in found()}) == len(found()) == MANY


TESTS = [a_request, a_new_trace, a_failure, awkward_texts, logs, many_requests]


def run(place, only):
    with Collector(place) as collector:
        yield from cases.run(TESTS, collector, only)
