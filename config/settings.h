/* SPDX-License-Identifier: Apache-2.0 */
/* The settings of the process: one table of rows gives names, defaults, ranges, help. Read once at start by
 * the control thread from a settings file, the environment and the command line, the later one winning; then
 * constant and read by any thread. Numbers are in range after settings_finish; durations are milliseconds. */
#pragma once

#include "config/error_template.h"
#include "config/settings_values.h"

struct settings {
    struct arena arena;

    /* As written. */
    struct slice proxy_listen, stream_listen, admin_listen, status_listen, shards, cpu_affinity,
        max_connections;
    struct slices headers, headers_upstream, port_maps;

    /* What they say, set by settings_finish. */
    struct listener_settings proxy_listeners, stream_listeners, admin_listeners, status_listeners;
    uint32_t shard_count; /* 0: auto */
    struct core_list cores;
    uint64_t connections_max; /* of all shards; 0: auto, from RLIMIT_NOFILE */
    struct settings_dns_types dns_types;
    unsigned headers_sent; /* enum settings_header */
    bool request_id_upstream; /* X-Kong-Request-Id goes upstream */
    struct settings_port_maps port_map;

    /* Engine. */
    int ring_wait; /* enum ring_wait of core/io */
    int64_t ring_entries, receive_blocks, receive_block_bytes;
    int64_t receive_memory_bytes, write_memory_bytes;

    /* Limits. */
    int64_t max_header_bytes, max_header_line_bytes, max_header_fields, max_target_bytes,
        max_chunk_extension_bytes;
    int64_t client_max_body_bytes; /* 0: none */
    int64_t keepalive_requests, request_buffer_bytes, plugin_body_bytes, stream_buffer_bytes, exchange_bytes;
    int64_t min_body_rate_bytes; /* per second; 0: none */
    int64_t min_body_rate_grace_ms;
    int64_t client_header_timeout_ms, client_body_timeout_ms, keepalive_timeout_ms, send_timeout_ms;
    int64_t http2_max_concurrent_streams, http2_stream_window_bytes, http2_connection_window_bytes;
    int64_t http2_max_resets, http2_max_overhead_frames;
    int64_t drain_timeout_ms, handover_timeout_ms;

    /* Upstreams. */
    int64_t upstream_keepalive_pool_size, upstream_keepalive_max_requests, upstream_keepalive_idle_timeout_ms;
    int64_t upstream_max_connections;
    int upstream_proxy_protocol, stream_proxy_protocol; /* enum preamble_kind */
    int64_t udp_sessions, stream_splice_after_bytes, stream_splice_pipes_max;
    int64_t balancer_maglev_size;
    int64_t upstream_http2_max_streams, upstream_http2_window_bytes, upstream_http2_ping_interval_ms;
    int64_t fetch_max_connections, fetch_idle_connections, fetch_idle_timeout_ms;
    struct slice dns_hostsfile; /* "" or "off": none */
    struct slices dns_resolver, dns_order; /* addresses with or without port; types and LAST */
    int64_t dns_timeout_ms, dns_stale_ttl_ms, dns_not_found_ttl_ms, dns_error_ttl_ms;
    int64_t dns_valid_ttl_ms; /* 0: what records say */

    /* TLS of clients. Texts that name a file may be what would be in it. */
    struct slices ssl_cert, ssl_cert_key; /* pairs, in turn; none: a self-signed one is made */
    int ssl_cipher_suite; /* enum settings_tls_preset */
    struct slice ssl_ciphers, ssl_protocols;
    bool ssl_session_tickets;
    int64_t ssl_session_timeout_ms, ssl_verify_depth;
    int ssl_verify_client; /* enum settings_tls_verify */
    struct slices ssl_client_certificate, ssl_crl, ssl_stapling_file;
    bool ssl_stapling, ssl_stapling_verify; /* the latter says nothing */
    struct slice ssl_stapling_responder; /* empty: whom certificates name */
    int64_t tls_stapling_refresh_ms, tls_stapling_retry_ms;
    int64_t tls_handshake_timeout_ms, tls_handshakes, tls_handshake_budget_us;
    int ktls; /* enum settings_ktls */
    struct slice tls_ticket_keys; /* absent: made here */
    int64_t tls_ticket_rotation_ms;

    /* TLS to upstreams, and to what the gateway itself asks. */
    bool upstream_tls_verify;
    int64_t upstream_tls_verify_depth;
    struct slices upstream_tls_trusted;
    bool client_ssl;
    struct slice client_ssl_cert, client_ssl_cert_key;
    struct slices admin_ssl_cert, admin_ssl_cert_key, status_ssl_cert, status_ssl_cert_key; /* as ssl_cert */
    struct slices lua_ssl_trusted_certificate;
    int64_t lua_ssl_verify_depth;

    /* What ssl_protocols says, set by settings_finish. */
    bool tls_1_2, tls_1_3;

    /* Who the client is. */
    struct slices trusted_ips;
    struct slice real_ip_header;
    bool real_ip_recursive;

    /* Logs. */
    struct slice proxy_access_log, proxy_stream_access_log; /* a path, or "off" */
    int proxy_access_log_format; /* enum settings_log_format */
    struct slice error_log; /* a path */
    int log_level; /* enum settings_log_level */

    /* Answers. */
    int error_default_type; /* enum settings_error_type */
    struct slice charset; /* "off": none is added */
    struct slice error_template_files[ERROR_TEMPLATE_COUNT]; /* absent: the built-in body */
    struct error_template error_templates[ERROR_TEMPLATE_COUNT]; /* what they hold, set by settings_finish */
    bool allow_debug_header;
    int router_flavor; /* enum router_flavor */
    int64_t regex_match_limit, regex_depth_limit, regex_heap_bytes; /* of one match */

    /* Plugins. */
    struct slice redis_host;
    int64_t redis_port;
    int64_t rate_limit_entries, mirror_max_in_flight;
    int64_t log_queue_bytes, prometheus_series_max;
    struct slice syslog_socket;
    double tracing_sampling_rate; /* of requests, where no plugin says */
    struct slices tracing_instrumentations;
    struct slice waf_log;
    int64_t mem_cache_bytes, cache_entry_bytes, cache_wait_ms;

    struct slice pid_file; /* absent: none */
    struct slice store, admin_token, admin_audit_log;
    int64_t admin_body_bytes, admin_connections_max, store_lock_timeout_ms;
    struct slice database, declarative_config, declarative_config_string, vault_env_prefix, vault_file_path;
    struct slices admin_allowed_hosts, plugins, vaults;
    struct slice ambassador_id, ambassador_namespace, gateway_controller_name;
    struct slice aws_lambda_endpoint, aws_default_api;
    struct slices aws_hosts;
};

/* The table, for `sluice schema settings`. */
extern const struct schema settings_schema;

/* Defaults. The texts live as long as the settings; false when memory is exhausted. */
bool settings_init(struct settings *settings);
void settings_deinit(struct settings *settings);

/* A document whose only key is `sluice`. Of its `profiles` the one with the most cores, at most `cores`, is
 * applied over the rest. */
bool settings_recognise(const struct node *document);
bool settings_apply_node(struct settings *settings, const struct node *document, unsigned cores,
                         struct report *report);

/* NAME=VALUE texts, ends with NULL: SLUICE_<KEY>, and KONG_<KEY> for keys that are Kong's; SLUICE_ wins. */
bool settings_apply_environment(struct settings *settings, const char *const *environment,
                                struct report *report);

/* One setting from a text. `origin` names the place in messages: "--set". */
bool settings_apply_text(struct settings *settings, struct slice key, struct slice value, const char *origin,
                         struct report *report);

/* Parses and compares what was applied; required before use. */
bool settings_finish(struct settings *settings, struct report *report);
