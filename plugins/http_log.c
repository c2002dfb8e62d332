/* SPDX-License-Identifier: Apache-2.0 */
/* Kong's http-log: sends log entries to an HTTP server, in batches that are tried again. */
#include "core/crypto/base64.h"
#include "plugins/log_entry.h"
#include "plugins/log_http.h"
#include "plugins/plugins.h"

struct http_log_config {
    struct slice endpoint, content_type;
    int method;
    int64_t timeout_ms, keepalive_ms;
    int64_t retry_count, queue_size; /* Kong's older names, see settle */
    double flush_timeout;
    bool ssl_verify;
    struct schema_map headers;
    struct log_queue_config queue;
    struct slice url; /* prepared: the endpoint without user and query */
    struct slice authorization; /* prepared from the user; absent: none */
};

/* --- configuration -------------------------------------------------------------------------------------- */

static const char *const methods[] = { "POST", "PUT", "PATCH", NULL };

#define AT(member) offsetof(struct http_log_config, member)

static const struct field fields[] = {
    { "http_endpoint", FIELD_STRING, AT(endpoint), .flags = FIELD_REQUIRED | FIELD_VAULT,
      .check = log_http_check_url,
      .help = "where entries go; a user before the host becomes basic authentication" },
    { "method", FIELD_CHOICE, AT(method), .fallback = "POST", .choices = methods },
    { "content_type", FIELD_STRING, AT(content_type), .fallback = "application/json",
      .help = "of the body; application/json with or without a charset" },
    { "timeout", FIELD_INTEGER, AT(timeout_ms), .min = 1, .max = 2147483646, .fallback = "10000",
      .help = "milliseconds for one request" },
    { "keepalive", FIELD_INTEGER, AT(keepalive_ms), .max = 2147483646, .fallback = "60000",
      .help = "milliseconds for which an idle connection is kept" },
    { "headers", FIELD_MAP, AT(headers), .flags = FIELD_SINGLE | FIELD_VAULT | FIELD_SECRET,
      .check = log_http_check_header, .help = "added to requests" },
    { "ssl_verify", FIELD_BOOLEAN, AT(ssl_verify), .fallback = "false",
      .help = "the server's certificate is looked at; Kong never does" },
    { "queue", FIELD_RECORD, AT(queue), .record = &log_queue_schema },
    { "retry_count", FIELD_INTEGER, AT(retry_count), .help = "Kong's older name; without effect, as there" },
    { "queue_size", FIELD_INTEGER, AT(queue_size), .min = 1, .max = 1000000,
      .help = "Kong's older name of queue.max_batch_size" },
    { "flush_timeout", FIELD_NUMBER, AT(flush_timeout), .max = 3600,
      .help = "Kong's older name of queue.max_coalescing_delay" },
    LOG_ENTRY_FIELD_LUA,
};

static bool authorize(struct http_log_config *config, struct slice user, struct arena *arena)
{
    static const char scheme[] = "Basic ";
    size_t size = sizeof(scheme) - 1 + base64_encoded_size(BASE64_STANDARD, user.size);
    char *text = arena_alloc(arena, size);
    if (text == NULL)
        return false;
    memcpy(text, scheme, sizeof(scheme) - 1);
    base64_encode(BASE64_STANDARD, user, text + sizeof(scheme) - 1);
    config->authorization = (struct slice){ text, size };
    return true;
}

/* The query is not sent, as in Kong. */
static bool prepare_url(struct http_log_config *config, struct arena *arena)
{
    struct fetch_url url;
    struct slice query;
    if (!fetch_url_parse_proxy(config->endpoint, &url))
        return true; /* that was reported */
    struct slice path = slice_split(url.target, '?', &query);
    config->url = arena_format(arena, "%s://%.*s%.*s", url.tls ? "https" : "http",
                               SLICE_FORMAT(url.authority), SLICE_FORMAT(path));
    return config->url.data && (url.user.data == NULL || authorize(config, url.user, arena));
}

static void settle(void *value, const struct node *node, const struct config_place *place)
{
    struct http_log_config *config = value;
    if (config->queue_size != INTEGER_NULL && config->queue_size != 1)
        config->queue.max_batch_size = config->queue_size;
    if (config->flush_timeout == config->flush_timeout && config->flush_timeout != 2)
        config->queue.max_coalescing_delay = config->flush_timeout;
    struct slice parameters, type = slice_split(config->content_type, ';', &parameters);
    if (config->content_type.data && !slice_equal(slice_trim(type), SLICE("application/json")))
        schema_error(place, node, "content_type", "expected application/json");
    if (config->endpoint.data && !prepare_url(config, place->arena))
        schema_error(place, node, "", "out of memory");
}

static uint32_t hosts_of(const void *value, struct slice *hosts)
{
    return log_http_host(((const struct http_log_config *)value)->url, hosts);
}

/* --- entries -------------------------------------------------------------------------------------------- */

static bool copy(struct log_sender *sender, const void *value)
{
    const struct http_log_config *config = value;
    struct log_http_settings settings = { .method = slice_of(methods[config->method]),
                                          .url = config->url,
                                          .content_type = config->content_type,
                                          .timeout_ms = (uint32_t)config->timeout_ms,
                                          .keep_ms = (uint32_t)config->keepalive_ms,
                                          .verify = config->ssl_verify,
                                          .delivered_from = 200,
                                          .delivered_to = 299,
                                          .compose = log_http_compose_json };
    struct schema_map headers = config->headers;
    struct schema_map_entry entries[headers.count + 1];
    if (headers.count)
        memcpy(entries, headers.entries, headers.count * sizeof(entries[0]));
    struct slice authorization = config->authorization;
    if (authorization.data)
        entries[headers.count++] = (struct schema_map_entry){ SLICE("Authorization"), { &authorization, 1 } };
    headers.entries = entries;
    sender->limits = log_queue_limits(&config->queue);
    return log_http_copy(sender, &settings, &headers);
}

static const struct log_sink sink = { .settings_size = sizeof(struct log_http_settings),
                                      .work_size = sizeof(struct log_http_work),
                                      .copy = copy,
                                      .send = log_http_send,
                                      .stop = log_http_stop };

static enum error shard_open_state(struct shard *shard, void *process_state, void *shard_state)
{
    (void)process_state;
    log_queues_open(shard_state, shard, &sink);
    return ERROR_OK;
}

const struct plugin http_log_plugin = {
    .kind = { .name = "http-log",
              .priority = 12,
              .config = { .name = "http-log",
                          .fields = fields,
                          .field_count = COUNT_OF(fields),
                          .struct_size = sizeof(struct http_log_config),
                          .check = settle },
              .hosts_of = hosts_of },
    .on = { [PHASE_LOG] = log_entry_on_log },
    .shard_state_size = sizeof(struct log_queues),
    .shard_open = shard_open_state,
    .shard_close = log_queues_close,
    .shard_flush = log_queues_flush,
};
