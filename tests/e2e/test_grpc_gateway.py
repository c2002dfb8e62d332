# SPDX-License-Identifier: Apache-2.0
"""JSON over HTTP to a real gRPC server (plugins/grpc_gateway.md), and gRPC-Web (plugins/grpc_web.md)."""
import base64
import json
import struct

from tests.support import gateway, grpc_things
from tests.support.gateway import Gateway


def config(server, plugin, route=None, **options):
    return {"_format_version": "3.0", "services": [{
        "name": "things", "protocol": "grpc", "host": server.host, "port": server.port,
        "routes": [{"name": "r", "paths": ["/"], **(route or {})}],
        "plugins": [{"name": plugin, "config": options}]}]}


def told(answer):
    return json.loads(answer.body)


def empty(**values):
    return {"name": "", "count": "0", "tags": [], "kind": "PLAIN", "labels": {}, "data": "", "flag": False,
            **values}


def check_methods(t, front):
    with t.case("variables in the path, the query"):
        answer = front.get("/v1/things/a%20b?count=12&tags=x&tags=y%2Bz&part.label=l&part.numbers=1"
                           "&part.numbers=-2&kind=FANCY&flag=true&at=2024-01-02T03:04:05Z&unknown=1")
        assert answer.status == 200, answer
        assert answer.get("content-type") == "application/json", answer
        assert answer.get("access-control-allow-origin") == "*"
        assert told(answer) == empty(name="a b", count="12", tags=["x", "y+z"], kind="FANCY", flag=True,
                                     part={"label": "l", "numbers": [1, -2]},
                                     at="2024-01-02T03:04:05Z"), answer
    with t.case("all of it in the body"):
        body = {"name": "n", "count": 5, "labels": {"k": "v"}, "data": "AAE=", "part": {"numbers": []}}
        answer = front.request("POST", "/v1/things?count=9", body=json.dumps(body).encode())
        assert told(answer) == empty(name="n", count="5", labels={"k": "v"}, data="AAE=",
                                     part={"label": "", "numbers": []}), answer
    with t.case("a field in the body, and one as the response"):
        answer = front.request("PUT", "/v1/things/x/part", body=b'{"label": "q", "numbers": [7]}')
        assert told(answer) == {"label": "q", "numbers": [7]}, answer
    with t.case("segments in a variable, and a verb"):
        answer = front.get("/v1/shelves/1/books/2/3:read")
        assert told(answer)["part"]["label"] == "shelves/1/books/2/3", answer
    with t.case("no body"):
        assert told(front.request("POST", "/v1/things")) == empty()
    with t.case("a stream"):
        answer = front.get("/v1/count/3?name=s")
        assert answer.status == 200
        whole = answer.body.decode().replace("}{", "}\n{").splitlines()
        assert [json.loads(one)["count"] for one in whole] == ["0", "1", "2"], answer


def check_refusals(t, front):
    for target, status in ((1, 499), (2, 500), (3, 400), (4, 504), (5, 404), (6, 409), (7, 403), (8, 429),
                           (9, 400), (10, 409), (11, 400), (12, 500), (13, 500), (14, 503), (15, 500),
                           (16, 401)):
        with t.case("grpc-status %d" % target):
            answer = front.get("/v1/fail/%d" % target)
            assert answer.status == status, answer
            assert answer.get("grpc-status") == str(target), answer
            assert answer.get("grpc-message") == "no: %C3%BC%25", answer
    for name, answer, text in (
            ("a path that no method has", front.get("/v2"),
             b'failed to transcode .proto file Unknown path "/v2"'),
            ("a method that no rule has", front.request("DELETE", "/v1/things"),
             b'failed to transcode .proto file Unknown method "delete"'),
            ("a query that does not fit", front.get("/v1/things/x?count=y"),
             b'field "count": expected an integer'),
            ("a body that is no JSON", front.request("POST", "/v1/things", body=b"{"),
             b"the body is no valid JSON"),
            ("a body that does not fit", front.request("POST", "/v1/things", body=b'{"tags": 1}'),
             b'field "tags": expected an array')):
        with t.case(name):
            assert answer.status == 400 and answer.body == text, answer
            assert answer.get("access-control-allow-origin") == "*"
    with t.case("OPTIONS"):
        answer = front.request("OPTIONS", "/v1/things")
        assert answer.status == 200 and answer.body == b"OK"
        assert answer.get("access-control-allow-methods") == "GET,POST,PATCH,DELETE"
        assert answer.get("access-control-allow-headers") == "content-type"
        assert answer.get("content-type") == "application/json"


def test_gateway(t):
    with grpc_things.Server() as server:
        with Gateway(config(server, "grpc-gateway", proto=server.proto)) as front:
            check_methods(t, front)
            check_refusals(t, front)
            with t.case("what the server saw"):
                metadata = server.seen[0][0]
                assert metadata["x-forwarded-path"] == "/v1/things/a%20b", metadata
        with Gateway(config(server, "grpc-gateway")) as front, t.case("without a .proto file"):
            answer = front.get("/v1/things/x")
            assert answer.status == 400 and b"require a .proto file" in answer.body


def frame(message, flags=0):
    return struct.pack(">BI", flags, len(message)) + message


def frames(body):
    out = []
    while body:
        flags, size = struct.unpack(">BI", body[:5])
        out.append((flags, body[5:5 + size]))
        body = body[5 + size:]
    return out


def decoded(text):
    """Base64 piece by piece: each may be padded."""
    return b"".join(base64.b64decode(text[i:i + 4]) for i in range(0, len(text), 4))


def call(front, method, body, kind):
    return front.request("POST", "/things.v1.Things/" + method, [("Content-Type", kind)], body)


def check_web(t, server, front):
    thing = server.Thing(name="w" * 3000, count=3)
    message = thing.SerializeToString()
    end = b"grpc-status:0\r\ngrpc-message:\r\n"
    for kind in ("application/grpc-web", "application/grpc-web+proto"):
        with t.case(kind):
            answer = call(front, "Echo", frame(message), kind)
            assert answer.status == 200 and answer.get("content-type") == kind, answer
            assert answer.get("access-control-allow-origin") == "*" and answer.get("x-early") == "1"
            first, last = frames(answer.body)
            assert server.Thing.FromString(first[1]) == thing
            assert last[0] == 0x80 and last[1].startswith(end) and b"x-late:2\r\n" in last[1], last
    for kind in ("application/grpc-web-text", "application/grpc-web-text+proto"):
        with t.case(kind):
            answer = call(front, "Echo", base64.b64encode(frame(message)), kind)
            first, last = frames(decoded(answer.body))
            assert server.Thing.FromString(first[1]) == thing and last[1].startswith(end), answer
    with t.case("padding inside"):
        whole = frame(message)
        answer = call(front, "Echo", base64.b64encode(whole[:4]) + base64.b64encode(whole[4:]),
                      "application/grpc-web-text")
        assert server.Thing.FromString(frames(decoded(answer.body))[0][1]) == thing
    with t.case("a stream"):
        answer = call(front, "Count", frame(message), "application/grpc-web")
        assert [server.Thing.FromString(one).count for flags, one in frames(answer.body)[:3]] == [0, 1, 2]
        assert len(frames(answer.body)) == 4
    with t.case("a status without a message"):
        answer = call(front, "Fail", frame(message), "application/grpc-web")
        assert frames(answer.body) == [(0x80, b"grpc-status:3\r\ngrpc-message:no: %C3%BC%25\r\n")], answer
    with t.case("OPTIONS"):
        answer = front.request("OPTIONS", "/things.v1.Things/Echo")
        assert answer.status == 200 and answer.body == b"OK"
        assert answer.get("content-type") == "application/grpc-web-text+proto"
        assert answer.get("access-control-allow-methods") == "POST"
        assert answer.get("access-control-allow-headers") == "content-type,x-grpc-web,x-user-agent"
    with t.case("bad base64"):
        answer = call(front, "Echo", b"?", "application/grpc-web-text")
        assert answer.status == 400, answer


def test_web(t):
    with grpc_things.Server() as server:
        with Gateway(config(server, "grpc-web")) as front:
            check_web(t, server, front)
            with t.case("JSON needs a .proto file"):
                answer = call(front, "Echo", b"{}", "application/json")
                assert answer.status == 400 and b"require a .proto file" in answer.body, answer
        with Gateway(config(server, "grpc-web", proto=server.proto, allow_origin_header="http://a")) as front:
            with t.case("application/json"):
                answer = call(front, "Echo", b'{"name": "j"}', "application/json")
                assert told(answer) == empty(name="j"), answer
                assert answer.get("content-type") == "application/json"
                assert answer.get("access-control-allow-origin") == "http://a"
            with t.case("application/grpc-web+json"):
                answer = call(front, "Echo", frame(b'{"name": "j"}'), "application/grpc-web+json")
                first, last = frames(answer.body)
                assert json.loads(first[1]) == empty(name="j") and last[0] == 0x80, answer
            with t.case("a method that is not there"):
                answer = call(front, "None", b"{}", "application/json")
                assert answer.status == 400 and answer.body == b'Unkown path "/things.v1.Things/None"', answer
        stripped = config(server, "grpc-web", {"paths": ["/api"]}, pass_stripped_path=True)
        with Gateway(stripped) as front, t.case("below a path of the route"):
            answer = front.request("POST", "/api/things.v1.Things/Echo",
                                   [("Content-Type", "application/grpc-web")], frame(b""))
            assert answer.status == 200 and len(frames(answer.body)) == 2, answer


def test_bad_files(t):
    with gateway.Folder() as folder:
        for name, text, reason in (
                ("a word that is not there", 'syntax = "proto3"; message A { Gone x = 1; }',
                 ':1:32: services[0].plugins[0].config.proto: nobody declares "Gone"'),
                ("no such field", 'syntax = "proto3"; message A {} service S { rpc G (A) returns (A) {'
                 ' option (google.api.http) = { get: "/{x}" }; } }', 'no such field: "x"'),
                ("no template", 'syntax = "proto3"; message A {} service S { rpc G (A) returns (A) {'
                 ' option (google.api.http) = { get: "x" }; } }', 'no valid path template: "x"')):
            with t.case(name):
                path = folder.file("bad.proto", text)
                rows = {"_format_version": "3.0", "services": [{"name": "s", "url": "grpc://h", "plugins": [
                    {"name": "grpc-gateway", "config": {"proto": path}}]}]}
                done = gateway.run("check", "-c", folder.file("k.json", json.dumps(rows)))
                assert done.returncode == 1 and reason in done.stderr, done.stderr
        with t.case("no such file"):
            rows["services"][0]["plugins"][0]["config"]["proto"] = folder.file("none.proto")
            done = gateway.run("check", "-c", folder.file("k.json", json.dumps(rows)))
            assert done.returncode == 1 and "none.proto\": No such file" in done.stderr, done.stderr
