/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/json_schema.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static struct arena arena;
static struct regex_scratch scratch;

static void start(void)
{
    arena_init(&arena, NULL, 0, 64 * 1024 * 1024);
    cr_assert_eq(regex_scratch_init(&scratch), ERROR_OK);
}

static void stop(void)
{
    arena_deinit(&arena);
    regex_scratch_deinit(&scratch);
}

TestSuite(json_schema, .init = start, .fini = stop);

static const struct json_tree_limits limits = { 64, 100000 };
static const struct json_schema_options checked = { JSON_SCHEMA_DRAFT_7, true, true };

static enum json_schema_result judge(const char *schema_text, const char *text,
                                     struct json_schema_fault *fault)
{
    char reason[JSON_SCHEMA_REASON_SIZE];
    struct json_node *value;
    const struct json_schema *schema = json_schema_compile(&arena, slice_of(schema_text), &checked, reason);
    cr_assert_not_null(schema, "%s: %s", schema_text, reason);
    cr_assert_eq(json_tree_read(&arena, slice_of(text), &limits, &value), JSON_READ, "%s", text);
    return json_schema_validate(schema, value, &arena, &scratch, fault);
}

static const struct {
    const char *schema, *value, *place, *reason; /* reason NULL: it is valid */
} rows[] = {
    { "{\"type\":\"integer\"}", "1", NULL, NULL },
    { "{\"type\":[\"integer\",\"null\"]}", "\"x\"", "", "wrong type: expected null or integer, got string" },
    { "{\"properties\":{\"a\":{\"items\":{\"minimum\":3}}}}", "{\"a\":[4,2]}", "/a/1",
      "expected a number to be no less than 3" },
    { "{\"required\":[\"a\",\"b\"]}", "{\"a\":1}", "", "property b is required" },
    { "{\"additionalProperties\":false}", "{\"a\":1}", "", "additional properties forbidden, found a" },
    { "{\"pattern\":\"^[a-z]+$\"}", "\"abc\\n\"", "", "failed to match pattern ^[a-z]+$" },
    { "{\"pattern\":\"^\\\\u0061$\"}", "\"a\"", NULL, NULL },
    { "{\"luaPattern\":\"^%d+$\"}", "\"12\"", NULL, NULL },
    { "{\"luaPattern\":\"^%d+$\"}", "\"x\"", "", "failed to match pattern ^%d+$" },
    { "{\"notLuaPattern\":\"x\"}", "\"axb\"", "", "must not match pattern x" },
    { "{\"uniqueItems\":true}", "[1,\"1\",{\"a\":1,\"b\":2},{\"b\":2,\"a\":2},1.0]", "",
      "expected unique items" },
    { "{\"uniqueItems\":true}", "[1,\"1\",true,null,[1],{},[[1]],{\"a\":1},{\"a\":2}]", NULL, NULL },
    { "{\"multipleOf\":0.01}", "19.99", NULL, NULL },
    { "{\"multipleOf\":0.01}", "19.995", "", "expected a multiple of 0.01" },
    { "{\"enum\":[1,\"\\u0061\"]}", "\"a\"", NULL, NULL },
    { "{\"maxLength\":2}", "\"\\ud83d\\ude00\xc3\xa9\"", NULL, NULL },
    { "{\"format\":\"date\"}", "\"2024-02-29\"", NULL, NULL },
    { "{\"format\":\"date\"}", "\"2023-02-29\"", "", "expected valid date" },
    { "{\"format\":\"date-time\"}", "\"2023-02-28T23:59:60.5+01:30\"", NULL, NULL },
    { "{\"format\":\"date-time\"}", "\"2023-02-28T24:00:00Z\"", "", "expected valid date-time" },
    { "{\"format\":\"time\"}", "\"12:00:00\"", "", "expected valid time" },
    { "{\"format\":\"email\"}", "\"a.b+c@x-y.test\"", NULL, NULL },
    { "{\"format\":\"email\"}", "\"a..b@x.test\"", "", "expected valid email" },
    { "{\"format\":\"hostname\"}", "\"-a.test\"", "", "expected valid hostname" },
    { "{\"format\":\"ipv4\"}", "\"1.2.3.256\"", "", "expected valid ipv4" },
    { "{\"format\":\"ipv6\"}", "\"::1\"", NULL, NULL },
    { "{\"format\":\"uuid\"}", "\"2eb8aa08-aa98-11ea-b4aa-73b441d16380\"", NULL, NULL },
    { "{\"format\":\"uri\"}", "\"//x/y\"", "", "expected valid uri" },
    { "{\"format\":\"uri-reference\"}", "\"/x%2\"", "", "expected valid uri-reference" },
    { "{\"format\":\"regex\"}", "\"(\"", "", "expected valid regex" },
    { "{\"format\":\"json-pointer\"}", "\"/a~2\"", "", "expected valid json-pointer" },
    { "{\"format\":\"colour\"}", "\"x\"", NULL, NULL },
    { "{\"$ref\":\"#/definitions/a~1b%25\",\"definitions\":{\"a/b%\":{\"const\":1}}}", "2", "",
      "matches not the const value" },
    { "{\"oneOf\":[{\"type\":\"integer\"},{\"minimum\":2}]}", "3", "",
      "value should match exactly one schema, but matches several" },
};

Test(json_schema, rows)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct json_schema_fault fault;
        enum json_schema_result result = judge(rows[i].schema, rows[i].value, &fault);
        cr_assert_eq(result, rows[i].reason ? JSON_SCHEMA_WRONG : JSON_SCHEMA_VALID, "%s: %s", rows[i].schema,
                     fault.reason);
        if (rows[i].reason) {
            cr_assert_str_eq(fault.reason, rows[i].reason);
            cr_assert_str_eq(fault.place, rows[i].place);
        }
    }
}

static const struct {
    const char *schema, *reason;
} broken[] = {
    { "{", "not valid JSON" },
    { "[]", "/: expected a schema" },
    { "{\"type\":\"text\"}", "/type: expected a type" },
    { "{\"properties\":{\"a\":{\"minLength\":-1}}}",
      "/properties/a/minLength: expected a number that counts" },
    { "{\"pattern\":\"(\"}", "/pattern: the pattern is not valid" },
    { "{\"allOf\":[]}", "/allOf: expected at least one schema" },
    { "{\"required\":[1]}", "/required/0: expected a string" },
    { "{\"$ref\":\"http://other.test/\"}", "http://other.test/ is not in this document" },
    { "{\"$ref\":\"#/nowhere\"}", "#/nowhere is not in this document" },
    { "{\"$ref\":\"#\"}", "its reference leads to itself" },
    { "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"unevaluatedItems\":false}",
      "not supported" },
};

Test(json_schema, what_is_refused)
{
    for (size_t i = 0; i < COUNT_OF(broken); i++) {
        char reason[JSON_SCHEMA_REASON_SIZE];
        cr_assert_null(json_schema_compile(&arena, slice_of(broken[i].schema), &checked, reason), "%s",
                       broken[i].schema);
        cr_assert(strstr(reason, broken[i].reason), "%s: %s", broken[i].schema, reason);
    }
}

Test(json_schema, bounds)
{
    struct json_schema_fault fault;
    char deep[600] = "", text[40000] = "";
    cr_assert_eq(
        judge("{\"anyOf\":[{\"allOf\":[{\"$ref\":\"#\"}]},{\"allOf\":[{\"$ref\":\"#\"}]}]}", "1", &fault),
        JSON_SCHEMA_TOO_COMPLEX);
    memset(deep, '[', 300);
    struct json_node *node;
    cr_assert_eq(json_tree_read(&arena, slice_of(deep), &limits, &node), JSON_INVALID);
    text[0] = '[';
    for (size_t i = 1; i < 30001; i += 2)
        memcpy(text + i, "1,", 2);
    memcpy(text + 30001, "1]", 3);
    const struct json_tree_limits few = { 64, 1000 };
    cr_assert_eq(json_tree_read(&arena, slice_of(text), &few, &node), JSON_TOO_LARGE);
    struct arena small;
    arena_init(&small, NULL, 0, 256);
    cr_assert_eq(json_tree_read(&small, slice_of(text), &limits, &node), JSON_NO_MEMORY);
    arena_deinit(&small);
}

Test(json_schema, trees)
{
    struct json_node *root;
    char place[64];
    struct slice text = SLICE(" {\"a\":[1,{\"\\u0062\":\"x\\n\"},[]] , \"a\" : { } } ");
    cr_assert_eq(json_tree_read(&arena, text, &limits, &root), JSON_READ);
    cr_assert_eq(root->count, 2);
    const struct json_node *array = root->first, *inner = array->first->next->first;
    cr_assert(slice_equal(array->value.text, SLICE("[1,{\"\\u0062\":\"x\\n\"},[]]")));
    cr_assert_eq(array->count, 3);
    cr_assert(json_says(&inner->name, SLICE("b")) && !json_says(&inner->name, SLICE("ba")));
    cr_assert(slice_equal(json_text(&arena, &inner->value), SLICE("x\n")));
    cr_assert_eq(json_member_of(root, SLICE("a"))->value.kind, JSON_OBJECT);
    json_place(inner, place, sizeof(place));
    cr_assert_str_eq(place, "/a/1/\\u0062");
    static const char *const bad[] = { "",         "{",   "[1", "[1,]",       "{\"a\"}",
                                       "{\"a\":}", "1 2", "[}", "{\"a\":1,}", "\"" };
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        cr_assert_eq(json_tree_read(&arena, slice_of(bad[i]), &limits, &root), JSON_INVALID, "%s", bad[i]);
}
