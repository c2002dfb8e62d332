/* SPDX-License-Identifier: Apache-2.0 */
#include "config/settings.h"
#include "tests/support/config_setup.h"

#include <criterion/criterion.h>

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

TestSuite(settings, .init = open_setup, .fini = close_setup);

static bool set(const char *key, const char *value)
{
    return settings_apply_text(&settings, slice_of(key), slice_of(value), "--set", &setup.report);
}

Test(settings, defaults_are_good)
{
    cr_assert(settings_finish(&settings, &setup.report));
    cr_assert_eq(settings.proxy_listeners.count, 2);
    const struct listener_setting *tls = &settings.proxy_listeners.items[1];
    cr_assert_str_eq(tls->address.data, "0.0.0.0");
    cr_assert_eq(tls->port, 8443);
    cr_assert(tls->ssl && tls->http2 && tls->reuseport);
    cr_assert_eq(tls->backlog, 16384);
    cr_assert_eq(settings.stream_listeners.count, 0);
    cr_assert_eq(settings.admin_listeners.items[0].port, 8001);
    cr_assert_eq(settings.status_listeners.items[0].port, 8007);
    cr_assert_eq(settings.shard_count, 0);
    cr_assert_eq(settings.cores.count, 0);
    cr_assert_eq(settings.connections_max, 0);
    cr_assert_eq(settings.client_header_timeout_ms, 10000);
    cr_assert_eq(settings.max_header_bytes, 32768);
    cr_assert_eq(settings.client_max_body_bytes, 0);
    cr_assert(settings.headers_sent & SETTINGS_HEADER_VIA);
    cr_assert_not(settings.headers_sent & SETTINGS_HEADER_UPSTREAM_STATUS);
    cr_assert(settings.request_id_upstream);
    cr_assert_eq(settings.log_level, SETTINGS_LOG_NOTICE);
    cr_assert_null(settings.pid_file.data);
}

Test(settings, texts)
{
    cr_assert(set("proxy_listen", "[::1]:0 backlog=5 so_keepalive=on,127.0.0.1:9 ssl"));
    cr_assert(set("shards", "3") && set("cpu_affinity", "0,2-4") && set("max_connections", "100"));
    cr_assert(set("drain_timeout", "1500ms") && set("client_max_body_size", "10m"));
    cr_assert(set("headers", "off") && set("headers_upstream", "off") && set("real_ip_recursive", "on"));
    cr_assert(set("trusted_ips", "10.0.0.0/8, ::1") && set("port_maps", "80:8000,443:8443"));
    cr_assert(set("nginx_http_keepalive_requests", "7"));
    cr_assert(settings_finish(&settings, &setup.report));
    cr_assert_eq(settings.proxy_listeners.count, 2);
    cr_assert_str_eq(settings.proxy_listeners.items[0].address.data, "::1");
    cr_assert_eq(settings.proxy_listeners.items[0].backlog, 5);
    cr_assert_not(settings.proxy_listeners.items[0].ssl);
    cr_assert(settings.proxy_listeners.items[1].ssl);
    cr_assert_eq(settings.shard_count, 3);
    cr_assert_eq(settings.cores.count, 4);
    cr_assert_eq(settings.cores.items[3], 4);
    cr_assert_eq(settings.connections_max, 100);
    cr_assert_eq(settings.drain_timeout_ms, 1500);
    cr_assert_eq(settings.client_max_body_bytes, 10485760);
    cr_assert_eq(settings.headers_sent, 0);
    cr_assert_not(settings.request_id_upstream);
    cr_assert_eq(settings.trusted_ips.count, 2);
    cr_assert_eq(settings.port_map.items[1].to, 8443);
    cr_assert_eq(settings.keepalive_requests, 7);
}

static const struct {
    const char *key, *value, *reason;
} refused[] = {
    { "shrads", "2", "unknown setting (did you mean 'shards'?)" },
    { "shards", "many", "expected auto" },
    { "shards", "-1", "expected auto" },
    { "shards", "0", "expected auto" },
    { "proxy_listen", "nowhere", "expected ADDRESS:PORT" },
    { "proxy_listen", "localhost:80", "numeric address" },
    { "proxy_listen", "::1:80", "numeric address" },
    { "proxy_listen", "127.0.0.1:99999", "expected a port" },
    { "proxy_listen", "127.0.0.1:", "expected a port" },
    { "proxy_listen", "127.0.0.1:1 fast", "unknown flag" },
    { "proxy_listen", "127.0.0.1:1 backlog=0", "backlog" },
    { "proxy_listen", "unix:/x", "not supported yet" },
    { "proxy_listen", "", "length must be at least 1" },
    { "stream_listen", "127.0.0.1", "expected ADDRESS:PORT" },
    { "stream_proxy_protocol", "v3", "expected one of: none, v1, v2" },
    { "cpu_affinity", "0,x", "expected auto, or cores" },
    { "cpu_affinity", "4-2", "expected auto, or cores" },
    { "trusted_ips", "1.2.3.400", "invalid ip or cidr range: '1.2.3.400'" },
    { "trusted_ips", "1.2.3.4/33", "invalid ip or cidr range" },
    { "log_level", "loud", "expected one of" },
    { "headers", "Via,odd", "unknown header 'odd'" },
    { "headers_upstream", "Via", "expected one of" },
    { "drain_timeout", "soon", "expected a duration" },
    { "keepalive_requests", "0", "value should be between" },
    { "redis_port", "0", "value should be between" },
    { "real_ip_header", "a b", "expected a header name" },
    { "proxy_access_log", "on", "expected a path" },
    { "store", "sqlite:", "neither none nor sqlite:PATH" },
    { "database", "postgres", "not supported yet" },
    { "aws_hosts", "a", "expected NAME=HOST" },
    { "port_maps", "80", "expected FROM:TO" },
};

Test(settings, refused_texts)
{
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        cr_assert_not(set(refused[i].key, refused[i].value), "%s=%s", refused[i].key, refused[i].value);
        cr_assert(config_setup_reported(&setup, 0, refused[i].key, refused[i].reason), "%s=%s",
                  refused[i].key, refused[i].value);
    }
    cr_assert_eq(setup.report.error_count, COUNT_OF(refused));
    cr_assert_str_eq(setup.report.entries[0].file, "--set");
}

static const struct {
    const char *key, *value, *path;
} crossed[] = {
    { "admin_listen", "0.0.0.0:8000", "admin_listen" },
    { "proxy_listen", "1.1.1.1:1,1.1.1.1:1", "proxy_listen" },
    { "headers", "off,Via", "headers" },
    { "ring_entries", "65", "ring_entries" },
    { "max_target_bytes", "64k", "max_target_bytes" },
};

Test(settings, what_does_not_go_together)
{
    for (size_t i = 0; i < COUNT_OF(crossed); i++) {
        struct settings one;
        uint32_t before = setup.report.error_count;
        cr_assert(settings_init(&one));
        cr_assert(settings_apply_text(&one, slice_of(crossed[i].key), slice_of(crossed[i].value), "--set",
                                      &setup.report));
        cr_assert_not(settings_finish(&one, &setup.report), "%s", crossed[i].key);
        cr_assert(config_setup_reported(&setup, 0, crossed[i].path, ""));
        cr_assert_eq(setup.report.error_count, before + 1);
        settings_deinit(&one);
    }
}

Test(settings, environment)
{
    static const char *const environment[] = {
        "PATH=/bin",           "SLUICE_SHARDS=2",   "KONG_SHARDS=5",
        "KONG_HEADERS=Via",    "KONG_LOG_LEVEL=",   "SLUICE_HEADERS=off",
        "KONG_FOO=1",          "KONG_PG_HOST=x",    "KONG_NGINX_WORKER_PROCESSES=7",
        "SLUICE_REDIS_HOST=r", "KONG_REDIS_HOST=q", NULL,
    };
    cr_assert(settings_apply_environment(&settings, environment, &setup.report));
    cr_assert(settings_finish(&settings, &setup.report));
    cr_assert_eq(settings.shard_count, 2);
    cr_assert_eq(settings.headers_sent, 0);
    cr_assert_str_eq(settings.redis_host.data, "r");
    /* redis_host is not Kong's. */
    static const char *const warned[] = { "foo", "pg_host", "redis_host" };
    for (size_t i = 0; i < COUNT_OF(warned); i++)
        cr_assert(config_setup_reported(&setup, 0, warned[i], "has no effect here"), "%s", warned[i]);

    static const char *const unknown[] = { "SLUICE_SHRADS=2", "KONG_LOG_LEVEL=loud", NULL };
    cr_assert_not(settings_apply_environment(&settings, unknown, &setup.report));
    cr_assert(config_setup_reported(&setup, 0, "shrads", "did you mean 'shards'"));
    cr_assert_eq(setup.report.error_count, 2);
}

static bool apply_file(const char *text, unsigned cores)
{
    const struct node *node = config_setup_node(&setup, text);
    cr_assert_not_null(node, "%s", text);
    cr_assert(settings_recognise(node));
    return settings_apply_node(&settings, node, cores, &setup.report);
}

Test(settings, file)
{
    cr_assert(apply_file("sluice:\n"
                         "  shards: 4\n"
                         "  headers: [Via, Server]\n"
                         "  real_ip_recursive: true\n"
                         "  drain_timeout: 2.5\n"
                         "  pid_file: ~\n"
                         "  trusted_ips: []\n"
                         "  profiles:\n"
                         "  - {cores: 2, keepalive_requests: 2}\n"
                         "  - {cores: 4, keepalive_requests: 4, shards: 3}\n"
                         "  - {cores: 8, keepalive_requests: 8}\n",
                         7));
    cr_assert(settings_finish(&settings, &setup.report));
    cr_assert_eq(settings.keepalive_requests, 4);
    cr_assert_eq(settings.shard_count, 3);
    cr_assert_eq(settings.drain_timeout_ms, 2500);
    cr_assert_eq(settings.headers_sent, SETTINGS_HEADER_VIA | SETTINGS_HEADER_SERVER);
    cr_assert(settings.real_ip_recursive);
}

Test(settings, file_errors_have_places)
{
    cr_assert_not(apply_file("sluice:\n"
                             "  shrads: 1\n"
                             "  log_level: loud\n"
                             "  headers: {a: 1}\n"
                             "  nginx_user: x\n"
                             "  profiles:\n"
                             "  - {shards: 1}\n"
                             "  - {cores: 999, shards: x}\n"
                             "other: 1\n",
                             1));
    cr_assert(config_setup_reported(&setup, 2, "sluice.shrads", "did you mean 'shards'"));
    cr_assert(config_setup_reported(&setup, 3, "sluice.log_level", "expected one of"));
    cr_assert(config_setup_reported(&setup, 4, "sluice.headers", "expected a text"));
    cr_assert(config_setup_reported(&setup, 5, "sluice.nginx_user", "has no effect"));
    cr_assert(config_setup_reported(&setup, 7, "sluice.profiles[0]", "cores: required"));
    cr_assert(config_setup_reported(&setup, 8, "sluice.profiles[1].shards", "expected auto"));
    cr_assert(config_setup_reported(&setup, 9, "other", "unknown field"));
    cr_assert_eq(setup.report.error_count, 6);
    cr_assert_not(apply_file("sluice: 1", 1));
    cr_assert(apply_file("sluice: ~", 1));
    cr_assert_not(apply_file("sluice: {profiles: 1}", 1));
}
