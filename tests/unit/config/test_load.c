/* SPDX-License-Identifier: Apache-2.0 */
#include "config/load.h"
#include "tests/support/config_setup.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <unistd.h>

static struct config_setup setup;
static struct loaded loaded;
static char folder[] = "/tmp/sluice-load-XXXXXX";
static char paths[4][64];
static uint32_t path_count;

static void open_setup(void)
{
    config_setup_init(&setup);
    cr_assert_not_null(mkdtemp(folder));
}

static void close_setup(void)
{
    for (uint32_t i = 0; i < path_count; i++)
        unlink(paths[i]);
    rmdir(folder);
    config_setup_deinit(&setup);
}

TestSuite(load, .init = open_setup, .fini = close_setup);

static const char *write_file(const char *name, const char *text)
{
    char *path = paths[path_count++];
    snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    FILE *out = fopen(path, "w");
    cr_assert_not_null(out);
    fputs(text, out);
    fclose(out);
    return path;
}

static bool load(const char *const *files, const char *const *overrides)
{
    struct config_sources sources = { .paths = files, .overrides = overrides, .cores = 2 };
    sources.plugins = config_setup_kinds;
    return config_load(&sources, &loaded, &setup.report);
}

#define NO_HASH "00000000000000000000000000000000"

Test(load, nothing_is_an_empty_model)
{
    cr_assert(load(NULL, NULL));
    cr_assert_eq(loaded.model->routes.count, 0);
    cr_assert_str_eq(loaded.model->hash, NO_HASH);
    cr_assert_not(loaded.model->kong_headers);
    config_unload(&loaded);
}

Test(load, a_folder_of_both_kinds)
{
    write_file("a.yaml", "sluice: {shards: 1, headers: 'off'}\n");
    write_file("b.json",
               "{\"_format_version\": \"3.0\", \"services\": [{\"name\": \"s1\", \"host\": \"h\"}]}");
    write_file("c.yaml", "_format_version: '3.0'\nroutes: [{paths: [/], service: s1}]\n");
    write_file("d.txt", "not read");
    const char *files[] = { folder, NULL }, *overrides[] = { "shards=2", NULL };
    cr_assert(load(files, overrides));
    cr_assert_eq(loaded.settings.shard_count, 2);
    cr_assert_eq(loaded.settings.headers_sent, 0);
    cr_assert_eq(loaded.model->routes.items[0]->service, loaded.model->services.items[0]);
    cr_assert_str_neq(loaded.model->hash, NO_HASH);
    config_unload(&loaded);
}

Test(load, the_hash_is_that_of_the_text)
{
    struct config_sources sources = { .text = SLICE("_format_version: \"3.0\"\n"), .text_name = "demo" };
    sources.plugins = config_setup_kinds;
    cr_assert(config_load(&sources, &loaded, &setup.report));
    cr_assert_str_eq(loaded.model->hash, "33371dd163ecae6602a88ff671d6ac9a");
    cr_assert(loaded.model->kong_headers);
    config_unload(&loaded);
}

Test(load, errors_of_all_files)
{
    const char *files[] = {
        write_file("a.yaml", "_format_version: '3.0'\nservices: [{name: s1, host: h, port: x}]\n"),
        write_file("b.yaml", "_format_version: '3.0'\nroutes: [{paths: [/], service: s1},\n {paths: [x]}]\n"),
        write_file("c.yaml", "a: [\n"),
        "/nonexistent/d.yaml",
        NULL,
    };
    const char *overrides[] = { "shrads=1", "novalue", NULL };
    cr_assert_not(load(files, overrides));
    cr_assert_eq(setup.report.error_count, 6);
    cr_assert(config_setup_reported(&setup, 2, "services[0].port", "expected an integer"));
    cr_assert(config_setup_reported(&setup, 3, "routes[1].paths[0]", "should start with"));
    cr_assert(config_setup_reported(&setup, 0, "novalue", "expected KEY=VALUE"));
    config_unload(&loaded);
}

static const struct {
    const char *name, *text, *reason;
} refused[] = {
    { "a.yaml", "", "the file is empty" },
    { "a.yaml", "a: 1", "expected a Kong configuration" },
    { "a.yaml", "just text", "expected a record" },
    { "a.yaml", "[]", "expected a record" },
    { "a.yaml", "services: []", "required field missing" },
    { "a.yaml", "{apiVersion: gateway.networking.k8s.io/v1, kind: TCPRoute}", "not supported yet" },
    { "a.yaml", "{AWSTemplateFormatVersion: '2010-09-09'}", "CloudFormation templates" },
    { "a.json", "{\"swagger\": \"2.0\"}", "Swagger definitions" },
    { "a.json", "{\"openapi\": \"3.0.1\"}", "title: required field missing" },
    { "a.tf", "resource {}", "expected resource \"TYPE\" \"NAME\"" },
};

Test(load, kinds_without_a_front_end)
{
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        struct report report;
        report_init(&report);
        path_count = 0;
        const char *files[] = { write_file(refused[i].name, refused[i].text), NULL };
        struct config_sources sources = { .paths = files, .plugins = config_setup_kinds };
        cr_assert_not(config_load(&sources, &loaded, &report), "%s", refused[i].text);
        cr_assert_eq(report.count, 1);
        cr_assert(strstr(report.entries[0].reason, refused[i].reason), "%s", report.entries[0].reason);
        unlink(files[0]);
        config_unload(&loaded);
        report_deinit(&report);
    }
    const char *empty[] = { folder, NULL };
    cr_assert_not(load(empty, NULL));
    cr_assert(config_setup_reported(&setup, 0, "", "holds no configuration"));
    config_unload(&loaded);
}

Test(load, kongs_own_file_and_a_text)
{
    const char *files[] = { write_file("kong.conf", "log_level = warn\n"
                                                    "declarative_config_string = _format_version: '3.0'\n"),
                            write_file("plain", "# Kong\nplugins = guard\n"), NULL };
    cr_assert(load(files, NULL));
    cr_assert_eq(loaded.settings.log_level, SETTINGS_LOG_WARN);
    cr_assert(loaded.model->kong_headers);
    cr_assert_str_neq(loaded.model->hash, NO_HASH);
    config_unload(&loaded);
    const char *texts[] = { "plugins=guard",
                            "declarative_config_string={\"_format_version\": \"3.0\", \"plugins\": "
                            "[{\"name\": \"count\", \"config\": {\"minute\": 1}}]}",
                            NULL };
    cr_assert_not(load(NULL, texts));
    cr_assert(config_setup_reported(&setup, 1, "plugins[0].name", "plugin 'count' not enabled"));
    config_unload(&loaded);
}
