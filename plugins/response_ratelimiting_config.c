/* SPDX-License-Identifier: Apache-2.0 */
#include "config/kong/checks.h"
#include "plugins/response_ratelimiting.h"

#include <math.h>

#define PERIOD(period) offsetof(struct response_limit_periods, limits[period])

static const struct field period_fields[] = {
    { "second", FIELD_NUMBER, PERIOD(PERIOD_SECOND), FIELD_POSITIVE, .help = "per second" },
    { "minute", FIELD_NUMBER, PERIOD(PERIOD_MINUTE), FIELD_POSITIVE, .help = "per minute" },
    { "hour", FIELD_NUMBER, PERIOD(PERIOD_HOUR), FIELD_POSITIVE, .help = "per hour" },
    { "day", FIELD_NUMBER, PERIOD(PERIOD_DAY), FIELD_POSITIVE, .help = "per day" },
    { "month", FIELD_NUMBER, PERIOD(PERIOD_MONTH), FIELD_POSITIVE, .help = "per calendar month" },
    { "year", FIELD_NUMBER, PERIOD(PERIOD_YEAR), FIELD_POSITIVE, .help = "per calendar year" },
};

static const struct schema periods_schema = { "limit", period_fields, COUNT_OF(period_fields),
                                              sizeof(struct response_limit_periods) };

static const char *const who_choices[] = { "consumer", "credential", "ip", NULL }; /* enum limit_by */

#define OFFSET(member) offsetof(struct response_ratelimiting_config, member)

const struct field response_ratelimiting_fields[] = {
    { "limits", FIELD_RECORD_MAP, OFFSET(limits_read), FIELD_REQUIRED, .record = &periods_schema, .min = 1,
      .check = kong_check_header_text, .help = "names of what is counted, each with its limits" },
    { "header_name", FIELD_STRING, OFFSET(header_name), .fallback = "x-kong-limit",
      .check = kong_check_header_text, .help = "the upstream's header that says what a response costs" },
    { "limit_by", FIELD_CHOICE, OFFSET(limit_by), .fallback = "consumer", .choices = who_choices,
      .help = "who has limits of its own" },
    { "policy", FIELD_CHOICE, OFFSET(policy), .fallback = "local", .choices = limit_policy_choices,
      .offered = limit_policy_offered, .help = "where the counters are: in this process, or in Redis" },
    { "fault_tolerant", FIELD_BOOLEAN, OFFSET(fault_tolerant), .fallback = "true",
      .help = "let requests pass while Redis cannot be asked; false: answer 500" },
    { "redis", FIELD_RECORD, OFFSET(redis), .record = &redis_config_schema,
      .help = "the Redis of policy redis" },
    REDIS_CONFIG_FLAT_FIELDS(struct response_ratelimiting_config, old),
    { "block_on_first_violation", FIELD_BOOLEAN, OFFSET(block), .fallback = "false",
      .help = "refuse requests while any of the limits is used up" },
    { "hide_client_headers", FIELD_BOOLEAN, OFFSET(hide_client_headers), .fallback = "false",
      .help = "send no headers about limits and what is left of each period" },
};

_Static_assert(COUNT_OF(response_ratelimiting_fields) == RESPONSE_RATELIMITING_FIELD_COUNT,
               "count the fields");

/* The periods of the name with that index. */
static const struct response_limit_periods *periods_of(const struct response_ratelimiting_config *config,
                                                       uint32_t index)
{
    return config->limits_read.entries[index].record;
}

static void check_limits(const struct response_ratelimiting_config *config, const struct node *node,
                         const struct config_place *place)
{
    struct config_place deeper = schema_place(place, "limits");
    const struct node *limits = node_find(node, "limits");
    for (uint32_t i = 0; i < config->limits_read.count; i++) {
        const struct node *one = node_find(limits, config->limits_read.entries[i].name.data);
        if (!limit_check_periods(periods_of(config, i)->limits, config->policy, one, &deeper))
            schema_error(&deeper, one, "",
                         "at least one of these fields must be non-empty: 'second', 'minute', 'hour', 'day', "
                         "'month', 'year'");
    }
}

static bool add_limit(struct response_ratelimiting_config *config, uint32_t name, enum period period,
                      struct arena *arena)
{
    double limit = periods_of(config, name)->limits[period];
    struct slice text = config->names[name].name, unit = period_names[period];
    if (isnan(limit))
        return true;
    struct response_limit *added = &config->limits[config->limit_count++];
    *added = (struct response_limit){
        .name = name,
        .period = period,
        .limit = limit,
        .whole = limit < UINT32_MAX ? (uint32_t)ceil(limit) : UINT32_MAX,
        .text = arena_format(arena, "%.15g", limit),
        .limit_header =
            arena_format(arena, "X-RateLimit-Limit-%.*s-%.*s", SLICE_FORMAT(text), SLICE_FORMAT(unit)),
        .remaining_header =
            arena_format(arena, "X-RateLimit-Remaining-%.*s-%.*s", SLICE_FORMAT(text), SLICE_FORMAT(unit)),
    };
    return added->text.data && added->limit_header.data && added->remaining_header.data;
}

static bool work_out(struct response_ratelimiting_config *config, struct arena *arena)
{
    uint32_t count = config->limits_read.count;
    config->names = arena_array(arena, count, sizeof(*config->names));
    config->limits = arena_array(arena, (size_t)count * PERIOD_COUNT, sizeof(*config->limits));
    config->name_count = count;
    config->limit_count = 0;
    bool enough = config->names != NULL && config->limits != NULL;
    for (uint32_t i = 0; i < count && enough; i++) {
        struct slice name = config->limits_read.entries[i].name;
        struct slice header = arena_format(arena, "X-RateLimit-Remaining-%.*s", SLICE_FORMAT(name));
        config->names[i] = (struct response_limit_name){ name, header };
        enough = header.data != NULL;
        for (int period = 0; period < PERIOD_COUNT && enough; period++)
            enough = add_limit(config, i, (enum period)period, arena);
    }
    return enough;
}

void response_ratelimiting_check(void *value, const struct node *node, const struct config_place *place)
{
    struct response_ratelimiting_config *config = value;
    check_limits(config, node, place);
    limit_check_policy(config->policy, node, place);
    redis_config_adopt(&config->redis, &config->old, node, place);
    if (!work_out(config, place->arena))
        schema_error(place, node, "limits", "out of memory");
}
