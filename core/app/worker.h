/* SPDX-License-Identifier: Apache-2.0 */
/* The thread of one shard, as the control thread sees it: started, sent mail, joined. */
#pragma once

#include "core/app/options.h"

#include <pthread.h>
#include <semaphore.h>

enum worker_mail {
    MAIL_SNAPSHOT, /* pointer: the snapshot to adopt */
    MAIL_DRAIN,
    MAIL_LEAVE, /* the same, but another process goes on with the listening sockets */
    MAIL_REOPEN_LOGS,
    MAIL_STOP
};

struct worker {
    pthread_t thread;
    struct shard shard;
    struct proxy proxy;
    struct shard_options shard_options;
    struct proxy_start start;
    sem_t started; /* posted once, when it serves or has failed */
    enum error error;
    bool running;
};

/* Starts the thread and waits until it serves; its error when it does not. */
enum error worker_start(struct worker *worker) MUST_CHECK;

/* False: its mailbox is full; to be tried again. */
bool worker_post(struct worker *worker, enum worker_mail mail, void *pointer) MUST_CHECK;

/* After MAIL_STOP. */
void worker_join(struct worker *worker);
