/* SPDX-License-Identifier: Apache-2.0 */
/* A text as YAML and as JSON, through the Kong front-end and the settings: whatever it is, it ends in a model
 * or in reports, within the limits. */
#include "config/kong/error_tree.h"
#include "config/kong/kong.h"
#include "config/load.h"
#include "config/settings_conf.h"
#include "core/base/hash.h"
#include "tests/support/config_setup.h"

#include <jansson.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct document_limits limits = { .file_bytes = 65536, .depth = 32, .nodes = 20000 };

static void read_settings(const struct node *document, struct report *report)
{
    struct settings settings;
    if (settings_init(&settings)) {
        settings_apply_node(&settings, document, 4, report);
        settings_finish(&settings, report);
    }
    settings_deinit(&settings);
}

/* A good configuration has everything resolved. */
static void check_model(const struct model *model)
{
    for (uint32_t i = 0; i < model->plugins.count; i++)
        CHECK(model->plugins.items[i]->kind != NULL && model->plugins.items[i]->config != NULL);
    for (uint32_t i = 0; i < model->routes.count; i++) {
        const struct route *route = model->routes.items[i];
        CHECK(route->protocols != 0 && strlen(route->entity.id) == MODEL_ID_SIZE - 1);
        for (uint32_t j = 0; j < route->paths.count; j++)
            CHECK(route->paths.items[j].data[0] == '/' || route->paths.items[j].data[0] == '~');
    }
    for (uint32_t i = 0; i < model->consumers.count; i++)
        for (uint32_t j = 0; j < model->consumers.items[i]->group_count; j++)
            CHECK(model->consumers.items[i]->groups[j]->entity.name.size > 0);
    for (uint32_t i = 0; i < model->services.count; i++)
        CHECK(model->services.items[i]->host.size > 0);
    for (uint32_t i = 0; i < model->upstreams.count; i++) {
        const struct upstream *upstream = model->upstreams.items[i];
        CHECK(upstream->entity.name.size > 0 && upstream->health.concurrency > 0);
        for (uint32_t j = 0; j < upstream->target_count; j++)
            CHECK(upstream->targets[j]->host.size > 0);
    }
    for (uint32_t i = 0; i < model->snis.count; i++)
        CHECK(model->snis.items[i]->certificate != NULL);
}

static void read_conf(struct slice text)
{
    struct settings settings;
    struct report report;
    report_init(&report);
    if (settings_init(&settings) && settings_conf_apply(&settings, text, "fuzz.conf", &report))
        settings_finish(&settings, &report);
    settings_deinit(&settings);
    report_deinit(&report);
}

/* Whatever was wrong has an answer that can be written. */
static void check_answer(const struct report *report, const struct documents *documents)
{
    const struct kong_error_source source = { report, documents };
    for (int form = KONG_ERRORS_NESTED; form <= KONG_ERRORS_FLATTENED; form++) {
        json_t *answer = kong_error_answer(&source, (enum kong_error_form)form);
        CHECK(json_object_size(json_object_get(answer, "fields")) +
                  json_array_size(json_object_get(answer, "flattened_errors")) >
              0);
        char *text = json_dumps(answer, JSON_COMPACT);
        CHECK(text != NULL);
        free(text);
        json_decref(answer);
    }
}

static void read_as(const char *file, struct slice text)
{
    struct arena arena;
    struct report report;
    struct documents documents;
    struct model *model = model_open();
    arena_init(&arena, NULL, 0, (size_t)64 * 1024 * 1024);
    report_init(&report);
    struct document_reading reading = { &limits, &arena, &report };
    bool good = document_read_text(text, file, &reading, &documents);
    CHECK(good == (report.error_count == 0));
    if (good && model != NULL) {
        for (uint32_t i = 0; i < documents.count; i++)
            if (settings_recognise(documents.items[i]))
                read_settings(documents.items[i], &report);
        uint32_t before = report.error_count;
        good = kong_read_all(&documents, config_setup_kinds, model, &report);
        CHECK(good == (report.error_count == before));
        if (good)
            check_model(model);
    }
    report_sort(&report);
    if (report.error_count > 0)
        check_answer(&report, &documents);
    model_close(model);
    report_deinit(&report);
    arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool started;
    if (!started)
        hash_start();
    started = true;
    struct slice text = { (const char *)data, size };
    read_as("fuzz.yaml", text);
    read_as("fuzz.json", text);
    if (settings_conf_recognise(text))
        read_conf(text);
    return 0;
}
