/* SPDX-License-Identifier: Apache-2.0 */
#include "config/settings.h"

#include "config/settings_rows.h"
#include "config/settings_text.h"

#include <math.h>

enum { SETTINGS_BYTES = 16 * 1024 * 1024 };

#define AT(member) offsetof(struct settings, member)
#define K SETTINGS_KONG

static const char *const log_levels[] = { "debug", "info",  "notice", "warn", "error",
                                          "crit",  "alert", "emerg",  NULL };
static const char *const log_formats[] = { "combined", "json", NULL };
static const char *const error_types[] = { "text/plain", "application/json", "text/html", "application/xml",
                                           NULL };
static const char *const tls_presets[] = { "modern", "intermediate", "old", "custom", NULL };
static const char *const ktls_choices[] = { "auto", "off", NULL };
static const char *const tls_verifies[] = { "off", "optional", "on", NULL };
static const char *const preambles[] = { "none", "v1", "v2", NULL };
static const char *const ring_waits[] = { "entered", "polled", NULL };
static const char *const flavors[] = { "traditional_compatible", "traditional", "expressions", NULL };

static const struct field fields[] = {
    /* Listeners. */
    { "proxy_listen", FIELD_STRING, AT(proxy_listen), K, .check = settings_check_listeners,
      .fallback = "0.0.0.0:8000 reuseport backlog=16384, 0.0.0.0:8443 http2 ssl reuseport backlog=16384",
      .help = "ADDRESS:PORT [ssl] [http2] [proxy_protocol] [reuseport] [backlog=N], with commas, or off" },
    { "stream_listen", FIELD_STRING, AT(stream_listen), K, .check = settings_check_listeners,
      .fallback = "off",
      .help = "ADDRESS:PORT [ssl] [udp] [proxy_protocol] [reuseport] [backlog=N], with commas, or off" },
    { "admin_listen", FIELD_STRING, AT(admin_listen), K, .check = settings_check_listeners,
      .fallback = "127.0.0.1:8001" },
    { "status_listen", FIELD_STRING, AT(status_listen), K, .check = settings_check_listeners,
      .fallback = "127.0.0.1:8007" },
    { "admin_allowed_hosts", FIELD_STRINGS, AT(admin_allowed_hosts),
      .help = "names besides loopback and the own address by which admin_listen may be asked" },
    { "admin_token", FIELD_STRING, AT(admin_token), .flags = FIELD_SECRET,
      .help =
          "what requests to admin_listen have to show: Authorization: Bearer TOKEN, or Kong-Admin-Token" },
    { "admin_audit_log", FIELD_STRING, AT(admin_audit_log), .fallback = "off",
      .help = "where each change through admin_listen is written, a line of JSON each: a path, or off" },
    { "admin_body_bytes", FIELD_SIZE, AT(admin_body_bytes), .min = 1024, .max = 1073741824, .fallback = "64m",
      .help = "longest body of a request to admin_listen, 413 beyond" },
    { "admin_connections_max", FIELD_INTEGER, AT(admin_connections_max), .min = 4, .max = 4096,
      .fallback = "64",
      .help = "to admin_listen and status_listen together; for one more, the one idle longest is closed" },
    { "port_maps", FIELD_STRINGS, AT(port_maps), K, .check = settings_check_port_map,
      .help = "FROM:TO, where clients see port FROM of what listens on TO" },

    /* Engine. */
    { "shards", FIELD_STRING, AT(shards), K, .check = settings_check_shards, .fallback = "auto",
      .alias = "nginx_worker_processes", .help = "threads that serve; auto: one per available core" },
    { "cpu_affinity", FIELD_STRING, AT(cpu_affinity), .check = settings_check_cores, .fallback = "auto",
      .help = "the cores the shards are pinned to, in turn: 0,2-4" },
    { "ring_entries", FIELD_INTEGER, AT(ring_entries), .min = 64, .max = 32768, .fallback = "1024",
      .help = "submission queue of each shard" },
    { "ring_wait", FIELD_CHOICE, AT(ring_wait), .choices = ring_waits, .fallback = "entered",
      .help = "polled: wait in poll(2); slower, but tools like valgrind know that it blocks" },
    { "receive_blocks", FIELD_INTEGER, AT(receive_blocks), .min = 16, .max = 32768, .fallback = "256",
      .help = "receive buffers of each shard, a power of two" },
    { "receive_block_bytes", FIELD_SIZE, AT(receive_block_bytes), .min = 4096, .max = 1048576,
      .fallback = "64k" },

    { "receive_memory_bytes", FIELD_SIZE, AT(receive_memory_bytes), .min = 1048576, .max = 1099511627776,
      .fallback = "512m",
      .help = "most memory of a shard in received bytes that slow peers have not taken yet" },
    { "write_memory_bytes", FIELD_SIZE, AT(write_memory_bytes), .min = 1048576, .max = 1099511627776,
      .fallback = "512m", .help = "most memory of a shard in heads and answers on their way" },

    /* Limits. */
    { "max_connections", FIELD_STRING, AT(max_connections), .check = settings_check_auto, .fallback = "auto",
      .help = "clients of all shards; auto: from the limit of descriptors" },
    { "max_header_bytes", FIELD_SIZE, AT(max_header_bytes), .min = 1024, .max = 1048576, .fallback = "32k",
      .help = "of a request's first line and fields" },
    { "max_header_line_bytes", FIELD_SIZE, AT(max_header_line_bytes), .min = 256, .max = 1048576,
      .fallback = "8k", .help = "of one field, name included" },
    { "max_header_fields", FIELD_INTEGER, AT(max_header_fields), .min = 8, .max = 1000, .fallback = "100" },
    { "max_target_bytes", FIELD_SIZE, AT(max_target_bytes), .min = 256, .max = 1048576, .fallback = "8k" },
    { "max_chunk_extension_bytes", FIELD_SIZE, AT(max_chunk_extension_bytes), .max = 65536, .fallback = "4k",
      .help = "of one request" },
    { "client_max_body_size", FIELD_SIZE, AT(client_max_body_bytes), K, .max = INFINITY, .fallback = "0",
      .alias = "nginx_http_client_max_body_size", .help = "of a request; 0: any" },
    { "request_buffer_bytes", FIELD_SIZE, AT(request_buffer_bytes), .max = 16777216, .fallback = "64k",
      .help = "of a request body kept for another try" },
    { "plugin_body_bytes", FIELD_SIZE, AT(plugin_body_bytes), .min = 1024, .max = 1073741824,
      .fallback = "8m", .help = "of a request body that plugins may read as a whole" },
    { "stream_buffer_bytes", FIELD_SIZE, AT(stream_buffer_bytes), .min = 16384, .max = 16777216,
      .fallback = "256k",
      .help =
          "queued toward one peer before the other is paused; what the kernel gives meanwhile, some 2 MiB, "
          "comes on top" },
    { "exchange_bytes", FIELD_SIZE, AT(exchange_bytes), .min = 65536, .max = 67108864, .fallback = "1m",
      .help = "most memory of one request and its response, bodies apart" },
    { "client_header_timeout", FIELD_DURATION, AT(client_header_timeout_ms), .min = 1, .max = 3600000,
      .fallback = "10" },
    { "client_body_timeout", FIELD_DURATION, AT(client_body_timeout_ms), .min = 1, .max = 3600000,
      .fallback = "30", .help = "between two successful reads" },
    { "min_body_rate", FIELD_SIZE, AT(min_body_rate_bytes), .max = 1073741824, .fallback = "0",
      .help = "slowest upload that is borne, bytes per second; 0: any" },
    { "min_body_rate_grace", FIELD_DURATION, AT(min_body_rate_grace_ms), .max = 3600000, .fallback = "10" },
    { "keepalive_timeout", FIELD_DURATION, AT(keepalive_timeout_ms), .max = 86400000, .fallback = "60",
      .help = "0: every connection is closed after its request" },
    { "keepalive_requests", FIELD_INTEGER, AT(keepalive_requests), K, .min = 1, .max = 4294967295,
      .fallback = "10000", .alias = "nginx_http_keepalive_requests", .help = "of one connection" },
    { "send_timeout", FIELD_DURATION, AT(send_timeout_ms), .min = 1, .max = 3600000, .fallback = "30" },
    { "http2_max_concurrent_streams", FIELD_INTEGER, AT(http2_max_concurrent_streams), .min = 1, .max = 65536,
      .fallback = "100", .alias = "nginx_http_http2_max_concurrent_streams",
      .help = "of one connection; further ones are refused" },
    { "http2_stream_window", FIELD_SIZE, AT(http2_stream_window_bytes), .min = 16384, .max = 16777216,
      .fallback = "64k", .help = "of a request's body that may be on its way; upstreams make room for more" },
    { "http2_connection_window", FIELD_SIZE, AT(http2_connection_window_bytes), .min = 65536, .max = 67108864,
      .fallback = "1m", .help = "the same for all streams of a connection" },
    { "http2_max_resets", FIELD_INTEGER, AT(http2_max_resets), .min = 10, .max = 1000000, .fallback = "200",
      .help = "streams of one connection that end before their time, in 10 seconds; then it is ended" },
    { "http2_max_overhead_frames", FIELD_INTEGER, AT(http2_max_overhead_frames), .min = 100, .max = 1000000,
      .fallback = "1000",
      .help = "frames without request or data (SETTINGS, PING, empty ones ...), in 10 seconds; requests and "
              "data allow more" },
    { "drain_timeout", FIELD_DURATION, AT(drain_timeout_ms), .max = 86400000, .fallback = "10",
      .help = "what a graceful stop waits for" },
    { "handover_timeout", FIELD_DURATION, AT(handover_timeout_ms), .min = 100, .max = 86400000,
      .fallback = "60", .help = "by then a new binary (SIGUSR2) must serve, or it is killed" },

    /* Upstreams. */
    { "upstream_keepalive_pool_size", FIELD_INTEGER, AT(upstream_keepalive_pool_size), K, .max = 1048576,
      .fallback = "512", .help = "idle connections of each shard to one address" },
    { "upstream_keepalive_max_requests", FIELD_INTEGER, AT(upstream_keepalive_max_requests), K,
      .max = 4294967295, .fallback = "10000", .help = "of one connection; 0: any number" },
    { "upstream_keepalive_idle_timeout", FIELD_DURATION, AT(upstream_keepalive_idle_timeout_ms), K,
      .max = 86400000, .fallback = "60" },
    { "upstream_max_connections", FIELD_INTEGER, AT(upstream_max_connections), .max = 4294967295,
      .fallback = "0", .help = "of one shard; 0: as many as the descriptors allow" },
    { "upstream_http2_max_streams", FIELD_INTEGER, AT(upstream_http2_max_streams), .min = 1,
      .max = 2147483647, .fallback = "100",
      .help = "requests at a time on one HTTP/2 connection, if the upstream does not allow less" },
    { "upstream_http2_window", FIELD_SIZE, AT(upstream_http2_window_bytes), .min = 65535, .max = 16777216,
      .fallback = "256k", .help = "of a response that may be on its way before the client takes it" },
    { "upstream_http2_ping_interval", FIELD_DURATION, AT(upstream_http2_ping_interval_ms), .max = 86400000,
      .fallback = "0",
      .help =
          "an upstream that has been silent so long during requests is asked whether it lives; 0: never" },
    { "upstream_proxy_protocol", FIELD_CHOICE, AT(upstream_proxy_protocol), .choices = preambles,
      .fallback = "none",
      .help =
          "the PROXY header that connections of services begin with which do not say; then they serve one "
          "request each" },
    { "stream_proxy_protocol", FIELD_CHOICE, AT(stream_proxy_protocol), .choices = preambles,
      .fallback = "none", .help = "the same of services behind routes for streams" },
    { "udp_sessions", FIELD_INTEGER, AT(udp_sessions), .min = 1, .max = 1048576, .fallback = "4096",
      .help = "most clients of one shard whose datagrams are passed on at a time; the others' are dropped" },
    { "stream_splice_after_bytes", FIELD_SIZE, AT(stream_splice_after_bytes), .max = 1073741824,
      .fallback = "1m",
      .help = "that came one way within a second, when the kernel passes on what follows; 0: never" },
    { "stream_splice_pipes_max", FIELD_INTEGER, AT(stream_splice_pipes_max), .max = 65536, .fallback = "128",
      .help = "of one shard that hold such bytes at a time, each of two descriptors" },
    { "balancer_maglev_size", FIELD_INTEGER, AT(balancer_maglev_size), .min = 251, .max = 5000000,
      .fallback = "65537", .help = "entries of a maglev table, up to the next prime" },
    { "fetch_max_connections", FIELD_INTEGER, AT(fetch_max_connections), .min = 1, .max = 1048576,
      .fallback = "1024",
      .help = "of each shard, for calls of the gateway itself (keys, functions); more wait in line" },
    { "fetch_idle_connections", FIELD_INTEGER, AT(fetch_idle_connections), .max = 1048576, .fallback = "256",
      .help = "of them, how many are kept open without a call" },
    { "fetch_idle_timeout", FIELD_DURATION, AT(fetch_idle_timeout_ms), .max = 86400000, .fallback = "60" },
    { "dns_resolver", FIELD_STRINGS, AT(dns_resolver), K, .check = settings_check_dns_server,
      .alias = "resolver_address", .help = "ADDRESS[:PORT] of the servers; none: those of /etc/resolv.conf" },
    { "dns_hostsfile", FIELD_STRING, AT(dns_hostsfile), K, .check = settings_check_path,
      .fallback = "/etc/hosts", .alias = "resolver_hosts_file",
      .help = "asked before the servers, and read again when it changes; off: not asked" },
    { "dns_order", FIELD_STRINGS, AT(dns_order), K, .check = settings_check_dns_type,
      .fallback = "LAST,SRV,A,AAAA,CNAME", .alias = "resolver_family",
      .help = "types of records that are asked for in turn; LAST: the type that a name had last" },
    { "dns_timeout", FIELD_DURATION, AT(dns_timeout_ms), .min = 10, .max = 60000, .fallback = "5",
      .help = "what a start or a reload waits for names; a server is given a fifth of it to answer" },
    { "dns_valid_ttl", FIELD_DURATION, AT(dns_valid_ttl_ms), K, .max = 86400000, .fallback = "0",
      .alias = "resolver_valid_ttl", .help = "in place of the time to live of records; 0: theirs" },
    { "dns_stale_ttl", FIELD_DURATION, AT(dns_stale_ttl_ms), K, .max = 31536000000, .fallback = "3600",
      .alias = "resolver_stale_ttl", .help = "for which old addresses are kept when no server has new ones" },
    { "dns_not_found_ttl", FIELD_DURATION, AT(dns_not_found_ttl_ms), K, .min = 100, .max = 86400000,
      .fallback = "30", .help = "after which a name without addresses is asked for again" },
    { "dns_error_ttl", FIELD_DURATION, AT(dns_error_ttl_ms), K, .min = 100, .max = 86400000, .fallback = "1",
      .alias = "resolver_error_ttl", .help = "the same after a failure of the servers" },

    /* TLS of clients. */
    { "ssl_cert", FIELD_STRINGS, AT(ssl_cert), K,
      .help = "files with certificate chains, or PEM, for names that no certificate of the configuration is "
              "for; none: a self-signed one is made" },
    { "ssl_cert_key", FIELD_STRINGS, AT(ssl_cert_key), K | FIELD_SECRET,
      .help = "files with the keys of ssl_cert, or PEM, in the same order" },
    { "admin_ssl_cert", FIELD_STRINGS, AT(admin_ssl_cert), K, .help = "as ssl_cert, of admin_listen" },
    { "admin_ssl_cert_key", FIELD_STRINGS, AT(admin_ssl_cert_key), K | FIELD_SECRET,
      .help = "the keys of admin_ssl_cert" },
    { "status_ssl_cert", FIELD_STRINGS, AT(status_ssl_cert), K, .help = "as ssl_cert, of status_listen" },
    { "status_ssl_cert_key", FIELD_STRINGS, AT(status_ssl_cert_key), K | FIELD_SECRET,
      .help = "the keys of status_ssl_cert" },
    { "ssl_cipher_suite", FIELD_CHOICE, AT(ssl_cipher_suite), K, .choices = tls_presets,
      .fallback = "intermediate",
      .help = "custom: ssl_ciphers; old: as intermediate, for nothing older is spoken" },
    { "ssl_ciphers", FIELD_STRING, AT(ssl_ciphers), K,
      .help = "OpenSSL's names with colons; of AEAD suites with ephemeral keys" },
    { "ssl_protocols", FIELD_STRING, AT(ssl_protocols), K, .check = settings_check_protocols,
      .fallback = "TLSv1.2 TLSv1.3", .help = "what is older is accepted here, but not spoken" },
    { "ssl_session_tickets", FIELD_BOOLEAN, AT(ssl_session_tickets), K, .fallback = "on",
      .help = "off: no session is resumed" },
    { "ssl_session_timeout", FIELD_DURATION, AT(ssl_session_timeout_ms), K, .min = 1000, .max = 604800000,
      .fallback = "1d", .help = "for which a session can be resumed" },
    { "ssl_verify_client", FIELD_CHOICE, AT(ssl_verify_client), .choices = tls_verifies, .fallback = "off",
      .help = "are clients asked for certificates, which must be good; on: must they show one" },
    { "ssl_client_certificate", FIELD_STRINGS, AT(ssl_client_certificate),
      .help = "files with the CA certificates for ssl_verify_client, or PEM" },
    { "ssl_crl", FIELD_STRINGS, AT(ssl_crl),
      .help = "files with revocation lists of these, or PEM; none: revocation is not asked about" },
    { "ssl_verify_depth", FIELD_INTEGER, AT(ssl_verify_depth), .max = 64, .fallback = "1",
      .help = "most certificates between a client's and a CA's" },
    { "ssl_stapling", FIELD_BOOLEAN, AT(ssl_stapling), .fallback = "off",
      .help = "clients that ask are shown what the CA says of the certificate's status (OCSP)" },
    { "ssl_stapling_file", FIELD_STRINGS, AT(ssl_stapling_file),
      .help =
          "files with OCSP responses in DER, each for the certificate that it is about: nobody is asked" },
    { "ssl_stapling_responder", FIELD_STRING, AT(ssl_stapling_responder), .check = settings_check_http,
      .help = "a URL that is asked in place of what certificates name" },
    { "ssl_stapling_verify", FIELD_BOOLEAN, AT(ssl_stapling_verify), .fallback = "on",
      .help = "without effect: responses are verified in any case" },
    { "tls_stapling_refresh", FIELD_DURATION, AT(tls_stapling_refresh_ms), .min = 1000, .max = 604800000,
      .fallback = "1h",
      .help = "after which a response is fetched again; earlier when half its life is over" },
    { "tls_stapling_retry", FIELD_DURATION, AT(tls_stapling_retry_ms), .min = 1000, .max = 604800000,
      .fallback = "5m", .help = "after which a responder that has failed is asked again" },
    { "tls_handshake_timeout", FIELD_DURATION, AT(tls_handshake_timeout_ms), .min = 100, .max = 3600000,
      .fallback = "10", .help = "from accepting a client to the end of its handshake" },
    { "tls_handshakes", FIELD_INTEGER, AT(tls_handshakes), .min = 1, .max = 1000000, .fallback = "16384",
      .help = "that a shard has in progress at a time; further ones are closed" },
    { "tls_handshake_budget", FIELD_INTEGER, AT(tls_handshake_budget_us), .min = 50, .max = 1000000,
      .fallback = "1000", .help = "microseconds of a turn for handshakes, before established connections" },
    { "ktls", FIELD_CHOICE, AT(ktls), .choices = ktls_choices, .fallback = "auto",
      .help = "auto: the kernel protects records where it can, toward upstreams too; off: never" },
    { "tls_ticket_keys", FIELD_STRING, AT(tls_ticket_keys), .check = settings_check_path,
      .help = "a file with one to three lines of base64 of 48 bytes, the first seals: for sessions that "
              "resume on other nodes; read at each reload" },
    { "tls_ticket_rotation", FIELD_DURATION, AT(tls_ticket_rotation_ms), .min = 60000, .max = 604800000,
      .fallback = "12h", .help = "after which a new key is made; the two before it still open" },

    /* TLS to others. */
    { "upstream_tls_verify", FIELD_BOOLEAN, AT(upstream_tls_verify), .fallback = "on",
      .help = "for services that do not say; Kong: off" },
    { "upstream_tls_verify_depth", FIELD_INTEGER, AT(upstream_tls_verify_depth), .max = 64, .fallback = "9",
      .help = "for services that do not say; Kong: 1" },
    { "upstream_tls_trusted", FIELD_STRINGS, AT(upstream_tls_trusted), .fallback = "system",
      .help = "files with the CA certificates for services that name none, or PEM; system: the system's" },
    { "client_ssl", FIELD_BOOLEAN, AT(client_ssl), K, .fallback = "off",
      .help = "show client_ssl_cert to upstreams, for services and upstreams that name no certificate" },
    { "client_ssl_cert", FIELD_STRING, AT(client_ssl_cert), K, .help = "a file with the chain, or PEM" },
    { "client_ssl_cert_key", FIELD_STRING, AT(client_ssl_cert_key), K | FIELD_SECRET,
      .help = "a file with the key, or PEM" },
    { "lua_ssl_trusted_certificate", FIELD_STRINGS, AT(lua_ssl_trusted_certificate), K, .fallback = "system",
      .help = "whom plugins believe: files with CA certificates, or PEM; system: the system's" },
    { "lua_ssl_verify_depth", FIELD_INTEGER, AT(lua_ssl_verify_depth), K, .max = 64, .fallback = "9",
      .help = "for plugins; Kong: 1" },

    /* Who the client is. */
    { "trusted_ips", FIELD_STRINGS, AT(trusted_ips), K, .check = settings_check_range,
      .help = "addresses and ranges whose X-Forwarded-* and PROXY headers are believed" },
    { "real_ip_header", FIELD_STRING, AT(real_ip_header), K, .check = settings_check_header_name,
      .fallback = "X-Real-IP",
      .help = "the field that says who the client is; proxy_protocol: the PROXY header" },
    { "real_ip_recursive", FIELD_BOOLEAN, AT(real_ip_recursive), K, .fallback = "off" },

    /* Logs. */
    { "proxy_access_log", FIELD_STRING, AT(proxy_access_log), K, .check = settings_check_path,
      .fallback = "/dev/stdout", .help = "a path, or off" },
    { "proxy_stream_access_log", FIELD_STRING, AT(proxy_stream_access_log), K, .check = settings_check_path,
      .fallback = "/dev/stdout", .help = "a path, or off; in the format of proxy_access_log_format" },
    { "proxy_access_log_format", FIELD_CHOICE, AT(proxy_access_log_format), .choices = log_formats,
      .fallback = "combined" },
    { "error_log", FIELD_STRING, AT(error_log), K, .check = settings_check_path, .fallback = "/dev/stderr",
      .alias = "proxy_error_log" },
    { "log_level", FIELD_CHOICE, AT(log_level), K, .choices = log_levels, .fallback = "notice" },

    /* Answers. */
    { "headers", FIELD_STRINGS, AT(headers), K, .check = settings_check_header,
      .fallback = "server_tokens,latency_tokens,X-Kong-Request-Id", .help = "added to responses, or off" },
    { "headers_upstream", FIELD_STRINGS, AT(headers_upstream), K, .check = settings_check_header_upstream,
      .fallback = "X-Kong-Request-Id", .help = "added to requests, or off" },
    { "error_default_type", FIELD_CHOICE, AT(error_default_type), K, .choices = error_types,
      .fallback = "text/plain", .help = "of errors when the client asks for none" },
    { "error_template_html", FIELD_STRING, AT(error_template_files[ERROR_TEMPLATE_HTML]), K,
      .help = "a file with two %s, for message and request id, instead of the built-in body" },
    { "error_template_json", FIELD_STRING, AT(error_template_files[ERROR_TEMPLATE_JSON]), K },
    { "error_template_xml", FIELD_STRING, AT(error_template_files[ERROR_TEMPLATE_XML]), K },
    { "error_template_plain", FIELD_STRING, AT(error_template_files[ERROR_TEMPLATE_PLAIN]), K },
    { "charset", FIELD_STRING, AT(charset), K, .fallback = "UTF-8", .alias = "nginx_http_charset",
      .help = "added to text types that name none, or off" },
    { "allow_debug_header", FIELD_BOOLEAN, AT(allow_debug_header), K, .fallback = "off",
      .help = "a request's Kong-Debug: 1 shows route and service" },
    { "router_flavor", FIELD_CHOICE, AT(router_flavor), K, .choices = flavors,
      .fallback = "traditional_compatible", .help = "how routes are matched and ranked" },
    { "regex_match_limit", FIELD_INTEGER, AT(regex_match_limit), K, .min = 1000, .max = 100000000,
      .fallback = "100000", .alias = "nginx_http_lua_regex_match_limit",
      .help = "steps back of one match; a regex that needs more does not match" },
    { "regex_depth_limit", FIELD_INTEGER, AT(regex_depth_limit), .min = 100, .max = 1000000,
      .fallback = "10000", .help = "nested steps back of one match" },
    { "regex_heap_limit", FIELD_SIZE, AT(regex_heap_bytes), .min = 65536, .max = 67108864, .fallback = "1m",
      .help = "memory of one match" },

    /* Plugins. */
    { "redis_host", FIELD_STRING, AT(redis_host), .fallback = "127.0.0.1",
      .help = "for plugins that name none" },
    { "redis_port", FIELD_INTEGER, AT(redis_port), .min = 1, .max = 65535, .fallback = "6379" },
    { "mirror_max_in_flight", FIELD_INTEGER, AT(mirror_max_in_flight), .min = 1, .max = 1048576,
      .fallback = "256", .help = "copies of requests that a shard has under way; further ones are dropped" },
    { "log_queue_size", FIELD_SIZE, AT(log_queue_bytes), .min = 65536, .max = 1099511627776.0,
      .fallback = "64m", .help = "memory of a shard for log entries and spans that wait to be sent" },
    { "prometheus_series_max", FIELD_INTEGER, AT(prometheus_series_max), .min = 16, .max = 16777216,
      .fallback = "100000",
      .help = "combinations of labels that prometheus counts; further ones are left out" },
    { "syslog_socket", FIELD_STRING, AT(syslog_socket), .check = settings_check_path, .fallback = "/dev/log",
      .help = "where syslog listens" },
    { "tracing_sampling_rate", FIELD_NUMBER, AT(tracing_sampling_rate), K, .max = 1, .fallback = "0.01",
      .alias = "opentelemetry_tracing_sampling_rate",
      .help = "the share of requests that are traced, where no plugin says" },
    { "tracing_instrumentations", FIELD_STRINGS, AT(tracing_instrumentations), K,
      .check = settings_check_instrumentation, .fallback = "off", .alias = "opentelemetry_tracing",
      .help = "what opentelemetry records: off, all, or a list of request, router, plugin_rewrite, "
              "plugin_access, plugin_header_filter, balancer; Kong: dns_query, db_query, http_client too" },
    { "rate_limit_entries", FIELD_INTEGER, AT(rate_limit_entries), .min = 1024, .max = 16777216,
      .fallback = "65536", .help = "identities counted at a time; the one unused longest makes room" },
    { "mem_cache_size", FIELD_SIZE, AT(mem_cache_bytes), K, .min = 65536, .max = 1099511627776.0,
      .fallback = "128m", .help = "memory for the responses that proxy-cache keeps" },
    { "cache_entry_size", FIELD_SIZE, AT(cache_entry_bytes), .min = 1024, .max = 1073741824.0,
      .fallback = "1m", .help = "of one such response, with its head; longer ones are not kept" },
    { "cache_wait", FIELD_DURATION, AT(cache_wait_ms), .min = 0, .max = 60000, .fallback = "5",
      .help = "for another request that fetches the same; 0: each for itself" },
    { "waf_log", FIELD_STRING, AT(waf_log), .fallback = "off",
      .help = "where the messages of waf's rules go, a line each: a path, /dev/stdout, /dev/stderr, or off" },

    /* The process. */
    { "pid_file", FIELD_STRING, AT(pid_file), K, .alias = "nginx_pid", .help = "written at start" },
    { "store", FIELD_STRING, AT(store), .check = settings_check_store, .fallback = "none",
      .help =
          "none: entities come from files; sqlite:PATH: they are kept there, and written by the Admin API" },
    { "store_lock_timeout", FIELD_DURATION, AT(store_lock_timeout_ms), .max = 60000, .fallback = "200ms",
      .help = "how long a change waits while another process has locked the store; then 503" },
    { "database", FIELD_STRING, AT(database), K, .check = settings_check_off, .fallback = "off" },
    { "declarative_config", FIELD_STRING, AT(declarative_config), K,
      .help = "a configuration file beside those of -c" },
    { "declarative_config_string", FIELD_STRING, AT(declarative_config_string), K | FIELD_SECRET,
      .help = "a configuration as text, JSON or YAML" },
    { "plugins", FIELD_STRINGS, AT(plugins), K, .fallback = "bundled",
      .help = "bundled, off, or the names of those that may be used" },
    { "vaults", FIELD_STRINGS, AT(vaults), K, .check = settings_check_vault, .fallback = "bundled",
      .help = "bundled, off, or the types of those that may be used: env, file" },
    { "vault_env_prefix", FIELD_STRING, AT(vault_env_prefix), K,
      .help = "before the names of variables in {vault://env/...}" },
    { "vault_file_path", FIELD_STRING, AT(vault_file_path),
      .help = "a directory or a file for {vault://file/...}" },
    { "ambassador_id", FIELD_STRING, AT(ambassador_id), .fallback = "default",
      .help = "Emissary: resources for others are left out" },
    { "ambassador_namespace", FIELD_STRING, AT(ambassador_namespace), .fallback = "default",
      .help = "of Kubernetes objects that name none" },
    { "gateway_controller_name", FIELD_STRING, AT(gateway_controller_name),
      .help = "Gateway API: the GatewayClasses to serve; all when not set" },
    { "aws_lambda_endpoint", FIELD_STRING, AT(aws_lambda_endpoint), FIELD_UNSUPPORTED },
    { "aws_hosts", FIELD_STRINGS, AT(aws_hosts), .check = settings_check_aws_host,
      .help = "NAME=HOST[:PORT]: where a host, an ARN or another name of AWS definitions is found" },
    { "aws_default_api", FIELD_STRING, AT(aws_default_api),
      .help = "id or name of the API for hosts that name none; unset: the only one there is" },
};

const struct schema settings_schema = {
    .name = "settings",
    .fields = fields,
    .field_count = COUNT_OF(fields),
    .struct_size = sizeof(struct settings),
};

bool settings_init(struct settings *settings)
{
    *settings = (struct settings){ 0 };
    arena_init(&settings->arena, NULL, 0, SETTINGS_BYTES);
    schema_defaults(&settings_schema, &settings->arena, settings);
    /* The last one that takes memory: when it is there, all are. */
    return settings->database.data != NULL;
}

void settings_deinit(struct settings *settings)
{
    arena_deinit(&settings->arena);
}

static bool refuse(struct report *report, const char *name, const char *reason)
{
    report_add(report, REPORT_ERROR, NULL, name, "%s", reason);
    return false;
}

struct listener_row {
    const char *name;
    const struct slice *text;
    struct listener_settings *listeners;
};

/* What cannot be together on one listener. */
static bool check_flags(const struct listener_row *row, struct report *report)
{
    bool streams = strcmp(row->name, "stream_listen") == 0;
    for (uint32_t i = 0; i < row->listeners->count; i++) {
        const struct listener_setting *one = &row->listeners->items[i];
        const char *wrong = one->udp && !streams    ? "udp is for stream_listen"
                            : streams && one->http2 ? "http2 is not for streams"
                            : one->udp && (one->ssl || one->proxy_protocol)
                                ? "udp goes with neither ssl nor proxy_protocol"
                                : NULL;
        if (wrong) {
            report_add(report, REPORT_ERROR, NULL, row->name, "%.*s:%u: %s", SLICE_FORMAT(one->address),
                       one->port, wrong);
            return false;
        }
    }
    return true;
}

static bool check_listener_pair(const struct listener_row *rows, size_t a, size_t b, struct report *report)
{
    for (uint32_t i = 0; i < rows[a].listeners->count; i++) {
        const struct listener_setting *one = &rows[a].listeners->items[i];
        for (uint32_t j = a == b ? i + 1 : 0; j < rows[b].listeners->count; j++) {
            const struct listener_setting *other = &rows[b].listeners->items[j];
            if (one->port == 0 || one->port != other->port || one->udp != other->udp ||
                !slice_equal(one->address, other->address))
                continue;
            report_add(report, REPORT_ERROR, NULL, rows[b].name, "%.*s:%u is listened on twice",
                       SLICE_FORMAT(one->address), one->port);
            return false;
        }
    }
    return true;
}

static bool finish_listeners(struct settings *settings, struct report *report)
{
    const struct listener_row rows[] = {
        { "proxy_listen", &settings->proxy_listen, &settings->proxy_listeners },
        { "stream_listen", &settings->stream_listen, &settings->stream_listeners },
        { "admin_listen", &settings->admin_listen, &settings->admin_listeners },
        { "status_listen", &settings->status_listen, &settings->status_listeners },
    };
    bool good = true;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const char *reason = settings_parse_listeners(*rows[i].text, &settings->arena, rows[i].listeners);
        if (reason)
            return refuse(report, rows[i].name, reason);
    }
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        good = check_flags(&rows[i], report) && good;
    for (size_t a = 0; a < COUNT_OF(rows); a++)
        for (size_t b = a; b < COUNT_OF(rows); b++)
            good = check_listener_pair(rows, a, b, report) && good;
    return good;
}

static bool finish_port_maps(struct settings *settings, struct report *report)
{
    struct settings_port_maps *maps = &settings->port_map;
    maps->items = arena_array(&settings->arena, settings->port_maps.count, sizeof(*maps->items));
    if (maps->items == NULL)
        return refuse(report, "port_maps", "out of memory");
    for (uint32_t i = 0; i < settings->port_maps.count; i++)
        if (settings_parse_port_map(settings->port_maps.items[i], &maps->items[maps->count]) == NULL)
            maps->count++;
    return true;
}

static bool finish_headers(struct settings *settings, struct report *report)
{
    settings->headers_sent = 0;
    settings->request_id_upstream = false;
    for (uint32_t i = 0; i < settings->headers.count; i++) {
        struct slice name = settings->headers.items[i];
        if (slice_equal(name, SLICE("off")) && settings->headers.count > 1)
            return refuse(report, "headers", "'off' stands alone");
        settings_parse_header(name, &settings->headers_sent);
    }
    for (uint32_t i = 0; i < settings->headers_upstream.count; i++)
        if (!slice_equal(settings->headers_upstream.items[i], SLICE("off")))
            settings->request_id_upstream = true;
    return true;
}

static void finish_tls(struct settings *settings, struct report *report)
{
    (void)settings_parse_protocols(settings->ssl_protocols, &settings->tls_1_2, &settings->tls_1_3);
    if (settings->ssl_cipher_suite == SETTINGS_TLS_MODERN)
        settings->tls_1_2 = false;
    if (!settings->tls_1_2 && !settings->tls_1_3)
        refuse(report, "ssl_protocols", "nothing is left of TLSv1.2 and TLSv1.3");
    if (settings->ssl_cipher_suite == SETTINGS_TLS_CUSTOM && settings->ssl_ciphers.size == 0)
        refuse(report, "ssl_ciphers", "is needed when ssl_cipher_suite is custom");
    if (settings->ssl_cert.count != settings->ssl_cert_key.count)
        refuse(report, "ssl_cert_key", "there must be as many as in ssl_cert");
    if (settings->admin_ssl_cert.count != settings->admin_ssl_cert_key.count)
        refuse(report, "admin_ssl_cert_key", "there must be as many as in admin_ssl_cert");
    if (settings->status_ssl_cert.count != settings->status_ssl_cert_key.count)
        refuse(report, "status_ssl_cert_key", "there must be as many as in status_ssl_cert");
    if (settings->client_ssl && (!settings->client_ssl_cert.size || !settings->client_ssl_cert_key.size))
        refuse(report, "client_ssl", "needs client_ssl_cert and client_ssl_cert_key");
    if (settings->ssl_verify_client != SETTINGS_TLS_VERIFY_OFF && settings->ssl_client_certificate.count == 0)
        refuse(report, "ssl_verify_client", "needs ssl_client_certificate");
}

static bool is_power_of_two(int64_t number)
{
    return number > 0 && (number & (number - 1)) == 0;
}

static bool check_numbers(const struct settings *settings, struct report *report)
{
    if (!is_power_of_two(settings->ring_entries))
        return refuse(report, "ring_entries", "must be a power of two");
    if (!slice_equal(settings->error_log, SLICE("/dev/stderr")))
        return refuse(report, "error_log", "not supported yet, but /dev/stderr");
    if (!is_power_of_two(settings->receive_blocks))
        return refuse(report, "receive_blocks", "must be a power of two");
    if (settings->max_target_bytes > settings->max_header_bytes)
        return refuse(report, "max_target_bytes", "must not be more than max_header_bytes");
    return true;
}

static void finish_templates(struct settings *settings, struct report *report)
{
    static const char *const names[ERROR_TEMPLATE_COUNT] = {
        [ERROR_TEMPLATE_HTML] = "error_template_html",
        [ERROR_TEMPLATE_JSON] = "error_template_json",
        [ERROR_TEMPLATE_XML] = "error_template_xml",
        [ERROR_TEMPLATE_PLAIN] = "error_template_plain",
    };
    for (size_t i = 0; i < ERROR_TEMPLATE_COUNT; i++) {
        struct slice path = settings->error_template_files[i];
        const char *reason =
            path.data ? error_template_read(path.data, &settings->arena, &settings->error_templates[i])
                      : NULL;
        if (reason)
            report_add(report, REPORT_ERROR, NULL, names[i], "%s: %s", path.data, reason);
    }
}

bool settings_finish(struct settings *settings, struct report *report)
{
    uint32_t before = report->error_count;
    uint64_t shards = 0;
    settings_parse_auto(settings->shards, UINT32_MAX, &shards);
    settings->shard_count = (uint32_t)shards;
    if (settings->log_level > SETTINGS_LOG_CRIT) /* Kong's alert and emerg: nothing is above it here */
        settings->log_level = SETTINGS_LOG_CRIT;
    settings_parse_auto(settings->max_connections, UINT32_MAX, &settings->connections_max);
    const char *reason = settings_parse_cores(settings->cpu_affinity, &settings->arena, &settings->cores);
    if (reason)
        refuse(report, "cpu_affinity", reason);
    finish_listeners(settings, report);
    finish_port_maps(settings, report);
    settings_parse_dns_types(&settings->dns_order, &settings->dns_types);
    finish_headers(settings, report);
    finish_templates(settings, report);
    finish_tls(settings, report);
    check_numbers(settings, report);
    return report->error_count == before;
}
