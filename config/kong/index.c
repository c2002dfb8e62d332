/* SPDX-License-Identifier: Apache-2.0 */
/* Names, ids and references of entities. */
#include "config/kong/index.h"

/* Kong's namespace for derived ids; each kind of entity has its own below it. */
static const unsigned char root_space[UUID_BYTES] = {
    0xfd, 0x02, 0x80, 0x1f, 0x09, 0x57, 0x4a, 0x15, 0xa5, 0x5a, 0xc8, 0xd9, 0x60, 0x6f, 0x30, 0xb5,
};

bool kong_index_init(struct kong_reader *reader, struct kong_index *index, const char *kind)
{
    index->kind = kind;
    map_init(&index->ids, &reader->scratch);
    map_init(&index->names, &reader->scratch);
    return uuid_of_name(root_space, slice_of(kind), index->space);
}

bool kong_unique(struct kong_reader *reader, const struct kong_unique *unique, const struct node *node,
                 const struct config_place *place)
{
    if (unique->value.data == NULL)
        return true;
    void *existing;
    if (!map_add(unique->map, unique->value, unique->owner, &existing))
        return kong_fail_memory(reader);
    if (existing == NULL)
        return true;
    const struct node *value = node_find(node, unique->field);
    const struct entity *entity = unique->owner;
    struct config_place deeper = schema_place(place, unique->field);
    struct report_place at = { .report = reader->report,
                               .position = value ? &value->position : &node->position,
                               .path = deeper.path,
                               .shape = REPORT_TWICE,
                               .id = entity->id[0] ? entity->id : NULL };
    report_write(&at, "uniqueness violation: '%s' entity with %s set to '%.*s' already declared",
                 unique->kind, unique->label ? unique->label : unique->field, SLICE_FORMAT(unique->value));
    return false;
}

static bool derive_id(const struct kong_identity *identity)
{
    struct entity *entity = identity->entity;
    unsigned char bytes[UUID_BYTES];
    if (identity->key.data == NULL || !uuid_of_name(identity->index->space, identity->key, bytes))
        return false;
    uuid_write(bytes, entity->id);
    return true;
}

static void set_id(struct kong_reader *reader, const struct kong_identity *identity)
{
    struct slice given = identity->common->id;
    struct entity *entity = identity->entity;
    if (given.data == NULL) {
        if (!derive_id(identity))
            uuid_random(&reader->random, entity->id);
        return;
    }
    /* One that is no UUID was reported; cut to fit it does no harm. */
    size_t size = given.size < sizeof(entity->id) ? given.size : sizeof(entity->id) - 1;
    for (size_t i = 0; i < size; i++)
        entity->id[i] = slice_lower(given.data[i]);
    entity->id[size] = '\0';
}

/* The two places in every entity for what is not read. */
static void check_notes(const struct node *node, const struct config_place *place)
{
    const struct node *comment = node_find(node, "_comment"), *ignored = node_find(node, "_ignore");
    if (comment && comment->kind != NODE_NULL && comment->kind != NODE_STRING)
        schema_error(place, node, "_comment", "expected a string");
    if (ignored && ignored->kind != NODE_NULL && ignored->kind != NODE_SEQUENCE)
        schema_error(place, node, "_ignore", "expected an array");
}

/* Milliseconds; what is no time stands for the time of the load. */
static int64_t time_of(struct kong_reader *reader, int64_t seconds)
{
    bool good = seconds > 0 && seconds < INT64_MAX / 1000;
    return 1000 * (good ? seconds : reader->now_s);
}

static void set_times(struct kong_reader *reader, const struct kong_identity *identity,
                      const struct node *node, const struct config_place *place)
{
    const struct kong_common *common = identity->common;
    if (common->created_at != INTEGER_NULL && common->created_at <= 0)
        schema_error(place, node, "created_at", "expected a valid timestamp");
    if (common->updated_at != INTEGER_NULL && common->updated_at <= 0)
        schema_error(place, node, "updated_at", "expected a valid timestamp");
    identity->entity->created_at_ms = time_of(reader, common->created_at);
    identity->entity->updated_at_ms = time_of(reader, common->updated_at);
}

/* For the catalog. */
static void note(struct kong_reader *reader, struct entity *entity, const struct node *node)
{
    if (reader->model->catalog == NULL)
        return;
    const struct node **address = kong_take(reader, &reader->scratch, sizeof(*address));
    if (address == NULL)
        return;
    *address = node;
    struct slice key = { (const char *)address, sizeof(*address) };
    if (!map_add(&reader->identified, key, entity, NULL))
        kong_fail_memory(reader);
}

void kong_identify(struct kong_reader *reader, const struct kong_identity *identity, const struct node *node,
                   const struct config_place *place)
{
    struct kong_index *index = identity->index;
    struct entity *entity = identity->entity;
    entity->position = node->position;
    entity->position.file = reader->file;
    check_notes(node, place);
    set_times(reader, identity, node, place);
    set_id(reader, identity);
    note(reader, entity, node);
    struct kong_unique name = {
        &index->names, index->kind, identity->name_field, NULL, entity->name, entity
    };
    if (identity->name_field && !kong_unique(reader, &name, node, place))
        return; /* a derived id is taken too: once is enough */
    if (identity->shares_id) {
        if (!map_add(&index->ids, slice_of(entity->id), entity, NULL))
            kong_fail_memory(reader);
        return;
    }
    struct kong_unique id = { &index->ids, index->kind, "id", "primary key", slice_of(entity->id), entity };
    kong_unique(reader, &id, node, place);
}

struct slice kong_reference_text(const struct node *value)
{
    static const char *const names[] = { "id", "name", "username" };
    if (value != NULL && value->kind == NODE_STRING)
        return value->text;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        const struct node *part = node_find(value, names[i]);
        if (part != NULL && part->kind == NODE_STRING)
            return part->text;
    }
    return (struct slice){ NULL, 0 };
}

void kong_refer(struct kong_reader *reader, const struct kong_foreign *foreign, const struct node *node,
                const struct config_place *place)
{
    const struct node *value = node_find(node, foreign->field);
    if (value == NULL || value->kind == NODE_NULL)
        return;
    const void *around;
    memcpy(&around, foreign->target, sizeof(around));
    if (around != NULL) {
        schema_error(place, node, foreign->field, "value must be null");
        return;
    }
    if (kong_reference_text(value).data == NULL) {
        schema_error(place, node, foreign->field, "expected a string, or a record with id or name");
        return;
    }
    struct kong_reference *reference = kong_take(reader, &reader->scratch, sizeof(*reference));
    if (reference == NULL)
        return;
    *reference =
        (struct kong_reference){ NULL, foreign->index, value, place->path, foreign->field, foreign->target };
    *reader->reference_end = reference;
    reader->reference_end = &reference->next;
}

void kong_refer_required(struct kong_reader *reader, const struct kong_foreign *foreign,
                         const struct node *node, const struct config_place *place)
{
    const void *around;
    memcpy(&around, foreign->target, sizeof(around));
    if (around == NULL && !kong_is_given(node, foreign->field))
        schema_error(place, node, foreign->field, "required field missing");
    kong_refer(reader, foreign, node, place);
}

void *kong_look_up(const struct kong_index *index, struct slice text)
{
    unsigned char bytes[UUID_BYTES];
    char id[UUID_TEXT_SIZE];
    void *found = NULL;
    if (uuid_read(text, bytes)) {
        uuid_write(bytes, id);
        found = map_find(&index->ids, slice_of(id));
    }
    return found ? found : map_find(&index->names, text);
}

/* The value as Kong repeats it: a text as it is, a record as JSON; absent when memory is exhausted. */
static struct slice reference_words(struct kong_reader *reader, const struct node *value)
{
    if (value->kind == NODE_STRING)
        return value->text;
    struct slice text = SLICE("{");
    for (uint32_t i = 0; i < value->count && text.data; i++) {
        const struct node_entry *entry = &value->entries[i];
        const char *quote = entry->value->kind == NODE_STRING ? "\"" : "";
        text = arena_format(&reader->scratch, "%.*s%s\"%.*s\":%s%.*s%s", SLICE_FORMAT(text), i ? "," : "",
                            SLICE_FORMAT(entry->key), quote, SLICE_FORMAT(entry->value->text), quote);
    }
    return text.data ? arena_format(&reader->scratch, "%.*s}", SLICE_FORMAT(text)) : text;
}

static void report_dangling(struct kong_reader *reader, const struct kong_reference *reference)
{
    struct config_place place = { .report = reader->report, .arena = &reader->scratch };
    struct slice words = reference_words(reader, reference->value);
    place.path = reference->path;
    place = schema_place(&place, reference->field);
    struct report_place at = { .report = reader->report,
                               .position = &reference->value->position,
                               .path = place.path,
                               .shape = REPORT_DANGLING };
    if (words.data == NULL)
        kong_fail_memory(reader);
    report_write(&at, "invalid reference '%s: %.*s' (no such entry in '%s')", reference->field,
                 SLICE_FORMAT(words), reference->index->kind);
}

void kong_resolve(struct kong_reader *reader)
{
    for (struct kong_reference *reference = reader->references; reference; reference = reference->next) {
        struct slice text = kong_reference_text(reference->value);
        void *found = kong_look_up(reference->index, text);
        memcpy(reference->target, &found, sizeof(found));
        if (found == NULL)
            report_dangling(reader, reference);
    }
}

void kong_later(struct kong_reader *reader, const struct kong_later *later)
{
    struct kong_later *kept = kong_take(reader, &reader->scratch, sizeof(*kept));
    if (kept == NULL)
        return;
    *kept = *later;
    *reader->later_end = kept;
    reader->later_end = &kept->next;
}

void kong_finish_later(struct kong_reader *reader)
{
    for (const struct kong_later *later = reader->later; later; later = later->next)
        later->finish(reader, later);
}

struct slice kong_composite_key(struct kong_reader *reader, const char *kind, const struct node *node,
                                const struct kong_key_part *parts, size_t count)
{
    struct slice key = arena_format(&reader->scratch, "%s:*", kind);
    for (size_t i = 0; i < count && key.data; i++) {
        const struct node *value = node_find(node, parts[i].field);
        struct slice text = SLICE("");
        if (value == NULL && parts[i].around != NULL)
            text = slice_of(parts[i].around->id);
        else if (value != NULL && value->kind != NODE_STRING)
            continue; /* Kong's key has no place for a record or a null */
        else if (value != NULL)
            text = value->text;
        key = arena_format(&reader->scratch, "%.*s:%.*s", SLICE_FORMAT(key), SLICE_FORMAT(text));
    }
    return key;
}

bool kong_is_given(const struct node *node, const char *field)
{
    const struct node *value = node_find(node, field);
    return value != NULL && value->kind != NODE_NULL;
}
