/* SPDX-License-Identifier: Apache-2.0 */
/* Kong's acl plugin: which groups of consumers may use a route or a service. Consumers are put into groups by
 * entities of kind `acls`. */
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
      .help = "do not send X-Consumer-Groups upstream" },
    { .name = "always_use_authenticated_groups",
      .type = FIELD_BOOLEAN,
      .offset = offsetof(struct acl_config, always_use_authenticated_groups),
      .fallback = "false",
      .help = "prefer the groups that a plugin found outside (ldap-auth ...); no plugin of this build does" },
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

static bool holds(const struct slices *groups, struct slice group)
{
    for (uint32_t i = 0; i < groups->count; i++)
        if (slice_equal(groups->items[i], group))
            return true;
    return false;
}

static bool is_in_any(const struct consumer *consumer, const struct slices *groups)
{
    const struct acl_membership *one = membership_from(consumer->credentials);
    for (; one != NULL; one = membership_from(one->credential.next))
        if (holds(groups, one->group))
            return true;
    return false;
}

/* "gold, staff"; absent when memory is exhausted. */
static struct slice join_groups(struct arena *arena, const struct consumer *consumer)
{
    size_t size = 0;
    const struct acl_membership *one = membership_from(consumer->credentials);
    for (; one != NULL; one = membership_from(one->credential.next))
        size += one->group.size + 2;
    char *text = arena_alloc(arena, size + 1);
    size = 0;
    for (one = membership_from(consumer->credentials); text && one;
         one = membership_from(one->credential.next)) {
        if (size > 0) {
            text[size++] = ',';
            text[size++] = ' ';
        }
        memcpy(text + size, one->group.data, one->group.size);
        size += one->group.size;
    }
    return (struct slice){ text, size };
}

static enum verdict pass(const struct acl_config *config, struct exchange *exchange,
                         const struct consumer *consumer)
{
    if (config->hide_groups_header)
        return VERDICT_CONTINUE;
    /* Kong sends the header to say that there are no groups, too. */
    struct slice groups = join_groups(exchange_arena(exchange), consumer);
    if (groups.data == NULL || !exchange_set_upstream_header(exchange, SLICE("X-Consumer-Groups"), groups))
        return exchange_respond_failure(exchange);
    return VERDICT_CONTINUE;
}

static enum verdict acl_access(const struct plugin_call *call)
{
    const struct acl_config *config = call->config;
    struct exchange *exchange = call->exchange;
    const struct consumer *consumer = exchange_consumer(exchange);
    if (consumer == NULL)
        return exchange_respond_error(exchange, 401, SLICE("Unauthorized"));
    bool has_groups = membership_from(consumer->credentials) != NULL;
    bool passes =
        config->deny.count > 0 ? !is_in_any(consumer, &config->deny) : is_in_any(consumer, &config->allow);
    if (passes)
        return pass(config, exchange, consumer);
    if (!has_groups && exchange_credential(exchange) == NULL)
        return exchange_respond_error(exchange, 401, SLICE("Unauthorized"));
    return exchange_respond_error(exchange, 403, SLICE("You cannot consume this service"));
}

const struct plugin acl_plugin = {
    .kind = { .name = "acl",
              .priority = 950,
              .config = { .name = "acl",
                          .fields = config_fields,
                          .field_count = COUNT_OF(config_fields),
                          .struct_size = sizeof(struct acl_config),
                          .check = check_config },
              .credentials = &membership_kind },
    .on = { [PHASE_ACCESS] = acl_access },
};
