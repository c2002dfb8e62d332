/* SPDX-License-Identifier: Apache-2.0 */
/* Kong Enterprise's canary: sends a share of the requests to a new version, a fixed one or one that grows
 * with time, or those of some consumers. Who is sent there follows from a hash that all nodes agree on. */
#include "config/detour.h"
#include "config/kong/checks.h"
#include "core/io/shard.h"
#include "net/proxy/balancer_hash.h"
#include "net/proxy/exchange_edit.h"
#include "plugins/acl.h"
#include "plugins/plugins.h"
#include "plugins/share.h"

#include <math.h>
#include <time.h>

enum canary_hash { HASH_BY_CONSUMER, HASH_BY_IP, HASH_BY_NOTHING, HASH_ALLOW, HASH_DENY, HASH_BY_HEADER };

struct canary_config {
    double start_s, duration_s, percentage; /* percentage NAN: by time */
    int64_t steps;
    int hash; /* enum canary_hash */
    struct slice hash_header, header_name;
    struct slices groups;
    struct slice host, uri; /* absent: as the service says */
    int64_t port; /* INTEGER_NULL: as the service says */
    bool fallback;
    struct detour detour; /* linked: to the canary */
};

static const char *const hash_names[] = { "consumer", "ip", "none", "allow", "deny", "header", NULL };

#define OFFSET(member) offsetof(struct canary_config, member)

static const struct field fields[] = {
    { "start", FIELD_NUMBER, OFFSET(start_s), .max = 1e11,
      .help = "when the release begins, in seconds since 1970; default: when the configuration is loaded" },
    { "duration", FIELD_NUMBER, OFFSET(duration_s), .max = 1e10, .fallback = "3600",
      .help = "seconds until all requests go to the new version" },
    { "percentage", FIELD_NUMBER, OFFSET(percentage), .max = 100,
      .help = "a fixed share of the requests; start and duration do not count then" },
    { "steps", FIELD_INTEGER, OFFSET(steps), .min = 1, .max = 1000000, .fallback = "1000",
      .help = "how many parts the requests are divided into; the share grows part by part" },
    { "hash", FIELD_CHOICE, OFFSET(hash), .choices = hash_names, .fallback = "consumer",
      .help = "what a request's part is found by; allow and deny: groups decide instead" },
    { "hash_header", FIELD_STRING, OFFSET(hash_header), .check = kong_check_header_name,
      .help = "the header that is hashed, with hash: header" },
    { "groups", FIELD_STRINGS, OFFSET(groups),
      .help = "groups of consumers (acls) that use the new version, or do not" },
    { "canary_by_header_name", FIELD_STRING, OFFSET(header_name), .check = kong_check_header_name,
      .help = "a header by which clients choose: always or never" },
    { "upstream_host", FIELD_STRING, OFFSET(host), .check = kong_check_host,
      .help = "host of the new version: a name, an address, or the name of an upstream" },
    { "upstream_port", FIELD_INTEGER, OFFSET(port), .max = 65535, .help = "port of the new version" },
    { "upstream_uri", FIELD_STRING, OFFSET(uri), .check = kong_check_path,
      .help = "path that is asked of the new version instead of the request's" },
    { "upstream_fallback", FIELD_BOOLEAN, OFFSET(fallback), .fallback = "false",
      .help = "leave requests where they are while the new version has no healthy address" },
};

/* --- configuration -------------------------------------------------------------------------------------- */

static void check_start(struct canary_config *config, const struct node *node,
                        const struct config_place *place)
{
    bool by_time = isnan(config->percentage) && config->hash != HASH_ALLOW && config->hash != HASH_DENY;
    if (!isnan(config->start_s))
        return;
    config->start_s = (double)time(NULL);
    if (by_time)
        report_add(place->report, REPORT_WARNING, node ? &node->position : place->position, place->path,
                   "no start is given: the release begins anew whenever this is loaded, on each node");
}

static void check(void *value, const struct node *node, const struct config_place *place)
{
    struct canary_config *config = value;
    if (config->host.data == NULL && config->uri.data == NULL && config->port == INTEGER_NULL)
        schema_error(place, node, "",
                     "at least one of these fields must be non-empty: 'config.upstream_uri', "
                     "'config.upstream_host', 'config.upstream_port'");
    if (config->hash == HASH_BY_HEADER && config->hash_header.data == NULL)
        schema_error(place, node, "hash_header", "required field missing");
    if ((config->hash == HASH_ALLOW || config->hash == HASH_DENY) && config->groups.count == 0)
        schema_error(place, node, "groups", "required field missing");
    if (config->fallback && config->host.data == NULL)
        schema_error(place, node, "upstream_host", "required field missing");
    check_start(config, node, place);
}

static bool link_services(struct model *model, struct plugin_instance *instance, struct report *report)
{
    (void)report;
    struct canary_config *config = instance->config;
    struct detour_place place = { config->host, config->port };
    if (config->host.data == NULL && config->port == INTEGER_NULL)
        return true;
    return detour_build(&config->detour, model, instance, &place);
}

/* --- requests ------------------------------------------------------------------------------------------- */

/* The text whose hash decides; absent: nothing is known of the client. */
static struct slice identity_of(const struct canary_config *config, const struct exchange *exchange)
{
    struct slice text = { NULL, 0 };
    if (config->hash == HASH_BY_NOTHING)
        return text;
    if (config->hash == HASH_BY_HEADER)
        text = message_find_name(exchange_request(exchange), config->hash_header);
    const struct consumer *consumer = exchange_consumer(exchange);
    if (text.size == 0 && config->hash != HASH_BY_IP && consumer)
        text = slice_of(consumer->entity.id);
    return text.size > 0 ? text : exchange_client_ip(exchange);
}

/* From 0 to steps - 1. */
static uint32_t part_of(const struct canary_config *config, const struct exchange *exchange)
{
    struct slice identity = identity_of(config, exchange);
    if (identity.size == 0)
        return (uint32_t)(share_draw(exchange, SHARE_CANARY) / 100 * (double)config->steps);
    return (uint32_t)((uint64_t)balancer_hash(identity, 0) * (uint64_t)config->steps >> 32);
}

/* How many of the parts are the canary's now. */
static uint32_t parts_now(const struct canary_config *config, const struct exchange *exchange)
{
    double steps = (double)config->steps, share = config->percentage / 100;
    if (isnan(config->percentage)) {
        double passed_s = (double)exchange_shard(exchange)->wall_ms / 1000 - config->start_s;
        share = passed_s < 0 ? 0 : config->duration_s > passed_s ? passed_s / config->duration_s : 1;
    }
    return (uint32_t)(share * steps + 1e-9); /* 7 % of 100 are 7 parts, whatever doubles make of it */
}

/* Clients that say what they want get it. */
static bool is_told(const struct canary_config *config, const struct exchange *exchange, bool *chosen)
{
    if (config->header_name.data == NULL)
        return false;
    struct slice value = message_find_name(exchange_request(exchange), config->header_name);
    *chosen = slice_equal(value, SLICE("always"));
    return *chosen || slice_equal(value, SLICE("never"));
}

static bool is_chosen(const struct canary_config *config, const struct exchange *exchange)
{
    bool chosen;
    if (is_told(config, exchange, &chosen))
        return chosen;
    const struct consumer *consumer = exchange_consumer(exchange);
    if (config->hash == HASH_ALLOW)
        return consumer && acl_is_member(consumer, &config->groups);
    if (config->hash == HASH_DENY)
        return consumer == NULL || !acl_is_member(consumer, &config->groups);
    uint32_t parts = parts_now(config, exchange);
    const struct backend sides[] = { { .weight = parts }, { .weight = (uint32_t)config->steps - parts } };
    return backend_at(sides, COUNT_OF(sides), part_of(config, exchange)) == &sides[0];
}

static enum verdict on_access(const struct plugin_call *call)
{
    const struct canary_config *config = call->config;
    struct exchange *exchange = call->exchange;
    const struct service *service = exchange_service(exchange);
    if (service == NULL || !is_chosen(config, exchange))
        return VERDICT_CONTINUE;
    const struct service *canary = detour_find(&config->detour, service);
    if (canary && config->fallback && !exchange_can_reach(exchange, canary))
        return VERDICT_CONTINUE;
    if (canary)
        exchange_set_service(exchange, canary);
    if (config->uri.data)
        exchange_set_upstream_path(exchange, config->uri);
    return VERDICT_CONTINUE;
}

const struct plugin canary_plugin = {
    .kind = { .name = "canary",
              .priority = 20,
              .config = { .name = "canary",
                          .fields = fields,
                          .field_count = COUNT_OF(fields),
                          .struct_size = sizeof(struct canary_config),
                          .check = check },
              .link = link_services },
    .on = { [PHASE_ACCESS] = on_access },
};
