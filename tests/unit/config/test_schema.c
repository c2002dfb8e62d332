/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/config_setup.h"

#include <criterion/criterion.h>
#include <math.h>

struct part {
    struct slice name;
    int64_t size;
};

struct all {
    struct slice string, empty, checked, old;
    bool boolean;
    int64_t integer, counted, duration, size;
    double number, positive;
    int choice;
    uint64_t choices;
    struct slices strings;
    struct schema_map map;
    struct part part;
    struct slice secret;
    struct schema_integers integers;
    struct schema_records parts;
    struct schema_record_map named;
};

static const char *check_x(struct slice text)
{
    return text.data[0] == 'x' ? NULL : "'{}' does not begin with x";
}

static const char *const words[] = { "one", "two", "three", NULL };

static const struct field part_fields[] = {
    { "name", FIELD_STRING, offsetof(struct part, name), FIELD_REQUIRED },
    { "size", FIELD_INTEGER, offsetof(struct part, size), .fallback = "5" },
};
static const struct schema part_schema = { "part", part_fields, COUNT_OF(part_fields), sizeof(struct part) };

#define AT(member) offsetof(struct all, member)
static const struct field fields[] = {
    { "string", FIELD_STRING, AT(string) },
    { "empty", FIELD_STRING, AT(empty), FIELD_EMPTY },
    { "checked", FIELD_STRING, AT(checked), .check = check_x },
    { "renamed", FIELD_STRING, AT(old), .alias = "old" },
    { "boolean", FIELD_BOOLEAN, AT(boolean), .fallback = "true" },
    { "integer", FIELD_INTEGER, AT(integer), .min = -2, .max = 9 },
    { "counted", FIELD_INTEGER, AT(counted), .fallback = "60000" },
    { "duration", FIELD_DURATION, AT(duration), .max = 60000, .fallback = "1.5" },
    { "size", FIELD_SIZE, AT(size), .fallback = "16k" },
    { "number", FIELD_NUMBER, AT(number), .min = 0, .max = 1 },
    { "positive", FIELD_NUMBER, AT(positive), FIELD_POSITIVE },
    { "choice", FIELD_CHOICE, AT(choice), .choices = words, .fallback = "two" },
    { "choices", FIELD_CHOICES, AT(choices), .choices = words, .min = 1, .fallback = "one,three" },
    { "strings", FIELD_STRINGS, AT(strings), .check = check_x, .max = 2 },
    { "integers", FIELD_INTEGERS, AT(integers), .min = 1, .max = 99, .fallback = "3,4" },
    { "map", FIELD_MAP, AT(map), .check = check_x },
    { "part", FIELD_RECORD, AT(part), .record = &part_schema },
    { "parts", FIELD_RECORDS, AT(parts), .record = &part_schema, .min = 1, .max = 2 },
    { "named", FIELD_RECORD_MAP, AT(named), .record = &part_schema, .check = check_x },
    { "later", FIELD_STRING, 0, FIELD_UNSUPPORTED },
    { "secret", FIELD_STRING, AT(secret), FIELD_SECRET | FIELD_VAULT, .check = check_x },
};
static const char *const others[] = { "children", "_comment", NULL };

static const struct schema schema = { "all", fields, COUNT_OF(fields), sizeof(struct all), .others = others };

static struct config_setup setup;
static struct all value;

static bool read_value(const char *text)
{
    struct config_place place = { &setup.report, &setup.arena, "at", NULL };
    const struct node *node = config_setup_node(&setup, text);
    cr_assert_not_null(node, "%s", text);
    memset(&value, 0xee, sizeof(value));
    return schema_read(&schema, node, &place, &value);
}

static void open_setup(void)
{
    config_setup_init(&setup);
}

static void close_setup(void)
{
    config_setup_deinit(&setup);
}

TestSuite(schema, .init = open_setup, .fini = close_setup);

static void check_defaults(void)
{
    cr_assert_null(value.string.data);
    cr_assert(value.boolean);
    cr_assert_eq(value.integer, INTEGER_NULL);
    cr_assert_eq(value.counted, 60000);
    cr_assert_eq(value.duration, 1500);
    cr_assert_eq(value.size, 16384);
    cr_assert(isnan(value.number));
    cr_assert_eq(value.choice, 1);
    cr_assert_eq(value.choices, 5);
    cr_assert_eq(value.strings.count, 0);
    cr_assert_eq(value.integers.count, 2);
    cr_assert_eq(value.integers.items[1], 4);
    cr_assert_eq(value.map.count, 0);
    cr_assert(value.parts.count == 0 && value.named.count == 0);
    cr_assert_null(value.part.name.data);
    cr_assert_eq(value.part.size, 5);
}

Test(schema, defaults)
{
    cr_assert(read_value("{}"));
    check_defaults();
    cr_assert(read_value("~"));
    check_defaults();
    cr_assert(read_value("{boolean: ~, choice: null, part: ~, later: ~, children: 1, _comment: []}"));
    check_defaults();
}

Test(schema, values)
{
    cr_assert(
        read_value("{string: a, empty: '', checked: x1, old: o, boolean: false, integer: -2, number: 1,\n"
                   " positive: 0.5, choice: three, choices: [two], strings: [x, xy], integers: [5],\n"
                   " duration: 2s, size: 3m, map: {x-a: [b, c]}, part: {name: n, size: 7}}"));
    cr_assert_str_eq(value.string.data, "a");
    cr_assert_eq(value.empty.size, 0);
    cr_assert_not_null(value.empty.data);
    cr_assert_str_eq(value.old.data, "o");
    cr_assert_not(value.boolean);
    cr_assert_eq(value.integer, -2);
    cr_assert_eq(value.choice, 2);
    cr_assert_eq(value.choices, 2);
    cr_assert_eq(value.strings.count, 2);
    cr_assert(value.integers.count == 1 && value.integers.items[0] == 5);
    cr_assert_eq(value.duration, 2000);
    cr_assert_eq(value.size, 3145728);
    cr_assert_str_eq(value.map.entries[0].name.data, "x-a");
    cr_assert_str_eq(value.map.entries[0].values.items[1].data, "c");
    cr_assert_eq(value.part.size, 7);
}

Test(schema, lists_and_maps_of_records)
{
    cr_assert(read_value(
        "{parts: [{name: a, size: 1}, {name: b}], named: {x: {name: c}, xy: {name: d, size: 2}}}"));
    const struct part *parts = (const struct part *)(const void *)value.parts.items;
    cr_assert_eq(value.parts.count, 2);
    cr_assert(parts[0].size == 1 && parts[1].size == 5);
    cr_assert_str_eq(parts[1].name.data, "b");
    cr_assert_eq(value.named.count, 2);
    cr_assert_str_eq(value.named.entries[1].name.data, "xy");
    cr_assert_eq(((const struct part *)value.named.entries[1].record)->size, 2);
}

static const struct {
    const char *text, *path, *reason;
} refused[] = {
    { "{string: 1}", "at.string", "expected a string" },
    { "{string: ''}", "at.string", "length must be at least 1" },
    { "{checked: abc}", "at.checked", "'abc' does not begin with x" },
    { "{old: 1}", "at.renamed", "expected a string" },
    { "{boolean: yes}", "at.boolean", "expected a boolean" },
    { "{integer: 1.5}", "at.integer", "expected an integer" },
    { "{integer: '1'}", "at.integer", "expected an integer" },
    { "{integer: 10}", "at.integer", "value should be between -2 and 9" },
    { "{integer: 99999999999999999999999}", "at.integer", "value should be between -2 and 9" },
    { "{counted: 99999999999999999999999}", "at.counted", "expected an integer" },
    { "{number: x}", "at.number", "expected a number" },
    { "{number: .nan}", "at.number", "expected a number" },
    { "{number: -.inf}", "at.number", "expected a number" },
    { "{number: 1.01}", "at.number", "value should be between 0 and 1" },
    { "{positive: 0}", "at.positive", "value must be greater than 0" },
    { "{choice: four}", "at.choice", "expected one of: one, two, three" },
    { "{choice: 1}", "at.choice", "expected a string" },
    { "{choices: one}", "at.choices", "expected an array" },
    { "{choices: [one, four]}", "at.choices[1]", "expected one of: one, two, three" },
    { "{choices: []}", "at.choices", "length must be at least 1" },
    { "{strings: x}", "at.strings", "expected an array" },
    { "{strings: [x, 1]}", "at.strings[1]", "expected a string" },
    { "{strings: [a]}", "at.strings[0]", "'a' does not begin with x" },
    { "{strings: [x, x, x]}", "at.strings", "length must be at most 2" },
    { "{map: []}", "at.map", "expected a map" },
    { "{map: {a: [b]}}", "at.map", "'a' does not begin with x" },
    { "{map: {x: b}}", "at.map.x", "expected an array" },
    { "{map: {x: [1]}}", "at.map.x[0]", "expected a string" },
    { "{part: 1}", "at.part", "expected a record" },
    { "{part: {}}", "at.part.name", "required field missing" },
    { "{part: {name: n, sise: 1}}", "at.part.sise", "unknown field (did you mean 'size'?)" },
    { "{later: x}", "at.later", "not supported yet" },
    { "{duration: 2 weeks}", "at.duration", "expected a duration" },
    { "{duration: 61}", "at.duration", "value should be between 0 and 60000" },
    { "{duration: []}", "at.duration", "expected a number" },
    { "{size: 1.5x}", "at.size", "expected a size" },
    { "{zzzzzz: 1}", "at.zzzzzz", "unknown field" },
    { "{strnig: 1}", "at.strnig", "unknown field (did you mean 'string'?)" },
    { "{childen: 1}", "at.childen", "unknown field (did you mean 'children'?)" },
    { "{secret: abc}", "at.secret", "'***' does not begin with x" },
    { "{parts: {}}", "at.parts", "expected an array" },
    { "{parts: []}", "at.parts", "length must be at least 1" },
    { "{parts: [{name: a}, {name: b}, {name: c}]}", "at.parts", "length must be at most 2" },
    { "{parts: [{name: a}, {}]}", "at.parts[1].name", "required field missing" },
    { "{parts: [x]}", "at.parts[0]", "expected a record" },
    { "{named: []}", "at.named", "expected a map" },
    { "{named: {x: 1}}", "at.named", "expected a record" },
    { "{named: {x: {size: 1}}}", "at.named.name", "required field missing" },
    { "{named: {a: {name: b}}}", "at.named", "'a' does not begin with x" },
    { "{integers: x}", "at.integers", "expected an array" },
    { "{integers: [1, x]}", "at.integers[1]", "expected an integer" },
    { "{integers: [1.5]}", "at.integers[0]", "expected an integer" },
    { "{integers: [1, 100]}", "at.integers[1]", "value should be between 1 and 99" },
    { "[]", "at", "expected a record" },
};

Test(schema, every_message)
{
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        uint32_t before = setup.report.error_count;
        cr_assert_not(read_value(refused[i].text), "%s", refused[i].text);
        cr_assert(config_setup_reported(&setup, 1, refused[i].path, refused[i].reason), "%s",
                  refused[i].text);
        cr_assert_eq(setup.report.error_count, before + 1, "%s", refused[i].text);
    }
}

Test(schema, vault_references)
{
    setenv("SLUICE_TEST_SECRET", "x y", 1);
    cr_assert(read_value("{secret: '{vault://env/sluice-test-secret}', string: '{vault://env/a}'}"));
    cr_assert_str_eq(value.secret.data, "x y");
    cr_assert_str_eq(value.string.data, "{vault://env/a}");
    cr_assert_eq(setup.report.count, 0);
    setenv("SLUICE_TEST_SECRET", "abc", 1);
    cr_assert_not(read_value("{secret: '{vault://env/sluice-test-secret}'}"));
    cr_assert(config_setup_reported(&setup, 1, "at.secret", "'***' does not begin with x"));
}

/* As in Kong: an empty text, and a line that says so. */
Test(schema, unresolved_reference)
{
    cr_assert(read_value("{secret: '{vault://env/sluice-not-there}'}"));
    cr_assert_str_eq(value.secret.data, "");
    cr_assert_eq(setup.report.error_count, 0);
    cr_assert(
        config_setup_reported(&setup, 1, "at.secret",
                              "unable to resolve reference {vault://env/sluice-not-there} (no value found"));
}

Test(schema, all_errors_at_once)
{
    cr_assert_not(read_value("{string: 1, integer: x, choices: [a, b], later: 1, odd: 1}"));
    cr_assert_eq(setup.report.error_count, 6);
}

static const struct {
    const char *name, *text;
    bool good;
} texts[] = {
    { "boolean", "on", true },       { "boolean", "False", true },
    { "boolean", "1", false },       { "integer", " 9 ", true },
    { "integer", "9.5", false },     { "integer", "", false },
    { "duration", "100ms", true },   { "duration", "1m", true },
    { "duration", "-1", false },     { "duration", "2m", false },
    { "size", "1g", true },          { "size", "0.5k", true },
    { "size", "-1", false },         { "choice", "one", true },
    { "choice", "", false },         { "choices", "one,four", false },
    { "choices", "one, two", true }, { "strings", "x , xy", true },
    { "strings", "", true },         { "strings", "x,,x", false },
    { "string", "", false },         { "map", "x", false },
    { "number", "1e-1", true },
};

Test(schema, texts)
{
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        const struct field *field = schema_find(&schema, slice_of(texts[i].name));
        const char *reason =
            schema_set_text(field, slice_of(texts[i].text), &setup.arena, (char *)&value + field->offset);
        cr_assert_eq(reason == NULL, texts[i].good, "%s=%s: %s", texts[i].name, texts[i].text,
                     reason ? reason : "good");
    }
    cr_assert_eq(value.duration, 60000);
    cr_assert_eq(value.size, 512);
    cr_assert_eq(value.choices, 3);
}

Test(schema, reference)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    schema_print(&schema, out);
    fclose(out);
    for (size_t i = 0; i < COUNT_OF(fields); i++)
        cr_assert(strstr(text, fields[i].name), "%s", fields[i].name);
    cr_assert(strstr(text, "one of one, two, three, default two"));
    cr_assert(strstr(text, "not supported yet"));
    free(text);
}
