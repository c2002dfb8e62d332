/* SPDX-License-Identifier: Apache-2.0 */
/* Kong's tcp-log: log entries, a line each, over a TCP connection that is kept. */
#include "plugins/log_entry.h"
#include "plugins/log_tcp.h"
#include "plugins/plugins.h"

struct tcp_log_config {
    struct slice host, tls_sni;
    int64_t port, timeout_ms, keepalive_ms;
    bool tls;
};

#define AT(member) offsetof(struct tcp_log_config, member)

static const struct field fields[] = {
    { "host", FIELD_STRING, AT(host), .flags = FIELD_REQUIRED, .help = "a name or an address" },
    { "port", FIELD_INTEGER, AT(port), .flags = FIELD_REQUIRED, .max = 65535 },
    { "timeout", FIELD_INTEGER, AT(timeout_ms), .min = 1, .max = 2147483646, .fallback = "10000",
      .help = "milliseconds to connect, and for the receiver to take what is sent" },
    { "keepalive", FIELD_INTEGER, AT(keepalive_ms), .max = 2147483646, .fallback = "60000",
      .help = "milliseconds for which the idle connection is kept" },
    { "tls", FIELD_BOOLEAN, AT(tls), .fallback = "false", .help = "any certificate is taken, as in Kong" },
    { "tls_sni", FIELD_STRING, AT(tls_sni), .help = "the server name asked for; null: the host" },
    LOG_ENTRY_FIELD_LUA,
};

static uint32_t hosts_of(const void *value, struct slice *hosts)
{
    hosts[0] = ((const struct tcp_log_config *)value)->host;
    return 1;
}

static bool copy(struct log_sender *sender, const void *value)
{
    const struct tcp_log_config *config = value;
    struct log_tcp_settings settings = { .host = config->host,
                                         .port = (uint16_t)config->port,
                                         .timeout_ms = (uint32_t)config->timeout_ms,
                                         .keep_ms = (uint32_t)config->keepalive_ms,
                                         .tls = config->tls,
                                         .server_name = config->tls_sni };
    sender->limits = log_stream_limits();
    return log_tcp_copy(sender, &settings);
}

static const struct log_sink sink = { .settings_size = sizeof(struct log_tcp_settings),
                                      .work_size = sizeof(struct log_tcp_work),
                                      .copy = copy,
                                      .send = log_tcp_send,
                                      .stop = log_tcp_stop,
                                      .close = log_tcp_close,
                                      .abandon = log_tcp_abandon };

static enum error shard_open_state(struct shard *shard, void *process_state, void *shard_state)
{
    (void)process_state;
    log_queues_open(shard_state, shard, &sink);
    return ERROR_OK;
}

const struct plugin tcp_log_plugin = {
    .kind = { .name = "tcp-log",
              .priority = 7,
              .config = { .name = "tcp-log",
                          .fields = fields,
                          .field_count = COUNT_OF(fields),
                          .struct_size = sizeof(struct tcp_log_config) },
              .hosts_of = hosts_of },
    .on = { [PHASE_LOG] = log_entry_on_log },
    .shard_state_size = sizeof(struct log_queues),
    .shard_open = shard_open_state,
    .shard_close = log_queues_close,
    .shard_flush = log_queues_flush,
};
