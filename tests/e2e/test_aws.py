# SPDX-License-Identifier: Apache-2.0
"""HTTP APIs of AWS, from Terraform and OpenAPI, as clients see them; and broken definitions.

Each file of tests/e2e/broken_aws opens with its expectations, as those of tests/e2e/broken do.
"""
import glob
import json
import os
import re
import signal
import threading
import time

from tests.e2e import test_config_errors as config_errors
from tests.e2e.test_jwt_authorizer import Provider
from tests.support import client, net, origin, tokens
from tests.support.gateway import Folder, Running, SETTINGS, run, set_options

HERE = os.path.dirname(os.path.abspath(__file__))
ALB = "user-service-alb-123456.us-east-1.elb.amazonaws.com"
MISSION = """\
resource "aws_apigatewayv2_api" "http_api" {
  name          = "user-service-api"
  protocol_type = "HTTP"
  description   = "User service HTTP API"
}
resource "aws_apigatewayv2_route" "users_route" {
  api_id    = aws_apigatewayv2_api.http_api.id
  route_key = "GET /users"
  target    = "integrations/${aws_apigatewayv2_integration.user_service.id}"
}
resource "aws_apigatewayv2_integration" "user_service" {
  api_id           = aws_apigatewayv2_api.http_api.id
  integration_type = "HTTP_PROXY"
  integration_uri  = "http://user-service-alb-123456.us-east-1.elb.amazonaws.com"
  connection_type  = "VPC_LINK"
  connection_id    = aws_apigatewayv2_vpc_link.vpc_link.id
}
"""


class Aws(Running):
    """A gateway over the files {name: text}, in which @ORIGIN@ is the origin's address."""

    def __init__(self, files, upstream, settings=None):
        folder = Folder()
        self.upstream, self.definitions = upstream, Folder()
        for name, text in files.items():
            self.write(name, text)
        self.address = net.own_host(), net.free_port()
        merged = {"proxy_listen": "%s:%d" % self.address, **SETTINGS, **(settings or {})}
        super().__init__(["run", "-c", self.definitions.path, *set_options(merged)], folder)

    def write(self, name, text):
        self.definitions.file(name, text.replace("@ORIGIN@", "%s:%d" % self.upstream.address))

    def kill(self):
        super().kill()
        self.definitions.close()

    def get(self, target, headers=(), host="test", method="GET"):
        return client.request(self.address, method, target, headers, host=host)


def check_error(answer, status, message):
    assert answer.status == status, answer
    assert json.loads(answer.body) == {"message": message}, answer.body
    assert answer.get("content-type") == "application/json", answer
    assert re.fullmatch("[A-Za-z0-9_-]{14,15}=", answer.get("apigw-requestid", "")), answer


def test_the_mission_as_it_stands(t):
    with origin.Origin() as upstream:
        hosts = {"aws_hosts": ALB + "=%s:%d" % upstream.address}
        with Aws({"main.tf": MISSION}, upstream, hosts) as gateway:
            answer = gateway.get("/users?a=1")
            assert answer.status == 200, answer
            assert answer.get("apigw-requestid"), answer
            request = upstream.take()[0]
            assert request.target == "/users?a=1", request
            assert request.get("host") == ALB, request
            check_error(gateway.get("/nope"), 404, "Not Found")
            check_error(gateway.get("/users", method="POST"), 404, "Not Found")
            check_error(gateway.get("/users/1"), 404, "Not Found")


KONG = """\
_format_version: "3.0"
services:
  - {name: k, url: "http://@ORIGIN@", routes: [{name: k, paths: [/kong], strip_path: false}]}
"""


def test_beside_kong_and_reloaded(t):
    with origin.Origin() as upstream:
        hosts = {"aws_hosts": ALB + "=%s:%d" % upstream.address}
        with Aws({"main.tf": MISSION, "kong.yaml": KONG}, upstream, hosts) as gateway:
            assert gateway.get("/users").status == 200
            assert gateway.get("/kong").status == 200
            assert gateway.get("/kong").get("x-kong-request-id") and gateway.get("/users").get("apigw-requestid")
            gateway.write("main.tf", MISSION.replace("GET /users", "GET /people"))
            gateway.send_signal(signal.SIGHUP)
            net.wait_until(lambda: "reload done" in gateway.stderr(), 10, "the new configuration on all shards")
            assert gateway.get("/people").status == 200
            assert gateway.get("/users").status == 404


API = """\
resource "aws_apigatewayv2_api" "a" {
  name          = "a"
  protocol_type = "HTTP"
%s}
resource "aws_apigatewayv2_integration" "i" {
  api_id           = aws_apigatewayv2_api.a.id
  integration_type = "HTTP_PROXY"
  integration_uri  = "http://@ORIGIN@%s"
}
"""
ROUTE = """\
resource "aws_apigatewayv2_route" "%s" {
  api_id    = aws_apigatewayv2_api.a.id
  route_key = "%s"
  target    = "integrations/${aws_apigatewayv2_integration.i.id}"
%s}
"""


def test_paths(t):
    routes = "".join(ROUTE % ("r%d" % i, key, "") for i, key in enumerate(
        ["GET /users/{id}", "ANY /files/{path+}", "$default"]))
    stages = "".join('resource "aws_apigatewayv2_stage" "s%d" {\n  api_id = aws_apigatewayv2_api.a.id\n'
                     '  name = "%s"\n}\n' % (i, name) for i, name in enumerate(["$default", "prod"]))
    with origin.Origin() as upstream:
        with Aws({"a.tf": API % ("", "/base") + routes + stages}, upstream) as gateway:
            for target, wanted in [("/users/7?x=1", "/base?x=1"), ("/files/a/b", "/base"),
                                   ("/other/x?y", "/base/other/x?y"), ("/prod/users/7", "/base"),
                                   ("/prod/other", "/base/other"), ("/prod", "/base")]:
                with t.case(target):
                    assert gateway.get(target).status == 200
                    assert upstream.take()[-1].target == wanted
        template = API % ("", "/v1/{id}/x") + ROUTE % ("r", "GET /users/{id}", "")
        with Aws({"a.tf": template + stages}, upstream) as gateway:
            for target in ("/users/7", "/prod/users/7"):
                assert gateway.get(target).status == 200
                assert upstream.take()[-1].target == "/v1/7/x"


def test_method_and_query(t):
    """An integration's own method and query: the query goes in front, a HEAD sent as a POST waits for no body."""
    wanted = [("/a", "/b?k=1"), ("/a?x=2&y", "/b?k=1&x=2&y"), ("/a?", "/b?k=1")]
    with origin.Origin() as upstream:
        definition = API % ("", "/b?k=1") + ROUTE % ("r", "ANY /a", "")
        definition = definition.replace('integration_type = "HTTP_PROXY"',
                                        'integration_type = "HTTP_PROXY"\n  integration_method = "POST"')
        with Aws({"a.tf": definition}, upstream) as gateway, client.Connection(gateway.address) as c:
            for target, sent in wanted:
                with t.case(target):
                    assert c.exchange(client.encode("GET", target)).status == 200
                    request = upstream.take()[-1]
                    assert (request.method, request.target) == ("POST", sent), request
            assert c.exchange(client.encode("HEAD", "/a"), "HEAD").status == 200
            assert upstream.take()[-1].method == "POST"
            assert c.exchange(client.encode("GET", "/a")).status == 200, "the connection is in step"
        with Aws({"a.tf": definition.replace('"POST"', '"HEAD"')}, upstream) as gateway, \
                client.Connection(gateway.address) as c, t.case("a HEAD tells of a body that does not come"):
            for _ in range(2):
                answer = c.exchange(client.encode("GET", "/a"))
                assert answer.status == 200 and answer.get("Content-Length") == "0", answer


def test_throttle_is_exact(t):
    """A burst from many connections, over two shards: as many pass as there are tokens."""
    stage = ('resource "aws_apigatewayv2_stage" "s" {\n  api_id = aws_apigatewayv2_api.a.id\n  name = "$default"\n'
             '  default_route_settings {\n    throttling_rate_limit = 0.001\n    throttling_burst_limit = 37\n  }\n}\n')
    with origin.Origin() as upstream:
        with Aws({"a.tf": API % ("", "") + ROUTE % ("r", "GET /a", "") + stage}, upstream) as gateway:
            answers = []

            def ask():
                for _ in range(10):
                    answers.append(gateway.get("/a"))

            threads = [threading.Thread(target=ask) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            passed = [answer for answer in answers if answer.status == 200]
            assert len(answers) == 80 and len(passed) == 37, len(passed)
            check_error(next(answer for answer in answers if answer.status != 200), 429, "Too Many Requests")


def test_cors(t):
    cors = '  cors_configuration {\n    allow_origins = ["https://a.test"]\n    allow_methods = ["GET"]\n  }\n'
    with origin.Origin() as upstream:
        with Aws({"a.tf": API % (cors, "") + ROUTE % ("r", "ANY /a", "")}, upstream) as gateway:
            asks = [("Origin", "https://a.test"), ("Access-Control-Request-Method", "GET")]
            answer = gateway.get("/a", asks, method="OPTIONS")
            assert answer.status == 204 and answer.body == b"", answer
            assert answer.get("access-control-allow-origin") == "https://a.test", answer
            assert answer.get("access-control-allow-methods") == "GET", answer
            assert upstream.take() == []
            answer = gateway.get("/a", [("Origin", "https://b.test"), asks[1]], method="OPTIONS")
            assert answer.status == 204 and answer.get("access-control-allow-origin") is None, answer
            answer = gateway.get("/a", asks[:1])
            assert answer.status == 200 and answer.get("access-control-allow-origin") == "https://a.test", answer
            assert gateway.get("/a", method="OPTIONS").status == 200


AUTHORIZER = """\
resource "aws_apigatewayv2_authorizer" "j" {
  api_id           = aws_apigatewayv2_api.a.id
  authorizer_type  = "JWT"
  name             = "j"
  identity_sources = ["$request.header.Authorization"]
  jwt_configuration {
    audience = ["api"]
    issuer   = "%s"
  }
}
"""


def test_jwt_authorizer(t):
    with origin.Origin() as upstream, Provider() as provider:
        private = provider.add("RS256", "k1")
        guarded = ('  authorization_type   = "JWT"\n  authorizer_id        = aws_apigatewayv2_authorizer.j.id\n'
                   '  authorization_scopes = ["read", "admin"]\n')
        text = API % ("", "") + ROUTE % ("r", "GET /a", guarded) + ROUTE % ("o", "GET /open", "")

        def token(**changes):
            now = int(time.time())
            claims = {"iss": provider.url, "aud": "api", "exp": now + 600, "scope": "read", **changes}
            return [("Authorization", "Bearer " + tokens.signed(claims, private, "RS256", kid="k1"))]

        with Aws({"a.tf": text + AUTHORIZER % provider.url}, upstream) as gateway:
            assert gateway.get("/open").status == 200
            check_error(gateway.get("/a"), 401, "Unauthorized")
            assert gateway.get("/a", token()).status == 200
            check_error(gateway.get("/a", token(aud="other")), 401, "Unauthorized")
            check_error(gateway.get("/a", token(exp=1000)), 401, "Unauthorized")
            check_error(gateway.get("/a", token(scope="write")), 403, "Forbidden")


OPENAPI = """\
openapi: 3.0.1
info: {title: pets, version: "1"}
paths:
  /pets/{id}:
    get:
      x-amazon-apigateway-integration: {type: http_proxy, httpMethod: GET, uri: "http://@ORIGIN@/p/{id}"}
"""


def test_openapi(t):
    with origin.Origin() as upstream:
        with Aws({"pets.yaml": OPENAPI}, upstream) as gateway:
            assert gateway.get("/pets/7").status == 200
            assert upstream.take()[0].target == "/p/7"
            check_error(gateway.get("/pets"), 404, "Not Found")


def test_broken_files(t):
    paths = sorted(glob.glob(os.path.join(HERE, "broken_aws", "*.*")))
    assert len(paths) >= 15
    for path in paths:
        with t.case(os.path.basename(path)):
            assert config_errors.expectations(path), "names no error"
            config_errors.check_broken(path)


def test_broken_mission_cut_off(t):
    """A file that ends anywhere is an error with its place, or a smaller definition."""
    with Folder() as folder:
        for size in range(0, len(MISSION), 53):
            done = run("check", "-c", folder.file("main.tf", MISSION[:size]))
            assert done.returncode in (0, 1), done


test_broken_files.seconds = 60
