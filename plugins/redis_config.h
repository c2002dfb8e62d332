/* SPDX-License-Identifier: Apache-2.0 */
/* The `redis` record of plugins that keep something in Redis: its options, Kong's and those of Kong
 * Enterprise for Sentinel and Cluster, and the store that they name. In the model's arena, constant after
 * the check. */
#pragma once

#include "config/plugin_kind.h"
#include "net/redis/redis_store.h"

struct redis_config {
    struct slice host; /* absent: the settings' redis_host */
    int64_t port; /* INTEGER_NULL: the settings' redis_port */
    int64_t timeout_ms, connect_ms, send_ms, read_ms; /* INTEGER_NULL: as timeout_ms */
    struct slice username, password;
    int64_t database;
    bool ssl, ssl_verify;
    struct slice server_name;
    struct slice sentinel_master, sentinel_username, sentinel_password;
    int sentinel_role;
    struct schema_records sentinel_nodes, cluster_nodes; /* of struct redis_config_node */
    struct slices sentinel_addresses, cluster_addresses; /* older forms of the nodes */
    int64_t redirections_max;
    bool is_proxied;
    int64_t pool_size, backlog;
    /* Worked out when the configuration is read. */
    enum redis_kind kind;
    struct redis_server *servers; /* of sentinels or a cluster */
    uint32_t server_count;
};

/* A field of type RECORD. */
extern const struct schema redis_config_schema;

/* The names that stood beside the record in older versions. */
struct redis_config_flat {
    struct slice host, username, password, server_name;
    int64_t port, timeout_ms, database;
    bool ssl, ssl_verify;
};

#define REDIS_FLAT(type, member, part) offsetof(type, member.part)
/* Rows for a field table; `member` is the struct redis_config_flat in `type`. */
#define REDIS_CONFIG_FLAT_FIELDS(type, member)                                                              \
    { "redis_host", FIELD_STRING, REDIS_FLAT(type, member, host), .flags = FIELD_OLDER,                     \
      .help = "older name of redis.host" },                                                                 \
        { "redis_port", FIELD_INTEGER,        REDIS_FLAT(type, member, port),                               \
          .max = 65535, .flags = FIELD_OLDER, .help = "older name of redis.port" },                         \
        { "redis_timeout",     FIELD_INTEGER,        REDIS_FLAT(type, member, timeout_ms),                  \
          .max = 2147483646.0, .flags = FIELD_OLDER, .help = "older name of redis.timeout" },               \
        { "redis_username", FIELD_STRING, REDIS_FLAT(type, member, username),                               \
          FIELD_OLDER | FIELD_EMPTY | FIELD_VAULT, .help = "older name of redis.username" },                \
        { "redis_password", FIELD_STRING, REDIS_FLAT(type, member, password),                               \
          FIELD_OLDER | FIELD_EMPTY | FIELD_SECRET | FIELD_VAULT, .help = "older name of redis.password" }, \
        { "redis_database",    FIELD_INTEGER,        REDIS_FLAT(type, member, database),                    \
          .max = 2147483647.0, .flags = FIELD_OLDER, .help = "older name of redis.database" },              \
        { "redis_ssl",         FIELD_BOOLEAN,        REDIS_FLAT(type, member, ssl),                         \
          .fallback = "false", .flags = FIELD_OLDER, .help = "older name of redis.ssl" },                   \
        { "redis_ssl_verify",  FIELD_BOOLEAN,        REDIS_FLAT(type, member, ssl_verify),                  \
          .fallback = "false", .flags = FIELD_OLDER, .help = "older name of redis.ssl_verify" },            \
        { "redis_server_name", FIELD_STRING, REDIS_FLAT(type, member, server_name), .flags = FIELD_OLDER,   \
          .help = "older name of redis.server_name" }

/* The flat names win where they are given. From the plugin's check; `node` is its whole configuration. */
void redis_config_adopt(struct redis_config *config, const struct redis_config_flat *flat,
                        const struct node *node, const struct config_place *place);

/* For a plugin's hosts_of: the names that must be resolved for it; how many. */
uint32_t redis_config_hosts(const struct redis_config *config, struct slice hosts[PLUGIN_HOSTS_MAX]);

/* What a plugin has on a shard to reach its stores. */
struct redis_reach {
    struct shard *shard;
    struct slice default_host;
    uint16_t default_port;
    struct redis_pool pool;
    redis_connect_fn *connect;
};

void redis_reach_init(struct redis_reach *reach, struct shard *shard);

/* NULL: out of memory. */
struct redis_store *redis_config_store(const struct redis_config *config, struct redis_reach *reach);
