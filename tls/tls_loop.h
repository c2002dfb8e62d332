/* SPDX-License-Identifier: Apache-2.0 */
/* What the TLS streams of a shard share: the keys of tickets, and a queue of handshakes that have
 * something to compute, so that they take no more than their share of a turn from established connections.
 * Owned by the shard; one thread. */
#pragma once

#include "core/io/shard.h"
#include "tls/ktls.h"

struct tls_tickets;
struct tls_client;

/* Profiles for what the gateway itself asks for: key sets, Redis, receivers of logs. */
enum tls_own {
    TLS_OWN_VERIFIES, /* the certificate and its name */
    TLS_OWN_BELIEVES, /* anybody */
    TLS_OWN_COUNT
};

struct tls_loop_options {
    uint32_t set; /* which contexts of a profile this shard uses */
    uint32_t budget_us; /* of handshakes per turn; the one that exceeds it is the last; 0: 1000 */
    struct ktls_support kernel; /* what is handed over to the kernel, where a stream can */
    struct tls_client *own[TLS_OWN_COUNT]; /* live as long as the loop; NULL: none */
};

struct tls_loop {
    struct shard *shard;
    struct tls_loop_options options;
    struct tls_tickets *tickets; /* NULL: none */
    struct list_node ready; /* struct tls_job */
    struct shard_task task;
    struct timer again;
};

/* Something that a stream wants computed. */
struct tls_job {
    struct list_node node;
    void (*run)(struct tls_job *job);
};

/* On the shard's thread. */
void tls_loop_open(struct tls_loop *loop, struct shard *shard, const struct tls_loop_options *options);

/* After the last stream of it has closed. */
void tls_loop_close(struct tls_loop *loop);

/* From now on; takes its own reference, NULL: no tickets. */
void tls_loop_use_tickets(struct tls_loop *loop, struct tls_tickets *tickets);

static inline void tls_job_init(struct tls_job *job, void (*run)(struct tls_job *))
{
    list_init(&job->node);
    job->run = run;
}

/* Legal when it is waiting already. */
void tls_loop_enqueue(struct tls_loop *loop, struct tls_job *job);
