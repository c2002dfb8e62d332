/* SPDX-License-Identifier: Apache-2.0 */
/* Kong's acl plugin: which groups of consumers may use a route or a service. Consumers are put into groups by
 * entities of kind `acls`. */
#include "plugins/acl.h"

#include "net/proxy/exchange.h"
#include "plugins/plugins.h"

/* --- groups --------------------------------------------------------------------------------------------- */

struct acl_membership {
    struct credential credential;
    struct slice group;
};

static const struct field membership_fields[] = {
    { .name = "group",
      .type = FIELD_STRING,
      .offset = offsetof(struct acl_membership, group),
      .flags = FIELD_REQUIRED,
      .help = "a group the consumer is in; once per consumer" },
};

static const struct schema membership_schema = {
    .name = "acls",
    .fields = membership_fields,
    .field_count = COUNT_OF(membership_fields),
    .struct_size = sizeof(struct acl_membership),
};

static const struct credential_kind membership_kind = {
    .name = "acls",
    .schema = &membership_schema,
    .key_offset = offsetof(struct acl_membership, group),
    .key_name = "group",
    .per_consumer = true,
};

/* The first membership from `credential` on, or NULL. */
static const struct acl_membership *membership_from(const struct credential *credential)
{
    while (credential != NULL && credential->kind != &membership_kind)
        credential = credential->next;
    return (const struct acl_membership *)credential;
}

/* --- configuration -------------------------------------------------------------------------------------- */

struct acl_config {
    struct slices allow, deny;
    bool hide_groups_header;
    bool always_use_authenticated_groups;
    bool include_consumer_groups;
};

static const struct field config_fields[] = {
    { .name = "allow",
      .type = FIELD_STRINGS,
      .offset = offsetof(struct acl_config, allow),
      .help = "groups that pass; this or deny" },
    { .name = "deny",
      .type = FIELD_STRINGS,
      .offset = offsetof(struct acl_config, deny),
      .help = "groups that do not pass; this or allow" },
    { .name = "hide_groups_header",
      .type = FIELD_BOOLEAN,
      .offset = offsetof(struct acl_config, hide_groups_header),
      .fallback = "false",
      .help = "do not send X-Consumer-Groups or X-Authenticated-Groups upstream" },
    { .name = "always_use_authenticated_groups",
      .type = FIELD_BOOLEAN,
      .offset = offsetof(struct acl_config, always_use_authenticated_groups),
      .fallback = "false",
      .help = "groups that another plugin found elsewhere go before the consumer's" },
    { .name = "include_consumer_groups",
      .type = FIELD_BOOLEAN,
      .offset = offsetof(struct acl_config, include_consumer_groups),
      .flags = FIELD_OWN,
      .fallback = "false",
      .help = "names of consumer groups count as groups, too" },
};

static void check_config(void *value, const struct node *node, const struct config_place *place)
{
    const struct acl_config *config = value;
    static const char names[] = "of these fields must be non-empty: 'config.allow', 'config.deny'";
    bool allows = config->allow.count > 0, denies = config->deny.count > 0;
    if (allows == denies)
        schema_error(place, node, "", "exactly one %s", names);
    if (!allows && !denies) /* Kong has both rules */
        schema_error(place, node, "", "at least one %s", names);
}

/* --- requests ------------------------------------------------------------------------------------------- */

/* All groups, one after the other: those found elsewhere, or a consumer's memberships and then its consumer
 * groups if they count. */
struct group_walk {
    struct slices outside; /* the rest of them */
    const struct acl_membership *membership; /* the next one */
    const struct consumer *consumer;
    uint32_t next; /* of consumer->groups */
    uint32_t count;
};

static struct group_walk walk_groups(const struct acl_config *config, const struct consumer *consumer)
{
    return (struct group_walk){ .membership = membership_from(consumer->credentials),
                                .consumer = consumer,
                                .count = config->include_consumer_groups ? consumer->group_count : 0 };
}

static bool next_group(struct group_walk *walk, struct slice *group)
{
    if (walk->outside.count > 0) {
        *group = *walk->outside.items++;
        walk->outside.count--;
        return true;
    }
    if (walk->membership) {
        *group = walk->membership->group;
        walk->membership = membership_from(walk->membership->credential.next);
        return true;
    }
    if (walk->next == walk->count)
        return false;
    *group = walk->consumer->groups[walk->next++]->entity.name;
    return true;
}

static bool is_in_any(struct group_walk walk, const struct slices *groups)
{
    struct slice group;
    while (next_group(&walk, &group))
        if (slices_hold(*groups, group))
            return true;
    return false;
}

bool acl_is_member(const struct consumer *consumer, const struct slices *groups)
{
    struct group_walk walk = { .membership = membership_from(consumer->credentials), .consumer = consumer };
    return is_in_any(walk, groups);
}

/* "gold, staff"; absent when memory is exhausted. */
static struct slice join_groups(struct arena *arena, const struct group_walk *groups)
{
    struct group_walk walk = *groups;
    struct slice group;
    size_t size = 0;
    while (next_group(&walk, &group))
        size += group.size + 2;
    char *text = arena_alloc(arena, size + 1);
    size = 0;
    walk = *groups;
    while (text && next_group(&walk, &group)) {
        if (size > 0) {
            text[size++] = ',';
            text[size++] = ' ';
        }
        if (group.size > 0)
            memcpy(text + size, group.data, group.size);
        size += group.size;
    }
    return (struct slice){ text, size };
}

static enum verdict pass(const struct acl_config *config, struct exchange *exchange,
                         const struct group_walk *walk)
{
    struct slice name =
        walk->outside.count > 0 ? SLICE("X-Authenticated-Groups") : SLICE("X-Consumer-Groups");
    if (config->hide_groups_header)
        return VERDICT_CONTINUE;
    /* Kong sends the header to say that there are no groups, too. */
    struct slice groups = join_groups(exchange_arena(exchange), walk);
    if (groups.data == NULL || !exchange_set_upstream_header(exchange, name, groups))
        return exchange_respond_failure(exchange);
    return VERDICT_CONTINUE;
}

static enum verdict refuse(struct exchange *exchange, bool is_known)
{
    if (!is_known)
        return exchange_respond_error(exchange, 401, SLICE("Unauthorized"));
    return exchange_respond_error(exchange, 403, SLICE("You cannot consume this service"));
}

/* Groups from elsewhere stand for a client without a consumer, and go before those of the anonymous one. */
static bool counts_outside(const struct acl_config *config, const struct exchange *exchange)
{
    return exchange_groups(exchange).count > 0 &&
           (config->always_use_authenticated_groups || exchange_consumer(exchange) == NULL ||
            exchange_credential(exchange) == NULL);
}

static enum verdict acl_access(const struct plugin_call *call)
{
    const struct acl_config *config = call->config;
    struct exchange *exchange = call->exchange;
    const struct consumer *consumer = exchange_consumer(exchange);
    struct group_walk groups = { .outside = { NULL, 0 } };
    if (counts_outside(config, exchange))
        groups.outside = exchange_groups(exchange);
    else if (consumer == NULL)
        return refuse(exchange, exchange_credential(exchange) != NULL);
    else
        groups = walk_groups(config, consumer);
    bool has_groups = groups.outside.count > 0 || groups.membership != NULL || groups.count > 0;
    bool passes =
        config->deny.count > 0 ? !is_in_any(groups, &config->deny) : is_in_any(groups, &config->allow);
    if (passes)
        return pass(config, exchange, &groups);
    return refuse(exchange, has_groups || exchange_credential(exchange) != NULL);
}

const struct plugin acl_plugin = {
    .kind = { .name = "acl",
              .priority = 950,
              .config = { .name = "acl",
                          .fields = config_fields,
                          .field_count = COUNT_OF(config_fields),
                          .struct_size = sizeof(struct acl_config),
                          .check = check_config },
              .credentials = &membership_kind,
              .described_without_consumer = true },
    .on = { [PHASE_ACCESS] = acl_access },
};
