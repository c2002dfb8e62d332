/* SPDX-License-Identifier: Apache-2.0 */
/* What the admin thread sees of the configuration in force. The control thread shows each one; whatever is
 * shown stays alive until the next one is. */
#pragma once

#include "core/app/tls_expiry.h"
#include "net/proxy/snapshot.h"

#include <pthread.h>

struct in_force {
    pthread_mutex_t lock; /* of what follows */
    const struct snapshot *snapshot; /* NULL: none yet */
    struct tls_expiry expiry;
    bool draining;
};

void in_force_init(struct in_force *in_force);
void in_force_deinit(struct in_force *in_force);

/* Control thread. */
void in_force_show(struct in_force *in_force, const struct snapshot *snapshot, int64_t default_not_after_s);
void in_force_drain(struct in_force *in_force);

/* The process is not draining, and there is an entity: Kong is not ready without. */
bool in_force_is_ready(struct in_force *in_force);

/* What is given stays until it is closed, soon. NULL: there is none, and it is to be closed all the same. */
const struct snapshot *in_force_open(struct in_force *in_force);
const struct catalog *in_force_open_catalog(struct in_force *in_force);
void in_force_close(struct in_force *in_force);

/* The model's hash with its NUL. */
void in_force_hash(struct in_force *in_force, char hash[33]);

/* Its metrics, in Prometheus' text format. */
void in_force_write_metrics(struct in_force *in_force, FILE *out);
