/* SPDX-License-Identifier: Apache-2.0 */
/* What a shard needs to serve: its listeners, client connections, upstream pools, plugin states and the
 * snapshot in force. One per shard, used on its thread only. struct proxy_options is shared and constant. */
#pragma once

#include "core/base/regex.h"
#include "net/fetch/fetch_pool.h"
#include "net/http/http1_parse.h"
#include "net/proxy/access_log.h"
#include "net/proxy/balancer.h"
#include "net/proxy/health.h"
#include "net/proxy/http2_budget.h"
#include "net/proxy/resolver.h"
#include "net/proxy/snapshot.h"
#include "net/transport/listener.h"
#include "tls/tls_loop.h"

struct settings;
struct error_template;
struct exchange;

/* Which headers the gateway adds (Kong's `headers` setting). */
enum proxy_header {
    PROXY_HEADER_SERVER = 1,
    PROXY_HEADER_VIA = 2,
    PROXY_HEADER_UPSTREAM_LATENCY = 4,
    PROXY_HEADER_PROXY_LATENCY = 8,
    PROXY_HEADER_RESPONSE_LATENCY = 16,
    PROXY_HEADER_REQUEST_ID = 32,
    PROXY_HEADER_UPSTREAM_STATUS = 64
};

struct proxy_options {
    const struct settings *settings;
    const struct plugin *const *registry;
    struct http1_limits limits;
    struct address_ranges trusted;
    struct slice real_ip_header;
    bool real_ip_recursive;
    unsigned headers; /* PROXY_HEADER_ bits */
    bool request_id_upstream; /* X-Kong-Request-Id is sent upstream */
    struct slice charset; /* appended to text types without one; absent: nothing is */
    bool debug_header; /* Kong-Debug: 1 shows route and service */
    const struct error_template *error_templates; /* by enum error_template_kind */
    struct slice default_type; /* of errors made below the plugins, when no Accept says otherwise */
    uint64_t body_bytes_max; /* 0: no limit */
    uint32_t connections_max; /* client connections of one shard */
    uint32_t handshakes_max; /* of TLS with clients, in progress on one shard */
    uint32_t upstreams_max; /* connections to upstreams of one shard */
    uint32_t keepalive_requests;
    uint32_t pool_size, pool_requests;
    uint32_t http2_streams; /* of one connection to an upstream */
    uint32_t http2_window; /* bytes of a response's body on their way, of each of them */
    uint64_t http2_ping_ms; /* 0: upstreams are not asked whether they are there */
    int upstream_preamble, stream_preamble; /* enum preamble_kind, for services that do not say */
    uint32_t udp_sessions_max;
    uint32_t maglev_size; /* entries of a table, at least */
    uint64_t handshake_timeout_ms;
    uint64_t header_timeout_ms, body_timeout_ms, keepalive_timeout_ms, send_timeout_ms, pool_idle_ms;
    uint64_t body_rate_bytes, body_rate_grace_ms; /* slowest upload per second after a grace; 0: none */
    uint64_t stream_bytes; /* queued toward one peer before the other is paused */
    uint64_t exchange_bytes; /* most memory of one exchange */
    uint64_t replay_bytes; /* of a request body kept for another try */
    uint64_t plugin_body_bytes; /* of a request body that a plugin may read as a whole */
    struct http2_limits http2;
    struct regex_limits regex;
    struct fetch_options fetch;
};

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
