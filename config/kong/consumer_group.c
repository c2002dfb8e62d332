/* SPDX-License-Identifier: Apache-2.0 */
/* Groups of consumers, and who is in them: as Kong exports it (consumer_group_consumers) and as decK writes
 * it (groups of a consumer, consumers of a group). */
#include "config/kong/index.h"

struct kong_group {
    struct consumer_group group;
    struct kong_common common;
};

#define AT(member) offsetof(struct kong_group, member)

static const struct field fields[] = {
    { "name", FIELD_STRING, AT(group.entity.name), .flags = FIELD_REQUIRED, .check = kong_check_name,
      .help = "unique" },
    KONG_COMMON_FIELDS(struct kong_group, group.entity),
};

static const char *const others[] = {
    "plugins", "consumers", "consumer_group_consumers", "consumer_group_plugins", "_comment", "_ignore", NULL,
};

const struct schema kong_consumer_group_schema = {
    .name = "consumer_groups",
    .fields = fields,
    .field_count = COUNT_OF(fields),
    .struct_size = sizeof(struct kong_group),
    .others = others,
};

/* --- who is in it --------------------------------------------------------------------------------------- */

/* One consumer in one group; either is set by the entity around, or a reference. */
struct membership {
    struct consumer *consumer;
    struct consumer_group *group;
    struct kong_common common;
    struct slices tags;
    struct slice name; /* of the other one, where it is written like an entity */
};

static const struct field membership_fields[] = {
    { "created_at", FIELD_INTEGER, offsetof(struct membership, common.created_at),
      .help = "seconds since 1970" },
    { "updated_at", FIELD_INTEGER, offsetof(struct membership, common.updated_at),
      .help = "seconds since 1970" },
};
static const char *const membership_others[] = { "consumer", "consumer_group", "_comment", "_ignore", NULL };

const struct schema kong_membership_schema = {
    .name = "consumer_group_consumers",
    .fields = membership_fields,
    .field_count = COUNT_OF(membership_fields),
    .struct_size = sizeof(struct membership),
    .others = membership_others,
};

static const struct field named_fields[] = {
    { "name", FIELD_STRING, offsetof(struct membership, name) },
    { "id", FIELD_STRING, offsetof(struct membership, common.id), .check = kong_check_id },
    { "tags", FIELD_STRINGS, offsetof(struct membership, tags), .check = kong_check_tag },
};

/* consumers[].groups, consumer_groups[].consumers */
static const struct schema named_group_schema = {
    .name = "groups",
    .fields = named_fields,
    .field_count = COUNT_OF(named_fields),
    .struct_size = sizeof(struct membership),
};
static const struct field named_consumer_fields[] = {
    { "username", FIELD_STRING, offsetof(struct membership, name) },
    { "id", FIELD_STRING, offsetof(struct membership, common.id), .check = kong_check_id },
    { "tags", FIELD_STRINGS, offsetof(struct membership, tags), .check = kong_check_tag },
};
static const struct schema named_consumer_schema = {
    .name = "consumers",
    .fields = named_consumer_fields,
    .field_count = COUNT_OF(named_consumer_fields),
    .struct_size = sizeof(struct membership),
};

static void report_twice(struct kong_reader *reader, const struct kong_later *later, const char *field)
{
    const struct membership *membership = later->entity;
    struct config_place place = { .report = reader->report, .arena = &reader->scratch, .path = later->path };
    place = schema_place(&place, field);
    struct report_place at = { .report = reader->report,
                               .position = &later->node->position,
                               .path = place.path,
                               .shape = REPORT_TWICE };
    report_write(&at,
                 "uniqueness violation: 'consumer_group_consumers' entity with primary key set to '%s:%s' "
                 "already declared",
                 membership->group->entity.id, membership->consumer->entity.id);
}

/* Into the consumer's list, which is sorted by name. */
static void join(struct kong_reader *reader, const struct kong_later *later)
{
    const struct membership *membership = later->entity;
    struct consumer *consumer = membership->consumer;
    if (consumer == NULL || membership->group == NULL)
        return; /* reported as a missing or unknown reference */
    uint32_t count = consumer->group_count, at = count;
    for (; at > 0; at--) {
        const struct consumer_group *before = consumer->groups[at - 1];
        if (before == membership->group) {
            report_twice(reader, later, "consumer_group");
            return;
        }
        if (slice_compare(before->entity.name, membership->group->entity.name) <= 0)
            break;
    }
    /* Full at 0 and at each power of two: the array doubles. */
    if ((count & (count - 1)) == 0) {
        struct consumer_group **groups =
            kong_take(reader, &reader->model->arena, (count * 2u + 1) * sizeof(struct consumer_group *));
        if (groups == NULL)
            return;
        if (count)
            memcpy(groups, consumer->groups, count * sizeof(struct consumer_group *));
        consumer->groups = groups;
    }
    memmove(&consumer->groups[at + 1], &consumer->groups[at], (count - at) * sizeof(struct consumer_group *));
    consumer->groups[at] = membership->group;
    consumer->group_count++;
}

static struct membership *begin(struct kong_reader *reader, const struct schema *schema,
                                const struct node *node, const struct config_place *place)
{
    struct membership *membership = kong_take(reader, &reader->scratch, sizeof(*membership));
    if (membership != NULL) {
        schema_read(schema, node, place, membership);
        kong_later(reader, &(struct kong_later){ NULL, join, membership, node, place->path });
    }
    return membership;
}

void kong_read_membership(struct kong_reader *reader, const struct node *node,
                          const struct config_place *place, const struct kong_parent *parent)
{
    struct membership *membership = begin(reader, &kong_membership_schema, node, place);
    if (membership == NULL)
        return;
    membership->consumer = parent->consumer;
    membership->group = parent->group;
    struct kong_foreign consumer = { &reader->consumers, "consumer", &membership->consumer };
    struct kong_foreign group = { &reader->consumer_groups, "consumer_group", &membership->group };
    kong_refer_required(reader, &consumer, node, place);
    kong_refer_required(reader, &group, node, place);
}

/* The other side by its name, else by its id. */
static void refer_by_name(struct kong_reader *reader, const struct kong_foreign *foreign,
                          const struct node *node, const struct config_place *place)
{
    const struct node *name = node_find(node, foreign->field), *id = node_find(node, "id");
    struct kong_foreign by_id = { foreign->index, "id", foreign->target };
    if (name != NULL && name->kind != NODE_NULL)
        kong_refer(reader, foreign, node, place);
    else if (id != NULL && id->kind != NODE_NULL)
        kong_refer(reader, &by_id, node, place);
    else
        schema_error(place, node, "", "at least one of these fields must be non-empty: 'id', '%s'",
                     foreign->field);
}

void kong_read_group_of_consumer(struct kong_reader *reader, const struct node *node,
                                 const struct config_place *place, const struct kong_parent *parent)
{
    struct membership *membership = begin(reader, &named_group_schema, node, place);
    if (membership == NULL)
        return;
    membership->consumer = parent->consumer;
    struct kong_foreign group = { &reader->consumer_groups, "name", &membership->group };
    refer_by_name(reader, &group, node, place);
}

static void read_consumer_of_group(struct kong_reader *reader, const struct node *node,
                                   const struct config_place *place, const struct kong_parent *parent)
{
    struct membership *membership = begin(reader, &named_consumer_schema, node, place);
    if (membership == NULL)
        return;
    membership->group = parent->group;
    struct kong_foreign consumer = { &reader->consumers, "username", &membership->consumer };
    refer_by_name(reader, &consumer, node, place);
}

/* --- the groups ----------------------------------------------------------------------------------------- */

/* A plugin for a group, in the collection that has only such. */
void kong_read_group_plugin(struct kong_reader *reader, const struct node *node,
                            const struct config_place *place, const struct kong_parent *parent)
{
    const struct node *group = node_find(node, "consumer_group");
    kong_read_plugin(reader, node, place, parent);
    if (parent->group == NULL && (group == NULL || group->kind == NODE_NULL))
        schema_error(place, node, "consumer_group", "required field missing");
}

static void read_children(struct kong_reader *reader, struct consumer_group *group, const struct node *node,
                          const struct config_place *place)
{
    static const struct {
        const char *name;
        kong_read_fn *read;
    } children[] = {
        { "plugins", kong_read_plugin },
        { "consumers", read_consumer_of_group },
        { "consumer_group_consumers", kong_read_membership },
        { "consumer_group_plugins", kong_read_group_plugin },
    };
    struct kong_parent inner = { .group = group };
    for (size_t i = 0; i < COUNT_OF(children); i++) {
        struct config_place deeper = kong_place(reader, place, children[i].name);
        kong_read_array(reader, node_find(node, children[i].name), &deeper, children[i].read, &inner);
    }
}

void kong_read_consumer_group(struct kong_reader *reader, const struct node *node,
                              const struct config_place *place, const struct kong_parent *parent)
{
    struct model *model = reader->model;
    struct kong_group *wide = kong_take(reader, &model->arena, sizeof(*wide));
    struct consumer_group **items = model_reserve(
        model, model->consumer_groups.items, model->consumer_groups.count, &model->consumer_groups.capacity);
    (void)parent;
    if (wide == NULL || items == NULL) {
        kong_fail_memory(reader);
        return;
    }
    struct consumer_group *group = &wide->group;
    schema_read(&kong_consumer_group_schema, node, place, wide);
    model->consumer_groups.items = items;
    group->entity.index = model->consumer_groups.count;
    items[model->consumer_groups.count++] = group;
    struct kong_identity identity = { &reader->consumer_groups, &group->entity, &wide->common,
                                      group->entity.name, "name" };
    kong_identify(reader, &identity, node, place);
    read_children(reader, group, node, place);
}
