/* SPDX-License-Identifier: Apache-2.0 */
/* Kong's settings: its file, what has no meaning here, and what is chosen by name. */
#include "config/bundled.h"
#include "config/settings_conf.h"
#include "tests/support/config_setup.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <unistd.h>

static struct config_setup setup;
static struct settings settings;

static void open_setup(void)
{
    config_setup_init(&setup);
    cr_assert(settings_init(&settings));
}

static void close_setup(void)
{
    settings_deinit(&settings);
    config_setup_deinit(&setup);
}

TestSuite(settings_kong, .init = open_setup, .fini = close_setup);

static bool apply(const char *text)
{
    return settings_conf_apply(&settings, slice_of(text), "kong.conf", &setup.report);
}

static const struct {
    const char *text;
    bool recognised;
} texts[] = {
    { "log_level = info\n", true },
    { "# a comment\n\n   # another\r\nproxy_listen=off", true },
    { "", false },
    { "# nothing but comments\n", false },
    { "services: []\n", false },
    { "_format_version: '3.0'\na = b\n", false },
    { "sluice: {headers: 'a=b'}\n", false },
    { "{\"a\": \"b = c\"}", false },
    { "Key = value\n", false },
    { "- a = b\n", false },
};

Test(settings_kong, recognised)
{
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        cr_assert_eq(settings_conf_recognise(slice_of(texts[i].text)), texts[i].recognised, "%s",
                     texts[i].text);
}

Test(settings_kong, file)
{
    cr_assert(apply("# Kong\n"
                    "log_level = warn   # less\n"
                    "headers = Via, \\\n"
                    "  Server\n"
                    "trusted_ips=10.0.0.0/8,::1\r\n"
                    "real_ip_recursive = on\n"
                    "charset = a\\#b\n"
                    "nginx_http_client_header_timeout = 7s\n"
                    "nginx_main_worker_processes = 3\n"
                    "database = off\n"
                    "admin_gui_url =\n"
                    "upstream_keepalive_pool_size = 9"));
    cr_assert(settings_finish(&settings, &setup.report));
    cr_assert_eq(settings.log_level, SETTINGS_LOG_WARN);
    cr_assert_eq(settings.headers_sent, SETTINGS_HEADER_VIA | SETTINGS_HEADER_SERVER);
    cr_assert_eq(settings.trusted_ips.count, 2);
    cr_assert(settings.real_ip_recursive);
    cr_assert_str_eq(settings.charset.data, "a#b");
    cr_assert_eq(settings.client_header_timeout_ms, 7000);
    cr_assert_eq(settings.shard_count, 3);
    cr_assert_eq(settings.upstream_keepalive_pool_size, 9);
    cr_assert_eq(setup.report.count, 0);
}

Test(settings_kong, file_errors_have_places)
{
    cr_assert_not(apply("log_level = loud\n"
                        "\n"
                        "nonsense\n"
                        "database = postgres\n"
                        "pg_host = db\n"
                        "own_idea = 1\n"
                        "redis_host = r\n"
                        "role = data_plane\n"));
    cr_assert(config_setup_reported(&setup, 1, "log_level", "expected one of"));
    cr_assert(config_setup_reported(&setup, 3, "", "expected key = value"));
    cr_assert(config_setup_reported(&setup, 4, "database", "not supported yet"));
    cr_assert(config_setup_reported(&setup, 5, "pg_host", "has no effect here: there is no database here"));
    cr_assert(config_setup_reported(&setup, 6, "own_idea", "has no effect here: not one of Kong's"));
    cr_assert(config_setup_reported(&setup, 7, "redis_host", "has no effect here: not one of Kong's"));
    cr_assert(config_setup_reported(&setup, 8, "role", "'data_plane': not supported yet"));
    cr_assert_eq(setup.report.error_count, 4);
    cr_assert_str_eq(setup.report.entries[0].file, "kong.conf");
}

/* Every one of Kong's settings is known by name, and only what asks for something is refused. */
static const char *const known[] = {
    "prefix",
    "admin_access_log",
    "admin_error_log",
    "admin_gui_access_log",
    "status_access_log",
    "status_error_log",
    "proxy_stream_error_log",
    "anonymous_reports",
    "proxy_server",
    "node_id",
    "admin_gui_listen",
    "cluster_listen",
    "cluster_mtls",
    "lmdb_map_size",
    "worker_events_max_payload",
    "ssl_dhparam",
    "ssl_prefer_server_ciphers",
    "ssl_session_cache_size",
    "nginx_user",
    "nginx_daemon",
    "nginx_events_multi_accept",
    "nginx_http_client_body_buffer_size",
    "pg_password",
    "pg_ro_host",
    "db_cache_ttl",
    "dns_no_sync",
    "new_dns_client",
    "resolver_lru_cache_size",
    "dedicated_config_processing",
    "worker_consistency",
    "worker_state_update_frequency",
    "lua_ssl_protocols",
    "lua_package_path",
    "lua_max_uri_args",
    "kic",
    "untrusted_lua",
    "untrusted_lua_sandbox_requires",
    "openresty_path",
    "wasm_filters_path",
    "request_debug",
    "request_debug_token",
    "pluginserver_go_socket",
};

Test(settings_kong, what_has_no_meaning)
{
    for (size_t i = 0; i < COUNT_OF(known); i++) {
        cr_assert(settings_apply_text(&settings, slice_of(known[i]), SLICE("1"), "--set", &setup.report));
        cr_assert(config_setup_reported(&setup, 0, known[i], "has no effect here: "), "%s", known[i]);
    }
}

static const struct {
    const char *key, *value;
    bool good;
} asked[] = {
    { "role", "traditional", true },
    { "role", "control_plane", false },
    { "wasm", "off", true },
    { "wasm", "on", false },
    { "ssl_protocols", "TLSv1.1 TLSv1.3", true },
    { "ssl_protocols", "TLSv1.4", false },
    { "pluginserver_names", "go", false },
    { "vaults", "env,file", true },
    { "vaults", "aws", false },
    { "proxy_access_log", "logs/access.log", true },
    { "proxy_access_log", "/dev/stdout basic", false },
    { "stream_listen", "off", true },
    { "stream_listen", "0.0.0.0:9000 ssl, 0.0.0.0:9001 udp", true },
    { "stream_listen", "9000", false },
};

Test(settings_kong, what_is_not_there_yet)
{
    for (size_t i = 0; i < COUNT_OF(asked); i++) {
        uint32_t before = setup.report.count;
        cr_assert_eq(settings_apply_text(&settings, slice_of(asked[i].key), slice_of(asked[i].value), "--set",
                                         &setup.report),
                     asked[i].good, "%s=%s", asked[i].key, asked[i].value);
        cr_assert_eq(setup.report.count, before + !asked[i].good, "%s=%s", asked[i].key, asked[i].value);
    }
}

Test(settings_kong, highest_log_levels)
{
    cr_assert(apply("log_level = emerg\n"));
    cr_assert(settings_finish(&settings, &setup.report));
    cr_assert_eq(settings.log_level, SETTINGS_LOG_CRIT);
}

Test(settings_kong, references)
{
    static const char *const environment[] = { "KONG_LOG_LEVEL={vault://env/level}",
                                               "SLUICE_REDIS_HOST={vault://env/not-there}",
                                               "KONG_VAULT_ENV_PREFIX=sluice_ref_", NULL };
    setenv("SLUICE_REF_LEVEL", "error", 1);
    cr_assert_not(settings_apply_environment(&settings, environment, &setup.report));
    cr_assert_eq(settings.log_level, SETTINGS_LOG_ERROR);
    cr_assert_eq(setup.report.error_count, 1);
    cr_assert(
        config_setup_reported(&setup, 0, "redis_host", "failed to dereference '{vault://env/not-there}'"));
}

/* Whichever stands first, and whoever says where secrets are. */
Test(settings_kong, references_into_a_file)
{
    char file[] = "/tmp/sluice-settings-XXXXXX", path[128];
    int descriptor = mkstemp(file);
    cr_assert(descriptor >= 0 && write(descriptor, "level: info\n", 12) == 12 && close(descriptor) == 0);
    snprintf(path, sizeof(path), "SLUICE_VAULT_FILE_PATH=%s", file);
    const char *const environment[] = { "KONG_LOG_LEVEL={vault://file/level}", path, NULL };
    bool good = settings_apply_environment(&settings, environment, &setup.report);
    const char *const off[] = { "KONG_LOG_LEVEL={vault://file/level}", "KONG_VAULTS=env", NULL };
    bool refused = !settings_apply_environment(&settings, off, &setup.report);
    unlink(file);
    cr_assert(good && refused && settings.log_level == SETTINGS_LOG_INFO);
    cr_assert(config_setup_reported(&setup, 0, "log_level", "could not find vault"));
}

static size_t count_plugins(const char *list)
{
    size_t count = 0;
    cr_assert(settings_apply_text(&settings, SLICE("plugins"), slice_of(list), "--set", &setup.report));
    const struct plugin_kind *const *kinds =
        bundled_plugins(config_setup_kinds, &settings.plugins, &setup.arena, &setup.report);
    while (kinds[count])
        count++;
    return count;
}

Test(settings_kong, plugins)
{
    cr_assert_eq(count_plugins("bundled"), 2);
    cr_assert_eq(count_plugins("bundled,guard"), 2);
    cr_assert_eq(count_plugins("guard"), 1);
    cr_assert_eq(count_plugins("cors, count"), 1);
    cr_assert_eq(count_plugins("off"), 0);
    cr_assert_eq(setup.report.count, 0);
    cr_assert_eq(count_plugins("bundled,mine"), 2);
    cr_assert(config_setup_reported(&setup, 0, "plugins", "'mine' plugin is enabled but not installed"));
}

Test(settings_kong, vaults)
{
    struct vaults vaults = { .count = 0 };
    struct slice out;
    cr_assert(settings_apply_text(&settings, SLICE("vaults"), SLICE("file"), "--set", &setup.report));
    bundled_vaults(&settings, &vaults);
    cr_assert_str_eq(vault_resolve(&vaults, SLICE("{vault://env/path}"), &setup.arena, &out),
                     "could not find vault");
}
