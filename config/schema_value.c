/* SPDX-License-Identifier: Apache-2.0 */
#include "config/schema_value.h"

#include "config/scalar.h"

#include <math.h>
#include <stdio.h>

const char *value_check_text(const struct field *field, struct slice text)
{
    if (text.size == 0 && !(field->flags & FIELD_EMPTY))
        return "length must be at least 1";
    return field->check ? field->check(text) : NULL;
}

const char *value_reason(const char *reason, struct slice text, char *buffer)
{
    const char *gap = strstr(reason, "{}");
    if (gap == NULL)
        return reason;
    int shown = text.size > 200 ? 200 : (int)text.size;
    snprintf(buffer, VALUE_REASON_SIZE, "%.*s%.*s%s", (int)(gap - reason), reason, shown, text.data, gap + 2);
    return buffer;
}

bool value_check_range(const struct field *field, double number, char *reason)
{
    if ((field->flags & FIELD_POSITIVE) && number <= 0)
        snprintf(reason, VALUE_REASON_SIZE, "value must be greater than 0");
    else if ((field->min == 0 && field->max == 0) || (number >= field->min && number <= field->max))
        return true;
    else if (isinf(field->max))
        snprintf(reason, VALUE_REASON_SIZE, "value must be at least %.15g", field->min);
    else
        snprintf(reason, VALUE_REASON_SIZE, "value should be between %.15g and %.15g", field->min,
                 field->max);
    return false;
}

int value_find_choice(const struct field *field, struct slice text)
{
    for (int i = 0; field->choices[i]; i++)
        if (slice_equal(text, slice_of(field->choices[i])))
            return i;
    return -1;
}

const char *value_choices_text(const struct field *field, char *reason)
{
    int used = snprintf(reason, VALUE_REASON_SIZE, "expected one of: ");
    for (int i = 0; field->choices[i] && used < VALUE_REASON_SIZE; i++)
        used += snprintf(reason + used, VALUE_REASON_SIZE - (size_t)used, "%s%s", i ? ", " : "",
                         field->choices[i]);
    return reason;
}

static const char *keep(struct arena *arena, const char *reason)
{
    struct slice copy = arena_copy(arena, slice_of(reason));
    return copy.data ? copy.data : "out of memory";
}

static bool is_word(struct slice text, const char *a, const char *b)
{
    return slice_equal_nocase(text, slice_of(a)) || slice_equal_nocase(text, slice_of(b));
}

static const char *set_boolean(struct slice text, bool *out)
{
    *out = is_word(text, "on", "true");
    return *out || is_word(text, "off", "false") ? NULL : "expected a boolean: on or off";
}

/* False when it is no finite number. */
static bool parse_number(struct slice text, struct node *node)
{
    char copy[64];
    if (text.size == 0 || text.size >= sizeof(copy))
        return false;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    *node = (struct node){ .text = { copy, text.size } };
    bool good = scalar_number(node) && isfinite(node->number);
    node->text = text;
    return good;
}

/* The number at the beginning of a text; what follows it is its unit. False when there is none. */
static bool split_number(struct slice text, double *number, struct slice *unit)
{
    size_t size = 0;
    while (size < text.size && (strchr("+-.0123456789", text.data[size]) && text.data[size]))
        size++;
    *unit = slice_trim(slice_from(text, size));
    struct node node;
    if (!parse_number((struct slice){ text.data, size }, &node))
        return false;
    *number = node.number;
    return true;
}

struct unit {
    const char *name;
    double factor;
};

static const struct unit duration_units[] = {
    { "", 1000 }, { "ms", 1 }, { "s", 1000 }, { "m", 60e3 }, { "h", 3600e3 }, { "d", 86400e3 },
};
static const struct unit size_units[] = { { "", 1 }, { "k", 0x1p10 }, { "m", 0x1p20 }, { "g", 0x1p30 } };

static const char *set_united(const struct field *field, struct slice text, struct arena *arena, int64_t *out)
{
    bool duration = field->type == FIELD_DURATION;
    const struct unit *units = duration ? duration_units : size_units;
    size_t count = duration ? COUNT_OF(duration_units) : COUNT_OF(size_units);
    const char *expected = duration ? "expected a duration: seconds, or a number with ms, s, m, h or d"
                                    : "expected a size: bytes, or a number with k, m or g";
    struct slice unit;
    double number, factor = 0;
    if (!split_number(text, &number, &unit))
        return expected;
    for (size_t i = 0; i < count; i++)
        if (slice_equal_nocase(unit, slice_of(units[i].name)))
            factor = units[i].factor;
    if (factor == 0)
        return expected;
    number = round(number * factor);
    char reason[VALUE_REASON_SIZE];
    if (!value_check_range(field, number, reason))
        return keep(arena, reason);
    if (number < 0 || number > 0x1p53)
        return "value is out of range";
    *out = (int64_t)number;
    return NULL;
}

static const char *set_number(const struct field *field, struct slice text, struct arena *arena, void *out)
{
    bool whole = field->type == FIELD_INTEGER;
    struct node node;
    if (!parse_number(text, &node) || (whole && floor(node.number) != node.number))
        return whole ? "expected an integer" : "expected a number";
    char reason[VALUE_REASON_SIZE];
    if (!value_check_range(field, node.number, reason))
        return keep(arena, reason);
    if (whole && !node.is_integer)
        return "expected an integer";
    if (whole)
        *(int64_t *)out = node.integer;
    else
        *(double *)out = node.number;
    return NULL;
}

static const char *set_string(const struct field *field, struct slice text, struct arena *arena,
                              struct slice *out)
{
    char buffer[VALUE_REASON_SIZE];
    const char *reason = value_check_text(field, text);
    if (reason)
        return keep(arena, value_reason(reason, text, buffer));
    *out = arena_copy(arena, text);
    return out->data ? NULL : "out of memory";
}

static const char *set_choice(const struct field *field, struct slice text, struct arena *arena, int *out)
{
    char reason[VALUE_REASON_SIZE];
    *out = value_find_choice(field, text);
    return *out >= 0 ? NULL : keep(arena, value_choices_text(field, reason));
}

static const char *set_element(const struct field *field, struct slice text, struct arena *arena, void *out)
{
    if (field->type == FIELD_INTEGERS) {
        struct schema_integers *list = out;
        struct field one = *field;
        one.type = FIELD_INTEGER;
        return set_number(&one, text, arena, &list->items[list->count++]);
    }
    if (field->type == FIELD_STRINGS) {
        struct slices *list = out;
        return set_string(field, text, arena, &list->items[list->count++]);
    }
    int choice;
    const char *reason = set_choice(field, text, arena, &choice);
    if (reason == NULL)
        *(uint64_t *)out |= UINT64_C(1) << choice;
    return reason;
}

/* An empty list with room for `count` elements. */
static bool start_list(const struct field *field, size_t count, struct arena *arena, void *out)
{
    struct slices *strings = out;
    struct schema_integers *integers = out;
    switch (field->type) {
    case FIELD_STRINGS:
        *strings = (struct slices){ .items = arena_array(arena, count, sizeof(*strings->items)) };
        return strings->items != NULL;
    case FIELD_INTEGERS:
        *integers = (struct schema_integers){ .items = arena_array(arena, count, sizeof(*integers->items)) };
        return integers->items != NULL;
    default: *(uint64_t *)out = 0; return true;
    }
}

static const char *set_list(const struct field *field, struct slice text, struct arena *arena, void *out)
{
    size_t commas = 0;
    for (size_t i = 0; i < text.size; i++)
        commas += text.data[i] == ',';
    if (!start_list(field, commas + 1, arena, out))
        return "out of memory";
    struct slice rest = text;
    while (rest.data != NULL && text.size > 0) {
        struct slice item = slice_trim(slice_split(rest, ',', &rest));
        const char *reason = set_element(field, item, arena, out);
        if (reason)
            return reason;
    }
    return NULL;
}

const char *schema_set_text(const struct field *field, struct slice text, struct arena *arena, void *value)
{
    text = slice_trim(text);
    switch (field->type) {
    case FIELD_STRING: return set_string(field, text, arena, value);
    case FIELD_BOOLEAN: return set_boolean(text, value);
    case FIELD_INTEGER:
    case FIELD_NUMBER: return set_number(field, text, arena, value);
    case FIELD_CHOICE: return set_choice(field, text, arena, value);
    case FIELD_CHOICES:
    case FIELD_INTEGERS:
    case FIELD_STRINGS: return set_list(field, text, arena, value);
    case FIELD_DURATION:
    case FIELD_SIZE: return set_united(field, text, arena, value);
    case FIELD_RECORD:
    case FIELD_RECORDS:
    case FIELD_RECORD_MAP:
    case FIELD_MAP: break;
    }
    return "cannot be given as text";
}

static void set_null(const struct field *field, void *value)
{
    switch (field->type) {
    case FIELD_STRING: *(struct slice *)value = (struct slice){ NULL, 0 }; break;
    case FIELD_BOOLEAN: *(bool *)value = false; break;
    case FIELD_INTEGER:
    case FIELD_DURATION:
    case FIELD_SIZE: *(int64_t *)value = INTEGER_NULL; break;
    case FIELD_NUMBER: *(double *)value = (double)NAN; break;
    case FIELD_CHOICE: *(int *)value = -1; break;
    case FIELD_CHOICES: *(uint64_t *)value = 0; break;
    case FIELD_STRINGS: *(struct slices *)value = (struct slices){ NULL, 0 }; break;
    case FIELD_MAP: *(struct schema_map *)value = (struct schema_map){ NULL, 0 }; break;
    case FIELD_INTEGERS: *(struct schema_integers *)value = (struct schema_integers){ NULL, 0 }; break;
    case FIELD_RECORDS: *(struct schema_records *)value = (struct schema_records){ NULL, 0 }; break;
    case FIELD_RECORD_MAP: *(struct schema_record_map *)value = (struct schema_record_map){ NULL, 0 }; break;
    case FIELD_RECORD: break;
    }
}

void schema_defaults(const struct schema *schema, struct arena *arena, void *value)
{
    for (size_t i = 0; i < schema->field_count; i++) {
        const struct field *field = &schema->fields[i];
        char *target = (char *)value + field->offset;
        if (field->flags & FIELD_UNSUPPORTED)
            continue;
        if (field->type == FIELD_RECORD) {
            schema_defaults(field->record, arena, target);
            continue;
        }
        set_null(field, target);
        const char *reason =
            field->fallback ? schema_set_text(field, slice_of(field->fallback), arena, target) : NULL;
        CHECK(reason == NULL || strcmp(reason, "out of memory") == 0);
    }
}
