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

/* What the plugin reads by itself, and the common ones; NULL when memory is exhausted. */
static const char *const *join_others(struct kong_reader *reader, const char *const *own)
{
    size_t count = 0;
    while (own && own[count])
        count++;
    if (count == 0)
        return others;
    const char **joined = kong_take(reader, &reader->scratch, count * sizeof(*joined) + sizeof(others));
    if (joined == NULL)
        return NULL;
    memcpy(joined, own, count * sizeof(*joined));
    memcpy(joined + count, others, sizeof(others));
    return joined;
}

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
    one->schema.others = join_others(reader, own->others);
    return one->schema.others != NULL;
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

/* As in Kong: the collection, any workspace, and the key, behind its consumer where others may have it. */
static struct slice id_key(struct kong_reader *reader, const struct kong_owned *one, struct slice given)
{
    const struct credential *credential = one->credential;
    if (given.data == NULL)
        return given;
    if (!credential->kind->per_consumer)
        return arena_format(&reader->scratch, "%s:*:%.*s", credential->kind->name, SLICE_FORMAT(given));
    struct slice consumer = credential->consumer ? slice_of(credential->consumer->entity.id)
                                                 : kong_reference_text(node_find(one->node, "consumer"));
    return arena_format(&reader->scratch, "%s:*:%.*s:%.*s", credential->kind->name, SLICE_FORMAT(consumer),
                        SLICE_FORMAT(given));
}

static struct slice choose_key(struct kong_reader *reader, const struct kong_owned *one)
{
    const struct credential_kind *kind = one->credential->kind;
    struct slice *key = key_of(kind, one->credential), given = *key;
    const struct node *node = node_find(one->node, kind->key_name);
    if (given.data == NULL && kind->generate_key && (node == NULL || node->kind == NODE_NULL))
        *key = generate_key(reader);
    return id_key(reader, one, given);
}

static void keep(struct kong_reader *reader, const struct kong_owned *one)
{
    struct kong_owned *kept = kong_take(reader, &reader->scratch, sizeof(*kept));
    if (kept == NULL)
        return;
    *kept = *one;
    *reader->owned_end = kept;
    reader->owned_end = &kept->next;
}

static void add(struct kong_reader *reader, const struct kong_owned *one, const struct config_place *place)
{
    struct credential *credential = one->credential;
    const struct credential_kind *kind = credential->kind;
    struct kong_index *index = &one->kind->index;
    const struct kong_common *common = (const void *)((const char *)credential + one->kind->common_offset);
    struct kong_identity identity = { index, &credential->entity, common, choose_key(reader, one), NULL };
    struct slice key = *key_of(kind, credential);
    struct kong_unique unique = { &index->names, kind->name, kind->key_name, NULL, key, credential };
    identity.shares_id = common->id.data == NULL; /* derived ones are as unique as the key */
    kong_identify(reader, &identity, one->node, place);
    if (!kind->per_consumer && !kong_unique(reader, &unique, one->node, place))
        return;
    if (key.data == NULL)
        return;
    if (!kind->per_consumer)
        add_to_model(reader, kind, credential, key);
    if (kind->per_consumer || kind->complete)
        keep(reader, one);
}

void kong_read_credential(struct kong_reader *reader, const struct node *node,
                          const struct config_place *place, const struct kong_parent *parent)
{
    struct kong_credential_kind *kind = parent->credential;
    struct credential *credential = kong_take(reader, &reader->model->arena, kind->schema.struct_size);
    if (credential == NULL)
        return;
    schema_read(&kind->schema, node, place, credential);
    credential->kind = kind->kind;
    credential->consumer = parent->consumer;
    credential->entity.index = kind->index.ids.count;
    struct kong_foreign foreign = { &reader->consumers, "consumer", &credential->consumer };
    kong_refer(reader, &foreign, node, place);
    const struct node *consumer = node_find(node, "consumer");
    if (parent->consumer == NULL && (consumer == NULL || consumer->kind == NODE_NULL))
        schema_error(place, node, "consumer", "required field missing");
    struct kong_owned one = { NULL, kind, credential, node, place->path, reader->form };
    add(reader, &one, place);
}

/* Kong knows them by their ids, which say the same when they were derived. */
static void report_twice(const struct credential *first, const struct kong_owned *one,
                         const struct config_place *place)
{
    const struct credential *again = one->credential;
    const char *key_name = again->kind->key_name;
    const struct node *value = node_find(one->node, key_name);
    struct config_place deeper = schema_place(place, key_name);
    bool same_id = strcmp(first->entity.id, again->entity.id) == 0;
    struct report_place at = { .report = place->report,
                               .position = value ? &value->position : &one->node->position,
                               .path = deeper.path,
                               .shape = REPORT_TWICE,
                               .id = again->entity.id };
    report_write(&at, "uniqueness violation: '%s' entity with %s%s set to '%s' already declared",
                 again->kind->name, same_id ? "primary key" : "consumer and ", same_id ? "" : key_name,
                 same_id ? again->entity.id : again->consumer->entity.id);
}

static bool is_only_one(struct kong_reader *reader, const struct kong_owned *one,
                        const struct config_place *place)
{
    const struct credential *credential = one->credential;
    const struct credential_kind *kind = credential->kind;
    struct slice key = *key_of(kind, one->credential);
    struct slice name =
        arena_format(&reader->scratch, "%s:%.*s", credential->consumer->entity.id, SLICE_FORMAT(key));
    void *existing;
    if (name.data == NULL || !map_add(&one->kind->index.names, name, one->credential, &existing))
        return kong_fail_memory(reader);
    if (existing != NULL)
        report_twice(existing, one, place);
    return existing == NULL;
}

void kong_complete_credentials(struct kong_reader *reader)
{
    for (const struct kong_owned *one = reader->owned; one; one = one->next) {
        struct credential *credential = one->credential;
        const struct credential_kind *kind = credential->kind;
        struct config_place place = { reader->report, &reader->scratch, one->path, NULL };
        if (credential->consumer == NULL)
            continue; /* reported as a missing or unknown reference */
        if (kind->complete && !kind->complete(credential, one->form))
            schema_error(&place, one->node, "", "cannot be prepared: out of memory, or SHA-1 is not allowed");
        if (kind->per_consumer && is_only_one(reader, one, &place))
            model_attach_credential(credential);
    }
}
