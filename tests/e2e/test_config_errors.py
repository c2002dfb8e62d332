# SPDX-License-Identifier: Apache-2.0
"""Broken configuration: every error with its place and exit status 1; good configuration: exit status 0.

Each file of tests/e2e/broken opens with one comment per error it holds: `# expect: LINE:COLUMN PATTERN`.
LINE and COLUMN are numbers or *; PATTERN is a regular expression (any case) for `path.to.field: reason`.
Every one must be printed as `FILE:LINE:COLUMN: path.to.field: reason`.
"""
import glob
import json
import os
import re

from tests.support import gateway
from tests.support.gateway import Folder

HERE = os.path.dirname(os.path.abspath(__file__))
EXPECT = re.compile(r"# expect: (\d+|\*):(\d+|\*) (.+)")


def expectations(path):
    """(line or None, column or None, pattern) of each error that the file names."""
    out = []
    with open(path, encoding="utf-8", errors="surrogateescape") as f:
        for line in f:
            match = EXPECT.match(line)
            if not match:
                return out
            number, column = (None if n == "*" else int(n) for n in match.groups()[:2])
            out.append((number, column, re.compile(match[3].strip(), re.I)))
    return out


def reports(path, output):
    """(line, column, text) of each error that the gateway printed for this file."""
    place = re.compile(r"^%s:(\d+):(\d+): (.*)$" % re.escape(path), re.M)
    return [(int(m[1]), int(m[2]), m[3]) for m in place.finditer(output)]


def check(path):
    done = gateway.run("check", "-c", path, seconds=5)
    return done.returncode, done.stdout + done.stderr


def check_broken(path):
    status, output = check(path)
    got = reports(path, output)
    for line, column, pattern in expectations(path):
        texts = [text for at, col, text in got if line in (None, at) and column in (None, col)]
        wanted = "%s:%s %s" % (line or "*", column or "*", pattern.pattern)
        assert any(map(pattern.search, texts)), "no error like %s in:\n%s" % (wanted, output[:2000])
    assert status == 1, "exit status %d" % status


def test_broken_files(t):
    paths = sorted(glob.glob(os.path.join(HERE, "broken", "*.yaml")))
    assert len(paths) >= 40
    for path in paths:
        with t.case(os.path.basename(path)):
            assert expectations(path), "names no error"
            check_broken(path)


def test_no_error_twice(t):
    """An error is reported once, and a good part of the file gives none."""
    path = os.path.join(HERE, "broken", "everything-at-once.yaml")
    got = reports(path, check(path)[1])
    assert len(got) == len(set(got)), got
    assert len(got) == len(expectations(path)), got


GOOD = {
    "smallest": '_format_version: "3.0"\n',
    "nested": """
_format_version: "3.0"
services:
  - name: s1
    url: http://h.test:8080/base
    tags: [one, two]
    routes:
      - name: r1
        paths: [/a, "~/b/\\\\d+$"]
        methods: [GET, POST]
        hosts: ["*.a.test", b.test, "c.*"]
        headers: {x-a: ["1", "2"]}
        plugins:
          - name: jwt
            config: {claims_to_verify: [exp]}
    plugins:
      - name: rate-limiting
        config: {second: 5, minute: 100, policy: local}
consumers:
  - username: alice
    custom_id: a-1
    jwt_secrets:
      - {key: k, secret: s}
    plugins:
      - name: rate-limiting
        config: {minute: 7}
""",
    "flat": """
_format_version: "3.0"
services:
  - {name: s1, host: h.test, port: 8080, protocol: http}
routes:
  - {name: r1, paths: [/], service: s1}
  - {name: r2, paths: [/x]}
plugins:
  - {name: jwt, route: r1}
  - {name: rate-limiting, service: s1, config: {minute: 1}}
  - {name: rate-limiting, consumer: alice, config: {minute: 2}}
  - {name: rate-limiting, enabled: false, config: {minute: 3}}
consumers:
  - {username: alice}
jwt_secrets:
  - {key: k, secret: s, consumer: alice}
""",
    "anchors": """
_format_version: "3.0"
_comment: shared settings
_ignore:
  - &limits {minute: 5, policy: local}
services:
  - name: s1
    host: h.test
    plugins:
      - {name: rate-limiting, config: *limits}
  - name: s2
    host: h.test
    plugins:
      - {name: rate-limiting, config: *limits}
""",
    "version 1.1": """
_format_version: "1.1"
services:
  - name: s1
    host: h.test
    routes:
      - {name: r1, paths: [/plain, "/re/\\\\d+"]}
""",
    "nulls": """
_format_version: "3.0"
services:
  - {name: s1, host: h.test, path: null, tags: ~}
""",
    "json": json.dumps({"_format_version": "3.0", "services": [{"name": "s1", "host": "h.test"}]}),
}


def test_good_files(t):
    with Folder() as folder:
        for name, text in GOOD.items():
            with t.case(name):
                status, output = check(folder.file("good.json" if name == "json" else "good.yaml", text))
                assert status == 0, "exit status %d:\n%s" % (status, output)


def test_errors_of_several_files(t):
    """Each error names its own file; references go over all files."""
    one = '_format_version: "3.0"\nservices:\n  - {name: s1, host: h.test, port: x}\n'
    two = '_format_version: "3.0"\nroutes:\n  - {name: r1, paths: [/], service: s1}\n  - {paths: [x]}\n'
    with Folder() as folder:
        paths = [folder.file("one.yaml", one), folder.file("two.yaml", two)]
        done = gateway.run("check", "-c", paths[0], "-c", paths[1])
        output = done.stdout + done.stderr
        assert done.returncode == 1, done
        assert [line for line, _, _ in reports(paths[0], output)] == [3], output
        assert [line for line, _, _ in reports(paths[1], output)] == [4], output


def test_run_refuses_a_broken_file(t):
    path = os.path.join(HERE, "broken", "service-ranges.yaml")
    done = gateway.run("run", "-c", path, "--set", "proxy_listen=off")
    assert done.returncode == 1, done
    assert len(reports(path, done.stdout + done.stderr)) == 5, done.stderr
    assert not re.search("^ready", done.stderr, re.M)


def test_big_file(t):
    """10 000 routes are a normal configuration."""
    routes = [{"name": "r%d" % i, "paths": ["/p/%d" % i]} for i in range(10000)]
    config = {"_format_version": "3.0", "services": [{"name": "s1", "host": "h.test", "routes": routes}]}
    with Folder() as folder:
        status, output = check(folder.file("big.json", json.dumps(config)))
        assert status == 0, output[:500]
        routes[9999]["paths"] = ["x"]
        status, output = check(folder.file("big.json", json.dumps(config, indent=1)))
        assert status == 1 and len(reports(folder.file("big.json"), output)) == 1, output[:500]


test_broken_files.seconds = 60
