/* SPDX-License-Identifier: Apache-2.0 */
/* The listeners admin_listen and status_listen: one thread of their own with a poll loop, for few and slow
 * requests. It only reads: counters of the shards, and what struct admin_source answers. Started and stopped
 * by the control thread. */
#pragma once

#include "config/settings.h"
#include "core/io/metrics.h"

#include <stdio.h>

struct admin;

enum { ADMIN_LISTENERS_MAX = 16 };

/* Valid until admin_stop. The functions are called on the admin thread, also while a reload goes on. */
struct admin_source {
    unsigned shard_count;
    const struct metrics *const *metrics; /* by shard */
    const struct metrics *monitor_metrics; /* of the thread that resolves names and probes */
    void *owner;                          /* the argument of the functions */
    bool (*ready)(void *owner);           /* a configuration is in force and the process is not draining */
    void (*configuration_hash)(void *owner, char hash[33]); /* writes the model's hash with its NUL */
    void (*write_metrics)(void *owner, FILE *out); /* those of the configuration, in Prometheus' format */
};

/* Binds and starts the thread; both listeners off: *admin is NULL and nothing runs. False: nothing is left
 * open and *reason (valid until the next call) says why. The settings must outlive it. */
bool admin_start(struct admin **admin, const struct settings *settings, const struct admin_source *source,
                 const char **reason) MUST_CHECK;

/* Its listening sockets, at most ADMIN_LISTENERS_MAX, which stay its own; returns how many. */
uint32_t admin_sockets(const struct admin *admin, int *fds);

/* Ends the thread and closes all; NULL is fine. */
void admin_stop(struct admin *admin);
