/* SPDX-License-Identifier: Apache-2.0 */
/* What a shard needs to serve: its listeners, client connections, upstream pools, plugin states and the
 * snapshot in force. One per shard, used on its thread only. */
#pragma once

#include "core/base/regex.h"
#include "net/fetch/fetch_pool.h"
#include "net/proxy/access_log.h"
#include "net/proxy/balancer.h"
#include "net/proxy/health.h"
#include "net/proxy/proxy_options.h"
#include "net/proxy/resolver.h"
#include "net/proxy/snapshot.h"
#include "net/transport/listener.h"
#include "tls/tls_loop.h"

struct exchange;

struct proxy {
    struct shard *shard;
    const struct proxy_options *options;
    struct snapshot *snapshot;
    struct listener *listeners;
    uint32_t listener_count;
    struct list_node clients; /* all open client connections */
    uint32_t client_count;
    bool draining;
    struct tls_loop tls;
    struct stapling *stapling; /* NULL: another shard's, or nothing is stapled */
    uint32_t handshake_count; /* of clients, in progress */
    struct balancer_table balancers;
    struct resolver resolver; /* of plugins' hosts */
    struct fetch_pool fetches; /* HTTP calls of the gateway's own */
    uint32_t origin_count;
    struct list_node idle_origins; /* the longest idle first */
    struct list_node waiting; /* exchanges whose plugins wait: they may have no client any more */
    struct exchange *spare_exchanges;
    struct client *spare_clients;
    uint32_t spare_exchange_count, spare_client_count;
    struct udp_sessions *udp; /* clients of UDP */
    struct pipe_pool *pipes; /* of tunnels */
    struct access_log log, stream_log;
    struct list_node files; /* struct line_file, this log's and those of plugins: to be reopened together */
    struct traffic traffic;
    void **plugin_states; /* by index in the registry */
    struct regex_scratch regex;
    char date[32]; /* for Date headers, of the second date_s */
    uint8_t date_size;
    uint64_t date_s;
    uint64_t request_id[2]; /* a random prefix and a counter, see exchange.c */
    /* Tells the monitor what requests saw of an address; NULL: nobody listens. Copies what it keeps. */
    void (*report_health)(struct proxy *proxy, const struct health_report *report);
    /* A line for the operational log, which may be left out when there are many; NULL: nobody listens. */
    void (*tell)(struct proxy *proxy, const char *line);
};

static inline struct proxy *proxy_of(const struct shard *shard)
{
    return shard->proxy;
}

const struct settings *proxy_settings(const struct shard *shard);

struct proxy_start {
    const struct proxy_options *options;
    struct snapshot *snapshot;
    void *const *plugin_process_states; /* by index in the registry */
    const int *listener_fds;
    const struct listener_options *listener_options; /* live as long as the shard */
    uint32_t listener_count;
    const struct access_log_options *log, *stream_log;
    struct tls_loop_options tls;
};

/* On the shard's thread; proxy_close also after an error, between shard_disconnect and shard_close. */
enum error proxy_open(struct proxy *proxy, struct shard *shard, const struct proxy_start *start) MUST_CHECK;
void proxy_close(struct proxy *proxy);

/* Between two turns: new exchanges use it. */
void proxy_adopt(struct proxy *proxy, struct snapshot *snapshot);

/* A newer version of where an upstream is, from the monitor's mail. Takes the reference. */
void proxy_take_roster(struct proxy *proxy, struct roster *roster);

/* Will be reopened with the others, and waited for in the end. */
void proxy_add_file(struct proxy *proxy, struct line_file *file);
void proxy_reopen_files(struct proxy *proxy);

/* Has plugins give away what they still hold for others, as far as that takes no longer than `until_ms` on
 * the shard's clock; the shard turns meanwhile. */
void proxy_flush(struct proxy *proxy, uint64_t until_ms);

/* Stops accepting and ends idle connections; those with a request end after it. */
void proxy_drain(struct proxy *proxy, enum listener_backlog backlog);

/* Ends everything at once; the shard turns on until proxy_is_empty. */
void proxy_abort(struct proxy *proxy);

/* No connection is left, to clients or upstreams, and the log is written. */
bool proxy_is_empty(const struct proxy *proxy);
