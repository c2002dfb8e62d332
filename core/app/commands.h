/* SPDX-License-Identifier: Apache-2.0 */
/* The commands that serve nothing: they look at a configuration, at this build, or at a gateway that runs
 * elsewhere, print and end. Called by main with what the command line said; each returns the exit status. One
 * thread. */
#pragma once

struct command_options {
    const char *const *paths;     /* -c, ends with NULL */
    const char *const *overrides; /* --set KEY=VALUE, ends with NULL */
    int path_count;
    const char *pid_file;         /* --pid, or NULL */
    const char *const *arguments; /* the rest, behind the command's name */
    int argument_count;
};

/* Exit statuses, the same for every command. */
enum command_exit {
    COMMAND_EXIT_OK = 0,
    COMMAND_EXIT_INVALID = 1, /* the configuration */
    COMMAND_EXIT_USAGE = 2,
    COMMAND_EXIT_FAILED = 3
};

/* The compiler and its flags, for `version`; defined in main.c. */
extern const char sluice_build_flags[];

/* Loads everything: errors and warnings to stderr, a line that begins with "ok" to stdout. With --json what
 * Kong's POST /config answers goes to stdout, with --flatten beside it as for its `flatten_errors=1`, and
 * "positions" with file, line and column. */
int command_check(const struct command_options *options);

/* METHOD URL [-H 'Name: value']...: the route that matches and why, the plugins in their order, the upstream
 * URL. */
int command_explain(const struct command_options *options);

/* Without argument the list of what has a reference; else that of `settings`, an entity or a plugin. */
int command_schema(const struct command_options *options);

int command_version(const struct command_options *options);

/* `command`: "reload" (SIGHUP), "stop" (SIGTERM, waits until the process has ended) or "status". Finds the
 * process by --pid or the setting pid_file. */
int command_signal(const struct command_options *options, const char *command);

/* [SECONDS]: what goes on in the gateway that runs with these settings, drawn again and again until q or
 * Ctrl-C; once, when the output is no terminal. */
int command_top(const struct command_options *options);
