/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/plugins.h"
#include "plugins/rate_limiting.h"
#include "tests/support/plugin_setup.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>

static const struct {
    const char *text, *field, *reason;
} refused[] = {
    { "{}", "test", "at least one of these fields must be non-empty" },
    { "{second: 10, minute: 5}", "test",
      "The limit for minute(5.0) cannot be lower than the limit for second(10.0)" },
    { "{second: 1, year: 0.5}", "test", "The limit for year(0.5) cannot be lower" },
    { "{minute: 0}", "minute", "value must be greater than 0" },
    { "{minute: .nan}", "minute", "expected a number" },
    { "{minute: x}", "minute", "expected a number" },
    { "{minute: 1, limit_by: header}", "header_name", "required field missing" },
    { "{minute: 1, limit_by: header}", "test", "given value of field 'config.limit_by'" },
    { "{minute: 1, limit_by: header, header_name: a b}", "header_name", "bad header name" },
    { "{minute: 1, limit_by: path}", "path", "required field missing" },
    { "{minute: 1, limit_by: path, path: a}", "path", "should start with: /" },
    { "{minute: 1, limit_by: moon}", "limit_by", "expected one of" },
    { "{minute: 1, policy: cluster}", "policy", "cluster is not supported: it needs Postgres" },
    { "{minute: 1, policy: clustre}", "policy", "expected one of" },
    { "{minute: 1, sync_rate: 0}", "sync_rate", "at least 0.02" },
    { "{minute: 1, error_code: ten}", "error_code", "expected" },
    { "{minute: 1, redis: {port: 70000}}", "port", "between 0 and 65535" },
    { "{minute: 1, redis: {ssl: true}}", "ssl", "not supported yet" },
    { "{minute: 1, redis_ssl: true}", "redis_ssl", "not supported yet" },
    { "{minute: 1, redis: {databse: 1}}", "databse", "unknown field" },
    { "{year: 5000000000, policy: local}", "year", "a limit above 4294967295 is not supported" },
};

Test(rate_limiting_config, what_is_wrong_is_reported)
{
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        struct plugin_setup setup;
        plugin_setup_init(&setup);
        cr_assert_null(plugin_setup_config(&setup, &rate_limiting_plugin, refused[i].text));
        cr_assert(plugin_setup_reported(&setup, REPORT_ERROR, refused[i].field, refused[i].reason), "%s",
                  refused[i].text);
        plugin_setup_deinit(&setup);
    }
}

Test(rate_limiting_config, defaults)
{
    struct plugin_setup setup;
    plugin_setup_init(&setup);
    const struct rate_limiting_config *config =
        plugin_setup_config(&setup, &rate_limiting_plugin, "{hour: 100, year: 1e10, policy: redis}");
    cr_assert_not_null(config);
    cr_assert_eq(config->limit_by, LIMIT_BY_CONSUMER);
    cr_assert_eq(config->error_code, 429);
    cr_assert(slice_equal(config->error_message, SLICE("API rate limit exceeded")));
    cr_assert(config->fault_tolerant && !config->hide_client_headers);
    cr_assert_float_eq(config->sync_rate_s, -1, 0);
    cr_assert_null(config->redis.host.data);
    cr_assert_eq(config->redis.port, INTEGER_NULL);
    cr_assert_eq(config->redis.timeout_ms, 2000);
    cr_assert_eq(config->period_count, 2);
    cr_assert_eq(config->periods[0], PERIOD_HOUR);
    cr_assert(slice_equal(config->limit_texts[PERIOD_HOUR], SLICE("100")));
    cr_assert(slice_equal(config->limit_texts[PERIOD_YEAR], SLICE("10000000000")));
    cr_assert_eq(config->whole_limits[PERIOD_HOUR], 100);
    plugin_setup_deinit(&setup);
}

Test(rate_limiting_config, older_names_of_the_redis_fields)
{
    struct plugin_setup setup;
    plugin_setup_init(&setup);
    const struct rate_limiting_config *config = plugin_setup_config(
        &setup, &rate_limiting_plugin,
        "{minute: 1, policy: redis, redis_host: a.test, redis_port: 7000, redis_password: p, "
        "redis_username: u, redis_timeout: 50, redis_database: 2, redis_ssl: false}");
    cr_assert_not_null(config);
    cr_assert(slice_equal(config->redis.host, SLICE("a.test")));
    cr_assert(slice_equal(config->redis.password, SLICE("p")));
    cr_assert(slice_equal(config->redis.username, SLICE("u")));
    cr_assert_eq(config->redis.port, 7000);
    cr_assert_eq(config->redis.timeout_ms, 50);
    cr_assert_eq(config->redis.database, 2);
    struct slice hosts[PLUGIN_HOSTS_MAX];
    cr_assert_eq(rate_limiting_plugin.kind.hosts_of(config, hosts), 1);
    cr_assert(slice_equal(hosts[0], SLICE("a.test")));
    plugin_setup_deinit(&setup);
}

static const struct {
    const char *redis, *field, *reason;
} refused_redis[] = {
    { "{ssl: true}", "redis.ssl", "not supported yet" },
    { "{sentinel_master: m}", "redis", "all or none of these fields must be set" },
    { "{sentinel_nodes: [{host: a}], sentinel_master: m}", "redis",
      "all or none of these fields must be set" },
    { "{sentinel_nodes: [{host: a}], sentinel_master: m, sentinel_role: slave}", "redis.sentinel_role",
      "replicas refuse" },
    { "{sentinel_nodes: []}", "redis.sentinel_nodes", "length must be at least 1" },
    { "{sentinel_nodes: [{ip: a}]}", "redis.sentinel_nodes[0].ip", "unknown field" },
    { "{sentinel_addresses: [a]}", "redis.sentinel_addresses[0]", "'a' is not host:port" },
    { "{cluster_nodes: [{port: 65536}]}", "redis.cluster_nodes[0].port", "between 0 and 65535" },
    { "{cluster_nodes: [{ip: a}], database: 1}", "redis.database", "a Redis Cluster has no other" },
    { "{cluster_nodes: [{ip: a}], sentinel_addresses: ['a:1'], sentinel_master: m, sentinel_role: any}",
      "redis.cluster_nodes", "cannot be given together" },
    { "{keepalive_pool_size: 30}", "redis.keepalive_pool_size", "has no meaning here" },
    { "{keepalive_backlog: 1}", "redis.keepalive_backlog", "has no meaning here" },
    { "{cloud_authentication: {auth_provider: aws}}", "redis.cloud_authentication", "not supported" },
    { "{connection_is_proxied: true, database: 1}", "redis.database", "connection_is_proxied" },
    { "{connection_is_proxied: true, cluster_nodes: [{ip: a}]}", "redis.connection_is_proxied",
      "cannot be true" },
};

Test(rate_limiting_config, redis_records_that_are_refused)
{
    for (size_t i = 0; i < COUNT_OF(refused_redis); i++) {
        struct plugin_setup setup;
        char text[256];
        plugin_setup_init(&setup);
        snprintf(text, sizeof(text), "{minute: 1, policy: redis, redis: %s}", refused_redis[i].redis);
        cr_assert_null(plugin_setup_config(&setup, &rate_limiting_plugin, text), "%s", text);
        cr_assert(
            plugin_setup_reported(&setup, REPORT_ERROR, refused_redis[i].field, refused_redis[i].reason),
            "%s", text);
        plugin_setup_deinit(&setup);
    }
}

static const struct {
    const char *redis;
    enum redis_kind kind;
    const char *first_host;
    unsigned first_port, host_count;
} accepted[] = {
    { "{keepalive_pool_size: 256, keepalive_backlog: ~, sentinel_nodes: ~, cluster_nodes: ~, host: h}",
      REDIS_SINGLE, "h", 0, 1 },
    { "{sentinel_nodes: [{host: a, port: 26379}, {}], sentinel_master: m, sentinel_role: master}",
      REDIS_SENTINEL, "a", 26379, 2 },
    { "{sentinel_addresses: ['a:1', '[::1]:2'], sentinel_master: m, sentinel_role: any}", REDIS_SENTINEL, "a",
      1, 2 },
    { "{cluster_nodes: [{}]}", REDIS_CLUSTER, "127.0.0.1", 6379, 1 },
    { "{cluster_addresses: ['c:7'], read_timeout: 5}", REDIS_CLUSTER, "c", 7, 1 },
};

Test(rate_limiting_config, redis_records)
{
    for (size_t i = 0; i < COUNT_OF(accepted); i++) {
        struct plugin_setup setup;
        char text[256];
        struct slice hosts[PLUGIN_HOSTS_MAX];
        plugin_setup_init(&setup);
        snprintf(text, sizeof(text), "{minute: 1, policy: redis, redis: %s}", accepted[i].redis);
        const struct rate_limiting_config *config = plugin_setup_config(&setup, &rate_limiting_plugin, text);
        cr_assert_not_null(config, "%s", text);
        cr_assert_eq(config->redis.kind, accepted[i].kind);
        cr_assert_eq(rate_limiting_plugin.kind.hosts_of(config, hosts), accepted[i].host_count);
        cr_assert(slice_equal(hosts[0], slice_of(accepted[i].first_host)), "%s", text);
        if (accepted[i].kind != REDIS_SINGLE)
            cr_assert_eq(config->redis.servers[0].port, accepted[i].first_port);
        plugin_setup_deinit(&setup);
    }
}
