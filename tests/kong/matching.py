# SPDX-License-Identifier: Apache-2.0
"""Compares an answer, and what the origin saw, with what was recorded.

Recorded text may hold marks like <id> or <ms> for parts that differ each time, and <any> for anything.
"""
import json
import re

MARKS = {
    "id": "[0-9a-f]{32}", "ms": "[0-9]+", "reset": "[0-9]+", "n": "[0-9]+", "time": "[0-9.]+",
    "uuid": "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "key": "[0-9a-f]{64}",
    "server": "[A-Za-z]+/[0-9][^ ,]*", "any": "(?s:.*)",
}
MARK = re.compile("(<(?:%s)>)" % "|".join(MARKS))
UNORDERED = ("flattened_errors", "errors")  # JSON lists whose order means nothing


class Difference(AssertionError):
    """An answer that is not as recorded."""


def pattern(text):
    parts = MARK.split(text)
    return "".join(MARKS[p[1:-1]] if MARK.fullmatch(p) else re.escape(p) for p in parts)


def same_text(want, got):
    return want == got or (MARK.search(want) is not None and re.fullmatch(pattern(want), got) is not None)


def short(value):
    text = json.dumps(value)
    return text if len(text) <= 300 else text[:300] + "..."


def check(truth, where, want, got):
    if not truth:
        raise Difference("%s is %s, want %s" % (where, short(got), short(want)))


def check_text(where, want, got):
    check(same_text(want, got), where, want, got)


def check_json(where, want, got, subset=False):
    if isinstance(want, str):
        text = got if isinstance(got, str) else json.dumps(got)
        check(same_text(want, text) and (isinstance(got, str) or MARK.search(want)), where, want, got)
    elif isinstance(want, dict):
        check_object(where, want, got, subset)
    elif isinstance(want, list):
        check_list(where, want, got, subset)
    else:
        check(want == got and isinstance(want, bool) == isinstance(got, bool), where, want, got)


def check_object(where, want, got, subset):
    check(isinstance(got, dict), where, want, got)
    for name, value in want.items():
        check(name in got, where, name, sorted(got))
        unordered = name in UNORDERED and isinstance(value, list)
        (check_unordered if unordered else check_json)(where + "." + name, value, got[name], subset)
    check(subset or not set(got) - set(want), where, want, got)


def check_list(where, want, got, subset):
    check(isinstance(got, list) and len(got) == len(want), where, want, got)
    for i, value in enumerate(want):
        check_json("%s[%d]" % (where, i), value, got[i], subset)


def check_unordered(where, want, got, subset):
    check(isinstance(got, list) and len(got) == len(want), where, want, got)
    rest = list(got)
    for value in want:
        hit = next((g for g in rest if like(value, g, subset)), None)
        check(hit is not None, where, value, rest)
        rest.remove(hit)


def like(want, got, subset):
    try:
        check_json("", want, got, subset)
    except Difference:
        return False
    return True


def check_fields(side, want, absent, fields):
    for name, values in want.items():
        got = fields.all(name)
        ok = len(values) == len(got) and all(same_text(w, g) for w, g in zip(values, got))
        check(ok, "%s header %s" % (side, name), values, got)
    for name in absent:
        check(name not in fields, "%s header %s" % (side, name), None, fields.all(name))


def check_body(where, want, got):
    """`want` is text, {"contains": [...]}, {"json": ...}, {"json_subset": ...}, or None for any."""
    if want is None:
        return
    if isinstance(want, str):
        check_text(where, want, got)
        return
    for part in want.get("contains", []):
        check(re.search(pattern(part), got), where, part, got)
    for kind in ("json", "json_subset"):
        if kind in want:
            try:
                value = json.loads(got.encode("latin1"))
            except ValueError:
                raise Difference("%s is not JSON: %s" % (where, short(got))) from None
            check_json(where, want[kind], value, kind == "json_subset")


def sorted_arguments(text):
    return "&".join(sorted(text.split("&"), key=lambda a: a.split("=")[0]))


def any_order(target, body, fields):
    """Query and form arguments sorted by name; those of one name keep their order."""
    path, mark, query = target.partition("?")
    form = fields.get("content-type", "").startswith("application/x-www-form-urlencoded")
    return path + mark + sorted_arguments(query), sorted_arguments(body) if form else body


def check_answer(want, got):
    check(want["status"] == got.status, "status (body %s)" % short(got.body.decode("latin1")), want["status"],
          got.status)
    check_fields("answer", want.get("headers", {}), want.get("absent", []), got.fields)
    check_body("body", want.get("body"), got.body.decode("latin1"))


def check_upstream(want, seen):
    """`want` is the recorded request at the origin, None for none at all, or "any"."""
    if want == "any":
        return
    if want is None:
        check(not seen, "at the origin", [], [repr(r) for r in seen])
        return
    check(len(seen) == 1 or (seen and want.get("repeats")), "number of requests at the origin", 1, len(seen))
    request = seen[-1]
    target, body = request.target, request.body.decode("latin1")
    if want.get("any_order"):
        target, body = any_order(target, body, request.fields)
    check_text("method at the origin", want["method"], request.method)
    check_text("target at the origin", want["target"], target)
    check_fields("upstream", want.get("headers", {}), want.get("absent_headers", []), request.fields)
    check_body("body at the origin", want.get("body"), body)
