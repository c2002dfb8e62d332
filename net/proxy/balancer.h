/* SPDX-License-Identifier: Apache-2.0 */
/* A shard's view of one upstream: its endpoints with their connections, health and load, and who is next. It
 * is known by the upstream's id, so a reload or a new roster changes only what differs; one thread, no lock.
 * Snapshots find it lazily and hold it; without a holder it goes when its upstream has left the model. */
#pragma once

#include "core/crypto/random.h"
#include "core/io/shard.h"
#include "net/proxy/health.h"
#include "net/proxy/roster.h"

struct proxy;
struct snapshot;

/* One address of an upstream. It outlives its place in the roster while exchanges or connections use it. */
struct endpoint {
    struct address address;
    struct balancer *balancer; /* NULL: left the roster, or the upstream is gone */
    struct proxy *proxy;
    struct list_node idle; /* kept origins, newest first */
    struct list_node http2; /* connections of HTTP/2 that take requests */
    uint32_t idle_count, open_count; /* connections: those that can take a request now, and all */
    uint32_t active; /* exchanges that have chosen it */
    uint32_t weight; /* 0: no traffic */
    uint32_t serial; /* unlike that of any other endpoint of the shard */
    uint32_t flips; /* of the node's verdict that is followed */
    bool usable; /* of a weight, healthy and not ejected */
    uint64_t usable_since_ms; /* 0: from the start */
    uint64_t roster_version; /* the last one that named it */
    double latency_ns; /* peak EWMA; 0: never measured */
    uint64_t latency_at_ns;
    struct health health;
    uint32_t unreported_successes;
    uint32_t consecutive_5xx, consecutive_gateway, ejection_count;
    uint64_t ejected_until_ms; /* 0: not ejected */
    uint64_t forgive_at_ms; /* when ejection_count falls */
    uint64_t sticky_id; /* what a cookie names it by */
    uint16_t host_size, authority_size; /* of `authority`: "host", and "host:port" */
    char authority[]; /* brackets around an IPv6 address */
};

/* What is followed of the upstream's definition; limits are this shard's share, 0: none. */
struct balancer_rules {
    int balance; /* enum balance */
    bool keyed; /* the request decides: hashing, cookies */
    bool watched; /* outcomes are looked at */
    uint32_t slots, target_count;
    int64_t slow_start_ms;
    double threshold_percent;
    struct health_limits passive;
    struct circuit_limits circuit;
    struct outlier_rules outlier;
};

/* Made from the usable endpoints, for the algorithm in force. */
struct picker {
    struct endpoint **wheel; /* shuffled, as often as weighs */
    uint32_t wheel_size, wheel_at;
    uint32_t *points; /* by slot, an index of an endpoint, usable or not; NO_ENDPOINT */
    uint32_t *nearest; /* by slot, the first usable one at it or below */
    uint32_t slots;
    struct endpoint **table; /* maglev */
    uint32_t table_size;
};

enum { NO_ENDPOINT = UINT32_MAX };

struct balancer {
    char id[MODEL_ID_SIZE];
    struct balancer_table *table;
    struct balancer *next; /* in its bucket */
    struct list_node stale_node; /* table->stale, when nobody holds it */
    uint64_t stale_since_ms;
    uint32_t holder_count; /* snapshots of this shard */
    uint64_t generation; /* of the snapshot it follows; 0: none yet, it keeps a roster for one to come */
    struct balancer_rules rules;
    struct roster *roster; /* the newest; NULL: none yet */
    struct endpoint **endpoints; /* with room for `usable` behind them */
    uint32_t count;
    struct endpoint **usable;
    uint32_t usable_count;
    bool healthy; /* more than threshold_percent of the weight is usable */
    struct picker picker;
    uint64_t ramp_end_ms; /* slow starts are over then */
    struct timer timer; /* ejections */
    uint32_t active, retrying; /* exchanges */
    uint32_t connections, idle_count; /* as those of its endpoints in the roster, together */
    uint32_t pending_count;
    struct list_node pending; /* exchanges waiting for a connection, the longest first */
    struct shard_task wake;
};

struct balancer_table {
    struct proxy *proxy;
    struct balancer **buckets;
    uint32_t bucket_count, count; /* a power of two */
    struct list_node stale;
    struct timer sweep;
    uint64_t random;
    struct random_pool randomness; /* of cookies */
    uint32_t next_serial;
};

enum error balancer_table_open(struct balancer_table *table, struct proxy *proxy) MUST_CHECK;
void balancer_table_close(struct balancer_table *table);

/* The balancer of an upstream of that snapshot's model, made on first use and then held by the snapshot.
 * NULL when memory is exhausted. */
struct balancer *balancer_find(struct balancer_table *table, struct snapshot *snapshot,
                               const struct upstream *upstream);

/* One snapshot less that holds it. */
void balancer_let_go(struct balancer *balancer);

/* Takes the reference. An upstream that no snapshot has used yet gets it when one does. */
void balancer_take_roster(struct balancer_table *table, struct roster *roster);

/* After a change of members, weights or algorithm, or only of who is usable: chooses anew. */
enum balancer_change { CHANGE_MEMBERS, CHANGE_HEALTH };
void balancer_refresh(struct balancer *balancer, enum balancer_change change);

/* Frees an endpoint that has left and is not used any more. */
void endpoint_release(struct endpoint *endpoint);

/* Not for secrets: a value below `bound`, which is not 0. */
uint32_t balancer_draw(struct balancer_table *table, uint32_t bound);
