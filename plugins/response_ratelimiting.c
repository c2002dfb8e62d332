/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/response_ratelimiting.h"

#include "net/proxy/exchange_edit.h"
#include "plugins/plugins.h"

#include <math.h>

/* --- before the upstream -------------------------------------------------------------------------------- */

/* The least that a name has left of any period. */
static double least_of(const struct response_pass *pass, uint32_t name)
{
    double least = INFINITY;
    for (uint32_t i = 0; i < pass->config->limit_count; i++)
        if (pass->config->limits[i].name == name && pass->remaining[i] < least)
            least = pass->remaining[i];
    return least > 0 ? least : 0;
}

static enum verdict refuse(const struct response_pass *pass, uint32_t name)
{
    struct slice message = arena_format(exchange_arena(pass->exchange), "API rate limit exceeded for '%.*s'",
                                        SLICE_FORMAT(pass->config->names[name].name));
    if (message.data == NULL)
        return exchange_respond_failure(pass->exchange);
    return exchange_respond_error(pass->exchange, 429, message);
}

/* Kong's documentation has the headers sent upstream, Kong 3.9 sends them to the client: both get them. */
static bool tell_remaining(const struct response_pass *pass)
{
    for (uint32_t i = 0; i < pass->config->name_count; i++) {
        struct slice name = pass->config->names[i].header;
        struct slice text = limit_number_text(exchange_arena(pass->exchange), least_of(pass, i));
        if (text.data == NULL || !exchange_set_upstream_header(pass->exchange, name, text) ||
            !exchange_set_response_header(pass->exchange, name, text))
            return false;
    }
    return true;
}

enum verdict response_ratelimiting_known(struct response_pass *pass, bool failed)
{
    if (failed) {
        pass->remaining = NULL;
        return pass->config->fault_tolerant ? VERDICT_CONTINUE : exchange_respond_failure(pass->exchange);
    }
    for (uint32_t i = 0; pass->config->block && i < pass->config->name_count; i++) {
        if (least_of(pass, i) > 0)
            continue;
        pass->remaining = NULL;
        return refuse(pass, i);
    }
    return tell_remaining(pass) ? VERDICT_CONTINUE : exchange_respond_failure(pass->exchange);
}

static enum verdict response_ratelimiting_access(const struct plugin_call *call)
{
    struct response_pass *pass = call->exchange_state;
    const struct response_ratelimiting_config *config = call->config;
    pass->exchange = call->exchange;
    pass->config = config;
    pass->instance = call->instance;
    pass->shard = call->shard_state;
    uint64_t wall_ms = pass->shard->redis.shard->wall_ms;
    for (int i = 0; i < PERIOD_COUNT; i++)
        pass->windows[i] = period_window_at((enum period)i, wall_ms);
    struct limit_subject subject = { .exchange = call->exchange,
                                     .instance = call->instance,
                                     .by = (enum limit_by)config->limit_by };
    pass->identifier = limit_identifier(&subject);
    pass->remaining = arena_array(exchange_arena(call->exchange), config->limit_count, sizeof(double));
    if (pass->remaining == NULL)
        return exchange_respond_failure(call->exchange);
    bool failed;
    enum verdict verdict = response_limits_look(pass, &failed);
    return verdict == VERDICT_WAIT ? VERDICT_WAIT : response_ratelimiting_known(pass, failed);
}

/* --- after it ------------------------------------------------------------------------------------------- */

static bool parse_amount(struct slice text, int64_t *amount)
{
    bool negative = text.size > 0 && text.data[0] == '-';
    uint64_t magnitude;
    if (!slice_to_u64(negative ? slice_from(text, 1) : text, &magnitude) || magnitude > INT64_MAX)
        return false;
    *amount = negative ? -(int64_t)magnitude : (int64_t)magnitude;
    return true;
}

void response_limits_parse(const struct response_ratelimiting_config *config, struct slice text,
                           int64_t *amounts)
{
    struct slice rest = text;
    while (rest.data) {
        struct slice value, part = slice_split(rest, ',', &rest);
        struct slice name = slice_trim(slice_split(part, '=', &value));
        for (uint32_t i = 0; value.data && i < config->name_count; i++)
            if (slice_equal(name, config->names[i].name))
                (void)parse_amount(slice_trim(value), &amounts[i]);
    }
}

/* What the upstream asks to be counted. */
static void read_amounts(const struct response_pass *pass, int64_t *amounts)
{
    struct header header;
    uint32_t cursor = 0;
    while (exchange_next_response_header(pass->exchange, &cursor, &header))
        if (slice_equal_nocase(header.name, pass->config->header_name))
            response_limits_parse(pass->config, header.value, amounts);
}

static bool is_exceeded(const struct response_pass *pass, const int64_t *amounts)
{
    for (uint32_t i = 0; i < pass->config->limit_count; i++)
        if (amounts[pass->config->limits[i].name] > 0 && pass->remaining[i] <= 0)
            return true;
    return false;
}

static bool set_headers(const struct response_pass *pass, const int64_t *amounts)
{
    struct exchange *exchange = pass->exchange;
    for (uint32_t i = 0; i < pass->config->limit_count; i++) {
        const struct response_limit *limit = &pass->config->limits[i];
        double left = pass->remaining[i] - (double)amounts[limit->name];
        struct slice text = limit_number_text(exchange_arena(exchange), left > 0 ? left : 0);
        if (text.data == NULL || !exchange_set_response_header(exchange, limit->limit_header, limit->text) ||
            !exchange_set_response_header(exchange, limit->remaining_header, text))
            return false;
    }
    return true;
}

static bool swallow_write(struct body_filter *filter, struct chunk chunk)
{
    (void)filter;
    chunk_release(&chunk);
    return true;
}

static const struct body_filter_ops swallow_ops = { .write = swallow_write };

/* As in Kong all headers of the upstream stay; its body goes. */
static void refuse_response(struct response_pass *pass)
{
    pass->swallow = (struct body_filter){ .ops = &swallow_ops, .kind = BODY_FILTER_CHANGES };
    exchange_set_response_status(pass->exchange, 429);
    exchange_filter_response(pass->exchange, &pass->swallow);
}

static enum verdict response_ratelimiting_response(const struct plugin_call *call)
{
    struct response_pass *pass = call->exchange_state;
    const struct response_ratelimiting_config *config = call->config;
    if (pass->remaining == NULL) /* what a response costs is nothing for clients, counted or not */
        return exchange_remove_response_header(call->exchange, config->header_name)
                   ? VERDICT_CONTINUE
                   : exchange_respond_failure(call->exchange);
    int64_t *amounts =
        arena_alloc_zero(exchange_arena(call->exchange), config->name_count * sizeof(*amounts));
    if (amounts == NULL)
        return exchange_respond_failure(call->exchange);
    read_amounts(pass, amounts);
    response_limits_refresh(pass);
    bool exceeded = is_exceeded(pass, amounts);
    bool set = config->hide_client_headers || set_headers(pass, amounts);
    if (!set || !exchange_remove_response_header(call->exchange, config->header_name))
        return exchange_respond_failure(call->exchange);
    if (exceeded)
        refuse_response(pass);
    else
        response_limits_count(pass, amounts);
    return VERDICT_CONTINUE;
}

/* --- the plugin ----------------------------------------------------------------------------------------- */

static enum error shard_state_open(struct shard *shard, void *process_state, void *shard_state)
{
    return limit_shard_open(shard_state, shard, process_state);
}

static void shard_state_close(void *shard_state)
{
    limit_shard_close(shard_state);
}

static uint32_t hosts_of(const void *value, struct slice *hosts)
{
    const struct response_ratelimiting_config *config = value;
    return config->policy == LIMIT_POLICY_REDIS ? redis_config_hosts(&config->redis, hosts) : 0;
}

static bool link_scope(struct model *model, struct plugin_instance *instance, struct report *report)
{
    struct response_ratelimiting_config *config = instance->config;
    (void)model;
    (void)report;
    config->scope_hash = limit_scope_hash(instance);
    return true;
}

const struct plugin response_ratelimiting_plugin = {
    .kind = { .name = "response-ratelimiting",
              .priority = 900,
              .config = { .name = "response-ratelimiting",
                          .fields = response_ratelimiting_fields,
                          .field_count = RESPONSE_RATELIMITING_FIELD_COUNT,
                          .struct_size = sizeof(struct response_ratelimiting_config),
                          .check = response_ratelimiting_check },
              .hosts_of = hosts_of,
              .link = link_scope },
    .on = { [PHASE_ACCESS] = response_ratelimiting_access,
            [PHASE_RESPONSE_HEAD] = response_ratelimiting_response },
    .shard_state_size = sizeof(struct limit_shard),
    .exchange_state_size = sizeof(struct response_pass),
    .process_open = limit_process_open,
    .process_close = limit_process_close,
    .shard_open = shard_state_open,
    .shard_close = shard_state_close,
};
