/* SPDX-License-Identifier: Apache-2.0 */
/* Kong's syslog: log entries to this machine's syslog, over its socket. */
#include "config/settings.h"
#include "net/proxy/proxy.h"
#include "plugins/log_datagram.h"
#include "plugins/log_entry.h"
#include "plugins/log_severity.h"
#include "plugins/plugins.h"

#include <time.h>
#include <unistd.h>

struct syslog_config {
    struct log_severities severities;
    int facility; /* index into `facilities` */
};

static const char *const facilities[] = { "kern",   "user",   "mail",   "daemon", "auth",     "syslog",
                                          "lpr",    "news",   "uucp",   "cron",   "authpriv", "ftp",
                                          "local0", "local1", "local2", "local3", "local4",   "local5",
                                          "local6", "local7", NULL };

/* As RFC 3164 numbers them: local0 follows four that are not for programs. */
static int facility_number(int facility)
{
    enum { FTP = 11, LOCAL0 = 16 };
    return facility <= FTP ? facility : facility - (FTP + 1) + LOCAL0;
}

static const struct field fields[] = {
    LOG_SEVERITY_FIELDS(syslog_config, severities),
    { "facility", FIELD_CHOICE, offsetof(struct syslog_config, facility), .fallback = "user",
      .choices = facilities },
    LOG_ENTRY_FIELD_LUA,
};

static bool copy(struct log_sender *sender, const void *value)
{
    (void)value;
    struct log_datagram_settings settings = { .path = proxy_settings(sender->shard)->syslog_socket.data };
    sender->limits = log_stream_limits();
    return log_datagram_copy(sender, &settings);
}

static const struct log_sink sink = { .settings_size = sizeof(struct log_datagram_settings),
                                      .work_size = sizeof(struct log_datagram_work),
                                      .copy = copy,
                                      .send = log_datagram_send,
                                      .stop = log_datagram_stop,
                                      .close = log_datagram_close };

static enum verdict on_log(const struct plugin_call *call)
{
    const struct syslog_config *config = call->config;
    struct log_queues *queues = call->shard_state;
    int severity = log_severity_of(&config->severities, exchange_status(call->exchange));
    struct log_queue *queue = severity >= 0 ? log_queue_of(queues, call) : NULL;
    if (queue == NULL)
        return VERDICT_CONTINUE;
    char stamp[32];
    time_t now = (time_t)(queues->shard->wall_ms / 1000);
    struct tm parts;
    localtime_r(&now, &parts);
    strftime(stamp, sizeof(stamp), "%b %e %H:%M:%S", &parts);
    text_format(&queues->text, "<%d>%s kong[%d]: ", facility_number(config->facility) * 8 + severity, stamp,
                (int)getpid());
    log_entry_write(&queues->text, call);
    log_queue_add_text(queue);
    return VERDICT_CONTINUE;
}

static enum error shard_open_state(struct shard *shard, void *process_state, void *shard_state)
{
    (void)process_state;
    log_queues_open(shard_state, shard, &sink);
    return ERROR_OK;
}

const struct plugin syslog_plugin = {
    .kind = { .name = "syslog",
              .priority = 4,
              .config = { .name = "syslog",
                          .fields = fields,
                          .field_count = COUNT_OF(fields),
                          .struct_size = sizeof(struct syslog_config) } },
    .on = { [PHASE_LOG] = on_log },
    .shard_state_size = sizeof(struct log_queues),
    .shard_open = shard_open_state,
    .shard_close = log_queues_close,
    .shard_flush = log_queues_flush,
};
