/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/plugins.h"
#include "tests/support/fake_exchange.h"
#include "tests/support/plugin_setup.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static struct plugin_setup setup;
static void *shard_state;

static void start(void)
{
    plugin_setup_init(&setup);
    shard_state = calloc(1, request_validator_plugin.shard_state_size);
    cr_assert_eq(request_validator_plugin.shard_open(NULL, NULL, shard_state), ERROR_OK);
}

static void stop(void)
{
    request_validator_plugin.shard_close(shard_state);
    free(shard_state);
    plugin_setup_deinit(&setup);
}

TestSuite(request_validator, .init = start, .fini = stop);

static enum verdict run(struct exchange *exchange, const char *text)
{
    const void *config = plugin_setup_config(&setup, &request_validator_plugin, text);
    cr_assert_not_null(config, "%s", text);
    return fake_exchange_run(exchange, &request_validator_plugin, PHASE_ACCESS, config, shard_state);
}

#define KONG "{verbose_response: true, body_schema: '"
#define DRAFT "{verbose_response: true, version: draft7, body_schema: '"

static const struct {
    const char *config, *type, *body, *message; /* message NULL: it passes */
} bodies[] = {
    { KONG "[{\"name\":{\"type\":\"string\",\"required\":true}}]'}", "application/json", "{\"name\":\"x\"}",
      NULL },
    { KONG "[{\"name\":{\"type\":\"string\",\"required\":true}}]'}", "application/json", "{}",
      "property name is required" },
    { KONG "[{\"name\":{\"type\":\"string\"}}]'}", "application/json", "{\"name\":null}", NULL },
    { KONG "[{\"name\":{\"type\":\"string\"}}]'}", "application/json", "{\"name\":1}",
      "/name: wrong type: expected string, got number" },
    { KONG "[{\"name\":{\"type\":\"string\"}}]'}", "application/json", "{\"other\":1}",
      "additional properties forbidden, found other" },
    { KONG "[{\"n\":{\"type\":\"integer\",\"between\":[1,5]}}]'}", "application/json", "{\"n\":6}",
      "/n: expected a number to be no greater than 5" },
    { KONG "[{\"s\":{\"type\":\"string\",\"match\":\"^%a+$\",\"len_max\":3}}]'}", "application/json",
      "{\"s\":\"ab1\"}", "/s: failed to match pattern ^%a+$" },
    { KONG "[{\"s\":{\"type\":\"string\",\"one_of\":[\"a\",\"b\"]}}]'}", "application/json", "{\"s\":\"c\"}",
      "/s: matches none of the enum values" },
    { KONG "[{\"s\":{\"type\":\"string\",\"starts_with\":\"a.\"}}]'}", "application/json", "{\"s\":\"ab\"}",
      "/s: failed to match pattern ^a\\." },
    { KONG "[{\"u\":{\"type\":\"string\",\"uuid\":true}}]'}", "application/json", "{\"u\":\"x\"}",
      "/u: expected valid uuid" },
    { KONG
      "[{\"l\":{\"type\":\"array\",\"elements\":{\"type\":\"integer\",\"required\":true},\"len_min\":2}}]'}",
      "application/json", "{\"l\":[1,\"2\"]}", "/l/1: wrong type: expected integer, got string" },
    { KONG "[{\"m\":{\"type\":\"map\",\"keys\":{\"type\":\"string\",\"len_max\":2},"
           "\"values\":{\"type\":\"number\"}}}]'}",
      "application/json", "{\"m\":{\"abc\":1}}", "/m: the name abc is not allowed" },
    { KONG "[{\"r\":{\"type\":\"record\",\"fields\":[{\"a\":{\"type\":\"boolean\",\"required\":true}}]}}]'}",
      "application/json", "{\"r\":{}}", "/r: property a is required" },
    { KONG "[{\"s\":{\"type\":\"set\",\"elements\":{\"type\":\"string\"}}}]'}", "application/json",
      "{\"s\":[\"a\",\"a\"]}", "/s: expected unique items" },
    { DRAFT "{\"type\":\"object\"}'}", "application/json", "[]", "wrong type: expected object, got array" },
    { DRAFT "{\"type\":\"object\"}'}", "application/json", "{", "request body is not valid JSON" },
    { DRAFT "{\"type\":\"object\"}'}", "application/json", "", "request body is not valid JSON" },
    { DRAFT "{\"type\":\"object\"}'}", NULL, "{}", NULL },
    { DRAFT "{\"type\":\"object\"}'}", "text/plain", "{}", "specified Content-Type is not allowed" },
    { DRAFT "{}', allowed_content_types: [text/plain]}", "text/plain", "no JSON", NULL },
    { DRAFT "{}'}", "Application/JSON", "1", NULL },
    { DRAFT "{}'}", "application/json; charset=utf-8", "1", "specified Content-Type is not allowed" },
    { DRAFT "{}', content_type_parameter_validation: false}", "application/json; charset=utf-8", "1", NULL },
    { DRAFT "{}', allowed_content_types: ['application/json; charset=UTF-8']}",
      "application/json;Charset=utf-8; x=y", "1", NULL },
    { "{version: draft4, body_schema: '{\"minimum\":2}'}", "application/json", "1",
      "request body doesn't conform to schema" },
};

Test(request_validator, bodies)
{
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        struct exchange *one = fake_exchange_open("POST", "/");
        if (bodies[i].type)
            cr_assert(message_add_id(&one->request, HEADER_CONTENT_TYPE, SLICE("Content-Type"),
                                     slice_of(bodies[i].type)));
        one->request_body = slice_of(bodies[i].body);
        enum verdict verdict = run(one, bodies[i].config);
        cr_assert_eq(verdict, bodies[i].message ? VERDICT_RESPOND : VERDICT_CONTINUE, "%s: %.*s",
                     bodies[i].config, SLICE_FORMAT(one->body));
        if (bodies[i].message) {
            cr_assert_eq(one->status, 400);
            size_t size = strlen(bodies[i].message);
            bool whole = one->body.size >= size + 14 && strchr(bodies[i].message, '\\') == NULL;
            cr_assert(!whole || memcmp(one->body.data + 12, bodies[i].message, size) == 0, "%s: %.*s",
                      bodies[i].message, SLICE_FORMAT(one->body));
        }
        fake_exchange_close(one);
    }
}

Test(request_validator, a_body_that_comes_later)
{
    struct exchange *one = fake_exchange_open("POST", "/");
    one->body_is_late = true;
    cr_assert_eq(run(one, DRAFT "{}'}"), VERDICT_READ_BODY);
    fake_exchange_close(one);
}

#define QUERY "{verbose_response: true, parameter_schema: [{in: query, name: q, required: "

static const struct {
    const char *config, *target, *message; /* message: a part of it */
} queries[] = {
    { QUERY "true}]}", "/?q=", NULL },
    { QUERY "true}]}", "/", "query 'q' validation failed: required parameter is missing" },
    { QUERY "false, schema: '{\"type\":\"integer\"}'}]}", "/", NULL },
    { QUERY "false, schema: '{\"type\":\"integer\"}'}]}", "/?q=%31", NULL },
    { QUERY "false, schema: '{\"type\":\"integer\"}'}]}", "/?q=x", "expected integer, got string" },
    { QUERY "false, schema: '{\"type\":\"integer\"}'}]}", "/?q=1.5", "expected integer, got number" },
    { QUERY "false, schema: '{\"type\":\"boolean\"}'}]}", "/?q=true", NULL },
    { QUERY "false, schema: '{\"anyOf\":[{\"type\":\"integer\"},{\"enum\":[\"x\"]}]}'}]}", "/?q=7", NULL },
    { QUERY "false, schema: '{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}'}]}", "/?q=1&p=x&q=2",
      NULL },
    { QUERY "false, schema: '{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}'}]}", "/?q=1&q=x",
      "/1: wrong type" },
    { QUERY "true, schema: '{\"type\":\"array\"}'}]}", "/?p=1", "required parameter is missing" },
    { QUERY "false, style: form, explode: false, schema: '{\"type\":\"array\",\"maxItems\":2}'}]}",
      "/?q=1,2,3", "at most 2" },
    { QUERY "false, style: pipeDelimited, explode: false, schema: '{\"type\":\"array\",\"maxItems\":2}'}]}",
      "/?q=1|2|3", "at most 2" },
    { QUERY "false, style: spaceDelimited, explode: false, schema: '{\"type\":\"array\",\"maxItems\":2}'}]}",
      "/?q=1%202+3", "at most 2" },
    { QUERY "false, style: deepObject, explode: true, schema: '{\"type\":\"object\",\"properties\":{\"a\":"
            "{\"type\":\"integer\"}},\"required\":[\"a\"]}'}]}",
      "/?q[a]=1", NULL },
    { QUERY "false, style: deepObject, explode: true, schema: '{\"type\":\"object\",\"properties\":{\"a\":"
            "{\"type\":\"integer\"}},\"required\":[\"a\"]}'}]}",
      "/?q[b]=1", "property a is required" },
    { QUERY
      "false, style: form, explode: false, schema: '{\"type\":\"object\",\"properties\":{\"a\":{\"type\":"
      "\"integer\"}}}'}]}",
      "/?q=a,x", "/a: wrong type" },
    { QUERY
      "false, style: form, explode: true, schema: '{\"type\":\"object\",\"properties\":{\"a\":{\"type\":"
      "\"integer\"}}}'}]}",
      "/?a=x&other=y", "/a: wrong type" },
};

Test(request_validator, queries)
{
    for (size_t i = 0; i < COUNT_OF(queries); i++) {
        struct exchange *one = fake_exchange_open("GET", queries[i].target);
        enum verdict verdict = run(one, queries[i].config);
        cr_assert_eq(verdict, queries[i].message ? VERDICT_RESPOND : VERDICT_CONTINUE, "%s: %.*s",
                     queries[i].config, SLICE_FORMAT(one->body));
        if (queries[i].message)
            cr_assert_not_null(
                memmem(one->body.data, one->body.size, queries[i].message, strlen(queries[i].message)),
                "%s: %.*s", queries[i].message, SLICE_FORMAT(one->body));
        fake_exchange_close(one);
    }
}

#define PARAMETER(in, more) "{parameter_schema: [{in: " in ", name: name, required: true, " more "}]}"

static const struct {
    const char *config, *value;
    bool good;
} others[] = {
    { PARAMETER("path", "schema: '{\"type\":\"integer\"}'"), "7", true },
    { PARAMETER("path", "schema: '{\"type\":\"integer\"}'"), "x", false },
    { PARAMETER("path", "schema: '{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}'"), "1,2", true },
    { PARAMETER("path", "style: label, explode: true, schema: "
                        "'{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}'"),
      ".1.2", true },
    { PARAMETER("path", "style: label, explode: false, schema: '{\"type\":\"integer\"}'"), ".1", true },
    { PARAMETER("path", "style: matrix, explode: true, schema: "
                        "'{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}'"),
      ";name=1;name=2", true },
    { PARAMETER("path", "style: matrix, explode: false, schema: "
                        "'{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}'"),
      ";name=1,x", false },
    { PARAMETER("path", "style: matrix, explode: false, schema: '{\"type\":\"integer\"}'"), ";name=5", true },
    { PARAMETER("header", "schema: '{\"type\":\"boolean\"}'"), "true", true },
    { PARAMETER("header", "schema: '{\"type\":\"boolean\"}'"), "yes", false },
    { PARAMETER("header",
                "style: simple, explode: true, schema: '{\"type\":\"object\",\"properties\":{\"a\":{\"type\":"
                "\"integer\"}}}'"),
      "a=1,b=x", true },
    { PARAMETER(
          "header",
          "style: simple, explode: false, schema: '{\"type\":\"object\",\"properties\":{\"a\":{\"type\":"
          "\"integer\"}}}'"),
      "b,x,a,y", false },
    { PARAMETER("header", "schema: '{\"type\":\"string\"}'"), NULL, false },
    { PARAMETER("path", "schema: '{\"type\":\"string\"}'"), NULL, false },
};

Test(request_validator, paths_and_headers)
{
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        struct exchange *one = fake_exchange_open("GET", "/");
        one->captures[2] = slice_of(others[i].value);
        if (others[i].value)
            fake_exchange_header(one, "Name", slice_of(others[i].value));
        cr_assert_eq(run(one, others[i].config), others[i].good ? VERDICT_CONTINUE : VERDICT_RESPOND, "%s",
                     others[i].config);
        if (!others[i].good)
            cr_assert(
                slice_equal(one->body, SLICE("{\"message\":\"request param doesn't conform to schema\"}")));
        fake_exchange_close(one);
    }
}

static const struct {
    const char *config, *field, *reason;
} errors[] = {
    { "{}", "", "at least one of these fields must be non-empty" },
    { "{body_schema: '{'}", "body_schema", "not valid JSON" },
    { "{body_schema: '[{\"a\":{\"type\":\"text\"}}]'}", "body_schema", "a field needs a type" },
    { "{body_schema: '[{\"a\":{\"type\":\"string\",\"len_mni\":1}}]'}", "body_schema",
      "attribute that is not known" },
    { "{body_schema: '[{\"a\":{\"type\":\"string\"},\"b\":{}}]'}", "body_schema",
      "one member, the field's name" },
    { "{version: draft4, body_schema: '{\"$ref\":\"other.json\"}'}", "body_schema", "not in this document" },
    { "{version: draft5, body_schema: '{}'}", "version", "expected one of: kong, draft4, draft7" },
    { "{parameter_schema: [{name: q, required: true}]}", "parameter_schema[0].in", "required field missing" },
    { "{parameter_schema: [{in: query, name: q, required: true, style: matrix}]}",
      "parameter_schema[0].style", "not a style of what is in: query" },
    { "{parameter_schema: [{in: query, name: q, required: true, style: form, schema: '{}'}]}",
      "parameter_schema[0]", "explode is required" },
    { "{parameter_schema: [{in: query, name: q, required: true, schema: '{\"type\":1}'}]}",
      "parameter_schema[0].schema", "/type: expected a type" },
};

Test(request_validator, what_is_wrong_is_reported)
{
    for (size_t i = 0; i < COUNT_OF(errors); i++) {
        cr_assert_null(plugin_setup_config(&setup, &request_validator_plugin, errors[i].config), "%s",
                       errors[i].config);
        cr_assert(plugin_setup_reported(&setup, REPORT_ERROR, errors[i].field, errors[i].reason), "%s",
                  errors[i].config);
    }
}
