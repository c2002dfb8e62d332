/* SPDX-License-Identifier: Apache-2.0 */
#include "core/app/command_load.h"

#include <stdio.h>

static int wrong_usage(const char *reason, const char *what)
{
    fprintf(stderr, "sluice check: %s: %s\n", reason, what);
    return COMMAND_EXIT_USAGE;
}

int command_check(const struct command_options *options)
{
    struct loaded loaded;
    if (options->argument_count > 0)
        return wrong_usage("unexpected argument", options->arguments[0]);
    bool good = command_load(options, &loaded);
    if (good) {
        const struct model *model = loaded.model;
        printf("ok: %u services, %u routes, %u consumers, %u plugins\n", model->services.count,
               model->routes.count, model->consumers.count, model->plugins.count);
    }
    config_unload(&loaded);
    return good ? COMMAND_EXIT_OK : COMMAND_EXIT_INVALID;
}
