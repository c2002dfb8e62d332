/* SPDX-License-Identifier: Apache-2.0 */
/* What the monitor keeps of each upstream and of each of its addresses. Part of the monitor. */
#pragma once

#include "net/proxy/monitor.h"
#include "net/proxy/prober.h"

/* A target of an upstream: its name, or its numeric address. */
struct watched_target {
    struct dns_watch watch;
    struct watched *watched;
    struct address numeric; /* size 0: a name */
};

struct watched {
    struct monitor *monitor;
    struct watched *next; /* in its bucket */
    struct list_node dirty_node, published_node;
    const struct upstream *upstream; /* of the model in force; NULL: has left it, or is a plugin's host */
    struct watched_target *targets;
    uint32_t target_count;
    struct list_node members; /* in the order of the roster */
    struct roster *roster; /* NULL: none yet */
    struct timer forget; /* when it has left the model */
    struct timer unwant; /* of a host that shards have asked for: armed while it is watched for them */
    struct list_node probes_waiting; /* members */
    uint32_t probing;
    uint64_t adoption; /* the last that named it */
    enum roster_of what;
    char id[MODEL_ID_SIZE]; /* the key of its rosters: the upstream's id; of a host made from its name */
    char key[]; /* the upstream's id, or the host's name in lower case */
};

/* Apart from its member, since most are never probed. */
struct member_probe {
    struct probe probe; /* first: it is recovered from that */
    struct member *member;
};

/* An address of a target. */
struct member {
    struct list_node node;
    struct monitor *monitor;
    struct watched *watched; /* NULL: is no member any more, but still being probed */
    struct roster_entry entry; /* entry.host is `host` */
    struct health health;
    struct timer timer; /* for the next probe */
    struct list_node waiting_node;
    struct member_probe *probe; /* NULL: there was never need of one */
    uint64_t probe_began_ms; /* 0: never */
    char host[];
};

struct watched *monitor_find(const struct monitor *monitor, struct slice key, enum roster_of what);

/* Its roster has to be made anew before the turn ends. */
void watched_soil(struct watched *watched);

/* NULL when memory is exhausted. Belongs to watched->members. */
struct member *member_open(struct watched *watched, const struct roster_entry *entry);

/* Where nothing is checked any more, everything is healthy. */
void member_believe(struct member *member);

/* Arms, moves or disarms the timer of its next probe, by the rules in force. */
void member_schedule(struct member *member);

/* After a probe's place has become free. */
void watched_start_probes(struct watched *watched);

/* Frees it, at once or when its probe has ended. */
void member_drop(struct member *member);
