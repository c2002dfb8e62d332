/* SPDX-License-Identifier: Apache-2.0 */
/* HCL: what expressions come to, where things stand, and what is refused. Every text is also read cut off at
 * each of its bytes. */
#include "config/hcl/evaluate.h"
#include "core/base/hash.h"

#include <criterion/criterion.h>

static struct arena arena;
static struct report report;

static void start(void)
{
    hash_start();
    arena_init(&arena, NULL, 0, (size_t)1 << 30);
    report_init(&report);
}

static void stop(void)
{
    report_deinit(&report);
    arena_deinit(&arena);
}

TestSuite(hcl, .init = start, .fini = stop);

static struct document_reading reading(void)
{
    return (struct document_reading){ &document_default_limits, &arena, &report };
}

/* `known` is an object, `gone` has no value, everything else stands for its own names. */
static const struct node *resolve(struct hcl_evaluation *evaluation, struct hcl_path *path)
{
    struct slice text = path->names[0];
    if (slice_equal(text, SLICE("gone")))
        return hcl_refuse(evaluation, &path->position, "no such thing");
    if (slice_equal(text, SLICE("known"))) {
        struct hcl_builder object = { evaluation, hcl_make(evaluation, NODE_MAPPING, &path->position), 0 };
        hcl_set(&object, SLICE("a"), hcl_make_text(evaluation, &path->position, SLICE("A")));
        hcl_set(&object, SLICE("n"), hcl_make_number(evaluation, &path->position, 7));
        return object.node;
    }
    for (uint32_t i = 1; i < path->count; i++)
        text = arena_format(&arena, "%.*s/%.*s", SLICE_FORMAT(text), SLICE_FORMAT(path->names[i]));
    path->used = path->count;
    return hcl_make_text(evaluation, &path->position, text);
}

static const struct node *evaluate(const struct hcl_expression *expression)
{
    struct hcl_evaluation evaluation = { .arena = &arena, .report = &report, .resolve = resolve };
    evaluation.subject = "x";
    return hcl_evaluate(&evaluation, expression);
}

/* The value of `x = TEXT` as JSON, or NULL. */
static const char *value_of(const char *text)
{
    struct document_reading how = reading();
    struct slice file = arena_format(&arena, "x = %s\n", text);
    struct hcl_body *body = hcl_read(file, "t.tf", &how);
    const struct node *value = body ? evaluate(body->first->value) : NULL;
    struct hcl_evaluation evaluation = { .arena = &arena, .report = &report };
    return value ? hcl_json_text(&evaluation, value).data : NULL;
}

/* Neither crashes nor leaks, whatever is cut off: the sanitizers watch. */
static void cut_everywhere(const char *text)
{
    struct slice file = arena_format(&arena, "x = %s\n", text);
    struct report ignored;
    report_init(&ignored);
    struct document_reading how = { &document_default_limits, &arena, &ignored };
    for (size_t size = 0; size < file.size; size++) {
        char *copy = malloc(size + 1); /* exactly: reading behind it is seen */
        memcpy(copy, file.data, size);
        struct hcl_body *body = hcl_read((struct slice){ copy, size }, "t.tf", &how);
        struct hcl_evaluation evaluation = { .arena = &arena, .report = &ignored, .resolve = resolve };
        if (body && body->first && body->first->value)
            hcl_evaluate(&evaluation, body->first->value);
        free(copy);
    }
    report_deinit(&ignored);
}

static const struct {
    const char *text, *json;
} values[] = {
    { "1", "1" },
    { "-1.5e3", "-1500" },
    { "true", "true" },
    { "null", "null" },
    { "\"a\\n\\t\\\"\\\\\\u00e4\\U0001F600\"", "\"a\\n\\t\\\"\\\\ä😀\"" },
    { "\"${\"a${\"b\"}\"}c\"", "\"abc\"" },
    { "\"$${x} %%{y} 100%\"", "\"${x} %{y} 100%\"" },
    { "\"${1 + 1}\"", "2" },
    { "\"n=${known.n}\"", "\"n=7\"" },
    { "[1, \"two\", [3],]", "[1,\"two\",[3]]" },
    { "[\n  1, # one\n  2, // two\n  /* three */ 3\n]", "[1,2,3]" },
    { "{ b = 1, a : 2 }", "{\"a\":2,\"b\":1}" },
    { "{\n  a = 1\n  \"b c\" = 2\n  (known.a) = 3\n}", "{\"A\":3,\"a\":1,\"b c\":2}" },
    { "{ a = 1, a = 2 }", "{\"a\":2}" },
    { "aws_x.y.id", "\"aws_x/y/id\"" },
    { "aws_x.y[0].id", "\"aws_x/y/0/id\"" },
    { "aws_x.y[\"k\"].id", "\"aws_x/y/k/id\"" },
    { "known.a", "\"A\"" },
    { "known[\"n\"]", "7" },
    { "[1, 2][1]", "2" },
    { "{ a = { b = 3 } }.a.b", "3" },
    { "1 + 2 * 3 - 4 / 2", "5" },
    { "(1 + 2) * 3", "9" },
    { "7 % 4", "3" },
    { "!false && (1 < 2 || gone)", "true" },
    { "1 == 1 && \"a\" != \"b\" && [1] == [1]", "true" },
    { "1 >= 2 ? gone : \"b\"", "\"b\"" },
    { "true ? 1 : false ? 2 : 3", "1" },
    { "[for x in [1, 2, 3] : x * 2 if x != 2]", "[2,6]" },
    { "[for i, x in [\"a\", \"b\"] : \"${i}${x}\"]", "[\"0a\",\"1b\"]" },
    { "{ for k, v in { a = 1, b = 2 } : upper(k) => v }", "{\"A\":1,\"B\":2}" },
    { "{ for x in [\"aa\", \"ab\", \"b\"] : length(x) => x... }", "{\"1\":[\"b\"],\"2\":[\"aa\",\"ab\"]}" },
    { "[{ a = 1 }, { a = 2 }][*].a", "[1,2]" },
    { "{ a = 1 }[*].a", "[1]" },
    { "<<EOF\none\n  two ${known.a}\nEOF", "\"one\\n  two A\\n\"" },
    { "<<-EOF\n    one\n      two\n    EOF", "\"one\\n  two\\n\"" },
    { "<<EOF\nEOF", "\"\"" },
    { "join(\"-\", [\"a\", \"b\", 3])", "\"a-b-3\"" },
    { "format(\"%s-%d%%-%q\", \"a\", 3, \"q\")", "\"a-3%-\\\"q\\\"\"" },
    { "lower(upper(\"aB\"))", "\"ab\"" },
    { "concat([1], [], [2, 3])", "[1,2,3]" },
    { "concat([[1], [2]]...)", "[1,2]" },
    { "merge({ a = 1, b = 1 }, { b = 2 })", "{\"a\":1,\"b\":2}" },
    { "lookup({ a = 1 }, \"b\", 9)", "9" },
    { "element([1, 2], 3)", "2" },
    { "tostring(1) == \"1\" && tonumber(\"2\") == 2 && tobool(\"true\")", "true" },
    { "jsondecode(jsonencode({ b = [1, null], a = \"<\" }))", "{\"a\":\"\\u003c\",\"b\":[1,null]}" },
    { "toset([\"b\", \"a\", \"b\"])", "[\"a\",\"b\"]" },
    { "keys({ b = 1, a = 2 })", "[\"a\",\"b\"]" },
    { "values({ b = 1, a = 2 })", "[2,1]" },
    { "split(\",\", \"a,,b\")", "[\"a\",\"\",\"b\"]" },
    { "replace(\"a.b.c\", \".\", \"-\")", "\"a-b-c\"" },
    { "trimspace(\"  a \")", "\"a\"" },
    { "trimprefix(\"ab\", \"a\")", "\"b\"" },
    { "trimsuffix(\"ab\", \"b\")", "\"a\"" },
    { "flatten([1, [2, [3]]])", "[1,2,3]" },
    { "compact([\"\", \"a\", null])", "[\"a\"]" },
    { "coalesce(\"\", \"b\")", "\"b\"" },
    { "contains([1, 2], 2)", "true" },
    { "distinct([1, 1, 2])", "[1,2]" },
    { "tolist([1])", "[1]" },
    { "tomap({ a = 1 })", "{\"a\":1}" },
    { "length(\"äb\") + length([1]) + length({ a = 1 })", "4" },
};

Test(hcl, values)
{
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        const char *got = value_of(values[i].text);
        cr_assert_not_null(got, "%s: %s", values[i].text,
                           report.count ? report.entries[report.count - 1].reason : "?");
        cr_assert_str_eq(got, values[i].json, "%s: %s", values[i].text, got);
        cut_everywhere(values[i].text);
    }
}

static const struct {
    const char *text;
    uint32_t line, column;
    const char *reason;
} refused[] = {
    { "", 1, 5, "a value is expected" },
    { "\"a", 1, 7, "a text without an end" },
    { "\"a\\q\"", 1, 8, "invalid escape" },
    { "\"\\u12\"", 1, 10, "expected 4 hexadecimal digits" },
    { "\"\\ud800\"", 1, 12, "no character" },
    { "\"${1\"", 1, 9, "expected '}'" },
    { "\"%{ if true }a%{ endif }\"", 1, 8, "directives" },
    { "<<EOF\na\n", 2, 1, "a text without its EOF" },
    { "[1 2]", 1, 8, "expected ',' or ']'" },
    { "{ a 1 }", 1, 9, "expected '='" },
    { "{ a = 1 b = 2 }", 1, 13, "expected ',', '}'" },
    { "1 1", 1, 7, "expected the end of the line" },
    { "a.", 1, 7, "expected a name" },
    { "[for x [1] : x]", 1, 12, "expected 'for NAME in" },
    { "true ? 1", 1, 13, "expected ':'" },
    { "1 +", 1, 8, "a value is expected" },
    { "(1", 2, 1, "expected ')'" },
    { "/* a", 2, 1, "a comment without its */" },
    { "gone", 1, 5, "no such thing" },
    { "[1][3]", 1, 5, "an array has no element '3'" },
    { "known.z", 1, 5, "a record has no element 'z'" },
    { "1 / 0", 1, 5, "division by zero" },
    { "1 + \"a\"", 1, 5, "'+' expects numbers" },
    { "1 && true", 1, 5, "'&&' expects true or false" },
    { "!1", 1, 5, "'!' expects true or false" },
    { "1 ? 2 : 3", 1, 5, "expected true or false" },
    { "\"${[1]}x\"", 1, 8, "expected a text, not an array" },
    { "[for x in 1 : x]", 1, 15, "expected a list or an object" },
    { "file(\"a\")", 1, 5, "the function 'file': not supported yet" },
    { "templatefile(\"a\", {})", 1, 5, "the function 'templatefile': not supported yet" },
    { "join(1)", 1, 5, "join: 1 arguments are too few" },
    { "lower(\"a\", \"b\")", 1, 5, "lower: 2 arguments are too many" },
    { "concat([1], 2)", 1, 5, "concat: argument 2 must be an array, not a number" },
    { "lookup({}, \"a\")", 1, 5, "lookup: there is no 'a'" },
    { "element([], 0)", 1, 5, "element: there is no such element" },
    { "tonumber(\"x\")", 1, 5, "'x' is no number" },
    { "jsondecode(\"{\")", 1, 5, "jsondecode: this is no JSON" },
    { "format(\"%d\", \"a\")", 1, 5, "format: argument 2 must be a number" },
    { "format(\"%s\")", 1, 5, "format: argument 2 is missing" },
    { "format(\"%x\", 1)", 1, 5, "'%x': not supported yet" },
    { "provider::aws::arn_parse(\"x\")", 1, 5, "the function 'provider::aws::arn_parse': not supported" },
    { "\"${~ 1 ~}\"", 1, 14, "'~' beside an expression: not supported yet" },
    { "\"%{ if x == \"}\" }", 1, 22, "a text without an end" },
    { "\"%{ if", 2, 1, "a directive without its }" },
    { "a::", 1, 8, "expected a name behind '::'" },
};

Test(hcl, what_is_refused)
{
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        uint32_t before = report.count;
        cr_assert_null(value_of(refused[i].text), "%s", refused[i].text);
        cr_assert_eq(report.count, before + 1, "%s: %u reports", refused[i].text, report.count - before);
        const struct report_entry *entry = &report.entries[before];
        cr_expect(strstr(entry->reason, refused[i].reason), "%s: %s", refused[i].text, entry->reason);
        cr_expect(entry->line == refused[i].line && entry->column == refused[i].column, "%s: %u:%u %s",
                  refused[i].text, entry->line, entry->column, entry->reason);
        cut_everywhere(refused[i].text);
    }
}

static const char mission[] = "# users\nresource \"aws_apigatewayv2_api\" \"http_api\" {\n"
                              "  name = \"a\" // n\n\n  cors_configuration {\n    max_age = 5\n  }\n}\n"
                              "empty {}\nlocals { one = 1 }\n";

Test(hcl, bodies_know_their_places)
{
    struct document_reading how = reading();
    struct hcl_body *body = hcl_read(slice_of(mission), "m.tf", &how);
    cr_assert_not_null(body);
    const struct hcl_item *api = hcl_find(body, "resource");
    cr_assert(api && api->labels.count == 2 && slice_equal(api->labels.items[1], SLICE("http_api")));
    cr_assert(api->position.line == 2 && api->position.column == 1);
    cr_assert_str_eq(api->position.file, "m.tf");
    const struct hcl_item *name = hcl_find(api->body, "name");
    cr_assert(name && name->value->position.line == 3 && name->value->position.column == 10);
    const struct hcl_item *cors = hcl_find(api->body, "cors_configuration");
    cr_assert(cors && cors->value == NULL && hcl_find(cors->body, "max_age")->position.line == 6);
    cr_assert(hcl_find(body, "empty")->body->first == NULL);
    cr_assert(hcl_find(hcl_find(body, "locals")->body, "one"));
    for (size_t size = 0; size < sizeof(mission) - 1; size++)
        hcl_read((struct slice){ mission, size }, "m.tf", &how);
}

static void check_refused(const char *text, uint32_t line, const char *reason)
{
    struct document_reading how = reading();
    uint32_t before = report.count;
    cr_assert_null(hcl_read(slice_of(text), "t.tf", &how), "%s", text);
    cr_assert_eq(report.count, before + 1);
    cr_assert_eq(report.entries[before].line, line, "%u", report.entries[before].line);
    cr_assert(strstr(report.entries[before].reason, reason), "%s", report.entries[before].reason);
}

Test(hcl, broken_bodies)
{
    check_refused("a = 1\na = 2\n", 2, "'a' is set twice");
    check_refused("resource \"a\" \"b\" {\n", 2, "a block without its }");
    check_refused("resource \"a\" \"b\"", 1, "a block without its {");
    check_refused("}\n", 1, "expected a name");
    check_refused("a \"${b}\" {}\n", 1, "a label is a plain text");
    check_refused("a 1\n", 1, "expected '=' and a value, or a block");
    check_refused("a \"1\" \"2\" \"3\" \"4\" \"5\" \"6\" \"7\" \"8\" \"9\" {}\n", 1, "at most 8 labels");
}

Test(hcl, a_nul_byte_is_no_text)
{
    struct document_reading how = reading();
    cr_assert_null(hcl_read((struct slice){ "a = 1\0", 6 }, "t.tf", &how));
}

static const char *repeated(const char *text, int count, const char *last)
{
    struct slice all = SLICE("");
    for (int i = 0; i < count; i++)
        all = arena_format(&arena, "%.*s%s", SLICE_FORMAT(all), text);
    return arena_format(&arena, "%.*s%s", SLICE_FORMAT(all), last).data;
}

Test(hcl, everything_is_bounded)
{
    static const char *const openings[] = { "(", "[", "{ a = ", "!", "-", "\"${", "f(", "true ? 1 : ", "x[" };
    for (size_t i = 0; i < COUNT_OF(openings); i++)
        cr_assert_null(value_of(repeated(openings[i], 300, "1")), "%s", openings[i]);
    cr_assert_null(value_of(repeated("1 + ", 400, "1")));
    cr_assert_null(value_of(repeated("a.", 400, "b")));
    cr_assert_null(value_of(repeated("a {\n", 300, "")));
    /* Each level doubles the one before. */
    const char *doubled = "[1]";
    for (int i = 0; i < 30; i++)
        doubled = arena_format(&arena, "[for x in [%s] : [x, x, x, x]]", doubled).data;
    cr_assert_null(value_of(doubled));
}

Test(hcl, texts_of_json_are_templates)
{
    struct document_reading how = reading();
    struct documents documents;
    cr_assert(document_read_text(SLICE("{\"a\": \"x-${known.a}\", \"b\": [1, true, null, \"${known.n}\"]}"),
                                 "a.tf.json", &how, &documents));
    const struct hcl_expression *expression = hcl_of_node(documents.items[0], &how);
    const struct node *value = expression ? evaluate(expression) : NULL;
    struct hcl_evaluation evaluation = { .arena = &arena, .report = &report };
    cr_assert_not_null(value);
    cr_assert_str_eq(hcl_json_text(&evaluation, value).data, "{\"a\":\"x-A\",\"b\":[1,true,null,7]}");
    cr_assert(document_read_text(SLICE("{\"a\": \"${known.\"}"), "a.tf.json", &how, &documents));
    cr_assert_null(hcl_of_node(documents.items[0], &how));
}
