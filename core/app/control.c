/* SPDX-License-Identifier: Apache-2.0 */
#include "core/app/control.h"

#include "core/app/admin.h"
#include "core/app/change_box.h"
#include "core/app/commands.h"
#include "core/app/demo.h"
#include "core/app/handover.h"
#include "core/app/in_force.h"
#include "core/app/journal.h"
#include "core/app/pid_file.h"
#include "core/app/sockets.h"
#include "core/app/stored.h"
#include "core/app/tls_setup.h"
#include "core/app/watch.h"
#include "tls/tls_crypto.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { TICK_MS = 20, IDLE_TICK_MS = 1000, DAY_S = 24 * 3600, ADOPTION_MS = 2000 };
static const size_t text_limit_bytes = (size_t)8 * 1024 * 1024 * 1024;

struct control {
    const struct config_sources *sources;
    struct settings *settings;
    struct options options;
    struct tls_setup tls;
    struct worker *workers;
    struct watch *watch;
    struct store *store; /* NULL: entities are in files */
    void **plugin_states; /* of the process, by index in the registry */
    struct sockets sockets;
    struct handover handover;
    struct snapshot *snapshot; /* in force */
    struct snapshot *retired; /* superseded, but not yet released by all shards */
    struct admin *admin;
    struct admin_source admin_source;
    const struct metrics **metrics;
    struct in_force in_force;
    const struct traffic **traffic; /* by shard */
    struct change_box changes;
    int64_t warned_s; /* when it was last told which certificates end soon */
    struct pid_file pid_file;
};

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void pause_ms(long milliseconds)
{
    struct timespec time = { .tv_nsec = milliseconds * 1000000 };
    nanosleep(&time, NULL);
}

/* --- snapshots ------------------------------------------------------------------------------------------ */

static void free_released(struct control *control)
{
    struct snapshot **at = &control->retired;
    while (*at) {
        struct snapshot *snapshot = *at;
        if (!snapshot_is_released(snapshot)) {
            at = &snapshot->next_retired;
            continue;
        }
        *at = snapshot->next_retired;
        snapshot_free(snapshot);
    }
}

static void post_all(struct control *control, enum worker_mail mail, void *pointer)
{
    for (unsigned i = 0; i < control->options.shard_count; i++)
        while (!worker_post(&control->workers[i], mail, pointer))
            pause_ms(1); /* a full box empties with the shard's next turn */
}

/* At each change, and once a day. */
static void warn_of_expiry(struct control *control)
{
    control->warned_s = (int64_t)time(NULL);
    tls_expiry_warn(&control->in_force.expiry, control->warned_s);
}

/* For the admin thread. */
static void tell_configuration(struct control *control)
{
    tls_setup_publish(&control->tls);
    in_force_show(&control->in_force, control->snapshot, tls_setup_not_after(&control->tls));
    warn_of_expiry(control);
}

/* Each shard gets a reference of its own. */
static void post_tickets(struct control *control)
{
    for (unsigned i = 0; control->tls.tickets && i < control->options.shard_count; i++)
        tls_tickets_take(control->tls.tickets);
    if (control->tls.tickets)
        post_all(control, MAIL_TICKETS, control->tls.tickets);
}

static void publish(struct control *control, struct snapshot *snapshot)
{
    /* An old one is held by its slowest request, as long as that takes. */
    free_released(control);
    control->snapshot->next_retired = control->retired;
    control->retired = control->snapshot;
    control->snapshot = snapshot;
    tell_configuration(control);
    post_all(control, MAIL_SNAPSHOT, snapshot);
    watch_publish(control->watch);
}

/* Takes the model. The monitor goes over to it first, which takes as long as its names need; when the
 * snapshot fails after that, back again. */
static struct snapshot *build(struct control *control, struct model *model, struct report *report)
{
    struct snapshot *snapshot = NULL;
    if (!tls_setup_read(&control->tls, report) || !tls_setup_equip(&control->tls, model, report)) {
        model_close(model);
        return NULL;
    }
    control->options.snapshot.tls = control->tls.profiles;
    struct roster **rosters = watch_adopt(control->watch, model_take(model));
    control->options.snapshot.rosters = rosters;
    if (rosters) {
        snapshot = snapshot_build(model, &control->options.snapshot, control->snapshot, report);
    } else {
        report_add(report, REPORT_ERROR, NULL, "", "out of memory");
        model_close(model);
    }
    watch_rosters_free(rosters, model);
    if (snapshot == NULL && control->snapshot) {
        watch_rosters_free(watch_adopt(control->watch, control->snapshot->model), control->snapshot->model);
        watch_publish(control->watch);
    } else if (snapshot == NULL) {
        watch_stop(control->watch);
        control->watch = NULL;
    }
    model_close(model);
    return snapshot;
}

static void report_to_journal(const struct report *report, const char *what)
{
    if (report->count > 0)
        report_print(report, stderr);
    if (report->error_count > 0)
        journal(JOURNAL_ERROR, "%s failed errors=%u: the configuration in force stays", what,
                report->error_count);
}

static void await_adoption(struct control *control)
{
    struct timespec pause = { .tv_nsec = 100000 };
    uint64_t until_ms = now_ms() + ADOPTION_MS, generation = control->snapshot->generation;
    for (unsigned i = 0; i < control->options.shard_count; i++)
        while (__atomic_load_n(&control->workers[i].adopted, __ATOMIC_ACQUIRE) < generation &&
               now_ms() < until_ms)
            nanosleep(&pause, NULL);
}

/* What the monitor was told of a snapshot that will not be in force: it looks at that one until it has gone
 * back. */
static void forget(struct control *control, struct snapshot *snapshot)
{
    watch_rosters_free(watch_adopt(control->watch, control->snapshot->model), control->snapshot->model);
    watch_publish(control->watch);
    snapshot_free(snapshot);
}

static enum change_result put_in_force(struct control *control, const struct change *change,
                                       struct snapshot *snapshot)
{
    if (change->commit && !change->commit(change->argument, snapshot->model->catalog)) {
        forget(control, snapshot);
        return CHANGE_FAILED;
    }
    publish(control, snapshot);
    post_tickets(control);
    await_adoption(control);
    journal(JOURNAL_NOTICE, "%s done generation=%llu routes=%u", change->what,
            (unsigned long long)snapshot->generation, snapshot->model->routes.count);
    return CHANGE_DONE;
}

/* Loads what the change says, all or nothing. */
static enum change_result carry_out(struct control *control, const struct change *change)
{
    struct report report;
    struct loaded loaded = { 0 };
    struct config_texts texts = { 0 };
    struct snapshot *snapshot = NULL;
    struct config_sources sources = *control->sources;
    enum change_result result = CHANGE_INVALID;
    struct stored_text stored = { 0 };
    if (change->task) {
        const struct snapshot *now = control->snapshot;
        change->task(change->argument, &(struct change_tools){ control->watch, now->model, now->generation });
        return CHANGE_DONE;
    }
    if (change->commit && control->handover.child)
        return CHANGE_CLOSED; /* the new process has read the store already */
    if (change->generation == control->snapshot->generation)
        sources.unchanged = control->snapshot->model->catalog;
    if (change->kong)
        sources.kong = change->kong;
    else if (control->store && !stored_read(control->store, &stored, &sources))
        return CHANGE_FAILED;
    arena_init(&texts.arena, NULL, 0, text_limit_bytes);
    report_init(&report);
    sources.texts = change->refused ? &texts : NULL;
    if (config_load(&sources, &loaded, &report) && tls_setup_read_tickets(&control->tls, &report)) {
        snapshot = build(control, loaded.model, &report);
        loaded.model = NULL;
    }
    report_sort(&report);
    if (change->refused == NULL)
        report_to_journal(&report, change->what);
    else if (snapshot == NULL)
        change->refused(change->argument, &report, &texts.kong);
    if (snapshot)
        result = put_in_force(control, change, snapshot);
    config_unload(&loaded);
    report_deinit(&report);
    arena_deinit(&texts.arena);
    free(stored.text);
    return result;
}

static void reload(struct control *control)
{
    (void)carry_out(control, &(struct change){ .what = "reload" });
}

/* --- for the admin thread ------------------------------------------------------------------------------- */

static enum change_result ask_for_change(void *owner, const struct change *change)
{
    struct control *control = owner;
    return change_box_ask(&control->changes, change);
}

static uint64_t cpu_us(void *owner, unsigned shard)
{
    struct control *control = owner;
    return worker_cpu_us(&control->workers[shard]);
}

/* --- starting ------------------------------------------------------------------------------------------- */

static bool open_plugins(struct control *control)
{
    size_t count = 0;
    while (plugin_registry[count])
        count++;
    control->plugin_states = calloc(count + 1, sizeof(void *));
    for (size_t i = 0; control->plugin_states && i < count; i++) {
        if (plugin_registry[i]->process_open == NULL)
            continue;
        control->plugin_states[i] = plugin_registry[i]->process_open(control->options.shard_count);
        if (control->plugin_states[i] == NULL)
            return false;
    }
    return control->plugin_states != NULL;
}

static void close_plugins(struct control *control)
{
    for (size_t i = 0; control->plugin_states && plugin_registry[i]; i++)
        if (plugin_registry[i]->process_close && control->plugin_states[i])
            plugin_registry[i]->process_close(control->plugin_states[i]);
    free(control->plugin_states);
}

static bool start_workers(struct control *control)
{
    const struct options *options = &control->options;
    control->workers = aligned_alloc(64, (options->shard_count * sizeof(struct worker) + 63) & ~(size_t)63);
    control->metrics = calloc(options->shard_count, sizeof(*control->metrics));
    control->traffic = calloc(options->shard_count, sizeof(*control->traffic));
    if (control->workers == NULL || control->metrics == NULL || control->traffic == NULL)
        return false;
    memset(control->workers, 0, options->shard_count * sizeof(struct worker));
    for (unsigned i = 0; i < options->shard_count; i++) {
        struct worker *worker = &control->workers[i];
        worker->shard_options = (struct shard_options){ .index = i,
                                                        .count = options->shard_count,
                                                        .cpu = options->cpus[i],
                                                        .ring_entries = options->ring_entries,
                                                        .wait = options->wait,
                                                        .blocks = options->blocks };
        worker->start =
            (struct proxy_start){ .options = &options->proxy,
                                  .snapshot = control->snapshot,
                                  .plugin_process_states = control->plugin_states,
                                  .listener_fds = control->sockets.fds + i * control->sockets.per_shard,
                                  .listener_options = control->sockets.options,
                                  .listener_count = control->sockets.per_shard,
                                  .log = &options->log,
                                  .stream_log = &options->stream_log,
                                  .tls = tls_setup_loop(&control->tls, i) };
        control->metrics[i] = &worker->shard.metrics;
        control->traffic[i] = &worker->proxy.traffic;
        enum error error = worker_start(worker);
        if (error == ERROR_OK) {
            sockets_given(&control->sockets, i);
            continue;
        }
        journal(JOURNAL_ERROR, "a shard could not start shard=%u reason=\"%s\"", i, error_text(error));
        return false;
    }
    (void)tls_setup_rotate(&control->tls, now_ms());
    post_tickets(control);
    watch_serve(control->watch, control->workers, options->shard_count);
    watch_publish(control->watch);
    return true;
}

static bool start_admin(struct control *control)
{
    const char *reason = "";
    control->admin_source = (struct admin_source){ .shard_count = control->options.shard_count,
                                                   .metrics = control->metrics,
                                                   .monitor_metrics = watch_metrics(control->watch),
                                                   .in_force = &control->in_force,
                                                   .owner = control,
                                                   .tls = &control->tls,
                                                   .plugins = control->sources->plugins,
                                                   .plugin_states = control->plugin_states,
                                                   .traffic = control->traffic,
                                                   .cpu_us = cpu_us,
                                                   .store = control->store,
                                                   .change = ask_for_change };
    if (admin_start(&control->admin, control->settings, &control->admin_source, &reason))
        return true;
    journal(JOURNAL_ERROR, "cannot listen for admin or status: %s", reason);
    return false;
}

static bool start(struct control *control)
{
    struct report report;
    report_init(&report);
    bool opened = sockets_open(&control->sockets, control->settings, control->options.shard_count, &report);
    report_print(&report, stderr);
    report_deinit(&report);
    return opened && open_plugins(control) && start_workers(control) && start_admin(control) &&
           pid_file_write(&control->pid_file);
}

/* --- running -------------------------------------------------------------------------------------------- */

static uint64_t total(const struct control *control, enum metric metric)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < control->options.shard_count; i++)
        sum += metric_read(control->metrics[i], metric);
    return sum;
}

static void drain(struct control *control, enum worker_mail mail, const sigset_t *signals)
{
    struct timespec tick = { .tv_nsec = TICK_MS * 1000000 };
    uint64_t end_ms = now_ms() + (uint64_t)control->settings->drain_timeout_ms;
    change_box_close(&control->changes);
    in_force_drain(&control->in_force);
    journal(JOURNAL_NOTICE, "draining connections=%llu",
            (unsigned long long)total(control, METRIC_CONNECTIONS_ACTIVE));
    post_all(control, mail, NULL);
    while (now_ms() < end_ms) {
        int signal = sigtimedwait(signals, NULL, &tick);
        if (signal == SIGINT)
            return;
        if (total(control, METRIC_CONNECTIONS_ACTIVE) == 0)
            return;
    }
    journal(JOURNAL_WARN, "drain_timeout has passed connections=%llu",
            (unsigned long long)total(control, METRIC_CONNECTIONS_ACTIVE));
}

/* A new process of this program with these sockets. */
static void hand_over(struct control *control)
{
    int *fds = calloc(control->sockets.count + ADMIN_LISTENERS_MAX, sizeof(*fds));
    if (fds == NULL) {
        journal(JOURNAL_ERROR, "no handover: out of memory");
        return;
    }
    uint32_t count = sockets_listening(&control->sockets, fds);
    count += admin_sockets(control->admin, fds + count);
    if (handover_begin(&control->handover, fds, count))
        control->handover.until_ms = now_ms() + (uint64_t)control->settings->handover_timeout_ms;
    free(fds);
}

/* Leaves the sockets to the new process; false: not yet. */
static bool is_handed_over(struct control *control, const sigset_t *signals)
{
    if (handover_poll(&control->handover, now_ms()) != HANDOVER_DONE)
        return false;
    change_box_close(&control->changes);
    admin_stop(control->admin);
    control->admin = NULL;
    control->pid_file.written = false; /* it is the new one's */
    drain(control, MAIL_LEAVE, signals);
    return true;
}

/* One signal; false: the process is to end. */
static bool handle_signal(struct control *control, int signal, const sigset_t *signals)
{
    switch (signal) {
    case SIGHUP: reload(control); return true;
    case SIGUSR1:
        post_all(control, MAIL_REOPEN_LOGS, NULL);
        journal(JOURNAL_NOTICE, "log files reopened");
        return true;
    case SIGUSR2: hand_over(control); return true;
    case SIGTERM:
    case SIGQUIT: drain(control, MAIL_DRAIN, signals); return false;
    case SIGINT: return false;
    default: return true;
    }
}

static void serve(struct control *control, const sigset_t *signals)
{
    bool running = true;
    while (running) {
        long tick_ms = control->retired || control->handover.child ? TICK_MS : IDLE_TICK_MS;
        struct timespec tick = { .tv_sec = tick_ms / 1000, .tv_nsec = tick_ms % 1000 * 1000000 };
        int signal = sigtimedwait(signals, NULL, &tick);
        if (signal > 0)
            running = handle_signal(control, signal, signals);
        const struct change *change = running ? change_box_take(&control->changes) : NULL;
        if (change)
            change_box_answer(&control->changes, carry_out(control, change));
        free_released(control);
        if (tls_setup_rotate(&control->tls, now_ms()))
            post_tickets(control);
        if ((int64_t)time(NULL) - control->warned_s >= DAY_S)
            warn_of_expiry(control);
        running = running && !is_handed_over(control, signals);
    }
}

static void stop(struct control *control)
{
    change_box_close(&control->changes);
    admin_stop(control->admin);
    watch_stop(control->watch);
    if (control->workers && control->metrics)
        post_all(control, MAIL_STOP, NULL);
    for (unsigned i = 0; control->workers && i < control->options.shard_count; i++)
        worker_join(&control->workers[i]);
    sockets_close(&control->sockets);
    close_plugins(control);
    while (control->retired) {
        struct snapshot *next = control->retired->next_retired;
        snapshot_free(control->retired);
        control->retired = next;
    }
    snapshot_free(control->snapshot);
    tls_setup_close(&control->tls);
    store_close(control->store);
    free(control->workers);
    free(control->metrics);
    free(control->traffic);
    pid_file_remove(&control->pid_file);
}

static void block_signals(sigset_t *signals)
{
    sigemptyset(signals);
    static const int taken[] = { SIGHUP, SIGTERM, SIGQUIT, SIGINT, SIGUSR1, SIGUSR2, CHANGE_SIGNAL, SIGPIPE };
    for (size_t i = 0; i < COUNT_OF(taken); i++)
        sigaddset(signals, taken[i]);
    pthread_sigmask(SIG_BLOCK, signals, NULL);
}

static bool prepare(struct control *control, struct loaded *loaded)
{
    struct report report;
    report_init(&report);
    if (!stored_begin(control->sources, loaded, &control->store, &report) ||
        !options_init(&control->options, control->settings, &report) ||
        !tls_setup_open(&control->tls, control->settings, control->options.shard_count, &report)) {
        report_print(&report, stderr);
        report_deinit(&report);
        return false;
    }
    control->options.watch.tls = tls_setup_loop(&control->tls, control->options.shard_count);
    control->watch = watch_start(&control->options.watch);
    if (control->watch == NULL) {
        report_deinit(&report);
        return false;
    }
    control->snapshot = build(control, loaded->model, &report);
    loaded->model = NULL;
    report_sort(&report);
    report_print(&report, stderr);
    report_deinit(&report);
    return control->snapshot != NULL;
}

static void tell_tls(const struct control *control)
{
    char text[KTLS_TEXT_SIZE];
    bool off = control->settings->ktls == SETTINGS_KTLS_OFF;
    if (control->tls.kernel.suites)
        journal(JOURNAL_NOTICE, "TLS listens library=\"%s\" records=\"by the kernel: %s\"", tls_crypto_text(),
                ktls_text(control->tls.kernel, text));
    else
        journal(JOURNAL_NOTICE, "TLS listens library=\"%s\" records=\"in user space: %s\"", tls_crypto_text(),
                off ? "ktls is off" : "the kernel offers no kTLS");
}

int control_run(const struct config_sources *sources, struct loaded *loaded, enum control_greeting greeting)
{
    struct control control = { .sources = sources,
                               .settings = &loaded->settings,
                               .pid_file = { .path = loaded->settings.pid_file } };
    sigset_t signals;
    block_signals(&signals);
    journal_start((enum journal_level)loaded->settings.log_level);
    if (!prepare(&control, loaded)) {
        tls_setup_close(&control.tls);
        store_close(control.store);
        return COMMAND_EXIT_INVALID;
    }
    in_force_init(&control.in_force);
    change_box_open(&control.changes);
    tell_configuration(&control);
    bool started = start(&control);
    if (started && control.tls.listens)
        tell_tls(&control);
    if (started) {
        fprintf(stderr, "ready shards=%u routes=%u services=%u\n", control.options.shard_count,
                control.snapshot->model->routes.count, control.snapshot->model->services.count);
        if (greeting == CONTROL_DEMO)
            demo_print(stdout, sockets_first_text(&control.sockets));
        fflush(stdout);
        handover_finish();
        serve(&control, &signals);
    }
    stop(&control);
    change_box_free(&control.changes);
    in_force_deinit(&control.in_force);
    return started ? COMMAND_EXIT_OK : COMMAND_EXIT_FAILED;
}
