# SPDX-License-Identifier: Apache-2.0
"""Replays what a real Kong 3.9.3 answered (tests/kong/cases) against the gateway.

run.py [--binary PATH] [--only AREA]... [--case TEXT] [-v] [--jobs N]

Each cases/AREA.json holds {"area", "settings", "config", "cases": [{"name", "steps": [...]}]}, a step is
{"request", "expect"}. Per area a gateway is started with the configuration, before an origin that gives the
answer which the request asks for in X-Reply (JSON: status, reason, headers, body, chunked, delay, hangup).
In the files {PORT} {TLS} {ADMIN} {ORIGIN} stand for ports. The pauses that Kong needed between steps ("sleep")
are not kept: our counters are exact at once. The areas config-errors and config-good are answers to POST
/config; they are played there, and by configs.py through `sluice check --json`.

not_covered.txt lists what is not built yet, differences.txt what differs on purpose; a case in neither must
be as recorded. A case listed as not covered that passes is named, so that the list shrinks.
The last line is `N passed, N failed[, N skipped]`.
"""
import argparse
import glob
import json
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, ROOT)
sys.dont_write_bytecode = True

from tests.kong import configs  # noqa: E402
from tests.kong.lists import Differences, NotCovered  # noqa: E402
from tests.kong.matching import check_answer, check_upstream  # noqa: E402
from tests.support import client, gateway, net, origin, wire  # noqa: E402
from tests.support.runner import Job, Report, explain, run_jobs  # noqa: E402

AREA_SECONDS = 60 * net.SLOW_FACTOR
ANSWER_SECONDS = 4 * net.SLOW_FACTOR


def reply(request):
    """The answer that X-Reply asks for, by default a small JSON body."""
    wish = json.loads(request.get("x-reply", "{}"))
    time.sleep(wish.get("delay", 0))
    if wish.get("hangup"):
        return None
    status, headers = wish.get("status", 200), [tuple(h) for h in wish.get("headers", [])]
    typed = wish.get("untyped") or any(k.lower() == "content-type" for k, _ in headers)
    if "chunked" in wish:
        headers += [] if typed else [("Content-Type", "application/json")]
        parts = [part.encode("latin1") for part in wish["chunked"] if part]
        return trim(request, origin.chunked(parts, headers=headers, status=status))
    body = wish.get("body", origin.BODY.decode()).encode("latin1")
    data = origin.answer(status, headers, body, wish.get("reason", "Status"),
                         None if typed else "application/json")
    return trim(request, data)


def trim(request, data):
    """An answer to HEAD ends with its head."""
    end = data.index(b"\r\n\r\n") + 4
    return data[:end] if request.method == "HEAD" else data


def encode(request):
    if "raw" in request:
        return request["raw"].encode("latin1")
    names = [name.lower() for name, _ in request["headers"]]
    lines = ["%s %s HTTP/1.1" % (request["method"], request["target"])]
    lines += ["%s: %s" % (name, value) for name, value in request["headers"]]
    body = request.get("body")
    if body is not None and "content-length" not in names and "transfer-encoding" not in names:
        lines.append("Content-Length: %d" % len(body))
    return ("\r\n".join(lines) + "\r\n\r\n" + (body or "")).encode("latin1")


class Area:
    """One file of cases, its gateway and its origin."""

    def __init__(self, path):
        name = os.path.basename(path)[:-5]
        self.not_covered = NotCovered(os.path.join(HERE, "not_covered.txt"), name)
        self.differences = Differences(os.path.join(HERE, "differences.txt"), name)
        self.origin = origin.Origin(reply, host="127.0.0.1")
        self.host = net.own_host()
        self.ports = {name: net.free_port() for name in ("PORT", "TLS", "ADMIN")}
        self.ports["ORIGIN"] = self.origin.port
        with open(path, encoding="utf-8") as f:
            self.text = f.read()
        self.gateway = None

    def load(self):
        text = self.text
        for name, port in self.ports.items():
            text = text.replace("{%s}" % name, str(port))
        return json.loads(text)

    def start(self):
        """Starts the gateway, with the listeners that not_covered.txt leaves."""
        area = self.load()
        listeners = ["%s:%d" % (self.host, self.ports["PORT"])]
        settings = dict(area.get("settings") or {})
        if "tls" not in self.not_covered.kinds:
            listeners.append("%s:%d ssl http2" % (self.host, self.ports["TLS"]))
        if "admin" not in self.not_covered.kinds:
            settings["admin_listen"] = "%s:%d" % (self.host, self.ports["ADMIN"])
        settings.setdefault("log_level", "warn")  # as Kong's was
        settings["proxy_listen"] = ", ".join(listeners)
        config = self.differences.reduce(self.not_covered.reduce(area["config"]))
        self.gateway = gateway.Gateway(config, settings)

    def stop(self):
        if self.gateway:
            self.gateway.stop()
        self.origin.close()

    def play(self, case):
        """Plays all steps of one case; raises at the first that is not as recorded."""
        connections = {}
        try:
            for number, step in enumerate(case["steps"], 1):
                try:
                    self.step(connections, case["name"], step)
                except AssertionError as e:
                    raise AssertionError("step %d: %s" % (number, e)) from None
        finally:
            for connection in connections.values():
                connection.close()

    def step(self, connections, name, step):
        request = step["request"]
        which = "ADMIN" if request.get("admin") else "TLS" if request.get("tls") else "PORT"
        key = (which, request.get("sni"))
        self.origin.take()
        if key not in connections:
            tls_name = (request.get("sni") or "") if which == "TLS" else None
            connections[key] = client.Connection((self.host, self.ports[which]), ANSWER_SECONDS,
                                                 tls_name=tls_name)
        answer = exchange(connections[key], request)
        if answer.closing:
            connections.pop(key).close()
        expect = self.differences.apply(name, step["expect"])
        check_answer(expect, answer)
        check_upstream(expect.get("upstream"), self.origin.take())


def exchange(connection, request):
    """The answer; status 0 stands for a connection that was closed without one."""
    connection.send_split([encode(request)])
    try:
        return connection.read(request.get("method") or "GET")
    except wire.EndOfStream:
        closed = client.Response(0, "", wire.Fields([]), [])
        closed.until_close = True
        return closed


def play_area(t, path, text):
    area = Area(path)
    try:
        area.start()
    except AssertionError as e:
        area.origin.close()
        if area.not_covered.whole is None:
            raise
        names = ["%s | %s" % (t.name, case["name"]) for case in area.load()["cases"]]
        t.skipped += [(name, area.not_covered.whole) for name in names]
        return
    passing = []
    try:
        for case in area.load()["cases"]:
            if text in case["name"]:
                play_case(t, area, case, passing)
    finally:
        area.stop()
    if passing:
        t.notes.append("note: %s: %d listed as not covered pass: %s"
                       % (t.name, len(passing), "; ".join(passing)[:400]))


def play_case(t, area, case, passing):
    name = "%s | %s" % (t.name, case["name"])
    if area.differences.leaves_out(case):
        return
    reason = area.not_covered.reason(case)
    if reason:
        t.skipped.append((name, reason))
        return
    expected = area.not_covered.expected_failure(case["name"])
    try:
        area.play(case)
    except Exception as e:
        if expected:
            t.skipped.append((name, expected))
        else:
            t.failed.append((name, str(e) if isinstance(e, AssertionError) else explain(e)))
        return
    if expected:
        passing.append(case["name"])
    t.passed.append(name)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=os.path.join(ROOT, "build/sluice"))
    parser.add_argument("--only", action="append", metavar="AREA")
    parser.add_argument("--case", default="", metavar="TEXT", help="only cases whose name has this text")
    parser.add_argument("-v", dest="verbose", action="store_true", help="name what is skipped, and times")
    parser.add_argument("--jobs", type=int, default=2, help="areas at a time")
    options = parser.parse_args()
    gateway.set_binary(options.binary)
    if not os.access(gateway.BINARY, os.X_OK):
        parser.error(gateway.BINARY + " is not an executable file: build it, or name one with --binary")
    jobs = []
    for path in sorted(glob.glob(os.path.join(HERE, "cases", "*.json")), key=os.path.getsize, reverse=True):
        name = os.path.basename(path)[:-5]
        if not options.only or name in options.only:
            jobs.append(Job(name, lambda t, path=path: play_area(t, path, options.case), AREA_SECONDS))
            if name in configs.AREAS:
                jobs.append(Job(name + " (check)", lambda t, path=path: configs.play_area(t, path, options.case),
                                AREA_SECONDS))
    report = Report(options.verbose)
    run_jobs(jobs, options.jobs, report.done)
    sys.exit(report.end())


if __name__ == "__main__":
    main()
