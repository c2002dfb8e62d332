# SPDX-License-Identifier: Apache-2.0
"""Functions: what they are told, what becomes of their answers, and every way to the keys that sign."""
import base64
import json
import threading

from tests.support import origin
from tests.support.aws import Aws
from tests.support.gateway import Gateway, run, simple_config, Folder

NO_AWS = {name: "" for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION",
                                "AWS_DEFAULT_REGION", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN",
                                "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI")}
FAILURE = "An unexpected error occurred"


def config_of(aws, keys=True, **options):
    fields = {"aws_region": aws.region, "host": aws.address[0], "port": aws.address[1], "disable_https": True,
              "function_name": "f", "timeout": 5000, **options}
    if keys:
        fields.update(aws_key="AKID", aws_secret="secret/+key")
    config = simple_config("http://127.0.0.1:1", paths=["/", r"~/items/(?<id>\d+)$"])
    config["plugins"] = [{"name": "aws-lambda", "config": {k: v for k, v in fields.items() if v is not None}}]
    return config


def start_all(aws, rows):
    """A route /N per row, whose function is N; `rows` are the options of each."""
    config = {"_format_version": "3.0", "routes": []}
    for number, options in enumerate(rows):
        one = config_of(aws, function_name=str(number), **options)
        config["routes"].append({"name": "r%d" % number, "paths": ["/%d" % number], "strip_path": False,
                                 "plugins": one["plugins"]})
    return Gateway(config, env=NO_AWS)


def start(aws, env=None, keys=True, **options):
    return Gateway(config_of(aws, keys, **options), env={**NO_AWS, **(env or {})})


def test_events(t):
    """What a function is told, in each of the three forms."""
    form = [("Content-Type", "application/x-www-form-urlencoded")]
    jsons = [("Content-Type", "application/json")]
    rows = (
        ("the query", {}, ("GET", "/?a=1&b=%20x&a=2&flag", [], b""), {"a": ["1", "2"], "b": " x", "flag": True}),
        ("a form", {}, ("POST", "/?a=1", form, b"a=2&c=3+4"), {"a": "2", "c": "3 4"}),
        ("JSON", {}, ("POST", "/?a=1", jsons, b'{"a":{"b":[1]},"d":null}'), {"a": {"b": [1]}, "d": None}),
        ("broken JSON", {}, ("POST", "/?a=1", jsons, b'{"a'), {"a": "1"}),
        ("nothing", {}, ("POST", "/", [], b""), {}),
        ("the method", {"forward_request_method": True}, ("PATCH", "/x", [], b"y"), {"request_method": "PATCH"}),
        ("the URI", {"forward_request_uri": True}, ("GET", "/x%20y?a=1&b", [], b""),
         {"request_uri": "/x%20y?a=1&b", "request_uri_args": {"a": "1", "b": True}}),
        ("a JSON body", {"forward_request_body": True}, ("POST", "/", jsons, b'{"a":1}'),
         {"request_body": '{"a":1}', "request_body_args": {"a": 1}}),
        ("a form body", {"forward_request_body": True}, ("POST", "/", form, b"a=1"),
         {"request_body": "a=1", "request_body_args": {"a": "1"}}),
        ("a text body", {"forward_request_body": True}, ("POST", "/", [("Content-Type", "text/plain")], b"hi"),
         {"request_body": "hi", "request_body_args": {}}),
        ("another body", {"forward_request_body": True}, ("POST", "/", [("Content-Type", "image/x")], b"\xff\0"),
         {"request_body": base64.b64encode(b"\xff\0").decode(), "request_body_args": {},
          "request_body_base64": True}),
        ("another body as it is", {"forward_request_body": True, "base64_encode_body": False},
         ("POST", "/", [("Content-Type", "image/x")], b"hi"), {"request_body": "hi", "request_body_args": {}}),
    )
    with Aws() as aws:
        with start_all(aws, [row[1] for row in rows]) as gateway:
            for number, (name, _, (method, target, headers, body), expected) in enumerate(rows):
                with t.case(name):
                    answer = gateway.request(method, "/%d%s" % (number, target), headers=headers, body=body)
                    assert (answer.status, answer.body) == (200, b'{"ok":true}'), (answer.status, aws.flaws)
                    if "request_uri" in expected:
                        expected["request_uri"] = "/%d%s" % (number, expected["request_uri"])
                    assert aws.events[-1] == (str(number), "", expected), aws.events[-1]
        with t.case("headers"), start(aws, forward_request_headers=True) as gateway:
            gateway.get("/", [("X-One", "1"), ("X-Two", "1"), ("x-two", "2")])
            told = aws.events[-1][2]["request_headers"]
            assert told["x-one"] == "1" and told["x-two"] == ["1", "2"] and told["host"] == "test", told


def test_gateway_event(t):
    with Aws() as aws, start(aws, awsgateway_compatible=True) as gateway:
        with t.case("a request"):
            gateway.request("POST", "/items/7?a=1&a=2&b=3", headers=[("User-Agent", "me"), ("X-A", "b")], body=b"hey")
            event = aws.events[-1][2]
            assert event["version"] == "1.0" and event["httpMethod"] == "POST" and event["path"] == "/items/7"
            assert event["pathParameters"] == {"id": "7"}, event
            assert event["queryStringParameters"] == {"a": "1", "b": "3"}
            assert event["multiValueQueryStringParameters"] == {"a": ["1", "2"], "b": ["3"]}
            assert event["headers"]["x-a"] == "b" and event["multiValueHeaders"]["x-a"] == ["b"]
            assert (event["body"], event["isBase64Encoded"]) == (base64.b64encode(b"hey").decode(), True)
            context = event["requestContext"]
            assert context["httpMethod"] == "POST" and context["protocol"] == "HTTP/1.1"
            assert context["identity"]["userAgent"] == "me" and context["identity"]["sourceIp"]
            assert context["requestId"] and context["requestTimeEpoch"] > 1e12 and context["path"] == "/items/7"


def test_answers(t):
    proxy = {"is_proxy_integration": True}
    bad = {"message": "Bad Gateway"}
    rows = (
        ("passed on", {}, (200, [], b'{"a":[1, 2]}'), 200, b'{"a":[1, 2]}'),
        ("empty arrays", {}, (200, [], b'{"a":[ ],"b":"[]","c":[[]]}'), 200, b'{"a":{},"b":"[]","c":[{}]}'),
        ("empty arrays kept", {"empty_arrays_mode": "correct"}, (200, [], b'{"a":[]}'), 200, b'{"a":[]}'),
        ("unhandled", {"unhandled_status": 418}, (200, [("X-Amz-Function-Error", "Unhandled")], b"{}"), 418, b"{}"),
        ("unhandled, not asked", {}, (200, [("X-Amz-Function-Error", "Unhandled")], b"{}"), 200, b"{}"),
        ("handled", {"unhandled_status": 418}, (200, [("X-Amz-Function-Error", "Handled")], b"{}"), 200, b"{}"),
        ("an event", {"invocation_type": "Event"}, (202, [], b""), 202, b""),
        ("AWS refuses", {}, (404, [], b'{"Message":"no such function"}'), 500, FAILURE),
        ("AWS fails", {}, (500, [], b"{}"), 500, FAILURE),
        ("proxy", proxy, (200, [], b'{"statusCode":201,"headers":{"X-A":"b","X-N":5,"X-T":true},"body":"hi"}'),
         201, b"hi"),
        ("proxy, status as text", proxy, (200, [], b'{"statusCode":"404"}'), 404, b""),
        ("proxy, base64", proxy, (200, [], b'{"statusCode":200,"isBase64Encoded":true,"body":"aGkA"}'), 200, b"hi\0"),
        ("proxy, no status", proxy, (200, [], b"{}"), 502, {**bad, "error": "statusCode validation failed"}),
        ("proxy, bad status", proxy, (200, [], b'{"statusCode":700}'), 502,
         {**bad, "error": "statusCode validation failed"}),
        ("proxy, headers", proxy, (200, [], b'{"statusCode":200,"headers":"x"}'), 502,
         {**bad, "error": "headers must be a table"}),
        ("proxy, body", proxy, (200, [], b'{"statusCode":200,"body":{}}'), 502,
         {**bad, "error": "body must be a string"}),
        ("proxy, encoding", proxy, (200, [], b'{"statusCode":200,"isBase64Encoded":1}'), 502,
         {**bad, "error": "isBase64Encoded must be a boolean"}),
        ("proxy, a number", proxy, (200, [], b"5"), 502, {**bad, "error": "proxy response must be json format"}),
        ("proxy, line end in a header", proxy, (200, [], b'{"statusCode":200,"headers":{"a":"b\\r\\nc: d"}}'), 502,
         {**bad, "error": "headers must be names and values"}),
        ("proxy, no JSON", proxy, (200, [], b"<html>"), 502, None),
    )
    with Aws(lambda name, event: rows[int(name)][2]) as aws:
        for number, (name, _, _, status, expected) in enumerate(rows):
            if number == 0:
                gateway = start_all(aws, [row[1] for row in rows])
            with t.case(name):
                answer = gateway.get("/%d" % number)
                assert answer.status == status, (answer.status, answer.body, aws.flaws)
                if isinstance(expected, bytes):
                    assert answer.body == expected, answer.body
                elif isinstance(expected, dict):
                    told = json.loads(answer.body)
                    error = "could not JSON decode Lambda function response: " + expected["error"]
                    assert told == {"message": "Bad Gateway", "error": error}, told
                elif expected:
                    assert expected.encode() in answer.body, answer.body
                if status < 300:
                    assert answer.get("X-Amzn-RequestId") == "id-1"
        gateway.stop()
        aws.answer = lambda name, event: (200, [("X-Lambda", "1")], json.dumps(
            {"statusCode": 200, "headers": {"content-type": "text/x", "X-A": "b", "X-M": "no"},
             "multiValueHeaders": {"X-M": ["1", "2"]}, "body": "x"}).encode())
        with t.case("proxy, headers of many values"), start(aws, is_proxy_integration=True) as gateway:
            answer = gateway.get("/")
            assert answer.get("Content-Type") == "text/x" and answer.get("X-A") == "b", answer.fields
            assert answer.all("X-M") == ["1", "2"] and answer.get("X-Lambda") == "1", answer.fields
        big = b'{"x":"' + b"y" * 3000000 + b'"}'
        aws.answer = lambda name, event: (200, [], big)
        with t.case("large"), start(aws) as gateway:
            assert gateway.get("/").body == big


def test_invocations(t):
    with Aws() as aws:
        with t.case("name, alias and kind"), start(aws, function_name="arn:aws:lambda:eu-west-1:1:function:g",
                                                   qualifier="live $x", invocation_type="Event",
                                                   log_type="None") as gateway:
            assert gateway.get("/").status == 200, aws.flaws
            assert aws.events[-1][:2] == ("arn:aws:lambda:eu-west-1:1:function:g", "Qualifier=live%20%24x")
            assert aws.last.get("X-Amz-Invocation-Type") == "Event" and aws.last.get("X-Amz-Log-Type") == "None"
        with t.case("connections are kept"), start(aws) as gateway:
            before = len({id(r.connection) for r in aws.requests})
            with gateway.connect() as connection:
                for _ in range(5):
                    connection.send(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
                    assert connection.read().status == 200
            assert len({id(r.connection) for r in aws.requests}) == before + 1
        with t.case("nobody there"), start(aws, port=1) as gateway:
            assert gateway.get("/").status == 500
        with t.case("a wrong secret"), start(aws, keys=False, aws_key="AKID", aws_secret="other") as gateway:
            assert gateway.get("/").status == 500 and aws.flaws
        aws.answer = lambda name, event: threading.Event().wait(3) or (200, [], b"{}")
        with t.case("too slow"), start(aws, timeout=100) as gateway:
            assert gateway.get("/").status == 500
    with Aws() as proxy, t.case("through a proxy"):
        with start(proxy, host="lambda.test", port=80, proxy_url=proxy.url) as gateway:
            proxy.handler = lambda request: origin.answer(body=request.target.encode())
            path = "/2015-03-31/functions/f/invocations"
            assert gateway.get("/").body == b"http://lambda.test" + path.encode()


def test_keys(t):
    with Aws() as aws, Folder() as folder:
        token = folder.file("token", "web.token\n")
        role = {"aws_assume_role_arn": "arn:aws:iam::1:role/other", "aws_sts_endpoint_url": aws.url}
        environment = {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "secret/+key"}
        web = {"AWS_WEB_IDENTITY_TOKEN_FILE": token, "AWS_ROLE_ARN": "arn:aws:iam::1:role/web"}
        machine = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": aws.url}
        container = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": aws.url + "/container",
                     "AWS_CONTAINER_AUTHORIZATION_TOKEN": "container-token"}
        rows = (("environment", environment, {}, "AKID"), ("web identity", web, {}, "WEB"),
                ("container", container, {}, "CONTAINER"), ("machine", machine, {}, "MACHINE"),
                ("machine, version 2", machine, {"aws_imds_protocol_version": "v2"}, "MACHINE"),
                ("a role", environment, role, "ROLE"), ("a role of a machine", machine, role, "ROLE"),
                ("a role of a web identity", web, role, "ROLE"))
        for name, env, options, signer in rows:
            options = {"aws_sts_endpoint_url": aws.url, **options}
            with t.case(name), start(aws, env, keys=False, **options) as gateway:
                for _ in range(5):
                    assert gateway.get("/").status == 200, aws.flaws
                assert all(key.startswith(signer) for key in aws.signers[-5:]), aws.signers
                assert len(set(aws.signers[-5:])) <= 2, "once per shard"
        aws.lifetime = 100
        with t.case("short-lived ones"), start(aws, machine, keys=False) as gateway:
            asked = len(aws.asked)
            for _ in range(6):
                assert gateway.get("/").status == 200, aws.flaws
            assert len(aws.asked) <= asked + 4, aws.asked  # two shards, role and keys
        aws.lifetime = 5
        with t.case("too old"), start(aws, machine, keys=False) as gateway:
            assert gateway.get("/").status == 500
        with t.case("nowhere"), start(aws, {"AWS_EC2_METADATA_DISABLED": "true"}, keys=False) as gateway:
            assert gateway.get("/").status == 500
        with t.case("region of the environment"), start(aws, {"AWS_REGION": aws.region}, aws_region=None) as gateway:
            assert gateway.get("/").status == 200, aws.flaws


def test_errors(t):
    rows = (({"aws_key": "k"}, "all or none of these fields must be set: 'aws_key', 'aws_secret'"),
            ({"proxy_url": "https://p/"}, "proxy_url: expected an http URL"),
            ({"aws_sts_endpoint_url": "x"}, "aws_sts_endpoint_url: expected an http or https URL"),
            ({"host": "a b"}, "host: makes no URL"),
            ({"function_name": None}, "function_name: required field missing"),
            ({"unhandled_status": 99}, "unhandled_status"))
    with Aws() as aws, Folder() as folder:
        for options, message in rows:
            with t.case(message):
                name = folder.file("kong.json", json.dumps(config_of(aws, keys=False, **options)))
                done = run("check", "-c", name)
                assert done.returncode == 1 and message in done.stdout + done.stderr, done.stdout + done.stderr
