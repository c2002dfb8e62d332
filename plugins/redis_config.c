/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/redis_config.h"

#include "config/settings.h"
#include "net/proxy/proxy.h"
#include "net/redis/redis_sentinel.h"

/* --- nodes ---------------------------------------------------------------------------------------------- */

struct redis_config_node {
    struct slice host;
    int64_t port;
};

#define NODE_OFFSET(member) offsetof(struct redis_config_node, member)

static const char *check_host(struct slice host)
{
    return host.size <= REDIS_HOST_MAX_BYTES ? NULL : "is too long";
}

static const struct field sentinel_node_fields[] = {
    { "host", FIELD_STRING, NODE_OFFSET(host), .fallback = "127.0.0.1", .check = check_host },
    { "port", FIELD_INTEGER, NODE_OFFSET(port), .max = 65535, .fallback = "6379" },
};

static const struct field cluster_node_fields[] = {
    { "ip", FIELD_STRING, NODE_OFFSET(host), .fallback = "127.0.0.1", .check = check_host },
    { "port", FIELD_INTEGER, NODE_OFFSET(port), .max = 65535, .fallback = "6379" },
};

static const struct schema sentinel_node = { "node", sentinel_node_fields, COUNT_OF(sentinel_node_fields),
                                             sizeof(struct redis_config_node) };
static const struct schema cluster_node = { "node", cluster_node_fields, COUNT_OF(cluster_node_fields),
                                            sizeof(struct redis_config_node) };

/* "host:port", with or without brackets around an IPv6 address. */
static bool parse_address(struct slice text, struct redis_server *server)
{
    size_t colon = text.size;
    while (colon > 0 && text.data[colon - 1] != ':')
        colon--;
    uint64_t port;
    if (colon < 2 || colon - 1 > REDIS_HOST_MAX_BYTES || !slice_to_u64(slice_from(text, colon), &port) ||
        port > UINT16_MAX)
        return false;
    *server = (struct redis_server){ { text.data, colon - 1 }, (uint16_t)port };
    return true;
}

static const char *check_address(struct slice text)
{
    struct redis_server server;
    return parse_address(text, &server) ? NULL : "'{}' is not host:port";
}

/* --- options -------------------------------------------------------------------------------------------- */

#define TIMEOUT_MAX_MS 2147483646.0
#define OFFSET(member) offsetof(struct redis_config, member)

static const char *const role_choices[] = { "any", "master", "slave", NULL };
enum { ROLE_ANY, ROLE_MASTER, ROLE_SLAVE };

static const struct field redis_fields[] = {
    { "host", FIELD_STRING, OFFSET(host), .check = check_host,
      .help = "address or name; default: the setting redis_host" },
    { "port", FIELD_INTEGER, OFFSET(port), .max = 65535, .shown = "6379",
      .help = "default: the setting redis_port" },
    { "timeout", FIELD_INTEGER, OFFSET(timeout_ms), .max = TIMEOUT_MAX_MS, .fallback = "2000",
      .help = "milliseconds to connect, to send, and to wait for an answer" },
    { "connect_timeout", FIELD_INTEGER, OFFSET(connect_ms), .max = TIMEOUT_MAX_MS, .flags = FIELD_OWN,
      .help = "milliseconds to connect; default: timeout" },
    { "send_timeout", FIELD_INTEGER, OFFSET(send_ms), .max = TIMEOUT_MAX_MS, .flags = FIELD_OWN,
      .help = "milliseconds until Redis must have taken some of what is sent; default: timeout" },
    { "read_timeout", FIELD_INTEGER, OFFSET(read_ms), .max = TIMEOUT_MAX_MS, .flags = FIELD_OWN,
      .help = "milliseconds to wait for an answer; default: timeout" },
    { "username", FIELD_STRING, OFFSET(username), FIELD_EMPTY | FIELD_VAULT,
      .help = "sent with the password" },
    { "password", FIELD_STRING, OFFSET(password), FIELD_EMPTY | FIELD_SECRET | FIELD_VAULT,
      .help = "sent by AUTH unless empty" },
    { "database", FIELD_INTEGER, OFFSET(database), .max = 2147483647.0, .fallback = "0",
      .help = "chosen by SELECT unless 0" },
    { "ssl", FIELD_BOOLEAN, OFFSET(ssl), .fallback = "false", .flags = FIELD_OPTIONAL,
      .help = "true is not supported yet" },
    { "ssl_verify", FIELD_BOOLEAN, OFFSET(ssl_verify), .fallback = "false", .flags = FIELD_OPTIONAL,
      .help = "needs ssl" },
    { "server_name", FIELD_STRING, OFFSET(server_name), .help = "needs ssl" },
    { "sentinel_master", FIELD_STRING, OFFSET(sentinel_master), .flags = FIELD_OWN,
      .help = "with Sentinel: what the sentinels call the master" },
    { "sentinel_role", FIELD_CHOICE, OFFSET(sentinel_role), .choices = role_choices, .flags = FIELD_OWN,
      .help = "with Sentinel: master, or any, which is the master too" },
    { "sentinel_nodes", FIELD_RECORDS, OFFSET(sentinel_nodes), .record = &sentinel_node, .min = 1,
      .max = REDIS_SENTINELS_MAX, .flags = FIELD_OWN, .help = "the sentinels to ask" },
    { "sentinel_addresses", FIELD_STRINGS, OFFSET(sentinel_addresses), .check = check_address, .min = 1,
      .max = REDIS_SENTINELS_MAX, .flags = FIELD_OWN, .help = "older form of sentinel_nodes: host:port" },
    { "sentinel_username", FIELD_STRING, OFFSET(sentinel_username), FIELD_OWN | FIELD_EMPTY | FIELD_VAULT,
      .help = "sent to sentinels with the password" },
    { "sentinel_password", FIELD_STRING, OFFSET(sentinel_password),
      FIELD_OWN | FIELD_EMPTY | FIELD_SECRET | FIELD_VAULT,
      .help = "sent to sentinels by AUTH unless empty" },
    { "cluster_nodes", FIELD_RECORDS, OFFSET(cluster_nodes), .record = &cluster_node, .min = 1,
      .max = PLUGIN_HOSTS_MAX, .flags = FIELD_OWN,
      .help = "some nodes of a Redis Cluster; they know the others" },
    { "cluster_addresses", FIELD_STRINGS, OFFSET(cluster_addresses), .check = check_address, .min = 1,
      .max = PLUGIN_HOSTS_MAX, .flags = FIELD_OWN, .help = "older form of cluster_nodes: host:port" },
    { "cluster_max_redirections", FIELD_INTEGER, OFFSET(redirections_max), .max = 1000, .fallback = "5",
      .flags = FIELD_OWN, .help = "how often a command follows MOVED, ASK or TRYAGAIN" },
    { "connection_is_proxied", FIELD_BOOLEAN, OFFSET(is_proxied), .fallback = "false", .flags = FIELD_OWN,
      .help = "host is a proxy (such as Envoy): no database, Sentinel or Cluster" },
    { "keepalive_pool_size", FIELD_INTEGER, OFFSET(pool_size), .min = 1, .max = TIMEOUT_MAX_MS,
      .flags = FIELD_OWN,
      .help = "nothing but Kong's default 256: each shard has one pipelined connection per server" },
    { "keepalive_backlog", FIELD_INTEGER, OFFSET(backlog), .max = TIMEOUT_MAX_MS, .flags = FIELD_OWN,
      .help = "not to be given: each shard has one pipelined connection per server" },
    { "cloud_authentication", FIELD_STRING, 0, FIELD_UNSUPPORTED,
      .help = "tokens of a cloud's identity service" },
};

/* --- rules over several options ------------------------------------------------------------------------- */

static void check_meaningless(const struct redis_config *config, const struct node *node,
                              const struct config_place *place)
{
    static const char reason[] = "has no meaning here: each shard has one pipelined connection per server";
    if (config->pool_size != INTEGER_NULL && config->pool_size != 256)
        schema_error(place, node, "keepalive_pool_size", "%s", reason);
    if (config->backlog != INTEGER_NULL)
        schema_error(place, node, "keepalive_backlog", "%s", reason);
    if (config->ssl)
        schema_error(place, node, "ssl", "not supported yet: Redis over TLS");
    if (config->sentinel_role == ROLE_SLAVE)
        schema_error(place, node, "sentinel_role",
                     "slave is not supported: replicas refuse to be written to");
    if (!config->is_proxied)
        return;
    if (config->kind != REDIS_SINGLE)
        schema_error(place, node, "connection_is_proxied", "cannot be true with Sentinel or Cluster");
    if (config->database != 0)
        schema_error(place, node, "database", "must be 0 when connection_is_proxied is true");
}

static void check_kind(const struct redis_config *config, const struct node *node,
                       const struct config_place *place)
{
    bool has_nodes = config->sentinel_nodes.count + config->sentinel_addresses.count > 0;
    bool has_cluster = config->cluster_nodes.count + config->cluster_addresses.count > 0;
    bool has_role = config->sentinel_role >= 0, has_master = config->sentinel_master.data != NULL;
    if (has_nodes != has_role || has_nodes != has_master)
        schema_error(place, node, "",
                     "all or none of these fields must be set: 'sentinel_master', 'sentinel_role', "
                     "'sentinel_nodes'");
    if (has_cluster && has_nodes)
        schema_error(place, node, "cluster_nodes", "cannot be given together with sentinel_nodes");
    if (has_cluster && config->database != 0)
        schema_error(place, node, "database", "must be 0: a Redis Cluster has no other");
    if ((has_cluster || has_nodes) && config->host.data)
        report_add(place->report, REPORT_WARNING, node ? &node->position : place->position, place->path,
                   "host and port are not used beside sentinel_nodes or cluster_nodes");
}

/* The servers, from the newer or the older form. */
static bool work_out_servers(struct redis_config *config, struct arena *arena)
{
    bool sentinel = config->sentinel_nodes.count + config->sentinel_addresses.count > 0;
    const struct schema_records *records = sentinel ? &config->sentinel_nodes : &config->cluster_nodes;
    const struct slices *texts = sentinel ? &config->sentinel_addresses : &config->cluster_addresses;
    uint32_t count = records->count > 0 ? records->count : texts->count;
    config->kind = sentinel ? REDIS_SENTINEL : count > 0 ? REDIS_CLUSTER : REDIS_SINGLE;
    config->servers = arena_array(arena, count, sizeof(*config->servers));
    config->server_count = count;
    if (config->servers == NULL)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        struct redis_server *server = &config->servers[i];
        if (records->count > 0) {
            const struct redis_config_node *nodes = (const void *)records->items;
            *server = (struct redis_server){ nodes[i].host, (uint16_t)nodes[i].port };
        } else if (!parse_address(texts->items[i], server)) {
            return false; /* cannot be: it was checked */
        }
    }
    return true;
}

static void check_redis(void *value, const struct node *node, const struct config_place *place)
{
    struct redis_config *config = value;
    if (!work_out_servers(config, place->arena))
        schema_error(place, node, "", "out of memory");
    check_kind(config, node, place);
    check_meaningless(config, node, place);
}

_Static_assert((int)PLUGIN_HOSTS_MAX >= (int)REDIS_SENTINELS_MAX, "every host is told");

const struct schema redis_config_schema = { .name = "redis",
                                            .fields = redis_fields,
                                            .field_count = COUNT_OF(redis_fields),
                                            .struct_size = sizeof(struct redis_config),
                                            .check = check_redis };

void redis_config_adopt(struct redis_config *config, const struct redis_config_flat *flat,
                        const struct node *node, const struct config_place *place)
{
    struct slice *texts[] = { &config->host, &config->username, &config->password, &config->server_name };
    const struct slice *flat_texts[] = { &flat->host, &flat->username, &flat->password, &flat->server_name };
    int64_t *numbers[] = { &config->port, &config->timeout_ms, &config->database };
    const int64_t *flat_numbers[] = { &flat->port, &flat->timeout_ms, &flat->database };
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        if (flat_texts[i]->data)
            *texts[i] = *flat_texts[i];
    for (size_t i = 0; i < COUNT_OF(numbers); i++)
        if (*flat_numbers[i] != INTEGER_NULL)
            *numbers[i] = *flat_numbers[i];
    if (flat->ssl)
        schema_error(place, node, "redis_ssl", "not supported yet: Redis over TLS");
}

/* --- stores --------------------------------------------------------------------------------------------- */

uint32_t redis_config_hosts(const struct redis_config *config, struct slice hosts[PLUGIN_HOSTS_MAX])
{
    if (config->kind == REDIS_SINGLE) {
        hosts[0] = config->host;
        return 1;
    }
    for (uint32_t i = 0; i < config->server_count; i++)
        hosts[i] = config->servers[i].host;
    return config->server_count;
}

void redis_reach_init(struct redis_reach *reach, struct shard *shard)
{
    const struct settings *settings = proxy_settings(shard);
    *reach = (struct redis_reach){ .shard = shard,
                                   .default_host = settings->redis_host,
                                   .default_port = (uint16_t)settings->redis_port,
                                   .connect = redis_connect_tcp };
}

static uint32_t time_or(int64_t time_ms, int64_t fallback_ms)
{
    return (uint32_t)(time_ms != INTEGER_NULL ? time_ms : fallback_ms);
}

struct redis_store *redis_config_store(const struct redis_config *config, struct redis_reach *reach)
{
    bool is_single = config->kind == REDIS_SINGLE;
    struct redis_server single = {
        .host = config->host.data ? config->host : reach->default_host,
        .port = config->port != INTEGER_NULL ? (uint16_t)config->port : reach->default_port,
    };
    if (single.host.size > REDIS_HOST_MAX_BYTES)
        return NULL;
    struct redis_target target = {
        .kind = config->kind,
        .servers = is_single ? &single : config->servers,
        .server_count = is_single ? 1 : config->server_count,
        .username = config->username,
        .password = config->password,
        .database = (uint32_t)config->database,
        .connect_ms = time_or(config->connect_ms, config->timeout_ms),
        .send_ms = time_or(config->send_ms, config->timeout_ms),
        .reply_ms = time_or(config->read_ms, config->timeout_ms),
        .master = config->sentinel_master,
        .sentinel_username = config->sentinel_username,
        .sentinel_password = config->sentinel_password,
        .redirections_max = (uint32_t)config->redirections_max,
    };
    return redis_pool_store(&reach->pool, reach->shard, &target, reach->connect);
}
