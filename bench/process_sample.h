/* SPDX-License-Identifier: Apache-2.0 */
/* CPU time and memory of a set of processes with all their descendants, read
 * from /proc. Two samples give the cost of the time between them. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { PROCESS_LIMIT = 64 };

struct process_sample {
    uint64_t cpu_ns;       /* all threads, from schedstat: exact */
    uint64_t user_ticks;   /* sampled at the clock tick: only the ratio is of use */
    uint64_t system_ticks;
    uint64_t rss_bytes;
    uint64_t anonymous_bytes; /* the part of RSS that is not file mapped */
    unsigned processes;
};

/* Missing processes count as nothing. */
void process_sample_read(struct process_sample *sample, const pid_t *roots, size_t root_count);

/* CPU time of the calling process so far, all threads. */
uint64_t process_own_cpu_ns(void);
