/* SPDX-License-Identifier: Apache-2.0 */
#include "config/schema_json.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>

/* --- defaults ------------------------------------------------------------------------------------------- */

static json_t *number_json(double number)
{
    return floor(number) == number && fabs(number) < 1e15 ? json_integer((json_int_t)number)
                                                          : json_real(number);
}

static json_t *seconds_json(int64_t milliseconds)
{
    return number_json((double)milliseconds / 1000);
}

static json_t *texts_json(const struct slices *texts)
{
    json_t *array = json_array();
    for (uint32_t i = 0; i < texts->count; i++)
        json_array_append_new(array, json_stringn(texts->items[i].data, texts->items[i].size));
    return array;
}

/* In the order in which they are written. */
static json_t *choices_json(struct slice text)
{
    json_t *array = json_array();
    while (text.data && text.size) {
        struct slice one = slice_split(text, ',', &text);
        json_array_append_new(array, json_stringn(one.data, one.size));
    }
    return array;
}

static json_t *integers_json(const struct schema_integers *list)
{
    json_t *array = json_array();
    for (uint32_t i = 0; i < list->count; i++)
        json_array_append_new(array, json_integer(list->items[i]));
    return array;
}

static json_t *text_json(const struct field *field, const char *text)
{
    char memory[1024];
    struct arena arena;
    union {
        struct slice text;
        bool boolean;
        int64_t integer;
        double number;
        int choice;
        uint64_t bits;
        struct slices texts;
        struct schema_integers integers;
    } value;
    json_t *json = NULL;
    arena_init(&arena, memory, sizeof(memory), 65536);
    if (schema_set_text(field, slice_of(text), &arena, &value) == NULL) {
        switch (field->type) {
        case FIELD_STRING: json = json_stringn(value.text.data, value.text.size); break;
        case FIELD_BOOLEAN: json = json_boolean(value.boolean); break;
        case FIELD_SIZE:
        case FIELD_INTEGER: json = json_integer(value.integer); break;
        case FIELD_DURATION: json = seconds_json(value.integer); break;
        case FIELD_NUMBER: json = number_json(value.number); break;
        case FIELD_CHOICE: json = json_string(field->choices[value.choice]); break;
        case FIELD_CHOICES: json = choices_json(slice_of(text)); break;
        case FIELD_STRINGS: json = texts_json(&value.texts); break;
        case FIELD_INTEGERS: json = integers_json(&value.integers); break;
        case FIELD_RECORD:
        case FIELD_RECORDS:
        case FIELD_RECORD_MAP:
        case FIELD_MAP: break; /* have no default as text */
        }
    }
    arena_deinit(&arena);
    return json ? json : json_null();
}

static json_t *default_json(const struct field *field)
{
    const char *text = field->fallback ? field->fallback : field->shown;
    return text ? text_json(field, text) : json_null();
}

/* --- values --------------------------------------------------------------------------------------------- */

static json_t *shown_records(const struct field *field, const json_t *given, enum schema_showing how)
{
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(given); i++)
        json_array_append_new(list, schema_show(field->record, json_array_get(given, i), how));
    return list;
}

static json_t *shown_record_map(const struct field *field, const json_t *given, enum schema_showing how)
{
    json_t *map = json_object();
    const char *name;
    json_t *one;
    json_object_foreach((json_t *)(uintptr_t)given, name, one)
        json_object_set_new(map, name, schema_show(field->record, one, how));
    return map;
}

json_t *schema_show_field(const struct field *field, const json_t *given, enum schema_showing how)
{
    bool absent = given == NULL || json_is_null(given);
    bool hidden = field->flags & FIELD_UNSUPPORTED || (field->flags & FIELD_OWN && how != SCHEMA_ALL);
    if (absent && hidden)
        return NULL;
    if (absent && field->flags & (FIELD_OWN | FIELD_OPTIONAL) && field->type == FIELD_RECORD)
        return json_null();
    if (field->type == FIELD_RECORD)
        return schema_show(field->record, absent ? NULL : given, how);
    if (absent)
        return default_json(field);
    if (field->type == FIELD_RECORDS && json_is_array(given))
        return shown_records(field, given, how);
    if (field->type == FIELD_RECORD_MAP && json_is_object(given))
        return shown_record_map(field, given, how);
    return json_incref((json_t *)(uintptr_t)given);
}

/* "redis_host" is "host" of "redis". */
static json_t *older_value(const json_t *record, const char *name)
{
    const char *name_of;
    json_t *inner;
    json_object_foreach((json_t *)(uintptr_t)record, name_of, inner)
    {
        size_t size = strlen(name_of);
        if (json_is_object(inner) && strncmp(name, name_of, size) == 0 && name[size] == '_')
            return json_object_get(inner, name + size + 1);
    }
    return NULL;
}

/* Older names that are given say what the members are. */
static void adopt_older(const struct schema *schema, const json_t *given, json_t *shown)
{
    for (size_t i = 0; i < schema->field_count; i++) {
        const struct field *field = &schema->fields[i];
        const json_t *value = field->flags & FIELD_OLDER ? json_object_get(given, field->name) : NULL;
        const char *at = strchr(field->name, '_');
        if (value == NULL || json_is_null(value) || at == NULL)
            continue;
        char record[64];
        snprintf(record, sizeof(record), "%.*s", (int)(at - field->name), field->name);
        json_t *inner = json_object_get(shown, record);
        if (json_is_object(inner))
            json_object_set(inner, at + 1, (json_t *)(uintptr_t)value);
    }
}

json_t *schema_show(const struct schema *schema, const json_t *given, enum schema_showing how)
{
    json_t *shown = json_object();
    if (given && !json_is_object(given)) {
        json_decref(shown);
        return json_incref((json_t *)(uintptr_t)given);
    }
    for (size_t i = 0; i < schema->field_count; i++) {
        const struct field *field = &schema->fields[i];
        const json_t *value = json_object_get(given, field->name);
        if ((value == NULL || json_is_null(value)) && field->alias)
            value = json_object_get(given, field->alias);
        json_t *one = field->flags & FIELD_OLDER ? NULL : schema_show_field(field, value, how);
        if (one)
            json_object_set_new(shown, field->name, one);
    }
    adopt_older(schema, given, shown);
    for (size_t i = 0; i < schema->field_count; i++) {
        const struct field *field = &schema->fields[i];
        bool older = field->flags & FIELD_OLDER && how != SCHEMA_NEWEST;
        json_t *value = older ? older_value(shown, field->name) : NULL;
        if (value)
            json_object_set(shown, field->name, value);
    }
    return shown;
}

/* --- descriptions --------------------------------------------------------------------------------------- */

static const char *type_name(enum field_type type)
{
    switch (type) {
    case FIELD_STRING:
    case FIELD_CHOICE: return "string";
    case FIELD_BOOLEAN: return "boolean";
    case FIELD_SIZE:
    case FIELD_INTEGER: return "integer";
    case FIELD_DURATION:
    case FIELD_NUMBER: return "number";
    case FIELD_CHOICES: return "set";
    case FIELD_STRINGS:
    case FIELD_INTEGERS:
    case FIELD_RECORDS: return "array";
    case FIELD_RECORD: return "record";
    case FIELD_MAP:
    case FIELD_RECORD_MAP: return "map";
    }
    return "any";
}

static json_t *names_json(const char *const *names)
{
    json_t *list = json_array();
    for (; *names; names++)
        json_array_append_new(list, json_string(*names));
    return list;
}

static json_t *choice_names(const struct field *field)
{
    return names_json(field->offered ? field->offered : field->choices);
}

/* `scale`: units of the table in one unit as it is written. */
static void describe_range(const struct field *field, json_t *object, double scale)
{
    if (field->flags & FIELD_POSITIVE)
        json_object_set_new(object, "gt", json_integer(0));
    else if (field->min != 0 || field->max != 0)
        json_object_set_new(
            object, "between",
            json_pack("[o, o]", number_json(field->min / scale), number_json(field->max / scale)));
}

static json_t *record_type(const struct schema *record, enum schema_showing how)
{
    return json_pack("{s:s, s:o}", "type", "record", "fields", schema_describe(record, how));
}

static void describe_list(const struct field *field, json_t *object, enum schema_showing how)
{
    json_t *elements = NULL;
    if (field->type == FIELD_RECORDS)
        elements = record_type(field->record, how);
    else
        elements = json_pack("{s:s}", "type", field->type == FIELD_INTEGERS ? "integer" : "string");
    if (field->type == FIELD_CHOICES)
        json_object_set_new(elements, "one_of", choice_names(field));
    if (field->type == FIELD_INTEGERS)
        describe_range(field, elements, 1);
    json_object_set_new(object, "elements", elements);
}

static void describe_map(const struct field *field, json_t *object, enum schema_showing how)
{
    json_t *values = NULL;
    if (field->type == FIELD_RECORD_MAP)
        values = record_type(field->record, how);
    else if (field->flags & FIELD_SINGLE)
        values = json_pack("{s:s}", "type", "string");
    else
        values = json_pack("{s:s, s:{s:s}}", "type", "array", "elements", "type", "string");
    json_object_set_new(object, "keys", json_pack("{s:s}", "type", "string"));
    json_object_set_new(object, "values", values);
}

json_t *schema_describe_field(const struct field *field, enum schema_showing how)
{
    bool required = field->flags & FIELD_REQUIRED || field->type == FIELD_RECORD ||
                    (field->fallback && !(field->flags & FIELD_OPTIONAL));
    json_t *object = json_pack("{s:s, s:b}", "type", type_name(field->type), "required", required);
    json_t *described = field->described ? json_loads(field->described, 0, NULL) : NULL;
    if (described)
        json_object_update(object, described);
    json_decref(described);
    switch (field->described ? FIELD_STRING : field->type) {
    case FIELD_NUMBER:
    case FIELD_SIZE:
    case FIELD_INTEGER: describe_range(field, object, 1); break;
    case FIELD_DURATION: describe_range(field, object, 1000); break;
    case FIELD_CHOICE: json_object_set_new(object, "one_of", choice_names(field)); break;
    case FIELD_CHOICES:
    case FIELD_STRINGS:
    case FIELD_INTEGERS:
    case FIELD_RECORDS: describe_list(field, object, how); break;
    case FIELD_RECORD: json_object_set_new(object, "fields", schema_describe(field->record, how)); break;
    case FIELD_MAP:
    case FIELD_RECORD_MAP: describe_map(field, object, how); break;
    case FIELD_STRING:
    case FIELD_BOOLEAN: break;
    }
    if (field->fallback || field->shown)
        json_object_set_new(object, "default", default_json(field));
    if (field->help)
        json_object_set_new(object, "description", json_string(field->help));
    if (field->flags & FIELD_SECRET)
        json_object_set_new(object, "encrypted", json_true());
    if (field->flags & FIELD_VAULT)
        json_object_set_new(object, "referenceable", json_true());
    return object;
}

json_t *schema_describe(const struct schema *schema, enum schema_showing how)
{
    json_t *list = json_array();
    for (size_t i = 0; i < schema->field_count; i++) {
        const struct field *field = &schema->fields[i];
        bool hidden = field->flags & (FIELD_UNSUPPORTED | FIELD_OLDER) ||
                      (field->flags & FIELD_OWN && how != SCHEMA_ALL);
        if (!hidden)
            json_array_append_new(list, json_pack("{s:o}", field->name, schema_describe_field(field, how)));
    }
    return list;
}

/* --- forms ---------------------------------------------------------------------------------------------- */

static json_t *inferred(const struct field *field, const char *text)
{
    char *end;
    if (text[0] == '\0')
        return json_null();
    switch (field->type) {
    case FIELD_BOOLEAN:
        if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
            return json_boolean(text[0] == 't');
        break;
    case FIELD_INTEGER:
    case FIELD_NUMBER:
    case FIELD_DURATION:
    case FIELD_SIZE: {
        double number = strtod(text, &end);
        if (*end == '\0' && isfinite(number))
            return number_json(number);
        break;
    }
    default: break;
    }
    return json_string(text);
}

static json_t *inferred_list(const struct field *field, json_t *value)
{
    struct field element = *field;
    json_t *list = json_array();
    element.type = field->type == FIELD_INTEGERS ? FIELD_INTEGER : FIELD_STRING;
    if (json_is_string(value) && json_string_length(value) == 0)
        return list;
    if (json_is_string(value)) {
        json_array_append_new(list, inferred(&element, json_string_value(value)));
        return list;
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        json_t *one = json_array_get(value, i);
        json_array_append_new(list, json_is_string(one) ? inferred(&element, json_string_value(one))
                                                        : json_incref(one));
    }
    return list;
}

static bool is_list(enum field_type type)
{
    return type == FIELD_STRINGS || type == FIELD_INTEGERS || type == FIELD_CHOICES;
}

/* The value to put there instead; NULL: it stays. New reference. */
static json_t *better_value(const struct field *field, json_t *value)
{
    if (is_list(field->type) && (json_is_string(value) || json_is_array(value)))
        return inferred_list(field, value);
    if (json_is_string(value) && field->type != FIELD_RECORD)
        return inferred(field, json_string_value(value));
    if (field->type == FIELD_RECORD && json_is_object(value))
        schema_infer(field->record, value);
    if (field->type == FIELD_RECORDS)
        for (size_t i = 0; i < json_array_size(value); i++)
            schema_infer(field->record, json_array_get(value, i));
    return NULL;
}

void schema_infer(const struct schema *schema, json_t *given)
{
    for (size_t i = 0; i < schema->field_count && json_is_object(given); i++) {
        const struct field *field = &schema->fields[i];
        json_t *value = json_object_get(given, field->name);
        json_t *better = value ? better_value(field, value) : NULL;
        if (better)
            json_object_set_new(given, field->name, better);
    }
}
