/* SPDX-License-Identifier: Apache-2.0 */
/* A text as YAML and as JSON, through the Kong front-end and the settings: whatever it is, it ends in a model
 * or in reports, within the limits. */
#include "config/kong/kong.h"
#include "config/load.h"
#include "core/base/hash.h"
#include "tests/support/config_setup.h"

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
    for (uint32_t i = 0; i < model->services.count; i++)
        CHECK(model->services.items[i]->host.size > 0);
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
    return 0;
}
