/* SPDX-License-Identifier: Apache-2.0 */
/* What the settings say about traffic, ready for use. Made once at start by core/app/options.c; constant, and
 * shared by all shards. */
#pragma once

#include "core/base/regex.h"
#include "net/fetch/fetch_pool.h"
#include "net/http/http1_parse.h"
#include "net/proxy/http2_budget.h"
#include "net/transport/address.h"

struct settings;
struct error_template;

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
    uint32_t splice_pipes_max; /* of tunnels, that hold bytes at a time */
    uint64_t splice_after_bytes; /* one way within a second; 0: never */
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
