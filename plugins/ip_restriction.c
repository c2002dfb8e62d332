/* SPDX-License-Identifier: Apache-2.0 */
/* Kong's ip-restriction: who may come by address. The lists become sets when the configuration is loaded. */
#include "net/proxy/exchange.h"
#include "net/transport/address_set.h"
#include "plugins/plugins.h"

struct ip_restriction_config {
    struct slices allow, deny;
    int64_t status;
    struct slice message; /* absent: names the address */
    struct address_set allowed, denied;
};

static const char *check_range(struct slice text)
{
    struct address_range range;
    return address_parse_range(text, &range) ? NULL : "invalid ip or cidr range: '{}'";
}

#define OFFSET(member) offsetof(struct ip_restriction_config, member)

static const struct field fields[] = {
    { "allow", FIELD_STRINGS, OFFSET(allow), .check = check_range,
      .help = "addresses and CIDR ranges; only these pass" },
    { "deny", FIELD_STRINGS, OFFSET(deny), .check = check_range,
      .help = "addresses and CIDR ranges that do not pass, allowed or not" },
    { "status", FIELD_INTEGER, OFFSET(status), .min = 200, .max = 599, .fallback = "403",
      .help = "status of a refusal" },
    { "message", FIELD_STRING, OFFSET(message),
      .help = "message of a refusal; default: IP address not allowed, and the address" },
};

/* Texts that are no range were reported, and the load fails: they are left out. */
static bool build(struct address_set *set, const struct slices *texts, struct arena *arena)
{
    struct address_ranges ranges = { arena_array(arena, texts->count + 1u, sizeof(struct address_range)), 0 };
    if (ranges.items == NULL)
        return false;
    for (uint32_t i = 0; i < texts->count; i++)
        ranges.count += address_parse_range(texts->items[i], &ranges.items[ranges.count]);
    return address_set_build(set, &ranges, arena);
}

static void check(void *value, const struct node *node, const struct config_place *place)
{
    struct ip_restriction_config *config = value;
    if (config->allow.count == 0 && config->deny.count == 0)
        schema_error(place, node, "",
                     "at least one of these fields must be non-empty: 'config.allow', 'config.deny'");
    if (!build(&config->allowed, &config->allow, place->arena) ||
        !build(&config->denied, &config->deny, place->arena))
        schema_error(place, node, "", "out of memory");
}

/* Without an address there is nothing to allow, and nothing that a list could deny. */
static bool may_pass(const struct ip_restriction_config *config, struct slice client_ip)
{
    struct address address;
    bool known = address_parse(client_ip, 0, &address);
    if (known && address_set_has(&config->denied, &address))
        return false;
    return config->allow.count == 0 || (known && address_set_has(&config->allowed, &address));
}

static enum verdict on_access(const struct plugin_call *call)
{
    const struct ip_restriction_config *config = call->config;
    struct slice client_ip = exchange_client_ip(call->exchange);
    if (may_pass(config, client_ip))
        return VERDICT_CONTINUE;
    struct slice message = config->message;
    if (message.data == NULL)
        message = arena_format(exchange_arena(call->exchange), "IP address not allowed: %.*s",
                               SLICE_FORMAT(client_ip));
    return exchange_respond_error(call->exchange, (int)config->status, message);
}

const struct plugin ip_restriction_plugin = {
    .kind = { .name = "ip-restriction",
              .priority = 990,
              .serves_streams = true,
              .default_streams = PROTOCOL_BIT(PROTOCOL_TCP) | PROTOCOL_BIT(PROTOCOL_TLS),
              .config = { .name = "ip-restriction",
                          .fields = fields,
                          .field_count = COUNT_OF(fields),
                          .struct_size = sizeof(struct ip_restriction_config),
                          .check = check } },
    .on = { [PHASE_ACCESS] = on_access },
};
