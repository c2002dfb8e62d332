# SPDX-License-Identifier: Apache-2.0
"""Replays what Kong answered to POST /config: each body goes to `sluice check --json` as the file it is.

For a configuration that Kong refused, code, name, fields and flattened_errors must be as recorded, and for one
that it took the exit status must be 0. Bodies that are not the JSON that they are said to be, and later steps
of a case, which read entities back, are for the Admin API alone.
"""
import json
import os
import urllib.parse

from tests.kong.lists import Differences, NotCovered
from tests.kong.matching import check, check_object
from tests.support import gateway
from tests.support.gateway import Folder
from tests.support.runner import explain

AREAS = ("config-errors", "config-good")
CHECKED = ("code", "name", "fields", "flattened_errors")
MESSAGE = "declarative config is invalid: {"


def file_of(request):
    """(name, text) of the file that a request to /config posts; None when it is none."""
    types = dict((name.lower(), value) for name, value in request["headers"])
    kind, body = types.get("content-type", ""), request.get("body") or ""
    if kind.startswith("application/x-www-form-urlencoded"):
        return "config.json", urllib.parse.parse_qs(body)["config"][0]
    if not kind.startswith("application/json"):
        return "config.yaml", body
    try:
        value = json.loads(body)
    except ValueError:
        return None
    inner = value.get("config") if isinstance(value, dict) else None
    return "config.json", inner if isinstance(inner, str) else body


def answer_to(request):
    """(exit status, what was printed as JSON)"""
    flatten = ["--flatten"] if "flatten_errors=1" in request["target"] else []
    name, text = file_of(request)
    with Folder() as folder:
        done = gateway.run("check", "--json", *flatten, "-c", folder.file(name, text))
    try:
        return done.returncode, json.loads(done.stdout)
    except ValueError:
        raise AssertionError("no JSON: %r %r" % (done.stdout[:500], done.stderr[:500])) from None


def play(case, differences):
    step = case["steps"][0]
    if file_of(step["request"]) is None:
        return
    expect = differences.apply(case["name"], step["expect"])
    status, got = answer_to(step["request"])
    if expect["status"] < 400:
        check(status == 0, "exit status (%s)" % json.dumps(got)[:600], 0, status)
        return
    want = expect["body"]["json_subset"]
    check(status == 1, "exit status", 1, status)
    for name in CHECKED:
        if name in want:
            check_object("answer", {name: want[name]}, {name: got.get(name)}, subset=False)
    check(got["message"].startswith(MESSAGE), "message", MESSAGE, got["message"])
    check(all(p["file"] and p["line"] > 0 for p in got["positions"]), "positions", "all", got["positions"])


def play_area(t, path, text):
    """Plays the cases of one file whose name has this text."""
    here = os.path.dirname(os.path.abspath(__file__))
    area = os.path.basename(path)[:-5]
    not_covered = NotCovered(os.path.join(here, "not_covered.txt"), area)
    differences = Differences(os.path.join(here, "differences.txt"), area)
    with open(path, encoding="utf-8") as f:
        cases = json.load(f)["cases"]
    passing = []
    for case in cases:
        if text not in case["name"]:
            continue
        name, expected = "%s | %s" % (t.name, case["name"]), not_covered.expected_failure(case["name"])
        try:
            play(case, differences)
        except Exception as e:
            if expected:
                t.skipped.append((name, expected))
            else:
                t.failed.append((name, str(e) if isinstance(e, AssertionError) else explain(e)))
            continue
        passing += [case["name"]] if expected else []
        t.passed.append(name)
    if passing:
        t.notes.append("note: %s: %d listed as not covered pass: %s"
                       % (t.name, len(passing), "; ".join(passing)[:400]))
