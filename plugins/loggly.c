/* SPDX-License-Identifier: Apache-2.0 */
/* Kong's loggly: log entries as syslog messages (RFC 5424) in datagrams, with the key and tags that Loggly
 * files them by. */
#include "plugins/log_datagram.h"
#include "plugins/log_entry.h"
#include "plugins/log_severity.h"
#include "plugins/plugins.h"

#include <time.h>
#include <unistd.h>

struct loggly_config {
    struct slice host, key;
    int64_t port, timeout_ms;
    struct slices tags;
    struct log_severities severities;
};

/* Both stand in the message unescaped. */
static const char *check_word(struct slice text)
{
    for (size_t i = 0; i < text.size; i++)
        if ((unsigned char)text.data[i] <= 0x20 || (unsigned char)text.data[i] >= 0x7f ||
            strchr("\"\\]", text.data[i]))
            return "spaces, quotes, brackets and what is not ASCII are not allowed";
    return NULL;
}

#define AT(member) offsetof(struct loggly_config, member)

static const struct field fields[] = {
    { "host", FIELD_STRING, AT(host), .fallback = "logs-01.loggly.com" },
    { "port", FIELD_INTEGER, AT(port), .max = 65535, .fallback = "514" },
    { "key", FIELD_STRING, AT(key), .flags = FIELD_REQUIRED | FIELD_SECRET | FIELD_VAULT, .check = check_word,
      .help = "the customer token" },
    { "tags", FIELD_STRINGS, AT(tags), .fallback = "kong", .check = check_word },
    LOG_SEVERITY_FIELDS(loggly_config, severities),
    { "timeout", FIELD_INTEGER, AT(timeout_ms), .max = 2147483646, .fallback = "10000",
      .help = "without effect: sending never waits" },
    LOG_ENTRY_FIELD_LUA,
};

static uint32_t hosts_of(const void *value, struct slice *hosts)
{
    hosts[0] = ((const struct loggly_config *)value)->host;
    return 1;
}

static bool copy(struct log_sender *sender, const void *value)
{
    const struct loggly_config *config = value;
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

struct loggly_shard {
    struct log_queues queues; /* first */
    char hostname[256];
};

static void add_front(struct text *text, const struct loggly_config *config, int severity,
                      const struct loggly_shard *state)
{
    enum { FACILITY_USER = 1 };
    char stamp[32];
    time_t now = (time_t)(state->queues.shard->wall_ms / 1000);
    struct tm parts;
    gmtime_r(&now, &parts);
    strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%SZ", &parts);
    text_format(text, "<%d>1 %s %s kong - - [", FACILITY_USER * 8 + severity, stamp, state->hostname);
    text_add(text, config->key);
    text_literal(text, "@41058");
    for (uint32_t i = 0; i < config->tags.count; i++) {
        text_literal(text, " tag=\"");
        text_add(text, config->tags.items[i]);
        text_byte(text, '"');
    }
    text_literal(text, "] ");
}

static enum verdict on_log(const struct plugin_call *call)
{
    const struct loggly_config *config = call->config;
    struct loggly_shard *state = call->shard_state;
    int severity = log_severity_of(&config->severities, exchange_status(call->exchange));
    struct log_queue *queue = severity >= 0 ? log_queue_of(&state->queues, call) : NULL;
    if (queue == NULL)
        return VERDICT_CONTINUE;
    add_front(&state->queues.text, config, severity, state);
    log_entry_write(&state->queues.text, call);
    log_queue_add_text(queue);
    return VERDICT_CONTINUE;
}

static enum error shard_open_state(struct shard *shard, void *process_state, void *shard_state)
{
    struct loggly_shard *state = shard_state;
    (void)process_state;
    log_queues_open(&state->queues, shard, &sink);
    if (gethostname(state->hostname, sizeof(state->hostname) - 1) != 0 || state->hostname[0] == '\0')
        memcpy(state->hostname, "-", 2);
    return ERROR_OK;
}

const struct plugin loggly_plugin = {
    .kind = { .name = "loggly",
              .priority = 6,
              .config = { .name = "loggly",
                          .fields = fields,
                          .field_count = COUNT_OF(fields),
                          .struct_size = sizeof(struct loggly_config) },
              .hosts_of = hosts_of },
    .on = { [PHASE_LOG] = on_log },
    .shard_state_size = sizeof(struct loggly_shard),
    .shard_open = shard_open_state,
    .shard_close = log_queues_close,
    .shard_flush = log_queues_flush,
};
