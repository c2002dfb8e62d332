/* SPDX-License-Identifier: Apache-2.0 */
#include "core/app/worker.h"

#include "tls/tls_tickets.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    FLUSH_MS = 1000, /* for logs and traces to be sent when the process ends */
    STOP_MS = 2000, /* for connections to be closed in order when the process ends */
    RETRY_MS = 2, /* when the monitor's mailbox is full */
    LINES_PER_SECOND = 10 /* told to the journal */
};

/* --- rosters from the monitor, reports to it ------------------------------------------------------------ */

static void take_rosters(struct proxy *proxy, struct roster_batch *batch)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        if (batch->items[i].what == ROSTER_OF_HOST)
            resolver_take(&proxy->resolver, batch->items[i].roster);
        else
            proxy_take_roster(proxy, batch->items[i].roster);
        batch->items[i].roster = NULL;
    }
    roster_batch_free(batch);
}

static void mail_reports(struct shard_task *task)
{
    struct worker *worker = CONTAINER_OF(task, struct worker, mail_reports);
    if (worker->batch && mailbox_post(&worker->reports, REPORT_HEALTH, worker->batch) == ERROR_OK)
        worker->batch = NULL;
    if (worker->hosts && mailbox_post(&worker->reports, REPORT_HOSTS, worker->hosts) == ERROR_OK)
        worker->hosts = NULL;
    if (worker->batch || worker->hosts)
        timer_arm(&worker->shard.timers, &worker->retry_reports, worker->shard.now_ms + RETRY_MS);
}

static void retry_reports(struct timer *timer)
{
    struct worker *worker = CONTAINER_OF(timer, struct worker, retry_reports);
    shard_defer(&worker->shard, &worker->mail_reports);
}

/* Adds it to an earlier one of the same address: what a full batch has no room for must not be lost when
 * it says that the shard has ejected the address, or nobody would ever tell the shard of its recovery. */
static bool merge_report(struct report_batch *batch, const struct health_report *report)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        struct health_report *earlier = &batch->items[i];
        if (!address_equal(&earlier->address, &report->address) || strcmp(earlier->key, report->key) != 0)
            continue;
        for (size_t event = 0; event < HEALTH_EVENT_COUNT; event++)
            earlier->counts[event] += report->counts[event];
        earlier->ejected |= report->ejected;
        return true;
    }
    return false;
}

/* The reports of a turn leave together at its end. */
static void report_health(struct proxy *proxy, const struct health_report *report)
{
    struct worker *worker = CONTAINER_OF(proxy, struct worker, proxy);
    if (worker->batch == NULL)
        worker->batch = calloc(1, sizeof(*worker->batch));
    bool full = worker->batch && worker->batch->count == REPORTS_MAX;
    if (full && merge_report(worker->batch, report))
        return;
    if (worker->batch == NULL || full) {
        metric_add(&worker->shard.metrics, METRIC_REPORTS_DROPPED, 1);
        return;
    }
    worker->batch->items[worker->batch->count++] = *report;
    shard_defer(&worker->shard, &worker->mail_reports);
}

/* Without room the shard asks again, as long as somebody waits. */
static void ask_for_host(struct resolver *resolver, struct slice name)
{
    struct worker *worker = CONTAINER_OF(resolver, struct worker, proxy.resolver);
    if (worker->hosts == NULL)
        worker->hosts = calloc(1, sizeof(*worker->hosts));
    if (worker->hosts == NULL || worker->hosts->count == HOSTS_MAX || name.size >= DNS_NAME_SIZE) {
        metric_add(&worker->shard.metrics, METRIC_REPORTS_DROPPED, 1);
        return;
    }
    memcpy(worker->hosts->names[worker->hosts->count++], name.data, name.size);
    shard_defer(&worker->shard, &worker->mail_reports);
}

/* The monitor writes it, for that may block. What is too much is left out. */
static void tell(struct proxy *proxy, const char *line)
{
    struct worker *worker = CONTAINER_OF(proxy, struct worker, proxy);
    uint64_t second = worker->shard.now_ms / 1000;
    if (second != worker->line_second)
        worker->line_count = 0;
    worker->line_second = second;
    if (worker->line_count++ >= LINES_PER_SECOND)
        return;
    char *copy = strdup(line);
    if (copy && mailbox_post(&worker->reports, REPORT_LINE, copy) != ERROR_OK)
        free(copy);
}

/* --- the thread ----------------------------------------------------------------------------------------- */

/* Requests that come from now on are decided by it. */
static void adopt(struct proxy *proxy, struct snapshot *snapshot)
{
    struct worker *worker = CONTAINER_OF(proxy, struct worker, proxy);
    uint64_t generation = snapshot->generation;
    proxy_adopt(proxy, snapshot);
    __atomic_store_n(&worker->adopted, generation, __ATOMIC_RELEASE);
}

static void deliver(struct shard *shard, const struct mail *mail)
{
    struct proxy *proxy = proxy_of(shard);
    switch ((enum worker_mail)mail->kind) {
    case MAIL_SNAPSHOT: adopt(proxy, mail->pointer); break;
    case MAIL_ROSTERS: take_rosters(proxy, mail->pointer); break;
    case MAIL_TICKETS:
        tls_loop_use_tickets(&proxy->tls, mail->pointer);
        tls_tickets_release(mail->pointer);
        break;
    case MAIL_DRAIN: proxy_drain(proxy, LISTENER_TAKE_BACKLOG); break;
    case MAIL_LEAVE: proxy_drain(proxy, LISTENER_LEAVE_BACKLOG); break;
    case MAIL_REOPEN_LOGS: proxy_reopen_files(proxy); break;
    case MAIL_STOP: shard->stopping = true; break;
    }
}

/* Ends what is left: every operation must have come back before its memory goes. */
static void wind_down(struct worker *worker)
{
    struct shard *shard = &worker->shard;
    proxy_flush(&worker->proxy, shard->now_ms + FLUSH_MS);
    uint64_t until_ms = shard->now_ms + STOP_MS;
    proxy_abort(&worker->proxy);
    while (!proxy_is_empty(&worker->proxy) && shard->now_ms < until_ms)
        shard_turn(shard);
}

static enum error open_parts(struct worker *worker)
{
    enum error error = shard_open(&worker->shard, &worker->shard_options);
    if (error != ERROR_OK)
        return error;
    mailbox_listen(&worker->shard.mailbox, &worker->shard, deliver);
    error = proxy_open(&worker->proxy, &worker->shard, &worker->start);
    worker->proxy.report_health = report_health;
    worker->proxy.resolver.ask = ask_for_host;
    worker->proxy.tell = tell;
    return error;
}

static void *run(void *argument)
{
    struct worker *worker = argument;
    char name[16];
    snprintf(name, sizeof(name), "shard-%u", worker->shard_options.index % 1000);
    pthread_setname_np(pthread_self(), name);
    worker->error = open_parts(worker);
    bool serves = worker->error == ERROR_OK;
    sem_post(&worker->started);
    if (!serves)
        return NULL;
    shard_run(&worker->shard);
    wind_down(worker);
    shard_disconnect(&worker->shard);
    proxy_close(&worker->proxy);
    shard_close(&worker->shard);
    return NULL;
}

enum error worker_start(struct worker *worker)
{
    worker->reports.event_fd = -1;
    shard_task_init(&worker->mail_reports, mail_reports);
    timer_init(&worker->retry_reports, retry_reports);
    pthread_mutex_init(&worker->posting, NULL);
    enum error error = mailbox_open(&worker->shard.mailbox);
    if (error == ERROR_OK)
        error = mailbox_open(&worker->reports);
    if (error != ERROR_OK)
        return error;
    CHECK(sem_init(&worker->started, 0, 0) == 0);
    if (pthread_create(&worker->thread, NULL, run, worker) != 0)
        return ERROR_MEMORY;
    while (sem_wait(&worker->started) != 0)
        continue;
    worker->running = worker->error == ERROR_OK;
    if (!worker->running)
        pthread_join(worker->thread, NULL);
    return worker->error;
}

bool worker_post(struct worker *worker, enum worker_mail mail, void *pointer)
{
    if (!worker->running)
        return true;
    pthread_mutex_lock(&worker->posting);
    enum error error = mailbox_post(&worker->shard.mailbox, mail, pointer);
    pthread_mutex_unlock(&worker->posting);
    return error == ERROR_OK;
}

/* What was on its way when both ends had stopped. */
static void drop_mail(struct worker *worker)
{
    struct mail mail;
    while (mailbox_take(&worker->shard.mailbox, &mail)) {
        if (mail.kind == MAIL_ROSTERS)
            roster_batch_free(mail.pointer);
        if (mail.kind == MAIL_TICKETS)
            tls_tickets_release(mail.pointer);
    }
    while (mailbox_take(&worker->reports, &mail))
        free(mail.pointer);
    free(worker->batch);
    free(worker->hosts);
    worker->batch = NULL;
    worker->hosts = NULL;
}

uint64_t worker_cpu_us(const struct worker *worker)
{
    struct timespec used = { 0 };
    clockid_t clock;
    if (pthread_getcpuclockid(worker->thread, &clock) == 0)
        clock_gettime(clock, &used);
    return (uint64_t)used.tv_sec * 1000000 + (uint64_t)used.tv_nsec / 1000;
}

void worker_join(struct worker *worker)
{
    if (worker->start.options == NULL)
        return; /* never started */
    if (worker->running)
        pthread_join(worker->thread, NULL);
    worker->running = false;
    drop_mail(worker);
    mailbox_close(&worker->shard.mailbox);
    mailbox_close(&worker->reports);
    pthread_mutex_destroy(&worker->posting);
}
