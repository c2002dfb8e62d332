/* SPDX-License-Identifier: Apache-2.0 */
/* The engine of the load generator: connections, schedule, measuring. One
 * epoll thread owns everything here. Times are CLOCK_MONOTONIC nanoseconds. */
#pragma once

#include "bench/load_result.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

/* Runs warm-up, interval and drain. 0, or -1 with a message on stderr. */
int load_run(const struct load_options *options, struct load_result *result);
