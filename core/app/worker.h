/* SPDX-License-Identifier: Apache-2.0 */
/* The thread of one shard, as the control thread sees it: started, sent mail, joined. */
#pragma once

#include "core/app/options.h"
#include "net/proxy/monitor.h"

#include <pthread.h>
#include <semaphore.h>

enum worker_mail {
    MAIL_SNAPSHOT, /* pointer: the snapshot to adopt */
    MAIL_ROSTERS, /* pointer: a struct roster_batch, which becomes the worker's */
    MAIL_TICKETS, /* pointer: a reference of struct tls_tickets */
    MAIL_DRAIN,
    MAIL_LEAVE, /* the same, but another process goes on with the listening sockets */
    MAIL_REOPEN_LOGS,
    MAIL_STOP
};

enum {
    REPORTS_MAX = 256, /* of one turn */
    HOSTS_MAX = 16 /* the same */
};

/* From a worker to the monitor; the pointer is malloc'ed memory. */
enum report_mail {
    REPORT_HEALTH, /* struct report_batch */
    REPORT_HOSTS, /* struct host_batch: names that the shard wants to know */
    REPORT_LINE /* a text for the journal */
};

/* On its way to the monitor, in malloc'ed memory. */
struct report_batch {
    uint32_t count;
    struct health_report items[REPORTS_MAX];
};

struct host_batch {
    uint32_t count;
    char names[HOSTS_MAX][DNS_NAME_SIZE];
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
    pthread_mutex_t posting; /* the control thread and the monitor write to its mailbox */
    uint64_t adopted; /* generation of the snapshot it uses, stored atomically */
    struct mailbox reports; /* from this shard to the monitor, which listens */
    struct report_batch *batch; /* not yet mailed; NULL: nothing */
    struct host_batch *hosts; /* the same */
    struct shard_task mail_reports;
    struct timer retry_reports;
    uint64_t line_second; /* of the lines told */
    unsigned line_count;
};

/* Starts the thread and waits until it serves; its error when it does not. */
enum error worker_start(struct worker *worker) MUST_CHECK;

/* By any thread. False: its mailbox is full; to be tried again. */
bool worker_post(struct worker *worker, enum worker_mail mail, void *pointer) MUST_CHECK;

/* Processor time that its thread has used. By any thread, between worker_start and worker_join. */
uint64_t worker_cpu_us(const struct worker *worker);

/* After MAIL_STOP. */
void worker_join(struct worker *worker);
