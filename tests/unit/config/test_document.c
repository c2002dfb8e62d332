/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/config_setup.h"

#include <criterion/criterion.h>
#include <math.h>

static struct config_setup setup;

static void open_setup(void)
{
    config_setup_init(&setup);
}

static void close_setup(void)
{
    config_setup_deinit(&setup);
}

TestSuite(document, .init = open_setup, .fini = close_setup);

static const struct {
    const char *text;
    enum node_kind kind;
    double number;
} scalars[] = {
    { "~", NODE_NULL, 0 },
    { "null", NODE_NULL, 0 },
    { "NULL", NODE_NULL, 0 },
    { "true", NODE_BOOLEAN, 1 },
    { "False", NODE_BOOLEAN, 0 },
    { "yes", NODE_STRING, 0 },
    { "no", NODE_STRING, 0 },
    { "on", NODE_STRING, 0 },
    { "nULL", NODE_STRING, 0 },
    { "0", NODE_NUMBER, 0 },
    { "-7", NODE_NUMBER, -7 },
    { "+7", NODE_NUMBER, 7 },
    { "007", NODE_NUMBER, 7 },
    { "0x1F", NODE_NUMBER, 31 },
    { "0o17", NODE_NUMBER, 15 },
    { "1.5", NODE_NUMBER, 1.5 },
    { ".5", NODE_NUMBER, 0.5 },
    { "5.", NODE_NUMBER, 5 },
    { "1e3", NODE_NUMBER, 1000 },
    { "1.5E-1", NODE_NUMBER, .15 },
    { ".inf", NODE_NUMBER, INFINITY },
    { "-.INF", NODE_NUMBER, -INFINITY },
    { "1s", NODE_STRING, 0 },
    { "1e", NODE_STRING, 0 },
    { ".", NODE_STRING, 0 },
    { "1.2.3", NODE_STRING, 0 },
    { "0x", NODE_STRING, 0 },
    { "0o8", NODE_STRING, 0 },
    { "-", NODE_SEQUENCE, 0 },
    { "'1'", NODE_STRING, 0 },
    { "\"true\"", NODE_STRING, 0 },
    { "!!str 1", NODE_STRING, 0 },
    { "! 1", NODE_STRING, 0 },
    { "!!int 1", NODE_NUMBER, 1 },
    { "2001-01-01", NODE_STRING, 0 },
};

Test(document, scalars_of_the_core_schema)
{
    for (size_t i = 0; i < COUNT_OF(scalars); i++) {
        const struct node *node = config_setup_node(&setup, scalars[i].text);
        cr_assert_not_null(node, "%s", scalars[i].text);
        cr_assert_eq(node->kind, scalars[i].kind, "%s is %s", scalars[i].text, node_kind_name(node->kind));
        if (node->kind == NODE_NUMBER)
            cr_assert_eq(node->number, scalars[i].number, "%s", scalars[i].text);
        if (node->kind == NODE_BOOLEAN)
            cr_assert_eq(node->boolean, scalars[i].number != 0, "%s", scalars[i].text);
    }
    cr_assert(isnan(config_setup_node(&setup, ".nan")->number));
}

Test(document, integers)
{
    cr_assert_eq(config_setup_node(&setup, "9223372036854775807")->integer, INT64_MAX);
    cr_assert(config_setup_node(&setup, "80.0")->is_integer);
    cr_assert_eq(config_setup_node(&setup, "1e3")->integer, 1000);
    cr_assert_not(config_setup_node(&setup, "99999999999999999999999")->is_integer);
    cr_assert_not(config_setup_node(&setup, "1.5")->is_integer);
    cr_assert_not(config_setup_node(&setup, ".inf")->is_integer);
}

static void check_positions(const char *file, const char *text)
{
    struct documents documents = config_setup_read(&setup, file, text);
    cr_assert_eq(documents.count, 1, "%s", text);
    const struct node *root = documents.items[0];
    cr_assert_eq(root->position.line, 1);
    cr_assert_eq(root->position.column, 1);
    cr_assert_str_eq(root->position.file, file);
    cr_assert_eq(root->entries[1].key_position.line, 2);
    cr_assert_eq(root->entries[1].key_position.column, 2);
    const struct node *item = root->entries[1].value->entries[1].value;
    cr_assert_eq(item->position.line, 3);
    cr_assert_eq(item->position.column, 8, "%u", item->position.column);
    cr_assert_eq(item->integer, 2);
}

Test(document, positions_count_characters)
{
    check_positions("a.yaml", "{a: 1,\n \"b\": [\n \"\xc3\xa4\xc3\xa4\", 2]}");
    check_positions("a.json", "{\"a\": 1,\n \"b\": [\n \"\xc3\xa4\xc3\xa4\", 2]}");
}

Test(document, json)
{
    const char *text =
        "\xef\xbb\xbf\t{\"a\":\t\"\\/\\ud83d\\ude00\\u00e4\\n\\\"\", \"b\": [true, null, -1.5e2, []], "
        "\"<<\": {}}\r\n";
    struct documents documents = config_setup_read(&setup, "a.json", text);
    cr_assert_eq(documents.count, 1);
    const struct node *a = node_find(documents.items[0], "a"), *b = node_find(documents.items[0], "b");
    cr_assert_str_eq(a->text.data, "/\xf0\x9f\x98\x80\xc3\xa4\n\"");
    cr_assert_eq(b->entries[0].value->kind, NODE_BOOLEAN);
    cr_assert_eq(b->entries[1].value->kind, NODE_NULL);
    cr_assert_eq(b->entries[2].value->number, -150);
    cr_assert_eq(b->entries[3].value->kind, NODE_SEQUENCE);
    cr_assert_not_null(node_find(documents.items[0], "<<"));
    /* The same without the ending: it begins like JSON. */
    cr_assert_eq(config_setup_read(&setup, "a", "{\"a\":\t\"\\/\"}").count, 1);
    /* And this one begins like JSON but is YAML. */
    cr_assert_eq(config_setup_read(&setup, "a", "{a: b}").count, 1);
}

static const char *const bad_json[] = {
    "",
    "{",
    "[1,]",
    "{\"a\" 1}",
    "{a: 1}",
    "{\"a\": 1,}",
    "01",
    "+1",
    "1.",
    ".5",
    "[1 2]",
    "\"a",
    "\"\\",
    "\"\\x\"",
    "\"\\u12\"",
    "\"\\ud83d\"",
    "\"\\udc00\"",
    "tru",
    "[] []",
    "\"\t\"",
    "\"\xff\"",
    "\"\xc0\x80\"",
    "\"\xed\xa0\x80\"",
    "\"\\u0000\"",
    "1e",
    "-",
    "nan",
    "[\"a\": 1]",
    "{\"a\"}",
};

Test(document, json_is_strict)
{
    for (size_t i = 0; i < COUNT_OF(bad_json); i++) {
        uint32_t before = setup.report.error_count;
        cr_assert_eq(config_setup_read(&setup, "a.json", bad_json[i]).count, 0, "%s", bad_json[i]);
        cr_assert_eq(setup.report.error_count, before + 1, "%s", bad_json[i]);
    }
}

Test(document, merge_keys)
{
    const struct node *root = config_setup_node(
        &setup, "base: &base {a: 1, b: 2}\nmore: &more {b: 3, c: 4}\nx:\n  b: 9\n  <<: [*base, *more]\n"
                "y: {<<: *more, d: 5}\nz: {\"<<\": 1}\n");
    cr_assert_not_null(root);
    const struct node *x = node_find(root, "x"), *y = node_find(root, "y");
    cr_assert_eq(x->count, 3);
    cr_assert_eq(node_find(x, "a")->integer, 1);
    cr_assert_eq(node_find(x, "b")->integer, 9);
    cr_assert_eq(node_find(x, "c")->integer, 4);
    cr_assert_eq(y->count, 3);
    cr_assert_eq(node_find(node_find(root, "z"), "<<")->integer, 1);
    cr_assert_null(config_setup_node(&setup, "{<<: 1}"));
    cr_assert_null(config_setup_node(&setup, "{<<: [[]]}"));
}

Test(document, several_documents)
{
    struct documents documents = config_setup_read(&setup, "a.yaml", "a: 1\n---\nb: 2\n---\n- 3\n");
    cr_assert_eq(documents.count, 3);
    cr_assert_eq(documents.items[2]->kind, NODE_SEQUENCE);
    cr_assert_eq(config_setup_read(&setup, "a.yaml", "# nothing\n").count, 0);
    cr_assert_eq(setup.report.error_count, 0);
    /* An anchor ends with its document. */
    cr_assert_eq(config_setup_read(&setup, "a.yaml", "&a 1\n---\n*a\n").count, 0);
}

static const struct {
    const char *text, *reason;
    uint32_t line, column;
} refused[] = {
    { "a: 1\nb: 2\na: 3\n", "duplicate key 'a'", 3, 1 },
    { "a: &x [*x]\n", "inside its own anchor", 1, 8 },
    { "a: *x\n", "unknown alias 'x'", 1, 4 },
    { "a: !odd 1\n", "unknown tag", 1, 4 },
    { "a: !!int x\n", "unknown tag", 1, 4 },
    { "a: !!binary aGk=\n", "unknown tag", 1, 4 },
    { "? [a]\n: 1\n", "a key must be a string", 1, 3 },
    { "a: \"\\0\"\n", "NUL", 1, 4 },
    { "a: [\n", "did not find", 2, 1 },
    { "a:\n\tb: 1\n", "token", 2, 1 },
    { "a: \xff\n", "UTF-8", 1, 4 },
};

Test(document, what_is_wrong_has_a_place)
{
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        struct config_setup one;
        config_setup_init(&one);
        cr_assert_null(config_setup_node(&one, refused[i].text), "%s", refused[i].text);
        cr_assert(config_setup_reported(&one, refused[i].line, "", refused[i].reason), "%s: %s",
                  refused[i].text, one.report.entries[0].reason);
        cr_assert_eq(one.report.entries[0].column, refused[i].column, "%s: %u", refused[i].text,
                     one.report.entries[0].column);
        config_setup_deinit(&one);
    }
}

Test(document, every_duplicate_is_reported)
{
    cr_assert_null(config_setup_node(&setup, "a: 1\na: 2\nb: {c: 1, c: 2}\n"));
    cr_assert_eq(setup.report.error_count, 2);
}

static bool read_limited(const char *file, const char *text, struct document_limits limits)
{
    struct documents documents;
    struct document_reading reading = { &limits, &setup.arena, &setup.report };
    return document_read_text(slice_of(text), file, &reading, &documents);
}

Test(document, limits)
{
    struct document_limits limits = { .file_bytes = 100, .depth = 3, .nodes = 12 };
    cr_assert(read_limited("a.yaml", "[[[1]]]", limits));
    cr_assert_not(read_limited("a.yaml", "[[[[1]]]]", limits));
    cr_assert_not(read_limited("a.json", "[[[[1]]]]", limits));
    cr_assert(config_setup_reported(&setup, 1, "", "deeper than 3"));
    /* Aliases count as what they stand for, in depth and in number. */
    cr_assert_not(read_limited("a.yaml", "{a: &a [[1]], b: [*a]}", limits));
    cr_assert(read_limited("a.yaml", "[&a [1, 2], *a, *a]", limits));
    cr_assert_not(read_limited("a.yaml", "[&a [1, 2], *a, *a, *a]", limits));
    cr_assert(config_setup_reported(&setup, 1, "", "more than 12 nodes"));
    limits.file_bytes = 3;
    cr_assert_not(read_limited("a.yaml", "a: 1", limits));
    cr_assert(config_setup_reported(&setup, 0, "", "more than 3"));
}

Test(document, files)
{
    struct documents documents;
    struct document_reading reading = { &document_default_limits, &setup.arena, &setup.report };
    cr_assert_not(document_read_file("/nonexistent/file", &reading, &documents));
    cr_assert(config_setup_reported(&setup, 0, "", "No such file"));
    cr_assert_not(document_read_file("/", &reading, &documents));
}
