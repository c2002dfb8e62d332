/* SPDX-License-Identifier: Apache-2.0 */
#include "core/app/command_load.h"

#include "core/app/kinds.h"

extern char **environ;

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
    (void)config_load(&sources, loaded, report);
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
