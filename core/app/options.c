/* SPDX-License-Identifier: Apache-2.0 */
#include "core/app/options.h"

#include <sched.h>
#include <stdio.h>
#include <sys/resource.h>

enum { RESERVED_DESCRIPTORS = 64 };

/* Cores this process may run on, as many as shards want; fewer cores than shards: none is pinned. */
static void choose_cpus(struct options *options, const struct settings *settings)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    unsigned available = 0;
    int cpus[SHARDS_MAX];
    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        for (int cpu = 0; cpu < CPU_SETSIZE && available < SHARDS_MAX; cpu++)
            if (CPU_ISSET((size_t)cpu, &set))
                cpus[available++] = cpu;
    if (settings->cores.count > 0) {
        available = 0;
        for (; available < settings->cores.count && available < SHARDS_MAX; available++)
            cpus[available] = (int)settings->cores.items[available];
    }
    options->shard_count = settings->shard_count ? settings->shard_count : available ? available : 1;
    if (options->shard_count > SHARDS_MAX)
        options->shard_count = SHARDS_MAX;
    for (unsigned i = 0; i < options->shard_count; i++)
        options->cpus[i] = options->shard_count <= available ? cpus[i] : -1;
}

static uint64_t descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 1024;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur;
}

/* Descriptors are shared out: most for clients, the rest for upstreams and for calls of the gateway itself;
 * some are kept back. Without a pipe streams are copied. */
static void share_descriptors(struct options *options, const struct settings *settings)
{
    uint64_t all = descriptor_limit();
    uint64_t listeners = (uint64_t)settings->proxy_listeners.count * options->shard_count;
    uint64_t reserved = RESERVED_DESCRIPTORS + listeners + 4ull * options->shard_count;
    uint64_t usable = all > reserved + 16 ? all - reserved : 16;
    uint64_t clients = settings->connections_max ? settings->connections_max : usable * 3 / 4;
    uint64_t upstreams = settings->upstream_max_connections > 0
                             ? (uint64_t)settings->upstream_max_connections * options->shard_count
                             : UINT32_MAX;
    uint64_t fetches = (uint64_t)settings->fetch_max_connections * options->shard_count;
    if (clients > usable * 3 / 4)
        clients = usable * 3 / 4;
    uint64_t room = usable - clients;
    if (fetches > room / 4)
        fetches = room / 4;
    uint64_t pipes = (uint64_t)settings->stream_splice_pipes_max * options->shard_count;
    if (pipes > room / 32)
        pipes = room / 32;
    if (upstreams > room - fetches - pipes * 2)
        upstreams = room - fetches - pipes * 2;
    options->proxy.connections_max = (uint32_t)(clients / options->shard_count);
    options->proxy.upstreams_max = (uint32_t)(upstreams / options->shard_count);
    if (options->proxy.connections_max == 0)
        options->proxy.connections_max = 1;
    if (options->proxy.upstreams_max == 0)
        options->proxy.upstreams_max = 1;
    options->proxy.splice_pipes_max = (uint32_t)(pipes / options->shard_count);
    options->proxy.fetch.connections_max = (uint32_t)(fetches / options->shard_count);
    if (options->proxy.fetch.connections_max == 0)
        options->proxy.fetch.connections_max = 1;
}

static bool trust_ranges(struct options *options, struct settings *settings, struct report *report)
{
    struct address_ranges *trusted = &options->proxy.trusted;
    trusted->items = arena_array(&settings->arena, settings->trusted_ips.count + 1, sizeof(*trusted->items));
    for (uint32_t i = 0; trusted->items && i < settings->trusted_ips.count; i++) {
        struct slice text = settings->trusted_ips.items[i];
        if (address_parse_range(text, &trusted->items[trusted->count]))
            trusted->count++;
        else
            report_add(report, REPORT_ERROR, NULL, "trusted_ips", "invalid ip or cidr range: '%.*s'",
                       SLICE_FORMAT(text));
    }
    return trusted->items != NULL && trusted->count == settings->trusted_ips.count;
}

static unsigned header_bits(unsigned sent)
{
    static const struct {
        unsigned setting, header;
    } pairs[] = {
        { SETTINGS_HEADER_SERVER, PROXY_HEADER_SERVER },
        { SETTINGS_HEADER_VIA, PROXY_HEADER_VIA },
        { SETTINGS_HEADER_PROXY_LATENCY, PROXY_HEADER_PROXY_LATENCY },
        { SETTINGS_HEADER_UPSTREAM_LATENCY, PROXY_HEADER_UPSTREAM_LATENCY },
        { SETTINGS_HEADER_RESPONSE_LATENCY, PROXY_HEADER_RESPONSE_LATENCY },
        { SETTINGS_HEADER_REQUEST_ID, PROXY_HEADER_REQUEST_ID },
        { SETTINGS_HEADER_UPSTREAM_STATUS, PROXY_HEADER_UPSTREAM_STATUS },
    };
    unsigned bits = 0;
    for (size_t i = 0; i < COUNT_OF(pairs); i++)
        if (sent & pairs[i].setting)
            bits |= pairs[i].header;
    return bits;
}

static bool is_off(struct slice text)
{
    return text.size == 0 || slice_equal(text, SLICE("off"));
}

static void fill_proxy(struct proxy_options *proxy, const struct settings *settings)
{
    static const char *const types[] = { "text/plain", "application/json", "text/html", "application/xml" };
    proxy->settings = settings;
    proxy->registry = plugin_registry;
    proxy->regex =
        (struct regex_limits){ (uint32_t)settings->regex_match_limit, (uint32_t)settings->regex_depth_limit,
                               (uint32_t)(settings->regex_heap_bytes / 1024) };
    proxy->limits = (struct http1_limits){
        .head_bytes = (uint32_t)settings->max_header_bytes,
        .line_bytes = (uint32_t)settings->max_header_line_bytes,
        .header_fields = (uint32_t)settings->max_header_fields,
        .target_bytes = (uint32_t)settings->max_target_bytes,
        .chunk_extension_bytes = (uint32_t)settings->max_chunk_extension_bytes,
        .trailer_bytes = http1_default_limits.trailer_bytes,
    };
    if (proxy->limits.line_bytes > proxy->limits.head_bytes)
        proxy->limits.line_bytes = proxy->limits.head_bytes;
    proxy->real_ip_header = settings->real_ip_header;
    proxy->real_ip_recursive = settings->real_ip_recursive;
    proxy->headers = header_bits(settings->headers_sent);
    proxy->request_id_upstream = settings->request_id_upstream;
    proxy->charset = is_off(settings->charset) ? (struct slice){ NULL, 0 } : settings->charset;
    proxy->default_type = slice_of(types[settings->error_default_type]);
    proxy->debug_header = settings->allow_debug_header;
    proxy->error_templates = settings->error_templates;
    proxy->body_bytes_max = (uint64_t)settings->client_max_body_bytes;
    proxy->keepalive_requests = (uint32_t)settings->keepalive_requests;
    proxy->pool_size = (uint32_t)settings->upstream_keepalive_pool_size;
    proxy->http2_streams = (uint32_t)settings->upstream_http2_max_streams;
    proxy->http2_window = (uint32_t)settings->upstream_http2_window_bytes;
    proxy->http2_ping_ms = (uint64_t)settings->upstream_http2_ping_interval_ms;
    proxy->upstream_preamble = settings->upstream_proxy_protocol;
    proxy->stream_preamble = settings->stream_proxy_protocol;
    proxy->udp_sessions_max = (uint32_t)settings->udp_sessions;
    proxy->splice_after_bytes = (uint64_t)settings->stream_splice_after_bytes;
    proxy->maglev_size = (uint32_t)settings->balancer_maglev_size;
    proxy->pool_requests = (uint32_t)settings->upstream_keepalive_max_requests;
    proxy->pool_idle_ms = (uint64_t)settings->upstream_keepalive_idle_timeout_ms;
    proxy->handshake_timeout_ms = (uint64_t)settings->tls_handshake_timeout_ms;
    proxy->handshakes_max = (uint32_t)settings->tls_handshakes;
    proxy->header_timeout_ms = (uint64_t)settings->client_header_timeout_ms;
    proxy->body_timeout_ms = (uint64_t)settings->client_body_timeout_ms;
    proxy->keepalive_timeout_ms = (uint64_t)settings->keepalive_timeout_ms;
    proxy->send_timeout_ms = (uint64_t)settings->send_timeout_ms;
    proxy->body_rate_bytes = (uint64_t)settings->min_body_rate_bytes;
    proxy->body_rate_grace_ms = (uint64_t)settings->min_body_rate_grace_ms;
    proxy->stream_bytes = (uint64_t)settings->stream_buffer_bytes;
    proxy->exchange_bytes = (uint64_t)settings->exchange_bytes;
    proxy->http2 =
        (struct http2_limits){ .streams = (uint32_t)settings->http2_max_concurrent_streams,
                               .stream_window = (uint32_t)settings->http2_stream_window_bytes,
                               .connection_window = (uint32_t)settings->http2_connection_window_bytes,
                               .resets = (uint32_t)settings->http2_max_resets,
                               .overhead_frames = (uint32_t)settings->http2_max_overhead_frames };
    proxy->replay_bytes = (uint64_t)settings->request_buffer_bytes;
    proxy->plugin_body_bytes = (uint64_t)settings->plugin_body_bytes;
    proxy->fetch.idle_max = (uint32_t)settings->fetch_idle_connections;
    proxy->fetch.idle_ms = (uint64_t)settings->fetch_idle_timeout_ms;
}

static void fill_paths(struct options *options, const struct settings *settings)
{
    snprintf(options->log_path, sizeof(options->log_path), "%.*s", SLICE_FORMAT(settings->proxy_access_log));
    options->log.path = is_off(settings->proxy_access_log) ? NULL : options->log_path;
    snprintf(options->stream_log_path, sizeof(options->stream_log_path), "%.*s",
             SLICE_FORMAT(settings->proxy_stream_access_log));
    bool streams = settings->stream_listeners.count > 0;
    options->stream_log.path =
        is_off(settings->proxy_stream_access_log) || !streams ? NULL : options->stream_log_path;
    options->log.format = options->stream_log.format =
        settings->proxy_access_log_format == SETTINGS_FORMAT_JSON ? ACCESS_LOG_JSON : ACCESS_LOG_COMBINED;
    if (!is_off(settings->dns_hostsfile))
        snprintf(options->hosts_path, sizeof(options->hosts_path), "%.*s",
                 SLICE_FORMAT(settings->dns_hostsfile));
}

/* In c-ares's notation. */
static void list_servers(struct options *options, const struct slices *servers)
{
    size_t size = 0;
    for (uint32_t i = 0; i < servers->count; i++) {
        struct slice text = servers->items[i];
        struct address address;
        bool bare =
            text.data[0] != '[' && address_parse(text, 0, &address) && address.any.sa_family == AF_INET6;
        int written = snprintf(options->dns_servers + size, sizeof(options->dns_servers) - size,
                               bare ? "%s[%.*s]" : "%s%.*s", i ? "," : "", SLICE_FORMAT(text));
        if (written > 0 && (size_t)written < sizeof(options->dns_servers) - size)
            size += (size_t)written;
    }
}

static void fill_watch(struct options *options, struct settings *settings)
{
    enum { TRY_SHARE = 5 }; /* a try and its repetition, twice as long, fit into dns_timeout */
    struct watch_options *watch = &options->watch;
    struct dns_resolver_options *resolver = &watch->monitor.resolver;
    list_servers(options, &settings->dns_resolver);
    watch->timeout_ms = (uint64_t)settings->dns_timeout_ms;
    watch->hosts = (struct slices){ &settings->redis_host, 1 };
    watch->monitor.dns.servers = options->dns_servers;
    watch->monitor.dns.timeout_ms = (uint32_t)(settings->dns_timeout_ms / TRY_SHARE + 1);
    resolver->hosts_path = options->hosts_path[0] ? options->hosts_path : NULL;
    resolver->order_count = settings->dns_types.count;
    memcpy(resolver->order, settings->dns_types.items, sizeof(resolver->order));
    resolver->valid_ms = (uint64_t)settings->dns_valid_ttl_ms;
    resolver->stale_ms = (uint64_t)settings->dns_stale_ttl_ms;
    resolver->not_found_ms = (uint64_t)settings->dns_not_found_ttl_ms;
    resolver->error_ms = (uint64_t)settings->dns_error_ttl_ms;
}

/* Blocks of all sizes of receive_memory_bytes, at least twice as many as are lent to the kernel. */
static uint32_t receive_count(const struct settings *settings)
{
    int64_t count = settings->receive_memory_bytes / settings->receive_block_bytes;
    if (count < settings->receive_blocks * 2)
        count = settings->receive_blocks * 2;
    return count > UINT16_MAX ? UINT16_MAX : (uint32_t)count;
}

bool options_init(struct options *options, struct settings *settings, struct report *report)
{
    *options = (struct options){ 0 };
    choose_cpus(options, settings);
    share_descriptors(options, settings);
    fill_proxy(&options->proxy, settings);
    fill_paths(options, settings);
    options->ring_entries = (unsigned)settings->ring_entries;
    options->wait = options->watch.wait = (enum ring_wait)settings->ring_wait;
    options->blocks = (struct block_limits){
        .lent_count = (uint32_t)settings->receive_blocks,
        .receive_bytes = (uint32_t)settings->receive_block_bytes,
        .receive_count = receive_count(settings),
        .write_bytes = (uint64_t)settings->write_memory_bytes,
    };
    options->snapshot = (struct snapshot_options){
        .registry = plugin_registry,
        .shard_count = options->shard_count,
    };
    fill_watch(options, settings);
    return trust_ranges(options, settings, report);
}
