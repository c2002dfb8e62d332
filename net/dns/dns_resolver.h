/* SPDX-License-Identifier: Apache-2.0 */
/* Names that somebody watches, and what they stand for: the hosts file first, then servers in the order of
 * dns_order, again whenever a time to live has passed. Answers that became stale are kept while nobody can
 * say better. Owns its names; watchers are told of changes. One shard; the only I/O is the hosts file's. */
#pragma once

#include "net/dns/dns_client.h"
#include "net/dns/dns_hosts.h"

enum { DNS_ORDER_LAST = 0, DNS_ORDER_MAX = 8, DNS_LEAST_TTL_MS = 1000 };

struct dns_resolver_options {
    const char *hosts_path; /* NULL: none */
    uint8_t order[DNS_ORDER_MAX]; /* enum dns_type; DNS_ORDER_LAST is the type that had answers last */
    uint32_t order_count;
    uint64_t valid_ms; /* instead of what records say; 0: what they say, at least DNS_LEAST_TTL_MS */
    uint64_t stale_ms; /* for which an answer is kept when it cannot be had again */
    uint64_t not_found_ms, error_ms; /* until a name that has no record, or no answer, is asked again */
};

struct dns_endpoint {
    struct address address; /* port 0: whatever the one who asks has */
    uint32_t weight; /* 0: likewise; of SRV records at least 1 */
    const char *host; /* the name in the SRV record; NULL: there was none */
};

enum dns_state {
    DNS_STATE_PENDING, /* the first answer is yet to come */
    DNS_STATE_GOOD,
    DNS_STATE_STALE, /* good once, and for now the best there is */
    DNS_STATE_FAILED /* no endpoints */
};

enum dns_kind {
    DNS_KIND_ANY,
    DNS_KIND_HOST /* addresses alone: what a SRV record points to */
};

/* Embedded in the watcher. `changed` comes from the loop when state or endpoints are others than before; it
 * must not end any watch. */
struct dns_watch {
    struct list_node node;
    struct dns_name *name;
    void (*changed)(struct dns_watch *watch);
};

struct dns_name {
    struct dns_resolver *resolver;
    struct dns_name *next; /* in its bucket */
    struct list_node watches;
    enum dns_state state;
    enum dns_status failure; /* with STALE and FAILED */
    struct dns_endpoint *endpoints; /* sorted, none twice */
    uint32_t count;
    struct dns_parts *parts, *incoming; /* of SRV records: in force; not yet resolved */
    uint64_t good_until_ms;
    struct timer timer;
    struct shard_task task;
    struct list_node orphan_node;
    struct dns_query query;
    uint8_t types[DNS_ORDER_MAX], type_count, type_at, alias_count; /* of the resolution under way */
    uint8_t last_type;
    bool asking, restart, unwatched, from_hosts;
    uint8_t kind;
    enum dns_status worst;
    char text[DNS_NAME_SIZE]; /* lower case */
};

enum { DNS_BUCKETS = 16384 };

struct dns_resolver {
    struct shard *shard;
    struct dns_server *server;
    struct dns_resolver_options options;
    struct dns_hosts hosts;
    struct timer hosts_timer;
    struct dns_name *buckets[DNS_BUCKETS];
    uint32_t pending_count; /* names that wait for their first answer */
    struct list_node orphans; /* names that nobody watches any more, but that are being asked for */
    void (*failing)(struct dns_resolver *resolver, const struct dns_name *name); /* began or ceased to */
};

/* `server` answers. Reads the hosts file. `failing` may be set afterwards. */
void dns_resolver_init(struct dns_resolver *resolver, struct shard *shard, struct dns_server *server,
                       const struct dns_resolver_options *options);

/* When nothing is watched any more. No query may come back afterwards. */
void dns_resolver_deinit(struct dns_resolver *resolver);

/* text in any case, shorter than DNS_NAME_SIZE; the watch is set up by this. The name may be known already:
 * look at watch->name. False when memory is exhausted or text is too long. */
bool dns_watch_begin(struct dns_watch *watch, struct dns_resolver *resolver, struct slice text,
                     enum dns_kind kind) MUST_CHECK;
void dns_watch_end(struct dns_watch *watch); /* legal when it is not watching */
