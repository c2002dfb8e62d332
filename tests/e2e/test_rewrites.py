# SPDX-License-Identifier: Apache-2.0
"""What Mappings make of a path, and that nothing of it gets into a head as it is."""
from tests.support import client, origin
from tests.support.gateway import Folder, Gateway, run

MAPPING = """\
---
apiVersion: getambassador.io/v3alpha1
kind: Mapping
metadata: {name: %s}
spec:
  hostname: "*"
  prefix: %s
  service: "%s:%d"
"""
PREFIXES = {
    "plain": ("/plain/", ""),
    "dash": ("/dash/", '  regex_rewrite: {pattern: "-", substitution: "__"}\n'),
    "none": ("/none/", '  regex_rewrite: {pattern: "no such thing", substitution: "x"}\n'),
    "empty": ("/empty/", '  regex_rewrite: {pattern: "x*", substitution: "."}\n'),
    "fields": ("/fields/", "".join(
        '  add_%s_headers: {content-length: {value: "3", append: false}, transfer-encoding: x}\n' % side
        for side in ("request", "response"))),
    "to": ("/to/", '  host_redirect: true\n  prefix_redirect: /new/\n'),
}

REQUESTS = [  # what is asked for, what the origin is asked for
    ("/plain/x", "/x"),
    ("/plain/x?a#" + "f" * 6000, "/x?a"),
    ("/plain/%0d%0aX:%20y", "/%0D%0AX:%20y"),
    ("/none/a-b", "/none/a-b"),
    ("/dash/" + "a-" * 3900, "/dash/" + "a__" * 3900),
    ("/empty/%c3%a9x%c3%a9", "./.e.m.p.t.y./.%C3%A9..%C3%A9."),
]


def test_paths(t):
    with origin.Origin() as upstream:
        config = "".join(MAPPING % (name, prefix, *upstream.address) + more
                         for name, (prefix, more) in PREFIXES.items())
        with Gateway(config) as gateway:
            for target, wanted in REQUESTS:
                with t.case(target[:40]):
                    assert gateway.get(target).status == 200
                    assert upstream.one().target == (wanted if wanted[0] == "/" else "/" + wanted)
            with t.case("lengths stay true"), gateway.connect() as connection:
                for _ in range(2):
                    answer = connection.exchange(client.encode("PUT", "/fields/x", body=b"body"))
                    assert answer.status == 200 and answer.body == origin.BODY, answer
                    assert upstream.one().body == b"body"
            with t.case("a redirect"):
                answer = gateway.get("/to/%0d%0aSet-Cookie:%20x?q%0d%0a")
                assert answer.status == 301 and answer.get("Set-Cookie") is None
                assert answer.get("Location").endswith("/new/%0D%0ASet-Cookie:%20x?q%0d%0a"), answer


BROKEN = [
    ('  add_response_headers: {x: "a\\r\\nSet-Cookie: b"}\n', "control characters"),
    ('  add_request_headers: {"x\\r\\ny": "a"}\n', "cannot be set so"),
    ('  add_request_headers: {"x: y": {value: "a", append: false}}\n', "cannot be set so"),
    ('  host_rewrite: "a\\r\\nx: y"\n', "host"),
]


def test_definitions_that_would_break_a_head(t):
    with Folder() as folder:
        for more, said in BROKEN:
            with t.case(more.strip()):
                path = folder.file("mapping.yaml", MAPPING % ("m", "/m/", "127.0.0.1", 1) + more)
                done = run("check", "-c", path)
                assert done.returncode != 0 and said in done.stderr + done.stdout, done
