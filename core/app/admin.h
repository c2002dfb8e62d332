/* SPDX-License-Identifier: Apache-2.0 */
/* The listeners admin_listen and status_listen: one thread of their own with a poll loop, for few and slow
 * requests. It reads counters of the shards, and what struct admin_source answers, which carries changes out,
 * too. Started and stopped by the control thread. */
#pragma once

#include "core/app/change.h"
#include "core/app/in_force.h"
#include "core/io/metrics.h"

struct admin;
struct traffic;
struct store;
struct tls_setup;

enum admin_side { ADMIN_SIDE_ADMIN, ADMIN_SIDE_STATUS };

enum { ADMIN_LISTENERS_MAX = 16 };

/* Valid until admin_stop. The functions are called on the admin thread, also while a reload goes on. */
struct admin_source {
    unsigned shard_count;
    const struct metrics *const *metrics; /* by shard */
    const struct metrics *monitor_metrics; /* of the thread that resolves names and probes */
    struct in_force *in_force;
    void *owner; /* the argument of the functions */
    struct tls_setup *tls; /* what its listeners with TLS speak */
    const struct plugin_kind *const *plugins; /* ends with NULL */
    void *const *plugin_states; /* of the process, by index in the registry */
    struct store *store; /* where entities are kept; NULL: in files, and none can be written */
    const struct traffic *const *traffic; /* by shard */
    uint64_t (*cpu_us)(void *owner, unsigned shard); /* processor time that a shard has used */
    enum change_result (*change)(void *owner, const struct change *change); /* waits until it is in force */
};

/* Binds and starts the thread; both listeners off: *admin is NULL and nothing runs. False: nothing is left
 * open and *reason (valid until the next call) says why. The settings must outlive it. */
bool admin_start(struct admin **admin, const struct settings *settings, const struct admin_source *source,
                 const char **reason) MUST_CHECK;

/* Its listening sockets, at most ADMIN_LISTENERS_MAX, which stay its own; returns how many. */
uint32_t admin_sockets(const struct admin *admin, int *fds);

/* Ends the thread and closes all; NULL is fine. */
void admin_stop(struct admin *admin);
