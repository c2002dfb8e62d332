/* SPDX-License-Identifier: Apache-2.0 */
/* A balancer of one upstream on a shard without a ring, whose clock the test moves by hand and whose chance
 * is the same every time. Targets are 10.0.0.1:8000 and so on. The test owns it; one thread. */
#pragma once

#include "net/proxy/balancer_circuit.h"
#include "net/proxy/balancer_pick.h"
#include "net/proxy/proxy.h"

enum { BALANCER_SETUP_MOST = 64 };

struct balancer_setup {
    struct shard shard;
    struct proxy_options options;
    struct proxy proxy;
    struct upstream upstream;
    struct snapshot snapshot;
    struct roster *roster; /* the snapshot's */
    struct balancer *cell, **cells;
    struct balancer *balancer; /* once balancer_setup_use was called */
    uint64_t version;
};

/* One roster entry per weight. */
void balancer_setup_open(struct balancer_setup *setup, enum balance balance, const uint32_t *weights,
                         uint32_t count);

/* After the upstream was changed to taste: the snapshot uses it. */
void balancer_setup_use(struct balancer_setup *setup);
void balancer_setup_close(struct balancer_setup *setup);

/* The next roster, as the monitor would send it; `flips`, NULL for none, per entry: an odd one is unhealthy.
 * A weight of UINT32_MAX leaves the target out. */
void balancer_setup_publish(struct balancer_setup *setup, const uint32_t *weights, const uint32_t *flips,
                            uint32_t count);

/* Another snapshot of the same model takes over. */
void balancer_setup_reload(struct balancer_setup *setup);
void balancer_setup_pass(struct balancer_setup *setup, uint64_t time_ms);

/* The last number of the address that is picked, 0 for none. key, failed: NULL for none. */
unsigned balancer_setup_pick(struct balancer_setup *setup, const char *key, struct endpoint *failed);
struct endpoint *balancer_setup_endpoint(const struct balancer_setup *setup, unsigned number);
