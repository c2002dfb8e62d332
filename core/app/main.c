/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: which command, with what; the rest is done elsewhere. */
#include "core/app/commands.h"
#include "core/app/control.h"
#include "core/app/demo.h"
#include "core/app/handover.h"
#include "core/app/kinds.h"
#include "core/base/hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char sluice_build_flags[] = SLUICE_BUILD_FLAGS;

extern char **environ;

static const char usage[] =
    "usage: sluice COMMAND [-c PATH]... [--set KEY=VALUE]... [--pid FILE]\n"
    "\n"
    "  run                   serve in the foreground; PATH: settings, configuration or a directory of them\n"
    "  demo                  serve a built-in demonstration\n"
    "  check                 validate everything, print every error\n"
    "  check --json [--flatten]   the same as Kong's POST /config answers\n"
    "  explain METHOD URL [-H 'Name: value']... [--json]   which route matches, and why\n"
    "  schema [NAME]         the reference of the settings, an entity or a plugin\n"
    "  reload | stop | status   talk to a running gateway (--pid FILE or the setting pid_file)\n"
    "  top [SECONDS]            what goes on in a running gateway, from its admin_listen\n"
    "  version               this build, its libraries and what the kernel offers\n";

struct arguments {
    struct command_options options;
    const char **paths, **rest, **overrides;
    int override_count;
};

static int wrong_usage(const char *reason, const char *what)
{
    fprintf(stderr, "%ssluice: %s%s%s\n", usage, reason, what ? ": " : "", what ? what : "");
    return COMMAND_EXIT_USAGE;
}

/* 0, or the exit status of a wrong usage. */
static int parse(struct arguments *arguments, int count, char **words)
{
    struct command_options *options = &arguments->options;
    for (int i = 0; i < count; i++) {
        char *word = words[i], *value = i + 1 < count ? words[i + 1] : NULL;
        bool takes_value =
            strcmp(word, "-c") == 0 || strcmp(word, "--set") == 0 || strcmp(word, "--pid") == 0;
        if (!takes_value) {
            arguments->rest[options->argument_count++] = word;
            continue;
        }
        if (value == NULL)
            return wrong_usage("a value is missing after", word);
        i++;
        if (strcmp(word, "-c") == 0)
            arguments->paths[options->path_count++] = value;
        else if (strcmp(word, "--pid") == 0)
            options->pid_file = value;
        else if (strchr(value, '=') == NULL || value[0] == '=')
            return wrong_usage("--set wants KEY=VALUE, not", value);
        else
            arguments->overrides[arguments->override_count++] = value;
    }
    return 0;
}

static int command_run(const struct command_options *options, enum control_greeting greeting)
{
    struct report report;
    struct loaded loaded = { 0 };
    struct config_sources sources = { .paths = options->paths,
                                      .overrides = options->overrides,
                                      .environment = (const char *const *)environ,
                                      .plugins = app_plugin_kinds(),
                                      .catalogued = true };
    if (greeting == CONTROL_DEMO) {
        uint16_t port;
        int failure = demo_origin_start(&port);
        if (failure != 0) {
            fprintf(stderr, "sluice: the demo's origin could not start: %s\n", strerror(failure));
            return COMMAND_EXIT_FAILED;
        }
        sources.text = slice_of(demo_configuration());
        sources.text_name = "demo";
    }
    report_init(&report);
    bool good = config_load(&sources, &loaded, &report);
    report_print(&report, stderr);
    report_deinit(&report);
    int status = good ? control_run(&sources, &loaded, greeting) : COMMAND_EXIT_INVALID;
    config_unload(&loaded);
    return status;
}

static int dispatch(const char *command, const struct command_options *options)
{
    bool serves = strcmp(command, "run") == 0 || strcmp(command, "demo") == 0;
    bool takes_arguments = strcmp(command, "explain") == 0 || strcmp(command, "schema") == 0 ||
                           strcmp(command, "check") == 0 || strcmp(command, "top") == 0;
    if (options->argument_count > 0 && !takes_arguments)
        return wrong_usage("unexpected argument", options->arguments[0]);
    if (serves)
        return command_run(options, strcmp(command, "demo") == 0 ? CONTROL_DEMO : CONTROL_PLAIN);
    if (strcmp(command, "check") == 0)
        return command_check(options);
    if (strcmp(command, "explain") == 0)
        return command_explain(options);
    if (strcmp(command, "schema") == 0)
        return command_schema(options);
    if (strcmp(command, "version") == 0 || strcmp(command, "--version") == 0)
        return command_version(options);
    if (strcmp(command, "reload") == 0 || strcmp(command, "stop") == 0 || strcmp(command, "status") == 0)
        return command_signal(options, command);
    if (strcmp(command, "top") == 0)
        return command_top(options);
    return wrong_usage("unknown command", command);
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return wrong_usage("a command is missing", NULL);
    if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        fputs(usage, stdout);
        return COMMAND_EXIT_OK;
    }
    hash_start();
    handover_start(argv);
    size_t room = (size_t)argc + 1;
    struct arguments arguments = { .paths = calloc(room, sizeof(char *)),
                                   .rest = calloc(room, sizeof(char *)),
                                   .overrides = calloc(room, sizeof(char *)) };
    int status = COMMAND_EXIT_FAILED;
    if (arguments.paths && arguments.rest && arguments.overrides) {
        arguments.options.paths = arguments.paths;
        arguments.options.arguments = arguments.rest;
        arguments.options.overrides = arguments.overrides;
        status = parse(&arguments, argc - 2, argv + 2);
        if (status == 0)
            status = dispatch(argv[1], &arguments.options);
    }
    free(arguments.paths);
    free(arguments.rest);
    free(arguments.overrides);
    return status;
}
