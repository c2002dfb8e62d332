/* SPDX-License-Identifier: Apache-2.0 */
#include "core/app/command_load.h"

#include "core/app/kinds.h"
#include "net/proxy/router.h"

extern char **environ;

/* What only the router can judge. */
static void check_router(const struct loaded *loaded, struct report *report)
{
    const struct model *model = loaded->model;
    struct router_source source = { model->routes.items, model->routes.count,
                                    (enum router_flavor)loaded->settings.router_flavor };
    struct router router;
    struct arena arena;
    arena_init(&arena, NULL, 0, SIZE_MAX);
    enum error error = router_build(&router, &arena, &source, report);
    if (error == ERROR_OK)
        router_close(&router);
    else if (report->error_count == 0)
        report_add(report, REPORT_ERROR, NULL, "routes", "%s", error_text(error));
    arena_deinit(&arena);
}

bool command_load_into(const struct command_options *options, struct loaded *loaded,
                       const struct command_loading *loading)
{
    struct report *report = loading->report;
    struct config_sources sources = { .paths = options->paths,
                                      .environment = (const char *const *)environ,
                                      .overrides = options->overrides,
                                      .plugins = app_plugin_kinds(),
                                      .dialect = loading->texts ? CONFIG_KONG : CONFIG_BY_CONTENT,
                                      .texts = loading->texts };
    *loaded = (struct loaded){ 0 };
    if (config_load(&sources, loaded, report)) {
        check_router(loaded, report);
        report_sort(report);
    }
    return report->error_count == 0;
}

bool command_load(const struct command_options *options, struct loaded *loaded)
{
    struct report report;
    report_init(&report);
    bool good = command_load_into(options, loaded, &(struct command_loading){ &report, NULL });
    report_print(&report, stderr);
    report_deinit(&report);
    return good;
}
