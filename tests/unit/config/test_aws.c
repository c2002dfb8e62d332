/* SPDX-License-Identifier: Apache-2.0 */
/* Definitions of AWS HTTP APIs: what becomes of them in the model, and what is refused where. */
#include "tests/support/aws_setup.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct aws_setup setup;

static void start(void)
{
    aws_setup_init(&setup);
}

static void stop(void)
{
    aws_setup_deinit(&setup);
}

TestSuite(aws, .init = start, .fini = stop);

static void must_read(const char *path, const char *text)
{
    aws_setup_add(&setup, path, text);
    bool good = aws_setup_read(&setup);
    for (uint32_t i = 0; !good && i < setup.report.count; i++)
        fprintf(stderr, "%u: %s: %s\n", setup.report.entries[i].line, setup.report.entries[i].path,
                setup.report.entries[i].reason);
    cr_assert(good);
}

static const struct route *match(const char *request)
{
    const struct route *route = aws_setup_match(&setup, "h", request, NULL);
    cr_assert_not_null(route, "%s", request);
    return route;
}

static const char mission[] =
    "resource \"aws_apigatewayv2_api\" \"http_api\" {\n"
    "  name          = \"user-service-api\"\n"
    "  protocol_type = \"HTTP\"\n"
    "  description   = \"User service HTTP API\"\n"
    "}\n"
    "resource \"aws_apigatewayv2_route\" \"users_route\" {\n"
    "  api_id    = aws_apigatewayv2_api.http_api.id\n"
    "  route_key = \"GET /users\"\n"
    "  target    = \"integrations/${aws_apigatewayv2_integration.user_service.id}\"\n"
    "}\n"
    "resource \"aws_apigatewayv2_integration\" \"user_service\" {\n"
    "  api_id           = aws_apigatewayv2_api.http_api.id\n"
    "  integration_type = \"HTTP_PROXY\"\n"
    "  integration_uri  = "
    "\"http://user-service-alb-123456.us-east-1.elb.amazonaws.com\"\n"
    "  connection_type  = \"VPC_LINK\"\n"
    "  connection_id    = aws_apigatewayv2_vpc_link.vpc_link.id\n"
    "}\n";

Test(aws, the_mission_as_it_stands)
{
    must_read("mission.tf", mission);
    const struct route *route = match("GET /users");
    cr_assert_eq(setup.report.count, 1);
    cr_assert(aws_setup_reported(&setup, REPORT_WARNING, 16,
                                 "'aws_apigatewayv2_vpc_link.vpc_link.id' is not declared in these files"));
    cr_assert_str_eq(route->service->host.data, "user-service-alb-123456.us-east-1.elb.amazonaws.com");
    cr_assert(route->service->port == 80 && !route->strip_path && route->service->path.data == NULL);
    cr_assert(route->action->style == ANSWER_STYLE_AWS && route->action->timeout_ms == 30000);
    cr_assert_eq(setup.model->style, ANSWER_STYLE_AWS);
    cr_assert_eq(route->service->retries, 0);
    cr_assert_null(aws_setup_match(&setup, "h", "GET /nope", NULL));
}

Test(aws, the_mission_cut_off_anywhere)
{
    for (size_t size = 0; size < sizeof(mission) - 1; size += 3) {
        aws_setup_add(&setup, "m.tf", arena_format(&setup.arena, "%.*s", (int)size, mission).data);
        aws_setup_read(&setup);
        aws_setup_deinit(&setup);
        aws_setup_init(&setup);
    }
}

#define API                                                                                      \
    "resource \"aws_apigatewayv2_api\" \"a\" {\n  name = \"a\"\n  protocol_type = \"HTTP\"\n}\n" \
    "locals { api = aws_apigatewayv2_api.a.id }\n"
#define INTEGRATION(more)                                                       \
    "resource \"aws_apigatewayv2_integration\" \"i\" {\n  api_id = local.api\n" \
    "  integration_type = \"HTTP_PROXY\"\n" more "\n}\n"
#define ROUTE(name, key, more)                                                                       \
    "resource \"aws_apigatewayv2_route\" \"" name "\" {\n  api_id = local.api\n  route_key = \"" key \
    "\"\n  target = \"integrations/${aws_apigatewayv2_integration.i.id}\"\n" more "\n}\n"

Test(aws, uris_are_used_as_written)
{
    must_read("a.tf", API INTEGRATION("integration_uri = \"http://b.test:81/base/{id}\"\n"
                                      "integration_method = \"GET\"\ntimeout_milliseconds = 5000")
                          ROUTE("r", "GET /users/{id}", ""));
    const struct route *route = match("GET /users/7");
    cr_assert(route->service->port == 81 && slice_equal(route->service->host, SLICE("b.test")));
    cr_assert_eq(route->action->path.kind, PATH_EDIT_TEMPLATE);
    cr_assert_str_eq(route->action->path.text.data, "/base/{id}");
    cr_assert(route->action->timeout_ms == 5000 && route->service->read_timeout_ms == 5000);
}

Test(aws, default_route_appends_the_path)
{
    must_read("a.tf", API INTEGRATION("integration_uri = \"http://b.test/base\"") ROUTE("r", "$default", "")
                          ROUTE("s", "GET /s", ""));
    const struct route *route = match("POST /x/y");
    cr_assert(route->strip_path && route->action->path.kind == PATH_EDIT_JOIN);
    cr_assert_str_eq(route->service->path.data, "/base");
    route = match("GET /s");
    cr_assert(route->strip_path && route->action->path.kind == PATH_EDIT_JOIN);
}

Test(aws, hosts_of_aws_are_mapped)
{
    struct slice hosts[] = { SLICE("b.test=127.0.0.1:9000"), SLICE("aws_lb_listener.l.arn=127.0.0.2") };
    setup.settings.aws_hosts = (struct slices){ hosts, 2 };
    must_read("a.tf",
              API INTEGRATION("integration_uri = \"http://b.test/base\"")
                  ROUTE("r", "GET /a",
                        "") "resource \"aws_lb_listener\" \"l\" {}\n"
                            "resource \"aws_apigatewayv2_integration\" \"j\" {\n  api_id = local.api\n"
                            "  integration_type = \"HTTP_PROXY\"\n  connection_type = \"VPC_LINK\"\n"
                            "  integration_uri = aws_lb_listener.l.arn\n}\n"
                            "resource \"aws_apigatewayv2_route\" \"j\" {\n  api_id = local.api\n"
                            "  route_key = \"GET /b\"\n"
                            "  target = \"integrations/${aws_apigatewayv2_integration.j.id}\"\n}\n");
    const struct route *route = match("GET /a");
    cr_assert(route->service->port == 9000 && slice_equal(route->service->host, SLICE("127.0.0.1")));
    cr_assert(route->action->host.kind == HOST_EDIT_TEXT &&
              slice_equal(route->action->host.text, SLICE("b.test")));
    route = match("GET /b");
    cr_assert(slice_equal(route->service->host, SLICE("127.0.0.2")) && route->service->port == 80);
    cr_assert_eq(route->action->host.kind, HOST_EDIT_KEEP);
}

Test(aws, parameters)
{
    must_read("a.tf", API INTEGRATION("integration_uri = \"http://b.test/$${stageVariables.base}\"\n"
                                      "request_parameters = {\n  \"append:header.x-a\" = \"1\"\n"
                                      "  \"overwrite:header.x-b\" = \"$${stageVariables.base}\"\n"
                                      "  \"remove:header.x-c\" = \"''\"\n"
                                      "  \"overwrite:path\" = \"/n/$${request.path.id}\"\n}")
                          ROUTE("r", "GET /users/{id}", "") "resource \"aws_apigatewayv2_stage\" \"s\" {\n"
                                                            "  api_id = local.api\n  name = \"$default\"\n"
                                                            "  stage_variables = { base = \"bb\" }\n}\n");
    const struct action *action = match("GET /users/7")->action;
    const struct header_edit *edits = action->request.items;
    cr_assert(action->request.count == 3 && edits[0].kind == HEADER_EDIT_APPEND);
    cr_assert(edits[1].kind == HEADER_EDIT_SET && slice_equal(edits[1].value, SLICE("bb")));
    cr_assert(edits[2].kind == HEADER_EDIT_REMOVE && slice_equal(edits[2].name, SLICE("x-c")));
    cr_assert(action->path.kind == PATH_EDIT_TEMPLATE && slice_equal(action->path.text, SLICE("/n/{id}")));
}

Test(aws, throttling)
{
    must_read("a.tf", API INTEGRATION("integration_uri = \"http://b.test\"") ROUTE("r", "GET /a", "")
                          ROUTE("s", "GET /b", "") "resource \"aws_apigatewayv2_stage\" \"s\" {\n"
                                                   "  api_id = local.api\n  name = \"$default\"\n"
                                                   "  auto_deploy = true\n"
                                                   "  default_route_settings {\n"
                                                   "    throttling_rate_limit = 2.5\n"
                                                   "    throttling_burst_limit = 5\n  }\n"
                                                   "  route_settings {\n    route_key = \"GET /b\"\n"
                                                   "    throttling_burst_limit = 0\n  }\n}\n");
    cr_assert_not_null(aws_setup_plugin(&setup, match("GET /a"), "aws-throttle"));
    cr_assert_not_null(aws_setup_plugin(&setup, match("GET /b"), "aws-throttle"));
    cr_assert(
        aws_setup_reported(&setup, REPORT_WARNING, 0, "a limit of 0 refuses every request to 'GET /b'"));
}

#define AUTHORIZER                                                             \
    "resource \"aws_apigatewayv2_authorizer\" \"j\" {\n  api_id = local.api\n" \
    "  authorizer_type = \"JWT\"\n  name = \"j\"\n"                            \
    "  identity_sources = [\"$request.header.Authorization\"]\n"               \
    "  jwt_configuration {\n    audience = [\"x\"]\n    issuer = \"http://127.0.0.1:1/\"\n  }\n}\n"

Test(aws, authorizers)
{
    must_read("a.tf", API AUTHORIZER INTEGRATION("integration_uri = \"http://b.test\"")
                          ROUTE("r", "GET /a",
                                "authorization_type = \"JWT\"\nauthorization_scopes = [\"s1\"]\n"
                                "authorizer_id = aws_apigatewayv2_authorizer.j.id") ROUTE("o", "GET /b", ""));
    cr_assert_not_null(aws_setup_plugin(&setup, match("GET /a"), "jwt-authorizer"));
    cr_assert_null(aws_setup_plugin(&setup, match("GET /b"), "jwt-authorizer"));
}

Test(aws, loops_and_variables)
{
    char folder[] = "/tmp/sluice-aws-XXXXXX";
    cr_assert_not_null(mkdtemp(folder));
    const char *vars = arena_format(&setup.arena, "%s/terraform.tfvars", folder).data;
    FILE *out = fopen(vars, "w");
    cr_assert_not_null(out);
    fputs("host = \"given.test\"\n", out);
    fclose(out);
    const char *path = arena_format(&setup.arena, "%s/a.tf", folder).data;
    must_read(path, "variable \"host\" {\n  default = \"fallback.test\"\n}\n"
                    "variable \"paths\" {\n  default = { users = \"/u\", orders = \"/o\" }\n}\n" API
                    "resource \"aws_apigatewayv2_integration\" \"i\" {\n  for_each = var.paths\n"
                    "  api_id = local.api\n  integration_type = \"HTTP_PROXY\"\n"
                    "  integration_uri = \"http://${var.host}${each.value}\"\n}\n"
                    "resource \"aws_apigatewayv2_route\" \"r\" {\n  for_each = var.paths\n"
                    "  api_id = local.api\n  route_key = \"GET /${each.key}\"\n"
                    "  target = \"integrations/${aws_apigatewayv2_integration.i[each.key].id}\"\n}\n"
                    "resource \"aws_apigatewayv2_route\" \"n\" {\n  count = 2\n  api_id = local.api\n"
                    "  route_key = \"GET /n${count.index}\"\n"
                    "  target = \"integrations/${aws_apigatewayv2_integration.i[\"users\"].id}\"\n}\n");
    unlink(vars);
    rmdir(folder);
    cr_assert_str_eq(match("GET /orders")->service->path.data, "/o");
    cr_assert_str_eq(match("GET /n1")->service->path.data, "/u");
    cr_assert_str_eq(match("GET /users")->service->host.data, "given.test");
}

Test(aws, terraform_as_json)
{
    must_read(
        "a.tf.json",
        "{\"resource\": {\"aws_apigatewayv2_api\": {\"a\": {\"name\": \"a\", \"protocol_type\": \"HTTP\"}},"
        " \"aws_apigatewayv2_integration\": {\"i\": [{\"api_id\": \"${aws_apigatewayv2_api.a.id}\","
        " \"integration_type\": \"HTTP_PROXY\", \"integration_uri\": \"${var.uri}\"}]},"
        " \"aws_apigatewayv2_route\": {\"r\": {\"api_id\": \"${aws_apigatewayv2_api.a.id}\","
        " \"route_key\": \"GET /a\", \"target\":"
        " \"integrations/${aws_apigatewayv2_integration.i.id}\"}}},"
        " \"variable\": {\"uri\": {\"default\": \"http://b.test/x\"}}}");
    cr_assert_str_eq(match("GET /a")->service->path.data, "/x");
}

Test(aws, state_of_terraform)
{
    must_read(
        "state.json",
        "{\"format_version\": \"1.0\", \"terraform_version\": \"1.9.0\", \"values\": {\"root_module\": {"
        "\"resources\": [{\"address\": \"aws_apigatewayv2_api.a\", \"mode\": \"managed\", \"type\":"
        " \"aws_apigatewayv2_api\", \"name\": \"a\", \"values\": {\"id\": \"abc123defg\", \"name\": \"a\","
        " \"protocol_type\": \"HTTP\", \"body\": null, \"cors_configuration\": [], \"tags\": {},"
        " \"api_endpoint\": \"https://abc123defg\", \"target\": null}}], \"child_modules\": [{"
        "\"resources\": [{\"address\": \"module.m.aws_apigatewayv2_integration.i\", \"mode\": \"managed\","
        " \"type\": \"aws_apigatewayv2_integration\", \"values\": {\"id\": \"int1234\", \"api_id\":"
        " \"abc123defg\", \"integration_type\": \"HTTP_PROXY\", \"integration_uri\": \"http://b.test\","
        " \"integration_method\": \"GET\", \"connection_id\": \"\", \"timeout_milliseconds\": 30000,"
        " \"request_parameters\": null, \"response_parameters\": [], \"tls_config\": []}},"
        " {\"address\": \"module.m.aws_apigatewayv2_route.r\", \"mode\": \"managed\", \"type\":"
        " \"aws_apigatewayv2_route\", \"values\": {\"id\": \"rou1234\", \"api_id\": \"abc123defg\","
        " \"route_key\": \"GET /a\", \"target\": \"integrations/int1234\", \"authorization_type\": \"NONE\","
        " \"api_key_required\": false, \"authorizer_id\": \"\", \"request_parameter\": []}},"
        " {\"address\": \"aws_vpc.v\", \"mode\": \"managed\", \"type\": \"aws_vpc\", \"values\": {}}]}]}}}");
    match("GET /a");
    cr_assert_not_null(
        aws_setup_match(&setup, "ABC123defg.execute-api.us-east-1.amazonaws.com", "GET /a", NULL));
}

Test(aws, plan_of_terraform)
{
    must_read(
        "plan.json",
        "{\"format_version\": \"1.2\", \"terraform_version\": \"1.9.0\", \"planned_values\":"
        " {\"root_module\":"
        " {\"resources\": [{\"address\": \"aws_apigatewayv2_api.a\", \"mode\": \"managed\", \"type\":"
        " \"aws_apigatewayv2_api\", \"values\": {\"name\": \"a\", \"protocol_type\": \"HTTP\"}},"
        " {\"address\": \"aws_apigatewayv2_integration.i\", \"mode\": \"managed\", \"type\":"
        " \"aws_apigatewayv2_integration\", \"values\": {\"integration_type\": \"HTTP_PROXY\","
        " \"integration_uri\": \"http://b.test\"}}, {\"address\": \"aws_apigatewayv2_route.r\", \"mode\":"
        " \"managed\", \"type\": \"aws_apigatewayv2_route\", \"values\": {\"route_key\": \"GET /a\"}}]}},"
        " \"configuration\": {\"root_module\": {\"resources\": [{\"address\":"
        " \"aws_apigatewayv2_integration.i\", \"expressions\": {\"api_id\": {\"references\":"
        " [\"aws_apigatewayv2_api.a.id\", \"aws_apigatewayv2_api.a\"]}}}, {\"address\":"
        " \"aws_apigatewayv2_route.r\", \"expressions\": {\"api_id\": {\"references\":"
        " [\"aws_apigatewayv2_api.a.id\"]}, \"target\": {\"references\":"
        " [\"aws_apigatewayv2_integration.i.id\"]}}}]}}}");
    match("GET /a");
}

static const char openapi[] =
    "openapi: 3.0.1\ninfo: {title: pets, version: '1'}\n"
    "x-amazon-apigateway-cors: {allowOrigins: ['*']}\n"
    "components:\n  securitySchemes:\n    j:\n      type: oauth2\n      x-amazon-apigateway-authorizer:\n"
    "        type: jwt\n        identitySource: $request.header.Authorization\n"
    "        jwtConfiguration: {issuer: 'http://127.0.0.1:1', audience: [x]}\n"
    "  x-amazon-apigateway-integrations:\n"
    "    shared: {type: HTTP_PROXY, uri: 'http://b.test/shared', payloadFormatVersion: '1.0'}\n"
    "paths:\n  /pets/{id}:\n    get:\n      security: [{j: [read]}]\n"
    "      x-amazon-apigateway-integration:\n"
    "        {type: http_proxy, httpMethod: GET, uri: 'http://b.test/p/{id}'}\n"
    "    x-amazon-apigateway-any-method:\n      x-amazon-apigateway-integration:\n"
    "        $ref: '#/components/x-amazon-apigateway-integrations/shared'\n"
    "  /$default:\n    x-amazon-apigateway-any-method:\n      isDefaultRoute: true\n"
    "      x-amazon-apigateway-integration:\n"
    "        {type: http_proxy, uri: 'http://c.test', connectionType: internet}\n"
    "  /none:\n    get: {}\n";

Test(aws, openapi)
{
    must_read("pets.yaml", openapi);
    const struct route *route = match("GET /pets/1");
    cr_assert_not_null(aws_setup_plugin(&setup, route, "jwt-authorizer"));
    cr_assert_not_null(aws_setup_plugin(&setup, route, "aws-cors"));
    cr_assert_str_eq(route->action->path.text.data, "/p/{id}");
    cr_assert_str_eq(match("PUT /pets/1")->service->path.data, "/shared");
    cr_assert_str_eq(match("GET /else")->service->host.data, "c.test");
    cr_assert_eq(match("GET /none")->action->status, 404);
    cr_assert(aws_setup_reported(&setup, REPORT_WARNING, 0, "a route without target answers 404"));
}

Test(aws, openapi_in_a_body)
{
    must_read("a.tf",
              "resource \"aws_apigatewayv2_api\" \"a\" {\n  name = \"a\"\n  protocol_type = \"HTTP\"\n"
              "  body = jsonencode({ openapi = \"3.0.1\", info = { title = \"t\" }, paths = {\n"
              "    \"/x\" = { get = { \"x-amazon-apigateway-integration\" = {\n"
              "      type = \"http_proxy\", uri = \"http://b.test/y\" } } } } })\n}\n");
    cr_assert_str_eq(match("GET /x")->service->path.data, "/y");
}

/* Nobody asks for their values. */
Test(aws, resources_of_others_may_hold_anything)
{
    must_read("a.tf",
              API INTEGRATION("integration_uri = \"http://b.test\"")
                  ROUTE("r", "GET /a",
                        "") "terraform {\n  required_version = \">= 1.5\"\n  backend \"s3\" {}\n}\n"
                            "provider \"aws\" {\n  region = \"us-east-1\"\n}\n"
                            "resource \"aws_instance\" \"x\" {\n  count = var.nowhere\n"
                            "  user_data = <<-EOF\n    %{ if x == \"}\" ~}\n    a\n    %{ endif }\n    EOF\n"
                            "  ip = cidrhost(\"10.0.0.0/8\", 5)\n  arn = provider::aws::arn(\"x\")\n"
                            "  dynamic \"disk\" {\n    for_each = local.nothing\n    content {}\n  }\n}\n"
                            "output \"x\" {\n  value = aws_instance.x[*].id\n}\n"
                            "data \"aws_region\" \"here\" {}\nlocals { file = file(\"nowhere\") }\n");
    match("GET /a");
    cr_assert_eq(setup.report.count, 0);
}

Test(aws, two_directories_with_the_same_addresses)
{
    static const char one[] = "resource \"aws_apigatewayv2_api\" \"a\" {\n  name = \"a\"\n"
                              "  protocol_type = \"HTTP\"\n}\n";
    aws_setup_add(&setup, "one/a.tf", one);
    aws_setup_add(&setup, "two/a.tf", one);
    cr_assert_not(aws_setup_read(&setup));
    cr_assert(
        aws_setup_reported(&setup, REPORT_ERROR, 1, "has the id of another one: aws_apigatewayv2_api.a"));
}

/* --- what is refused ------------------------------------------------------------------------------------ */

static const struct {
    const char *file, *text;
    uint32_t line;
    const char *wanted;
} broken[] = {
    { "a.tf", "resource \"aws_apigatewayv2_api\" \"a\" {\n  name = \"a\"\n}\n", 1,
      "aws_apigatewayv2_api.a.protocol_type: required field missing" },
    { "a.tf",
      "resource \"aws_apigatewayv2_api\" \"a\" {\n  name = \"a\"\n  protocol_type = \"WEBSOCKET\"\n}\n", 3,
      "aws_apigatewayv2_api.a.protocol_type: WebSocket APIs: not supported yet" },
    { "a.tf", API "resource \"aws_apigatewayv2_api\" \"a\" {\n}\n", 6,
      "aws_apigatewayv2_api.a: is declared twice" },
    { "a.tf", "resource \"aws_apigatewayv2_api\" \"a\" {\n  nam = \"a\"\n  protocol_type = \"HTTP\"\n}\n", 2,
      "aws_apigatewayv2_api.a.nam: unknown field" },
    { "a.tf",
      API
      "resource \"aws_apigatewayv2_route\" \"r\" {\n  api_id = local.api\n  route_key = \"GET users\"\n}\n",
      8, "aws_apigatewayv2_route.r.route_key: the path begins with '/'" },
    { "a.tf",
      API "resource \"aws_apigatewayv2_route\" \"r\" {\n  api_id = local.api\n"
          "  route_key = \"GET /a/{b+}/c\"\n}\n",
      8, "nothing follows {name+}" },
    { "a.tf",
      API
      "resource \"aws_apigatewayv2_route\" \"r\" {\n  api_id = local.api\n  route_key = \"TRACE /a\"\n}\n",
      8, "the method is GET" },
    { "a.tf",
      API "resource \"aws_apigatewayv2_route\" \"r\" {\n  api_id = local.api\n  route_key = \"GET /a/\"\n}\n",
      8, "an empty segment" },
    { "a.tf",
      API "resource \"aws_apigatewayv2_route\" \"r\" {\n  api_id = \"nope\"\n  route_key = \"GET /a\"\n}\n",
      7, "'nope' names no API of these files" },
    { "a.tf",
      API "resource \"aws_apigatewayv2_route\" \"r\" {\n  api_id = local.api\n  route_key = \"GET /a\"\n"
          "  target = \"integrations/xyz\"\n}\n",
      9, "'xyz' names no integration of these files" },
    { "a.tf",
      API "resource \"aws_apigatewayv2_route\" \"r\" {\n  api_id = local.api\n  route_key = \"GET /a\"\n"
          "  authorization_type = \"AWS_IAM\"\n}\n",
      9, "authorization_type: AWS_IAM: not supported yet" },
    { "a.tf",
      API "resource \"aws_apigatewayv2_route\" \"r\" {\n  api_id = local.api\n  route_key = \"GET /a\"\n"
          "  authorization_type = \"JWT\"\n}\n",
      6, "authorizer_id: required with authorization_type JWT" },
    { "a.tf", API INTEGRATION("integration_uri = \"arn:aws:x\"") ROUTE("r", "GET /a", ""), 9, "aws_hosts" },
    { "a.tf", API INTEGRATION("integration_uri = \"http://b.test/{x}\"") ROUTE("r", "GET /a", ""), 9,
      "'{x}' is no variable of the route 'GET /a'" },
    { "a.tf", API INTEGRATION("integration_uri = \"http://b.test\"\ntimeout_milliseconds = 40000"), 10,
      "timeout_milliseconds" },
    { "a.tf",
      API INTEGRATION("integration_uri = \"http://b.test\"\nresponse_parameters {\nstatus_code = 200\n}"), 10,
      "response_parameters: not supported yet" },
    { "a.tf",
      API INTEGRATION("integration_uri = \"http://b.test\"\n"
                      "request_parameters = { \"append:header.x\" = \"$request.header.y\" }")
          ROUTE("r", "GET /a", ""),
      10, "values of the request: not supported yet" },
    { "a.tf",
      API INTEGRATION("integration_uri = \"http://b.test\"\n"
                      "request_parameters = { \"overwrite:header.Via\" = \"y\" }") ROUTE("r", "GET /a", ""),
      10, "this header cannot be mapped" },
    { "a.tf", API INTEGRATION("integration_uri = \"http://b.test/?a b\"") ROUTE("r", "GET /a", ""), 9,
      "the query holds what no query may" },
    { "a.tf", API INTEGRATION("integration_uri = \"http://$${stageVariables.h}\"") ROUTE("r", "GET /a", ""),
      9, "the stage '$default' has no variable 'h'" },
    { "a.tf",
      API INTEGRATION("integration_uri = \"http://b.test\"") ROUTE("r", "GET /a", "")
          ROUTE("s", "GET /a", ""),
      19, "Route with key GET /a already exists for this API" },
    { "a.tf",
      API "resource \"aws_apigatewayv2_stage\" \"s\" {\n  api_id = local.api\n  name = \"s\"\n"
          "  route_settings {\n    route_key = \"GET /x\"\n  }\n}\n",
      9, "Unable to find Route by key GET /x" },
    { "a.tf",
      API "resource \"aws_apigatewayv2_stage\" \"s\" {\n  api_id = local.api\n  name = \"s\"\n"
          "  access_log_settings {\n    format = \"x\"\n  }\n}\n",
      9, "access_log_settings: not supported yet" },
    { "a.tf", "resource \"aws_api_gateway_rest_api\" \"r\" {\n  name = \"r\"\n}\n", 1,
      "aws_api_gateway_rest_api.r: REST APIs: not supported yet" },
    { "a.tf", "resource \"aws_apigatewayv2_model\" \"m\" {\n}\n", 1,
      "aws_apigatewayv2_model: not supported yet" },
    { "a.tf",
      API "resource \"aws_apigatewayv2_integration\" \"l\" {\n  api_id = local.api\n"
          "  integration_type = \"AWS_PROXY\"\n  integration_uri = \"arn:aws:lambda:x\"\n}\n",
      8, "AWS_PROXY integrations: not supported yet" },
    { "a.tf",
      "locals {\n  a = local.b\n  b = local.a\n}\nresource \"aws_apigatewayv2_api\" \"a\" {\n"
      "  name = local.a\n  protocol_type = \"HTTP\"\n}\n",
      3, "'a' depends on itself" },
    { "a.tf", "variable \"n\" {}\nresource \"aws_apigatewayv2_api\" \"a\" {\n  name = var.n\n}\n", 3,
      "'var.n' has no value" },
    { "a.tf", "resource \"aws_apigatewayv2_api\" \"a\" {\n  name = file(\"x\")\n}\n", 2,
      "aws_apigatewayv2_api.a: the function 'file': not supported yet" },
    { "a.tf", "resource \"aws_apigatewayv2_api\" \"a\" {\n  dynamic \"cors_configuration\" {\n  }\n}\n", 2,
      "'dynamic' blocks: not supported yet" },
    { "a.tf",
      API "resource \"aws_apigatewayv2_domain_name\" \"d\" {\n  domain_name = \"x.test\"\n"
          "  mutual_tls_authentication {\n    truststore_uri = \"s3://x\"\n  }\n}\n",
      8, "mutual_tls_authentication: not supported yet" },
    { "a.yaml", "openapi: 3.1.0\ninfo: {title: t}\npaths: {}\n", 1, "openapi: only OpenAPI 3.0" },
    { "a.yaml", "openapi: 3.0.1\ninfo: {title: t}\nx-amazon-apigateway-policy: {}\npaths: {}\n", 3,
      "x-amazon-apigateway-policy: not supported yet" },
    { "a.yaml", "openapi: 3.0.1\ninfo: {title: t}\npaths:\n  /a:\n    get:\n      security: [{x: []}]\n", 6,
      "the scheme has no x-amazon-apigateway-authorizer" },
    { "a.yaml",
      "openapi: 3.0.1\ninfo: {title: t}\npaths:\n  /a:\n    get:\n"
      "      x-amazon-apigateway-integration: {type: aws_proxy, uri: x}\n",
      6, "aws_proxy integrations: not supported yet" },
};

Test(aws, what_is_refused)
{
    for (size_t i = 0; i < COUNT_OF(broken); i++) {
        aws_setup_add(&setup, broken[i].file, broken[i].text);
        cr_expect_not(aws_setup_read(&setup), "%zu: %s", i, broken[i].wanted);
        bool found = aws_setup_reported(&setup, REPORT_ERROR, broken[i].line, broken[i].wanted);
        const struct report_entry *first = setup.report.count ? &setup.report.entries[0] : NULL;
        cr_expect(found, "%zu: %s: %u: %s: %s", i, broken[i].wanted, first ? first->line : 0,
                  first ? first->path : "", first ? first->reason : "no report");
        aws_setup_deinit(&setup);
        aws_setup_init(&setup);
    }
}
