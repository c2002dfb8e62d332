/* SPDX-License-Identifier: Apache-2.0 */
/* Kong's settings that have no row of their own here: each has no meaning, or is refused for what it asks. */
#include "config/settings_rows.h"

static const char *const no_nginx = "there is no nginx here";
static const char *const no_lua = "there is no Lua here";
static const char *const no_database = "there is no database here";
static const char *const no_cluster = "there are no control planes and data planes yet";
static const char *const no_manager = "there is no manager here";
static const char *const no_stream = "see proxy_stream_access_log";
static const char *const no_shared_memory = "nothing is kept in memory that is shared";
static const char *const no_reload = "a configuration is in force for all as soon as it was read";
static const char *const no_log = "this listener writes no log";
static const char *const no_wasm = "there are no WebAssembly filters yet";
static const char *const no_servers = "there are no plugin servers yet";

/* A name that ends with `_` stands for all that begin with it; the first row that fits counts. With `none`
 * the setting is refused unless its value is that one: `why` says what is missing. */
static const struct row {
    const char *name, *why, *none;
} rows[] = {
    { "admin_access_log", no_log, NULL },
    { "admin_error_log", no_log, NULL },
    { "admin_gui_", no_manager, NULL },
    { "allow_inline_lua", no_lua, NULL },
    { "anonymous_reports", "nothing is ever reported to anybody", NULL },
    { "client_body_buffer_size", "bodies are passed on as they come", NULL },
    { "cluster_", no_cluster, NULL },
    { "db_", no_database, NULL },
    { "declarative_config_encryption_mode", no_database, NULL },
    { "dedicated_config_processing", no_reload, NULL },
    { "dns_", "names are resolved otherwise here", NULL },
    { "host_ports", "use port_maps", NULL },
    { "hybrid_", no_cluster, NULL },
    { "incremental_sync", no_cluster, NULL },
    { "kic", "the Admin API is the same for all", NULL },
    { "legacy_worker_events", no_shared_memory, NULL },
    { "lmdb_", no_database, NULL },
    { "log_format", "see proxy_access_log_format", NULL },
    { "lua_ssl_", "ssl_protocols says it for all", NULL },
    { "lua_", no_lua, NULL },
    { "max_queued_batches", "queues have limits of their own", NULL },
    { "new_dns_client", "names are resolved otherwise here", NULL },
    { "nginx_", no_nginx, NULL },
    { "node_id", no_cluster, NULL },
    { "openresty_path", no_nginx, NULL },
    { "pg_", no_database, NULL },
    { "pluginserver_names", no_servers, "" },
    { "pluginserver_", no_servers, NULL },
    { "prefix", "nothing is kept in a folder", NULL },
    { "privileged_worker", no_reload, NULL },
    { "proxy_server", "nothing is fetched from outside", NULL },
    { "proxy_server_ssl_verify", "nothing is fetched from outside", NULL },
    { "proxy_stream_", "see error_log", NULL },
    { "request_debug", "there are no debugging requests yet", NULL },
    { "request_debug_token", "there are no debugging requests yet", NULL },
    { "resolver_", "names are resolved otherwise here", NULL },
    { "role", no_cluster, "traditional" },
    { "router_consistency", no_reload, NULL },
    { "router_update_frequency", no_reload, NULL },
    { "ssl_dhparam", "there is no finite-field Diffie-Hellman here", NULL },
    { "ssl_prefer_server_ciphers", "the order here always counts", NULL },
    { "ssl_session_cache_size", "sessions are kept by clients, in tickets", NULL },
    { "status_access_log", no_log, NULL },
    { "status_error_log", no_log, NULL },
    { "stream_access_log", no_stream, NULL },
    { "stream_error_log", no_stream, NULL },
    { "stream_proxy_ssl_", "services say it: tls_verify, client_certificate", NULL },
    { "untrusted_lua", no_lua, NULL },
    { "untrusted_lua_", no_lua, NULL },
    { "vault_", "there are only the vaults env and file", NULL },
    { "wasm", no_wasm, "off" },
    { "wasm_", no_wasm, NULL },
    { "worker_", no_reload, NULL },
};

static const struct row *find(struct slice key)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct slice name = slice_of(rows[i].name);
        bool family = slice_ends_with(name, SLICE("_"));
        if (family ? slice_starts_with(key, name) : slice_equal(key, name))
            return &rows[i];
    }
    return NULL;
}

enum settings_fate settings_judge(struct slice key, struct slice value, const char **reason)
{
    const struct row *row = find(key);
    if (row == NULL)
        return SETTINGS_UNKNOWN;
    *reason = row->why;
    if (row->none == NULL)
        return SETTINGS_USELESS;
    bool off = slice_equal_nocase(value, slice_of(row->none)) ||
               (strcmp(row->none, "off") == 0 && slice_equal_nocase(value, SLICE("false")));
    return off ? SETTINGS_NEEDLESS : SETTINGS_REFUSED;
}

struct slice settings_of_nginx(struct slice key)
{
    static const struct {
        const char *nginx, *ours;
    } names[] = {
        { "nginx_main_worker_processes", "shards" },
        { "nginx_proxy_real_ip_header", "real_ip_header" },
        { "nginx_proxy_real_ip_recursive", "real_ip_recursive" },
        { "nginx_proxy_client_max_body_size", "client_max_body_size" },
        { "nginx_http_client_header_timeout", "client_header_timeout" },
        { "nginx_proxy_client_header_timeout", "client_header_timeout" },
        { "nginx_http_client_body_timeout", "client_body_timeout" },
        { "nginx_proxy_client_body_timeout", "client_body_timeout" },
        { "nginx_http_send_timeout", "send_timeout" },
        { "nginx_proxy_send_timeout", "send_timeout" },
        { "nginx_http_keepalive_timeout", "keepalive_timeout" },
        { "nginx_proxy_keepalive_timeout", "keepalive_timeout" },
        { "nginx_proxy_keepalive_requests", "keepalive_requests" },
        { "nginx_proxy_proxy_ssl_trusted_certificate", "upstream_tls_trusted" },
        { "nginx_proxy_proxy_ssl_verify", "upstream_tls_verify" },
        { "nginx_proxy_proxy_ssl_verify_depth", "upstream_tls_verify_depth" },
        { "nginx_proxy_ssl_client_certificate", "ssl_client_certificate" },
        { "nginx_proxy_ssl_crl", "ssl_crl" },
        { "nginx_proxy_ssl_stapling", "ssl_stapling" },
        { "nginx_proxy_ssl_stapling_file", "ssl_stapling_file" },
        { "nginx_proxy_ssl_stapling_responder", "ssl_stapling_responder" },
        { "nginx_proxy_ssl_stapling_verify", "ssl_stapling_verify" },
        { "nginx_proxy_ssl_verify_client", "ssl_verify_client" },
        { "nginx_proxy_ssl_verify_depth", "ssl_verify_depth" },
    };
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (slice_equal(key, slice_of(names[i].nginx)))
            return slice_of(names[i].ours);
    return (struct slice){ NULL, 0 };
}
