/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/transformer.h"

#include "config/action.h"
#include "config/kong/checks.h"
#include "core/base/json_scan.h"

const char *const transformer_edit_names[TRANSFORMER_EDIT_COUNT] = { "remove", "rename", "replace", "add",
                                                                     "append" };

/* --- entries -------------------------------------------------------------------------------------------- */

const char *transformer_check_entry(struct slice text)
{
    const char *colon = memchr(text.data, ':', text.size);
    return colon && colon > text.data ? NULL : "invalid value: {}";
}

static void report(const struct transformer_reading *reading, uint32_t index, enum report_kind kind,
                   const char *reason)
{
    struct config_place list = schema_place(reading->place, reading->field);
    struct config_place element = schema_element(&list, index);
    const struct node *node = reading->node ? node_find(reading->node, reading->field) : NULL;
    const struct node_position *position = reading->place->position;
    if (node && node->kind == NODE_SEQUENCE && index < node->count)
        node = node->entries[index].value;
    if (node)
        position = &node->position;
    report_add(list.report, kind, position, element.path, "%s", reason);
}

/* What is wrong with the name of a header (as an entry's name or, of rename, its value); NULL: nothing. */
static const char *judge_header(const struct transformer_reading *reading, struct slice name)
{
    if (reading->edit == TRANSFORMER_REMOVE)
        return NULL;
    if (name.size > 0 && kong_check_header_text(name) == NULL)
        return NULL;
    struct slice reason =
        arena_format(reading->place->arena, "'%.*s' is not a valid header", SLICE_FORMAT(name));
    return reason.data ? reason.data : "out of memory";
}

static const struct template *compile(const struct transformer_reading *reading, struct slice text,
                                      const char **reason)
{
    struct template_error error;
    const struct template *template = template_compile(reading->place->arena, text, reading->roots, &error);
    if (template && template_constant(template).data)
        return NULL;
    if (template)
        return template;
    struct slice place = error.offset < text.size ? slice_from(text, error.offset) : SLICE("the end");
    struct slice whole = arena_format(reading->place->arena, "the template %.*s: %s, at %.*s",
                                      SLICE_FORMAT(text), error.reason, SLICE_FORMAT(place));
    *reason = whole.data ? whole.data : "out of memory";
    return NULL;
}

const struct template *transformer_template(const struct transformer_reading *reading, struct slice text)
{
    const char *reason = NULL;
    const struct template *template = compile(reading, text, &reason);
    if (reason)
        schema_error(reading->place, reading->node, reading->field, "%s", reason);
    return template;
}

/* Kong takes the colons behind the name as one. */
static void split(struct slice text, struct transformer_entry *entry)
{
    entry->name = slice_split(text, ':', &entry->value);
    while (entry->value.size > 0 && entry->value.data[0] == ':')
        entry->value = slice_from(entry->value, 1);
    if (entry->value.size == 0)
        entry->value = (struct slice){ NULL, 0 };
}

static const char *judge(const struct transformer_reading *reading, struct transformer_entry *entry)
{
    const char *reason = NULL;
    if (entry->value.data && reading->roots && reading->edit != TRANSFORMER_REMOVE)
        entry->template = compile(reading, entry->value, &reason);
    if (reason == NULL && reading->are_headers)
        reason = judge_header(reading, entry->name);
    if (reason || !reading->are_headers || entry->value.data == NULL || entry->template)
        return reason;
    if (reading->edit == TRANSFORMER_RENAME)
        return judge_header(reading, entry->value);
    return action_is_field_value(entry->value) ? NULL : "control characters are not allowed";
}

void transformer_read(const struct transformer_reading *reading, const struct slices *texts,
                      struct transformer_entries *entries)
{
    entries->count = 0;
    entries->items = arena_array(reading->place->arena, texts->count, sizeof(*entries->items));
    if (entries->items == NULL && texts->count > 0) {
        schema_error(reading->place, reading->node, reading->field, "out of memory");
        return;
    }
    for (uint32_t i = 0; i < texts->count; i++) {
        struct transformer_entry entry = { .template = NULL };
        split(texts->items[i], &entry);
        const char *reason = judge(reading, &entry);
        if (reason)
            report(reading, i, REPORT_ERROR, reason);
        if (entry.template)
            entry.number = (*reading->template_count)++;
        entries->items[entries->count++] = entry;
    }
}

/* --- headers -------------------------------------------------------------------------------------------- */

static bool is_control(char c)
{
    return ((unsigned char)c < ' ' && c != '\t') || c == 0x7f;
}

struct slice transformer_header_value(struct arena *arena, struct slice value)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t controls = 0, size = 0;
    for (size_t i = 0; i < value.size; i++)
        controls += is_control(value.data[i]);
    if (controls == 0)
        return value.data ? value : SLICE("");
    char *out = arena_alloc(arena, value.size + 2 * controls);
    for (size_t i = 0; out && i < value.size; i++) {
        if (!is_control(value.data[i])) {
            out[size++] = value.data[i];
            continue;
        }
        out[size++] = '%';
        out[size++] = digits[(unsigned char)value.data[i] >> 4];
        out[size++] = digits[value.data[i] & 15];
    }
    return (struct slice){ out, size };
}

/* --- bodies --------------------------------------------------------------------------------------------- */

static bool rename_arguments(struct body_arguments *arguments, struct slice name, struct slice new_name)
{
    uint32_t from = 0;
    if (slice_equal(name, new_name) || body_arguments_next(arguments, name, &from) == NULL)
        return false;
    body_arguments_remove(arguments, new_name);
    struct body_argument *argument;
    from = 0;
    while ((argument = body_arguments_next(arguments, name, &from)) != NULL)
        body_argument_rename(argument, new_name);
    return true;
}

static bool add(struct body_arguments *arguments, const struct transformer_change *change)
{
    return body_arguments_add(arguments, change->name, change->type, change->value);
}

/* In a form the first of its name takes the value. A part of multipart moves to the end, as in Kong. */
static bool replace(struct body_arguments *arguments, const struct transformer_change *change)
{
    uint32_t from = 0;
    struct body_argument *argument = body_arguments_next(arguments, change->name, &from);
    if (argument == NULL)
        return false;
    if (arguments->kind == BODY_ARGUMENTS_MULTIPART) {
        body_arguments_remove(arguments, change->name);
        return add(arguments, change);
    }
    uint32_t first = (uint32_t)(argument - arguments->items);
    body_argument_set(argument, change->type, change->value);
    struct body_argument kept = arguments->items[first];
    if (body_arguments_next(arguments, change->name, &from) == NULL)
        return true;
    /* Further ones go: take all away and put this one back where it stood. */
    uint32_t before = 0;
    for (uint32_t i = 0; i < first; i++)
        before += !slice_equal(arguments->items[i].name, change->name);
    body_arguments_remove(arguments, change->name);
    memmove(&arguments->items[before + 1], &arguments->items[before],
            (arguments->count - before) * sizeof(*arguments->items));
    arguments->items[before] = kept;
    arguments->count++;
    return true;
}

static struct slice quoted(struct body_arguments *arguments, enum body_value type, struct slice value)
{
    if (type == BODY_VALUE_JSON)
        return value;
    char *out = arena_alloc(&arguments->arena, value.size * JSON_ESCAPED_MAX + 2);
    if (out == NULL)
        return (struct slice){ NULL, 0 };
    size_t size = json_escape(value, out + 1);
    out[0] = out[size + 1] = '"';
    return (struct slice){ out, size + 2 };
}

/* [1] and "a" make [1,"a"]; a string makes an array with it, anything else gives way to the array (Kong). */
static struct slice grown_array(struct body_arguments *arguments, const struct body_argument *old,
                                struct slice value)
{
    struct slice inner = SLICE("");
    if (old && old->type == BODY_VALUE_TEXT)
        inner = quoted(arguments, BODY_VALUE_TEXT, old->value);
    else if (old && old->type == BODY_VALUE_JSON && old->value.size >= 2 && old->value.data[0] == '[')
        inner = (struct slice){ old->value.data + 1, old->value.size - 2 };
    size_t blank = 0;
    while (blank < inner.size && memchr(" \t\r\n", inner.data[blank], 4) != NULL)
        blank++;
    if (blank == inner.size)
        inner.size = 0;
    char *out = inner.data && value.data ? arena_alloc(&arguments->arena, inner.size + value.size + 3) : NULL;
    if (out == NULL)
        return (struct slice){ NULL, 0 };
    char *to = out;
    *to++ = '[';
    if (inner.size > 0) {
        memcpy(to, inner.data, inner.size);
        to += inner.size;
        *to++ = ',';
    }
    memcpy(to, value.data, value.size);
    to += value.size;
    *to++ = ']';
    return (struct slice){ out, (size_t)(to - out) };
}

static bool append(struct body_arguments *arguments, const struct transformer_change *change)
{
    uint32_t from = 0;
    if (arguments->kind == BODY_ARGUMENTS_MULTIPART)
        return false;
    if (arguments->kind == BODY_ARGUMENTS_FORM)
        return add(arguments, change);
    struct body_argument *old = body_arguments_next(arguments, change->name, &from);
    struct slice array = grown_array(arguments, old, quoted(arguments, change->type, change->value));
    arguments->failed |= array.data == NULL;
    if (array.data == NULL)
        return false;
    struct transformer_change grown = { TRANSFORMER_ADD, change->name, array, BODY_VALUE_JSON };
    return old ? replace(arguments, &grown) : add(arguments, &grown);
}

bool transformer_change_body(struct body_arguments *arguments, const struct transformer_change *change)
{
    uint32_t from = 0;
    switch (change->edit) {
    case TRANSFORMER_REMOVE: return body_arguments_remove(arguments, change->name) > 0;
    case TRANSFORMER_RENAME: return rename_arguments(arguments, change->name, change->value);
    case TRANSFORMER_REPLACE: return replace(arguments, change);
    case TRANSFORMER_ADD:
        return body_arguments_next(arguments, change->name, &from) == NULL && add(arguments, change);
    case TRANSFORMER_APPEND: return append(arguments, change);
    case TRANSFORMER_EDIT_COUNT: break;
    }
    return false;
}
