/* SPDX-License-Identifier: Apache-2.0 */
#include "core/app/worker.h"

#include <stdio.h>

enum { STOP_MS = 2000 /* for connections to be closed in order when the process ends */ };

static void deliver(struct shard *shard, const struct mail *mail)
{
    struct proxy *proxy = proxy_of(shard);
    switch ((enum worker_mail)mail->kind) {
    case MAIL_SNAPSHOT: proxy_adopt(proxy, mail->pointer); break;
    case MAIL_DRAIN: proxy_drain(proxy, LISTENER_TAKE_BACKLOG); break;
    case MAIL_LEAVE: proxy_drain(proxy, LISTENER_LEAVE_BACKLOG); break;
    case MAIL_REOPEN_LOGS: access_log_reopen(&proxy->log); break;
    case MAIL_STOP: shard->stopping = true; break;
    }
}

/* Ends what is left: every operation must have come back before its memory goes. */
static void wind_down(struct worker *worker)
{
    struct shard *shard = &worker->shard;
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
    return proxy_open(&worker->proxy, &worker->shard, &worker->start);
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
    enum error error = mailbox_open(&worker->shard.mailbox);
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
    return !worker->running || mailbox_post(&worker->shard.mailbox, mail, pointer) == ERROR_OK;
}

void worker_join(struct worker *worker)
{
    if (worker->running)
        pthread_join(worker->thread, NULL);
    worker->running = false;
    mailbox_close(&worker->shard.mailbox);
}
