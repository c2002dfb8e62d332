# SPDX-License-Identifier: Apache-2.0
"""/metrics with the prometheus plugin, read by a real Prometheus where there is one; statsd and datadog."""
import contextlib
import http.client
import json
import re
import shutil
import socket
import subprocess
import urllib.request

from tests.support import net, origin
from tests.support.gateway import Folder, Gateway, simple_config
from tests.support.runner import Skip

ALL = {"status_code_metrics": True, "latency_metrics": True, "bandwidth_metrics": True}
# What promtool says of names that are Kong's and must stay so.
KONGS = re.compile(r"kong_(bandwidth_bytes|nginx_\w+_total|(kong|upstream|request)_latency_ms) ")


@contextlib.contextmanager
def scraped(config, **settings):
    """(gateway, a function that returns /metrics as text)."""
    port = net.free_port("127.0.0.1")
    with Gateway(config, {"status_listen": "127.0.0.1:%d" % port, **settings}) as gateway:
        def scrape():
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            connection.request("GET", "/metrics")
            answer = connection.getresponse()
            assert answer.status == 200 and answer.getheader("Content-Type").startswith("text/plain; ")
            text = answer.read().decode()
            connection.close()
            return text
        gateway.status_port = port
        yield gateway, scrape


def config_of(upstream, **options):
    config = simple_config(upstream.url, paths=["/"])
    config["plugins"] = [{"name": "prometheus", "config": options}]
    config["consumers"] = [{"username": "amy", "keyauth_credentials": [{"key": "k1"}]}]
    config["services"][0]["routes"].append(
        {"name": "r2", "paths": ["/private"], "strip_path": False, "plugins": [{"name": "key-auth"}]})
    return config


def value_of(text, line):
    match = re.search(r"^%s (\S+)$" % re.escape(line), text, re.M)
    return float(match[1]) if match else None


def wait_value(scrape, line, value):
    net.wait_until(lambda: value_of(scrape(), line) == value, what=lambda: "%s %s in\n%s" % (line, value, scrape()))


def test_requests(t):
    labels = 'service="s1",route="%s",code="%d",source="%s",workspace="default",consumer="%s"'
    with origin.Origin() as upstream:
        with scraped(config_of(upstream, per_consumer=True, **ALL)) as (gateway, scrape):
            with t.case("by route, code and source"):
                for _ in range(3):
                    gateway.get("/x")
                gateway.get("/private")
                wait_value(scrape, "kong_http_requests_total{%s}" % (labels % ("r1", 200, "service", "")), 3)
                wait_value(scrape, "kong_http_requests_total{%s}" % (labels % ("r2", 401, "kong", "")), 1)
            with t.case("by consumer"):
                gateway.get("/private", [("apikey", "k1")])
                wait_value(scrape, "kong_http_requests_total{%s}" % (labels % ("r2", 200, "service", "amy")), 1)
            with t.case("bytes"):
                text = scrape()
                bandwidth = ('kong_bandwidth_bytes{service="s1",route="r1",direction="%s",workspace="default",'
                             'consumer=""}')
                assert value_of(text, bandwidth % "egress") > 3 * len(origin.BODY)
                assert value_of(text, bandwidth % "ingress") > 3 * 20
            with t.case("latencies"):
                for name, count in (("kong", 3), ("upstream", 3), ("request", 3)):
                    front = "kong_%s_latency_ms" % name
                    where = 'service="s1",route="r1",workspace="default"'
                    assert value_of(text, '%s_count{%s}' % (front, where)) == count, text
                    assert value_of(text, '%s_bucket{%s,le="+Inf"}' % (front, where)) == count
                where = 'service="s1",route="r2",workspace="default"'
                assert value_of(text, "kong_upstream_latency_ms_count{%s}" % where) == 1
            with t.case("of the node"):
                assert re.search(r'^kong_node_info{node_id="[0-9a-f-]{36}",version="[^"]+"} 1$', text, re.M)
                assert value_of(text, "kong_datastore_reachable") == 1
                where = 'node_id="[^"]*",subsystem="http",state="active"'
                assert re.search(r"^kong_nginx_connections_total{%s} \d" % where, text, re.M)
                assert re.search(r"^sluice_requests_total [1-9]", text, re.M)
            with t.case("they outlive a reload"):
                gateway.reload(config_of(upstream, **ALL))
                gateway.get("/x")
                wait_value(scrape, "kong_http_requests_total{%s}" % (labels % ("r1", 200, "service", "")), 4)
        with t.case("nothing without being asked"), scraped(config_of(upstream)) as (gateway, scrape):
            gateway.get("/x")
            assert "kong_http_requests_total" not in scrape() and "latency_ms" not in scrape()


def test_http_versions(t):
    with origin.Origin() as upstream, scraped(config_of(upstream, **ALL)) as (gateway, _):
        def ask(request):
            with socket.create_connection(("127.0.0.1", gateway.status_port), 10) as sock:
                sock.sendall(request)
                return b"".join(iter(lambda: sock.recv(65536), b""))
        with t.case("1.0: the end of the connection ends it"):
            answer = ask(b"GET /metrics HTTP/1.0\r\n\r\n")
            head, _, body = answer.partition(b"\r\n\r\n")
            assert b"Transfer-Encoding" not in head and b"Content-Length" not in head and body.endswith(b"\n")
        with t.case("HEAD"):
            answer = ask(b"HEAD /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert answer.endswith(b"\r\n\r\n") and answer.count(b"\r\n\r\n") == 1
        with t.case("one after the other"):
            request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n"
            answer = ask(request + b"\r\n" + request + b"Connection: close\r\n\r\n")
            assert answer.count(b"HTTP/1.1 200") == 2 and answer.endswith(b"0\r\n\r\n")


def test_many_routes(t):
    """Series of many routes come in parts, and no more than the setting allows."""
    with origin.Origin() as upstream:
        config = config_of(upstream, **ALL)
        config["services"][0]["routes"] = [{"name": "r%d" % i, "paths": ["/r%d/" % i]} for i in range(500)]
        with scraped(config, prometheus_series_max="400", shards="1") as (gateway, scrape):
            with gateway.connect() as connection:
                for i in range(500):
                    connection.send(b"GET /r%d/ HTTP/1.1\r\nHost: test\r\n\r\n" % i)
                    assert connection.read().status == 200
            with t.case("all that fit"):
                wait_value(scrape, "sluice_series_refused_total", 100)
                text = scrape()
                assert len(re.findall("^kong_http_requests_total", text, re.M)) == 400
                names = re.findall(r"^# TYPE (\S+)", text, re.M)
                assert len(names) == len(set(names)), "each family once"


def test_promtool(t):
    if not shutil.which("promtool"):
        raise Skip("promtool is not installed")
    with origin.Origin() as upstream, contextlib.ExitStack() as stack:
        config = config_of(upstream, per_consumer=True, **ALL)
        config["upstreams"] = [{"name": "u", "targets": [{"target": "%s:%d" % upstream.address}]}]
        config["services"].append({"name": "s2", "host": "u", "routes": [{"name": "r3", "paths": ["/balanced"]}]})
        gateway, scrape = stack.enter_context(scraped(config))
        for path in ("/x", "/balanced"):
            gateway.get(path)
        gateway.get("/private", [("apikey", "k1")])
        net.wait_until(lambda: "kong_http_requests_total" in scrape(), what="series")
        with t.case("check metrics"):
            done = subprocess.run(["promtool", "check", "metrics"], input=scrape(), text=True, capture_output=True)
            ours = [line for line in (done.stdout + done.stderr).splitlines() if line and not KONGS.match(line)]
            assert not ours and done.returncode in (0, 3), done.stdout + done.stderr


# Of what there is now, although the help does not say so.
GAUGES = {"upstream_idle", "fetch_idle", "log_entries_waiting", "resident_memory_bytes"}


def test_types(t):
    """What goes down again is a gauge, what only grows a counter."""
    with origin.Origin() as upstream, scraped(config_of(upstream, **ALL)) as (_, scrape):
        helps, types = (dict(re.findall(r"^# %s sluice_(\w+) (.*)$" % word, scrape(), re.M))
                        for word in ("HELP", "TYPE"))
        for name, text in helps.items():
            now = re.search(r"\bnow\b", text) or name.replace("shard_", "") in GAUGES
            with t.case(name):
                assert types[name] == ("gauge" if now else "counter") and name.endswith("_total") == (not now), text


def test_prometheus(t):
    if not shutil.which("prometheus"):
        raise Skip("prometheus is not installed")
    with origin.Origin() as upstream, Folder() as folder:
        with scraped(config_of(upstream, **ALL)) as (gateway, _), t.case("scraped by a real one"):
            port = net.free_port("127.0.0.1")
            config = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
                      "scrape_configs": [{"job_name": "sluice", "static_configs":
                                          [{"targets": ["127.0.0.1:%d" % gateway.status_port]}]}]}
            gateway.get("/x")
            process = subprocess.Popen(
                ["prometheus", "--config.file=" + folder.file("prometheus.yml", json.dumps(config)),
                 "--storage.tsdb.path=" + folder.path + "/data", "--web.listen-address=127.0.0.1:%d" % port],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

            def ask(query):
                with contextlib.suppress(OSError):
                    url = "http://127.0.0.1:%d/api/v1/query?query=%s" % (port, query)
                    with urllib.request.urlopen(url, timeout=5) as answer:
                        return json.load(answer)["data"]["result"]
                return None
            try:
                found = net.wait_until(lambda: ask("kong_http_requests_total"), 30, "the counter in Prometheus")
                assert found[0]["value"][1] == "1" and found[0]["metric"]["route"] == "r1", found
                net.wait_until(lambda: (ask("up") or [{"value": [0, "0"]}])[0]["value"][1] == "1", what="up")
            finally:
                process.kill()
                process.wait()


test_prometheus.seconds = 60


def receive(sock, count):
    return [sock.recv(65536).decode() for _ in range(count)]


@contextlib.contextmanager
def sending(name, upstream, sock, **options):
    config = config_of(upstream)
    config["plugins"] = [{"name": name, "config": {"host": "127.0.0.1", "port": sock.getsockname()[1], **options}}]
    with Gateway(config) as gateway:
        yield gateway


def test_statsd(t):
    with origin.Origin() as upstream, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(10 * net.SLOW_FACTOR)
        with t.case("names"), sending("statsd", upstream, sock) as gateway:
            gateway.get("/x")
            lines = receive(sock, 8)
            assert "kong.service.s1.request.count:1|c" in lines and "kong.service.s1.status.200:1|c" in lines
            assert any(re.fullmatch(r"kong\.service\.s1\.latency:\d+\|ms", line) for line in lines), lines
            assert any(re.fullmatch(r"kong\.service\.s1\.request\.size:\d+\|ms", line) for line in lines), lines
        metrics = [{"name": "request_per_user", "stat_type": "counter", "sample_rate": 1,
                    "consumer_identifier": "username"},
                   {"name": "unique_users", "stat_type": "set", "consumer_identifier": "username"}]
        with t.case("users"), sending("statsd", upstream, sock, metrics=metrics, prefix="p") as gateway:
            gateway.get("/x")
            gateway.get("/private", [("apikey", "k1")])
            assert receive(sock, 2) == ["p.service.s1.user.amy.request.count:1|c", "p.service.s1.user.uniques:amy|s"]
        metrics = [{"name": "request_count", "stat_type": "counter", "sample_rate": 1}]
        with t.case("tags"), sending("statsd", upstream, sock, metrics=metrics, tag_style="dogstatsd") as gateway:
            gateway.get("/x")
            (line,) = receive(sock, 1)
            assert line.startswith("kong.request.count:1|c|#service:s1,route:r1,workspace:"), line
            assert line.endswith(",status:200")
        with t.case("statuses"), sending("statsd", upstream, sock, metrics=metrics,
                                         allow_status_codes=["400-499"]) as gateway:
            gateway.get("/x")
            gateway.get("/private")
            assert receive(sock, 1) == ["kong.service.s1.request.count:1|c"]
        with t.case("packed"), sending("statsd", upstream, sock, udp_packet_size=1000) as gateway:
            gateway.get("/x")
            assert len(receive(sock, 1)[0].split("\n")) == 8
    with origin.Origin() as upstream, socket.socket() as sock, t.case("tcp"):
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        with sending("statsd", upstream, sock, use_tcp=True) as gateway:
            gateway.get("/x")
            peer, _ = sock.accept()
            with peer, peer.makefile() as lines:
                assert lines.readline() == "kong.service.s1.request.count:1|c\n"


def test_datadog(t):
    with origin.Origin() as upstream, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(10 * net.SLOW_FACTOR)
        with t.case("the usual ones"), sending("datadog", upstream, sock) as gateway:
            gateway.get("/x")
            lines = receive(sock, 6)
            assert lines[0] == "kong.request.count:1|c|#name:s1,status:200,app:kong", lines
            assert all(line.endswith("|ms|#name:s1,status:200,app:kong") for line in lines[1:]), lines
        metrics = [{"name": "latency", "stat_type": "distribution", "tags": ["a:b"], "consumer_identifier": "username"}]
        with t.case("others"), sending("datadog", upstream, sock, metrics=metrics, service_name_tag="svc") as gateway:
            gateway.get("/private", [("apikey", "k1")])
            assert re.fullmatch(r"kong\.latency:\d+\|d\|#svc:s1,status:200,consumer:amy,a:b", receive(sock, 1)[0])
