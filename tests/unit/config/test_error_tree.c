/* SPDX-License-Identifier: Apache-2.0 */
/* Paths that can be taken apart again, and the tree of errors as Kong prints it. */
#include "config/kong/error_tree.h"

#include "tests/support/config_setup.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>

static struct arena arena;

static void start(void)
{
    arena_init(&arena, NULL, 0, 1 << 20);
}

static void end(void)
{
    arena_deinit(&arena);
}

TestSuite(error_tree, .init = start, .fini = end);

Test(error_tree, names_come_back_from_a_path)
{
    static const char *const names[] = { "a", "a.b", "[0]", "\"", "\\", "a\\\"]", "", "x y", "é" };
    for (size_t i = 0; i < COUNT_OF(names); i++)
        for (size_t j = 0; j < COUNT_OF(names); j++) {
            struct report_step steps[8];
            struct slice path = report_join(&arena, "", names[i]);
            path = report_join(&arena, arena_format(&arena, "%s[7]", path.data).data, names[j]);
            size_t count = report_split((char *)(uintptr_t)path.data, steps, COUNT_OF(steps));
            cr_assert_eq(count, 3, "%s, %s", names[i], names[j]);
            cr_assert_str_eq(steps[0].name, names[i]);
            cr_assert_null(steps[1].name);
            cr_assert_eq(steps[1].index, 7);
            cr_assert_str_eq(steps[2].name, names[j]);
        }
}

Test(error_tree, any_text_is_a_path)
{
    static const char *const texts[] = { "",      "[",       "]", "[\"", "[\"\\", "[\"a\"",
                                         "a[",    "a..b",    ".", "[]",  "[x]",   "[99999999999999999999]",
                                         "a.[0]", "[\"a\\\"" };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct report_step steps[4];
        char *path = strdup(texts[i]);
        cr_assert_leq(report_split(path, steps, COUNT_OF(steps)), COUNT_OF(steps));
        free(path);
    }
}

Test(error_tree, as_a_lua_literal)
{
    static const struct {
        const char *json, *literal;
    } rows[] = {
        { "{}", "{}" },
        { "[null, \"a\", {\"b c\": \"d\", \"a\": [\"e\"]}]", "{[2]=\"a\",[3]={a={\"e\"},[\"b c\"]=\"d\"}}" },
        { "{\"@entity\": [\"x \\\"y\\\"\"]}", "{[\"@entity\"]={\"x \\\"y\\\"\"}}" },
        { "{\"a\": \"one\\ntwo\\\\\"}", "{a=\"one\\ntwo\\\\\"}" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        json_t *value = json_loads(rows[i].json, 0, NULL);
        char *text = kong_error_literal(value);
        cr_assert_str_eq(text, rows[i].literal);
        free(text);
        json_decref(value);
    }
}

Test(error_tree, what_is_no_utf8_is_replaced)
{
    static const struct {
        const char *text, *shown;
    } rows[] = {
        { "plain é", "plain é" },
        { "cut \xc3", "cut \xef\xbf\xbd" },
        { "\xff\xfe", "\xef\xbf\xbd\xef\xbf\xbd" },
        { "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        json_t *value = kong_error_text(rows[i].text);
        cr_assert_str_eq(json_string_value(value), rows[i].shown);
        json_decref(value);
    }
}

/* The answer to a text, as JSON that the caller frees. */
static char *answer_to(const char *text, enum kong_error_form form)
{
    struct config_setup setup;
    config_setup_init(&setup);
    struct documents documents = config_setup_read(&setup, "a.yaml", text);
    cr_assert_not(kong_read_all(&documents, config_setup_kinds, setup.model, &setup.report));
    struct kong_error_source source = { &setup.report, &documents };
    json_t *answer = kong_error_answer(&source, form);
    json_t *part = json_object_get(answer, form == KONG_ERRORS_NESTED ? "fields" : "flattened_errors");
    char *json = json_dumps(part, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(answer);
    config_setup_deinit(&setup);
    return json;
}

static const struct {
    const char *text, *fields, *flattened;
} rows[] = {
    { "services: [{name: a, host: h}, {host: h, port: x}]",
      "{\"services\":[null,{\"port\":\"expected an integer\"}]}",
      "[{\"entity\":{\"host\":\"h\",\"port\":\"x\"},\"entity_type\":\"service\",\"errors\":[{\"field\":"
      "\"port\",\"message\":\"expected an integer\",\"type\":\"field\"}]}]" },
    { "services: {}", "{\"services\":\"expected an array\"}", "{}" },
    { "plugins: [{name: guard, config: {stricd: 1}}]",
      "{\"plugins\":[{\"config\":{\"stricd\":\"unknown field\"}}]}", NULL },
    { "consumers: [{username: a}, {username: a, tags: ['/']}]",
      "{\"consumers\":[null,{\"@entity\":[\"uniqueness violation: 'consumers' entity with username set to "
      "'a' already declared\"],\"tags\":[\"invalid tag '/': expected printable ascii (except `,` and `/`) or "
      "valid utf-8 sequences\"]}]}",
      NULL },
    { "routes: [{name: r, paths: [/], service: {id: 11111111-2222-4333-8444-555555555555, name: x}}]",
      "{\"routes\":{\"r\":[\"invalid reference 'service: {\\\"id\\\":\\\"11111111-2222-4333-8444-555555555555"
      "\\\",\\\"name\\\":\\\"x\\\"}' (no such entry in 'services')\"]}}",
      NULL },
};

Test(error_tree, has_the_shape_of_the_input)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[512];
        snprintf(text, sizeof(text), "_format_version: '3.0'\n%s\n", rows[i].text);
        char *json = answer_to(text, KONG_ERRORS_NESTED);
        cr_assert_str_eq(json, rows[i].fields);
        free(json);
        json = answer_to(text, KONG_ERRORS_FLATTENED);
        if (rows[i].flattened)
            cr_assert_str_eq(json, rows[i].flattened);
        free(json);
    }
}
