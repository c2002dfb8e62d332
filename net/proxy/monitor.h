/* SPDX-License-Identifier: Apache-2.0 */
/* Where the targets of all upstreams are and how they are, for the whole node: resolves names, probes, takes
 * the shards' reports, and gives out a new roster of an upstream whenever anything of it has changed. Reloads
 * change only what differs. It has a shard of its own, which serves nobody; used on that one's thread. */
#pragma once

#include "config/model.h"
#include "net/dns/dns_resolver.h"
#include "net/proxy/health.h"
#include "net/proxy/roster.h"

enum {
    MONITOR_MEMORY_MS = 300 * 1000 /* what was known of an upstream is kept after it has left, as in Kong */
};

enum roster_of {
    ROSTER_OF_UPSTREAM,
    ROSTER_OF_HOST /* of a plugin; the entries' host is the name, and without entries it is to be forgotten */
};

/* Rosters on their way to a shard, each with a reference. */
struct roster_batch {
    uint32_t count;
    struct {
        struct roster *roster;
        enum roster_of what;
    } items[];
};

/* With what it still holds: a roster that was taken out is NULL. */
void roster_batch_free(struct roster_batch *batch);

struct monitor;

struct monitor_flip {
    struct slice upstream; /* its name */
    const struct roster_entry *entry;
    bool healthy;
    const char *cause; /* static text */
};

/* Told from the loop. */
struct monitor_events {
    void (*published)(struct monitor *monitor); /* monitor_batch_since has something new */
    void (*flipped)(struct monitor *monitor, const struct monitor_flip *flip);
    void (*failing)(struct monitor *monitor, const struct dns_name *name); /* began or ceased to be */
    void (*settled)(struct monitor *monitor); /* every name has had an answer, or none in time */
};

struct monitor_options {
    struct dns_client_options dns;
    struct dns_resolver_options resolver;
};

enum {
    MONITOR_BUCKETS = 65536,
    MONITOR_WANTED_MAX = 1024 /* hosts that shards have asked for */
};

struct monitor {
    struct shard *shard;
    const struct monitor_events *events;
    void *owner; /* of whoever opened it */
    struct dns_client dns;
    struct dns_resolver resolver;
    struct watched *buckets[MONITOR_BUCKETS];
    struct list_node dirty; /* struct watched */
    struct list_node published; /* struct watched with a roster, the newest version last */
    struct shard_task task;
    uint64_t adoptions;
    uint64_t version; /* of the newest roster */
    uint32_t probing; /* probes under way */
    uint32_t wanted_count; /* hosts that are watched because a shard has asked */
    bool closing;
};

/* monitor->owner is set. ERROR_INVALID: the servers named in the options are none. */
enum error monitor_open(struct monitor *monitor, struct shard *shard, const struct monitor_options *options,
                        const struct monitor_events *events) MUST_CHECK;

/* Ends all probes; the shard turns on until monitor_is_idle. */
void monitor_abort(struct monitor *monitor);
bool monitor_is_idle(const struct monitor *monitor);

/* After shard_disconnect; legal after a failed open. */
void monitor_close(struct monitor *monitor);

/* From now on the model's upstreams are watched, and the hosts of its plugins and in `hosts`; the model must
 * live until the next adoption has ended. False: no memory, some are not. */
bool monitor_adopt(struct monitor *monitor, const struct model *model, const struct slices *hosts) MUST_CHECK;

/* No name is waiting for its first answer. */
bool monitor_is_settled(const struct monitor *monitor);

/* The newest version, not taken; NULL: not watched. */
struct roster *monitor_roster(const struct monitor *monitor, const struct upstream *upstream);

/* All rosters with a version above that, in malloc'ed memory; NULL: memory is exhausted. */
struct roster_batch *monitor_batch_since(const struct monitor *monitor, uint64_t version);

/* A shard asks for a host: its roster is published (again), with no entries when it has no address, and kept
 * up to date for ROSTER_HOST_KEPT_MS. Nothing happens when there is no room. */
void monitor_want(struct monitor *monitor, struct slice host);

/* What an administrator says of a target, all its addresses or one of them. */
struct monitor_decree {
    const char *upstream; /* its id */
    struct slice host; /* the target's, as configured */
    uint16_t port; /* 0: any */
    const struct address *address; /* NULL: all */
    bool healthy;
};

/* How many addresses that was about; 0: there is no such target. */
uint32_t monitor_decree(struct monitor *monitor, const struct monitor_decree *decree);

/* What a shard has seen. An address that has left in the meantime is ignored. */
void monitor_take_report(struct monitor *monitor, const struct health_report *report);
