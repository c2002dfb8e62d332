/* SPDX-License-Identifier: Apache-2.0 */
#include "config/kong/index.h"

struct kong_consumer {
    struct consumer consumer;
    struct kong_common common;
};

#define AT(member) offsetof(struct kong_consumer, member)

static const struct field fields[] = {
    { "username", FIELD_STRING, AT(consumer.entity.name), .help = "unique; this or custom_id is required" },
    { "custom_id", FIELD_STRING, AT(consumer.custom_id), .help = "unique; the name in another system" },
    KONG_COMMON_FIELDS(struct kong_consumer, consumer.entity),
};

const struct schema kong_consumer_schema = {
    .name = "consumers",
    .fields = fields,
    .field_count = COUNT_OF(fields),
    .struct_size = sizeof(struct kong_consumer),
};

static struct consumer *add(struct kong_reader *reader, struct kong_consumer *wide, const struct node *node,
                            const struct config_place *place)
{
    struct model *model = reader->model;
    struct consumer **items =
        model_reserve(model, model->consumers.items, model->consumers.count, &model->consumers.capacity);
    if (wide == NULL || items == NULL) {
        kong_fail_memory(reader);
        return NULL;
    }
    struct schema schema = kong_consumer_schema;
    schema.others = reader->consumer_keys;
    schema_read(&schema, node, place, wide);
    struct consumer *consumer = &wide->consumer;
    if (!kong_is_given(node, "username") && !kong_is_given(node, "custom_id"))
        schema_error(place, node, "",
                     "at least one of these fields must be non-empty: 'custom_id', 'username'");
    model->consumers.items = items;
    consumer->entity.index = model->consumers.count;
    items[model->consumers.count++] = consumer;
    return consumer;
}

static bool is_read_elsewhere(struct slice key)
{
    return slice_equal(key, SLICE("_comment")) || slice_equal(key, SLICE("_ignore")) ||
           schema_find(&kong_consumer_schema, key) != NULL;
}

static bool is_known(struct kong_reader *reader, struct slice key)
{
    for (const char *const *name = reader->consumer_keys; *name; name++)
        if (slice_equal(key, slice_of(*name)))
            return true;
    return false;
}

static void read_children(struct kong_reader *reader, struct consumer *consumer, const struct node *node,
                          const struct config_place *place)
{
    for (uint32_t i = 0; i < node->count; i++) {
        const struct node_entry *entry = &node->entries[i];
        if (is_read_elsewhere(entry->key) || !is_known(reader, entry->key))
            continue;
        struct kong_parent inner = { .consumer = consumer };
        struct config_place deeper = kong_place(reader, place, entry->key.data);
        inner.credential = kong_find_credential(reader, entry->key);
        if (slice_equal(entry->key, SLICE("groups")))
            kong_read_array(reader, entry->value, &deeper, kong_read_group_of_consumer, &inner);
        else if (slice_equal(entry->key, SLICE("consumer_group_consumers")))
            kong_read_array(reader, entry->value, &deeper, kong_read_membership, &inner);
        else if (slice_equal(entry->key, SLICE("plugins")))
            kong_read_array(reader, entry->value, &deeper, kong_read_plugin, &inner);
        else if (inner.credential)
            kong_read_array(reader, entry->value, &deeper, kong_read_credential, &inner);
        else
            kong_refuse_collection(reader, entry->value, &deeper);
    }
}

void kong_read_consumer(struct kong_reader *reader, const struct node *node, const struct config_place *place,
                        const struct kong_parent *parent)
{
    struct kong_consumer *wide = kong_take(reader, &reader->model->arena, sizeof(*wide));
    struct consumer *consumer = add(reader, wide, node, place);
    (void)parent;
    if (consumer == NULL)
        return;
    struct kong_identity identity = { &reader->consumers, &consumer->entity, &wide->common,
                                      consumer->entity.name, "username" };
    kong_identify(reader, &identity, node, place);
    if (!model_index_consumer(reader->model, consumer))
        kong_fail_memory(reader);
    struct kong_unique custom_id = { &reader->custom_ids.names, "consumers", "custom_id", NULL,
                                     consumer->custom_id,       consumer };
    kong_unique(reader, &custom_id, node, place);
    read_children(reader, consumer, node, place);
}
