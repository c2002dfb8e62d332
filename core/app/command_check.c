/* SPDX-License-Identifier: Apache-2.0 */
#include "config/kong/error_tree.h"
#include "core/app/command_load.h"
#include "core/app/tls_setup.h"
#include "net/proxy/tls_sites.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static const size_t text_limit_bytes = (size_t)8 * 1024 * 1024 * 1024;

static int wrong_usage(const char *reason, const char *what)
{
    fprintf(stderr, "sluice check: %s: %s\n", reason, what);
    return COMMAND_EXIT_USAGE;
}

/* What a start would find out about keys and certificates beyond what their texts say. */
static void check_certificates(const struct loaded *loaded, struct report *report)
{
    struct arena scratch;
    if (report->error_count > 0)
        return;
    arena_init(&scratch, NULL, 0, SIZE_MAX);
    tls_sites_check(loaded->model, &scratch, report);
    arena_deinit(&scratch);
    report_sort(report);
}

static void check_settings(const struct loaded *loaded, struct report *report)
{
    struct tls_setup setup;
    bool good = tls_setup_open(&setup, &loaded->settings, 1, report) && tls_setup_read(&setup, report);
    if (!good && report->error_count == 0)
        report_add(report, REPORT_ERROR, NULL, "", "out of memory");
    tls_setup_close(&setup);
}

static int check_as_text(const struct command_options *options)
{
    struct loaded loaded = { 0 };
    struct report report;
    report_init(&report);
    if (command_load_into(options, &loaded, &(struct command_loading){ &report, NULL })) {
        check_certificates(&loaded, &report);
        check_settings(&loaded, &report);
    }
    bool good = report.error_count == 0;
    report_print(&report, stderr);
    report_deinit(&report);
    if (good) {
        const struct model *model = loaded.model;
        printf("ok: %u services, %u routes, %u consumers, %u plugins\n", model->services.count,
               model->routes.count, model->consumers.count, model->plugins.count);
    }
    config_unload(&loaded);
    return good ? COMMAND_EXIT_OK : COMMAND_EXIT_INVALID;
}

/* Every error and warning with its place, beside what Kong says. */
static json_t *list_positions(const struct report *report)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < report->count; i++) {
        const struct report_entry *entry = &report->entries[i];
        json_t *item = json_object();
        json_object_set_new(item, "kind", json_string(entry->kind == REPORT_ERROR ? "error" : "warning"));
        if (entry->file[0])
            json_object_set_new(item, "file", kong_error_text(entry->file));
        if (entry->line > 0) {
            json_object_set_new(item, "line", json_integer(entry->line));
            json_object_set_new(item, "column", json_integer(entry->column));
        }
        json_object_set_new(item, "path", kong_error_text(entry->path));
        json_object_set_new(item, "reason", kong_error_text(entry->reason));
        if (entry->meant)
            json_object_set_new(item, "meant", kong_error_text(entry->meant));
        json_array_append_new(list, item);
    }
    return list;
}

static uint32_t count_errors(const struct report *report)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < report->count; i++)
        count += report->entries[i].kind == REPORT_ERROR;
    return count;
}

/* False when it could not be written. */
static bool print_answer(const struct kong_error_source *source, enum kong_error_form form)
{
    const struct report *report = source->report;
    json_t *answer = report->error_count ? kong_error_answer(source, form) : json_object();
    uint32_t more = report->error_count - count_errors(report);
    if (answer)
        json_object_set_new(answer, "positions", list_positions(report));
    if (answer && more)
        json_object_set_new(answer, "more_errors", json_integer(more)); /* beyond the report's limit */
    bool good = answer && json_dumpf(answer, stdout, JSON_INDENT(2)) == 0 && putchar('\n') != EOF;
    json_decref(answer);
    return good && fflush(stdout) == 0;
}

static int check_as_json(const struct command_options *options, enum kong_error_form form)
{
    struct loaded loaded = { 0 };
    struct report report;
    struct config_texts texts = { 0 };
    report_init(&report);
    arena_init(&texts.arena, NULL, 0, text_limit_bytes);
    if (command_load_into(options, &loaded, &(struct command_loading){ &report, &texts }))
        check_certificates(&loaded, &report);
    bool good = report.error_count == 0;
    bool printed = print_answer(&(struct kong_error_source){ &report, &texts.kong }, form);
    config_unload(&loaded);
    arena_deinit(&texts.arena);
    report_deinit(&report);
    if (!printed)
        fputs("sluice check: the answer could not be written\n", stderr);
    return !printed ? COMMAND_EXIT_FAILED : good ? COMMAND_EXIT_OK : COMMAND_EXIT_INVALID;
}

int command_check(const struct command_options *options)
{
    bool json = false, flatten = false;
    for (int i = 0; i < options->argument_count; i++) {
        const char *word = options->arguments[i];
        if (strcmp(word, "--json") == 0)
            json = true;
        else if (strcmp(word, "--flatten") == 0)
            flatten = true;
        else
            return wrong_usage("unexpected argument", word);
    }
    if (flatten && !json)
        return wrong_usage("goes with --json only", "--flatten");
    if (json)
        return check_as_json(options, flatten ? KONG_ERRORS_FLATTENED : KONG_ERRORS_NESTED);
    return check_as_text(options);
}
