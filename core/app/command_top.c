/* SPDX-License-Identifier: Apache-2.0 */
/* A view of a running gateway for a terminal: what /ui/live and /ui/routes say, twice, makes rates. */
#include "core/app/command_load.h"
#include "core/app/status_query.h"
#include "net/proxy/traffic.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

enum { USUAL_ROWS = 24, HEAD_ROWS = 9, SECONDS_MAX = 3600, PLAIN_ROUTES = 20 };

struct top {
    const struct settings *settings;
    uint64_t interval_ms;
    bool terminal;
    struct termios usual; /* of the terminal, to be put back */
    json_t *before, *now; /* of /ui/live */
};

static double number(const json_t *object, const char *name)
{
    return json_number_value(json_object_get(object, name));
}

static double sum(const json_t *sample, const char *name)
{
    const json_t *shards = json_object_get(sample, "shards");
    double total = 0;
    for (size_t i = 0; i < json_array_size(shards); i++)
        total += number(json_array_get(shards, i), name);
    return total;
}

static double seconds(const struct top *top)
{
    double passed = (number(top->now, "now_ms") - number(top->before, "now_ms")) / 1000;
    return passed > 0 ? passed : 1;
}

static double rate(const struct top *top, const char *name)
{
    return (sum(top->now, name) - sum(top->before, name)) / seconds(top);
}

/* Of the requests between the samples, in milliseconds; 0: there were none. */
static double quantile_ms(const struct top *top, double share)
{
    const json_t *bounds = json_object_get(json_object_get(top->now, "latency"), "bounds_us");
    const json_t *counts = json_object_get(json_object_get(top->now, "latency"), "counts");
    const json_t *old = json_object_get(json_object_get(top->before, "latency"), "counts");
    double total = 0, below = 0;
    for (size_t i = 0; i < json_array_size(counts); i++)
        total += json_number_value(json_array_get(counts, i)) - json_number_value(json_array_get(old, i));
    for (size_t i = 0; total > 0 && i < json_array_size(bounds); i++) {
        below += json_number_value(json_array_get(counts, i)) - json_number_value(json_array_get(old, i));
        if (below >= share * total)
            return json_number_value(json_array_get(bounds, i)) / 1000;
    }
    return 0;
}

static void draw_shards(const struct top *top)
{
    const json_t *shards = json_object_get(top->now, "shards"), *old = json_object_get(top->before, "shards");
    for (size_t i = 0; i < json_array_size(shards); i++) {
        const json_t *shard = json_array_get(shards, i), *was = json_array_get(old, i);
        double load = (number(shard, "cpu_us") - number(was, "cpu_us")) / seconds(top) / 10000;
        printf("shard %-3zu %5.1f %%  %9.0f req/s  %6.0f in progress  %7.0f connections\n", i, load,
               (number(shard, "requests") - number(was, "requests")) / seconds(top), number(shard, "active"),
               number(shard, "connections"));
    }
}

static void draw_routes(const struct top *top, int rows)
{
    char target[64];
    snprintf(target, sizeof(target), "/ui/routes?size=%d", rows);
    json_t *answer = status_query_admin(top->settings, target);
    const json_t *list = json_object_get(answer, "rows");
    printf("\n%-32s %-24s %10s %8s %8s %9s\n", "ROUTE", "SERVICE", "REQ/S", "4XX/S", "5XX/S", "MEAN MS");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *row = json_array_get(list, i);
        const char *name = json_string_value(json_object_get(row, "name"));
        const char *service = json_string_value(json_object_get(row, "service"));
        if (name == NULL || *name == '\0')
            name = json_string_value(json_object_get(row, "id"));
        printf("%-32.32s %-24.24s %10.1f %8.1f %8.1f %9.2f\n", name ? name : "", service ? service : "",
               number(row, "rps"), number(row, "refused"), number(row, "errors"),
               number(row, "mean_us") / 1000);
    }
    json_decref(answer);
}

static int rows_for_routes(const struct top *top)
{
    struct winsize size = { .ws_row = USUAL_ROWS };
    int shards = (int)json_array_size(json_object_get(top->now, "shards"));
    if (!top->terminal)
        return PLAIN_ROUTES;
    ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    int rows = size.ws_row - HEAD_ROWS - shards;
    return rows > 1 ? rows : 1;
}

static void draw(const struct top *top)
{
    if (top->terminal)
        fputs("\033[H\033[2J", stdout);
    const char *version = json_string_value(json_object_get(top->now, "version"));
    bool draining = json_is_true(json_object_get(top->now, "draining"));
    printf("sluice %s%s\n\n", version ? version : "", draining ? ", draining" : "");
    printf("%9.0f req/s   2xx %.0f  3xx %.0f  4xx %.0f  5xx %.0f per second\n", rate(top, "requests"),
           rate(top, "responses_2xx"), rate(top, "responses_3xx"), rate(top, "responses_4xx"),
           rate(top, "responses_5xx"));
    printf("latency ms p50 %.2f  p90 %.2f  p99 %.2f  p99.9 %.2f\n", quantile_ms(top, 0.5),
           quantile_ms(top, 0.9), quantile_ms(top, 0.99), quantile_ms(top, 0.999));
    printf("upstreams  %.0f connections  %.1f failed tries per second\n\n",
           sum(top->now, "upstream_connections"), rate(top, "upstream_failures"));
    draw_shards(top);
    draw_routes(top, rows_for_routes(top));
    fflush(stdout);
}

/* False: q was typed, or the input has ended. */
static bool wait_for_key(const struct top *top)
{
    struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
    char key = 0;
    int ready = poll(&input, top->terminal ? 1 : 0, (int)top->interval_ms);
    if (ready <= 0)
        return ready == 0;
    return read(STDIN_FILENO, &key, 1) == 1 && key != 'q' && key != 3 && key != 4;
}

static bool take_sample(struct top *top)
{
    json_decref(top->before);
    top->before = top->now;
    top->now = status_query_admin(top->settings, "/ui/live");
    return top->now != NULL;
}

/* The exit status. */
static int watch(struct top *top)
{
    bool wanted = true;
    if (!take_sample(top)) {
        fputs("sluice top: admin_listen does not answer\n", stderr);
        return COMMAND_EXIT_FAILED;
    }
    while (wanted && wait_for_key(top)) {
        if (!take_sample(top)) {
            fputs("sluice top: the gateway is gone\n", stderr);
            return COMMAND_EXIT_FAILED;
        }
        draw(top);
        wanted = top->terminal;
    }
    return COMMAND_EXIT_OK;
}

/* Keys one by one, and no echo of them. */
static void prepare_terminal(struct top *top)
{
    top->terminal = isatty(STDOUT_FILENO) && tcgetattr(STDIN_FILENO, &top->usual) == 0;
    if (!top->terminal)
        return;
    struct termios raw = top->usual;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG);
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

int command_top(const struct command_options *options)
{
    uint64_t interval_s = 1;
    if (options->argument_count > 1 ||
        (options->argument_count == 1 && (!slice_to_u64(slice_of(options->arguments[0]), &interval_s) ||
                                          interval_s == 0 || interval_s > SECONDS_MAX))) {
        fputs("usage: sluice top [SECONDS] [-c PATH]... [--set KEY=VALUE]...\n", stderr);
        return COMMAND_EXIT_USAGE;
    }
    struct loaded loaded;
    int status = COMMAND_EXIT_INVALID;
    if (command_load(options, &loaded)) {
        struct top top = { .settings = &loaded.settings, .interval_ms = interval_s * 1000 };
        prepare_terminal(&top);
        status = watch(&top);
        if (top.terminal)
            tcsetattr(STDIN_FILENO, TCSANOW, &top.usual);
        json_decref(top.before);
        json_decref(top.now);
    }
    config_unload(&loaded);
    return status;
}
