/* SPDX-License-Identifier: Apache-2.0 */
/* The engine of the load generator: connections, schedule, measuring. One
 * epoll thread owns everything here. Times are CLOCK_MONOTONIC nanoseconds. */
#pragma once

#include "bench/histogram.h"
#include "bench/process_sample.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LOAD_STATUS_LIMIT = 1000 };

struct load_request {
    char *text;
    size_t size;
};

enum load_tls_use { LOAD_CLEAR, LOAD_TLS, LOAD_TLS_RESUMED };

struct load_options {
    struct sockaddr_in server;
    size_t connections;
    size_t idle;            /* further connections kept open and quiet */
    double rate;            /* requests per second, 0 = closed loop */
    uint64_t warmup_ns;
    uint64_t duration_ns;
    uint64_t timeout_ns;    /* of one request, from when it was sent */
    bool close;             /* a new connection for each request */
    enum load_tls_use tls;
    struct load_request *requests;
    size_t request_count;
    pid_t pids[PROCESS_LIMIT];
    size_t pid_count;
};

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

/* Runs warm-up, interval and drain. 0, or -1 with a message on stderr. */
int load_run(const struct load_options *options, struct load_result *result);
