/* SPDX-License-Identifier: Apache-2.0 */
#include "core/app/commands.h"
#include "core/app/kinds.h"

#include "config/emissary/emissary.h"
#include "config/kong/kong.h"
#include "config/settings.h"

#include <stdio.h>

static void print_schema(const struct schema *schema, const char *title)
{
    struct schema named = *schema;
    named.name = title;
    schema_print(&named, stdout);
}

static void print_plugin(const struct plugin_kind *kind)
{
    printf("plugin %s, priority %d%s\n\n", kind->name, kind->priority,
           kind->forbids_consumer ? ", not for a consumer" : "");
    print_schema(&kind->config, "config");
    if (kind->credentials) {
        putchar('\n');
        print_schema(kind->credentials->schema, kind->credentials->name);
    }
}

static const struct schema *const *const entity_lists[] = { kong_schemas, emissary_schemas };

static void print_entity_names(void)
{
    for (size_t i = 0; i < COUNT_OF(entity_lists); i++)
        for (const struct schema *const *one = entity_lists[i]; *one; one++)
            printf("  %s\n", (*one)->name);
}

static void print_entities(void)
{
    for (size_t i = 0; i < COUNT_OF(entity_lists); i++)
        for (const struct schema *const *one = entity_lists[i]; *one; one++) {
            schema_print(*one, stdout);
            putchar('\n');
        }
}

static int print_list(void)
{
    const struct plugin_kind *const *kinds = app_plugin_kinds();
    printf("`sluice schema NAME` prints the reference of one of these.\n\nsettings\n\nentities\n");
    print_entity_names();
    printf("\nplugins, the first to run first\n");
    int below = INT32_MAX; /* priorities are unique */
    for (;;) {
        const struct plugin_kind *next = NULL;
        for (size_t i = 0; kinds[i]; i++)
            if (kinds[i]->priority < below && (next == NULL || kinds[i]->priority > next->priority))
                next = kinds[i];
        if (next == NULL)
            break;
        printf("  %-24s priority %d\n", next->name, next->priority);
        below = next->priority;
    }
    printf("\nfields of entities\n\n");
    print_entities();
    return COMMAND_EXIT_OK;
}

/* "routes" or "route". */
static bool names_entity(struct slice name, struct slice entity)
{
    if (slice_equal(name, entity))
        return true;
    return name.size == entity.size + 1 && slice_starts_with(name, entity) && name.data[entity.size] == 's';
}

static bool print_entity(struct slice name)
{
    for (size_t i = 0; i < COUNT_OF(entity_lists); i++)
        for (const struct schema *const *one = entity_lists[i]; *one; one++)
            if (names_entity(name, slice_of((*one)->name))) {
                schema_print(*one, stdout);
                return true;
            }
    return false;
}

static int print_one(const char *text)
{
    struct slice name = slice_of(text);
    const struct plugin_kind *const *kinds = app_plugin_kinds();
    if (slice_equal(name, SLICE("settings"))) {
        print_schema(&settings_schema, "settings");
        return COMMAND_EXIT_OK;
    }
    for (size_t i = 0; kinds[i]; i++) {
        if (slice_equal(name, slice_of(kinds[i]->name))) {
            print_plugin(kinds[i]);
            return COMMAND_EXIT_OK;
        }
    }
    if (print_entity(name))
        return COMMAND_EXIT_OK;
    fprintf(stderr, "sluice schema: nothing is called '%s'; `sluice schema` lists the names\n", text);
    return COMMAND_EXIT_USAGE;
}

int command_schema(const struct command_options *options)
{
    if (options->argument_count > 1) {
        fprintf(stderr, "sluice schema: unexpected argument: %s\n", options->arguments[1]);
        return COMMAND_EXIT_USAGE;
    }
    return options->argument_count == 0 ? print_list() : print_one(options->arguments[0]);
}
