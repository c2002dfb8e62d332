/* SPDX-License-Identifier: Apache-2.0 */
#include "config/kong/index.h"

enum { GENERATED_KEY_SIZE = 32 };

static const char *const others[] = { "consumer", "_comment", "_ignore", NULL };

/* Rows every credential has, with offsets from its struct kong_common but for the tags. */
static const struct field common_fields[] = {
    { "id", FIELD_STRING, offsetof(struct kong_common, id), .check = kong_check_id,
      .help = "a UUID; derived from the key when missing" },
    { "created_at", FIELD_INTEGER, offsetof(struct kong_common, created_at), .help = "seconds since 1970" },
    { "updated_at", FIELD_INTEGER, offsetof(struct kong_common, updated_at), .help = "seconds since 1970" },
};
static const struct field tags_field = { "tags", FIELD_STRINGS, offsetof(struct credential, entity.tags),
                                         .check = kong_check_tag };

/* One table of the plugin's rows and the common ones, which are read behind the plugin's struct. */
bool kong_credential_init(struct kong_reader *reader, struct kong_credential_kind *one,
                          const struct credential_kind *kind)
{
    const struct schema *own = kind->schema;
    size_t count = own->field_count + COUNT_OF(common_fields) + 1;
    struct field *fields = kong_take(reader, &reader->scratch, count * sizeof(*fields));
    if (fields == NULL || !kong_index_init(reader, &one->index, kind->name))
        return false;
    memcpy(fields, own->fields, own->field_count * sizeof(*fields));
    struct field *next = fields + own->field_count;
    one->common_offset = (own->struct_size + 7u) & ~(size_t)7u;
    for (size_t i = 0; i < COUNT_OF(common_fields); i++) {
        next[i] = common_fields[i];
        next[i].offset += one->common_offset;
    }
    next[COUNT_OF(common_fields)] = tags_field;
    one->kind = kind;
    one->schema = *own;
    one->schema.fields = fields;
    one->schema.field_count = count;
    one->schema.struct_size = one->common_offset + sizeof(struct kong_common);
    one->schema.others = others;
    return true;
}

struct kong_credential_kind *kong_find_credential(struct kong_reader *reader, struct slice name)
{
    for (uint32_t i = 0; i < reader->credential_count; i++) {
        const struct credential_kind *kind = reader->credentials[i].kind;
        if (slice_equal(name, slice_of(kind->name)))
            return &reader->credentials[i];
        for (const char *const *alias = kind->aliases; alias && *alias; alias++)
            if (slice_equal(name, slice_of(*alias)))
                return &reader->credentials[i];
    }
    return NULL;
}

static struct slice *key_of(const struct credential_kind *kind, struct credential *credential)
{
    return (struct slice *)(void *)((char *)credential + kind->key_offset);
}

static struct slice generate_key(struct kong_reader *reader)
{
    char *text = kong_take(reader, &reader->model->arena, GENERATED_KEY_SIZE + 1);
    if (text == NULL)
        return (struct slice){ NULL, 0 };
    random_alphanumeric(text, GENERATED_KEY_SIZE);
    return (struct slice){ text, GENERATED_KEY_SIZE };
}

static void add_to_model(struct kong_reader *reader, const struct credential_kind *kind,
                         struct credential *credential, struct slice key)
{
    struct slice name = model_credential_key(&reader->model->arena, kind, key);
    if (name.data == NULL || !map_add(&reader->model->credentials, name, credential, NULL))
        kong_fail_memory(reader);
}

void kong_read_credential(struct kong_reader *reader, const struct node *node,
                          const struct config_place *place, const struct kong_parent *parent)
{
    struct kong_credential_kind *one = parent->credential;
    const struct credential_kind *kind = one->kind;
    struct credential *credential = kong_take(reader, &reader->model->arena, one->schema.struct_size);
    if (credential == NULL)
        return;
    schema_read(&one->schema, node, place, credential);
    credential->consumer = parent->consumer;
    struct kong_foreign foreign = { &reader->consumers, "consumer", &credential->consumer };
    kong_refer(reader, &foreign, node, place);
    const struct node *consumer = node_find(node, "consumer");
    if (parent->consumer == NULL && (consumer == NULL || consumer->kind == NODE_NULL))
        schema_error(place, node, "consumer", "required field missing");

    struct slice *key = key_of(kind, credential);
    struct slice given = *key;
    const struct node *key_node = node_find(node, kind->key_name);
    if (key->data == NULL && kind->generate_key && (key_node == NULL || key_node->kind == NODE_NULL))
        *key = generate_key(reader);
    credential->entity.index = one->index.ids.count;
    struct kong_unique unique = { &one->index.names, kind->name, kind->key_name, NULL, *key, credential };
    const struct kong_common *common = (const void *)((const char *)credential + one->common_offset);
    struct kong_identity identity = { &one->index, &credential->entity, common, given, NULL };
    if (!kong_unique(reader, &unique, node, place))
        return;
    kong_identify(reader, &identity, node, place);
    if (key->data != NULL)
        add_to_model(reader, kind, credential, *key);
}
