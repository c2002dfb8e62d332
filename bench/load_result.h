/* SPDX-License-Identifier: Apache-2.0 */
/* What a run of the load generator finds, counted in one way whatever engine makes the load. Times are
 * CLOCK_MONOTONIC nanoseconds. One owner, one thread. */
#pragma once

#include "bench/histogram.h"
#include "bench/process_sample.h"
#include "bench/schedule.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LOAD_STATUS_LIMIT = 1000 };

/* Errors are counted over the whole run, everything else in the interval. */
struct load_result {
    uint64_t responses;     /* completed inside the interval, any status */
    uint64_t bytes;
    uint64_t handshakes;    /* of TLS, ended inside the interval */
    uint64_t resumed;       /* of them */
    uint64_t errors_connect;
    uint64_t errors_reset;
    uint64_t errors_timeout;
    uint64_t errors_protocol;
    uint64_t errors_status[LOAD_STATUS_LIMIT]; /* answers outside 2xx */
    uint64_t reconnects;    /* keep-alive connections the server ended between requests */
    uint64_t idle_opened;
    uint64_t idle_failed;   /* not opened, or no 2xx for the one request */
    uint64_t idle_closed;   /* ended by the server while idle */
    uint64_t interval_ns;
    uint64_t own_cpu_ns;
    struct histogram latency; /* open loop: from the intended start */
    struct histogram lag;     /* open loop: intended start to send */
    struct process_sample before_idle;
    struct process_sample start;
    struct process_sample end;
};

/* At the two ends of the interval; between them interval_ns and own_cpu_ns are when it began. */
void load_result_begin(struct load_result *result, const pid_t *pids, size_t pid_count);
void load_result_end(struct load_result *result, const pid_t *pids, size_t pid_count);

bool load_result_is_good(unsigned status); /* 2xx */

/* Of any answer; status below LOAD_STATUS_LIMIT. */
void load_result_status(struct load_result *result, unsigned status);

/* Of one that was asked for by the schedule. */
void load_result_answer(struct load_result *result, const struct schedule *schedule, unsigned status,
                        uint64_t intended_ns, uint64_t now_ns);

/* Behind the drain: what was sent, and what was due inside the interval and never sent. */
void load_result_unanswered(struct load_result *result, struct schedule *schedule, size_t outstanding);
