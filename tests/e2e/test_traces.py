# SPDX-License-Identifier: Apache-2.0
"""Plugins that take part in traces: what collectors get, and what upstreams are told."""
import contextlib
import json
import os
import shutil
import subprocess
import time

from tests.support import net, origin
from tests.support.gateway import Folder, Gateway, simple_config
from tests.support.runner import Skip

try:
    from google.protobuf import descriptor_pb2, descriptor_pool
    from google.protobuf.message_factory import MessageFactory
except ImportError:  # an interpreter without Debian's modules
    descriptor_pb2 = None

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def config_of(upstream, *plugins):
    config = simple_config(upstream.url)
    config["plugins"] = [{"name": name, "config": options} for name, options in plugins]
    return config


# --- protobuf, as its encoding is published: a mapping from the number of a field to its values

def varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        shift, at = shift + 7, at + 1
        if data[at - 1] < 128:
            return value, at


def decode(data):
    fields, at = {}, 0
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            value, at = varint(data, at)
        elif key & 7 == 2:
            size, at = varint(data, at)
            assert at + size <= len(data)
            value, at = data[at:at + size], at + size
        else:
            size = {1: 8, 5: 4}[key & 7]
            value, at = int.from_bytes(data[at:at + size], "little"), at + size
        fields.setdefault(key >> 3, []).append(value)
    return fields


def attributes(values):
    result = {}
    for value in values:
        pair = decode(value)
        (kind, (content,)), = decode(pair[2][0]).items()
        result[pair[1][0].decode()] = content.decode() if kind == 1 else content
    return result


def spans_of(body):
    """(resource attributes, spans) of an ExportTraceServiceRequest."""
    (resource_spans,) = decode(body)[1]
    resource = decode(resource_spans)
    (scope_spans,) = resource[2]
    spans = []
    for data in decode(scope_spans)[2]:
        span = decode(data)
        spans.append({"trace": span[1][0].hex(), "id": span[2][0].hex(), "parent": span.get(4, [b""])[0].hex(),
                      "name": span[5][0].decode(), "kind": span[6][0], "start": span[7][0], "end": span[8][0],
                      "attributes": attributes(span.get(9, [])),
                      "status": decode(span[15][0]).get(3, [0])[0] if 15 in span else 0})
    return attributes(decode(resource[1][0])[1]), spans


def whole(collector):
    """The requests that have come with all of their bodies."""
    return [request for request in list(collector.requests) if request.complete]


@contextlib.contextmanager
def collecting(options, **settings):
    """(gateway, upstream, a function that waits for spans with that name)."""
    with origin.Origin() as upstream, origin.Origin() as collector:
        options = {"traces_endpoint": collector.url + "/v1/traces", "queue": {"max_coalescing_delay": 0.05}, **options}
        settings = {"shards": "1", "tracing_instrumentations": "all", **settings}
        with Gateway(config_of(upstream, ("opentelemetry", options)), settings) as gateway:
            def wait(name, count=1):
                def found():
                    spans = [s for r in whole(collector) for s in spans_of(r.body)[1] if s["name"] == name]
                    return spans if len(spans) >= count else None
                return net.wait_until(found, what="%d spans %s" % (count, name))
            gateway.collector = collector
            yield gateway, upstream, wait


def test_otlp(t):
    with collecting({"sampling_rate": 1, "resource_attributes": {"a": "b"}, "headers": {"X-Token": "t"},
                     "http_response_header_for_traceid": "X-Trace"}) as (gateway, upstream, wait):
        with t.case("a trace goes on"):
            answer = gateway.get("/x?y", [("traceparent", "00-%s-%s-01" % (TRACE, SPAN))])
            (root,) = wait("kong")
            assert answer.get("X-Trace") == TRACE
            assert (root["trace"], root["parent"], root["kind"]) == (TRACE, SPAN, 2), root
            assert upstream.requests[0].get("traceparent") == "00-%s-%s-01" % (TRACE, root["id"])
            assert root["attributes"]["http.method"] == "GET" and root["attributes"]["http.status_code"] == 200
            assert root["attributes"]["http.route"] == "/" and root["attributes"]["net.peer.ip"] == "127.0.0.1"
            assert root["attributes"]["http.url"].endswith("/x?y")
            assert abs(root["start"] / 1e9 - time.time()) < 60 and root["end"] >= root["start"]
            (balancer,) = wait("kong.balancer")
            assert balancer["parent"] == root["id"] and balancer["kind"] == 3
            assert balancer["attributes"]["net.peer.port"] == upstream.address[1]
            assert balancer["attributes"]["http.status_code"] == 200
            assert wait("kong.connect")[0]["parent"] == balancer["id"]
            assert wait("kong.router")[0]["parent"] == root["id"]
            assert wait("kong.access.plugin.opentelemetry")[0]["parent"] == root["id"]
        with t.case("the request"):
            request = gateway.collector.requests[0]
            assert (request.method, request.target) == ("POST", "/v1/traces")
            assert request.get("Content-Type") == "application/x-protobuf" and request.get("X-Token") == "t"
            resource, _ = spans_of(request.body)
            assert resource["service.name"] == "kong" and resource["a"] == "b" and resource["service.instance.id"]
        with t.case("a new trace"):
            gateway.get("/")
            root = wait("kong", 2)[1]
            assert root["parent"] == "" and root["trace"] != TRACE and len(root["trace"]) == 32
        with t.case("the client does not want to be recorded"):
            gateway.get("/", [("traceparent", "00-%s-%s-00" % (TRACE, SPAN))])
            assert upstream.requests[-1].get("traceparent").endswith("-00")
            assert upstream.requests[-1].get("traceparent").startswith("00-" + TRACE)
        with t.case("failures"):
            upstream.close()
            gateway.get("/")
            root = wait("kong", 3)[2]
            assert root["status"] == 2 and root["attributes"]["http.status_code"] == 502
            assert wait("kong.balancer", 3)[2]["status"] == 2


def test_sampling(t):
    with collecting({"sampling_rate": 0}) as (gateway, upstream, wait):
        with t.case("none but those that the client wants"):
            for _ in range(5):
                gateway.get("/")
                assert upstream.requests[-1].get("traceparent").endswith("-00")
            gateway.get("/", [("traceparent", "00-%s-%s-01" % (TRACE, SPAN))])
            assert [s["trace"] for s in wait("kong")] == [TRACE]
    with collecting({"sampling_rate": 1}, tracing_instrumentations="off") as (gateway, upstream, _):
        with t.case("nothing is recorded unless the setting says so"):
            gateway.get("/", [("traceparent", "00-%s-%s-01" % (TRACE, SPAN))])
            assert upstream.requests[-1].get("traceparent").endswith("-00")
    with collecting({"sampling_rate": 0.5}) as (gateway, upstream, _):
        with t.case("about half"), gateway.connect() as connection:
            for _ in range(200):
                connection.send(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
                assert connection.read().status == 200
            sampled = sum(r.get("traceparent").endswith("-01") for r in upstream.requests)
            assert 50 < sampled < 150, sampled


def test_otlp_logs(t):
    with origin.Origin() as upstream, origin.Origin() as collector:
        options = {"logs_endpoint": collector.url + "/v1/logs", "queue": {"max_batch_size": 1}}
        with t.case("a record"), Gateway(config_of(upstream, ("opentelemetry", options))) as gateway:
            gateway.get("/x")
            request = net.wait_until(lambda: whole(collector), what="a record")[0]
            resource_logs = decode(decode(request.body)[1][0])
            record = decode(decode(resource_logs[2][0])[2][0])
            entry = json.loads(decode(record[5][0])[1][0])
            assert entry["request"]["uri"] == "/x" and record[3] == [b"INFO"] and record[2] == [9]


def published():
    """The classes of OTLP's requests by name, made from its messages by Debian's protoc."""
    if descriptor_pb2 is None or not shutil.which("protoc"):
        raise Skip("no protoc or no python3-protobuf")
    source = os.path.join(os.path.dirname(__file__), "../support/otlp.proto")
    with Folder() as folder:
        out = folder.file("otlp.set")
        subprocess.run(["protoc", "-I", os.path.dirname(source), "--descriptor_set_out=" + out, source], check=True)
        with open(out, "rb") as f:
            files = descriptor_pb2.FileDescriptorSet.FromString(f.read())
    pool = descriptor_pool.DescriptorPool()
    for one in files.file:
        pool.Add(one)
    factory = MessageFactory(pool)
    return {name: factory.GetPrototype(pool.FindMessageTypeByName("opentelemetry.proto." + name))
            for name in ("ExportTraceServiceRequest", "ExportLogsServiceRequest")}


def parse(kind, body):
    """The message; nothing of it may be unknown, or of another type than its field."""
    message = kind.FromString(body)
    size = message.ByteSize()
    message.DiscardUnknownFields()
    assert size == len(body) == message.ByteSize(), (size, len(body), message.ByteSize())
    return message


def test_published_messages(t):
    """What is sent, read by protobuf itself with the messages as they are published."""
    kinds = published()
    with origin.Origin() as upstream, origin.Origin() as collector:
        options = {"traces_endpoint": collector.url + "/v1/traces", "logs_endpoint": collector.url + "/v1/logs",
                   "sampling_rate": 1, "resource_attributes": {"a": "b"}, "queue": {"max_coalescing_delay": 0.05}}
        config = config_of(upstream, ("opentelemetry", options), ("rate-limiting", {"minute": 1000}))
        with Gateway(config, {"shards": "1", "tracing_instrumentations": "all"}) as gateway:
            def sent(path, name):
                return [parse(kinds[name], one.body) for one in whole(collector) if one.target == path]

            def spans():
                return [span for one in sent("/v1/traces", "ExportTraceServiceRequest")
                        for resource in one.resource_spans for scope in resource.scope_spans for span in scope.spans]

            def records():
                return [record for one in sent("/v1/logs", "ExportLogsServiceRequest")
                        for resource in one.resource_logs for scope in resource.scope_logs
                        for record in scope.log_records]
            for i in range(20):
                gateway.get("/%s?q=%%C3%%A9" % ("x" * i * 20), [("traceparent", "00-%s-%s-01" % (TRACE, SPAN))])
            net.wait_until(lambda: sum(span.name == "kong" for span in spans()) == 20, what="20 roots")
            net.wait_until(lambda: len(records()) == 20, what="20 records")
            with t.case("spans"):
                found = spans()
                ids = {span.span_id for span in found}
                assert len(ids) == len(found) and all(len(one) == 8 for one in ids)
                for span in found:
                    assert span.trace_id.hex() == TRACE, span
                    assert span.parent_span_id in ids or span.parent_span_id.hex() == SPAN, span
                    assert abs(span.start_time_unix_nano / 1e9 - time.time()) < 60, span
                    assert span.start_time_unix_nano <= span.end_time_unix_nano, span
                    assert span.kind in ((2,) if span.name == "kong" else (1, 3)), span
            with t.case("attributes"):
                root = [span for span in spans() if span.name == "kong"][0]
                values = {one.key: one.value for one in root.attributes}
                assert values["http.status_code"].int_value == 200, values
                assert values["http.method"].string_value == "GET", values
            with t.case("the resource"):
                message = sent("/v1/traces", "ExportTraceServiceRequest")[0]
                values = {one.key: one.value.string_value for one in message.resource_spans[0].resource.attributes}
                assert values["service.name"] == "kong" and values["a"] == "b", values
            with t.case("records"):
                for record in records():
                    assert json.loads(record.body.string_value)["response"]["status"] == 200, record
                    assert record.severity_text == "INFO" and record.severity_number == 9, record
            with t.case("a failure"):
                upstream.close()
                gateway.get("/")
                net.wait_until(lambda: any(span.status.code == 2 for span in spans()), what="a status that says error")


FORMATS = [
    ("b3", [("x-b3-traceid", TRACE), ("x-b3-spanid", SPAN), ("x-b3-sampled", "1")], "x-b3-traceid"),
    ("b3-single", [("b3", "%s-%s-1" % (TRACE, SPAN))], "b3"),
    ("w3c", [("traceparent", "00-%s-%s-01" % (TRACE, SPAN))], "traceparent"),
    ("jaeger", [("uber-trace-id", "%s:%s:0:1" % (TRACE, SPAN))], "uber-trace-id"),
    ("ot", [("ot-tracer-traceid", TRACE), ("ot-tracer-spanid", SPAN), ("ot-tracer-sampled", "1")], "ot-tracer-traceid"),
    ("aws", [("x-amzn-trace-id", "Root=1-%s-%s;Parent=%s;Sampled=1" % (TRACE[:8], TRACE[8:], SPAN))],
     "x-amzn-trace-id"),
    ("gcp", [("x-cloud-trace-context", "%s/1;o=1" % TRACE)], "x-cloud-trace-context"),
    ("instana", [("x-instana-t", TRACE), ("x-instana-s", SPAN), ("x-instana-l", "1")], "x-instana-t"),
]


def test_propagation(t):
    with collecting({"sampling_rate": 1}) as (gateway, upstream, _):
        for name, headers, told in FORMATS:
            with t.case("preserved " + name):
                gateway.get("/", headers)
                assert TRACE in upstream.requests[-1].get(told).replace("-", ""), upstream.requests[-1]
        with t.case("preserved datadog"):
            gateway.get("/", [("x-datadog-trace-id", "123"), ("x-datadog-parent-id", "5"),
                              ("x-datadog-sampling-priority", "1")])
            assert upstream.requests[-1].get("x-datadog-trace-id") == "123"
            assert upstream.requests[-1].get("x-datadog-parent-id") not in (None, "5")
    propagation = {"extract": ["w3c"], "inject": ["b3", "datadog"], "clear": ["X-Old"], "default_format": "w3c"}
    with collecting({"sampling_rate": 1, "propagation": propagation}) as (gateway, upstream, _):
        with t.case("from one to others"):
            gateway.get("/", [("traceparent", "00-%s-%s-01" % (TRACE, SPAN)), ("X-Old", "1"), ("b3", "0")])
            request = upstream.requests[-1]
            assert request.get("x-b3-traceid") == TRACE and request.get("X-Old") is None
            assert request.get("x-datadog-trace-id") == str(int(TRACE[16:], 16))
            assert request.get("traceparent") == "00-%s-%s-01" % (TRACE, SPAN), "left as it came"


def test_zipkin(t):
    with origin.Origin() as upstream, origin.Origin() as server:
        options = {"http_endpoint": server.url + "/api/v2/spans", "sample_ratio": 1,
                   "static_tags": [{"name": "a", "value": "b"}], "queue": {"max_batch_size": 100,
                                                                          "max_coalescing_delay": 0.05}}
        with Gateway(config_of(upstream, ("zipkin", options)), {"shards": "1"}) as gateway:
            with t.case("a shared span"):
                gateway.get("/x", [("x-b3-traceid", TRACE), ("x-b3-spanid", SPAN), ("x-b3-sampled", "1"),
                                   ("Zipkin-Tags", "c=d; e=f;g")])
                request = net.wait_until(lambda: whole(server), what="spans")[0]
                assert request.target == "/api/v2/spans" and request.get("Content-Type") == "application/json"
                spans = json.loads(request.body)
                assert [s["name"] for s in spans] == ["GET", "GET (proxy)", "GET (balancer try 1)"], spans
                assert {s["traceId"] for s in spans} == {TRACE}
                server_span, proxy, tried = spans
                assert server_span["id"] == SPAN and server_span["shared"] and server_span["kind"] == "SERVER"
                assert proxy["parentId"] == SPAN and proxy["kind"] == "CLIENT" and tried["parentId"] == SPAN
                assert upstream.requests[0].get("x-b3-spanid") == proxy["id"]
                assert upstream.requests[0].get("x-b3-parentspanid") == SPAN
                tags = server_span["tags"]
                assert tags["lc"] == "kong" and tags["http.status_code"] == "200" and tags["http.path"] == "/x"
                assert (tags["a"], tags["c"], tags["e"]) == ("b", "d", "f") and "g" not in tags
                assert proxy["tags"]["kong.service_name"] == "s1" and proxy["tags"]["kong.route_name"] == "r1"
                assert proxy["remoteEndpoint"]["port"] == upstream.address[1]
                assert tried["tags"]["kong.balancer.try"] == "1"
                assert [a["value"] for a in proxy["annotations"]] == ["kas", "kaf", "khs", "khf", "kbs", "kbf"]
            with t.case("not sampled"):
                gateway.get("/", [("b3", "0")])
                assert upstream.requests[-1].get("b3").split("-")[2] == "0"
        with t.case("as tags, with the path, eight bytes"):
            options.update(phase_duration_flavor="tags", http_span_name="method_path", traceid_byte_count=8,
                           header_type="b3-single")
            del server.requests[:]
            with Gateway(config_of(upstream, ("zipkin", options)), {"shards": "1"}) as gateway:
                gateway.get("/y")
                spans = json.loads(net.wait_until(lambda: whole(server), what="spans")[0].body)
                assert spans[0]["name"] == "GET /y" and len(spans[0]["traceId"]) == 16
                assert "kong.rewrite.duration_ms" in spans[0]["tags"] and "annotations" not in spans[0]
                assert upstream.requests[-1].get("b3").startswith(spans[0]["traceId"] + "-")
