/* SPDX-License-Identifier: Apache-2.0 */
#include "config/schema.h"

#include "config/schema_value.h"
#include "config/vault.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

static const char *path_text(struct slice path)
{
    return path.data ? path.data : "";
}

struct config_place schema_place(const struct config_place *place, const char *name)
{
    struct config_place deeper = *place;
    deeper.path = path_text(report_join(place->arena, place->path ? place->path : "", name));
    return deeper;
}

struct config_place schema_element(const struct config_place *place, uint32_t index)
{
    struct config_place deeper = *place;
    deeper.path = path_text(arena_format(place->arena, "%s[%u]", place->path ? place->path : "", index));
    return deeper;
}

static const struct node_position *position_of(const struct config_place *place, const struct node *node)
{
    return node ? &node->position : place->position;
}

void schema_error(const struct config_place *place, const struct node *node, const char *name,
                  const char *format, ...)
{
    char reason[768];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof(reason), format, arguments);
    va_end(arguments);
    const struct node *value = name[0] ? node_find(node, name) : NULL;
    struct config_place deeper = name[0] ? schema_place(place, name) : *place;
    struct report_place at = { .report = place->report,
                               .position = position_of(place, value ? value : node),
                               .path = deeper.path,
                               .shape = name[0] ? REPORT_FIELD : REPORT_RULE };
    report_write(&at, "%s", reason);
}

/* One field being read, or one element of its list. Its path is only written out for an error. */
struct reading {
    const struct field *field;
    const struct config_place *place; /* of the record around it */
    const char *name;
    int64_t index; /* -1: the field itself */
    void *target;
};

static bool refuse(const struct reading *reading, const struct node *node, const char *reason)
{
    struct config_place deeper = schema_place(reading->place, reading->name);
    if (reading->index >= 0)
        deeper = schema_element(&deeper, (uint32_t)reading->index);
    report_add(deeper.report, REPORT_ERROR, position_of(&deeper, node), deeper.path, "%s", reason);
    return false;
}

static bool refuse_text(const struct reading *reading, const struct node *node, const char *reason)
{
    char text[VALUE_REASON_SIZE];
    struct slice shown = reading->field->flags & FIELD_SECRET ? SLICE("***") : node->text;
    return refuse(reading, node, value_reason(reason, shown, text));
}

static bool refuse_type(const struct reading *reading, const struct node *node)
{
    static const char *const names[] = {
        [FIELD_STRING] = "a string",   [FIELD_BOOLEAN] = "a boolean", [FIELD_INTEGER] = "an integer",
        [FIELD_NUMBER] = "a number",   [FIELD_CHOICE] = "a string",   [FIELD_CHOICES] = "an array",
        [FIELD_STRINGS] = "an array",  [FIELD_RECORD] = "a record",   [FIELD_MAP] = "a map",
        [FIELD_DURATION] = "a number", [FIELD_SIZE] = "a number",     [FIELD_INTEGERS] = "an array",
        [FIELD_RECORDS] = "an array",  [FIELD_RECORD_MAP] = "a map",
    };
    char reason[64];
    snprintf(reason, sizeof(reason), "expected %s", names[reading->field->type]);
    return refuse(reading, node, reason);
}

/* As in Kong a secret that is not found is the empty text, and a line in the log. */
static bool read_reference(const struct reading *reading, const struct node *node, struct slice *out)
{
    const struct config_place *place = reading->place;
    const char *reason = vault_resolve(place->vaults, node->text, place->arena, out);
    if (reason == NULL)
        return true;
    struct config_place deeper = schema_place(place, reading->name);
    if (reading->index >= 0)
        deeper = schema_element(&deeper, (uint32_t)reading->index);
    report_add(deeper.report, REPORT_WARNING, &node->position, deeper.path,
               "unable to resolve reference %.*s (%s): the value is empty", SLICE_FORMAT(node->text), reason);
    return false;
}

static bool read_text(const struct reading *reading, const struct node *node, struct slice *out)
{
    const struct field *field = reading->field;
    struct slice text = node->text;
    if (node->kind != NODE_STRING)
        return refuse(reading, node, "expected a string");
    if ((field->flags & FIELD_VAULT) && vault_is_reference(text) && !read_reference(reading, node, &text)) {
        *out = SLICE("");
        return true;
    }
    const char *reason = value_check_text(field, text);
    if (reason)
        return refuse_text(reading, node, reason);
    *out = arena_copy(reading->place->arena, text);
    return out->data != NULL || refuse(reading, node, "out of memory");
}

static bool read_integer(const struct reading *reading, const struct node *node, int64_t *out)
{
    char reason[VALUE_REASON_SIZE];
    if (node->kind != NODE_NUMBER || !isfinite(node->number) || floor(node->number) != node->number)
        return refuse(reading, node, "expected an integer");
    if (!value_check_range(reading->field, node->number, reason))
        return refuse(reading, node, reason);
    if (!node->is_integer)
        return refuse(reading, node, "expected an integer");
    *out = node->integer;
    return true;
}

static bool read_number(const struct reading *reading, const struct node *node)
{
    char reason[VALUE_REASON_SIZE];
    if (node->kind != NODE_NUMBER || !isfinite(node->number))
        return refuse_type(reading, node);
    if (!value_check_range(reading->field, node->number, reason))
        return refuse(reading, node, reason);
    *(double *)reading->target = node->number;
    return true;
}

static bool read_integers(const struct reading *reading, const struct node *node)
{
    struct schema_integers *list = reading->target;
    bool good = true;
    if (node->kind != NODE_SEQUENCE)
        return refuse_type(reading, node);
    list->items = arena_array(reading->place->arena, node->count, sizeof(*list->items));
    list->count = 0;
    if (list->items == NULL)
        return refuse(reading, node, "out of memory");
    for (uint32_t i = 0; i < node->count; i++) {
        struct reading one = *reading;
        one.index = i;
        list->items[i] = 0;
        good = read_integer(&one, node->entries[i].value, &list->items[i]) && good;
    }
    list->count = node->count;
    return good;
}

static bool read_choice(const struct reading *reading, const struct node *node, int *out)
{
    if (node->kind != NODE_STRING)
        return refuse(reading, node, "expected a string");
    *out = value_find_choice(reading->field, node->text);
    char reason[VALUE_REASON_SIZE];
    return *out >= 0 || refuse(reading, node, value_choices_text(reading->field, reason));
}

static bool check_count(const struct reading *reading, const struct node *node, double count)
{
    const struct field *field = reading->field;
    char reason[64] = "";
    if (field->min > 0 && count < field->min)
        snprintf(reason, sizeof(reason), "length must be at least %g", field->min);
    if (field->max > 0 && count > field->max)
        snprintf(reason, sizeof(reason), "length must be at most %g", field->max);
    return reason[0] == '\0' || refuse(reading, node, reason);
}

static bool read_choices(const struct reading *reading, const struct node *node)
{
    uint64_t *bits = reading->target;
    bool good = true;
    if (node->kind != NODE_SEQUENCE)
        return refuse_type(reading, node);
    *bits = 0;
    for (uint32_t i = 0; i < node->count; i++) {
        struct reading one = *reading;
        one.index = i;
        int choice;
        if (read_choice(&one, node->entries[i].value, &choice))
            *bits |= UINT64_C(1) << choice;
        else
            good = false;
    }
    return check_count(reading, node, node->count) && good;
}

static bool read_strings(const struct reading *reading, const struct node *node, struct slices *out)
{
    bool good = true;
    if (node->kind != NODE_SEQUENCE)
        return refuse(reading, node, "expected an array");
    *out = (struct slices){ .items = arena_array(reading->place->arena, node->count, sizeof(*out->items)) };
    if (out->items == NULL)
        return refuse(reading, node, "out of memory");
    for (uint32_t i = 0; i < node->count; i++) {
        struct reading one = *reading;
        one.index = i;
        out->items[i] = (struct slice){ NULL, 0 };
        good = read_text(&one, node->entries[i].value, &out->items[i]) && good;
    }
    out->count = node->count;
    return good;
}

static bool read_single(const struct reading *reading, const struct node *node, struct slices *out)
{
    *out = (struct slices){ .items = arena_array(reading->place->arena, 1, sizeof(*out->items)) };
    if (out->items == NULL)
        return refuse(reading, node, "out of memory");
    out->count = 1;
    out->items[0] = (struct slice){ NULL, 0 };
    return read_text(reading, node, &out->items[0]);
}

/* The names are what `check` is for; the values are any texts. A bad name is an error of the map, as in
 * Kong. */
static bool read_map_entry(const struct reading *reading, const struct node_entry *entry,
                           struct schema_map_entry *out)
{
    struct config_place place = schema_place(reading->place, reading->name);
    struct field values = *reading->field;
    values.check = NULL;
    struct reading one = { &values, &place, entry->key.data, -1, NULL };
    const char *reason = value_check_text(reading->field, entry->key);
    if (reason) {
        struct node key = { .kind = NODE_STRING, .position = entry->key_position, .text = entry->key };
        return refuse_text(reading, &key, reason);
    }
    out->name = arena_copy(place.arena, entry->key);
    if (out->name.data == NULL)
        return refuse(reading, entry->value, "out of memory");
    if (values.flags & FIELD_SINGLE)
        return read_single(&one, entry->value, &out->values);
    return read_strings(&one, entry->value, &out->values);
}

static bool read_map(const struct reading *reading, const struct node *node)
{
    struct schema_map *map = reading->target;
    bool good = true;
    if (node->kind != NODE_MAPPING)
        return refuse_type(reading, node);
    map->entries = arena_array(reading->place->arena, node->count, sizeof(*map->entries));
    if (map->entries == NULL)
        return refuse(reading, node, "out of memory");
    for (uint32_t i = 0; i < node->count; i++)
        good = read_map_entry(reading, &node->entries[i], &map->entries[i]) && good;
    map->count = node->count;
    return good;
}

/* Numbers, or texts with a unit. */
static bool read_unit(const struct reading *reading, const struct node *node)
{
    if (node->kind != NODE_NUMBER && node->kind != NODE_STRING)
        return refuse_type(reading, node);
    const char *reason = schema_set_text(reading->field, node->text, reading->place->arena, reading->target);
    return reason == NULL || refuse(reading, node, reason);
}

static bool read_record(const struct reading *reading, const struct node *node)
{
    struct config_place deeper = schema_place(reading->place, reading->name);
    return schema_read(reading->field->record, node, &deeper, reading->target);
}

static bool read_records(const struct reading *reading, const struct node *node)
{
    const struct schema *record = reading->field->record;
    struct schema_records *list = reading->target;
    bool good = true;
    if (node->kind != NODE_SEQUENCE)
        return refuse_type(reading, node);
    list->items = arena_array(reading->place->arena, node->count, record->struct_size);
    if (list->items == NULL)
        return refuse(reading, node, "out of memory");
    struct config_place list_place = schema_place(reading->place, reading->name);
    for (uint32_t i = 0; i < node->count; i++) {
        struct config_place deeper = schema_element(&list_place, i);
        void *item = list->items + i * record->struct_size;
        memset(item, 0, record->struct_size);
        good = schema_read(record, node->entries[i].value, &deeper, item) && good;
    }
    list->count = node->count;
    return check_count(reading, node, node->count) && good;
}

static bool read_record_entry(const struct reading *reading, const struct node_entry *entry,
                              struct schema_record_entry *out)
{
    const struct schema *record = reading->field->record;
    struct config_place place = schema_place(reading->place, reading->name);
    const char *reason = value_check_text(reading->field, entry->key);
    if (reason) {
        struct node key = { .kind = NODE_STRING, .position = entry->key_position, .text = entry->key };
        return refuse_text(reading, &key, reason);
    }
    out->name = arena_copy(place.arena, entry->key);
    out->record = arena_alloc_zero(place.arena, record->struct_size);
    if (out->name.data == NULL || out->record == NULL)
        return refuse(reading, entry->value, "out of memory");
    return schema_read(record, entry->value, &place, out->record);
}

/* What is wrong with a record is an error of the map, as in Kong. */
static bool read_record_map(const struct reading *reading, const struct node *node)
{
    struct schema_record_map *map = reading->target;
    bool good = true;
    if (node->kind != NODE_MAPPING)
        return refuse_type(reading, node);
    map->entries = arena_array(reading->place->arena, node->count, sizeof(*map->entries));
    if (map->entries == NULL)
        return refuse(reading, node, "out of memory");
    for (uint32_t i = 0; i < node->count; i++)
        good = read_record_entry(reading, &node->entries[i], &map->entries[i]) && good;
    map->count = node->count;
    return check_count(reading, node, node->count) && good;
}

static bool read_value(const struct reading *reading, const struct node *node)
{
    const struct field *field = reading->field;
    switch (field->type) {
    case FIELD_STRING: return read_text(reading, node, reading->target);
    case FIELD_BOOLEAN:
        if (node->kind != NODE_BOOLEAN)
            return refuse_type(reading, node);
        *(bool *)reading->target = node->boolean;
        return true;
    case FIELD_INTEGER: return read_integer(reading, node, reading->target);
    case FIELD_INTEGERS: return read_integers(reading, node);
    case FIELD_NUMBER: return read_number(reading, node);
    case FIELD_CHOICE: return read_choice(reading, node, reading->target);
    case FIELD_CHOICES: return read_choices(reading, node);
    case FIELD_STRINGS:
        return read_strings(reading, node, reading->target) && check_count(reading, node, node->count);
    case FIELD_RECORD:
        if (node->kind != NODE_MAPPING)
            return refuse_type(reading, node);
        return read_record(reading, node);
    case FIELD_MAP: return read_map(reading, node);
    case FIELD_RECORDS: return read_records(reading, node);
    case FIELD_RECORD_MAP: return read_record_map(reading, node);
    case FIELD_DURATION:
    case FIELD_SIZE: return read_unit(reading, node);
    }
    return false;
}

static const struct node *find_value(const struct field *field, const struct node *node)
{
    const struct node *value = node_find(node, field->name);
    if ((value == NULL || value->kind == NODE_NULL) && field->alias) {
        const struct node *older = node_find(node, field->alias);
        if (older != NULL && older->kind != NODE_NULL)
            return older;
    }
    return value;
}

static bool read_absent_record(const struct reading *reading, const struct node *node)
{
    struct config_place deeper = schema_place(reading->place, reading->name);
    deeper.position = position_of(reading->place, node);
    return schema_read(reading->field->record, NULL, &deeper, reading->target);
}

static bool read_field(const struct field *field, const struct node *node, const struct config_place *place,
                       char *base)
{
    const struct node *value = find_value(field, node);
    bool absent = value == NULL || value->kind == NODE_NULL;
    if (absent && (!(field->flags & FIELD_REQUIRED) || field->fallback))
        return true;
    struct reading reading = { field, place, field->name, -1, base + field->offset };
    if (field->flags & FIELD_UNSUPPORTED)
        return absent || refuse(&reading, value, "not supported yet");
    if (!absent)
        return read_value(&reading, value);
    if (field->type == FIELD_RECORD)
        return read_absent_record(&reading, node);
    return refuse(&reading, value ? value : node, "required field missing");
}

static bool is_other(const struct schema *schema, struct slice key)
{
    for (const char *const *other = schema->others; other && *other; other++)
        if (slice_equal(key, slice_of(*other)))
            return true;
    return false;
}

static bool report_unknown(const struct schema *schema, const struct node_entry *entry,
                           const struct config_place *place)
{
    const char *nearest = schema_nearest(schema, entry->key);
    struct config_place deeper = schema_place(place, entry->key.data);
    struct report_place at = { .report = place->report,
                               .kind = place->unknown,
                               .position = &entry->key_position,
                               .path = deeper.path,
                               .meant = nearest };
    report_write(&at, "unknown field");
    return place->unknown == REPORT_WARNING;
}

bool schema_read(const struct schema *schema, const struct node *node, const struct config_place *place,
                 void *value)
{
    bool good = true;
    if (node != NULL && node->kind == NODE_NULL) {
        struct config_place here = *place;
        here.position = &node->position;
        return schema_read(schema, NULL, &here, value);
    }
    schema_defaults(schema, place->arena, value);
    if (node != NULL && node->kind != NODE_MAPPING) {
        report_add(place->report, REPORT_ERROR, &node->position, place->path, "expected a record");
        return false;
    }
    for (uint32_t i = 0; node && i < node->count; i++) {
        const struct node_entry *entry = &node->entries[i];
        if (schema_find(schema, entry->key) == NULL && !is_other(schema, entry->key))
            good = report_unknown(schema, entry, place) && good;
    }
    for (size_t i = 0; i < schema->field_count; i++)
        good = read_field(&schema->fields[i], node, place, value) && good;
    /* Rules over several fields would trip over what is wrong already. */
    if (good && schema->check) {
        uint32_t before = place->report->error_count;
        schema->check(value, node, place);
        good = place->report->error_count == before;
    }
    return good;
}
