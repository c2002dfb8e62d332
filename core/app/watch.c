/* SPDX-License-Identifier: Apache-2.0 */
#include "core/app/watch.h"

#include "core/app/journal.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    STOP_MS = 2000, /* for probes to be closed in order */
    RETRY_MS = 2, /* when a worker's mailbox is full */
    LINES_PER_SECOND = 20, /* in the journal */
    RING_ENTRIES = 256,
    BLOCK_COUNT = 16,
    BLOCK_BYTES = 4096, /* status lines are short */
    BLOCKS_MOST = 1024,
    WRITE_BYTES = 16 * 1024 * 1024
};

enum watch_mail {
    WATCH_ADOPT, /* pointer: struct adoption */
    WATCH_SERVE, /* pointer: struct serving */
    WATCH_PUBLISH, /* pointer: sem_t, posted when it was mailed */
    WATCH_ASK, /* pointer: struct asking */
    WATCH_DECREE, /* pointer: struct decreeing */
    WATCH_STOP
};

struct asking {
    struct upstream *const *upstreams;
    uint32_t count;
    struct roster **rosters;
    sem_t done;
};

struct decreeing {
    const struct monitor_decree *decree;
    uint32_t count;
    sem_t done;
};

struct adoption {
    const struct model *model;
    struct roster **rosters;
    sem_t done;
};

struct serving {
    struct worker *workers;
    unsigned count;
    sem_t done;
};

struct watch {
    pthread_t thread;
    struct shard shard;
    struct monitor monitor;
    struct watch_options options;
    struct tls_loop tls;
    sem_t started;
    enum error error;
    struct adoption *adoption; /* waits for names; NULL: none */
    struct timer patience; /* of the adoption */
    struct worker *workers;
    unsigned worker_count;
    uint64_t *sent; /* by worker: the newest version mailed */
    bool holding; /* between an adoption and its publication */
    struct shard_task flush;
    struct timer retry;
    uint64_t second; /* of the journal's lines */
    unsigned line_count, left_out;
};

static struct watch *watch_of(struct monitor *monitor)
{
    return CONTAINER_OF(monitor, struct watch, monitor);
}

/* --- the journal ---------------------------------------------------------------------------------------- */

/* At most LINES_PER_SECOND. */
static bool may_tell(struct watch *watch)
{
    uint64_t second = watch->shard.now_ms / 1000;
    if (second != watch->second) {
        if (watch->left_out > 0)
            journal(JOURNAL_WARN, "lines about names and health left out count=%u", watch->left_out);
        watch->second = second;
        watch->line_count = watch->left_out = 0;
    }
    if (watch->line_count < LINES_PER_SECOND) {
        watch->line_count++;
        return true;
    }
    watch->left_out++;
    return false;
}

static void flipped(struct monitor *monitor, const struct monitor_flip *flip)
{
    char text[ADDRESS_TEXT_SIZE];
    if (!may_tell(watch_of(monitor)))
        return;
    address_text(&flip->entry->address, text);
    journal(flip->healthy ? JOURNAL_NOTICE : JOURNAL_WARN,
            "target became %s upstream=%.*s target=%.*s address=%s port=%u cause=%s",
            flip->healthy ? "healthy" : "unhealthy", SLICE_FORMAT(flip->upstream),
            SLICE_FORMAT(flip->entry->host), text, address_port(&flip->entry->address), flip->cause);
}

static const char *failure_text(enum dns_status status)
{
    switch (status) {
    case DNS_STATUS_NO_DATA: return "no address";
    case DNS_STATUS_NO_NAME: return "no such name";
    case DNS_STATUS_TIMEOUT: return "no answer";
    case DNS_STATUS_OK:
    case DNS_STATUS_FAILED: break;
    }
    return "servers failed";
}

static void failing(struct monitor *monitor, const struct dns_name *name)
{
    if (!may_tell(watch_of(monitor)))
        return;
    if (name->state == DNS_STATE_GOOD)
        journal(JOURNAL_NOTICE, "name resolves again name=%s addresses=%u", name->text, name->count);
    else
        journal(JOURNAL_WARN, "name does not resolve name=%s reason=\"%s\" addresses_kept=%u", name->text,
                failure_text(name->failure), name->count);
}

/* --- mail to the workers -------------------------------------------------------------------------------- */

/* False: its mailbox is full, or there is no memory. */
static bool send_batch(struct watch *watch, unsigned index)
{
    if (watch->sent[index] >= watch->monitor.version)
        return true;
    struct roster_batch *batch = monitor_batch_since(&watch->monitor, watch->sent[index]);
    if (batch == NULL)
        return false;
    if (!worker_post(&watch->workers[index], MAIL_ROSTERS, batch)) {
        roster_batch_free(batch);
        return false;
    }
    watch->sent[index] = watch->monitor.version;
    return true;
}

static void flush(struct shard_task *task)
{
    struct watch *watch = CONTAINER_OF(task, struct watch, flush);
    bool sent = true;
    if (watch->holding)
        return;
    for (unsigned i = 0; i < watch->worker_count; i++)
        sent = send_batch(watch, i) && sent;
    if (!sent)
        timer_arm(&watch->shard.timers, &watch->retry, watch->shard.now_ms + RETRY_MS);
}

static void try_again(struct timer *timer)
{
    struct watch *watch = CONTAINER_OF(timer, struct watch, retry);
    shard_defer(&watch->shard, &watch->flush);
}

static void published(struct monitor *monitor)
{
    struct watch *watch = watch_of(monitor);
    shard_defer(&watch->shard, &watch->flush);
}

/* --- adoptions ------------------------------------------------------------------------------------------ */

static bool collect(struct watch *watch, struct adoption *adoption)
{
    const struct model *model = adoption->model;
    struct roster **rosters = calloc(model->upstreams.count + 1, sizeof(struct roster *));
    if (rosters == NULL)
        return false;
    adoption->rosters = rosters;
    for (uint32_t i = 0; i < model->upstreams.count; i++) {
        struct roster *roster = monitor_roster(&watch->monitor, model->upstreams.items[i]);
        if (roster == NULL)
            return false;
        rosters[i] = roster_take(roster);
    }
    return true;
}

void watch_rosters_free(struct roster **rosters, const struct model *model)
{
    for (uint32_t i = 0; rosters && i < model->upstreams.count; i++)
        roster_release(rosters[i]);
    free(rosters);
}

static void answer(struct watch *watch, bool adopted)
{
    struct adoption *adoption = watch->adoption;
    watch->adoption = NULL;
    timer_disarm(&watch->shard.timers, &watch->patience);
    if (!adopted || !collect(watch, adoption)) {
        watch_rosters_free(adoption->rosters, adoption->model);
        adoption->rosters = NULL;
    }
    sem_post(&adoption->done);
}

static void adopt(struct watch *watch, struct adoption *adoption)
{
    watch->holding = true;
    watch->adoption = adoption;
    bool adopted = monitor_adopt(&watch->monitor, adoption->model, &watch->options.hosts);
    if (!adopted || monitor_is_settled(&watch->monitor))
        answer(watch, adopted);
    else
        timer_arm(&watch->shard.timers, &watch->patience, watch->shard.now_ms + watch->options.timeout_ms);
}

static void out_of_patience(struct timer *timer)
{
    answer(CONTAINER_OF(timer, struct watch, patience), true);
}

static void settled(struct monitor *monitor)
{
    struct watch *watch = watch_of(monitor);
    if (watch->adoption)
        answer(watch, true);
}

static const struct monitor_events monitor_events = {
    .published = published, .flipped = flipped, .failing = failing, .settled = settled
};

/* --- the thread ----------------------------------------------------------------------------------------- */

static void take_reports(struct shard *shard, const struct mail *mail)
{
    struct watch *watch = CONTAINER_OF(shard, struct watch, shard);
    const struct report_batch *reports = mail->pointer;
    const struct host_batch *hosts = mail->pointer;
    switch ((enum report_mail)mail->kind) {
    case REPORT_HEALTH:
        for (uint32_t i = 0; i < reports->count; i++)
            monitor_take_report(&watch->monitor, &reports->items[i]);
        break;
    case REPORT_HOSTS:
        for (uint32_t i = 0; i < hosts->count; i++)
            monitor_want(&watch->monitor, slice_of(hosts->names[i]));
        break;
    case REPORT_LINE:
        if (may_tell(watch))
            journal(JOURNAL_WARN, "%s", (const char *)mail->pointer);
        break;
    }
    free(mail->pointer);
}

static void serve(struct watch *watch, struct serving *serving)
{
    watch->sent = calloc(serving->count, sizeof(*watch->sent));
    if (watch->sent) {
        watch->workers = serving->workers;
        watch->worker_count = serving->count;
        for (unsigned i = 0; i < serving->count; i++)
            mailbox_listen(&serving->workers[i].reports, &watch->shard, take_reports);
    }
    sem_post(&serving->done);
}

static void answer_asking(struct watch *watch, struct asking *asking)
{
    for (uint32_t i = 0; i < asking->count; i++) {
        struct roster *roster = monitor_roster(&watch->monitor, asking->upstreams[i]);
        asking->rosters[i] = roster ? roster_take(roster) : NULL;
    }
    sem_post(&asking->done);
}

static void carry_out(struct watch *watch, struct decreeing *decreeing)
{
    decreeing->count = monitor_decree(&watch->monitor, decreeing->decree);
    sem_post(&decreeing->done);
}

static void deliver(struct shard *shard, const struct mail *mail)
{
    struct watch *watch = CONTAINER_OF(shard, struct watch, shard);
    switch ((enum watch_mail)mail->kind) {
    case WATCH_ADOPT: adopt(watch, mail->pointer); break;
    case WATCH_SERVE: serve(watch, mail->pointer); break;
    case WATCH_PUBLISH:
        watch->holding = false;
        flush(&watch->flush);
        sem_post(mail->pointer);
        break;
    case WATCH_ASK: answer_asking(watch, mail->pointer); break;
    case WATCH_DECREE: carry_out(watch, mail->pointer); break;
    case WATCH_STOP: shard->stopping = true; break;
    }
}

static enum error open_parts(struct watch *watch)
{
    struct shard_options options = { .cpu = -1,
                                     .count = 1,
                                     .ring_entries = RING_ENTRIES,
                                     .wait = watch->options.wait,
                                     .blocks = { .lent_count = BLOCK_COUNT,
                                                 .receive_bytes = BLOCK_BYTES,
                                                 .receive_count = BLOCKS_MOST,
                                                 .write_bytes = WRITE_BYTES } };
    enum error error = shard_open(&watch->shard, &options);
    if (error != ERROR_OK)
        return error;
    tls_loop_open(&watch->tls, &watch->shard, &watch->options.tls);
    watch->shard.tls = &watch->tls;
    mailbox_listen(&watch->shard.mailbox, &watch->shard, deliver);
    return monitor_open(&watch->monitor, &watch->shard, &watch->options.monitor, &monitor_events);
}

static void *run(void *argument)
{
    struct watch *watch = argument;
    pthread_setname_np(pthread_self(), "monitor");
    watch->error = open_parts(watch);
    bool serves = watch->error == ERROR_OK;
    sem_post(&watch->started);
    if (!serves)
        return NULL;
    shard_run(&watch->shard);
    uint64_t until_ms = watch->shard.now_ms + STOP_MS;
    monitor_abort(&watch->monitor);
    while (!monitor_is_idle(&watch->monitor) && watch->shard.now_ms < until_ms)
        shard_turn(&watch->shard);
    shard_disconnect(&watch->shard);
    monitor_close(&watch->monitor);
    tls_loop_close(&watch->tls);
    shard_close(&watch->shard);
    return NULL;
}

/* --- for the control thread ----------------------------------------------------------------------------- */

struct watch *watch_start(const struct watch_options *options)
{
    struct watch *watch = aligned_alloc(64, (sizeof(*watch) + 63) & ~(size_t)63);
    if (watch == NULL)
        return NULL;
    memset(watch, 0, sizeof(*watch));
    watch->options = *options;
    shard_task_init(&watch->flush, flush);
    timer_init(&watch->patience, out_of_patience);
    timer_init(&watch->retry, try_again);
    CHECK(sem_init(&watch->started, 0, 0) == 0);
    enum error error = mailbox_open(&watch->shard.mailbox);
    if (error == ERROR_OK && pthread_create(&watch->thread, NULL, run, watch) != 0)
        error = ERROR_MEMORY;
    if (error == ERROR_OK) {
        while (sem_wait(&watch->started) != 0)
            continue;
        error = watch->error;
        if (error != ERROR_OK)
            pthread_join(watch->thread, NULL);
    }
    if (error == ERROR_OK)
        return watch;
    journal(JOURNAL_ERROR, "the monitor could not start reason=\"%s\"", error_text(error));
    mailbox_close(&watch->shard.mailbox);
    free(watch);
    return NULL;
}

static void post(struct watch *watch, enum watch_mail mail, void *pointer)
{
    CHECK(mailbox_post(&watch->shard.mailbox, mail, pointer) == ERROR_OK); /* few, and mostly waited for */
}

struct roster **watch_adopt(struct watch *watch, const struct model *model)
{
    struct adoption adoption = { .model = model };
    CHECK(sem_init(&adoption.done, 0, 0) == 0);
    post(watch, WATCH_ADOPT, &adoption);
    while (sem_wait(&adoption.done) != 0)
        continue;
    sem_destroy(&adoption.done);
    return adoption.rosters;
}

void watch_serve(struct watch *watch, struct worker *workers, unsigned count)
{
    struct serving serving = { .workers = workers, .count = count };
    CHECK(sem_init(&serving.done, 0, 0) == 0);
    post(watch, WATCH_SERVE, &serving);
    while (sem_wait(&serving.done) != 0)
        continue;
    sem_destroy(&serving.done);
}

void watch_publish(struct watch *watch)
{
    sem_t done;
    CHECK(sem_init(&done, 0, 0) == 0);
    post(watch, WATCH_PUBLISH, &done);
    while (sem_wait(&done) != 0)
        continue;
    sem_destroy(&done);
}

static void wait_for(sem_t *done)
{
    while (sem_wait(done) != 0)
        continue;
    sem_destroy(done);
}

void watch_take_rosters(struct watch *watch, struct upstream *const *upstreams, uint32_t count,
                        struct roster **rosters)
{
    struct asking asking = { .upstreams = upstreams, .count = count, .rosters = rosters };
    CHECK(sem_init(&asking.done, 0, 0) == 0);
    post(watch, WATCH_ASK, &asking);
    wait_for(&asking.done);
}

uint32_t watch_decree(struct watch *watch, const struct monitor_decree *decree)
{
    struct decreeing decreeing = { .decree = decree };
    CHECK(sem_init(&decreeing.done, 0, 0) == 0);
    post(watch, WATCH_DECREE, &decreeing);
    wait_for(&decreeing.done);
    return decreeing.count;
}

const struct metrics *watch_metrics(const struct watch *watch)
{
    return &watch->shard.metrics;
}

void watch_stop(struct watch *watch)
{
    if (watch == NULL)
        return;
    post(watch, WATCH_STOP, NULL);
    pthread_join(watch->thread, NULL);
    mailbox_close(&watch->shard.mailbox);
    sem_destroy(&watch->started);
    free(watch->sent);
    free(watch);
}
