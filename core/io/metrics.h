/* SPDX-License-Identifier: Apache-2.0 */
/* A shard's counters: one writer, its own thread; summed by whoever asks, who may see them a moment late.
 * The list is the only place where a counter is declared. */
#pragma once

#include <stdint.h>

/* name, metric name, help */
#define METRIC_LIST(M)                                                                      \
    M(CONNECTIONS_ACCEPTED, "connections_accepted", "client connections accepted")          \
    M(CONNECTIONS_ACTIVE, "connections_active", "client connections open now")              \
    M(CONNECTIONS_SHED, "connections_shed", "times accepting stopped at a limit")           \
    M(ACCEPT_ERRORS, "accept_errors", "accepts refused by the kernel")                      \
    M(REQUESTS, "requests", "requests begun")                                               \
    M(REQUESTS_ACTIVE, "requests_active", "requests in progress now")                       \
    M(REQUESTS_REFUSED, "requests_refused", "messages refused as malformed or too large")   \
    M(REQUESTS_ABORTED, "requests_aborted", "requests whose client went away")              \
    M(RESPONSES_1XX, "responses_1xx", "interim responses passed on")                        \
    M(RESPONSES_2XX, "responses_2xx", "responses with status 2xx")                          \
    M(RESPONSES_3XX, "responses_3xx", "responses with status 3xx")                          \
    M(RESPONSES_4XX, "responses_4xx", "responses with status 4xx")                          \
    M(RESPONSES_5XX, "responses_5xx", "responses with status 5xx")                          \
    M(UPSTREAM_CONNECTS, "upstream_connects", "connections opened to upstreams")            \
    M(UPSTREAM_REUSES, "upstream_reuses", "requests sent over a kept connection")           \
    M(UPSTREAM_FAILURES, "upstream_failures", "tries that failed")                          \
    M(UPSTREAM_RETRIES, "upstream_retries", "tries repeated")                               \
    M(UPSTREAM_ACTIVE, "upstream_active", "connections to upstreams open now")              \
    M(UPSTREAM_IDLE, "upstream_idle", "kept connections to upstreams")                      \
    M(UPSTREAM_REFUSED, "upstream_refused", "requests refused at upstream_max_connections") \
    M(UPSTREAM_OVERFLOWS, "upstream_overflows", "requests refused at limits of upstreams")  \
    M(UPSTREAM_PENDING, "upstream_pending", "requests waiting for a connection now")        \
    M(UPSTREAM_EJECTIONS, "upstream_ejections", "addresses taken out for failing")          \
    M(RETRIES_REFUSED, "retries_refused", "tries not repeated for want of budget")          \
    M(TIMEOUTS_CLIENT, "timeouts_client", "client connections ended by a time limit")       \
    M(MEMORY_FAILURES, "memory_failures", "requests ended for want of memory")              \
    M(BLOCKS_DRY, "blocks_dry", "receives that found no block")                             \
    M(RECEIVE_BLOCKS_HELD, "receive_blocks_held", "receive blocks in use now")              \
    M(LOG_DROPPED, "log_dropped", "access log records dropped")                             \
    M(SNAPSHOTS_ADOPTED, "snapshots_adopted", "snapshots taken up")                         \
    M(BODIES_TOO_LONG, "bodies_too_long", "responses too long for a plugin to change")      \
    M(REGEX_OVERRUNS, "regex_overruns", "matches given up at a regex_ limit")               \
    M(PREAMBLES_REFUSED, "preambles_refused", "clients without a good PROXY header")        \
    M(HTTP2_CONNECTIONS, "http2_connections", "client connections of HTTP/2 open now")      \
    M(HTTP2_STREAMS, "http2_streams", "streams on them open now")                           \
    M(HTTP2_FLOODS, "http2_floods", "of them, those ended at a limit against floods")       \
    M(HTTP2_DEFERRED, "http2_deferred", "times frames of a connection waited for a turn")   \
    M(TLS_HANDSHAKES, "tls_handshakes", "handshakes with clients that succeeded")           \
    M(TLS_RESUMED, "tls_resumed", "of them, those that resumed a session")                  \
    M(TLS_FAILED, "tls_failed", "handshakes with clients that failed")                      \
    M(TLS_REFUSED, "tls_refused", "handshakes not begun at the limit tls_handshakes")       \
    M(TLS_SHAKING, "tls_shaking", "handshakes with clients in progress now")                \
    M(TLS_CLEARTEXT, "tls_cleartext", "clients that spoke in the clear on a TLS port")      \
    M(TLS_KERNEL, "tls_kernel", "connections whose records the kernel protects")            \
    M(TLS_KERNEL_REFUSED, "tls_kernel_refused", "connections that the kernel did not take") \
    M(TLS_USER, "tls_user", "connections whose records are protected in user space")        \
    M(STAPLES, "staples", "OCSP responses to be stapled that were fetched")                 \
    M(STAPLES_FAILED, "staples_failed", "of such fetches, those that brought none")         \
    M(UPSTREAM_TLS, "upstream_tls", "handshakes with upstreams that succeeded")             \
    M(UPSTREAM_TLS_FAILED, "upstream_tls_failed", "handshakes with upstreams that failed")  \
    M(STREAMS, "streams", "sessions of stream_listen begun")                                \
    M(STREAMS_ACTIVE, "streams_active", "of them, those open now")                          \
    M(STREAMS_REFUSED, "streams_refused", "of them, those without route or upstream")       \
    M(UPGRADES, "upgrades", "connections that became another protocol's")                   \
    M(TUNNELS_ACTIVE, "tunnels_active", "upgraded connections and TCP streams open now")    \
    M(SPLICED_BYTES, "spliced_bytes", "bytes passed from socket to socket, not copied")     \
    M(SPLICE_PIPES, "splice_pipes", "pipes that hold such bytes now")                       \
    M(SPLICE_PIPES_REFUSED, "splice_pipes_refused", "times there was none for more")        \
    M(UDP_SESSIONS, "udp_sessions", "clients of UDP whose sessions are open now")           \
    M(UDP_DROPPED, "udp_dropped", "datagrams dropped for want of room or a session")        \
    M(DNS_QUERIES, "dns_queries", "questions sent to DNS servers")                          \
    M(DNS_FAILURES, "dns_failures", "questions that no server answered")                    \
    M(DNS_STALE, "dns_stale", "times a name kept its old addresses for want of an answer")  \
    M(PROBES, "probes", "active health checks begun")                                       \
    M(PROBES_FAILED, "probes_failed", "active health checks that did not succeed")          \
    M(HEALTH_CHANGES, "health_changes", "addresses that became healthy or unhealthy")       \
    M(REPORTS_DROPPED, "reports_dropped", "health reports for want of room")                \
    M(ROSTERS_PUBLISHED, "rosters_published", "changes of addresses or health sent out")    \
    M(FETCHES, "fetches", "HTTP calls begun by the gateway itself")                         \
    M(FETCH_FAILURES, "fetch_failures", "of them, those that had no answer")                \
    M(FETCH_CONNECTS, "fetch_connects", "connections opened for them")                      \
    M(FETCH_REUSES, "fetch_reuses", "of them, those sent over a kept connection")           \
    M(FETCH_ACTIVE, "fetch_active", "connections for them open now")                        \
    M(FETCH_IDLE, "fetch_idle", "kept connections for them")                                \
    M(FETCH_WAITING, "fetch_waiting", "of them, those waiting for a connection now")        \
    M(NAMES_ASKED, "names_asked", "names that shards asked the monitor for")                \
    M(MIRRORED, "mirrored", "copies of requests begun")                                     \
    M(MIRRORS_DROPPED, "mirrors_dropped", "copies for which there was no room")             \
    M(NAMES_REFUSED, "names_refused", "of them, those that found no room")                  \
    M(CACHE_HITS, "cache_hits", "requests answered by proxy-cache")                         \
    M(CACHE_MISSES, "cache_misses", "requests that proxy-cache had to pass on")             \
    M(CACHE_STORES, "cache_stores", "responses put into the store of proxy-cache")          \
    M(CACHE_EVICTIONS, "cache_evictions", "stored responses that made room for others")     \
    M(CACHE_BYTES, "cache_bytes", "memory of stored responses now")                         \
    M(WAF_MATCHES, "waf_matches", "messages of rules of waf")                               \
    M(WAF_REFUSED, "waf_refused", "requests and responses that waf refused")                \
    M(CSRF_VALID, "csrf_valid", "requests whose origin csrf found good")                    \
    M(CSRF_INVALID, "csrf_invalid", "requests whose origin csrf found foreign")             \
    M(CSRF_MISSING_ORIGIN, "csrf_missing_origin", "requests without an origin for csrf")    \
    M(LOG_ENTRIES_WAITING, "log_entries_waiting", "entries for receivers, not yet sent")    \
    M(LOG_BYTES_WAITING, "log_bytes_waiting", "their size now")                             \
    M(LOG_ENTRIES_SENT, "log_entries_sent", "entries that receivers have taken")            \
    M(LOG_ENTRIES_DROPPED, "log_entries_dropped", "entries for which there was no room")    \
    M(LOG_ENTRIES_LOST, "log_entries_lost", "entries given up after all tries")             \
    M(LOG_RETRIES, "log_retries", "batches of entries sent once more")                      \
    M(SERIES_REFUSED, "series_refused", "times there was no room for labels")

enum metric {
#define M(id, name, help) METRIC_##id,
    METRIC_LIST(M)
#undef M
        METRIC_COUNT
};

struct metrics {
    uint64_t values[METRIC_COUNT];
};

extern const char *const metric_names[METRIC_COUNT];
extern const char *const metric_helps[METRIC_COUNT];

/* By the owner only. A relaxed store, so that readers of other threads see whole values. */
static inline void metric_add(struct metrics *metrics, enum metric metric, int64_t amount)
{
    uint64_t *value = &metrics->values[metric];
    __atomic_store_n(value, *value + (uint64_t)amount, __ATOMIC_RELAXED);
}

static inline void metric_set(struct metrics *metrics, enum metric metric, uint64_t amount)
{
    __atomic_store_n(&metrics->values[metric], amount, __ATOMIC_RELAXED);
}

static inline uint64_t metric_read(const struct metrics *metrics, enum metric metric)
{
    return __atomic_load_n(&metrics->values[metric], __ATOMIC_RELAXED);
}
