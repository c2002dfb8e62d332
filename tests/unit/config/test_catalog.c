/* SPDX-License-Identifier: Apache-2.0 */
/* Entities as documents: what a file says, completed and taken apart. */
#include "config/kong/document.h"
#include "tests/support/config_setup.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>

#define ID "00000000-0000-4000-8000-00000000000"

static struct config_setup setup;
static struct catalog catalog;

static void start(void)
{
    config_setup_init(&setup);
    catalog_init(&catalog, &setup.model->arena);
    setup.model->catalog = &catalog;
}

static void end(void)
{
    config_setup_deinit(&setup);
}

TestSuite(catalog, .init = start, .fini = end);

static json_t *document(const char *kind, const char *name)
{
    const struct catalog_row *row = catalog_find(&catalog, kind, slice_of(name));
    cr_assert_not_null(row, "%s %s", kind, name);
    return json_loadb(row->text.data, row->text.size, 0, NULL);
}

static void check(const char *kind, const char *name, const char *field, const char *want)
{
    json_t *object = document(kind, name);
    char *text = json_dumps(json_object_get(object, field), JSON_COMPACT | JSON_ENCODE_ANY);
    cr_assert_str_eq(text ? text : "absent", want, "%s %s: %s is %s", kind, name, field, text);
    free(text);
    json_decref(object);
}

Test(catalog, of_nested_entities)
{
    cr_assert(config_setup_kong(
        &setup,
        "_format_version: '3.0'\n"
        "services:\n"
        "- {id: " ID "1, name: s, url: 'https://h.test/p', tags: [t], routes: [{name: r, paths: [/]}],\n"
        "   plugins: [{name: count, config: {minute: 5}}]}\n"
        "upstreams:\n"
        "- {name: u, hash_on: ip, targets: [{target: A.test, weight: 3}]}\n"
        "consumers:\n"
        "- {username: c, _comment: x, guard_keys: [{key: k}, {secret: s}]}\n"));
    check("services", "s", "host", "\"h.test\"");
    check("services", "s", "port", "443");
    check("services", "s", "url", "absent");
    check("services", ID "1", "tags", "[\"t\"]");
    check("services", "s", "retries", "absent");
    check("routes", "r", "service", "{\"id\":\"" ID "1\"}");
    check("upstreams", "u", "algorithm", "\"consistent-hashing\"");
    check("upstreams", "u", "targets", "absent");
    check("consumers", "c", "_comment", "absent");
    uint32_t count;
    const struct catalog_row *rows = catalog_of_kind(&catalog, "targets", &count);
    cr_assert_eq(count, 1);
    cr_assert(strstr(rows[0].text.data, "A.test:8000") || strstr(rows[0].text.data, "a.test:8000"));
    rows = catalog_of_kind(&catalog, "plugins", &count);
    cr_assert_eq(count, 1);
    cr_assert(catalog_refers(rows, "service", ID "1"));
    cr_assert_not(catalog_refers(rows, "route", ID "1"));
    cr_assert_null(catalog_find(&catalog, "services", SLICE("nope")));
    catalog_of_kind(&catalog, "vaults", &count);
    cr_assert_eq(count, 0);
}

/* What is known to be written from another catalog is not described again; the marks tell. */
Test(catalog, rows_of_a_source_are_taken_over)
{
    static const char text[] =
        "_format_version: '3.0'\n"
        "services: [{id: " ID "1, name: a, host: h}, {id: " ID "2, name: b, host: h}]\n"
        "routes: [{id: " ID "1, name: r, paths: [/]}]\n";
    struct arena arena;
    struct catalog source;
    arena_init(&arena, NULL, 0, 1000000);
    catalog_init(&source, &arena);
    const struct catalog_row rows[] = {
        { "services", ID "2", SLICE("b"), SLICE("{\"mark\":2}") },
        { "services", ID "0", SLICE("z"), SLICE("{\"mark\":0}") },
        { "routes", ID "1", SLICE("r"), SLICE("{\"mark\":3}") },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        cr_assert(catalog_add(&source, &rows[i]));
    cr_assert(catalog_finish(&source));
    catalog.source = (struct catalog_source){ &source, 1, 0 };
    cr_assert(config_setup_kong(&setup, text));
    cr_expect_eq(catalog.count, 3);
    check("services", "a", "host", "\"h\"");
    check("services", "b", "mark", "2");
    check("routes", "r", "mark", "3");
    cr_expect_null(catalog_find(&catalog, "services", SLICE("z")), "it was not in the document");
    cr_expect_null(catalog.source.catalog, "which may be gone by now");
    arena_deinit(&arena);
}

Test(catalog, documents_behind_those_of_a_source)
{
    catalog.source = (struct catalog_source){ &catalog, 0, 0 };
    cr_assert(config_setup_kong(&setup, "_format_version: '3.0'\nservices: [{name: a, host: h}]\n"));
    check("services", "a", "host", "\"h\"");
}

Test(catalog, references_by_name_become_ids)
{
    cr_assert(config_setup_kong(&setup, "{\"_format_version\": \"3.0\", \"routes\": [{\"name\": \"r\", "
                                        "\"paths\": [\"/\"], \"service\": \"s\"}], \"services\": [{\"id\": "
                                        "\"" ID "7\", \"name\": \"s\", \"host\": \"h\"}]}"));
    check("routes", "r", "service", "{\"id\":\"" ID "7\"}");
}

Test(catalog, none_of_a_bad_configuration)
{
    cr_assert_not(config_setup_kong(&setup, "{\"_format_version\": \"3.0\", \"services\": [{}]}"));
    cr_assert_eq(catalog.count, 0);
}

Test(catalog, shown_with_defaults)
{
    const struct kong_entity_kind *kind = kong_find_entity_kind(SLICE("plugins"));
    json_t *given = json_loads("{\"name\":\"count\",\"config\":{\"minute\":5},\"own\":1}", 0, NULL);
    json_t *shown = kong_document_show(kind, given, config_setup_kinds, SCHEMA_AS_KONG);
    json_t *config = json_object_get(shown, "config");
    cr_assert_eq(json_integer_value(json_object_get(config, "minute")), 5);
    cr_assert(json_is_object(json_object_get(config, "redis")));
    cr_assert(json_is_null(json_object_get(shown, "route")));
    cr_assert_eq(json_array_size(json_object_get(shown, "protocols")), 4);
    cr_assert_eq(json_integer_value(json_object_get(shown, "own")), 1);
    json_decref(shown);
    json_decref(given);
}

Test(catalog, checked_alone)
{
    const struct kong_entity_kind *kind = kong_find_entity_kind(SLICE("routes"));
    json_t *given = json_loads("{\"paths\":[\"/\"],\"service\":{\"id\":\"" ID "9\"}}", 0, NULL);
    cr_assert_null(kong_document_check(kind, given, config_setup_kinds));
    json_object_set_new(given, "nope", json_integer(1));
    json_t *errors = kong_document_check(kind, given, config_setup_kinds);
    cr_assert_str_eq(json_string_value(json_object_get(errors, "nope")), "unknown field");
    cr_assert_eq(json_object_size(errors), 1);
    json_decref(errors);
    json_decref(given);
}

Test(catalog, forms_become_values)
{
    const struct kong_entity_kind *kind = kong_find_entity_kind(SLICE("services"));
    json_t *given = json_loads("{\"port\":\"81\",\"enabled\":\"false\",\"path\":\"\",\"tags\":\"a\","
                               "\"name\":\"5\",\"retries\":\"x\"}",
                               0, NULL);
    json_t *want = json_loads("{\"port\":81,\"enabled\":false,\"path\":null,\"tags\":[\"a\"],\"name\":\"5\","
                              "\"retries\":\"x\"}",
                              0, NULL);
    kong_document_infer(kind, given, config_setup_kinds);
    cr_assert(json_equal(given, want), "%s", json_dumps(given, 0));
    json_decref(given);
    json_decref(want);
}

Test(catalog, every_kind_is_described)
{
    const struct kong_entity_kind *kind;
    for (size_t i = 0; (kind = kong_entity_kind_at(i)) != NULL; i++) {
        if (kind->fields == NULL)
            continue;
        json_t *described = kong_document_describe(kind, config_setup_kinds, SCHEMA_AS_KONG);
        json_t *fields = json_object_get(described, "fields");
        size_t count = 0;
        while (kind->fields[count])
            count++;
        cr_assert_eq(json_array_size(fields), count, "%s", kind->name);
        json_decref(described);
    }
}
