/* SPDX-License-Identifier: Apache-2.0 */
/* Kong's udp-log: log entries, a datagram each. */
#include "plugins/log_datagram.h"
#include "plugins/log_entry.h"
#include "plugins/plugins.h"

struct udp_log_config {
    struct slice host;
    int64_t port, timeout_ms;
};

#define AT(member) offsetof(struct udp_log_config, member)

static const struct field fields[] = {
    { "host", FIELD_STRING, AT(host), .flags = FIELD_REQUIRED, .help = "a name or an address" },
    { "port", FIELD_INTEGER, AT(port), .flags = FIELD_REQUIRED, .max = 65535 },
    { "timeout", FIELD_INTEGER, AT(timeout_ms), .max = 2147483646, .fallback = "10000",
      .help = "without effect: sending never waits" },
    LOG_ENTRY_FIELD_LUA,
};

static uint32_t hosts_of(const void *value, struct slice *hosts)
{
    hosts[0] = ((const struct udp_log_config *)value)->host;
    return 1;
}

static bool copy(struct log_sender *sender, const void *value)
{
    const struct udp_log_config *config = value;
    struct log_datagram_settings settings = { .host = config->host, .port = (uint16_t)config->port };
    sender->limits = log_stream_limits();
    return log_datagram_copy(sender, &settings);
}

static const struct log_sink sink = { .settings_size = sizeof(struct log_datagram_settings),
                                      .work_size = sizeof(struct log_datagram_work),
                                      .copy = copy,
                                      .send = log_datagram_send,
                                      .stop = log_datagram_stop,
                                      .close = log_datagram_close };

static enum error shard_open_state(struct shard *shard, void *process_state, void *shard_state)
{
    (void)process_state;
    log_queues_open(shard_state, shard, &sink);
    return ERROR_OK;
}

const struct plugin udp_log_plugin = {
    .kind = { .name = "udp-log",
              .priority = 8,
              .config = { .name = "udp-log",
                          .fields = fields,
                          .field_count = COUNT_OF(fields),
                          .struct_size = sizeof(struct udp_log_config) },
              .hosts_of = hosts_of },
    .on = { [PHASE_LOG] = log_entry_on_log },
    .shard_state_size = sizeof(struct log_queues),
    .shard_open = shard_open_state,
    .shard_close = log_queues_close,
    .shard_flush = log_queues_flush,
};
