/* SPDX-License-Identifier: Apache-2.0 */
/* Kong Enterprise's route-by-header: requests with certain headers go to another upstream. */
#include "config/detour.h"
#include "config/kong/checks.h"
#include "net/proxy/exchange_edit.h"
#include "plugins/plugins.h"

struct rule {
    struct schema_map condition; /* header -> its value */
    struct slice upstream_name;
    struct detour detour; /* linked */
};

struct route_by_header_config {
    struct schema_records rules;
};

static const struct field rule_fields[] = {
    { "condition", FIELD_MAP, offsetof(struct rule, condition), .flags = FIELD_REQUIRED | FIELD_SINGLE,
      .check = kong_check_header_name, .help = "headers and their values, all of which a request must have" },
    { "upstream_name", FIELD_STRING, offsetof(struct rule, upstream_name), .flags = FIELD_REQUIRED,
      .check = kong_check_host, .help = "where to: the name of an upstream, or a host" },
};

static void check_rule(void *value, const struct node *node, const struct config_place *place)
{
    const struct rule *rule = value;
    if (rule->condition.count == 0)
        schema_error(place, node, "condition", "length must be at least 1");
}

static const struct schema rule_schema = {
    .name = "rule",
    .fields = rule_fields,
    .field_count = COUNT_OF(rule_fields),
    .struct_size = sizeof(struct rule),
    .check = check_rule,
};

static const struct field fields[] = {
    { "rules", FIELD_RECORDS, offsetof(struct route_by_header_config, rules), .record = &rule_schema,
      .help = "the first whose condition a request meets says where it goes" },
};

static struct rule *rule_at(const struct route_by_header_config *config, uint32_t index)
{
    return (struct rule *)(void *)config->rules.items + index;
}

static bool link_services(struct model *model, struct plugin_instance *instance, struct report *report)
{
    (void)report;
    struct route_by_header_config *config = instance->config;
    for (uint32_t i = 0; i < config->rules.count; i++) {
        struct rule *rule = rule_at(config, i);
        struct detour_place place = { rule->upstream_name, INTEGER_NULL };
        if (!detour_build(&rule->detour, model, instance, &place))
            return false;
    }
    return true;
}

static bool is_met(const struct schema_map *condition, const struct message *request)
{
    for (uint32_t i = 0; i < condition->count; i++) {
        const struct schema_map_entry *entry = &condition->entries[i];
        struct slice value = message_find_name(request, entry->name);
        if (value.data == NULL || !slice_equal(value, entry->values.items[0]))
            return false;
    }
    return true;
}

static enum verdict on_access(const struct plugin_call *call)
{
    const struct route_by_header_config *config = call->config;
    const struct service *service = exchange_service(call->exchange);
    for (uint32_t i = 0; service && i < config->rules.count; i++) {
        const struct rule *rule = rule_at(config, i);
        if (!is_met(&rule->condition, exchange_request(call->exchange)))
            continue;
        const struct service *other = detour_find(&rule->detour, service);
        if (other)
            exchange_set_service(call->exchange, other);
        break;
    }
    return VERDICT_CONTINUE;
}

const struct plugin route_by_header_plugin = {
    .kind = { .name = "route-by-header",
              .priority = 850,
              .config = { .name = "route-by-header",
                          .fields = fields,
                          .field_count = COUNT_OF(fields),
                          .struct_size = sizeof(struct route_by_header_config) },
              .link = link_services },
    .on = { [PHASE_ACCESS] = on_access },
};
