/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/rate_limiting.h"

#include "config/kong/checks.h"

#include <math.h>

static const char *check_path(struct slice path)
{
    return path.size > 0 && path.data[0] == '/' ? NULL : "should start with: /";
}

#define OFFSET(member) offsetof(struct rate_limiting_config, member)

const struct field rate_limiting_fields[] = {
    { "second", FIELD_NUMBER, OFFSET(limits[PERIOD_SECOND]), FIELD_POSITIVE, .help = "requests per second" },
    { "minute", FIELD_NUMBER, OFFSET(limits[PERIOD_MINUTE]), FIELD_POSITIVE, .help = "requests per minute" },
    { "hour", FIELD_NUMBER, OFFSET(limits[PERIOD_HOUR]), FIELD_POSITIVE, .help = "requests per hour" },
    { "day", FIELD_NUMBER, OFFSET(limits[PERIOD_DAY]), FIELD_POSITIVE, .help = "requests per day" },
    { "month", FIELD_NUMBER, OFFSET(limits[PERIOD_MONTH]), FIELD_POSITIVE,
      .help = "requests per calendar month" },
    { "year", FIELD_NUMBER, OFFSET(limits[PERIOD_YEAR]), FIELD_POSITIVE,
      .help = "requests per calendar year" },
    { "limit_by", FIELD_CHOICE, OFFSET(limit_by), .fallback = "consumer", .choices = limit_by_choices,
      .help = "who has a limit of its own" },
    { "header_name", FIELD_STRING, OFFSET(header_name), .check = kong_check_header_text,
      .help = "the header of limit_by header" },
    { "path", FIELD_STRING, OFFSET(path), .check = check_path, .help = "the path of limit_by path" },
    { "policy", FIELD_CHOICE, OFFSET(policy), .fallback = "local", .choices = limit_policy_choices,
      .offered = limit_policy_offered, .help = "where the counters are: in this process, or in Redis" },
    { "fault_tolerant", FIELD_BOOLEAN, OFFSET(fault_tolerant), .fallback = "true",
      .help = "let requests pass while Redis cannot be asked; false: answer 500" },
    { "redis", FIELD_RECORD, OFFSET(redis), .record = &redis_config_schema,
      .help = "the Redis of policy redis" },
    REDIS_CONFIG_FLAT_FIELDS(struct rate_limiting_config, old),
    { "hide_client_headers", FIELD_BOOLEAN, OFFSET(hide_client_headers), .fallback = "false",
      .help = "send no RateLimit headers" },
    { "error_code", FIELD_INTEGER, OFFSET(error_code), .min = 100, .max = 599, .fallback = "429",
      .described = "{\"type\":\"number\",\"gt\":0}", .help = "status of a refusal" },
    { "error_message", FIELD_STRING, OFFSET(error_message), .fallback = "API rate limit exceeded",
      .help = "message of a refusal" },
    { "sync_rate", FIELD_NUMBER, OFFSET(sync_rate_s), .fallback = "-1",
      .help = "with redis: seconds between exchanges of counts, at least 0.02; -1: ask at every request" },
};
_Static_assert(COUNT_OF(rate_limiting_fields) == RATE_LIMITING_FIELD_COUNT, "count the fields");

/* --- rules over several fields -------------------------------------------------------------------------- */

static void check_rest(const struct rate_limiting_config *config, const struct node *node,
                       const struct config_place *place)
{
    const char *missing = NULL;
    if (config->limit_by == LIMIT_BY_HEADER && config->header_name.data == NULL)
        missing = "header_name";
    if (config->limit_by == LIMIT_BY_PATH && config->path.data == NULL)
        missing = "path";
    if (missing) {
        schema_error(place, node, missing, "required field missing");
        schema_error(place, node, "", "failed conditional validation given value of field 'config.limit_by'");
    }
    limit_check_policy(config->policy, node, place);
    if (config->sync_rate_s != -1 && config->sync_rate_s < 0.02)
        schema_error(place, node, "sync_rate", "value should be -1 or at least 0.02");
}

static bool work_out(struct rate_limiting_config *config, struct arena *arena)
{
    config->period_count = 0;
    for (int i = 0; i < PERIOD_COUNT; i++) {
        double limit = config->limits[i];
        if (isnan(limit))
            continue;
        config->periods[config->period_count++] = (enum period)i;
        config->whole_limits[i] = limit < UINT32_MAX ? (uint32_t)ceil(limit) : UINT32_MAX;
        config->limit_texts[i] = arena_format(arena, "%.15g", limit);
        if (config->limit_texts[i].data == NULL)
            return false;
    }
    return rate_limiting_prepare(config, arena);
}

void rate_limiting_check(void *value, const struct node *node, const struct config_place *place)
{
    struct rate_limiting_config *config = value;
    if (!limit_check_periods(config->limits, config->policy, node, place))
        schema_error(place, node, "",
                     "at least one of these fields must be non-empty: 'config.second', 'config.minute', "
                     "'config.hour', 'config.day', 'config.month', 'config.year'");
    check_rest(config, node, place);
    redis_config_adopt(&config->redis, &config->old, node, place);
    if (!work_out(config, place->arena))
        schema_error(place, node, "second", "out of memory");
}
